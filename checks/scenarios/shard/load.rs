//! Clients that go on while groups come and go.

use std::thread;
use std::time::Duration;

use model::kv::command::Op;

use super::clients::{Stop, while_appending};
use super::records::Records;
use crate::world::{Administrator, Clerk, LATE, World, lossy};

const CLIENTS: usize = 10;

/// About as long as a change takes, so that some begin before the last is through.
const A_WHILE: Duration = Duration::from_millis(250);

/// Groups that are there one after the other.
const ROTATION: [Step; 6] = [
    Step::Join(&[2, 3]),
    Step::Leave(&[1]),
    Step::Join(&[1]),
    Step::Leave(&[2, 3]),
    Step::Join(&[3, 2]),
    Step::Leave(&[1, 3]),
];

#[derive(Clone, Copy)]
enum Step {
    Join(&'static [u16]),
    Leave(&'static [u16]),
}

impl Step {
    fn take(self, admin: &mut Administrator<'_>) {
        match self {
            Self::Join(groups) => admin.join(groups),
            Self::Leave(groups) => admin.leave(groups),
        };
    }
}

/// Three groups of three servers that share ten shards. The first has joined.
fn three_groups() -> World {
    let world = World::sharded(3, 3, 10);
    world.administrator().join(&[1]);
    world
}

#[test]
fn clients_go_on_while_groups_come_and_go_and_are_down_for_a_while() {
    let world = three_groups();
    while_appending(&world, CLIENTS, || {
        let mut admin = world.administrator();
        admin.join(&[2]);
        a_while(&world);
        admin.join(&[3]);
        a_while(&world);
        admin.leave(&[1]);
        a_while(&world);
        for group in 1..=3 {
            world.crash_these(&world.group(group));
        }
        admin.leave(&[3]);
        a_while(&world);
        world.restart_all();
        admin.join(&[1]);
        admin.leave(&[2]);
        a_while(&world);
        admin.join(&[2]);
    });
    world.finish();
}

#[test]
fn clients_go_on_through_three_rotations_of_groups() {
    let world = three_groups();
    while_appending(&world, CLIENTS, || {
        let mut admin = world.administrator();
        for round in 0..3 {
            for (at, step) in ROTATION.into_iter().enumerate() {
                step.take(&mut admin);
                a_while(&world);
                // One that has given shards away, one that has left, and one that has come back.
                if at == round {
                    world.crash_these(&world.group(1));
                    a_while(&world);
                    world.restart_all();
                }
            }
            admin.join(&[1]);
            admin.leave(&[2]);
        }
    });
    world.finish();
}

#[test]
fn clients_go_on_while_groups_come_and_go_and_all_crash_again_and_again() {
    let world = three_groups();
    while_appending(&world, CLIENTS, || {
        let mut admin = world.administrator();
        for _ in 0..4 {
            admin.join(&[3]);
            admin.join(&[2]);
            world.pass(world.moment(A_WHILE));
            for group in 1..=3 {
                world.crash_these(&world.group(group));
            }
            world.restart_all();
            world.pass(world.moment(A_WHILE));
            admin.leave(&[2]);
            admin.leave(&[3]);
            world.pass(world.moment(A_WHILE));
        }
    });
    world.finish();
}

#[test]
fn data_is_where_its_shards_are_over_a_lossy_network() {
    let world = three_groups();
    let mut admin = world.administrator();
    let mut records = Records::write(&world, 10, 0);
    world.weather(lossy(LATE));
    for step in ROTATION.into_iter().take(4) {
        step.take(&mut admin);
        records.expect_and_append(" and on");
    }
    records.expect();
    drop((admin, records));
    world.finish();
}

#[test]
fn clients_go_on_while_groups_come_and_go_over_a_lossy_network() {
    let world = three_groups();
    world.weather(lossy(LATE));
    while_appending(&world, CLIENTS, || rotate(&world));
    world.finish();
}

#[test]
fn clients_do_all_kinds_of_things_to_the_same_keys_over_a_lossy_network() {
    let world = three_groups();
    world.weather(lossy(LATE));
    let (stop, keys) = (Stop::default(), world.keys("shared", 5));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (world, keys, stop) = (&world, &keys, &stop);
            scope.spawn(move || {
                let mut clerk = world.clerk();
                for number in 0.. {
                    let key = &keys[world.below(keys.len())];
                    do_something(world, &mut clerk, key, &format!("{client}.{number} "));
                    if stop.is_set() {
                        return;
                    }
                }
            });
        }
        let _stop = stop.at_the_end();
        rotate(&world);
    });
    world.finish();
}

/// One operation of any kind.
fn do_something(world: &World, clerk: &mut Clerk<'_>, key: &str, value: &str) {
    match world.below(10) {
        0 => clerk.put(key, value),
        1 => drop(clerk.call(Op::Delete(key.into()))),
        2 => {
            let expected = clerk.get(key);
            let expected = (!expected.is_empty()).then(|| expected.into());
            clerk.call(Op::Cas { key: key.into(), expected, new: value.into() });
        }
        3..7 => clerk.append(key, value),
        _ => drop(clerk.get(key)),
    }
}

fn rotate(world: &World) {
    let mut admin = world.administrator();
    for step in ROTATION {
        step.take(&mut admin);
        a_while(world);
    }
}

fn a_while(world: &World) {
    world.pass(A_WHILE);
}
