//! A system of servers and clients within bounds, to be searched to its last state.
//!
//! A [`System`] is stateright's `ActorModel` of [`Host`]s with two things done to each state it
//! yields, both to the network: messages that can never again have an effect are forgotten
//! (`dead`), and so is which message a duplicating network delivered last. Each can be switched
//! off, and neither changes a verdict.
//!
//! No bound stands in protocol code. Each hides some behaviour, and [`Bounds`] says which.

mod dead;
mod explorer;
mod host;
mod story;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use stateright::actor::{ActorModel, ActorModelAction, ActorModelState, Envelope, Id, Network};
use stateright::{Model, Path, Property as StaterightProperty};

pub use dead::is_dead;
pub use explorer::{Explorable, Page};
pub use host::{Host, HostState, Past, Spent, Timer};

use crate::actor::{NodeActor, Timing};
use crate::founding::Charter;
use crate::history::Monitor;
use crate::kv::command::Op;
use crate::limits::Limits;
use crate::node::{Setup, Storage};
use crate::properties::Property;
use crate::raft::{self, Config, Incarnation, Members};
use crate::replica::{self, Answer, Backlog, Kind, Message};
use crate::shard::Group;
use crate::shard::config::Servers;
use crate::shard::controller::{Change, Order};
use crate::shard::router::Router;
use crate::spec::map::Map;
use crate::types::{ClientId, GroupId, NodeId, Term};

explorer::conditions!(CONDITIONS: System, |system, state, i| system.promises[i].holds(state));

/// What clients have seen so far.
pub type History = Monitor<Map>;

/// A state of a system.
pub type SystemState = ActorModelState<Host, History>;

/// A step of a system.
pub type Action = ActorModelAction<Message, Timer, ()>;

/// What a system consists of.
#[derive(Clone, Debug)]
pub struct Scope {
    /// How many servers there are.
    pub servers: u16,
    /// For each client its operations, one after the other. Client `i` asks server `i` first.
    pub clients: Vec<Vec<Op>>,
    /// How the servers share the store, if not all of them keep all of it.
    pub sharding: Option<Sharding>,
    /// Whether the groups are founded at the beginning. If not, the servers begin with new disks.
    pub founded: bool,
    /// How the network may misbehave.
    pub network: NetworkKind,
    /// How much is sent at once.
    pub limits: raft::Limits,
    /// How large things may be.
    pub sizes: Limits,
    /// The bound of a leader's backlog.
    pub backlog: Backlog,
    /// What may happen at most.
    pub bounds: Bounds,
    /// What is left out of the search because it cannot matter.
    pub reductions: Reductions,
}

/// How servers share a store.
#[derive(Clone, Debug)]
pub struct Sharding {
    /// How many shards there are.
    pub shards: u16,
    /// How many servers the controller has: the first.
    pub controllers: u16,
    /// How many servers each group has, `g1` first: those that follow.
    pub groups: Vec<u16>,
    /// What the administrator does, one after the other. It is numbered behind the clients.
    pub changes: Vec<Change>,
    /// How many bytes of a shard go into one message.
    pub part_bytes: usize,
}

/// How the network may misbehave. In both kinds a message may be delayed for ever, which is how it
/// is lost, and overtaken by any other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetworkKind {
    /// Each message is delivered at most once.
    Delivering,
    /// A message may be delivered any number of times.
    Duplicating,
}

/// What may happen at most. What lies beyond is not searched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// The highest term: hides what needs more elections than that.
    pub max_term: Term,
    /// The longest log: hides what needs more entries, the empty ones that open a term included.
    pub max_log: usize,
    /// Crashes with restart, of all servers together: hides what needs more.
    pub restarts: u8,
    /// Heartbeat timeouts, of all servers together: hides what needs more retransmissions.
    pub heartbeats: u8,
    /// Times that the leaders of groups look after their shards, all together: hides what needs
    /// more messages between groups to be sent again.
    pub polls: u8,
    /// Retries of each client: hides what needs more of them.
    pub retries: u8,
    /// Disks that are lost, of all servers together: hides what needs more.
    pub lost_disks: u8,
}

