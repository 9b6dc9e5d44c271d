//! The state of a cluster: its servers, and who owns its shards and what they hold.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{BinaryBytes, HumanCount};
use model::shard::config::Configuration;
use model::shard::holdings::{Holding, Holdings};
use model::shard::ownership::Phase;
use model::types::{ConfigNum, GroupId, NodeId, ShardId};
use runtime::cluster::Cluster;
use runtime::inspect;
use serde::Serialize;

use super::left::Left;
use super::servers::{self, Row};

/// What there is to say of a configuration.
#[derive(Serialize)]
pub(super) struct Layout {
    configuration: u64,
    groups: BTreeMap<u16, Vec<u16>>,
    /// The owner of each shard, in order.
    shards: Vec<Option<u16>>,
}

impl Layout {
    pub(super) fn of(config: &Configuration) -> Self {
        let groups = config.groups.iter();
        let numbers = groups.map(|(group, s)| (group.0, s.iter().map(|server| server.0).collect()));
        let owners = config.assignment.iter().map(|(_, owner)| owner.map(|group| group.0));
        Self { configuration: config.num.0, groups: numbers.collect(), shards: owners.collect() }
    }
}

/// How things are with a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// No group has it.
    Unowned,
    /// Its owner answers for it.
    Serving,
    /// It is on its way to its owner.
    Arriving,
    /// Its owner has not heard yet that it is to have it.
    Waiting,
    /// Its owner has no leader; what is said of it one of its servers says.
    NoLeader,
    /// Nobody in its owner's group says anything.
    NoAnswer,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Unowned => "unowned",
            Self::Serving => "serving",
            Self::Arriving => "arriving",
            Self::Waiting => "waiting",
            Self::NoLeader => "no leader",
            Self::NoAnswer => "no answer",
        }
    }
}

/// What there is to say of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Shard {
    state: State,
    /// How many keys the owner has of it, and how many bytes of keys and values.
    keys: Option<u64>,
    bytes: Option<u64>,
    /// The group that has it from before and has not let go of it.
    former: Option<u16>,
    /// What of its bytes there has arrived, in hundredths.
    percent: Option<u64>,
}

/// The state of a cluster.
#[derive(Serialize)]
pub(super) struct Status {
    /// The shards, if groups share the store.
    #[serde(flatten)]
    shards: Option<Shards>,
    servers: Vec<Row>,
}

impl Status {
    /// Puts together what the servers tell, and what the controller has decided if there is one.
    pub(super) fn of(
        cluster: &Cluster,
        config: Option<&Configuration>,
        told: &BTreeMap<NodeId, Holdings>,
    ) -> Self {
        let groups = inspect::groups(cluster, told);
        let shards = config.map(|config| Shards::of(cluster, config, &groups));
        Self { shards, servers: servers::rows(cluster, told) }
    }

    pub(super) fn table(&self) -> String {
        let shards = self.shards.as_ref().map(|shards| shards.table() + "\n").unwrap_or_default();
        shards + &servers::table(&self.servers)
    }
}

/// The shards of a cluster.
#[derive(Serialize)]
struct Shards {
    #[serde(flatten)]
    layout: Layout,
    /// Each shard, in order.
    state: Vec<Shard>,
    /// The groups that have left, and whether they are still needed.
    left: Vec<Left>,
}

