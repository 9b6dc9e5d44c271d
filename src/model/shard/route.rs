//! Which shard a key belongs to.

use crate::kv::command::Key;
use crate::types::ShardId;

/// The shard of a key, of so many: its 64-bit FNV-1a hash, scaled. Clients and servers must agree
/// on it for as long as there is data, so it is part of the wire format (`docs/wire.md`).
#[must_use]
pub fn shard_of(key: &Key, shards: u16) -> ShardId {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // FNV mixes little into its upper bits; a round of splitmix64 does.
    let mixed = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = mixed ^ mixed >> 31;
    ShardId(((u128::from(mixed) * u128::from(shards)) >> 64) as u16)
}
