//! Progress, as a property of the graph of states: from every state the goal stays within reach.
//!
//! A safety property cannot say that a system is stuck. This can: a state is *good* if it is a
//! goal, or if a step that is no fault leads from it to a good one. All states of a finished search
//! are walked from the last reached to the first, because most steps lead to states that were
//! reached later; and again, as long as that makes more of them good. What then is not good is a
//! trap.
//!
//! Bounds would make traps of their own: nobody elects a leader in a term beyond the last. So a
//! [`Recovery`] says which states have room enough left, and only those must be good.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, mem, thread};

use crate::expand::{Stepper, Taken};
use crate::frontier::{Segment, Stored};
use crate::judge;
use crate::log::Place;
use crate::state::State;
use crate::step::{Event, Happening, LocalKind};
use crate::store::Store;
use crate::system::{Checkable, History};
use crate::worker::Shared;

/// Judges all actors' states.
pub type Judges<A> = Box<dyn Fn(&[&<A as stateright::actor::Actor>::State]) -> bool + Send + Sync>;

/// A goal that must stay within reach.
pub struct Recovery<A: Checkable> {
    /// Its name.
    pub name: &'static str,
    /// Whether a state is the goal.
    pub goal: Judges<A>,
    /// Whether the bounds leave a state enough room to reach the goal.
    pub has_room: Judges<A>,
    /// Whether it is a fault that a timer fires: the goal must be within reach without. What the
    /// network and the hosts do wrong by themselves always is one.
    pub is_fault: fn(&A::Timer) -> bool,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recovered {
    /// States with enough room: those that the verdict is about.
    pub with_room: usize,
    /// States with enough room from which the goal is out of reach.
    pub traps: usize,
}

/// What the walk needs.
pub(crate) struct Walk<'a, A: Checkable, C, H: History> {
    store: &'a Store<A, C, H>,
    recovery: &'a Recovery<A>,
    /// Whose set has the fingerprints of the states that are known to be good.
    shared: &'a Shared<'a>,
    /// How many states have been walked over in this pass.
    walked: AtomicUsize,
}

/// What one pass over some segments has found.
#[derive(Default)]
struct Pass {
    /// How many states have become good.
    good: usize,
    /// How many states have room.
    with_room: usize,
    /// How many of those did not become good, and the first of them, in its segment.
    traps: usize,
    first: Option<(usize, Place)>,
    /// The states that did not become good, for each segment that has some.
    rest: Vec<(usize, Stored)>,
}

impl Pass {
    /// What two threads have found together.
    fn and(mut self, other: Self) -> Self {
        self.good += other.good;
        self.with_room += other.with_room;
        self.traps += other.traps;
        self.first = self.first.into_iter().chain(other.first).min();
        self.rest.extend(other.rest);
        self
    }
}

impl<'a, A: Checkable, C: Sync + Send, H: History> Walk<'a, A, C, H> {
    /// A walk for one goal, whose good states go into the set of `shared`.
    pub(crate) fn new(
        store: &'a Store<A, C, H>,
        recovery: &'a Recovery<A>,
        shared: &'a Shared<'a>,
    ) -> Self {
        Self { store, recovery, shared, walked: AtomicUsize::new(0) }
    }

