//! What a group holds, in figures, for whoever looks after a cluster.

use serde::{Deserialize, Serialize};

use super::ownership::{Ownership, Phase};
use super::store::Shards;
use crate::kv::Machine;
use crate::types::{ConfigNum, ShardId};

/// What a server knows of its group's shards. Others may know more, or less.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Holdings {
    /// The configuration that the group has reached.
    pub config: ConfigNum,
    /// Whether the server leads the group.
    pub leads: bool,
    /// The shards that are not absent, in order.
    pub shards: Vec<Holding>,
}

/// What a group has of one shard.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Holding {
    /// The shard.
    pub shard: ShardId,
    /// What the group has to do with it.
    pub phase: Phase,
    /// How many keys the group has of it.
    pub keys: u64,
    /// How many bytes these take with their values.
    pub bytes: u64,
}

impl Holdings {
    /// What a server knows of its group's shards.
    #[must_use]
    pub fn of(shards: &Shards, leads: bool) -> Self {
        let holding = |(shard, ownership): (ShardId, &Ownership)| {
            let phase = ownership.phase();
            let store = ownership.machine().map(|machine: &Machine| &machine.store);
            let (keys, bytes) = store.map_or((0, 0), |store| (store.keys() as u64, store.bytes()));
            Holding { shard, phase, keys, bytes }
        };
        Self { config: shards.config.num, leads, shards: shards.iter().map(holding).collect() }
    }
}
