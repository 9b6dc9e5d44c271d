//! Several groups that share a store, and give each other shards.

mod challenge;
mod clients;
mod controller;
mod decisions;
mod faults;
mod load;
mod moving;
mod records;
mod transactions;
mod waiting;

use model::types::{GroupId, ShardId};

use crate::world::{Administrator, World};

/// Moves a shard to another of three groups.
fn move_any(world: &World, admin: &mut Administrator<'_>) {
    let shard = world.below(usize::from(world.shards())) as u16;
    let owner = admin.latest().assignment.owner(ShardId(shard));
    let others: Vec<_> = (1..=3).filter(|group| owner != Some(GroupId(*group))).collect();
    admin.move_shard(shard, others[world.below(2)]);
}
