//! The checker beside stateright's own searches: the same system, the same threads, no reduction.
//!
//! What is searched are systems of checks, and the checker's worked examples: small states and
//! cheap handlers, so that the search itself is what is measured.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use checker::examples::{lock, register};
use checker::{Checkable, Coverage, History, System};
use model::system::{self, Reductions};
use serde::Serialize;
use stateright::actor::{ActorModel, Network};
use stateright::{Checker, HasDiscoveries, Model};

use crate::engine;
use crate::portfolio::{self, Check};

/// How a search went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// On how many threads.
    pub threads: usize,
    /// States reached, each counted once.
    pub unique_states: usize,
    /// States reached, counted each time.
    pub total_states: usize,
    /// How long it took.
    pub seconds: f64,
    /// The most bytes kept for a state reached; if known.
    pub bytes_per_state: Option<f64>,
}

impl Run {
    /// How many times as fast as another this run was.
    #[must_use]
    pub fn speedup(&self, other: &Self) -> f64 {
        other.seconds / self.seconds
    }

    /// Whether another run has found the same states.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        (self.unique_states, self.total_states) == (other.unique_states, other.total_states)
    }
}

/// Which of stateright's searches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// Breadth-first.
    Bfs,
    /// Depth-first.
    Dfs,
}

/// A system that all searches take.
#[derive(Clone, Copy)]
pub enum Subject {
    /// That of a check, without any reduction.
    Check(&'static Check),
    /// [`checker::examples::register`].
    Register {
        /// How many clients.
        clients: usize,
        /// How often each writes.
        writes: u8,
    },
    /// [`checker::examples::lock`].
    Lock {
        /// How many clients.
        clients: usize,
        /// How often each asks again.
        retries: u8,
    },
}

impl Subject {
    /// The system of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "register" => Some(Self::Register { clients: 4, writes: 1 }),
            "lock" => Some(Self::Lock { clients: 4, retries: 1 }),
            _ => portfolio::find(name).map(Self::Check),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Check(check) => check.name,
            Self::Register { .. } => "register",
            Self::Lock { .. } => "lock",
        }
    }

    /// Searches it by the project's own engine. None if the search did not come to its end.
    #[must_use]
    pub fn own(self, threads: NonZeroUsize) -> Option<Run> {
        match self {
            Self::Check(check) => {
                own(engine::system::system(&unreduced(check), &check.properties()), threads)
            }
            Self::Register { clients, writes } => {
                own(register::system(counted(register::model(clients, writes))), threads)
            }
            Self::Lock { clients, retries } => {
                own(lock::system(counted(lock::model(clients, retries))), threads)
            }
        }
    }

    /// Searches it by one of stateright's searches.
    #[must_use]
    pub fn peer(self, threads: NonZeroUsize, search: Peer) -> Run {
        match self {
            Self::Check(check) => {
                peer(system::System::new(unreduced(check), check.properties()), threads, search)
            }
            Self::Register { clients, writes } => {
                peer(counted(register::model(clients, writes)), threads, search)
            }
            Self::Lock { clients, retries } => {
                peer(counted(lock::model(clients, retries)), threads, search)
            }
        }
    }
}

fn unreduced(check: &Check) -> system::Scope {
    let mut scope = (check.scope)();
    scope.reductions = Reductions::NONE;
    scope
}

/// The model on a network that delivers each message at most once.
fn counted<A: Checkable, H: History>(model: ActorModel<A, (), H>) -> ActorModel<A, (), H> {
    model.init_network(Network::new_unordered_nonduplicating([]))
}

fn own<A: Checkable, C: Sync + Send, H: History>(
    system: System<A, C, H>,
    threads: NonZeroUsize,
) -> Option<Run> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let report =
        checker::search(system, checker::Options { threads, memory: None, stop: &stop }, |_| {});
    (report.coverage == Coverage::Complete).then(|| Run {
        threads: threads.get(),
        unique_states: report.unique,
        total_states: report.generated,
        seconds: start.elapsed().as_secs_f64(),
        bytes_per_state: Some(report.peak_memory as f64 / report.unique.max(1) as f64),
    })
}

fn peer<M>(model: M, threads: NonZeroUsize, peer: Peer) -> Run
where
    M: Model<State: Clone + PartialEq + Hash + Send + Sync, Action: Clone + PartialEq>
        + Send
        + Sync
        + 'static,
{
    let start = Instant::now();
    // To the last state: of each system something is promised that nobody finds broken.
    let options = model.checker().threads(threads.get()).finish_when(HasDiscoveries::All);
    let (unique_states, total_states) = match peer {
        Peer::Bfs => counts(&options.spawn_bfs().join()),
        Peer::Dfs => counts(&options.spawn_dfs().join()),
    };
    let seconds = start.elapsed().as_secs_f64();
    let threads = threads.get();
    Run { threads, unique_states, total_states, seconds, bytes_per_state: None }
}

fn counts<M: Model>(checker: &impl Checker<M>) -> (usize, usize) {
    (checker.unique_state_count(), checker.state_count())
}