/// What is left out of the search because it cannot matter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reductions {
    /// Messages that can never again have an effect are forgotten.
    pub forget_dead: bool,
    /// Which message a duplicating network delivered last is forgotten.
    pub forget_last: bool,
    /// A client's request goes to every server at once, and whoever leads takes it. So a client
    /// needs no redirects, and which server it would ask first makes no difference: more can
    /// happen, in fewer states.
    pub any_server: bool,
    /// States that differ in the names of servers of one group only are taken for one. A checker
    /// that cannot do that looks at all of them.
    pub symmetry: bool,
}

impl Reductions {
    /// None: stateright's own model.
    pub const NONE: Self =
        Self { forget_dead: false, forget_last: false, any_server: false, symmetry: false };
    /// Those that leave every client's messages, and every server's name, as they are.
    pub const PLAIN: Self = Self { forget_dead: true, forget_last: true, ..Self::NONE };
    /// All of them.
    pub const ALL: Self = Self { any_server: true, symmetry: true, ..Self::PLAIN };
}

/// A system within bounds, with what is promised of it.
pub struct System {
    /// What it consists of.
    pub scope: Scope,
    /// What is promised of it.
    pub promises: Vec<Property>,
    inner: ActorModel<Host, Scope, History>,
    expanded: AtomicUsize,
}

impl System {
    /// The system of `scope`, of which `promises` are to be checked.
    #[must_use]
    pub fn new(scope: Scope, promises: Vec<Property>) -> Self {
        let inner = scope.model();
        Self { scope, promises, inner, expanded: AtomicUsize::new(0) }
    }

    /// How many states have had their successors asked for. A search is complete if that is every
    /// state it has seen: stateright itself does not say.
    pub fn expanded(&self) -> usize {
        self.expanded.load(Ordering::Relaxed)
    }

    /// Whether a message under way in `state` can never again have an effect.
    #[must_use]
    pub fn is_dead(state: &SystemState, envelope: &Envelope<&Message>) -> bool {
        let receiver = state.actor_states.get(usize::from(envelope.dst));
        receiver.is_none_or(|host| is_dead(host, envelope.src, envelope.msg))
    }

    /// What a step changes, in words: each node that is not as it was, before and after, what is
    /// sent, and what clients have seen.
    #[must_use]
    pub fn changes(&self, before: &SystemState, after: &SystemState) -> String {
        story::changes(self, before, after)
    }

    /// Forgets what cannot matter.
    fn reduce(&self, mut state: SystemState) -> SystemState {
        if self.scope.reductions.forget_last
            && let Network::UnorderedDuplicating(_, last) = &mut state.network
        {
            *last = None;
        }
        if self.scope.reductions.forget_dead && !self.may_restart(&state) {
            dead::forget(&self.inner.actors, &mut state);
        }
        state
    }

    /// While a server may still crash, what it remembers is under test, and no message is taken to
    /// be dead because of it.
    fn may_restart(&self, state: &SystemState) -> bool {
        let spent: u32 = state.actor_states.iter().map(|host| host.spent.crashes()).sum();
        let Bounds { restarts, lost_disks, .. } = self.scope.bounds;
        spent < u32::from(restarts) + u32::from(lost_disks)
    }
}

impl Scope {
    /// stateright's model of it: all that happens, no bound but what each host may do, no
    /// reduction.
    #[must_use]
    pub fn model(&self) -> ActorModel<Host, Self, History> {
        let network = match self.network {
            NetworkKind::Delivering => Network::new_unordered_nonduplicating([]),
            NetworkKind::Duplicating => Network::new_unordered_duplicating([]),
        };
        ActorModel::new(self.clone(), History::new(Map::within(self.sizes)))
            .actors(self.hosts())
            .init_network(network)
            .record_msg_out(record_request)
            .record_msg_in(record_reply)
            .within_boundary(|scope, state| scope.bounds.contain(state))
    }

