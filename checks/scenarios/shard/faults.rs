//! What goes wrong in the middle of a move. No peer looks there.

use std::thread;
use std::time::Duration;

use model::actor::Timing;
use model::kv::command::Op;
use model::shard::ownership::Phase;
use model::types::NodeId;
use runtime::transport::Plan;

use super::clients::while_appending;
use super::move_any;
use super::records::Records;
use crate::world::{BRISK, LATE, PATIENCE, World, lossy};

/// The shard that moves, from group 1 to group 2.
const SHARD: u16 = 0;

/// Who loses its power in the middle of a move.
#[derive(Clone, Copy, Debug)]
enum Victim {
    LeaderOfSource,
    LeaderOfDestination,
    Source,
    Destination,
    Both,
}

const VICTIMS: [Victim; 5] = [
    Victim::LeaderOfSource,
    Victim::LeaderOfDestination,
    Victim::Source,
    Victim::Destination,
    Victim::Both,
];

impl Victim {
    fn servers(self, world: &World) -> Vec<NodeId> {
        let [source, destination] = [1, 2].map(|group| world.group(group));
        match self {
            Self::LeaderOfSource => leaders(world, &source),
            Self::LeaderOfDestination => leaders(world, &destination),
            Self::Source => source,
            Self::Destination => destination,
            Self::Both => [source, destination].concat(),
        }
    }
}

/// Those that take themselves for a leader.
fn leaders(world: &World, peers: &[NodeId]) -> Vec<NodeId> {
    world.eventually("somebody leads", || {
        let leaders: Vec<_> = peers.iter().copied().filter(|peer| world.leads(*peer)).collect();
        (!leaders.is_empty()).then_some(leaders)
    })
}

#[test]
fn nobody_answers_for_a_shard_on_its_way_and_the_others_are_served_meanwhile() {
    let world = World::sharded(2, 3, 4);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let mut records = Records::write(&world, 20, 100);
    let key = world.key("record", SHARD, 0);
    let get = || Op::Get(key.as_str().into());
    let [mut former, mut new] = [world.clerk(), world.clerk()];
    assert!(former.get(&key).starts_with("0 "));
    // Of the move it does not hear.
    former.stay_with(&world.group(1));
    hold_before_anything_has_arrived(&world);
    former.begin(get());
    new.begin(get());
    records.append_in(&[1, 2, 3], " meanwhile");
    for clerk in [&mut former, &mut new] {
        assert_eq!(clerk.end_within(3 * Timing::LAN.retry), None);
    }
    world.heal();
    for clerk in [&mut former, &mut new] {
        assert!(clerk.end_within(PATIENCE).is_some());
    }
    records.expect();
    drop((admin, records, former, new));
    world.finish();
}

fn hold_before_anything_has_arrived(world: &World) {
    world.part(&world.group(1), &world.group(2));
    world.administrator().move_shard(SHARD, 2);
    all_are(world, 1, Phase::Leaving);
    all_are(world, 2, Phase::Awaiting);
}

#[test]
fn a_move_goes_on_after_crashes_before_anything_has_arrived() {
    crash_in_moves(hold_before_anything_has_arrived);
}

#[test]
fn a_move_goes_on_after_crashes_when_a_part_has_arrived() {
    crash_in_moves(|world| {
        // So slow that the middle is not missed.
        world.weather(Plan { delay: 1.0, delay_by: LATE / 2..LATE, ..Plan::default() });
        world.administrator().move_shard(SHARD, 2);
        world.eventually("a part has arrived", || {
            let has_part = |server: &NodeId| {
                world.phase(*server, SHARD) == Phase::Awaiting
                    && world.bytes_held(*server, SHARD) > 0
            };
            world.group(2).iter().any(has_part).then_some(())
        });
    });
}

#[test]
fn a_move_goes_on_after_crashes_when_all_has_arrived_and_nothing_is_let_go() {
    crash_in_moves(|world| {
        // So slow that the time is not missed in which the former owner has not heard of it.
        world.weather(Plan { delay: 1.0, delay_by: LATE / 2..LATE, ..Plan::default() });
        world.administrator().move_shard(SHARD, 2);
        world.eventually("all has arrived, and nothing is let go", || {
            let is = |server: &NodeId, phase| world.phase(*server, SHARD) == phase;
            let has_arrived = world.group(2).iter().any(|server| is(server, Phase::Serving));
            let is_there = world.group(1).iter().all(|server| is(server, Phase::Leaving));
            (has_arrived && is_there).then_some(())
        });
    });
}

/// Brings moves to where `begin` leaves them, and cuts everyone's power there, one after the other.
fn crash_in_moves(begin: fn(&World)) {
    let world = World::sharded_with(2, 3, 4, Timing::LAN);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let mut records = Records::write(&world, 40, 100);
    for victim in VICTIMS {
        world.settle();
        assert!(world.owned_by(1).contains(&SHARD));
        begin(&world);
        let victims = victim.servers(&world);
        println!("{victim:?}: {victims:?}");
        world.crash_these(&victims);
        world.calm();
        world.heal();
        world.restart_all();
        records.append(" and on");
        world.settle();
        assert!(world.owned_by(2).contains(&SHARD));
        records.expect();
        admin.move_shard(SHARD, 1);
    }
    records.expect();
    drop((admin, records));
    world.finish();
}

fn all_are(world: &World, group: u16, phase: Phase) {
    world.eventually("a group is where it should be with the shard", || {
        let is = |server: &NodeId| world.phase(*server, SHARD) == phase;
        world.group(group).iter().all(is).then_some(())
    });
}

