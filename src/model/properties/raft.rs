//! Raft's safety [Raft Fig. 3], and what it rests on.

use std::collections::BTreeMap;

use super::{Property, promise, step};
use crate::raft::{Log, quorum};
use crate::replica::Replica;
use crate::system::{HostState, SystemState, servers};
use crate::types::{Index, Term};
use crate::violation::{Violation, demand};

/// P1 to P7, P18 and P20; and that what a check forgets does not matter.
pub(super) const PROMISES: &[Property] = &[
    promise!(State, election_safety, "P1 At most one leader can be elected in a given term."),
    step!(leader_append_only, "P2 A leader never overwrites or deletes entries in its log."),
    promise!(
        State,
        log_matching,
        "P3 Two logs that hold an entry of the same index and term agree up to it."
    ),
    promise!(
        State,
        leader_completeness,
        "P4 A committed entry is in the logs of the leaders of all later terms."
    ),
    promise!(
        State,
        quorum_durability,
        "P4 A committed entry is in the durable logs of a majority."
    ),
    step!(committed_stays, "P4 A server never removes an entry that it knows to be committed."),
    step!(commit_rule, "P4 No entry of an earlier term is committed by counting replicas."),
    promise!(
        State,
        state_machine_safety,
        "P5 No two servers apply different entries at the same index."
    ),
    step!(monotone, "P6 Terms and commit indexes only grow, and in a term matched indexes do."),
    step!(in_range, "P6 applied <= commit <= last, matched < next <= last + 1."),
    step!(vote_once, "P7 A server votes for at most one candidate in a term, across crashes."),
    step!(dead_messages, "A message that can never again have an effect has none when delivered."),
    step!(no_panic, "P18 No handler panics."),
    step!(persist_before_send, "P20 What a message reveals is saved before it is sent."),
];

/// "At most one leader can be elected in a given term" [Raft §5.2]: ever, not at one moment.
pub fn election_safety(state: &SystemState) -> Result<(), Violation> {
    let mut leaders: BTreeMap<Term, usize> = BTreeMap::new();
    for (i, (host, _)) in servers(state).enumerate() {
        for term in &host.past.led {
            let other = *leaders.entry(*term).or_insert(i);
            demand("election_safety", other == i, || {
                format!("{term} was led by n{other} and by n{i}")
            })?;
        }
    }
    Ok(())
}

/// "If two logs contain an entry with the same index and term, then the logs are identical in all
/// entries up through the given index" [Raft §5.3].
pub fn log_matching(state: &SystemState) -> Result<(), Violation> {
    for_pairs(state, |(_, a), (_, b)| {
        let (a, b) = (a.raft.log(), b.raft.log());
        let agree = last_agreement(a, b);
        let identical = a.range(Index::ZERO, agree).eq(b.range(Index::ZERO, agree));
        demand("log_matching", identical, || format!("{a:?} and {b:?} agree at {agree}"))
    })
}

fn last_agreement<C: crate::raft::Command>(a: &Log<C>, b: &Log<C>) -> Index {
    let mut index = a.last_index().min(b.last_index());
    while index > Index::ZERO && a.position(index) != b.position(index) {
        index = index.previous();
    }
    index
}

/// "If a log entry is committed in a given term, then that entry will be present in the logs of the
/// leaders for all higher-numbered terms" [Raft §5.4]. What a server in term t knows to be
/// committed was committed in term t or before.
pub fn leader_completeness(state: &SystemState) -> Result<(), Violation> {
    for (host, server) in servers(state) {
        let committed = host.known_committed(server);
        for (_, leader) in servers(state).filter(|(_, other)| other.raft.is_leader()) {
            let later = leader.raft.term() >= server.raft.term();
            demand("leader_completeness", !later || leader.raft.log().contains(committed), || {
                format!(
                    "{committed:?} is committed, the leader of {} has {:?}",
                    leader.raft.term(),
                    leader.raft.log()
                )
            })?;
        }
    }
    Ok(())
}

/// What any server knows to be committed would survive the crash of all: a majority has it on disk.
/// Finds a broken log long before an acknowledged write is missing.
pub fn quorum_durability(state: &SystemState) -> Result<(), Violation> {
    let count = servers(state).count();
    for (host, server) in servers(state) {
        let committed = host.known_committed(server);
        let holders = servers(state)
            .filter(|(host, _)| host.durable().is_some_and(|d| d.log.contains(committed)))
            .count();
        demand("quorum_durability", holders >= quorum::majority(count), || {
            format!("{committed:?} is committed and on {holders} of {count} disks")
        })?;
    }
    Ok(())
}

/// "If a server has applied a log entry at a given index to its state machine, no other server will
/// ever apply a different log entry for the same index" [Raft §5.4.3].
pub fn state_machine_safety(state: &SystemState) -> Result<(), Violation> {
    super::kept(state, "state_machine_safety")?;
    for_pairs(state, |(host, a), (other, b)| {
        let (a, b) = (host.known_entries(a), other.known_entries(b));
        let agree = a.iter().zip(&b).all(|(a, b)| a == b);
        demand("state_machine_safety", agree, || format!("committed here {a:?} and there {b:?}"))
    })
}

/// Calls `check` for each pair of servers.
pub(super) fn for_pairs<'a>(
    state: &'a SystemState,
    mut check: impl FnMut(
        (&'a HostState, &'a Replica),
        (&'a HostState, &'a Replica),
    ) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let mut rest = servers(state);
    while let Some(one) = rest.next() {
        for other in rest.clone() {
            check(one, other)?;
        }
    }
    Ok(())
}
