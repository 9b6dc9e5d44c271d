//! What a leader knows of one follower.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use crate::types::Index;

/// What a leader knows of one follower [Raft Fig. 2].
///
/// While nothing is known to match, the leader *probes*: one request at a time, further back after
/// each conflict. Once something matches it *pipelines*: `next` runs ahead of `matched` by what is
/// under way, and falls back to it when that seems lost.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Progress {
    /// The next entry to send.
    pub next: Index,
    /// Up to here the follower's log is known to be the leader's, durably. Only grows.
    pub matched: Index,
    /// Whether the follower has said that it has lost an entry that it had acknowledged. The leader
    /// does not count it any more, and sends it no entries.
    pub lost: bool,
}

impl Progress {
    /// A follower of which nothing is known, to be probed at the end of the leader's log.
    #[must_use]
    pub fn probe(next: Index) -> Self {
        Self { next, matched: Index::ZERO, lost: false }
    }

    /// Whether the leader still looks for the point where the logs agree.
    #[must_use]
    pub fn is_probing(&self) -> bool {
        self.matched == Index::ZERO
    }

    /// Whether another request may follow those under way, of which at most `window` entries are
    /// unanswered.
    #[must_use]
    pub fn has_room(&self, window: usize) -> bool {
        !self.lost && !self.is_probing() && self.next.0 - self.matched.next().0 < window as u64
    }

    /// The follower has everything up to `index`. Says whether that is news.
    #[must_use]
    pub fn on_matched(&mut self, index: Index) -> bool {
        if index <= self.matched {
            return false;
        }
        self.matched = index;
        self.next = self.next.max(index.next());
        true
    }

    /// The request behind `rejected` did not match; the logs may agree at `hint`. Says whether that
    /// was a request still under way.
    #[must_use]
    pub fn on_conflict(&mut self, rejected: Index, hint: Index) -> bool {
        if rejected <= self.matched || rejected >= self.next {
            return false;
        }
        self.next = hint.min(rejected.previous()).next().max(self.matched.next());
        true
    }

    /// What is under way may be lost: send it again.
    pub fn rewind(&mut self) {
        if !self.is_probing() {
            self.next = self.matched.next();
        }
    }
}

impl Debug for Progress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "matched {} next {}", self.matched, self.next)?;
        if self.lost { f.write_str(" lost") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(index: u64) -> Progress {
        Progress { matched: Index(index), ..Progress::probe(Index(index).next()) }
    }

    #[test]
    fn late_conflict_is_not_taken_for_an_answer() {
        let mut progress = Progress { next: Index(9), ..matched(5) };
        assert!(!progress.on_conflict(Index(5), Index(0)));
        assert!(!progress.on_conflict(Index(9), Index(0)));
        assert_eq!(progress, Progress { next: Index(9), ..matched(5) });
        assert!(progress.on_conflict(Index(7), Index(2)));
        assert_eq!(progress, Progress { next: Index(6), ..matched(5) });
    }

    #[test]
    fn window_counts_unanswered_entries() {
        let progress = Progress { next: Index(8), ..matched(5) };
        assert!(!progress.has_room(2));
        assert!(progress.has_room(3));
        assert!(!Progress::probe(Index(8)).has_room(3));
        assert!(!Progress { lost: true, ..progress }.has_room(3));
    }
}
