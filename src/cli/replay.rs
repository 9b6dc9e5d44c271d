//! `shardwright replay`: takes a recorded counterexample again.

use std::fs;
use std::path::PathBuf;

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

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let file = arguments.file.display();
    let text = match fs::read_to_string(&arguments.file) {
        Ok(text) => text,
        Err(error) => {
            complain(format!("cannot read {file}: {error}"));
            return Exit::Usage;
        }
    };
    let recording: Recording = match serde_json::from_str(&text) {
        Ok(recording) => recording,
        Err(error) => {
            complain(format!(
                "{file} is no recording ({error}): `check --counterexamples DIR` makes one"
            ));
            return Exit::Usage;
        }
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
