//! Handlers that panic, or are not functions of what they are given.

use checker::report::NO_PANIC;
use checker::{Boundary, Coverage, Expectation, Trouble};
use stateright::Model;
use stateright::actor::{ActorModel, ActorModelAction, Id};

use crate::agree::{search, system};
use crate::models::bomb::{self, Host, Wrong};

/// The last step of the way to a panic, and how long the way is.
fn panics(model: &ActorModel<Host, (), ()>) -> (ActorModelAction<u8, (), bool>, usize) {
    let reports = [1, 3].map(|threads| search(system(model, false), threads));
    let ways = reports.map(|report| {
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::UntilBroken, None));
        let found = report.found(NO_PANIC).expect("a panic");
        assert_eq!((found.expectation, report.broken().count()), (Expectation::Always, 1));
        assert_eq!(found.detail, "boom at 2");
        let (last, way) = found.trace.steps.split_last().expect("a step");
        let mut state = model.init_states().remove(0);
        for (action, after) in way {
            state = model.next_state(&state, action.clone()).expect("a state");
            assert_eq!(*after, state);
        }
        assert_eq!(last.1, state, "a step that panics changes nothing");
        (last.0.clone(), found.trace.steps.len())
    });
    assert_eq!(ways[0].1, ways[1].1);
    ways[0].clone()
}

#[test]
fn panic_on_a_message_is_found() {
    let (action, steps) = panics(&bomb::model(Wrong::Message, 2));
    assert!(matches!(action, ActorModelAction::Deliver { dst, .. } if dst == Id::from(1)));
    // Its neighbour has to answer before it gets a second and a third message.
    assert_eq!(steps, 5);
}

#[test]
fn panic_on_a_timeout_is_found() {
    let (action, steps) = panics(&bomb::model(Wrong::Timeout, 2));
    assert_eq!((action, steps), (ActorModelAction::Timeout(Id::from(1), ()), 4));
}

#[test]
fn panic_on_a_choice_is_found() {
    let (action, steps) = panics(&bomb::model(Wrong::Random, 2));
    let (actor, key) = (Id::from(1), "stay".to_string());
    assert_eq!(action, ActorModelAction::SelectRandom { actor, key, random: true });
    assert_eq!(steps, 4);
}

#[test]
fn panic_on_recovery_is_found() {
    let (action, steps) = panics(&bomb::model(Wrong::Recovery, 2));
    assert_eq!((action, steps), (ActorModelAction::Recover(Id::from(1)), 5));
}

#[test]
fn handlers_without_fault_pass() {
    let report = search(system(&bomb::model(Wrong::Nothing, 2), false), 1);
    assert_eq!((report.coverage, report.trouble), (Coverage::Complete, None));
}

fn assert_names(trouble: Option<Trouble>, expected_event: &str) {
    let Some(Trouble::NotDeterministic { actor, event, first, second }) = trouble else {
        panic!("no such trouble: {trouble:?}");
    };
    assert_eq!(actor, 1);
    assert!(event.contains(expected_event), "{event}");
    assert_ne!(first, second);
    assert!(first.contains("sending") && second.contains("sending"), "{first}, {second}");
}

#[test]
fn guessed_state_is_trouble() {
    for threads in [1, 3] {
        let report = search(system(&bomb::model(Wrong::Guess, 0), false), threads);
        assert_eq!(report.coverage, Coverage::Troubled);
        assert_names(report.trouble, "Deliver");
    }
}

#[test]
fn guessed_message_is_trouble() {
    let report = search(system(&bomb::model(Wrong::GuessedMessage, 0), false), 1);
    assert_eq!(report.coverage, Coverage::Troubled);
    assert_names(report.trouble, "Deliver");
}

/// Where all that is guessed lies outside there is no next level to notice it at.
#[test]
fn guess_that_leads_outside_is_trouble() {
    let mut system = system(&bomb::model(Wrong::Guess, 0).max_crashes(0), false);
    system.boundary = Boundary::Actors(Box::new(|_, count| *count == 0));
    let report = search(system, 1);
    assert_eq!(report.coverage, Coverage::Troubled);
    assert_names(report.trouble, "Deliver");
}
