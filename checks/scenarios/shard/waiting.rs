//! How long clients wait while something goes wrong all the time.

use std::time::{Duration, Instant};

use runtime::transport::Plan;

use super::clients::while_appending;
use super::move_any;
use super::records::Records;
use crate::world::World;

const CLIENTS: usize = 5;

/// How long each of these goes on.
pub const LENGTH: Duration = Duration::from_secs(6);

/// The peers' limit on waits while servers come and go.
const LIMIT: Duration = Duration::from_secs(2);

/// How long servers are off: so long that to wait until they are back is to wait too long.
const OFF: Duration = Duration::from_millis(2_500);

/// How long they are on again.
const ON: Duration = Duration::from_millis(500);

/// The peers' limit on waits while shards move.
pub const LIMIT_OF_MOVES: Duration = Duration::from_secs(4);

/// How often one does. The peers' move every four seconds.
const BETWEEN_MOVES: Duration = Duration::from_millis(500);

/// A fifth of all messages is lost.
pub fn leaky() -> Plan {
    Plan { drop: 0.2, ..Plan::default() }
}

#[test]
fn nobody_waits_two_seconds_while_leaders_come_and_go() {
    let waits = waits_during(Plan::default(), leaders_come_and_go);
    assert!(waits.last() < Some(&LIMIT), "{:?}", waits.last());
}

/// No peer asks for both at once. With the leader gone, and a third of what the others are asked
/// lost or not answered, some have to ask many times.
#[test]
fn few_wait_two_seconds_while_leaders_come_and_go_and_messages_are_lost() {
    let waits = waits_during(leaky(), leaders_come_and_go);
    let most = waits[waits.len() * 9 / 10];
    assert!(most < LIMIT, "{most:?}");
}

#[test]
fn nobody_waits_four_seconds_while_shards_move() {
    let waits = waits_during(Plan::default(), shards_move);
    assert!(waits.last() < Some(&LIMIT_OF_MOVES), "{:?}", waits.last());
}

#[test]
fn nobody_waits_four_seconds_while_shards_move_and_messages_are_lost() {
    let waits = waits_during(leaky(), shards_move);
    assert!(waits.last() < Some(&LIMIT_OF_MOVES), "{:?}", waits.last());
}

/// How long the operations of five clients take while there is trouble, the shortest first. Three
/// groups of three servers share ten shards.
fn waits_during(weather: Plan, trouble: fn(&World)) -> Vec<Duration> {
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
    let waits = world.waits(start);
    println!("{} operations, {:?} at most", waits.len(), waits.last());
    world.calm();
    records.expect();
    drop(records);
    world.finish();
    waits
}

/// Of all groups and of the controller at once.
fn leaders_come_and_go(world: &World) {
    let leaders: Vec<_> = world.teams().iter().map(|team| world.leader_of(team)).collect();
    world.cut(&leaders);
    world.pass(OFF);
    world.join(&leaders);
    world.pass(ON);
}

/// A move, and a while.
pub fn shards_move(world: &World) {
    move_any(world, &mut world.administrator());
    world.pass(BETWEEN_MOVES);
}