/// Leaders that were cut off are still asked by clients, by the other group and by each other.
#[test]
fn shards_move_while_every_group_is_split_in_two() {
    let world = three_groups();
    while_appending(&world, CLIENTS, || {
        let mut admin = world.administrator();
        for _ in 0..6 {
            let minority: Vec<_> = world.teams().iter().map(|team| world.any(team)).collect();
            world.split(&[&world.others(&minority), &minority]);
            (0..2).for_each(|_| move_any(&world, &mut admin));
            world.pass_elections(2);
            world.heal();
        }
    });
    world.finish();
}

#[test]
fn shards_move_while_the_controller_loses_its_leaders() {
    let world = three_groups();
    while_appending(&world, CLIENTS, || {
        let mut admin = world.administrator();
        for _ in 0..8 {
            let leader = world.leader_of(&world.controller());
            thread::scope(|scope| {
                scope.spawn(|| (0..3).for_each(|_| move_any(&world, &mut admin)));
                world.pass(world.moment(BRISK.heartbeat));
                world.crash(leader);
            });
            world.restart(leader);
        }
    });
    world.finish();
}

/// Two shards go back and forth, and what was said about their former moves still comes in.
#[test]
fn messages_about_moves_come_twice_and_many_moves_late() {
    let world = World::sharded(2, 3, 2);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let mut records = Records::write(&world, 4, 100);
    let (one, two) = (world.owned_by(1)[0], world.owned_by(2)[0]);
    world.weather(Plan {
        drop: 0.05,
        duplicate: 0.5,
        delay: 0.1,
        delay_by: Duration::ZERO..Duration::from_secs(2),
        ..Plan::default()
    });
    for _ in 0..4 {
        for (shard, to) in [(one, 2), (two, 1), (one, 1), (two, 2)] {
            admin.move_shard(shard, to);
        }
        records.append(" and on");
        records.expect();
    }
    drop((admin, records));
    world.finish();
}

/// The groups do not reach each other in the last of three moves of the same shards, but what was
/// sent in the first is still on its way, in both directions.
#[test]
fn what_was_said_about_an_earlier_move_is_not_taken_for_this_one() {
    let late = Duration::from_millis(1_000)..Duration::from_millis(1_500);
    let world = World::sharded_with(2, 3, 10, Timing::LAN);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let mut records = Records::write(&world, 20, 0);
    // What the first group gets now it gets again whenever it comes back.
    admin.leave(&[1]);
    admin.join(&[1]);
    world.settle();
    let shards = world.owned_by(1);

    world.weather(Plan { duplicate: 1.0, delay: 0.5, delay_by: late.clone(), ..Plan::default() });
    admin.leave(&[1]);
    world.settle();
    world.calm();
    admin.join(&[1]);
    world.settle();
    assert_eq!(world.owned_by(1), shards);
    records.append(" and on");

    world.part(&world.group(1), &world.group(2));
    admin.leave(&[1]);
    let is_held = || {
        let all_are = |group, phase| {
            let servers = world.group(group);
            let is = |server: &NodeId| shards.iter().all(|s| world.phase(*server, *s) == phase);
            servers.iter().all(is).then_some(())
        };
        all_are(1, Phase::Leaving).and(all_are(2, Phase::Awaiting))
    };
    world.eventually("all of them are on their way", is_held);
    world.pass(late.end);
    assert_eq!(is_held(), Some(()));
    world.heal();
    records.expect();
    drop((admin, records));
    world.finish();
}

#[test]
fn two_shards_change_places_while_one_of_the_groups_is_down() {
    let world = World::sharded(2, 3, 4);
    let mut admin = world.administrator();
    admin.join(&[1, 2]);
    let mut records = Records::write(&world, 20, 100);
    for (down, up) in [(2, 1), (1, 2)] {
        let (given, taken) = (world.owned_by(up), world.owned_by(down));
        world.crash_these(&world.group(down));
        admin.move_shard(given[0], down);
        admin.move_shard(taken[0], up);
        let up = world.group(up);
        world.eventually("it has given the one away and awaits the other", || {
            let swaps = |server: &NodeId| {
                world.phase(*server, given[0]) == Phase::Leaving
                    && world.phase(*server, taken[0]) == Phase::Awaiting
            };
            up.iter().all(swaps).then_some(())
        });
        records.append_in(&given[1..], " while it was down");
        // And what is under way survives a crash of the other one too.
        world.crash_these(&up);
        world.restart_all();
        records.append(" when it was up");
        world.settle();
        records.expect();
    }
    drop((admin, records));
    world.finish();
}

#[test]
fn shards_move_while_all_of_it_goes_wrong() {
    let world = three_groups();
    world.weather(lossy(LATE));
    while_appending(&world, CLIENTS, || all_goes_wrong(&world));
    world.finish();
}

/// Groups are split while shards move, half of all servers crash, and groups leave and come back.
pub fn all_goes_wrong(world: &World) {
    let mut admin = world.administrator();
    for round in 0..3 {
        let minority: Vec<_> = world.teams().iter().map(|team| world.any(team)).collect();
        world.split(&[&world.others(&minority), &minority]);
        (0..3).for_each(|_| move_any(world, &mut admin));
        world.pass(world.moment(BRISK.election.end));
        let servers = world.servers();
        let doomed: Vec<_> = servers.into_iter().filter(|_| world.chance(0.5)).collect();
        for server in &doomed {
            if world.chance(0.5) {
                world.fail_power(*server);
            } else {
                world.crash(*server);
            }
        }
        world.pass(world.moment(BRISK.election.end));
        doomed.iter().for_each(|server| world.restart(*server));
        world.heal();
        let group = round % 3 + 1;
        admin.leave(&[group]);
        admin.join(&[group]);
    }
}

const CLIENTS: usize = 5;

/// Three groups of three servers that share ten shards.
fn three_groups() -> World {
    let world = World::sharded(3, 3, 10);
    world.administrator().join(&[1, 2, 3]);
    world
}
