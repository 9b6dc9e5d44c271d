//! Who shall own which shard: evenly, and with as few shards moved as possible.

use std::cmp::Reverse;
use std::iter::repeat_n;

use super::config::Assignment;
use crate::types::GroupId;

/// Spreads the shards evenly over the groups, which may be named in any order.
///
/// - *Balanced:* no group owns two shards more than another. If there are more groups than shards,
///   some own one and the others none. Without groups no shard has an owner.
/// - *Minimal:* no other balanced assignment leaves more shards where they are.
/// - *Deterministic:* equal shards and equal groups give an equal result.
///
/// Why it is minimal: with `s` shards on `g` groups every group gets `s / g` shards, and `s % g`
/// of them get one more. That is all the freedom there is. A group that owned at least as many
/// shards as it gets keeps that many; any other keeps all it had. So one more for a group keeps one
/// more shard in place exactly if the group owned more than `s / g`, and those that owned most are
/// served first. A balanced assignment is therefore left as it is.
///
/// The time is that of two passes over the shards and of sorting the groups.
#[must_use]
pub fn rebalance(assignment: &Assignment, groups: impl IntoIterator<Item = GroupId>) -> Assignment {
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable();
    groups.dedup();
    let mut room = shares(assignment, &groups);

    // What has a place keeps it, the lower shards first.
    let mut homeless = Vec::new();
    for (shard, owner) in assignment.iter() {
        match owner.and_then(|group| room.get_mut(index(group))) {
            Some(room) if *room > 0 => *room -= 1,
            Some(_) | None => homeless.push(shard),
        }
    }

    let mut places = groups.iter().flat_map(|group| repeat_n(*group, room[index(*group)]));
    let mut next = assignment.clone();
    for shard in homeless {
        let owner = places.next();
        assert_eq!(owner.is_none(), groups.is_empty(), "{shard} has a place if there is any group");
        next.set(shard, owner);
    }
    assert_eq!(places.next(), None, "every group has its share");
    next
}

/// How many shards each group shall own, by [`index`]: nothing for a number that no group has.
fn shares(assignment: &Assignment, groups: &[GroupId]) -> Vec<usize> {
    let table = groups.last().map_or(0, |last| index(*last) + 1);
    let mut held = vec![0_usize; table];
    for (_, owner) in assignment.iter() {
        if let Some(held) = owner.and_then(|group| held.get_mut(index(group))) {
            *held += 1;
        }
    }
    // The sort is stable: between equals the lower number comes first.
    let mut by_held = groups.to_vec();
    by_held.sort_by_key(|group| Reverse(held[index(*group)]));

    let mut shares = vec![0; table];
    for (rank, group) in by_held.iter().enumerate() {
        let one_more = rank < assignment.len() % groups.len();
        shares[index(*group)] = assignment.len() / groups.len() + usize::from(one_more);
    }
    shares
}

/// Where a group stands in a table. Tables reach to the highest number in use: numbers are small,
/// and so a shard costs one look-up in memory, not a search for its owner.
fn index(group: GroupId) -> usize {
    usize::from(group.0)
}
