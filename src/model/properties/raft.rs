//! Raft's safety [Raft Fig. 3], and what it rests on.

use std::hash::{Hash, Hasher};

use super::{Holds, Property, Server, groups, promise, step};
use crate::raft::Log;
use crate::system::HostState;
use crate::types::Index;
use crate::violation::demand;

/// P1 to P7, P17, P18, P20 and P23; and that what a check forgets does not matter.
pub(super) const PROMISES: &[Property] = &[
    promise!(Pair, election_safety, "P1 At most one leader can be elected in a given term."),
    step!(leader_append_only, "P2 A leader never overwrites or deletes entries in its log."),
    promise!(
        Pair,
        log_matching,
        "P3 Two logs that hold an entry of the same index and term agree up to it."
    ),
    promise!(
        Pair,
        leader_completeness,
        "P4 A committed entry is in the logs of the leaders of all later terms."
    ),
    promise!(
        Hosts(view_of_disk),
        quorum_durability,
        "P4 A committed entry is in the durable logs of a majority."
    ),
    step!(committed_stays, "P4 A server never removes an entry that it knows to be committed."),
    step!(commit_rule, "P4 No entry of an earlier term is committed by counting replicas."),
    promise!(
        Pair,
        state_machine_safety,
        "P5 No two servers apply different entries at the same index."
    ),
    step!(monotone, "P6 Terms and commit indexes only grow, and in a term matched indexes do."),
    step!(
        matched_is_acknowledged,
        "P6 A leader takes a follower's log to match only as far as the follower has said."
    ),
    step!(in_range, "P6 applied <= commit <= last, matched < next <= last + 1."),
    step!(vote_once, "P7 A server votes for at most one candidate in a term, across crashes."),
    step!(dead_messages, "A message that can never again have an effect has none when delivered."),
    step!(sends_on, "P17 A follower that is known lacks nothing, or something is under way to it."),
    step!(
        sends_again,
        "P17 A heartbeat sends again all that a known follower has not acknowledged."
    ),
    step!(shows_itself, "P17 A heartbeat sends each follower a message without entries."),
    step!(awake, "P17 A server that begins or ceases to lead starts the timer of what it is then."),
    step!(no_panic, "P18 No handler panics."),
    step!(persist_before_send, "P20 What a message reveals is saved before it is sent."),
    step!(fits_in_a_message, "P23 No message is larger than a message may be."),
];

/// "At most one leader can be elected in a given term" [Raft §5.2]: ever, not at one moment.
pub fn election_safety((host, _): Server<'_>, (other, _): Server<'_>) -> Holds {
    let both = host.past.led.intersection(&other.past.led).next();
    demand("election_safety", both.is_none(), || format!("{both:?} was led by two servers"))
}

/// "If two logs contain an entry with the same index and term, then the logs are identical in all
/// entries up through the given index" [Raft §5.3].
pub fn log_matching((_, a): Server<'_>, (_, b): Server<'_>) -> Holds {
    let (a, b) = (a.raft.log(), b.raft.log());
    let agree = last_agreement(a, b);
    let identical = a.range(Index::ZERO, agree).eq(b.range(Index::ZERO, agree));
    demand("log_matching", identical, || format!("{a:?} and {b:?} agree at {agree}"))
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
pub fn leader_completeness(a: Server<'_>, b: Server<'_>) -> Holds {
    leads_completely(a, b)?;
    leads_completely(b, a)
}

/// Whether `leader`, if it is one, has what `server` knows to be committed.
fn leads_completely((host, server): Server<'_>, (_, leader): Server<'_>) -> Holds {
    let committed = host.known_committed(server);
    let later = leader.raft.is_leader() && leader.raft.term() >= server.raft.term();
    demand("leader_completeness", !later || leader.raft.log().contains(committed), || {
        let (term, log) = (leader.raft.term(), leader.raft.log());
        format!("{committed:?} is committed, the leader of {term} has {log:?}")
    })
}

/// What any server knows to be committed would survive the crash of all: a majority has it on disk.
/// Finds a broken log long before an acknowledged write is missing.
pub fn quorum_durability(hosts: &[&HostState]) -> Holds {
    for group in groups(hosts).values() {
        for (host, server) in group {
            let committed = host.known_committed(server);
            let members = server.raft.members();
            let holders = group
                .iter()
                .filter(|(host, _)| host.durable_log().is_some_and(|log| log.contains(committed)))
                .count();
            // Whether the others held it before their disks were lost, nobody can tell.
            let lost = members.count() - group.len();
            demand("quorum_durability", holders + lost >= members.majority(), || {
                let count = members.count();
                format!("{committed:?} is committed and on {holders} of {count} disks, {lost} lost")
            })?;
        }
    }
    Ok(())
}

/// What a server knows to be committed, and its log on disk.
fn view_of_disk(host: &HostState, mut hasher: &mut dyn Hasher) {
    let Some(replica) = host.node.replica() else { return };
    replica.machine.group().hash(&mut hasher);
    host.known_committed(replica).hash(&mut hasher);
    host.durable_log().hash(&mut hasher);
}

/// "If a server has applied a log entry at a given index to its state machine, no other server will
/// ever apply a different log entry for the same index" [Raft §5.4.3].
pub fn state_machine_safety((host, a): Server<'_>, (other, b): Server<'_>) -> Holds {
    super::kept(host, "state_machine_safety")?;
    super::kept(other, "state_machine_safety")?;
    let (a, b) = (host.known_entries(a), other.known_entries(b));
    let agree = a.iter().zip(&b).all(|(a, b)| a == b);
    demand("state_machine_safety", agree, || format!("committed here {a:?} and there {b:?}"))
}
