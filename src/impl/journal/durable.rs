//! The journal of a server: Raft's persistent state as records of the write-ahead log.
//!
//! | record | index | term | payload |
//! |---|---|---|---|
//! | pledge | | | the members that the server has pledged itself to, encoded |
//! | entry | its index | its term | what it carries, encoded |
//! | state | | the current term | the vote, encoded |
//! | lost | the index of the lost entry | | |
//!
//! A new log holds nothing until the server pledges itself to found a group. Its first entry, at
//! index 0, names the members of the group; a log that begins with another entry is refused.
//!
//! An entry record takes the place of every entry from its index on: Raft removes entries only to
//! put another in their place [Raft §5.3], so nothing needs to be erased on disk.
//!
//! What is new in a state is found by comparing the terms of its entries with those of the entries
//! on disk, from the end: where two logs agree in index and term they agree on everything before
//! (the Log Matching Property).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::limits::MAX_MESSAGE_BYTES;
use model::node::Storage;
use model::raft::{Entry, Log, Members, Payload, Persistent};
use model::replica::{Command, Room};
use model::types::{Index, NodeId, Term};

use serde::Serialize;

use super::Journal;
use crate::clock;
use crate::wal::{Options, Record, Recovered, Wal, WalError};
use crate::wire::codec;

const STATE: u8 = 1;
const ENTRY: u8 = 2;
const PLEDGE: u8 = 4;
const LOST: u8 = 5;

/// How long a batch may stay without proof that it was acknowledged. See `docs/wal.md`.
const SEAL_AFTER: Duration = Duration::from_secs(1);

/// The time between two attempts to allocate the next segment on a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// A full disk is reported as scarce when less than this part of the segment is left. Reads are
/// still served then: they are entries, too.
const KEPT_FOR_READS: usize = 4;

/// No entry is taken when less than this part of the segment is left. It is kept for terms and
/// votes.
const KEPT_FOR_VOTES: usize = 8;

// The message that is handled when the room is just enough may be as large as any.
const _: () =
    assert!(Options::DEFAULT.segment_bytes as usize / KEPT_FOR_VOTES >= MAX_MESSAGE_BYTES);

/// A journal on disk.
pub struct Durable {
    wal: Wal,
    /// Whether the pledge is on disk.
    pledged: bool,
    term: Term,
    vote: Option<NodeId>,
    lost: Option<Index>,
    /// The term of each entry on disk, from index 0. It is empty until the group is founded.
    terms: Vec<Term>,
    /// When the last batch was synced, until it is sealed.
    unsealed_since: Option<Instant>,
    /// While the disk is full: the time to look for space again.
    full_until: Option<Instant>,
    scratch: Vec<u8>,
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
    ///
    /// Returns the journal, and the state saved last, if any was.
    pub fn new(
        wal: Wal,
        recovered: Option<&Recovered>,
    ) -> Result<(Self, Option<Storage>), Meaningless> {
        let records = recovered.map_or(&[][..], |recovered| &recovered.records);
        let storage = replay(records)?;
        let mut journal = Self {
            wal,
            pledged: storage.is_some(),
            term: Term::default(),
            vote: None,
            lost: None,
            terms: Vec::new(),
            unsealed_since: None,
            full_until: None,
            scratch: Vec::new(),
        };
        if let Some(Storage::Member(Persistent { term, vote, log, lost })) = &storage {
            (journal.term, journal.vote, journal.lost) = (*term, *vote, *lost);
            let founding = log.get(Index::ZERO).into_iter();
            journal.terms = founding.chain(log.iter()).map(|entry| entry.term).collect();
        }
        Ok((journal, storage))
    }

    /// The index of the last entry that is on disk already; `None` if the log is not begun.
    fn agreed(&self, log: &Log<Command>) -> Option<Index> {
        let mut index = Index(self.terms.len().checked_sub(1)? as u64).min(log.last_index());
        while index > Index::ZERO && self.on_disk(index) != log.position(index).map(|p| p.term) {
            index = index.previous();
        }
        Some(index)
    }

    fn on_disk(&self, index: Index) -> Option<Term> {
        self.terms.get(index.0 as usize).copied()
    }

