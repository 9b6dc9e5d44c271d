//! Program that runs in a changed tree: `probe THREADS CHECK SEED [PROPERTY]` says in JSON how they
//! do. The seed is that of the first episode, if the check is one of the driver.

use std::env;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use checks::mutants::driven;
use checks::mutants::finding::{self, Finding};
use checks::portfolio;

fn main() -> ExitCode {
    // A handler's panic is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<_> = env::args().skip(1).collect();
    let Some(finding) = probe(&arguments) else {
        eprintln!("usage: probe THREADS CHECK SEED [PROPERTY]");
        return ExitCode::from(2);
    };
    match serde_json::to_string(&finding) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn probe(arguments: &[String]) -> Option<Finding> {
    let (threads, names) = arguments.split_first()?;
    let threads: NonZeroUsize = threads.parse().ok()?;
    let [check, seed, properties @ ..] = names else { return None };
    if let Some(family) = driven::family(check) {
        let seed = seed.parse().ok()?;
        return match properties {
            [] => Some(driven::of_family(family, seed)),
            [property] => Some(driven::of_property(family, property, seed)),
            _ => None,
        };
    }
    let Some(check) = portfolio::find(check) else {
        return Some(Finding::Unclear(format!("no check is called '{check}'")));
    };
    match properties {
        [] => Some(finding::of_check(check, threads)),
        [property] => Some(finding::of_property(check, property, threads)),
        _ => None,
    }
}
