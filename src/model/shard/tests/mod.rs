//! Configurations against a definition of what they should be, on all small cases and drawn ones.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{Assignment, Configuration, Refusal, Servers};
use super::rebalance;
use crate::types::{ConfigNum, GroupId, NodeId, ShardId};

mod changes;
mod content;
mod controller;
mod migrating;
mod overtaking;
mod rebalancing;
mod sequences;
mod transactions;

type Groups = BTreeSet<GroupId>;

/// What can be wrong with an assignment that was made to be balanced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flaw {
    /// There are more or fewer shards than before.
    Length,
    /// A shard has no owner although there are groups.
    Unowned(ShardId),
    /// A shard has an owner that is no group.
    Stranger(ShardId),
    /// One group owns two shards more than another.
    Unbalanced { least: usize, most: usize },
    /// More shards have moved than had to.
    Wasteful { least: usize, moved: usize },
}

/// What is wrong with a rebalancing for these groups, by the definition: every test of this folder
/// asks this one question, and `rebalancing` shows that it sees what it should.
fn flaw(before: &Assignment, groups: &Groups, after: &Assignment) -> Option<Flaw> {
    if after.len() != before.len() {
        return Some(Flaw::Length);
    }
    for (shard, owner) in after.iter() {
        match owner {
            None if groups.is_empty() => {}
            None => return Some(Flaw::Unowned(shard)),
            Some(group) if groups.contains(&group) => {}
            Some(_) => return Some(Flaw::Stranger(shard)),
        }
    }
    let held = || groups.iter().map(|group| after.shards_of(*group).count());
    let (fewest, most) = (held().min().unwrap_or(0), held().max().unwrap_or(0));
    if most > fewest + 1 {
        return Some(Flaw::Unbalanced { least: fewest, most });
    }
    let (least, moved) = (least_moves(before, groups), moves(before, after));
    (moved != least).then_some(Flaw::Wasteful { least, moved })
}

/// How many shards have another owner than before.
fn moves(before: &Assignment, after: &Assignment) -> usize {
    before.iter().zip(after.iter()).filter(|(before, after)| before != after).count()
}

/// The fewest shards that any balanced assignment moves, by counting: what is above the larger
/// share must leave, and of the groups that hold a larger share only so many may keep it. Whether
/// that can be reached is decided in `rebalancing`, on all small cases.
fn least_moves(before: &Assignment, groups: &Groups) -> usize {
    if groups.is_empty() {
        return before.iter().filter(|(_, owner)| owner.is_some()).count();
    }
    let (share, larger) = (before.len() / groups.len(), before.len() % groups.len());
    let held: Vec<_> = groups.iter().map(|group| before.shards_of(*group).count()).collect();
    let above = held.iter().filter(|held| **held > share).count();
    let stay: usize = held.iter().map(|held| *held.min(&share)).sum();
    before.len() - stay - above.min(larger)
}

fn assignment(owners: impl IntoIterator<Item = Option<u16>>) -> Assignment {
    let owners: Vec<_> = owners.into_iter().collect();
    let mut assignment = Assignment::unowned(owners.len() as u16);
    for (shard, owner) in owners.into_iter().enumerate() {
        assignment.set(ShardId(shard as u16), owner.map(GroupId));
    }
    assignment
}

fn groups(numbers: impl IntoIterator<Item = u16>) -> Groups {
    numbers.into_iter().map(GroupId).collect()
}

fn servers(numbers: impl IntoIterator<Item = u16>) -> Servers {
    numbers.into_iter().map(NodeId).collect()
}

/// Groups of two servers each, which are in no other group.
fn pairs(numbers: impl IntoIterator<Item = u16>) -> BTreeMap<GroupId, Servers> {
    numbers.into_iter().map(|n| (GroupId(n), servers([2 * n, 2 * n + 1]))).collect()
}

fn groups_of(configuration: &Configuration) -> Groups {
    configuration.groups.keys().copied().collect()
}
