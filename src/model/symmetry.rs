//! Servers under other names.
//!
//! Raft breaks no symmetry: nothing in it compares the servers' names. So two states that differ
//! in names only have the same future, by other names, and a checker needs to look at one of them.
//! The same holds for the servers of one group among several: everybody else knows a group by all
//! of its servers, and that set has no other names. Groups have names that administrators use, and
//! keep them. Clients have scripts of their own and keep their names; a client that asks one
//! server first breaks the symmetry ([`crate::system::Reductions::any_server`]). In every system
//! that is searched in this way all members are in their first incarnation, so the members that a
//! log, a pledge or a message names have no other names either.

use crate::founding::Founder;
use crate::node::Node;
use crate::raft::{Persistent, Role};
use crate::replica::{Answer, Command, Message};
use crate::system::HostState;
use crate::types::NodeId;

/// A host's state with all servers renamed.
#[must_use]
pub fn host(state: &HostState, rename: &dyn Fn(NodeId) -> NodeId) -> HostState {
    let mut renamed = state.clone();
    if let Node::Server(replica) = &mut renamed.node {
        persistent(&mut replica.raft.persistent, rename);
        role(&mut replica.raft.role, rename);
        let disputes = std::mem::take(replica.disputes_mut()).into_iter();
        *replica.disputes_mut() = disputes.map(|(other, why)| (rename(other), why)).collect();
    }
    if let Node::Founder(founder) = &mut renamed.node {
        self::founder(founder, rename);
    }
    if let Some(stale) = renamed.stale_member_mut() {
        persistent(stale, rename);
    }
    renamed
}

/// A message with all servers renamed.
#[must_use]
pub fn message(message: &Message, rename: &dyn Fn(NodeId) -> NodeId) -> Message {
    let mut renamed = message.clone();
    match &mut renamed {
        // They name no server, or all those of a group.
        Message::Raft(_)
        | Message::Request(_)
        | Message::Change(_)
        | Message::Migration(_)
        | Message::Transaction(_)
        | Message::Founding(_) => {}
        Message::Outcome(reply) => match &mut reply.answer {
            Answer::Redirect(leader) => *leader = rename(*leader),
            // A refusal names the first of some servers: such are not of the system.
            Answer::Done(_) | Answer::Refused(_) | Answer::Elsewhere(_) => {}
        },
        Message::Reply(reply) => match &mut reply.answer {
            Answer::Redirect(leader) => *leader = rename(*leader),
            Answer::Done(_) | Answer::Refused(_) | Answer::Elsewhere(_) => {}
        },
    }
    renamed
}

fn persistent(persistent: &mut Persistent<Command>, rename: &dyn Fn(NodeId) -> NodeId) {
    persistent.vote = persistent.vote.map(rename);
}

fn founder(founder: &mut Founder, rename: &dyn Fn(NodeId) -> NodeId) {
    match founder {
        Founder::Gathering { heard } => {
            let renamed = std::mem::take(heard).into_iter();
            *heard = renamed.map(|(server, theirs)| (rename(server), theirs)).collect();
        }
        Founder::Pledged { members: _, agreed } => {
            *agreed = agreed.iter().copied().map(rename).collect();
        }
        Founder::Refused { by, refusal: _, pledge: _ } => *by = rename(*by),
    }
}

fn role(role: &mut Role, rename: &dyn Fn(NodeId) -> NodeId) {
    match role {
        Role::Follower { leader } => *leader = leader.map(rename),
        Role::Candidate { votes } => *votes = votes.iter().copied().map(rename).collect(),
        Role::Leader { progress } => {
            let renamed = std::mem::take(progress).into_iter();
            *progress = renamed.map(|(server, known)| (rename(server), known)).collect();
        }
    }
}
