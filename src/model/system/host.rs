//! The model's host: what stands between a node and the model checker.
//!
//! It does what the runtime does for a real node (keeps its durable state, starts it again after a
//! crash, stops it when it breaks a promise), and what only a model needs: it counts what is
//! bounded, and remembers what a crash would make the properties forget.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};

use stateright::actor::{Actor, Command, Id, Out, model_timeout};

use super::{Bounds, dead};
use crate::actor::NodeActor;
use crate::client;
use crate::node::{self, Node, Storage};
use crate::raft::{self, Entry, Incarnation, Log, Persistent, Position, Summary};
use crate::replica::{Answer, Command as Logged, Message, Replica};
use crate::types::Term;
use crate::violation::{self, Violation};

/// A node in the model.
#[derive(Clone, Debug)]
pub struct Host {
    /// The node.
    pub node: NodeActor,
    /// What it may do at most.
    pub bounds: Bounds,
    /// Whether a client's request goes to every server; see [`super::Reductions::any_server`].
    pub any_server: bool,
    /// The disk of the server at the beginning, if its group is founded by then.
    pub founded: Option<Storage>,
}

/// What makes a node in the model act by itself.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Timer {
    /// One of the node's timers runs out.
    Node(node::Timer),
    /// The node crashes and is started again, as one step: until it is back it does nothing, so it
    /// cannot be told from a slow one.
    Restart,
    /// The node crashes, and is started again with an empty disk, as another incarnation.
    LoseDisk,
}

/// How often a node has done what is bounded.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Spent {
    /// Crashes with restart.
    pub restarts: u8,
    /// Heartbeat timeouts.
    pub heartbeats: u8,
    /// Times that a group has looked after its shards.
    pub polls: u8,
    /// A client's retries.
    pub retries: u8,
    /// Disks lost.
    pub lost_disks: u8,
}

impl Spent {
    /// Crashes of either kind, after which a node goes on from its disk.
    #[must_use]
    pub fn crashes(&self) -> u32 {
        u32::from(self.restarts) + u32::from(self.lost_disks)
    }
}

/// What the properties need to know of the past.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Past {
    /// The terms that the server has led.
    pub led: BTreeSet<Term>,
    /// What the server knew to be committed before its last crash, until it knows as much again.
    pub committed: Vec<Entry<Logged>>,
}

/// A node in the model, with what its host keeps for it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostState {
    /// The node.
    pub node: Node,
    /// The incarnation of a server: that of its disk.
    incarnation: Incarnation,
    /// What a crash would leave, if that is not the node's present persistent state.
    stale: Option<Stale>,
    /// The timers that run. stateright keeps them too, but hashes sets of them ambiguously: two
    /// nodes' sets `{a}, {}` and `{}, {a}` look alike to it.
    armed: BTreeSet<Timer>,
    /// How often the node has done what is bounded.
    pub spent: Spent,
    /// What the properties need to know of the past.
    pub past: Past,
    /// The promise that the node has broken.
    pub violation: Option<Violation>,
}

/// A durable state that is not the node's present one; `None` if nothing is durable.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Stale(Option<Storage>);

impl HostState {
    /// The state that a crash would leave.
    #[must_use]
    pub fn durable(&self) -> Option<Storage> {
        match &self.stale {
            Some(Stale(storage)) => storage.clone(),
            None => self.node.storage(),
        }
    }

    /// The log that a crash would leave, if the server is a member of a group.
    #[must_use]
    pub fn durable_log(&self) -> Option<&Log<Logged>> {
        match &self.stale {
            Some(Stale(storage)) => storage.as_ref()?.member().map(|persistent| &persistent.log),
            None => self.node.replica().map(|replica| replica.raft.log()),
        }
    }

