//! Renaming the servers and then taking a step is taking the step and then renaming.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::thread;

use checks::portfolio;
use model::limits::Limits;
use model::raft;
use model::replica::Backlog;
use model::symmetry;
use model::system::{Action, Bounds, NetworkKind, Reductions, Scope, System, SystemState};
use model::types::{NodeId, Term};
use stateright::Model;
use stateright::actor::{ActorModelAction, Envelope, Id, Network};

/// Systems with servers that can be exchanged for each other: three of them, from this one on.
fn scopes() -> Vec<(&'static str, Scope, usize)> {
    let bounds = Bounds::within(2, 2);
    let scope = |clients: &[&str], bounds| Scope {
        servers: 3,
        clients: clients.iter().map(|value| vec![portfolio::append(value)]).collect(),
        sharding: None,
        founded: true,
        network: NetworkKind::Duplicating,
        limits: raft::Limits { batch_entries: 2, batch_bytes: usize::MAX, window: 1 },
        sizes: Limits::DEFAULT,
        backlog: Backlog::UNBOUNDED,
        bounds,
        reductions: Reductions { symmetry: false, ..Reductions::ALL },
    };
    let retry = Bounds { retries: 1, max_term: Term(1), max_log: 3, ..bounds };
    vec![
        ("two terms and a client", scope(&["a"], bounds), 0),
        ("a heartbeat", scope(&[], Bounds { heartbeats: 1, ..bounds }), 0),
        ("a retry", scope(&["a"], retry), 0),
        ("a crash", scope(&[], Bounds { restarts: 1, max_log: 1, ..bounds }), 0),
        ("a shard for a group of three", a_move(), 1),
    ]
}

/// A shard that moves to a group of three. The controller is server 0.
fn a_move() -> Scope {
    let check = portfolio::find("move-to-three").expect("a check of that name");
    let mut scope = (check.scope)();
    scope.clients.clear();
    scope.reductions.symmetry = false;
    scope
}

/// A cycle and a swap of three from `first` on: they generate all orders. All others, clients among
/// them, keep their names.
fn renamings(first: usize) -> [Vec<usize>; 2] {
    [[1, 2, 0], [1, 0, 2]].map(|order| (0..first).chain(order.map(|i| first + i)).collect())
}

fn index(renaming: &[usize], index: usize) -> usize {
    renaming.get(index).copied().unwrap_or(index)
}

fn id(renaming: &[usize], of: Id) -> Id {
    Id::from(index(renaming, of.into()))
}

fn server(renaming: &[usize]) -> impl Fn(NodeId) -> NodeId {
    move |server| NodeId(index(renaming, server.0.into()) as u16)
}

fn state(renaming: &[usize], state: &SystemState) -> SystemState {
    let mut renamed = state.clone();
    for i in 0..state.actor_states.len() {
        let to = index(renaming, i);
        let host = symmetry::host(&state.actor_states[i], &server(renaming));
        renamed.actor_states[to] = host.into();
        renamed.timers_set[to] = state.timers_set[i].clone();
    }
    let envelopes = state.network.iter_deliverable().map(|envelope| Envelope {
        src: id(renaming, envelope.src),
        dst: id(renaming, envelope.dst),
        msg: symmetry::message(envelope.msg, &server(renaming)),
    });
    renamed.network = Network::new_unordered_duplicating(envelopes);
    renamed
}

fn action(renaming: &[usize], action: &Action) -> Action {
    match action {
        ActorModelAction::Deliver { src, dst, msg } => ActorModelAction::Deliver {
            src: id(renaming, *src),
            dst: id(renaming, *dst),
            msg: symmetry::message(msg, &server(renaming)),
        },
        ActorModelAction::Timeout(at, timer) => {
            ActorModelAction::Timeout(id(renaming, *at), *timer)
        }
        other => unreachable!("hosts crash by a timer, and nothing is dropped: {other:?}"),
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn renaming_and_stepping_commute_on_every_step_of_small_systems() {
    thread::scope(|threads| {
        for (name, scope, first) in scopes() {
            threads.spawn(move || commute(name, scope, first));
        }
    });
}

fn commute(name: &str, scope: Scope, first: usize) {
    let renamings = renamings(first);
    let system = System::new(scope, Vec::new());
    let (mut seen, mut stack, mut steps) = (HashSet::new(), system.init_states(), 0);
    while let Some(before) = stack.pop() {
        if !seen.insert(hash(&before)) {
            continue;
        }
        let mut actions = Vec::new();
        system.actions(&before, &mut actions);
        for taken in actions {
            let after = system.next_state(&before, taken.clone());
            for renaming in &renamings {
                let renamed = action(renaming, &taken);
                let other = system.next_state(&state(renaming, &before), renamed);
                let expected = after.as_ref().map(|after| state(renaming, after));
                assert_eq!(other, expected, "{name}: {taken:?} in {before:?}");
            }
            steps += 1;
            stack.extend(after.filter(|after| system.within_boundary(after)));
        }
    }
    assert!(steps > 1_000, "{name}: {steps} steps say little");
}
