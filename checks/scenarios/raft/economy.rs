//! What it costs, in messages and bytes.

use std::time::Duration;

use model::actor::Timing;
use model::raft::Position;

use crate::world::{STEADY, World};

#[test]
fn each_command_is_sent_to_each_follower_about_once() {
    const BYTES: usize = 5_000;
    let world = World::with(3, STEADY);
    world.agree("small");
    let before = bytes(&world);
    let mut offered = 0;
    for number in 0..10 {
        let command = format!("{number:0>BYTES$}");
        offered += command.len();
        world.agree(&command);
    }
    let sent = bytes(&world) - before;
    println!("{sent} bytes for {offered}");
    assert!(sent <= 3 * offered as u64 + 50_000, "{sent} bytes");
    world.finish();
}

/// What all servers have put on the network.
fn bytes(world: &World) -> u64 {
    world.servers().into_iter().map(|server| world.metrics(server).endpoint.sent.bytes).sum()
}

/// The servers' own timers are about as long as the peers' expect where there are five servers; the
/// limit on an idle second is one on heartbeats.
#[test]
fn elections_commands_and_silence_cost_few_messages() {
    for (servers, timing) in [(3, Timing::LAN), (5, STEADY)] {
        let world = World::with(servers, timing);
        let leader = world.leader();
        let election = world.sent().requests;
        assert!((1..=30).contains(&election), "{election} requests to elect a leader");

        world.agree("the first");
        let before = world.sent();
        let positions: Vec<Position> = (0..10)
            .map(|number| world.propose(leader, &format!("{number}")).expect("it leads"))
            .collect();
        world.eventually("all have all of them", || {
            let all = world.servers();
            positions.iter().all(|position| world.committed_by(*position) == all).then_some(())
        });
        let commands = world.sent().requests - before.requests;
        let limit = if servers == 3 { (10 + 1 + 3) * 3 } else { (10 + 1) * 5 };
        assert!(commands <= limit, "{commands} requests for ten commands");

        let before = world.sent();
        world.pass(Duration::from_secs(1));
        let silence = world.sent().requests - before.requests;
        assert!(silence <= 60, "{silence} requests in an idle second");
        assert_eq!(world.sent().replies, before.replies, "a heartbeat is not answered");
        println!("{servers} servers: {election} + {commands} + {silence} requests");
        world.finish();
    }
}