    /// The state that a crash would leave, if it is a member's, and not the present one.
    pub(crate) fn stale_member_mut(&mut self) -> Option<&mut Persistent<Logged>> {
        match &mut self.stale.as_mut()?.0 {
            Some(Storage::Member(persistent)) => Some(persistent),
            Some(Storage::Pledge(_)) | None => None,
        }
    }

    /// Whether the node has stopped because of a promise that it has broken. A message that was
    /// wrongly taken to be dead stops nobody: where it leads is to be found out, too.
    fn is_stopped(&self) -> bool {
        self.violation.as_ref().is_some_and(|violation| violation.property != dead::PROMISE)
    }

    /// The last position that the server knows, or knew before a crash, to be committed.
    #[must_use]
    pub fn known_committed(&self, replica: &Replica) -> Position {
        let now = replica.raft.log().position(replica.raft.commit).unwrap_or_default();
        let before = self.past.committed.last().map_or_else(Position::default, |entry| Position {
            term: entry.term,
            index: crate::types::Index(self.past.committed.len() as u64),
        });
        if before.index > now.index { before } else { now }
    }

    /// The entries that the server knows, or knew before a crash, to be committed.
    #[must_use]
    pub fn known_entries(&self, replica: &Replica) -> Vec<Entry<Logged>> {
        let now: Vec<_> = replica.raft.committed().cloned().collect();
        if self.past.committed.len() > now.len() { self.past.committed.clone() } else { now }
    }

    /// Notes what the properties need to remember, and what contradicts it.
    fn remember(&mut self) -> Result<(), Violation> {
        let Some(replica) = self.node.replica() else { return Ok(()) };
        if replica.raft.is_leader() {
            self.past.led.insert(replica.raft.term());
        }
        let known = &self.past.committed;
        if !known.is_empty() && replica.raft.commit.0 as usize >= known.len() {
            if !replica.raft.committed().zip(known).all(|(now, before)| now == before) {
                let detail = format!("{known:?} was committed, now {:?}", replica.raft.log());
                return Err(Violation::new("state_machine_safety", detail));
            }
            self.past.committed.clear();
        }
        Ok(())
    }
}

impl Host {
    /// Does what the node asks for, but for what the model has no need of. A crash would have left
    /// `durable` until now.
    fn obey(
        &self,
        state: &mut HostState,
        durable: Option<Storage>,
        asked: Out<NodeActor>,
        out: &mut Out<Self>,
    ) {
        let mut saved = None;
        for command in asked {
            match command {
                Command::Save(storage) => saved = Some(storage),
                Command::Send(to, message) => self.send(to, message, out),
                Command::SetTimer(timer, _) => arm(state, Timer::Node(timer), out),
                Command::CancelTimer(timer) => {
                    if state.armed.remove(&Timer::Node(timer)) {
                        out.cancel_timer(Timer::Node(timer));
                    }
                }
                Command::ChooseRandom(..) => unreachable!("a node draws nothing at random"),
            }
        }
        // What is not saved is not durable, whatever the node now is.
        let durable = saved.or(durable);
        state.stale = (durable != state.node.storage()).then_some(Stale(durable));
    }

