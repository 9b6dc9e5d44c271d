//! How groups of servers share the store of a cluster.
//!
//! ```toml
//! [sharding]
//! shards = 16                 # how many parts the keys are cut into; it never changes
//! part_bytes = 131072         # how many bytes of a shard go into one message
//! controller = [0, 1, 2]      # the nodes that say which group has which of them
//!
//! [[sharding.group]]
//! id = 1
//! nodes = [3, 4, 5]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use model::limits::MAX_PART_BYTES;
use model::replica::Kind;
use model::shard;
use model::shard::config::Servers;
use model::types::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

/// How many shards a cluster has if nothing else is said.
pub const DEFAULT_SHARDS: u16 = 16;

/// Enough that a disk is not synced too often for what moves, and little enough that clients do not
/// wait long for it (`benches/README.md` has both).
const DEFAULT_PART_BYTES: usize = 128 << 10;

/// Who is who in a cluster whose store several groups share. Every node has one place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharding {
    /// How many parts the keys are cut into. It never changes.
    #[serde(default = "default_shards")]
    pub shards: u16,
    /// How many bytes of a shard go into one message: keys and sessions that fit together, or one
    /// that is larger.
    #[serde(default = "default_part_bytes")]
    pub part_bytes: usize,
    /// The servers of the controller.
    pub controller: Vec<u16>,
    /// The groups. They serve nothing before they have joined.
    #[serde(default)]
    pub group: Vec<Group>,
}

/// Servers that keep one log, and the shards that they own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The number of the group.
    pub id: u16,
    /// Its servers.
    pub nodes: Vec<u16>,
}

fn default_shards() -> u16 {
    DEFAULT_SHARDS
}

fn default_part_bytes() -> usize {
    DEFAULT_PART_BYTES
}

impl Sharding {
    /// A controller and groups of so many servers each: the controller's are the first, then come
    /// those of group 1, and so on.
    #[must_use]
    pub fn even(groups: u16, servers: u16, shards: u16) -> Self {
        let nodes = |place: u16| (place * servers..(place + 1) * servers).collect();
        let group = |id| Group { id, nodes: nodes(id) };
        Self {
            shards,
            part_bytes: DEFAULT_PART_BYTES,
            controller: nodes(0),
            group: (1..=groups).map(group).collect(),
        }
    }

    /// How many servers there are in all.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.controller.len() + self.group.iter().map(|group| group.nodes.len()).sum::<usize>()
    }

    /// The servers of the controller.
    #[must_use]
    pub fn controllers(&self) -> Servers {
        servers(&self.controller)
    }

    /// The groups and their servers.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<GroupId, Servers> {
        self.group.iter().map(|group| (GroupId(group.id), servers(&group.nodes))).collect()
    }

    /// What a server keeps, and together with whom.
    pub(super) fn role(&self, node: NodeId) -> (Kind, Servers) {
        let (shards, part_bytes, controllers) = (self.shards, self.part_bytes, self.controllers());
        match self.groups().into_iter().find(|(_, servers)| servers.contains(node)) {
            None => (Kind::Controller { shards }, controllers),
            Some((id, servers)) => {
                let members = servers.clone();
                let group = shard::Group { id, shards, servers, controllers, part_bytes };
                (Kind::Group(group), members)
            }
        }
    }

    /// Whether each of so many nodes has one place.
    pub(super) fn check(&self, nodes: usize) -> Result<(), String> {
        if self.shards == 0 {
            return Err("a cluster has at least one shard".to_owned());
        }
        if !(1..=MAX_PART_BYTES).contains(&self.part_bytes) {
            return Err(format!("part_bytes is from 1 to {MAX_PART_BYTES}"));
        }
        let groups: BTreeSet<_> = self.group.iter().map(|group| group.id).collect();
        if groups.len() != self.group.len() {
            return Err("two groups have one id".to_owned());
        }
        let controller = ("the controller".to_owned(), &self.controller);
        let named = self.group.iter().map(|group| (format!("group {}", group.id), &group.nodes));
        let mut placed = BTreeSet::new();
        for (name, members) in [controller].into_iter().chain(named) {
            if members.is_empty() {
                return Err(format!("{name} has no nodes"));
            }
            for node in members {
                if usize::from(*node) >= nodes {
                    return Err(format!("{name} lists node {node}, and there is none"));
                }
                if !placed.insert(*node) {
                    return Err(format!("{name} lists node {node}, which is listed before"));
                }
            }
        }
        match (0..nodes as u16).find(|node| !placed.contains(node)) {
            Some(node) => Err(format!("node {node} is neither in a group nor the controller's")),
            None => Ok(()),
        }
    }
}

fn servers(nodes: &[u16]) -> Servers {
    nodes.iter().copied().map(NodeId).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_groups_are_numbered_one_after_the_other() {
        let sharding = Sharding::even(2, 3, 10);
        assert_eq!((sharding.nodes(), sharding.check(9)), (9, Ok(())));
        let (kind, peers) = sharding.role(NodeId(2));
        assert_eq!((kind, peers), (Kind::Controller { shards: 10 }, servers(&[0, 1, 2])));
        let (kind, peers) = sharding.role(NodeId(6));
        let Kind::Group(group) = kind else { panic!("{kind:?}") };
        assert_eq!((group.id, peers), (GroupId(2), servers(&[6, 7, 8])));
        assert_eq!((group.shards, group.controllers), (10, servers(&[0, 1, 2])));
    }

    #[test]
    fn every_node_has_one_place() {
        let even = || Sharding::even(2, 1, 4);
        let changed = |change: fn(&mut Sharding)| {
            let mut sharding = even();
            change(&mut sharding);
            sharding.check(3).unwrap_err()
        };
        assert_eq!(even().check(3), Ok(()));
        assert!(changed(|s| s.shards = 0).contains("at least one shard"));
        assert!(changed(|s| s.part_bytes = 0).contains("from 1 to 1048576"));
        assert!(changed(|s| s.part_bytes = 4 << 20).contains("from 1 to 1048576"));
        assert!(changed(|s| s.controller.clear()).contains("the controller has no nodes"));
        assert!(changed(|s| s.group[0].id = 2).contains("two groups have one id"));
        assert!(changed(|s| s.group[1].nodes.push(9)).contains("group 2 lists node 9"));
        assert!(changed(|s| s.group[1].nodes.push(1)).contains("is listed before"));
        assert!(changed(|s| drop(s.group.pop())).contains("node 2 is neither"));
    }
}
