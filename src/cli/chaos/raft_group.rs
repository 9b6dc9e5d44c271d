//! Which servers keep one log together: all of a cluster by itself, or the controller's, and those
//! of each group.

use std::collections::BTreeSet;

use model::machine::Kind;
use model::types::{GroupId, NodeId};
use runtime::cluster::Cluster;

/// Servers that keep one log together.
#[derive(Clone, Debug)]
pub(super) struct RaftGroup {
    /// What they keep.
    pub(super) kind: Kind,
    pub(super) servers: BTreeSet<u16>,
}

impl RaftGroup {
    /// All of a cluster, in the order of their first servers: the controller, if there is one, is
    /// before the groups.
    pub(super) fn all(cluster: &Cluster) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for member in &cluster.node {
            if !all.iter().any(|group| group.servers.contains(&member.id)) {
                let (kind, servers) = cluster.role(NodeId(member.id));
                all.push(Self { kind, servers: servers.iter().map(|server| server.0).collect() });
            }
        }
        all
    }

    /// Its number, if it has shards.
    pub(super) fn id(&self) -> Option<GroupId> {
        match &self.kind {
            Kind::Group(group) => Some(group.id),
            Kind::Store | Kind::Controller { .. } => None,
        }
    }

    /// Its servers, beginning with this one if it is among them.
    pub(super) fn from(&self, first: u16) -> Vec<u16> {
        self.servers.range(first..).chain(self.servers.range(..first)).copied().collect()
    }

    /// The most of its servers that the others can do without.
    pub(super) fn minority(&self) -> usize {
        (self.servers.len() - 1) / 2
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use runtime::cluster::Sharding;

    use super::*;

    fn all(servers: u16, sharding: Option<Sharding>) -> Vec<RaftGroup> {
        let address = |server| SocketAddr::from((Ipv4Addr::LOCALHOST, 1_000 + server));
        let addresses: Vec<_> = (0..servers).map(address).collect();
        RaftGroup::all(&Cluster { sharding, ..Cluster::draw(&addresses).unwrap() })
    }

    #[test]
    fn every_server_is_in_one_group_and_the_controllers_come_first() {
        let groups = all(9, Some(Sharding::even(2, 3, 4)));
        let ids: Vec<_> = groups.iter().map(RaftGroup::id).collect();
        assert_eq!(ids, [None, Some(GroupId(1)), Some(GroupId(2))]);
        let servers: Vec<_> = groups.iter().flat_map(|group| &group.servers).copied().collect();
        assert!(servers.into_iter().eq(0..9));
        assert!(all(5, None).iter().all(|group| group.servers.len() == 5));
    }

    #[test]
    fn servers_come_in_turn() {
        let [group] = all(5, None).try_into().unwrap();
        assert_eq!(group.from(3), [3, 4, 0, 1, 2]);
        assert_eq!(group.from(7), [0, 1, 2, 3, 4], "it is not among them");
        assert_eq!(group.minority(), 2);
    }
}
