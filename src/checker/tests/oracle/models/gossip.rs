//! Actors in a ring that count, and tell their neighbour: without end, unless a boundary ends it.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out};

#[derive(Clone)]
pub(crate) struct Host {
    next: Id,
}

/// How far actors may count, and how many messages may be under way.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) count: u8,
    pub(crate) messages: usize,
}

impl Actor for Host {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> u8 {
        out.send(self.next, usize::from(id) as u8 % 2);
        0
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, msg: u8, out: &mut Out<Self>) {
        *state.to_mut() += 1;
        out.send(self.next, **state % 3);
        if msg == 1 {
            out.send(self.next, 2);
        }
    }
}

/// So many actors; the model's own boundary is what `bounds` say.
pub(crate) fn model(actors: usize, bounds: Bounds) -> ActorModel<Host, Bounds, ()> {
    ActorModel::new(bounds, ())
        .actors((0..actors).map(|i| Host { next: Id::from((i + 1) % actors) }))
        .within_boundary(|bounds, state| {
            state.actor_states.iter().all(|state| **state <= bounds.count)
                && state.network.len() <= bounds.messages
        })
        .property(Expectation::Always, "the last counts slowly", |model, state| {
            state.actor_states.last().is_some_and(|last| **last < model.cfg.count)
        })
        .property(Expectation::Sometimes, "all have counted to the end", |model, state| {
            state.actor_states.iter().all(|state| **state == model.cfg.count)
        })
}
