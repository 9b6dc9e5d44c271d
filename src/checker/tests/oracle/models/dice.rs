//! Players that throw dice, and a referee that makes them throw again, or not at all.
//!
//! The state repeats the choices that are open, as stateright's fingerprints need it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out};

#[derive(Clone)]
pub(crate) enum Host {
    Referee,
    Player { sides: u8 },
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Msg {
    Thrown(u8),
    Again,
    Enough,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    sum: u8,
    open: BTreeMap<&'static str, Vec<u8>>,
}

/// The most that is added up.
const MOST: u8 = 9;

impl State {
    fn choose(&mut self, key: &'static str, choices: Vec<u8>, out: &mut Out<Host>) {
        if choices.is_empty() {
            out.remove_random(key);
            self.open.remove(key);
        } else {
            out.choose_random(key, choices.clone());
            self.open.insert(key, choices);
        }
    }
}

impl Actor for Host {
    type Msg = Msg;
    type State = State;
    type Timer = ();
    type Random = u8;
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> State {
        let mut state = State { sum: 0, open: BTreeMap::new() };
        if let Self::Player { sides } = self {
            state.choose("die", (1..=*sides).collect(), out);
            state.choose("coin", vec![10, 10], out); // Both sides are the same.
        }
        state
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, State>, src: Id, msg: Msg, out: &mut Out<Self>) {
        match (self, msg) {
            (Self::Referee, Msg::Thrown(value)) if state.sum < MOST => {
                let state = state.to_mut();
                state.sum = (state.sum + value).min(MOST);
                out.send(src, if value == 1 { Msg::Again } else { Msg::Enough });
            }
            (Self::Player { sides }, Msg::Again) if state.sum < 2 => {
                state.to_mut().choose("die", (2..=*sides).collect(), out);
            }
            (Self::Player { .. }, Msg::Enough) if !state.open.is_empty() => {
                state.to_mut().choose("coin", Vec::new(), out);
            }
            _ => {}
        }
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, State>, random: &u8, out: &mut Out<Self>) {
        let state = state.to_mut();
        if *random == 10 {
            state.open.remove("coin");
            return;
        }
        state.open.remove("die");
        state.sum += 1;
        out.send(Id::from(0), Msg::Thrown(*random));
        if *random == 3 && state.sum < 2 {
            state.choose("die", vec![3], out); // The key is free again.
        }
    }
}

/// Players with dice of so many sides.
pub(crate) fn model(players: usize, sides: u8) -> ActorModel<Host, (), ()> {
    ActorModel::new((), ())
        .actor(Host::Referee)
        .actors(std::iter::repeat_n(Host::Player { sides }, players))
        .property(Expectation::Always, "the sum stays small", |_, state| {
            state.actor_states[0].sum < 5
        })
        .property(Expectation::Sometimes, "all dice are thrown", |_, state| {
            state.actor_states[1..].iter().all(|state| !state.open.contains_key("die"))
        })
}
