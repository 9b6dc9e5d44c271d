//! The journal of a server: Raft's persistent state as records of the write-ahead log.
//!
//! | record | index | term | payload |
//! |---|---|---|---|
//! | state | | the current term | the vote, encoded |
//! | entry | its index | its term | what it carries, encoded |
//! | peer | a server | its incarnation | |
//!
//! An entry record takes the place of every entry from its index on: Raft removes entries only to
//! put another in their place [Raft §5.3], so nothing needs to be erased on disk.
//!
//! What is new in a state is found by comparing the terms of its entries with those of the entries
//! on disk, from the end: where two logs agree in index and term they agree on everything before
//! (the Log Matching Property).

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use model::node::Storage;
use model::raft::{Entry, Payload};
use model::replica::Command;
use model::types::{Index, NodeId, Term};

use serde::Serialize;

use super::Journal;
use crate::clock;
use crate::wal::{Record, Recovered, Wal};
use crate::wire::codec;

const STATE: u8 = 1;
const ENTRY: u8 = 2;
const PEER: u8 = 3;

/// How long a batch may stay without proof that it was acknowledged. See `docs/wal.md`.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// A journal on disk.
pub struct Durable {
    wal: Wal,
    term: Term,
    vote: Option<NodeId>,
    /// The term of each entry on disk, from index 1.
    terms: Vec<Term>,
    /// When the last batch was synced, until it is sealed.
    unsealed_since: Option<Instant>,
    scratch: Vec<u8>,
}

/// What a journal holds when it is opened.
#[derive(Debug)]
pub struct Recovery {
    /// The state saved last.
    pub storage: Storage,
    /// The servers met, with their incarnations.
    pub peers: BTreeMap<u64, u64>,
}

/// A record is intact and makes no sense.
#[derive(Debug, thiserror::Error)]
#[error(
    "record {record} of the log has kind {kind} and makes no sense to this version; start the \
     version that wrote it"
)]
pub struct Meaningless {
    /// Which record, counted from 1.
    record: usize,
    /// Its kind.
    kind: u8,
}

impl Durable {
    /// A journal on a log, continuing what was recovered from it; nothing for a new log.
    ///
    /// # Errors
    ///
    /// When a record is intact and still makes no sense: another program's, or a newer version's.
    pub fn new(wal: Wal, recovered: Option<&Recovered>) -> Result<(Self, Recovery), Meaningless> {
        let records = recovered.map_or(&[][..], |recovered| &recovered.records);
        let recovery = replay(records)?;
        let journal = Self {
            wal,
            term: recovery.storage.term,
            vote: recovery.storage.vote,
            terms: recovery.storage.log.iter().map(|entry| entry.term).collect(),
            unsealed_since: None,
            scratch: Vec::new(),
        };
        Ok((journal, recovery))
    }

    /// How many of `storage`'s entries are on disk already.
    fn agreed(&self, storage: &Storage) -> Index {
        let mut index = Index(self.terms.len() as u64).min(storage.log.last_index());
        while index > Index::ZERO
            && self.on_disk(index) != storage.log.position(index).map(|p| p.term)
        {
            index = index.previous();
        }
        index
    }

    fn on_disk(&self, index: Index) -> Option<Term> {
        self.terms.get(index.0 as usize - 1).copied()
    }

    fn append(&mut self, kind: u8, index: u64, term: u64) -> io::Result<()> {
        let record = Record { kind, index, term, payload: &self.scratch };
        self.wal.append(&record).map_err(io::Error::other)
    }
}

