//! Where an actor's saved state goes.

mod durable;

pub use durable::{Durable, Meaningless};

use std::io;

use model::replica::Room;

/// Durable storage for an actor's state.
///
/// The event loop calls [`save`](Self::save) with each new state, and [`sync`](Self::sync) once at
/// the end of a turn that saved any; it sends nothing before that has returned. An error stops the
/// node: after a failed sync nobody knows what the disk holds, so there is nothing sound to retry.
pub trait Journal<S> {
    /// Accepts `storage` as the state to keep. It may still be lost until the next sync.
    ///
    /// # Errors
    ///
    /// When the state cannot be written; the node stops.
    fn save(&mut self, storage: &S) -> io::Result<()>;

    /// Makes all that was accepted survive a crash.
    ///
    /// # Errors
    ///
    /// When durability cannot be promised; the node stops.
    fn sync(&mut self) -> io::Result<()>;

    /// Called at the end of each turn, when everything has been sent: the moment for housekeeping
    /// that nobody waits for.
    ///
    /// # Errors
    ///
    /// When durability cannot be promised any more; the node stops.
    fn rest(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Returns how much room is left for saving. The node asks before each message that it hands to
    /// its actor. What one message makes the actor save fits into the difference between two
    /// levels; requests that were held may be more (`model::replica`).
    fn room(&self) -> Room {
        Room::Ample
    }

    /// Called when the node stops in good order.
    ///
    /// # Errors
    ///
    /// When it cannot be closed in good order. All that was synced is still there.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps nothing: for clients, and for tests of everything but crashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Volatile;

impl<S> Journal<S> for Volatile {
    fn save(&mut self, _: &S) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
