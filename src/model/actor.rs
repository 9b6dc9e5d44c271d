//! The protocols as a `stateright` actor: the one door between them and whoever hosts them.
//!
//! The hosts are the model checker (through [`crate::system`]), the simulator and the runtime. The
//! adapter keeps three promises to all of them:
//!
//! - a step that changes nothing and asks for nothing leaves the state borrowed, so that hosts see
//!   it as no step at all, however the handler is written;
//! - every effect that reveals state stands behind the `Save` it depends on (`persist_before_send`,
//!   [Raft Fig. 2]); a host may therefore take many steps, save once, and then send everything;
//! - every step is checked against the invariants of [`crate::raft::Summary`];
//! - every message fits (`fits_in_a_message`): one that can not be sent would be said for ever, and
//!   in vain.
//!
//! A broken promise panics with a [`Violation`]: it stops the process that would do harm, and the
//! checker reports it by name.
//!
//! A [`stateright::actor::Id`] below the number of servers is a server's [`NodeId`], any other is a
//! [`ClientId`]. So models number their clients behind the servers, and processes in the world give
//! themselves large random numbers, with room for the numbers of their sessions.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::panic_any;
use std::sync::Arc;
use std::time::Duration;

use stateright::actor::{Actor, Id, Out};

use crate::effects::Effect;
use crate::node::{Effects, Node, Setup, Storage, Timer};
use crate::raft::{self, Entry, Incarnation, Members, Persistent, Progress, Rpc, Summary};
use crate::replica::{Command, Message};
use crate::size;
use crate::types::{Address, ClientId, Index, NodeId};
use crate::violation::{Violation, demand};

/// How long the timers run. Values, not a clock: the host draws from them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Timing {
    /// A follower waits this long for a leader. Random within the range, so that two rarely
    /// campaign at once [Raft §5.2].
    pub election: Range<Duration>,
    /// A leader shows itself this often.
    pub heartbeat: Duration,
    /// A client waits this long for an answer.
    pub retry: Duration,
    /// The leader of a group looks after its shards this often, and a server that belongs to no
    /// group announces itself.
    pub poll: Duration,
}

impl Timing {
    /// For servers a fraction of a millisecond apart.
    pub const LAN: Self = Self {
        election: Duration::from_millis(300)..Duration::from_millis(600),
        heartbeat: Duration::from_millis(50),
        retry: Duration::from_millis(250),
        poll: Duration::from_millis(100),
    };

    /// Time for which a group counts as heard after its leader has polled: twenty polls, of which
    /// many may be lost, and no less than 2 s. In 2 s a group that has lost its leader elects
    /// another one, also on a busy machine.
    #[must_use]
    pub fn hearing(&self) -> Duration {
        (20 * self.poll).max(Duration::from_secs(2))
    }
}

// A follower must miss several heartbeats before it doubts the leader: one may be lost.
const _: () =
    assert!(Timing::LAN.heartbeat.as_millis() * 3 <= Timing::LAN.election.start.as_millis());

/// A node as an actor.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct NodeActor {
    /// What the node is set up as.
    pub setup: Setup,
    /// How many servers there are: smaller numbers are servers, the others clients.
    pub servers: u16,
    /// How long its timers run.
    pub timing: Timing,
}

impl NodeActor {
    /// This server with a new disk, for which it has drawn another incarnation.
    #[must_use]
    pub fn reborn(&self, incarnation: Incarnation) -> Self {
        let mut reborn = self.clone();
        if let Setup::Server(setup) = &mut reborn.setup {
            setup.raft.incarnation = incarnation;
        }
        reborn
    }

    fn address(&self, id: Id) -> Address {
        let number = usize::from(id);
        match u16::try_from(number) {
            Ok(server) if server < self.servers => Address::Server(NodeId(server)),
            Ok(_) | Err(_) => Address::Client(ClientId(number as u64)),
        }
    }

    fn duration(&self, timer: Timer) -> Range<Duration> {
        let Timing { election, heartbeat, retry, poll } = &self.timing;
        match timer {
            Timer::Raft(raft::Timer::Election) => election.clone(),
            Timer::Raft(raft::Timer::Heartbeat) => *heartbeat..*heartbeat,
            Timer::Client(_) => *retry..*retry,
            Timer::Poll | Timer::Announce => *poll..*poll,
        }
    }

