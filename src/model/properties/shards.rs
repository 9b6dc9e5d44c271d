//! What is promised of a store that several groups share.
//!
//! What a group has done is what its committed log says, not what one of its replicas remembers
//! (`truth`).

use std::collections::BTreeMap;

use super::clients::{Promised, agrees};
use super::truth::{Truth, view_of_logs};
use super::{Holds, Property, Reads, changes, promise};
use crate::machine::Command;
use crate::raft::Payload;
use crate::system::HostState;
use crate::types::ConfigNum;
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
            .flat_map(|group| &group.deeds)
            .filter(|((of, _), _)| *of == shard)
            .map(|((_, since), deeds)| (*since, deeds))
            .collect();
        spells.sort_unstable_by_key(|(since, _)| *since);
        let mut promised = Promised::within(truth.limits);
        for deed in spells.into_iter().flat_map(|(_, deeds)| deeds) {
            let right = deed.carry_out(&mut promised);
            demand("contents_survive", right, || format!("{shard}: a transaction comes again"))?;
        }
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
