//! stateright's search.
//!
//! Its searches end silently for several reasons; all of them look like completion. Here a search
//! is complete if every unique state has had its successors asked for: the reachable states are
//! then closed under steps, whatever the search did to get there.

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use super::{Progress, Search};
use crate::counterexample;
use crate::portfolio::Check;

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_millis(100);

pub(super) fn search(
    check: &Check,
    threads: NonZeroUsize,
    mut progress: impl FnMut(Progress),
) -> Search {
    let start = Instant::now();
    let checker = check
        .system()
        .checker()
        .threads(threads.get())
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs();
    while !checker.is_done() {
        let unique = checker.unique_state_count();
        progress(Progress {
            unique,
            total: checker.state_count(),
            depth: checker.max_depth(),
            pending: unique.saturating_sub(checker.model().expanded()),
            kept: None,
            elapsed: start.elapsed(),
        });
        thread::sleep(REPORT_EVERY);
    }
    let checker = checker.join();
    let unique = checker.unique_state_count();
    // Before the paths are replayed: that asks for successors too.
    let complete = checker.model().expanded() == unique;
    let discovered = checker.discoveries().into_keys().collect();
    let broken = |property: &model::properties::Property| {
        !property.goal && checker.discovery(property.name).is_some()
    };
    let counterexample = check
        .properties()
        .into_iter()
        .find(broken)
        .and_then(|property| counterexample::find(&check.system(), &property));
    Search {
        unique,
        total: checker.state_count(),
        depth: checker.max_depth(),
        complete,
        discovered,
        error: None,
        recovered: None, // stateright cannot ask.
        peak_memory: None,
        collision_probability: None,
        counterexample,
    }
}
