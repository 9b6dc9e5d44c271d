//! The bounds are those of the largest things that there can be, and not far above them.

use std::sync::Arc;

use super::*;
use crate::founding::{self, Announcement, Charter};
use crate::health::{Follower, Health, Member};
use crate::kv::Machine;
use crate::kv::command::{Key, Op, Output, Request, Value};
use crate::kv::session::Session;
use crate::kv::transaction::{Access, Condition, Operand, Reason, Refusal, Step, Transaction};
use crate::machine::Command;
use crate::raft::{Credentials, Entry, Incarnation, Members, Payload, Position, Purpose, Rpc};
use crate::replica::{Answer, Dispute, Message, Reply, Room};
use crate::shard::config::{Configuration, Servers};
use crate::shard::content::{Part, Place};
use crate::shard::controller::{Change, Order, Outcome};
use crate::shard::holdings::{Holding, Holdings};
use crate::shard::migration;
use crate::shard::ownership::Phase;
use crate::shard::txn::{self, Attempt, Contents, Decision, TxnId, Vote};
use crate::size;
use crate::types::{ClientId, ConfigNum, GroupId, Index, NodeId, RequestId, ShardId, Term};

/// Small, and such that each bound has another reason.
const SMALL: Limits =
    Limits { key: 300, value: 20_000, transaction: 15_000, work: 70_000, message: 0 };

const PART_BYTES: usize = 30_000;

const BATCH_BYTES: usize = 50_000;

const CLIENT: ClientId = ClientId(u64::MAX);
const NUMBER: RequestId = RequestId(u64::MAX);
const NUM: ConfigNum = ConfigNum(u64::MAX);
const GROUP: GroupId = GroupId(u16::MAX);
const SHARD: ShardId = ShardId(u16::MAX);

fn key(length: usize) -> Key {
    Key::from(vec![b'k'; length])
}

fn value(length: usize) -> Value {
    Value::from(vec![b'v'; length])
}

/// As large as can be without being larger than `most`.
fn filling<T: serde::Serialize>(most: usize, make: impl Fn(usize) -> T) -> T {
    let (mut fits, mut exceeds) = (0, most + 1);
    while exceeds - fits > 1 {
        let middle = (fits + exceeds) / 2;
        let side = if size::of(&make(middle)) <= most { &mut fits } else { &mut exceeds };
        *side = middle;
    }
    make(fits)
}

fn request<O>(op: O) -> Request<O> {
    Request { client: CLIENT, number: NUMBER, op }
}

fn reply<T>(output: T) -> Reply<T> {
    Reply { client: CLIENT, number: NUMBER, answer: Answer::Done(output) }
}

fn compare_and_set() -> Op {
    let (key, expected, new) = (key(SMALL.key), Some(value(SMALL.value)), value(SMALL.value));
    Op::Cas { key, expected, new }
}

/// The values of a transaction that has done all the work that it may.
fn committed() -> Output {
    let values = |last| vec![Some(value(10_000)), Some(value(20_000)), Some(value(last))];
    Output::Committed(filling(SMALL.work, values).into())
}

fn contents() -> Arc<Contents> {
    let contents = |last| {
        let lengths = [20_000, 20_000, last];
        lengths.map(|length| (key(SMALL.key), Some(value(length)))).to_vec()
    };
    filling(SMALL.work, contents).into()
}

fn attempt() -> Attempt {
    let txn = TxnId { age: u64::MAX, coordinator: GROUP, client: CLIENT, number: NUMBER };
    Attempt { txn, config: NUM, count: u32::MAX }
}

fn everybody() -> Servers {
    (0..=u16::MAX).map(NodeId).collect()
}

fn payloads() -> Vec<Command> {
    let install = |part| {
        let entry = migration::Entry::Install { shard: SHARD, since: NUM, part: Arc::new(part) };
        Command::Migration(entry)
    };
    let txn = |entry: txn::Entry| Command::Transaction(entry.into());
    vec![
        Command::Request(request(compare_and_set())),
        install(part_of_keys()),
        install(part_of_a_session()),
        txn(txn::Entry::Vote {
            attempt: attempt(),
            group: GROUP,
            vote: Vote::Yes(contents()),
            clock: u64::MAX,
        }),
        txn(txn::Entry::Decide {
            attempt: attempt(),
            coordinator: everybody(),
            decision: Decision::Commit(contents()),
        }),
    ]
}

