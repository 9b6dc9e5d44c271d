//! Admission: which requests a leader takes into its log while earlier ones are not committed.
//!
//! A leader that has lost its majority, or is asked for more than its group can do, would log
//! without end what its clients have long given up. So what is not committed is bounded, and a
//! request beyond the bound is refused as *not done*. A disk that has no room left refuses in the
//! same way.
//!
//! A refusal is a promise: the request has not taken effect and never will. Two rules keep it.
//!
//! - The leader remembers whom it has refused, so that a copy of the same datagram, which the
//!   network may have made, is refused as well. Such a copy arrives within milliseconds of the
//!   first. The leader forgets the refusal at its second heartbeat, when a client that asks again
//!   must have another chance.
//! - The client believes the refusal only if every other copy that it has sent was turned away
//!   ([`crate::client::Session`]). A copy that went to another server, or was not answered, may be
//!   in a log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Command, Hearing, Replica, Setup};
use crate::message::NotTaken;
use crate::raft::{self, Entry};
use crate::types::{ClientId, Index, RequestId};

/// The bound of a leader's backlog: of the entries in its log that are not committed. One entry is
/// always allowed, however large.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Backlog {
    /// The largest number of entries.
    pub entries: usize,
    /// The largest sum of the entries' sizes, in bytes.
    pub bytes: usize,
}

impl Backlog {
    /// The bound of the runtime: a fraction of a second of what a fast disk takes, and more small
    /// entries than a group has under way when it works as fast as it can.
    pub const DEFAULT: Self = Self { entries: 131_072, bytes: 24 << 20 };

    /// No bound.
    pub const UNBOUNDED: Self = Self { entries: usize::MAX, bytes: usize::MAX };

    /// The bound for what groups and transactions have to log, twice that of clients: what finishes
    /// something that was begun does not wait behind requests that begin something.
    #[must_use]
    pub(super) fn to_finish(self) -> Self {
        let Self { entries, bytes } = self;
        Self { entries: entries.saturating_mul(2), bytes: bytes.saturating_mul(2) }
    }
}

/// The room that a server's disk has. The host knows it; in a model it is always ample.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub enum Room {
    /// Anything can be logged.
    #[default]
    Ample,
    /// The rest of the room is kept for reads, and for transactions that have begun.
    Scarce,
    /// The rest of the room is kept for terms and votes: no entry is logged but those that open a
    /// term.
    None,
}

/// The largest number of refusals that a leader remembers. A leader that remembers as many leaves
/// further requests unanswered, which promises nothing.
const MAX_REMEMBERED: usize = 65_536;

/// The knowledge from which a leader decides whether it takes a request.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Admission {
    /// Bytes of the entries in a leader's log that are not applied.
    bytes: usize,
    /// The room on the disk.
    pub(super) room: Room,
    /// The servers that were heard lately.
    pub(super) hearing: Hearing,
    /// The requests that were refused since the last heartbeat but one.
    refused: BTreeMap<ClientId, Refused>,
}

/// A request that was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Refused {
    number: RequestId,
    why: NotTaken,
    /// Whether a heartbeat has gone out since.
    is_old: bool,
}

