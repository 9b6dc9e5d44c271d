//! Runs: episodes one after the other, on several threads.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::coverage::{Coverage, Kind};
use super::episode::{self, Outcome};
use super::plan::{Family, Plan};

/// The time after which a step counts as one that never ends.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The number of operations from which on a run must have reached all kinds of events.
pub const ENOUGH: u64 = 100_000;

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The family of the episodes.
    pub family: Family,
    /// The number of operations after which no further episode begins.
    pub operations: u64,
    /// The time after which no further episode begins.
    pub time: Option<Duration>,
    /// The seed of the first episode. The next ones have the seeds that follow.
    pub seed: u64,
    /// The number of episodes that run at the same time.
    pub threads: NonZeroUsize,
}

/// A promise that an episode has broken.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The family of the episode.
    pub family: Family,
    /// The seed of the episode.
    pub seed: u64,
    /// The step in which it was seen.
    pub step: u64,
    /// The name of the property.
    pub property: String,
    /// The values that break it.
    pub detail: String,
}

/// Amount of what a run has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// The number of episodes that have ended.
    pub episodes: u64,
    /// The number of operations that have ended in them.
    pub operations: u64,
    /// The number of steps that were taken in them.
    pub steps: u64,
}

/// Result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The family of the episodes.
    pub family: Family,
    /// The amount of what the run has done.
    pub progress: Progress,
    /// The time that it took.
    pub time: Duration,
    /// The events by kind.
    pub coverage: Coverage,
    /// The promise that was broken, if one was. The run ends with the first.
    pub finding: Option<Finding>,
}

impl Report {
    /// The kinds of events that the run should have reached, and has not. A short run need not
    /// reach any.
    #[must_use]
    pub fn missing(&self) -> Vec<Kind> {
        if self.progress.operations < ENOUGH {
            return Vec::new();
        }
        self.coverage.missing(self.family)
    }
}

/// The episode that a thread runs.
#[derive(Default)]
struct Slot {
    seed: AtomicU64,
    step: AtomicU64,
}

/// Runs episodes until there are enough operations, the time is over, or a promise is broken.
///
/// A thread whose step never ends is left behind: the caller should end the process.
pub fn run(options: Options, mut watch: impl FnMut(Progress)) -> Report {
    let started = Instant::now();
    let (tell, told) = mpsc::channel();
    let next = Arc::new(AtomicU64::new(options.seed));
    let stop = Arc::new(AtomicBool::new(false));
    let slots: Vec<Arc<Slot>> = (0..options.threads.get()).map(|_| Arc::default()).collect();
    for slot in &slots {
        let (slot, next, stop) = (Arc::clone(slot), Arc::clone(&next), Arc::clone(&stop));
        let tell = tell.clone();
        thread::spawn(move || work(options.family, &slot, &next, &stop, &tell));
    }
    drop(tell);
    let mut report = Report {
        family: options.family,
        progress: Progress::default(),
        time: Duration::ZERO,
        coverage: Coverage::default(),
        finding: None,
    };
    let mut seen: Vec<_> = slots.iter().map(|slot| (position(slot), started)).collect();
    loop {
        match told.recv_timeout(Duration::from_millis(200)) {
            Ok((seed, outcome)) => count(&mut report, seed, outcome),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        watch(report.progress);
        if let Some((seed, step)) = stuck(&slots, &mut seen) {
            let detail = format!("a step has not ended after {} s", PATIENCE.as_secs());
            let (family, property) = (options.family, "step_ends".to_owned());
            report.finding.get_or_insert(Finding { family, seed, step, property, detail });
            break;
        }
        let is_over = report.progress.operations >= options.operations
            || options.time.is_some_and(|time| started.elapsed() >= time)
            || report.finding.is_some();
        if is_over {
            stop.store(true, Ordering::Relaxed);
        }
        if report.finding.is_some() {
            break;
        }
    }
    report.time = started.elapsed();
    report
}

fn work(
    family: Family,
    slot: &Slot,
    next: &AtomicU64,
    stop: &AtomicBool,
    tell: &Sender<(u64, Outcome)>,
) {
    while !stop.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        slot.seed.store(seed, Ordering::Relaxed);
        let outcome = episode::run(&Plan::of(family, seed), &slot.step);
        // The run may have ended because of another thread's finding.
        if tell.send((seed, outcome)).is_err() {
            return;
        }
    }
}

fn count(report: &mut Report, seed: u64, outcome: Outcome) {
    report.progress.episodes += 1;
    report.progress.operations += outcome.operations;
    report.progress.steps += outcome.steps;
    report.coverage.add(&outcome.coverage);
    if let Some(broken) = outcome.broken {
        let (family, step) = (report.family, outcome.steps);
        let (property, detail) = (broken.property.to_owned(), broken.detail);
        report.finding.get_or_insert(Finding { family, seed, step, property, detail });
    }
}

fn position(slot: &Slot) -> (u64, u64) {
    (slot.seed.load(Ordering::Relaxed), slot.step.load(Ordering::Relaxed))
}

/// The seed and the step of a thread that has been in one step for too long.
fn stuck(slots: &[Arc<Slot>], seen: &mut [((u64, u64), Instant)]) -> Option<(u64, u64)> {
    for (slot, (before, since)) in slots.iter().zip(seen) {
        let now = position(slot);
        if now != *before {
            (*before, *since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE && Arc::strong_count(slot) > 1 {
            return Some(now);
        }
    }
    None
}
