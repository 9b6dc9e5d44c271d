//! Drawn messages.

mod founding;

use model::kv::Machine;
use model::kv::command::{Key, MAX_KEY_BYTES, Op, Output, Request, Value};
use model::kv::session::Session;
use model::kv::transaction::{
    Access, Condition, MAX_BYTES, Operand, Reason, Refusal, Step, Transaction,
};
use model::machine::Command;
use model::raft::{self, Entry, Outcome, Payload, Position, Rpc};
use model::replica::{Answer, Message, NotTaken, Reply};
use model::shard::config::{self, Configuration, Servers};
use model::shard::content::{Part, Place};
use model::shard::controller::{self, Change, Order};
use model::shard::holdings::{Holding, Holdings};
use model::shard::migration;
use model::shard::ownership::Phase;
use model::shard::txn::{self, Attempt, Decision, TxnId, Vote};
use model::size;
use model::types::{ClientId, ConfigNum, GroupId, Index, NodeId, RequestId, ShardId, Term};
use quickcheck::{Arbitrary, Gen};

/// One of these.
fn one_of<T>(g: &mut Gen, all: &[fn(&mut Gen) -> T]) -> T {
    g.choose(all).unwrap()(g)
}

/// A number, often one at which the encoding becomes longer.
fn number(g: &mut Gen) -> u64 {
    let bits = *g.choose(&[0, 7, 14, 16, 21, 28, 32, 35, 42, 49, 56, 63]).unwrap();
    let (edge, any) = (1_u64 << bits, u64::arbitrary(g));
    *g.choose(&[edge - 1, edge, any, u64::MAX]).unwrap()
}

fn count(g: &mut Gen) -> usize {
    *g.choose(&[0, 1, 2, 3, 130]).unwrap()
}

fn list<T>(g: &mut Gen, draw: fn(&mut Gen) -> T) -> Vec<T> {
    (0..count(g)).map(|_| draw(g)).collect()
}

fn bytes(g: &mut Gen) -> Vec<u8> {
    let length = *g.choose(&[0, 1, 22, 23, 127, 128, 129, 16_383, 16_384]).unwrap();
    vec![u8::arbitrary(g); length]
}

fn key(g: &mut Gen) -> Key {
    Key::from(bytes(g))
}

fn value(g: &mut Gen) -> Value {
    Value::from(bytes(g))
}

fn found(g: &mut Gen) -> Option<Value> {
    bool::arbitrary(g).then(|| value(g))
}

fn client(g: &mut Gen) -> ClientId {
    ClientId(number(g))
}

fn config_num(g: &mut Gen) -> ConfigNum {
    ConfigNum(number(g))
}

fn index(g: &mut Gen) -> Index {
    Index(number(g))
}

fn shard(g: &mut Gen) -> ShardId {
    ShardId(number(g) as u16)
}

fn group(g: &mut Gen) -> GroupId {
    GroupId(number(g) as u16)
}

fn node(g: &mut Gen) -> NodeId {
    NodeId(number(g) as u16)
}

fn servers(g: &mut Gen) -> Servers {
    list(g, node).into_iter().collect()
}

fn position(g: &mut Gen) -> Position {
    Position { term: Term(number(g)), index: index(g) }
}

fn operand(g: &mut Gen) -> Operand {
    one_of(g, &[|g| Operand::Value(value(g)), |g| Operand::Of(key(g))])
}

fn condition(g: &mut Gen) -> Condition {
    one_of(
        g,
        &[
            |_| Condition::Missing,
            |_| Condition::Present,
            |g| Condition::Equals(operand(g)),
            |g| Condition::Differs(operand(g)),
            |g| Condition::AtLeast(operand(g)),
            |g| Condition::AtMost(operand(g)),
        ],
    )
}

/// A step that may stand beside any other: those that set a key are drawn with keys of their own.
fn step(g: &mut Gen) -> Step {
    let own = |g: &mut Gen| Key::from([bytes(g), number(g).to_be_bytes().to_vec()].concat());
    let (one, other) = (own(g), own(g));
    match u8::arbitrary(g) % 7 {
        0 => Step::Get(key(g)),
        1 => Step::Check(key(g), condition(g)),
        2 => Step::Put(one, operand(g)),
        3 => Step::Append(one, operand(g)),
        4 => Step::Add(one, operand(g)),
        5 => Step::Delete(one),
        _ => Step::Swap(one, other),
    }
}

