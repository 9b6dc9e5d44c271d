//! A register, and clients that write it a few times and then read it.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Envelope, Id, Out};

#[derive(Clone)]
pub(crate) enum Host {
    Server,
    Client { writes: u8 },
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Msg {
    Put(u8, u8),
    Get(u8),
    PutOk(u8),
    GetOk(u8, u8),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum State {
    Server(u8),
    Client { waits_for: u8, read: Option<u8> },
}

/// What clients asked and were told, in order.
pub(crate) type Past = Vec<(Id, Msg)>;

impl Host {
    fn ask(&self, id: Id, number: u8, out: &mut Out<Self>) {
        match self {
            Self::Client { writes } if number < *writes => {
                out.send(Id::from(0), Msg::Put(number, value(id, number)));
            }
            Self::Client { writes } if number == *writes => {
                out.send(Id::from(0), Msg::Get(number));
            }
            Self::Client { .. } | Self::Server => {}
        }
    }
}

fn value(id: Id, number: u8) -> u8 {
    usize::from(id) as u8 * 10 + number
}

impl Actor for Host {
    type Msg = Msg;
    type State = State;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> State {
        self.ask(id, 0, out);
        match self {
            Self::Server => State::Server(0),
            Self::Client { .. } => State::Client { waits_for: 0, read: None },
        }
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, State>, src: Id, msg: Msg, out: &mut Out<Self>) {
        match (&**state, msg) {
            (State::Server(_), Msg::Put(number, value)) => {
                *state.to_mut() = State::Server(value);
                out.send(src, Msg::PutOk(number));
            }
            (State::Server(value), Msg::Get(number)) => out.send(src, Msg::GetOk(number, *value)),
            (State::Client { waits_for, .. }, Msg::PutOk(number)) if *waits_for == number => {
                *state.to_mut() = State::Client { waits_for: number + 1, read: None };
                self.ask(id, number + 1, out);
            }
            (State::Client { waits_for, .. }, Msg::GetOk(number, value))
                if *waits_for == number =>
            {
                *state.to_mut() = State::Client { waits_for: number + 1, read: Some(value) };
            }
            _ => {}
        }
    }
}

/// A register with clients that write so often each.
pub(crate) fn model(clients: usize, writes: u8) -> ActorModel<Host, (), Past> {
    ActorModel::new((), Past::new())
        .actor(Host::Server)
        .actors(std::iter::repeat_n(Host::Client { writes }, clients))
        .record_msg_out(|(), past, envelope| {
            let asks = matches!(envelope.msg, Msg::Put(..) | Msg::Get(_));
            asks.then(|| noted(past, envelope.src, &envelope))
        })
        .record_msg_in(|(), past, envelope| {
            let tells = matches!(envelope.msg, Msg::PutOk(_) | Msg::GetOk(..));
            tells.then(|| noted(past, envelope.dst, &envelope))
        })
        .property(Expectation::Always, "what is read was written", |_, state| {
            let written = |value| {
                value == 0 || state.history.iter().any(|(_, msg)| written_by(msg) == Some(value))
            };
            state.actor_states.iter().filter_map(|state| read_by(state)).all(written)
        })
        .property(Expectation::Always, "each reads its own last write", |model, state| {
            let clients = model.actors.iter().zip(&state.actor_states).enumerate();
            clients.into_iter().all(|(i, (host, state))| match (host, read_by(state)) {
                (Host::Client { writes }, Some(read)) if *writes > 0 => {
                    read == value(Id::from(i), *writes - 1)
                }
                _ => true,
            })
        })
        .property(Expectation::Sometimes, "all have read", |_, state| {
            state.actor_states[1..].iter().all(|state| read_by(state).is_some())
        })
}

fn noted(past: &Past, client: Id, envelope: &Envelope<&Msg>) -> Past {
    let mut past = past.clone();
    past.push((client, envelope.msg.clone()));
    past
}

fn written_by(msg: &Msg) -> Option<u8> {
    match msg {
        Msg::Put(_, value) => Some(*value),
        Msg::Get(_) | Msg::PutOk(_) | Msg::GetOk(..) => None,
    }
}

fn read_by(state: &State) -> Option<u8> {
    match state {
        State::Client { read, .. } => *read,
        State::Server(_) => None,
    }
}
