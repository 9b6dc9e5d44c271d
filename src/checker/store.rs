//! The distinct parts of all states, each stored once.
//!
//! A system state is a short list of small numbers, each of which names a part: for each actor a
//! [`Cell`], the history, and the messages under way. There are far fewer parts than states. Parts
//! are only ever added; threads read them without locks.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustc_hash::FxHashMap;
use stateright::actor::{Actor, Envelope, Id, Network};

use crate::fingerprint::{self, Kind, Sums};
use crate::judge;
use crate::step::{Event, Local, Reaction, Recorded, Step};
use crate::symmetry::Renaming;
use crate::system::{Boundary, Checkable, History, System};

/// The most parts of a kind: their numbers are packed with others into words.
pub(crate) const MOST_PARTS: usize = 1 << 24;

/// All that belongs to one actor.
pub(crate) struct Cell<A: Actor> {
    pub(crate) actor: usize,
    pub(crate) content: Content<A>,
    pub(crate) sums: Sums,
    /// Whether the boundary lets it be.
    pub(crate) inside: bool,
    /// What it has spent of each budget.
    pub(crate) spent: Box<[u32]>,
    /// The properties about one actor that it breaks, or reaches.
    pub(crate) notable: u64,
    /// For each property with a view of the actors, what this one shows.
    pub(crate) views: Box<[u64]>,
}

/// What an actor is: all that stateright keeps for it.
pub(crate) struct Content<A: Actor> {
    pub(crate) state: Arc<A::State>,
    /// In order.
    pub(crate) timers: Vec<A::Timer>,
    pub(crate) storage: Option<A::Storage>,
    pub(crate) choices: BTreeMap<String, Vec<A::Random>>,
    pub(crate) crashed: bool,
}

/// A message with its sender and receiver.
pub(crate) struct Message<A: Actor> {
    pub(crate) src: Id,
    pub(crate) dst: usize,
    pub(crate) content: A::Msg,
    pub(crate) sums: Sums,
    /// The properties about messages that concern it.
    pub(crate) concerns: u64,
    /// Whether the history may take note of it.
    pub(crate) recorded: bool,
}

/// What is under way from one actor to another in an ordered network: never nothing.
pub(crate) struct Flow {
    pub(crate) src: Id,
    pub(crate) dst: usize,
    pub(crate) queue: Vec<u32>,
    pub(crate) sums: Sums,
}

/// What has been recorded.
pub(crate) struct Past<H> {
    pub(crate) content: H,
    pub(crate) sums: Sums,
    /// The properties about the history that it breaks, or reaches.
    pub(crate) notable: u64,
}

/// How messages travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Travel {
    /// Each at most once, in any order; equal ones are counted.
    Counted,
    /// Any number of times, in any order, or never.
    Set,
    /// Each at most once, in the order of sending.
    Ordered,
}

/// Why a search cannot go on, or cannot be believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// A handler has done two things for one event in one state.
    NotDeterministic {
        /// Which actor.
        actor: usize,
        /// The event.
        event: String,
        /// What it did.
        first: String,
        /// What it did the next time.
        second: String,
    },
    /// A property has panicked.
    PropertyPanicked {
        /// Which.
        property: &'static str,
        /// What it said.
        message: String,
    },
    /// There are more distinct parts than can be numbered.
    TooMany {
        /// Parts of which kind.
        what: &'static str,
    },
    /// A step of [`System::stage`] cannot be taken.
    NoSuchStep {
        /// Which, counted from 1.
        number: usize,
        /// The step.
        action: String,
    },
    /// A file that the search needs cannot be written or read.
    Disk {
        /// What went wrong.
        error: String,
    },
}

/// Parts of one kind, by content and by number.
pub(crate) struct Parts<T> {
    numbers: Mutex<FxHashMap<u128, u32>>,
    parts: boxcar::Vec<T>,
}

