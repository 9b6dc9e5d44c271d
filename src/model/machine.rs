//! The state machines that replicas keep: a store, a group's shards, or the controller.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kv;
use crate::kv::command::{Output, Request};
use crate::kv::session::Seen;
use crate::limits::Limits;
use crate::raft::{self, Purpose};
use crate::replica::{Answer, Message, Reply};
use crate::service::{Administration, Keys, Service};
use crate::shard::Group;
use crate::shard::content::Place;
use crate::shard::controller::{Change, Controller, Outcome};
use crate::shard::migration::{Entry, Said};
use crate::shard::store::Shards;
use crate::shard::txn;
use crate::types::{ClientId, ConfigNum, GroupId, RequestId};

/// What a replica keeps.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// The whole store, by itself.
    Store,
    /// Some of the shards of a store that several groups share.
    Group(Group),
    /// Who has which of so many shards.
    Controller {
        /// How many there are.
        shards: u16,
    },
}

/// What stands in a log.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Command {
    /// A client's request.
    Request(Request),
    /// An administrator's.
    Change(Request<Change>),
    /// What a group has decided about its shards.
    Migration(Entry),
    /// What it has heard about transactions.
    Transaction(Arc<txn::Entry>),
}

/// The state machine.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Machine {
    /// The whole store.
    Store(kv::Machine),
    /// A group's shards.
    Group(Shards),
    /// The controller.
    Controller(Controller),
}

/// How a request stands before it is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing<'a, T = Output> {
    /// It has not been applied.
    New,
    /// It has been, with this result.
    Done(&'a T),
    /// A later request of the client has been.
    Older,
    /// The group does not own the shard in this configuration, its latest.
    Elsewhere(ConfigNum),
    /// The group owns the shard and has not got all of it yet.
    NotYet,
    /// It waits for its turn, or is being carried out.
    InHand,
    /// This is not what the replica keeps.
    NotHere,
}

/// What applying a command gives.
#[derive(Default)]
pub struct Applied {
    /// What to tell whoever asked.
    pub reply: Option<Message>,
    /// What to tell those who asked before, and have had to wait.
    pub others: Vec<Reply>,
    /// What a leader has to say to other servers.
    pub said: Said,
    /// Number of steps, keys and bytes of transactions that were looked at: the measure of the time
    /// that it took to apply the command.
    pub work: usize,
}

impl Applied {
    /// Answers a request that has had to wait.
    pub fn answer(&mut self, client: ClientId, number: RequestId, answer: Answer) {
        self.others.push(Reply { client, number, answer });
    }
}

impl Kind {
    /// The purpose of a group whose servers keep this.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Store => Purpose::Store,
            Self::Controller { shards } => Purpose::Controller { shards: *shards },
            Self::Group(group) => Purpose::Shards {
                group: group.id,
                shards: group.shards,
                controllers: group.controllers.iter().collect(),
            },
        }
    }
}

impl Machine {
    /// The state machine before its first command.
    #[must_use]
    pub fn new(kind: &Kind, limits: Limits) -> Self {
        match kind {
            Kind::Store => Self::Store(kv::Machine::within(limits)),
            Kind::Group(group) => Self::Group(Shards::new(group.id, group.shards, limits)),
            Kind::Controller { shards } => Self::Controller(Controller::new(*shards)),
        }
    }

