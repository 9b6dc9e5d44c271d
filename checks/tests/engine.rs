//! The engine says what it knows, and no more.

use std::num::NonZeroUsize;

use checks::counterexample::shortest;
use checks::engine::{self, Options};
use checks::portfolio::{self, Check};
use checks::report::{Report, Verdict};
use model::properties::goals;
use model::system::Scope;

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
