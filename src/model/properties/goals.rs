//! States that a check must reach to be about anything.

use std::hash::{Hash, Hasher};

use stateright::actor::{Envelope, Id};

use super::{Holds, Property, Reads, Server, are_peers, not_reached, server, servers};

use crate::kv::command::Output;
use crate::node::Node;
use crate::raft::{self, Outcome, Payload, Rpc};
use crate::replica::{Answer, Message, Replica};
use crate::system::{HostState, SystemState, messages};
use crate::types::{Index, NodeId, Term};

/// A goal by what it reads and its function, which says whether it is reached.
macro_rules! goal {
    (@reads Server $name:ident) => {
        Reads::Host(|host| reached(stringify!($name), server(host).is_some_and($name)))
    };
    (@reads Host $name:ident) => { Reads::Host(|host| reached(stringify!($name), $name(host))) };
    (@reads HostPair $name:ident) => {
        Reads::Pair(|a, b| reached(stringify!($name), $name(a, b)))
    };
    (@reads Pair $name:ident) => {
        Reads::Pair(|a, b| {
            let pair = server(a).zip(server(b)).filter(|(a, b)| are_peers(*a, *b));
            reached(stringify!($name), pair.is_some_and(|(a, b)| $name(a, b)))
        })
    };
    (@reads Hosts($view:expr) $name:ident) => {
        Reads::Hosts($view, |hosts| reached(stringify!($name), $name(hosts)))
    };
    // That there is such a message is the goal.
    (@reads Message $name:ident) => { Reads::Message(|_, _| {}, $name, |_, _| Ok(())) };
    (@reads State $name:ident) => {
        Reads::State(|state| reached(stringify!($name), $name(state)))
    };
    ($kind:ident $(( $view:expr ))?, $name:ident, $statement:literal) => {
        Property {
            name: stringify!($name),
            statement: $statement,
            goal: true,
            reads: goal!(@reads $kind $(( $view ))? $name),
        }
    };
}

pub(super) use goal;

pub(super) fn reached(goal: &'static str, reached: bool) -> Holds {
    if reached { Ok(()) } else { Err(not_reached(goal)) }
}

/// A leader is elected.
pub const LEADER_ELECTED: Property = goal!(Server, leader_elected, "A server leads.");
/// A leader is elected after another.
pub const LEADER_REPLACED: Property =
    goal!(Pair, leader_replaced, "A server leads a term after another server led an earlier one.");
/// Votes are split.
pub const SPLIT_VOTE: Property = goal!(
    Hosts(view_of_vote),
    split_vote,
    "Two candidates of one term each have voted for themselves."
);
/// An entry is committed.
pub const COMMITTED: Property = goal!(Pair, committed, "An entry is committed on two servers.");
/// A leader commits.
pub const LEADER_COMMITTED: Property =
    goal!(Server, leader_committed, "A leader knows an entry to be committed.");
/// The commit that does not wait for all.
pub const COMMITTED_BY_MAJORITY: Property = goal!(
    Pair,
    committed_by_majority,
    "A leader knows an entry to be committed that another server does not have."
);
/// A command is committed in a later term than its own.
pub const COMMITTED_LATER: Property = goal!(
    Server,
    committed_later,
    "An entry of an earlier term is committed by one of the leader's term."
);
/// A follower's log contradicts its leader's.
pub const LOGS_DIVERGE: Property =
    goal!(Pair, logs_diverge, "Two logs differ at an index that both have.");
/// A follower says that its log differs.
pub const CONFLICT_REPORTED: Property =
    goal!(Message, conflict_reported, "A follower tells the leader where their logs may agree.");
/// The situation of Figure 8.
pub const FIGURE_8: Property = goal!(
    Server,
    figure_8,
    "A leader knows a majority to hold an entry of an earlier term that is not committed."
);
/// A request is carried out.
pub const OPERATION_DONE: Property = goal!(Host, operation_done, "A client's operation is done.");
/// All clients are done.
pub const ALL_DONE: Property =
    goal!(Hosts(view_of_client), all_done, "Every client's operations are all done.");
/// A request is carried out in a second term.
pub const DONE_IN_TERM_2: Property =
    goal!(Server, done_in_term_2, "An operation is committed by a leader of term 2 or later.");
/// A request stands in the log twice.
pub const LOGGED_TWICE: Property =
    goal!(Server, logged_twice, "A committed log holds the same request twice.");
