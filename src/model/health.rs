//! The condition of one server, for the people who look after a cluster.
//!
//! A server tells it to any client that asks. It is what this server knows: others may know more,
//! and a deposed leader may not know that it is one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::founding::Founder;
use crate::raft::{Members, Role};
use crate::replica::{Dispute, Replica, Room};
use crate::types::{Index, NodeId, Term};

/// The condition of one server.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Health {
    /// The server belongs to no group yet.
    Founding {
        /// The servers that it has heard from, or that have agreed with it.
        heard: BTreeSet<NodeId>,
        /// The members that it has pledged itself to.
        pledge: Option<Arc<Members>>,
    },
    /// The server is a member of a group.
    Member(Member),
}

/// The condition of a member of a group.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Member {
    /// The members of the group.
    pub members: Arc<Members>,
    /// The server's term.
    pub term: Term,
    /// The server that it takes for the leader of that term, itself perhaps.
    pub leader: Option<NodeId>,
    /// The last entry that it knows to be committed.
    pub commit: Index,
    /// The last entry of its log.
    pub last: Index,
    /// An entry that it has acknowledged and lost: it takes no part in the group any more.
    pub lost: Option<Index>,
    /// The room on its disk.
    pub room: Room,
    /// Whether it leads and has refused requests a short time ago, because it has as much under way
    /// as it may have.
    pub overloaded: bool,
    /// Its disagreements about the membership, by the other server.
    pub disputes: BTreeMap<NodeId, Dispute>,
    /// The progress of each other member, if the server leads.
    pub followers: BTreeMap<NodeId, Follower>,
}

/// The progress of a follower, as its leader knows it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Follower {
    /// The last entry that it has acknowledged.
    pub matched: Index,
    /// Whether it has lost an entry that it had acknowledged, and does not count any more.
    pub lost: bool,
}

impl Health {
    /// The condition of a server that belongs to no group yet.
    #[must_use]
    pub fn of_founder(founder: &Founder) -> Self {
        let heard = match founder {
            Founder::Gathering { heard } => heard.keys().copied().collect(),
            Founder::Pledged { agreed, .. } => agreed.clone(),
            Founder::Refused { .. } => BTreeSet::new(),
        };
        Self::Founding { heard, pledge: founder.pledge().cloned() }
    }

    /// The condition of a member of a group. Its number is `id`.
    #[must_use]
    pub fn of_member(id: NodeId, replica: &Replica) -> Self {
        let raft = &replica.raft;
        let leader = match &raft.role {
            Role::Follower { leader } => *leader,
            Role::Candidate { .. } => None,
            Role::Leader { .. } => Some(id),
        };
        let followers = raft.progress().into_iter().flatten().map(|(server, progress)| {
            (*server, Follower { matched: progress.matched, lost: progress.lost })
        });
        Self::Member(Member {
            members: Arc::clone(raft.members()),
            term: raft.term(),
            leader,
            commit: raft.commit,
            last: raft.last().index,
            lost: raft.persistent.lost,
            room: replica.room(),
            overloaded: replica.is_overloaded(),
            disputes: replica.disputes().clone(),
            followers: followers.collect(),
        })
    }
}
