//! `shardwright chaos`: a real cluster, real faults, and a verdict.
//!
//! | module | idea |
//! |---|---|
//! | [`kind`], [`schedule`], [`disks`] | what can go wrong; what is to, and when, from a seed |
//! | [`layout`], [`raft_group`] | what a cluster is made of |
//! | [`process`], [`fleet`] | servers as processes, which can be killed and paused |
//! | [`newcomer`] | a server that has lost its disk, and is to be refused |
//! | [`nemesis`] | makes it go wrong, and keeps the evidence |
//! | [`workload`], [`load`], [`recorder`] | what clients ask, how, and what they were told |
//! | [`administration`] | lets groups join and leave, and moves shards |
//! | [`board`] | what all of these may know of each other |
//! | [`observer`] | a client that takes no excuse |
//! | [`pulse`] | whether this machine does its part |
//! | [`mod@run`], [`rest`] | one run from its first start to the comparison of the logs |
//! | [`tenures`], [`waits`] | who had which shard when, and how long operations waited |
//! | [`verdict`], [`figures`], [`report`] | what follows from it |

mod administration;
mod audit;
mod board;
mod disks;
mod figures;
mod fleet;
mod kind;
mod layout;
mod ledger;
mod load;
mod nemesis;
mod newcomer;
mod observer;
mod process;
mod pulse;
mod raft_group;
mod recorder;
mod report;
mod rest;
mod run;
mod schedule;
mod tenures;
mod verdict;
mod waits;
mod workload;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use checks::recorded::{Recorded, export};
use clap::builder::ArgPredicate;
use runtime::cluster::DEFAULT_SHARDS;
use runtime::rng::Rng;

use self::layout::{Groups, Layout};
use self::report::Report;
use self::run::Run;
use self::verdict::Verdict;
use super::{Exit, complain};

/// Run a real cluster under faults, and judge what its clients saw
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright chaos                               a minute
  shardwright chaos --seconds 15 --seed 1         a smoke test
  shardwright chaos --groups 3 --seconds 120      groups that share the store, and shards that move
  shardwright chaos --json report.json --history history.jsonl

The servers are processes on this machine; only the loopback interface is used. The seed gives the
schedule of the faults; a run of 30 seconds or more has every kind of them, and with groups one of a
minute.

Exit code: 0 passed, 1 a promise was broken, 2 usage, 3 not enough happened, or interrupted.")]
pub(crate) struct Arguments {
    /// How long to keep it up
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,
    /// What the schedule is drawn from; random if not given
    #[arg(long)]
    seed: Option<u64>,
    /// How many groups share the store; they join, leave and give each other shards meanwhile.
    /// Without this, one group has all of it
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=5))]
    groups: Option<u16>,
    /// How many servers; with --groups, in each of them and for the controller
    #[arg(
        long, default_value = "5", default_value_if("groups", ArgPredicate::IsPresent, "3"),
        value_parser = clap::value_parser!(u16).range(3..=5)
    )]
    servers: u16,
    /// How many shards the groups share
    #[arg(
        long, requires = "groups", default_value_t = DEFAULT_SHARDS,
        value_parser = clap::value_parser!(u16).range(2..=1_024)
    )]
    shards: u16,
    /// Let as many clients again carry out transactions on keys of all groups
    #[arg(long, requires = "groups")]
    txn: bool,
    /// How many clients, each with four sessions
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    clients: u16,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write what the clients asked and were told to this file, a line of JSON for each operation
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Keep the servers' files in this new directory; if not given, they are kept on failure only
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Arguments {
    fn layout(&self) -> Layout {
        let groups = self.groups.map(|groups| Groups { groups, shards: self.shards });
        Layout { servers: self.servers, groups }
    }
}

