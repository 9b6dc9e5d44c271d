//! Each reduction is checked, not argued: on small systems, against the unreduced search.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use checks::portfolio;
use model::limits::Limits;
use model::properties;
use model::raft;
use model::replica::Backlog;
use model::system::{
    Action, Bounds, NetworkKind, Reductions, Scope, System, SystemState, messages,
};
use model::types::Term;
use stateright::Model;
use stateright::actor::ActorModelAction;

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Small systems of every shape: with clients, with crashes, with heartbeats, with retries.
fn small_scopes() -> Vec<(&'static str, Scope)> {
    let bounds = Bounds::within(1, 2);
    let scope = |network, clients: &[&str], bounds| Scope {
        servers: 3,
        clients: clients.iter().map(|v| vec![portfolio::append(v)]).collect(),
        sharding: None,
        founded: true,
        network,
        limits: raft::Limits { batch_entries: 1, batch_bytes: usize::MAX, window: 2 },
        sizes: Limits::DEFAULT,
        backlog: Backlog::UNBOUNDED,
        bounds,
        reductions: Reductions::NONE,
    };
    use NetworkKind::{Delivering, Duplicating};
    vec![
        ("two terms", scope(Delivering, &[], Bounds { max_term: Term(2), ..bounds })),
        ("a client", scope(Delivering, &["a"], bounds)),
        ("a heartbeat", scope(Delivering, &[], Bounds { heartbeats: 1, ..bounds })),
        ("a retry", scope(Delivering, &["a"], Bounds { retries: 1, ..bounds })),
        ("a crash", scope(Delivering, &[], Bounds { restarts: 1, ..bounds })),
        ("duplicates", scope(Duplicating, &[], Bounds { max_log: 1, ..bounds })),
        ("a move", a_move("move", true)),
        ("a client that follows a move", a_move("routed", false)),
    ]
}

/// Two groups, between which a shard moves, and a client that writes to it.
fn a_move(check: &str, any_server: bool) -> Scope {
    let check = portfolio::find(check).expect("a check of that name");
    let mut scope = (check.scope)();
    scope.clients.truncate(1);
    scope.clients[0].truncate(1);
    scope.bounds.retries = 0;
    Scope { reductions: Reductions { any_server, ..Reductions::NONE }, ..scope }
}

/// What a search sees of each state: all but the network.
fn visible(state: &SystemState) -> u64 {
    hash(&(&state.actor_states, &state.history))
}

/// Visits every reachable state, and every step between two.
fn explore(
    system: &System,
    mut visit: impl FnMut(&SystemState),
    mut step: impl FnMut(&SystemState, &Action, &SystemState),
) {
    let mut seen = HashSet::new();
    let mut stack = system.init_states();
    while let Some(state) = stack.pop() {
        if !seen.insert(hash(&state)) {
            continue;
        }
        visit(&state);
        let mut actions = Vec::new();
        system.actions(&state, &mut actions);
        for action in actions {
            let Some(next) = system.next_state(&state, action.clone()) else { continue };
            if system.within_boundary(&next) {
                step(&state, &action, &next);
                stack.push(next);
            }
        }
    }
}

#[test]
fn reductions_lose_no_state_that_can_be_seen() {
    for (name, scope) in small_scopes() {
        let mut counts = BTreeMap::new();
        let mut seen: HashMap<_, HashSet<u64>> = HashMap::new();
        for forget_dead in [false, true] {
            for forget_last in [false, true] {
                let reductions = Reductions { forget_dead, forget_last, ..scope.reductions };
                let system = System::new(Scope { reductions, ..scope.clone() }, Vec::new());
                let all = seen.entry((forget_dead, forget_last)).or_default();
                explore(
                    &system,
                    |state| {
                        all.insert(visible(state));
                        *counts.entry((forget_dead, forget_last)).or_insert(0) += 1;
                    },
                    |_, _, _| {},
                );
            }
        }
        let full = &seen[&(false, false)];
        for (which, reduced) in &seen {
            assert_eq!(reduced, full, "{name}: what is seen with {which:?} and without");
        }
        assert!(counts[&(true, true)] < counts[&(false, false)], "{name}: {counts:?}");
    }
}

#[test]
fn dead_messages_stay_dead_and_have_no_effect() {
    for (name, scope) in small_scopes().into_iter().filter(|(_, s)| s.bounds.restarts == 0) {
        let system = System::new(scope, Vec::new());
        let mut dead = 0;
        explore(
            &system,
            |_| {},
            |before, action, after| {
                for envelope in messages(before).filter(|e| System::is_dead(before, e)) {
                    assert!(System::is_dead(after, &envelope), "{name}: {envelope:?} revives");
                    dead += 1;
                }
                let ActorModelAction::Deliver { src, dst, msg } = action else { return };
                let envelope = stateright::actor::Envelope { src: *src, dst: *dst, msg };
                if System::is_dead(before, &envelope) {
                    assert_eq!(visible(before), visible(after), "{name}: {envelope:?} has effect");
                }
            },
        );
        assert!(dead > 0, "{name}: nothing was ever dead");
    }
}

#[test]
fn verdicts_are_equal_with_and_without_reductions() {
    let promises = properties::promises();
    for (name, scope) in small_scopes() {
        for reductions in [Reductions::NONE, Reductions::PLAIN] {
            let any_server = scope.reductions.any_server;
            let reductions = Reductions { any_server, ..reductions };
            // The states of a system are the same whatever is promised of it.
            let system = System::new(Scope { reductions, ..scope.clone() }, Vec::new());
            let holds = |state: &SystemState| {
                for property in &promises {
                    assert!(property.holds(state), "{name}: {}", property.name);
                }
            };
            explore(&system, holds, |_, _, _| {});
        }
    }
}
