//! What a tree's own checks say of it.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::portfolio::Check;
use crate::report::Verdict;
use crate::{counterexample, engine};

/// How a check, or one of its properties, does in a tree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It holds, in every state within the bounds.
    Holds,
    /// The property does not hold: here is a shortest way to see it.
    Falls {
        /// How many states a breadth-first search looks at before it sees that.
        states: usize,
        /// What is wrong in the last state.
        detail: String,
        /// The steps to it.
        steps: Vec<String>,
    },
    /// The goal is in none of the states.
    OutOfReach {
        /// How many there are.
        states: usize,
    },
    /// Nothing is known, or something else than was asked.
    Unclear(String),
}

/// Whether the whole of `check` passes.
#[must_use]
pub fn of_check(check: &Check, threads: NonZeroUsize) -> Finding {
    let report = engine::run(check, threads, |_| {});
    match report.verdict {
        Verdict::Passed => Finding::Holds,
        Verdict::Failed | Verdict::Incomplete => {
            let failed = report.properties.iter().filter(|p| p.verdict == Verdict::Failed);
            let failed: Vec<_> = failed.map(|p| p.name).collect();
            Finding::Unclear(format!(
                "{} {}: {} states, pinned are {}; failed: {}",
                check.name,
                report.verdict.word(),
                report.unique_states,
                report.pinned_unique_states,
                failed.join(" "),
            ))
        }
    }
}

/// Whether the property called `name` falls in `check`.
///
/// A promise is looked for alone and breadth-first: which one falls first in the check as a whole
/// depends on the order of its search, and how the threads happen to run.
#[must_use]
pub fn of_property(check: &Check, name: &str, threads: NonZeroUsize) -> Finding {
    let Some(property) = check.properties().into_iter().find(|property| property.name == name)
    else {
        return Finding::Unclear(format!("{} has no property '{name}'", check.name));
    };
    if property.goal {
        return of_goal(check, name, threads);
    }
    let system = check.system();
    match counterexample::find(&system, &property) {
        None => Finding::Holds,
        Some(found) => Finding::Falls {
            // To write down a path asks for successors once more at each step.
            states: system.expanded() - found.steps.len(),
            detail: found.detail,
            steps: found.steps.into_iter().map(|step| step.action).collect(),
        },
    }
}

fn of_goal(check: &Check, name: &str, threads: NonZeroUsize) -> Finding {
    let report = engine::run(check, threads, |_| {});
    match report.properties.iter().find(|property| property.name == name).map(|p| p.verdict) {
        Some(Verdict::Passed) => Finding::Holds,
        Some(Verdict::Failed) => Finding::OutOfReach { states: report.unique_states as usize },
        Some(Verdict::Incomplete) | None => {
            Finding::Unclear(format!("the search of {} ended early", check.name))
        }
    }
}
