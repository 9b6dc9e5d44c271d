//! `shardwright bench cluster`: puts and gets on a cluster of its own.

use std::error::Error;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;
use model::kv::command::MAX_VALUE_BYTES;
use runtime::load::{Kind, Load, Measured};
use serde_json::{Value, json};

use super::site::{self, Options, Site};
use crate::cli::Exit;

/// Measure puts, then gets, on a cluster started for the purpose
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright bench cluster                           64 clients, durable, two times 8 seconds
  shardwright bench cluster --memory                  without a disk
  shardwright bench cluster --clients 1 --seconds 2   the latency of a lone client
  shardwright bench cluster --sockets 16              16 processes' worth of clients
  shardwright bench cluster --groups 2 --servers 1    two groups of one, and their controller

A client waits for each answer before it asks again. The servers are processes of their own on the
loopback interface, and end with the command.")]
pub(crate) struct Arguments {
    /// How many clients, each with one operation under way
    #[arg(long, value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// Over how many sockets, each with a thread of its own
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    sockets: u16,
    /// How long to measure puts, and then gets
    #[arg(long, value_name = "S", default_value_t = 8,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Bytes of each value
    #[arg(long, value_name = "B", default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(..=MAX_VALUE_BYTES as u64))]
    value_bytes: u64,
    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: u32,
    /// How many groups of servers share the store; without this, one group has all of it and there
    /// is no controller
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    groups: Option<u16>,
    /// Acknowledge what a majority has on disk; the default
    #[arg(long, conflicts_with = "memory")]
    durable: bool,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    site::exit(measure(arguments))
}

fn measure(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let site = Site::found(&arguments.options, arguments.groups)?;

    let load = arguments.load();
    let mut phases = Vec::new();
    for (name, kind) in [("put", Kind::Put), ("get", Kind::Get)] {
        phases.push((name, site.measure(name, &load, kind)?));
    }
    let work = site.servers.stop()?;
    println!("{}", arguments.describe());
    println!("{}", table(&phases));
    arguments.options.write(&arguments.json(&phases, &work))?;
    let failed = phases.iter().any(|(_, measured)| measured.failed > 0);
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

impl Arguments {
    fn load(&self) -> Load {
        let duration = Duration::from_secs(self.seconds);
        Load {
            sessions: self.clients,
            sockets: self.sockets,
            keys: site::keys_of(1, |_| true).take(self.keys as usize).collect(),
            partners: Vec::new(),
            value_bytes: self.value_bytes as usize,
            warm_up: duration.mul_f64(site::WARM_UP),
            duration,
        }
    }

    fn describe(&self) -> String {
        let Self { clients, sockets, value_bytes, keys, options, .. } = self;
        let (servers, storage) = (options.servers, options.storage());
        let groups = self.groups.map_or_else(String::new, |groups| format!("{groups} groups of "));
        format!(
            "{groups}{servers} servers, {storage}; {clients} clients over {sockets} sockets, \
             {value_bytes}-byte values, {keys} keys"
        )
    }

    fn json(&self, phases: &[(&str, Measured)], work: &[Value]) -> Value {
        json!({
            "groups": self.groups,
            "servers": self.options.servers,
            "storage": self.options.storage(),
            "clients": self.clients,
            "sockets": self.sockets,
            "value_bytes": self.value_bytes,
            "keys": self.keys,
            "seconds": self.seconds,
            "phases": phases_json(phases),
            "work_of_each_server": work,
        })
    }
}

/// What was measured, for machines.
pub(super) fn phases_json(phases: &[(&str, Measured)]) -> Vec<Value> {
    let phase = |(name, measured): &(&str, Measured)| {
        let micros = |q| measured.latencies.value_at_quantile(q) as f64 / 1e3;
        json!({
            "operation": name,
            "operations": measured.latencies.len(),
            "failed": measured.failed,
            "per_second": measured.throughput(),
            "p50_us": micros(0.5),
            "p90_us": micros(0.9),
            "p99_us": micros(0.99),
            "p999_us": micros(0.999),
            "max_us": measured.latencies.max() as f64 / 1e3,
        })
    };
    phases.iter().map(phase).collect()
}

/// The same for people.
pub(super) fn table(phases: &[(&str, Measured)]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["", "per second", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"]);
    for (name, measured) in phases {
        let millis = |nanos: u64| format!("{:.2}", nanos as f64 / 1e6);
        let at = |quantile| millis(measured.latencies.value_at_quantile(quantile));
        table.add_row([
            (*name).to_owned(),
            HumanCount(measured.throughput() as u64).to_string(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            millis(measured.latencies.max()),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
