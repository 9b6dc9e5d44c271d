//! The world of an episode: the nodes, their disks, and the messages under way.
//!
//! Servers are the real [`NodeActor`]s, sessions ([`super::people`]) the real [`Session`]s. Each
//! method is one event. It does what the host of a node does: what the node saves is what a crash
//! leaves, what it sends is under way, and the timers that it starts may run out at any time.

use std::borrow::Cow;
use std::collections::BTreeSet;

use model::actor::{NodeActor, Timing};
use model::client::Session;
use model::founding::Charter;
use model::health::Health;
use model::machine;
use model::node::{Node, Setup, Storage, Timer};
use model::raft::{self, Config, Incarnation, Members};
use model::replica::{self, Hearing, Room};
use model::service::Administration;
use model::shard::Group;
use model::shard::config::Servers;
use model::shard::controller::{Change, Order};
use model::shard::holdings::{Holdings, is_needed};
use model::shard::router::Router;
use model::types::{ClientId, ConfigNum, GroupId, Index, NodeId};
use model::violation::Violation;
use stateright::actor::{Actor, Command, Id, Out};

use super::coverage::{self, Coverage, Kind};
use super::network::{Envelope, Network};
use super::plan::Plan;
use super::referee::Referee;

/// The world of an episode.
pub struct World<'a> {
    /// The plan of the episode.
    pub plan: &'a Plan,
    /// The servers.
    pub servers: Vec<Server>,
    /// The client sessions.
    pub clients: Vec<Client>,
    /// The administrators.
    pub administrators: Vec<Administrator>,
    /// The messages under way.
    pub network: Network,
    /// The judge.
    pub referee: Referee,
    /// The events so far, by kind.
    pub coverage: Coverage,
    /// The number of operations that have ended for their clients.
    pub ended: u64,
    /// The changes of which no administrator knows whether they are carried out.
    pub(super) given_up: Vec<Order>,
}

/// A server.
pub struct Server {
    actor: NodeActor,
    /// The state of the server.
    pub node: Cow<'static, Node>,
    /// The state that a crash leaves, if the node's present one was not saved.
    saved: Option<Storage>,
    /// The timers that run.
    armed: Vec<Timer>,
    /// The group: 0 is the controller, or the group that keeps the whole store.
    pub group: usize,
    /// The last entry that the server has been seen to know committed since its start.
    known: Index,
    /// Whether the server is stopped for good.
    pub stopped: bool,
    /// Whether the server has lost its disk, and so is no member any more.
    pub expelled: bool,
}

/// A client session.
pub struct Client {
    /// The session.
    pub session: Session,
    /// The number of the last operation, as the load counts.
    pub begun: u64,
}

/// The session of an administrator.
pub struct Administrator {
    /// The session.
    pub session: Session<Administration>,
    /// The number of the last change, as the load counts.
    pub begun: u64,
}

/// The session with this address, if a client has it.
#[must_use]
pub fn session_of(plan: &Plan, client: ClientId) -> Option<usize> {
    let place = match client.0.checked_sub(ClientId::FIRST_DRAWN) {
        None => client.0.checked_sub(u64::from(plan.shape.servers()))?,
        Some(drawn) => {
            let (process, session) = (drawn / ClientId::SESSIONS, drawn % ClientId::SESSIONS);
            process * u64::from(plan.per_process) + session
        }
    };
    (place < u64::from(plan.sessions)).then_some(place as usize)
}

/// The address of a session.
fn address_of(plan: &Plan, session: u16) -> ClientId {
    if plan.per_process == 1 {
        return ClientId(u64::from(plan.shape.servers() + session));
    }
    let (process, number) = (session / plan.per_process, session % plan.per_process);
    let process = ClientId::FIRST_DRAWN + u64::from(process) * ClientId::SESSIONS;
    ClientId(process).session(number)
}

