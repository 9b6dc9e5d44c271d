//! The two things that clients may ask for: keys of the store, and changes of the configuration.
//!
//! Both are asked in sessions, logged by a replica, carried out once and answered; only the words
//! differ. A [`Service`] is its words.

use std::fmt::Debug;
use std::hash::Hash;

use crate::kv::command::{Op, Output, Request};
use crate::limits::Limits;
use crate::replica::{Command, Message, Reply};
use crate::shard::controller::{Change, Order, Outcome};
use crate::shard::route::shard_of;
use crate::types::ShardId;

/// What a session asks for, and how it stands in messages and logs.
pub trait Service: Clone + Copy + Debug + Eq + Hash + Ord {
    /// What can be asked.
    type Op: Clone + Debug + Eq + Hash + Ord;
    /// What can be answered.
    type Output: Clone + Debug + Eq + Hash + Ord;

    /// Whether a request is within its limits.
    fn within_limits(op: &Self::Op, limits: &Limits) -> bool;
    /// Whether a request may change anything.
    fn writes(op: &Self::Op) -> bool;
    /// Whether a request is taken although it gives shards to groups that were not heard lately.
    fn is_forced(op: &Self::Op) -> bool;
    /// Which of so many shards a request is about.
    fn shard(op: &Self::Op, shards: u16) -> ShardId;
    /// A request as a message.
    fn ask(request: Request<Self::Op>) -> Message;
    /// A request as an entry of a log.
    fn command(request: Request<Self::Op>) -> Command;
    /// An answer as a message.
    fn tell(reply: Reply<Self::Output>) -> Message;
    /// The answer that a message is, if it is one.
    fn told(message: Message) -> Option<Reply<Self::Output>>;
}

/// The store: operations on keys.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Keys;

impl Service for Keys {
    type Op = Op;
    type Output = Output;

    fn within_limits(op: &Op, limits: &Limits) -> bool {
        op.within_limits(limits)
    }

    fn writes(op: &Op) -> bool {
        op.writes()
    }

    fn is_forced(_: &Op) -> bool {
        false
    }

    fn shard(op: &Op, shards: u16) -> ShardId {
        shard_of(op.key(), shards)
    }

    fn ask(request: Request) -> Message {
        Message::Request(request)
    }

    fn command(request: Request) -> Command {
        Command::Request(request)
    }

    fn tell(reply: Reply) -> Message {
        Message::Reply(reply)
    }

    fn told(message: Message) -> Option<Reply> {
        match message {
            Message::Reply(reply) => Some(reply),
            Message::Raft(_)
            | Message::Request(_)
            | Message::Change(_)
            | Message::Outcome(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_) => None,
        }
    }
}

/// The controller: changes of the configuration, and questions about it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Administration;

impl Service for Administration {
    type Op = Order;
    type Output = Outcome;

    fn within_limits(order: &Order, _: &Limits) -> bool {
        order.change.within_limits()
    }

    fn writes(order: &Order) -> bool {
        match order.change {
            Change::Join(_) | Change::Leave(_) | Change::Move(..) => true,
            Change::Query(_) => false,
        }
    }

    fn is_forced(order: &Order) -> bool {
        order.force
    }

    /// The controller is not sharded.
    fn shard(_: &Order, _: u16) -> ShardId {
        ShardId(0)
    }

    fn ask(request: Request<Order>) -> Message {
        Message::Change(request)
    }

    fn command(request: Request<Order>) -> Command {
        let Request { client, number, op: Order { change, force: _ } } = request;
        Command::Change(Request { client, number, op: change })
    }

    fn tell(reply: Reply<Outcome>) -> Message {
        Message::Outcome(reply)
    }

    fn told(message: Message) -> Option<Reply<Outcome>> {
        match message {
            Message::Outcome(reply) => Some(reply),
            Message::Raft(_)
            | Message::Request(_)
            | Message::Reply(_)
            | Message::Change(_)
            | Message::Migration(_)
            | Message::Transaction(_)
            | Message::Founding(_) => None,
        }
    }
}
