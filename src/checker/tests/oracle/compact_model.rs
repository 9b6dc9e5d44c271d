//! stateright's own searches on the compact system see what the checker's search sees.

use checker::examples::{lock, register};
use checker::{Compact, Coverage, Property, Reads, System};
use stateright::actor::Network;
use stateright::{Checker, HasDiscoveries, Model};

use crate::agree::{search, system};
use crate::models::{dice, recovery};

/// What to search, with a property that is never found, for stateright to go on to the last state.
fn with_one_more<A, C, H>(mut system: System<A, C, H>) -> System<A, C, H>
where
    A: checker::Checkable,
    H: checker::History,
{
    let never = Reads::Actor(Box::new(|_, _| Err("never".into())));
    system.properties.push(Property::sometimes("what never is", never));
    system
}

macro_rules! agree {
    ($model:expr) => {{
        let report = search(with_one_more(system(&$model, true)), 1);
        assert_eq!(report.coverage, Coverage::Complete);
        let compact = || Compact::new(with_one_more(system(&$model, true)));
        let bfs = compact().checker().finish_when(HasDiscoveries::All).spawn_bfs().join();
        let dfs = compact().checker().finish_when(HasDiscoveries::All).spawn_dfs().join();
        for (unique, generated) in [
            (bfs.unique_state_count(), bfs.state_count()),
            (dfs.unique_state_count(), dfs.state_count()),
        ] {
            assert_eq!((unique, generated), (report.unique, report.generated));
        }
        for (name, _) in &report.properties {
            let found = report.found(name).is_some();
            assert_eq!(bfs.discoveries().contains_key(name), found, "{name}");
            assert_eq!(dfs.discoveries().contains_key(name), found, "{name}");
        }
    }};
}

#[test]
fn breadth_first_and_depth_first_search_agree() {
    agree!(register::model(2, 2).init_network(Network::new_unordered_nonduplicating([])));
    agree!(lock::model(2, 1).init_network(Network::new_unordered_nonduplicating([])));
    agree!(recovery::model(1, 2, 1).init_network(Network::new_unordered_nonduplicating([])));
    agree!(dice::model(2, 2).init_network(Network::new_unordered_nonduplicating([])));
}