impl<'a> World<'a> {
    /// The world at the beginning of an episode.
    #[must_use]
    pub fn new(plan: &'a Plan, network: Network) -> Self {
        let kinds = kinds(plan);
        let router = || {
            if plan.shape.is_alone() {
                Router::alone(plan.shape.servers_of(GroupId(1)), NodeId(0))
            } else {
                Router::sharded(plan.shape.controller(), plan.shape.shards)
            }
        };
        let client = |session| Client {
            session: Session::new(address_of(plan, session), router()),
            begun: 0,
        };
        let administrator = |number: u16| {
            let id = ClientId(u64::from(plan.shape.servers() + plan.sessions + number));
            let router = Router::alone(plan.shape.controller(), NodeId(0));
            Administrator { session: Session::new(id, router), begun: 0 }
        };
        let administrators = if plan.shape.is_alone() { 0 } else { plan.administrators };
        let mut world = Self {
            plan,
            servers: Vec::new(),
            clients: (0..plan.sessions).map(client).collect(),
            administrators: (0..administrators).map(administrator).collect(),
            network,
            referee: Referee::new(plan, &kinds),
            coverage: Coverage::default(),
            ended: 0,
            given_up: Vec::new(),
        };
        for server in 0..plan.shape.servers() {
            world.start_first(NodeId(server), &kinds);
        }
        world
    }

    fn start_first(&mut self, id: NodeId, kinds: &[machine::Kind]) {
        let plan = self.plan;
        let (group, members) = group_of(plan, id);
        let config = Config { id, incarnation: Incarnation::default(), limits: plan.batch };
        let setup = replica::Setup::new(config, kinds[group].clone(), members.iter());
        let setup = replica::Setup { limits: plan.limits, backlog: plan.backlog, ..setup };
        let storage = plan.shape.founded.then(|| {
            let Charter { purpose, servers } = setup.charter.clone();
            let servers = servers.into_iter().map(|server| (server, Incarnation::default()));
            Storage::founded(Members::new(purpose, servers.collect()).into())
        });
        let (servers, timing) = (plan.shape.servers(), Timing::LAN);
        let actor = NodeActor { setup: Setup::Server(setup), servers, timing };
        let mut out = Out::new();
        let node = actor.on_start(of(id), &storage, &mut out);
        self.servers.push(Server {
            actor,
            node: Cow::Owned(node),
            saved: storage,
            armed: Vec::new(),
            group,
            known: Index::ZERO,
            stopped: false,
            expelled: false,
        });
        self.obey(usize::from(id.0), out);
    }

    /// Shows a node.
    #[must_use]
    pub fn show(&self, node: usize) -> Option<&Node> {
        self.servers.get(node).map(|server| &*server.node)
    }

    /// A message arrives.
    ///
    /// # Errors
    /// If the step breaks a promise. It may also panic with one.
    pub fn deliver(&mut self, envelope: Envelope) -> Result<(), Violation> {
        let Envelope { from, to, message, kind } = envelope;
        self.coverage.count(kind);
        let receiver = usize::from(to);
        if let Some(server) = self.servers.get_mut(receiver) {
            if server.stopped {
                return Ok(());
            }
            let mut out = Out::new();
            server.actor.on_msg(to, &mut server.node, from, message, &mut out);
            return self.after(receiver, out);
        }
        let from = NodeId(usize::from(from) as u16);
        self.tell_client(receiver as u64, from, message)
    }

    /// A timer of a server runs out, if it runs.
    ///
    /// # Errors
    /// If the step breaks a promise. It may also panic with one.
    pub fn time_out(&mut self, server: usize, timer: Timer) -> Result<(), Violation> {
        let Some(state) = self.servers.get_mut(server).filter(|state| !state.stopped) else {
            return Ok(());
        };
        let Some(place) = state.armed.iter().position(|armed| *armed == timer) else {
            return Ok(());
        };
        state.armed.swap_remove(place);
        self.coverage.count(coverage::of_timer(timer));
        if timer == Timer::Raft(raft::Timer::Heartbeat) {
            self.network.forget_copies(Id::from(server));
        }
        let mut out = Out::new();
        state.actor.on_timeout(Id::from(server), &mut state.node, &timer, &mut out);
        self.after(server, out)
    }

