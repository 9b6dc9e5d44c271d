//! Hashes of parts, and the fingerprint of a state as their sum.
//!
//! A part is hashed once, when it is first seen, to 128 bits: enough to tell parts apart. A state's
//! fingerprint is the sum of the first 64 bits of its parts' hashes, so a successor's is known from
//! the difference between two parts, before the successor exists. Each part hashes its place along
//! with its content, so that equal contents in different places do not cancel or trade.

use std::hash::Hash;

use siphasher::sip128::{Hasher128, SipHasher13};

/// What keeps parts of different kinds apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Cell,
    Message,
    Flow,
    History,
    Tally,
    Last,
    View,
}

/// The hash of a part.
pub(crate) fn of<T: Hash + ?Sized>(kind: Kind, value: &T) -> u128 {
    let mut hasher = SipHasher13::new_with_keys(0x7368_6172_6477_7269, kind as u64);
    value.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// The hashes of one part under every renaming of the system, the identity first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sums(Box<[u64]>);

impl Sums {
    /// The hashes of a part whose content under renaming `i` hashes to `hash(i)`.
    pub(crate) fn new(renamings: usize, hash: impl FnMut(usize) -> u64) -> Self {
        Self((0..renamings).map(hash).collect())
    }

    /// The hash of the part under renaming `i`.
    pub(crate) fn at(&self, i: usize) -> u64 {
        self.0[i]
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[u64] {
        &self.0
    }

    /// What takes the place of `before` when `self` comes: their difference.
    pub(crate) fn minus(&self, before: &Self) -> Self {
        Self(self.0.iter().zip(&before.0).map(|(a, b)| a.wrapping_sub(*b)).collect())
    }
}

/// The sums over the parts of one state, one for each renaming.
#[derive(Clone, Debug, Default)]
pub(crate) struct Total(Vec<u64>);

impl Total {
    /// The sums over no parts.
    pub(crate) fn clear(&mut self, renamings: usize) {
        self.0.clear();
        self.0.resize(renamings, 0);
    }

    /// Takes over the sums of another state.
    #[inline]
    pub(crate) fn copy(&mut self, other: &Self) {
        self.0.clear();
        self.0.extend_from_slice(&other.0);
    }

    /// Adds the hashes of a part, or a difference of two.
    #[inline]
    pub(crate) fn add(&mut self, part: &[u64]) {
        for (sum, hash) in self.0.iter_mut().zip(part) {
            *sum = sum.wrapping_add(*hash);
        }
    }

    /// Removes a part.
    #[inline]
    pub(crate) fn remove(&mut self, part: &[u64]) {
        for (sum, hash) in self.0.iter_mut().zip(part) {
            *sum = sum.wrapping_sub(*hash);
        }
    }

    /// The fingerprint that all renamings of the state share: never 0.
    ///
    /// A sum of well-mixed sums rather than the least of them: as canonical, for the renamings of a
    /// state have the same sums in another order, and spread evenly over all 64 bits.
    #[inline]
    pub(crate) fn fingerprint(&self) -> u64 {
        self.0.iter().map(|sum| mix(*sum)).fold(0, u64::wrapping_add).max(1)
    }
}

/// A bijection that spreads every bit over all others [Steele et al., SplitMix64].
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
