//! Members of a group: which servers they are, in which incarnation, and what the group is for.
//!
//! The membership is the first fact in the log of every member: entry 0, written when the group
//! was founded ([`crate::founding`]). A server takes its group's membership from its own log and
//! from nowhere else: neither from a configuration file, nor from the servers that it has met. So
//! all members count majorities of one and the same set.
//!
//! **Incarnations.** A server draws a random number when its disk is new. A server that returns
//! with an empty disk has forgotten its votes and what it has acknowledged; its new incarnation
//! tells it from the member that it was.
//!
//! **Credentials.** Each message between members carries the incarnation of its sender and the
//! [`Fingerprint`] of the membership in the sender's log. A message whose credentials are not those
//! of a member has no effect ([`Members::admits`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::quorum;
use crate::types::{GroupId, NodeId};

/// The number that a server draws at random when its disk is new. A server that has lost its disk
/// comes back as another incarnation.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl Display for Incarnation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "i{:x}", self.0)
    }
}

impl Debug for Incarnation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The part that a group has in its cluster. All members agree on it when they found the group, and
/// it never changes.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Purpose {
    /// The group keeps the whole store by itself.
    #[default]
    Store,
    /// The group is the controller of a store that is divided into this many shards.
    Controller {
        /// The number of shards.
        shards: u16,
    },
    /// The group keeps some of the shards.
    Shards {
        /// The group's number.
        group: GroupId,
        /// The number of shards that the store is divided into.
        shards: u16,
        /// The servers of the controller.
        controllers: BTreeSet<NodeId>,
    },
}

impl Display for Purpose {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("the whole store"),
            Self::Controller { shards } => write!(f, "the controller of {shards} shards"),
            Self::Shards { group, shards, controllers } => {
                write!(f, "group {group} of {shards} shards under the controller {controllers:?}")
            }
        }
    }
}

/// The members of a group, each with its incarnation, and the group's purpose.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "Parts", into = "Parts")]
pub struct Members {
    purpose: Purpose,
    servers: BTreeMap<NodeId, Incarnation>,
    /// A function of the other two, kept because every message carries it.
    fingerprint: Fingerprint,
}

/// A digest of a membership. Two servers with different memberships have different fingerprints,
/// but for a chance of 2^-64.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Fingerprint(u64);

impl Debug for Fingerprint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The proof that a message comes from a member: it names the incarnation of its sender, and the
/// membership that the sender's log holds.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Credentials {
    /// The incarnation of the sender.
    pub incarnation: Incarnation,
    /// The membership in the sender's log.
    pub members: Fingerprint,
}

/// A membership as it stands in messages and logs.
#[derive(Clone, Serialize, Deserialize)]
struct Parts {
    purpose: Purpose,
    servers: BTreeMap<NodeId, Incarnation>,
}

impl From<Parts> for Members {
    fn from(Parts { purpose, servers }: Parts) -> Self {
        Self::new(purpose, servers)
    }
}

impl From<Members> for Parts {
    fn from(Members { purpose, servers, fingerprint: _ }: Members) -> Self {
        Self { purpose, servers }
    }
}

/// The membership of a log that belongs to no group. No server runs with such a log.
impl Default for Members {
    fn default() -> Self {
        Self::new(Purpose::default(), BTreeMap::new())
    }
}

impl Members {
    /// The membership of a group with this purpose and these servers.
    #[must_use]
    pub fn new(purpose: Purpose, servers: BTreeMap<NodeId, Incarnation>) -> Self {
        let fingerprint = Fingerprint::of(&purpose, &servers);
        Self { purpose, servers, fingerprint }
    }

    /// The part that the group has in its cluster.
    #[must_use]
    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// The members' numbers, in order.
    pub fn servers(&self) -> impl Iterator<Item = NodeId> {
        self.servers.keys().copied()
    }

    /// The members other than `server`, in order.
    pub fn others(&self, server: NodeId) -> impl Iterator<Item = NodeId> {
        self.servers().filter(move |other| *other != server)
    }