    /// Runs a handler on the state, checks the step, and passes on what it asks for.
    fn step(
        &self,
        state: &mut Cow<'_, Node>,
        out: &mut Out<Self>,
        cause: Cause,
        handler: impl FnOnce(&mut Node, &mut Effects),
    ) {
        let before = Before::of(state);
        let mut fx = Effects::default();
        let checked = match state {
            // A host that owns the state has nothing to compare it with.
            Cow::Owned(node) => {
                handler(node, &mut fx);
                before.check(node, cause, &fx)
            }
            Cow::Borrowed(node) => {
                let mut next = node.clone();
                handler(&mut next, &mut fx);
                let checked = before.check(&next, cause, &fx);
                if next != **node {
                    *state = Cow::Owned(next);
                }
                checked
            }
        };
        let checked = checked.and_then(|()| before.check_timers(state, &fx));
        if let Err(violation) = checked {
            panic_any(violation);
        }
        self.emit(fx, out);
    }

    fn emit(&self, fx: Effects, out: &mut Out<Self>) {
        if let Err(violation) = check_sizes(self.setup.largest_message(), &fx) {
            panic_any(violation);
        }
        for effect in fx {
            match effect {
                Effect::Persist(storage) => out.save(storage),
                Effect::Send(to, message) => out.send(id(to), message),
                Effect::Arm(timer) => out.set_timer(timer, self.duration(timer)),
                Effect::Cancel(timer) => out.cancel_timer(timer),
            }
        }
    }
}

fn id(address: Address) -> Id {
    match address {
        Address::Server(server) => Id::from(usize::from(server.0)),
        Address::Client(client) => Id::from(client.process().0 as usize),
    }
}

/// What a step is checked against, of what has caused it.
#[derive(Clone, Copy, Debug, Default)]
struct Cause {
    /// A server has said that its log matches up to an index.
    acknowledged: Option<(NodeId, Index)>,
    /// A leader's heartbeat timer has run out.
    heartbeat: bool,
}

/// The state of a node before a step, as far as the step is checked against it.
enum Before {
    /// A server that belongs to no group, and its pledge.
    Founder(Option<Arc<Members>>),
    /// A member.
    Member(Summary),
    /// A client or an administrator, of which nothing is demanded.
    Other,
}

impl Before {
    fn of(node: &Node) -> Self {
        match node {
            Node::Founder(founder) => Self::Founder(founder.pledge().cloned()),
            Node::Server(replica) => Self::Member(Summary::of(&replica.raft)),
            Node::Client { .. } | Node::Administrator { .. } => Self::Other,
        }
    }

    /// Checks one step: the invariants, and that nothing is revealed before it is durable.
    fn check(&self, after: &Node, cause: Cause, fx: &Effects) -> Result<(), Violation> {
        match (self, after) {
            (Self::Founder(pledge), _) => {
                let pledge = pledge.clone().map(Storage::Pledge);
                let after = after.storage();
                check_order(pledge == after, |stored| Some(stored) == after.as_ref(), fx)
            }
            (Self::Member(before), Node::Server(replica)) => {
                let raft = &replica.raft;
                before.check_step(raft, cause.acknowledged)?;
                if cause.heartbeat && before.is_leader() {
                    check_heartbeat(raft, fx)?;
                }
                let is_stored = |stored: &Storage| {
                    stored.member().is_some_and(|stored| same(stored, &raft.persistent))
                };
                check_order(before.is_durably(&raft.persistent), is_stored, fx)
            }
            (Self::Member(_) | Self::Other, _) => Ok(()),
        }
    }

    /// A server that begins or ceases to lead, or becomes a member, starts the timer of what it is
    /// then: else it would wait for ever for others to act.
    fn check_timers(&self, after: &Node, fx: &Effects) -> Result<(), Violation> {
        let Some(replica) = after.replica() else { return Ok(()) };
        let changed = match self {
            Self::Founder(_) => true,
            Self::Member(before) => before.is_leader() != replica.raft.is_leader(),
            Self::Other => false,
        };
        let timer =
            if replica.raft.is_leader() { raft::Timer::Heartbeat } else { raft::Timer::Election };
        let armed = fx.into_iter().any(|effect| *effect == Effect::Arm(Timer::Raft(timer)));
        demand("awake", !changed || armed, || format!("{:?} without a timer", replica.raft.role))
    }
}

