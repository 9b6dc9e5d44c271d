//! Transactions of several groups, entry by entry: who waits, who is told what, and what it costs.

use std::slice::from_ref;
use std::sync::Arc;

use crate::kv::command::{Key, Op, Request, Value};
use crate::kv::transaction::{Access, Operand, Step, Transaction};
use crate::limits::Limits;
use crate::machine::{Applied, Command, Kind, Machine};
use crate::replica;
use crate::shard::Group;
use crate::shard::config::Configuration;
use crate::shard::migration;
use crate::shard::route::shard_of;
use crate::shard::store::Shards;
use crate::shard::txn::{Attempt, Entry, Message, TxnId, Vote};
use crate::types::{ClientId, ConfigNum, GroupId, NodeId, RequestId, ShardId};

use super::servers;

/// Number of groups. Each has one server, with its number, and one shard.
const GROUPS: u16 = 3;

fn configuration() -> Configuration {
    let groups = (1..=GROUPS).map(|group| (GroupId(group), servers([group])));
    let mut config = Configuration::initial(GROUPS).join(&groups.collect()).unwrap();
    for group in 1..=GROUPS {
        config.assignment.set(ShardId(group - 1), Some(GroupId(group)));
    }
    config
}

/// The first, second, .. key of a group; those of group 1 come before those of group 2, and so on.
fn key(group: u16, n: usize) -> Key {
    let keys = (0..).map(|n| Key::from(format!("{group}.{n}")));
    let mut own = keys.filter(|key| shard_of(key, GROUPS) == ShardId(group - 1));
    own.nth(n).expect("each shard has many keys")
}

/// The state machine of a group.
struct At {
    kind: Kind,
    machine: Machine,
}

impl At {
    /// A group that has reached the first configuration.
    fn group(id: u16) -> Self {
        let kind = Kind::Group(Group {
            id: GroupId(id),
            shards: GROUPS,
            servers: servers([id]),
            controllers: servers([0]),
            part_bytes: 1,
        });
        let machine = Machine::new(&kind, Limits::DEFAULT);
        let mut group = Self { kind, machine };
        group.configure(configuration());
        group
    }

    fn apply(&mut self, command: &Command) -> Applied {
        self.machine.apply(&self.kind, command)
    }

    fn configure(&mut self, config: Configuration) -> Applied {
        self.apply(&Command::Migration(migration::Entry::Configure(Arc::new(config))))
    }

    fn enters(&mut self, entry: Entry) -> Applied {
        self.apply(&Command::Transaction(Arc::new(entry)))
    }

    /// A client asks for a transaction that appends to these keys.
    fn asked(&mut self, client: u64, keys: &[Key]) -> Applied {
        self.asked_for(client, appends(keys))
    }

    fn asked_for(&mut self, client: u64, steps: Vec<Step>) -> Applied {
        let op = Op::Transaction(Transaction::try_from(steps).unwrap().into());
        let (client, number) = (ClientId(client), RequestId(1));
        self.apply(&Command::Request(Request { client, number, op }))
    }

    /// Another group asks for keys.
    fn is_asked(&mut self, attempt: Attempt, keys: &[Key]) -> Applied {
        let claim = keys.iter().map(|key| (key.clone(), Access::Update)).collect();
        let coordinator = servers([attempt.txn.coordinator.0]);
        self.enters(Entry::Prepare { attempt, coordinator, claim: Arc::new(claim) })
    }

    fn shards(&self) -> &Shards {
        self.machine.shards().unwrap()
    }

    /// The attempt of a transaction that it coordinates.
    fn attempt_of(&self, client: u64, count: u32) -> Attempt {
        let mut own = self.shards().transactions.records.keys();
        let txn = *own.find(|txn| txn.client == ClientId(client)).unwrap();
        Attempt { txn, config: ConfigNum(1), count }
    }

    /// The messages about transactions that the group says again, and the groups that they go to.
    fn says_again(&self) -> Vec<(u16, Message)> {
        let Kind::Group(group) = &self.kind else { unreachable!("it is a group") };
        said(self.shards().say_again(group, &[]))
    }
}

fn appends(keys: &[Key]) -> Vec<Step> {
    let append = |key: &Key| Step::Append(key.clone(), Operand::Value(Value::from("x")));
    keys.iter().map(append).collect()
}

fn said(said: migration::Said) -> Vec<(u16, Message)> {
    let about_transactions = |(to, message): (NodeId, _)| match message {
        replica::Message::Transaction(message) => Some((to.0, message)),
        _ => None,
    };
    said.into_iter().filter_map(about_transactions).collect()
}

fn abroad(coordinator: u16, age: u64, client: u64) -> Attempt {
    let (coordinator, client) = (GroupId(coordinator), ClientId(client));
    let txn = TxnId { age, coordinator, client, number: RequestId(1) };
    Attempt { txn, config: ConfigNum(1), count: 1 }
}

