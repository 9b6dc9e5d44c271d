//! One replica: a Raft server, and the state machine that it keeps in step with the others.
//!
//! The only place that knows both. Requests come in, go through the log, and are applied on every
//! replica as they are committed; the leader that took a request answers it.

mod admission;
mod dispute;
mod hearing;
mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use crate::effects::Effects as GenericEffects;
use crate::founding::Charter;
use crate::health::Health;
use crate::kv::command::Request;
use crate::limits::Limits;
use crate::machine::Applied;
use crate::raft::{self, Payload, Persistent, Role};
use crate::service::{Administration, Keys, Service};
use crate::shard::controller::Order;
use crate::shard::holdings::Holdings;
use crate::shard::migration::{self, Response, Said};
use crate::shard::txn;
use crate::shard::txn::coordinator::Reaction;
use crate::types::{ClientId, Index, NodeId, RequestId};

pub use self::admission::{Backlog, Room};
pub use self::dispute::Dispute;
pub use self::hearing::Hearing;
pub use crate::machine::{Command, Kind, Machine, Standing};
pub use crate::message::{Answer, Message, NotTaken, Reply};

use self::admission::Admission;

use serde::{Deserialize, Serialize};

/// What a step of a replica may ask for.
pub type Effects = GenericEffects<Persistent<Command>, Message, Timer>;

/// What makes a replica act by itself.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Timer {
    /// Raft's.
    Raft(raft::Timer),
    /// When the leader of a group should look after its shards: what it has said may be lost.
    Poll,
}

/// What a replica is set up as.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Setup {
    /// Which server it is, of which.
    pub raft: raft::Config,
    /// What it keeps.
    pub kind: Kind,
    /// The group that it is configured to belong to. It is looked at while the server belongs to
    /// none: afterwards the log says who the members are.
    pub charter: Charter,
    /// The limits of sizes. All replicas of a group have the same limits.
    pub limits: Limits,
    /// The bound of its backlog while it leads.
    pub backlog: Backlog,
}

impl Setup {
    /// The setup of a replica that is configured to belong to a group of these servers.
    pub fn new(raft: raft::Config, kind: Kind, servers: impl IntoIterator<Item = NodeId>) -> Self {
        let servers: BTreeSet<_> = servers.into_iter().collect();
        let charter = Charter { purpose: kind.purpose(), servers };
        Self { raft, kind, charter, limits: Limits::DEFAULT, backlog: Backlog::DEFAULT }
    }
}

/// How a request stands with a machine.
type HowStands<S> =
    for<'a> fn(&'a Machine, &Request<<S as Service>::Op>) -> Standing<'a, <S as Service>::Output>;

/// The state of one replica.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Replica {
    /// Its Raft server.
    pub raft: raft::State<Command>,
    /// The state machine, with everything up to `applied` applied to it.
    pub machine: Machine,
    /// The last entry applied. Always the commit index between steps.
    pub applied: Index,
    /// A leader's requests that are in its log and not yet applied, so that a client that asks
    /// again does not fill the log. Forgotten with the leadership: what decides whether a request
    /// is new is its session.
    accepted: BTreeMap<ClientId, RequestId>,
    /// A leader's requests for shards that are on their way, the latest of each client: taken up
    /// when a shard has arrived. Forgotten with the leadership; who asked asks again.
    held: BTreeMap<ClientId, Command>,
    /// The knowledge from which it decides, while it leads, whether it takes another request.
    admission: Admission,
    /// Disagreements about the membership, by the other server, for the people who look after the
    /// cluster. They change nothing of what the replica does.
    disputes: BTreeMap<NodeId, Dispute>,
}

impl Replica {
    /// A replica as it starts, for the first time or after a crash: what was applied is applied
    /// again as it is learnt to be committed.
    #[must_use]
    pub fn restart(kind: &Kind, limits: Limits, persistent: Persistent<Command>) -> Self {
        Self {
            raft: raft::State::restart(persistent),
            machine: Machine::new(kind, limits),
            applied: Index::ZERO,
            accepted: BTreeMap::new(),
            held: BTreeMap::new(),
            admission: Admission::default(),
            disputes: BTreeMap::new(),
        }
    }

