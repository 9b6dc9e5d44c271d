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

use std::mem;
use std::sync::atomic::Ordering;
use std::thread;

use crate::expand::{Stepper, Taken};
use crate::frontier::Segment;
use crate::judge;
use crate::log::Place;
use crate::state::State;
use crate::step::{Event, Happening, LocalKind};
use crate::store::Store;
use crate::system::{Checkable, History};
use crate::visited::Visited;
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
struct Walk<'a, A: Checkable, C, H: History> {
    store: &'a Store<A, C, H>,
    recovery: &'a Recovery<A>,
    good: Visited,
}

/// A segment with its place among all.
type Numbered = (usize, Segment);

/// What one pass over some segments has found: how many became good, the states that did not, and
/// those of them that have room.
#[derive(Default)]
struct Pass {
    good: usize,
    with_room: usize,
    rest: Vec<Numbered>,
    traps: Vec<(usize, Place)>,
}

/// Walks the states of a finished search; gives what has come of it and the trap that was reached
/// first.
pub(crate) fn walk<A: Checkable, C: Sync + Send, H: History>(
    store: &Store<A, C, H>,
    recovery: &Recovery<A>,
    shared: &Shared<'_>,
    segments: Vec<Segment>,
    steppers: &mut [&mut Stepper<'_, A, C, H>],
) -> (Recovered, Option<Place>) {
    let good = Visited::with_room_for(shared.unique());
    let walk = Walk { store, recovery, good };
    let mut with_room = None;
    let mut rest: Vec<_> = segments.into_iter().enumerate().collect();
    loop {
        let pass = walk.pass(rest, steppers);
        with_room.get_or_insert(pass.with_room);
        if pass.good == 0 || pass.rest.is_empty() || shared.stop.load(Ordering::Relaxed) {
            let recovered =
                Recovered { with_room: with_room.unwrap_or(0), traps: pass.traps.len() };
            let first = pass.traps.into_iter().min_by_key(|(order, _)| *order);
            return (recovered, first.map(|(_, place)| place));
        }
        rest = pass.rest;
    }
}

impl<A: Checkable, C: Sync + Send, H: History> Walk<'_, A, C, H> {
    /// Goes once over all segments, from the last to the first, in a strand for each stepper.
    fn pass(&self, segments: Vec<Numbered>, steppers: &mut [&mut Stepper<'_, A, C, H>]) -> Pass {
        let mut strands: Vec<Vec<Numbered>> = steppers.iter().map(|_| Vec::new()).collect();
        let count = strands.len();
        for (i, segment) in segments.into_iter().enumerate() {
            strands[i % count].push(segment);
        }
        let passes: Vec<Pass> = thread::scope(|scope| {
            let running: Vec<_> = steppers
                .iter_mut()
                .zip(strands)
                .map(|(stepper, strand)| scope.spawn(|| self.strand(stepper, strand)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Pass>| match thread.join() {
                Ok(pass) => pass,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            running.into_iter().map(join).collect()
        });
        let mut all = Pass::default();
        for pass in passes {
            all.good += pass.good;
            all.with_room += pass.with_room;
            all.rest.extend(pass.rest);
            all.traps.extend(pass.traps);
        }
        all.rest.sort_by_key(|(order, _)| *order);
        all
    }

    fn strand(&self, stepper: &mut Stepper<'_, A, C, H>, strand: Vec<Numbered>) -> Pass {
        let mut pass = Pass::default();
        let mut states = Vec::new();
        for (order, mut segment) in strand.into_iter().rev() {
            let mut state = State::default();
            while let Some(place) = segment.pop(self.store.actors(), &mut state) {
                states.push((place, mem::take(&mut state)));
            }
            while let Some((place, state)) = states.pop() {
                let actors = judge::actors(self.store, &state.cells);
                let has_room = (self.recovery.has_room)(&actors);
                pass.with_room += usize::from(has_room);
                if (self.recovery.goal)(&actors) || self.leads_to_good(stepper, &state) {
                    self.good.insert(stepper.fingerprint(&state));
                    pass.good += 1;
                    continue;
                }
                if has_room {
                    pass.traps.push((order, place));
                }
                let mut rest = Segment::new(place);
                rest.push(&state);
                pass.rest.push((order, rest));
            }
        }
        pass
    }

    /// Whether a step that is no fault leads to a state that is known to be good.
    fn leads_to_good(&self, stepper: &mut Stepper<'_, A, C, H>, state: &State) -> bool {
        let (mut found, mut next) = (false, State::default());
        stepper.expand(state, |stepper, taken| {
            if found || self.is_fault(taken.event) {
                return;
            }
            if let Taken::To { fingerprint, .. } = stepper.take(state, taken, &mut next) {
                found = self.good.contains(fingerprint);
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