/// A leader that was deposed leads again.
pub const LEADER_RETURNED: Property = goal!(
    Server,
    leader_returned,
    "A server that has led an earlier term, and not crashed, leads again."
);
/// A follower that was behind has caught up.
pub const CONFLICT_SETTLED: Property = goal!(
    State,
    conflict_settled,
    "A follower whose log did not match has taken the leader's entries there."
);
/// What was not answered is sent again.
pub const SENT_AGAIN: Property =
    goal!(State, sent_again, "A leader sends the same entries twice to a follower that it knows.");
/// A client that hears nothing does not stay with one server.
pub const ASKED_AROUND: Property = goal!(
    State,
    asked_around,
    "A request is under way to two servers, and no server has led who could have sent it on."
);
/// A client finds out that it has asked the wrong group.
pub const ASKED_ELSEWHERE: Property =
    goal!(State, asked_elsewhere, "A client has asked one group, and then another, for the same.");
/// A client is sent to the leader.
pub const REDIRECTED: Property = goal!(Message, redirected, "A client is told who leads.");
/// A server has lost its memory.
pub const RESTARTED_WITH_LOG: Property =
    goal!(Server, restarted_with_log, "A server restarts with entries in its log.");
/// A leader that crashed leads again.
pub const RESTARTED_LEADER: Property =
    goal!(Server, restarted_leader, "A server that has led restarts and leads again.");
/// A read sees a write.
pub const READ_SEES_WRITE: Property =
    goal!(Message, read_sees_write, "A reply to a read carries a value that was written.");

fn leader_elected((_, server): Server<'_>) -> bool {
    server.raft.is_leader()
}

fn leader_replaced((host, a): Server<'_>, (other, b): Server<'_>) -> bool {
    let replaces = |server: &Replica, earlier: &HostState| {
        server.raft.is_leader() && earlier.past.led.iter().any(|led| *led < server.raft.term())
    };
    replaces(a, other) || replaces(b, host)
}

fn split_vote(hosts: &[&HostState]) -> bool {
    let voted_for_itself = |(i, (_, server)): (usize, Server<'_>)| {
        let vote = server.raft.persistent.vote;
        vote.is_some_and(|vote| usize::from(vote.0) == i).then(|| server.raft.term())
    };
    let terms = || servers(hosts).enumerate().filter_map(voted_for_itself);
    terms().enumerate().any(|(i, term)| terms().take(i).any(|other| other == term))
}

fn committed((_, a): Server<'_>, (_, b): Server<'_>) -> bool {
    a.raft.commit > Index::ZERO && b.raft.commit > Index::ZERO
}

fn leader_committed((_, server): Server<'_>) -> bool {
    server.raft.is_leader() && server.raft.commit > Index::ZERO
}

fn committed_by_majority((_, a): Server<'_>, (_, b): Server<'_>) -> bool {
    let ahead = |leader: &Replica, other: &Replica| {
        leader.raft.is_leader() && leader.raft.commit > other.raft.last().index
    };
    ahead(a, b) || ahead(b, a)
}

fn committed_later((_, server): Server<'_>) -> bool {
    let terms: Vec<_> = server.raft.committed().map(|entry| entry.term).collect();
    server.raft.is_leader() && terms.first() != terms.last()
}

fn logs_diverge((_, a): Server<'_>, (_, b): Server<'_>) -> bool {
    a.raft.log().iter().zip(b.raft.log().iter()).any(|(a, b)| a.term != b.term)
}

fn conflict_reported(message: &Message) -> bool {
    message.raft().is_some_and(|message| {
        matches!(message.rpc, Rpc::AppendEntriesReply(Outcome::Conflict { .. }))
    })
}

/// The report is still under way: only a duplicating network that forgets nothing shows this.
fn conflict_settled(state: &SystemState) -> bool {
    let leader = |id| state.actor_states.get(usize::from(id)).and_then(|host| host.node.replica());
    messages(state).any(|envelope| match envelope.msg.raft() {
        Some(raft::Message {
            term,
            rpc: Rpc::AppendEntriesReply(Outcome::Conflict { rejected, .. }),
            ..
        }) => leader(envelope.dst).is_some_and(|leader| {
            let from = NodeId(usize::from(envelope.src) as u16);
            leader.raft.term() == *term
                && leader.raft.progress().is_some_and(|p| p[&from].matched >= *rejected)
        }),
        Some(_) | None => false,
    })
}

/// Both copies are under way: only a network that counts them shows this.
fn sent_again(state: &SystemState) -> bool {
    let mut seen = None;
    state.network.iter_all().any(|envelope| {
        let again = seen == Some(envelope);
        seen = Some(envelope);
        again
            && match envelope.msg.raft() {
                Some(raft::Message { rpc: Rpc::AppendEntries { prev, entries, .. }, .. }) => {
                    prev.index > Index::ZERO && !entries.is_empty() && knows(state, envelope)
                }
                Some(_) | None => false,
            }
    })
}

