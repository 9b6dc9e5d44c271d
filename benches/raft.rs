//! What a put costs the leader, without network and disk: the request, and the follower's answer
//! that commits it. Through the actor, with all that is checked at each step.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::borrow::Cow;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::actor::{NodeActor, Timing};
use model::kv::command::{Op, Request};
use model::node::{Node, Setup, Storage, Timer};
use model::raft::{self, Config, Incarnation, Limits, Members, Outcome, Purpose, Rpc};
use model::replica::{self, Command, Kind, Message};
use model::types::{ClientId, Index, NodeId, RequestId, Term};
use stateright::actor::{Actor, Id, Out};

/// Puts to one leader, which then has a log of that length.
const PUTS: u64 = 1_000;

/// The incarnation of all servers.
const LIFE: Incarnation = Incarnation(7);

fn members() -> Members {
    Members::new(Purpose::Store, (0..3).map(|id| (NodeId(id), LIFE)).collect())
}

struct Leader {
    actor: NodeActor,
    state: Cow<'static, Node>,
}

impl Leader {
    /// The leader of three, with the entry that opens its term committed.
    fn elected() -> Self {
        let config = Config { id: NodeId(0), incarnation: LIFE, limits: Limits::default() };
        let setup = replica::Setup::new(config, Kind::Store, members().servers());
        let actor = NodeActor { setup: Setup::Server(setup), servers: 3, timing: Timing::LAN };
        let disk = Some(Storage::founded(members().into()));
        let state = Cow::Owned(actor.on_start(Id::from(0), &disk, &mut Out::new()));
        let mut leader = Self { actor, state };
        let election = Timer::Raft(raft::Timer::Election);
        leader.actor.on_timeout(Id::from(0), &mut leader.state, &election, &mut Out::new());
        leader.hears(Rpc::RequestVoteReply);
        leader.hears(Rpc::AppendEntriesReply(Outcome::Matched(Index(1))));
        leader
    }

    fn again(&self) -> Self {
        Self { actor: self.actor.clone(), state: self.state.clone() }
    }

    fn takes(&mut self, from: usize, message: Message) -> Out<NodeActor> {
        let mut out = Out::new();
        self.actor.on_msg(Id::from(0), &mut self.state, Id::from(from), message, &mut out);
        out
    }

    fn hears(&mut self, rpc: Rpc<Command>) -> Out<NodeActor> {
        self.takes(
            1,
            Message::Raft(raft::Message {
                sender: members().credentials(LIFE),
                term: Term(1),
                rpc,
            }),
        )
    }
}

fn put(c: &mut Criterion) {
    let leader = Leader::elected();
    let op = Op::Put("key".into(), [b'v'; 100].into());
    let mut group = c.benchmark_group("raft");
    group.throughput(Throughput::Elements(PUTS));
    let puts = |mut leader: Leader| {
        for number in 1..=PUTS {
            let (client, number) = (ClientId(7), RequestId(number));
            leader.takes(7, Message::Request(Request { client, number, op: op.clone() }));
            let matched = Outcome::Matched(Index(number.0 + 1));
            leader.hears(Rpc::AppendEntriesReply(matched));
        }
        leader
    };
    let replica = puts(leader.again()).state.into_owned();
    assert_eq!(replica.replica().unwrap().applied, Index(PUTS + 1), "all puts are applied");
    group.bench_function("put at the leader", |b| {
        b.iter_batched(|| leader.again(), puts, BatchSize::SmallInput);
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    targets = put
}
criterion_main!(benches);