    /// The actor of the node in its present incarnation.
    fn actor(&self, state: &HostState) -> Cow<'_, NodeActor> {
        if state.incarnation == Incarnation::default() {
            Cow::Borrowed(&self.node)
        } else {
            Cow::Owned(self.node.reborn(state.incarnation))
        }
    }

    fn send(&self, to: Id, message: Message, out: &mut Out<Self>) {
        match &message {
            Message::Request(_) | Message::Change(_) if self.any_server => {
                for server in 0..self.node.servers {
                    out.send(Id::from(usize::from(server)), message.clone());
                }
            }
            // Nobody has to be told whom to ask.
            Message::Reply(reply) if self.any_server && sends_on(&reply.answer) => {}
            Message::Outcome(reply) if self.any_server && sends_on(&reply.answer) => {}
            Message::Raft(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Change(_)
            | Message::Outcome(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_) => out.send(to, message),
        }
    }

    /// Whether the bounds let this timer run out once more.
    fn may_fire(&self, state: &HostState, timer: Timer) -> bool {
        match timer {
            _ if state.is_stopped() => false,
            Timer::Restart => state.spent.restarts < self.bounds.restarts,
            Timer::LoseDisk => state.spent.lost_disks < self.bounds.lost_disks,
            Timer::Node(node::Timer::Raft(raft::Timer::Election)) => {
                state.node.replica().is_none_or(|r| r.raft.term() < self.bounds.max_term)
            }
            Timer::Node(node::Timer::Raft(raft::Timer::Heartbeat)) => {
                state.spent.heartbeats < self.bounds.heartbeats
            }
            Timer::Node(node::Timer::Poll | node::Timer::Announce) => {
                state.spent.polls < self.bounds.polls
            }
            Timer::Node(node::Timer::Client(client::Timer::Retry)) => {
                state.spent.retries < self.bounds.retries
            }
        }
    }

    /// Crashes the node and starts it again from what is durable.
    fn restart(&self, id: Id, before: &HostState, out: &mut Out<Self>) -> HostState {
        let mut state = self.begin_again(id, before, before.durable(), before.incarnation, out);
        state.spent = Spent { restarts: before.spent.restarts + 1, ..before.spent };
        if let (Some(old), Some(new)) = (before.node.replica(), state.node.replica()) {
            state.violation = Summary::of(&old.raft).check_restart(&new.raft).err();
        }
        state
    }

    /// Crashes the node and starts it again with an empty disk.
    fn lose_disk(&self, id: Id, before: &HostState, out: &mut Out<Self>) -> HostState {
        let incarnation = Incarnation(before.incarnation.0 + 1);
        let mut state = self.begin_again(id, before, None, incarnation, out);
        state.spent = Spent { lost_disks: before.spent.lost_disks + 1, ..before.spent };
        state
    }

    /// Starts the node again from this storage. The properties remember what it knew before.
    fn begin_again(
        &self,
        id: Id,
        before: &HostState,
        storage: Option<Storage>,
        incarnation: Incarnation,
        out: &mut Out<Self>,
    ) -> HostState {
        let is_the_nodes = |timer: &&Timer| matches!(timer, Timer::Node(_));
        for timer in before.armed.iter().filter(is_the_nodes) {
            out.cancel_timer(*timer);
        }
        let mut state = self.start(id, storage, incarnation, out);
        state.past = before.past.clone();
        if let Some(old) = before.node.replica() {
            state.past.committed = before.known_entries(old);
        }
        state
    }

    fn start(
        &self,
        id: Id,
        storage: Option<Storage>,
        incarnation: Incarnation,
        out: &mut Out<Self>,
    ) -> HostState {
        let mut asked = Out::new();
        let node = self.node.reborn(incarnation).on_start(id, &storage, &mut asked);
        let mut state = HostState {
            node,
            incarnation,
            stale: None,
            armed: BTreeSet::new(),
            spent: Spent::default(),
            past: Past::default(),
            violation: None,
        };
        self.obey(&mut state, storage, asked, out);
        let is_server = state.node.replica().is_some() || state.node.founder().is_some();
        if self.bounds.restarts > 0 && is_server {
            arm(&mut state, Timer::Restart, out);
        }
        if self.bounds.lost_disks > 0 && is_server {
            arm(&mut state, Timer::LoseDisk, out);
        }
        state
    }

    /// Takes one step of the node; gives what changes, if anything does.
    fn step(
        &self,
        before: &HostState,
        out: &mut Out<Self>,
        fired: Option<Timer>,
        handler: impl FnOnce(&mut Cow<'_, Node>, &mut Out<NodeActor>),
    ) -> Option<HostState> {
        let mut node = Cow::Borrowed(&before.node);
        let mut asked = Out::new();
        let caught = catch_unwind(AssertUnwindSafe(|| handler(&mut node, &mut asked)));
        if let Err(panic) = caught {
            let violation = Some(violation::of_panic(panic.as_ref()));
            return Some(HostState { violation, ..before.clone() });
        }
        let changed = matches!(node, Cow::Owned(_)) || fired.is_some();
        if !changed && asked.is_empty() {
            return None;
        }
        let mut after = HostState { node: node.into_owned(), ..before.clone() };
        if let Some(timer) = fired {
            after.armed.remove(&timer);
        }
        self.obey(&mut after, before.durable(), asked, out);
        after.violation = after.remember().err();
        // To start a timer that runs already is no step.
        (changed || !out.is_empty()).then_some(after)
    }
}

/// Whether an answer says no more than whom else to ask.
fn sends_on<T>(answer: &Answer<T>) -> bool {
    match answer {
        Answer::Redirect(_) | Answer::Elsewhere(_) => true,
        Answer::Done(_) | Answer::Refused(_) => false,
    }
}

fn arm(state: &mut HostState, timer: Timer, out: &mut Out<Host>) {
    if state.armed.insert(timer) {
        out.set_timer(timer, model_timeout());
    }
}

impl Actor for Host {
    type Msg = Message;
    type Timer = Timer;
    type State = HostState;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _storage: &Option<()>, out: &mut Out<Self>) -> HostState {
        self.start(id, self.founded.clone(), Incarnation::default(), out)
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, HostState>,
        src: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        if state.is_stopped() {
            return;
        }
        let actor = self.actor(state);
        let next = self.step(state, out, None, |node, asked| {
            actor.on_msg(id, node, src, message, asked);
        });
        if let Some(next) = next {
            *state = Cow::Owned(next);
        }
    }

    fn on_timeout(
        &self,
        id: Id,
        state: &mut Cow<'_, HostState>,
        timer: &Timer,
        out: &mut Out<Self>,
    ) {
        if !self.may_fire(state, *timer) {
            // To stateright a timer that only starts again is no step.
            out.set_timer(*timer, model_timeout());
            return;
        }
        let next = match *timer {
            Timer::Restart => Some(self.restart(id, state, out)),
            Timer::LoseDisk => Some(self.lose_disk(id, state, out)),
            Timer::Node(timer) => {
                let fired = Some(Timer::Node(timer));
                let actor = self.actor(state);
                let next = self.step(state, out, fired, |node, asked| {
                    actor.on_timeout(id, node, &timer, asked);
                });
                next.map(|mut next| {
                    spend(&mut next.spent, timer);
                    next
                })
            }
        };
        if let Some(next) = next {
            *state = Cow::Owned(next);
        }
    }

    fn name(&self) -> String {
        self.node.name()
    }
}

fn spend(spent: &mut Spent, timer: node::Timer) {
    match timer {
        node::Timer::Raft(raft::Timer::Election) => {} // Bounded by the term.
        node::Timer::Raft(raft::Timer::Heartbeat) => spent.heartbeats += 1,
        node::Timer::Poll | node::Timer::Announce => spent.polls += 1,
        node::Timer::Client(client::Timer::Retry) => spent.retries += 1,
    }
}

impl Debug for Timer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(timer) => timer.fmt(f),
            Self::Restart => f.write_str("Restart"),
            Self::LoseDisk => f.write_str("LoseDisk"),
        }
    }
}

impl Debug for HostState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)?;
        match &self.stale {
            None => {}
            Some(Stale(None)) => f.write_str(" nothing on disk")?,
            Some(Stale(Some(storage))) => write!(f, " on disk: {storage:?}")?,
        }
        if self.incarnation != Incarnation::default() {
            write!(f, " {}", self.incarnation)?;
        }
        if self.spent != Spent::default() {
            write!(f, " {:?}", self.spent)?;
        }
        if let Some(violation) = &self.violation {
            write!(f, " VIOLATED {violation}")?;
        }
        Ok(())
    }
}
