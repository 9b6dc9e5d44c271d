//! Properties, evaluated once for each distinct thing that they read.
//!
//! Every evaluation ends in a bit: whether the thing is *notable* for the property, which means
//! that it breaks what must always hold, or reaches what must hold at some time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use stateright::actor::{Envelope, Id};

use crate::property::{ActorStep, Expectation, Holds, Property, Reads};
use crate::step::{Event, words_of};
use crate::store::{Store, Trouble};
use crate::system::{Checkable, History};

/// The most properties of a system: one bit each.
pub(crate) const MOST_PROPERTIES: usize = 64;

/// The bit of the property at `place` if what was judged is notable for it.
pub(crate) fn bit<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    place: usize,
    judge: impl FnOnce() -> Holds,
) -> u64 {
    let Some(holds) = ask(store, place, judge) else { return 0 };
    let notable = match store.system.properties[place].expectation {
        Expectation::Always => holds.is_err(),
        Expectation::Sometimes => holds.is_ok(),
    };
    u64::from(notable) << place
}

/// What the property at `place` says, unless it panics.
fn ask<A: Checkable, C, H: History, T>(
    store: &Store<A, C, H>,
    place: usize,
    question: impl FnOnce() -> T,
) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(question)) {
        Ok(answer) => Some(answer),
        Err(panic) => {
            let property = store.system.properties[place].name;
            let message = words_of(panic.as_ref());
            store.report(Trouble::PropertyPanicked { property, message });
            None
        }
    }
}

/// The properties with their places.
pub(crate) fn properties<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
) -> impl Iterator<Item = (usize, &Property<A, H>)> {
    store.system.properties.iter().enumerate()
}

/// For which properties about one actor this state is notable.
pub(crate) fn actor<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    id: Id,
    state: &A::State,
) -> u64 {
    let each = properties(store).map(|(place, property)| match &property.reads {
        Reads::Actor(judge) => bit(store, place, || judge(id, state)),
        _ => 0,
    });
    each.fold(0, |all, one| all | one)
}

/// For which properties about the history it is notable.
pub(crate) fn history<A: Checkable, C, H: History>(store: &Store<A, C, H>, history: &H) -> u64 {
    let each = properties(store).map(|(place, property)| match &property.reads {
        Reads::History(judge) => bit(store, place, || judge(history)),
        _ => 0,
    });
    each.fold(0, |all, one| all | one)
}

/// For which properties about steps this one is notable.
pub(crate) fn step<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    before: u32,
    event: Event,
    after: u32,
    sends: &[u32],
) -> u64 {
    if !properties(store).any(|(_, property)| matches!(property.reads, Reads::Step(_))) {
        return 0;
    }
    with_step(store, before, event, after, sends, |step| {
        let each = properties(store).map(|(place, property)| match &property.reads {
            Reads::Step(judge) => bit(store, place, || judge(step)),
            _ => 0,
        });
        each.fold(0, |all, one| all | one)
    })
}

/// Shows a step.
pub(crate) fn with_step<A: Checkable, C, H: History, T>(
    store: &Store<A, C, H>,
    before: u32,
    event: Event,
    after: u32,
    sends: &[u32],
    look: impl FnOnce(&ActorStep<'_, A>) -> T,
) -> T {
    let (before, after) = (store.cells.get(before), store.cells.get(after));
    let sends: Vec<_> = sends.iter().map(|message| store.envelope(*message)).collect();
    look(&ActorStep {
        actor: Id::from(before.actor),
        before: &*before.content.state,
        event: &store.action(event),
        after: &*after.content.state,
        sends: &sends,
    })
}

/// The properties that this message concerns.
pub(crate) fn concerns<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    message: &A::Msg,
) -> u64 {
    let each = properties(store).map(|(place, property)| match &property.reads {
        Reads::Message { concerns, .. } => {
            u64::from(ask(store, place, || concerns(message)) == Some(true)) << place
        }
        _ => 0,
    });
    each.fold(0, |all, one| all | one)
}

/// What an actor shows to each property that has a view of all actors; see [`viewers`].
pub(crate) fn views<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    id: Id,
    state: &A::State,
) -> Box<[u64]> {
    let view = |(place, property): (usize, &Property<A, H>)| match &property.reads {
        Reads::Actors { view, .. } | Reads::Message { view, .. } => Some(match view {
            Some(view) => ask(store, place, || view(id, state)).unwrap_or(0),
            None => crate::property::view(state),
        }),
        _ => None,
    };
    properties(store).filter_map(view).collect()
}

/// The places of the properties that have a view of all actors, in the order of [`views`].
pub(crate) fn viewers<A: Checkable, C, H: History>(store: &Store<A, C, H>) -> Vec<usize> {
    let has_view = |property: &Property<A, H>| {
        matches!(property.reads, Reads::Actors { .. } | Reads::Message { .. })
    };
    properties(store).filter(|(_, p)| has_view(p)).map(|(place, _)| place).collect()
}

/// The actors' states of a system state.
pub(crate) fn actors<'a, A: Checkable, C, H: History>(
    store: &'a Store<A, C, H>,
    cells: &[u32],
) -> Vec<&'a A::State> {
    cells.iter().map(|cell| &*store.cells.get(*cell).content.state).collect()
}

/// For which properties a pair of cells is notable.
pub(crate) fn pair<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    first: u32,
    second: u32,
) -> u64 {
    let named = |cell: u32| {
        let cell = store.cells.get(cell);
        (Id::from(cell.actor), &*cell.content.state)
    };
    let each = properties(store).map(|(place, property)| match &property.reads {
        Reads::Pair(judge) => bit(store, place, || judge(named(first), named(second))),
        _ => 0,
    });
    each.fold(0, |all, one| all | one)
}

/// The bit of the property at `place`, about all actors, for these cells.
pub(crate) fn all_actors<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    place: usize,
    cells: &[u32],
) -> u64 {
    match &store.system.properties[place].reads {
        Reads::Actors { judge, .. } => bit(store, place, || judge(&actors(store, cells))),
        _ => 0,
    }
}

/// The bit of the property at `place`, about a message and all actors.
pub(crate) fn message<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    place: usize,
    cells: &[u32],
    envelope: Envelope<&A::Msg>,
) -> u64 {
    match &store.system.properties[place].reads {
        Reads::Message { judge, .. } => {
            bit(store, place, || judge(&actors(store, cells), envelope))
        }
        _ => 0,
    }
}
