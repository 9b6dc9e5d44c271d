//! Exhaustive search over any system of stateright actors, at the speed of memory.
//!
//! stateright's own searches clone, sort and hash whole system states. The structure of an actor
//! system allows more: a step changes one actor, a handler sees nothing but its actor and the
//! event, and there are few distinct actors, messages and histories in many states.
//! `docs/checker.md` explains the engine and argues that each part of it is sound.
//!
//! Reading order:
//!
//! - [`system`]: what is searched: stateright's `ActorModel`, with bounds and reductions.
//! - [`property`]: what is asked of it, by what it reads.
//! - `store`, `step`: the distinct parts of states, and what a handler does, found out once.
//! - `fingerprint`: a state's fingerprint as the sum of its parts'; [`symmetry`]: the same for all
//!   states that differ in names only.
//! - `state`, `expand`, `network`: a state as numbers of its parts, and its successors; `hot`: what
//!   a thread needs at hand for that.
//! - `visited`, `frontier`, `log`, `spill`: what is remembered of millions of states.
//! - `stage`: where a search starts; `worker`, [`mod@search`]: the search itself; `watch`, `judge`:
//!   properties on the way; [`recover`]: whether a goal stays within reach; `audit`: dead messages,
//!   looked at again.
//! - [`report`], [`trace`]: what comes out.
//! - [`model`]: the same system for stateright's own searches.
//! - [`examples`]: systems as they are declared to the checker.

mod audit;
pub mod examples;
mod expand;
mod fingerprint;
mod frontier;
mod hot;
mod judge;
mod log;
pub mod model;
mod network;
pub mod property;
pub mod recover;
pub mod report;
pub mod search;
mod spill;
mod stage;
mod state;
mod step;
mod store;
pub mod symmetry;
pub mod system;
pub mod trace;
mod visited;
mod watch;
mod whole;
mod worker;

pub use model::Compact;
pub use property::{Expectation, Holds, Property, Reads, view};
pub use recover::{Recovered, Recovery};
pub use report::{Coverage, Found, Report};
pub use search::{Options, Progress, search};
pub use store::Trouble;
pub use symmetry::{Renaming, Symmetry};
pub use system::{Boundary, Budget, Checkable, Dead, Faults, History, System};
pub use trace::Trace;
