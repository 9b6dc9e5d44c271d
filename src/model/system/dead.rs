//! Messages that can never again have an effect.
//!
//! Each rule rests on a fact about the receiver that only grows, so a message that is dead stays
//! dead: a term, a vote given, a role of a term left (a role of a term is never entered twice), an
//! index matched, a request answered. Never on "delivering it now would change nothing".
//!
//! The receiver is not taken at its word: when a message is found dead it is delivered once more,
//! on the side, and whatever happens then is a violation of `dead_messages`. A handler that takes
//! what it should ignore is found out although the message is then forgotten.
//!
//! While a server may still crash, its memory is under test and the rules are off
//! ([`super::System`]). `checks/tests/reductions.rs` verifies on every state of small systems that
//! what is dead stays dead and has no effect, and that the verdicts with and without are equal.

use std::borrow::Cow;
use std::sync::Arc;

use stateright::actor::{Actor, Envelope, Id, Network, Out, is_no_op};

use super::{Host, HostState, SystemState};
use crate::founding::{self, Founder};
use crate::node::Node;
use crate::raft::{self, Outcome, Role, Rpc};
use crate::replica::{Answer, Machine, Message, Replica};
use crate::shard::config::Configuration;
use crate::shard::migration;
use crate::shard::ownership::{Hold, Ownership};
use crate::shard::store::Shards;
use crate::shard::txn;
use crate::shard::txn::coordinator::Stage;
use crate::types::{ConfigNum, GroupId, NodeId};
use crate::violation::Violation;

/// The promise that a message taken to be dead has no effect.
pub(super) const PROMISE: &str = "dead_messages";

/// Forgets the dead messages of a state, after making sure that they are.
pub(super) fn forget(hosts: &[Host], state: &mut SystemState) {
    let dead: Vec<_> = state
        .network
        .iter_deliverable()
        .filter(|envelope| super::System::is_dead(state, envelope))
        .map(|envelope| envelope.to_cloned_msg())
        .collect();
    for envelope in dead {
        verify(hosts, state, &envelope);
        match &mut state.network {
            Network::UnorderedDuplicating(set, _) => drop(set.remove(&envelope)),
            Network::UnorderedNonDuplicating(counts) => drop(counts.remove(&envelope)),
            Network::Ordered(_) => unreachable!("systems have unordered networks"),
        }
    }
}

/// Delivers a message that is said to be dead, on the side.
fn verify(hosts: &[Host], state: &mut SystemState, envelope: &Envelope<Message>) {
    let index = usize::from(envelope.dst);
    let (Some(actor), Some(host)) = (hosts.get(index), state.actor_states.get_mut(index)) else {
        return;
    };
    let (mut after, mut out) = (Cow::Borrowed(&**host), Out::new());
    actor.on_msg(envelope.dst, &mut after, envelope.src, envelope.msg.clone(), &mut out);
    if is_no_op(&after, &out) {
        return;
    }
    let detail = format!("{:?} makes {:?} of {:?}", envelope.msg, after.node, host.node);
    Arc::make_mut(host).violation = Some(Violation::new(PROMISE, detail));
}

