//! The checker beside stateright's own searches: the same system, the same threads, no reduction.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use checker::Coverage;
use model::system::{Reductions, System};
use serde::Serialize;
use stateright::{Checker, HasDiscoveries, Model};

use crate::engine::system;
use crate::portfolio::Check;

/// How a search went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// On how many threads.
    pub threads: usize,
    /// States reached, each counted once.
    pub unique_states: usize,
    /// States reached, counted each time.
    pub total_states: usize,
    /// How long it took.
    pub seconds: f64,
    /// The most bytes kept for a state reached; if known.
    pub bytes_per_state: Option<f64>,
}

impl Run {
    /// How many times as fast as another this run was.
    #[must_use]
    pub fn speedup(&self, other: &Self) -> f64 {
        other.seconds / self.seconds
    }

    /// Whether another run has found the same states.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        (self.unique_states, self.total_states) == (other.unique_states, other.total_states)
    }
}

/// Which of stateright's searches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// Breadth-first.
    Bfs,
    /// Depth-first.
    Dfs,
}

/// Searches the system of `check` without any reduction, by the project's own engine. None if the
/// search did not come to its end.
#[must_use]
pub fn own(check: &Check, threads: NonZeroUsize) -> Option<Run> {
    let mut scope = (check.scope)();
    scope.reductions = Reductions::NONE;
    let system = system::system(&scope, &check.properties());
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let report =
        checker::search(system, checker::Options { threads, memory: None, stop: &stop }, |_| {});
    (report.coverage == Coverage::Complete).then(|| Run {
        threads: threads.get(),
        unique_states: report.unique,
        total_states: report.generated,
        seconds: start.elapsed().as_secs_f64(),
        bytes_per_state: Some(report.peak_memory as f64 / report.unique.max(1) as f64),
    })
}

/// Searches the same system by one of stateright's searches.
#[must_use]
pub fn peer(check: &Check, threads: NonZeroUsize, peer: Peer) -> Run {
    let mut scope = (check.scope)();
    scope.reductions = Reductions::NONE;
    let system = System::new(scope, check.properties());
    let start = Instant::now();
    let options = system.checker().threads(threads.get()).finish_when(HasDiscoveries::AnyFailures);
    let (unique_states, total_states) = match peer {
        Peer::Bfs => counts(&options.spawn_bfs().join()),
        Peer::Dfs => counts(&options.spawn_dfs().join()),
    };
    let seconds = start.elapsed().as_secs_f64();
    let threads = threads.get();
    Run { threads, unique_states, total_states, seconds, bytes_per_state: None }
}

fn counts(checker: &impl Checker<System>) -> (usize, usize) {
    (checker.unique_state_count(), checker.state_count())
}
