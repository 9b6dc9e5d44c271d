//! The controller: who owns which shard, and who is told. Here the groups are only names.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use model::shard::config::{Configuration, Refusal, Servers};
use model::shard::controller::Change;
use model::types::{ConfigNum, GroupId, NodeId, ShardId};

use crate::world::{Administrator, LATE, World, lossy};

const SHARDS: u16 = 10;

/// A controller of three servers, and nothing else.
fn controller() -> World {
    World::sharded(0, 3, SHARDS)
}

#[test]
fn groups_that_come_and_go_share_all_shards_evenly() {
    let world = controller();
    let mut admin = world.administrator();
    assert_eq!(admin.latest(), Configuration::initial(SHARDS).into());
    assert_eq!(admin.change(join(&[1])), ConfigNum(1));
    expect_even(&admin.latest(), &[1]);
    assert_eq!(admin.change(join(&[2])), ConfigNum(2));
    expect_even(&admin.latest(), &[1, 2]);
    assert_eq!(admin.leave(&[1]), ConfigNum(3));
    expect_even(&admin.latest(), &[2]);
    assert_eq!(admin.change(join(&[1])), ConfigNum(4));
    expect_even(&admin.latest(), &[1, 2]);
    assert_eq!(admin.leave(&[2]), ConfigNum(5));
    expect_even(&admin.latest(), &[1]);
    drop(admin);
    world.finish();
}

#[test]
fn every_configuration_is_told_as_it_was_whichever_server_is_down() {
    let world = controller();
    let mut admin = world.administrator();
    let mut told = vec![admin.latest()];
    for change in [join(&[1]), join(&[2, 3]), leave(&[1]), moved(0, 3), moved(0, 2), join(&[4])] {
        admin.change(change);
        told.push(admin.latest());
    }
    let latest = told[6].clone();
    for server in world.controller() {
        world.crash(server);
        for (num, config) in (0..).zip(&told) {
            assert_eq!(config.num, ConfigNum(num));
            assert_eq!(admin.query(Some(num)), *config);
        }
        for none in [7, u64::MAX] {
            assert_eq!(admin.query(Some(none)), latest, "the latest, if there is none such");
        }
        world.restart(server);
    }
    drop(admin);
    world.finish();
}

#[test]
fn moved_shards_stay_where_they_are_until_a_group_comes_or_goes() {
    let world = controller();
    let mut admin = world.administrator();
    admin.change(join(&[503, 504]));
    for shard in 0..SHARDS {
        let before = admin.latest();
        let there = before.assignment.owner(ShardId(shard)) == Some(GroupId(503));
        let other = if there { 504 } else { 503 };
        assert_eq!(admin.move_shard(shard, other), before.num.next());
        let after = admin.latest();
        assert_eq!(after.groups, before.groups);
        assert_eq!(after.assignment.owner(ShardId(shard)), Some(GroupId(other)));
        assert_eq!(moved_between(&before, &after), [ShardId(shard)].into());
    }
    // As uneven as whoever asks for it wants it.
    for shard in shards_of(&admin.latest(), 504).into_iter().skip(1) {
        admin.move_shard(shard.0, 503);
    }
    assert_eq!(shards_of(&admin.latest(), 503).len(), 9);
    admin.change(join(&[505]));
    expect_even(&admin.latest(), &[503, 504, 505]);
    admin.leave(&[503]);
    expect_even(&admin.latest(), &[504, 505]);
    drop(admin);
    world.finish();
}

#[test]
fn changes_that_ten_ask_for_at_once_are_all_made() {
    let world = controller();
    let groups: Vec<u16> = (100..200).step_by(10).collect();
    let by_ten_at_once = |changes: fn(u16) -> Vec<Change>| {
        by_each_at_once(&world, &groups, changes);
    };
    by_ten_at_once(|group| vec![join(&[group + 1_000]), join(&[group]), leave(&[group + 1_000])]);
    let mut admin = world.administrator();
    let latest = admin.latest();
    assert_eq!(latest.num, ConfigNum(30));
    expect_even(&latest, &groups);

    by_ten_at_once(|group| {
        let others = [group + 2_000, group + 3_000];
        vec![join(&others), leave(&others)]
    });
    let latest = admin.latest();
    assert_eq!(latest.num, ConfigNum(50));
    expect_even(&latest, &groups);
    drop(admin);
    world.finish();
}

