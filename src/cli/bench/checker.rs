//! `shardwright bench checker`: the checker beside stateright's own searches.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use checks::comparison::{Peer, Run, Subject};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;
use serde::Serialize;

use crate::cli::{Exit, complain};

/// Measure the checker beside stateright's breadth-first and depth-first search
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright bench checker                    the systems below, about four minutes
  shardwright bench checker crash --json FILE  one of them

Each check's system is searched without any reduction, so that all searches see the same states;
`register` and `lock` are small systems of the checker's own, with cheap handlers. What stateright
would take too long for (over 5 million states) is skipped.")]
pub(crate) struct Arguments {
    /// The systems to search: names of checks, `register`, `lock`
    #[arg(default_values_t = DEFAULT.map(String::from))]
    names: Vec<String>,
    /// On how many threads, besides one; as many as there are cores if not given
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Each takes stateright half a minute or less.
const DEFAULT: [&str; 5] = ["register", "lock", "sessions-replicated", "crash", "election-4"];

/// More states than this are too many for stateright here.
const MOST_STATES: usize = 5_000_000;

/// One system, by all searches.
#[derive(Serialize)]
struct Row {
    system: &'static str,
    own: Run,
    own_threaded: Run,
    stateright_bfs: Option<Run>,
    stateright_dfs: Option<Run>,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let mut rows = Vec::new();
    for name in &arguments.names {
        let Some(subject) = Subject::find(name) else {
            complain(format!("no check is called '{name}': `shardwright check --list` shows all"));
            return Exit::Usage;
        };
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let Some(row) = measure(subject, arguments.threads.unwrap_or(cores)) else {
            complain(format!(
                "{name} did not come to its end; `shardwright check {name}` says why"
            ));
            return Exit::Failed;
        };
        rows.push(row);
    }
    println!("{}", table(&rows));
    if let Some(row) = rows.iter().find(|row| !row.agrees()) {
        complain(format!("the searches of {} disagree on the number of states", row.system));
        return Exit::Failed;
    }
    if let Some(file) = &arguments.json {
        let written = serde_json::to_string_pretty(&rows).map_err(Into::into);
        if let Err(error) = written.and_then(|json| fs::write(file, json)) {
            complain(format!("cannot write {}: {error}", file.display()));
            return Exit::Failed;
        }
    }
    Exit::Ok
}

fn measure(subject: Subject, threads: NonZeroUsize) -> Option<Row> {
    let own = subject.own(NonZeroUsize::MIN)?;
    eprintln!("{}: {} states in {:.1} s", subject.name(), own.unique_states, own.seconds);
    let own_threaded = subject.own(threads)?;
    let peer =
        |peer| (own.unique_states <= MOST_STATES).then(|| subject.peer(NonZeroUsize::MIN, peer));
    let (stateright_bfs, stateright_dfs) = (peer(Peer::Bfs), peer(Peer::Dfs));
    Some(Row { system: subject.name(), own, own_threaded, stateright_bfs, stateright_dfs })
}

impl Row {
    fn agrees(&self) -> bool {
        let others = [Some(self.own_threaded), self.stateright_bfs, self.stateright_dfs];
        others.into_iter().flatten().all(|other| self.own.agrees(&other))
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    let threads = rows.first().map_or(2, |row| row.own_threaded.threads);
    table.set_header([
        "system".into(),
        "unique states".into(),
        "states".into(),
        "own".into(),
        format!("{threads} threads"),
        "bytes a state".into(),
        "stateright BFS".into(),
        "ratio".into(),
        "stateright DFS".into(),
        "ratio".into(),
    ]);
    for row in rows {
        let seconds = |run: &Run| format!("{:.2} s", run.seconds);
        let peer = |run: &Option<Run>| match run {
            Some(run) => [seconds(run), format!("{:.1}", row.own.speedup(run))],
            None => ["too many states".into(), String::new()],
        };
        let scaling = row.own_threaded.speedup(&row.own);
        let own = [
            row.system.to_owned(),
            HumanCount(row.own.unique_states as u64).to_string(),
            HumanCount(row.own.total_states as u64).to_string(),
            seconds(&row.own),
            format!("{} ({scaling:.2} times)", seconds(&row.own_threaded)),
            row.own.bytes_per_state.map_or_else(String::new, |bytes| format!("{bytes:.0}")),
        ];
        let peers = [peer(&row.stateright_bfs), peer(&row.stateright_dfs)];
        table.add_row(own.into_iter().chain(peers.into_iter().flatten()));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
