//! `shardwright bench txn`: transactions of one group and of two, with and without conflicts.

use std::error::Error;
use std::time::Duration;

use model::kv::command::Key;
use model::types::GroupId;
use runtime::load::{Kind, Load};
use serde_json::json;

use super::cluster::{phases_json, table};
use super::site::{self, Options, Site};
use crate::cli::Exit;
use crate::cli::admin::Console;

/// How long the controller may take to say who owns what.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measure transfers between two keys, of one group and of two, on a cluster of two groups
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright bench txn                     groups of three, durable, 16 clients
  shardwright bench txn --servers 1         groups of one
  shardwright bench txn --clients 1         the latency of a lone client
  shardwright bench txn --hot-keys 1        everybody wants the same two keys

A client waits for each answer before it asks again. A transfer takes 1 from one key and adds it to
another. The servers are processes of their own on the loopback interface, and end with the
command.")]
pub(crate) struct Arguments {
    /// How many clients, each with one transaction under way
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// How long to measure each kind
    #[arg(long, value_name = "S", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How many keys of each side where conflicts are rare
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: u32,
    /// How many keys of each side where conflicts are frequent
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    hot_keys: u32,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    site::exit(measure(arguments))
}

fn measure(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let site = Site::found(&arguments.options, Some(2))?;
    let config = Console::connect(&site.cluster, PATIENCE)?.query(None)?;
    let shards = config.assignment.len() as u16;
    let keys = |group: u16, count: u32| -> Vec<Key> {
        let is_its = |shard| config.assignment.owner(shard) == Some(GroupId(group));
        site::keys_of(shards, is_its).take(count as usize).collect()
    };
    // Of one group: two sides of the same keys, that do not meet.
    let sides = |count: u32| {
        let mut one = keys(1, 2 * count);
        let other = one.split_off(count as usize);
        (one, other)
    };
    let across = |count: u32| (keys(1, count), keys(2, count));
    let Arguments { keys: many, hot_keys: few, .. } = *arguments;
    let mut phases = Vec::new();
    for (name, (keys, partners)) in [
        ("one group", sides(many)),
        ("two groups", across(many)),
        ("one group, hot", sides(few)),
        ("two groups, hot", across(few)),
    ] {
        let load = arguments.load(keys, partners);
        phases.push((name, site.measure(name, &load, Kind::Transfer)?));
    }
    site.servers.stop()?;
    let Arguments { clients, options, .. } = arguments;
    println!(
        "transfers; 2 groups of {} servers, {}; {clients} clients, {many} keys of each side, {few} \
         where they are hot",
        options.servers,
        options.storage(),
    );
    println!("{}", table(&phases));
    options.write(&json!({
        "servers": options.servers,
        "storage": options.storage(),
        "clients": clients,
        "keys": many,
        "hot_keys": few,
        "seconds": arguments.seconds,
        "phases": phases_json(&phases),
    }))?;
    let failed = phases.iter().any(|(_, measured)| measured.failed > 0);
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

impl Arguments {
    fn load(&self, keys: Vec<Key>, partners: Vec<Key>) -> Load {
        let duration = Duration::from_secs(self.seconds);
        Load {
            sessions: self.clients,
            sockets: 1,
            keys,
            partners,
            value_bytes: 0,
            warm_up: duration.mul_f64(site::WARM_UP),
            duration,
        }
    }
}