fn transaction(g: &mut Gen) -> Transaction {
    loop {
        let (mut steps, mut length) = (list(g, step), 0);
        steps.retain(|step| {
            let fits = step.keys().all(|key| key.len() <= MAX_KEY_BYTES);
            length += size::of(step);
            fits && length < MAX_BYTES
        });
        if let Ok(transaction) = Transaction::try_from(steps) {
            return transaction;
        }
    }
}

fn op(g: &mut Gen) -> Op {
    one_of(
        g,
        &[
            |g| Op::Get(key(g)),
            |g| Op::Put(key(g), value(g)),
            |g| Op::Append(key(g), value(g)),
            |g| Op::Cas { key: key(g), expected: found(g), new: value(g) },
            |g| Op::Delete(key(g)),
            |g| Op::Transaction(transaction(g).into()),
        ],
    )
}

fn output(g: &mut Gen) -> Output {
    one_of(
        g,
        &[
            |g| Output::Value(found(g)),
            |_| Output::Written,
            |_| Output::TooLarge,
            |_| Output::Swapped,
            |g| Output::Mismatch(found(g)),
            |g| Output::Deleted(bool::arbitrary(g)),
            |g| Output::Committed(list(g, found).into()),
            |g| Output::Rejected(Refusal { step: number(g) as u32, reason: reason(g) }),
        ],
    )
}

fn reason(g: &mut Gen) -> Reason {
    one_of(
        g,
        &[
            |g| Reason::Found(found(g)),
            |_| Reason::Missing,
            |_| Reason::NotANumber,
            |_| Reason::TooLarge,
        ],
    )
}

fn request<O>(g: &mut Gen, op: O) -> Request<O> {
    Request { client: client(g), number: RequestId(number(g)), op }
}

/// Any reason for a refusal.
fn not_taken(g: &mut Gen) -> NotTaken {
    one_of(
        g,
        &[
            |_| NotTaken::TooLarge,
            |_| NotTaken::Overloaded,
            |_| NotTaken::DiskFull,
            |g| NotTaken::Silent(group(g)),
        ],
    )
}

fn reply<T>(g: &mut Gen, output: fn(&mut Gen) -> T) -> Reply<T> {
    let answer = match u8::arbitrary(g) % 5 {
        0..2 => Answer::Done(output(g)),
        2 => Answer::Refused(not_taken(g)),
        3 => Answer::Redirect(node(g)),
        _ => Answer::Elsewhere(config_num(g)),
    };
    Reply { client: client(g), number: RequestId(number(g)), answer }
}

fn change(g: &mut Gen) -> Change {
    one_of(
        g,
        &[
            |g| Change::Join(list(g, |g| (group(g), servers(g))).into_iter().collect()),
            |g| Change::Leave(list(g, group).into_iter().collect()),
            |g| Change::Move(shard(g), group(g)),
            |g| Change::Query(bool::arbitrary(g).then(|| config_num(g))),
        ],
    )
}

fn configuration(g: &mut Gen) -> Configuration {
    let joined = (0..count(g) as u16).map(|number| {
        let servers = [2 * number, 2 * number + 1].map(|server| NodeId(server * 150));
        (GroupId(number * 400), servers.into_iter().collect())
    });
    let initial = Configuration { num: config_num(g), ..Configuration::initial(count(g) as u16) };
    let before = ConfigNum(initial.num.0.saturating_sub(1));
    let initial = Configuration { num: before, ..initial };
    initial.join(&joined.collect()).unwrap_or(initial)
}

