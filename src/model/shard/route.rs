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

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/wire.md` has these: other numbers would lose sight of what is stored.
    #[test]
    fn keys_stay_in_their_shards() {
        let long = "x".repeat(4096);
        for (key, expected) in [
            ("", [0, 1, 9, 15, 95]),
            ("a", [0, 0, 0, 0, 1]),
            ("k", [0, 1, 5, 8, 54]),
            ("greeting", [0, 1, 9, 15, 94]),
            ("user:1001", [0, 1, 5, 8, 54]),
            (&long, [0, 1, 9, 15, 99]),
        ] {
            let shards = [1, 2, 10, 16, 100].map(|shards| shard_of(&Key::from(key), shards).0);
            assert_eq!(shards, expected, "{key}");
        }
    }

    #[test]
    fn keys_are_spread_evenly() {
        for shards in [2, 10, 16, 100] {
            let mut counts = vec![0_u32; usize::from(shards)];
            for number in 0..100 * u32::from(shards) {
                counts[usize::from(shard_of(&Key::from(format!("key{number:08}")), shards).0)] += 1;
            }
            // 100 each, and more than five standard deviations off is no chance.
            assert!(counts.iter().all(|count| (50..=150).contains(count)), "{counts:?}");
        }
    }
}
