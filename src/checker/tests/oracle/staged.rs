//! Searches that start where known steps lead to, against a plain search from the same state.

use checker::property::Action;
use checker::{
    Checkable, Compact, Coverage, History, Property, Reads, Recovered, Report, System, Trouble,
    examples::{lock, register},
};
use stateright::actor::{ActorModel, ActorModelState, LossyNetwork, Network};
use stateright::{Checker, HasDiscoveries, Model};

use crate::agree::{assert_leads, predicates, search, steps, system};
use crate::models::{recovery, ticks};
use crate::plain::{self, Seen};
use crate::recover::{GOAL, PIT, recovery as home, thrown, to, walker};

type Way<A, H> = Vec<(Action<A>, ActorModelState<A, H>)>;

/// A long way through a system: always the last step that leads to a new state.
fn wander<A, C, H>(model: &ActorModel<A, C, H>) -> Way<A, H>
where
    A: Checkable,
    A::State: Eq,
    H: History + Eq,
{
    let mut way: Way<A, H> = Vec::new();
    let mut state = model.init_states().remove(0);
    let first = state.clone();
    loop {
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        let known = |state| state == first || way.iter().any(|(_, known)| *known == state);
        let next = actions.into_iter().rev().find_map(|action| {
            let next = model.next_state(&state, action.clone())?;
            (!known(next.clone())).then_some((action, next))
        });
        let Some((action, next)) = next else { return way };
        state = next.clone();
        way.push((action, next));
    }
}

/// The system, searched from where the first steps of a way lead to.
fn staged<A: Checkable, C, H: History>(
    mut system: System<A, C, H>,
    way: &[(Action<A>, ActorModelState<A, H>)],
) -> System<A, C, H> {
    system.stage = way.iter().map(|(action, _)| action.clone()).collect();
    system
}

/// Compares the searches from all states of a way; gives how long it is.
fn agree_from_everywhere<A, C, H>(model: &ActorModel<A, C, H>) -> usize
where
    A: Checkable + Clone,
    A::State: Eq,
    C: Clone + Send + Sync + 'static,
    H: History + Eq,
{
    let way = wander(model);
    for stage in 0..=way.len() {
        let (before, _) = way.split_at(stage);
        let first = model.init_states().remove(0);
        let start = before.last().map_or(first, |(_, state)| state.clone());
        let seen = plain::search_from(model, vec![start], &predicates(model), usize::MAX);
        for threads in [1, 2] {
            let report = search(staged(system(model, true), before), threads);
            assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
            assert_eq!(report.staged, stage);
            let behind = |name| steps(&report, name).map(|steps| steps - stage);
            let ours = Seen {
                unique: report.unique,
                generated: report.generated,
                levels: report.depth,
                nearest: model.properties.iter().map(|p| behind(p.name)).collect(),
            };
            assert_eq!(Some(ours), seen, "from {stage} steps on");
            report.found.iter().for_each(|found| assert_leads(model, found));
        }
    }
    way.len()
}

#[test]
fn search_from_any_state_of_a_way_sees_what_is_reachable_from_there() {
    let register = register::model(2, 1).init_network(Network::new_unordered_nonduplicating([]));
    let duplicating = register::model(1, 2).init_network(Network::new_unordered_duplicating([]));
    let lock = lock::model(2, 1).init_network(Network::new_ordered([]));
    let ticks = ticks::model(2, 2).init_network(Network::new_unordered_nonduplicating([]));
    let crashing = recovery::model(1, 1, 1).init_network(Network::new_unordered_nonduplicating([]));
    let steps = [
        agree_from_everywhere(&register),
        agree_from_everywhere(&duplicating),
        agree_from_everywhere(&lock.lossy_network(LossyNetwork::Yes)),
        agree_from_everywhere(&ticks),
        agree_from_everywhere(&crashing.lossy_network(LossyNetwork::Yes)),
    ];
    assert!(steps.iter().all(|steps| *steps >= 5), "{steps:?}");
}

