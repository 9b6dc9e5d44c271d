//! Runs a check to its last state, and says honestly whether it did.
//!
//! stateright's searches end silently for several reasons; all of them look like completion. Here a
//! search is complete if every unique state has had its successors asked for: the reachable states
//! are then closed under steps, whatever the search did to get there.

use std::any::Any;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use model::violation;
use stateright::{Checker, HasDiscoveries, Model};

use crate::counterexample::{self, Counterexample};
use crate::portfolio::Check;
use crate::report::{PropertyReport, Report, Verdict};

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// States reached, each counted once.
    pub unique: usize,
    /// States reached, counted each time.
    pub total: usize,
    /// The longest path so far.
    pub depth: usize,
    /// States whose successors are still to be looked at.
    pub pending: usize,
    /// Since the start.
    pub elapsed: Duration,
}

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What a search has found.
struct Search {
    unique: usize,
    total: usize,
    depth: usize,
    complete: bool,
    discovered: BTreeSet<&'static str>,
    error: Option<String>,
}

impl Search {
    /// The searcher itself has failed; what it had found went with it.
    fn broken(panic: &(dyn Any + Send)) -> Self {
        let error = violation::of_panic(panic).to_string();
        Self {
            unique: 0,
            total: 0,
            depth: 0,
            complete: false,
            discovered: BTreeSet::new(),
            error: Some(format!("the search broke down: {error}")),
        }
    }
}

/// Runs `check` on `threads` threads and reports.
pub fn run(check: &Check, threads: NonZeroUsize, progress: impl FnMut(Progress)) -> Report {
    let start = Instant::now();
    let search = catch_unwind(AssertUnwindSafe(|| search(check, threads, progress)));
    let seconds = start.elapsed().as_secs_f64();
    report(check, threads, &search.unwrap_or_else(|panic| Search::broken(panic.as_ref())), seconds)
}

fn search(check: &Check, threads: NonZeroUsize, mut progress: impl FnMut(Progress)) -> Search {
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
            elapsed: start.elapsed(),
        });
        thread::sleep(REPORT_EVERY);
    }
    let checker = checker.join();
    let unique = checker.unique_state_count();
    // Before the paths are replayed: that asks for successors too.
    let complete = checker.model().expanded() == unique;
    Search {
        unique,
        total: checker.state_count(),
        depth: checker.max_depth(),
        complete,
        discovered: checker.discoveries().into_keys().collect(),
        error: None,
    }
}

fn report(check: &Check, threads: NonZeroUsize, search: &Search, seconds: f64) -> Report {
    let properties: Vec<_> = check
        .properties()
        .into_iter()
        .map(|property| {
            let discovered = search.discovered.contains(property.name);
            let verdict = match (property.goal, discovered, search.complete) {
                (true, true, _) => Verdict::Passed,
                (false, true, _) => Verdict::Failed,
                (true, false, true) => Verdict::Failed, // A goal out of reach.
                (false, false, true) => Verdict::Passed,
                (_, false, false) => Verdict::Incomplete,
            };
            PropertyReport { name: property.name, kind: property.word(), verdict }
        })
        .collect();
    let failed = properties.iter().find(|p| p.verdict == Verdict::Failed);
    let pinned = search.unique as u64 == check.unique_states;
    let verdict = match (failed, search.complete) {
        (Some(_), _) => Verdict::Failed,
        (None, false) => Verdict::Incomplete,
        (None, true) if !pinned => Verdict::Failed,
        (None, true) => Verdict::Passed,
    };
    let counterexample = failed.and_then(|failed| find_counterexample(check, failed.name));
    Report {
        name: check.name,
        verdict,
        unique_states: search.unique as u64,
        pinned_unique_states: check.unique_states,
        total_states: search.total as u64,
        depth: search.depth as u64,
        seconds,
        threads: threads.get(),
        error: search.error.clone(),
        engine: "stateright 0.31 depth-first",
        properties,
        bounds: check.bounds(),
        counterexample,
    }
}

fn find_counterexample(check: &Check, property: &str) -> Option<Counterexample> {
    let property = check.properties().into_iter().find(|p| p.name == property && !p.goal)?;
    counterexample::find(&check.system(), &property)
}
