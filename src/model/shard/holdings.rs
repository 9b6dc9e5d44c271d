//! Figures about a server and its group's shards, for the people who look after a cluster: among
//! them whether a group is needed any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::config::Configuration;
use super::ownership::{Ownership, Phase};
use super::store::Shards;
use crate::health::Health;
use crate::kv::Machine;
use crate::types::{ConfigNum, GroupId, ShardId};

/// The condition of a server, and what it knows of its group's shards. Others may know more, or
/// less.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Holdings {
    /// The condition of the server.
    pub server: Health,
    /// The configuration that the group has reached.
    pub config: ConfigNum,
    /// Whether the server leads the group.
    pub leads: bool,
    /// The shards that are not absent, in order.
    pub shards: Vec<Holding>,
    /// Number of transactions that the group coordinates or takes part in.
    pub transactions: u64,
    /// Other groups without which the group can not end its transactions or let go of its shards.
    pub needs: BTreeSet<GroupId>,
}

/// What a group has of one shard.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Holding {
    /// The shard.
    pub shard: ShardId,
    /// What the group has to do with it.
    pub phase: Phase,
    /// How many keys the group has of it.
    pub keys: u64,
    /// How many bytes these take with their values.
    pub bytes: u64,
}

impl Holdings {
    /// The answer of a server that keeps no shards.
    #[must_use]
    pub fn none(server: Health, leads: bool) -> Self {
        Self {
            server,
            config: ConfigNum::default(),
            leads,
            shards: Vec::new(),
            transactions: 0,
            needs: BTreeSet::new(),
        }
    }

    /// The answer of a server whose group keeps shards.
    #[must_use]
    pub fn of(server: Health, shards: &Shards, leads: bool) -> Self {
        let holding = |(shard, ownership): (ShardId, &Ownership)| {
            let phase = ownership.phase();
            let store = ownership.machine().map(|machine: &Machine| &machine.store);
            let (keys, bytes) = store.map_or((0, 0), |store| (store.keys() as u64, store.bytes()));
            Holding { shard, phase, keys, bytes }
        };
        Self {
            server,
            config: shards.config.num,
            leads,
            shards: shards.iter().map(holding).collect(),
            transactions: shards.transactions.open() as u64,
            needs: shards.needs(),
        }
    }
}

/// The reason why the servers of a group may not be stopped for good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needed {
    /// Membership of the latest configuration, which gives the group shards or may.
    Member,
    /// Silence of this group, which is the group itself or another one that may need it.
    Silent(GroupId),
    /// Delay of this group, which has not reached the latest configuration: it may yet take part in
    /// a transaction under an earlier one.
    Behind(GroupId),
    /// Number of shards that the group has and that others have not got yet.
    Shards(usize),
    /// Number of transactions that have not ended and that the group coordinates or takes part in.
    Transactions(u64),
    /// Another group that can not end a transaction, or let go of a shard, without the group.
    By(GroupId),
}

/// Returns the first reason why the servers of a group may not be stopped for good; none if they
/// may. `told` has what one server of each group has told, at any time since the latest
/// configuration was made; `others` are all other groups that have not been stopped for good.
///
/// Once it is so it stays so until the group joins again. A group at the latest configuration, to
/// which the group does not belong, neither asks it anything new nor is asked anything new by it.
#[must_use]
pub fn is_needed(
    group: GroupId,
    others: impl IntoIterator<Item = GroupId>,
    latest: &Configuration,
    told: &BTreeMap<GroupId, Holdings>,
) -> Option<Needed> {
    if latest.groups.contains_key(&group) {
        return Some(Needed::Member);
    }
    let up_to_date = |group| match told.get(&group) {
        None => Err(Needed::Silent(group)),
        Some(holdings) if holdings.config < latest.num => Err(Needed::Behind(group)),
        Some(holdings) => Ok(holdings),
    };
    let needed = || {
        let own = up_to_date(group)?;
        if !own.shards.is_empty() {
            return Err(Needed::Shards(own.shards.len()));
        }
        if own.transactions > 0 {
            return Err(Needed::Transactions(own.transactions));
        }
        for other in others.into_iter().filter(|other| *other != group) {
            if up_to_date(other)?.needs.contains(&group) {
                return Err(Needed::By(other));
            }
        }
        Ok(())
    };
    needed().err()
}

impl Display for Needed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member => f.write_str("it belongs to the latest configuration"),
            Self::Silent(group) => write!(f, "{group} does not answer"),
            Self::Behind(group) => write!(f, "{group} has not reached the latest configuration"),
            Self::Shards(1) => f.write_str("it has a shard that is not elsewhere yet"),
            Self::Shards(n) => write!(f, "it has {n} shards that are not elsewhere yet"),
            Self::Transactions(1) => f.write_str("it has a transaction that has not ended"),
            Self::Transactions(n) => write!(f, "it has {n} transactions that have not ended"),
            Self::By(group) => write!(f, "{group} waits for its answer"),
        }
    }
}
