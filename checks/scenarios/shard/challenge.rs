//! What the peers set as challenges: shards are deleted where they are no more needed, and what a
//! change does not touch is served while it goes on.

use std::time::{Duration, Instant};

use model::shard::ownership::Phase;
use model::types::NodeId;

use super::records::Records;
use crate::world::World;

const SHARDS: u16 = 10;

/// How long the peers let it take until clients are served again.
const LIMIT: Duration = Duration::from_secs(1);

#[test]
fn former_owners_keep_nothing() {
    let world = World::sharded(3, 3, SHARDS);
    let mut admin = world.administrator();
    admin.join(&[1]);
    let mut records = Records::write(&world, 30, 1_000);
    for _ in 0..2 {
        admin.join(&[2]);
        admin.leave(&[1]);
        admin.join(&[3]);
        records.expect();
        admin.leave(&[2]);
        admin.join(&[1]);
        admin.leave(&[3]);
        records.expect();
    }
    admin.join(&[2, 3]);
    records.expect();
    world.settle();
    let on = |server| (0..SHARDS).map(move |shard| (server, shard));
    let places = world.servers().into_iter().flat_map(on);
    let held: usize = places.map(|(server, shard)| world.bytes_held(server, shard)).sum();
    println!("{held} bytes");
    assert_eq!(held, 3 * records.bytes(), "each value on three servers, and nowhere else");
    assert!(held <= 117_000);
    drop((admin, records));
    world.finish();
}

#[test]
fn what_a_group_has_is_served_while_it_awaits_shards_of_one_that_is_down() {
    let world = World::sharded(2, 3, SHARDS);
    let mut admin = world.administrator();
    admin.join(&[1]);
    let mut records = Records::write(&world, 30, 0);
    admin.join(&[2]);
    world.settle();
    let own = world.owned_by(2);
    world.crash_these(&world.group(1));
    admin.leave(&[1]);
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        records.append_in(&own, " more");
    }
    let waits = world.waits(start);
    println!("{:?} at most", waits.last());
    assert!(waits.last() <= Some(&LIMIT));
    // It has heard of the change: what it was given it awaits.
    let given = (0..SHARDS).find(|shard| !own.contains(shard)).expect("half of them");
    let two = world.group(2);
    world.eventually("the second group awaits what the first had", || {
        two.iter().all(|server| world.phase(*server, given) == Phase::Awaiting).then_some(())
    });
    records.append_in(&own, " more");
    world.restart_all();
    records.expect();
    drop((admin, records));
    world.finish();
}

#[test]
fn what_has_arrived_is_served_while_the_rest_is_awaited() {
    let world = World::sharded(3, 3, SHARDS);
    let mut admin = world.administrator();
    admin.join(&[1, 2, 3]);
    let mut records = Records::write(&world, 30, 0);
    world.settle();
    let [lost, own, arriving] = [1, 2, 3].map(|group| world.owned_by(group));
    world.crash_these(&world.group(1));
    let start = Instant::now();
    let last = admin.leave(&[1, 3]);
    world.eventually("the third group serves nothing more", || {
        let knows = |server: &NodeId| world.reached(*server) == last;
        world.group(3).iter().all(knows).then_some(())
    });
    records.append_in(&[own, arriving].concat(), " more");
    let took = start.elapsed();
    println!("{took:?} after the change");
    assert!(took <= LIMIT);
    for server in world.group(2) {
        assert!(lost.iter().all(|shard| world.phase(server, *shard) == Phase::Awaiting));
    }
    world.restart_all();
    records.expect();
    drop((admin, records));
    world.finish();
}
