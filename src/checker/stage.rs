//! Where a search starts: at the first state, or where known steps lead to.
//!
//! What comes soon after the first state is a small part of a large system. A search from a stage
//! spends all its time behind it, and sees nothing else: it says nothing of states that cannot be
//! reached from there.

use crate::expand::{Stepper, Taken};
use crate::property::Action;
use crate::state::State;
use crate::step::Event;
use crate::store::Trouble;
use crate::system::{Checkable, History};

/// The state that a search starts from.
pub(crate) struct Stage {
    pub(crate) state: State,
    pub(crate) fingerprint: u64,
    /// What leads there from the first state.
    pub(crate) events: Vec<Event>,
}

impl Stage {
    /// Takes the steps of the system's stage, with the real handlers. None if the first state is
    /// outside the boundary; or if a step cannot be taken, which is reported.
    pub(crate) fn reach<A: Checkable, C, H: History>(
        stepper: &mut Stepper<'_, A, C, H>,
    ) -> Option<Self> {
        let (state, fingerprint) = stepper.start()?;
        let mut stage = Self { state, fingerprint, events: Vec::new() };
        let store = stepper.store;
        for (i, action) in store.system.stage.iter().enumerate() {
            let Some((event, state, fingerprint)) = step(stepper, &stage.state, action) else {
                let action = format!("{action:?}");
                store.report(Trouble::NoSuchStep { number: i + 1, action });
                return None;
            };
            (stage.state, stage.fingerprint) = (state, fingerprint);
            stage.events.push(event);
        }
        Some(stage)
    }
}

/// Takes the step that stateright names so, if it can be taken.
fn step<A: Checkable, C, H: History>(
    stepper: &mut Stepper<'_, A, C, H>,
    state: &State,
    wanted: &Action<A>,
) -> Option<(Event, State, u64)> {
    let mut found = None;
    stepper.expand(state, |stepper, taken| {
        if found.is_none() && stepper.store.action(taken.event) == *wanted {
            let mut next = State::default();
            if let Taken::To { fingerprint, .. } = stepper.take(state, taken, &mut next) {
                found = Some((taken.event, next, fingerprint));
            }
        }
    });
    found
}
