//! Minimising: leaving events out of a trace as long as it breaks the same promise.

use std::time::{Duration, Instant};

/// Leaves out chunks of a list, large ones first, as long as it stays `broken`: delta debugging.
/// Stops when no single element can be left out, or when the time is over.
#[must_use]
pub fn minimise<T: Clone>(
    mut list: Vec<T>,
    time: Duration,
    broken: impl Fn(&[T]) -> bool,
) -> Vec<T> {
    let started = Instant::now();
    let mut chunk = list.len().div_ceil(2);
    while chunk > 0 {
        let before = list.len();
        let mut end = list.len();
        while end > 0 && started.elapsed() < time {
            let start = end.saturating_sub(chunk);
            let fewer = [&list[..start], &list[end..]].concat();
            if broken(&fewer) {
                list = fewer;
            }
            end = start;
        }
        let is_done = started.elapsed() >= time || chunk == 1 && list.len() == before;
        chunk = if is_done { 0 } else { chunk.div_ceil(2).min(list.len()) };
        if chunk == 1 && list.is_empty() {
            break;
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(list: Vec<u32>, broken: impl Fn(&[u32]) -> bool) -> Vec<u32> {
        minimise(list, Duration::from_secs(10), broken)
    }

    #[test]
    fn only_what_is_needed_stays_in_its_order() {
        let needs = |wanted: &'static [u32]| {
            move |list: &[u32]| wanted.iter().all(|number| list.contains(number))
        };
        let all = || (0..1_000).collect::<Vec<u32>>();
        assert_eq!(reduced(all(), needs(&[3, 500, 501, 999])), [3, 500, 501, 999]);
        assert_eq!(reduced(all(), needs(&[0])), [0]);
        assert!(reduced(all(), needs(&[])).is_empty());
        assert!(reduced(Vec::new(), needs(&[])).is_empty());
    }

    #[test]
    fn elements_that_go_only_together_stay() {
        let even = |list: &[u32]| list.len().is_multiple_of(2) && list.contains(&7);
        assert_eq!(reduced((0..16).collect(), even).len() % 2, 0);
    }
}
