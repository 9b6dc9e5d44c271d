//! `shardwright replay`: takes a recorded counterexample again.

use std::fs;
use std::path::{Path, PathBuf};

use checks::replay::{self, Recording};

use super::{Exit, complain, explore};

/// Take a recorded counterexample again, step by step, against the real handlers
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright check --counterexamples DIR      records every counterexample there
  shardwright replay DIR/core.json             does it still happen?
  shardwright replay DIR/core.json --explore   the same way, in stateright's Explorer

Exit code: 0 it does not happen any more, 1 it happens, 2 usage.")]
pub(crate) struct Arguments {
    /// The recording
    file: PathBuf,
    /// Open it in stateright's Explorer
    #[arg(long)]
    explore: bool,
}

/// Reads a recording; complains if that cannot be done.
pub(super) fn load(file: &Path) -> Result<Recording, Exit> {
    let text = fs::read_to_string(file).map_err(|error| {
        complain(format!("cannot read {}: {error}", file.display()));
        Exit::Usage
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let file = file.display();
        complain(format!(
            "{file} is no recording ({error}): `check --counterexamples DIR` makes one"
        ));
        Exit::Usage
    })
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let recording = match load(&arguments.file) {
        Ok(recording) => recording,
        Err(exit) => return exit,
    };
    let replayed = match replay::replay(&recording) {
        Ok(replayed) => replayed,
        Err(replay::Error::UnknownCheck(name)) => {
            complain(replay::Error::UnknownCheck(name));
            return Exit::Usage;
        }
        Err(error) => {
            println!("{error}");
            return Exit::Ok;
        }
    };
    for (number, step) in replayed.steps.iter().enumerate() {
        println!("{:>3}. {}\n{}", number + 1, step.action, step.changes);
    }
    if arguments.explore {
        let Some(path) = replayed.explorer_path() else {
            complain("the Explorer cannot take these steps");
            return Exit::Failed;
        };
        return explore::open(replayed.check, explore::LISTEN, &path);
    }
    let property = &recording.counterexample.property;
    match replayed.broken {
        Some(detail) => {
            println!("{property}: {detail}");
            Exit::Failed
        }
        None => {
            println!("{property} holds in the last state");
            Exit::Ok
        }
    }
}