    /// The servers in classes, in which they can be exchanged for each other: see
    /// [`crate::symmetry`].
    #[must_use]
    pub fn classes(&self) -> Vec<Vec<usize>> {
        let numbers = |servers: Servers| servers.iter().map(|server| server.0.into()).collect();
        match &self.sharding {
            None => vec![(0..self.servers.into()).collect()],
            Some(sharding) => {
                let groups = (1..=sharding.groups.len() as u16).map(GroupId);
                let groups = groups.map(|group| sharding.servers_of(group));
                [sharding.controllers()].into_iter().chain(groups).map(numbers).collect()
            }
        }
    }

    fn hosts(&self) -> Vec<Host> {
        let servers: BTreeSet<_> = (0..self.servers).map(NodeId).collect();
        let any_server = self.reductions.any_server;
        let server = |id: &NodeId| {
            let (kind, peers) = match &self.sharding {
                None => (Kind::Store, servers.clone()),
                Some(sharding) => sharding.role(*id),
            };
            let raft = Config { id: *id, incarnation: Incarnation::default(), limits: self.limits };
            let setup = replica::Setup::new(raft, kind, peers);
            Setup::Server(replica::Setup { limits: self.sizes, backlog: self.backlog, ..setup })
        };
        let all: Servers = servers.iter().copied().collect();
        let router = |i: usize| match &self.sharding {
            Some(sharding) if !any_server => {
                Router::sharded(sharding.controllers(), sharding.shards)
            }
            Some(_) | None => {
                let first = if any_server { 0 } else { i as u16 % self.servers };
                Router::alone(all.clone(), NodeId(first))
            }
        };
        let client = |(i, script): (usize, &Vec<Op>)| Setup::Client {
            id: ClientId(u64::from(self.servers) + i as u64),
            router: router(i),
            script: script.clone(),
        };
        let host = |setup| Host {
            founded: if self.founded { founded(&setup) } else { None },
            node: NodeActor { setup, servers: self.servers, timing: Timing::LAN },
            bounds: self.bounds,
            any_server,
        };
        let clients = self.clients.iter().enumerate().map(client);
        let administrator = self.sharding.iter().map(|sharding| Setup::Administrator {
            id: ClientId(u64::from(self.servers) + self.clients.len() as u64),
            router: Router::alone(sharding.controllers(), NodeId(0)),
            script: sharding.changes.iter().cloned().map(Order::from).collect(),
        });
        servers.iter().map(server).chain(clients).chain(administrator).map(host).collect()
    }
}

/// The disk of a server whose group has just been founded, all members in their first incarnation.
fn founded(setup: &Setup) -> Option<Storage> {
    let Setup::Server(setup) = setup else { return None };
    let Charter { purpose, servers } = setup.charter.clone();
    let servers = servers.into_iter().map(|server| (server, Incarnation::default())).collect();
    Some(Storage::founded(Members::new(purpose, servers).into()))
}

impl Sharding {
    /// The servers of a group.
    #[must_use]
    pub fn servers_of(&self, group: GroupId) -> Servers {
        let place = usize::from(group.0) - 1;
        let first = self.controllers + self.groups[..place].iter().sum::<u16>();
        (first..first + self.groups[place]).map(NodeId).collect()
    }

    /// The servers of the controller.
    fn controllers(&self) -> Servers {
        (0..self.controllers).map(NodeId).collect()
    }

    /// What a server keeps, and together with whom.
    fn role(&self, id: NodeId) -> (Kind, BTreeSet<NodeId>) {
        let controllers = self.controllers();
        let groups = (1..=self.groups.len() as u16).map(GroupId);
        match groups.map(|group| (group, self.servers_of(group))).find(|(_, s)| s.contains(id)) {
            None => (Kind::Controller { shards: self.shards }, controllers.iter().collect()),
            Some((group, servers)) => {
                let (shards, part_bytes) = (self.shards, self.part_bytes);
                let members = servers.iter().collect();
                let group = Group { id: group, shards, servers, controllers, part_bytes };
                (Kind::Group(group), members)
            }
        }
    }
}