    /// How a request stands.
    #[must_use]
    pub fn standing<'a>(&'a self, request: &Request) -> Standing<'a> {
        match self {
            Self::Store(machine) => machine.seen(request.client, request.number).into(),
            Self::Group(shards) => shards.standing(request),
            Self::Controller(_) => Standing::NotHere,
        }
    }

    /// State of a request for a change: the order that comes in, or the change that is logged.
    #[must_use]
    pub fn standing_of_change<'a, T>(&'a self, request: &Request<T>) -> Standing<'a, Outcome> {
        match self {
            Self::Controller(controller) => {
                controller.sessions.seen(request.client, request.number).into()
            }
            Self::Store(_) | Self::Group(_) => Standing::NotHere,
        }
    }

    /// Applies a committed command. One that is not for this kind of machine does nothing; no
    /// replica logs such.
    pub fn apply(&mut self, kind: &Kind, command: &Command) -> Applied {
        match (self, command) {
            (Self::Store(machine), Command::Request(request)) => {
                tell::<Keys>(request, machine.apply(request).map(Answer::Done))
            }
            (Self::Group(shards), Command::Request(request)) => {
                let mut applied = Applied::default();
                let answer = shards.apply(request, &mut applied);
                applied.reply = tell::<Keys>(request, answer).reply;
                if let Kind::Group(group) = kind {
                    shards.proceed(group, &mut applied);
                }
                applied
            }
            (Self::Group(shards), Command::Migration(entry)) => {
                let mut applied = Applied::default();
                if let Kind::Group(group) = kind {
                    shards.apply_entry(group, entry, &mut applied);
                    shards.proceed(group, &mut applied);
                }
                applied
            }
            (Self::Group(shards), Command::Transaction(entry)) => {
                let mut applied = Applied::default();
                if let Kind::Group(group) = kind {
                    shards.apply_transaction(entry, &mut applied);
                    shards.proceed(group, &mut applied);
                }
                applied
            }
            (Self::Controller(controller), Command::Change(request)) => {
                let outcome = controller.apply(request);
                let said = match &outcome {
                    Some(Outcome::Changed(made)) => controller.announce(*made),
                    Some(Outcome::Refused(_) | Outcome::Configuration(_)) | None => Said::new(),
                };
                Applied { said, ..tell::<Administration>(request, outcome.map(Answer::Done)) }
            }
            (
                Self::Store(_) | Self::Group(_) | Self::Controller(_),
                Command::Request(_)
                | Command::Change(_)
                | Command::Migration(_)
                | Command::Transaction(_),
            ) => Applied::default(),
        }
    }

    /// What the results of operations are bounded by. The controller carries out none.
    #[must_use]
    pub fn limits(&self) -> Limits {
        match self {
            Self::Store(machine) => machine.limits,
            Self::Group(shards) => shards.limits,
            Self::Controller(_) => Limits::DEFAULT,
        }
    }

    /// The group whose shards they are. The controller and a store by itself are of no group.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.shards().map(|shards| shards.group)
    }

    /// The store, if that is what the replica keeps.
    #[must_use]
    pub fn store(&self) -> Option<&kv::Machine> {
        match self {
            Self::Store(machine) => Some(machine),
            Self::Group(_) | Self::Controller(_) => None,
        }
    }

    /// The shards, if that is what the replica keeps.
    #[must_use]
    pub fn shards(&self) -> Option<&Shards> {
        match self {
            Self::Group(shards) => Some(shards),
            Self::Store(_) | Self::Controller(_) => None,
        }
    }

    /// The controller, if that is what the replica keeps.
    #[must_use]
    pub fn controller(&self) -> Option<&Controller> {
        match self {
            Self::Controller(controller) => Some(controller),
            Self::Store(_) | Self::Group(_) => None,
        }
    }
}

impl<'a, T> From<Seen<'a, T>> for Standing<'a, T> {
    fn from(seen: Seen<'a, T>) -> Self {
        match seen {
            Seen::Not => Self::New,
            Seen::Last(output) => Self::Done(output),
            Seen::Older => Self::Older,
        }
    }
}

fn tell<S: Service>(request: &Request<impl Sized>, answer: Option<Answer<S::Output>>) -> Applied {
    let (client, number) = (request.client, request.number);
    let reply = answer.map(|answer| S::tell(Reply { client, number, answer }));
    Applied { reply, ..Applied::default() }
}

impl Command {
    /// The session that asked for it and the number there, if one did.
    #[must_use]
    pub fn asked_by(&self) -> Option<(ClientId, RequestId)> {
        match self {
            Self::Request(request) => Some((request.client, request.number)),
            Self::Change(request) => Some((request.client, request.number)),
            Self::Migration(_) | Self::Transaction(_) => None,
        }
    }

    /// Whether it is the last part of a shard.
    #[must_use]
    pub fn completes_shard(&self) -> bool {
        match self {
            Self::Migration(Entry::Install { part, .. }) => part.to == Place::End,
            Self::Migration(
                Entry::Configure(_)
                | Entry::TurnTo { .. }
                | Entry::Release { .. }
                | Entry::Decline { .. }
                | Entry::Discard { .. },
            )
            | Self::Request(_)
            | Self::Change(_)
            | Self::Transaction(_) => false,
        }
    }
}

impl raft::Command for Command {}

impl Debug for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => request.fmt(f),
            Self::Change(request) => request.fmt(f),
            Self::Migration(entry) => entry.fmt(f),
            Self::Transaction(entry) => entry.fmt(f),
        }
    }
}

impl Debug for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(machine) => machine.fmt(f),
            Self::Group(shards) => shards.fmt(f),
            Self::Controller(controller) => controller.fmt(f),
        }
    }
}