fn asked_around(state: &SystemState) -> bool {
    let led = state.actor_states.iter().any(|host| !host.past.led.is_empty());
    !led && asked_two(state, |_, _| true)
}

fn asked_elsewhere(state: &SystemState) -> bool {
    let group = |server: Id| {
        let host = state.actor_states.get(usize::from(server));
        host.and_then(|host| host.node.replica()?.machine.group())
    };
    asked_two(state, |one, other| group(one) != group(other))
}

/// Whether one request is under way to two servers such as these.
fn asked_two(state: &SystemState, such: impl Fn(Id, Id) -> bool) -> bool {
    let requests = || {
        let all = state.network.iter_all();
        all.filter_map(|envelope| Some((envelope.msg.request()?, envelope.dst)))
    };
    requests()
        .any(|(one, to)| requests().any(|(other, dst)| one == other && to != dst && such(to, dst)))
}

/// Whether the sender is a leader that knows where the receiver's log agrees with its own.
fn knows(state: &SystemState, envelope: Envelope<&Message>) -> bool {
    let sender = state.actor_states.get(usize::from(envelope.src));
    let progress = sender.and_then(|host| host.node.replica()?.raft.progress());
    let receiver = NodeId(usize::from(envelope.dst) as u16);
    progress.and_then(|progress| progress.get(&receiver)).is_some_and(|p| !p.is_probing())
}

fn figure_8((_, server): Server<'_>) -> bool {
    let Some(progress) = server.raft.progress() else { return false };
    let mut reached: Vec<_> = progress.values().map(|p| p.matched).collect();
    reached.push(server.raft.last().index);
    let reached = raft::quorum::reached(reached);
    let position = server.raft.log().position(reached).unwrap_or_default();
    position.index > server.raft.commit && position.term < server.raft.term()
}

fn operation_done(host: &HostState) -> bool {
    client(host).is_some_and(|(done, _)| done > 0)
}

fn all_done(hosts: &[&HostState]) -> bool {
    hosts.iter().filter_map(|host| client(host)).all(|(_, pending)| !pending)
}

/// How many operations a client has done, and whether one is under way.
fn client(host: &HostState) -> Option<(usize, bool)> {
    match &host.node {
        Node::Client { session, done } => Some((*done, session.pending().is_some())),
        Node::Administrator { session, done } => Some((*done, session.pending().is_some())),
        Node::Founder(_) | Node::Server(_) => None,
    }
}

/// What [`client`] gives.
fn view_of_client(host: &HostState, mut hasher: &mut dyn Hasher) {
    client(host).hash(&mut hasher);
}

/// A server's term and vote.
fn view_of_vote(host: &HostState, mut hasher: &mut dyn Hasher) {
    let replica = host.node.replica().map(|replica| &replica.raft.persistent);
    replica.map(|persistent| (persistent.term, persistent.vote)).hash(&mut hasher);
}

fn done_in_term_2((_, server): Server<'_>) -> bool {
    let mut committed = server.raft.committed();
    committed.any(|entry| entry.term >= Term(2) && matches!(entry.payload, Payload::Command(_)))
}

fn logged_twice((_, server): Server<'_>) -> bool {
    let commands = || server.raft.committed().filter(|e| e.payload != Payload::Noop);
    commands().enumerate().any(|(i, a)| commands().take(i).any(|b| a.payload == b.payload))
}

fn redirected(message: &Message) -> bool {
    matches!(answer(message), Some(Answer::Redirect(_)))
}

fn read_sees_write(message: &Message) -> bool {
    matches!(answer(message), Some(Answer::Done(Output::Value(Some(_)))))
}

fn answer(message: &Message) -> Option<&Answer> {
    message.reply().map(|reply| &reply.answer)
}

fn restarted_with_log((host, server): Server<'_>) -> bool {
    host.spent.restarts > 0 && server.raft.last().index > Index::ZERO
}

fn leader_returned((host, server): Server<'_>) -> bool {
    host.spent.restarts == 0 && leads_again((host, server))
}

fn restarted_leader((host, server): Server<'_>) -> bool {
    host.spent.restarts > 0 && leads_again((host, server))
}

/// Whether a server leads that has led an earlier term.
fn leads_again((host, server): Server<'_>) -> bool {
    server.raft.is_leader() && host.past.led.iter().any(|term| *term < server.raft.term())
}
