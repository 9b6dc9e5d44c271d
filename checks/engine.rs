//! Runs a check to its last state, and says honestly whether it did.
//!
//! There are two engines. The project's own ([`checker`]) is the default; stateright's depth-first
//! search (`oracle`) keeps it honest: on the same check both find as many states.

pub(crate) mod compact;
mod oracle;
pub mod system;

use std::any::Any;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use checker::Recovered;
use model::properties::progress;
use model::violation;

use crate::portfolio::Check;
use crate::report::{PropertyReport, Report, Staged, Verdict};
use crate::stage::Stage;
use crate::story::Counterexample;

/// What searches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Engine {
    /// The project's own.
    #[default]
    Own,
    /// stateright's depth-first search.
    Stateright,
}

impl Engine {
    /// What it is called in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own breadth-first",
            Self::Stateright => "stateright 0.31 depth-first",
        }
    }
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What searches.
    pub engine: Engine,
    /// On how many threads.
    pub threads: NonZeroUsize,
    /// How many bytes the own engine may take, if that is bounded.
    pub memory: Option<usize>,
    /// Where the own engine starts, if not at the first state.
    pub stage: Option<&'a Stage>,
    /// Ends a search of the own engine when it becomes true.
    pub stop: &'a AtomicBool,
}

/// Nobody stops the search.
static NEVER: AtomicBool = AtomicBool::new(false);

impl Options<'static> {
    /// The default engine on so many threads, to the end.
    #[must_use]
    pub fn on(threads: NonZeroUsize) -> Self {
        Self { engine: Engine::default(), threads, memory: None, stage: None, stop: &NEVER }
    }
}

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
    /// What the own engine keeps of them: bytes, and distinct parts of states.
    pub kept: Option<Kept>,
    /// Since the start.
    pub elapsed: Duration,
}

/// What the own engine keeps.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Bytes in memory.
    pub memory: usize,
    /// Bytes on disk.
    pub spilt: u64,
    /// States walked back over so far, to see whether everything can still get done.
    pub walked: usize,
    /// Distinct parts of states.
    pub parts: usize,
}

/// What a search has found.
struct Search {
    unique: usize,
    total: usize,
    depth: usize,
    complete: bool,
    discovered: BTreeSet<&'static str>,
    error: Option<String>,
    /// Whether everything can still get done from every state, if that was asked, and answered.
    recovered: Option<Recovered>,
    peak_memory: Option<usize>,
    collision_probability: Option<f64>,
    counterexample: Option<Counterexample>,
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
            recovered: None,
            peak_memory: None,
            collision_probability: None,
            counterexample: None,
        }
    }
}

/// Runs `check` and reports. Only the project's own engine can start from a stage.
pub fn run(check: &Check, options: Options<'_>, progress: impl FnMut(Progress)) -> Report {
    assert!(options.stage.is_none() || options.engine == Engine::Own, "stateright has no stages");
    let start = Instant::now();
    let search = catch_unwind(AssertUnwindSafe(|| match options.engine {
        Engine::Own => compact::search(check, options, progress),
        Engine::Stateright => oracle::search(check, options.threads, progress),
    }));
    let seconds = start.elapsed().as_secs_f64();
    let search = search.unwrap_or_else(|panic| Search::broken(panic.as_ref()));
    report(check, options, search, seconds)
}

fn report(check: &Check, options: Options<'_>, search: Search, seconds: f64) -> Report {
    // What lies behind a stage says nothing of the rest.
    let passed = if options.stage.is_some() { Verdict::PassedFromStage } else { Verdict::Passed };
    let mut properties: Vec<_> = check
        .properties()
        .into_iter()
        .map(|property| {
            let discovered = search.discovered.contains(property.name);
            let verdict = match (property.goal, discovered, search.complete) {
                (true, true, _) => Verdict::Passed,
                (false, true, _) => Verdict::Failed,
                (true, false, true) => absent(options), // A goal out of reach.
                (false, false, true) => passed,
                (_, false, false) => Verdict::Incomplete,
            };
            PropertyReport { name: property.name, kind: property.word(), verdict }
        })
        .collect();
    if options.engine == Engine::Own {
        let verdict = match search.recovered.filter(|_| search.complete) {
            None => Verdict::Incomplete,
            Some(Recovered { traps: 1.., .. }) => Verdict::Failed,
            Some(Recovered { with_room: 0, .. }) => absent(options), // It is said of no state.
            Some(_) => passed,
        };
        properties.push(PropertyReport { name: progress::NAME, kind: "progress", verdict });
    }
    let failed = properties.iter().any(|p| p.verdict == Verdict::Failed);
    // stateright's searches count every renaming of a state; behind a stage are not all.
    let comparable =
        options.stage.is_none() && (options.engine == Engine::Own || !check.bounds().symmetry);
    let pinned = search.unique as u64 == check.unique_states || !comparable;
    let verdict = match (failed, search.complete) {
        (true, _) => Verdict::Failed,
        (false, false) => Verdict::Incomplete,
        (false, true) if !pinned => Verdict::Failed,
        (false, true) => passed,
    };
    let staged = |stage: &Stage| Staged { from: stage.name.clone(), steps: stage.actions.len() };
    Report {
        name: check.name,
        verdict,
        stage: options.stage.map(staged),
        unique_states: search.unique as u64,
        pinned_unique_states: check.unique_states,
        total_states: search.total as u64,
        depth: search.depth as u64,
        seconds,
        threads: options.threads.get(),
        error: search.error,
        engine: options.engine.word(),
        peak_memory_bytes: search.peak_memory,
        collision_probability: search.collision_probability,
        properties,
        bounds: check.bounds(),
        counterexample: search.counterexample,
    }
}

/// How it ends that a complete search has not seen what it had to: behind a stage that is no fault.
fn absent(options: Options<'_>) -> Verdict {
    if options.stage.is_some() { Verdict::Incomplete } else { Verdict::Failed }
}
