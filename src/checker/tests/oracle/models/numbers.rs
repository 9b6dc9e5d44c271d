//! One that sends numbers, and one that takes only larger ones than before: others are dead.

use std::borrow::Cow;

use checker::{Boundary, Budget, Property, Reads, System};
use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};

#[derive(Clone)]
pub(crate) enum Host {
    /// Sends the numbers up to this.
    Sender(u8),
    Receiver,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) seen: u8,
    /// How often it has forgotten all.
    pub(crate) restarts: u8,
}

impl Actor for Host {
    type Msg = u8;
    type State = State;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> State {
        match self {
            Self::Sender(most) => (1..=*most).for_each(|number| out.send(Id::from(1), number)),
            Self::Receiver => out.set_timer((), model_timeout()),
        }
        State { seen: 0, restarts: 0 }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, State>, _: Id, msg: u8, _: &mut Out<Self>) {
        if msg > state.seen {
            state.to_mut().seen = msg;
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, (): &(), out: &mut Out<Self>) {
        *state.to_mut() = State { seen: 0, restarts: state.restarts + 1 };
        out.set_timer((), model_timeout());
    }
}

/// Numbers up to `most`, of which each may come any number of times, to one that restarts so often.
/// The history is the numbers that have been received, in order.
pub(crate) fn system(most: u8, restarts: u32) -> System<Host, (), Vec<u8>> {
    let model = ActorModel::new((), Vec::new())
        .actors([Host::Sender(most), Host::Receiver])
        .init_network(Network::new_unordered_duplicating([]))
        .record_msg_in(|(), past, envelope| {
            Some(past.iter().copied().chain([*envelope.msg]).collect())
        });
    let mut system = System::new(model, Boundary::Open);
    system.budgets = vec![Budget { spent: |_, state| state.restarts.into(), limit: restarts }];
    let goal = |name, wanted: &'static [u8]| {
        let judge = move |past: &Vec<u8>| if past == wanted { Ok(()) } else { Err("no".into()) };
        Property::sometimes(name, Reads::History(Box::new(judge)))
    };
    system.properties = vec![goal("in order", &[1, 2, 3]), goal("twice", &[1, 1])];
    system
}
