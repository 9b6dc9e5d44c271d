//! The random driver: what it says does not depend on luck, and short runs find nothing.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;

use checks::driver::coverage::Kind;
use checks::driver::episode::{self, Outcome};
use checks::driver::event::Event;
use checks::driver::plan::{Family, Plan};
use checks::driver::run::{self, Options, Report};

fn episode(family: Family, seed: u64) -> Outcome {
    episode::run(&Plan::of(family, seed), &AtomicU64::new(0))
}

fn drive(family: Family) -> Report {
    let (operations, threads) = (30_000, NonZeroUsize::MIN);
    run::run(Options { family, operations, time: None, seed: 1, threads }, |_| {})
}

fn finds_nothing(family: Family) {
    let report = drive(family);
    assert!(report.finding.is_none(), "{:?}", report.finding);
    assert!(report.progress.operations >= 30_000);
}

#[test]
fn a_seed_gives_the_same_episode_each_time() {
    for family in Family::ALL {
        for seed in 1..6 {
            let (one, other) = (episode(family, seed), episode(family, seed));
            let told = |outcome: &Outcome| (outcome.steps, outcome.operations);
            assert_eq!(told(&one), told(&other));
            assert_eq!(one.coverage, other.coverage);
            assert_eq!(one.broken, other.broken);
        }
        assert_ne!(episode(family, 1).coverage, episode(family, 2).coverage);
    }
}

#[test]
fn events_of_an_episode_are_taken_again_to_the_same_end() {
    let plan = Plan::of(Family::Ones, 3);
    let events = episode::events(&plan, u64::MAX);
    let again = episode::replay(&plan, &events, |_, _| {});
    assert_eq!(again.broken, None);
    let outcome = episode::run(&plan, &AtomicU64::new(0));
    assert_eq!(
        again.coverage.of(Kind::EntryTransaction),
        outcome.coverage.of(Kind::EntryTransaction)
    );
}

#[test]
fn events_that_make_no_sense_do_nothing() {
    let plan = Plan::of(Family::Threes, 3);
    let events = [
        Event::Deliver("nobody -> 0: anything".into()),
        Event::Crash(999),
        Event::Begin(999, 1),
        Event::GiveUp(0),
        Event::Stop(1),
        Event::Order(9, 1),
    ];
    assert_eq!(episode::replay(&plan, &events, |_, _| {}).broken, None);
}

#[test]
fn groups_of_one_keep_their_promises() {
    finds_nothing(Family::Ones);
}

#[test]
fn groups_of_three_keep_their_promises() {
    finds_nothing(Family::Threes);
}

#[test]
fn groups_that_come_and_go_keep_their_promises() {
    finds_nothing(Family::Moves);
}

/// Each of these episodes has found a bug that is mended (`docs/driver.md`).
#[test]
fn episodes_that_have_found_something_find_it_no_more() {
    for (family, seed) in [
        (Family::Moves, 168_316), // One name for two transactions.
        (Family::Ones, 396_893),  // A wound that is lost.
        (Family::Moves, 13),      // A group that is stopped too early.
        (Family::Moves, 33),      // A refusal that is forgotten.
        (Family::Ones, 220),      // A waiting transaction that is overtaken.
        (Family::Threes, 122),
    ] {
        let outcome = episode(family, seed);
        assert_eq!(outcome.broken, None, "{family:?} {seed}");
    }
}
