//! A counter that saves only now and then, and forgets the rest when it crashes.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};

#[derive(Clone)]
pub(crate) enum Host {
    /// Counts so far.
    Counter { most: u8 },
    /// Asks so often.
    Client { adds: u8 },
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Msg {
    Add(u8),
    Added(u8),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    count: u8,
    /// Whether something is still to be saved: the timer is set unless the actor is down.
    dirty: bool,
}

impl Actor for Host {
    type Msg = Msg;
    type State = State;
    type Timer = ();
    type Random = ();
    type Storage = u8;

    fn on_start(&self, _: Id, storage: &Option<u8>, out: &mut Out<Self>) -> State {
        if let (Self::Client { adds }, None) = (self, storage) {
            out.save(0); // Started again, it asks for nothing more.
            (0..*adds).for_each(|add| out.send(Id::from(0), Msg::Add(add)));
        }
        State { count: storage.unwrap_or(0), dirty: false }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, State>, src: Id, msg: Msg, out: &mut Out<Self>) {
        match (self, msg) {
            (Self::Counter { most }, Msg::Add(_)) if state.count < *most => {
                let count = state.count + 1;
                *state.to_mut() = State { count, dirty: true };
                out.set_timer((), model_timeout());
                out.send(src, Msg::Added(count));
            }
            (Self::Client { .. }, Msg::Added(count)) if state.count < count => {
                state.to_mut().count = count;
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, (): &(), out: &mut Out<Self>) {
        out.save(state.count);
        state.to_mut().dirty = false;
    }
}

/// A counter with clients that add so often each, of which so many may be down at once. The history
/// is the highest count that has been told.
pub(crate) fn model(clients: usize, adds: u8, crashes: usize) -> ActorModel<Host, (), u8> {
    ActorModel::new((), 0)
        .actor(Host::Counter { most: adds * clients as u8 })
        .actors(std::iter::repeat_n(Host::Client { adds }, clients))
        .max_crashes(crashes)
        .record_msg_out(|(), told, envelope| match envelope.msg {
            Msg::Added(count) if count > told => Some(*count),
            Msg::Added(_) | Msg::Add(_) => None,
        })
        .property(Expectation::Always, "what was told is kept", |_, state| {
            state.actor_states[0].count >= state.history
        })
        .property(Expectation::Sometimes, "all is counted and saved", |model, state| {
            let Host::Counter { most } = model.actors[0] else { return false };
            state.actor_storages[0] == Some(most)
        })
        .property(Expectation::Sometimes, "as many are down as may be", |model, state| {
            state.crashed.iter().filter(|crashed| **crashed).count() == model.max_crashes
        })
}
