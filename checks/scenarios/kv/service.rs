//! What clients get while nothing fails, or servers are few, or messages are lost.

use std::thread;
use std::time::{Duration, Instant};

use model::actor::Timing;

use crate::appends::expect_in_order;
use crate::world::{LATE, World, lossy};

#[test]
fn one_client_reads_what_it_has_written() {
    let world = World::of(5);
    let mut clerk = world.clerk();
    assert_eq!(clerk.get("k"), "");
    clerk.put("k", "a");
    clerk.append("k", "b");
    clerk.append("other", "c");
    assert_eq!(clerk.get("k"), "ab");
    assert_eq!(clerk.get("other"), "c");
    drop(clerk);
    world.finish();
}

#[test]
fn a_thousand_operations_one_after_the_other_take_no_heartbeat_each() {
    const OPERATIONS: u32 = 1_000;
    let world = World::with(3, Timing::LAN);
    let mut clerk = world.clerk();
    clerk.put("k", "");
    let start = Instant::now();
    for number in 0..OPERATIONS {
        clerk.append("k", &format!("{number} "));
    }
    let each = start.elapsed() / OPERATIONS;
    println!("{each:?} for each operation");
    assert!(each <= Timing::LAN.heartbeat / 3);
    assert!(each <= Duration::from_micros(33_300));
    let expected: String = (0..OPERATIONS).map(|number| format!("{number} ")).collect();
    assert_eq!(clerk.get("k"), expected);
    drop(clerk);
    world.finish();
}

#[test]
fn several_clients_with_a_key_each() {
    let world = World::of(5);
    each_with_a_key(&world, 5, 20);
    world.finish();
}

#[test]
fn several_clients_with_a_key_each_while_two_of_five_servers_are_lost() {
    let world = World::of(5);
    world.cut(&world.servers()[..2]);
    each_with_a_key(&world, 5, 20);
    world.finish();
}

#[test]
fn one_client_over_a_lossy_network() {
    let world = World::of(5);
    world.weather(lossy(LATE));
    each_with_a_key(&world, 1, 20);
    world.finish();
}

fn each_with_a_key(world: &World, clients: usize, operations: usize) {
    thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let (mut clerk, key) = (world.clerk(), format!("k{client}"));
                clerk.put(&key, "0");
                for number in 1..operations {
                    clerk.append(&key, &format!(" {number}"));
                }
                let expected: Vec<_> = (0..operations).map(|n| n.to_string()).collect();
                assert_eq!(clerk.get(&key), expected.join(" "));
            });
        }
    });
}

#[test]
fn appends_to_one_key_happen_once_each_while_two_of_five_servers_are_lost() {
    let world = World::of(5);
    world.cut(&world.servers()[3..]);
    thread::scope(|scope| {
        (0..5).for_each(|_| drop(scope.spawn(|| world.clerk().append("k", "1"))));
    });
    assert_eq!(world.clerk().get("k"), "11111");
    world.finish();
}

#[test]
fn appends_of_clients_that_wait_for_each_other_come_in_their_order() {
    let world = World::of(5);
    world.cut(&world.servers()[1..3]);
    let mut clerks: Vec<_> = (0..5).map(|_| world.clerk()).collect();
    for (number, clerk) in clerks.iter_mut().enumerate() {
        clerk.append("k", &number.to_string());
    }
    assert_eq!(clerks[0].get("k"), "01234");
    drop(clerks);
    world.finish();
}

#[test]
fn appends_to_one_key_happen_once_each_over_a_lossy_network() {
    const APPENDS: usize = 10;
    let world = World::of(3);
    world.weather(lossy(LATE));
    thread::scope(|scope| {
        for client in 0..5 {
            let mut clerk = world.clerk();
            scope.spawn(move || {
                (0..APPENDS).for_each(|number| clerk.append("k", &format!("{client}.{number} ")));
            });
        }
    });
    let value = world.clerk().get("k");
    assert_eq!(value.split_whitespace().count(), 5 * APPENDS);
    for client in 0..5 {
        expect_in_order(&value, client, APPENDS);
    }
    world.finish();
}
