//! A group's state machine: the shards it has to do with, each with its own store and sessions.
//!
//! It goes through the configurations one after the other, by entries of its log, so all replicas
//! of the group agree at every entry on who owns what. Whether a request is for this group is
//! decided when it is applied: between its receipt and its turn a shard may have gone.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use im::OrdMap;

use super::Group;
use super::config::{Configuration, Servers};
use super::content::{Part, Place};
use super::migration::Said;
use super::ownership::{Hold, Later, Ownership, Phase};
use super::route::shard_of;
use super::txn::{Contents, Transactions};
use crate::kv::Machine;
use crate::kv::command::{Key, Op, Request, Value};
use crate::kv::session::Seen;
use crate::limits::Limits;
use crate::machine::Applied;
use crate::replica::{Answer, Standing};
use crate::types::{ConfigNum, GroupId, ShardId};

/// The shards of one group.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Shards {
    /// The group.
    pub group: GroupId,
    /// What the results of operations are bounded by.
    pub limits: Limits,
    /// The configuration that it has reached.
    pub config: Arc<Configuration>,
    /// The one that it has decided to take next, and takes as soon as nobody holds a key of a shard
    /// that leaves with it.
    pub(super) next: Option<Arc<Configuration>>,
    /// What it has to do with transactions.
    pub transactions: Transactions,
    /// The shards that are not absent.
    shards: OrdMap<ShardId, Ownership>,
    /// The last move by which each shard has come here whole, by its configuration.
    received: OrdMap<ShardId, ConfigNum>,
}

impl Shards {
    /// A group that has not heard of any configuration, in a cluster of so many shards.
    #[must_use]
    pub fn new(group: GroupId, shards: u16, limits: Limits) -> Self {
        Self {
            group,
            limits,
            config: Arc::new(Configuration::initial(shards)),
            next: None,
            transactions: Transactions::default(),
            shards: OrdMap::new(),
            received: OrdMap::new(),
        }
    }

    /// What the group has to do with a shard.
    #[must_use]
    pub fn ownership(&self, shard: ShardId) -> &Ownership {
        self.shards.get(&shard).unwrap_or(&Ownership::Absent)
    }

    /// The shards that are not absent, in order.
    pub fn iter(&self) -> impl Iterator<Item = (ShardId, &Ownership)> {
        self.shards.iter().map(|(shard, ownership)| (*shard, ownership))
    }

    /// The configuration that it has decided to take, and cannot yet.
    #[must_use]
    pub fn coming(&self) -> Option<&Arc<Configuration>> {
        self.next.as_ref()
    }

    /// Whether a shard has come here whole by the move of this configuration, or by a later one.
    #[must_use]
    pub fn has_received(&self, shard: ShardId, since: ConfigNum) -> bool {
        self.received.get(&shard).is_some_and(|received| *received >= since)
    }

    /// Whether the group can take this configuration now. It waits for no shard: one that is on its
    /// way, to it or from it, goes where the later configurations say.
    #[must_use]
    pub fn is_ready_for(&self, next: &Configuration) -> bool {
        next.num == self.config.num.next()
            && self.next.is_none()
            && next.assignment.len() == self.config.assignment.len()
    }

