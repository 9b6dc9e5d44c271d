//! `shardwright drive`: long random runs of the same actors that the checks search.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use checks::driver::coverage::Kind;
use checks::driver::plan::Family;
use checks::driver::run::{self, Finding, Options, Progress, Report};
use checks::driver::trace::Trace;
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Exit, complain};

/// Drive the actors through long random runs, with faults, and judge all that clients see
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright drive ones                       groups of one server
  shardwright drive threes --seconds 600       groups of three, for ten minutes
  shardwright drive moves --operations 10000000 --recordings DIR
  shardwright drive moves --seed 17 --operations 1   one episode

Exit code: 0 nothing was found, 1 a promise is broken, or an event never occurred in 100,000
operations; 2 usage.")]
pub(crate) struct Arguments {
    /// The family of the runs
    #[arg(value_enum)]
    family: FamilyName,
    /// Begin no further episode after so many operations
    #[arg(long, default_value_t = 1_000_000)]
    operations: u64,
    /// Begin no further episode after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// The seed of the first episode; the next ones have the seeds that follow
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of episodes that run at the same time; as many as there are cores if not given
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Record a finding in this directory, for `shardwright replay`
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FamilyName {
    Ones,
    Threes,
    Moves,
}

impl From<FamilyName> for Family {
    fn from(name: FamilyName) -> Self {
        match name {
            FamilyName::Ones => Self::Ones,
            FamilyName::Threes => Self::Threes,
            FamilyName::Moves => Self::Moves,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    // A handler's panic is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = Options {
        family: arguments.family.into(),
        operations: arguments.operations,
        time: arguments.seconds.map(Duration::from_secs),
        seed: arguments.seed,
        threads: arguments.threads.unwrap_or(cores),
    };
    let bar = bar(options.operations);
    let report = run::run(options, |progress: Progress| bar.set_position(progress.operations));
    bar.finish_and_clear();
    println!("{}", table(&report));
    println!("{}", summary(&report));
    if let Some(file) = &arguments.json
        && let Err(error) = fs::write(file, json(&report))
    {
        complain(format!("cannot write {}: {error}", file.display()));
        return Exit::Failed;
    }
    if let Some(finding) = &report.finding {
        tell(finding, arguments.recordings.as_deref());
        return Exit::Failed;
    }
    let missing = report.missing();
    for kind in &missing {
        println!("never occurred: {}", kind.words());
    }
    if missing.is_empty() { Exit::Ok } else { Exit::Failed }
}

fn bar(operations: u64) -> ProgressBar {
    let bar =
        if stderr().is_terminal() { ProgressBar::new(operations) } else { ProgressBar::hidden() };
    let style = "{human_pos} of {human_len} operations, {per_sec}, {elapsed}";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

/// The number of times that each kind of event occurred, in two columns.
fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["event", "times", "event", "times"]);
    let cells = |kind: Option<&Kind>| {
        let kind = kind.copied();
        let times = kind.map(|kind| HumanCount(report.coverage.of(kind)).to_string());
        [kind.map_or(String::new(), |kind| kind.words().to_owned()), times.unwrap_or_default()]
    };
    let half = Kind::ALL.len().div_ceil(2);
    for place in 0..half {
        let row = [cells(Kind::ALL.get(place)), cells(Kind::ALL.get(place + half))];
        table.add_row(row.concat());
    }
    for column in [1, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn summary(report: &Report) -> String {
    let Progress { episodes, operations, steps } = report.progress;
    let seconds = report.time.as_secs_f64();
    format!(
        "{}: {} episodes, {} operations, {} steps in {seconds:.1} s, {} operations/s",
        report.family.name(),
        HumanCount(episodes),
        HumanCount(operations),
        HumanCount(steps),
        HumanCount((operations as f64 / seconds) as u64),
    )
}

fn json(report: &Report) -> String {
    let Progress { episodes, operations, steps } = report.progress;
    let times = |kind: &Kind| (kind.words().to_owned(), report.coverage.of(*kind).into());
    let coverage: serde_json::Map<_, _> = Kind::ALL.iter().map(times).collect();
    serde_json::json!({
        "family": report.family,
        "episodes": episodes,
        "operations": operations,
        "steps": steps,
        "seconds": report.time.as_secs_f64(),
        "coverage": coverage,
        "missing": report.missing().iter().map(|kind| kind.words()).collect::<Vec<_>>(),
        "finding": report.finding,
    })
    .to_string()
}

/// Says what was found, and records how to see it again.
fn tell(finding: &Finding, recordings: Option<&Path>) {
    let Finding { family, seed, step, property, detail } = finding;
    let family = family.name();
    println!("{property}: {detail}");
    println!("in {family}, seed {seed}, step {step}");
    let Some(folder) = recordings else {
        println!("see it again: shardwright drive {family} --seed {seed} --operations 1");
        println!("with --recordings DIR it is made small and recorded for `shardwright replay`");
        return;
    };
    let file = folder.join(format!("{family}-{seed}.json"));
    let trace = Trace::of(finding);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, serde_json::to_string_pretty(&trace)?));
    match written {
        Ok(()) => println!("{} events: shardwright replay {}", trace.events.len(), file.display()),
        Err(error) => complain(format!("cannot write {}: {error}", file.display())),
    }
}
