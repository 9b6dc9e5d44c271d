//! Commands on one log, through cuts of the network.

use std::thread;
use std::time::Instant;

use model::types::{Index, NodeId};

use crate::world::{AGREEMENT, LATE, STEADY, World, lossy};

#[test]
fn commands_are_committed_in_order_at_the_next_index_and_not_before_they_are_proposed() {
    for servers in [3, 5] {
        let world = World::with(servers, STEADY);
        let leader = world.leader();
        let mut expected = Vec::new();
        for number in 1..=3 {
            world
                .eventually("all is committed", || (world.commit() == Index(number)).then_some(()));
            assert_eq!(world.commands(leader), expected);
            // The first entry of the leader's term stands before them.
            let position = world.agree(&format!("command {number}"));
            assert_eq!(position.index, Index(number + 1));
            expected.push(format!("command {number}"));
        }
        for server in world.servers() {
            assert_eq!(world.commands(server), expected);
        }
        world.finish();
    }
}

#[test]
fn commands_are_committed_until_a_majority_of_followers_is_lost() {
    let world = World::of(3);
    world.agree("with all");
    let leader = world.leader();
    let followers = world.others(&[leader]);
    world.cut(&followers[..1]);
    world.agree("without one follower");
    world.pass_elections(1);
    world.agree("still without it");

    world.cut(&followers);
    expect_no_commit(&world, leader);
    world.finish();
}

#[test]
fn commands_are_committed_until_a_majority_of_leaders_is_lost() {
    let world = World::of(3);
    world.agree("with all");
    let first = world.leader();
    world.cut(&[first]);
    world.agree("with the second leader");
    world.pass_elections(1);
    world.agree("still with the second leader");

    let second = world.leader();
    world.cut(&[second]);
    expect_no_commit(&world, first);
    expect_no_commit(&world, second);
    world.finish();
}

/// Offers a command to a leader that has lost its majority.
fn expect_no_commit(world: &World, leader: NodeId) {
    let before = world.commit();
    let position = world.propose(leader, "without a majority").expect("it does not know");
    world.pass_elections(2);
    assert_eq!(world.committed_by(position), []);
    assert_eq!(world.commit(), before);
}

#[test]
fn followers_that_return_catch_up() {
    for (servers, lost) in [(3, 1), (5, 2)] {
        let world = World::of(servers);
        world.agree("with all");
        let absent = world.others(&[world.leader()])[..lost].to_vec();
        world.cut(&absent);
        for number in 1..=4 {
            world.agree(&format!("without some {number}"));
        }
        world.pass_elections(1);
        world.join(&absent);
        for number in 1..=2 {
            world.agree(&format!("with all again {number}"));
        }
        for server in world.servers() {
            assert_eq!(world.commands(server).len(), 7);
        }
        world.finish();
    }
}

#[test]
fn what_a_minority_was_offered_is_not_committed_before_a_majority_returns() {
    let world = World::of(5);
    world.agree("with all");
    let leader = world.leader();
    let lost = world.others(&[leader])[..3].to_vec();
    world.cut(&lost);
    expect_no_commit(&world, leader);

    // It may be that the majority has elected a leader meanwhile, which knows nothing of it.
    world.join(&lost);
    let before = world.look(world.leader(), |view| view.replica.raft.last().index);
    let position = world.agree("with all again");
    assert!(position.index > before);
    let expected = ["with all", "with all again"];
    let all_but_one = |commands: &[String]| {
        commands.iter().filter(|command| *command != "without a majority").eq(&expected)
    };
    assert!(world.servers().iter().all(|server| all_but_one(&world.commands(*server))));
    world.finish();
}

#[test]
fn commands_offered_at_once_in_one_term_are_all_committed() {
    for servers in [3, 5] {
        let world = World::with(servers, STEADY);
        world.agree("with all");
        let leader = world.leader();
        let offer = |number: usize| world.propose(leader, &format!("at once {number}"));
        let positions: Vec<_> = thread::scope(|scope| {
            let offers: Vec<_> = (0..5).map(|number| scope.spawn(move || offer(number))).collect();
            offers.into_iter().map(|offer| offer.join().unwrap().expect("it leads")).collect()
        });
        assert!(positions.iter().all(|position| position.term == positions[0].term));
        world.eventually("all have all of them", || {
            let all = world.servers();
            positions.iter().all(|position| world.committed_by(*position) == all).then_some(())
        });
        let mut commands = world.commands(leader);
        commands[1..].sort();
        assert_eq!(commands[1..], (0..5).map(|n| format!("at once {n}")).collect::<Vec<_>>());
        world.finish();
    }
}