    /// The replica has started.
    pub fn on_start(&mut self, setup: &Setup, fx: &mut Effects) {
        self.raft_step(setup, fx, |raft| {
            raft.on_start();
        });
        match setup.kind {
            Kind::Group(_) => fx.arm(Timer::Poll),
            Kind::Store | Kind::Controller { .. } => {}
        }
    }

    /// A message of Raft has come in. It has an effect only if it is from a member.
    pub fn on_raft(
        &mut self,
        setup: &Setup,
        from: NodeId,
        message: raft::Message<Command>,
        fx: &mut Effects,
    ) {
        if self.raft.members().admits(from, message.sender) {
            if self.admission.room == Room::None && message.has_entries() {
                // As if it were lost, but that the leader is there.
                if message.term == self.raft.term() {
                    fx.arm(Timer::Raft(raft::Timer::Election));
                }
                return;
            }
            self.raft_step(setup, fx, |raft| raft.on_message(from, message));
        } else {
            self.refuse(from, message.sender.incarnation, fx);
        }
    }

    /// A timer has run out.
    pub fn on_timeout(&mut self, setup: &Setup, timer: Timer, fx: &mut Effects) {
        match timer {
            Timer::Raft(timer) => {
                if timer == raft::Timer::Heartbeat {
                    self.admission.on_heartbeat();
                }
                self.raft_step(setup, fx, |raft| raft.on_timeout(timer));
            }
            Timer::Poll => {
                self.say_again(setup, fx);
                fx.arm(Timer::Poll);
            }
        }
    }

    /// A client asks for an operation on a key.
    pub fn on_request(&mut self, setup: &Setup, request: Request, fx: &mut Effects) {
        self.on_ask::<Keys>(setup, request, Machine::standing, fx);
    }

    /// An administrator asks for a change of the configuration.
    pub fn on_change(&mut self, setup: &Setup, request: Request<Order>, fx: &mut Effects) {
        self.on_ask::<Administration>(setup, request, Machine::standing_of_change, fx);
    }

    fn on_ask<S: Service>(
        &mut self,
        setup: &Setup,
        request: Request<S::Op>,
        standing: HowStands<S>,
        fx: &mut Effects,
    ) {
        let (client, number) = (request.client, request.number);
        let forced = S::is_forced(&request.op);
        let answer = |fx: &mut Effects, answer| {
            fx.send(client, S::tell(Reply { client, number, answer }));
        };
        let (first_result, is_early) = match standing(&self.machine, &request) {
            Standing::New => (None, false),
            Standing::NotYet => (None, true),
            Standing::Done(output) => (Some(Answer::Done(output.clone())), false),
            Standing::Elsewhere(config) => (Some(Answer::Elsewhere(config)), false),
            Standing::InHand => return, // It is answered when it is done.
            Standing::Older => return,  // Late: the client has had its answer and moved on.
            Standing::NotHere => return, // It has mistaken us for somebody else.
        };
        match &self.raft.role {
            Role::Leader { .. } => {}
            Role::Follower { leader: Some(leader) } => {
                answer(fx, Answer::Redirect(*leader));
                return;
            }
            Role::Follower { leader: None } | Role::Candidate { .. } => return, // It asks again.
        }
        if !S::within_limits(&request.op, &setup.limits) {
            answer(fx, Answer::Refused(NotTaken::TooLarge));
            return;
        }
        if let Some(result) = first_result {
            answer(fx, result);
            return;
        }
        if is_early {
            self.hold(S::command(request), client, number);
            return;
        }
        if self.accepted.get(&client).is_some_and(|accepted| *accepted >= number) {
            return; // In the log already: answered when it is applied.
        }
        let writes = S::writes(&request.op);
        let command = S::command(request);
        if let Some(why) = self.admission.refused(client, number) {
            answer(fx, Answer::Refused(why)); // A copy of what was refused.
            return;
        }
        if let Some(why) = self.obstacle(setup, writes, forced, &command) {
            if self.admission.refuse(client, number, why) {
                answer(fx, Answer::Refused(why));
            }
            return;
        }
        self.accepted.insert(client, number);
        self.propose(setup, command, fx);
    }