    /// The timers of a server that run.
    #[must_use]
    pub fn timers(&self, server: usize) -> &[Timer] {
        let server = &self.servers[server];
        if server.stopped { &[] } else { &server.armed }
    }

    /// A server crashes, and starts again from what it has saved.
    ///
    /// # Errors
    /// If the step breaks a promise. It may also panic with one.
    pub fn crash(&mut self, server: usize) -> Result<(), Violation> {
        let Some(state) = self.servers.get_mut(server).filter(|state| !state.stopped) else {
            return Ok(());
        };
        let storage = state.saved.take().or_else(|| state.node.storage());
        let actor = state.actor.clone();
        self.start_again(server, actor, storage)
    }

    /// A server starts again with an empty disk, as another incarnation. That happens to one server
    /// of a group at most, and only if the others are a majority.
    ///
    /// # Errors
    /// If the step breaks a promise. It may also panic with one.
    pub fn lose_disk(&mut self, server: usize) -> Result<(), Violation> {
        let Some(state) = self.servers.get(server) else { return Ok(()) };
        let group = state.group;
        let others = || self.servers.iter().filter(|other| other.group == group);
        if state.stopped
            || others().count() < 3
            || others().any(|other| other.expelled || other.node.replica().is_none())
        {
            return Ok(());
        }
        let actor = state.actor.reborn(Incarnation(1));
        self.servers[server].expelled = true;
        self.start_again(server, actor, None)
    }

    fn start_again(
        &mut self,
        server: usize,
        actor: NodeActor,
        storage: Option<Storage>,
    ) -> Result<(), Violation> {
        let mut out = Out::new();
        self.network.forget_copies(Id::from(server));
        let node = actor.on_start(Id::from(server), &storage, &mut out);
        let state = &mut self.servers[server];
        (state.actor, state.node, state.saved) = (actor, Cow::Owned(node), storage);
        (state.armed, state.known) = (Vec::new(), Index::ZERO);
        self.after(server, out)
    }

    /// Stops the servers of a group for good, if its operator may.
    pub fn stop(&mut self, group: usize) -> bool {
        let may = self.may_be_stopped(group);
        if may {
            self.coverage.count(Kind::FaultStop);
            let servers = self.servers.iter_mut().filter(|server| server.group == group);
            servers.for_each(|server| server.stopped = true);
        }
        may
    }

    /// Whether the servers of a group may be stopped for good, by the rule of `docs/operations.md`:
    /// nobody needs it, and nobody has asked that it joins again.
    fn may_be_stopped(&self, group: usize) -> bool {
        let id = GroupId(group as u16);
        let Some(controller) = self.referee.reference(0).controller() else { return false };
        let joins = |change: &Change| match change {
            Change::Join(groups) => groups.contains_key(&id),
            Change::Leave(_) | Change::Move(..) | Change::Query(_) => false,
        };
        let asked = self.administrators.iter().filter_map(|who| who.session.pending());
        let mut asked = asked.map(|(_, order)| order).chain(&self.given_up);
        if asked.any(|order| joins(&order.change)) {
            return false;
        }
        let running = (1..).take(self.plan.shape.groups.len());
        let running = running.filter(|group| !self.is_stopped_for_good(usize::from(*group)));
        let running: Vec<_> = running.map(GroupId).collect();
        let told = running.iter().filter_map(|group| {
            let shards = self.referee.reference(usize::from(group.0)).shards()?;
            let server = Health::Founding { heard: BTreeSet::new(), pledge: None };
            Some((*group, Holdings::of(server, shards, true)))
        });
        let told = told.collect();
        controller.latest().num > ConfigNum::default()
            && is_needed(id, running, controller.latest(), &told).is_none()
    }

    /// Whether the servers of a group are stopped for good.
    pub fn is_stopped_for_good(&self, group: usize) -> bool {
        self.servers.iter().any(|server| server.group == group && server.stopped)
    }

