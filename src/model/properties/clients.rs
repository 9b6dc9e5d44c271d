//! What clients are promised.

use std::collections::BTreeMap;

use super::{Property, promise};
use crate::kv::command::{Output, Request};
use crate::raft::Payload;
use crate::replica::{Answer, Message, Replica};
use crate::spec::Spec;
use crate::spec::map::Map;
use crate::system::{SystemState, messages, servers};
use crate::types::{ClientId, RequestId};
use crate::violation::{Violation, demand};

/// P9 to P11.
pub(super) const PROMISES: &[Property] = &[
    promise!(
        History,
        linearizability,
        "P9 Each operation seems to take effect at one moment between its call and its return."
    ),
    promise!(State, exactly_once, "P10 Each request takes effect at most once, on every replica."),
    promise!(Message, one_result, "P10 Every copy of a reply carries the request's first result."),
    promise!(
        State,
        replica_determinism,
        "P11 Replicas that have applied as much are equal, sessions included."
    ),
];

/// Each operation seems to take effect at one moment between its call and its return
/// [Herlihy-Wing §1]; one that is definitely not done takes no effect at all.
pub fn linearizability(state: &SystemState) -> Result<(), Violation> {
    demand("linearizability", state.history.is_linearizable(), || format!("{:?}", state.history))
}

/// Each request takes effect at most once, in the order of its client's numbers: a replica is what
/// the specification becomes when each request is carried out where it first stands in the log.
pub fn exactly_once(state: &SystemState) -> Result<(), Violation> {
    for (_, server) in servers(state) {
        let (mut promised, results) = carry_out(server);
        for (key, value) in server.machine.store.iter() {
            let expected = promised.apply(&crate::kv::command::Op::Get(key.clone()));
            demand("exactly_once", expected == Output::Value(Some(value.clone())), || {
                format!("{key:?} is {value:?}, promised is {expected:?}")
            })?;
        }
        let keys = (server.machine.store.iter().count(), promised.len());
        demand("exactly_once", keys.0 == keys.1, || {
            format!("{} keys, promised are {}", keys.0, keys.1)
        })?;
        let last = results.keys().fold(BTreeMap::new(), |mut last, (client, number)| {
            last.insert(*client, *number); // The keys are in order: the last number wins.
            last
        });
        for (client, number) in last {
            let session = server.machine.sessions.last(client);
            demand("exactly_once", session == Some(number), || {
                format!("{client} has had {number} applied, its session says {session:?}")
            })?;
        }
    }
    Ok(())
}

/// What a replica's committed requests do to the specification, each carried out once, and their
/// results.
fn carry_out(server: &Replica) -> (Map, BTreeMap<(ClientId, RequestId), Output>) {
    let mut map = Map::default();
    let mut last: BTreeMap<ClientId, RequestId> = BTreeMap::new();
    let mut results = BTreeMap::new();
    for entry in server.raft.committed() {
        let Payload::Command(Request { client, number, op }) = &entry.payload else { continue };
        if last.get(client).is_none_or(|last| last < number) {
            last.insert(*client, *number);
            results.insert((*client, *number), map.apply(op));
        }
    }
    (map, results)
}

/// Every reply that says *done* carries the result of the one time that its request took effect.
pub fn one_result(state: &SystemState) -> Result<(), Violation> {
    let mut replies = messages(state)
        .filter_map(|envelope| match envelope.msg {
            Message::Reply(reply) => Some(reply),
            Message::Raft(_) | Message::Request(_) => None,
        })
        .filter_map(|reply| match &reply.answer {
            Answer::Done(output) => Some((reply.client, reply.number, output)),
            Answer::Refused | Answer::Redirect(_) => None,
        })
        .peekable();
    if replies.peek().is_none() {
        return Ok(());
    }
    let Some((_, furthest)) = servers(state).max_by_key(|(_, server)| server.applied) else {
        return Ok(());
    };
    let (_, results) = carry_out(furthest);
    for (client, number, output) in replies {
        // All servers may have restarted, and not know yet how far the log is committed.
        let Some(result) = results.get(&(client, number)) else { continue };
        demand("one_result", result == output, || {
            format!("{client} {number} gave {result:?}, a reply says {output:?}")
        })?;
    }
    Ok(())
}

/// Replicas that have applied as much are equal: the state machine is a function of the log.
pub fn replica_determinism(state: &SystemState) -> Result<(), Violation> {
    super::raft::for_pairs(state, |(_, a), (_, b)| {
        let diverged = a.applied == b.applied && a.machine != b.machine;
        demand("replica_determinism", !diverged, || {
            format!("at {}: {:?} and {:?}", a.applied, a.machine, b.machine)
        })
    })
}
