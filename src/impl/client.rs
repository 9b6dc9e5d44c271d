//! The client library: many sessions over one socket.
//!
//! A session has one operation at a time; to have several under way, open several sessions. The
//! protocol of a session is the model's ([`model::client::Session`]); this is its clock and its
//! network. One thread drives a [`Client`]:
//!
//! ```no_run
//! # use runtime::client::{Client, Outcome};
//! # use runtime::cluster::Cluster;
//! # use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::load("cluster.toml".as_ref())?;
//! let mut client = Client::connect(&cluster)?;
//! let session = client.open();
//! let op = model::kv::command::Op::Put("name".into(), "value".into());
//! match client.call(session, op, Duration::from_secs(5))? {
//!     Outcome::Done(output) => println!("{output:?}"),
//!     Outcome::NotDone => println!("refused, and nothing was changed"),
//!     Outcome::Unknown => println!("no answer: it may or may not have been done"),
//! }
//! # Ok(())
//! # }
//! ```

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use model::actor::Timing;
use model::client::{Effects, Session, Timer};
use model::effects::Effect;
use model::kv::command::Op;
use model::replica::{Answer, Message};
use model::shard::router::Router;
use model::types::{Address, ClientId, NodeId};

pub use model::client::Outcome;

use crate::clock;
use crate::cluster::Cluster;
use crate::endpoint::{Counters, Endpoint};
use crate::rng::Rng;
use crate::server::SCHEMA;
use crate::timers::Timers;
use crate::transport::{Transport, Udp, Wait};
use crate::wire::{self, Identity};

/// How many messages to take in at once.
const BATCH: usize = 1_024;

/// A session of a [`Client`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(u16);

impl SessionId {
    /// Which of the client's sessions this is, from 0 in the order they were opened.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A process's connection to a cluster.
pub struct Client<T = Udp> {
    endpoint: Endpoint<T>,
    process: ClientId,
    servers: u16,
    /// Who answered last: new sessions ask it first.
    leader: NodeId,
    sessions: Vec<Session>,
    timers: Timers<SessionId>,
    ended: Vec<(SessionId, Outcome)>,
}

impl Client<Udp> {
    /// Connects to a cluster. Nothing is sent before the first operation.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub fn connect(cluster: &Cluster) -> io::Result<Self> {
        let any: SocketAddr = match cluster.node.first().map(|member| member.address) {
            Some(SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            Some(SocketAddr::V4(_)) | None => (Ipv4Addr::UNSPECIFIED, 0).into(),
        };
        Ok(Self::new(cluster, Udp::bind(any)?))
    }
}

impl<T: Transport> Client<T> {
    /// Connects to a cluster over any transport.
    pub fn new(cluster: &Cluster, transport: T) -> Self {
        let mut rng = Rng::from_entropy();
        let drawn = Identity::client(cluster.cluster, SCHEMA, &mut rng);
        let process = ClientId(drawn.id).process();
        let endpoint = Endpoint::new(
            Identity { id: process.0, ..drawn },
            cluster.secret(),
            cluster.limits(),
            cluster.addresses(),
            transport,
        );
        let servers = cluster.node.len() as u16;
        Self {
            endpoint,
            process,
            servers,
            leader: NodeId(rng.index(usize::from(servers)) as u16),
            sessions: Vec::new(),
            timers: Timers::default(),
            ended: Vec::new(),
        }
    }

    /// Opens a session.
    ///
    /// # Panics
    ///
    /// When there are [`ClientId::SESSIONS`] of them: connect another client.
    pub fn open(&mut self) -> SessionId {
        let number = u16::try_from(self.sessions.len()).expect("a client has 65,536 sessions");
        let servers = (0..self.servers).map(NodeId).collect();
        let router = Router::alone(servers, self.leader);
        self.sessions.push(Session::new(self.process.session(number), router));
        SessionId(number)
    }

    /// The number that the servers know the session by.
    #[must_use]
    pub fn id(&self, session: SessionId) -> ClientId {
        self.sessions[session.index()].id()
    }

    /// Begins an operation. It leaves with the next [`poll`](Self::poll).
    ///
    /// # Panics
    ///
    /// If the session has one under way.
    pub fn invoke(&mut self, session: SessionId, op: Op) {
        self.step(session, |session, fx| {
            session.invoke(op, fx);
            None
        });
    }

    /// Gives up on a session's operation; it ends as [`Outcome::Unknown`].
    pub fn give_up(&mut self, session: SessionId) -> Option<Outcome> {
        self.step(session, Session::give_up);
        self.take_ended(session)
    }