impl Admission {
    /// Counts entries of so many bytes, which were added to the leader's log.
    pub(super) fn on_logged(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Counts an entry of so many bytes, which was applied.
    pub(super) fn on_applied(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// Forgets the requests that were refused before the last heartbeat: another one goes out.
    pub(super) fn on_heartbeat(&mut self) {
        self.refused.retain(|_, refused| !std::mem::replace(&mut refused.is_old, true));
    }

    /// Forgets everything but what the host has told: the server does not lead.
    pub(super) fn reset(&mut self) {
        (self.bytes, self.refused) = (0, BTreeMap::new());
    }

    /// Whether another entry of so many bytes is within the bound, while so many entries are not
    /// applied.
    pub(super) fn is_within(&self, bound: Backlog, entries: usize, bytes: usize) -> bool {
        entries == 0 || entries < bound.entries && self.bytes.saturating_add(bytes) <= bound.bytes
    }

    /// The reason for which this request was refused a short time ago, if it was.
    pub(super) fn refused(&self, client: ClientId, number: RequestId) -> Option<NotTaken> {
        let refused = self.refused.get(&client)?;
        (refused.number >= number).then_some(refused.why)
    }

    /// Remembers a refusal. Returns whether there is room for it: if not, the client must not be
    /// told.
    pub(super) fn refuse(&mut self, client: ClientId, number: RequestId, why: NotTaken) -> bool {
        if self.refused.len() >= MAX_REMEMBERED && !self.refused.contains_key(&client) {
            return false;
        }
        self.refused.insert(client, Refused { number, why, is_old: false });
        true
    }

    /// Whether no refusal is remembered.
    pub(super) fn has_refused_nobody(&self) -> bool {
        self.refused.is_empty()
    }

    /// Whether a refusal for this reason is remembered.
    fn has_refused_for(&self, why: NotTaken) -> bool {
        self.refused.values().any(|refused| refused.why == why)
    }
}

impl Replica {
    /// The reason for which a leader does not take a request now, if there is one. A change that is
    /// forced may give shards to groups that were not heard lately.
    pub(super) fn obstacle(
        &self,
        setup: &Setup,
        writes: bool,
        forced: bool,
        command: &Command,
    ) -> Option<NotTaken> {
        match (self.admission.room, writes) {
            (Room::None, _) | (Room::Scarce, true) => Some(NotTaken::DiskFull),
            (Room::Ample, _) | (Room::Scarce, false) => {
                if !self.is_within(setup.backlog, command) {
                    return Some(NotTaken::Overloaded);
                }
                let silent = if forced { None } else { self.silent_group(command) };
                silent.map(NotTaken::Silent)
            }
        }
    }

    /// Whether a leader takes an entry about shards or transactions. On a disk where room is scarce
    /// it takes those about transactions, which free locks, and no parts of shards.
    pub(super) fn takes_to_finish(&self, setup: &Setup, command: &Command) -> bool {
        let has_room = match command {
            Command::Transaction(_) => self.admission.room != Room::None,
            Command::Migration(_) | Command::Request(_) | Command::Change(_) => {
                self.admission.room == Room::Ample
            }
        };
        has_room && self.is_within(setup.backlog.to_finish(), command)
    }

    /// Counts the entries that a leader's log holds behind `after`: they are new, or it has just
    /// come to lead.
    pub(super) fn count_new(&mut self, after: Index) {
        let new = self.raft.log().range(after, Index::MAX);
        self.admission.on_logged(new.map(Entry::bytes).sum());
    }

    /// Whether another entry is within a bound of what is not committed.
    fn is_within(&self, bound: Backlog, command: &Command) -> bool {
        let entries = self.raft.last().index.0 - self.applied.0;
        self.admission.is_within(bound, entries as usize, raft::Command::bytes(command))
    }

    /// Takes note of the room that the host has seen on the disk.
    pub fn set_room(&mut self, room: Room) {
        self.admission.room = room;
    }

    /// Returns the room on the disk, as the host has seen it last.
    #[must_use]
    pub fn room(&self) -> Room {
        self.admission.room
    }

    /// Whether the server leads and has refused a request since its last heartbeat but one, because
    /// its backlog is as large as it may be.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.admission.has_refused_for(NotTaken::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_entry_is_always_within_and_others_by_number_and_bytes() {
        let bound = Backlog { entries: 2, bytes: 10 };
        let mut admission = Admission::default();
        assert!(admission.is_within(bound, 0, 11), "however large");
        admission.on_logged(6);
        assert!(admission.is_within(bound, 1, 4));
        assert!(!admission.is_within(bound, 1, 5));
        assert!(!admission.is_within(bound, 2, 1));
        assert!(admission.is_within(bound.to_finish(), 2, 5));
        admission.on_applied(6);
        assert!(admission.is_within(bound, 1, 10));
    }

    #[test]
    fn refusal_is_forgotten_at_the_second_heartbeat() {
        let (client, number, why) = (ClientId(1), RequestId(2), NotTaken::Overloaded);
        let mut admission = Admission::default();
        assert!(admission.refuse(client, number, why));
        assert_eq!(admission.refused(client, RequestId(1)), Some(why), "an earlier one as well");
        assert_eq!(admission.refused(client, RequestId(3)), None);
        admission.on_heartbeat();
        assert_eq!(admission.refused(client, number), Some(why));
        admission.on_heartbeat();
        assert_eq!(admission.refused(client, number), None);
        assert!(admission.has_refused_nobody());
    }

    #[test]
    fn refusals_to_remember_are_bounded() {
        let mut admission = Admission::default();
        for client in 0..MAX_REMEMBERED as u64 {
            assert!(admission.refuse(ClientId(client), RequestId(1), NotTaken::Overloaded));
        }
        let another = ClientId(u64::MAX);
        assert!(!admission.refuse(another, RequestId(1), NotTaken::Overloaded));
        assert!(admission.refuse(ClientId(7), RequestId(2), NotTaken::Overloaded));
    }
}
