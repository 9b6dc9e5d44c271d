//! The set of fingerprints of all states that have been reached.
//!
//! Eight bytes for each state, in one array that threads share without locks. A fingerprint stands
//! in the first free place at or behind where it belongs, so a look-up touches one cache line,
//! which is fetched ahead of time ([`Visited::glance`]). The array does not grow by itself: whoever
//! owns it grows it between two passes of the search, when no other thread looks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::fingerprint::mix;

/// What stands in a free place; no fingerprint is 0.
const FREE: u64 = 0;

/// How full the array may be, in eighths: beyond, look-ups grow long.
const FULL_EIGHTHS: usize = 6;

/// Beyond this many places the array grows by half, not twofold: old and new exist at once.
const GROW_SLOWLY_FROM: usize = 1 << 20;

/// A set of fingerprints.
pub(crate) struct Visited {
    places: Box<[AtomicU64]>,
}

impl Visited {
    /// An empty set with room for some: enough for each thread to add thousands more when it is
    /// full already, before they all notice.
    pub(crate) fn for_threads(threads: usize) -> Self {
        Self { places: free(threads << 16) }
    }

    /// An empty set with room for so many.
    pub(crate) fn with_room_for(count: usize) -> Self {
        Self { places: free((count / FULL_EIGHTHS + 1) * 8) }
    }

    /// How many bytes the set takes.
    pub(crate) fn bytes(&self) -> usize {
        self.places.len() * size_of::<u64>()
    }

    /// How many bytes growing takes for a while, on top of [`Self::bytes`].
    pub(crate) fn bytes_to_grow(&self) -> usize {
        self.next_size() * size_of::<u64>()
    }

    /// Whether the set must grow once it has so many.
    pub(crate) fn is_full(&self, count: usize) -> bool {
        count > self.places.len() / 8 * FULL_EIGHTHS
    }

    /// Whether a fingerprint stands where it belongs. *No* means nothing yet. For a batch of
    /// fingerprints the processor fetches all those places at once, and [`Self::insert`] then finds
    /// them near.
    #[inline]
    pub(crate) fn glance(&self, fingerprint: u64) -> bool {
        let home = place(fingerprint, self.places.len());
        self.places[home].load(Ordering::Relaxed) == fingerprint
    }

    /// Whether a fingerprint is there.
    pub(crate) fn contains(&self, fingerprint: u64) -> bool {
        let mut at = place(fingerprint, self.places.len());
        loop {
            match self.places[at].load(Ordering::Relaxed) {
                FREE => return false,
                found if found == fingerprint => return true,
                _ => at = if at + 1 == self.places.len() { 0 } else { at + 1 },
            }
        }
    }

    /// Adds a fingerprint; gives whether it is new. Of several threads that add the same one,
    /// exactly one is told so. Callers count: a counter that all threads write to would be slower
    /// than the set.
    #[inline]
    pub(crate) fn insert(&self, fingerprint: u64) -> bool {
        let mut at = place(fingerprint, self.places.len());
        loop {
            let found = self.places[at].load(Ordering::Relaxed);
            if found == fingerprint {
                return false;
            }
            if found == FREE {
                let swapped = self.places[at].compare_exchange(
                    FREE,
                    fingerprint,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                match swapped {
                    Ok(_) => return true,
                    Err(other) if other == fingerprint => return false,
                    Err(_) => {} // Somebody else took the place.
                }
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }

    /// Makes room, on so many threads.
    pub(crate) fn grow(&mut self, threads: usize) {
        let grown = Self { places: free(self.next_size()) };
        let larger = &grown;
        // Old places are in the order of the new ones, so this walks through memory, not over it.
        thread::scope(|scope| {
            for places in self.places.chunks(self.places.len().div_ceil(threads)) {
                scope.spawn(move || {
                    for place in places {
                        let fingerprint = place.load(Ordering::Relaxed);
                        if fingerprint != FREE {
                            larger.insert(fingerprint);
                        }
                    }
                });
            }
        });
        self.places = grown.places;
    }

    fn next_size(&self) -> usize {
        let now = self.places.len();
        if now < GROW_SLOWLY_FROM { now * 2 } else { now + now / 2 }
    }
}

/// Where a fingerprint belongs among `count` places: in the order of its mixed value.
#[inline]
fn place(fingerprint: u64, count: usize) -> usize {
    ((u128::from(mix(fingerprint)) * count as u128) >> 64) as usize
}

fn free(count: usize) -> Box<[AtomicU64]> {
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
