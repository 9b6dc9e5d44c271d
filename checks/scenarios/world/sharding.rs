//! Groups that share the store of a world, and what each has of it.

use std::sync::Arc;

use model::kv::command::Key;
use model::replica::{Machine, Replica};
use model::shard::config::Configuration;
use model::shard::controller::Controller;
use model::shard::ownership::{Ownership, Phase};
use model::shard::route::shard_of;
use model::shard::store::Shards;
use model::shard::txn::Transactions;
use model::types::{ConfigNum, GroupId, NodeId, ShardId};
use runtime::cluster::Sharding;

use super::World;

impl World {
    /// The servers of the controller.
    #[must_use]
    pub fn controller(&self) -> Vec<NodeId> {
        self.layout().controllers().iter().collect()
    }

    /// The servers of a group.
    #[must_use]
    pub fn group(&self, group: u16) -> Vec<NodeId> {
        let groups = self.layout().groups();
        groups.get(&GroupId(group)).unwrap_or_else(|| panic!("no group {group}")).iter().collect()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.layout().shards
    }

    /// A key of this shard: the `nth` of those that begin with this name.
    #[must_use]
    pub fn key(&self, name: &str, shard: u16, nth: usize) -> String {
        let keys = (0..).map(|number| format!("{name}{number}"));
        let mut keys = keys.filter(|key| self.shard_of(key) == ShardId(shard));
        keys.nth(nth).expect("numbers do not end")
    }

    /// So many keys that begin with this name: one of each shard, then another of each, and so on.
    #[must_use]
    pub fn keys(&self, name: &str, count: usize) -> Vec<String> {
        let shards = usize::from(self.shards());
        let key = |number| self.key(name, (number % shards) as u16, number / shards);
        (0..count).map(key).collect()
    }

    /// The shard of a key.
    #[must_use]
    pub fn shard_of(&self, key: &str) -> ShardId {
        shard_of(&Key::from(key), self.shards())
    }

    /// The latest configuration that any server knows of.
    #[must_use]
    pub fn latest(&self) -> Arc<Configuration> {
        let known = |server| self.look(server, |view| reached(&view.replica.machine).cloned());
        let known = self.servers().into_iter().filter_map(known);
        known.max_by_key(|config| config.num).expect("a controller")
    }

    /// What a group owns in the latest configuration.
    #[must_use]
    pub fn owned_by(&self, group: u16) -> Vec<u16> {
        self.latest().assignment.shards_of(GroupId(group)).map(|shard| shard.0).collect()
    }

    /// The configuration that a server has reached.
    #[must_use]
    pub fn reached(&self, server: NodeId) -> ConfigNum {
        self.look(server, |view| reached(&view.replica.machine).map_or(ConfigNum(0), |c| c.num))
    }

    /// What a server of a group has to do with a shard.
    #[must_use]
    pub fn phase(&self, server: NodeId, shard: u16) -> Phase {
        self.look(server, |view| {
            let shards = view.replica.machine.shards().expect("a server of a group");
            shards.ownership(ShardId(shard)).phase()
        })
    }

    /// What a server has under a key, if it serves that.
    #[must_use]
    pub fn value(&self, server: NodeId, key: &str) -> Option<String> {
        self.look(server, |view| {
            let shards = view.replica.machine.shards()?;
            let Ownership::Serving(machine) = shards.ownership(self.shard_of(key)) else {
                return None;
            };
            let (_, value) = machine.store.iter().find(|(stored, _)| **stored == Key::from(key))?;
            Some(String::from_utf8_lossy(&value.0).into_owned())
        })
    }

    /// Waits until every group that can has reached the latest configuration, serves the shards
    /// that it owns there, and holds nothing else.
    pub fn settle(&self) {
        self.eventually("every shard is where it belongs", || self.is_settled().then_some(()));
    }

    /// Whether the servers that can have nothing more to do about any configuration.
    pub(super) fn is_settled(&self) -> bool {
        if self.site.cluster.sharding.is_none() {
            return true;
        }
        let latest = self.latest();
        self.able()
            .iter()
            .all(|server| self.look(*server, |view| has_its_own(&view.replica, &latest)))
    }

    /// What a server of a group has to do with transactions.
    #[must_use]
    pub fn transactions(&self, server: NodeId) -> Transactions {
        self.look(server, |view| {
            let shards = view.replica.machine.shards().expect("a server of a group");
            shards.transactions.clone()
        })
    }

    /// Whether no server of a group holds a key for a transaction, or waits for one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.servers().into_iter().all(|server| {
            let idle = |shards: &Shards| shards.transactions.is_idle();
            self.look(server, |view| view.replica.machine.shards().is_none_or(idle))
        })
    }

    /// How many bytes the keys and values take that a server holds of a shard, in whatever phase.
    #[must_use]
    pub fn bytes_held(&self, server: NodeId, shard: u16) -> usize {
        self.look(server, |view| {
            let shards = view.replica.machine.shards();
            shards.map_or(0, |shards| bytes_of(shards.ownership(ShardId(shard))))
        })
    }

    fn layout(&self) -> &Sharding {
        self.site.cluster.sharding.as_ref().expect("a sharded world")
    }
}

/// The configuration that a server has reached, if it keeps any.
pub fn reached(machine: &Machine) -> Option<&Arc<Configuration>> {
    let of_controller = machine.controller().map(Controller::latest);
    of_controller.or_else(|| machine.shards().map(|shards| &shards.config))
}

/// The configuration that a server has reached, what it has to do with which shards, and with
/// transactions, if anything.
pub fn in_short(machine: &Machine) -> String {
    let phase = |(shard, ownership): (_, &Ownership)| format!("{shard} {:?}", ownership.phase());
    let phases = machine.shards().map(|shards| shards.iter().map(phase).collect::<Vec<_>>());
    let reached = reached(machine).map(|config| config.num.to_string());
    let busy = machine.shards().map(|shards| &shards.transactions).filter(|txns| !txns.is_idle());
    let busy = busy.map(|transactions| format!("{transactions:?}"));
    let parts = reached.into_iter().chain(phases.into_iter().flatten()).chain(busy);
    parts.collect::<Vec<_>>().join(", ")
}

/// Whether a server knows this configuration and, if it is a group's, serves exactly what that
/// gives it, each key where it belongs. One of the controller's has made all it was asked for.
fn has_its_own(replica: &Replica, latest: &Configuration) -> bool {
    let Some(shards) = replica.machine.shards() else {
        return replica.applied == replica.raft.last().index;
    };
    let owned = latest.assignment.shards_of(shards.group);
    shards.config.num == latest.num
        && shards.iter().map(|(shard, _)| shard).eq(owned)
        && shards.iter().all(|(shard, ownership)| match ownership {
            Ownership::Serving(machine) => {
                let count = latest.assignment.len() as u16;
                machine.store.iter().all(|(key, _)| shard_of(key, count) == shard)
            }
            Ownership::Absent | Ownership::Awaiting { .. } | Ownership::Leaving { .. } => false,
        })
}

fn bytes_of(ownership: &Ownership) -> usize {
    let machine = match ownership {
        Ownership::Absent => return 0,
        Ownership::Serving(machine) => machine,
        Ownership::Awaiting { arrived, .. } => arrived,
        Ownership::Leaving { content, .. } => content,
    };
    machine.store.iter().map(|(key, value)| key.len() + value.0.len()).sum()
}
