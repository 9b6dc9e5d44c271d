//! What clients are promised.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use stateright::actor::Envelope;

use super::{Holds, Property, Server, promise, servers};
use crate::kv::Machine;
use crate::kv::command::{Key, Op, Output, Request, Value};
use crate::limits::Limits;
use crate::raft::Payload;
use crate::replica::{Answer, Command, Message, Replica};
use crate::spec::Spec;
use crate::spec::map::Map;
use crate::system::{History, HostState};
use crate::types::{ClientId, RequestId};
use crate::violation::demand;

/// P9 to P11.
pub(super) const PROMISES: &[Property] = &[
    promise!(
        History,
        linearizability,
        "P9 Each operation seems to take effect at one moment between its call and its return."
    ),
    promise!(Host, exactly_once, "P10 Each request takes effect at most once, on every replica."),
    promise!(
        Message(view_of_applied, says_done),
        one_result,
        "P10 Every copy of a reply carries the request's first result."
    ),
    promise!(
        Pair,
        replica_determinism,
        "P11 Replicas that have applied as much are equal, sessions included."
    ),
];

/// Each operation seems to take effect at one moment between its call and its return
/// [Herlihy-Wing §1]; one that is definitely not done takes no effect at all.
pub fn linearizability(history: &History) -> Holds {
    demand("linearizability", history.is_linearizable(), || format!("{history:?}"))
}

/// Each request takes effect at most once, in the order of its client's numbers: a replica is what
/// the specification becomes when each request is carried out where it first stands in the log.
pub fn exactly_once((_, server): Server<'_>) -> Holds {
    match server.machine.store() {
        Some(machine) => agrees("exactly_once", machine, &Promised::by_log(server)),
        None => Ok(()), // For groups `contents_survive` says it.
    }
}

/// What requests do to the specification, each carried out once, and their results.
pub(super) struct Promised {
    map: Map,
    results: BTreeMap<(ClientId, RequestId), Output>,
}

impl Promised {
    /// By none, within these limits.
    pub(super) fn within(limits: Limits) -> Self {
        Self { map: Map::within(limits), results: BTreeMap::new() }
    }

    /// By these requests, in order.
    fn by<'a>(limits: Limits, requests: impl IntoIterator<Item = &'a Request>) -> Self {
        let mut promised = Self::within(limits);
        for request in requests {
            promised.carry_out(request);
        }
        promised
    }

    /// Carries out a request, unless the client has had a later one carried out, or this.
    pub(super) fn carry_out(&mut self, request: &Request) {
        let Request { client, number, op } = request;
        if self.is_new(*client, *number) {
            self.results.insert((*client, *number), self.map.apply(op));
        }
    }

    /// Takes over what a transaction leaves under a key.
    pub(super) fn set(&mut self, key: &Key, value: Option<&Value>) {
        match value {
            Some(value) => self.map.apply(&Op::Put(key.clone(), value.clone())),
            None => self.map.apply(&Op::Delete(key.clone())),
        };
    }

    /// Takes over the result of a transaction that is new.
    pub(super) fn conclude(
        &mut self,
        client: ClientId,
        number: RequestId,
        output: &Output,
    ) -> bool {
        let is_new = self.is_new(client, number);
        if is_new {
            self.results.insert((client, number), output.clone());
        }
        is_new
    }

    fn is_new(&self, client: ClientId, number: RequestId) -> bool {
        let of_client = (client, RequestId::default())..=(client, RequestId(u64::MAX));
        self.results.range(of_client).next_back().is_none_or(|((_, last), _)| *last < number)
    }

    /// By what a replica knows to be committed.
    fn by_log(server: &Replica) -> Self {
        let requests = server.raft.committed().filter_map(|entry| match &entry.payload {
            Payload::Command(Command::Request(request)) => Some(request),
            Payload::Command(
                Command::Change(_) | Command::Migration(_) | Command::Transaction(_),
            )
            | Payload::Noop
            | Payload::Members(_) => None,
        });
        Self::by(server.machine.limits(), requests)
    }
}

/// Whether a store and its sessions are what was promised.
pub(super) fn agrees(property: &'static str, machine: &Machine, promised: &Promised) -> Holds {
    let mut map = promised.map.clone();
    for (key, value) in machine.store.iter() {
        let expected = map.apply(&Op::Get(key.clone()));
        demand(property, expected == Output::Value(Some(value.clone())), || {
            format!("{key:?} is {value:?}, promised is {expected:?}")
        })?;
    }
    let keys = (machine.store.iter().count(), map.len());
    demand(property, keys.0 == keys.1, || format!("{} keys, promised are {}", keys.0, keys.1))?;
    let last = promised.results.keys().fold(BTreeMap::new(), |mut last, (client, number)| {
        last.insert(*client, *number); // The keys are in order: the last number wins.
        last
    });
    for (client, number) in last {
        let session = machine.sessions.last(client);
        demand(property, session == Some(number), || {
            format!("{client} has had {number} applied, its session says {session:?}")
        })?;
    }
    Ok(())
}

/// Every reply that says *done* carries the result of the one time that its request took effect.
pub fn one_result(hosts: &[&HostState], envelope: Envelope<&Message>) -> Holds {
    let Message::Reply(reply) = envelope.msg else { return Ok(()) };
    let Answer::Done(output) = &reply.answer else { return Ok(()) };
    let stores = servers(hosts).filter(|(_, server)| server.machine.store().is_some());
    let Some((_, furthest)) = stores.max_by_key(|(_, server)| server.applied) else {
        return Ok(()); // What several groups have answered, the history judges.
    };
    let Promised { results, .. } = Promised::by_log(furthest);
    // All servers may have restarted, and not know yet how far the log is committed.
    let Some(result) = results.get(&(reply.client, reply.number)) else { return Ok(()) };
    demand("one_result", result == output, || {
        format!("{} {} gave {result:?}, a reply says {output:?}", reply.client, reply.number)
    })
}

fn says_done(message: &Message) -> bool {
    message.reply().is_some_and(|reply| matches!(reply.answer, Answer::Done(_)))
}

/// How much a server has applied, and of what log.
fn view_of_applied(host: &HostState, mut hasher: &mut dyn Hasher) {
    let Some(replica) = host.node.replica() else { return };
    replica.applied.hash(&mut hasher);
    replica.raft.committed().for_each(|entry| entry.hash(&mut hasher));
}

/// Replicas that have applied as much are equal: the state machine is a function of the log.
pub fn replica_determinism((_, a): Server<'_>, (_, b): Server<'_>) -> Holds {
    let diverged = a.applied == b.applied && a.machine != b.machine;
    demand("replica_determinism", !diverged, || {
        format!("at {}: {:?} and {:?}", a.applied, a.machine, b.machine)
    })
}
