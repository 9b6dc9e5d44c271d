//! What a cluster is to be made of.

use std::fmt::{self, Display, Formatter};

use runtime::cluster::Sharding;
use serde::Serialize;

/// About how many bytes of a shard go into one message: little, so that one that holds little moves
/// in several parts.
const PART_BYTES: usize = 2 << 10;

/// What a cluster is to be made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Layout {
    /// How many servers there are; with groups in each of them, and the controller.
    pub(super) servers: u16,
    #[serde(flatten)]
    pub(super) groups: Option<Groups>,
}

/// The groups that share the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Groups {
    pub(super) groups: u16,
    pub(super) shards: u16,
}

impl Layout {
    pub(super) fn sharding(&self) -> Option<Sharding> {
        let Groups { groups, shards } = self.groups?;
        let even = Sharding::even(groups, self.servers, shards);
        Some(Sharding { part_bytes: PART_BYTES, ..even })
    }

    /// How many servers there are in all, each a process.
    pub(super) fn processes(&self) -> u16 {
        self.servers * self.groups.map_or(1, |groups| groups.groups + 1)
    }

    /// How many shards there are. A store by itself is one.
    pub(super) fn shards(&self) -> u16 {
        self.groups.map_or(1, |groups| groups.shards)
    }
}

impl Display for Layout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let servers = self.servers;
        match self.groups {
            None => write!(f, "{servers} servers"),
            Some(Groups { groups, shards }) => write!(
                f,
                "a controller and {groups} groups of {servers} servers each, {shards} shards"
            ),
        }
    }
}