impl Shards {
    fn of(cluster: &Cluster, config: &Configuration, told: &BTreeMap<GroupId, Holdings>) -> Self {
        let shard = |(shard, owner): (ShardId, Option<GroupId>)| Shard::of(shard, owner, told);
        Self {
            layout: Layout::of(config),
            state: config.assignment.iter().map(shard).collect(),
            left: Left::all(cluster, config, told),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_header(["shard", "group", "servers", "state", "keys", "bytes", "from"]);
        let Layout { groups, shards, configuration } = &self.layout;
        for ((shard, owner), state) in (0..).map(ShardId).zip(shards).zip(&self.state) {
            let servers = owner.and_then(|owner| groups.get(&owner)).into_iter().flatten();
            let servers: Vec<_> = servers.map(|server| format!("n{server}")).collect();
            let owner = owner.map_or("-".to_owned(), |owner| GroupId(owner).to_string());
            let keys = state.keys.map(|keys| HumanCount(keys).to_string());
            let bytes = state.bytes.map(|bytes| BinaryBytes(bytes).to_string());
            table.add_row([
                shard.to_string(),
                owner,
                servers.join(" "),
                state.state.name().to_owned(),
                keys.unwrap_or_default(),
                bytes.unwrap_or_default(),
                state.progress(),
            ]);
        }
        for column in table.column_iter_mut().skip(4).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let left: String = self.left.iter().map(|left| format!("\n{left}")).collect();
        format!("configuration {}\n{table}{left}", ConfigNum(*configuration))
    }
}

impl Shard {
    fn of(shard: ShardId, owner: Option<GroupId>, told: &BTreeMap<GroupId, Holdings>) -> Self {
        let holding = |holdings: &Holdings| {
            holdings.shards.iter().copied().find(|holding| holding.shard == shard)
        };
        let own = owner.and_then(|owner| told.get(&owner));
        let held = own.and_then(holding);
        let state = match (owner, own, held.map(|holding| holding.phase)) {
            (None, _, _) => State::Unowned,
            (Some(_), None, _) => State::NoAnswer,
            (Some(_), Some(holdings), _) if !holdings.leads => State::NoLeader,
            (Some(_), Some(_), Some(Phase::Serving)) => State::Serving,
            (Some(_), Some(_), Some(Phase::Awaiting)) => State::Arriving,
            (Some(_), Some(_), Some(Phase::Absent | Phase::Leaving) | None) => State::Waiting,
        };
        let mut others = told.iter().filter(|(group, _)| Some(**group) != owner);
        let former = others.find_map(|(group, holdings)| Some((*group, holding(holdings)?)));
        let percent = match (state, held, former) {
            (State::Arriving, Some(Holding { bytes, .. }), Some((_, from))) => {
                Some((bytes * 100).checked_div(from.bytes).unwrap_or(100).min(100))
            }
            _ => None,
        };
        Self {
            state,
            keys: held.map(|holding| holding.keys),
            bytes: held.map(|holding| holding.bytes),
            former: former.map(|(group, _)| group.0),
            percent,
        }
    }

    fn progress(&self) -> String {
        let former = self.former.map(|group| GroupId(group).to_string()).unwrap_or_default();
        match self.percent {
            Some(percent) => format!("{former}, {percent} %"),
            None => former,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::health::Health;

    use super::*;

    fn holdings(shards: &[(u16, Phase, u64)]) -> Holdings {
        let holding = |&(shard, phase, bytes): &(u16, Phase, u64)| Holding {
            shard: ShardId(shard),
            phase,
            keys: 1,
            bytes,
        };
        let shards = shards.iter().map(holding).collect();
        let server = Health::Founding { heard: BTreeSet::new(), pledge: None };
        Holdings { config: ConfigNum(2), shards, ..Holdings::none(server, true) }
    }

    #[test]
    fn a_shard_is_seen_from_both_sides() {
        let told = BTreeMap::from([
            (GroupId(1), holdings(&[(0, Phase::Serving, 8), (1, Phase::Leaving, 80)])),
            (GroupId(2), holdings(&[(1, Phase::Awaiting, 20), (3, Phase::Serving, 0)])),
        ]);
        let shard =
            |shard, owner: Option<u16>| Shard::of(ShardId(shard), owner.map(GroupId), &told);
        let seen = [
            (shard(0, Some(1)), State::Serving, Some(8), ""),
            (shard(1, Some(2)), State::Arriving, Some(20), "g1, 25 %"),
            (shard(2, None), State::Unowned, None, ""),
            (shard(3, Some(1)), State::Waiting, None, "g2"),
            (shard(4, Some(3)), State::NoAnswer, None, ""),
        ];
        for (shard, state, bytes, progress) in seen {
            assert_eq!((shard.state, shard.bytes), (state, bytes), "{shard:?}");
            assert_eq!(shard.progress(), progress, "{shard:?}");
        }
    }

    #[test]
    fn a_group_without_a_leader_serves_nothing() {
        let of_follower = Holdings { leads: false, ..holdings(&[(0, Phase::Serving, 8)]) };
        let told = BTreeMap::from([(GroupId(1), of_follower)]);
        let shard = Shard::of(ShardId(0), Some(GroupId(1)), &told);
        assert_eq!((shard.state, shard.bytes), (State::NoLeader, Some(8)));
    }

    #[test]
    fn an_empty_shard_is_there_at_once() {
        let told = BTreeMap::from([
            (GroupId(1), holdings(&[(0, Phase::Leaving, 0)])),
            (GroupId(2), holdings(&[(0, Phase::Awaiting, 0)])),
        ]);
        assert_eq!(Shard::of(ShardId(0), Some(GroupId(2)), &told).percent, Some(100));
    }
}
