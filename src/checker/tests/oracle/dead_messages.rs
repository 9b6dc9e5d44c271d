//! Messages that a protocol declares dead are forgotten, and wrong declarations are found.

use checker::report::DEAD_MESSAGES;
use checker::{Coverage, Dead, Expectation};
use stateright::actor::Id;

use crate::agree::{search, steps};
use crate::models::numbers::{Host, State, system};

/// Sound, while nobody forgets what has been seen.
fn seen(_: Id, state: &State, _: Id, number: &u8) -> bool {
    *number <= state.seen
}

/// Never sound: the next number is not dead.
fn nearly_seen(_: Id, state: &State, _: Id, number: &u8) -> bool {
    state.seen > 0 && *number <= state.seen + 1
}

fn rule(is_dead: fn(Id, &State, Id, &u8) -> bool) -> Dead<Host> {
    Dead { is_dead, once_spent: None, verify: true }
}

#[test]
fn sound_rule_has_fewer_states_and_the_same_verdicts() {
    for threads in [1, 2] {
        let whole = search(system(5, 0), threads);
        let mut reduced = system(5, 0);
        reduced.dead = Some(rule(seen));
        let reduced = search(reduced, threads);
        for report in [&whole, &reduced] {
            assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
            assert_eq!(steps(report, "in order"), Some(3));
            assert_eq!(steps(report, "twice"), None);
        }
        // The history tells which numbers have been received; the network then follows from it.
        assert_eq!(whole.unique, 1 << 5);
        assert_eq!(reduced.unique, whole.unique);
    }
}

#[test]
fn dead_messages_are_no_longer_told_apart() {
    let unique = |dead| {
        let mut system = system(5, 0);
        system.model = system.model.record_msg_in(|(), _, _| None);
        system.model.lossy_network = stateright::actor::LossyNetwork::Yes;
        system.dead = dead;
        let report = search(system, 1);
        assert_eq!((report.coverage, report.found.len()), (Coverage::Complete, 0));
        report.unique
    };
    // Any number has been seen, and any are still under way; if it was seen it was under way, and
    // may be lost by now.
    assert_eq!(unique(None), 6 << 5);
    // Only larger numbers are.
    assert_eq!(unique(Some(rule(seen))), (0..=5).map(|seen| 1 << (5 - seen)).sum::<usize>());
}

#[test]
fn wrong_rule_is_found() {
    for threads in [1, 2] {
        let mut system = system(3, 0);
        system.dead = Some(rule(nearly_seen));
        let report = search(system, threads);
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::UntilBroken, None));
        let found = report.found(DEAD_MESSAGES).expect("the wrong rule");
        assert_eq!((found.expectation, found.trace.steps.len()), (Expectation::Always, 1));
        assert!(found.detail.contains("is said to be dead"), "{}", found.detail);
        assert!(found.detail.contains("seen: 2"), "{}", found.detail);
    }
}

/// Before anything happens, and although nothing ever does.
#[test]
fn wrong_rule_is_found_in_the_first_state() {
    let mut system = system(3, 0);
    system.dead = Some(rule(|_, _, _, _| true));
    let report = search(system, 1);
    assert_eq!(report.coverage, Coverage::UntilBroken);
    let found = report.found(DEAD_MESSAGES).expect("the wrong rule");
    assert!(found.trace.steps.is_empty());
    assert!(found.detail.contains("is said to be dead"), "{}", found.detail);
}

#[test]
fn wrong_rule_that_is_not_verified_hides_states() {
    let mut system = system(3, 0);
    system.dead = Some(Dead { verify: false, ..rule(nearly_seen) });
    let report = search(system, 1);
    assert_eq!((report.coverage, report.found.len()), (Coverage::Complete, 0));
}

/// While one may still forget what it has seen, what it has seen proves nothing.
#[test]
fn rule_waits_for_its_budget_to_be_spent() {
    let reached = |once_spent, dead: bool| {
        let mut system = system(2, 1);
        system.dead = dead.then(|| Dead { once_spent, ..rule(seen) });
        let report = search(system, 1);
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
        (report.unique, steps(&report, "twice"))
    };
    let (whole, in_full) = reached(None, false);
    assert_eq!(in_full, Some(3));
    let (reduced, in_time) = reached(Some(0), true);
    assert_eq!(in_time, Some(3));
    assert!(reduced <= whole);
    let (_, too_early) = reached(None, true);
    assert_eq!(too_early, None);
}

/// Right when it speaks, and later not of the same opinion: no search sees that, for what has been
/// forgotten does not come again.
#[test]
fn rule_that_changes_its_mind_is_found() {
    let mut system = system(3, 0);
    system.dead = Some(rule(|_, state, _, number| state.seen == 1 && *number == 1));
    let report = search(system, 1);
    let found = report.found(DEAD_MESSAGES).expect("the rule");
    assert!(found.detail.contains("not to be any more"), "{}", found.detail);
}