    /// Walks the states of a finished search, with a thread for each stepper, the first of which
    /// tells progress; gives what has come of it and the trap that was reached first.
    pub(crate) fn run(
        &self,
        states: &[Stored],
        steppers: &mut [&mut Stepper<'_, A, C, H>],
        tick: &mut dyn FnMut(usize),
    ) -> io::Result<(Recovered, Option<Place>)> {
        let mut pass = self.pass(states, steppers, tick)?;
        let with_room = pass.with_room;
        while pass.good > 0 && !pass.rest.is_empty() && !self.stopped() {
            let rest: Vec<_> = pass.rest.into_iter().map(|(_, stored)| stored).collect();
            pass = self.pass(&rest, steppers, tick)?;
        }
        let recovered = Recovered { with_room, traps: pass.traps };
        Ok((recovered, pass.first.map(|(_, place)| place)))
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Goes once over all segments, from the last to the first.
    fn pass(
        &self,
        segments: &[Stored],
        steppers: &mut [&mut Stepper<'_, A, C, H>],
        tick: &mut dyn FnMut(usize),
    ) -> io::Result<Pass> {
        self.walked.store(0, Ordering::Relaxed);
        let left = AtomicUsize::new(segments.len());
        let left = &left;
        let (own, others) = steppers.split_at_mut(1);
        let mut all = thread::scope(|scope| {
            let threads: Vec<_> = others
                .iter_mut()
                .map(|stepper| scope.spawn(|| self.strand(stepper, segments, left, &mut |_| {})))
                .collect();
            let own = self.strand(own[0], segments, left, tick);
            threads.into_iter().fold(own, |all, thread| match thread.join() {
                Ok(pass) => Ok(all?.and(pass?)),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        all.rest.sort_by_key(|(number, _)| *number);
        Ok(all)
    }

    /// Takes one segment after the other, the last that is left.
    fn strand(
        &self,
        stepper: &mut Stepper<'_, A, C, H>,
        segments: &[Stored],
        left: &AtomicUsize,
        tick: &mut dyn FnMut(usize),
    ) -> io::Result<Pass> {
        let mut pass = Pass::default();
        let mut states = Vec::new();
        let one_less = |left: usize| left.checked_sub(1);
        while let Ok(left) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            && !self.stopped()
        {
            let number = left - 1;
            let mut segment = segments[number].load(&self.shared.spill)?;
            let mut state = State::default();
            while let Some(place) = segment.pop(self.store.actors(), &mut state) {
                states.push((place, mem::take(&mut state)));
            }
            tick(self.walked.fetch_add(states.len(), Ordering::Relaxed));
            self.segment(stepper, number, &mut states, &mut pass)?;
        }
        Ok(pass)
    }

    /// Goes over the states of one segment, from the last to the first, and leaves none.
    fn segment(
        &self,
        stepper: &mut Stepper<'_, A, C, H>,
        number: usize,
        states: &mut Vec<(Place, State)>,
        pass: &mut Pass,
    ) -> io::Result<()> {
        let mut rest = Vec::new();
        while let Some((place, state)) = states.pop() {
            let actors = judge::actors(self.store, &state.cells);
            let has_room = (self.recovery.has_room)(&actors);
            pass.with_room += usize::from(has_room);
            if (self.recovery.goal)(&actors) || self.leads_to_good(stepper, &state) {
                self.shared.visited.insert(stepper.fingerprint(&state));
                pass.good += 1;
                continue;
            }
            if has_room {
                pass.traps += 1;
                pass.first = Some((number, place)); // The walk goes backwards.
            }
            rest.push((place, state));
        }
        let Some((first, _)) = rest.last() else { return Ok(()) };
        let mut segment = Segment::new(*first);
        for (place, state) in rest.iter().rev() {
            segment.push(*place, state);
        }
        pass.rest.push((number, Stored::new(segment, self.shared.to_disk())?));
        Ok(())
    }

    /// Whether a step that is no fault leads to a state that is known to be good.
    fn leads_to_good(&self, stepper: &mut Stepper<'_, A, C, H>, state: &State) -> bool {
        let (mut found, mut next) = (false, State::default());
        stepper.expand(state, |stepper, taken| {
            if found || self.is_fault(taken.event) {
                return;
            }
            if let Taken::To { fingerprint, .. } = stepper.take(state, taken, &mut next) {
                found = self.shared.visited.contains(fingerprint);
            }
        });
        found
    }

    fn is_fault(&self, event: Event) -> bool {
        match event.happening() {
            Happening::Deliver(_) => false,
            Happening::Drop(_) | Happening::Duplicate(_) => true,
            Happening::Local(local) => match &self.store.locals.get(local).kind {
                LocalKind::Timeout(timer) => (self.recovery.is_fault)(timer),
                LocalKind::Crash => true,
                LocalKind::Recover | LocalKind::Random(..) => false,
            },
        }
    }
}
