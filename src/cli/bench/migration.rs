//! `shardwright bench migration`: a shard moves from group to group while clients go on.

use std::error::Error;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use model::kv::command::{Key, MAX_VALUE_BYTES, Op, Value};
use model::shard::config::Configuration;
use model::shard::controller::Change;
use model::types::{GroupId, ShardId};
use runtime::client::{Client, Outcome, SessionId};
use runtime::load::{self, Kind, Load, Measured};
use runtime::transport::Wait;
use serde::Serialize;

use super::site::{Options, Site, keys_of};
use crate::cli::admin::Console;
use crate::cli::{Exit, complain};

/// How long an answer may take while a shard is on its way.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// How many of the shard's values to have under way while it is filled.
const FILLERS: usize = 32;

/// How many keys of other shards the clients write to.
const KEYS: usize = 1_000;

/// Bytes of each value that they write.
const VALUE_BYTES: usize = 100;

/// Measure how long a shard takes from one group to another, and what clients notice
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright bench migration                           256 MiB there and back, groups of three
  shardwright bench migration --mib 1024 --servers 1    1 GiB between groups of one
  shardwright bench migration --mib 0 --moves 9         how long clients wait for a small shard

Clients write to the other shards of both groups before each move and during it; one more writes to
the shard that moves. What it waits for longest is the stall; the move takes until it is answered by
the other group. The servers are processes of their own on the loopback interface, and end with the
command.")]
pub(crate) struct Arguments {
    /// How many MiB the shard holds
    #[arg(long, value_name = "N", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(..=16_384))]
    mib: u32,
    /// Bytes of each of its values
    #[arg(long, value_name = "B", default_value_t = 4_096,
        value_parser = clap::value_parser!(u32).range(1..=MAX_VALUE_BYTES as i64))]
    value_bytes: u32,
    /// How often it moves
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    moves: u16,
    /// How many clients write to the other shards, each with one operation under way
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// How long to measure them before each move
    #[arg(long, value_name = "S", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    #[command(flatten)]
    options: Options,
}

/// What was measured of one move.
#[derive(Serialize)]
struct Moved {
    to: u16,
    seconds: f64,
    megabytes_per_second: f64,
    /// The longest wait of a client that writes to the shard.
    stall_ms: f64,
    /// What the clients of other shards noticed.
    before: Foreground,
    during: Foreground,
    /// By how much the memory of the servers grew, in the group that gives and the one that takes:
    /// the most of each.
    giver_grows_mib: Option<f64>,
    taker_grows_mib: Option<f64>,
}

