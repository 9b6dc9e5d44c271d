//! Configurations: which groups there are, of which servers, and which shards each group owns.
//!
//! Configurations are numbered and never change; a join, a leave or a move makes the next one. All
//! replicas of the controller apply the same changes in the same order, so each must give the same
//! result everywhere: there is no order here but that of numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;

use im::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use super::rebalance;
use crate::types::{ConfigNum, GroupId, NodeId, ShardId};

/// The servers of a group: each once, in order. Clones share them.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Servers(Arc<BTreeSet<NodeId>>);

impl FromIterator<NodeId> for Servers {
    fn from_iter<I: IntoIterator<Item = NodeId>>(servers: I) -> Self {
        Self(Arc::new(servers.into_iter().collect()))
    }
}

impl Servers {
    /// The servers, in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().copied()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, server: NodeId) -> bool {
        self.0.contains(&server)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none. No group of a configuration is without servers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Debug for Servers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, f)
    }
}

/// Which group owns each shard. Clones share their structure.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Assignment(Vector<Option<GroupId>>);

impl Assignment {
    /// So many shards that nobody owns.
    #[must_use]
    pub fn unowned(shards: u16) -> Self {
        Self((0..shards).map(|_| None).collect())
    }

    /// The owner of the shard, if it has one. A shard that does not exist has none.
    #[must_use]
    pub fn owner(&self, shard: ShardId) -> Option<GroupId> {
        self.0.get(usize::from(shard.0)).copied().flatten()
    }

    /// What the group owns, in order.
    pub fn shards_of(&self, group: GroupId) -> impl Iterator<Item = ShardId> {
        self.iter().filter(move |(_, owner)| *owner == Some(group)).map(|(shard, _)| shard)
    }

    /// Every shard and its owner, in order.
    pub fn iter(&self) -> impl Iterator<Item = (ShardId, Option<GroupId>)> {
        // Leaf by leaf: twice as fast as the vector's own iterator.
        (0..=u16::MAX).map(ShardId).zip(self.0.leaves().flatten().copied())
    }

    /// How many shards there are. It never changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no shards at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the shard to another owner.
    pub(super) fn set(&mut self, shard: ShardId, owner: Option<GroupId>) {
        assert!(usize::from(shard.0) < self.len(), "{shard} is none of {} shards", self.len());
        self.0.set(usize::from(shard.0), owner);
    }
}

/// The owners in the order of their shards, as in `[g1 g1 - g2]`.
impl Debug for Assignment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let owners: Vec<_> = self
            .0
            .iter()
            .map(|owner| owner.map_or("-".into(), |group| group.to_string()))
            .collect();
        write!(f, "[{}]", owners.join(" "))
    }
}

/// Who serves what: a configuration, which never changes once it has its number.
///
/// - Every owner is one of the groups.
/// - Either there are groups and every shard has an owner, or there are none and no shard has.
/// - No server is in two groups, and no group is without servers.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Configuration {
    /// Its number: one more than that of the configuration it was made from.
    pub num: ConfigNum,
    /// The groups and their servers.
    pub groups: OrdMap<GroupId, Servers>,
    /// Who owns each shard.
    pub assignment: Assignment,
}

/// Why there is no next configuration. A refused change has changed nothing and taken no number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Refusal {
    /// Join, Leave: no group was named.
    NoGroup,
    /// Join: the group is there already.
    GroupExists(GroupId),
    /// Join: the group has no servers.
    NoServers(GroupId),
    /// Join: the server is in another group, or would be in two.
    ServerTaken(NodeId),
    /// Join: the group has been there before, with other servers.
    OtherServers(GroupId),
    /// Leave: no group would be left to take the shards.
    LastGroup,
    /// Leave, Move: there is no such group.
    UnknownGroup(GroupId),
    /// Move: there is no such shard.
    UnknownShard(ShardId),
    /// Move: the group owns the shard already.
    AlreadyThere(ShardId),
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGroup => f.write_str("no group was named"),
            Self::GroupExists(group) => write!(f, "group {group} is there already"),
            Self::NoServers(group) => write!(f, "group {group} has no servers"),
            Self::ServerTaken(server) => write!(f, "server {server} would be in two groups"),
            Self::OtherServers(group) => write!(f, "group {group} was there with other servers"),
            Self::LastGroup => f.write_str("no group would be left to take the shards"),
            Self::UnknownGroup(group) => write!(f, "there is no group {group}"),
            Self::UnknownShard(shard) => write!(f, "there is no shard {shard}"),
            Self::AlreadyThere(shard) => write!(f, "shard {shard} is there already"),
        }
    }
}

