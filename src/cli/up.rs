//! `shardwright up`: a whole local cluster in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, io};

use model::replica::Kind;
use model::shard::controller::Change;
use model::types::{ConfigNum, NodeId};
use runtime::Failure;
use runtime::cluster::{Cluster, DEFAULT_SHARDS, Sharding};
use runtime::server::{Server, data_directory};

use super::admin::Console;
use super::{Exit, complain};

/// The configuration's name in a data directory.
pub(super) const CONFIG: &str = "cluster.toml";

/// Where a local cluster keeps its data if nothing else is said.
pub(super) const DEFAULT_DATA: &str = "shardwright-data";

/// The ending of the files of a log.
const LOG: &str = "wal";

/// How often the servers are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a new cluster may take to let its groups join.
const PATIENCE: Duration = Duration::from_secs(60);

/// Start a whole cluster on this machine, until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright up                                  three servers, data in ./shardwright-data
  shardwright up --servers 5 --data /var/lib/sw   five, elsewhere
  shardwright up --groups 2 --shards 10           two groups of three, and their controller
  shardwright put greeting hello                  in another terminal
  shardwright admin status                        which group has which shard

What was acknowledged is on disk; start the same command again to go on with it.")]
pub(crate) struct Arguments {
    /// How many groups of servers share the store of a new cluster; without this, one group has all
    /// of it and there is no controller
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=99))]
    groups: Option<u16>,
    /// How many servers a new cluster has; with --groups each group, and the controller
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    servers: u16,
    /// How many shards the groups of a new cluster share
    #[arg(
        long, requires = "groups", default_value_t = DEFAULT_SHARDS,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    shards: u16,
    /// Where the cluster keeps its data and its configuration
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Where the first server of a new cluster listens; the others at the ports that follow
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match start(arguments) {
        Ok((cluster, servers)) => {
            let config = arguments.data.join(CONFIG);
            println!("{} servers, configuration {}", servers.len(), config.display());
            for member in &cluster.node {
                let duty = match cluster.role(NodeId(member.id)).0 {
                    Kind::Store => String::new(),
                    Kind::Controller { .. } => ", controller".to_owned(),
                    Kind::Group(group) => format!(", {}", group.id),
                };
                println!("  n{} at {}{duty}", member.id, member.address);
            }
            watch(servers)
        }
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

type Started = (Cluster, Vec<Server>);

fn start(arguments: &Arguments) -> Result<Started, Box<dyn std::error::Error>> {
    let config = arguments.data.join(CONFIG);
    let is_new = !config.try_exists()?;
    let cluster = if is_new { found(arguments, &config)? } else { Cluster::load(&config)? };
    let mut servers = Vec::new();
    for member in &cluster.node {
        // A directory without a log is that of a first `up` that was interrupted, or a lost one. In
        // the second case the server's group refuses it, and the others go on.
        let place = data_directory(&cluster, member.id, !has_log(&member.data)?)?;
        servers.push(Server::start(&cluster, member.id, place)?);
    }
    if let Some(sharding) = &cluster.sharding {
        join(&cluster, sharding)?;
    }
    Ok((cluster, servers))
}

/// Whether a server's directory holds a log.
fn has_log(data: &Path) -> io::Result<bool> {
    let files = match fs::read_dir(data) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for file in files {
        if file?.path().extension().is_some_and(|ending| ending == LOG) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Founds a cluster: writes its configuration.
fn found(arguments: &Arguments, config: &Path) -> Result<Cluster, Box<dyn std::error::Error>> {
    let Arguments { groups, servers, shards, data, listen } = arguments;
    let sharding = groups.map(|groups| Sharding::even(groups, *servers, *shards));
    let servers = sharding.as_ref().map_or(usize::from(*servers), Sharding::nodes);
    let mut addresses = Vec::new();
    for i in 0..servers as u16 {
        let port =
            listen.port().checked_add(i).ok_or("the ports do not reach: choose a lower one")?;
        addresses.push(SocketAddr::new(listen.ip(), port));
    }
    fs::create_dir_all(data).map_err(|e| format!("cannot create {}: {e}", data.display()))?;
    Cluster { sharding, ..Cluster::draw(&addresses)? }.store(config)?;
    Ok(Cluster::load(config)?)
}

/// Lets all groups join, if the cluster is so new that none has.
fn join(cluster: &Cluster, sharding: &Sharding) -> Result<(), Box<dyn std::error::Error>> {
    let mut console = Console::connect(cluster, PATIENCE)?;
    if console.query(None)?.num == ConfigNum(0) {
        console.change(Change::Join(sharding.groups()), false)?;
    }
    Ok(())
}

/// Waits for Ctrl-C, and then stops the servers. Those that end by themselves are told of; the
/// others go on.
pub(super) fn watch(mut servers: Vec<Server>) -> Exit {
    let (sender, stopped) = mpsc::channel();
    if let Err(error) = ctrlc::set_handler(move || {
        let _ = sender.send(()); // It fails when all is ending anyway.
    }) {
        complain(format!("cannot listen to Ctrl-C: {error}"));
    }
    let mut exit = Exit::Ok;
    let mut heed = |ended: Result<(), Failure>| {
        if let Err(failure) = ended {
            complain(failure);
            exit = Exit::Failed;
        }
    };
    while !servers.is_empty() && stopped.recv_timeout(LOOK_EVERY).is_err() {
        for ended in servers.extract_if(.., |server| !server.is_running()) {
            heed(ended.join());
        }
    }
    servers.into_iter().map(Server::stop).for_each(heed);
    exit
}
