//! Where a staged search starts: at the end of a recorded way, or where a goal is first reached.
//!
//! Behind a stage a search sees states that it would take the whole check too long to come to. It
//! says nothing of the others: what passes from a stage has not passed.

use model::system::Action;
use thiserror::Error;

use crate::engine::{Options, Progress, compact};
use crate::portfolio::Check;
use crate::replay::{self, Recording};
use crate::story::{self, Counterexample};

/// Where a staged search starts.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What it is called in reports.
    pub name: String,
    /// The steps that lead there from the first state.
    pub actions: Vec<Action>,
}

/// Why a search cannot start there.
#[derive(Debug, Error)]
pub enum Error {
    /// The way leads through another system.
    #[error("it is recorded of the check {recorded}, not of {wanted}")]
    OtherCheck {
        /// The check that it is recorded of.
        recorded: String,
        /// The check that is to be searched.
        wanted: &'static str,
    },
    /// The recorded way cannot be taken.
    #[error(transparent)]
    Replay(#[from] replay::Error),
    /// The check has no such goal.
    #[error("{check} has no goal '{goal}': its goals are {}", goals.join(", "))]
    UnknownGoal {
        /// The check.
        check: &'static str,
        /// What was asked for.
        goal: String,
        /// What there is.
        goals: Vec<&'static str>,
    },
    /// Every state was searched, or all up to a broken promise.
    #[error("{goal} is out of reach; `shardwright check {check}` says more")]
    OutOfReach {
        /// The check.
        check: &'static str,
        /// The goal.
        goal: String,
    },
    /// The search for the goal ended early.
    #[error("no way to {goal} was found: {why}")]
    Unknown {
        /// The goal.
        goal: String,
        /// Why.
        why: String,
    },
}

impl Stage {
    /// The end of a recorded way, taken again with the real handlers.
    ///
    /// # Errors
    /// If the way leads through another system, or a step of it cannot be taken.
    pub fn at_end_of(recording: &Recording, check: &Check, name: String) -> Result<Self, Error> {
        if recording.check != check.name {
            let recorded = recording.check.clone();
            return Err(Error::OtherCheck { recorded, wanted: check.name });
        }
        let actions = replay::replay(recording)?.actions;
        Ok(Self { name, actions })
    }
}

/// A shortest way to a state that satisfies a goal of the check, found by the project's own engine.
///
/// # Errors
/// If the check has no such goal, or it is not reached.
pub fn way_to(
    goal: &str,
    check: &Check,
    options: Options<'_>,
    progress: impl FnMut(Progress),
) -> Result<Recording, Error> {
    let mut goals = check.properties();
    goals.retain(|property| property.goal);
    let Some(wanted) = goals.iter().find(|property| property.name == goal) else {
        let goals = goals.iter().map(|goal| goal.name).collect();
        return Err(Error::UnknownGoal { check: check.name, goal: goal.to_owned(), goals });
    };
    let report = compact::until(check, wanted, options, progress);
    let goal = goal.to_owned();
    if let Some(why) = compact::error(&report) {
        return Err(Error::Unknown { goal, why });
    }
    let Some(found) = report.found(wanted.name) else {
        return Err(Error::OutOfReach { check: check.name, goal });
    };
    let steps = story::tell(&check.system(), &found.trace);
    let way = Counterexample { property: goal, detail: String::new(), staged: 0, steps };
    Ok(Recording { check: check.name.to_owned(), counterexample: way })
}
