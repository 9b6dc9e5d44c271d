//! Transactions, of one group and over several, while nothing goes wrong and while all of it does.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use model::actor::Timing;
use model::kv::command::Output;
use model::kv::transaction::{Reason, Refusal};
use model::shard::ownership::Phase;
use model::shard::txn::coordinator::Stage;
use model::types::NodeId;
use runtime::transport::Plan;

use super::clients::{PAUSE, Stop};
use super::waiting::{LENGTH, LIMIT_OF_MOVES, leaky, shards_move};
use crate::world::{Clerk, PATIENCE, World, transaction};

const SHARDS: u16 = 10;

const CLIENTS: usize = 5;

/// The peers' limit on waits.
const LIMIT: Duration = LIMIT_OF_MOVES;

/// So many groups of three servers, all of which have joined.
fn groups(count: u16) -> World {
    let world = World::sharded(count, 3, SHARDS);
    world.administrator().join(&(1..=count).collect::<Vec<_>>());
    world.settle();
    world
}

/// A key for each of these groups, in shards that the group owns. The first is the least: its group
/// coordinates what needs them all.
fn keys_of<const COUNT: usize>(world: &World, groups: [u16; COUNT]) -> [String; COUNT] {
    let mut names = 'a'..;
    groups.map(|group| {
        let name = names.next().expect("few groups").to_string();
        world.key(&name, world.owned_by(group)[0], 0)
    })
}

/// The same step for each of these keys: `KEY` stands for it.
fn each(keys: &[String], step: &str) -> Vec<String> {
    keys.iter().map(|key| step.replace("KEY", key)).collect()
}

#[test]
fn steps_take_effect_together_in_one_group() {
    steps_take_effect_together(1);
}

#[test]
fn steps_take_effect_together_over_two_groups() {
    steps_take_effect_together(2);
}

fn steps_take_effect_together(count: u16) {
    let world = groups(count);
    let keys = world.keys("k", usize::from(SHARDS));
    let mut clerk = world.clerk();
    let missing = each(&keys, "check KEY missing");
    clerk.transact(&[missing, each(&keys, "put KEY of-KEY")].concat()).expect("there is nothing");
    let read = each(&keys, "get KEY");
    assert_eq!(clerk.transact(&read), Ok(each(&keys, "of-KEY")));

    let [one, .., other] = &keys[..] else { panic!("two keys") };
    clerk.transact(&[format!("swap {one} {other}")]).expect("both are there");
    let found = clerk.transact(&[format!("get {one}"), format!("get {other}")]);
    assert_eq!(found, Ok(vec![format!("of-{other}"), format!("of-{one}")]));
    // What is missing changes places, too.
    let [none, nothing] = &[0, 9].map(|shard| world.key("none", shard, 0));
    clerk.transact(&[format!("swap {one} {nothing}")]).expect("one of them is there");
    let gone = [format!("check {one} missing"), format!("get {nothing}")];
    assert_eq!(clerk.transact(&gone), Ok(vec![format!("of-{other}")]));

    // If a step cannot be carried out, none is, wherever it stands.
    let before = clerk.transact(&read);
    let mut steps = each(&keys[1..], "append KEY !");
    steps.push(format!("put {one} ${none}"));
    assert_eq!(clerk.transact(&steps), Err(Refusal { step: 9, reason: Reason::Missing }));
    steps[9] = format!("check {other} = else");
    let found = clerk.get(other) + "!";
    let reason = Reason::Found(Some(found.into()));
    assert_eq!(clerk.transact(&steps), Err(Refusal { step: 9, reason }));
    assert_eq!(clerk.transact(&read), before);
    drop(clerk);
    world.finish();
}

#[test]
fn groups_that_do_not_reach_each_other_carry_out_what_is_their_own_and_nothing_else() {
    let world = groups(2);
    // Either group coordinates one.
    let across = [[1, 2], [2, 1]].map(|groups| keys_of(&world, groups));
    let own = [1, 2].map(|group| {
        let shards = world.owned_by(group);
        [0, 1].map(|nth| world.key("own", shards[nth], nth))
    });
    let [mut left, mut right] = [world.clerk(), world.clerk()];
    world.part(&world.group(1), &world.group(2));
    let mut stuck = across.each_ref().map(|keys| {
        let mut clerk = world.clerk();
        clerk.begin(transaction(&each(keys, "put KEY across")));
        clerk
    });
    let start = Instant::now();
    while start.elapsed() < LENGTH / 2 {
        for (clerk, keys) in [&mut left, &mut right].into_iter().zip(&own) {
            clerk.transact(&each(keys, "append KEY x")).expect("there is no check");
        }
        for clerk in &mut stuck {
            assert_eq!(clerk.end_within(Duration::from_millis(1)), None);
        }
    }
    world.heal();
    let healed = Instant::now();
    for clerk in &mut stuck {
        let left = LIMIT.saturating_sub(healed.elapsed());
        assert_eq!(clerk.end_within(left), Some(Output::Committed([].into())));
    }
    println!("{:?} after healing", healed.elapsed());
    for keys in &across {
        assert_eq!(left.transact(&each(keys, "get KEY")), Ok(vec!["across".to_owned(); 2]));
    }
    drop((stuck, left, right));
    world.finish();
}

