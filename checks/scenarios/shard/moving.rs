//! Keys that go with their shards from group to group.

use std::time::Duration;

use model::kv::command::{Op, Output};
use runtime::transport::Plan;

use super::records::Records;
use crate::world::{PATIENCE, World};

const SHARDS: u16 = 10;

#[test]
fn groups_answer_for_their_own_shards_and_no_others() {
    let world = World::sharded(2, 3, SHARDS);
    let mut admin = world.administrator();
    admin.join(&[1]);
    admin.join(&[2]);
    let mut records = Records::write(&world, 10, 0);
    world.settle();
    for (lost, other) in [(1, 2), (2, 1)] {
        world.crash_these(&world.group(lost));
        records.expect_only_of(other);
        world.restart_all();
        records.expect();
    }
    drop((admin, records));
    world.finish();
}

#[test]
fn data_is_where_its_shards_are_when_groups_come_and_go() {
    let world = World::sharded(2, 3, SHARDS);
    let mut admin = world.administrator();
    admin.join(&[1]);
    let mut records = Records::write(&world, 10, 0);
    records.expect();
    admin.join(&[2]);
    records.expect_and_append("with two");
    admin.leave(&[1]);
    records.expect_and_append("with the second");
    world.settle();
    world.crash_these(&world.group(1));
    records.expect_and_append("without the first");
    drop((admin, records));
    world.finish();
}

#[test]
fn a_group_that_comes_answers_for_what_it_was_given() {
    let world = World::sharded(2, 3, 100);
    let mut admin = world.administrator();
    admin.join(&[1]);
    let mut records = Records::write(&world, 100, 0);
    admin.join(&[2]);
    world.settle();
    assert_eq!(world.owned_by(2).len(), 50);
    world.crash_these(&world.group(1));
    records.expect_only_of(2);
    world.restart_all();
    records.expect();
    drop((admin, records));
    world.finish();
}

#[test]
fn a_group_answers_for_what_was_moved_to_it_and_no_more_for_what_was_moved_away() {
    let world = World::sharded(2, 3, 100);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let mut records = Records::write(&world, 100, 0);
    for nth in 0..10 {
        let (from, to) = if nth % 3 == 0 { (2, 1) } else { (1, 2) };
        admin.move_shard(world.owned_by(from)[nth], to);
    }
    world.settle();
    assert_eq!(world.owned_by(2).len(), 52);
    world.crash_these(&world.group(1));
    records.expect_only_of(2);
    world.restart_all();
    records.expect();
    drop((admin, records));
    world.finish();
}

/// What is different when all keys are written, moved, overwritten and moved again.
#[derive(Clone, Copy, Default)]
struct Hindrance {
    /// In each group and in the controller a server is cut off.
    absent: bool,
    /// How many of all messages are lost.
    loss: f64,
}

#[test]
fn all_keys_are_there_when_groups_come_and_go() {
    Hindrance::default().come_and_go();
}

#[test]
fn all_keys_are_there_when_groups_come_and_go_without_a_server_each() {
    Hindrance { absent: true, ..Hindrance::default() }.come_and_go();
}

#[test]
fn all_keys_are_there_when_groups_come_and_go_and_messages_are_lost() {
    Hindrance { loss: 0.2, ..Hindrance::default() }.come_and_go();
}

impl Hindrance {
    fn come_and_go(self) {
        let world = World::sharded(3, 3, SHARDS);
        if self.absent {
            world.teams().iter().for_each(|team| world.cut(&[world.any(team)]));
        }
        world.weather(Plan { drop: self.loss, ..Plan::default() });
        let mut admin = world.administrator();
        admin.join(&[1]);
        let mut records = Records::write(&world, 100, 0);
        admin.join(&[2]);
        admin.join(&[3]);
        records.expect();
        records.overwrite("another ");
        admin.leave(&[1]);
        admin.leave(&[2]);
        records.expect();
        world.settle();
        assert_eq!(world.owned_by(3).len(), usize::from(SHARDS));
        drop((admin, records));
        world.finish();
    }
}

#[test]
fn what_was_moved_survives_a_crash_of_all_servers() {
    let world = World::sharded(3, 3, SHARDS);
    let mut admin = world.administrator();
    admin.join(&[1]);
    let mut records = Records::write(&world, 30, 20);
    admin.join(&[2, 3]);
    admin.leave(&[1]);
    records.expect_and_append("with two others");
    records.expect();
    // Whatever of that has been done by now.
    world.crash_all();
    world.restart_all();
    records.expect_and_append("again");
    records.expect();
    drop((admin, records));
    world.finish();
}

/// One server of each group and of the controller is down through several changes, then another,
/// and those that have missed them must catch up before anything can go on.
#[test]
fn servers_that_have_missed_several_changes_catch_up() {
    let world = World::sharded(3, 3, SHARDS);
    let down = |nth: usize| world.teams().iter().for_each(|team| world.crash(team[nth]));
    let mut admin = world.administrator();
    admin.join(&[1]);
    let mut records = Records::write(&world, 10, 0);
    admin.join(&[2]);
    records.expect();

    down(0);
    admin.join(&[3]);
    admin.leave(&[2]);
    admin.leave(&[1]);
    records.expect_and_append("by the third");
    admin.join(&[2]);
    records.expect_and_append("by the second and the third");
    world.restart_all();
    records.expect_and_append("by all of these");

    down(1);
    admin.join(&[1]);
    admin.leave(&[3]);
    records.expect_and_append("by the first and the second");
    world.restart_all();
    down(2);
    admin.leave(&[2]);
    records.expect_and_append("by the first");
    drop((admin, records));
    world.finish();
}

/// The answers of one group are lost, and the next one answers: it knows from the session, which
/// has come with the shard, that there is nothing left to do.
#[test]
fn what_one_group_has_carried_out_another_does_not_repeat() {
    let world = World::sharded(2, 3, 1);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let key = world.key("k", 0, 0);
    let mut clerk = world.clerk();
    clerk.put(&key, "");
    let mut expected = String::new();
    for (owner, next) in [(1, 2), (2, 1), (1, 2)] {
        assert_eq!(world.owned_by(owner), [0]);
        let more = format!("by {owner} ");
        expected += &more;
        clerk.deafen();
        clerk.begin(Op::Append(key.as_str().into(), more.into()));
        while !world.group(owner).iter().any(|s| world.value(*s, &key) == Some(expected.clone())) {
            assert_eq!(clerk.end_within(Duration::from_millis(1)), None);
        }
        admin.move_shard(0, next);
        world.settle();
        world.heal();
        assert_eq!(clerk.end_within(PATIENCE), Some(Output::Written));
        assert_eq!(clerk.get(&key), expected);
    }
    drop((admin, clerk));
    world.finish();
}