/// Why a run ends before its end.
#[derive(Debug)]
enum Trouble {
    /// A server did what no server may do: a finding.
    Server(String),
    /// This machine does not do its part.
    Host(String),
    /// Somebody wants it to end.
    Interrupted,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Host(error.to_string())
    }
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let outputs = match Outputs::open(arguments) {
        Ok(outputs) => outputs,
        Err(unusable) => {
            complain(unusable);
            return Exit::Usage;
        }
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    if let Err(error) = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)) {
        complain(format!("cannot listen to Ctrl-C: {error}"));
    }
    let seed = arguments.seed.unwrap_or_else(|| Rng::from_entropy().below(1 << 32));
    let layout = arguments.layout();
    println!("seed {seed}: {layout}, {} s", arguments.seconds);
    let run = Run {
        seconds: arguments.seconds,
        seed,
        layout,
        clients: arguments.clients,
        transactions: arguments.txn,
        folder: outputs.folder.path(),
        interrupted: &interrupted,
    };
    let (report, history) = match run.conduct() {
        Ok(outcome) => outcome,
        Err(trouble) => {
            match trouble {
                Trouble::Interrupted => complain("interrupted: nothing is judged"),
                Trouble::Host(why) | Trouble::Server(why) => complain(why),
            }
            return Exit::Incomplete;
        }
    };
    report.print();
    if let Err(error) = outputs.write(&report, &history) {
        complain(error);
        return Exit::Incomplete;
    }
    match report.verdict {
        Verdict::Passed => Exit::Ok,
        Verdict::Violated => Exit::Failed,
        Verdict::NotExercised => Exit::Incomplete,
    }
}

/// Where a run's files go. Opened before the run, so that it is not for nothing.
struct Outputs {
    folder: Folder,
    json: Option<(PathBuf, File)>,
    history: Option<(PathBuf, File)>,
}

/// The servers' files.
enum Folder {
    /// Removed in the end, unless something has failed.
    Temporary(tempfile::TempDir),
    /// Kept.
    Given(PathBuf),
}

impl Folder {
    fn open(data: Option<&Path>) -> io::Result<Self> {
        match data {
            None => {
                let folder = tempfile::Builder::new().prefix("shardwright-chaos-").tempdir()?;
                Ok(Self::Temporary(folder))
            }
            Some(data) => {
                fs::create_dir_all(data)?;
                if fs::read_dir(data)?.next().is_some() {
                    return Err(io::Error::other("it is not empty"));
                }
                // Children are told the path, and it must mean the same to them.
                Ok(Self::Given(data.canonicalize()?))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Given(folder) => folder,
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(folder) => folder.keep(),
            Self::Given(folder) => folder,
        }
    }
}

impl Outputs {
    fn open(arguments: &Arguments) -> Result<Self, String> {
        let create = |file: &Option<PathBuf>| {
            let create = |file: &PathBuf| match File::create(file) {
                Ok(created) => Ok((file.clone(), created)),
                Err(error) => Err(format!("cannot write {}: {error}", file.display())),
            };
            file.as_ref().map(create).transpose()
        };
        let (json, history) = (create(&arguments.json)?, create(&arguments.history)?);
        let folder = Folder::open(arguments.data.as_deref()).map_err(|error| {
            let data = arguments.data.as_deref().unwrap_or(Path::new("a temporary directory"));
            format!("cannot use {}: {error}; name a new directory with --data", data.display())
        })?;
        Ok(Self { folder, json, history })
    }

    /// Writes what was asked for, and on failure everything there is.
    fn write(self, report: &Report, history: &[Recorded]) -> Result<(), String> {
        let failed = |file: &Path, error: &dyn std::fmt::Display| {
            format!("cannot write {}: {error}", file.display())
        };
        if let Some((name, file)) = &self.json {
            serde_json::to_writer_pretty(file, report).map_err(|error| failed(name, &error))?;
        }
        let mut destination = self.history;
        if report.verdict != Verdict::Passed {
            let folder = self.folder.keep();
            println!("the servers' files are kept in {}", folder.display());
            if destination.is_none() {
                let name = folder.join("history.jsonl");
                let file = File::create(&name).map_err(|error| failed(&name, &error))?;
                destination = Some((name, file));
            }
        }
        if let Some((name, file)) = destination {
            write_history(file, history).map_err(|error| failed(&name, &error))?;
            println!("the history is in {}", name.display());
        }
        Ok(())
    }
}

fn write_history(file: File, history: &[Recorded]) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    for line in export::lines(history) {
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
