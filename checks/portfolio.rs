//! The checks.

mod ci;
mod full;
mod membership;
mod overload;
mod scopes;
mod shards;
mod sizes;
mod transactions;

use model::kv::command::Op;
use model::limits::Limits;
use model::properties::{self, Property};
use model::replica::Backlog;
use model::system::{NetworkKind, Scope, System};

pub use scopes::append;

use crate::report;

/// A named check: a system, what is promised of it, and what it must be able to do.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name: profile, then what sets it apart.
    pub name: &'static str,
    /// When it runs.
    pub tier: Tier,
    /// What it is about.
    pub about: &'static str,
    /// What its bounds keep it from seeing.
    pub hides: &'static str,
    /// The system.
    pub scope: fn() -> Scope,
    /// States that it must reach.
    pub goals: &'static [Property],
    /// How many states there are.
    pub unique_states: u64,
}

/// When a check runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Tier {
    /// With every change.
    Ci,
    /// When there is an hour.
    Full,
}

impl Tier {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Full => "full",
        }
    }
}

impl Check {
    /// The system to search.
    #[must_use]
    pub fn system(&self) -> System {
        System::new((self.scope)(), self.properties())
    }

    /// What is promised of it, and what it must reach.
    #[must_use]
    pub fn properties(&self) -> Vec<Property> {
        [properties::promises(), self.goals.to_vec()].concat()
    }

    /// Its bounds, for machines.
    #[must_use]
    pub fn bounds(&self) -> report::Bounds {
        let scope = (self.scope)();
        let words = Op::to_string;
        let bounded = |bytes: usize| (bytes < usize::MAX).then_some(bytes);
        report::Bounds {
            servers: scope.servers,
            clients: scope.clients.iter().map(|ops| ops.iter().map(words).collect()).collect(),
            max_term: scope.bounds.max_term.0,
            max_log: scope.bounds.max_log,
            restarts: scope.bounds.restarts,
            heartbeats: scope.bounds.heartbeats,
            polls: scope.bounds.polls,
            sharding: scope.sharding.as_ref().map(|sharding| report::Sharding {
                shards: sharding.shards,
                controllers: sharding.controllers,
                groups: sharding.groups.clone(),
                part_bytes: bounded(sharding.part_bytes),
                changes: sharding.changes.iter().map(|change| format!("{change:?}")).collect(),
            }),
            retries: scope.bounds.retries,
            lost_disks: scope.bounds.lost_disks,
            founded: scope.founded,
            network: match scope.network {
                NetworkKind::Delivering => "each message at most once",
                NetworkKind::Duplicating => "each message any number of times",
            },
            any_server: scope.reductions.any_server
                && (scope.sharding.is_some() || !scope.clients.is_empty()),
            symmetry: scope.reductions.symmetry,
            batch_entries: scope.limits.batch_entries,
            window: scope.limits.window,
            batch_bytes: bounded(scope.limits.batch_bytes),
            backlog: (scope.backlog != Backlog::UNBOUNDED).then_some(report::Backlog {
                entries: bounded(scope.backlog.entries),
                bytes: bounded(scope.backlog.bytes),
            }),
            sizes: (scope.sizes != Limits::DEFAULT).then_some(report::Sizes {
                key: scope.sizes.key,
                value: scope.sizes.value,
                transaction: scope.sizes.transaction,
                work: scope.sizes.work,
                message: scope.sizes.message,
            }),
        }
    }
}

/// The check of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Check> {
    checks().find(|check| check.name == name)
}

/// Every check: those of the ci tier, then those that only the full tier has.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    let checks = ci::CHECKS.iter().chain(membership::CHECKS).chain(overload::CHECKS);
    let ci = checks.chain(shards::CHECKS).chain(transactions::CHECKS).chain(sizes::CHECKS);
    ci.chain(full::CHECKS)
}