#[test]
fn what_a_lone_leader_was_offered_gives_way_when_it_returns() {
    for servers in [3, 5] {
        let world = World::of(servers);
        world.agree("1");
        let first = world.leader();
        world.cut(&[first]);
        let lost = ["lost 1", "lost 2", "lost 3"];
        let lost = lost.map(|command| world.propose(first, command).expect("it does not know"));
        world.agree("2");

        // Now it is the other way round, and the stale log must not win.
        let second = world.leader();
        world.cut(&[second]);
        world.join(&[first]);
        world.agree("3");
        world.join(&[second]);
        world.agree("4");
        for server in world.servers() {
            assert_eq!(world.commands(server), ["1", "2", "3", "4"]);
        }
        assert!(lost.iter().all(|position| world.committed_by(*position).is_empty()));
        world.finish();
    }
}

/// Each of two leaders gets fifty commands that only one follower hears of; between them fifty are
/// committed. Each follower that returns is led back over whole terms, not entry by entry.
#[test]
fn logs_that_differ_in_fifty_entries_are_mended_in_a_few_round_trips() {
    let world = World::of(5);
    world.agree("with all");
    let first = world.leader();
    let (pair, trio) = sides(&world, first);
    world.split(&[&pair, &trio]);
    offer_fifty(&world, first, "lost");

    for number in 0..50 {
        let leader = world.leader();
        world.propose(leader, &format!("kept {number}"));
    }
    let leader = world.leader();
    let last = world.agree("the last of the first trio");
    assert!(last.index > Index(50));

    // One of the three is lost, and its leader gets fifty more that stay on two servers.
    let absent = world.others(&[pair.as_slice(), &[leader]].concat())[0];
    let left = world.others(&[pair.as_slice(), &[absent]].concat());
    world.split(&[&left, &[absent], &pair]);
    offer_fifty(&world, leader, "lost as well");

    let before = world.sent().conflicts;
    let start = Instant::now();
    let merged = [pair.as_slice(), &[absent]].concat();
    world.split(&[&merged, &left]);
    for number in 0..50 {
        let leader = world.leader();
        world.propose(leader, &format!("kept as well {number}"));
    }
    world.agree("the last of the second trio");
    world.heal();
    world.agree("with all again");
    let round_trips = world.sent().conflicts - before;
    println!("mended in {round_trips} extra round trips, {:?}", start.elapsed());
    assert!(round_trips <= 4 * 5, "{round_trips} round trips");
    assert!(start.elapsed() < AGREEMENT);
    world.finish();
}

/// The leader with one follower, and the others.
fn sides(world: &World, leader: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
    let others = world.others(&[leader]);
    (vec![leader, others[0]], others[1..].to_vec())
}

/// Fifty commands to a leader without a majority, which its follower takes.
fn offer_fifty(world: &World, leader: NodeId, command: &str) {
    for number in 0..50 {
        world.propose(leader, &format!("{command} {number}")).expect("it does not know");
    }
    let last = world.look(leader, |view| view.replica.raft.last());
    world.eventually("its follower has them", || {
        let holds = |server| world.look(server, |view| view.replica.raft.log().contains(last));
        (world.servers().into_iter().filter(|server| holds(*server)).count() == 2).then_some(())
    });
}

#[test]
fn commands_offered_by_five_at_once_are_committed_over_a_lossy_network() {
    let world = World::of(5);
    world.weather(lossy(LATE));
    for round in 0..49 {
        let agree = |number| world.agree(&format!("{round}.{number}"));
        thread::scope(|scope| (0..5).for_each(|number| drop(scope.spawn(move || agree(number)))));
    }
    world.calm();
    world.agree("the last");
    let mut commands = world.commands(world.leader());
    assert_eq!(commands.pop(), Some("the last".to_owned()));
    commands.sort();
    let mut expected: Vec<_> =
        (0..49).flat_map(|round| (0..5).map(move |number| format!("{round}.{number}"))).collect();
    expected.sort();
    assert_eq!(commands, expected);
    world.finish();
}