/// The clocks of groups may be apart, so two coordinators of one request give it the same age.
#[test]
fn transactions_of_two_coordinators_are_never_the_same() {
    let mut group = At::group(1);
    let (a, c) = (key(1, 0), key(1, 1));
    group.asked(9, &[a, key(2, 0)]);
    let own = group.attempt_of(9, 1);
    group.is_asked(abroad(2, own.txn.age, 9), from_ref(&c));
    // An older one waits for what the other coordinator's holds, and not for its own.
    let older = abroad(3, 0, 8);
    let applied = group.is_asked(older, &[c]);
    let wound = Message::Wound { attempt: abroad(2, own.txn.age, 9) };
    assert_eq!(said(applied.said), [(2, wound)]);
    assert_eq!(group.shards().transactions.records.len(), 1, "that attempt goes on");
}

/// An attempt that waits at home anew has wounded before, and others may not have heard it.
#[test]
fn whoever_waits_says_its_wounds_again() {
    let mut group = At::group(1);
    let (c, d) = (key(1, 0), key(1, 1));
    group.asked(1, &[c.clone(), key(2, 0)]);
    let old = group.attempt_of(1, 1);
    // It is wounded, and a younger one gets a key of it meanwhile.
    group.enters(Entry::Wound { attempt: old });
    let young = abroad(3, 50, 2);
    group.is_asked(young, from_ref(&c));
    let settled = Entry::Settled { attempt: old, group: GroupId(2) };
    let wound = (3, Message::Wound { attempt: young });
    assert_eq!(said(group.enters(settled).said), from_ref(&wound));
    assert_eq!(group.says_again(), from_ref(&wound));
    // The same for one that waits on behalf of another group.
    let other = abroad(2, 5, 3);
    let younger = abroad(3, 60, 4);
    group.is_asked(younger, from_ref(&d));
    group.is_asked(other, &[d]);
    let second = (3, Message::Wound { attempt: younger });
    assert_eq!(group.says_again(), [wound, second]);
}

/// One that has waited somewhere is overtaken there by what another group had coordinated before it
/// heard of that, and by nothing else.
#[test]
fn vote_sets_the_clock_of_the_coordinator() {
    let mut group = At::group(1);
    group.asked(1, &[key(1, 0), key(2, 0)]);
    let attempt = group.attempt_of(1, 1);
    let vote = Vote::Yes(Arc::new(vec![(key(2, 0), None)]));
    group.enters(Entry::Vote { attempt, group: GroupId(2), vote, clock: 300 });
    group.asked(2, &[key(1, 1), key(2, 0)]);
    assert_eq!(group.attempt_of(2, 1).txn.age, 301);
}

/// A transaction that waits costs by its keys when its turn may have come, and nothing otherwise.
#[test]
fn entry_that_frees_nothing_looks_at_nobody() {
    let mut group = At::group(1);
    let (hot, free) = (key(1, 0), key(1, 1));
    let holder = abroad(2, 1, 1);
    group.is_asked(holder, from_ref(&hot));
    for client in 10..20 {
        group.asked_for(client, vec![appends(from_ref(&hot))[0].clone(); 9_000]);
    }
    let other = abroad(3, 2, 2);
    let applied = group.is_asked(other, from_ref(&free));
    assert!(applied.work < 10, "{}", applied.work);
    let decision = crate::shard::txn::Decision::Abort;
    let coordinator = servers([3]);
    let decide = Entry::Decide { attempt: other, coordinator, decision: decision.clone() };
    assert!(group.enters(decide).work < 10);
    // Now everybody's turn has come.
    let decide = Entry::Decide { attempt: holder, coordinator: servers([2]), decision };
    let applied = group.enters(decide);
    assert_eq!(applied.others.len(), 10);
    assert!(group.shards().transactions.is_idle());
}

/// A configuration waits for what is decided, and not for groups that may be down.
#[test]
fn attempts_make_way_for_a_configuration() {
    let mut group = At::group(1);
    let own = [key(1, 0), key(2, 0)];
    group.asked(1, &own);
    let attempt = group.attempt_of(1, 1);
    let applied = group.configure(configuration().move_shard(ShardId(0), GroupId(3)).unwrap());
    assert_eq!(group.shards().config.num, ConfigNum(2), "its own attempt is given up");
    let decision = crate::shard::txn::Decision::Abort;
    let decide = Message::Decide { attempt, coordinator: servers([1]), decision };
    assert_eq!(said(applied.said), [(2, decide)]);

    let mut group = At::group(1);
    let attempt = abroad(2, 1, 1);
    group.is_asked(attempt, &own[..1]);
    let applied = group.configure(configuration().move_shard(ShardId(0), GroupId(3)).unwrap());
    assert_eq!(group.shards().config.num, ConfigNum(1), "the other group may have decided");
    let wound = (2, Message::Wound { attempt });
    assert_eq!(said(applied.said), from_ref(&wound));
    assert_eq!(group.says_again(), [wound]);
}