/// From each state of a shortest way to it: what is left of the way is a shortest one, too.
#[test]
fn promise_broken_behind_a_stage_is_told_from_the_first_state() {
    let model = register::model(2, 1).init_network(Network::new_unordered_nonduplicating([]));
    let whole = search(system(&model, false), 1);
    let broken = whole.broken().next().expect("another's write is read");
    let way = &broken.trace.steps;
    assert!(way.len() >= 5, "{} steps", way.len());
    for stage in 0..=way.len() {
        let report = search(staged(system(&model, false), &way[..stage]), 2);
        assert_eq!((report.coverage, report.staged), (Coverage::UntilBroken, stage));
        let found = report.found(broken.property).expect("still broken");
        assert_eq!((found.trace.steps.len(), report.depth), (way.len(), way.len() - stage));
        assert_eq!(found.trace.steps[..stage], way[..stage]);
        assert_leads(&model, found);
    }
}

#[test]
fn step_that_cannot_be_taken_is_named() {
    let model = register::model(2, 1).init_network(Network::new_unordered_nonduplicating([]));
    let way = wander(&model);
    let report = search(staged(system(&model, false), &way[1..]), 1);
    assert_eq!((report.coverage, report.unique), (Coverage::Troubled, 0));
    // Of the two first steps either can be taken first, and neither twice.
    let twice = [way[0].clone(), way[0].clone()];
    let report: Report<_, _> = search(staged(system(&model, false), &twice), 1);
    let action = format!("{:?}", way[0].0);
    assert_eq!(report.trouble, Some(Trouble::NoSuchStep { number: 2, action }));
}

#[test]
fn goals_behind_a_stage_stay_within_reach_or_do_not() {
    let (to_goal, to_pit) = ([1, 2, GOAL], [1, PIT]);
    let cases = [
        (&to_goal[..0], Recovered { with_room: 7, traps: 1 }, Some(2)),
        (&to_goal[..2], Recovered { with_room: 7, traps: 1 }, Some(7)), // By way of the start.
        (&to_goal[..], Recovered { with_room: 1, traps: 0 }, None),
        (&to_pit[..], Recovered { with_room: 2, traps: 1 }, Some(2)),
    ];
    for (way, expected, trap) in cases {
        let mut system = walker(home(|_| true, thrown));
        system.stage = way.iter().map(|place| to(*place)).collect();
        let report = search(system, 1);
        assert_eq!((report.coverage, report.staged), (Coverage::Complete, way.len()));
        assert_eq!(report.recovered, [("home", expected)], "{way:?}");
        assert_eq!(steps(&report, "home"), trap, "{way:?}");
    }
}

#[test]
fn search_ends_with_the_level_in_which_its_goal_is_reached() {
    let model = register::model(2, 1).init_network(Network::new_unordered_nonduplicating([]));
    let whole = search(register::system(model.clone()), 1);
    let nearest = steps(&whole, "one reads another's write").expect("it can happen");
    for threads in [1, 2] {
        let mut system = register::system(model.clone());
        system.until = Some("one reads another's write");
        let report = search(system, threads);
        assert_eq!((report.coverage, report.depth), (Coverage::UntilBroken, nearest));
        assert_eq!(steps(&report, "one reads another's write"), Some(nearest));
        assert!(report.unique < whole.unique);
    }
}

#[test]
fn stateright_starts_from_the_stage_of_a_compact_system() {
    let model = lock::model(2, 1).init_network(Network::new_unordered_nonduplicating([]));
    let way = wander(&model);
    let system = || {
        let mut system = staged(lock::system(model.clone()), &way[..3]);
        let never = Reads::Actor(Box::new(|_, _| Err("never".into())));
        system.properties.push(Property::sometimes("what never is", never));
        system
    };
    let report = search(system(), 1);
    let theirs = Compact::new(system()).checker().finish_when(HasDiscoveries::All).spawn_bfs();
    let theirs = theirs.join();
    assert_eq!(theirs.unique_state_count(), report.unique);
    assert_eq!(theirs.state_count(), report.generated);
}
