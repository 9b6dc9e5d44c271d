//! What the checks' systems are made of.

use model::kv::command::Op;
use model::limits::Limits;
use model::raft;
use model::replica::Backlog;
use model::system::{Bounds, NetworkKind, Reductions, Scope};

/// What each check starts from: three servers, no client, no fault but delay and loss.
pub(super) fn scope(max_term: u64, max_log: usize) -> Scope {
    Scope {
        servers: 3,
        clients: Vec::new(),
        sharding: None,
        founded: true,
        network: NetworkKind::Delivering,
        limits: raft::Limits { batch_entries: 2, batch_bytes: usize::MAX, window: 1 },
        sizes: Limits::DEFAULT,
        backlog: Backlog::UNBOUNDED,
        bounds: Bounds::within(max_term, max_log),
        reductions: Reductions::PLAIN,
    }
}

pub(super) fn with_clients(clients: &[&[Op]], mut scope: Scope) -> Scope {
    scope.clients = clients.iter().map(|script| script.to_vec()).collect();
    scope
}

pub(super) fn duplicating(scope: Scope) -> Scope {
    Scope { network: NetworkKind::Duplicating, ..scope }
}

pub(super) fn bounded(scope: Scope, change: impl FnOnce(&mut Bounds)) -> Scope {
    let mut scope = scope;
    change(&mut scope.bounds);
    scope
}

pub(super) fn limited(scope: Scope, change: impl FnOnce(&mut raft::Limits)) -> Scope {
    let mut scope = scope;
    change(&mut scope.limits);
    scope
}

pub(super) fn sized(scope: Scope, sizes: Limits) -> Scope {
    Scope { sizes, ..scope }
}

/// No message is taken to be dead.
pub(super) fn unreduced(scope: Scope) -> Scope {
    Scope { reductions: Reductions { forget_dead: false, ..scope.reductions }, ..scope }
}

/// Adds to the one value that the checks are about.
#[must_use]
pub fn append(value: &str) -> Op {
    Op::Append("k".into(), value.into())
}

pub(super) fn get() -> Op {
    Op::Get("k".into())
}

pub(super) fn put(value: &str) -> Op {
    Op::Put("k".into(), value.into())
}

pub(super) fn delete() -> Op {
    Op::Delete("k".into())
}

/// Sets the value if it is `expected`.
pub(super) fn swap(expected: &str, value: &str) -> Op {
    Op::Cas { key: "k".into(), expected: Some(expected.into()), new: value.into() }
}

/// Sets the value if there is none.
pub(super) fn claim(value: &str) -> Op {
    Op::Cas { key: "k".into(), expected: None, new: value.into() }
}

/// Loss, reordering and duplication at once, servers that can be exchanged, and clients whose
/// requests reach whoever leads: the smallest systems for what they show.
pub(super) fn reduced(scope: Scope) -> Scope {
    Scope { reductions: Reductions::ALL, ..duplicating(scope) }
}