    /// Another group, or the controller, has something to say about shards.
    pub fn on_migration(
        &mut self,
        setup: &Setup,
        from: NodeId,
        message: migration::Message,
        fx: &mut Effects,
    ) {
        match (&setup.kind, &self.machine) {
            (Kind::Group(group), Machine::Group(shards)) => {
                if !self.raft.is_leader() {
                    return; // It was told to all of the group.
                }
                match shards.respond(group, from, message, &self.pending()) {
                    Response::Ignore => {}
                    Response::Answer(message) => fx.send(from, Message::Migration(message)),
                    Response::Log(entry, answer) => {
                        let command = Command::Migration(entry);
                        if !self.takes_to_finish(setup, &command) {
                            return; // It will be said again.
                        }
                        self.propose(setup, command, fx);
                        if let Some(message) = answer {
                            fx.send(from, Message::Migration(message));
                        }
                    }
                }
            }
            // What is applied is committed, so any replica may answer.
            (Kind::Controller { .. }, Machine::Controller(controller)) => {
                if let migration::Message::Ask(num) = message
                    && let Some(config) = controller.configuration(num)
                {
                    let answer = migration::Message::Configuration(Arc::clone(config));
                    fx.send(from, Message::Migration(answer));
                }
            }
            (_, Machine::Store(_) | Machine::Group(_) | Machine::Controller(_)) => {} // Not for us.
        }
    }

    /// Another group has something to say about a transaction.
    pub fn on_transaction(
        &mut self,
        setup: &Setup,
        from: NodeId,
        message: txn::Message,
        fx: &mut Effects,
    ) {
        let Machine::Group(shards) = &self.machine else { return }; // Not for us.
        if !self.raft.is_leader() {
            return; // It was told to all of the group.
        }
        match shards.react(from, message, &self.pending_transactions()) {
            None => {}
            Some(Reaction::Answer(message)) => fx.send(from, Message::Transaction(message)),
            Some(Reaction::Log(entry)) => {
                let command = Command::Transaction(Arc::new(entry));
                if self.takes_to_finish(setup, &command) {
                    self.propose(setup, command, fx);
                } // Otherwise it will be said again.
            }
        }
    }

    /// A client asks about configurations, or about the server. What is applied is committed, so
    /// any replica may answer.
    pub fn on_inquiry(
        &self,
        setup: &Setup,
        from: ClientId,
        message: &migration::Message,
        fx: &mut Effects,
    ) {
        let health = || Health::of_member(setup.raft.id, self);
        let leads = self.raft.is_leader();
        let answer = match (&self.machine, message) {
            (Machine::Controller(controller), migration::Message::Ask(num))
                if controller.latest().num >= *num =>
            {
                migration::Message::Configuration(Arc::clone(controller.latest()))
            }
            (Machine::Group(shards), migration::Message::Inspect) => {
                migration::Message::Holdings(Holdings::of(health(), shards, leads))
            }
            (Machine::Store(_) | Machine::Controller(_), migration::Message::Inspect) => {
                migration::Message::Holdings(Holdings::none(health(), leads))
            }
            // There is none yet, or it is not ours to know.
            (
                Machine::Store(_) | Machine::Group(_) | Machine::Controller(_),
                migration::Message::Ask(_)
                | migration::Message::Configuration(_)
                | migration::Message::Offer { .. }
                | migration::Message::Decline { .. }
                | migration::Message::Want { .. }
                | migration::Message::Part { .. }
                | migration::Message::Holdings(_),
            ) => return,
        };
        fx.send(from, Message::Migration(answer));
    }

    fn propose(&mut self, setup: &Setup, command: Command, fx: &mut Effects) {
        self.raft_step(setup, fx, |raft| {
            let leads = raft.propose(command);
            assert!(leads, "only a leader proposes");
        });
    }

