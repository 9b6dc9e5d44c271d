//! The client library: many sessions over one socket.
//!
//! A session has one operation at a time; to have several under way, open several sessions. The
//! protocol of a session is the model's ([`model::client::Session`]), which also finds the group
//! that owns a key if several share the store; this is its clock and its network. One thread drives
//! a [`Client`]:
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
//!     Outcome::NotDone(why) => println!("nothing was changed: {why}"),
//!     Outcome::Unknown => println!("no answer: it may or may not have been done"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An [`Administrator`] is the same for the controller of a sharded cluster.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use model::actor::Timing;
use model::client::{Effects, Session, Timer};
use model::effects::Effect;
use model::limits::Limits;
use model::replica::{Answer, Message, NotTaken};
use model::service::{Administration, Keys, Service};
use model::shard::config::Servers;
use model::shard::migration;
use model::shard::router::Router;
use model::types::{Address, ClientId, NodeId};

pub use model::client::Outcome;

use crate::backoff::Backoff;
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

/// Half of the wait before a client begins an operation again that the servers have refused once
/// because they are overloaded. Each refusal doubles the wait.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest such wait, short enough for a client to find the room that others leave.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait before a client asks again for an operation that is not answered.
const LONGEST_RETRY: Duration = Duration::from_secs(4);

/// A process's connection to a cluster.
pub struct Client<T = Udp, S: Service = Keys> {
    endpoint: Endpoint<T>,
    process: ClientId,
    /// What the first session knows of the servers.
    router: Router,
    /// Who answered last, and in which session: new ones begin with what that one knows.
    leader: Option<NodeId>,
    answered: Option<SessionId>,
    sessions: Vec<Session<S>>,
    timers: Timers<SessionId>,
    backoff: Backoff,
    /// The last refusal of the operation under way, by session.
    refused: BTreeMap<SessionId, NotTaken>,
    ended: Ended<S>,
}

/// A process's connection to the controller of a cluster.
pub type Administrator<T = Udp> = Client<T, Administration>;

/// The sessions whose operation has ended, and how.
pub type Ended<S> = Vec<(SessionId, Outcome<<S as Service>::Output>)>;

impl Client {
    /// Connects to a cluster. Nothing is sent before the first operation.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub fn connect(cluster: &Cluster) -> io::Result<Self> {
        Ok(Self::new(cluster, bind(cluster)?))
    }
}

impl Administrator {
    /// Connects to the controller of a cluster. Nothing is sent before the first change.
    ///
    /// # Errors
    ///
    /// When no socket can be opened, or the cluster has no controller.
    pub fn administer(cluster: &Cluster) -> io::Result<Self> {
        Self::administer_on(cluster, bind(cluster)?)
    }
}

/// The endpoint of a new participant that is no server.
pub(crate) fn stranger<T: Transport>(cluster: &Cluster, transport: T) -> Endpoint<T> {
    let drawn = Identity::client(cluster.cluster, SCHEMA, &mut Rng::from_entropy());
    let identity = Identity { id: ClientId(drawn.id).process().0, ..drawn };
    let (key, limits) = (cluster.secret(), cluster.limits());
    Endpoint::new(identity, key, limits, cluster.addresses(), transport)
}

