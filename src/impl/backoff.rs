//! Backoff: how long a client waits before it asks again.
//!
//! A request that is lost is asked again soon: most answers come within milliseconds, and where
//! very many clients ask at once it is the requests that do not fit into a socket's buffer that
//! have to come again. So the wait does not grow with the time that answers take. It doubles each
//! time that the servers say that they are overloaded, and each time that a client has asked eight
//! times in vain.
//!
//! The sessions of a client that began together ask again together, and share datagrams: with
//! 48,000 sessions that makes ten times as many requests fit into the same buffers. So the first
//! waits have no random part. The longer ones have one, in steps, which keeps clients apart that
//! were refused together.

use std::time::Duration;

use crate::rng::Rng;

/// The number of times that a client asks before it doubles its wait. Under loss, when most answers
/// come within a millisecond, asking soon again is right; a cluster that has not answered for
/// seconds is not helped by it.
const TRIES: u32 = 8;

/// The waits of the sessions of one client.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// The first wait.
    least: Duration,
    /// The longest wait.
    longest: Duration,
    /// The number of times that each session has asked in vain, for its present operation.
    tries: Vec<u32>,
    rng: Rng,
}

impl Backoff {
    pub(crate) fn new(least: Duration, longest: Duration) -> Self {
        Self { least, longest, tries: Vec::new(), rng: Rng::from_entropy() }
    }

    /// Resets the wait of a session, which is new or begins an operation.
    pub(crate) fn begin(&mut self, session: usize) {
        if self.tries.len() <= session {
            self.tries.resize(session + 1, 0);
        }
        self.tries[session] = 0;
    }

    /// Doubles the next wait of a session, which the servers have refused.
    pub(crate) fn on_refusal(&mut self, session: usize) {
        self.tries[session] = self.tries[session].saturating_add(TRIES);
    }

    /// Returns the wait of a session before it asks again, and counts another try in vain.
    pub(crate) fn wait(&mut self, session: usize) -> Duration {
        let doublings = (self.tries[session] / TRIES).min(8);
        self.tries[session] = self.tries[session].saturating_add(1);
        let wait = self.least.saturating_mul(1 << doublings).min(self.longest);
        if doublings == 0 {
            return wait;
        }
        // Between three quarters and five quarters of the wait.
        let step = self.least / 4;
        let steps = wait.as_nanos() / step.as_nanos().max(1) / 2;
        wait * 3 / 4 + step * self.rng.index(steps as usize + 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(4);

    fn is_about(wait: Duration, expected: Duration) -> bool {
        wait >= expected * 3 / 4 && wait <= expected * 5 / 4
    }

    #[test]
    fn wait_doubles_with_tries_in_vain_up_to_the_longest() {
        let mut backoff = Backoff::new(LEAST, LONGEST);
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
    fn wait_doubles_with_each_refusal() {
        let mut backoff = Backoff::new(LEAST, LONGEST);
        backoff.begin(1);
        for doublings in 1..4 {
            backoff.on_refusal(1);
            assert!(is_about(backoff.wait(1), LEAST * (1 << doublings)));
        }
        backoff.begin(1);
        assert!(is_about(backoff.wait(1), LEAST));
    }
}
