//! A way through a system, step by step, with the states as stateright has them.

use stateright::actor::ActorModelState;

use crate::expand::{Stepper, Taken};
use crate::judge;
use crate::property::{Action, ActorStep, Holds, Reads};
use crate::state::State;
use crate::step::Event;
use crate::store::Store;
use crate::system::{Checkable, History};

/// A way through a system.
pub struct Trace<A: Checkable, H: History> {
    /// The state before the first step.
    pub first: ActorModelState<A, H>,
    /// What happens, and the state after it. A step in which a handler panics changes nothing.
    pub steps: Vec<(Action<A>, ActorModelState<A, H>)>,
}

impl<A: Checkable, H: History> Trace<A, H> {
    /// The last state.
    pub fn last(&self) -> &ActorModelState<A, H> {
        self.steps.last().map_or(&self.first, |(_, state)| state)
    }
}

/// A trace with what only the checker needs of it.
pub(crate) struct Replay<A: Checkable, H: History> {
    pub(crate) trace: Trace<A, H>,
    /// The last step: the cell it was taken from, and the event.
    last: Option<(u32, Event)>,
}

impl<A: Checkable, H: History> Replay<A, H> {
    /// Takes steps from the first state.
    pub(crate) fn run<C>(store: &Store<A, C, H>, events: &[Event]) -> Self {
        let mut stepper = Stepper::new(store);
        let mut state = stepper.start().map(|(state, _)| state).unwrap_or_default();
        let first = store.whole(&state);
        let (mut steps, mut last) = (Vec::new(), None);
        for event in events {
            let mut next = State::default();
            next.copy(&state);
            last = store.actor_of(*event).map(|actor| (state.cells[actor], *event));
            stepper.expand(&state, |stepper, taken| {
                if taken.event == *event {
                    let mut there = State::default();
                    if let Taken::To { .. } = stepper.take(&state, taken, &mut there) {
                        next.copy(&there);
                    }
                }
            });
            state = next;
            steps.push((store.action(*event), store.whole(&state)));
        }
        Self { trace: Trace { first, steps }, last }
    }

    /// What a property has to say about the end of the trace.
    pub(crate) fn detail<C>(&self, store: &Store<A, C, H>, place: usize) -> String {
        let property = &store.system.properties[place];
        let verdict = match &property.reads {
            Reads::Step(judge) => self.judge_step(store, judge),
            _ => property.judge(self.trace.last()),
        };
        verdict.err().unwrap_or_default()
    }

    fn judge_step<C>(
        &self,
        store: &Store<A, C, H>,
        judge: &dyn for<'s> Fn(&ActorStep<'s, A>) -> Holds,
    ) -> Holds {
        let Some((cell, event)) = self.last else { return Ok(()) };
        let Some(step) = store.react(cell, event, false).step() else { return Ok(()) };
        let step = &store.steps[step as usize];
        judge::with_step(store, cell, event, step.next, &step.sends, |step| judge(step))
    }
}