/// Keys that fill a part, between keys that are as long as can be.
fn part_of_keys() -> Part {
    let mut machine = Machine::default();
    for number in 0..200_u8 {
        let long = [vec![number], vec![b'k'; SMALL.key - 1]].concat();
        machine.store.set(Key::from(long), value(100));
    }
    Part::of(&machine, Place::Keys(Some(key(0))), PART_BYTES)
}

fn part_of_a_session() -> Part {
    let mut machine = Machine::default();
    machine.sessions.restore(CLIENT, Session { number: NUMBER, output: committed() });
    machine.store.set(key(SMALL.key), value(1));
    Part::of(&machine, Place::Keys(Some(key(SMALL.key))), PART_BYTES)
}

/// Whether a bound holds, and has no more to spare than this.
fn holds<T: serde::Serialize>(bound: usize, value: &T, spare: usize) {
    let size = size::of(value);
    assert!((size..=size + spare).contains(&bound), "{size} bytes, the bound is {bound}");
}

#[test]
fn a_request_and_a_result_have_bounds() {
    holds(SMALL.request(), &request(compare_and_set()), 0);
    let steps = |length| vec![Step::Put(key(100), Operand::Value(value(length)))];
    let transaction = Transaction::try_from(filling(SMALL.transaction, steps)).unwrap();
    let op = Op::Transaction(transaction.into());
    holds(Limits { value: 1, ..SMALL }.request(), &request(op), 4);
    holds(SMALL.result(), &committed(), 4);
    let reason = Reason::Found(Some(value(SMALL.value)));
    let refused = Output::Rejected(Refusal { step: u32::MAX, reason });
    holds(Limits { work: 0, ..SMALL }.result(), &refused, 0);
    assert!(size::of(&Output::Mismatch(Some(value(SMALL.value)))) < size::of(&refused));
}

/// A vote names keys that stand in steps; so does what a participant is asked for.
#[test]
fn what_is_asked_of_a_participant_is_no_larger_than_the_transaction() {
    let steps = vec![
        Step::Get(key(1)),
        Step::Check(key(2), Condition::Equals(Operand::Of(key(3)))),
        Step::Put(key(4), Operand::Of(key(5))),
        Step::Append(key(6), Operand::Value(value(0))),
        Step::Delete(key(7)),
        Step::Swap(key(8), key(9)),
    ];
    let transaction = Transaction::try_from(steps).unwrap();
    let claim: Vec<(Key, Access)> = transaction.accesses().to_vec();
    assert!(size::of(&claim) <= size::of(&transaction) + 3, "a key costs as much in a claim");
}

#[test]
fn a_part_has_a_bound() {
    holds(SMALL.part(PART_BYTES), &part_of_a_session(), SMALL.key + 30);
    let keys_only = Limits { work: 0, value: 100, ..SMALL };
    holds(keys_only.part(PART_BYTES), &part_of_keys(), SMALL.key + 400);
    let alone = Limits { work: 0, ..SMALL };
    let mut machine = Machine::default();
    machine.store.set(key(SMALL.key), value(SMALL.value));
    machine.store.set(key(SMALL.key - 1), value(1));
    let part = Part::of(&machine, Place::Keys(Some(key(SMALL.key - 1))), 1);
    holds(alone.part(1), &part, SMALL.key + 30);
}

#[test]
fn every_entry_has_a_bound() {
    let bound = SMALL.payload(PART_BYTES);
    let sizes: Vec<_> = payloads()
        .into_iter()
        .map(|command| size::of(&Payload::Command(command)))
        .inspect(|size| assert!(*size <= bound, "{size} bytes, the bound is {bound}"))
        .collect();
    // That of the configurations, which the limits do not make smaller, is above all of them.
    assert_eq!(bound, 2 * CHOICE + SMALL.migration_entry(PART_BYTES), "{sizes:?}");
    let decide = &payloads()[4];
    holds(2 * CHOICE + SMALL.transaction_entry(), &Payload::Command(decide.clone()), SERVERS / 8);
}

