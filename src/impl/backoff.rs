//! Backoff: how long a client waits before it asks again.
//!
//! A request that is asked again while the first copy still waits for its turn makes the queue
//! longer in which it waits. So a client waits for twice the time that answers have taken lately,
//! and longer the more often it has asked in vain or was told that the servers are overloaded. A
//! random part keeps clients apart that were refused together.

use std::time::Duration;

use crate::rng::Rng;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(4);

/// How many times a client asks before it doubles its wait. Under loss, when most answers come
/// within a millisecond, asking soon again is right; a cluster that has not answered for seconds
/// is not helped by it.
const TRIES: u32 = 8;

/// The waits of the sessions of one client.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// The wait of a client that knows nothing of the servers.
    least: Duration,
    /// About how long answers have taken lately.
    usual: Duration,
    /// For each session, how often it has asked in vain.
    tries: Vec<u32>,
    rng: Rng,
}

impl Backoff {
    pub(crate) fn new(least: Duration) -> Self {
        Self { least, usual: Duration::ZERO, tries: Vec::new(), rng: Rng::from_entropy() }
    }

    /// A session begins an operation.
    pub(crate) fn begin(&mut self, session: usize) {
        if self.tries.len() <= session {
            self.tries.resize(session + 1, 0);
        }
        self.tries[session] = 0;
    }

    /// An operation has ended, after this time.
    pub(crate) fn on_answer(&mut self, took: Duration) {
        self.usual = (self.usual * 7 + took) / 8;
    }

    /// The servers have told a session that they are overloaded.
    pub(crate) fn on_overload(&mut self, session: usize) {
        self.tries[session] += TRIES;
    }

    /// The wait of a session before it asks again. It will have asked once more in vain then.
    pub(crate) fn wait(&mut self, session: usize) -> Duration {
        let doublings = (self.tries[session] / TRIES).min(8);
        self.tries[session] += 1;
        let wait = (self.least.max(self.usual * 2) * (1 << doublings)).min(LONGEST);
        // Between three quarters and five quarters of it.
        self.rng.duration(&(wait * 3 / 4..wait * 5 / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(250);

    fn is_about(wait: Duration, expected: Duration) -> bool {
        wait >= expected * 3 / 4 && wait <= expected * 5 / 4
    }

    #[test]
    fn wait_doubles_with_tries_in_vain_up_to_the_longest() {
        let mut backoff = Backoff::new(LEAST);
        backoff.begin(0);
        for doublings in 0..4 {
            for _ in 0..TRIES {
                assert!(is_about(backoff.wait(0), LEAST * (1 << doublings)));
            }
        }
        for _ in 0..100 {
            assert!(is_about(backoff.wait(0), LONGEST));
        }
        backoff.begin(0);
        assert!(is_about(backoff.wait(0), LEAST));
    }

    #[test]
    fn wait_follows_the_time_that_answers_take_and_is_longer_for_who_is_refused() {
        let mut backoff = Backoff::new(LEAST);
        backoff.begin(1);
        for _ in 0..100 {
            backoff.on_answer(Duration::from_millis(500));
        }
        assert!(is_about(backoff.wait(1), backoff.usual * 2));
        assert!(is_about(backoff.usual, Duration::from_millis(500)));
        backoff.on_overload(1);
        assert!(is_about(backoff.wait(1), backoff.usual * 4));
        for _ in 0..100 {
            backoff.on_answer(Duration::from_millis(1));
        }
        backoff.begin(1);
        assert!(is_about(backoff.wait(1), LEAST));
    }
}
