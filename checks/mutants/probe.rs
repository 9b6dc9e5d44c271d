//! What runs in a changed tree: `probe THREADS CHECK [PROPERTY]` says in JSON how they do.

use std::env;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use checks::mutants::finding::{self, Finding};
use checks::portfolio;

fn main() -> ExitCode {
    // A handler's panic is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<_> = env::args().skip(1).collect();
    let Some(finding) = probe(&arguments) else {
        eprintln!("usage: probe THREADS CHECK [PROPERTY]");
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
    let (check, properties) = names.split_first()?;
    let Some(check) = portfolio::find(check) else {
        return Some(Finding::Unclear(format!("no check is called '{check}'")));
    };
    match properties {
        [] => Some(finding::of_check(check, threads)),
        [property] => Some(finding::of_property(check, property, threads)),
        _ => None,
    }
}