    fn save_pledge(&mut self, members: &Arc<Members>) -> io::Result<()> {
        if self.pledged {
            return Ok(()); // A server pledges itself once.
        }
        self.pledged = true;
        encode(members, &mut self.scratch)?;
        self.append(PLEDGE, 0, 0)
    }

    fn save_member(&mut self, saved: &Persistent<Command>) -> io::Result<()> {
        let Persistent { term, vote, log, lost } = saved;
        let agreed = self.agreed(log);
        if agreed.is_none() {
            self.save_entry(log.get(Index::ZERO), Index::ZERO)?;
        }
        if (self.term, self.vote) != (*term, *vote) {
            (self.term, self.vote) = (*term, *vote);
            encode(vote, &mut self.scratch)?;
            self.append(STATE, 0, term.0)?;
        }
        if self.lost != *lost {
            self.lost = *lost;
            self.scratch.clear();
            self.append(LOST, lost.unwrap_or_default().0, 0)?;
        }
        let agreed = agreed.unwrap_or_default();
        self.terms.truncate(agreed.next().0 as usize);
        for (index, entry) in (agreed.next().0..).zip(log.range(agreed, log.last_index())) {
            self.save_entry(Some(entry), Index(index))?;
        }
        Ok(())
    }

    fn save_entry(&mut self, entry: Option<&Entry<Command>>, index: Index) -> io::Result<()> {
        let Some(entry) = entry else { return Ok(()) };
        encode(&entry.payload, &mut self.scratch)?;
        self.terms.push(entry.term);
        self.append(ENTRY, index.0, entry.term.0)
    }

