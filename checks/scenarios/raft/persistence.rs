//! What survives when servers lose their power.

use model::types::NodeId;

use crate::world::World;

#[test]
fn commands_survive_a_crash_of_all_of_a_leader_and_of_a_follower() {
    for servers in [3, 5] {
        let world = World::of(servers);
        world.agree("1");
        world.crash_all();
        world.restart_all();
        world.agree("2");

        let first = world.leader();
        world.cut(&[first]);
        world.crash(first);
        world.restart(first);
        world.join(&[first]);
        world.agree("3");

        let second = world.leader();
        world.cut(&[second]);
        world.agree("4");
        world.crash(second);
        world.restart(second);
        world.join(&[second]);
        world.eventually("the crashed leader has caught up", || {
            (world.commands(second).len() == 4).then_some(())
        });

        let follower = world.others(&[world.leader()])[0];
        world.cut(&[follower]);
        world.agree("5");
        world.crash(follower);
        world.restart(follower);
        world.join(&[follower]);
        world.agree("6");
        for server in world.servers() {
            assert_eq!(world.commands(server), ["1", "2", "3", "4", "5", "6"]);
        }
        world.finish();
    }
}

/// Which of three servers that knew everything comes back to the two that did not.
#[derive(Clone, Copy)]
enum Fresh {
    Follower,
    Leader,
}

#[test]
fn one_follower_that_knows_everything_is_enough_to_go_on() {
    rotate_majorities(Fresh::Follower);
}

#[test]
fn one_former_leader_that_knows_everything_is_enough_to_go_on() {
    rotate_majorities(Fresh::Leader);
}

/// Two of five miss a command. All crash; these two come back, with one that has it.
fn rotate_majorities(fresh: Fresh) {
    let world = World::of(5);
    let mut expected = Vec::new();
    let mut agree = |command: String| {
        world.agree(&command);
        expected.push(command);
    };
    for round in 0..5 {
        agree(format!("{round} by five"));
        let leader = world.leader();
        let followers = world.others(&[leader]);
        let stale = &followers[..2];
        world.crash(stale[0]);
        world.crash(stale[1]);
        agree(format!("{round} by three"));

        // Which of the three still leads is not ours to say.
        let leader = world.leader();
        let trio = world.others(stale);
        let follower = trio.iter().copied().find(|server| *server != leader).expect("a follower");
        trio.iter().for_each(|server| world.crash(*server));
        let back: NodeId = match fresh {
            Fresh::Follower => follower,
            Fresh::Leader => leader,
        };
        for server in [stale[0], stale[1], back] {
            world.restart(server);
        }
        agree(format!("{round} by another three"));
        world.restart_all();
    }
    agree("the last".to_owned());
    for server in world.servers() {
        assert_eq!(world.commands(server), expected);
    }
    world.finish();
}

#[test]
fn a_leader_alone_at_first_goes_on_with_one_follower_then_with_the_other() {
    let world = World::of(3);
    world.agree("1");
    let leader = world.leader();
    let followers = world.others(&[leader]);
    world.cut(&followers[1..]);
    world.agree("2");
    world.crash(leader);
    world.crash(followers[0]);
    world.join(&followers[1..]);
    world.restart(leader);
    world.agree("3");
    world.restart(followers[0]);
    world.agree("4");
    for server in world.servers() {
        assert_eq!(world.commands(server), ["1", "2", "3", "4"]);
    }
    world.finish();
}
