//! One thread of a search.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::expand::{Stepper, Taken};
use crate::frontier::{Level, Segment, Stored};
use crate::log::{Log, Place, Record};
use crate::spill::Spill;
use crate::stage::Stage;
use crate::state::State;
use crate::step::Event;
use crate::store::{Store, lock};
use crate::system::{Checkable, History};
use crate::visited::Visited;
use crate::watch::Watch;

/// What the threads of a search share.
pub(crate) struct Shared<'a> {
    pub(crate) visited: Visited,
    pub(crate) logs: Vec<Padded<Mutex<Log>>>,
    pub(crate) spill: Spill,
    /// The level that is expanded.
    pub(crate) level: Level,
    /// The level that is reached from it.
    pub(crate) next: Level,
    /// Whether there is no more room in memory for levels and logs.
    pub(crate) spilling: AtomicBool,
    /// The properties for which nothing notable has been found.
    pub(crate) open: AtomicU64,
    pub(crate) findings: Mutex<Vec<Finding>>,
    /// What each thread has counted.
    pub(crate) counts: Vec<Padded<Counts>>,
    /// All states, if they are needed once the search has finished.
    pub(crate) kept: Option<Level>,
    /// Whether somebody wants the search to end.
    pub(crate) stop: &'a AtomicBool,
}

/// What only one thread writes to, on cache lines of its own: otherwise each write would take the
/// line away from the others.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// What one thread has counted.
#[derive(Default)]
pub(crate) struct Counts {
    /// States reached, each counted once: by the thread that was first.
    unique: AtomicUsize,
    /// States reached, counted each time.
    generated: AtomicUsize,
}

/// Adds to a counter that nobody else writes to.
fn add(counter: &AtomicUsize, added: usize) {
    counter.store(counter.load(Ordering::Relaxed) + added, Ordering::Relaxed);
}

impl Shared<'_> {
    /// States reached, each counted once.
    pub(crate) fn unique(&self) -> usize {
        self.counts.iter().map(|counts| counts.0.unique.load(Ordering::Relaxed)).sum()
    }

    /// States reached, counted each time.
    pub(crate) fn generated(&self) -> usize {
        self.counts.iter().map(|counts| counts.0.generated.load(Ordering::Relaxed)).sum()
    }

    /// Where to put what does not fit into memory, if there is such.
    pub(crate) fn to_disk(&self) -> Option<&Spill> {
        self.spilling.load(Ordering::Relaxed).then_some(&self.spill)
    }

    /// Whether the set of fingerprints must grow.
    pub(crate) fn is_full(&self) -> bool {
        self.visited.is_full(self.unique())
    }
}

/// What something is notable for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Subject {
    /// The property at this place.
    Property(usize),
    /// That no handler panics.
    NoPanic,
    /// That what is said to be dead does nothing.
    DeadMessages,
}

/// Something notable.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) subject: Subject,
    /// The state in which it was found.
    pub(crate) place: Place,
    /// The step from there in which it was found, if no state shows it.
    pub(crate) step: Option<Event>,
    /// What is wrong, if it is no property that can be asked.
    pub(crate) words: Option<String>,
}

/// So many successors are looked up at once: enough for the processor to fetch from memory what it
/// needs of all while it waits for the first.
const BATCH: usize = 32;

/// After so many states a thread looks at what others write: less often than it would be in their
/// way, and before they have filled the room that a full set of fingerprints still has.
const LOOK_UP: usize = 16;

/// A successor that has not been looked up yet.
#[derive(Default)]
struct Candidate {
    from: Option<Place>,
    event: Option<Event>,
    actor: Option<u32>,
    state: State,
    fingerprint: u64,
}

/// One thread, with what it keeps from level to level.
pub(crate) struct Worker<'a, A: Checkable, C, H: History> {
    store: &'a Store<A, C, H>,
    thread: u32,
    pub(crate) stepper: Stepper<'a, A, C, H>,
    watch: Watch<'a, A, C, H>,
    batch: Vec<Candidate>,
    filled: usize,
    reached: Segment,
    /// The properties that were open a moment ago.
    open: u64,
}

impl<'a, A: Checkable, C, H: History> Worker<'a, A, C, H> {
    pub(crate) fn new(store: &'a Store<A, C, H>, thread: u32) -> Self {
        Self {
            store,
            thread,
            stepper: Stepper::new(store),
            watch: Watch::new(store),
            batch: Vec::new(),
            filled: 0,
            reached: Segment::new(Place { thread, index: 0 }),
            open: u64::MAX,
        }
    }

    /// Enters the state that the search starts from; gives what leads there.
    pub(crate) fn start(&mut self, shared: &Shared<'_>) -> io::Result<Vec<Event>> {
        let mut way = Vec::new();
        if let Some(Stage { state, fingerprint, events }) = Stage::reach(&mut self.stepper) {
            way = events;
            let candidate = Candidate { state, fingerprint, ..Candidate::default() };
            let counts = &shared.counts[self.thread as usize].0;
            add(&counts.generated, 1);
            if shared.visited.insert(fingerprint) {
                add(&counts.unique, 1);
                self.reach(shared, &candidate)?;
            }
            if let Some((cell, message)) = self.stepper.revived.take() {
                let first = Place { thread: self.thread, index: 0 };
                let words = self.store.revival(cell, message);
                note_once(shared, Subject::DeadMessages, first, None, words);
            }
        }
        self.flush_reached(shared)?;
        Ok(way)
    }

