//! Every role of the system in one state type, one message type and one timer type: what a model
//! with servers and clients, or a process that hosts either, works with.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::client::{self, Outcome, Session};
use crate::effects::Effects as GenericEffects;
use crate::founding::{self, Founder};
use crate::health::Health;
use crate::kv::command::Op;
use crate::limits::Limits;
use crate::raft::{self, Members, Persistent};
use crate::replica::{self, Command, Hearing, Message, Replica, Room};
use crate::service::{Administration, Service};
use crate::shard::controller::Order;
use crate::shard::holdings::Holdings;
use crate::shard::migration;
use crate::shard::router::Router;
use crate::types::{Address, ClientId};

/// What makes a node act by itself.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Timer {
    /// When a server that belongs to no group should announce itself again.
    Announce,
    /// A server's.
    Raft(raft::Timer),
    /// When the leader of a group should look after its shards.
    Poll,
    /// A client's.
    Client(client::Timer),
}

impl Debug for Timer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announce => f.write_str("Announce"),
            Self::Raft(timer) => timer.fmt(f),
            Self::Poll => f.write_str("Poll"),
            Self::Client(timer) => timer.fmt(f),
        }
    }
}

/// The state of a server that survives a crash. A server that has a disk and none of these has
/// promised nothing yet.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Storage {
    /// The server has pledged itself to found a group with these members.
    Pledge(Arc<Members>),
    /// The server is a member of a group that is founded.
    Member(Persistent<Command>),
}

impl Storage {
    /// The state of a member, if the server is one.
    #[must_use]
    pub fn member(&self) -> Option<&Persistent<Command>> {
        match self {
            Self::Member(persistent) => Some(persistent),
            Self::Pledge(_) => None,
        }
    }

    /// The state of every member when its group has just been founded.
    #[must_use]
    pub fn founded(members: Arc<Members>) -> Self {
        Self::Member(Persistent::founded(members))
    }
}

impl Debug for Storage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pledge(members) => write!(f, "pledged to {members}"),
            Self::Member(persistent) => persistent.fmt(f),
        }
    }
}

/// What a step of a node may ask for.
pub type Effects = GenericEffects<Storage, Message, Timer>;

/// What a node is set up as.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Setup {
    /// A server.
    Server(replica::Setup),
    /// A client that carries out its operations one after the other.
    Client {
        /// Its session.
        id: ClientId,
        /// Whom it asks: a group by itself, or several that share the store.
        router: Router,
        /// Its operations.
        script: Vec<Op>,
    },
    /// An administrator that makes its changes one after the other.
    Administrator {
        /// Its session.
        id: ClientId,
        /// Whom it asks: the controller, which is a group by itself.
        router: Router,
        /// Its changes.
        script: Vec<Order>,
    },
}

/// The state of a node.
// Nearly all nodes are servers, and a box would cost each of them an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Node {
    /// A server that belongs to no group yet.
    Founder(Founder),
    /// A server that is a member of a group.
    Server(Replica),
    /// A client.
    Client {
        /// Its session.
        session: Session,
        /// How many operations have ended.
        done: usize,
    },
    /// An administrator.
    Administrator {
        /// Its session.
        session: Session<Administration>,
        /// How many changes have ended.
        done: usize,
    },
}

impl Setup {
    /// The node as it starts, for the first time or with what an earlier life has left.
    pub fn start(&self, storage: Option<&Storage>, fx: &mut Effects) -> Node {
        match self {
            Self::Server(setup) => {
                let pledge = match storage {
                    Some(Storage::Member(persistent)) => {
                        return begin_as_member(setup, persistent.clone(), fx);
                    }
                    Some(Storage::Pledge(members)) => Some(Arc::clone(members)),
                    None => None,
                };
                fx.arm(Timer::Announce);
                let founder = Founder::restart(setup.raft.id, pledge);
                found(setup, founder, founding::Event::Start, fx)
            }
            Self::Client { id, router, script } => {
                let session = client(fx, |fx| begin(*id, router, script, fx));
                Node::Client { session, done: 0 }
            }
            Self::Administrator { id, router, script } => {
                let session = client(fx, |fx| begin(*id, router, script, fx));
                Node::Administrator { session, done: 0 }
            }
        }
    }

    /// The largest message that the node may send.
    #[must_use]
    pub fn largest_message(&self) -> usize {
        match self {
            Self::Server(setup) => setup.limits.message,
            Self::Client { .. } | Self::Administrator { .. } => Limits::DEFAULT.message,
        }
    }

