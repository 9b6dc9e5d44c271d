//! What is promised of a store that several groups share.
//!
//! What a group has done is what its committed log says, not what one of its replicas remembers:
//! `Truth` applies the longest one that any of its servers knows, or knew before a crash.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use super::clients::{Promised, agrees};
use super::{Holds, Property, Reads, Server, changes, groups, promise};
use crate::kv::Machine as Content;
use crate::kv::command::Request;
use crate::machine::{Command, Kind, Machine};
use crate::raft::{Entry, Payload};
use crate::shard::Group;
use crate::shard::config::Servers;
use crate::shard::controller::Controller;
use crate::shard::ownership::Ownership;
use crate::shard::route::shard_of;
use crate::shard::store::Shards;
use crate::system::HostState;
use crate::types::{ConfigNum, GroupId, ShardId};
use crate::violation::demand;

/// P10, P12 and P13, across groups.
pub(super) const PROMISES: &[Property] = &[
    promise!(
        Hosts(view_of_logs),
        contents_survive,
        "P10 Each request takes effect at most once over all groups, and no move loses any."
    ),
    promise!(
        Hosts(view_of_logs),
        shard_custody,
        "P12 Each shard has exactly one authoritative copy, and at most one group serves it."
    ),
    promise!(
        Hosts(view_of_logs),
        configurations_in_order,
        "P13 A group goes through the controller's configurations one by one."
    ),
    Property {
        name: "changes_carried_out",
        statement: "P13 Each change makes one configuration, balanced with the fewest moves, or is \
                    refused.",
        goal: false,
        reads: Reads::Host(changes_carried_out),
    },
];

/// What has been decided: by the controller, and by each group.
struct Truth {
    controller: Controller,
    groups: BTreeMap<GroupId, Decided>,
}

/// What a group has decided.
struct Decided {
    shards: Shards,
    /// The requests that it has carried out while it served a shard, by the configuration since
    /// which it did.
    carried_out: BTreeMap<(ShardId, ConfigNum), Vec<Request>>,
    /// The configurations that it has gone through.
    path: Vec<ConfigNum>,
}

impl Truth {
    /// `None` for a system without groups.
    fn of(hosts: &[&HostState]) -> Option<Self> {
        let mut logs = groups(hosts);
        let servers = logs.remove(&None)?;
        let shards = servers[0].1.machine.controller()?.latest().assignment.len() as u16;
        let Machine::Controller(controller) =
            replay(&servers, &Kind::Controller { shards }, |_, _| {})
        else {
            return None;
        };
        let groups = logs.into_iter().filter_map(|(group, servers)| {
            let id = group?;
            Some((id, Decided::of(id, shards, &servers)))
        });
        Some(Self { controller, groups: groups.collect() })
    }

    /// The copies of a shard that count: where it is served, or where it was and all of it has not
    /// arrived elsewhere yet.
    fn authoritative(&self, shard: ShardId) -> Vec<(GroupId, &Content)> {
        let copies = self.groups.iter().filter_map(|(group, decided)| {
            match decided.shards.ownership(shard) {
                Ownership::Serving(content) => Some((*group, content)),
                Ownership::Leaving { to, since, content, .. } => {
                    let arrived = self.groups.get(to).is_some_and(|to| to.has_got(shard, *since));
                    (!arrived).then_some((*group, content))
                }
                Ownership::Absent | Ownership::Awaiting { .. } => None,
            }
        });
        copies.collect()
    }

    /// Whether some group has had the shard: the one to which the first configuration with groups
    /// gives it has got there.
    fn has_been(&self, shard: ShardId) -> bool {
        let configurations = (0..).map_while(|num| self.controller.configuration(ConfigNum(num)));
        let mut owners = configurations.filter_map(|c| Some((c.num, c.assignment.owner(shard)?)));
        owners.next().is_some_and(|(num, owner)| {
            self.groups.get(&owner).is_some_and(|group| group.shards.config.num >= num)
        })
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.controller.latest().assignment.iter().map(|(shard, _)| shard)
    }
}