pub(crate) fn bind(cluster: &Cluster) -> io::Result<Udp> {
    let any: SocketAddr = match cluster.node.first().map(|member| member.address) {
        Some(SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        Some(SocketAddr::V4(_)) | None => (Ipv4Addr::UNSPECIFIED, 0).into(),
    };
    Udp::bind(any)
}

/// A group by itself, of which any server may be asked first.
fn alone(servers: Servers) -> Router {
    let first = servers.iter().nth(Rng::from_entropy().index(servers.len()));
    Router::alone(servers, first.unwrap_or_default())
}

impl<T: Transport> Client<T> {
    /// Connects to a cluster over any transport.
    pub fn new(cluster: &Cluster, transport: T) -> Self {
        let router = match &cluster.sharding {
            None => alone(cluster.servers()),
            Some(sharding) => Router::sharded(sharding.controllers(), sharding.shards),
        };
        Self::with(cluster, transport, router)
    }
}

impl<T: Transport> Administrator<T> {
    /// Connects to the controller of a cluster over any transport.
    ///
    /// # Errors
    ///
    /// When the cluster has no controller.
    pub fn administer_on(cluster: &Cluster, transport: T) -> io::Result<Self> {
        let Some(sharding) = &cluster.sharding else {
            let reason = "the cluster is not sharded: there is no [sharding] in its configuration";
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        };
        Ok(Self::with(cluster, transport, alone(sharding.controllers())))
    }
}

impl<T: Transport, S: Service> Client<T, S> {
    fn with(cluster: &Cluster, transport: T, router: Router) -> Self {
        let endpoint = stranger(cluster, transport);
        Self {
            process: ClientId(endpoint.id()),
            endpoint,
            router,
            leader: None,
            answered: None,
            sessions: Vec::new(),
            timers: Timers::default(),
            backoff: Backoff::new(Timing::LAN.retry, LONGEST_RETRY),
            refused: BTreeMap::new(),
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
        let router = self.answered.map(|session| self.sessions[session.index()].router());
        let router = router.unwrap_or(&self.router).clone();
        self.sessions.push(Session::new(self.process.session(number), router));
        let session = SessionId(number);
        self.backoff.begin(session.index());
        session
    }

    /// The number that the servers know the session by.
    #[must_use]
    pub fn id(&self, session: SessionId) -> ClientId {
        self.sessions[session.index()].id()
    }

    /// Begins an operation. It leaves with the next [`poll`](Self::poll), unless it breaks a limit:
    /// then it ends there, as [`Outcome::NotDone`].
    ///
    /// # Panics
    ///
    /// If the session has one under way.
    pub fn invoke(&mut self, session: SessionId, op: S::Op) {
        if !S::within_limits(&op, &Limits::DEFAULT) {
            let pending = self.sessions[session.index()].pending();
            assert!(pending.is_none(), "the session has an operation under way");
            self.ended.push((session, Outcome::NotDone(NotTaken::TooLarge)));
            return;
        }
        self.backoff.begin(session.index());
        self.refused.remove(&session);
        self.step(session, |session, fx| {
            session.invoke(op, fx);
            None
        });
    }

    /// Gives up on a session's operation; it ends as [`Outcome::Unknown`].
    pub fn give_up(&mut self, session: SessionId) -> Option<Outcome<S::Output>> {
        self.step(session, Session::give_up);
        self.take_ended(session)
    }

    /// Sends what is to be sent, waits until an operation ends or `until`, and gives what ended.
    ///
    /// # Errors
    ///
    /// When the socket is unusable.
    pub fn poll(&mut self, until: Wait) -> io::Result<Ended<S>> {
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
    pub fn call(
        &mut self,
        session: SessionId,
        op: S::Op,
        patience: Duration,
    ) -> io::Result<Outcome<S::Output>> {
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

    /// Carries out one operation as [`call`](Self::call) does. As long as the servers refuse it for
    /// a reason that may pass ([`NotTaken::may_pass`]) it begins again, a little later each time,
    /// until `patience` is over.
    ///
    /// # Errors
    ///
    /// When the socket is unusable.
    pub fn insist(
        &mut self,
        session: SessionId,
        op: &S::Op,
        patience: Duration,
    ) -> io::Result<Outcome<S::Output>> {
        let deadline = clock::now() + patience;
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        pauses.begin(0);
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let outcome = self.call(session, op.clone(), left)?;
            pauses.on_refusal(0);
            let again = clock::now() + pauses.wait(0);
            let may_pass = match &outcome {
                Outcome::NotDone(why) => why.may_pass(),
                Outcome::Done(_) | Outcome::Unknown => false,
            };
            // A try without the time for an answer would end as unknown.
            if !may_pass || again + Timing::LAN.retry >= deadline {
                return Ok(outcome);
            }
            let mut others = Ended::<S>::new();
            while clock::now() < again {
                others.extend(self.poll(Wait::Until(again))?);
            }
            self.ended.extend(others);
        }
    }

    /// Returns the last refusal of a session's last operation, if a server has refused a copy of
    /// it. It tells the reason when the operation ends as [`Outcome::Unknown`].
    #[must_use]
    pub fn refusal(&self, session: SessionId) -> Option<NotTaken> {
        self.refused.get(&session).copied()
    }

    /// Who leads, as far as is known: who answered last, or was named by who did. In a sharded
    /// cluster it leads one of the groups.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// What went through the socket.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.endpoint.counters()
    }

    fn receive(&mut self, wait: Wait) -> io::Result<()> {
        let wait = wait.at_most(self.timers.next_due()).at_most(self.endpoint.next_flush());
        let (mut replies, mut configurations) = (Vec::new(), Vec::new());
        let keep = |from: wire::Sender, message: Message| {
            let Ok(from) = u16::try_from(from.source).map(NodeId) else { return }; // A client.
            match message {
                Message::Migration(migration::Message::Configuration(config)) => {
                    configurations.push((from, config));
                }
                message => replies.extend(S::told(message).map(|reply| (from, reply))),
            }
        };
        self.endpoint.receive(wait, BATCH, keep)?;
        for (from, config) in configurations {
            for session in (0..=u16::MAX).map(SessionId).take(self.sessions.len()) {
                self.step(session, |session, fx| {
                    session.on_configuration(from, &config, fx);
                    None
                });
            }
        }
        for (from, reply) in replies {
            if reply.client.process() != self.process {
                continue;
            }
            let session = SessionId((reply.client.0 - self.process.0) as u16);
            if session.index() >= self.sessions.len() {
                continue;
            }
            match reply.answer {
                Answer::Redirect(leader) => self.leader = Some(leader),
                Answer::Done(_) | Answer::Refused(_) => self.leader = Some(from),
                Answer::Elsewhere(_) => {}
            }
            match reply.answer {
                Answer::Refused(why) => {
                    self.backoff.on_refusal(session.index());
                    self.refused.insert(session, why);
                }
                Answer::Done(_) | Answer::Redirect(_) | Answer::Elsewhere(_) => {}
            }
            self.answered = Some(session);
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
        step: impl FnOnce(&mut Session<S>, &mut Effects<()>) -> Option<Outcome<S::Output>>,
    ) {
        let mut fx = Effects::default();
        let outcome = step(&mut self.sessions[id.index()], &mut fx);
        for effect in fx {
            match effect {
                Effect::Send(Address::Server(to), message) => {
                    self.endpoint.push(to.0.into(), &message);
                }
                Effect::Arm(Timer::Retry) => {
                    let wait = self.backoff.wait(id.index());
                    self.timers.set(&id, wait);
                }
                Effect::Cancel(Timer::Retry) => self.timers.cancel(&id),
                Effect::Send(Address::Client(_), _) | Effect::Persist(()) => {
                    unreachable!("a client asks servers, and has nothing to persist")
                }
            }
        }
        self.ended.extend(outcome.map(|outcome| (id, outcome)));
    }

    fn take_ended(&mut self, session: SessionId) -> Option<Outcome<S::Output>> {
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
