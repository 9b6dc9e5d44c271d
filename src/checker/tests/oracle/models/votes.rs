//! Servers that vote once each, and clients that ask all of them for their vote: any two servers
//! can be exchanged for each other, and so can any two clients.

use std::borrow::Cow;
use std::collections::BTreeSet;

use checker::{Renaming, Symmetry};
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};

#[derive(Clone)]
pub(crate) enum Host {
    /// Votes once; again, if it is forgetful and has crashed.
    Server { forgetful: bool },
    /// Asks so many servers, the first actors.
    Client { servers: usize },
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Msg {
    Ask,
    Vote,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum State {
    Server { vote: Option<Id> },
    Client { votes: BTreeSet<Id>, unasked: BTreeSet<Id> },
}

/// To ask this server.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Timer(Id);

/// Who has been told of a majority.
pub(crate) type Elected = BTreeSet<Id>;

impl Actor for Host {
    type Msg = Msg;
    type State = State;
    type Timer = Timer;
    type Random = ();
    type Storage = Id;

    fn on_start(&self, _: Id, storage: &Option<Id>, out: &mut Out<Self>) -> State {
        match self {
            Self::Server { .. } => State::Server { vote: *storage },
            Self::Client { servers } => {
                let servers: BTreeSet<_> = (0..*servers).map(Id::from).collect();
                for server in &servers {
                    out.set_timer(Timer(*server), model_timeout());
                }
                State::Client { votes: BTreeSet::new(), unasked: servers }
            }
        }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, State>, src: Id, msg: Msg, out: &mut Out<Self>) {
        match (&**state, self, msg) {
            (State::Server { vote: None }, Self::Server { forgetful }, Msg::Ask) => {
                *state.to_mut() = State::Server { vote: Some(src) };
                if !forgetful {
                    out.save(src);
                }
                out.send(src, Msg::Vote);
            }
            (State::Client { votes, unasked }, _, Msg::Vote) if !votes.contains(&src) => {
                let (mut votes, unasked) = (votes.clone(), unasked.clone());
                votes.insert(src);
                *state.to_mut() = State::Client { votes, unasked };
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, State>, timer: &Timer, out: &mut Out<Self>) {
        if let State::Client { unasked, .. } = state.to_mut() {
            unasked.remove(&timer.0);
            out.send(timer.0, Msg::Ask);
        }
    }
}

/// Servers, of which so many may be down at once, and clients.
pub(crate) fn model(
    (servers, clients): (usize, usize),
    crashes: usize,
    forgetful: bool,
) -> ActorModel<Host, usize, Elected> {
    ActorModel::new(servers, Elected::new())
        .actors(std::iter::repeat_n(Host::Server { forgetful }, servers))
        .actors(std::iter::repeat_n(Host::Client { servers }, clients))
        .max_crashes(crashes)
        .record_msg_in(|_, voted, envelope| {
            (*envelope.msg == Msg::Vote).then(|| {
                let mut voted = voted.clone();
                voted.insert(envelope.dst);
                voted
            })
        })
        .property(Expectation::Always, "one is elected", |servers, state| {
            let elected = |state: &State| match state {
                State::Client { votes, .. } => votes.len() * 2 > servers.cfg,
                State::Server { .. } => false,
            };
            state.actor_states.iter().filter(|state| elected(state)).count() <= 1
        })
        .property(Expectation::Sometimes, "all get votes", |model, state| {
            state.history.len() == model.actors.len() - model.cfg
        })
        .property(Expectation::Sometimes, "one gets all votes", |model, state| {
            state.actor_states.iter().any(|state| match &**state {
                State::Client { votes, .. } => votes.len() == model.cfg,
                State::Server { .. } => false,
            })
        })
}

/// Exchanges servers for servers and clients for clients.
pub(crate) struct Exchange {
    pub(crate) servers: usize,
    pub(crate) clients: usize,
}

fn all(renaming: &Renaming, ids: &BTreeSet<Id>) -> BTreeSet<Id> {
    ids.iter().map(|id| renaming.of(*id)).collect()
}

impl Symmetry<Host, Elected> for Exchange {
    fn renamings(&self) -> Vec<Renaming> {
        let actors = self.servers + self.clients;
        Renaming::within(actors, &[(0..self.servers).collect(), (self.servers..actors).collect()])
    }

    fn state(&self, renaming: &Renaming, state: &State) -> State {
        match state {
            State::Server { vote } => State::Server { vote: vote.map(|id| renaming.of(id)) },
            State::Client { votes, unasked } => {
                State::Client { votes: all(renaming, votes), unasked: all(renaming, unasked) }
            }
        }
    }

    fn message(&self, _: &Renaming, message: &Msg) -> Msg {
        message.clone()
    }

    fn storage(&self, renaming: &Renaming, storage: &Id) -> Id {
        renaming.of(*storage)
    }

    fn timer(&self, renaming: &Renaming, timer: &Timer) -> Timer {
        Timer(renaming.of(timer.0))
    }

    fn history(&self, renaming: &Renaming, history: &Elected) -> Elected {
        all(renaming, history)
    }
}
