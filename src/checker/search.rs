//! The search: breadth-first, level by level, to the last state.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::audit;
use crate::frontier::Level;
use crate::judge::MOST_PROPERTIES;
use crate::log::{self, MOST_THREADS, Place};
use crate::property::{Expectation, Property};
use crate::recover::{Recovered, Walk};
use crate::report::{Coverage, DEAD_MESSAGES, Found, NO_PANIC, Report};
use crate::spill::Spill;
use crate::step::Event;
use crate::store::{Store, Trouble, lock};
use crate::system::{Checkable, History, System};
use crate::trace::Replay;
use crate::visited::Visited;
use crate::worker::{Finding, Padded, Shared, Subject, Worker};

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// On how many threads.
    pub threads: NonZeroUsize,
    /// How many bytes the search may take, if that is bounded: when states and logs would take more
    /// they go to disk, and when the set of fingerprints alone would, the search ends.
    pub memory: Option<usize>,
    /// Ends the search when it becomes true.
    pub stop: &'a AtomicBool,
}

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// States reached, each counted once.
    pub unique: usize,
    /// States reached, counted each time.
    pub generated: usize,
    /// The level that is expanded.
    pub depth: usize,
    /// States reached and not yet expanded.
    pub frontier: usize,
    /// Distinct parts of states: actor states, messages, histories.
    pub parts: usize,
    /// Bytes taken by the set of fingerprints, the log, the states to be expanded and those to be
    /// walked back over; not by the parts.
    pub memory: usize,
    /// States walked back over so far, to see whether a goal stays within reach: after the search.
    pub walked: usize,
    /// Bytes written to disk for want of memory.
    pub spilt: u64,
    /// Since the start.
    pub elapsed: Duration,
}

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Fewer states than this are expanded by one thread.
const NARROW: usize = 256;

/// Searches a system, until its last state or until a property is broken.
///
/// All that is broken in the level where the first break is found is reported: with it the counts,
/// the verdicts and the lengths of counterexamples do not depend on the number of threads.
pub fn search<A: Checkable, C: Sync + Send, H: History>(
    system: System<A, C, H>,
    options: Options<'_>,
    progress: impl FnMut(Progress),
) -> Report<A, H> {
    assert!(system.properties.len() <= MOST_PROPERTIES, "at most 64 properties");
    let store = Store::new(system);
    Search::new(&store, options).run(progress)
}

/// A goal that is to stay within reach, what has come of it, and the first trap.
type Walked = (&'static str, Recovered, Option<Place>);

struct Search<'a, A: Checkable, C, H: History> {
    store: &'a Store<A, C, H>,
    options: Options<'a>,
    shared: Shared<'a>,
    workers: Vec<Worker<'a, A, C, H>>,
    /// What leads to where it starts.
    way: Vec<Event>,
    depth: usize,
    peak: usize,
    /// What the finished search has shown of dead messages that was not to be.
    contradiction: Option<String>,
    start: Instant,
    reported: Instant,
}

impl<'a, A: Checkable, C: Sync + Send, H: History> Search<'a, A, C, H> {
    fn new(store: &'a Store<A, C, H>, options: Options<'a>) -> Self {
        let threads = options.threads.get().min(MOST_THREADS);
        let count = store.system.properties.len();
        let open = if count == MOST_PROPERTIES { u64::MAX } else { (1 << count) - 1 };
        let shared = Shared {
            visited: Visited::for_threads(threads),
            logs: (0..threads).map(|_| Padded::default()).collect(),
            spill: Spill::default(),
            level: Level::default(),
            next: Level::default(),
            spilling: AtomicBool::new(false),
            open: AtomicU64::new(open),
            findings: Mutex::default(),
            counts: (0..threads).map(|_| Padded::default()).collect(),
            kept: (!store.system.recoveries.is_empty()).then(Level::default),
            stop: options.stop,
        };
        let workers = (0..threads as u32).map(|thread| Worker::new(store, thread)).collect();
        let now = Instant::now();
        Self {
            store,
            options,
            shared,
            workers,
            way: Vec::new(),
            depth: 0,
            peak: 0,
            contradiction: None,
            start: now,
            reported: now,
        }
    }

    fn run(mut self, mut progress: impl FnMut(Progress)) -> Report<A, H> {
        let coverage = match self.levels(&mut progress) {
            Ok(coverage) => coverage,
            Err(error) => {
                self.store.report(Trouble::Disk { error: error.to_string() });
                Coverage::Troubled
            }
        };
        progress(self.progress());
        if coverage != Coverage::Complete {
            return self.report(coverage, &[]);
        }
        let verify = self.store.system.dead.as_ref().is_some_and(|dead| dead.verify);
        self.contradiction = verify.then(|| audit::contradiction(self.store)).flatten();
        let recovered = self.recover(&mut progress).unwrap_or_else(|error| {
            self.store.report(Trouble::Disk { error: error.to_string() });
            Vec::new()
        });
        if self.shared.stop.load(Ordering::Relaxed) {
            return self.report(Coverage::Stopped, &[]);
        }
        self.report(coverage, &recovered)
    }

