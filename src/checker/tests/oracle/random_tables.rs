//! Random actors: as many states, steps and levels as in stateright's model, and the nearest state
//! for a property of every kind.

use std::cell::Cell;

use checker::{Coverage, Expectation, Faults, Holds, Property, Reads, System, view};
use quickcheck::{QuickCheck, TestResult};
use stateright::Model;
use stateright::actor::ActorModelState;

use crate::agree::{search, steps, system};
use crate::bounded::{Bounded, Tally};
use crate::models::table::{Drawn, Table};
use crate::plain::{self, Predicate, Seen};

type Asked = Property<Table, u8>;

fn if_holds(holds: bool) -> Holds {
    if holds { Ok(()) } else { Err("no".into()) }
}

/// A goal of every kind that looks at states.
fn goals([a, b, c, d]: [u8; 4]) -> Vec<Asked> {
    vec![
        Property::sometimes(
            "actor",
            Reads::Actor(Box::new(move |id, state| if_holds(*state == a && usize::from(id) > 0))),
        ),
        Property::sometimes("history", Reads::History(Box::new(move |past| if_holds(*past > b)))),
        Property::sometimes(
            "pair",
            Reads::Pair(Box::new(move |(_, first), (_, second)| {
                if_holds((*first, *second) == (a, c))
            })),
        ),
        Property::sometimes(
            "actors",
            Reads::Actors {
                view: None,
                judge: Box::new(move |all| if_holds(all.iter().map(|s| **s).sum::<u8>() == a + d)),
            },
        ),
        Property::sometimes(
            "message",
            Reads::Message {
                concerns: Box::new(move |msg| *msg == b % 3),
                view: Some(Box::new(move |_, state| view(&(*state == d)))),
                judge: Box::new(move |all, envelope| {
                    let equal = all.iter().filter(|state| ***state == d).count();
                    if_holds(equal > 1 && usize::from(envelope.dst) < all.len())
                }),
            },
        ),
        Property::sometimes(
            "state",
            Reads::State(Box::new(move |state| {
                let saved = state.actor_storages.contains(&Some(a));
                if_holds(saved || state.timers_set.iter().all(|set| set.iter().count() == 2))
            })),
        ),
    ]
}

/// That no step does this.
fn promise([a, b, ..]: [u8; 4]) -> Asked {
    Property::always(
        "step",
        Reads::Step(Box::new(move |step| {
            if_holds((*step.before, *step.after) != (a, b) || step.sends.is_empty())
        })),
    )
}

fn bounded(drawn: &Drawn) -> Bounded<Table, usize, u8> {
    let [crashes, drops, duplications] = drawn.faults;
    let faults = Faults { crashes, drops, duplications: duplications.unwrap_or(0) };
    Bounded { model: drawn.model(), faults, budgets: vec![] }
}

fn with(drawn: &Drawn, properties: Vec<Asked>) -> System<Table, usize, u8> {
    let mut system = system(&drawn.model(), true);
    system.faults = bounded(drawn).faults;
    system.properties = properties;
    system
}

fn ours(drawn: &Drawn, threads: usize) -> Seen {
    let report = search(with(drawn, goals(drawn.wanted)), threads);
    assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
    Seen {
        unique: report.unique,
        generated: report.generated,
        levels: report.depth,
        nearest: goals(drawn.wanted).iter().map(|goal| steps(&report, goal.name)).collect(),
    }
}

fn theirs(drawn: &Drawn) -> Option<Seen> {
    let goals = goals(drawn.wanted);
    let reached = goals.iter().map(|goal| -> Predicate<'_, (_, Tally)> {
        assert_eq!(goal.expectation, Expectation::Sometimes);
        Box::new(|(state, _)| goal.judge(state).is_ok())
    });
    plain::search(&bounded(drawn), &reached.collect::<Vec<_>>(), 2_000)
}

#[test]
fn random_systems_have_the_same_states_steps_and_distances() {
    thread_local!(static LARGEST: Cell<usize> = const { Cell::new(0) });
    #[expect(clippy::needless_pass_by_value, reason = "QuickCheck gives it away")]
    fn equal(drawn: Drawn) -> TestResult {
        let Some(theirs) = theirs(&drawn) else { return TestResult::discard() };
        LARGEST.set(LARGEST.get().max(theirs.unique));
        assert_eq!(ours(&drawn, 1), theirs);
        TestResult::passed()
    }
    QuickCheck::new().tests(2_000).quickcheck(equal as fn(_) -> _);
    assert!(LARGEST.get() > 1_000, "{} states", LARGEST.get());
}

/// How many steps away the nearest is that breaks the promise, counted itself.
fn nearest_broken(drawn: &Drawn) -> Option<Option<usize>> {
    let [a, b, ..] = drawn.wanted;
    let model = bounded(drawn);
    let breaks = |before: &(ActorModelState<Table, u8>, Tally)| {
        let steps = model.next_steps(before).into_iter();
        let mut steps = steps.filter(|(_, after)| model.within_boundary(after));
        steps.any(|((action, _), _)| drawn.table.does(&before.0, &action, a, b))
    };
    let wanted: Vec<Predicate<'_, _>> = vec![Box::new(breaks)];
    Some(plain::search(&model, &wanted, 2_000)?.nearest[0].map(|steps| steps + 1))
}

#[test]
fn steps_of_random_systems_are_broken_at_the_shortest_distance() {
    thread_local!(static BROKEN: Cell<usize> = const { Cell::new(0) });
    #[expect(clippy::needless_pass_by_value, reason = "QuickCheck gives it away")]
    fn equal(drawn: Drawn) -> TestResult {
        let Some(nearest) = nearest_broken(&drawn) else { return TestResult::discard() };
        BROKEN.set(BROKEN.get() + usize::from(nearest.is_some()));
        let report = search(with(&drawn, vec![promise(drawn.wanted)]), 1);
        assert_eq!(steps(&report, "step"), nearest);
        TestResult::passed()
    }
    QuickCheck::new().tests(1_000).quickcheck(equal as fn(_) -> _);
    assert!(BROKEN.get() > 10, "{} broken", BROKEN.get());
}
