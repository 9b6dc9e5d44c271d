//! Random numbers of a seed: the same seed gives the same numbers on every machine.

/// A generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of a seed for one purpose, which these numbers name.
    #[must_use]
    pub fn of(seed: u64, purpose: &[u64]) -> Self {
        let mut draw = Self(seed);
        for number in purpose {
            draw.0 = draw.next() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        draw
    }

    /// Returns the next number.
    // The name says it best, and the numbers have no end: they are no iterator.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns a number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// Returns a number from `first` to `last`.
    pub fn within(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// Returns true once in `times` on average, and never if that is 0.
    pub fn once_in(&mut self, times: u32) -> bool {
        times > 0 && self.below(times as usize) == 0
    }

    /// Returns true in so many of a thousand cases.
    pub fn permille(&mut self, rate: u16) -> bool {
        rate > 0 && self.below(1_000) < usize::from(rate)
    }

    /// Returns one of these, of which there must be one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_seed_and_purpose_only() {
        let first = |mut draw: Draw| draw.next();
        assert_eq!(first(Draw::of(1, &[2, 3])), first(Draw::of(1, &[2, 3])));
        assert_ne!(first(Draw::of(1, &[2, 3])), first(Draw::of(1, &[3, 2])));
        assert_ne!(first(Draw::of(1, &[2])), first(Draw::of(2, &[2])));
    }

    #[test]
    fn rates_are_kept() {
        let mut draw = Draw::new(7);
        let hits = (0..100_000).filter(|_| draw.permille(250)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| draw.below(3) < 3 && !draw.once_in(0)));
    }
}
