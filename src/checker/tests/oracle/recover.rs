//! Goals that must stay within reach: traps are found, and nothing else is taken for one.

use std::borrow::Cow;

use checker::property::Action;
use checker::{Boundary, Coverage, Expectation, Recovered, Recovery, Report, System};
use stateright::actor::{Actor, ActorModel, ActorModelAction, Id, Network, Out, model_timeout};

use crate::agree::search;

/// Walks from place to place, whichever timer fires first.
pub(crate) struct Walker;

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    To(u8),
    /// Where only a fault leads.
    Thrown(u8),
}

pub(crate) const GOAL: u8 = 3;
pub(crate) const PIT: u8 = 7;

/// The step to a place.
pub(crate) fn to(place: u8) -> Action<Walker> {
    ActorModelAction::Timeout(Id::from(0), Timer::To(place))
}

/// From where one can get where. From 9, the last to be reached, the way leads back to the start.
fn ways(place: u8) -> &'static [Timer] {
    use Timer::{Thrown, To};
    match place {
        0 => &[To(1)],
        1 => &[To(2), To(PIT)],
        2 => &[To(GOAL), To(8)],
        PIT => &[Thrown(GOAL)],
        8 => &[To(9)],
        9 => &[To(0)],
        _ => &[],
    }
}

fn arrive(place: u8, out: &mut Out<Walker>) -> u8 {
    ways(place).iter().for_each(|way| out.set_timer(*way, model_timeout()));
    place
}

impl Actor for Walker {
    type Msg = ();
    type State = u8;
    type Timer = Timer;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> u8 {
        arrive(0, out)
    }

    fn on_timeout(&self, _: Id, place: &mut Cow<'_, u8>, timer: &Timer, out: &mut Out<Self>) {
        ways(**place).iter().filter(|way| *way != timer).for_each(|way| out.cancel_timer(*way));
        let (Timer::To(next) | Timer::Thrown(next)) = timer;
        *place.to_mut() = arrive(*next, out);
    }
}

pub(crate) fn walker(recovery: Recovery<Walker>) -> System<Walker, (), ()> {
    let model = ActorModel::new((), ())
        .actor(Walker)
        .init_network(Network::new_unordered_nonduplicating([]));
    let mut system = System::new(model, Boundary::Open);
    system.recoveries = vec![recovery];
    system
}

fn walked(recovery: Recovery<Walker>, threads: usize) -> Report<Walker, ()> {
    let report = search(walker(recovery), threads);
    assert_eq!((report.coverage, report.unique), (Coverage::Complete, 7));
    report
}

pub(crate) fn recovery(has_room: fn(u8) -> bool, is_fault: fn(&Timer) -> bool) -> Recovery<Walker> {
    Recovery {
        name: "home",
        goal: Box::new(|places| *places[0] == GOAL),
        has_room: Box::new(move |places| has_room(*places[0])),
        is_fault,
    }
}

pub(crate) fn thrown(timer: &Timer) -> bool {
    matches!(timer, Timer::Thrown(_))
}

#[test]
fn trap_is_found_with_a_shortest_way_into_it() {
    for threads in [1, 2] {
        let report = walked(recovery(|_| true, thrown), threads);
        assert_eq!(report.recovered, [("home", Recovered { with_room: 7, traps: 1 })]);
        let found = report.found("home").expect("the pit");
        assert_eq!((found.expectation, found.trace.steps.len()), (Expectation::Always, 2));
        assert_eq!(*found.trace.last().actor_states[0], PIT);
    }
}

/// Place 9 is good only because the start is, which the walk back meets last.
#[test]
fn way_that_leads_back_is_a_way() {
    let report = walked(recovery(|_| true, |_| false), 1);
    assert_eq!(report.recovered, [("home", Recovered { with_room: 7, traps: 0 })]);
    assert!(report.found("home").is_none());
}

#[test]
fn state_without_room_is_no_trap() {
    let report = walked(recovery(|place| place != PIT, thrown), 1);
    assert_eq!(report.recovered, [("home", Recovered { with_room: 6, traps: 0 })]);
    assert!(report.found("home").is_none());
}
