//! Figures about a server and its group's shards, for the people who look after a cluster.

use serde::{Deserialize, Serialize};

use super::ownership::{Ownership, Phase};
use super::store::Shards;
use crate::health::Health;
use crate::kv::Machine;
use crate::types::{ConfigNum, ShardId};

/// The condition of a server, and what it knows of its group's shards. Others may know more, or
/// less.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Holdings {
    /// The condition of the server.
    pub server: Health,
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
    /// The answer of a server that keeps no shards.
    #[must_use]
    pub fn none(server: Health, leads: bool) -> Self {
        Self { server, config: ConfigNum::default(), leads, shards: Vec::new() }
    }

    /// The answer of a server whose group keeps shards.
    #[must_use]
    pub fn of(server: Health, shards: &Shards, leads: bool) -> Self {
        let holding = |(shard, ownership): (ShardId, &Ownership)| {
            let phase = ownership.phase();
            let store = ownership.machine().map(|machine: &Machine| &machine.store);
            let (keys, bytes) = store.map_or((0, 0), |store| (store.keys() as u64, store.bytes()));
            Holding { shard, phase, keys, bytes }
        };
        let config = shards.config.num;
        Self { server, config, leads, shards: shards.iter().map(holding).collect() }
    }
}