    /// Allocates a part of the next segment, if it is time for that. A full disk is no failure: the
    /// log goes on in its present segment, and looks for space again after a while.
    fn provide(&mut self) -> io::Result<()> {
        if self.full_until.is_some_and(|retry| clock::now() < retry) {
            return Ok(());
        }
        let (node, was_full) = (self.wal.identity().node, self.full_until.is_some());
        match self.wal.preallocate() {
            Ok(()) => {
                if self.full_until.take().is_some() {
                    tracing::warn!("n{node}: there is space for the log again");
                }
            }
            Err(error @ WalError::NoSpace { .. }) => {
                self.full_until = Some(clock::now() + RETRY);
                if !was_full {
                    let room = self.wal.room();
                    tracing::warn!("n{node}: {error}; the log has {room} bytes of room left");
                }
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }

    fn append(&mut self, kind: u8, index: u64, term: u64) -> io::Result<()> {
        let record = Record { kind, index, term, payload: &self.scratch };
        self.wal.append(&record).map_err(io::Error::other)
    }
}

impl Journal<Storage> for Durable {
    fn save(&mut self, storage: &Storage) -> io::Result<()> {
        match storage {
            Storage::Pledge(members) => self.save_pledge(members),
            Storage::Member(persistent) => self.save_member(persistent),
        }
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
        self.provide()
    }

    fn room(&self) -> Room {
        if self.full_until.is_none() {
            return Room::Ample;
        }
        let (room, segment) = (self.wal.room(), self.wal.segment_bytes());
        if room >= segment / KEPT_FOR_READS {
            Room::Ample
        } else if room >= segment / KEPT_FOR_VOTES {
            Room::Scarce
        } else {
            Room::None
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.unsealed_since = None;
        self.wal.seal().map_err(io::Error::other)
    }
}

/// Encodes a payload; the log itself bounds how large it may be.
fn encode<T: Serialize>(value: &T, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    codec::encode(value, usize::MAX, into).map_err(io::Error::other)
}

/// Puts the state together from its records.
fn replay(records: &[Record<Vec<u8>>]) -> Result<Option<Storage>, Meaningless> {
    let mut storage = None;
    for (number, record) in records.iter().enumerate() {
        let understood = match record.kind {
            PLEDGE => replay_pledge(&mut storage, record),
            ENTRY if record.index == 0 => replay_founding(&mut storage, record),
            STATE | ENTRY | LOST => match &mut storage {
                Some(Storage::Member(persistent)) => replay_member(persistent, record),
                Some(Storage::Pledge(_)) | None => None, // The members come first.
            },
            _ => None,
        };
        understood.ok_or(Meaningless { record: number + 1, kind: record.kind })?;
    }
    Ok(storage)
}

fn replay_pledge(storage: &mut Option<Storage>, record: &Record<Vec<u8>>) -> Option<()> {
    let members = codec::decode(&record.payload).ok()?;
    storage.replace(Storage::Pledge(members)).is_none().then_some(())
}

fn replay_founding(storage: &mut Option<Storage>, record: &Record<Vec<u8>>) -> Option<()> {
    match (codec::decode(&record.payload).ok()?, &storage) {
        (Payload::<Command>::Members(members), Some(Storage::Pledge(_)) | None) => {
            *storage = Some(Storage::founded(members));
            Some(())
        }
        (Payload::Members(_) | Payload::Noop | Payload::Command(_), _) => None,
    }
}

fn replay_member(persistent: &mut Persistent<Command>, record: &Record<Vec<u8>>) -> Option<()> {
    match record.kind {
        STATE => {
            persistent.term = Term(record.term);
            persistent.vote = codec::decode(&record.payload).ok()?;
        }
        LOST => persistent.lost = Some(Index(record.index)),
        _ => {
            let (log, index) = (&mut persistent.log, Index(record.index));
            if index > log.last_index().next() {
                return None; // A hole in the log.
            }
            let payload = codec::decode(&record.payload).ok()?;
            log.truncate(index);
            log.push(Entry { term: Term(record.term), payload });
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use model::kv::command::{Op, Request};
    use model::raft::{Incarnation, Purpose};
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

    fn members() -> Arc<Members> {
        let servers = (0..3).map(|id| (NodeId(id), Incarnation(u64::from(id) + 7)));
        Members::new(Purpose::Store, servers.collect()).into()
    }

    /// The state of a member whose log has these entries.
    fn member(term: u64, entries: impl IntoIterator<Item = Entry<Command>>) -> Persistent<Command> {
        let mut log = Log::founded(members());
        entries.into_iter().for_each(|entry| log.push(entry));
        Persistent { term: Term(term), log, ..Persistent::default() }
    }

    /// Saves the states one after the other, loses what was not synced, and opens again.
    fn reopen(states: &[Storage]) -> Option<Storage> {
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
            let mut state = member(0, []);
            let mut states = vec![Storage::Pledge(members()), Storage::Member(state.clone())];
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
                states.push(Storage::Member(state.clone()));
            }
            reopen(&states) == states.pop()
        }
    }

    #[test]
    fn entries_that_are_replaced_do_not_come_back() {
        let old = member(1, [entry(1, 1), entry(1, 2), entry(1, 3)]);
        let old = Persistent { vote: Some(NodeId(0)), ..old };
        let new = Storage::Member(member(2, [entry(1, 1), entry(2, 4)]));
        assert_eq!(reopen(&[Storage::Member(old), new.clone()]), Some(new));
    }

    #[test]
    fn founding_and_loss_are_remembered() {
        assert_eq!(reopen(&[]), None);
        let pledge = Storage::Pledge(members());
        assert_eq!(reopen(std::slice::from_ref(&pledge)), Some(pledge.clone()));
        let member = member(0, []);
        assert_eq!(
            reopen(&[pledge, Storage::Member(member.clone())]),
            Some(Storage::Member(member.clone()))
        );
        let lost = Storage::Member(Persistent { lost: Some(Index(4)), ..member.clone() });
        assert_eq!(reopen(&[Storage::Member(member), lost.clone()]), Some(lost));
    }

    #[test]
    fn log_that_does_not_begin_with_its_members_is_refused() {
        let record = |kind, index, term, payload| Record { kind, index, term, payload };
        let encoded = |payload: Payload<Command>| {
            let mut bytes = Vec::new();
            encode(&payload, &mut bytes).unwrap();
            bytes
        };
        let founding = || record(ENTRY, 0, 0, encoded(Payload::Members(members())));
        assert!(replay(&[founding()]).is_ok());
        for records in [
            vec![record(ENTRY, 1, 1, encoded(Payload::Noop))],
            vec![record(ENTRY, 0, 0, encoded(Payload::Noop))],
            vec![record(STATE, 0, 1, vec![0])],
            vec![founding(), founding()],
            vec![founding(), record(ENTRY, 2, 1, encoded(Payload::Noop))],
        ] {
            assert!(replay(&records).is_err(), "{records:?}");
        }
    }
}