    /// A message has come in.
    pub fn on_message(&self, node: &mut Node, from: Address, message: Message, fx: &mut Effects) {
        match (self, node) {
            (Self::Server(setup), Node::Server(replica)) => {
                server(fx, |fx| tell_server(setup, replica, from, message, fx));
            }
            (Self::Server(setup), node @ Node::Founder(_)) => {
                tell_founder(setup, node, from, message, fx);
            }
            (Self::Client { script, .. }, Node::Client { session, done }) => {
                client(fx, |fx| tell_session(session, done, script, from, message, fx));
            }
            (Self::Administrator { script, .. }, Node::Administrator { session, done }) => {
                client(fx, |fx| tell_session(session, done, script, from, message, fx));
            }
            (
                Self::Server(_) | Self::Client { .. } | Self::Administrator { .. },
                Node::Founder(_)
                | Node::Server(_)
                | Node::Client { .. }
                | Node::Administrator { .. },
            ) => unreachable!("a node stays what it is set up as"),
        }
    }

    /// A timer has run out.
    pub fn on_timeout(&self, node: &mut Node, timer: Timer, fx: &mut Effects) {
        match (self, node, timer) {
            (Self::Server(setup), node @ Node::Founder(_), Timer::Announce) => {
                fx.arm(Timer::Announce);
                step_founder(setup, node, founding::Event::Timeout, fx);
            }
            // A member cancels the timer; a host may still have it in hand.
            (Self::Server(_), Node::Server(_), Timer::Announce) => {}
            (Self::Server(setup), Node::Server(replica), Timer::Raft(timer)) => {
                server(fx, |fx| replica.on_timeout(setup, replica::Timer::Raft(timer), fx));
            }
            (Self::Server(setup), Node::Server(replica), Timer::Poll) => {
                server(fx, |fx| replica.on_timeout(setup, replica::Timer::Poll, fx));
            }
            (Self::Client { .. }, Node::Client { session, .. }, Timer::Client(timer)) => {
                client(fx, |fx| session.on_timeout(timer, fx));
            }
            (
                Self::Administrator { .. },
                Node::Administrator { session, .. },
                Timer::Client(timer),
            ) => {
                client(fx, |fx| session.on_timeout(timer, fx));
            }
            (
                Self::Server(_) | Self::Client { .. } | Self::Administrator { .. },
                Node::Founder(_)
                | Node::Server(_)
                | Node::Client { .. }
                | Node::Administrator { .. },
                Timer::Announce | Timer::Raft(_) | Timer::Poll | Timer::Client(_),
            ) => unreachable!("a node arms the timers of its own role"),
        }
    }
}

impl Node {
    /// The replica, if this is a server that is a member of a group.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        match self {
            Self::Server(replica) => Some(replica),
            Self::Founder(_) | Self::Client { .. } | Self::Administrator { .. } => None,
        }
    }

    /// Takes note of the room that the host has seen on the disk.
    pub fn set_room(&mut self, room: Room) {
        match self {
            Self::Server(replica) => replica.set_room(room),
            Self::Founder(_) | Self::Client { .. } | Self::Administrator { .. } => {}
        }
    }

    /// Takes note of the servers that the host has heard lately.
    pub fn set_hearing(&mut self, hearing: Hearing) {
        match self {
            Self::Server(replica) => replica.set_hearing(hearing),
            Self::Founder(_) | Self::Client { .. } | Self::Administrator { .. } => {}
        }
    }

    /// The founder, if this is a server that belongs to no group yet.
    #[must_use]
    pub fn founder(&self) -> Option<&Founder> {
        match self {
            Self::Founder(founder) => Some(founder),
            Self::Server(_) | Self::Client { .. } | Self::Administrator { .. } => None,
        }
    }

    /// The state of the node that must survive a crash.
    #[must_use]
    pub fn storage(&self) -> Option<Storage> {
        match self {
            Self::Founder(founder) => founder.pledge().cloned().map(Storage::Pledge),
            Self::Server(replica) => Some(Storage::Member(replica.raft.persistent.clone())),
            Self::Client { .. } | Self::Administrator { .. } => None,
        }
    }
}

fn begin_as_member(
    setup: &replica::Setup,
    persistent: Persistent<Command>,
    fx: &mut Effects,
) -> Node {
    let mut replica = Replica::restart(&setup.kind, setup.limits, persistent);
    server(fx, |fx| replica.on_start(setup, fx));
    Node::Server(replica)
}