    /// How a request stands before it is logged.
    #[must_use]
    pub fn standing<'a>(&'a self, request: &Request) -> Standing<'a> {
        match self.ownership(self.shard_of(request.op.key())) {
            Ownership::Serving(machine) => match machine.seen(request.client, request.number) {
                Seen::Not if self.transactions.has_in_hand(request.client, request.number) => {
                    Standing::InHand
                }
                seen => seen.into(),
            },
            Ownership::Awaiting { .. } => Standing::NotYet,
            Ownership::Absent | Ownership::Leaving { .. } => Standing::Elsewhere(self.config.num),
        }
    }

    /// Applies a committed request; `None` if it is not its turn yet, or the client has moved on.
    pub fn apply(&mut self, request: &Request, out: &mut Applied) -> Option<Answer> {
        let shard = self.shard_of(request.op.key());
        let is_locked = self.is_locked(&request.op);
        let Some(machine) = self.serving_mut(shard) else {
            return Some(Answer::Elsewhere(self.config.num));
        };
        let is_new = machine.seen(request.client, request.number) == Seen::Not;
        match &request.op {
            Op::Transaction(transaction) if is_new => self.enlist(request, transaction, out),
            _ if is_new && is_locked => self.stall(request),
            _ => return machine.apply(request).map(Answer::Done),
        }
        None
    }

    /// What can be done once an entry is applied: those who wait have their turn, and then, if
    /// nobody holds what leaves with it, the next configuration comes.
    pub fn proceed(&mut self, group: &Group, out: &mut Applied) {
        if !self.transactions.has_due() {
            return;
        }
        self.take_turns(out);
        if let Some(next) = self.next.clone()
            && !self.must_wait_with(&next)
        {
            self.next = None;
            self.configure(group, &next, &mut out.said);
            self.drop_fences();
            self.refuse_attempts(next.num, out);
            self.ask_for_what_comes(group, &[], &mut out.said);
            self.take_turns(out);
        }
    }

    /// What is under a key of a shard that the group serves.
    pub(super) fn value(&self, key: &Key) -> Option<Value> {
        match self.ownership(self.shard_of(key)) {
            Ownership::Serving(machine) => machine.store.get(key).cloned(),
            Ownership::Absent | Ownership::Awaiting { .. } | Ownership::Leaving { .. } => None,
        }
    }

    /// Sets and removes keys of shards that the group serves.
    pub(super) fn write(&mut self, contents: &Contents) {
        for (key, value) in contents {
            let shard = self.shard_of(key);
            let machine = self.serving_mut(shard).expect("a shard with locked keys does not leave");
            machine.store.write([(key.clone(), value.clone())]);
        }
    }

    /// What a shard holds, if the group serves it.
    pub(super) fn serving_mut(&mut self, shard: ShardId) -> Option<&mut Machine> {
        match self.shards.get_mut(&shard)? {
            Ownership::Serving(machine) => Some(machine),
            Ownership::Awaiting { .. } | Ownership::Leaving { .. } | Ownership::Absent => None,
        }
    }

    /// Takes the next configuration. A shard that was to go to another group than it says now is
    /// offered: the new owner would ask that group.
    pub(super) fn configure(&mut self, group: &Group, next: &Arc<Configuration>, said: &mut Said) {
        self.transactions.on_other_shards();
        let before = std::mem::replace(&mut self.config, Arc::clone(next));
        for (shard, owner) in next.assignment.iter() {
            if before.assignment.owner(shard) == owner {
                continue;
            }
            let was = self.ownership(shard).clone();
            let was_leaving = was.phase() == Phase::Leaving;
            if let Some(is) = self.reassigned(shard, was, &before) {
                self.set(shard, is);
                if was_leaving {
                    self.offer(group, shard, said);
                }
            }
        }
    }

    /// Ownership of a shard after the configuration has changed its owner, if the ownership
    /// changes.
    fn reassigned(
        &self,
        shard: ShardId,
        was: Ownership,
        before: &Configuration,
    ) -> Option<Ownership> {
        let since = self.config.num;
        let owns = self.config.assignment.owner(shard) == Some(self.group);
        let former = before.assignment.owner(shard);
        match was {
            Ownership::Absent if owns => Some(match former {
                None => Ownership::Serving(Machine::within(self.limits)),
                Some(former) => self.awaited(servers(before, former), since),
            }),
            Ownership::Absent => None,
            // The group that has the shard sends it to the next owner.
            Ownership::Awaiting { .. } => Some(Ownership::Absent),
            Ownership::Serving(content) | Ownership::Leaving { content, hold: Hold::Kept, .. } => {
                Some(self.directed(shard, since, content))
            }
            Ownership::Leaving { to, servers: theirs, since: left, content, hold: _ } => {
                let servers = former.map(|former| servers(before, former));
                let later = servers.map(|servers| Later { since, servers });
                let hold = Hold::Released(later);
                Some(Ownership::Leaving { to, servers: theirs, since: left, content, hold })
            }
        }
    }

    /// A shard of which nothing has arrived.
    fn awaited(&self, servers: Servers, since: ConfigNum) -> Ownership {
        let arrived = Machine::within(self.limits);
        Ownership::Awaiting { servers, since, arrived, place: Place::START }
    }

    /// A shard that is here, when the configuration gives it to another group since `since`, or to
    /// this one.
    fn directed(&self, shard: ShardId, since: ConfigNum, content: Machine) -> Ownership {
        match self.config.assignment.owner(shard) {
            Some(to) if to != self.group => {
                let servers = servers(&self.config, to);
                Ownership::Leaving { to, servers, since, content, hold: Hold::Kept }
            }
            Some(_) | None => Ownership::Serving(content),
        }
    }

    /// Adds a part to a shard that is awaited; with the last it is served. Gives the servers that
    /// it came from, if it fits.
    pub(super) fn install(
        &mut self,
        shard: ShardId,
        config: ConfigNum,
        part: &Part,
    ) -> Option<Servers> {
        let Ownership::Awaiting { servers, since, arrived, place } = self.ownership(shard) else {
            return None;
        };
        if *since != config || *place != part.from {
            return None;
        }
        let (servers, since) = (servers.clone(), *since);
        let mut arrived = arrived.clone();
        part.install(&mut arrived);
        let ownership = if part.to == Place::End {
            self.received.insert(shard, since);
            Ownership::Serving(arrived)
        } else {
            let (servers, place) = (servers.clone(), part.to.clone());
            Ownership::Awaiting { servers, since, arrived, place }
        };
        self.set(shard, ownership);
        Some(servers)
    }

    /// Asks other servers than before for a shard that is awaited. Returns whether it is.
    pub(super) fn turn_to(&mut self, shard: ShardId, config: ConfigNum, to: &Servers) -> bool {
        match self.ownership(shard).clone() {
            Ownership::Awaiting { since, arrived, place, .. } if since == config => {
                let servers = to.clone();
                self.set(shard, Ownership::Awaiting { servers, since, arrived, place });
                true
            }
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => false,
        }
    }

    /// Allows the new owner to have the last part of a shard. Returns the servers of the new owner
    /// and the content, if it was not allowed before.
    pub(super) fn release(
        &mut self,
        shard: ShardId,
        config: ConfigNum,
    ) -> Option<(&Servers, &Machine)> {
        match self.shards.get_mut(&shard)? {
            Ownership::Leaving { servers, since, content, hold, .. }
                if *since == config && *hold == Hold::Kept =>
            {
                *hold = Hold::Released(None);
                Some((servers, content))
            }
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => None,
        }
    }

    /// Lets go of a shard that its new owner has. If a later configuration has given it back, it is
    /// awaited.
    pub(super) fn discard(&mut self, shard: ShardId, config: ConfigNum) {
        if let Ownership::Leaving { since, hold: Hold::Released(later), .. } = self.ownership(shard)
            && *since == config
        {
            let owns = self.config.assignment.owner(shard) == Some(self.group);
            let next = match later.clone() {
                Some(Later { since, servers }) if owns => self.awaited(servers, since),
                Some(_) | None => Ownership::Absent,
            };
            self.set(shard, next);
        }
    }

    /// Directs a shard that the other group has declined to its owner by a later configuration.
    /// Returns whether there is such a shard.
    pub(super) fn redirect(&mut self, shard: ShardId, config: ConfigNum) -> bool {
        match self.ownership(shard).clone() {
            Ownership::Leaving { since, content, hold: Hold::Released(Some(later)), .. }
                if since == config =>
            {
                self.set(shard, self.directed(shard, later.since, content));
                true
            }
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => false,
        }
    }

    fn set(&mut self, shard: ShardId, next: Ownership) {
        let now = self.ownership(shard);
        assert!(now.may_become(&next), "{shard} was {now:?}, now {next:?}");
        if now.phase() != next.phase() {
            self.transactions.on_other_shards();
        }
        match next {
            Ownership::Absent => drop(self.shards.remove(&shard)),
            Ownership::Serving(_) | Ownership::Awaiting { .. } | Ownership::Leaving { .. } => {
                self.shards.insert(shard, next);
            }
        }
    }

    pub(super) fn shard_of(&self, key: &Key) -> ShardId {
        shard_of(key, self.config.assignment.len() as u16)
    }
}

/// The servers of a group that owns something in a configuration.
fn servers(config: &Configuration, group: GroupId) -> Servers {
    config.groups.get(&group).cloned().unwrap_or_else(|| Servers::from_iter([]))
}

impl Debug for Shards {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?} {:?}", self.group, self.config, self.shards)?;
        if let Some(next) = &self.next {
            write!(f, " next {next:?}")?;
        }
        if self.transactions != Transactions::default() {
            write!(f, " {:?}", self.transactions)?;
        }
        Ok(())
    }
}
