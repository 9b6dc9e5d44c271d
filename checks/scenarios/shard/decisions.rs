//! What goes wrong in the middle of a transaction. No peer looks there.

use std::thread;
use std::time::Duration;

use model::actor::Timing;
use model::kv::command::Output;
use model::shard::ownership::Phase;
use model::shard::txn::coordinator::Stage;
use model::types::NodeId;
use runtime::transport::Plan;

use super::faults::all_goes_wrong;
use super::transactions::{SHARDS, each, groups, keys_of, while_paying};
use crate::world::{LATE, PATIENCE, World, lossy, transaction};

/// Who loses its power in the middle of a transaction.
#[derive(Clone, Copy, Debug)]
enum Victim {
    LeaderOfCoordinator,
    LeaderOfParticipant,
    Coordinator,
    Participant,
    All,
}

const VICTIMS: [Victim; 5] = [
    Victim::LeaderOfCoordinator,
    Victim::LeaderOfParticipant,
    Victim::Coordinator,
    Victim::Participant,
    Victim::All,
];

impl Victim {
    /// Group 1 coordinates, group 2 takes part.
    fn servers(self, world: &World) -> Vec<NodeId> {
        let [coordinator, participant] = [1, 2].map(|group| world.group(group));
        match self {
            Self::LeaderOfCoordinator => vec![world.leader_of(&coordinator)],
            Self::LeaderOfParticipant => vec![world.leader_of(&participant)],
            Self::Coordinator => coordinator,
            Self::Participant => participant,
            Self::All => [coordinator, participant, world.group(3)].concat(),
        }
    }
}

/// One participant has voted, and the other does not hear that it is asked.
fn are_prepared(world: &World) {
    world.eventually("one group has voted and the others know", || {
        let voted = |server: &NodeId| {
            let transactions = world.transactions(*server);
            let prepared = transactions.shares.values().any(|share| share.prepared);
            prepared && !transactions.locks.is_empty()
        };
        let counted = |server: &NodeId| {
            let records = world.transactions(*server).records;
            records.values().any(|record| match &record.stage {
                Stage::Preparing { votes, .. } => votes.len() == 1,
                Stage::Waiting { .. } | Stage::Decided { .. } => false,
            })
        };
        let all = world.group(2).iter().all(voted) && world.group(1).iter().all(counted);
        all.then_some(())
    });
}

fn a_participant_is_not_reached(world: &World) {
    world.part(&world.group(1), &world.group(3));
}

#[test]
fn a_transaction_goes_on_after_crashes_between_vote_and_decision() {
    crash_in_transactions(a_participant_is_not_reached, |world, victims| {
        are_prepared(world);
        world.crash_these(victims);
        world.restart_all();
        // From its disk each knows what it has promised.
        are_prepared(world);
    });
}

#[test]
fn a_transaction_goes_on_after_crashes_between_decision_and_acknowledgement() {
    let slow = |world: &World| {
        // So slow that the middle is not missed.
        let delay_by = Duration::from_millis(40)..Duration::from_millis(60);
        world.weather(Plan { delay: 1.0, delay_by, ..Plan::default() });
    };
    crash_in_transactions(slow, |world, victims| {
        world.eventually("it is decided, and somebody has not said that he knows", || {
            let decided = |server: &NodeId| {
                let records = world.transactions(*server).records;
                records.values().any(|record| matches!(record.stage, Stage::Decided { .. }))
            };
            world.group(1).iter().any(decided).then_some(())
        });
        world.crash_these(victims);
        world.restart_all();
    });
}

