//! What a run has found, for people and for machines.

use std::io::{IsTerminal, stdout};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::HumanCount;
use serde::Serialize;

use super::audit::Transactions;
use super::figures::{Disk, Event, Faults, Latency, Operations};
use super::layout::Layout;
use super::verdict::{Findings, Verdict};
use super::waits::Waits;

/// What a run has found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) layout: Layout,
    pub(super) clients: u16,
    /// How long the load lasted.
    pub(super) seconds: f64,
    pub(super) operations: Operations,
    pub(super) latency: Latency,
    /// How many entries the servers' logs have in the end, those of each group taken once, if they
    /// are equal.
    pub(super) log_entries: Option<usize>,
    /// What has become of the shards, if groups share them and it came to that.
    pub(super) sharding: Option<Sharding>,
    /// What has become of the transactions, if there were some.
    pub(super) transactions: Option<Transactions>,
    pub(super) faults: Vec<Faults>,
    /// The disks that were lost.
    pub(super) disks: Vec<Disk>,
    /// When the machine stood still.
    pub(super) standstills: Vec<Event>,
    /// The faults one by one.
    pub(super) timeline: Vec<Event>,
    #[serde(flatten)]
    pub(super) findings: Findings,
}

/// What has become of the shards.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sharding {
    pub(super) configurations: usize,
    /// How many moves have come to their end.
    pub(super) moves: usize,
    /// Of shards that held a key at least.
    pub(super) moves_of_keys: usize,
    pub(super) waits: Waits,
}

/// Widest that the table gets where there is no terminal to fit it to.
const REPORT_COLUMNS: u16 = 100;

impl Report {
    /// Says it on standard output.
    pub(super) fn print(&self) {
        println!("{}", self.table());
        let Self { operations: Operations { done, not_done, unknown }, latency, .. } = self;
        let rate = *done as f64 / self.seconds;
        println!(
            "{} operations done ({rate:.0}/s), {} not done, {} unknown; {} appends found once",
            HumanCount(*done),
            HumanCount(*not_done),
            HumanCount(*unknown),
            HumanCount(self.findings.appends_found as u64),
        );
        println!(
            "latency p50 {:.1} ms, p99 {:.1} ms, max {:.0} ms; longest unavailability {:.0} ms",
            latency.p50_ms, latency.p99_ms, latency.max_ms, latency.longest_unavailability_ms,
        );
        if !self.standstills.is_empty() {
            println!(
                "this machine stood still {} times, for {:.0} ms at most",
                self.standstills.len(),
                self.standstills.iter().map(Event::milliseconds).fold(0.0, f64::max),
            );
        }
        for Disk { server, what, words, .. } in &self.disks {
            // What follows is the membership, and advice.
            let end = words.as_deref().and_then(|words| words.split(": ").next());
            match end {
                Some(end) => println!("{what}: n{server} has ended: {end}"),
                None => println!("{what}: n{server} was not refused"),
            }
        }
        if let Some(sharding) = &self.sharding {
            sharding.print();
        }
        if let Some(Transactions { committed, across_groups, rejected, links }) = self.transactions
        {
            println!(
                "{} transactions carried out, {} by several groups together, {} rejected; \
                 {} times one came before another in a list",
                HumanCount(committed as u64),
                HumanCount(across_groups as u64),
                HumanCount(rejected as u64),
                HumanCount(links as u64),
            );
        }
        if let Some(entries) = self.log_entries {
            let (servers, entries) = (self.layout.servers, HumanCount(entries as u64));
            let each = if self.sharding.is_some() { " in each group" } else { "" };
            let lost = match self.disks.len() {
                0 => String::new(),
                lost => format!(", one less for each of {lost} lost disks"),
            };
            println!(
                "{servers} equal logs{each}{lost}; {entries} entries, which give every answer"
            );
        }
        for violation in &self.findings.violations {
            println!("\nviolated: {violation}");
        }
        if self.verdict == Verdict::NotExercised {
            for missing in &self.findings.not_exercised {
                println!("\nnot exercised: {missing}");
            }
        }
        let verdict = match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Violated => "violated",
            Verdict::NotExercised => "not exercised",
        };
        println!("\n{verdict} (seed {})", self.seed);
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if !stdout().is_terminal() {
            table.set_width(REPORT_COLUMNS);
        }
        table.set_header(["fault", "times", "befell", "first done after, ms (median, worst)"]);
        for Faults { kind, times, effect, befell, first_done_after_ms } in &self.faults {
            table.add_row([
                (*kind).to_owned(),
                times.to_string(),
                format!("{} {befell}", HumanCount(*effect)),
                median_and_worst(first_done_after_ms),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

impl Sharding {
    fn print(&self) {
        let Self { configurations, moves, moves_of_keys, waits } = self;
        println!(
            "{configurations} configurations, each as asked for; {} moves of shards, {} with keys",
            HumanCount(*moves as u64),
            HumanCount(*moves_of_keys as u64),
        );
        let Waits { unaffected, moving } = waits;
        println!(
            "longest wait while majorities were up: {:.0} ms of {} operations on shards that \
             stayed, {:.0} ms of {} on shards that moved",
            unaffected.max_ms,
            HumanCount(unaffected.judged),
            moving.max_ms,
            HumanCount(moving.judged),
        );
    }
}

fn median_and_worst(after: &[Option<f64>]) -> String {
    let known: Option<Vec<f64>> = after.iter().copied().collect();
    let Some(mut known) = known else { return "never".to_owned() };
    known.sort_unstable_by(f64::total_cmp);
    match known.last() {
        Some(worst) => format!("{:.0}, {worst:.0}", known[known.len() / 2]),
        None => String::new(),
    }
}
