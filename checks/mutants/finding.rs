//! What a tree's own checks say of it.

use std::num::NonZeroUsize;

use checker::Coverage;
use model::properties::progress;
use serde::{Deserialize, Serialize};

use crate::engine::{self, Options, compact};
use crate::portfolio::Check;
use crate::report::Verdict;

/// How a check, or one of its properties, does in a tree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It holds, in every state within the bounds.
    Holds,
    /// The property does not hold: here is a shortest way to see it.
    Falls {
        /// How many states there are as near as the first that shows it.
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
    let report = engine::run(check, Options::on(threads), |_| {});
    match report.verdict {
        Verdict::Passed => Finding::Holds,
        Verdict::PassedFromStage | Verdict::Failed | Verdict::Incomplete => {
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
    let property = check.properties().into_iter().find(|property| property.name == name);
    let recoverable = name == progress::NAME;
    match property {
        None if !recoverable => {
            return Finding::Unclear(format!("{} has no property '{name}'", check.name));
        }
        Some(property) if property.goal => return of_goal(check, name, threads),
        None | Some(_) => {}
    }
    let options = Options::on(threads);
    let report = compact::run(check, property.as_slice(), recoverable, options, |_| {});
    match compact::counterexample(check, &report) {
        Some(found) if found.property == name => Finding::Falls {
            states: report.unique,
            detail: found.detail,
            steps: found.steps.into_iter().map(|step| step.action).collect(),
        },
        Some(other) => Finding::Unclear(format!("{} fell first: {}", other.property, other.detail)),
        None if report.coverage == Coverage::Complete => Finding::Holds,
        None => Finding::Unclear(compact::error(&report).unwrap_or_default()),
    }
}

fn of_goal(check: &Check, name: &str, threads: NonZeroUsize) -> Finding {
    let report = engine::run(check, Options::on(threads), |_| {});
    match report.properties.iter().find(|property| property.name == name).map(|p| p.verdict) {
        Some(Verdict::Passed) => Finding::Holds,
        Some(Verdict::Failed) => Finding::OutOfReach { states: report.unique_states as usize },
        Some(Verdict::PassedFromStage | Verdict::Incomplete) | None => {
            Finding::Unclear(format!("the search of {} ended early", check.name))
        }
    }
}
