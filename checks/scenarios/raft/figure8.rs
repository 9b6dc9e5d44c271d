//! Leaders that are lost while their commands are on the way, over and over: an entry of an earlier
//! term may then stand on a majority and still be overwritten [Raft Fig. 8].

use std::time::Duration;

use model::raft::Limits;

use crate::world::{FRANTIC, World, lossy};

/// As many as in the peers' tests, at about the same pace measured in elections.
const ROUNDS: usize = 1_000;

/// Entries travel one by one: those of earlier terms reach a majority before the leader's own.
#[test]
fn leaders_crash_before_and_after_they_replicate() {
    let world = World::sending(5, FRANTIC, Limits { batch_entries: 1, ..Limits::default() });
    let mut lost = [0, 0];
    for _ in 0..ROUNDS {
        let mut leader = None;
        for server in world.running() {
            // Some fall while the command is being written down, the others later.
            let falls = world.leads(server) && world.chance(0.1);
            if falls {
                world.fail_power(server);
            }
            if world.propose(server, "on the way").is_some() {
                leader = Some(server);
            }
            if falls {
                world.crash(server);
                lost[0] += 1;
            }
        }
        pause(&world);
        if let Some(leader) = leader.filter(|leader| world.is_running(*leader)) {
            world.crash(leader);
            lost[1] += 1;
        }
        let running = world.running();
        if running.len() < 3 {
            world.restart(world.any(&world.others(&running)));
        }
    }
    println!("{lost:?} leaders lost, {:?} committed", world.commit());
    world.restart_all();
    world.agree("the last");
    world.finish();
}

#[test]
fn leaders_are_cut_off_while_messages_are_lost_and_late() {
    let world = World::with(5, FRANTIC);
    world.weather(lossy(FRANTIC.heartbeat / 2));
    let mut lost = 0;
    for round in 0..ROUNDS {
        if round == ROUNDS / 5 {
            // From now on some messages are older than the leader that gets them.
            world.weather(lossy(FRANTIC.election.end));
        }
        let took = |server: &_| world.propose(*server, "on the way").is_some();
        let leader = world.servers().into_iter().filter(took).last();
        pause(&world);
        if let Some(leader) = leader.filter(|_| world.chance(0.5)) {
            world.cut(&[leader]);
            lost += 1;
        }
        let connected = world.connected();
        if connected.len() < 3 {
            world.join(&[world.any(&world.others(&connected))]);
        }
    }
    println!("{lost} leaders cut off, {:?} committed", world.commit());
    world.heal();
    world.calm();
    world.agree("the last");
    world.finish();
}

/// Mostly a fraction of a heartbeat, at times half an election.
fn pause(world: &World) {
    let bound =
        if world.chance(0.1) { FRANTIC.election.start / 2 } else { Duration::from_millis(3) };
    world.pass(world.moment(bound));
}