    /// Sends what is to be sent, waits until an operation ends or `until`, and gives what ended.
    ///
    /// # Errors
    ///
    /// When the socket is unusable.
    pub fn poll(&mut self, until: Wait) -> io::Result<Vec<(SessionId, Outcome)>> {
        loop {
            self.retry();
            self.endpoint.flush();
            self.timers.start(clock::now());
            let wait = if self.ended.is_empty() { until } else { Wait::Poll };
            self.receive(wait)?;
            let expired = match until {
                Wait::Poll => true,
                Wait::Until(moment) => clock::now() >= moment,
                Wait::Forever => false,
            };
            if !self.ended.is_empty() || expired {
                self.endpoint.flush();
                return Ok(std::mem::take(&mut self.ended));
            }
        }
    }

    /// Carries out one operation, and gives up on it after `patience`.
    ///
    /// # Errors
    ///
    /// When the socket is unusable.
    pub fn call(&mut self, session: SessionId, op: Op, patience: Duration) -> io::Result<Outcome> {
        let deadline = clock::now() + patience;
        self.invoke(session, op);
        loop {
            let ended = self.poll(Wait::Until(deadline))?;
            let (mine, others): (Vec<_>, Vec<_>) =
                ended.into_iter().partition(|(ended, _)| *ended == session);
            self.ended.extend(others);
            if let Some((_, outcome)) = mine.into_iter().next() {
                return Ok(outcome);
            }
            if clock::now() >= deadline {
                return Ok(self.give_up(session).unwrap_or(Outcome::Unknown));
            }
        }
    }

    /// Who leads, as far as is known: who answered last, or was named by who did.
    #[must_use]
    pub fn leader(&self) -> NodeId {
        self.leader
    }

    /// What went through the socket.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.endpoint.counters()
    }

    fn receive(&mut self, wait: Wait) -> io::Result<()> {
        let wait = wait.at_most(self.timers.next_due()).at_most(self.endpoint.next_flush());
        let mut replies = Vec::new();
        let keep = |from: wire::Sender, message: Message| match message {
            Message::Reply(reply) => replies.push((from, reply)),
            Message::Raft(_)
            | Message::Request(_)
            | Message::Change(_)
            | Message::Outcome(_)
            | Message::Migration(_) => {} // Not for a client.
        };
        self.endpoint.receive(wait, BATCH, keep)?;
        for (from, reply) in replies {
            if reply.client.process() != self.process {
                continue;
            }
            let session = SessionId((reply.client.0 - self.process.0) as u16);
            if session.index() >= self.sessions.len() {
                continue;
            }
            match reply.answer {
                Answer::Redirect(leader) => self.leader = leader,
                Answer::Done(_) | Answer::Refused => self.leader = NodeId(from.source as u16),
                Answer::Elsewhere(_) => {}
            }
            self.step(session, |session, fx| session.on_reply(reply, fx));
        }
        Ok(())
    }

    /// Asks again for what has gone unanswered.
    fn retry(&mut self) {
        if self.timers.next_due().is_none() {
            return;
        }
        let now = clock::now();
        while let Some(session) = self.timers.take_due(now) {
            self.step(session, |session, fx| {
                session.on_timeout(Timer::Retry, fx);
                None
            });
        }
    }

    /// Takes a step of a session, and does what it asks for.
    fn step(
        &mut self,
        id: SessionId,
        step: impl FnOnce(&mut Session, &mut Effects<()>) -> Option<Outcome>,
    ) {
        let mut fx = Effects::default();
        let outcome = step(&mut self.sessions[id.index()], &mut fx);
        for effect in fx {
            match effect {
                Effect::Send(Address::Server(to), message) => {
                    self.endpoint.push(to.0.into(), &message);
                }
                Effect::Arm(Timer::Retry) => self.timers.set(&id, Timing::LAN.retry),
                Effect::Cancel(Timer::Retry) => self.timers.cancel(&id),
                Effect::Send(Address::Client(_), _) | Effect::Persist(()) => {
                    unreachable!("a client asks servers, and has nothing to persist")
                }
            }
        }
        self.ended.extend(outcome.map(|outcome| (id, outcome)));
    }

    fn take_ended(&mut self, session: SessionId) -> Option<Outcome> {
        let position = self.ended.iter().position(|(ended, _)| *ended == session)?;
        Some(self.ended.swap_remove(position).1)
    }
}

/// Until `patience` from now.
#[must_use]
pub fn within(patience: Duration) -> Wait {
    let now: Instant = clock::now();
    Wait::Until(now + patience)
}