impl Decided {
    fn of(group: GroupId, shards: u16, servers: &[Server<'_>]) -> Self {
        let mut carried_out: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut since = BTreeMap::new();
        let mut path = vec![ConfigNum(0)];
        let setup = Group { id: group, shards, controllers: Servers::from_iter([]), part_bytes: 1 };
        let machine = replay(servers, &Kind::Group(setup), |machine, command| {
            let Some(state) = machine.shards() else { return };
            if path.last() != Some(&state.config.num) {
                path.push(state.config.num);
            }
            if let Command::Request(request) = command {
                let shard = shard_of(request.op.key(), shards);
                if let Some(since) = since.get(&shard) {
                    carried_out.entry((shard, *since)).or_default().push(request.clone());
                }
            }
            let serving = state.iter().filter(|(_, o)| matches!(o, Ownership::Serving(_)));
            let now = serving
                .map(|(shard, _)| (shard, since.get(&shard).copied().unwrap_or(state.config.num)));
            since = now.collect();
        });
        let Machine::Group(shards) = machine else { unreachable!("it is a group's") };
        Self { shards, carried_out, path }
    }

    /// Whether the group has all of a shard that a configuration has given to it.
    fn has_got(&self, shard: ShardId, config: ConfigNum) -> bool {
        let awaited = match self.shards.ownership(shard) {
            Ownership::Awaiting { since, .. } => *since == config,
            Ownership::Absent | Ownership::Serving(_) | Ownership::Leaving { .. } => false,
        };
        self.shards.config.num >= config && !awaited
    }
}

/// Applies the longest committed log that one of the servers knows, and shows the machine after
/// each command.
fn replay(
    servers: &[Server<'_>],
    kind: &Kind,
    mut show: impl FnMut(&Machine, &Command),
) -> Machine {
    let logs = servers.iter().map(|(host, server)| host.known_entries(server));
    let longest: Vec<Entry<Command>> = logs.max_by_key(Vec::len).unwrap_or_default();
    let mut machine = Machine::new(kind);
    for entry in longest {
        if let Payload::Command(command) = entry.payload {
            machine.apply(kind, &command);
            show(&machine, &command);
        }
    }
    machine
}

/// Each shard has exactly one copy that counts, and at most one group serves it.
pub fn shard_custody(hosts: &[&HostState]) -> Holds {
    let Some(truth) = Truth::of(hosts) else { return Ok(()) };
    for shard in truth.shards() {
        let copies = truth.authoritative(shard);
        let owners: Vec<_> = copies.iter().map(|(group, _)| group).collect();
        let expected = usize::from(truth.has_been(shard));
        demand("shard_custody", owners.len() == expected, || {
            format!("{shard} has {expected} copies that count, but there are those of {owners:?}")
        })?;
    }
    Ok(())
}

/// What a shard holds is what the specification becomes when the requests that its owners have
/// carried out, one owner after the other, are carried out once each.
pub fn contents_survive(hosts: &[&HostState]) -> Holds {
    let Some(truth) = Truth::of(hosts) else { return Ok(()) };
    for shard in truth.shards() {
        let mut spells: Vec<_> = truth
            .groups
            .values()
            .flat_map(|group| &group.carried_out)
            .filter(|((of, _), _)| *of == shard)
            .map(|((_, since), requests)| (*since, requests))
            .collect();
        spells.sort_unstable_by_key(|(since, _)| *since);
        let promised = Promised::by(spells.into_iter().flat_map(|(_, requests)| requests));
        for (group, content) in truth.authoritative(shard) {
            agrees("contents_survive", content, &promised).map_err(|mut violation| {
                violation.detail = format!("{shard} at {group}: {}", violation.detail);
                violation
            })?;
        }
    }
    Ok(())
}

/// The configuration that a group has reached is the controller's with that number.
pub fn configurations_in_order(hosts: &[&HostState]) -> Holds {
    let Some(truth) = Truth::of(hosts) else { return Ok(()) };
    for (group, decided) in &truth.groups {
        let reached = &decided.shards.config;
        let made = truth.controller.configuration(reached.num);
        demand("configurations_in_order", made == Some(reached), || {
            format!("{group} is at {reached:?}, the controller has made {made:?}")
        })?;
        let path = &decided.path;
        let in_order = (0..).map(ConfigNum).zip(path).all(|(next, taken)| next == *taken);
        demand("configurations_in_order", in_order, || {
            format!("{group} has gone through {path:?}")
        })?;
    }
    Ok(())
}

/// What the controller has made is what the changes in its log ask for, each once.
pub fn changes_carried_out(host: &HostState) -> Holds {
    let Some(replica) = host.node.replica() else { return Ok(()) };
    let Some(controller) = replica.machine.controller() else { return Ok(()) };
    let mut last = BTreeMap::new();
    let mut history = changes::History::new(controller);
    for entry in replica.raft.committed() {
        let Payload::Command(Command::Change(request)) = &entry.payload else { continue };
        if last.get(&request.client).is_none_or(|last| *last < request.number) {
            last.insert(request.client, request.number);
            history.take(&request.op)?;
        }
    }
    history.end()
}

/// What a server knows to be committed.
fn view_of_logs(host: &HostState, mut hasher: &mut dyn Hasher) {
    let Some(replica) = host.node.replica() else { return };
    if replica.machine.store().is_none() {
        replica.machine.group().hash(&mut hasher);
        host.known_entries(replica).hash(&mut hasher);
    }
}
