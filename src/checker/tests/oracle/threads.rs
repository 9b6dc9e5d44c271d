//! Any number of threads comes to the same result.

use checker::examples::register::{self, Host, Past, State};
use checker::{Boundary, Coverage, Property, Reads};
use stateright::actor::{LossyNetwork, Network};

use crate::agree::{assert_leads, search, steps, system};
use crate::models::odometer::{self, never_adds_up_to, size};
use crate::models::recovery;

/// Asks what is read, and what has been noted so often.
fn goals() -> Vec<Property<Host, Past>> {
    let read = |state: &&State| matches!(state, State::Client { read: Some(_), .. });
    let all = move |all: &[&State]| {
        if all[1..].iter().all(read) { Ok(()) } else { Err("not yet".into()) }
    };
    let many = |past: &Past| if past.len() == 7 { Ok(()) } else { Err("not so many".into()) };
    vec![
        Property::sometimes("all read", Reads::Actors { view: None, judge: Box::new(all) }),
        Property::sometimes("seven notes", Reads::History(Box::new(many))),
    ]
}

#[test]
fn counts_and_distances_do_not_depend_on_threads() {
    let model = register::model(2, 2).init_network(Network::new_unordered_duplicating([]));
    let reports = [1, 2, 3].map(|threads| {
        let mut system = system(&model, true);
        (system.boundary, system.properties) = (Boundary::Open, goals());
        search(system, threads)
    });
    assert!(reports[0].unique > 50_000, "{} states", reports[0].unique);
    for report in &reports {
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
        assert_eq!(report.unique, reports[0].unique);
        assert_eq!(report.generated, reports[0].generated);
        assert_eq!(report.depth, reports[0].depth);
        assert_eq!(report.parts, reports[0].parts);
        for goal in goals() {
            let distance = steps(report, goal.name);
            assert!(distance.is_some(), "{}", goal.name);
            assert_eq!(distance, steps(&reports[0], goal.name), "{}", goal.name);
        }
        report.found.iter().for_each(|found| assert_leads(&model, found));
    }
}

#[test]
fn broken_promises_do_not_depend_on_threads() {
    let model = recovery::model(2, 2, 2)
        .init_network(Network::new_unordered_nonduplicating([]))
        .lossy_network(LossyNetwork::Yes);
    let reports = [1, 2, 3].map(|threads| search(system(&model, false), threads));
    for report in &reports {
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::UntilBroken, None));
        assert_eq!(report.unique, reports[0].unique);
        assert_eq!(report.generated, reports[0].generated);
        for property in &model.properties {
            let name = property.name;
            assert_eq!(steps(report, name), steps(&reports[0], name), "{name}");
        }
        report.found.iter().for_each(|found| assert_leads(&model, found));
    }
}

/// Levels wide enough for all threads, whose states can be counted by reasoning.
#[test]
fn all_states_are_found_by_many_threads() {
    for threads in [2, 3, 8] {
        let mut system = odometer::system(3, 50);
        system.properties = vec![never_adds_up_to(149)];
        let report = search(system, threads);
        assert_eq!(report.coverage, Coverage::UntilBroken);
        assert_eq!(report.unique, size(3, 50).0 - 1);
        assert_eq!(steps(&report, "sum"), Some(149));
    }
}
