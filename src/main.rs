//! The command line of Shardwright.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
