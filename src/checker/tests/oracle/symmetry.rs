//! States that differ in names only are one state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use checker::{Coverage, Renaming, Symmetry};
use stateright::actor::{ActorModel, ActorModelState, Envelope, Id, LossyNetwork, Network};

use crate::agree::{assert_leads, search, steps, system};
use crate::models::votes::{self, Elected, Exchange, Host, Msg, State, Timer};
use crate::plain;

type Model = ActorModel<Host, usize, Elected>;
type Whole = ActorModelState<Host, Elected>;

/// All of a state, in an order that is always the same.
type Ordered = (
    BTreeMap<usize, (State, BTreeSet<Timer>, Option<Id>, bool)>,
    BTreeMap<(Id, Id), BTreeMap<Msg, Vec<usize>>>,
    Elected,
);

fn renamed(exchange: &Exchange, renaming: &Renaming, state: &Whole) -> Ordered {
    let actors = state.actor_states.iter().enumerate().map(|(i, actor)| {
        let timers = state.timers_set[i].iter().map(|timer| exchange.timer(renaming, timer));
        let storage = state.actor_storages[i].map(|id| renaming.of(id));
        let actor = exchange.state(renaming, actor);
        (renaming.index(i), (actor, timers.collect(), storage, state.crashed[i]))
    });
    let mut under_way: BTreeMap<_, BTreeMap<Msg, Vec<usize>>> = BTreeMap::new();
    let mut note = |src: Id, dst: Id, msg: &Msg, what| {
        let flow = under_way.entry((renaming.of(src), renaming.of(dst))).or_default();
        flow.entry(exchange.message(renaming, msg)).or_default().push(what);
    };
    let mut note_envelope = |Envelope { src, dst, msg }: &Envelope<Msg>, what| {
        note(*src, *dst, msg, what);
    };
    match &state.network {
        Network::UnorderedNonDuplicating(counts) => {
            counts.iter().for_each(|(envelope, count)| note_envelope(envelope, *count));
        }
        Network::UnorderedDuplicating(set, last) => {
            set.iter().for_each(|envelope| note_envelope(envelope, 0));
            last.iter().for_each(|envelope| note_envelope(envelope, 1));
        }
        Network::Ordered(flows) => flows.iter().for_each(|((src, dst), queue)| {
            queue.iter().enumerate().for_each(|(place, msg)| note(*src, *dst, msg, place));
        }),
    }
    (actors.collect(), under_way, exchange.history(renaming, &state.history))
}

/// How many states there are when every one is replaced by the least of its renamings.
fn orbits(model: &Model, exchange: &Exchange) -> usize {
    let renamings = exchange.renamings();
    let states = plain::reachable(model, 100_000).expect("not too many states");
    let least = |state: &Whole| renamings.iter().map(|r| renamed(exchange, r, state)).min();
    states.iter().map(least).collect::<BTreeSet<_>>().len()
}

fn compare(model: &Model, exchange: Exchange, what: &str) {
    let group = exchange.renamings().len();
    let orbits = orbits(model, &exchange);
    let exchange = Arc::new(exchange);
    for goals in [true, false] {
        let whole = search(system(model, goals), 1);
        for threads in [1, 2] {
            let mut reduced = system(model, goals);
            reduced.symmetry = Some(exchange.clone());
            let reduced = search(reduced, threads);
            assert_eq!(reduced.symmetry, group, "{what}");
            assert_eq!((reduced.coverage, reduced.trouble.as_ref()), (whole.coverage, None));
            assert_eq!(reduced.depth, whole.depth, "{what}");
            for property in &model.properties {
                let name = property.name;
                assert_eq!(steps(&reduced, name), steps(&whole, name), "{name}: {what}");
            }
            reduced.found.iter().for_each(|found| assert_leads(model, found));
            if whole.coverage == Coverage::Complete {
                assert_eq!(reduced.unique, orbits, "{what}");
            }
            assert!(reduced.unique < whole.unique || group == 1, "{what}");
            assert!(reduced.unique * group >= whole.unique, "{what}");
            assert!(reduced.generated * group >= whole.generated, "{what}");
            assert!(reduced.generated <= whole.generated, "{what}");
        }
    }
}

#[test]
fn as_many_states_as_orbits_and_the_same_verdicts() {
    let networks = [
        Network::new_ordered([]),
        Network::new_unordered_nonduplicating([]),
        Network::new_unordered_duplicating([]),
    ];
    for (place, network) in networks.into_iter().enumerate() {
        for (servers, clients) in [(1, 1), (2, 1), (1, 3), (3, 1), (2, 2)] {
            let exchange = Exchange { servers, clients };
            let model = votes::model((servers, clients), 0, false).init_network(network.clone());
            if place == 2 && servers == 2 && clients == 2 {
                continue; // Too many states.
            }
            compare(&model, exchange, &format!("{servers} servers, {clients} clients, {place}"));
        }
    }
}

#[test]
fn lost_messages_and_crashes_are_renamed_too() {
    for forgetful in [false, true] {
        let model = votes::model((2, 1), 1, forgetful)
            .init_network(Network::new_unordered_nonduplicating([]))
            .lossy_network(LossyNetwork::Yes)
            .within_boundary(|_, state| state.network.len() <= 2);
        compare(&model, Exchange { servers: 2, clients: 1 }, "lossy");
    }
}

#[test]
fn bounded_faults_are_the_same_under_every_name() {
    let counts = [None, Some(())].map(|symmetry| {
        let mut system = system(&votes::model((3, 1), 1, true), true);
        system.model = system.model.init_network(Network::new_unordered_nonduplicating([]));
        system.faults.crashes = Some(1);
        system.faults.duplications = 1;
        system.symmetry = symmetry.map(|()| Arc::new(Exchange { servers: 3, clients: 1 }) as _);
        let report = search(system, 1);
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
        (report.unique, report.depth, steps(&report, "one gets all votes"))
    });
    let [(whole, ..), (reduced, ..)] = counts;
    assert!(reduced < whole && reduced * 6 >= whole, "{counts:?}");
    assert_eq!((counts[0].1, counts[0].2), (counts[1].1, counts[1].2));
}