impl Error for Refusal {}

impl Configuration {
    /// Configuration 0: no groups, and so many shards, which nobody owns. There are never more or
    /// fewer of them.
    #[must_use]
    pub fn initial(shards: u16) -> Self {
        Self { num: ConfigNum(0), groups: OrdMap::new(), assignment: Assignment::unowned(shards) }
    }

    /// What a group by itself looks like: it has one shard, and nobody to share with.
    #[must_use]
    pub(super) fn alone(servers: Servers) -> (GroupId, Self) {
        let group = GroupId(1);
        let mut assignment = Assignment::unowned(1);
        assignment.set(ShardId(0), Some(group));
        (group, Self { num: ConfigNum(1), groups: OrdMap::unit(group, servers), assignment })
    }

    /// Adds groups, all at once, and gives them their share of the shards.
    ///
    /// # Errors
    /// If no group is named, one is there already or has no servers, or a server would be in two
    /// groups. The group with the lowest number that cannot join is the one that is told of.
    pub fn join(&self, groups: &BTreeMap<GroupId, Servers>) -> Result<Self, Refusal> {
        if groups.is_empty() {
            return Err(Refusal::NoGroup);
        }
        let mut next = self.groups.clone();
        let mut taken: BTreeSet<_> = self.groups.values().flat_map(Servers::iter).collect();
        for (group, servers) in groups {
            if servers.is_empty() {
                return Err(Refusal::NoServers(*group));
            }
            if next.insert(*group, servers.clone()).is_some() {
                return Err(Refusal::GroupExists(*group));
            }
            if let Some(server) = servers.iter().find(|server| !taken.insert(*server)) {
                return Err(Refusal::ServerTaken(server));
            }
        }
        Ok(self.rebalanced(next))
    }

    /// Removes groups, all at once, and gives their shards to those that stay. If none stays, no
    /// shard has an owner.
    ///
    /// # Errors
    /// If no group is named, or one is not there: then the one with the lowest number is told of.
    pub fn leave(&self, groups: &BTreeSet<GroupId>) -> Result<Self, Refusal> {
        if groups.is_empty() {
            return Err(Refusal::NoGroup);
        }
        let mut next = self.groups.clone();
        for group in groups {
            if next.remove(group).is_none() {
                return Err(Refusal::UnknownGroup(*group));
            }
        }
        Ok(self.rebalanced(next))
    }

    /// Gives one shard to a group, whether or not that is balanced. It stays there until the next
    /// join or leave, which balance all shards anew.
    ///
    /// # Errors
    /// If there is no such shard or no such group, or if the group owns the shard already.
    pub fn move_shard(&self, shard: ShardId, group: GroupId) -> Result<Self, Refusal> {
        if usize::from(shard.0) >= self.assignment.len() {
            return Err(Refusal::UnknownShard(shard));
        }
        if !self.groups.contains_key(&group) {
            return Err(Refusal::UnknownGroup(group));
        }
        if self.assignment.owner(shard) == Some(group) {
            return Err(Refusal::AlreadyThere(shard));
        }
        let mut assignment = self.assignment.clone();
        assignment.set(shard, Some(group));
        Ok(Self { num: self.num.next(), groups: self.groups.clone(), assignment })
    }

    /// The next configuration, with these groups.
    fn rebalanced(&self, groups: OrdMap<GroupId, Servers>) -> Self {
        let assignment = rebalance(&self.assignment, groups.keys().copied());
        Self { num: self.num.next(), groups, assignment }
    }
}

/// As in `v2 {g1: {n1, n2}} [g1 g1 g1]`.
impl Debug for Configuration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.num, self.groups, self.assignment)
    }
}
