//! `shardwright replay`: takes a recorded counterexample, or a trace of the driver, again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use checks::driver::run::PATIENCE;
use checks::driver::trace::{Replayed, STEP_ENDS, Trace};
use checks::replay::{self, Recorded, Recording};
use serde::de::DeserializeOwned;

use super::{Exit, complain, explore};

/// Take a recorded counterexample or trace again, step by step, against the real handlers
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright check --counterexamples DIR      records every counterexample there
  shardwright replay DIR/core.json             does it still happen?
  shardwright replay DIR/core.json --explore   the same way, in stateright's Explorer
  shardwright drive moves --recordings DIR     records a finding of the driver there
  shardwright replay DIR/moves-17.json

Exit code: 0 it does not happen any more, 1 it happens, 2 usage.")]
pub(crate) struct Arguments {
    /// The recording
    file: PathBuf,
    /// Open it in stateright's Explorer
    #[arg(long)]
    explore: bool,
}

/// Reads a recording; complains if that cannot be done.
pub(super) fn load<T: DeserializeOwned>(file: &Path) -> Result<T, Exit> {
    let text = fs::read_to_string(file).map_err(|error| {
        complain(format!("cannot read {}: {error}", file.display()));
        Exit::Usage
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let file = file.display();
        complain(format!(
            "{file} is no recording ({error}): make one by `check --counterexamples DIR` \
             or by `drive --recordings DIR`"
        ));
        Exit::Usage
    })
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match load(&arguments.file) {
        Ok(Recorded::Check(recording)) => counterexample(&recording, arguments.explore),
        Ok(Recorded::Driver(_)) if arguments.explore => {
            complain("the Explorer shows counterexamples of checks only: leave out --explore");
            Exit::Usage
        }
        Ok(Recorded::Driver(trace)) => driven(&trace),
        Err(exit) => exit,
    }
}

/// Lets the events of a trace happen again. A step of it may not end.
fn driven(trace: &Trace) -> Exit {
    // A handler's panic is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let (tell, told) = mpsc::channel();
    let again = trace.clone();
    // Nobody is left to tell if the patience is over.
    thread::spawn(move || drop(tell.send(again.replay())));
    let Replayed { steps, broken } = match told.recv_timeout(PATIENCE) {
        Ok(replayed) => replayed,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            trace
                .events
                .iter()
                .zip(1..)
                .for_each(|(event, number)| println!("{number:>3}. {event}"));
            println!("{STEP_ENDS}: a step has not ended after {} s", PATIENCE.as_secs());
            return Exit::Failed;
        }
    };
    for (number, (event, state)) in steps.iter().enumerate() {
        println!("{:>3}. {event}\n     {state}", number + 1);
    }
    match broken {
        Some(broken) => {
            println!("{broken}");
            Exit::Failed
        }
        None => {
            println!("{} holds, and so does all else", trace.property);
            Exit::Ok
        }
    }
}

fn counterexample(recording: &Recording, in_explorer: bool) -> Exit {
    let replayed = match replay::replay(recording) {
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
    if in_explorer {
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
