//! Clients that go on while everything fails around them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::appends::{expect_each_once, expect_in_order};
use crate::world::{BRISK, Clerk, LATE, World, lossy};

/// What goes wrong, for how many clients of how many servers.
#[derive(Clone, Copy)]
struct Ordeal {
    servers: u16,
    clients: usize,
    /// How often. A round takes [`ROUND`].
    rounds: usize,
    /// Messages are lost, late, repeated, and overtake each other.
    lossy: bool,
    /// All servers lose their power at the end of each round.
    crashes: bool,
    /// The servers are split in two at random, time and again.
    partitions: bool,
    /// All clients share five keys instead of having one each.
    shared_keys: bool,
}

/// Nothing goes wrong.
const CALM: Ordeal = Ordeal {
    servers: 5,
    clients: 5,
    rounds: 3,
    lossy: false,
    crashes: false,
    partitions: false,
    shared_keys: false,
};

const ROUND: Duration = Duration::from_secs(1);

#[test]
fn one_client_while_partitions_come_and_go() {
    Ordeal { clients: 1, partitions: true, ..CALM }.run();
}

#[test]
fn several_clients_while_partitions_come_and_go() {
    Ordeal { partitions: true, ..CALM }.run();
}

#[test]
fn several_clients_over_a_lossy_network() {
    Ordeal { lossy: true, ..CALM }.run();
}

#[test]
fn one_client_while_all_servers_crash() {
    Ordeal { clients: 1, crashes: true, ..CALM }.run();
}

#[test]
fn several_clients_while_all_servers_crash() {
    Ordeal { crashes: true, ..CALM }.run();
}

#[test]
fn several_clients_while_all_servers_crash_and_messages_are_lost() {
    Ordeal { crashes: true, lossy: true, ..CALM }.run();
}

#[test]
fn several_clients_while_partitions_come_and_go_and_all_servers_crash() {
    Ordeal { crashes: true, partitions: true, ..CALM }.run();
}

#[test]
fn several_clients_while_all_of_it_goes_wrong() {
    Ordeal { crashes: true, partitions: true, lossy: true, ..CALM }.run();
}

#[test]
fn many_clients_on_few_keys_of_seven_servers_while_all_of_it_goes_wrong() {
    let shared_keys = true;
    let all = Ordeal { crashes: true, partitions: true, lossy: true, shared_keys, ..CALM };
    Ordeal { servers: 7, clients: 15, rounds: 8, ..all }.run();
}

impl Ordeal {
    fn run(self) {
        let world = World::of(self.servers);
        if self.lossy {
            world.weather(lossy(LATE));
        }
        let mut appended = vec![0; self.clients];
        for _ in 0..self.rounds {
            self.round(&world, &mut appended);
        }
        world.calm();
        let mut clerk = world.clerk();
        let values: Vec<_> = self.keys().map(|key| clerk.get(&key)).collect();
        drop(clerk);
        for (client, count) in appended.iter().enumerate() {
            // On shared keys each value has a part of a client's appends, in order.
            if self.shared_keys {
                expect_each_once(&values, client, *count);
            } else {
                expect_in_order(&values[client], client, *count);
            }
        }
        println!("{} appends", appended.iter().sum::<usize>());
        world.finish();
    }

    /// Lets all clients work for a while. At the end everything runs and is connected, but for the
    /// weather.
    fn round(self, world: &World, appended: &mut [usize]) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for (client, count) in appended.iter_mut().enumerate() {
                let (clerk, done) = (world.clerk(), &done);
                scope.spawn(move || self.work(world, client, clerk, count, done));
            }
            let end = Instant::now() + ROUND;
            while Instant::now() < end {
                if self.partitions {
                    split_at_random(world);
                }
                // Longer than an election, so that a majority has the time to go on.
                world.pass(BRISK.election.end + world.moment(BRISK.election.start));
            }
            if self.crashes {
                world.crash_all();
                world.pass_elections(1);
                world.restart_all();
            }
            world.heal();
            done.store(true, Ordering::Relaxed);
        });
    }

    /// Appends and reads, half of each.
    fn work(
        self,
        world: &World,
        client: usize,
        mut clerk: Clerk<'_>,
        appended: &mut usize,
        done: &AtomicBool,
    ) {
        let keys: Vec<_> = self.keys().collect();
        while !done.load(Ordering::Relaxed) {
            let key = &keys[if self.shared_keys { world.below(keys.len()) } else { client }];
            if world.chance(0.5) {
                clerk.append(key, &format!("{client}.{appended} "));
                *appended += 1;
            } else {
                let value = clerk.get(key);
                if !self.shared_keys {
                    expect_in_order(&value, client, *appended);
                }
            }
        }
    }

    fn keys(self) -> impl Iterator<Item = String> {
        let count = if self.shared_keys { 5 } else { self.clients };
        (0..count).map(|number| format!("k{number}"))
    }
}

fn split_at_random(world: &World) {
    let (one, other): (Vec<_>, Vec<_>) =
        world.servers().into_iter().partition(|_| world.chance(0.5));
    world.split(&[&one, &other]);
}