/// Whether a message from `src` can never again have an effect on `host`.
#[must_use]
pub fn is_dead(host: &HostState, src: Id, message: &Message) -> bool {
    let from = NodeId(usize::from(src) as u16);
    match (&host.node, message) {
        // A server that belongs to no group may yet be a member, which hears the others.
        (
            Node::Founder(Founder::Gathering { .. } | Founder::Pledged { .. }),
            Message::Raft(_)
            | Message::Request(_)
            | Message::Change(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_),
        ) => false,
        (Node::Founder(_), _) => true, // It has asked for nothing, or is refused for ever.
        (Node::Server(replica), Message::Founding(message)) => match message {
            founding::Message::Announce(_) => false, // It is always answered.
            founding::Message::Founded(members) => members == replica.raft.members(),
        },
        // A message that is not from a member is answered, however old it is.
        (Node::Server(replica), Message::Raft(message)) => {
            replica.raft.members().admits(from, message.sender)
                && raft_is_dead(replica, from, message)
        }
        (Node::Server(replica), Message::Request(request)) => match &replica.machine {
            // The client has moved on: it will not be answered, and its session refuses it for
            // ever.
            Machine::Store(machine) => machine.sessions.last(request.client) > Some(request.number),
            // Sessions come and go with their shards.
            Machine::Group(_) => false,
            Machine::Controller(_) => true,
        },
        (Node::Server(replica), Message::Change(request)) => match &replica.machine {
            Machine::Controller(controller) => {
                controller.sessions.last(request.client) > Some(request.number)
            }
            Machine::Store(_) | Machine::Group(_) => true,
        },
        (Node::Server(replica), Message::Migration(message)) => match &replica.machine {
            Machine::Group(shards) => migration_is_dead(shards, message),
            Machine::Controller(_) | Machine::Store(_) => false,
        },
        (Node::Server(replica), Message::Transaction(message)) => match &replica.machine {
            Machine::Group(shards) => transaction_is_dead(shards, from, message),
            Machine::Controller(_) | Machine::Store(_) => true,
        },
        (Node::Client { session, .. }, Message::Reply(reply)) => {
            let known = match &reply.answer {
                Answer::Elsewhere(config) => *config <= session.router().known(),
                Answer::Done(_) | Answer::Refused(_) | Answer::Redirect(_) => false,
            };
            known || session.pending().is_none_or(|(number, _)| reply.number < number)
        }
        // A client needs no configuration but newer ones.
        (
            Node::Client { session, .. },
            Message::Migration(migration::Message::Configuration(config)),
        ) => config.num <= session.router().known(),
        (Node::Administrator { session, .. }, Message::Outcome(reply)) => {
            session.pending().is_none_or(|(number, _)| reply.number < number)
        }
        // Not for this role.
        (Node::Server(_), Message::Reply(_) | Message::Outcome(_)) => true,
        (
            Node::Client { .. },
            Message::Raft(_)
            | Message::Request(_)
            | Message::Change(_)
            | Message::Outcome(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_),
        ) => true,
        (
            Node::Administrator { .. },
            Message::Raft(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Change(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_),
        ) => true,
    }
}

/// Configurations are taken in order. A group that has reached the one that moves a shard has the
/// shard for its new owner, or awaits it, or will as soon as an earlier move of it is settled.
fn migration_is_dead(shards: &Shards, message: &migration::Message) -> bool {
    let reached = shards.config.num;
    match message {
        migration::Message::Configuration(config) => config.num <= reached,
        // The group no longer has what is wanted, or declined.
        migration::Message::Want { shard, since, .. }
        | migration::Message::Decline { shard, since } => {
            let leaving = match shards.ownership(*shard) {
                Ownership::Leaving { since: config, hold, .. } => {
                    config == since || is_later(hold, *since)
                }
                Ownership::Absent | Ownership::Serving(_) | Ownership::Awaiting { .. } => false,
            };
            reached >= *since && !leaving
        }
        // The group has that part.
        migration::Message::Part { shard, since, part } => {
            let wanted = match shards.ownership(*shard) {
                Ownership::Awaiting { since: config, place, .. } => {
                    config == since && *place <= part.from
                }
                Ownership::Leaving { hold, .. } => is_later(hold, *since),
                Ownership::Absent | Ownership::Serving(_) => false,
            };
            reached >= *since && !wanted
        }
        migration::Message::Ask(_) | migration::Message::Holdings(_) => true,
        // They are answered at any time.
        migration::Message::Offer { .. } | migration::Message::Inspect => false,
    }
}

/// Whether this is the move that follows when it is known what has become of the one before.
fn is_later(hold: &Hold, since: ConfigNum) -> bool {
    match hold {
        Hold::Released(Some(later)) => later.since == since,
        Hold::Kept | Hold::Released(None) => false,
    }
}

/// A coordinator counts its attempts, and each goes through its stages once. Its clock tells
/// whether it has heard of a transaction at all: before that it was younger.
fn transaction_is_dead(shards: &Shards, from: NodeId, message: &txn::Message) -> bool {
    let attempt = match message {
        txn::Message::Vote { attempt, .. }
        | txn::Message::Wound { attempt }
        | txn::Message::Settled { attempt } => attempt,
        // They are answered at any time.
        txn::Message::Prepare { .. } | txn::Message::Decide { .. } => return false,
    };
    if shards.transactions.clock < attempt.txn.age {
        return false;
    }
    let Some(record) = shards.transactions.records.get(&attempt.txn) else { return true };
    if record.count != attempt.count {
        return record.count > attempt.count;
    }
    let is_its = |config: &Configuration, group: &GroupId| {
        config.groups.get(group).is_some_and(|servers| servers.contains(from))
    };
    match &record.stage {
        Stage::Waiting { .. } => true, // For the next attempt.
        Stage::Preparing { config, votes } => {
            matches!(message, txn::Message::Vote { .. })
                && votes.keys().any(|group| is_its(config, group))
        }
        Stage::Decided { config, open, .. } => {
            !matches!(message, txn::Message::Settled { .. })
                || !open.keys().any(|group| is_its(config, group))
        }
    }
}

fn raft_is_dead<C: raft::Command>(
    replica: &Replica,
    from: NodeId,
    message: &raft::Message<C>,
) -> bool {
    let raft = &replica.raft;
    if message.term != raft.term() {
        return message.term < raft.term(); // Terms only grow.
    }
    match &message.rpc {
        // The vote of this term is given to another.
        Rpc::RequestVote { .. } => raft.persistent.vote.is_some_and(|vote| vote != from),
        // The election is over, or this vote is counted.
        Rpc::RequestVoteReply => match &raft.role {
            Role::Candidate { votes } => votes.contains(&from),
            Role::Follower { .. } | Role::Leader { .. } => true,
        },
        Rpc::AppendEntries { .. } => false,
        // The leader of this term knows as much, or leads it no more. Nobody answers a candidate,
        // but if one did, it might lead the term yet.
        Rpc::AppendEntriesReply(outcome) => match (&raft.role, outcome) {
            (Role::Follower { .. }, _) => true,
            (Role::Candidate { .. }, _) => false,
            (Role::Leader { progress }, Outcome::Matched(index)) => {
                progress[&from].matched >= *index
            }
            (Role::Leader { progress }, Outcome::Conflict { rejected, .. }) => {
                progress[&from].matched >= *rejected
            }
            (Role::Leader { progress }, Outcome::Lost(_)) => progress[&from].lost,
        },
    }
}
