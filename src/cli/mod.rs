//! What can be asked for on the command line; one file for each command.

mod admin;
mod bench;
mod chaos;
mod check;
mod drive;
mod explore;
mod kv;
mod mutants;
mod replay;
mod serve;
mod txn;
mod up;

use std::fmt::Display;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// How a command ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All is well.
    Ok,
    /// What was asked for does not hold, or could not be done.
    Failed,
    /// What was asked for makes no sense.
    Usage,
    /// A check ended before its last state.
    Incomplete,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
        })
    }
}

/// A sharded, fault-tolerant key/value store whose protocols are checked and run from one copy.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Arguments),
    Explore(explore::Arguments),
    Replay(replay::Arguments),
    Drive(drive::Arguments),
    Chaos(chaos::Arguments),
    Up(up::Arguments),
    Serve(serve::Arguments),
    Get(kv::Get),
    Put(kv::Put),
    Append(kv::Append),
    Cas(kv::Cas),
    Delete(kv::Delete),
    Txn(txn::Arguments),
    Admin(admin::Arguments),
    Mutants(mutants::Arguments),
    Bench(bench::Arguments),
}

/// Does what the command line asks for.
pub(crate) fn run() -> ExitCode {
    // Warnings of the runtime go to standard error; RUST_LOG says which else.
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error).into(),
    };
    let exit = match arguments.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Explore(arguments) => explore::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Drive(arguments) => drive::run(&arguments),
        Command::Chaos(arguments) => chaos::run(&arguments),
        Command::Up(arguments) => up::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Get(get) => get.run(),
        Command::Put(put) => put.run(),
        Command::Append(append) => append.run(),
        Command::Cas(cas) => cas.run(),
        Command::Delete(delete) => delete.run(),
        Command::Txn(arguments) => txn::run(&arguments),
        Command::Admin(arguments) => admin::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    exit.into()
}

/// Says in one line what makes no sense about a command line. Help that was asked for is printed in
/// full, and so is that for who asks for nothing.
fn refuse(error: &clap::Error) -> Exit {
    let is_help = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Some(Exit::Ok),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Some(Exit::Usage),
        _ => None,
    };
    if let Some(exit) = is_help {
        // Nobody is left to tell if it cannot be printed.
        let _ = error.print();
        return exit;
    }
    // What is wrong comes first, and behind an empty line hints and usage.
    let text = error.render().to_string();
    let wrong: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let wrong = wrong.join(" ");
    let wrong = wrong.strip_prefix("error: ").unwrap_or(&wrong);
    complain(format!("{}; --help shows how", wrong.trim_end_matches('.')));
    Exit::Usage
}

/// Says in one line what is wrong and what to do.
pub(crate) fn complain(error: impl Display) {
    eprintln!("shardwright: {error}");
}
