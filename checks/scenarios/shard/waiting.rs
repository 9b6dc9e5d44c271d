//! How long clients wait while something goes wrong all the time.

use std::time::{Duration, Instant};

use runtime::transport::Plan;

use super::clients::while_appending;
use super::move_any;
use super::records::Records;
use crate::world::World;

const CLIENTS: usize = 5;

/// How long each of these goes on.
const LENGTH: Duration = Duration::from_secs(6);

/// How long a minority of each group is off, and then on again.
const PERIOD: Duration = Duration::from_secs(1);

/// A fifth of all messages is lost.
fn leaky() -> Plan {
    Plan { drop: 0.2, ..Plan::default() }
}

#[test]
fn nobody_waits_two_seconds_while_minorities_come_and_go() {
    nobody_waits(Duration::from_secs(2), Plan::default(), minorities_come_and_go);
}

#[test]
fn nobody_waits_eight_seconds_while_minorities_come_and_go_and_messages_are_lost() {
    // No peer asks for both at once: one server of three is gone, and of what the others are asked
    // a third is lost or its answer is.
    nobody_waits(Duration::from_secs(8), leaky(), minorities_come_and_go);
}

#[test]
fn nobody_waits_four_seconds_while_shards_move() {
    nobody_waits(Duration::from_secs(4), Plan::default(), shards_move);
}

#[test]
fn nobody_waits_four_seconds_while_shards_move_and_messages_are_lost() {
    nobody_waits(Duration::from_secs(4), leaky(), shards_move);
}

/// Five clients of three groups of three servers, which share ten shards.
fn nobody_waits(limit: Duration, weather: Plan, trouble: fn(&World)) {
    let world = World::sharded(3, 3, 10);
    world.administrator().join(&[1, 2, 3]);
    let mut records = Records::write(&world, 30, 100);
    world.weather(weather);
    let start = Instant::now();
    while_appending(&world, CLIENTS, || {
        while start.elapsed() < LENGTH {
            trouble(&world);
        }
    });
    let longest = world.longest_wait(start);
    println!("{longest:?} at most");
    assert!(longest < limit);
    world.calm();
    records.expect();
    drop(records);
    world.finish();
}

fn minorities_come_and_go(world: &World) {
    let minority: Vec<_> = world.teams().iter().map(|team| world.any(team)).collect();
    world.cut(&minority);
    world.pass(PERIOD);
    world.join(&minority);
    world.pass(PERIOD);
}

/// More often than the peers' every four seconds.
fn shards_move(world: &World) {
    move_any(world, &mut world.administrator());
    world.pass(PERIOD / 4);
}