    /// Takes a step of Raft, then applies what it has committed.
    fn raft_step(
        &mut self,
        setup: &Setup,
        fx: &mut Effects,
        step: impl FnOnce(&mut raft::Step<'_, Command>),
    ) {
        let (led, logged) = (self.raft.is_leader(), self.raft.last().index);
        let mut inner = raft::Effects::default();
        step(&mut raft::Step { config: &setup.raft, state: &mut self.raft, fx: &mut inner });
        fx.absorb(inner, |persistent| persistent, Message::Raft, Timer::Raft);
        if self.raft.is_leader() {
            self.count_new(if led { logged } else { self.applied });
        } else {
            self.accepted.clear();
            self.held.clear();
            self.admission.reset();
        }
        let shards_have_changed = self.apply_committed(setup, fx);
        if self.raft.is_leader() && !led {
            self.say_again(setup, fx);
        }
        if shards_have_changed {
            self.take_up_held(setup, fx);
        }
    }

    /// Applies the entries that are committed and not yet applied, in order. The leader of an
    /// entry's own term has taken its request, and answers it. Gives whether a shard has arrived,
    /// or another configuration says which do.
    fn apply_committed(&mut self, setup: &Setup, fx: &mut Effects) -> bool {
        let leads = self.raft.is_leader();
        let answers = |term| leads && term == self.raft.term();
        let config_of = |machine: &Machine| machine.shards().map(|shards| shards.config.num);
        let before = config_of(&self.machine);
        let mut has_arrived = false;
        let mut parts: BTreeMap<_, usize> = BTreeMap::new();
        for entry in self.raft.log().range(self.applied, self.raft.commit) {
            self.applied = self.applied.next();
            if leads {
                self.admission.on_applied(entry.bytes());
            }
            let Payload::Command(command) = &entry.payload else { continue };
            has_arrived |= command.completes_shard();
            let Applied { reply, others, said, work: _ } = self.machine.apply(&setup.kind, command);
            if let Some((client, number)) = command.asked_by() {
                if self.accepted.get(&client) == Some(&number) {
                    self.accepted.remove(&client);
                }
                if answers(entry.term)
                    && let Some(reply) = reply
                {
                    fx.send(client, reply);
                }
            }
            if answers(entry.term) {
                others.into_iter().for_each(|reply| fx.send(reply.client, Message::Reply(reply)));
            }
            if let Command::Migration(entry) = command
                && let Some(part) = entry.part_of()
            {
                *parts.entry(part).or_default() += 1;
            }
            let says = match command {
                // What another leader's requests have made the groups have heard, or will ask for.
                Command::Change(_) => answers(entry.term),
                Command::Request(_) | Command::Migration(_) | Command::Transaction(_) => leads,
            };
            if says {
                say(said, fx);
            }
        }
        assert_eq!(self.applied, self.raft.commit, "all that is committed is applied");
        if let Machine::Group(shards) = &self.machine
            && leads
        {
            for (part, applied) in parts {
                say(shards.ask_ahead(part, applied, &self.pending()), fx);
            }
        }
        has_arrived || config_of(&self.machine) != before
    }

    /// What of migration stands in the log and is not applied.
    fn pending(&self) -> Vec<&migration::Entry> {
        self.unapplied(|command| match command {
            Command::Migration(entry) => Some(entry),
            Command::Request(_) | Command::Change(_) | Command::Transaction(_) => None,
        })
    }

    /// The same of transactions.
    fn pending_transactions(&self) -> Vec<&txn::Entry> {
        self.unapplied(|command| match command {
            Command::Transaction(entry) => Some(&**entry),
            Command::Request(_) | Command::Change(_) | Command::Migration(_) => None,
        })
    }

    /// What stands in the log and is not applied, as far as it is of a kind.
    fn unapplied<'a, T>(&'a self, of_kind: impl Fn(&'a Command) -> Option<&'a T>) -> Vec<&'a T> {
        let entries = self.raft.log().range(self.applied, self.raft.last().index);
        let commands = entries.filter_map(|entry| match &entry.payload {
            Payload::Command(command) => Some(command),
            Payload::Noop | Payload::Members(_) => None,
        });
        commands.filter_map(of_kind).collect()
    }

    /// Says what the leader of a group has to say about its shards.
    fn say_again(&self, setup: &Setup, fx: &mut Effects) {
        if let (Kind::Group(group), Machine::Group(shards)) = (&setup.kind, &self.machine)
            && self.raft.is_leader()
        {
            say(shards.say_again(group, &self.pending()), fx);
        }
    }
}

fn say(said: Said, fx: &mut Effects) {
    said.into_iter().for_each(|(to, message)| fx.send(to, message));
}

impl Debug for Replica {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.raft, self.machine)?;
        if !self.accepted.is_empty() {
            write!(f, " in hand {:?}", self.accepted)?;
        }
        if !self.held.is_empty() {
            write!(f, " held {:?}", self.held)?;
        }
        if !self.admission.has_refused_nobody() {
            write!(f, " {:?}", self.admission)?;
        }
        if !self.disputes.is_empty() {
            write!(f, " disputes {:?}", self.disputes)?;
        }
        Ok(())
    }
}
