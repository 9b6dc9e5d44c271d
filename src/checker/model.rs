//! The compact system as a `stateright::Model`: stateright's breadth-first and depth-first search,
//! its simulation and its Explorer run on it unchanged.
//!
//! They see states that are a few numbers, and fingerprints that are known before they are asked
//! for: what makes this checker fast makes them faster, too. States that differ in names only have
//! the same fingerprint, so their searches use the symmetry without knowing of it.

use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use stateright::{Expectation as StaterightExpectation, Model, Property as StaterightProperty};

use crate::expand::{Stepper, Taken};
use crate::property::Expectation;
use crate::stage::Stage;
use crate::state::State;
use crate::step::Event;
use crate::store::{Store, lock};
use crate::system::{Checkable, History, System};
use crate::watch::Watch;

/// A system, for stateright's searches.
pub struct Compact<A: Checkable, C: 'static, H: History> {
    store: &'static Store<A, C, H>,
    /// What threads work with when they are here.
    tools: Mutex<Vec<Tools<A, C, H>>>,
}

struct Tools<A: Checkable, C: 'static, H: History> {
    stepper: Stepper<'static, A, C, H>,
    watch: Watch<'static, A, C, H>,
}

/// A state of a [`Compact`] system.
pub struct CompactState<A: Checkable, C: 'static, H: History> {
    store: &'static Store<A, C, H>,
    state: State,
    fingerprint: u64,
    /// The properties that it breaks, or reaches.
    notable: u64,
}

/// A step of a [`Compact`] system, with the state that it leads to.
pub struct CompactAction<A: Checkable, C: 'static, H: History> {
    event: Event,
    next: CompactState<A, C, H>,
}

impl<A: Checkable, C: Send + Sync + 'static, H: History> Compact<A, C, H> {
    /// The system for stateright. Its parts stay in memory as long as the program runs: stateright
    /// wants models that borrow nothing.
    #[must_use]
    pub fn new(system: System<A, C, H>) -> Self {
        let store = Box::leak(Box::new(Store::new(system)));
        Self { store, tools: Mutex::default() }
    }

    fn with_tools<T>(&self, work: impl FnOnce(&mut Tools<A, C, H>) -> T) -> T {
        let tools = lock(&self.tools).pop();
        let mut tools = tools.unwrap_or_else(|| Tools {
            stepper: Stepper::new(self.store),
            watch: Watch::new(self.store),
        });
        let made = work(&mut tools);
        lock(&self.tools).push(tools);
        made
    }

    fn state(
        &self,
        tools: &mut Tools<A, C, H>,
        state: State,
        fingerprint: u64,
    ) -> CompactState<A, C, H> {
        let notable = tools.watch.look(&mut tools.stepper.hot, &state, None, u64::MAX);
        CompactState { store: self.store, state, fingerprint, notable }
    }
}

/// Conditions for stateright, which wants plain functions: for each place in the list of properties
/// whether the state is notable there.
macro_rules! conditions {
    ($($place:literal)*) => { [$(|_, state| state.notable & 1 << $place != 0),*] };
}

/// The same for what must always hold: not notable.
macro_rules! promises {
    ($($place:literal)*) => { [$(|_, state| state.notable & 1 << $place == 0),*] };
}

/// The places of all properties that there can be.
macro_rules! places {
    ($of:ident) => {
        $of!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63
        )
    };
}

impl<A: Checkable, C: Send + Sync + 'static, H: History> Model for Compact<A, C, H> {
    type State = CompactState<A, C, H>;
    type Action = CompactAction<A, C, H>;

    fn init_states(&self) -> Vec<Self::State> {
        self.with_tools(|tools| {
            let stage = Stage::reach(&mut tools.stepper);
            stage.map(|stage| self.state(tools, stage.state, stage.fingerprint))
        })
        .into_iter()
        .collect()
    }

    fn actions(&self, from: &Self::State, actions: &mut Vec<Self::Action>) {
        self.with_tools(|tools| {
            let mut moves = Vec::new();
            tools.stepper.expand(&from.state, |_, taken| moves.push(taken));
            for taken in moves {
                let mut state = State::default();
                if let Taken::To { fingerprint, .. } =
                    tools.stepper.take(&from.state, taken, &mut state)
                {
                    let next = self.state(tools, state, fingerprint);
                    actions.push(CompactAction { event: taken.event, next });
                }
            }
        });
    }

    fn next_state(&self, _: &Self::State, action: Self::Action) -> Option<Self::State> {
        Some(action.next)
    }

    fn properties(&self) -> Vec<StaterightProperty<Self>> {
        let always: [fn(&Self, &Self::State) -> bool; 64] = places!(promises);
        let sometimes: [fn(&Self, &Self::State) -> bool; 64] = places!(conditions);
        let properties = self.store.system.properties.iter().enumerate();
        properties
            .map(|(place, property)| match property.expectation {
                Expectation::Always => StaterightProperty {
                    expectation: StaterightExpectation::Always,
                    name: property.name,
                    condition: always[place],
                },
                Expectation::Sometimes => StaterightProperty {
                    expectation: StaterightExpectation::Sometimes,
                    name: property.name,
                    condition: sometimes[place],
                },
            })
            .collect()
    }
}

impl<A: Checkable, C, H: History> Clone for CompactState<A, C, H> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), ..*self }
    }
}

impl<A: Checkable, C, H: History> PartialEq for CompactState<A, C, H> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl<A: Checkable, C, H: History> Hash for CompactState<A, C, H> {
    fn hash<S: Hasher>(&self, hasher: &mut S) {
        hasher.write_u64(self.fingerprint);
    }
}

impl<A: Checkable, C, H: History> Debug for CompactState<A, C, H> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.store.whole(&self.state).fmt(f)
    }
}

impl<A: Checkable, C, H: History> Clone for CompactAction<A, C, H> {
    fn clone(&self) -> Self {
        Self { event: self.event, next: self.next.clone() }
    }
}

impl<A: Checkable, C, H: History> PartialEq for CompactAction<A, C, H> {
    fn eq(&self, other: &Self) -> bool {
        self.event == other.event && self.next == other.next
    }
}

impl<A: Checkable, C, H: History> Debug for CompactAction<A, C, H> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.next.store.action(self.event).fmt(f)
    }
}