/// Clients of their own carry this out round after round, and another one reads all the while.
fn while_reading(
    world: &World,
    clients: usize,
    rounds: usize,
    write: impl Fn(&mut Clerk<'_>, usize, usize) + Sync,
    mut read: impl FnMut(&mut Clerk<'_>),
) {
    thread::scope(|scope| {
        let writers: Vec<_> = (0..clients)
            .map(|client| {
                let write = &write;
                scope.spawn(move || {
                    let mut clerk = world.clerk();
                    (0..rounds).for_each(|round| write(&mut clerk, client, round));
                })
            })
            .collect();
        let mut clerk = world.clerk();
        while !writers.iter().all(ScopedJoinHandle::is_finished) {
            read(&mut clerk);
        }
        read(&mut clerk);
    });
}

#[test]
fn nobody_reads_half_of_what_is_written_as_one() {
    let world = groups(2);
    let keys = world.keys("k", usize::from(SHARDS));
    let all = each(&keys, "get KEY");
    let write = |clerk: &mut Clerk<'_>, client, round| {
        clerk.transact(&each(&keys, &format!("put KEY {client}.{round}"))).expect("no check");
    };
    while_reading(&world, 2, 100, write, |clerk| {
        let found = clerk.transact(&all).expect("there is no check");
        assert!(found.iter().all(|value| *value == found[0]), "{found:?}");
    });
    world.finish();
}

/// Each is coordinated by another group than the next, and waits for the others in a third.
#[test]
fn rivals_for_the_same_keys_all_get_their_turn() {
    let world = groups(3);
    let wanted = [1, 2, 3].map(|group| world.key("wanted", world.owned_by(group)[0], 0));
    let (clients, rounds) = (6, 20);
    let own: Vec<_> = (0..clients)
        .map(|client| world.key("own", world.owned_by(client as u16 % 3 + 1)[0], client))
        .collect();
    let all = each(&wanted, "get KEY");
    let mut last = String::from("0");
    let write = |clerk: &mut Clerk<'_>, client: usize, round| {
        let add = [each(&own[client..=client], "add KEY 1"), each(&wanted, "add KEY 1")].concat();
        let check = format!("check {} = {round}", own[client]);
        let first = if round == 0 { vec![] } else { vec![check] };
        clerk.transact(&[first, add].concat()).expect("each round is the next");
    };
    while_reading(&world, clients, rounds, write, |clerk| {
        let found = clerk.transact(&all).expect("there is no check");
        assert!(found.iter().all(|value| *value == found[0]), "{found:?}");
        last.clone_from(&found[0]);
    });
    assert_eq!(last, (clients * rounds).to_string());
    world.finish();
}

#[test]
fn values_that_change_places_in_opposite_order_are_neither_lost_nor_doubled() {
    let world = groups(3);
    let [a, b, c] = &keys_of(&world, [1, 2, 3]);
    let swaps = [(a, b), (b, a), (b, c), (c, b), (c, a), (a, c)];
    let keys = [a, b, c].map(String::clone);
    let mut clerk = world.clerk();
    clerk.transact(&each(&keys, "put KEY KEY")).expect("there is no check");
    let write = |clerk: &mut Clerk<'_>, client: usize, _| {
        let (one, other) = swaps[client];
        let steps = [format!("swap {one} {other}"), format!("get {one}"), format!("get {other}")];
        let found = clerk.transact(&steps).expect("there is no check");
        assert_ne!(found[0], found[1]);
    };
    while_reading(&world, swaps.len(), 20, write, |clerk| {
        let mut found = clerk.transact(&each(&keys, "get KEY")).expect("there is no check");
        found.sort_unstable();
        assert_eq!(found, keys);
    });
    drop(clerk);
    world.finish();
}

