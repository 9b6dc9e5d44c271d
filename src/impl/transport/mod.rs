//! Who carries datagrams.
//!
//! A [`Transport`] promises nothing: a datagram may be lost, repeated, delayed or damaged. So a
//! send has no result, and what fails is only counted.

mod fault;
mod memory;
#[cfg(test)]
mod tests;
mod udp;

pub use fault::{Faults, Faulty, Plan, Tally};
pub use memory::{Memory, MemoryNet};
pub use udp::Udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use std::{fmt, io};

/// How long to wait for the first datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// Not at all: take what is there.
    Poll,
    /// Until this moment at the latest.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

impl Wait {
    /// This wait, but no longer than until `deadline`.
    pub fn at_most(self, deadline: Option<Instant>) -> Self {
        match (self, deadline) {
            (Self::Forever, Some(deadline)) => Self::Until(deadline),
            (Self::Until(moment), Some(deadline)) => Self::Until(moment.min(deadline)),
            (Self::Poll, _) | (_, None) => self,
        }
    }
}

/// Sends and receives datagrams from one local address.
pub trait Transport {
    /// Sends `datagrams` to `to`: pieces of `size` bytes each, only the last one may be shorter.
    ///
    /// Whatever goes wrong is a loss: it is counted and otherwise ignored.
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize);

    /// Waits for a datagram, then hands a bounded number of those that are ready to `deliver`, with
    /// the address each came from. Returns whether more may be ready.
    ///
    /// Returns early, possibly with nothing, when [woken](Self::waker).
    ///
    /// # Errors
    ///
    /// Only when no later call can succeed; whatever may pass is counted and ignored.
    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool>;

    /// Ends the wait of this transport from another thread.
    fn waker(&self) -> Waker;

    /// Where others reach this transport.
    fn local(&self) -> SocketAddr;

    /// How many bytes may wait here to be received, about.
    fn receive_buffer(&self) -> usize;

    /// What went through so far.
    fn counters(&self) -> Counters;
}

/// What went through a transport.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Datagrams handed over for sending, less those in `send_failures`.
    pub sent: u64,
    /// Datagrams that could not be sent. Lost, like those that are lost later.
    pub send_failures: u64,
    /// Datagrams received.
    pub received: u64,
    /// Attempts to receive that failed and were ignored.
    pub receive_failures: u64,
}

/// Ends a transport's wait. A wake that comes while nothing waits ends the next wait.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the wait. Cheap when a wake is under way already.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
