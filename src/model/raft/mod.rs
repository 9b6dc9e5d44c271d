//! Raft, for a set of servers that the log itself names \[Raft\].
//!
//! A group of servers keeps one log. What stands in it is decided by majorities, so the group goes
//! on as long as a majority of it does, and whatever was acknowledged is never lost.
//!
//! **Members** ([`membership`]). Entry 0 of every log names the members, each with its
//! incarnation; all members have it before the group does anything. A server counts majorities of
//! the members that its log names, and hears nobody else: each message carries the credentials of
//! its sender.
//!
//! **Terms** ([`Step::on_message`]). Time is cut into terms, each with at most one leader
//! (`election_safety`). Every message carries its sender's term. A server that sees a higher term
//! adopts it and becomes a follower; a message of a lower term is ignored [Raft §5.1]. That rule is
//! applied here, once, before any handler runs.
//!
//! **Elections** (`election`). A follower that hears from no leader until its election timer runs
//! out becomes a candidate: it moves to the next term, votes for itself, and asks the others. A
//! server gives one vote a term, durably (`vote_once`), and only to a candidate whose log is at
//! least as up-to-date as its own, so whoever wins holds every committed entry
//! (`leader_completeness`) [Raft §5.2, §5.4.1]. The timer is the host's: it draws each duration at
//! random, so that votes are rarely split.
//!
//! **Replication** (`replication`). A new leader opens its term with an empty entry, then adds
//! what clients ask for, and never removes anything (`leader_append_only`). It sends each follower
//! the entries that the follower lacks, together with the position that must stand before them. A
//! follower whose log differs there says so, with a hint that lets the leader skip whole terms; one
//! whose log agrees removes what contradicts the new entries, if anything does, and takes them. So
//! two logs that agree at one position agree on all before it (`log_matching`) [Raft §5.3].
//!
//! **Commitment** (`replication`). An entry of the leader's own term that a majority holds
//! durably is committed, and all before it with it. An earlier term's entry is never committed by
//! counting (`commit_rule`, [Raft §5.4.2]). The leader tells the others with the entries that
//! follow, or with the next heartbeat. Committed entries are applied in order
//! (`state_machine_safety`).
//!
//! **Crashes.** Term, vote and log are durable before any message that reveals them
//! (`persist_before_send`). All else is lost and learnt again: [`State::restart`].
//!
//! **Frugality** (`message`). Four messages, no answer to a stale request, no refused vote, no
//! answer to a heartbeat that finds all well. A lost message is repaired by the heartbeat, which
//! sends again what is unanswered; a server that is behind in terms learns it from the next
//! leader's or candidate's request.
//!
//! **Left out**, and where it will go: snapshots (InstallSnapshot beside AppendEntries, a base in
//! [`Log`]); PreVote and CheckQuorum (a stage before `become_candidate`; until then a server that
//! was cut off returns with a higher term and forces an election [Ongaro §9.6]); reads without
//! log entries [Ongaro §6.4]; membership changes (further entries of the kind that founds the
//! group; [`Log::members`] is the one place that says which of them is in force [Ongaro §4]).

mod election;
mod invariants;
mod log;
pub mod membership;
mod message;
mod progress;
pub mod quorum;
mod replication;
mod state;

use serde::{Deserialize, Serialize};

pub use invariants::Summary;
pub use log::{Command, Entry, Log, Payload, Position};
pub use membership::{Credentials, Incarnation, Members, Purpose};
pub use message::{Message, Outcome, Rpc};
pub use progress::Progress;
pub use state::{Config, Limits, Persistent, Role, State};

use crate::effects::Effects as GenericEffects;
use crate::types::{Index, NodeId, Term};

/// What makes a server act by itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Timer {
    /// When a follower or candidate has heard from no leader for too long.
    Election,
    /// When a leader should show that it is there, and send again what was not answered.
    Heartbeat,
}

/// What a step of Raft may ask for.
pub type Effects<C> = GenericEffects<Persistent<C>, Message<C>, Timer>;

/// One step of a server: its state, one event, and what the event makes it ask for.
pub struct Step<'a, C: Command> {
    /// The identity of the server.
    pub config: &'a Config,
    /// Its state.
    pub state: &'a mut State<C>,
    /// What it asks for.
    pub fx: &'a mut Effects<C>,
}

impl<C: Command> Step<'_, C> {
    /// The server has started, for the first time or after a crash.
    pub fn on_start(&mut self) {
        let Config { id, incarnation, limits: _ } = self.config;
        let recorded = self.state.members().incarnation(*id);
        assert_eq!(recorded, Some(*incarnation), "{id} {incarnation} starts with another's log");
        self.fx.arm(Timer::Election);
    }

    /// A message has come in from a member. Settles the terms, then hands on.
    pub fn on_message(&mut self, from: NodeId, message: Message<C>) {
        let Message { sender: _, term, rpc } = message;
        if term < self.state.term() {
            return; // Stale. The sender learns of the new term from whoever acts in it.
        }
        if term > self.state.term() {
            self.become_follower(term);
        }
        if let Some(lost) = self.state.persistent.lost {
            self.refuse_part(from, &rpc, lost);
            return;
        }
        match rpc {
            Rpc::RequestVote { last } => self.on_request_vote(from, last),
            Rpc::RequestVoteReply => self.on_vote(from),
            Rpc::AppendEntries { prev, entries, commit } => {
                self.on_append_entries(from, prev, entries, commit);
            }
            Rpc::AppendEntriesReply(outcome) => self.on_append_entries_reply(from, outcome),
        }
    }

    /// A timer has run out.
    pub fn on_timeout(&mut self, timer: Timer) {
        match timer {
            Timer::Election => self.on_election_timeout(),
            Timer::Heartbeat => self.on_heartbeat_timeout(),
        }
    }

    /// Adopts a higher term [Raft §5.1]. Nothing is known of it yet: no vote, no leader.
    fn become_follower(&mut self, term: Term) {
        assert!(term > self.state.term(), "{term} does not follow {}", self.state.term());
        if self.state.is_leader() {
            self.fx.cancel(Timer::Heartbeat);
            self.fx.arm(Timer::Election);
        }
        self.state.persistent.term = term;
        self.state.persistent.vote = None;
        self.state.role = Role::Follower { leader: None };
        self.persist();
    }

    /// Asks for the persistent state to be durable before all that follows.
    fn persist(&mut self) {
        self.fx.persist(&self.state.persistent);
    }

    fn send(&mut self, to: NodeId, rpc: Rpc<C>) {
        let sender = self.state.members().credentials(self.config.incarnation);
        self.fx.send(to, Message { sender, term: self.state.term(), rpc });
    }

    /// The other members of the group.
    fn peers(&self) -> Vec<NodeId> {
        self.state.members().others(self.config.id).collect()
    }

    /// The entry at `index`, which must be there.
    fn position(&self, index: Index) -> Position {
        match self.state.log().position(index) {
            Some(position) => position,
            None => panic!("{index} is beyond the log's end {:?}", self.state.last()),
        }
    }
}
