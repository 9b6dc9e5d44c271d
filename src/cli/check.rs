//! `shardwright check`: searches bounded systems to their last state.

use std::fs;
use std::io::{IsTerminal, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use checks::counterexample::Counterexample;
use checks::engine::{self, Progress};
use checks::portfolio::{self, Check, Tier};
use checks::report::{Report, Verdict};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Exit, complain};

/// Search every reachable state of bounded systems for broken promises
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright check                        every check of the ci tier
  shardwright check figure-8               one check
  shardwright check --list                 what there is, and what each bound hides
  shardwright check --tier full --json report.json

Exit code: 0 all passed and complete, 1 a property failed, 2 usage, 3 incomplete.")]
pub(crate) struct Arguments {
    /// The checks to run; all of the tier if none is named
    names: Vec<String>,
    /// Which checks: `ci` takes minutes, `full` up to an hour and 16 GiB
    #[arg(long, value_enum, default_value = "ci")]
    tier: TierName,
    /// How many threads search; as many as there are cores if not given
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List the checks instead of running them
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TierName {
    Ci,
    Full,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Ci => Self::Ci,
            TierName::Full => Self::Full,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let checks = match select(&arguments.names, arguments.tier.into()) {
        Ok(checks) => checks,
        Err(unknown) => {
            complain(format!(
                "no check is called '{unknown}': `shardwright check --list` shows all"
            ));
            return Exit::Usage;
        }
    };
    if arguments.list {
        checks.iter().for_each(|check| describe(check));
        return Exit::Ok;
    }
    // A handler's panic is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = arguments.threads.unwrap_or(cores);
    let reports: Vec<_> = checks.iter().map(|check| run_one(check, threads)).collect();
    println!("{}", table(&reports));
    for report in &reports {
        explain(report);
    }
    if let Some(file) = &arguments.json
        && let Err(error) = write_json(file, &reports)
    {
        complain(format!("cannot write {}: {error}", file.display()));
        return Exit::Failed;
    }
    verdict(&reports)
}

/// The checks of these names, or all of the tier: the full tier is the ci tier and more.
fn select(names: &[String], tier: Tier) -> Result<Vec<&'static Check>, &str> {
    if names.is_empty() {
        return Ok(portfolio::CHECKS.iter().filter(|check| check.tier <= tier).collect());
    }
    names.iter().map(|name| portfolio::find(name).ok_or(name.as_str())).collect()
}

fn describe(check: &Check) {
    let (tier, states) = (check.tier.word(), HumanCount(check.unique_states));
    println!("{}  ({tier}, {states} states)", check.name);
    println!("  {}", check.about);
    println!("  within: {}", check.bounds());
    println!("  hidden: {}\n", check.hides);
}

fn run_one(check: &Check, threads: NonZeroUsize) -> Report {
    let bar =
        if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::default_spinner());
    bar.enable_steady_tick(Duration::from_millis(100));
    let report = engine::run(check, threads, |progress| bar.set_message(line(check, &progress)));
    bar.finish_and_clear();
    report
}

fn line(check: &Check, progress: &Progress) -> String {
    let per_second = progress.unique as f64 / progress.elapsed.as_secs_f64().max(1e-3);
    format!(
        "{}: {} states, {} unique, {}/s, depth {}, {} pending",
        check.name,
        HumanCount(progress.total as u64),
        HumanCount(progress.unique as u64),
        HumanCount(per_second as u64),
        progress.depth,
        HumanCount(progress.pending as u64),
    )
}

/// How wide the table is where there is no terminal to fit it to.
const REPORT_COLUMNS: u16 = 140;

fn table(reports: &[Report]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !stdout().is_terminal() {
        table.set_width(REPORT_COLUMNS);
    }
    table.set_header(["check", "verdict", "unique states", "states", "depth", "seconds", "within"]);
    for report in reports {
        table.add_row([
            report.name.to_owned(),
            report.verdict.word().to_owned(),
            HumanCount(report.unique_states).to_string(),
            HumanCount(report.total_states).to_string(),
            report.depth.to_string(),
            format!("{:.1}", report.seconds),
            report.bounds.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Says what is wrong with a check that has not passed.
fn explain(report: &Report) {
    match report.verdict {
        Verdict::Passed => return,
        Verdict::Incomplete => {
            let why = report.error.as_deref().unwrap_or("it ended before its last state");
            println!("\n{} is incomplete: {why}", report.name);
        }
        Verdict::Failed => println!("\n{} failed", report.name),
    }
    for property in report.properties.iter().filter(|p| p.verdict == Verdict::Failed) {
        println!("  {} ({}) does not hold", property.name, property.kind);
    }
    let pinned = report.pinned_unique_states;
    if report.verdict == Verdict::Failed && report.counterexample.is_none() {
        println!("  {} states were found, {pinned} are pinned", report.unique_states);
    }
    if let Some(counterexample) = &report.counterexample {
        tell(counterexample);
    }
}

fn tell(counterexample: &Counterexample) {
    println!("\n{}: {}", counterexample.property, counterexample.detail);
    println!("in {} steps, and in no fewer:\n", counterexample.steps.len());
    for (number, step) in counterexample.steps.iter().enumerate() {
        println!("{:>3}. {}\n{}", number + 1, step.action, step.changes);
    }
}

fn write_json(file: &PathBuf, reports: &[Report]) -> std::io::Result<()> {
    fs::write(file, serde_json::to_string_pretty(reports)?)
}

fn verdict(reports: &[Report]) -> Exit {
    let any = |verdict| reports.iter().any(|report| report.verdict == verdict);
    if any(Verdict::Failed) {
        Exit::Failed
    } else if any(Verdict::Incomplete) {
        Exit::Incomplete
    } else {
        Exit::Ok
    }
}
