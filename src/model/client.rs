//! A client session: one request at a time, asked again until it is answered.
//!
//! Whom it asks its [`Router`] says. Where several groups share the store, a request that has gone
//! to a group that does not own the shard is asked again of the one that does, under the same
//! number: the session of the shard knows whether it has been carried out.
//!
//! Used by the models, the simulator, the benches and the client library alike. Whoever drives it
//! owns the clock: a retry is an event ([`Timer::Retry`]), and so is giving up.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use crate::effects::Effects as GenericEffects;
use crate::kv::command::{Output, Request};
use crate::replica::{Answer, Message, NotTaken, Reply};
use crate::service::{Keys, Service};
use crate::shard::config::Configuration;
use crate::shard::migration;
use crate::shard::router::Router;
use crate::types::{ClientId, NodeId, RequestId, ShardId};

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
    /// It has not taken effect and never will, for this reason.
    NotDone(NotTaken),
    /// It may have taken effect, or may yet, or never.
    Unknown,
}

/// A session with a group of servers, or with several that share a store.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Session<S: Service = Keys> {
    id: ClientId,
    /// Whom to ask.
    router: Router,
    /// The number of the last request.
    number: RequestId,
    /// The operation under way.
    pending: Option<S::Op>,
    /// Whether a redirect has been followed since the last retry. One is enough: two deposed
    /// leaders that name each other would keep a client running between them.
    redirected: bool,
    /// The whereabouts of the copies of the request that were sent before the last one.
    earlier: Copies,
}

/// The whereabouts of copies of a request. A copy that a server has turned away is in no log.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Copies {
    /// There are none, and the request was not sent at all.
    Unsent,
    /// Every one of them was turned away by a server.
    TurnedAway,
    /// Each of them may be in a log.
    Anywhere,
}

impl<S: Service> Session<S> {
    /// A session with the servers that the router knows.
    #[must_use]
    pub fn new(id: ClientId, router: Router) -> Self {
        Self {
            id,
            router,
            number: RequestId::default(),
            pending: None,
            redirected: false,
            earlier: Copies::Unsent,
        }
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// What it knows of the servers.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
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
        self.ask_again(fx);
        if self.target().is_none() {
            self.ask_for_newer(fx);
        }
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
            Answer::Refused(why) => self.on_refusal(why, fx),
            Answer::Redirect(leader) => {
                if !self.redirected && self.router.follow(self.shard()?, leader) {
                    self.redirected = true;
                    self.ask(fx);
                }
                None
            }
            // One that is behind will own the shard in time: it is asked again later.
            Answer::Elsewhere(config) => {
                if config > self.router.known() {
                    self.ask_for_newer(fx);
                }
                None
            }
        }
    }

    /// Handles a refusal, and returns the outcome if the refusal ends the operation. It does not if
    /// a server may have taken another copy of the request: then the client asks again later, to
    /// learn what has become of that copy.
    fn on_refusal<P>(&mut self, why: NotTaken, fx: &mut Effects<P>) -> Option<Outcome<S::Output>> {
        match why {
            NotTaken::TooLarge => {}
            NotTaken::Overloaded | NotTaken::DiskFull | NotTaken::Silent(_) => match self.earlier {
                Copies::TurnedAway => {}
                Copies::Unsent | Copies::Anywhere => return None,
            },
        }
        Some(self.end(Outcome::NotDone(why), fx))
    }

    /// A configuration has come in. If it is news, whoever owns the shard now is asked.
    pub fn on_configuration<P>(
        &mut self,
        from: NodeId,
        config: &Configuration,
        fx: &mut Effects<P>,
    ) {
        if self.router.learn(from, config) {
            self.redirected = false;
            self.ask_again(fx);
        }
    }

    /// The request has gone unanswered for too long: asks the next server, and whether the shard
    /// has moved.
    pub fn on_timeout<P>(&mut self, timer: Timer, fx: &mut Effects<P>) {
        match timer {
            Timer::Retry => {
                let Some(shard) = self.shard() else { return }; // The answer was faster.
                self.router.rotate(shard);
                self.redirected = false;
                self.ask_again(fx);
                self.ask_for_newer(fx);
                fx.arm(Timer::Retry);
            }
        }
    }

    /// Gives up on the operation under way. It was sent, so it may take effect even now.
    pub fn give_up<P>(&mut self, fx: &mut Effects<P>) -> Option<Outcome<S::Output>> {
        self.pending.is_some().then(|| self.end(Outcome::Unknown, fx))
    }

    fn end<P>(&mut self, outcome: Outcome<S::Output>, fx: &mut Effects<P>) -> Outcome<S::Output> {
        self.pending = None;
        self.earlier = Copies::Unsent;
        fx.cancel(Timer::Retry);
        outcome
    }

    /// The shard that the operation under way is about.
    fn shard(&self) -> Option<ShardId> {
        self.pending.as_ref().map(|op| S::shard(op, self.router.shards()))
    }

    /// Whom to ask for the operation under way.
    fn target(&self) -> Option<NodeId> {
        self.router.target(self.shard()?)
    }

    /// Sends the first copy of the request, or another one while those before are unanswered.
    fn ask_again<P>(&mut self, fx: &mut Effects<P>) {
        if self.target().is_some() {
            self.earlier = match self.earlier {
                Copies::Unsent => Copies::TurnedAway,
                Copies::TurnedAway | Copies::Anywhere => Copies::Anywhere,
            };
        }
        self.ask(fx);
    }

    fn ask<P>(&self, fx: &mut Effects<P>) {
        if let (Some(op), Some(target)) = (self.pending.clone(), self.target()) {
            let request = Request { client: self.id, number: self.number, op };
            fx.send(target, S::ask(request));
        }
    }

    /// Asks all of the controller's servers, for any of them may be down or behind.
    fn ask_for_newer<P>(&self, fx: &mut Effects<P>) {
        let ask = migration::Message::Ask(self.router.known().next());
        for controller in self.router.controllers().iter() {
            fx.send(controller, Message::Migration(ask.clone()));
        }
    }
}

