//! What a shard holds, in parts that fit a message.
//!
//! A shard that moves is frozen first, on every replica alike, so whoever cuts it cuts it the same
//! way: a part is known by where it begins. First come the keys in order, then the sessions of the
//! clients in order. The sessions go with the keys because they are what makes a request happen
//! once [Ongaro §6.3]: one that was carried out before the move is known behind it.

use serde::{Deserialize, Serialize};

use crate::kv::Machine;
use crate::kv::command::{Key, Value};
use crate::kv::session::Session;
use crate::size;
use crate::types::ClientId;

/// How far a shard has been taken over.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Place {
    /// Up to and with this key, or not at all.
    Keys(Option<Key>),
    /// All keys, and the sessions up to and with this client's.
    Sessions(Option<ClientId>),
    /// To the end.
    End,
}

impl Place {
    /// Nothing has been taken over.
    pub const START: Self = Self::Keys(None);
}

/// A part of what a shard holds.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Part {
    /// What comes before it.
    pub from: Place,
    /// Keys and values, in order.
    keys: Vec<(Key, Value)>,
    /// Sessions, in order.
    sessions: Vec<(ClientId, Session)>,
    /// How far it reaches.
    pub to: Place,
}

impl Part {
    /// The part that begins at `from`: the keys and sessions that fit into so many bytes together,
    /// or the next one of them alone, however large.
    #[must_use]
    pub fn of(machine: &Machine, from: Place, bytes: usize) -> Self {
        let mut part =
            Self { from: from.clone(), keys: Vec::new(), sessions: Vec::new(), to: from };
        let mut taken = 0;
        let mut fits = |item: usize| {
            let is_first = taken == 0;
            taken += item;
            is_first || taken <= bytes
        };
        if let Place::Keys(after) = &part.to {
            for (key, value) in machine.store.behind(after.clone().as_ref()) {
                if !fits(size::of(&(key, value))) {
                    return part;
                }
                part.to = Place::Keys(Some(key.clone()));
                part.keys.push((key.clone(), value.clone()));
            }
            part.to = Place::Sessions(None);
        }
        if let Place::Sessions(after) = part.to {
            for (client, session) in machine.sessions.behind(after) {
                if !fits(size::of(&(client, session))) {
                    return part;
                }
                part.to = Place::Sessions(Some(client));
                part.sessions.push((client, session.clone()));
            }
            part.to = Place::End;
        }
        part
    }

    /// How many keys and how many sessions it holds.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.keys.len(), self.sessions.len())
    }

    /// Adds what it holds to what came before it.
    pub fn install(&self, machine: &mut Machine) {
        for (key, value) in &self.keys {
            machine.store.set(key.clone(), value.clone());
        }
        for (client, session) in &self.sessions {
            machine.sessions.restore(*client, session.clone());
        }
    }
}
