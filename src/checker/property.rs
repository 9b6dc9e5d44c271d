//! What is asked of a system, by what it reads.
//!
//! A property says which part of a state it looks at, and is evaluated once for each distinct thing
//! that it reads: an actor's state is judged when it is first seen, not in each of the million
//! system states that contain it.

use std::hash::Hash;

use stateright::actor::{Actor, ActorModelAction, ActorModelState, Envelope, Id};

use crate::Checkable;
use crate::fingerprint::{self, Kind};

/// Whether a property holds, and if not, what is wrong, with the values.
pub type Holds = Result<(), String>;

/// What is expected of a property.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expectation {
    /// It holds in every reachable state.
    Always,
    /// It holds in some reachable state: a goal.
    Sometimes,
}

/// Something asked of a system.
pub struct Property<A: Checkable, H> {
    /// Its name.
    pub name: &'static str,
    /// What is expected.
    pub expectation: Expectation,
    /// What it looks at, and how.
    pub reads: Reads<A, H>,
}

type StateOf<A> = <A as Actor>::State;
type MsgOf<A> = <A as Actor>::Msg;

/// Judges one actor's state.
pub type ActorJudge<A> = Box<dyn Fn(Id, &StateOf<A>) -> Holds + Send + Sync>;
/// Judges a step of one actor.
pub type StepJudge<A> = Box<dyn Fn(&ActorStep<'_, A>) -> Holds + Send + Sync>;
/// Judges what has been recorded.
pub type HistoryJudge<H> = Box<dyn Fn(&H) -> Holds + Send + Sync>;
/// Judges two actors' states.
pub type PairJudge<A> = Box<dyn Fn((Id, &StateOf<A>), (Id, &StateOf<A>)) -> Holds + Send + Sync>;
/// Judges all actors' states.
pub type ActorsJudge<A> = Box<dyn Fn(&[&StateOf<A>]) -> Holds + Send + Sync>;
/// Judges a message, with all actors' states.
pub type MessageJudge<A> = Box<dyn Fn(&[&StateOf<A>], Envelope<&MsgOf<A>>) -> Holds + Send + Sync>;
/// Says whether a property concerns a message.
pub type Concerns<A> = Box<dyn Fn(&MsgOf<A>) -> bool + Send + Sync>;
/// Judges a whole state.
pub type StateJudge<A, H> = Box<dyn Fn(&ActorModelState<A, H>) -> Holds + Send + Sync>;
/// A digest of what a property reads of an actor's state: equal for equal values.
pub type View<A> = Box<dyn Fn(Id, &StateOf<A>) -> u64 + Send + Sync>;

/// A step of one actor.
pub struct ActorStep<'a, A: Checkable> {
    /// Who takes it.
    pub actor: Id,
    /// The state before it.
    pub before: &'a A::State,
    /// What happens.
    pub event: &'a Action<A>,
    /// The state after it.
    pub after: &'a A::State,
    /// What is sent.
    pub sends: &'a [Envelope<&'a A::Msg>],
}

/// A step of the system, as stateright names it.
pub type Action<A> = ActorModelAction<MsgOf<A>, <A as Actor>::Timer, <A as Actor>::Random>;

/// What a property looks at. The fewer states share what it reads, the more often it is evaluated:
/// from top to bottom.
pub enum Reads<A: Checkable, H> {
    /// One actor's state.
    Actor(ActorJudge<A>),
    /// One step of one actor. *Always* only: it says what no step may do.
    Step(StepJudge<A>),
    /// What has been recorded.
    History(HistoryJudge<H>),
    /// Two actors' states, the one of the lower id first.
    Pair(PairJudge<A>),
    /// All actors' states, as far as `view` shows them.
    Actors {
        /// What is read of an actor; see [`view`]. None: all of it.
        view: Option<View<A>>,
        /// The judgement.
        judge: ActorsJudge<A>,
    },
    /// A message under way, and all actors' states as far as `view` shows them.
    Message {
        /// Whether the property says anything of this message.
        concerns: Concerns<A>,
        /// What is read of an actor; see [`view`]. None: all of it.
        view: Option<View<A>>,
        /// The judgement.
        judge: MessageJudge<A>,
    },
    /// The whole state: evaluated in every one of them.
    State(StateJudge<A, H>),
}

/// The digest of what a property reads of an actor: equal for equal values.
pub fn view<T: Hash + ?Sized>(read: &T) -> u64 {
    fingerprint::of(Kind::View, read) as u64
}

impl<A: Checkable, H> Property<A, H> {
    /// Something that must hold in every reachable state.
    pub fn always(name: &'static str, reads: Reads<A, H>) -> Self {
        Self { name, expectation: Expectation::Always, reads }
    }

    /// Something that must hold in some reachable state.
    pub fn sometimes(name: &'static str, reads: Reads<A, H>) -> Self {
        Self { name, expectation: Expectation::Sometimes, reads }
    }

    /// Whether it holds in a state; of several actors, pairs or messages the first that is wrong
    /// speaks (*always*), or the first that is right (*sometimes*). A step shows in no state.
    pub fn judge(&self, state: &ActorModelState<A, H>) -> Holds {
        let actors: Vec<&A::State> = state.actor_states.iter().map(|state| &**state).collect();
        let ids = || actors.iter().enumerate().map(|(i, state)| (Id::from(i), *state));
        match &self.reads {
            Reads::Actor(judge) => self.over(ids().map(|(id, state)| judge(id, state))),
            Reads::Step(_) => Ok(()),
            Reads::History(judge) => judge(&state.history),
            Reads::Pair(judge) => self.over(ids().flat_map(|second| {
                ids()
                    .take_while(move |first| first.0 < second.0)
                    .map(move |first| judge(first, second))
            })),
            Reads::Actors { judge, .. } => judge(&actors),
            Reads::Message { concerns, judge, .. } => {
                let messages = state.network.iter_deliverable().filter(|e| concerns(e.msg));
                self.over(messages.map(|envelope| judge(&actors, envelope)))
            }
            Reads::State(judge) => judge(state),
        }
    }

    fn over(&self, mut verdicts: impl Iterator<Item = Holds>) -> Holds {
        match self.expectation {
            Expectation::Always => verdicts.collect(),
            Expectation::Sometimes if verdicts.any(|verdict| verdict.is_ok()) => Ok(()),
            Expectation::Sometimes => Err("it holds nowhere in this state".into()),
        }
    }
}
