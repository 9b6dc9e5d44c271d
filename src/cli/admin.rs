//! `shardwright admin`: the state of a cluster, which group has which shard, and how to change it.

mod left;
mod servers;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{IsTerminal, stdout};
use std::str::FromStr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use clap::Subcommand;
use model::shard::config::Configuration;
use model::shard::controller::{Change, Order, Outcome};
use model::types::{ConfigNum, GroupId, ShardId};
use runtime::client::{self, Administrator, SessionId};
use runtime::cluster::{Cluster, Sharding};
use runtime::inspect;

use self::left::Left;
use self::status::Status;
use super::{Exit, complain, kv};

/// How often `status --watch` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The longest that `status` waits for the answers of the servers.
const SERVER_PATIENCE: Duration = Duration::from_secs(1);

/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show the state of the servers and shards, and change which groups have which shards
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright admin status            the servers, the shards, and problems
  shardwright admin status --watch    the same, as it changes
  shardwright admin join 3            group 3 of the configuration file takes its share
  shardwright admin leave 1 2         groups 1 and 2 leave their shards to the others
  shardwright admin leave 3 --wait    the same, until the servers of group 3 may be stopped
  shardwright admin move 5 3          shard 5 goes to group 3, until the next join or leave
  shardwright admin move 5 3 --force  the same, even if group 3 is down at the moment
  shardwright admin query 7           what was so in configuration 7

Clients go on meanwhile: what moves is not answered until it has arrived, the rest always. A group
gets shards only if it has answered the controller lately: until --timeout is over the command waits
for it. With --force it gets them at once, and no group serves them before it is up.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: kv::Target,
}

#[derive(Subcommand)]
enum Command {
    /// Let groups of the configuration file join, all at once, and take their share of the shards
    Join {
        /// The groups
        #[arg(required = true, value_name = "GROUP", value_parser = numbered::<u16>("g"))]
        groups: Vec<u16>,
        /// Give shards also to groups that have not answered the controller lately
        #[arg(long)]
        force: bool,
    },
    /// Let groups leave, all at once; the others take their shards. Prints whether the servers of
    /// the groups may be stopped for good, and if not, why
    Leave {
        /// The groups
        #[arg(required = true, value_name = "GROUP", value_parser = numbered::<u16>("g"))]
        groups: Vec<u16>,
        /// Wait until they may be stopped, as long as --timeout says
        #[arg(long)]
        wait: bool,
        /// Give the shards also to groups that have not answered the controller lately
        #[arg(long)]
        force: bool,
    },
    /// Give a shard to a group. It stays there until the next join or leave
    Move {
        /// The shard
        #[arg(value_parser = numbered::<u16>("s"))]
        shard: u16,
        /// The group
        #[arg(value_parser = numbered::<u16>("g"))]
        group: u16,
        /// Give it the shard also if it has not answered the controller lately
        #[arg(long)]
        force: bool,
    },
    /// Print a configuration as JSON
    Query {
        /// Its number; the latest if not given
        #[arg(value_name = "NUMBER", value_parser = numbered::<u64>("v"))]
        num: Option<u64>,
    },
    /// Print the state of each server, which group owns each shard, and how far moves have come
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Again whenever something has changed, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
}

/// Reads `3`, or `g3` as the servers print it.
fn numbered<T: FromStr>(
    prefix: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let digits = text.strip_prefix(prefix).unwrap_or(text);
        digits.parse().map_err(|_| format!("it should be a number, as in 3 or {prefix}3"))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match carry_out(arguments) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let cluster = arguments.target.cluster()?;
    if let (Command::Status { json, watch }, None) = (&arguments.command, &cluster.sharding) {
        return show(*json, *watch, || {
            let told = inspect::servers(&cluster, SERVER_PATIENCE)?;
            Ok(Status::of(&cluster, None, &told))
        });
    }
    let mut console = Console::connect(&cluster, arguments.target.patience())?;
    match &arguments.command {
        Command::Join { groups, force } => {
            let configured = cluster.sharding.as_ref().map(Sharding::groups).unwrap_or_default();
            let mut joining = BTreeMap::new();
            for group in groups.iter().copied().map(GroupId) {
                let servers = configured.get(&group).ok_or_else(|| {
                    let known: Vec<_> = configured.keys().map(GroupId::to_string).collect();
                    format!("the configuration file has no {group}; it has {}", known.join(", "))
                })?;
                joining.insert(group, servers.clone());
            }
            told(console.change(Change::Join(joining), *force)?);
        }
        Command::Leave { groups, wait, force } => {
            let leaving: BTreeSet<_> = groups.iter().copied().map(GroupId).collect();
            told(console.change(Change::Leave(leaving.clone()), *force)?);
            let patience = if *wait { arguments.target.patience() } else { Duration::ZERO };
            wait_for_leave(&cluster, &mut console, &leaving, patience)?;
        }
        Command::Move { shard, group, force } => {
            told(console.change(Change::Move(ShardId(*shard), GroupId(*group)), *force)?);
        }
        Command::Query { num } => {
            let config = console.query(num.map(ConfigNum))?;
            if num.is_some_and(|num| num != config.num.0) {
                return Err(format!("the latest configuration is {}", config.num).into());
            }
            println!("{}", serde_json::to_string(&status::Layout::of(&config))?);
        }
        Command::Status { json, watch } => show(*json, *watch, || {
            let config = console.query(None)?;
            let told = inspect::servers(&cluster, SERVER_PATIENCE)?;
            Ok(Status::of(&cluster, Some(&config), &told))
        })?,
    }
    Ok(())
}