/// Begins transactions over three groups in this weather, and cuts everyone's power in the middle,
/// one after the other.
fn crash_in_transactions(weather: fn(&World), crash: fn(&World, &[NodeId])) {
    let world = World::sharded_with(3, 3, SHARDS, Timing::LAN);
    world.administrator().join(&[1, 2, 3]);
    world.settle();
    let keys = keys_of(&world, [1, 2, 3]);
    let [mut clerk, mut reader] = [world.clerk(), world.clerk()];
    let mut expected = String::new();
    for victim in VICTIMS {
        let victims = victim.servers(&world);
        println!("{victim:?}: {victims:?}");
        weather(&world);
        clerk.begin(transaction(&each(&keys, &format!("append KEY {victim:?}."))));
        // The clerk asks until it is answered, or is not needed any more.
        thread::scope(|scope| {
            let asking = scope.spawn(|| clerk.end_within(PATIENCE));
            crash(&world, &victims);
            world.calm();
            world.heal();
            let answer = asking.join().expect("it asks");
            assert_eq!(answer, Some(Output::Committed([].into())));
        });
        expected += &format!("{victim:?}.");
        assert_eq!(reader.transact(&each(&keys, "get KEY")), Ok(vec![expected.clone(); 3]));
        world.eventually("no key is locked", || world.is_idle().then_some(()));
    }
    drop((clerk, reader));
    world.finish();
}

/// A shard with a locked key leaves when the key is free. While a participant is not reached its
/// transaction can not be decided, so it gives up the key and begins anew where the shard is.
#[test]
fn a_shard_leaves_though_a_participant_of_a_transaction_is_not_reached() {
    let world = groups(3);
    let keys = keys_of(&world, [1, 2, 3]);
    let [mut clerk, mut other] = [world.clerk(), world.clerk()];
    let shard = world.shard_of(&keys[1]).0;
    a_participant_is_not_reached(&world);
    clerk.begin(transaction(&each(&keys, "put KEY written")));
    thread::scope(|scope| {
        let asking = scope.spawn(|| clerk.end_within(PATIENCE));
        are_prepared(&world);
        world.administrator().move_shard(shard, 1);
        world.eventually("the shard is where it goes", || {
            let serves = |server: &NodeId| world.phase(*server, shard) == Phase::Serving;
            world.group(1).iter().all(serves).then_some(())
        });
        assert!(!asking.is_finished(), "the other participant has not voted");
        // What does not leave is served meanwhile.
        other.put(&world.key("other", world.owned_by(2)[0], 0), "meanwhile");
        world.heal();
        let answer = asking.join().expect("it asks");
        assert_eq!(answer, Some(Output::Committed([].into())));
    });
    world.settle();
    assert!(world.owned_by(1).contains(&shard));
    assert_eq!(other.transact(&each(&keys, "get KEY")), Ok(vec!["written".to_owned(); 3]));
    drop((clerk, other));
    world.finish();
}

/// What it has given up is carried out or not, and holds nothing in the end.
#[test]
fn a_client_that_gives_up_a_transaction_is_not_in_its_own_way() {
    let world = groups(3);
    let keys = keys_of(&world, [1, 2, 3]);
    let mut clerk = world.clerk();
    for round in 0..5 {
        a_participant_is_not_reached(&world);
        clerk.begin(transaction(&each(&keys, &format!("append KEY {round}"))));
        let asked = |server: &NodeId| !world.transactions(*server).records.is_empty();
        while !world.group(1).iter().any(asked) {
            assert_eq!(clerk.end_within(Duration::from_millis(1)), None);
        }
        clerk.give_up();
        clerk.begin(transaction(&each(&keys, "get KEY")));
        assert_eq!(clerk.end_within(Duration::from_millis(100)), None);
        world.heal();
        let Some(Output::Committed(found)) = clerk.end_within(PATIENCE) else {
            panic!("a transaction of gets is not refused")
        };
        assert!(found.iter().all(|value| *value == found[0]), "{found:?}");
        world.eventually("no key is locked", || world.is_idle().then_some(()));
    }
    drop(clerk);
    world.finish();
}

#[test]
fn transactions_go_on_while_shards_move_and_all_of_it_goes_wrong() {
    let world = groups(3);
    while_paying(&world, lossy(LATE), || all_goes_wrong(&world));
    world.finish();
}