    /// Whether the goals that must stay within reach do.
    fn recover(&mut self, progress: &mut impl FnMut(Progress)) -> io::Result<Vec<Walked>> {
        let Some(kept) = self.shared.kept.take() else { return Ok(Vec::new()) };
        let (bytes, states) = (kept.bytes(), kept.into_segments());
        let unique = self.shared.unique();
        let now = self.progress();
        let mut steppers: Vec<_> =
            self.workers.iter_mut().map(|worker| &mut worker.stepper).collect();
        let mut walked = Vec::new();
        for recovery in &self.store.system.recoveries {
            // The search is done: the set of what it has reached makes room for the good states.
            self.shared.visited = Visited::none();
            self.shared.visited = Visited::with_room_for(unique);
            let memory = memory(&self.shared) + bytes;
            let (start, reported) = (self.start, &mut self.reported);
            let mut tick = |walked| {
                if reported.elapsed() >= REPORT_EVERY {
                    *reported = Instant::now();
                    progress(Progress { walked, memory, elapsed: start.elapsed(), ..now });
                }
            };
            let walk = Walk::new(self.store, recovery, &self.shared);
            let (outcome, trap) = walk.run(&states, &mut steppers, &mut tick)?;
            walked.push((recovery.name, outcome, trap));
        }
        Ok(walked)
    }

    fn levels(&mut self, progress: &mut impl FnMut(Progress)) -> io::Result<Coverage> {
        self.way = self.workers[0].start(&self.shared)?;
        loop {
            std::mem::swap(&mut self.shared.level, &mut self.shared.next);
            if self.is_over() {
                return Ok(Coverage::UntilBroken);
            }
            if self.shared.level.len() == 0 {
                return Ok(Coverage::Complete);
            }
            self.depth += 1;
            while self.shared.level.len() > 0 {
                if self.store.troubled.load(Ordering::Relaxed) {
                    return Ok(Coverage::Troubled);
                }
                if self.shared.stop.load(Ordering::Relaxed) {
                    return Ok(Coverage::Stopped);
                }
                if !self.make_room()? {
                    return Ok(Coverage::OutOfMemory);
                }
                self.pass(progress)?;
            }
        }
    }

