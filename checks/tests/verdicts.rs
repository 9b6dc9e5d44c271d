//! Every reduction gives every verdict that the search without it gives.
//!
//! A promise that holds holds with each, and each reaches the same goals: so a goal stands for the
//! promise that it is never reached, which is broken, and must be found broken with each reduction.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use checker::{Coverage, Options};
use checks::engine::system;
use checks::portfolio;
use model::limits::Limits;
use model::properties::{self, Property, goals};
use model::raft;
use model::replica::Backlog;
use model::system::{Bounds, NetworkKind, Reductions, Scope};
use model::types::Term;

const GOALS: [Property; 14] = [
    goals::LEADER_ELECTED,
    goals::LEADER_REPLACED,
    goals::SPLIT_VOTE,
    goals::COMMITTED,
    goals::LEADER_COMMITTED,
    goals::COMMITTED_LATER,
    goals::LOGS_DIVERGE,
    goals::FIGURE_8,
    goals::OPERATION_DONE,
    goals::ALL_DONE,
    goals::DONE_IN_TERM_2,
    goals::LEADER_RETURNED,
    goals::RESTARTED_WITH_LOG,
    goals::READ_SEES_WRITE,
];

fn scopes() -> Vec<(&'static str, Scope)> {
    let bounds = Bounds::within(2, 2);
    let scope = |clients: &[&str], bounds| Scope {
        servers: 3,
        clients: clients.iter().map(|value| vec![portfolio::append(value)]).collect(),
        sharding: None,
        founded: true,
        network: NetworkKind::Duplicating,
        limits: raft::Limits { batch_entries: 1, batch_bytes: usize::MAX, window: 2 },
        sizes: Limits::DEFAULT,
        backlog: Backlog::UNBOUNDED,
        bounds,
        reductions: Reductions::NONE,
    };
    vec![
        ("two terms", scope(&[], Bounds { max_log: 1, ..bounds })),
        ("a client", scope(&["a"], Bounds { max_term: Term(1), ..bounds })),
        ("a heartbeat", scope(&[], Bounds { heartbeats: 1, max_term: Term(1), ..bounds })),
        ("a crash", scope(&[], Bounds { restarts: 1, max_term: Term(1), ..bounds })),
    ]
}

/// Which goals are reached; every promise must be kept.
fn reached(name: &str, scope: &Scope) -> (usize, Vec<&'static str>) {
    let promises = [properties::promises(), GOALS.to_vec()].concat();
    let stop = AtomicBool::new(false);
    let options = Options { threads: NonZeroUsize::MIN, memory: None, stop: &stop };
    let report = checker::search(system::system(scope, &promises), options, |_| {});
    assert_eq!(report.coverage, Coverage::Complete, "{name}");
    let reached = GOALS.iter().map(|goal| goal.name).filter(|goal| report.found(goal).is_some());
    (report.unique, reached.collect())
}

#[test]
fn each_reduction_reaches_the_same_goals_in_fewer_states() {
    let none = Reductions::NONE;
    let reductions = [
        ("forgets the last delivery", Reductions { forget_last: true, ..none }),
        ("forgets dead messages", Reductions { forget_dead: true, ..none }),
        ("asks any server", Reductions { any_server: true, ..none }),
        ("symmetry", Reductions { any_server: true, symmetry: true, ..none }),
        ("all", Reductions::ALL),
    ];
    let mut fewer = BTreeMap::new();
    for (name, scope) in scopes() {
        let (states, goals) = reached(name, &scope);
        for (which, reductions) in reductions {
            let (reduced, reached) = reached(name, &Scope { reductions, ..scope.clone() });
            assert_eq!(reached, goals, "{name}, {which}");
            *fewer.entry(which).or_insert(false) |= reduced < states;
        }
    }
    assert!(fewer.values().all(|fewer| *fewer), "{fewer:?}");
}
