//! Asks stateright and the checker the same, and compares what they say.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use checker::{
    Boundary, Checkable, Coverage, Found, History, Options, Property, Reads, Report, System,
};
use stateright::actor::{ActorModel, ActorModelState, LossyNetwork, Network};
use stateright::{Checker, Expectation, Model};

use crate::plain::{self, Predicate, Seen};

/// States beyond which a system is not compared: it takes stateright too long.
pub(crate) const MOST: usize = 40_000;

/// The model's own promises, as properties of the whole state; `goals` asks for each promise
/// whether it can be broken, so that the search goes on to the last state.
pub(crate) fn system<A, C, H>(model: &ActorModel<A, C, H>, goals: bool) -> System<A, C, H>
where
    A: Checkable + Clone,
    C: Clone + Send + Sync + 'static,
    H: History,
{
    let shared = Arc::new(model.clone());
    let mut system = System::new(model.clone(), Boundary::Model);
    system.remember_last = true;
    for property in &model.properties {
        let (shared, condition) = (Arc::clone(&shared), property.condition);
        let always = property.expectation == Expectation::Always;
        let reads = Reads::State(Box::new(move |state| {
            let holds = condition(&shared, state) != (goals && always);
            if holds { Ok(()) } else { Err(format!("not in {state:?}")) }
        }));
        system.properties.push(match property.expectation {
            Expectation::Always if !goals => Property::always(property.name, reads),
            _ => Property::sometimes(property.name, reads),
        });
    }
    system
}

/// Searches on so many threads, with nothing in the way.
pub(crate) fn search<A: Checkable, C: Send + Sync, H: History>(
    system: System<A, C, H>,
    threads: usize,
) -> Report<A, H> {
    let stop = AtomicBool::new(false);
    let threads = NonZeroUsize::new(threads).expect("a thread");
    checker::search(system, Options { threads, memory: None, stop: &stop }, |_| {})
}

/// How many steps away something was found.
pub(crate) fn steps<A: Checkable, H: History>(
    report: &Report<A, H>,
    property: &str,
) -> Option<usize> {
    report.found(property).map(|found| found.trace.steps.len())
}

/// Each property of the model, to look for broken (*always*) or reached (*sometimes*).
pub(crate) fn predicates<'a, A: Checkable, C, H: History>(
    model: &'a ActorModel<A, C, H>,
) -> Vec<Predicate<'a, ActorModelState<A, H>>> {
    let predicate = |property: &'a stateright::Property<_>| -> Predicate<'a, _> {
        let always = property.expectation == Expectation::Always;
        Box::new(move |state| (property.condition)(model, state) != always)
    };
    model.properties.iter().map(predicate).collect()
}

/// What a plain search over stateright's model sees.
pub(crate) fn look<A, C, H>(model: &ActorModel<A, C, H>, most: usize) -> Option<Seen>
where
    A: Checkable,
    A::State: Eq,
    H: History + Eq,
{
    plain::search(model, &predicates(model), most)
}

/// Compares everything that can be compared; gives whether the system was small enough.
pub(crate) fn agree<A, C, H>(model: &ActorModel<A, C, H>, what: &str) -> bool
where
    A: Checkable + Clone,
    A::State: Eq,
    C: Clone + Send + Sync + 'static,
    H: History + Eq,
{
    let Some(seen) = look(model, MOST) else { return false };
    let never = model.clone().property(Expectation::Always, "never broken", |_, _| true);
    let theirs = never.checker().spawn_bfs().join();
    assert_eq!(theirs.unique_state_count(), seen.unique, "stateright's states: {what}");
    assert_eq!(theirs.state_count(), seen.generated, "stateright's steps: {what}");
    for (property, nearest) in model.properties.iter().zip(&seen.nearest) {
        let found = theirs.discovery(property.name).is_some();
        assert_eq!(found, nearest.is_some(), "stateright's {}: {what}", property.name);
    }
    ours_agrees(model, &seen, what);
    true
}

/// Compares the checker with a plain search over stateright's model.
pub(crate) fn ours_agrees<A, C, H>(model: &ActorModel<A, C, H>, seen: &Seen, what: &str)
where
    A: Checkable + Clone,
    A::State: Eq,
    C: Clone + Send + Sync + 'static,
    H: History + Eq,
{
    let report = search(system(model, true), 1);
    assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None), "{what}");
    let ours = Seen {
        unique: report.unique,
        generated: report.generated,
        levels: report.depth,
        nearest: model.properties.iter().map(|p| steps(&report, p.name)).collect(),
    };
    assert_eq!(ours, *seen, "{what}");
    report.found.iter().for_each(|found| assert_leads(model, found));
    until_broken_agrees(model, seen, what);
}

/// With promises as promises: the search ends with the level in which the first is broken.
fn until_broken_agrees<A, C, H>(model: &ActorModel<A, C, H>, seen: &Seen, what: &str)
where
    A: Checkable + Clone,
    A::State: Eq,
    C: Clone + Send + Sync + 'static,
    H: History + Eq,
{
    let nearest = || model.properties.iter().zip(seen.nearest.iter().copied());
    let broken = |(p, _): &(&stateright::Property<_>, _)| p.expectation == Expectation::Always;
    let first = nearest().filter(broken).filter_map(|(_, nearest)| nearest).min();
    let report = search(system(model, false), 1);
    let expected = if first.is_some() { Coverage::UntilBroken } else { Coverage::Complete };
    assert_eq!((report.coverage, report.trouble.as_ref()), (expected, None), "{what}");
    for (property, nearest) in nearest() {
        let expected = nearest.filter(|steps| first.is_none_or(|first| *steps <= first));
        assert_eq!(steps(&report, property.name), expected, "{}: {what}", property.name);
    }
    report.found.iter().for_each(|found| assert_leads(model, found));
}

/// Takes the steps of a trace with stateright's model.
pub(crate) fn assert_leads<A, C, H>(model: &ActorModel<A, C, H>, found: &Found<A, H>)
where
    A: Checkable,
    A::State: Eq,
    H: History + Eq,
{
    let mut state = model.init_states().remove(0);
    assert_eq!(found.trace.first, state, "{}", found.property);
    for (action, after) in &found.trace.steps {
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        assert!(actions.contains(action), "{}: {action:?} in {state:?}", found.property);
        state = model.next_state(&state, action.clone()).expect("a state");
        assert_eq!(*after, state, "{}: after {action:?}", found.property);
    }
    assert_eq!(*found.trace.last(), state, "{}", found.property);
}

/// Compares on every kind of network, lossy or not; gives how many systems were small enough.
pub(crate) fn agree_on_all_networks<A, C, H>(model: &ActorModel<A, C, H>, what: &str) -> usize
where
    A: Checkable + Clone,
    A::State: Eq,
    C: Clone + Send + Sync + 'static,
    H: History + Eq,
{
    let networks = [
        ("ordered", Network::new_ordered([])),
        ("counted", Network::new_unordered_nonduplicating([])),
        ("duplicating", Network::new_unordered_duplicating([])),
    ];
    let mut compared = 0;
    for (name, network) in networks {
        for (loss, lossy) in [("", LossyNetwork::No), ("lossy ", LossyNetwork::Yes)] {
            let model = model.clone().init_network(network.clone()).lossy_network(lossy);
            compared += usize::from(agree(&model, &format!("{what}, {loss}{name}")));
        }
    }
    compared
}