/// What would be written before a check fails in another group, or behind it.
#[test]
fn nobody_reads_what_is_not_committed() {
    let world = groups(2);
    let [a, b] = &keys_of(&world, [1, 2]);
    let keys = [a.clone(), b.clone()];
    let mut clerk = world.clerk();
    clerk.transact(&each(&keys, "put KEY 0")).expect("there is no check");
    let write = |clerk: &mut Clerk<'_>, client: usize, _| {
        let (one, other) = if client == 0 { (a, b) } else { (b, a) };
        let refused = [format!("put {one} never"), format!("check {other} = never")];
        assert!(clerk.transact(&refused).is_err());
        clerk.transact(&each(&keys, "add KEY 1")).expect("both are numbers");
    };
    while_reading(&world, 2, 50, write, |clerk| {
        let found = [clerk.get(a), clerk.get(b)];
        assert!(found.iter().all(|value| value != "never"), "{found:?}");
        let found = clerk.transact(&each(&keys, "get KEY")).expect("there is no check");
        assert_eq!(found[0], found[1]);
    });
    assert_eq!(clerk.transact(&each(&keys, "get KEY")), Ok(vec!["100".to_owned(); 2]));
    drop(clerk);
    world.finish();
}

#[test]
fn nobody_waits_four_seconds_for_a_transaction() {
    transactions_during(Plan::default(), |world| world.pass(LENGTH));
}

#[test]
fn nobody_waits_four_seconds_for_a_transaction_while_messages_are_lost() {
    transactions_during(leaky(), |world| world.pass(LENGTH));
}

#[test]
fn nobody_waits_four_seconds_for_a_transaction_while_shards_move_and_messages_are_lost() {
    transactions_during(leaky(), shards_move);
}

/// Five clients pay each other from ten accounts, one of each shard, while there is trouble.
fn transactions_during(weather: Plan, trouble: fn(&World)) {
    let world = groups(3);
    let accounts = world.keys("account", usize::from(SHARDS));
    let mut clerk = world.clerk();
    clerk.transact(&each(&accounts, "put KEY 100")).expect("there is no check");
    world.weather(weather);
    let (start, stop) = (Instant::now(), Stop::default());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut clerk = world.clerk();
                while !stop.is_set() {
                    pay(&world, &mut clerk, &accounts);
                    world.pass(PAUSE);
                }
            });
        }
        let _stop = stop.at_the_end();
        while start.elapsed() < LENGTH {
            trouble(&world);
        }
    });
    let waits = world.waits(start);
    println!("{} transactions, {:?} at most", waits.len(), waits.last());
    assert!(waits.last() < Some(&LIMIT), "{:?}", waits.last());
    expect_sum(&mut clerk, &accounts);
    drop(clerk);
    world.finish();
}

/// Any transaction after which there is as much as before.
fn pay(world: &World, clerk: &mut Clerk<'_>, accounts: &[String]) {
    let one = world.below(accounts.len());
    let other = (one + 1 + world.below(accounts.len() - 1)) % accounts.len();
    let [one, other] = [one, other].map(|number| &accounts[number]);
    let read = [format!("get {one}"), format!("get {other}")];
    match world.below(4) {
        0 => expect_sum(clerk, accounts),
        1 => {
            let swap = [&read[..], &[format!("swap {one} {other}")], &read].concat();
            let found = clerk.transact(&swap).expect("there is no check");
            assert_eq!([&found[0], &found[1]], [&found[3], &found[2]]);
        }
        _ => {
            let amount = 1 + world.below(50);
            let pay = [
                format!("check {one} >= {amount}"),
                format!("add {one} -{amount}"),
                format!("add {other} {amount}"),
            ];
            if let Err(refusal) = clerk.transact(&[&pay[..], &read].concat()) {
                assert_eq!(refusal.step, 0, "{refusal:?}");
            }
        }
    }
}

fn expect_sum(clerk: &mut Clerk<'_>, accounts: &[String]) {
    let found = clerk.transact(&each(accounts, "get KEY")).expect("there is no check");
    let amounts = found.iter().map(|value| value.parse::<i64>().expect("a number"));
    assert_eq!(amounts.sum::<i64>(), 100 * accounts.len() as i64, "{found:?}");
}

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
        let shares = |server: &NodeId| world.transactions(*server).shares;
        let voted = |server| shares(server).values().any(|share| share.prepared);
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

/// It leaves with the lock when it is free, and not before.
#[test]
fn a_shard_with_a_locked_key_stays_until_the_transaction_is_decided() {
    let world = groups(3);
    let keys = keys_of(&world, [1, 2, 3]);
    let [mut clerk, mut other] = [world.clerk(), world.clerk()];
    let shard = world.shard_of(&keys[1]).0;
    a_participant_is_not_reached(&world);
    clerk.begin(transaction(&each(&keys, "put KEY written")));
    thread::scope(|scope| {
        let asking = scope.spawn(|| clerk.end_within(PATIENCE));
        are_prepared(&world);
        let last = world.administrator().move_shard(shard, 1);
        world.eventually("the others know of the move", || {
            let know = |group| world.group(group).iter().all(|s| world.reached(*s) == last);
            know(1).then_some(())
        });
        assert!(world.group(2).iter().all(|s| world.phase(*s, shard) == Phase::Serving));
        // What is not leaving is served meanwhile.
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
