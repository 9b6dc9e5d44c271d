//! A recorded counterexample, taken again step by step against the real handlers.

use std::fmt::{self, Display, Formatter};

use model::system::{Action, Explorable, Page, System, SystemState};
use serde::{Deserialize, Serialize};
use stateright::{Model, Path};

use crate::driver::trace::Trace;
use crate::portfolio::{self, Check};
use crate::story::{Counterexample, Step};

/// A counterexample with the check that it is one of.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Recording {
    /// The check.
    pub check: String,
    /// How a promise of it is broken.
    pub counterexample: Counterexample,
}

/// A recording of either kind.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Recorded {
    /// A counterexample of a check.
    Check(Recording),
    /// A trace of the random driver.
    Driver(Trace),
}

/// Why a recording cannot be taken again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Error {
    /// There is no such check.
    UnknownCheck(String),
    /// In the state that was reached no step is called so.
    NoSuchStep {
        /// Which step of the recording, counted from 1.
        number: usize,
        /// What it says.
        action: String,
        /// What can happen instead.
        possible: Vec<String>,
    },
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCheck(name) => {
                write!(f, "no check is called '{name}': `shardwright check --list` shows all")
            }
            Self::NoSuchStep { number, action, possible } => write!(
                f,
                "step {number} cannot be taken any more: '{action}'; what can happen there is: {}",
                possible.join("; ")
            ),
        }
    }
}

impl std::error::Error for Error {}

/// What has come of a recording.
pub struct Replayed {
    /// The check.
    pub check: &'static Check,
    /// The steps as they are now.
    pub steps: Vec<Step>,
    /// What is wrong in the last state with the property that was broken; nothing if it holds, or
    /// if it is not a property of states.
    pub broken: Option<String>,
    pub(crate) actions: Vec<Action>,
}

/// Takes the steps of a recording again.
///
/// # Errors
/// If there is no such check, or a step cannot be taken: the code is not what it was.
pub fn replay(recording: &Recording) -> Result<Replayed, Error> {
    let check = portfolio::find(&recording.check)
        .ok_or_else(|| Error::UnknownCheck(recording.check.clone()))?;
    let system = check.system();
    let mut state = system.init_states().swap_remove(0); // A system has one initial state.
    let (mut steps, mut actions) = (Vec::new(), Vec::new());
    for (i, step) in recording.counterexample.steps.iter().enumerate() {
        let (action, next) = take(&system, &state, &step.action).map_err(|possible| {
            Error::NoSuchStep { number: i + 1, action: step.action.clone(), possible }
        })?;
        steps.push(Step::new(&system, &state, &action, &next));
        actions.push(action);
        state = next;
    }
    let name = &recording.counterexample.property;
    let property = check.properties().into_iter().find(|property| property.name == *name);
    let broken = property.and_then(|property| property.judge(&state).err());
    let broken = broken.map(|violation| violation.detail);
    Ok(Replayed { check, steps, broken, actions })
}

/// Takes the step that is called so; or gives the names of those that can be taken.
fn take(
    system: &System,
    state: &SystemState,
    wanted: &str,
) -> Result<(Action, SystemState), Vec<String>> {
    let mut all = Vec::new();
    system.actions(state, &mut all);
    let mut possible = Vec::new();
    for action in all {
        let words = system.format_action(&action);
        if let Some(next) = system.next_state(state, action.clone()) {
            if words == wanted {
                return Ok((action, next));
            }
            possible.push(words);
        }
    }
    Err(possible)
}

impl Replayed {
    /// The same way in stateright's Explorer: what follows `#/steps` in its address.
    #[must_use]
    pub fn explorer_path(&self) -> Option<String> {
        let explorable = Explorable(self.check.system());
        let first: Page = explorable.init_states().swap_remove(0);
        let path = Path::from_actions(&explorable, first, &self.actions)?;
        Some(path.encode(&explorable))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use model::properties::goals;

    use super::*;
    use crate::engine::{Options, compact};
    use crate::story;

    /// A recorded way to a goal, as one to a broken promise would be.
    fn recording() -> Recording {
        let check = portfolio::find("one-term").expect("a check of that name");
        let options = Options::on(NonZeroUsize::MIN);
        let report = compact::run(check, &[goals::ALL_DONE], false, options, |_| {});
        let found = report.found("all_done").expect("a way to it");
        let steps = story::tell(&check.system(), &found.trace);
        let counterexample =
            Counterexample { property: "all_done".into(), detail: String::new(), staged: 0, steps };
        Recording { check: check.name.into(), counterexample }
    }

    #[test]
    fn recording_is_taken_again_to_the_same_end() {
        let recording = recording();
        let json = serde_json::to_string(&recording).expect("plain data");
        let back: Recording = serde_json::from_str(&json).expect("what was written");
        let replayed = replay(&back).expect("the same code");
        let told = |steps: &[Step]| steps.iter().map(|s| s.changes.clone()).collect::<Vec<_>>();
        assert_eq!(told(&replayed.steps), told(&recording.counterexample.steps));
        assert_eq!(replayed.broken, None, "the goal is reached in the last state");
        let path = replayed.explorer_path().expect("a way for the Explorer");
        assert_eq!(path.split('/').count(), replayed.steps.len() + 1);
    }

    #[test]
    fn step_that_cannot_be_taken_is_named_with_what_can() {
        let mut recording = recording();
        recording.counterexample.steps[1].action = "n7 wakes up".into();
        let Err(Error::NoSuchStep { number, action, possible }) = replay(&recording) else {
            panic!("nobody wakes up");
        };
        assert_eq!((number, action.as_str()), (2, "n7 wakes up"));
        assert!(!possible.is_empty());
    }

    #[test]
    fn diagram_shows_every_step_between_named_participants() {
        let Recording { counterexample, .. } = recording();
        let diagram = counterexample.to_mermaid();
        let steps = diagram.lines().filter(|l| l.contains("->>") || l.contains("Note over"));
        assert_eq!(steps.count(), counterexample.steps.len());
        assert!(diagram.contains("participant n0\n"));
        let page = counterexample.to_markdown("one-term");
        assert!(page.contains("```mermaid\nsequenceDiagram"));
    }
}
