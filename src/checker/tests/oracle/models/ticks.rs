//! Actors in a ring whose two timers set, renew and cancel each other.
//!
//! The state repeats which timers are set, as stateright's fingerprints need it.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};

#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) next: Id,
    pub(crate) most: u8,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    First,
    Second,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    fired: u8,
    first: bool,
    second: bool,
}

impl State {
    pub(crate) fn fired(&self) -> u8 {
        self.fired
    }
}

impl Actor for Host {
    type Msg = u8;
    type State = State;
    type Timer = Timer;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> State {
        out.cancel_timer(Timer::Second);
        out.set_timer(Timer::First, model_timeout());
        State { fired: 0, first: true, second: false }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, State>, _: Id, msg: u8, out: &mut Out<Self>) {
        if state.second {
            out.cancel_timer(Timer::Second);
            out.set_timer(Timer::First, model_timeout());
            *state.to_mut() = State { fired: state.fired, first: true, second: false };
        } else if msg.is_multiple_of(2) && state.first {
            out.set_timer(Timer::First, model_timeout()); // Changes nothing, yet is something.
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, timer: &Timer, out: &mut Out<Self>) {
        match timer {
            Timer::First if state.fired < self.most => {
                out.send(self.next, state.fired);
                out.set_timer(Timer::Second, model_timeout());
                let fired = state.fired + 1;
                *state.to_mut() = State { fired, first: false, second: true };
            }
            Timer::First => out.set_timer(Timer::First, model_timeout()), // Nothing at all.
            Timer::Second => {
                out.set_timer(Timer::Second, model_timeout());
                out.set_timer(Timer::First, model_timeout());
                *state.to_mut() = State { first: true, ..(**state).clone() };
            }
        }
    }
}

/// Actors that tick so often.
pub(crate) fn model(actors: usize, most: u8) -> ActorModel<Host, (), ()> {
    let host = |i: usize| Host { next: Id::from((i + 1) % actors), most };
    ActorModel::new((), ())
        .actors((0..actors).map(host))
        .property(Expectation::Always, "a timer is set", |_, state| {
            state.actor_states.iter().all(|state| state.first || state.second)
        })
        .property(Expectation::Always, "never both timers everywhere", |_, state| {
            !state.actor_states.iter().all(|state| state.first && state.second)
        })
        .property(Expectation::Sometimes, "all have fired", |model, state| {
            state.actor_states.iter().all(|state| state.fired == model.actors[0].most)
        })
}
