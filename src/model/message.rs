//! Messages between servers, clients and administrators.

use std::fmt::{self, Debug, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::founding;
use crate::kv::command::{Output, Request};
use crate::machine::Command;
use crate::raft;
use crate::shard::controller::{Order, Outcome};
use crate::shard::{migration, txn};
use crate::types::{ClientId, ConfigNum, GroupId, NodeId, RequestId};

/// What a replica and its clients and peers tell each other.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Message {
    /// Between servers of one group.
    Raft(raft::Message<Command>),
    /// A client asks.
    Request(Request),
    /// A server answers a client.
    Reply(Reply),
    /// An administrator asks the controller.
    Change(Request<Order>),
    /// The controller answers.
    Outcome(Reply<Outcome>),
    /// Between servers of different groups, and the controller's.
    Migration(migration::Message),
    /// Between servers of different groups.
    Transaction(txn::Message),
    /// Between the servers that are to found a group, and from members to those that are none.
    Founding(founding::Message),
}

impl Message {
    /// What it says between servers of one group, if it does.
    #[must_use]
    pub fn raft(&self) -> Option<&raft::Message<Command>> {
        match self {
            Self::Raft(message) => Some(message),
            Self::Request(_)
            | Self::Reply(_)
            | Self::Change(_)
            | Self::Outcome(_)
            | Self::Migration(_)
            | Self::Transaction(_)
            | Self::Founding(_) => None,
        }
    }

    /// The request for an operation on a key, if it is one.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Request(request) => Some(request),
            Self::Raft(_)
            | Self::Reply(_)
            | Self::Change(_)
            | Self::Outcome(_)
            | Self::Migration(_)
            | Self::Transaction(_)
            | Self::Founding(_) => None,
        }
    }

    /// The answer to such a request, if it is one.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Reply(reply) => Some(reply),
            Self::Raft(_)
            | Self::Request(_)
            | Self::Change(_)
            | Self::Outcome(_)
            | Self::Migration(_)
            | Self::Transaction(_)
            | Self::Founding(_) => None,
        }
    }
}

/// The answer to a request.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Reply<T = Output> {
    /// The session that asked.
    pub client: ClientId,
    /// The request that is answered.
    pub number: RequestId,
    /// The answer.
    pub answer: Answer<T>,
}

/// What a client is told. There is no *failed* for a request that may be in anyone's log: it is
/// left unanswered, and the client asks again or ends with *unknown*.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Answer<T = Output> {
    /// The request has taken effect, with this result.
    Done(T),
    /// The server does not take this copy of the request, for this reason. The copy has not taken
    /// effect and never will.
    Refused(NotTaken),
    /// This server does not lead; ask that one. A client needs it to find the leader without
    /// asking around.
    Redirect(NodeId),
    /// This group, which has reached this configuration, does not own the shard. The request has
    /// not taken effect here; elsewhere it may.
    Elsewhere(ConfigNum),
}

/// The reason for which a server does not take a request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum NotTaken {
    /// The request breaks a limit, so no server takes it.
    TooLarge,
    /// The leader has as much under way as it may have. It may take the request later.
    Overloaded,
    /// The disk of the leader is full. It takes the request when there is room again.
    DiskFull,
    /// The change gives shards to this group, of which the controller has heard nothing lately. The
    /// controller takes the change when it hears the group, or when it is forced.
    Silent(GroupId),
}

impl NotTaken {
    /// Whether the reason may pass within a moment, without help from people.
    #[must_use]
    pub fn may_pass(self) -> bool {
        match self {
            Self::Overloaded | Self::Silent(_) => true,
            Self::TooLarge | Self::DiskFull => false,
        }
    }
}

impl Display for NotTaken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the request is larger than the servers allow"),
            Self::Overloaded => f.write_str("the servers are overloaded: ask again later"),
            Self::DiskFull => f.write_str("the disk of the leader is full: make room on it"),
            Self::Silent(group) => write!(
                f,
                "group {group} has not answered the controller lately: start its servers, or give \
                 it shards all the same with --force"
            ),
        }
    }
}

impl Debug for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raft(message) => message.fmt(f),
            Self::Transaction(message) => message.fmt(f),
            Self::Request(request) => request.fmt(f),
            Self::Reply(reply) => write!(f, "Reply({} {:?})", reply.number, reply.answer),
            Self::Change(request) => request.fmt(f),
            Self::Outcome(reply) => write!(f, "Outcome({} {:?})", reply.number, reply.answer),
            Self::Migration(message) => message.fmt(f),
            Self::Founding(message) => message.fmt(f),
        }
    }
}