impl Journal<Storage> for Durable {
    fn save(&mut self, storage: &Storage) -> io::Result<()> {
        if (self.term, self.vote) != (storage.term, storage.vote) {
            (self.term, self.vote) = (storage.term, storage.vote);
            encode(&storage.vote, &mut self.scratch)?;
            self.append(STATE, 0, storage.term.0)?;
        }
        let agreed = self.agreed(storage);
        self.terms.truncate(agreed.0 as usize);
        for entry in storage.log.range(agreed, storage.log.last_index()) {
            encode(&entry.payload, &mut self.scratch)?;
            self.terms.push(entry.term);
            self.append(ENTRY, self.terms.len() as u64, entry.term.0)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.wal.sync().map_err(io::Error::other)?;
        self.unsealed_since = Some(clock::now());
        Ok(())
    }

    fn rest(&mut self) -> io::Result<()> {
        let quiet = |since: Instant| clock::now().duration_since(since) >= SEAL_AFTER;
        if self.unsealed_since.is_some_and(quiet) {
            return self.close();
        }
        self.wal.preallocate().map_err(io::Error::other)
    }

    fn close(&mut self) -> io::Result<()> {
        self.unsealed_since = None;
        self.wal.seal().map_err(io::Error::other)
    }

    fn meet(&mut self, server: u64, incarnation: u64) -> io::Result<()> {
        self.scratch.clear();
        self.append(PEER, server, incarnation)
    }
}

/// Encodes a payload; the log itself bounds how large it may be.
fn encode<T: Serialize>(value: &T, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    codec::encode(value, usize::MAX, into).map_err(io::Error::other)
}

/// Puts the state together from its records.
fn replay(records: &[Record<Vec<u8>>]) -> Result<Recovery, Meaningless> {
    let mut storage = Storage::default();
    let mut peers = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        let understood = match record.kind {
            STATE => replay_state(&mut storage, record),
            ENTRY => replay_entry(&mut storage, record),
            PEER => {
                peers.insert(record.index, record.term);
                Some(())
            }
            _ => None,
        };
        understood.ok_or(Meaningless { record: number + 1, kind: record.kind })?;
    }
    Ok(Recovery { storage, peers })
}

fn replay_state(storage: &mut Storage, record: &Record<Vec<u8>>) -> Option<()> {
    storage.term = Term(record.term);
    storage.vote = codec::decode(&record.payload).ok()?;
    Some(())
}

fn replay_entry(storage: &mut Storage, record: &Record<Vec<u8>>) -> Option<()> {
    let index = Index(record.index);
    if index == Index::ZERO || index > storage.log.last_index().next() {
        return None; // A hole in the log.
    }
    let payload: Payload<Command> = codec::decode(&record.payload).ok()?;
    storage.log.truncate(index);
    storage.log.push(Entry { term: Term(record.term), payload });
    Some(())
}

#[cfg(test)]
mod tests {
    use model::kv::command::{Op, Request};
    use model::types::{ClientId, RequestId};
    use quickcheck::quickcheck;

    use super::*;
    use crate::wal::{Identity, MemoryDisk, Options};

    const IDENTITY: Identity = Identity { cluster: 1, node: 0, incarnation: 7 };

    fn entry(term: u64, number: u64) -> Entry<Command> {
        let op = Op::Put("k".into(), number.to_string().into());
        let request = Request { client: ClientId(1), number: RequestId(number), op };
        Entry { term: Term(term), payload: Payload::Command(Command::Request(request)) }
    }

    /// Saves the states one after the other, loses what was not synced, and opens again.
    fn reopen(states: &[Storage]) -> Recovery {
        let disk = MemoryDisk::new(512);
        let wal = Wal::create(disk.attach(), IDENTITY, Options::default()).unwrap();
        let (mut journal, _) = Durable::new(wal, None).unwrap();
        for state in states {
            journal.save(state).unwrap();
        }
        journal.sync().unwrap();
        drop(journal);
        disk.crash(&mut |_| 0);
        let (wal, recovered) = Wal::open(disk.attach(), Options::default()).unwrap();
        Durable::new(wal, Some(&recovered)).unwrap().1
    }

    quickcheck! {
        /// Each step adds entries of a new term after keeping some of the old ones, as Raft does.
        fn recovers_what_was_saved_last(steps: Vec<(u8, u8)>) -> bool {
            let mut state = Storage::default();
            let mut states = vec![];
            let mut number = 0;
            for (keep, add) in steps {
                state.term = state.term.next();
                state.vote = keep.is_multiple_of(2).then_some(NodeId(u16::from(keep)));
                let keep = u64::from(keep).min(state.log.last_index().0);
                state.log.truncate(Index(keep).next());
                for _ in 0..add % 5 {
                    number += 1;
                    state.log.push(entry(state.term.0, number));
                }
                // A log that only became shorter is not Raft's: it removes entries to replace them.
                number += 1;
                state.log.push(entry(state.term.0, number));
                states.push(state.clone());
            }
            states.is_empty() || reopen(&states).storage == state
        }
    }

    #[test]
    fn entries_that_are_replaced_do_not_come_back() {
        let old: Storage = Storage {
            term: Term(1),
            vote: Some(NodeId(0)),
            log: [entry(1, 1), entry(1, 2), entry(1, 3)].into_iter().collect(),
        };
        let new = Storage {
            term: Term(2),
            vote: None,
            log: [entry(1, 1), entry(2, 4)].into_iter().collect(),
        };
        assert_eq!(reopen(&[old, new.clone()]).storage, new);
    }
}
