//! Transactions, of one group and over several: that each is one, and how long it takes.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use model::kv::command::Output;
use model::kv::transaction::{Reason, Refusal};
use runtime::transport::Plan;

use super::clients::{PAUSE, Stop};
use super::waiting::{LENGTH, LIMIT_OF_MOVES, leaky, shards_move};
use crate::world::{Clerk, World, transaction};

pub const SHARDS: u16 = 10;

const CLIENTS: usize = 5;

/// The peers' limit on waits.
const LIMIT: Duration = LIMIT_OF_MOVES;

/// So many groups of three servers, all of which have joined.
pub fn groups(count: u16) -> World {
    let world = World::sharded(count, 3, SHARDS);
    world.administrator().join(&(1..=count).collect::<Vec<_>>());
    world.settle();
    world
}

/// A key for each of these groups, in shards that the group owns. The first is the least: its group
/// coordinates what needs them all.
pub fn keys_of<const COUNT: usize>(world: &World, groups: [u16; COUNT]) -> [String; COUNT] {
    let mut names = 'a'..;
    groups.map(|group| {
        let name = names.next().expect("few groups").to_string();
        world.key(&name, world.owned_by(group)[0], 0)
    })
}

/// The same step for each of these keys: `KEY` stands for it.
pub fn each(keys: &[String], step: &str) -> Vec<String> {
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

fn transactions_during(weather: Plan, trouble: fn(&World)) {
    let world = groups(3);
    let start = Instant::now();
    while_paying(&world, weather, || {
        while start.elapsed() < LENGTH {
            trouble(&world);
        }
    });
    let waits = world.waits(start);
    println!("{} transactions, {:?} at most", waits.len(), waits.last());
    assert!(waits.last() < Some(&LIMIT), "{:?}", waits.last());
    world.finish();
}

/// Five clients pay each other from ten accounts, one of each shard, in this weather, while
/// something happens. In the end there is as much as before.
pub fn while_paying(world: &World, weather: Plan, meanwhile: impl FnOnce()) {
    let accounts = world.keys("account", usize::from(SHARDS));
    let mut clerk = world.clerk();
    clerk.transact(&each(&accounts, "put KEY 100")).expect("there is no check");
    world.weather(weather);
    let stop = Stop::default();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut clerk = world.clerk();
                while !stop.is_set() {
                    pay(world, &mut clerk, &accounts);
                    world.pass(PAUSE);
                }
            });
        }
        let _stop = stop.at_the_end();
        meanwhile();
    });
    expect_sum(&mut clerk, &accounts);
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
