//! The engine says what it knows, and no more.

use std::num::NonZeroUsize;

use checks::counterexample::shortest;
use checks::engine::{self, Options};
use checks::portfolio::{self, Check};
use checks::replay::{Recording, replay};
use checks::report::{Report, Verdict};
use checks::stage::{self, Stage};
use checks::story::Step;
use model::properties::{Holds, Property, Reads, goals};
use model::system::{Scope, SystemState};
use model::violation::Violation;

fn small() -> Check {
    *portfolio::find("election-5").expect("a check of that name")
}

fn run(check: &Check, threads: usize) -> Report {
    engine::run(check, Options::on(NonZeroUsize::new(threads).expect("not zero")), |_| {})
}

fn verdict_of(report: &Report, property: &str) -> Verdict {
    let found = report.properties.iter().find(|p| p.name == property);
    found.expect("a property of that name").verdict
}

#[test]
fn complete_search_passes_with_any_number_of_threads_and_equal_counts() {
    let reports = [1, 2, 3].map(|threads| run(&small(), threads));
    for report in &reports {
        assert_eq!(report.verdict, Verdict::Passed);
        assert_eq!(report.unique_states, reports[0].unique_states);
        assert_eq!(report.total_states, reports[0].total_states);
    }
}

#[test]
fn other_number_of_states_than_pinned_fails() {
    let check = Check { unique_states: small().unique_states + 1, ..small() };
    assert_eq!(run(&check, 2).verdict, Verdict::Failed);
}

#[test]
fn goal_out_of_reach_fails() {
    // Within one term nobody is replaced.
    let check = Check { goals: &[goals::LEADER_REPLACED], ..small() };
    let report = run(&check, 2);
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(verdict_of(&report, "leader_replaced"), Verdict::Failed);
    assert_eq!(verdict_of(&report, "election_safety"), Verdict::Passed);
}

/// Searches a check from the nearest state that satisfies this goal.
fn staged(check: &Check, goal: &str) -> Report {
    let options = Options::on(NonZeroUsize::MIN);
    let way = stage::way_to(goal, check, options, |_| {}).expect("a way to it");
    let stage = Stage::at_end_of(&way, check, goal.into()).expect("the same code");
    let report = engine::run(check, Options { stage: Some(&stage), ..options }, |_| {});
    let told = report.stage.as_ref().expect("where it started");
    assert_eq!((told.from.as_str(), told.steps), (goal, way.counterexample.steps.len()));
    report
}

#[test]
fn staged_search_passes_from_its_stage_only() {
    let check = *portfolio::find("one-term").expect("a check of that name");
    let report = staged(&check, "committed");
    assert_eq!(report.verdict, Verdict::PassedFromStage);
    assert!(report.unique_states < check.unique_states, "pinned are all: that is no failure");
    assert_eq!(verdict_of(&report, "all_done"), Verdict::Passed);
    assert_eq!(verdict_of(&report, "log_matching"), Verdict::PassedFromStage);
}

#[test]
fn staged_search_says_nothing_of_what_it_comes_too_late_for() {
    let check = *portfolio::find("one-term").expect("a check of that name");
    let report = staged(&check, "all_done");
    assert_eq!(report.verdict, Verdict::PassedFromStage);
    assert_eq!(verdict_of(&report, "read_sees_write"), Verdict::Incomplete);
    assert_eq!(verdict_of(&report, "recoverable"), Verdict::Incomplete);
}

#[test]
fn promise_broken_behind_a_stage_is_told_from_the_first_state() {
    const NEVER: Property = Property {
        name: "never_done",
        statement: "Something is always left to be done.",
        goal: false,
        reads: Reads::State(not_done),
    };
    fn not_done(state: &SystemState) -> Holds {
        let done = goals::ALL_DONE.holds(state);
        if done { Err(Violation::new(NEVER.name, "all is done")) } else { Ok(()) }
    }
    let check = *portfolio::find("one-term").expect("a check of that name");
    let way = stage::way_to("committed", &check, Options::on(NonZeroUsize::MIN), |_| {});
    let way = way.expect("a way to it");
    let stage = Stage::at_end_of(&way, &check, "committed".into()).expect("the same code");
    let broken = Check { goals: &[NEVER], ..check };
    let options = Options { stage: Some(&stage), ..Options::on(NonZeroUsize::MIN) };
    let report = engine::run(&broken, options, |_| {});
    let counterexample = report.counterexample.expect("how all is done");
    assert_eq!((report.verdict, counterexample.staged), (Verdict::Failed, stage.actions.len()));
    assert!(counterexample.staged < counterexample.steps.len());
    let recording = Recording { check: check.name.into(), counterexample };
    let again = replay(&recording).expect("the same code");
    let told = |steps: &[Step]| steps.iter().map(|step| step.changes.clone()).collect::<Vec<_>>();
    assert_eq!(told(&again.steps), told(&recording.counterexample.steps));
}

#[test]
fn no_search_starts_from_a_goal_out_of_reach() {
    let check = Check { goals: &[goals::LEADER_REPLACED], ..small() };
    let way = stage::way_to("leader_replaced", &check, Options::on(NonZeroUsize::MIN), |_| {});
    assert!(matches!(way, Err(stage::Error::OutOfReach { .. })), "within one term");
}

#[test]
fn search_that_breaks_down_is_incomplete() {
    // A client of no server at all.
    let senseless = || Scope {
        servers: 0,
        clients: vec![vec![portfolio::append("a")]],
        ..(portfolio::find("election-5").expect("a check of that name").scope)()
    };
    let check = Check { scope: senseless, ..small() };
    let report = run(&check, 2);
    assert_eq!(report.verdict, Verdict::Incomplete);
    assert_eq!(verdict_of(&report, "election_safety"), Verdict::Incomplete);
    assert!(report.error.is_some_and(|error| error.contains("divisor of zero")));
}

#[test]
fn shortest_path_is_the_shortest() {
    // Of three: a timeout, one request for a vote, one vote.
    let check = portfolio::find("core").expect("a check of that name");
    let system = check.system();
    let path = shortest(&system, |state| goals::LEADER_ELECTED.holds(state));
    assert_eq!(path.expect("a leader").len(), 3);
}
