//! What a search has found, and how much it has seen.

use std::time::Duration;

use crate::property::Expectation;
use crate::recover::Recovered;
use crate::store::Trouble;
use crate::system::{Checkable, History};
use crate::trace::Trace;

/// The name of the property that no handler panics: every system is promised it.
pub const NO_PANIC: &str = "no_panic";

/// The name of the property that a message which the protocol declares dead does nothing when it is
/// delivered all the same, and stays dead: every system is promised it. A breach that only the look
/// back over the finished search shows is about one actor, and has no trace.
pub const DEAD_MESSAGES: &str = "dead_messages";

/// How much of a system has been seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coverage {
    /// Every state within the bounds that is reachable from where the search started.
    Complete,
    /// Every state as far from there as the nearest in which a property is broken, or the goal
    /// reached that ends the search, or nearer.
    UntilBroken,
    /// It was told to stop.
    Stopped,
    /// The set of fingerprints would have outgrown the memory.
    OutOfMemory,
    /// Something makes the search useless: see [`Report::trouble`].
    Troubled,
}

/// What a search has found.
pub struct Report<A: Checkable, H: History> {
    /// How much has been seen.
    pub coverage: Coverage,
    /// What makes the search useless, if anything does.
    pub trouble: Option<Trouble>,
    /// How many steps lead to where the search started: see [`crate::System::stage`].
    pub staged: usize,
    /// States reached, each counted once; of states that differ in names only, one.
    pub unique: usize,
    /// States reached, counted each time.
    pub generated: usize,
    /// The number of levels: of the longest shortest path, counted in states.
    pub depth: usize,
    /// Distinct parts of states: actor states, messages, histories.
    pub parts: usize,
    /// The most bytes that the set of fingerprints, the states to be expanded and the log took.
    pub peak_memory: usize,
    /// Bytes written to disk for want of memory.
    pub spilt: u64,
    /// The number of renamings under which states were taken to be equal; 1 if none.
    pub symmetry: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// The properties that were looked at.
    pub properties: Vec<(&'static str, Expectation)>,
    /// The goals that must stay within reach, with what has come of it; nothing if the search did
    /// not finish.
    pub recovered: Vec<(&'static str, Recovered)>,
    /// What was notable: broken promises, goals reached.
    pub found: Vec<Found<A, H>>,
}

/// Something notable.
pub struct Found<A: Checkable, H: History> {
    /// The property.
    pub property: &'static str,
    /// What was expected of it.
    pub expectation: Expectation,
    /// What is wrong, for a broken promise.
    pub detail: String,
    /// A shortest way there; if the search has a stage, from its end on.
    pub trace: Trace<A, H>,
}

impl<A: Checkable, H: History> Report<A, H> {
    /// How likely it is that two different states were taken for one, at most: a pair of states has
    /// the same fingerprint with probability 2^-64, and there are n(n-1)/2 pairs.
    #[must_use]
    pub fn collision_probability(&self) -> f64 {
        let n = self.unique as f64;
        n * (n - 1.0) / 2.0 / 2f64.powi(64)
    }

    /// What was found of a property.
    #[must_use]
    pub fn found(&self, property: &str) -> Option<&Found<A, H>> {
        self.found.iter().find(|found| found.property == property)
    }

    /// The broken promises.
    pub fn broken(&self) -> impl Iterator<Item = &Found<A, H>> {
        self.found.iter().filter(|found| found.expectation == Expectation::Always)
    }
}
