//! `shardwright check`: searches bounded systems to their last state.

mod stage;

use std::fs;
use std::io::{IsTerminal, stderr, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use checks::engine::{self, Engine, Kept, Options, Progress};
use checks::portfolio::{self, Check, Tier};
use checks::replay::Recording;
use checks::report::{Report, Staged, Verdict};
use checks::story::Counterexample;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressStyle};

use super::{Exit, complain};

/// Search every reachable state of bounded systems for broken promises
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright check                        every check of the ci tier
  shardwright check figure-8               one check
  shardwright check --list                 what there is, and what each bound hides
  shardwright check --tier full --json report.json
  shardwright check core --engine stateright   the same, by stateright's own search
  shardwright check --tier full --memory 8     in at most 8 GiB
  shardwright check core --after all_done      only what comes after the nearest state of this goal
  shardwright check core --from DIR/core.json  only what comes after a recorded way

A search that starts from such a stage sees nothing else: it can only pass from that stage.

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
    /// What searches: the project's own engine, or stateright's depth-first search
    #[arg(long, value_enum, default_value = "own")]
    engine: EngineName,
    /// How many GiB a search may keep in memory; beyond, it goes on on disk as far as it can
    #[arg(long, value_name = "GIB")]
    memory: Option<NonZeroUsize>,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Record counterexamples in this directory: CHECK.json for `shardwright replay`, CHECK.md to
    /// read
    #[arg(long, value_name = "DIR")]
    counterexamples: Option<PathBuf>,
    /// Search one check only from where a recorded way ends: CHECK.json of `--counterexamples`
    #[arg(long, value_name = "FILE", conflicts_with = "after")]
    from: Option<PathBuf>,
    /// Search one check only from the nearest state that satisfies this goal of it; the way there
    /// is recorded with counterexamples, as CHECK-GOAL.json
    #[arg(long, value_name = "GOAL")]
    after: Option<String>,
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

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EngineName {
    Own,
    Stateright,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Own => Self::Own,
            EngineName::Stateright => Self::Stateright,
        }
    }
}

/// Becomes true when the user has had enough.
static STOP: AtomicBool = AtomicBool::new(false);

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
    let engine = Engine::from(arguments.engine);
    // stateright's searches cannot be stopped: there Ctrl-C ends the program.
    if engine == Engine::Own
        && let Err(error) = ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
    {
        complain(format!("Ctrl-C will end without a report: {error}"));
    }
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = Options {
        engine,
        threads: arguments.threads.unwrap_or(cores),
        memory: arguments.memory.map(|gib| gib.get().saturating_mul(1 << 30)),
        stage: None,
        stop: &STOP,
    };
    let stage = match stage::choose(arguments, &checks, options) {
        Ok(stage) => stage,
        Err(exit) => return exit,
    };
    let options = Options { stage: stage.as_ref(), ..options };
    let reports: Vec<_> = checks.iter().map(|check| run_one(check, options)).collect();
    println!("{}", table(&reports));
    for report in &reports {
        explain(report);
    }
    if let Some(folder) = &arguments.counterexamples
        && let Err(error) = record(folder, &reports)
    {
        complain(format!("cannot write to {}: {error}", folder.display()));
        return Exit::Failed;
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
        return Ok(portfolio::checks().filter(|check| check.tier <= tier).collect());
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

/// How often progress is told where there is no terminal to show it.
const TELL_EVERY: Duration = Duration::from_secs(5);

fn run_one(check: &Check, options: Options<'_>) -> Report {
    shown(check, |progress| engine::run(check, options, progress))
}

/// Shows how far a search is while it runs.
fn shown<T>(check: &Check, search: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let terminal = stderr().is_terminal();
    let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::default_spinner());
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut told = Duration::ZERO;
    let found = search(&mut |progress| {
        if terminal {
            bar.set_message(line(check, &progress));
        } else if progress.elapsed >= told + TELL_EVERY {
            told = progress.elapsed;
            eprintln!("{}", line(check, &progress));
        }
    });
    bar.finish_and_clear();
    found
}

fn line(check: &Check, progress: &Progress) -> String {
    let per_second = progress.unique as f64 / progress.elapsed.as_secs_f64().max(1e-3);
    let mut line = format!(
        "{}: {} states, {} unique, {}/s, depth {}, {} pending",
        check.name,
        HumanCount(progress.total as u64),
        HumanCount(progress.unique as u64),
        HumanCount(per_second as u64),
        progress.depth,
        HumanCount(progress.pending as u64),
    );
    if let Some(Kept { memory, spilt, walked, parts }) = progress.kept {
        line += &format!(", {} parts, {}", HumanCount(parts as u64), BinaryBytes(memory as u64));
        if spilt > 0 {
            line += &format!(", {} on disk", BinaryBytes(spilt));
        }
        if walked > 0 {
            line += &format!(", walked back over {}", HumanCount(walked as u64));
        }
    }
    line
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

/// Says what is wrong with a check that has not passed, and what a staged one has not seen.
fn explain(report: &Report) {
    if let Some(stage) = &report.stage {
        limit(report, stage);
    }
    match report.verdict {
        Verdict::Passed | Verdict::PassedFromStage => return,
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
    if report.verdict == Verdict::Failed
        && report.counterexample.is_none()
        && report.stage.is_none()
    {
        println!("  {} states were found, {pinned} are pinned", report.unique_states);
    }
    if let Some(counterexample) = &report.counterexample {
        tell(counterexample);
    }
}

/// Says what a staged search has looked at, and what it cannot tell.
fn limit(report: &Report, Staged { from, steps }: &Staged) {
    println!(
        "\n{} was searched from {from} on, {steps} steps from its first state: this says nothing \
         of states that are not reached from there",
        report.name
    );
    if report.verdict == Verdict::PassedFromStage {
        for property in report.properties.iter().filter(|p| p.verdict == Verdict::Incomplete) {
            println!("  {} ({}) cannot be told from there", property.name, property.kind);
        }
    }
}

fn tell(counterexample: &Counterexample) {
    println!("\n{}: {}", counterexample.property, counterexample.detail);
    println!("{}:\n", counterexample.length());
    for (number, step) in counterexample.steps.iter().enumerate() {
        println!("{:>3}. {}\n{}", number + 1, step.action, step.changes);
    }
}

/// Writes down every counterexample.
fn record(folder: &Path, reports: &[Report]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for report in reports {
        let Some(counterexample) = report.counterexample.clone() else { continue };
        let page = counterexample.to_markdown(report.name);
        fs::write(folder.join(report.name).with_extension("md"), page)?;
        let recording = Recording { check: report.name.to_owned(), counterexample };
        write_recording(folder, report.name, &recording)?;
    }
    Ok(())
}

fn write_recording(folder: &Path, name: &str, recording: &Recording) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let json = serde_json::to_string_pretty(recording)?;
    fs::write(folder.join(name).with_extension("json"), json)
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
