//! Where `shardwright check --from` and `--after` start.

use std::path::Path;

use checks::engine::{Engine, Options};
use checks::portfolio::Check;
use checks::stage::{self, Error, Stage};

use super::{Arguments, shown, write_recording};
use crate::cli::{Exit, complain, replay};

/// Where the search is to start; nothing if at the first state.
pub(super) fn choose(
    arguments: &Arguments,
    checks: &[&Check],
    options: Options<'_>,
) -> Result<Option<Stage>, Exit> {
    if arguments.from.is_none() && arguments.after.is_none() {
        return Ok(None);
    }
    let refuse = |why: &str| {
        complain(why);
        Err(Exit::Usage)
    };
    let &[check] = checks else { return refuse("--from and --after are for one check: name it") };
    if options.engine != Engine::Own {
        return refuse("only the project's own engine can start from a stage");
    }
    let stage = match (&arguments.from, &arguments.after) {
        (Some(file), _) => from(file, check),
        (None, Some(goal)) => after(goal, check, options, arguments.counterexamples.as_deref()),
        (None, None) => return Ok(None),
    };
    stage.map(Some)
}

fn from(file: &Path, check: &Check) -> Result<Stage, Exit> {
    let recording = replay::load(file)?;
    let name = file.display().to_string();
    Stage::at_end_of(&recording, check, name).map_err(|error| {
        complain(format!("cannot start from {}: {error}", file.display()));
        Exit::Usage
    })
}

/// Finds the way to the goal, and records it if counterexamples are.
fn after(
    goal: &str,
    check: &Check,
    options: Options<'_>,
    folder: Option<&Path>,
) -> Result<Stage, Exit> {
    let way = shown(check, |progress| stage::way_to(goal, check, options, progress));
    let stage = way.and_then(|way| {
        let stage = Stage::at_end_of(&way, check, goal.to_owned())?;
        Ok((way, stage))
    });
    let (way, stage) = stage.map_err(|error| {
        complain(&error);
        match error {
            Error::OutOfReach { .. } => Exit::Failed,
            Error::Unknown { .. } => Exit::Incomplete,
            Error::OtherCheck { .. } | Error::Replay(_) | Error::UnknownGoal { .. } => Exit::Usage,
        }
    })?;
    if let Some(folder) = folder {
        let name = format!("{}-{goal}", check.name);
        write_recording(folder, &name, &way).map_err(|error| {
            complain(format!("cannot write to {}: {error}", folder.display()));
            Exit::Failed
        })?;
    }
    Ok(stage)
}
