//! States that a check must reach to be about anything.

use super::{Property, goal};
use crate::kv::command::Output;
use crate::node::Node;
use crate::raft::{self, Outcome, Payload, Rpc};
use crate::replica::{Answer, Message};
use crate::system::{SystemState, messages, servers};
use crate::types::{Index, NodeId, Term};

/// A leader is elected.
pub const LEADER_ELECTED: Property = goal!(leader_elected, "A server leads.");
/// A leader is elected after another.
pub const LEADER_REPLACED: Property =
    goal!(leader_replaced, "A server leads a term after another server led an earlier one.");
/// Votes are split.
pub const SPLIT_VOTE: Property =
    goal!(split_vote, "Two candidates of one term each have voted for themselves.");
/// An entry is committed.
pub const COMMITTED: Property = goal!(committed, "An entry is committed on two servers.");
/// A leader commits.
pub const LEADER_COMMITTED: Property =
    goal!(leader_committed, "A leader knows an entry to be committed.");
/// A command is committed in a later term than its own.
pub const COMMITTED_LATER: Property =
    goal!(committed_later, "An entry of an earlier term is committed by one of the leader's term.");
/// A follower's log contradicts its leader's.
pub const LOGS_DIVERGE: Property =
    goal!(logs_diverge, "Two logs differ at an index that both have.");
/// A follower says that its log differs.
pub const CONFLICT_REPORTED: Property =
    goal!(conflict_reported, "A follower tells the leader where their logs may agree.");
/// The situation of Figure 8.
pub const FIGURE_8: Property = goal!(
    figure_8,
    "A leader knows a majority to hold an entry of an earlier term that is not committed."
);
/// A request is carried out.
pub const OPERATION_DONE: Property = goal!(operation_done, "A client's operation is done.");
/// All clients are done.
pub const ALL_DONE: Property = goal!(all_done, "Every client's operations are all done.");
/// A request is carried out in a second term.
pub const DONE_IN_TERM_2: Property =
    goal!(done_in_term_2, "An operation is committed by a leader of term 2 or later.");
/// A request stands in the log twice.
pub const LOGGED_TWICE: Property =
    goal!(logged_twice, "A committed log holds the same request twice.");
/// A leader that was deposed leads again.
pub const LEADER_RETURNED: Property =
    goal!(leader_returned, "A server that has led an earlier term, and not crashed, leads again.");
/// A follower that was behind has caught up.
pub const CONFLICT_SETTLED: Property = goal!(
    conflict_settled,
    "A follower whose log did not match has taken the leader's entries there."
);
/// What was not answered is sent again.
pub const SENT_AGAIN: Property =
    goal!(sent_again, "A leader sends the same entries twice to a follower that it knows.");
/// A client is sent to the leader.
pub const REDIRECTED: Property = goal!(redirected, "A client is told who leads.");
/// A server has lost its memory.
pub const RESTARTED_WITH_LOG: Property =
    goal!(restarted_with_log, "A server restarts with entries in its log.");
/// A leader that crashed leads again.
pub const RESTARTED_LEADER: Property =
    goal!(restarted_leader, "A server that has led restarts and leads again.");
/// A read sees a write.
pub const READ_SEES_WRITE: Property =
    goal!(read_sees_write, "A reply to a read carries a value that was written.");

fn leader_elected(state: &SystemState) -> bool {
    servers(state).any(|(_, server)| server.raft.is_leader())
}

fn leader_replaced(state: &SystemState) -> bool {
    let leads = |(i, (_, server)): (usize, (_, &crate::replica::Replica))| {
        server.raft.is_leader().then(|| (i, server.raft.term()))
    };
    servers(state).enumerate().filter_map(leads).any(|(leader, term)| {
        servers(state)
            .enumerate()
            .any(|(i, (host, _))| i != leader && host.past.led.iter().any(|led| *led < term))
    })
}

fn split_vote(state: &SystemState) -> bool {
    let candidates = || {
        servers(state).enumerate().filter(|(i, (_, server))| {
            server.raft.persistent.vote.is_some_and(|vote| usize::from(vote.0) == *i)
        })
    };
    candidates()
        .any(|(i, (_, a))| candidates().any(|(j, (_, b))| i != j && a.raft.term() == b.raft.term()))
}

fn committed(state: &SystemState) -> bool {
    servers(state).filter(|(_, server)| server.raft.commit > Index::ZERO).count() >= 2
}

fn leader_committed(state: &SystemState) -> bool {
    servers(state).any(|(_, server)| server.raft.is_leader() && server.raft.commit > Index::ZERO)
}

fn committed_later(state: &SystemState) -> bool {
    servers(state).any(|(_, server)| {
        let terms: Vec<_> = server.raft.committed().map(|entry| entry.term).collect();
        server.raft.is_leader() && terms.first() != terms.last()
    })
}

