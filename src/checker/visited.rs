//! The set of fingerprints of all states that have been reached.
//!
//! Eight bytes for each state, in arrays that threads share without locks. A fingerprint stands in
//! the first free place at or behind where it belongs, so a look-up touches one cache line, which
//! is fetched ahead of time ([`Visited::glance`]). The set does not grow by itself: whoever owns it
//! grows it between two passes of the search, when no other thread looks. It is divided into shards
//! that grow one after the other, so that old and new places hardly ever exist at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::fingerprint::mix;
use crate::store::lock;

/// What stands in a free place; no fingerprint is 0.
const FREE: u64 = 0;

/// How full the set may be, in eighths: beyond, look-ups grow long.
const FULL_EIGHTHS: usize = 6;

/// A fingerprint's shard is given by so many bits.
const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;

/// The least places in a shard: by chance some have more fingerprints than others.
const SMALLEST: usize = 1 << 10;

/// Beyond this many places a shard grows by half, not twofold: to waste less.
const GROW_SLOWLY_FROM: usize = 1 << 14;

/// The places of the fingerprints that begin with the same bits.
type Shard = Box<[AtomicU64]>;

/// A set of fingerprints.
pub(crate) struct Visited {
    shards: Box<[Shard]>,
}

impl Visited {
    /// An empty set with room for some: enough for each thread to add thousands more when it is
    /// full already, before they all notice.
    pub(crate) fn for_threads(threads: usize) -> Self {
        Self::of_places(threads << 16)
    }

    /// An empty set with room for so many.
    pub(crate) fn with_room_for(count: usize) -> Self {
        Self::of_places((count / FULL_EIGHTHS + 1) * 8)
    }

    /// An empty set with room for none, in the place of one that is not needed any more.
    pub(crate) fn none() -> Self {
        Self { shards: Box::default() }
    }

    fn of_places(count: usize) -> Self {
        let each = count.div_ceil(SHARDS).max(SMALLEST);
        Self { shards: (0..SHARDS).map(|_| free(each)).collect() }
    }

    /// How many bytes the set takes.
    pub(crate) fn bytes(&self) -> usize {
        self.places() * size_of::<u64>()
    }

    /// How many bytes more it takes while it grows on so many threads.
    pub(crate) fn bytes_to_grow(&self, threads: usize) -> usize {
        let old = self.shards.iter().map(|shard| shard.len()).max().unwrap_or(0);
        let new = next_size(old);
        ((new - old) * SHARDS + old * threads) * size_of::<u64>()
    }

    /// Whether the set must grow once it has so many.
    pub(crate) fn is_full(&self, count: usize) -> bool {
        count > self.places() / 8 * FULL_EIGHTHS
    }

    /// Whether a fingerprint stands where it belongs. *No* means nothing yet. For a batch of
    /// fingerprints the processor fetches all those places at once, and [`Self::insert`] then finds
    /// them near.
    #[inline]
    pub(crate) fn glance(&self, fingerprint: u64) -> bool {
        let (shard, home) = self.home(fingerprint);
        shard[home].load(Ordering::Relaxed) == fingerprint
    }

    /// Whether a fingerprint is there.
    pub(crate) fn contains(&self, fingerprint: u64) -> bool {
        let (shard, mut at) = self.home(fingerprint);
        loop {
            match shard[at].load(Ordering::Relaxed) {
                FREE => return false,
                found if found == fingerprint => return true,
                _ => at = if at + 1 == shard.len() { 0 } else { at + 1 },
            }
        }
    }

    /// Adds a fingerprint; gives whether it is new. Of several threads that add the same one,
    /// exactly one is told so. Callers count: a counter that all threads write to would be slower
    /// than the set.
    #[inline]
    pub(crate) fn insert(&self, fingerprint: u64) -> bool {
        let (shard, home) = self.home(fingerprint);
        insert(shard, home, fingerprint)
    }

    /// Makes room, on so many threads.
    pub(crate) fn grow(&mut self, threads: usize) {
        let waiting = Mutex::new(self.shards.iter_mut());
        let next = || lock(&waiting).next();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(shard) = next() {
                        *shard = grown(shard);
                    }
                });
            }
        });
    }

    fn places(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Where a fingerprint belongs.
    #[inline]
    fn home(&self, fingerprint: u64) -> (&[AtomicU64], usize) {
        let mixed = mix(fingerprint);
        let shard = &self.shards[(mixed >> (u64::BITS - SHARD_BITS)) as usize];
        (shard, place(mixed, shard.len()))
    }
}

/// Where a fingerprint belongs among `count` places of its shard: in the order of its mixed value.
#[inline]
fn place(mixed: u64, count: usize) -> usize {
    ((u128::from(mixed << SHARD_BITS) * count as u128) >> 64) as usize
}

#[inline]
fn insert(shard: &[AtomicU64], home: usize, fingerprint: u64) -> bool {
    let mut at = home;
    loop {
        let found = shard[at].load(Ordering::Relaxed);
        if found == fingerprint {
            return false;
        }
        if found == FREE {
            let swapped =
                shard[at].compare_exchange(FREE, fingerprint, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return true,
                Err(other) if other == fingerprint => return false,
                Err(_) => {} // Somebody else took the place.
            }
        }
        at += 1;
        if at == shard.len() {
            at = 0;
        }
    }
}

/// A shard's fingerprints in a larger one. Old places are in the order of the new ones, so this
/// walks through memory, not over it.
fn grown(shard: &[AtomicU64]) -> Shard {
    let grown = free(next_size(shard.len()));
    for old in shard {
        let fingerprint = old.load(Ordering::Relaxed);
        if fingerprint != FREE {
            insert(&grown, place(mix(fingerprint), grown.len()), fingerprint);
        }
    }
    grown
}

fn next_size(now: usize) -> usize {
    if now < GROW_SLOWLY_FROM { now * 2 } else { now + now / 2 }
}

fn free(count: usize) -> Shard {
    (0..count).map(|_| AtomicU64::new(FREE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new_once_also_across_growth() {
        let mut set = Visited::for_threads(1);
        for round in 0..3 {
            let range = round * 30_000..(round + 1) * 30_000;
            for fingerprint in range.clone() {
                assert!(set.insert(fingerprint + 1));
            }
            while set.is_full(range.end as usize + 60_000) {
                set.grow(2);
            }
            assert!((0..range.end).all(|fingerprint| !set.insert(fingerprint + 1)));
        }
    }

    #[test]
    fn of_several_threads_one_is_told() {
        let set = Visited::for_threads(1);
        let told: usize = thread::scope(|scope| {
            let adder = || (1..40_000).filter(|fingerprint| set.insert(*fingerprint)).count();
            let threads = [scope.spawn(adder), scope.spawn(adder), scope.spawn(adder)];
            threads.map(|thread| thread.join().expect("no panic")).iter().sum()
        });
        assert_eq!(told, 39_999);
    }
}
