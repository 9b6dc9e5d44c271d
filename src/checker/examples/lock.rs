//! A lock server whose leases run out, and clients that do not notice: two may hold the lock.
//!
//! Which timers are set follows from the states, as stateright's fingerprints need it.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};

use crate::property::{Property, Reads, view};
use crate::system::{Boundary, System};

/// An actor.
#[derive(Clone)]
pub enum Host {
    /// It hands the lock out.
    Server,
    /// It wants the lock once.
    Client {
        /// How often it asks again.
        retries: u8,
    },
}

/// A message.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Msg {
    /// A client asks for the lock.
    Lock,
    /// The server gives it.
    Granted,
    /// The client gives it back.
    Unlock,
}

/// A timer.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// The server takes the lock for free when it fires.
    Lease,
    /// The client is done.
    Work,
    /// The client asks again.
    Retry,
}

/// An actor's state.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// The server's.
    Server {
        /// Who has the lock, as far as the server knows.
        holder: Option<Id>,
        /// Who waits for it, in order.
        queue: Vec<Id>,
    },
    /// A client that waits for the lock.
    Waiting {
        /// How often it asks again.
        retries: u8,
    },
    /// A client that has the lock, as far as it knows.
    Holding,
    /// A client that has given it back.
    Done,
}

fn hand_over(mut queue: Vec<Id>, out: &mut Out<Host>) -> State {
    let holder = (!queue.is_empty()).then(|| queue.remove(0));
    match holder {
        Some(client) => {
            out.send(client, Msg::Granted);
            out.set_timer(Timer::Lease, model_timeout());
        }
        None => out.cancel_timer(Timer::Lease),
    }
    State::Server { holder, queue }
}

impl Actor for Host {
    type Msg = Msg;
    type State = State;
    type Timer = Timer;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> State {
        match self {
            Self::Server => State::Server { holder: None, queue: Vec::new() },
            Self::Client { retries } => {
                out.send(Id::from(0), Msg::Lock);
                if *retries > 0 {
                    out.set_timer(Timer::Retry, model_timeout());
                }
                State::Waiting { retries: *retries }
            }
        }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, State>, src: Id, msg: Msg, out: &mut Out<Self>) {
        match (&**state, msg) {
            (State::Server { holder, queue }, Msg::Lock) => {
                if *holder == Some(src) || queue.contains(&src) {
                    return;
                }
                let mut queue = queue.clone();
                queue.push(src);
                let next = match holder {
                    None => hand_over(queue, out),
                    Some(_) => State::Server { holder: *holder, queue },
                };
                *state.to_mut() = next;
            }
            (State::Server { holder, queue }, Msg::Unlock) if *holder == Some(src) => {
                let queue = queue.clone();
                *state.to_mut() = hand_over(queue, out);
            }
            (State::Waiting { .. }, Msg::Granted) => {
                *state.to_mut() = State::Holding;
                out.cancel_timer(Timer::Retry);
                out.set_timer(Timer::Work, model_timeout());
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, timer: &Timer, out: &mut Out<Self>) {
        let next = match (&**state, timer) {
            (State::Server { queue, .. }, Timer::Lease) => hand_over(queue.clone(), out),
            (State::Holding, Timer::Work) => {
                out.send(Id::from(0), Msg::Unlock);
                State::Done
            }
            (State::Waiting { retries }, Timer::Retry) => {
                out.send(Id::from(0), Msg::Lock);
                if *retries > 1 {
                    out.set_timer(Timer::Retry, model_timeout());
                }
                State::Waiting { retries: retries - 1 }
            }
            _ => panic!("{timer:?} was set in {state:?}"),
        };
        *state.to_mut() = next;
    }
}

/// A lock server with clients that ask again so often.
#[must_use]
pub fn model(clients: usize, retries: u8) -> ActorModel<Host, (), ()> {
    ActorModel::new((), ())
        .actor(Host::Server)
        .actors(std::iter::repeat_n(Host::Client { retries }, clients))
        .property(Expectation::Always, "nobody waits twice", |_, state| {
            state.actor_states.iter().all(|state| waits_twice(state).is_none())
        })
        .property(Expectation::Always, "one holds the lock", |_, state| {
            state.actor_states.iter().filter(|state| ***state == State::Holding).count() <= 1
        })
        .property(Expectation::Sometimes, "all are done", |_, state| {
            state.actor_states[1..].iter().all(|state| **state == State::Done)
        })
        .property(Expectation::Sometimes, "all hold the lock", |_, state| {
            state.actor_states[1..].iter().all(|state| **state == State::Holding)
        })
}

/// The same for this checker.
#[must_use]
pub fn system(model: ActorModel<Host, (), ()>) -> System<Host, (), ()> {
    let mut system = System::new(model, Boundary::Open);
    let once = |_, state: &State| match waits_twice(state) {
        Some(client) => Err(format!("{client:?} waits twice")),
        None => Ok(()),
    };
    let two = |(first, a): (Id, &State), (second, b): (Id, &State)| {
        let so = [a, b] == [&State::Holding; 2];
        so.then_some(()).ok_or_else(|| format!("{first:?} and {second:?} do not both hold it"))
    };
    system.properties = vec![
        Property::always("nobody waits twice", Reads::Actor(Box::new(once))),
        Property::sometimes("two hold the lock", Reads::Pair(Box::new(two))),
        Property::sometimes("all are done", all_clients(&State::Done)),
        Property::sometimes("all hold the lock", all_clients(&State::Holding)),
    ];
    system
}

/// Whether all clients are in this state.
fn all_clients(wanted: &'static State) -> Reads<Host, ()> {
    Reads::Actors {
        view: Some(Box::new(move |_, state| view(&(state == wanted)))),
        judge: Box::new(move |states| {
            let so = states[1..].iter().all(|state| *state == wanted);
            so.then_some(()).ok_or_else(|| format!("not all are {wanted:?}"))
        }),
    }
}

/// Whom the server has on its list twice, if anybody.
fn waits_twice(state: &State) -> Option<Id> {
    let State::Server { holder, queue } = state else { return None };
    let all: Vec<_> = holder.iter().chain(queue).collect();
    (1..all.len()).find(|i| all[..*i].contains(&all[*i])).map(|i| *all[i])
}
