//! The people of an episode: clients, which carry out the load, and administrators.

use model::client::{self, Outcome, Session};
use model::effects::Effect;
use model::message::Message;
use model::service::Service;
use model::shard::controller::{Change, Order};
use model::shard::migration;
use model::types::{Address, ClientId, GroupId, NodeId, RequestId};
use model::violation::Violation;
use stateright::actor::Id;

use super::coverage::Kind;
use super::load::{self, Load};
use super::world::{Administrator, Client, World, of, session_of};

impl World<'_> {
    /// A client begins an operation of the load. If it waits for another one, it gives that up.
    pub fn begin(&mut self, client: usize, number: u64) {
        let op = Load::operation(self.plan, client as u16, number);
        let mut fx = client::Effects::<()>::default();
        let Some(Client { session, begun }) = self.clients.get_mut(client) else { return };
        skip_to(session, begun, number, &op);
        *begun = number;
        session.invoke(op.clone(), &mut fx);
        self.referee.on_call(client, RequestId(number), op);
        let from = self.clients[client].session.id();
        self.send_all(from, fx);
    }

    /// The retry timer of a client runs out.
    pub fn retry(&mut self, client: usize) {
        let Some(Client { session, .. }) = self.clients.get_mut(client) else { return };
        if session.pending().is_some() {
            self.coverage.count(Kind::TimerRetry);
            let mut fx = client::Effects::<()>::default();
            session.on_timeout(client::Timer::Retry, &mut fx);
            let from = session.id();
            self.send_all(from, fx);
        }
    }

    /// A client gives up its operation.
    pub fn give_up(&mut self, client: usize) {
        let Some(Client { session, .. }) = self.clients.get_mut(client) else { return };
        let number = session.pending().map(|(number, _)| number);
        if let (Some(number), Some(_)) =
            (number, session.give_up(&mut client::Effects::<()>::default()))
        {
            self.referee.on_given_up(client, number);
            self.coverage.count(Kind::FaultGivenUp);
            self.ended += 1;
        }
    }

    /// Whether the controller has no configuration with groups yet.
    #[must_use]
    pub fn is_without_groups(&self) -> bool {
        let controller = self.referee.reference(0).controller();
        controller.is_some_and(|controller| controller.latest().groups.is_empty())
    }

    /// An administrator begins a change of the load. If there are no groups yet, it is the first
    /// join.
    pub fn order(&mut self, administrator: usize, number: u64) {
        let order = if self.is_without_groups() {
            load::first_join(self.plan)
        } else {
            self.possible(load::change(self.plan, administrator as u16, number))
        };
        let Some(who) = self.administrators.get_mut(administrator) else { return };
        self.given_up.extend(who.session.pending().map(|(_, order)| order.clone()));
        let mut fx = client::Effects::<()>::default();
        skip_to(&mut who.session, &mut who.begun, number, &order);
        who.begun = number;
        who.session.invoke(order, &mut fx);
        let from = who.session.id();
        self.send_all(from, fx);
    }

    /// The order, or a question instead of one that gives shards to a group that is stopped.
    fn possible(&self, order: Order) -> Order {
        let is_stopped = |group: &GroupId| {
            self.servers.iter().any(|s| s.group == usize::from(group.0) && s.stopped)
        };
        let asks_much = match &order.change {
            Change::Join(groups) => groups.keys().any(is_stopped),
            Change::Leave(_) | Change::Move(..) | Change::Query(_) => false,
        };
        if asks_much { Order::from(Change::Query(None)) } else { order }
    }

    /// The retry timer of an administrator runs out.
    pub fn retry_order(&mut self, administrator: usize) {
        let Some(who) = self.administrators.get_mut(administrator) else { return };
        if who.session.pending().is_some() {
            let mut fx = client::Effects::<()>::default();
            who.session.on_timeout(client::Timer::Retry, &mut fx);
            let from = who.session.id();
            self.send_all(from, fx);
        }
    }

    /// An administrator asks a server for its condition.
    pub fn inspect(&mut self, server: usize) {
        let Some(who) = self.administrators.first() else { return };
        let from = who.session.id();
        let message = Message::Migration(migration::Message::Inspect);
        self.network.send(Id::from(from.0 as usize), Id::from(server), message, &mut self.coverage);
    }

    fn send_all(&mut self, from: ClientId, fx: client::Effects<()>) {
        for effect in fx {
            match effect {
                Effect::Send(Address::Server(to), message) => {
                    let from = Id::from(from.process().0 as usize);
                    self.network.send(from, of(to), message, &mut self.coverage);
                }
                // The driver decides when a client asks again; clients save nothing.
                Effect::Send(Address::Client(_), _)
                | Effect::Arm(_)
                | Effect::Cancel(_)
                | Effect::Persist(()) => {}
            }
        }
    }

    /// A message arrives at the process of a session.
    pub(super) fn tell_client(
        &mut self,
        to: u64,
        from: NodeId,
        message: Message,
    ) -> Result<(), Violation> {
        match message {
            Message::Migration(migration::Message::Configuration(config)) => {
                for client in 0..self.clients.len() {
                    let session = &mut self.clients[client].session;
                    let id = session.id();
                    if id.process().0 == to {
                        let mut fx = client::Effects::<()>::default();
                        session.on_configuration(from, &config, &mut fx);
                        self.send_all(id, fx);
                    }
                }
                Ok(())
            }
            Message::Reply(reply) => {
                let Some(place) = session_of(self.plan, reply.client) else { return Ok(()) };
                let Client { session, .. } = &mut self.clients[place];
                let (id, number) = (session.id(), reply.number);
                let mut fx = client::Effects::<()>::default();
                let outcome = session.on_reply(reply, &mut fx);
                self.send_all(id, fx);
                match outcome {
                    None => return Ok(()),
                    Some(Outcome::Done(output)) => self.referee.on_done(place, number, &output)?,
                    Some(Outcome::NotDone(_)) => self.referee.on_not_done(place, number)?,
                    Some(Outcome::Unknown) => self.referee.on_given_up(place, number),
                }
                self.ended += 1;
                Ok(())
            }
            Message::Outcome(reply) => {
                let mut fx = client::Effects::<()>::default();
                let of_reply = |who: &&mut Administrator| who.session.id() == reply.client;
                if let Some(who) = self.administrators.iter_mut().find(of_reply) {
                    let id = who.session.id();
                    who.session.on_reply(reply, &mut fx);
                    self.send_all(id, fx);
                }
                Ok(())
            }
            Message::Raft(_)
            | Message::Request(_)
            | Message::Change(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_) => Ok(()),
        }
    }
}

/// Brings a session to the operation before the one with this number: others are left out.
fn skip_to<S: Service>(session: &mut Session<S>, begun: &mut u64, number: u64, op: &S::Op) {
    let fx = &mut client::Effects::<()>::default();
    session.give_up(fx);
    while *begun + 1 < number {
        session.invoke(op.clone(), fx);
        session.give_up(fx);
        *begun += 1;
    }
}