    /// The room on a server's disk changes.
    pub fn set_room(&mut self, server: usize, room: Room) {
        if let Some(server) = self.servers.get_mut(server) {
            server.node.to_mut().set_room(room);
        }
    }

    /// The controller's servers hear these servers only, or everybody.
    pub fn set_hearing(&mut self, hearing: &Hearing) {
        for server in self.servers.iter_mut().filter(|server| server.group == 0) {
            server.node.to_mut().set_hearing(hearing.clone());
        }
    }

    /// Does what a server asks for, and judges what has become committed.
    fn after(&mut self, server: usize, out: Out<NodeActor>) -> Result<(), Violation> {
        self.obey(server, out);
        let state = &mut self.servers[server];
        let Some(replica) = state.node.replica() else { return Ok(()) };
        let (known, commit) = (state.known, replica.raft.commit);
        if commit > known {
            state.known = commit;
            let to_client = |client| session_of(self.plan, client);
            let group = state.group;
            self.referee.on_commit(group, known, replica, to_client, &mut self.coverage)?;
        }
        Ok(())
    }

    fn obey(&mut self, server: usize, out: Out<NodeActor>) {
        let state = &mut self.servers[server];
        let led = state.armed.contains(&Timer::Raft(raft::Timer::Heartbeat));
        let mut saves = None;
        for command in out {
            match command {
                Command::Save(storage) => saves = Some(storage),
                Command::Send(to, message) => {
                    self.network.send(Id::from(server), to, message, &mut self.coverage);
                }
                Command::SetTimer(timer, _) => {
                    if !state.armed.contains(&timer) {
                        state.armed.push(timer);
                    }
                }
                Command::CancelTimer(timer) => state.armed.retain(|armed| *armed != timer),
                Command::ChooseRandom(..) => unreachable!("a node draws nothing at random"),
            }
        }
        if let Some(storage) = saves {
            // A copy of the log would make the next entry dear.
            state.saved = (!is_present(&storage, &state.node)).then_some(storage);
        }
        if led && !state.armed.contains(&Timer::Raft(raft::Timer::Heartbeat)) {
            self.coverage.count(Kind::LeaderReplaced);
            self.network.forget_copies(Id::from(server));
        }
    }
}

/// Whether a storage is the present state of a node, as far as that is seen at once.
fn is_present(storage: &Storage, node: &Node) -> bool {
    match (storage, node.replica()) {
        (Storage::Member(saved), Some(replica)) => {
            let present = &replica.raft.persistent;
            (saved.term, saved.vote, saved.lost) == (present.term, present.vote, present.lost)
                && saved.log.is_same(&present.log)
        }
        (Storage::Member(_) | Storage::Pledge(_), _) => false,
    }
}

/// The address of a server.
pub(super) fn of(server: NodeId) -> Id {
    Id::from(usize::from(server.0))
}

/// The group of a server, and the group's servers.
fn group_of(plan: &Plan, id: NodeId) -> (usize, Servers) {
    let shape = &plan.shape;
    let groups = shape.ids().map(|group| (usize::from(group.0), shape.servers_of(group)));
    match groups.into_iter().find(|(_, servers)| servers.contains(id)) {
        Some((_, servers)) if shape.is_alone() => (0, servers),
        Some(found) => found,
        None => (0, shape.controller()),
    }
}

/// The machines of the groups.
fn kinds(plan: &Plan) -> Vec<machine::Kind> {
    let shape = &plan.shape;
    if shape.is_alone() {
        return vec![machine::Kind::Store];
    }
    let group = |id: GroupId| {
        machine::Kind::Group(Group {
            id,
            shards: shape.shards,
            servers: shape.servers_of(id),
            controllers: shape.controller(),
            part_bytes: plan.part_bytes,
        })
    };
    let controller = machine::Kind::Controller { shards: shape.shards };
    std::iter::once(controller).chain(shape.ids().map(group)).collect()
}