fn logs_diverge(state: &SystemState) -> bool {
    servers(state).any(|(_, a)| {
        servers(state).any(|(_, b)| {
            a.raft.log().iter().zip(b.raft.log().iter()).any(|(a, b)| a.term != b.term)
        })
    })
}

fn conflict_reported(state: &SystemState) -> bool {
    messages(state).any(|envelope| match envelope.msg {
        Message::Raft(message) => {
            matches!(message.rpc, Rpc::AppendEntriesReply(Outcome::Conflict { .. }))
        }
        Message::Request(_) | Message::Reply(_) => false,
    })
}

/// The report is still under way: only a duplicating network that forgets nothing shows this.
fn conflict_settled(state: &SystemState) -> bool {
    let leader = |id| servers(state).nth(usize::from(id)).map(|(_, server)| &server.raft);
    messages(state).any(|envelope| match envelope.msg {
        Message::Raft(raft::Message {
            term,
            rpc: Rpc::AppendEntriesReply(Outcome::Conflict { rejected, .. }),
        }) => leader(envelope.dst).is_some_and(|leader| {
            let from = NodeId(usize::from(envelope.src) as u16);
            leader.term() == *term
                && leader.progress().is_some_and(|progress| progress[&from].matched >= *rejected)
        }),
        Message::Raft(_) | Message::Request(_) | Message::Reply(_) => false,
    })
}

/// Both copies are under way: only a network that counts them shows this.
fn sent_again(state: &SystemState) -> bool {
    let mut seen = None;
    state.network.iter_all().any(|envelope| {
        let again = seen == Some(envelope);
        seen = Some(envelope);
        again
            && match envelope.msg {
                Message::Raft(raft::Message {
                    rpc: Rpc::AppendEntries { prev, entries, .. },
                    ..
                }) => prev.index > Index::ZERO && !entries.is_empty(),
                Message::Raft(_) | Message::Request(_) | Message::Reply(_) => false,
            }
    })
}

fn figure_8(state: &SystemState) -> bool {
    servers(state).any(|(_, server)| {
        let Some(progress) = server.raft.progress() else { return false };
        let mut reached: Vec<_> = progress.values().map(|p| p.matched).collect();
        reached.push(server.raft.last().index);
        let reached = raft::quorum::reached(reached);
        let position = server.raft.log().position(reached).unwrap_or_default();
        position.index > server.raft.commit && position.term < server.raft.term()
    })
}

fn operation_done(state: &SystemState) -> bool {
    clients(state).any(|(done, _)| done > 0)
}

fn all_done(state: &SystemState) -> bool {
    clients(state).all(|(_, pending)| !pending)
}

/// For each client how many operations it has done, and whether one is under way.
fn clients(state: &SystemState) -> impl Iterator<Item = (usize, bool)> {
    state.actor_states.iter().filter_map(|host| match &host.node {
        Node::Client { session, done } => Some((*done, session.pending().is_some())),
        Node::Server(_) => None,
    })
}

fn done_in_term_2(state: &SystemState) -> bool {
    servers(state).any(|(_, server)| {
        server
            .raft
            .committed()
            .any(|entry| entry.term >= Term(2) && matches!(entry.payload, Payload::Command(_)))
    })
}

fn logged_twice(state: &SystemState) -> bool {
    servers(state).any(|(_, server)| {
        let commands = || server.raft.committed().filter(|e| e.payload != Payload::Noop);
        commands().enumerate().any(|(i, a)| commands().take(i).any(|b| a.payload == b.payload))
    })
}

fn redirected(state: &SystemState) -> bool {
    answers(state).any(|answer| matches!(answer, Answer::Redirect(_)))
}

fn read_sees_write(state: &SystemState) -> bool {
    answers(state).any(|answer| matches!(answer, Answer::Done(Output::Value(Some(_)))))
}

fn answers(state: &SystemState) -> impl Iterator<Item = &Answer> {
    messages(state).filter_map(|envelope| match envelope.msg {
        Message::Reply(reply) => Some(&reply.answer),
        Message::Raft(_) | Message::Request(_) => None,
    })
}

fn restarted_with_log(state: &SystemState) -> bool {
    servers(state)
        .any(|(host, server)| host.spent.restarts > 0 && server.raft.last().index > Index::ZERO)
}

fn leader_returned(state: &SystemState) -> bool {
    servers(state).any(|(host, server)| {
        host.spent.restarts == 0
            && server.raft.is_leader()
            && host.past.led.iter().any(|term| *term < server.raft.term())
    })
}

fn restarted_leader(state: &SystemState) -> bool {
    servers(state).any(|(host, server)| {
        host.spent.restarts > 0
            && server.raft.is_leader()
            && host.past.led.iter().any(|term| *term < server.raft.term())
    })
}
