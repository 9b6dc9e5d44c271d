//! What is promised, one named function for each promise.
//!
//! A promise about one step of one server (its state before and after) is checked where the step is
//! taken ([`crate::raft::Summary`], [`crate::actor`]) and reported by name; one about all servers,
//! about messages or about what clients have seen is a function of the system's state, here. A goal
//! is a state that a check must reach: a check that cannot show what it is about proves nothing.
//!
//! The codes P1 to P22 are those of `docs/checking.md`.

pub mod clients;
pub mod goals;
pub mod raft;

use stateright::{Expectation, Property as StaterightProperty};

use crate::system::{System, SystemState};
use crate::violation::Violation;

/// A promise or a goal.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name: the paper's, where a paper has one.
    pub name: &'static str,
    /// What it says.
    pub statement: &'static str,
    /// What it looks at.
    pub kind: Kind,
    condition: fn(&System, &SystemState) -> bool,
    explain: fn(&SystemState) -> Result<(), Violation>,
}

/// What a property looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One step of one server.
    Step,
    /// All servers at once.
    State,
    /// The messages under way.
    Message,
    /// What clients have seen.
    History,
    /// A state that must be reached.
    Goal,
}

impl Kind {
    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::State => "state",
            Self::Message => "message",
            Self::History => "history",
            Self::Goal => "goal",
        }
    }
}

impl Property {
    /// Whether a state that meets the condition is what is looked for.
    #[must_use]
    pub fn is_goal(&self) -> bool {
        self.kind == Kind::Goal
    }

    /// Why the property does not hold in `state`; nothing if it does.
    #[must_use]
    pub fn violation(&self, state: &SystemState) -> Option<Violation> {
        (self.explain)(state).err()
    }

    /// Whether the property, or the goal, holds in `state`.
    #[must_use]
    pub fn holds(&self, system: &System, state: &SystemState) -> bool {
        (self.condition)(system, state)
    }

    /// The same for stateright.
    #[must_use]
    pub fn to_stateright(&self) -> StaterightProperty<System> {
        let expectation = match self.kind {
            Kind::Goal => Expectation::Sometimes,
            Kind::Step | Kind::State | Kind::Message | Kind::History => Expectation::Always,
        };
        StaterightProperty { expectation, name: self.name, condition: self.condition }
    }
}

/// A promise by its function, `fn(&SystemState) -> Result<(), Violation>`.
macro_rules! promise {
    ($kind:ident, $name:ident, $statement:literal) => {
        $crate::properties::Property {
            name: stringify!($name),
            statement: $statement,
            kind: $crate::properties::Kind::$kind,
            condition: |_, state| $name(state).is_ok(),
            explain: $name,
        }
    };
}

/// A promise about steps, by the name under which a broken one is reported.
macro_rules! step {
    ($name:ident, $statement:literal) => {
        $crate::properties::Property {
            name: stringify!($name),
            statement: $statement,
            kind: $crate::properties::Kind::Step,
            condition: |_, state| $crate::properties::kept(state, stringify!($name)).is_ok(),
            explain: |state| $crate::properties::kept(state, stringify!($name)),
        }
    };
}

/// A goal by its function, `fn(&SystemState) -> bool`.
macro_rules! goal {
    ($name:ident, $statement:literal) => {
        $crate::properties::Property {
            name: stringify!($name),
            statement: $statement,
            kind: $crate::properties::Kind::Goal,
            condition: |_, state| $name(state),
            explain: |_| Ok(()),
        }
    };
}

use {goal, promise, step};

/// Whether no node has broken the promise `property` at a step.
fn kept(state: &SystemState, property: &str) -> Result<(), Violation> {
    let broken = state.actor_states.iter().filter_map(|host| host.violation.as_ref());
    match broken.into_iter().find(|violation| violation.property == property) {
        None => Ok(()),
        Some(violation) => Err(violation.clone()),
    }
}

/// Every promise, in the order of the codes.
#[must_use]
pub fn promises() -> Vec<Property> {
    [raft::PROMISES, clients::PROMISES].concat()
}
