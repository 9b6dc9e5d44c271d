//! What stateright 0.31 gets wrong that matters here, each shown by a tiny model, with what this
//! project does instead. When a later version mends one, its test fails, and the way round can go.

use std::borrow::Cow;
use std::collections::BTreeSet;

use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

/// An actor with one timer, which it may repeat in its state.
struct Alarm {
    repeats_timers_in_state: bool,
}

impl Actor for Alarm {
    type Msg = ();
    type Timer = ();
    type State = BTreeSet<()>;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> BTreeSet<()> {
        out.set_timer((), model_timeout());
        if self.repeats_timers_in_state { BTreeSet::from([()]) } else { BTreeSet::new() }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, BTreeSet<()>>, (): &(), _: &mut Out<Self>) {
        state.to_mut().clear();
    }
}

fn states_of_two_alarms(repeats_timers_in_state: bool) -> usize {
    let alarm = || Alarm { repeats_timers_in_state };
    ActorModel::<_, (), ()>::new((), ())
        .actors([alarm(), alarm()])
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "something to check", |_, _| true)
        .checker()
        .spawn_dfs()
        .join()
        .unique_state_count()
}

/// Two timers that ring or do not make four states; the hash of timer sets merges two of them. So
/// `system::HostState` repeats the set of armed timers.
#[test]
fn timer_sets_are_told_apart_by_the_actor_state_only() {
    assert_eq!(states_of_two_alarms(false), 3, "stateright tells timer sets apart now");
    assert_eq!(states_of_two_alarms(true), 4);
}

/// Counts to a limit, by ones and by a leap.
struct Count;

impl Model for Count {
    type State = u32;
    type Action = u32;

    fn init_states(&self) -> Vec<u32> {
        vec![0]
    }

    fn actions(&self, state: &u32, actions: &mut Vec<u32>) {
        if *state < 10_000 {
            actions.extend([1, 100]);
        }
    }

    fn next_state(&self, state: &u32, step: u32) -> Option<u32> {
        Some(state + step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("holds", |_, _| true),
            Property::always("stays below 200", |_, state| *state < 200),
        ]
    }
}

/// A search that was cut short says that it is done and finds nothing wrong. So `checks::engine`
/// counts the states whose successors were asked for.
#[test]
fn truncated_search_looks_complete() {
    let cut = Count.checker().target_state_count(50).spawn_bfs().join();
    let full = Count.checker().spawn_bfs().join();
    assert!(cut.is_done() && full.is_done());
    assert!(cut.unique_state_count() < full.unique_state_count());
}

/// A path that stateright reports may be far from the shortest: later hits overwrite it. So
/// `checks::counterexample` searches on its own.
#[test]
fn reported_path_is_not_the_shortest() {
    let checker = Count.checker().finish_when(HasDiscoveries::All).spawn_bfs().join();
    let steps = checker.discovery("stays below 200").map_or(0, |path| path.into_actions().len());
    assert!(steps > 2, "two leaps are enough, stateright reports {steps} steps");
}
