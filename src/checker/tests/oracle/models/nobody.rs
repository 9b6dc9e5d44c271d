//! Actors that write to each other and to nobody: what nobody receives stays under way, or is lost.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out};

#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) letters: u8,
}

impl Actor for Host {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> u8 {
        out.send(Id::from(usize::from(id) + 1), 0); // The last one's neighbour is nobody.
        out.send(Id::from(1 << 40), 7);
        0
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, u8>, src: Id, msg: u8, out: &mut Out<Self>) {
        if msg >= **state && **state < self.letters {
            *state.to_mut() += 1;
            out.send(src, msg + 1);
            out.send(Id::from(usize::from(id) + 1), **state);
            out.send(Id::from(99), msg % 2);
        }
    }
}

/// Actors that answer so often each.
pub(crate) fn model(actors: usize, letters: u8) -> ActorModel<Host, (), ()> {
    ActorModel::new((), ())
        .actors(std::iter::repeat_n(Host { letters }, actors))
        .property(Expectation::Always, "nobody has few letters", |_, state| {
            let letters = state.network.iter_deliverable();
            letters.filter(|letter| letter.dst == Id::from(99)).count() < 2
        })
        .property(Expectation::Always, "the strange letter stays", |model, state| {
            let mut letters = state.network.iter_deliverable();
            model.actors.is_empty() || letters.any(|letter| letter.dst == Id::from(1 << 40))
        })
        .property(Expectation::Sometimes, "one has answered enough", |model, state| {
            state.actor_states.iter().any(|state| **state == model.actors[0].letters)
        })
}
