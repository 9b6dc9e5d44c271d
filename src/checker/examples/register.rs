//! A register, and clients that write it a few times and then read it.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Envelope, Id, Out};

use crate::property::{Property, Reads, view};
use crate::system::{Boundary, System};

/// An actor.
#[derive(Clone)]
pub enum Host {
    /// It has the register.
    Server,
    /// It writes the register, and then reads it.
    Client {
        /// How often it writes.
        writes: u8,
    },
}

/// A message; the first number is that of the client's request.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Msg {
    /// The client writes this.
    Put(u8, u8),
    /// The client reads.
    Get(u8),
    /// It is written.
    PutOk(u8),
    /// This is read.
    GetOk(u8, u8),
}

/// An actor's state.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// What the register holds.
    Server(u8),
    /// How far a client is.
    Client {
        /// The request that it waits to be answered.
        waits_for: u8,
        /// What it has read.
        read: Option<u8>,
    },
}

/// What clients asked and were told, in order.
pub type Past = Vec<(Id, Msg)>;

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
#[must_use]
pub fn model(clients: usize, writes: u8) -> ActorModel<Host, (), Past> {
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
            unwritten(&state.history).is_none()
        })
        .property(Expectation::Always, "each reads its own last write", |model, state| {
            let clients = model.actors.iter().zip(&state.actor_states).enumerate();
            clients.into_iter().all(|(i, (host, state))| !reads_another(host, Id::from(i), state))
        })
        .property(Expectation::Sometimes, "all have read", |_, state| {
            state.actor_states[1..].iter().all(|state| read_by(state).is_some())
        })
}

/// The same for this checker. With more than one client, one may read what another has written.
#[must_use]
pub fn system(model: ActorModel<Host, (), Past>) -> System<Host, (), Past> {
    let hosts = model.actors.clone();
    let mut system = System::new(model, Boundary::Open);
    let written = |past: &Past| match unwritten(past) {
        Some(value) => Err(format!("{value} is read, and nobody has written it")),
        None => Ok(()),
    };
    let another = move |id: Id, state: &State| {
        let so = reads_another(&hosts[usize::from(id)], id, state);
        so.then_some(()).ok_or_else(|| format!("{id:?} has not read what another wrote"))
    };
    let all = |states: &[&State]| {
        let so = states[1..].iter().all(|state| read_by(state).is_some());
        so.then_some(()).ok_or_else(|| "not all have read".into())
    };
    system.properties = vec![
        Property::always("what is read was written", Reads::History(Box::new(written))),
        Property::sometimes("one reads another's write", Reads::Actor(Box::new(another))),
        Property::sometimes(
            "all have read",
            Reads::Actors {
                view: Some(Box::new(|_, state| view(&read_by(state).is_some()))),
                judge: Box::new(all),
            },
        ),
    ];
    system
}

fn noted(past: &Past, client: Id, envelope: &Envelope<&Msg>) -> Past {
    let mut past = past.clone();
    past.push((client, envelope.msg.clone()));
    past
}

/// What has been read and never written before, if anything.
fn unwritten(past: &Past) -> Option<u8> {
    past.iter().enumerate().find_map(|(i, (_, msg))| match msg {
        Msg::GetOk(_, value) => {
            let wrote = |(_, msg): &(Id, Msg)| matches!(msg, Msg::Put(_, put) if put == value);
            (*value != 0 && !past[..i].iter().any(wrote)).then_some(*value)
        }
        Msg::Put(..) | Msg::Get(_) | Msg::PutOk(_) => None,
    })
}

/// Whether a client has read something else than what it wrote last.
fn reads_another(host: &Host, id: Id, state: &State) -> bool {
    match (host, read_by(state)) {
        (Host::Client { writes }, Some(read)) => *writes > 0 && read != value(id, *writes - 1),
        _ => false,
    }
}

fn read_by(state: &State) -> Option<u8> {
    match state {
        State::Client { read, .. } => *read,
        State::Server(_) => None,
    }
}
