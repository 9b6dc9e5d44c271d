//! A lock server whose leases run out, and clients that do not notice: two may hold the lock.
//!
//! Which timers are set follows from the states, as stateright's fingerprints need it.

use std::borrow::Cow;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};

#[derive(Clone)]
pub(crate) enum Host {
    Server,
    Client { retries: u8 },
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Msg {
    Lock,
    Granted,
    Unlock,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    Lease,
    Work,
    Retry,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum State {
    Server { holder: Option<Id>, queue: Vec<Id> },
    Waiting { retries: u8 },
    Holding,
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
pub(crate) fn model(clients: usize, retries: u8) -> ActorModel<Host, (), ()> {
    ActorModel::new((), ())
        .actor(Host::Server)
        .actors(std::iter::repeat_n(Host::Client { retries }, clients))
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
