//! What is searched: stateright's `ActorModel`, with bounds and reductions that it does not have.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use stateright::actor::{Actor, ActorModel, Id};

use crate::property::{Action, Property};
use crate::recover::Recovery;
use crate::symmetry::Symmetry;

/// An actor that the checker takes: stateright's, and threads may share its states.
pub trait Checkable:
    Actor<
        Msg: Ord + Send + Sync + 'static,
        Timer: Ord + Send + Sync + 'static,
        State: Send + Sync + 'static,
        Storage: Send + Sync + 'static,
        Random: Send + Sync + 'static,
    > + Send
    + Sync
    + 'static
{
}

impl<A> Checkable for A where
    A: Actor<
            Msg: Ord + Send + Sync + 'static,
            Timer: Ord + Send + Sync + 'static,
            State: Send + Sync + 'static,
            Storage: Send + Sync + 'static,
            Random: Send + Sync + 'static,
        > + Send
        + Sync
        + 'static
{
}

/// What a system records of its past, for properties to read.
pub trait History: Clone + Debug + Hash + Send + Sync + 'static {}

impl<H: Clone + Debug + Hash + Send + Sync + 'static> History for H {}

/// What is searched.
pub struct System<A: Checkable, C, H: History> {
    /// The actors, their network, and what is recorded.
    pub model: ActorModel<A, C, H>,
    /// Which states are searched.
    pub boundary: Boundary<A>,
    /// What all actors together may do at most.
    pub budgets: Vec<Budget<A>>,
    /// What the network and the hosts may do at most.
    pub faults: Faults,
    /// Which messages can never again have an effect, if the protocol says so.
    pub dead: Option<Dead<A>>,
    /// Which actors can be exchanged for each other, if any.
    pub symmetry: Option<Arc<dyn Symmetry<A, H>>>,
    /// What is asked of it.
    pub properties: Vec<Property<A, H>>,
    /// The goals that must stay within reach. Asking for any takes memory for all states.
    pub recoveries: Vec<Recovery<A>>,
    /// Messages that `record_msg_in` and `record_msg_out` may take note of; none: all. It saves a
    /// look-up for each step that sends none of them.
    pub recorded: Option<fn(&A::Msg) -> bool>,
    /// The steps that lead to where the search starts; none: it starts at the first state. Then it
    /// covers only what can be reached from there, and is a search within bounds like any other:
    /// counts and depth are of those states, shortest ways go on from there. What is told of ways
    /// begins at the first state. That a message is delivered once more than it was sent stateright
    /// cannot name: such a step is taken for a delivery.
    pub stage: Vec<Action<A>>,
    /// The goal that ends the search when it is reached; none: it goes on to the last state.
    pub until: Option<&'static str>,
    /// Whether a duplicating network remembers in the state which message it delivered last, as
    /// stateright's does. It does so only to tell apart states that are equal.
    pub remember_last: bool,
}

/// Says whether an actor's state is inside the boundary.
pub type Inside<A> = Box<dyn Fn(Id, &<A as Actor>::State) -> bool + Send + Sync>;

/// Which states are searched. A state outside is not reached at all, and not counted.
pub enum Boundary<A: Checkable> {
    /// All of them.
    Open,
    /// Those in which each actor's state is inside.
    Actors(Inside<A>),
    /// Those that the model's own `within_boundary` accepts: evaluated in every state.
    Model,
}

/// A sum over all actors that a state inside the boundary does not exceed.
pub struct Budget<A: Checkable> {
    /// What an actor has spent. It never decreases in a step.
    pub spent: fn(Id, &A::State) -> u32,
    /// What all together may spend.
    pub limit: u32,
}

/// Bounds on faults, in all: stateright bounds only how many actors are down at once
/// (`max_crashes`, which holds as well).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Faults {
    /// Crashes; none: any number.
    pub crashes: Option<u8>,
    /// Messages that a lossy network drops; none: any number.
    pub drops: Option<u8>,
    /// Messages that a network of distinct messages delivers once more.
    pub duplications: u8,
}

/// A protocol's word that a message can never again have an effect. The canonical network forgets
/// such messages.
pub struct Dead<A: Checkable> {
    /// Whether a message (receiver, its state, sender, message) is dead, by facts about the
    /// receiver that only grow.
    pub is_dead: fn(Id, &A::State, Id, &A::Msg) -> bool,
    /// The budget, by its place in [`System::budgets`], that must be spent before the rule holds:
    /// while a crash may still make a receiver forget, what it knows proves nothing.
    pub once_spent: Option<usize>,
    /// Whether each message that is found dead is delivered once more, on the side, to see that it
    /// does nothing: what it does is a violation of [`crate::report::DEAD_MESSAGES`].
    pub verify: bool,
}

impl<A: Checkable, C, H: History> System<A, C, H> {
    /// The model as it stands: no bound but its own, no reduction, no property.
    pub fn new(model: ActorModel<A, C, H>, boundary: Boundary<A>) -> Self {
        Self {
            model,
            boundary,
            budgets: Vec::new(),
            faults: Faults::default(),
            dead: None,
            symmetry: None,
            properties: Vec::new(),
            recoveries: Vec::new(),
            recorded: None,
            stage: Vec::new(),
            until: None,
            remember_last: false,
        }
    }
}
