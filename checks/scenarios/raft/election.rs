//! Who leads.

use model::actor::Timing;

use crate::world::{STEADY, World};

#[test]
fn a_leader_is_found_and_stays_while_nothing_fails() {
    for servers in [3, 5] {
        let world = World::with(servers, STEADY);
        let leader = world.leader();
        world.eventually("all are in one term", || {
            let term = world.term(leader);
            world.servers().iter().all(|server| world.term(*server) == term).then_some(())
        });
        let term = world.term(leader);
        world.pass_elections(2);
        assert_eq!(world.leader_now(), Some(leader));
        assert!(world.servers().iter().all(|server| world.term(*server) == term));
        world.finish();
    }
}

#[test]
fn a_lost_leader_is_replaced_and_returns_quietly() {
    for servers in [3, 5] {
        let world = World::with(servers, Timing::LAN);
        let first = world.leader();
        world.cut(&[first]);
        let second = world.leader();
        assert_ne!(first, second);
        let term = world.term(second);
        world.join(&[first]);
        world.eventually("the first leader follows", || (!world.leads(first)).then_some(()));
        let leader = world.leader();
        assert_eq!((leader, world.term(leader)), (second, term));

        // Without a majority nobody leads; the leader that is alone cannot know.
        let majority = usize::from(servers) / 2 + 1;
        let lost: Vec<_> = [vec![leader], world.others(&[leader])].concat();
        let (lost, left) = lost.split_at(majority);
        world.cut(lost);
        world.pass_elections(2);
        assert_eq!(world.leader_now(), None);
        assert!(left.iter().all(|server| !world.leads(*server)));

        world.join(&lost[1..]);
        assert_ne!(world.leader(), leader);
        world.join(&[leader]);
        let _ = world.leader();
        world.finish();
    }
}

#[test]
fn any_four_of_seven_servers_find_a_leader() {
    let world = World::of(7);
    let _ = world.leader();
    for _ in 0..10 {
        let mut servers = world.servers();
        let lost: Vec<_> =
            (0..3).map(|_| servers.swap_remove(world.below(servers.len()))).collect();
        world.cut(&lost);
        let leader = world.leader();
        assert!(servers.contains(&leader));
        world.join(&lost);
        let _ = world.leader();
    }
    world.finish();
}

#[test]
fn a_follower_that_nobody_hears_does_no_harm() {
    let world = World::of(3);
    let leader = world.leader();
    let mute = world.others(&[leader])[0];
    world.mute(mute);
    let position = world.agree("without it");
    world.eventually("the mute follower follows all the same", || {
        world.committed_by(position).contains(&mute).then_some(())
    });
    world.heal();
    world.agree("with it");
    world.finish();
}