impl<T> Parts<T> {
    fn new() -> Self {
        Self { numbers: Mutex::default(), parts: boxcar::Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.count()
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> &T {
        &self.parts[number as usize]
    }

    /// The number of the part whose content has this hash, and which `make` makes if it is new.
    pub(crate) fn number(&self, content: u128, make: impl FnOnce() -> T) -> u32 {
        if let Some(number) = lock(&self.numbers).get(&content) {
            return *number;
        }
        let part = make(); // Takes long, and may be for nothing: no lock meanwhile.
        *lock(&self.numbers).entry(content).or_insert_with(|| self.parts.push(part) as u32)
    }
}

/// Events that need no message, with the steps that they lead to.
pub(crate) type Spontaneous = Box<[(Event, u32)]>;

/// The parts, and how they make each other.
pub(crate) struct Store<A: Checkable, C, H: History> {
    pub(crate) system: System<A, C, H>,
    pub(crate) renamings: Vec<Renaming>,
    pub(crate) travel: Travel,
    pub(crate) cells: Parts<Cell<A>>,
    pub(crate) messages: Parts<Message<A>>,
    pub(crate) flows: Parts<Flow>,
    pub(crate) pasts: Parts<Past<H>>,
    pub(crate) records: Parts<Recorded>,
    pub(crate) locals: Parts<Local<A>>,
    pub(crate) steps: boxcar::Vec<Step>,
    /// What (cell, event) leads to.
    pub(crate) reactions: Mutex<FxHashMap<(u32, Event), Reaction>>,
    /// What the dead messages to each cell do when they are delivered all the same.
    pub(crate) graves: Mutex<FxHashMap<(u32, Event), Reaction>>,
    /// What properties about several actors have said: by the property, and a digest of the actors.
    judgements: Mutex<FxHashMap<(usize, u64), u64>>,
    /// For each cell the events that need no message, with what they lead to.
    pub(crate) spontaneous: boxcar::Vec<OnceLock<Spontaneous>>,
    pub(crate) troubled: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
}

impl<A: Checkable, C, H: History> Store<A, C, H> {
    pub(crate) fn new(system: System<A, C, H>) -> Self {
        let actors = system.model.actors.len();
        let renamings = match &system.symmetry {
            Some(symmetry) => symmetry.renamings(),
            None => vec![Renaming::identity(actors)],
        };
        assert_eq!(
            renamings.first(),
            Some(&Renaming::identity(actors)),
            "the first renaming changes nothing"
        );
        let travel = match system.model.init_network {
            Network::UnorderedDuplicating(..) => Travel::Set,
            Network::UnorderedNonDuplicating(_) => Travel::Counted,
            Network::Ordered(_) => Travel::Ordered,
        };
        Self {
            system,
            renamings,
            travel,
            cells: Parts::new(),
            messages: Parts::new(),
            flows: Parts::new(),
            pasts: Parts::new(),
            records: Parts::new(),
            locals: Parts::new(),
            steps: boxcar::Vec::new(),
            reactions: Mutex::default(),
            graves: Mutex::default(),
            judgements: Mutex::default(),
            spontaneous: boxcar::Vec::new(),
            troubled: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// What a property has said of some actors; asks it the first time that any thread wants to
    /// know.
    pub(crate) fn judged(&self, what: (usize, u64), judge: impl FnOnce() -> u64) -> u64 {
        if let Some(judgement) = lock(&self.judgements).get(&what) {
            return *judgement;
        }
        let judgement = judge(); // Takes long: no lock meanwhile.
        lock(&self.judgements).insert(what, judgement);
        judgement
    }

    /// How many actors there are.
    pub(crate) fn actors(&self) -> usize {
        self.system.model.actors.len()
    }

    /// Notes what makes the search useless. The first trouble counts.
    pub(crate) fn report(&self, trouble: Trouble) {
        lock(&self.trouble).get_or_insert(trouble);
        self.troubled.store(true, Ordering::Relaxed);
    }

    /// What makes the search useless, if anything does.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        lock(&self.trouble).clone()
    }

    /// Reports when a kind of part has been numbered to its end.
    pub(crate) fn check_room(&self) {
        let counts = [
            (self.cells.len(), "actor states"),
            (self.messages.len(), "messages"),
            (self.flows.len(), "message queues"),
            (self.pasts.len(), "histories"),
            (self.locals.len(), "events"),
            (self.steps.count(), "steps"),
        ];
        // Threads add a few more before they notice; there is room for those.
        if let Some((_, what)) = counts.into_iter().find(|(count, _)| *count >= MOST_PARTS / 2) {
            self.report(Trouble::TooMany { what });
        }
    }

    pub(crate) fn cell(&self, actor: usize, content: Content<A>) -> u32 {
        let hash = {
            let Content { state, timers, storage, choices, crashed } = &content;
            let all = (actor, &**state, timers, storage, choices, crashed);
            fingerprint::of(Kind::Cell, &all)
        };
        self.cells.number(hash, || {
            let (id, state) = (Id::from(actor), &*content.state);
            let sums = Sums::new(self.renamings.len(), |i| match i {
                0 => hash as u64,
                i => self.renamed_cell(&self.renamings[i], actor, &content),
            });
            let inside = match &self.system.boundary {
                Boundary::Actors(inside) => inside(id, state),
                Boundary::Open | Boundary::Model => true,
            };
            let budgets = self.system.budgets.iter();
            let spent = budgets.map(|budget| (budget.spent)(id, state)).collect();
            // What is outside is not reached: nobody is asked about it.
            let notable = if inside { judge::actor(self, id, state) } else { 0 };
            let views = if inside { judge::views(self, id, state) } else { Box::default() };
            Cell { actor, content, sums, inside, spent, notable, views }
        })
    }

    fn renamed_cell(&self, renaming: &Renaming, actor: usize, content: &Content<A>) -> u64 {
        let Some(symmetry) = &self.system.symmetry else { return 0 };
        let mut timers: Vec<_> =
            content.timers.iter().map(|timer| symmetry.timer(renaming, timer)).collect();
        timers.sort();
        let choice = |(key, choices): (&String, &Vec<A::Random>)| {
            let choices: Vec<_> = choices.iter().map(|c| symmetry.random(renaming, c)).collect();
            (key.clone(), choices)
        };
        let choices: BTreeMap<_, _> = content.choices.iter().map(choice).collect();
        let state = symmetry.state(renaming, &content.state);
        let storage = content.storage.as_ref().map(|s| symmetry.storage(renaming, s));
        let renamed =
            (renaming.index(actor), &state, &timers, &storage, &choices, &content.crashed);
        fingerprint::of(Kind::Cell, &renamed) as u64
    }

    pub(crate) fn message(&self, src: Id, dst: Id, content: A::Msg) -> u32 {
        let hash = fingerprint::of(Kind::Message, &(src, dst, &content));
        self.messages.number(hash, || {
            let sums = Sums::new(self.renamings.len(), |i| match (i, &self.system.symmetry) {
                (0, _) | (_, None) => hash as u64,
                (i, Some(symmetry)) => {
                    let renaming = &self.renamings[i];
                    let renamed = symmetry.message(renaming, &content);
                    let (src, dst) = (renaming.of(src), renaming.of(dst));
                    fingerprint::of(Kind::Message, &(src, dst, &renamed)) as u64
                }
            });
            let concerns = judge::concerns(self, &content);
            let recorded = self.system.recorded.is_none_or(|recorded| recorded(&content));
            Message { src, dst: usize::from(dst), content, sums, concerns, recorded }
        })
    }

    pub(crate) fn flow(&self, src: Id, dst: usize, queue: Vec<u32>) -> u32 {
        let hash = fingerprint::of(Kind::Flow, &(src, dst, &queue));
        self.flows.number(hash, || {
            // Numbers of messages are given in no fixed order; their hashes tell src and dst, too.
            let sums = Sums::new(self.renamings.len(), |i| {
                let renamed = |message: &u32| self.messages.get(*message).sums.at(i);
                let renamed: Vec<_> = queue.iter().map(renamed).collect();
                fingerprint::of(Kind::Flow, &renamed) as u64
            });
            Flow { src, dst, queue, sums }
        })
    }

    pub(crate) fn past(&self, content: H) -> u32 {
        let hash = fingerprint::of(Kind::History, &content);
        self.pasts.number(hash, || {
            let sums = Sums::new(self.renamings.len(), |i| match (i, &self.system.symmetry) {
                (0, _) | (_, None) => hash as u64,
                (i, Some(symmetry)) => {
                    let renamed = symmetry.history(&self.renamings[i], &content);
                    fingerprint::of(Kind::History, &renamed) as u64
                }
            });
            let notable = judge::history(self, &content);
            Past { content, sums, notable }
        })
    }

    /// A message as stateright names it.
    pub(crate) fn envelope(&self, message: u32) -> Envelope<&A::Msg> {
        let Message { src, dst, content, .. } = self.messages.get(message);
        Envelope { src: *src, dst: Id::from(*dst), msg: content }
    }
}

/// The hash of a value that names nobody: the same under every renaming.
pub(crate) fn nameless<T: Hash + ?Sized>(kind: Kind, renamings: usize, value: &T) -> Sums {
    let hash = fingerprint::of(kind, value) as u64;
    Sums::new(renamings, |_| hash)
}

/// A lock whose data no panic can leave half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
