//! The controller: a replicated state machine that hands out numbered configurations.
//!
//! It keeps all of them: a group takes them one after the other, however late. A change is asked
//! for in a session like any other request, so one that is repeated makes one configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use im::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use super::config::{Configuration, Refusal, Servers};
use super::migration::{Message, Said};
use crate::kv::command::Request;
use crate::kv::session::{Seen, Sessions};
use crate::replica;
use crate::types::{ConfigNum, GroupId, NodeId, ShardId};

/// Most groups, and most servers in all, that one change may name.
pub const MAX_NAMED: usize = 4_096;

/// What may be asked of the controller.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Change {
    /// Groups come, and take their share of the shards.
    Join(BTreeMap<GroupId, Servers>),
    /// Groups go, and leave their shards to the others.
    Leave(BTreeSet<GroupId>),
    /// One shard goes to a group.
    Move(ShardId, GroupId),
    /// No change: the configuration with this number, or the latest if there is none such.
    Query(Option<ConfigNum>),
}

/// A change as an administrator orders it. Only the change is logged: by then it is admitted.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Order {
    /// The change.
    pub change: Change,
    /// Whether the change is admitted although it gives shards to groups that were not heard
    /// lately.
    pub force: bool,
}

/// What the controller answers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Outcome {
    /// The change has made the configuration with this number.
    Changed(ConfigNum),
    /// It has made none.
    Refused(Refusal),
    /// The configuration that was asked for.
    Configuration(Arc<Configuration>),
}

/// The state machine.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Controller {
    /// Every configuration, by its number.
    configurations: Vector<Arc<Configuration>>,
    /// Every group that there has ever been.
    known: OrdMap<GroupId, Servers>,
    /// What administrators were told last.
    pub sessions: Sessions<Outcome>,
}

impl Change {
    /// Whether the change is small enough for a message.
    #[must_use]
    pub fn within_limits(&self) -> bool {
        match self {
            Self::Join(groups) => {
                groups.len() + groups.values().map(Servers::len).sum::<usize>() <= MAX_NAMED
            }
            Self::Leave(groups) => groups.len() <= MAX_NAMED,
            Self::Move(..) | Self::Query(_) => true,
        }
    }
}

impl Controller {
    /// A controller of so many shards, with configuration 0.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        let initial = Configuration::initial(shards);
        Self {
            configurations: Vector::unit(Arc::new(initial)),
            known: OrdMap::new(),
            sessions: Sessions::default(),
        }
    }

    /// The configuration with this number, if there is one yet.
    #[must_use]
    pub fn configuration(&self, num: ConfigNum) -> Option<&Arc<Configuration>> {
        self.configurations.get(usize::try_from(num.0).ok()?)
    }

    /// The latest configuration.
    #[must_use]
    pub fn latest(&self) -> &Arc<Configuration> {
        match self.configurations.last() {
            Some(latest) => latest,
            None => unreachable!("configuration 0 is always there"),
        }
    }

    /// Applies a committed request and gives its result; `None` if the client has moved on. As for
    /// the store, a request that was applied before has its first result and changes nothing.
    pub fn apply(&mut self, request: &Request<Change>) -> Option<Outcome> {
        match self.sessions.seen(request.client, request.number) {
            Seen::Not => {
                let outcome = self.carry_out(&request.op);
                self.sessions.record(request.client, request.number, outcome.clone());
                Some(outcome)
            }
            Seen::Last(outcome) => Some(outcome.clone()),
            Seen::Older => None,
        }
    }

    /// What the controller's leader has to say when a configuration is made: it tells those who are
    /// in it, or were. They ask for what they have missed.
    #[must_use]
    pub fn announce(&self, made: ConfigNum) -> Said {
        let Some(config) = self.configuration(made) else { return Said::new() };
        let before = ConfigNum(made.0.saturating_sub(1));
        let configs = [Some(config), self.configuration(before)].into_iter().flatten();
        let servers = configs.flat_map(|config| config.groups.values()).flat_map(Servers::iter);
        let told: BTreeSet<NodeId> = servers.collect();
        let message = || replica::Message::Migration(Message::Configuration(Arc::clone(config)));
        told.into_iter().map(|to| (to, message())).collect()
    }

    /// Returns the groups that would own a shard by this request that they do not own now, with
    /// their servers: none if the request is refused, or was carried out before.
    #[must_use]
    pub fn gaining(&self, request: &Request<Change>) -> BTreeMap<GroupId, Servers> {
        let mut ahead = self.clone();
        ahead.apply(request);
        let (before, after) = (self.latest(), ahead.latest());
        let owners = before.assignment.iter().zip(after.assignment.iter());
        let gained = owners.filter(|(before, after)| before != after);
        let gaining: BTreeSet<GroupId> = gained.filter_map(|(_, (_, owner))| owner).collect();
        let groups = after.groups.iter().filter(|(group, _)| gaining.contains(group));
        groups.map(|(group, servers)| (*group, servers.clone())).collect()
    }

    fn carry_out(&mut self, change: &Change) -> Outcome {
        let next = match change {
            Change::Join(groups) => self.join(groups),
            Change::Leave(groups) => self.leave(groups),
            Change::Move(shard, group) => self.latest().move_shard(*shard, *group),
            Change::Query(num) => {
                let asked = num.and_then(|num| self.configuration(num));
                return Outcome::Configuration(asked.unwrap_or(self.latest()).clone());
            }
        };
        match next {
            Ok(configuration) => {
                let num = configuration.num;
                self.configurations.push_back(Arc::new(configuration));
                Outcome::Changed(num)
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// A group that has left may come back, but only as the servers that it was: they know which of
    /// its shards they have handed over, and others would begin with none. For the same reason a
    /// server stays with its group for ever.
    fn join(&mut self, groups: &BTreeMap<GroupId, Servers>) -> Result<Configuration, Refusal> {
        let next = self.latest().join(groups)?;
        for (group, servers) in groups {
            if self.known.get(group).is_some_and(|before| before != servers) {
                return Err(Refusal::OtherServers(*group));
            }
            let elsewhere = self.known.iter().filter(|(other, _)| *other != group);
            let mut taken = elsewhere.flat_map(|(_, before)| before.iter());
            if let Some(server) = taken.find(|server| servers.contains(*server)) {
                return Err(Refusal::ServerTaken(server));
            }
        }
        self.known.extend(groups.iter().map(|(group, servers)| (*group, servers.clone())));
        Ok(next)
    }

    /// The last groups cannot leave: nobody would be there to take what their shards hold.
    fn leave(&self, groups: &BTreeSet<GroupId>) -> Result<Configuration, Refusal> {
        let next = self.latest().leave(groups)?;
        if next.groups.is_empty() { Err(Refusal::LastGroup) } else { Ok(next) }
    }
}

impl Debug for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(groups) => write!(f, "join {groups:?}"),
            Self::Leave(groups) => write!(f, "leave {groups:?}"),
            Self::Move(shard, group) => write!(f, "move {shard} to {group}"),
            Self::Query(Some(num)) => write!(f, "query {num}"),
            Self::Query(None) => f.write_str("query"),
        }
    }
}

impl From<Change> for Order {
    fn from(change: Change) -> Self {
        Self { change, force: false }
    }
}

impl Debug for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { change, force } = self;
        write!(f, "{change:?}{}", if *force { " by force" } else { "" })
    }
}

impl Debug for Controller {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.latest(), self.sessions)
    }
}
