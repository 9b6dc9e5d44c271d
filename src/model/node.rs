//! Every role of the system in one state type, one message type and one timer type: what a model
//! with servers and clients, or a process that hosts either, works with.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use crate::client::{self, Outcome, Session};
use crate::effects::Effects as GenericEffects;
use crate::kv::command::{Op, Request};
use crate::raft::{self, Config, Persistent};
use crate::replica::{Message, Replica, Reply};
use crate::types::{Address, ClientId, NodeId};

/// What makes a node act by itself.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Timer {
    /// A server's.
    Raft(raft::Timer),
    /// A client's.
    Client(client::Timer),
}

impl Debug for Timer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raft(timer) => timer.fmt(f),
            Self::Client(timer) => timer.fmt(f),
        }
    }
}

/// What survives a node's crash.
pub type Storage = Persistent<Request>;

/// What a step of a node may ask for.
pub type Effects = GenericEffects<Storage, Message, Timer>;

/// What a node is set up as.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Setup {
    /// A server.
    Server(Config),
    /// A client that carries out its operations one after the other.
    Client {
        /// Its session.
        id: ClientId,
        /// The servers are `n0` up to, not including, this.
        servers: u16,
        /// The server it asks first.
        first: NodeId,
        /// Its operations.
        script: Vec<Op>,
    },
}

/// The state of a node.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Node {
    /// A server.
    Server(Replica),
    /// A client.
    Client {
        /// Its session.
        session: Session,
        /// How many operations have ended.
        done: usize,
    },
}

impl Setup {
    /// The node as it starts, for the first time or with what an earlier life has left.
    pub fn start(&self, storage: Option<&Storage>, fx: &mut Effects) -> Node {
        match self {
            Self::Server(config) => {
                let mut replica = Replica::restart(storage.cloned().unwrap_or_default());
                server(fx, |fx| replica.on_start(config, fx));
                Node::Server(replica)
            }
            Self::Client { id, servers, first, script } => {
                let mut session = Session::new(*id, *servers, *first);
                client(fx, |fx| invoke_next(&mut session, script, 0, fx));
                Node::Client { session, done: 0 }
            }
        }
    }

    /// A message has come in.
    pub fn on_message(&self, node: &mut Node, from: Address, message: Message, fx: &mut Effects) {
        match (self, node, from, message) {
            (
                Self::Server(config),
                Node::Server(replica),
                Address::Server(from),
                Message::Raft(message),
            ) => server(fx, |fx| replica.on_raft(config, from, message, fx)),
            (
                Self::Server(config),
                Node::Server(replica),
                Address::Client(from),
                Message::Request(request),
            ) if request.client.process() == from => {
                server(fx, |fx| replica.on_request(config, request, fx));
            }
            (
                Self::Client { script, .. },
                Node::Client { session, done },
                Address::Server(_),
                Message::Reply(reply),
            ) => client(fx, |fx| on_reply(session, done, script, reply, fx)),
            // Not for this role, or not from whom it says: no effect, whoever sent it.
            (
                Self::Server(_) | Self::Client { .. },
                Node::Server(_) | Node::Client { .. },
                Address::Server(_) | Address::Client(_),
                Message::Raft(_) | Message::Request(_) | Message::Reply(_),
            ) => {}
        }
    }

    /// A timer has run out.
    pub fn on_timeout(&self, node: &mut Node, timer: Timer, fx: &mut Effects) {
        match (self, node, timer) {
            (Self::Server(config), Node::Server(replica), Timer::Raft(timer)) => {
                server(fx, |fx| replica.on_timeout(config, timer, fx));
            }
            (Self::Client { .. }, Node::Client { session, .. }, Timer::Client(timer)) => {
                client(fx, |fx| session.on_timeout(timer, fx));
            }
            (
                Self::Server(_) | Self::Client { .. },
                Node::Server(_) | Node::Client { .. },
                Timer::Raft(_) | Timer::Client(_),
            ) => unreachable!("a node arms the timers of its own role"),
        }
    }
}

impl Node {
    /// The replica, if this is a server.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        match self {
            Self::Server(replica) => Some(replica),
            Self::Client { .. } => None,
        }
    }
}

fn on_reply(
    session: &mut Session,
    done: &mut usize,
    script: &[Op],
    reply: Reply,
    fx: &mut client::Effects<Storage>,
) {
    match session.on_reply(reply, fx) {
        Some(Outcome::Done(_) | Outcome::NotDone | Outcome::Unknown) => {
            *done += 1;
            invoke_next(session, script, *done, fx);
        }
        None => {}
    }
}

fn invoke_next(
    session: &mut Session,
    script: &[Op],
    done: usize,
    fx: &mut client::Effects<Storage>,
) {
    if let Some(op) = script.get(done) {
        session.invoke(op.clone(), fx);
    }
}

fn server(fx: &mut Effects, step: impl FnOnce(&mut crate::replica::Effects)) {
    let mut inner = crate::replica::Effects::default();
    step(&mut inner);
    fx.absorb(inner, |message| message, Timer::Raft);
}

fn client(fx: &mut Effects, step: impl FnOnce(&mut client::Effects<Storage>)) {
    let mut inner = client::Effects::default();
    step(&mut inner);
    fx.absorb(inner, |message| message, Timer::Client);
}

impl Debug for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(replica) => replica.fmt(f),
            Self::Client { session, done } => write!(f, "{session:?}, {done} done"),
        }
    }
}