    /// Lets all threads work until the level is done or they have to pause. This thread is one of
    /// them, and reports progress now and then.
    fn pass(&mut self, progress: &mut impl FnMut(Progress)) -> io::Result<()> {
        let (store, shared, depth, start) = (self.store, &self.shared, self.depth, self.start);
        let reported = &mut self.reported;
        let mut tick = || {
            if reported.elapsed() >= REPORT_EVERY {
                *reported = Instant::now();
                progress(progress_of(store, shared, depth, start));
            }
        };
        // A narrow level is done sooner than a second thread is started.
        let helpers = if shared.level.len() < NARROW { 0 } else { self.workers.len() - 1 };
        let (own, others) = self.workers.split_at_mut(1);
        thread::scope(|scope| {
            let threads: Vec<_> = others[..helpers]
                .iter_mut()
                .map(|worker| scope.spawn(move || worker.work(shared, &mut || {})))
                .collect();
            let done = own[0].work(shared, &mut tick);
            threads.into_iter().fold(done, |done, thread| match thread.join() {
                Ok(also) => done.and(also),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        self.peak = self.peak.max(memory(&self.shared));
        Ok(())
    }

    /// Makes room for more states; gives whether there is any.
    fn make_room(&mut self) -> io::Result<bool> {
        if let Some(most) = self.options.memory {
            let growth = if self.shared.is_full() { self.growth() } else { 0 };
            if self.shared.visited.bytes() + growth > most {
                return Ok(false);
            }
            if memory(&self.shared) + growth > most / 8 * 7 {
                self.start_spilling()?;
            }
        }
        if self.shared.is_full() {
            let held = memory(&self.shared) + self.growth();
            self.peak = self.peak.max(held);
            self.shared.visited.grow(self.workers.len());
        }
        Ok(true)
    }

    /// How many bytes it takes to make the set of fingerprints grow.
    fn growth(&self) -> usize {
        self.shared.visited.bytes_to_grow(self.workers.len())
    }

    /// From here on all goes to disk but the set, and what is kept for later goes now.
    fn start_spilling(&self) -> io::Result<()> {
        if !self.shared.spilling.swap(true, Ordering::Relaxed) {
            self.shared.kept.iter().try_for_each(|kept| kept.spill(&self.shared.spill))?;
        }
        Ok(())
    }

    /// Whether what must always hold has been found not to, or the goal is reached that ends it.
    fn is_over(&self) -> bool {
        let System { properties, until, .. } = &self.store.system;
        lock(&self.shared.findings).iter().any(|finding| match finding.subject {
            Subject::Property(place) => {
                let Property { name, expectation, .. } = &properties[place];
                *expectation == Expectation::Always || *until == Some(*name)
            }
            Subject::NoPanic | Subject::DeadMessages => true,
        })
    }

    fn progress(&self) -> Progress {
        progress_of(self.store, &self.shared, self.depth, self.start)
    }

    fn report(self, coverage: Coverage, recovered: &[Walked]) -> Report<A, H> {
        let progress = self.progress();
        let mut findings = lock(&self.shared.findings).clone();
        // Which of several was found first in its level depends on the threads.
        findings.sort_by_key(|finding| finding.subject);
        let traps = recovered.iter().filter_map(|(name, recovered, trap)| {
            trap.map(|place| self.trap(name, *recovered, place))
        });
        let audited = self.contradiction.iter().map(|detail| Found {
            property: DEAD_MESSAGES,
            expectation: Expectation::Always,
            detail: detail.clone(),
            trace: Replay::run(self.store, &[]).trace,
        });
        let found = findings.iter().map(|finding| self.found(finding));
        let found = found.chain(audited).chain(traps).collect();
        let properties = &self.store.system.properties;
        let trouble = self.store.trouble(); // Perhaps met in the last step of all.
        Report {
            coverage: if trouble.is_some() { Coverage::Troubled } else { coverage },
            trouble,
            staged: self.way.len(),
            unique: progress.unique,
            generated: progress.generated,
            depth: self.depth,
            parts: progress.parts,
            peak_memory: self.peak.max(progress.memory),
            spilt: progress.spilt,
            symmetry: self.store.renamings.len(),
            elapsed: self.start.elapsed(),
            properties: properties.iter().map(|p| (p.name, p.expectation)).collect(),
            recovered: recovered.iter().map(|(name, outcome, _)| (*name, *outcome)).collect(),
            found,
        }
    }

    fn found(&self, finding: &Finding) -> Found<A, H> {
        let (name, expectation) = match finding.subject {
            Subject::Property(place) => {
                let property = &self.store.system.properties[place];
                (property.name, property.expectation)
            }
            Subject::NoPanic => (NO_PANIC, Expectation::Always),
            Subject::DeadMessages => (DEAD_MESSAGES, Expectation::Always),
        };
        let mut events = self.events(finding.place);
        events.extend(finding.step);
        let replay = Replay::run(self.store, &events);
        let detail = match (&finding.words, finding.subject) {
            (None, Subject::Property(place)) => replay.detail(self.store, place),
            (words, _) => words.clone().unwrap_or_default(),
        };
        let trace = replay.trace;
        Found { property: name, expectation, detail, trace }
    }
}

impl<A: Checkable, C: Sync + Send, H: History> Search<'_, A, C, H> {
    /// The events that lead from the first state to one that was reached.
    fn events(&self, place: Place) -> Vec<Event> {
        let path = log::path(&self.shared.logs, place, &self.shared.spill);
        let path = path.unwrap_or_else(|error| {
            self.store.report(Trouble::Disk { error: error.to_string() });
            Vec::new()
        });
        [self.way.clone(), path].concat()
    }

    /// A state from which a goal is out of reach.
    fn trap(&self, name: &'static str, recovered: Recovered, place: Place) -> Found<A, H> {
        let trace = Replay::run(self.store, &self.events(place)).trace;
        let Recovered { with_room, traps } = recovered;
        let detail = format!(
            "from here the goal is out of reach; as it is from {traps} of {with_room} states"
        );
        Found { property: name, expectation: Expectation::Always, detail, trace }
    }
}

fn progress_of<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    shared: &Shared<'_>,
    depth: usize,
    start: Instant,
) -> Progress {
    Progress {
        unique: shared.unique(),
        generated: shared.generated(),
        depth,
        frontier: shared.level.len() + shared.next.len(),
        parts: store.cells.len() + store.messages.len() + store.pasts.len(),
        memory: memory(shared),
        walked: 0,
        spilt: shared.spill.written(),
        elapsed: start.elapsed(),
    }
}

fn memory(shared: &Shared<'_>) -> usize {
    let logs: usize = shared.logs.iter().map(|log| lock(&log.0).bytes()).sum();
    let kept = shared.kept.as_ref().map_or(0, Level::bytes);
    shared.visited.bytes() + shared.level.bytes() + shared.next.bytes() + kept + logs
}