/// Up to more groups than shards and back, one at a time and several at once.
#[test]
fn groups_that_come_and_go_move_no_more_shards_than_they_must() {
    let world = controller();
    let mut admin = world.administrator();
    let new: Vec<u16> = (200..205).collect();
    let singly = |change: fn(&[u16]) -> Change, groups: &[u16]| -> Vec<Change> {
        groups.iter().map(|group| change(&[*group])).collect()
    };
    admin.change(join(&[100]));
    for joins in [singly(join, &(101..110).collect::<Vec<_>>()), singly(join, &new)] {
        joins.iter().for_each(|change| expect_minimal(&mut admin, change));
    }
    expect_even(&admin.latest(), &[(100..110).collect::<Vec<_>>(), new.clone()].concat());
    for leaves in [singly(leave, &[100, 101, 102]), singly(leave, &new)] {
        leaves.iter().for_each(|change| expect_minimal(&mut admin, change));
    }
    expect_even(&admin.latest(), &(103..110).collect::<Vec<_>>());
    for change in [join(&new), leave(&[103, 105, 107, 200, 204]), join(&[1, 2]), leave(&[108, 1])] {
        expect_minimal(&mut admin, &change);
    }
    expect_even(&admin.latest(), &[2, 104, 106, 109, 201, 202, 203]);
    drop(admin);
    world.finish();
}

#[test]
fn several_groups_come_and_go_in_one_change() {
    let world = controller();
    let mut admin = world.administrator();
    assert_eq!(admin.change(join(&[1, 2])), ConfigNum(1));
    expect_even(&admin.latest(), &[1, 2]);
    assert_eq!(admin.change(join(&[3])), ConfigNum(2));
    expect_even(&admin.latest(), &[1, 2, 3]);
    assert_eq!(admin.leave(&[1, 3]), ConfigNum(3));
    expect_even(&admin.latest(), &[2]);
    drop(admin);
    world.finish();
}

#[test]
fn the_next_leader_tells_the_same_as_the_one_that_was_lost() {
    let world = controller();
    let mut admin = world.administrator();
    for group in 1..=7 {
        admin.change(join(&[group]));
    }
    for group in 2..=4 {
        admin.leave(&[group]);
    }
    let told: Vec<_> = (0..=10).map(|num| admin.query(Some(num))).collect();
    assert!((0..).map(ConfigNum).zip(&told).all(|(num, config)| config.num == num));
    for _ in 0..3 {
        let leader = world.leader_of(&world.controller());
        world.crash(leader);
        let again: Vec<_> = (0..=10).map(|num| admin.query(Some(num))).collect();
        assert_eq!(again, told);
        world.restart(leader);
    }
    drop(admin);
    world.finish();
}

#[test]
fn senseless_changes_are_refused_and_make_no_configuration() {
    let world = controller();
    let mut admin = world.administrator();
    let unknown = |group| Refusal::UnknownGroup(GroupId(group));
    assert_eq!(admin.refusal(leave(&[1])), unknown(1));
    assert_eq!(admin.refusal(moved(0, 1)), unknown(1));
    admin.change(join(&[1, 2]));
    admin.leave(&[2]);
    let before = admin.latest();
    let other_servers = BTreeMap::from([(GroupId(2), servers_of(3))]);
    for (change, refusal) in [
        (join(&[]), Refusal::NoGroup),
        (join(&[1]), Refusal::GroupExists(GroupId(1))),
        (join(&[3, 1]), Refusal::GroupExists(GroupId(1))),
        (Change::Join(other_servers), Refusal::OtherServers(GroupId(2))),
        (leave(&[]), Refusal::NoGroup),
        (leave(&[2]), unknown(2)),
        (leave(&[1, 9]), unknown(9)),
        (leave(&[1]), Refusal::LastGroup),
        (moved(0, 1), Refusal::AlreadyThere(ShardId(0))),
        (moved(0, 2), unknown(2)),
        (moved(SHARDS, 1), Refusal::UnknownShard(ShardId(SHARDS))),
        (moved(u16::MAX, 1), Refusal::UnknownShard(ShardId(u16::MAX))),
    ] {
        assert_eq!(admin.refusal(change.clone()), refusal, "{change:?}");
        assert_eq!(admin.latest(), before, "{change:?}");
    }
    drop(admin);
    world.finish();
}

