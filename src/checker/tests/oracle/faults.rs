//! Bounds on faults and budgets, against the same bounds written plainly.

use checker::examples::register;
use checker::{Budget, Checkable, Coverage, Faults, History};
use stateright::actor::{ActorModel, LossyNetwork, Network};

use crate::agree::{search, system};
use crate::bounded::{Bounded, Limit};
use crate::models::{nobody, odometer, recovery, ticks};
use crate::plain;

/// Compares with the plain bounds; gives the number of states.
fn agree<A, C, H>(model: &ActorModel<A, C, H>, faults: Faults, budgets: Vec<Limit<A>>) -> usize
where
    A: Checkable + Clone,
    A::State: Eq,
    C: Clone + Send + Sync + 'static,
    H: History + Eq,
{
    let budget = |(spent, limit): &Limit<A>| Budget { spent: *spent, limit: *limit };
    let mut ours = system(model, true);
    (ours.faults, ours.budgets) = (faults, budgets.iter().map(budget).collect());
    let bounded = Bounded { model: model.clone(), faults, budgets };
    let seen = plain::search(&bounded, &[], 300_000).expect("not too many states");
    let report = search(ours, 1);
    assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
    let counts = (report.unique, report.generated, report.depth);
    assert_eq!(counts, (seen.unique, seen.generated, seen.levels), "{faults:?}");
    report.unique
}

#[test]
fn crashes_in_all_are_bounded() {
    let model = recovery::model(1, 2, 2).init_network(Network::new_ordered([]));
    let count = |crashes| agree(&model, Faults { crashes, ..Faults::default() }, vec![]);
    let counts = [Some(0), Some(1), Some(3), None].map(count);
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
}

/// Three that do nothing but crash. With no crash yet there is 1 state, after the first 1 + 3,
/// after the second 1 + 3 + 3, after the third 1 + 3 + 3 + 1: any of them may be up again.
#[test]
fn crashes_count_as_reasoned() {
    let count = |most, at_once| {
        let mut system = odometer::system(3, 0);
        system.model.max_crashes = at_once;
        system.faults.crashes = Some(most);
        search(system, 1).unique
    };
    assert_eq!([0, 1, 2].map(|most| count(most, 3)), [1, 5, 12]);
    assert_eq!(count(3, 3), 20);
    assert_eq!(count(2, 1), 9);
}

#[test]
fn lost_messages_are_bounded() {
    for network in [
        Network::new_ordered([]),
        Network::new_unordered_nonduplicating([]),
        Network::new_unordered_duplicating([]),
    ] {
        let model = nobody::model(2, 1).init_network(network).lossy_network(LossyNetwork::Yes);
        let count = |drops| agree(&model, Faults { drops, ..Faults::default() }, vec![]);
        let counts = [Some(0), Some(1), Some(2), None].map(count);
        assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
    }
}

#[test]
fn duplications_are_bounded() {
    let model = register::model(2, 1).init_network(Network::new_unordered_nonduplicating([]));
    let count = |duplications| agree(&model, Faults { duplications, ..Faults::default() }, vec![]);
    let counts = [0, 1, 2].map(count);
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
}

#[test]
fn all_faults_together_are_bounded() {
    let model = recovery::model(1, 2, 1)
        .init_network(Network::new_unordered_nonduplicating([]))
        .lossy_network(LossyNetwork::Yes);
    agree(&model, Faults { crashes: Some(1), drops: Some(1), duplications: 1 }, vec![]);
}

#[test]
fn budgets_bound_what_all_actors_do_together() {
    let model = ticks::model(3, 2).init_network(Network::new_unordered_nonduplicating([]));
    let count = |limit| {
        let all: Limit<ticks::Host> = (|_, state| state.fired().into(), limit);
        let first: Limit<ticks::Host> =
            (|id, state| if usize::from(id) == 0 { state.fired().into() } else { 0 }, 1);
        agree(&model, Faults::default(), vec![all, first])
    };
    let counts = [0, 1, 3].map(count);
    assert_eq!(counts[0], 1);
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
}
