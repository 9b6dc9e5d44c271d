//! Limits: how large what clients ask for may be, and how large everything becomes that follows
//! from it.
//!
//! Clients meet four limits: on a key, on a value, on a transaction, and on the work that a
//! transaction may do. All else that servers log and send is made of these, so its size has a
//! bound that follows from them: the functions of [`Limits`] say which, and the assertions below
//! hold that the largest message fits. What is beyond a limit is refused before it is logged or
//! locked; what has been logged can always be sent, and so can what is said about it.
//!
//! The limits decide what comes of a request, so all replicas of a group must have the same. They
//! belong to the state machine ([`crate::replica::Setup`]) and come from constants; only a check
//! has others, so small that it reaches them.

use crate::kv::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::kv::transaction::{MAX_BYTES, MAX_KEYS, MAX_STEPS, MAX_WORK_BYTES};
use crate::raft;
use crate::shard::controller::MAX_NAMED;
use crate::size::{CHOICE, U16, U32, U64, bytes, length};

/// The largest message, encoded.
pub const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// Most bytes of several keys and sessions that a part of a shard may be made of.
pub const MAX_PART_BYTES: usize = 1 << 20;

/// How large things may be, in bytes. All but the first two are sizes of encodings.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Limits {
    /// The longest key.
    pub key: usize,
    /// The longest value.
    pub value: usize,
    /// The largest transaction.
    pub transaction: usize,
    /// The most that a transaction may find, give back and write in all: each key that it reads
    /// with its value, each value that it gives back, and each key that a step writes with its new
    /// value.
    pub work: usize,
    /// The largest message.
    pub message: usize,
}

