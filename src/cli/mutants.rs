//! `shardwright mutants`: proves the checks awake.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use checks::mutants::mutant::Mutant;
use checks::mutants::tree::Tree;
use checks::mutants::trial::{self, Event, Outcome, Trial};
use checks::mutants::{self, Error};
use checks::portfolio::Tier;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::check::TierName;
use super::{Exit, complain};

/// Put known bugs back into a copy of the sources, and require the checks to find each
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright mutants                      every mutant
  shardwright mutants --tier ci            those that run with every change
  shardwright mutants vote-for-all E06     one mutant, and all of a row of the zoo
  shardwright mutants --list               what there is

Needs the sources and cargo; works in target/mutants and changes no source.
Exit code: 0 all killed, 1 some survived or cannot be tried, 2 usage.")]
pub(crate) struct Arguments {
    /// The mutants to try, by name or by row of the zoo; all of the tier if none is named
    ids: Vec<String>,
    /// Which mutants: `ci` takes minutes, `full` is all
    #[arg(long, value_enum, default_value = "full")]
    tier: TierName,
    /// How many threads search; as many as there are cores if not given
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// The sources to try them on; those that this program was built from if not given
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List the mutants instead of trying them
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let tree = arguments.tree.clone().unwrap_or_else(mutants::home);
    let mutants = match Mutant::all(&tree) {
        Ok(mutants) => mutants,
        Err(error) => {
            complain(format!("{error}; name the sources with --tree"));
            return Exit::Failed;
        }
    };
    let mutants = match select(&mutants, &arguments.ids, arguments.tier.into()) {
        Ok(mutants) => mutants,
        Err(unknown) => {
            complain(format!(
                "no mutant is called '{unknown}': `shardwright mutants --list` shows all"
            ));
            return Exit::Usage;
        }
    };
    if arguments.list {
        mutants.iter().for_each(describe);
        return Exit::Ok;
    }
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = arguments.threads.unwrap_or(cores);
    let start = Instant::now();
    let trials = match Tree::copy(&tree).and_then(|tree| try_all(tree, &mutants, threads)) {
        Ok(trials) => trials,
        Err(error) => {
            complain(error);
            return Exit::Failed;
        }
    };
    println!("{}", table(&trials));
    trials.iter().for_each(explain);
    let killed = trials.iter().filter(|trial| trial.is_killed()).count();
    let seconds = start.elapsed().as_secs();
    println!("{killed} of {} mutants killed in {seconds} s", trials.len());
    if let Some(file) = &arguments.json
        && let Err(error) = write_json(file, &trials)
    {
        complain(format!("cannot write {}: {error}", file.display()));
        return Exit::Failed;
    }
    if killed == trials.len() { Exit::Ok } else { Exit::Failed }
}

/// The mutants of these names and rows, or all of the tier.
fn select(mutants: &[Mutant], ids: &[String], tier: Tier) -> Result<Vec<Mutant>, String> {
    if ids.is_empty() {
        return Ok(mutants.iter().filter(|mutant| mutant.tier <= tier).cloned().collect());
    }
    let is = |mutant: &Mutant, id: &str| mutant.id == id || mutant.zoo == id;
    if let Some(unknown) = ids.iter().find(|id| !mutants.iter().any(|mutant| is(mutant, id))) {
        return Err(unknown.clone());
    }
    let wanted = |mutant: &&Mutant| ids.iter().any(|id| is(mutant, id));
    Ok(mutants.iter().filter(wanted).cloned().collect())
}

fn describe(mutant: &Mutant) {
    println!("{}  ({}, zoo {})", mutant.id, mutant.tier.word(), mutant.zoo);
    println!("  {}", mutant.bug);
    println!("  {} must fall in {}\n", mutant.property, mutant.check);
}

fn try_all(tree: Tree, mutants: &[Mutant], threads: NonZeroUsize) -> Result<Vec<Trial>, Error> {
    let bar =
        if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::default_spinner());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message("building the unchanged tree");
    let (mut done, count) = (0, mutants.len());
    let trials = trial::run(tree, mutants, threads, |event| match event {
        Event::Control(check) => bar.set_message(format!("{check} must pass without any change")),
        Event::Search(mutant) => {
            bar.set_message(format!("{done}/{count} {}: {}", mutant.id, mutant.bug));
        }
        Event::Done(_) => done += 1,
    });
    bar.finish_and_clear();
    trials
}

fn table(trials: &[Trial]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    let header = ["mutant", "zoo", "outcome", "property", "check", "states", "depth", "seconds"];
    table.set_header(header);
    for trial in trials {
        let (outcome, states, depth) = match &trial.outcome {
            Outcome::Killed { states, counterexample } => {
                let depth = counterexample.as_ref().map(|found| found.steps.len().to_string());
                let states = HumanCount(*states as u64).to_string();
                ("killed", states, depth.unwrap_or_default())
            }
            Outcome::Survived => ("SURVIVED", String::new(), String::new()),
            Outcome::Broken(_) => ("BROKEN", String::new(), String::new()),
        };
        table.add_row([
            trial.mutant.id.clone(),
            trial.mutant.zoo.clone(),
            outcome.to_owned(),
            trial.mutant.property.clone(),
            trial.mutant.check.clone(),
            states,
            depth,
            format!("{:.1}", trial.build_seconds + trial.search_seconds),
        ]);
    }
    for column in table.column_iter_mut().skip(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Says what is wrong with a mutant that is not killed.
fn explain(trial: &Trial) {
    let Mutant { id, property, check, .. } = &trial.mutant;
    match &trial.outcome {
        Outcome::Killed { .. } => {}
        Outcome::Survived => println!("{id} survived: {property} holds in {check}"),
        Outcome::Broken(why) => println!("{id} cannot be tried: {why}"),
    }
}

fn write_json(file: &PathBuf, trials: &[Trial]) -> std::io::Result<()> {
    fs::write(file, serde_json::to_string_pretty(trials)?)
}