impl<S: Service> Debug for Session<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.pending(), self.target()) {
            (Some((number, op)), Some(target)) => write!(f, "asks {target} for {number} {op:?}"),
            (Some((number, op)), None) => write!(f, "knows nobody to ask for {number} {op:?}"),
            (None, _) => f.write_str("idle"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::Effect;
    use crate::kv::command::Op;
    use crate::types::{Address, ConfigNum, GroupId};

    /// A session with a cluster whose controller has two servers, and configurations that give its
    /// only shard to one group, to another, and back.
    fn sharded() -> (Session, [Configuration; 3]) {
        let servers = |numbers: [u16; 2]| numbers.map(NodeId).into_iter().collect();
        let groups = [(GroupId(1), servers([2, 3])), (GroupId(2), servers([4, 5]))];
        let first = Configuration::initial(1).join(&groups.into()).unwrap();
        let second = first.move_shard(ShardId(0), GroupId(2)).unwrap();
        let third = second.move_shard(ShardId(0), GroupId(1)).unwrap();
        let session = Session::new(ClientId(9), Router::sharded(servers([0, 1]), 1));
        (session, [first, second, third])
    }

    /// Which servers are sent a request, under which number, and which are asked for what
    /// configuration, by a step of the session.
    fn sent(
        session: &mut Session,
        step: impl FnOnce(&mut Session, &mut Effects<()>),
    ) -> Vec<(u16, Result<u64, u64>)> {
        let mut fx = Effects::default();
        step(session, &mut fx);
        let sent = fx.into_iter().filter_map(|effect| match effect {
            Effect::Send(Address::Server(to), Message::Request(request)) => {
                Some((to.0, Ok(request.number.0)))
            }
            Effect::Send(
                Address::Server(to),
                Message::Migration(migration::Message::Ask(ConfigNum(num))),
            ) => Some((to.0, Err(num))),
            Effect::Arm(_) | Effect::Cancel(_) => None,
            other => panic!("{other:?}"),
        });
        sent.collect()
    }

    fn answer(answer: Answer) -> impl FnOnce(&mut Session, &mut Effects<()>) {
        let reply = Reply { client: ClientId(9), number: RequestId(1), answer };
        move |session, fx| assert_eq!(session.on_reply(reply, fx), None)
    }

    fn learn(config: &Configuration) -> impl FnOnce(&mut Session, &mut Effects<()>) + '_ {
        move |session, fx| session.on_configuration(NodeId(0), config, fx)
    }

    fn get(session: &mut Session, fx: &mut Effects<()>) {
        session.invoke(Op::Get("k".into()), fx);
    }

    fn retry(session: &mut Session, fx: &mut Effects<()>) {
        session.on_timeout(Timer::Retry, fx);
    }

    #[test]
    fn request_follows_its_shard_under_its_number() {
        let (mut session, [first, second, third]) = sharded();
        assert_eq!(sent(&mut session, get), [(0, Err(1)), (1, Err(1))]);
        assert_eq!(sent(&mut session, learn(&first)), [(2, Ok(1))]);
        let elsewhere = Answer::Elsewhere(ConfigNum(2));
        assert_eq!(sent(&mut session, answer(elsewhere.clone())), [(0, Err(2)), (1, Err(2))]);
        assert_eq!(sent(&mut session, learn(&second)), [(4, Ok(1))]);
        assert_eq!(sent(&mut session, answer(elsewhere)), [], "told by a group that is behind");
        assert_eq!(sent(&mut session, learn(&first)), [], "late");
        assert_eq!(sent(&mut session, learn(&third)), [(2, Ok(1))]);
    }

    #[test]
    fn leader_of_another_group_is_not_followed() {
        let (mut session, [first, ..]) = sharded();
        sent(&mut session, get);
        sent(&mut session, learn(&first));
        assert_eq!(sent(&mut session, answer(Answer::Redirect(NodeId(5)))), []);
        assert_eq!(sent(&mut session, answer(Answer::Redirect(NodeId(3)))), [(3, Ok(1))]);
        assert_eq!(sent(&mut session, answer(Answer::Redirect(NodeId(2)))), [], "in a circle");
    }

    #[test]
    fn retry_asks_the_next_server_and_for_a_newer_configuration() {
        let (mut session, [first, ..]) = sharded();
        sent(&mut session, get);
        assert_eq!(sent(&mut session, retry), [(0, Err(1)), (1, Err(1))]);
        sent(&mut session, learn(&first));
        assert_eq!(sent(&mut session, retry), [(3, Ok(1)), (0, Err(2)), (1, Err(2))]);
        assert_eq!(sent(&mut session, retry), [(2, Ok(1)), (0, Err(2)), (1, Err(2))]);
    }
}
