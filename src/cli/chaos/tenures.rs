//! Who had each shard, and from when on.

use std::collections::BTreeMap;
use std::ops::Range;

use checks::recorded::Recorded;
use model::shard::route::shard_of;
use model::types::{ConfigNum, GroupId, ShardId};

use super::rest::Sharded;

/// Who had each shard, in order. Times are those of the history.
pub(super) struct Tenures {
    shards: u16,
    of: BTreeMap<ShardId, Vec<Tenure>>,
}

/// The time of one owner.
struct Tenure {
    owner: GroupId,
    since: ConfigNum,
    /// When that was asked for.
    asked: u64,
    /// When the owner had answered an operation.
    arrived: u64,
}

impl Tenures {
    /// What the configurations say, and the operations that were answered.
    pub(super) fn of(history: &[Recorded], sharded: &Sharded) -> Self {
        let shards = sharded.configurations.first().map_or(1, |config| config.assignment.len());
        let mut tenures = Self { shards: shards as u16, of: BTreeMap::new() };
        for (made, before, config) in sharded.steps() {
            for (shard, owner) in config.assignment.iter() {
                let (was, Some(owner)) = (before.assignment.owner(shard), owner) else { continue };
                if was != Some(owner) {
                    // The first owner has nothing to wait for.
                    let arrived = if was.is_none() { made.asked } else { u64::MAX };
                    let tenure = Tenure { owner, since: config.num, asked: made.asked, arrived };
                    tenures.of.entry(shard).or_default().push(tenure);
                }
            }
        }
        for recorded in history {
            tenures.note_arrival(recorded, sharded);
        }
        tenures
    }

    /// Whoever has carried out an operation that was answered has the shard by then, and whoever
    /// had it before had it before.
    fn note_arrival(&mut self, recorded: &Recorded, sharded: &Sharded) {
        let (shard, operation) = (self.shard(recorded), &recorded.operation);
        let carried_out = sharded.since.get(&(operation.client, recorded.number));
        if let (Some(since), Some(answered)) = (carried_out, operation.ret) {
            for tenure in self.of.entry(shard).or_default() {
                if tenure.since <= *since {
                    tenure.arrived = tenure.arrived.min(answered);
                }
            }
        }
    }

    /// The shard that an operation is about.
    pub(super) fn shard(&self, recorded: &Recorded) -> ShardId {
        shard_of(recorded.operation.op.key(), self.shards)
    }

    /// Whether the shard was moving at any time of these: from the moment at which a change was
    /// asked for that gave it to another group, until that had answered an operation on it.
    pub(super) fn moving(&self, shard: ShardId, when: Range<u64>) -> bool {
        let mut tenures = self.of.get(&shard).into_iter().flatten();
        tenures.any(|tenure| tenure.asked <= when.end && when.start <= tenure.arrived)
    }

    /// The owner of a shard at a time at which it was not moving.
    pub(super) fn owner(&self, shard: ShardId, at: u64) -> Option<GroupId> {
        let tenures = self.of.get(&shard)?;
        tenures.iter().rfind(|tenure| tenure.asked <= at).map(|tenure| tenure.owner)
    }

    /// The shards that a configuration gave to others, each with the time that it took.
    pub(super) fn moved_by(&self, num: ConfigNum) -> impl Iterator<Item = Option<u64>> {
        let tenures = self.of.values().flatten().filter(move |tenure| tenure.since == num);
        tenures.map(|Tenure { asked, arrived, .. }| {
            Some(*arrived).filter(|arrived| *arrived < u64::MAX).map(|arrived| arrived - asked)
        })
    }
}
