//! The set of fingerprints of all states that have been reached.
//!
//! Eight bytes for each state, in one array that threads share without locks. A fingerprint stands
//! in the first free place at or behind where it belongs, so a look-up touches one cache line,
//! which is fetched ahead of time ([`Visited::glance`]). The array does not grow by itself: whoever
//! owns it grows it between two passes of the search, when no other thread looks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::fingerprint::mix;

/// What stands in a free place; no fingerprint is 0.
const FREE: u64 = 0;

/// How full the array may be, in eighths: beyond, look-ups grow long.
const FULL_EIGHTHS: usize = 6;

/// Beyond this many places the array grows by half, not twofold: old and new exist at once.
const GROW_SLOWLY_FROM: usize = 1 << 27;

/// A set of fingerprints.
pub(crate) struct Visited {
    places: Box<[AtomicU64]>,
    count: AtomicUsize,
}

impl Visited {
    /// An empty set with room for some.
    pub(crate) fn new() -> Self {
        Self { places: free(1 << 16), count: AtomicUsize::new(0) }
    }

    /// An empty set with room for so many.
    pub(crate) fn with_room_for(count: usize) -> Self {
        Self { places: free((count / FULL_EIGHTHS + 1) * 8), count: AtomicUsize::new(0) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many bytes the set takes.
    pub(crate) fn bytes(&self) -> usize {
        self.places.len() * size_of::<u64>()
    }

    /// How many bytes growing takes for a while, on top of [`Self::bytes`].
    pub(crate) fn bytes_to_grow(&self) -> usize {
        self.next_size() * size_of::<u64>()
    }

    /// Adds what a thread has counted: see [`Self::insert`].
    pub(crate) fn count(&self, added: usize) {
        self.count.fetch_add(added, Ordering::Relaxed);
    }

    /// Whether the set must grow before `more` are added.
    pub(crate) fn is_full_with(&self, more: usize) -> bool {
        self.len() + more > self.places.len() / 8 * FULL_EIGHTHS
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
    /// exactly one is told so. The caller counts, and reports with [`Self::count`]: a counter that
    /// all threads write to would be slower than the set.
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

    /// Makes room.
    pub(crate) fn grow(&mut self) {
        let larger = Self { places: free(self.next_size()), count: AtomicUsize::new(0) };
        // Old places are in the order of the new ones, so this walks through memory, not over it.
        for place in &self.places {
            let fingerprint = place.load(Ordering::Relaxed);
            if fingerprint != FREE {
                larger.insert(fingerprint);
            }
        }
        self.places = larger.places;
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
    use std::thread;

    use super::*;

    #[test]
    fn each_is_new_once_also_across_growth() {
        let mut set = Visited::new();
        for round in 0..3 {
            let range = round * 30_000..(round + 1) * 30_000;
            for fingerprint in range.clone() {
                assert!(set.insert(fingerprint + 1));
            }
            set.count(30_000);
            while set.is_full_with(60_000) {
                set.grow();
            }
            assert!((0..range.end).all(|fingerprint| !set.insert(fingerprint + 1)));
        }
        assert_eq!(set.len(), 90_000);
    }

    #[test]
    fn of_several_threads_one_is_told() {
        let set = Visited::new();
        let told: usize = thread::scope(|scope| {
            let adder = || (1..40_000).filter(|fingerprint| set.insert(*fingerprint)).count();
            let threads = [scope.spawn(adder), scope.spawn(adder), scope.spawn(adder)];
            threads.map(|thread| thread.join().expect("no panic")).iter().sum()
        });
        assert_eq!(told, 39_999);
    }
}