#[derive(Serialize)]
struct Foreground {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl From<&Measured> for Foreground {
    fn from(measured: &Measured) -> Self {
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let at = |quantile| millis(measured.latencies.value_at_quantile(quantile));
        Self {
            per_second: measured.throughput(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: millis(measured.latencies.max()),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match measure(arguments) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut bench = Bench::new(arguments, Site::found(&arguments.options, Some(2))?)?;
    bench.fill()?;
    let mut moves = Vec::new();
    for _ in 0..arguments.moves {
        moves.push(bench.move_shard()?);
    }
    bench.bar.finish_and_clear();
    println!("{}", arguments.describe());
    println!("{}", table(&moves));
    arguments.options.write(&moves)
}

/// Two groups, and a shard that goes from one to the other.
struct Bench<'a> {
    arguments: &'a Arguments,
    site: Site,
    console: Console,
    shards: u16,
    shard: ShardId,
    /// How many bytes of keys and values the shard holds.
    bytes: u64,
    /// Writes to the shard that moves.
    client: Client,
    session: SessionId,
    bar: ProgressBar,
}

impl<'a> Bench<'a> {
    fn new(arguments: &'a Arguments, site: Site) -> Result<Self, Box<dyn Error>> {
        let bar = if stdout().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {elapsed}")?);
        bar.enable_steady_tick(Duration::from_millis(100));
        let mut console = Console::connect(&site.cluster, PATIENCE)?;
        let config = console.query(None)?;
        let mut of_first = config.assignment.shards_of(GroupId(1));
        let shard = of_first.next().ok_or("the first group has no shard")?;
        let mut client = Client::connect(&site.cluster)?;
        let session = client.open();
        let shards = config.assignment.len() as u16;
        Ok(Self { arguments, site, console, shards, shard, bytes: 0, client, session, bar })
    }

    /// Gives the shard what it is to hold.
    fn fill(&mut self) -> Result<(), Box<dyn Error>> {
        let value = Value::from(vec![b'v'; self.arguments.value_bytes as usize]);
        let bytes = u64::from(self.arguments.mib) << 20;
        self.bar.set_length(bytes);
        self.bar.set_message("filling");
        let shard = self.shard;
        let mut keys = keys_of(self.shards, |of| of == shard);
        let mut client = Client::connect(&self.site.cluster)?;
        let mut idle: Vec<_> = (0..FILLERS).map(|_| client.open()).collect();
        loop {
            while self.bytes < bytes
                && let Some(session) = idle.pop()
                && let Some(key) = keys.next()
            {
                self.bytes += (key.len() + value.0.len()) as u64;
                client.invoke(session, Op::Put(key, value.clone()));
            }
            if idle.len() == FILLERS {
                return Ok(());
            }
            for (session, outcome) in client.poll(Wait::Forever)? {
                done(&outcome)?;
                idle.push(session);
            }
            self.bar.set_position(self.bytes);
        }
    }

    /// Moves the shard to the other group.
    fn move_shard(&mut self) -> Result<Moved, Box<dyn Error>> {
        let config = self.console.query(None)?;
        let from = config.assignment.owner(self.shard).ok_or("the shard has no owner")?;
        let to = if from == GroupId(1) { GroupId(2) } else { GroupId(1) };
        self.bar.set_message("before the move");
        let before = load::run(&self.site.cluster, &self.load(self.arguments.seconds), Kind::Put)?;
        let memory_before = self.memory()?;

        self.bar.set_message(format!("moving to {to}"));
        let load = self.load(PATIENCE.as_secs());
        let running = load::start(&self.site.cluster, &load, Kind::Put)?;
        let begin = Instant::now();
        self.console.change(Change::Move(self.shard, to), false)?;
        let stall = self.write_until_answered_by(&config, to)?;
        let took = begin.elapsed();
        let during = running.stop()?;
        for measured in [&before, &during] {
            if measured.failed > 0 {
                return Err("operations on other shards were not answered".into());
            }
        }

        let memory_after = self.memory()?;
        let grows = |group: GroupId| {
            let servers = config.groups.get(&group)?.iter();
            let by = servers.map(|server| {
                let at = usize::from(server.0);
                Some(memory_after.get(at)?.as_ref()? - memory_before.get(at)?.as_ref()?)
            });
            by.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
        };
        Ok(Moved {
            to: to.0,
            seconds: took.as_secs_f64(),
            megabytes_per_second: self.bytes as f64 / 1e6 / took.as_secs_f64(),
            stall_ms: stall.as_secs_f64() * 1e3,
            before: (&before).into(),
            during: (&during).into(),
            giver_grows_mib: grows(from),
            taker_grows_mib: grows(to),
        })
    }

    /// Writes to the shard until one of the group's servers answers; gives the longest wait.
    fn write_until_answered_by(
        &mut self,
        config: &Configuration,
        group: GroupId,
    ) -> Result<Duration, Box<dyn Error>> {
        let servers = config.groups.get(&group).ok_or("there is no such group")?;
        let shard = self.shard;
        let key = keys_of(self.shards, |of| of == shard).next().ok_or("the shard has no key")?;
        let mut longest = Duration::ZERO;
        loop {
            let begin = Instant::now();
            let op = Op::Append(key.clone(), Value::from(""));
            done(&self.client.call(self.session, op, PATIENCE)?)?;
            longest = longest.max(begin.elapsed());
            if self.client.leader().is_some_and(|leader| servers.contains(leader)) {
                return Ok(longest);
            }
        }
    }

    /// Clients that write to the other shards.
    fn load(&self, seconds: u64) -> Load {
        let shard = self.shard;
        Load {
            sessions: self.arguments.clients,
            sockets: 1,
            keys: keys_of(self.shards, |of| of != shard).take(KEYS).collect::<Vec<Key>>(),
            partners: Vec::new(),
            value_bytes: VALUE_BYTES,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(seconds),
        }
    }

    /// How many MiB of memory each server takes, where the system tells.
    fn memory(&mut self) -> Result<Vec<Option<f64>>, Box<dyn Error>> {
        let mib = |work: &serde_json::Value| {
            work["memory_bytes"].as_f64().map(|bytes| bytes / f64::from(1 << 20))
        };
        Ok(self.site.servers.work()?.iter().map(mib).collect())
    }
}

fn done<T>(outcome: &Outcome<T>) -> Result<(), &'static str> {
    match outcome {
        Outcome::Done(_) => Ok(()),
        Outcome::NotDone(_) | Outcome::Unknown => Err("an operation on the shard was not answered"),
    }
}

impl Arguments {
    fn describe(&self) -> String {
        let Self { mib, value_bytes, clients, options, .. } = self;
        let (servers, storage) = (options.servers, options.storage());
        format!(
            "2 groups of {servers} servers, {storage}; a shard of {mib} MiB in values of \
             {value_bytes} bytes; {clients} clients on the others"
        )
    }
}

fn table(moves: &[Moved]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "to",
        "seconds",
        "MB/s",
        "stall ms",
        "others/s before",
        "during",
        "p99 ms before",
        "during",
        "ratio",
        "giver grows MiB",
        "taker",
    ]);
    for moved in moves {
        let Moved { before, during, .. } = moved;
        let grows = |mib: Option<f64>| mib.map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        table.add_row([
            GroupId(moved.to).to_string(),
            format!("{:.2}", moved.seconds),
            format!("{:.1}", moved.megabytes_per_second),
            format!("{:.0}", moved.stall_ms),
            format!("{:.0}", before.per_second),
            format!("{:.0}", during.per_second),
            format!("{:.2}", before.p99_ms),
            format!("{:.2}", during.p99_ms),
            format!("{:.1}", during.p99_ms / before.p99_ms),
            grows(moved.giver_grows_mib),
            grows(moved.taker_grows_mib),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