/// Lost answers make administrators ask again, and a leader that is lost may have made the change.
#[test]
fn a_change_is_made_once_while_messages_are_lost_and_leaders_crash() {
    let world = controller();
    world.administrator().change(join(&[1]));
    world.weather(lossy(LATE));
    let groups: Vec<u16> = (2..=6).collect();
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            by_each_at_once(&world, &groups, |group| {
                let back_and_forth = [join(&[group]), leave(&[group])];
                back_and_forth.into_iter().cycle().take(9).collect()
            });
        });
        while !changing.is_finished() {
            let Some(leader) = world.controller().into_iter().find(|s| world.leads(*s)) else {
                world.pass_elections(1);
                continue;
            };
            world.crash(leader);
            world.pass_elections(2);
            world.restart(leader);
            world.pass_elections(2);
        }
    });
    world.calm();
    let latest = world.administrator().latest();
    assert_eq!(latest.num, ConfigNum(1 + 5 * 9));
    expect_even(&latest, &[1, 2, 3, 4, 5, 6]);
    world.finish();
}

/// For each of these groups an administrator makes its changes, all of them at once.
fn by_each_at_once(world: &World, groups: &[u16], changes: fn(u16) -> Vec<Change>) {
    thread::scope(|scope| {
        for group in groups {
            scope.spawn(move || {
                let mut admin = world.administrator();
                for change in changes(*group) {
                    admin.change(change);
                }
            });
        }
    });
}

fn join(groups: &[u16]) -> Change {
    Change::Join(groups.iter().map(|group| (GroupId(*group), servers_of(*group))).collect())
}

fn leave(groups: &[u16]) -> Change {
    Change::Leave(groups.iter().map(|group| GroupId(*group)).collect())
}

fn moved(shard: u16, group: u16) -> Change {
    Change::Move(ShardId(shard), GroupId(group))
}

/// The servers of a group, which are not there.
fn servers_of(group: u16) -> Servers {
    (0..3).map(|nth| NodeId(10_000 + 3 * group + nth)).collect()
}

fn shards_of(config: &Configuration, group: u16) -> BTreeSet<ShardId> {
    config.assignment.shards_of(GroupId(group)).collect()
}

/// The shards that have another owner in the one than in the other.
fn moved_between(before: &Configuration, after: &Configuration) -> BTreeSet<ShardId> {
    let pairs = before.assignment.iter().zip(after.assignment.iter());
    pairs.filter(|(before, after)| before != after).map(|((shard, _), _)| shard).collect()
}

/// These groups are there and no others, each with the servers that it came with, and among them
/// they own all shards, none of them two more than another.
fn expect_even(config: &Configuration, groups: &[u16]) {
    let there: BTreeSet<_> = config.groups.keys().map(|group| group.0).collect();
    assert_eq!(there, groups.iter().copied().collect());
    for (group, servers) in &config.groups {
        assert_eq!(*servers, servers_of(group.0));
    }
    let held: Vec<_> = groups.iter().map(|group| shards_of(config, *group).len()).collect();
    assert_eq!(held.iter().sum::<usize>(), usize::from(SHARDS), "{config:?}");
    assert!(held.iter().max() <= held.iter().min().map(|least| least + 1).as_ref(), "{config:?}");
}

/// Of the groups that stay, none gains a shard when others come, and none loses one when others go.
///
/// That is as much as the peers' checks say. But theirs look at groups that are not there, of which
/// it is always true: here there are such groups, and they own something.
fn expect_minimal(admin: &mut Administrator<'_>, change: &Change) {
    let before = admin.latest();
    admin.change(change.clone());
    let after = admin.latest();
    let (few, many) = match change {
        Change::Join(_) => (&after, &before),
        Change::Leave(_) => (&before, &after),
        Change::Move(..) | Change::Query(_) => panic!("{change:?} balances nothing"),
    };
    let mut compared = 0;
    for group in before.groups.keys().filter(|group| after.groups.contains_key(group)) {
        let (few, many) = (shards_of(few, group.0), shards_of(many, group.0));
        assert!(few.is_subset(&many), "{group}: {before:?} {change:?} {after:?}");
        compared += few.len();
    }
    assert_eq!(compared, usize::from(SHARDS) - moved_between(&before, &after).len());
    assert!(compared > 0, "nothing to compare: {before:?} {change:?} {after:?}");
}