    /// Returns the incarnation of a member.
    #[must_use]
    pub fn incarnation(&self, server: NodeId) -> Option<Incarnation> {
        self.servers.get(&server).copied()
    }

    /// The number of members.
    #[must_use]
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// The number of members that are a majority.
    #[must_use]
    pub fn majority(&self) -> usize {
        quorum::majority(self.count())
    }

    /// The credentials of a server in this incarnation whose log holds this membership.
    #[must_use]
    pub fn credentials(&self, incarnation: Incarnation) -> Credentials {
        Credentials { incarnation, members: self.fingerprint }
    }

    /// Whether `credentials` are those of the member `from`: the incarnation that the group was
    /// founded with, and the same membership.
    #[must_use]
    pub fn admits(&self, from: NodeId, credentials: Credentials) -> bool {
        self.incarnation(from) == Some(credentials.incarnation)
            && credentials.members == self.fingerprint
    }
}

impl Fingerprint {
    /// FNV-1a over the numbers of the membership: the same in every build and on every machine.
    fn of(purpose: &Purpose, servers: &BTreeMap<NodeId, Incarnation>) -> Self {
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |number: u64| {
            for byte in number.to_le_bytes() {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        match purpose {
            Purpose::Store => add(0),
            Purpose::Controller { shards } => {
                add(1);
                add(u64::from(*shards));
            }
            Purpose::Shards { group, shards, controllers } => {
                add(2);
                add(u64::from(group.0));
                add(u64::from(*shards));
                add(controllers.len() as u64);
                controllers.iter().for_each(|server| add(u64::from(server.0)));
            }
        }
        for (server, incarnation) in servers {
            add(u64::from(server.0));
            add(incarnation.0);
        }
        Self(digest)
    }
}

/// As in `{n0 i7f, n1 i31}`.
impl Debug for Members {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Display for Members {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self
            .servers
            .iter()
            .map(|(server, incarnation)| format!("{server} {incarnation}"))
            .collect();
        write!(f, "{{{}}}", servers.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(purpose: Purpose, servers: &[(u16, u64)]) -> Members {
        let servers = servers.iter().map(|(id, life)| (NodeId(*id), Incarnation(*life)));
        Members::new(purpose, servers.collect())
    }

    #[test]
    fn only_a_member_with_this_membership_is_admitted() {
        let own = members(Purpose::Store, &[(0, 7), (1, 8), (2, 9)]);
        assert!(own.admits(NodeId(1), own.credentials(Incarnation(8))));
        assert!(!own.admits(NodeId(1), own.credentials(Incarnation(9))), "another incarnation");
        assert!(!own.admits(NodeId(3), own.credentials(Incarnation(8))), "no member");
        for other in [
            members(Purpose::Store, &[(0, 7), (1, 8)]),
            members(Purpose::Store, &[(0, 7), (1, 8), (2, 9), (3, 1)]),
            members(Purpose::Store, &[(0, 7), (1, 8), (2, 10)]),
            members(Purpose::Controller { shards: 1 }, &[(0, 7), (1, 8), (2, 9)]),
        ] {
            assert!(!own.admits(NodeId(1), other.credentials(Incarnation(8))), "{other}");
        }
    }

    #[test]
    fn purposes_that_differ_have_different_fingerprints() {
        let shards = |group, shards, controllers: &[u16]| Purpose::Shards {
            group: GroupId(group),
            shards,
            controllers: controllers.iter().copied().map(NodeId).collect(),
        };
        let purposes = [
            Purpose::Store,
            Purpose::Controller { shards: 4 },
            Purpose::Controller { shards: 5 },
            shards(1, 4, &[0]),
            shards(2, 4, &[0]),
            shards(1, 5, &[0]),
            shards(1, 4, &[1]),
            shards(1, 4, &[0, 1]),
        ];
        let of = |purpose: &Purpose| members(purpose.clone(), &[(5, 1), (6, 2)]).fingerprint;
        let fingerprints: BTreeSet<_> = purposes.iter().map(of).collect();
        assert_eq!(fingerprints.len(), purposes.len());
    }
}
