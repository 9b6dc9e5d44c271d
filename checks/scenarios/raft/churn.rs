//! Servers that come and go while clients offer commands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::{BRISK, LATE, World, lossy};

#[test]
fn what_was_accepted_stays_while_servers_come_and_go() {
    let world = World::of(5);
    churn(&world);
    world.finish();
}

#[test]
fn what_was_accepted_stays_while_servers_come_and_go_and_messages_are_lost() {
    let world = World::of(5);
    world.weather(lossy(LATE));
    churn(&world);
    world.finish();
}

fn churn(world: &World) {
    let done = AtomicBool::new(false);
    let accepted: Vec<String> = thread::scope(|scope| {
        let done = &done;
        let clients: Vec<_> =
            (0..3).map(|client| scope.spawn(move || offer_until(world, client, done))).collect();
        for _ in 0..20 {
            come_and_go(world);
            // Shorter than an election, so that some are caught in the middle.
            world.pass(BRISK.election.start * 7 / 10);
        }
        world.heal();
        world.calm();
        world.restart_all();
        done.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    world.agree("the last");
    let commands = world.commands(world.leader());
    println!("{} accepted of {} committed", accepted.len(), commands.len());
    assert!(!accepted.is_empty());
    for command in accepted {
        assert!(commands.contains(&command), "{command} was accepted and is gone");
    }
}

fn come_and_go(world: &World) {
    let servers = world.servers();
    if world.chance(0.2) {
        world.cut(&[world.any(&servers)]);
    }
    if world.chance(0.5) {
        let server = world.any(&servers);
        if !world.is_running(server) {
            world.restart(server);
        }
        world.join(&[server]);
    }
    if world.chance(0.2) {
        world.crash(world.any(&servers));
    }
}

/// Offers one command after the other to whoever takes it, and waits for a while to see whether it
/// is committed there. Gives those that were.
fn offer_until(world: &World, client: usize, done: &AtomicBool) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        number += 1;
        let command = format!("{client}.{number}");
        let offer = |server| world.propose(server, &command).map(|place| (server, place));
        let Some((server, position)) = world.servers().into_iter().find_map(offer) else {
            thread::yield_now();
            continue;
        };
        let patience = Instant::now() + Duration::from_millis(1 << world.below(8));
        while Instant::now() < patience {
            if world.look(server, |view| view.has_committed(position)) {
                accepted.push(command);
                break;
            }
            world.pass(Duration::from_millis(1));
        }
    }
    accepted
}