/// Prints whether the servers of groups that leave may be stopped for good: when it changes, until
/// all of them may or the patience is over.
fn wait_for_leave(
    cluster: &Cluster,
    console: &mut Console,
    leaving: &BTreeSet<GroupId>,
    patience: Duration,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut shown = BTreeMap::new();
    loop {
        let latest = console.query(None)?;
        let told = inspect::groups(cluster, &inspect::servers(cluster, SERVER_PATIENCE)?);
        let mut left = Left::all(cluster, &latest, &told);
        left.retain(|left| leaving.contains(&left.group()));
        for left in &left {
            let now = left.to_string();
            if shown.get(&left.group()) != Some(&now) {
                println!("{now}");
                shown.insert(left.group(), now);
            }
        }
        let all = left.iter().all(Left::may_be_stopped);
        if all || patience.is_zero() {
            return Ok(());
        }
        if start.elapsed() >= patience {
            return Err("the groups have left, and are still needed: \
                        `shardwright admin status` shows until when"
                .into());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Prints the status of a cluster, once or again whenever it has changed until Ctrl-C.
fn show(
    json: bool,
    watch: bool,
    mut look: impl FnMut() -> Result<Status, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut shown = String::new();
    let stopped = stop_signal()?;
    loop {
        let status = look()?;
        let now = if json { serde_json::to_string(&status)? } else { status.table() };
        if shown != now {
            if watch && !json && stdout().is_terminal() {
                print!("{CLEAR}");
            }
            println!("{now}");
            shown = now;
        }
        if !watch || stopped.recv_timeout(LOOK_EVERY).is_ok() {
            return Ok(());
        }
    }
}

fn told(num: ConfigNum) {
    println!("configuration {num}");
}

/// Hears of Ctrl-C.
fn stop_signal() -> Result<mpsc::Receiver<()>, ctrlc::Error> {
    let (sender, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = sender.send(()); // It fails when all is ending anyway.
    })?;
    Ok(stopped)
}

/// A session with the controller.
pub(super) struct Console {
    client: Administrator,
    session: SessionId,
    patience: Duration,
}

impl Console {
    /// A session in which each answer is waited for so long.
    pub(super) fn connect(cluster: &Cluster, patience: Duration) -> std::io::Result<Self> {
        let mut client = Administrator::administer(cluster)?;
        let session = client.open();
        Ok(Self { client, session, patience })
    }

    /// The configuration with this number, or the latest.
    pub(super) fn query(
        &mut self,
        num: Option<ConfigNum>,
    ) -> Result<Arc<Configuration>, Box<dyn Error>> {
        match self.call(&Change::Query(num).into())? {
            Outcome::Configuration(config) => Ok(config),
            Outcome::Changed(_) | Outcome::Refused(_) => Err("the controller is confused".into()),
        }
    }

    /// Makes a change, by force if so, and gives the number of the configuration that it makes.
    pub(super) fn change(
        &mut self,
        change: Change,
        force: bool,
    ) -> Result<ConfigNum, Box<dyn Error>> {
        match self.call(&Order { change, force })? {
            Outcome::Changed(num) => Ok(num),
            Outcome::Refused(refusal) => Err(format!("nothing was changed: {refusal}").into()),
            Outcome::Configuration(_) => Err("the controller is confused".into()),
        }
    }

    fn call(&mut self, order: &Order) -> Result<Outcome, Box<dyn Error>> {
        match self.client.insist(self.session, order, self.patience)? {
            client::Outcome::Done(outcome) => Ok(outcome),
            client::Outcome::NotDone(why) => Err(format!("nothing was changed: {why}").into()),
            client::Outcome::Unknown => {
                let doubt = "no answer in time: it may or may not have been done";
                Err(match self.client.refusal(self.session) {
                    Some(why) => format!("{doubt}; the last answer was that {why}").into(),
                    None => format!("{doubt}; is a majority of the controller up?").into(),
                })
            }
        }
    }
}
