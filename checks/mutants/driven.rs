//! Mutants that the random driver must kill: what it says of a tree.
//!
//! A mutant whose check is called `drive-` and a family names the seed of the first episode. One
//! thread runs the episodes in the order of their seeds, so every run finds the same.

use std::num::NonZeroUsize;

use model::properties;

use super::finding::Finding;
use crate::driver::plan::Family;
use crate::driver::run::{self, Options, Report};

/// The number of operations after which no further episode begins.
const OPERATIONS: u64 = 20_000;

/// The properties that only the driver demands. It reports panics as `no_panic`, and the promises
/// of the actor by their names.
const PROPERTIES: [&str; 9] = [
    "linearizable",
    "exactly_once",
    "state_machine_safety",
    "drains",
    "all_or_nothing",
    "turns",
    "work_per_entry",
    "step_ends",
    "no_panic",
];

/// The family that a check of this name stands for, if it is one of the driver.
#[must_use]
pub fn family(check: &str) -> Option<Family> {
    let name = check.strip_prefix("drive-")?;
    Family::ALL.into_iter().find(|family| family.name() == name)
}

/// Whether the driver can report a property of this name.
#[must_use]
pub fn has_property(name: &str) -> bool {
    PROPERTIES.contains(&name) || properties::promises().iter().any(|own| own.name == name)
}

/// Whether the driver finds nothing, from the episode of this seed on.
#[must_use]
pub fn of_family(family: Family, seed: u64) -> Finding {
    match drive(family, seed).finding {
        None => Finding::Holds,
        Some(found) => Finding::Unclear(words(&found)),
    }
}

/// Whether the property of this name falls there, before any other does.
#[must_use]
pub fn of_property(family: Family, name: &str, seed: u64) -> Finding {
    let report = drive(family, seed);
    match report.finding {
        None => Finding::Holds,
        Some(found) if found.property == name => {
            // An episode with a step that never ends is not counted.
            let states = report.progress.steps.max(found.step).max(1) as usize;
            Finding::Falls { states, detail: words(&found), steps: Vec::new() }
        }
        Some(found) => Finding::Unclear(format!("another fell first: {}", words(&found))),
    }
}

fn drive(family: Family, seed: u64) -> Report {
    let (operations, threads) = (OPERATIONS, NonZeroUsize::MIN);
    run::run(Options { family, operations, time: None, seed, threads }, |_| {})
}

fn words(found: &run::Finding) -> String {
    let run::Finding { family, seed, step, property, detail } = found;
    format!("{property} in {}, seed {seed}, step {step}: {detail}", family.name())
}
