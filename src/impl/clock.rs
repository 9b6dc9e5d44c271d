//! The real clock, read here and nowhere else in this crate.
//!
//! It is monotonic: no decision depends on the time of day, so none is upset when that is set.

use std::time::Instant;

/// The present moment.
pub fn now() -> Instant {
    Instant::now()
}