impl Bounds {
    /// Terms and logs up to these, and nothing else that is bounded.
    #[must_use]
    pub fn within(max_term: u64, max_log: usize) -> Self {
        Self {
            max_term: Term(max_term),
            max_log,
            restarts: 0,
            heartbeats: 0,
            polls: 0,
            retries: 0,
            lost_disks: 0,
        }
    }

    /// Whether one host is within the bounds by itself.
    #[must_use]
    pub fn contain_host(&self, host: &HostState) -> bool {
        host.node.replica().is_none_or(|replica| {
            replica.raft.term() <= self.max_term
                && replica.raft.last().index.0 as usize <= self.max_log
        })
    }

    fn contain(&self, state: &SystemState) -> bool {
        let sum = |spent: fn(&Spent) -> u8| -> u8 {
            state.actor_states.iter().map(|host| spent(&host.spent)).sum()
        };
        state.actor_states.iter().all(|host| self.contain_host(host))
            && sum(|spent| spent.restarts) <= self.restarts
            && sum(|spent| spent.heartbeats) <= self.heartbeats
            && sum(|spent| spent.polls) <= self.polls
            && sum(|spent| spent.lost_disks) <= self.lost_disks
    }
}

/// The messages under way in a state.
pub fn messages(state: &SystemState) -> impl Iterator<Item = Envelope<&Message>> {
    state.network.iter_deliverable()
}

/// A client's first request for an operation is its invocation; it has one at a time, so as long as
/// one is pending any other is a retry.
fn record_request(_: &Scope, history: &History, envelope: Envelope<&Message>) -> Option<History> {
    let Message::Request(request) = envelope.msg else { return None };
    if history.pending(request.client).is_some() {
        return None;
    }
    let mut history = history.clone();
    history.invoke(request.client, request.op.clone());
    Some(history)
}

/// What a client takes for the answer is the response. stateright does not report a delivery
/// without effect, so a reply that the client ignores is not recorded.
fn record_reply(_: &Scope, history: &History, envelope: Envelope<&Message>) -> Option<History> {
    let Message::Reply(reply) = envelope.msg else { return None };
    let client = ClientId(usize::from(envelope.dst) as u64);
    history.pending(client)?;
    let mut history = history.clone();
    // The monitor remembers a violation; the property reports it.
    let _explained = match &reply.answer {
        Answer::Done(output) => history.respond(client, output),
        Answer::Refused(_) => history.fail(client),
        Answer::Redirect(_) | Answer::Elsewhere(_) => return None,
    };
    Some(history)
}

impl Model for System {
    type State = SystemState;
    type Action = Action;

    fn init_states(&self) -> Vec<SystemState> {
        self.inner.init_states().into_iter().map(|state| self.reduce(state)).collect()
    }

    fn actions(&self, state: &SystemState, actions: &mut Vec<Action>) {
        self.expanded.fetch_add(1, Ordering::Relaxed);
        self.inner.actions(state, actions);
    }

    fn next_state(&self, state: &SystemState, action: Action) -> Option<SystemState> {
        self.inner.next_state(state, action).map(|next| self.reduce(next))
    }

    fn properties(&self) -> Vec<StaterightProperty<Self>> {
        explorer::for_stateright(&self.promises, CONDITIONS)
    }

    fn within_boundary(&self, state: &SystemState) -> bool {
        self.scope.bounds.contain(state)
    }

    fn format_action(&self, action: &Action) -> String {
        story::action(self, action)
    }

    fn format_step(&self, state: &SystemState, action: Action) -> Option<String> {
        let next = self.next_state(state, action)?;
        Some(story::changes(self, state, &next))
    }

    fn as_svg(&self, path: Path<SystemState, Action>) -> Option<String> {
        self.inner.as_svg(path)
    }
}

/// The name that a person reads for an actor.
#[must_use]
pub fn name(system: &System, id: Id) -> String {
    use stateright::actor::Actor;
    system.inner.actors.get(usize::from(id)).map_or_else(|| format!("{id:?}"), Host::name)
}