/// A heartbeat shows each follower that there is a leader, by a message without entries that stands
/// behind the last one that the follower has acknowledged; and it sends again what a known follower
/// has not acknowledged, since that may be lost.
fn check_heartbeat(leader: &raft::State<Command>, fx: &Effects) -> Result<(), Violation> {
    let last = leader.last().index;
    let peers = || leader.progress().into_iter().flatten();
    let shown = |(peer, p): &(&NodeId, &Progress)| {
        is_sent(fx, **peer, |prev, entries| prev == p.matched && entries.is_empty())
    };
    let unseen = peers().find(|peer| !shown(peer));
    demand("shows_itself", unseen.is_none(), || format!("{unseen:?} is sent no heartbeat"))?;
    let sent = |(peer, p): &(&NodeId, &Progress)| {
        is_sent(fx, **peer, |prev, entries| prev == p.matched && !entries.is_empty())
    };
    let mut lacking = peers().filter(|(_, p)| !p.lost && !p.is_probing() && p.matched < last);
    let forgotten = lacking.find(|peer| !sent(peer));
    demand("sends_again", forgotten.is_none(), || format!("{forgotten:?} is not sent it again"))
}

/// Whether a server is sent such an AppendEntries.
fn is_sent(fx: &Effects, to: NodeId, such: impl Fn(Index, &[Entry<Command>]) -> bool) -> bool {
    fx.into_iter().any(|effect| match effect {
        Effect::Send(Address::Server(server), message) if *server == to => {
            match message.raft().map(|message| &message.rpc) {
                Some(Rpc::AppendEntries { prev, entries, .. }) => such(prev.index, entries),
                Some(
                    Rpc::RequestVote { .. } | Rpc::RequestVoteReply | Rpc::AppendEntriesReply(_),
                )
                | None => false,
            }
        }
        Effect::Send(..) | Effect::Persist(_) | Effect::Arm(_) | Effect::Cancel(_) => false,
    })
}

/// Most characters of a message that are shown of one that is too large.
const SHOWN: usize = 200;

/// What is too large for a message is never sent, however often it is said.
fn check_sizes(most: usize, fx: &Effects) -> Result<(), Violation> {
    for effect in fx {
        let Effect::Send(_, message) = effect else { continue };
        let size = size::of(message);
        demand("fits_in_a_message", size <= most, || {
            let text: String = format!("{message:?}").chars().take(SHOWN).collect();
            format!("{size} bytes, the limit is {most}: {text}")
        })?;
    }
    Ok(())
}

/// A step saves what it changes in the persistent state, and before it sends anything. `unchanged`
/// says whether that is what was there before the step, `is_stored` whether a saved state is it.
fn check_order(
    unchanged: bool,
    is_stored: impl Fn(&Storage) -> bool,
    fx: &Effects,
) -> Result<(), Violation> {
    let mut saved = unchanged;
    for effect in fx {
        match effect {
            Effect::Persist(storage) => saved = is_stored(storage),
            Effect::Send(_, message) => demand("persist_before_send", saved, || {
                format!("{message:?} is sent before the state behind it is saved")
            })?,
            Effect::Arm(_) | Effect::Cancel(_) => {}
        }
    }
    demand("persist_before_send", saved, || "the state is not saved".to_owned())
}

/// Equal for all that a step of one server can have done; no comparison of whole logs.
fn same(a: &Persistent<Command>, b: &Persistent<Command>) -> bool {
    a.term == b.term && a.vote == b.vote && a.log.last() == b.log.last() && a.lost == b.lost
}

impl Actor for NodeActor {
    type Msg = Message;
    type Timer = Timer;
    type State = Node;
    type Storage = Storage;
    type Random = ();

    fn on_start(&self, _id: Id, storage: &Option<Storage>, out: &mut Out<Self>) -> Node {
        let mut fx = Effects::default();
        let node = self.setup.start(storage.as_ref(), &mut fx);
        self.emit(fx, out);
        node
    }

    fn on_msg(
        &self,
        _id: Id,
        state: &mut Cow<'_, Node>,
        src: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        let from = self.address(src);
        let acknowledged = match from {
            Address::Server(server) => {
                message.raft().and_then(|message| Some((server, message.acknowledged()?)))
            }
            Address::Client(_) => None,
        };
        let cause = Cause { acknowledged, heartbeat: false };
        self.step(state, out, cause, |node, fx| self.setup.on_message(node, from, message, fx));
    }

    fn on_timeout(&self, _id: Id, state: &mut Cow<'_, Node>, timer: &Timer, out: &mut Out<Self>) {
        let heartbeat = *timer == Timer::Raft(raft::Timer::Heartbeat);
        let cause = Cause { acknowledged: None, heartbeat };
        self.step(state, out, cause, |node, fx| self.setup.on_timeout(node, *timer, fx));
    }

    fn name(&self) -> String {
        match &self.setup {
            Setup::Server(setup) => setup.raft.id.to_string(),
            Setup::Client { id, .. } | Setup::Administrator { id, .. } => id.to_string(),
        }
    }
}
