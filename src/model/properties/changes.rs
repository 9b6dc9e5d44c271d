//! What a change of the configuration may and must do, said without saying how it is found.

use std::collections::{BTreeMap, BTreeSet};

use super::Holds;
use crate::shard::config::{Configuration, Servers};
use crate::shard::controller::{Change, Controller};
use crate::types::{ConfigNum, GroupId};
use crate::violation::demand;

const NAME: &str = "changes_carried_out";

/// The configurations of a controller, beside the changes that were asked for.
pub struct History<'a> {
    controller: &'a Controller,
    now: &'a Configuration,
    /// Every group that there has been.
    known: BTreeMap<GroupId, Servers>,
}

impl<'a> History<'a> {
    /// Nothing has been asked for yet.
    #[must_use]
    pub fn new(controller: &'a Controller) -> Self {
        let now = controller.configuration(ConfigNum(0)).unwrap_or(controller.latest());
        Self { controller, now, known: BTreeMap::new() }
    }

    /// One change: it must have made the next configuration if it can be made, else none.
    ///
    /// # Errors
    /// If it has made another.
    pub fn take(&mut self, change: &Change) -> Holds {
        let before = self.now;
        if matches!(change, Change::Query(_)) || !self.is_valid(change) {
            return Ok(());
        }
        let next = self.controller.configuration(before.num.next());
        let wrong = || format!("{change:?} of {before:?} has made {next:?}");
        let Some(next) = next else { return demand(NAME, false, wrong) };
        demand(NAME, next.num == before.num.next(), wrong)?;
        let groups = self.groups_after(change);
        demand(NAME, next.groups.iter().map(|(g, s)| (*g, s.clone())).eq(groups), wrong)?;
        let owners = before.assignment.iter().zip(next.assignment.iter());
        let moved = owners.filter(|(was, is)| was != is).count();
        let right = match change {
            Change::Move(shard, group) => {
                moved == 1 && next.assignment.owner(*shard) == Some(*group)
            }
            Change::Join(_) | Change::Leave(_) => {
                is_balanced(next) && moved == fewest(before, next)
            }
            Change::Query(_) => false,
        };
        demand(NAME, right, wrong)?;
        if let Change::Join(groups) = change {
            self.known.extend(groups.iter().map(|(group, servers)| (*group, servers.clone())));
        }
        self.now = next;
        Ok(())
    }

    /// No configuration was made that nobody has asked for.
    ///
    /// # Errors
    /// If one was.
    pub fn end(self) -> Holds {
        demand(NAME, self.now == self.controller.latest().as_ref(), || {
            format!("{:?} was made, asked for was {:?}", self.controller.latest(), self.now)
        })
    }

    fn is_valid(&self, change: &Change) -> bool {
        let now = &self.now.groups;
        match change {
            Change::Join(groups) => {
                let servers = || groups.values().flat_map(Servers::iter);
                let each_once = servers().collect::<BTreeSet<_>>().len() == servers().count();
                !groups.is_empty()
                    && each_once
                    && groups.iter().all(|(group, servers)| {
                        let taken = self.known.iter().any(|(other, theirs)| {
                            if other == group {
                                theirs != servers
                            } else {
                                theirs.iter().any(|server| servers.contains(server))
                            }
                        });
                        !now.contains_key(group) && !servers.is_empty() && !taken
                    })
            }
            Change::Leave(groups) => {
                !groups.is_empty()
                    && groups.iter().all(|group| now.contains_key(group))
                    && groups.len() < now.len()
            }
            Change::Move(shard, group) => {
                usize::from(shard.0) < self.now.assignment.len()
                    && now.contains_key(group)
                    && self.now.assignment.owner(*shard) != Some(*group)
            }
            Change::Query(_) => true,
        }
    }

    fn groups_after(&self, change: &Change) -> BTreeMap<GroupId, Servers> {
        let now = self.now.groups.iter().map(|(group, servers)| (*group, servers.clone()));
        match change {
            Change::Join(groups) => now.chain(groups.clone()).collect(),
            Change::Leave(groups) => now.filter(|(group, _)| !groups.contains(group)).collect(),
            Change::Move(..) | Change::Query(_) => now.collect(),
        }
    }
}

/// Every shard has an owner that is there, and none owns two more than another.
fn is_balanced(config: &Configuration) -> bool {
    let held = |group: &GroupId| config.assignment.shards_of(*group).count();
    let counts: Vec<_> = config.groups.keys().map(held).collect();
    let range = counts.iter().max().zip(counts.iter().min());
    counts.iter().sum::<usize>() == config.assignment.len()
        && range.is_none_or(|(most, least)| most - least <= 1)
}

/// How many shards must change owners: all that cannot stay. Each group keeps at most its share,
/// and one more goes to those that hold most.
fn fewest(before: &Configuration, after: &Configuration) -> usize {
    let (shards, groups) = (after.assignment.len(), after.groups.len());
    let held = |group: &GroupId| before.assignment.shards_of(*group).count();
    let mut held: Vec<_> = after.groups.keys().map(held).collect();
    held.sort_unstable_by_key(|held| std::cmp::Reverse(*held));
    let share = |place: usize| shards / groups + usize::from(place < shards % groups);
    let kept: usize = held.iter().enumerate().map(|(place, held)| share(place).min(*held)).sum();
    shards - kept
}
