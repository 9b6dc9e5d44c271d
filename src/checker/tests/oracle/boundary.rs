//! A boundary cuts the states off that are outside, and what lies behind them.

use checker::{Boundary, Coverage, Holds, Property, Reads};
use stateright::Model;
use stateright::actor::{Id, LossyNetwork, Network};

use crate::agree::{agree, agree_on_all_networks, search, system};
use crate::models::gossip::{self, Bounds};

#[test]
fn boundary_of_the_model_cuts_as_stateright_does() {
    let sizes = [(1, 2, 9), (2, 2, 3), (2, 3, 2), (3, 1, 9), (3, 2, 4)];
    let compared = sizes.map(|(actors, count, messages)| {
        let bounds = Bounds { count, messages };
        let what = format!("gossip, {actors} actors, to {count}, with {messages} messages");
        agree_on_all_networks(&gossip::model(actors, bounds), &what)
    });
    assert_eq!(compared, [6; 5]);
}

/// The network alone can leave the boundary: when a message is lost.
#[test]
fn losing_a_message_may_lead_outside() {
    for network in [Network::new_ordered([]), Network::new_unordered_nonduplicating([])] {
        let model = gossip::model(3, Bounds { count: 2, messages: 9 })
            .init_network(network)
            .lossy_network(LossyNetwork::Yes)
            .within_boundary(|bounds, state| {
                state.actor_states.iter().all(|state| **state <= bounds.count)
                    && state.network.len() != 2
            });
        assert!(agree(&model, "gossip with any number of messages but two"));
    }
}

#[test]
fn nothing_is_reached_when_the_first_state_is_outside() {
    let model = gossip::model(2, Bounds { count: 2, messages: 1 });
    assert!(agree(&model, "gossip with too many messages"));
    let report = search(system(&model, false), 2);
    assert_eq!((report.coverage, report.unique, report.depth), (Coverage::Complete, 0, 0));
}

/// A bound of the actors alone is cheaper to watch than one of whole states, and the same.
#[test]
fn boundary_of_actors_cuts_as_the_same_boundary_of_states() {
    let model = gossip::model(3, Bounds { count: 2, messages: usize::MAX });
    let (whole, mut parts) = (system(&model, true), system(&model, true));
    parts.boundary = Boundary::Actors(Box::new(|_, state| *state <= 2));
    let (whole, parts) = (search(whole, 1), search(parts, 1));
    assert!(whole.unique > 100);
    assert_eq!(whole.unique, parts.unique);
    assert_eq!(whole.generated, parts.generated);
    assert_eq!(whole.depth, parts.depth);
}

fn small(_: Id, state: &u8) -> Holds {
    assert!(*state <= 2, "nobody asks about states outside");
    Ok(())
}

/// What lies outside is not reached: nothing is said about it, and nobody is asked.
#[test]
fn properties_are_not_asked_about_states_outside() {
    let model = gossip::model(2, Bounds { count: 2, messages: usize::MAX });
    let mut system = system(&model, true);
    system.boundary = Boundary::Actors(Box::new(|_, state| *state <= 2));
    system.properties = vec![
        Property::always("states inside", Reads::Actor(Box::new(small))),
        Property::always(
            "steps inside",
            Reads::Step(Box::new(|step| {
                if *step.after <= 2 { Ok(()) } else { Err(format!("{} is outside", step.after)) }
            })),
        ),
    ];
    let report = search(system, 1);
    assert_eq!((report.coverage, report.trouble), (Coverage::Complete, None));
    assert!(report.found.is_empty());
}

#[test]
fn models_boundary_is_also_kept_by_steps() {
    let model = gossip::model(2, Bounds { count: 2, messages: usize::MAX });
    let mut system = system(&model, true);
    system.properties = vec![Property::always(
        "steps inside",
        Reads::Step(Box::new(|step| {
            if *step.after <= 2 { Ok(()) } else { Err(format!("{} is outside", step.after)) }
        })),
    )];
    let report = search(system, 1);
    assert_eq!(report.coverage, Coverage::Complete);
    assert_eq!(Some(report.unique), crate::agree::look(&model, 10_000).map(|seen| seen.unique));
    assert!(model.init_states().len() == 1 && report.found.is_empty());
}