fn refusal(g: &mut Gen) -> config::Refusal {
    one_of(
        g,
        &[
            |_| config::Refusal::NoGroup,
            |g| config::Refusal::GroupExists(group(g)),
            |g| config::Refusal::NoServers(group(g)),
            |g| config::Refusal::ServerTaken(node(g)),
            |g| config::Refusal::OtherServers(group(g)),
            |_| config::Refusal::LastGroup,
            |g| config::Refusal::UnknownGroup(group(g)),
            |g| config::Refusal::UnknownShard(shard(g)),
            |g| config::Refusal::AlreadyThere(shard(g)),
        ],
    )
}

fn outcome(g: &mut Gen) -> controller::Outcome {
    one_of(
        g,
        &[
            |g| controller::Outcome::Changed(config_num(g)),
            |g| controller::Outcome::Refused(refusal(g)),
            |g| controller::Outcome::Configuration(configuration(g).into()),
        ],
    )
}

fn place(g: &mut Gen) -> Place {
    one_of(
        g,
        &[
            |g| Place::Keys(bool::arbitrary(g).then(|| key(g))),
            |g| Place::Sessions(bool::arbitrary(g).then(|| client(g))),
            |_| Place::End,
        ],
    )
}

fn part(g: &mut Gen) -> Part {
    let mut machine = Machine::default();
    for (key, value) in list(g, |g| (key(g), value(g))) {
        machine.store.set(key, value);
    }
    for (client, output) in list(g, |g| (client(g), output(g))) {
        machine.sessions.restore(client, Session { number: RequestId(number(g)), output });
    }
    Part::of(&machine, place(g), number(g) as usize)
}

fn holdings(g: &mut Gen) -> Holdings {
    let holding = |g: &mut Gen| {
        let phases = [Phase::Absent, Phase::Serving, Phase::Awaiting, Phase::Leaving];
        let phase = *g.choose(&phases).unwrap();
        Holding { shard: shard(g), phase, keys: number(g), bytes: number(g) }
    };
    let (server, config, leads) = (founding::health(g), config_num(g), bool::arbitrary(g));
    let (shards, transactions) = (list(g, holding), number(g));
    let needs = list(g, group).into_iter().collect();
    Holdings { server, config, leads, shards, transactions, needs }
}

fn attempt(g: &mut Gen) -> Attempt {
    let (age, coordinator, client) = (number(g), group(g), client(g));
    let txn = TxnId { age, coordinator, client, number: RequestId(number(g)) };
    Attempt { txn, config: config_num(g), count: number(g) as u32 }
}

fn claim(g: &mut Gen) -> txn::Claim {
    let access = [Access::Read, Access::Write, Access::Update];
    let keys = list(g, key);
    keys.into_iter().map(|key| (key, *g.choose(&access).unwrap())).collect()
}

fn contents(g: &mut Gen) -> txn::Contents {
    list(g, |g| (key(g), found(g)))
}

fn vote(g: &mut Gen) -> Vote {
    one_of(
        g,
        &[
            |g| Vote::Yes(contents(g).into()),
            |_| Vote::TooLarge,
            |g| Vote::No(config_num(g)),
            |_| Vote::Late,
        ],
    )
}

fn decision(g: &mut Gen) -> Decision {
    one_of(g, &[|g| Decision::Commit(contents(g).into()), |_| Decision::Abort])
}

fn command(g: &mut Gen) -> Command {
    let migration = |entry| Command::Migration(entry);
    let txn = |entry: txn::Entry| Command::Transaction(entry.into());
    match u8::arbitrary(g) % 13 {
        0 => {
            let op = op(g);
            Command::Request(request(g, op))
        }
        1 => {
            let change = change(g);
            Command::Change(request(g, change))
        }
        2 => migration(migration::Entry::Configure(configuration(g).into())),
        3 => migration(migration::Entry::Install {
            shard: shard(g),
            since: config_num(g),
            part: part(g).into(),
        }),
        4 => migration(migration::Entry::Discard { shard: shard(g), since: config_num(g) }),
        10 => migration(migration::Entry::TurnTo {
            shard: shard(g),
            since: config_num(g),
            servers: servers(g),
        }),
        11 => migration(migration::Entry::Release {
            shard: shard(g),
            since: config_num(g),
            from: place(g),
        }),
        12 => migration(migration::Entry::Decline { shard: shard(g), since: config_num(g) }),
        5 => txn(txn::Entry::Prepare {
            attempt: attempt(g),
            coordinator: servers(g),
            claim: claim(g).into(),
        }),
        6 => {
            let (attempt, group) = (attempt(g), group(g));
            txn(txn::Entry::Vote { attempt, group, vote: vote(g), clock: number(g) })
        }
        7 => txn(txn::Entry::Wound { attempt: attempt(g) }),
        8 => txn(txn::Entry::Decide {
            attempt: attempt(g),
            coordinator: servers(g),
            decision: decision(g),
        }),
        _ => txn(txn::Entry::Settled { attempt: attempt(g), group: group(g) }),
    }
}