impl Limits {
    /// Those of the runtime.
    pub const DEFAULT: Self = Self {
        key: MAX_KEY_BYTES,
        value: MAX_VALUE_BYTES,
        transaction: MAX_BYTES,
        work: MAX_WORK_BYTES,
        message: MAX_MESSAGE_BYTES,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How many servers, groups or shards there can be: their numbers have 16 bits.
const NUMBERED: usize = 1 << 16;

/// Servers of one group.
const SERVERS: usize = length(NUMBERED) + NUMBERED * U16;

/// A configuration: its number, the groups, their servers, and the owner of each shard.
const CONFIGURATION: usize = U64
    + length(NUMBERED)
    + NUMBERED * (U16 + length(NUMBERED))
    + NUMBERED * U16
    + length(NUMBERED)
    + NUMBERED * (CHOICE + U16);

/// A change of the configuration.
const CHANGE: usize =
    CHOICE + length(MAX_NAMED) + MAX_NAMED * (U16 + length(MAX_NAMED)) + MAX_NAMED * U16;

/// A change as it is ordered: with whether it is forced.
const ORDER: usize = CHANGE + CHOICE;

/// The members of a group, with their incarnations, and its purpose.
const MEMBERS: usize = CHOICE + U16 + U16 + SERVERS + length(NUMBERED) + NUMBERED * (U16 + U64);

/// The announcement of a server that belongs to no group: its charter, its incarnation, its pledge.
const ANNOUNCEMENT: usize = (CHOICE + U16 + U16 + SERVERS) + SERVERS + U64 + CHOICE + MEMBERS;

/// The condition of a server: its members, its positions, its disputes, and its followers.
const HEALTH: usize = CHOICE
    + MEMBERS
    + 3 * U64
    + 4 * CHOICE
    + U16
    + U64
    + length(NUMBERED)
    + NUMBERED * (U16 + CHOICE + U64)
    + length(NUMBERED)
    + NUMBERED * (U16 + U64 + CHOICE);

/// What a server tells of itself and of its group's shards.
const HOLDINGS: usize = HEALTH
    + U64
    + CHOICE
    + length(NUMBERED)
    + NUMBERED * (U16 + CHOICE + U64 + U64)
    + U64
    + SERVERS;

/// An attempt: age, coordinator, client, number, configuration and count.
const ATTEMPT: usize = U64 + U16 + U64 + U64 + U64 + U32;

/// An AppendEntries, beside its entries: the kind of message twice, the sender's credentials, the
/// term, the position before the entries, the commit index, and how many entries there are.
pub const APPEND_ENTRIES: usize = CHOICE + (U64 + U64) + U64 + CHOICE + (U64 + U64) + U64 + U32;

/// Who asks, and under which number.
const ASKED_BY: usize = U64 + U64;

/// Times that the checks of a transaction may compare as much as it may find, give back and write.
/// At 16 times 4 MiB that takes a few milliseconds.
const COMPARED_PER_WORK: usize = 16;

impl Limits {
    /// Most bytes that the checks of a transaction may compare in all, each time that one looks at
    /// a value.
    #[must_use]
    pub const fn compared(&self) -> usize {
        COMPARED_PER_WORK.saturating_mul(self.work)
    }
}

/// The bounds that follow from the limits, each an upper bound of the encoding.
impl Limits {
    /// Of a request, by whomever.
    #[must_use]
    pub const fn request(&self) -> usize {
        let expected = CHOICE + bytes(self.value);
        let compare_and_set = bytes(self.key) + expected + bytes(self.value);
        ASKED_BY + CHOICE + larger(compare_and_set, self.transaction)
    }

    /// Of a result.
    #[must_use]
    pub const fn result(&self) -> usize {
        let values = length(MAX_STEPS) + self.work;
        let refusal = U32 + CHOICE + CHOICE + bytes(self.value);
        CHOICE + larger(values, refusal)
    }

    /// Of what is under some of a transaction's keys.
    #[must_use]
    pub const fn contents(&self) -> usize {
        length(MAX_KEYS) + self.work
    }

    /// Of an entry about a transaction, and of a message with as much in it.
    #[must_use]
    pub const fn transaction_entry(&self) -> usize {
        // Each key stands in the transaction, in a step that takes as much beside it.
        let prepare = SERVERS + length(MAX_KEYS) + self.transaction;
        let vote = U16 + CHOICE + self.contents() + U64;
        let decide = SERVERS + CHOICE + self.contents();
        CHOICE + ATTEMPT + larger(prepare, larger(vote, decide))
    }

    /// Of a part of a shard, of keys and sessions of so many bytes, or of one that is larger.
    #[must_use]
    pub const fn part(&self, part_bytes: usize) -> usize {
        let place = CHOICE + CHOICE + larger(bytes(self.key), U64);
        let key = bytes(self.key) + bytes(self.value);
        let session = ASKED_BY + self.result();
        let content = larger(part_bytes, larger(key, session));
        2 * place + 2 * length(part_bytes) + content
    }

    /// Of an entry about shards.
    #[must_use]
    pub const fn migration_entry(&self, part_bytes: usize) -> usize {
        CHOICE + larger(CONFIGURATION, U16 + U64 + self.part(part_bytes))
    }

    /// Of what an entry of a log carries.
    #[must_use]
    pub const fn payload(&self, part_bytes: usize) -> usize {
        let asked = larger(self.request(), ASKED_BY + CHANGE);
        let of_groups = larger(self.migration_entry(part_bytes), self.transaction_entry());
        CHOICE + CHOICE + larger(asked, of_groups)
    }

    /// Of the entries in a message: so many bytes of them, or one that is larger.
    #[must_use]
    pub const fn append_entries(&self, part_bytes: usize, batch_bytes: usize) -> usize {
        APPEND_ENTRIES + larger(batch_bytes, U64 + self.payload(part_bytes))
    }

    /// Of a message of any kind.
    #[must_use]
    pub const fn largest_message(&self, part_bytes: usize, batch_bytes: usize) -> usize {
        let request = CHOICE + larger(self.request(), ASKED_BY + ORDER);
        let reply = CHOICE + ASKED_BY + CHOICE + larger(self.result(), CHOICE + CONFIGURATION);
        let migration = CHOICE + CHOICE + larger(HOLDINGS, self.migration_entry(part_bytes));
        let transaction = CHOICE + self.transaction_entry();
        let founding = CHOICE + CHOICE + larger(ANNOUNCEMENT, MEMBERS);
        let between_groups = larger(larger(migration, transaction), founding);
        let to_clients = larger(request, reply);
        larger(self.append_entries(part_bytes, batch_bytes), larger(between_groups, to_clients))
    }
}

const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

// What a server may have to send fits into a message.
const _: () = {
    let Limits { key, value, transaction, work, message } = Limits::DEFAULT;
    let batch = raft::Limits::DEFAULT.batch_bytes;
    assert!(Limits::DEFAULT.largest_message(MAX_PART_BYTES, batch) <= message);
    // So a key with its value is worth a transaction, and none of its values can be too long.
    assert!(key < value && transaction <= value && value < work);
};

#[cfg(test)]
mod tests;
