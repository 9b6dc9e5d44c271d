//! Which timer is due.
//!
//! Setting a timer takes effect in two steps, so that its time does not include the disk's: `set`
//! ends any earlier setting at once, and [`start`](Timers::start), called when everything has been
//! saved and sent, lets the new time run.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The timers of one actor, each set at most once.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    armed: HashMap<T, Armed>,
    /// The timers that run, by the moment they are due and then in the order they were started in.
    running: BTreeMap<(Instant, u64), T>,
    /// Timers set since the last start. Some may have been cancelled, some are here twice.
    fresh: Vec<T>,
    count: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Armed {
    /// To run for so long, once started.
    Set(Duration),
    /// The key among those that run.
    Runs(Instant, u64),
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { armed: HashMap::new(), running: BTreeMap::new(), fresh: Vec::new(), count: 0 }
    }
}

impl<T: Clone + Eq + Hash> Timers<T> {
    /// Sets `timer` to run for `duration` from the next [`start`](Self::start), instead of whatever
    /// it was set to.
    pub fn set(&mut self, timer: &T, duration: Duration) {
        self.cancel(timer);
        self.armed.insert(timer.clone(), Armed::Set(duration));
        self.fresh.push(timer.clone());
    }

    /// Unsets `timer`, if it is set.
    pub fn cancel(&mut self, timer: &T) {
        if let Some(Armed::Runs(due, count)) = self.armed.remove(timer) {
            self.running.remove(&(due, count));
        }
    }

    /// Lets the timers run that were set since the last start.
    pub fn start(&mut self, now: Instant) {
        for timer in self.fresh.drain(..) {
            let Some(armed) = self.armed.get_mut(&timer) else { continue };
            if let Armed::Set(duration) = *armed {
                let due = now + duration.min(FOREVER);
                self.count += 1;
                *armed = Armed::Runs(due, self.count);
                self.running.insert((due, self.count), timer);
            }
        }
    }

    /// The moment the next timer is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.running.first_key_value().map(|(key, _)| key.0)
    }

    /// Unsets one timer that is due, the one that has been so for longest, and returns it.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        let first = self.running.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let timer = first.remove();
        self.armed.remove(&timer);
        Some(timer)
    }
}

/// Longer than any run, and short enough to add to the present moment.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn timers_fire_in_order_of_their_moments() {
        let now = crate::clock::now();
        let mut timers = Timers::default();
        timers.set(&'b', 2 * MS);
        timers.set(&'a', MS);
        timers.set(&'c', 2 * MS);
        assert_eq!(timers.next_due(), None);
        timers.start(now);
        assert_eq!(timers.next_due(), Some(now + MS));
        assert_eq!(timers.take_due(now), None);
        let late = now + 5 * MS;
        let fired: Vec<_> = std::iter::from_fn(|| timers.take_due(late)).collect();
        assert_eq!(fired, ['a', 'b', 'c']);
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn setting_again_ends_the_earlier_setting_at_once() {
        let now = crate::clock::now();
        let mut timers = Timers::default();
        timers.set(&'a', MS);
        timers.start(now);
        timers.set(&'a', 3 * MS);
        assert_eq!(timers.take_due(now + 9 * MS), None);
        timers.start(now + MS);
        assert_eq!(timers.take_due(now + 3 * MS), None);
        assert_eq!(timers.take_due(now + 4 * MS), Some('a'));
    }

    #[test]
    fn of_several_settings_before_a_start_the_last_counts() {
        let now = crate::clock::now();
        let mut timers = Timers::default();
        timers.set(&'a', MS);
        timers.cancel(&'a');
        timers.set(&'a', 2 * MS);
        timers.set(&'a', 3 * MS);
        timers.set(&'b', MS);
        timers.cancel(&'b');
        timers.start(now);
        assert_eq!(timers.next_due(), Some(now + 3 * MS));
        assert_eq!(timers.take_due(now + 3 * MS), Some('a'));
        assert_eq!(timers.take_due(now + 9 * MS), None);
    }

    #[test]
    fn a_timer_set_without_duration_fires_once_for_each_start() {
        let now = crate::clock::now();
        let mut timers = Timers::default();
        timers.set(&(), Duration::ZERO);
        timers.start(now);
        assert_eq!(timers.take_due(now), Some(()));
        timers.set(&(), Duration::ZERO);
        assert_eq!(timers.take_due(now), None);
        timers.set(&(), Duration::MAX);
        timers.start(now);
        assert_eq!(timers.take_due(now + 1_000_000 * MS), None);
    }

    quickcheck! {
        /// Against a map from timer to moment.
        fn timers_agree_with_a_map(operations: Vec<(u8, u8, u8)>) -> bool {
            let start = crate::clock::now();
            let (mut now, mut order) = (start, 0);
            let mut timers = Timers::default();
            let mut map = BTreeMap::new();
            operations.into_iter().all(|(operation, timer, amount)| {
                let amount = u32::from(amount) * MS;
                match operation % 4 {
                    0 => {
                        timers.set(&timer, amount);
                        timers.start(now);
                        order += 1;
                        map.insert(timer, (now + amount, order));
                        true
                    }
                    1 => {
                        timers.cancel(&timer);
                        map.remove(&timer);
                        true
                    }
                    2 => {
                        now += amount;
                        true
                    }
                    _ => {
                        let first = map.iter().min_by_key(|(_, due)| **due);
                        let due = first.filter(|(_, due)| due.0 <= now).map(|(timer, _)| *timer);
                        due.map(|timer| map.remove(&timer));
                        timers.take_due(now) == due
                    }
                }
            })
        }
    }
}