fn entry(g: &mut Gen) -> Entry<Command> {
    let payload = if bool::arbitrary(g) && bool::arbitrary(g) {
        let members = Payload::Members(founding::members(g).into());
        if bool::arbitrary(g) { Payload::Noop } else { members }
    } else {
        Payload::Command(command(g))
    };
    Entry { term: Term(number(g)), payload }
}

fn rpc(g: &mut Gen) -> Rpc<Command> {
    one_of(
        g,
        &[
            |g| Rpc::RequestVote { last: position(g) },
            |_| Rpc::RequestVoteReply,
            |g| {
                let entries = (0..u8::arbitrary(g) % 5).map(|_| entry(g)).collect();
                Rpc::AppendEntries { prev: position(g), entries, commit: index(g) }
            },
            |g| Rpc::AppendEntriesReply(Outcome::Matched(index(g))),
            |g| {
                let outcome = Outcome::Conflict { rejected: index(g), hint: position(g) };
                Rpc::AppendEntriesReply(outcome)
            },
            |g| Rpc::AppendEntriesReply(Outcome::Lost(index(g))),
        ],
    )
}

fn migration(g: &mut Gen) -> migration::Message {
    one_of(
        g,
        &[
            |g| migration::Message::Ask(config_num(g)),
            |g| migration::Message::Configuration(configuration(g).into()),
            |g| {
                let (shard, since, servers) = (shard(g), config_num(g), servers(g));
                migration::Message::Offer { shard, since, servers }
            },
            |g| migration::Message::Decline { shard: shard(g), since: config_num(g) },
            |g| {
                let (shard, since, from) = (shard(g), config_num(g), place(g));
                migration::Message::Want { shard, since, from }
            },
            |g| {
                let (shard, since, part) = (shard(g), config_num(g), part(g).into());
                migration::Message::Part { shard, since, part }
            },
            |_| migration::Message::Inspect,
            |g| migration::Message::Holdings(holdings(g)),
        ],
    )
}

fn of_transactions(g: &mut Gen) -> txn::Message {
    one_of(
        g,
        &[
            |g| {
                let (attempt, coordinator) = (attempt(g), servers(g));
                txn::Message::Prepare { attempt, coordinator, claim: claim(g).into() }
            },
            |g| txn::Message::Vote { attempt: attempt(g), vote: vote(g), clock: number(g) },
            |g| txn::Message::Wound { attempt: attempt(g) },
            |g| {
                let (attempt, coordinator) = (attempt(g), servers(g));
                txn::Message::Decide { attempt, coordinator, decision: decision(g) }
            },
            |g| txn::Message::Settled { attempt: attempt(g) },
        ],
    )
}

/// A message of any kind.
pub(super) fn message(g: &mut Gen) -> Message {
    match u8::arbitrary(g) % 13 {
        0..4 => {
            let (sender, term) = (founding::credentials(g), Term(number(g)));
            Message::Raft(raft::Message { sender, term, rpc: rpc(g) })
        }
        4 => {
            let op = op(g);
            Message::Request(request(g, op))
        }
        5 => Message::Reply(reply(g, output)),
        6 => {
            let order = Order { change: change(g), force: bool::arbitrary(g) };
            Message::Change(request(g, order))
        }
        7 => Message::Outcome(reply(g, outcome)),
        8 | 9 => Message::Migration(migration(g)),
        10 => Message::Founding(founding::message(g)),
        _ => Message::Transaction(of_transactions(g)),
    }
}
