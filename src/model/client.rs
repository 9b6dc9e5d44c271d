//! A client session: one request at a time, asked again until it is answered.
//!
//! Used by the models, the simulator, the benches and the client library alike. Whoever drives it
//! owns the clock: a retry is an event ([`Timer::Retry`]), and so is giving up.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use crate::effects::Effects as GenericEffects;
use crate::kv::command::{Output, Request};
use crate::replica::{Answer, Message, Reply};
use crate::service::{Keys, Service};
use crate::types::{ClientId, NodeId, RequestId};

/// What makes a client act by itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Timer {
    /// When a request has gone unanswered for too long: another server is asked.
    Retry,
}

/// What a step of a client may ask for. A client has nothing to persist.
pub type Effects<S> = GenericEffects<S, Message, Timer>;

/// How an operation ended.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Outcome<T = Output> {
    /// It has taken effect, once, with this result.
    Done(T),
    /// It has not taken effect and never will.
    NotDone,
    /// It may have taken effect, or may yet, or never.
    Unknown,
}

/// A session with a group of servers.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Session<S: Service = Keys> {
    id: ClientId,
    /// The servers are `n0` up to, not including, this.
    servers: u16,
    /// The number of the last request.
    number: RequestId,
    /// The operation under way.
    pending: Option<S::Op>,
    /// Whom to ask: the leader, as far as is known.
    target: NodeId,
    /// Whether a redirect has been followed since the last retry. One is enough: two deposed
    /// leaders that name each other would keep a client running between them.
    redirected: bool,
}

impl<S: Service> Session<S> {
    /// A session that will ask `first` of the servers `n0` to `n(servers - 1)` first.
    #[must_use]
    pub fn new(id: ClientId, servers: u16, first: NodeId) -> Self {
        Self {
            id,
            servers,
            number: RequestId::default(),
            pending: None,
            target: first,
            redirected: false,
        }
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The operation under way, with its number.
    #[must_use]
    pub fn pending(&self) -> Option<(RequestId, &S::Op)> {
        self.pending.as_ref().map(|op| (self.number, op))
    }

    /// Begins an operation.
    ///
    /// # Panics
    /// If one is under way: a session has one at a time.
    pub fn invoke<P>(&mut self, op: S::Op, fx: &mut Effects<P>) {
        assert!(self.pending.is_none(), "{} has an operation under way", self.id);
        self.number = RequestId(self.number.0 + 1);
        self.pending = Some(op);
        self.redirected = false;
        self.ask(fx);
        fx.arm(Timer::Retry);
    }

    /// A reply has come in. Gives the outcome if it ends the operation under way; a reply to an
    /// earlier request is late and means nothing.
    pub fn on_reply<P>(
        &mut self,
        reply: Reply<S::Output>,
        fx: &mut Effects<P>,
    ) -> Option<Outcome<S::Output>> {
        if self.pending.is_none() || reply.client != self.id || reply.number != self.number {
            return None;
        }
        match reply.answer {
            Answer::Done(output) => Some(self.end(Outcome::Done(output), fx)),
            Answer::Refused => Some(self.end(Outcome::NotDone, fx)),
            Answer::Redirect(leader) => {
                let known = leader.0 < self.servers;
                if known && !self.redirected && leader != self.target {
                    self.target = leader;
                    self.redirected = true;
                    self.ask(fx);
                }
                None
            }
            // Who owns the shard is found by asking around.
            Answer::Elsewhere(_) => None,
        }
    }

    /// The request has gone unanswered for too long: asks the next server.
    pub fn on_timeout<P>(&mut self, timer: Timer, fx: &mut Effects<P>) {
        match timer {
            Timer::Retry if self.pending.is_some() => {
                self.target = NodeId((self.target.0 + 1) % self.servers);
                self.redirected = false;
                self.ask(fx);
                fx.arm(Timer::Retry);
            }
            Timer::Retry => {} // The answer was faster.
        }
    }

    /// Gives up on the operation under way. It was sent, so it may take effect even now.
    pub fn give_up<P>(&mut self, fx: &mut Effects<P>) -> Option<Outcome<S::Output>> {
        self.pending.is_some().then(|| self.end(Outcome::Unknown, fx))
    }

    fn end<P>(&mut self, outcome: Outcome<S::Output>, fx: &mut Effects<P>) -> Outcome<S::Output> {
        self.pending = None;
        fx.cancel(Timer::Retry);
        outcome
    }

    fn ask<P>(&mut self, fx: &mut Effects<P>) {
        if let Some(op) = self.pending.clone() {
            let request = Request { client: self.id, number: self.number, op };
            fx.send(self.target, S::ask(request));
        }
    }
}

impl<S: Service> Debug for Session<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.pending() {
            Some((number, op)) => write!(f, "asks {} for {number} {op:?}", self.target),
            None => f.write_str("idle"),
        }
    }
}
