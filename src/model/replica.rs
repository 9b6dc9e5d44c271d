//! One replica: a Raft server, and the state machine that it keeps in step with the others.
//!
//! The only place that knows both. Requests come in, go through the log, and are applied on every
//! replica as they are committed; the leader that took a request answers it.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use crate::effects::Effects as GenericEffects;
use crate::kv::Machine;
use crate::kv::command::{Output, Request};
use crate::kv::session::Seen;
use crate::raft::{self, Config, Payload, Persistent, Role};
use crate::types::{ClientId, Index, NodeId, RequestId};

use serde::{Deserialize, Serialize};

impl raft::Command for Request {
    fn bytes(&self) -> usize {
        let value = self.op.value().map_or(0, |value| value.0.len());
        size_of::<(ClientId, RequestId)>() + self.op.key().len() + value
    }
}

/// What a replica and its clients and peers tell each other.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Message {
    /// Between servers.
    Raft(raft::Message<Request>),
    /// A client asks.
    Request(Request),
    /// A server answers a client.
    Reply(Reply),
}

/// The answer to a request.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Reply {
    /// The session that asked.
    pub client: ClientId,
    /// The request that is answered.
    pub number: RequestId,
    /// The answer.
    pub answer: Answer,
}

/// What a client is told. There is no *failed* for a request that may be in anyone's log: it is
/// left unanswered, and the client asks again or ends with *unknown*.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Answer {
    /// The request has taken effect, with this result.
    Done(Output),
    /// The request breaks a limit. It has not taken effect and never will.
    Refused,
    /// This server does not lead; ask that one. A client needs it to find the leader without
    /// asking around.
    Redirect(NodeId),
}

/// What a step of a replica may ask for.
pub type Effects = GenericEffects<Persistent<Request>, Message, raft::Timer>;

/// The state of one replica.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Replica {
    /// Its Raft server.
    pub raft: raft::State<Request>,
    /// The state machine, with everything up to `applied` applied to it.
    pub machine: Machine,
    /// The last entry applied. Always the commit index between steps.
    pub applied: Index,
    /// A leader's requests that are in its log and not yet applied, so that a client that asks
    /// again does not fill the log. Forgotten with the leadership: what decides whether a request
    /// is new is its session.
    accepted: BTreeMap<ClientId, RequestId>,
}

impl Replica {
    /// A replica as it starts, for the first time or after a crash: what was applied is applied
    /// again as it is learnt to be committed.
    #[must_use]
    pub fn restart(persistent: Persistent<Request>) -> Self {
        Self {
            raft: raft::State::restart(persistent),
            machine: Machine::default(),
            applied: Index::ZERO,
            accepted: BTreeMap::new(),
        }
    }

    /// The replica has started.
    pub fn on_start(&mut self, config: &Config, fx: &mut Effects) {
        self.raft_step(config, fx, |raft| {
            raft.on_start();
        });
    }

    /// A message has come in from another server.
    pub fn on_raft(
        &mut self,
        config: &Config,
        from: NodeId,
        message: raft::Message<Request>,
        fx: &mut Effects,
    ) {
        self.raft_step(config, fx, |raft| raft.on_message(from, message));
    }

    /// A timer has run out.
    pub fn on_timeout(&mut self, config: &Config, timer: raft::Timer, fx: &mut Effects) {
        self.raft_step(config, fx, |raft| raft.on_timeout(timer));
    }

    /// A client asks.
    pub fn on_request(&mut self, config: &Config, request: Request, fx: &mut Effects) {
        let (client, number) = (request.client, request.number);
        let first_result = match self.machine.seen(client, number) {
            Seen::Not => None,
            Seen::Last(output) => Some(output.clone()),
            Seen::Older => return, // Late: the client has had its answer and moved on.
        };
        match &self.raft.role {
            Role::Leader { .. } => {}
            Role::Follower { leader: Some(leader) } => {
                reply(fx, client, number, Answer::Redirect(*leader));
                return;
            }
            Role::Follower { leader: None } | Role::Candidate { .. } => return, // It asks again.
        }
        if !request.op.within_limits() {
            reply(fx, client, number, Answer::Refused);
            return;
        }
        if let Some(output) = first_result {
            reply(fx, client, number, Answer::Done(output));
            return;
        }
        if self.accepted.get(&client).is_some_and(|accepted| *accepted >= number) {
            return; // In the log already: answered when it is applied.
        }
        self.accepted.insert(client, number);
        self.raft_step(config, fx, |raft| {
            let leads = raft.propose(request);
            assert!(leads, "only a leader proposes");
        });
    }

    /// Takes a step of Raft, then applies what it has committed.
    fn raft_step(
        &mut self,
        config: &Config,
        fx: &mut Effects,
        step: impl FnOnce(&mut raft::Step<'_, Request>),
    ) {
        let mut inner = raft::Effects::default();
        step(&mut raft::Step { config, state: &mut self.raft, fx: &mut inner });
        fx.absorb(inner, Message::Raft, |timer| timer);
        if !self.raft.is_leader() {
            self.accepted.clear();
        }
        self.apply_committed(fx);
    }

    /// Applies the entries that are committed and not yet applied, in order. The leader of an
    /// entry's own term has taken its request, and answers it.
    fn apply_committed(&mut self, fx: &mut Effects) {
        let answers = |term| self.raft.is_leader() && term == self.raft.term();
        for entry in self.raft.log().range(self.applied, self.raft.commit) {
            self.applied = self.applied.next();
            let Payload::Command(request) = &entry.payload else { continue };
            let output = self.machine.apply(request);
            if self.accepted.get(&request.client) == Some(&request.number) {
                self.accepted.remove(&request.client);
            }
            if answers(entry.term)
                && let Some(output) = output
            {
                reply(fx, request.client, request.number, Answer::Done(output));
            }
        }
        assert_eq!(self.applied, self.raft.commit, "all that is committed is applied");
    }
}

fn reply(fx: &mut Effects, client: ClientId, number: RequestId, answer: Answer) {
    fx.send(client, Message::Reply(Reply { client, number, answer }));
}

impl Debug for Replica {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.raft, self.machine)?;
        if !self.accepted.is_empty() {
            write!(f, " in hand {:?}", self.accepted)?;
        }
        Ok(())
    }
}

impl Debug for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raft(message) => message.fmt(f),
            Self::Request(request) => request.fmt(f),
            Self::Reply(reply) => write!(f, "Reply({} {:?})", reply.number, reply.answer),
        }
    }
}