    /// Expands segments of the level until none is left or the search has to pause.
    pub(crate) fn work(&mut self, shared: &Shared<'_>, tick: &mut dyn FnMut()) -> io::Result<()> {
        let mut state = State::default();
        'segments: while let Some(mut segment) = shared.level.pop(&shared.spill)? {
            tick();
            self.store.check_room();
            self.open = shared.open.load(Ordering::Relaxed);
            let mut looked_after = 0;
            while let Some(place) = segment.pop(self.store.actors(), &mut state) {
                self.expand(shared, place, &state)?;
                looked_after += 1;
                if looked_after % LOOK_UP == 0
                    && (shared.is_full() || shared.stop.load(Ordering::Relaxed))
                {
                    self.flush(shared)?;
                    if !segment.is_empty() {
                        shared.level.push(Stored::new(segment, None)?);
                    }
                    break 'segments;
                }
            }
            if self.store.troubled.load(Ordering::Relaxed) || shared.is_full() {
                break;
            }
        }
        self.flush(shared)?;
        self.flush_reached(shared)
    }

    fn expand(&mut self, shared: &Shared<'_>, place: Place, state: &State) -> io::Result<()> {
        let store = self.store;
        let Self { stepper, batch, filled, .. } = self;
        stepper.expand(state, |stepper, taken| {
            if *filled == batch.len() {
                batch.push(Candidate::default());
            }
            let candidate = &mut batch[*filled];
            let led = stepper.take(state, taken, &mut candidate.state);
            if let Some(step) = taken.step
                && stepper.hot.step(step).bad
                && !matches!(led, Taken::Outside)
            {
                note_step(store, shared, place, taken.event, step);
            }
            if let Some((cell, message)) = stepper.revived.take() {
                let words = store.revival(cell, message);
                note_once(shared, Subject::DeadMessages, place, Some(taken.event), words);
            }
            if let Taken::To { fingerprint, actor } = led {
                (candidate.from, candidate.event) = (Some(place), Some(taken.event));
                (candidate.actor, candidate.fingerprint) = (actor, fingerprint);
                *filled += 1;
            }
        });
        if self.filled >= BATCH { self.flush(shared) } else { Ok(()) }
    }

    /// Looks up the successors that have gathered.
    fn flush(&mut self, shared: &Shared<'_>) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        let mut batch = std::mem::take(&mut self.batch);
        // First all at once, for the processor to fetch; most are known, and found at first glance.
        for candidate in &mut batch[..filled] {
            if shared.visited.glance(candidate.fingerprint) {
                candidate.fingerprint = 0;
            }
        }
        let mut new = 0;
        for candidate in &batch[..filled] {
            if candidate.fingerprint != 0 && shared.visited.insert(candidate.fingerprint) {
                new += 1;
                self.reach(shared, candidate)?;
            }
        }
        let counts = &shared.counts[self.thread as usize].0;
        add(&counts.unique, new);
        add(&counts.generated, filled);
        self.batch = batch;
        Ok(())
    }

    /// Takes a new state in.
    fn reach(&mut self, shared: &Shared<'_>, candidate: &Candidate) -> io::Result<()> {
        let place = {
            let mut log = lock(&shared.logs[self.thread as usize].0);
            let index = u32::try_from(log.len())
                .map_err(|_| io::Error::other("a thread has reached more than 2^32 states"))?;
            let place = Place { thread: self.thread, index };
            let from = candidate.from.unwrap_or(place);
            log.push(Record { from, event: candidate.event.unwrap_or(Event(0)) });
            place
        };
        if self.reached.is_empty() {
            self.reached = Segment::new(place);
        }
        self.reached.push(place, &candidate.state);
        let Self { watch, stepper, open, .. } = self;
        let notable = watch.look(&mut stepper.hot, &candidate.state, candidate.actor, *open);
        if notable != 0 {
            note(shared, notable, place, None);
            *open = shared.open.load(Ordering::Relaxed);
        }
        if self.reached.is_full() { self.flush_reached(shared) } else { Ok(()) }
    }

    fn flush_reached(&mut self, shared: &Shared<'_>) -> io::Result<()> {
        let fresh = Segment::new(Place { thread: self.thread, index: 0 });
        let reached = std::mem::replace(&mut self.reached, fresh);
        if reached.is_empty() {
            return Ok(());
        }
        let spill = shared.to_disk();
        if spill.is_some() {
            lock(&shared.logs[self.thread as usize].0).spill(&shared.spill)?;
        }
        let reached = Stored::new(reached, spill)?;
        if let Some(kept) = &shared.kept {
            kept.push(reached.clone());
        }
        shared.next.push(reached);
        Ok(())
    }
}

/// Notes what a step shows that no state does.
fn note_step<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    shared: &Shared<'_>,
    place: Place,
    event: Event,
    step: u32,
) {
    let step = &store.steps[step as usize];
    if step.broken != 0 {
        note(shared, step.broken & shared.open.load(Ordering::Relaxed), place, Some(event));
    }
    if let Some(words) = &step.panic {
        note_once(shared, Subject::NoPanic, place, Some(event), words.to_string());
    }
}

/// Notes what every system is promised, the first time that it is broken.
fn note_once(
    shared: &Shared<'_>,
    subject: Subject,
    place: Place,
    step: Option<Event>,
    words: String,
) {
    let mut findings = lock(&shared.findings);
    if findings.iter().all(|finding| finding.subject != subject) {
        findings.push(Finding { subject, place, step, words: Some(words) });
    }
}

/// Notes the first time that something is notable for a property.
fn note(shared: &Shared<'_>, notable: u64, place: Place, step: Option<Event>) {
    let before = shared.open.fetch_and(!notable, Ordering::Relaxed);
    let mut findings = lock(&shared.findings);
    for property in (0..u64::BITS as usize).filter(|p| notable & before & 1 << p != 0) {
        let subject = Subject::Property(property);
        findings.push(Finding { subject, place, step, words: None });
    }
}