fn tell_founder(
    setup: &replica::Setup,
    node: &mut Node,
    from: Address,
    message: Message,
    fx: &mut Effects,
) {
    match (from, message) {
        (Address::Server(from), Message::Founding(message)) => {
            step_founder(setup, node, founding::Event::Message(from, message), fx);
        }
        (Address::Client(from), Message::Migration(migration::Message::Inspect)) => {
            if let Some(founder) = node.founder() {
                let holdings = Holdings::none(Health::of_founder(founder), false);
                fx.send(from, Message::Migration(migration::Message::Holdings(holdings)));
            }
        }
        // A server that belongs to no group has nothing to say about its business.
        (
            Address::Server(_) | Address::Client(_),
            Message::Raft(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Change(_)
            | Message::Outcome(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_),
        ) => {}
    }
}

fn step_founder(setup: &replica::Setup, node: &mut Node, event: founding::Event, fx: &mut Effects) {
    if let Node::Founder(founder) = node {
        let founder = founder.clone();
        *node = found(setup, founder, event, fx);
    }
}

/// Takes a step of founding. The node that it leads to is a member if the group is founded.
fn found(
    setup: &replica::Setup,
    mut founder: Founder,
    event: founding::Event,
    fx: &mut Effects,
) -> Node {
    let raft::Config { id, incarnation, limits: _ } = setup.raft;
    let state = &mut founder;
    let mut founding = founding::Step { id, incarnation, charter: &setup.charter, state };
    let founding::Outcome { announce, pledged, founded } = founding.on_event(event);
    let announcement = Arc::new(founding.announcement());
    let storage = match (&founded, founder.pledge()) {
        (Some(members), _) => Some(Storage::founded(Arc::clone(members))),
        (None, Some(members)) if pledged => Some(Storage::Pledge(Arc::clone(members))),
        (None, Some(_) | None) => None,
    };
    if let Some(storage) = &storage {
        fx.persist(storage);
    }
    for server in announce {
        let announcement = founding::Message::Announce(Arc::clone(&announcement));
        fx.send(server, Message::Founding(announcement));
    }
    let Some(members) = founded else { return Node::Founder(founder) };
    for server in members.others(id) {
        let founded = founding::Message::Founded(Arc::clone(&members));
        fx.send(server, Message::Founding(founded));
    }
    fx.cancel(Timer::Announce);
    begin_as_member(setup, Persistent::founded(members), fx)
}

fn tell_server(
    setup: &replica::Setup,
    replica: &mut Replica,
    from: Address,
    message: Message,
    fx: &mut replica::Effects,
) {
    match (from, message) {
        (Address::Server(from), Message::Raft(message)) => {
            replica.on_raft(setup, from, message, fx);
        }
        (Address::Server(from), Message::Founding(message)) => {
            replica.on_founding(from, message, fx);
        }
        (Address::Server(from), Message::Migration(message)) => {
            replica.on_migration(setup, from, message, fx);
        }
        (Address::Server(from), Message::Transaction(message)) => {
            replica.on_transaction(setup, from, message, fx);
        }
        (Address::Client(from), Message::Request(request)) if request.client.process() == from => {
            replica.on_request(setup, request, fx);
        }
        (Address::Client(from), Message::Change(request)) if request.client.process() == from => {
            replica.on_change(setup, request, fx);
        }
        (Address::Client(from), Message::Migration(message)) => {
            replica.on_inquiry(setup, from, &message, fx);
        }
        // Not for this role, or not from whom it says: no effect, whoever sent it.
        (
            Address::Server(_) | Address::Client(_),
            Message::Raft(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Change(_)
            | Message::Outcome(_)
            | Message::Transaction(_)
            | Message::Founding(_),
        ) => {}
    }
}

fn begin<S: Service>(
    id: ClientId,
    router: &Router,
    script: &[S::Op],
    fx: &mut client::Effects<Storage>,
) -> Session<S> {
    let mut session = Session::new(id, router.clone());
    invoke_next(&mut session, script, 0, fx);
    session
}

fn tell_session<S: Service>(
    session: &mut Session<S>,
    done: &mut usize,
    script: &[S::Op],
    from: Address,
    message: Message,
    fx: &mut client::Effects<Storage>,
) {
    let Address::Server(from) = from else { return }; // Sessions have nothing to say to each other.
    match message {
        Message::Migration(migration::Message::Configuration(config)) => {
            session.on_configuration(from, &config, fx);
        }
        message => {
            // What is not for this kind of session has no effect.
            let ended = S::told(message).and_then(|reply| session.on_reply(reply, fx));
            match ended {
                Some(Outcome::Done(_) | Outcome::NotDone(_) | Outcome::Unknown) => {
                    *done += 1;
                    invoke_next(session, script, *done, fx);
                }
                None => {}
            }
        }
    }
}

fn invoke_next<S: Service>(
    session: &mut Session<S>,
    script: &[S::Op],
    done: usize,
    fx: &mut client::Effects<Storage>,
) {
    if let Some(op) = script.get(done) {
        session.invoke(op.clone(), fx);
    }
}

fn server(fx: &mut Effects, step: impl FnOnce(&mut replica::Effects)) {
    let mut inner = replica::Effects::default();
    step(&mut inner);
    fx.absorb(
        inner,
        Storage::Member,
        |message| message,
        |timer| match timer {
            replica::Timer::Raft(timer) => Timer::Raft(timer),
            replica::Timer::Poll => Timer::Poll,
        },
    );
}

fn client<T>(fx: &mut Effects, step: impl FnOnce(&mut client::Effects<Storage>) -> T) -> T {
    let mut inner = client::Effects::default();
    let given = step(&mut inner);
    fx.absorb(inner, |storage| storage, |message| message, Timer::Client);
    given
}

impl Debug for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Founder(founder) => founder.fmt(f),
            Self::Server(replica) => replica.fmt(f),
            Self::Client { session, done } => write!(f, "{session:?}, {done} done"),
            Self::Administrator { session, done } => write!(f, "{session:?}, {done} done"),
        }
    }
}
