//! Events: what happens in an episode, one after the other.

use std::fmt::{self, Display, Formatter};

use model::node::Timer;
use model::replica::{Hearing, Room};
use model::types::NodeId;
use model::violation::Violation;
use serde::{Deserialize, Serialize};

use super::network::{self, Envelope};
use super::world::World;

/// One event. A list of events is a run, and stays one if some of them are left out: an event that
/// makes no sense any more does nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The message with these words arrives.
    Deliver(String),
    /// A timer of a server runs out.
    TimeOut(u16, Timer),
    /// A server crashes and starts again.
    Crash(u16),
    /// A server starts again with an empty disk.
    LoseDisk(u16),
    /// A client begins the operation with this number.
    Begin(u16, u64),
    /// A client asks again.
    Retry(u16),
    /// A client gives up.
    GiveUp(u16),
    /// An administrator begins the change with this number.
    Order(u16, u64),
    /// An administrator asks again.
    RetryOrder(u16),
    /// An administrator asks a server for its condition.
    Inspect(u16),
    /// The servers of a group are stopped for good.
    Stop(u16),
    /// The room on a server's disk changes.
    Room(u16, Room),
    /// The controller hears these servers only, or everybody.
    Hear(Option<Vec<u16>>),
}

/// An event as it is about to happen.
pub enum Step {
    /// A message arrives.
    Deliver(Envelope),
    /// Something else happens.
    Other(Event),
}

impl Step {
    /// The event, in words that find it again.
    #[must_use]
    pub fn event(&self) -> Event {
        match self {
            Self::Deliver(envelope) => Event::Deliver(network::words(envelope)),
            Self::Other(event) => event.clone(),
        }
    }
}

impl World<'_> {
    /// Takes a step.
    ///
    /// # Errors
    /// If it breaks a promise. It may also panic with one.
    pub fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Deliver(envelope) => self.deliver(envelope),
            Step::Other(event) => self.happen(&event),
        }
    }

    /// Lets an event happen, if it makes sense. A message is one that was sent before.
    ///
    /// # Errors
    /// If it breaks a promise. It may also panic with one.
    pub fn happen(&mut self, event: &Event) -> Result<(), Violation> {
        match event {
            Event::Deliver(words) => match self.network.recall(network::digest(words)) {
                Some(envelope) => return self.deliver(envelope),
                None => return Ok(()),
            },
            Event::TimeOut(server, timer) => return self.time_out((*server).into(), *timer),
            Event::Crash(server) => return self.crash((*server).into()),
            Event::LoseDisk(server) => return self.lose_disk((*server).into()),
            Event::Begin(client, number) => self.begin((*client).into(), *number),
            Event::Retry(client) => self.retry((*client).into()),
            Event::GiveUp(client) => self.give_up((*client).into()),
            Event::Order(administrator, number) => self.order((*administrator).into(), *number),
            Event::RetryOrder(administrator) => self.retry_order((*administrator).into()),
            Event::Inspect(server) => self.inspect((*server).into()),
            Event::Stop(group) => drop(self.stop((*group).into())),
            Event::Room(server, room) => self.set_room((*server).into(), *room),
            Event::Hear(None) => self.set_hearing(&Hearing::Everybody),
            Event::Hear(Some(servers)) => {
                let servers = servers.iter().copied().map(NodeId).collect();
                self.set_hearing(&Hearing::Only(servers));
            }
        }
        Ok(())
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(words) => f.write_str(words),
            Self::TimeOut(server, timer) => write!(f, "n{server}: {timer:?}"),
            Self::Crash(server) => write!(f, "n{server} crashes and starts again"),
            Self::LoseDisk(server) => write!(f, "n{server} starts again with an empty disk"),
            Self::Begin(client, number) => write!(f, "client {client} begins r{number}"),
            Self::Retry(client) => write!(f, "client {client} asks again"),
            Self::GiveUp(client) => write!(f, "client {client} gives up"),
            Self::Order(who, number) => write!(f, "administrator {who} begins r{number}"),
            Self::RetryOrder(who) => write!(f, "administrator {who} asks again"),
            Self::Inspect(server) => write!(f, "administrator 0 inspects n{server}"),
            Self::Stop(group) => write!(f, "g{group} is stopped for good"),
            Self::Room(server, room) => write!(f, "the room of n{server} is {room:?}"),
            Self::Hear(None) => f.write_str("the controller hears everybody"),
            Self::Hear(Some(servers)) => write!(f, "the controller hears {servers:?} only"),
        }
    }
}