#[test]
fn every_message_has_a_bound() {
    let bound = SMALL.largest_message(PART_BYTES, BATCH_BYTES);
    let prev = Position { term: Term(u64::MAX), index: Index(u64::MAX) };
    let append = |entries| {
        let rpc = Rpc::AppendEntries { prev, entries, commit: Index(u64::MAX) };
        Message::Raft(raft::Message { sender: credentials(), term: Term(u64::MAX), rpc })
    };
    let entry = |command| Entry { term: Term(u64::MAX), payload: Payload::Command(command) };
    for command in payloads() {
        let message = append(vec![entry(command)]);
        assert!(size::of(&message) <= SMALL.append_entries(PART_BYTES, BATCH_BYTES));
    }
    let put = entry(Command::Request(request(Op::Put(key(100), value(864)))));
    assert_eq!(BATCH_BYTES % put.bytes(), 0, "an entry has {} bytes", put.bytes());
    let batch = append(vec![put.clone(); BATCH_BYTES / put.bytes()]);
    // The number of entries and the fingerprint of the members may be larger than these are.
    let number = length(BATCH_BYTES / put.bytes());
    let spare = U32 - number + 2 * U64 - size::of(&credentials());
    assert_eq!(size::of(&batch) + spare, APPEND_ENTRIES + BATCH_BYTES);
    let (attempt, coordinator) = (attempt(), everybody());
    for message in [
        Message::Request(request(compare_and_set())),
        Message::Reply(reply(committed())),
        Message::Transaction(txn::Message::Vote {
            attempt,
            vote: Vote::Yes(contents()),
            clock: u64::MAX,
        }),
        Message::Transaction(txn::Message::Decide {
            attempt,
            coordinator,
            decision: Decision::Commit(contents()),
        }),
        Message::Migration(migration::Message::Part {
            shard: SHARD,
            since: NUM,
            part: part_of_a_session().into(),
        }),
    ] {
        assert!(size::of(&message) <= bound, "{} bytes", size::of(&message));
    }
}

/// As many members as there can be, in the longest incarnations.
fn members() -> Members {
    let controllers = (0..u16::MAX).map(NodeId).collect();
    let purpose = Purpose::Shards { group: GroupId(u16::MAX), shards: u16::MAX, controllers };
    let servers = (0..u16::MAX).map(|n| (NodeId(n), Incarnation(u64::MAX)));
    Members::new(purpose, servers.collect())
}

fn credentials() -> Credentials {
    members().credentials(Incarnation(u64::MAX))
}

/// The condition of a leader that has lost an entry and has disputes with all others.
fn health() -> Health {
    let (index, number) = (Index(u64::MAX), || (0..u16::MAX).map(NodeId));
    let follower = Follower { matched: index, lost: true };
    Health::Member(Member {
        members: members().into(),
        term: Term(u64::MAX),
        leader: Some(NodeId(u16::MAX)),
        commit: index,
        last: index,
        lost: Some(index),
        room: Room::None,
        overloaded: true,
        disputes: number().map(|n| (n, Dispute::Refused(Incarnation(u64::MAX)))).collect(),
        followers: number().map(|n| (n, follower)).collect(),
    })
}

#[test]
fn what_founders_say_has_a_bound() {
    holds(MEMBERS, &members(), MEMBERS / 8);
    let announcement = Announcement {
        charter: Charter::of(&members()),
        incarnation: Incarnation(u64::MAX),
        pledge: Some(members().into()),
    };
    holds(ANNOUNCEMENT, &announcement, ANNOUNCEMENT / 8);
    let message = Message::Founding(founding::Message::Announce(announcement.into()));
    assert!(size::of(&message) <= Limits::DEFAULT.largest_message(1, 1));
}

/// So many groups, servers and shards as there can be: what no limit makes smaller.
#[test]
fn what_is_numbered_has_a_bound() {
    holds(SERVERS, &everybody(), SERVERS / 8);
    let groups = (0..u16::MAX).map(|n| (GroupId(n), [NodeId(n)].into_iter().collect()));
    let initial =
        Configuration { num: ConfigNum(u64::MAX - 1), ..Configuration::initial(u16::MAX) };
    let configuration = initial.join(&groups.collect()).unwrap();
    holds(CONFIGURATION, &configuration, CONFIGURATION / 4);
    let message = Message::Outcome(reply(Outcome::Configuration(configuration.into())));
    assert!(size::of(&message) <= Limits::DEFAULT.largest_message(1, 1));
    let holding =
        |n| Holding { shard: ShardId(n), phase: Phase::Leaving, keys: u64::MAX, bytes: u64::MAX };
    let shards = (0..u16::MAX).map(holding).collect();
    let needs = (0..=u16::MAX).map(GroupId).collect();
    let holdings =
        Holdings { server: health(), config: NUM, leads: true, shards, transactions: 9, needs };
    holds(HOLDINGS, &holdings, HOLDINGS / 8);
    let groups = (0..MAX_NAMED as u16 / 2)
        .map(|n| (GroupId(u16::MAX - n), [NodeId(u16::MAX - n)].into_iter().collect()));
    let join = Change::Join(groups.collect());
    assert!(join.within_limits() && size::of(&join) <= CHANGE);
    assert!(size::of(&Order { change: join, force: true }) <= ORDER);
}
