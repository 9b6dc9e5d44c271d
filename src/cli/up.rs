//! `shardwright up`: a whole local cluster in one process.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use runtime::cluster::Cluster;
use runtime::server::{Server, data_directory};

use super::{Exit, complain};

/// The configuration's name in a data directory.
pub(super) const CONFIG: &str = "cluster.toml";

/// Where a local cluster keeps its data if nothing else is said.
pub(super) const DEFAULT_DATA: &str = "shardwright-data";

/// How often the servers are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Start a whole cluster on this machine, until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright up                                  three servers, data in ./shardwright-data
  shardwright up --servers 5 --data /var/lib/sw   five, elsewhere
  shardwright put greeting hello                  in another terminal

What was acknowledged is on disk; start the same command again to go on with it.")]
pub(crate) struct Arguments {
    /// How many servers a new cluster has
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    servers: u16,
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
            for (id, address) in cluster.addresses() {
                println!("  n{id} at {address}");
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
    let first_start = !config.try_exists()?;
    let cluster = if first_start {
        found(&arguments.data, &config, arguments.listen, arguments.servers)?
    } else {
        Cluster::load(&config)?
    };
    let mut servers = Vec::new();
    for member in &cluster.node {
        let place = data_directory(&cluster, member.id, first_start)?;
        servers.push(Server::start(&cluster, member.id, place)?);
    }
    Ok((cluster, servers))
}

/// Founds a cluster: writes its configuration.
fn found(
    data: &Path,
    config: &Path,
    listen: SocketAddr,
    servers: u16,
) -> Result<Cluster, Box<dyn std::error::Error>> {
    let mut addresses = Vec::new();
    for i in 0..servers {
        let port =
            listen.port().checked_add(i).ok_or("the ports do not reach: choose a lower one")?;
        addresses.push(SocketAddr::new(listen.ip(), port));
    }
    fs::create_dir_all(data).map_err(|e| format!("cannot create {}: {e}", data.display()))?;
    Cluster::draw(&addresses)?.store(config)?;
    Ok(Cluster::load(config)?)
}

/// Waits for Ctrl-C, or for a server to end by itself; then stops them all.
pub(super) fn watch(servers: Vec<Server>) -> Exit {
    let (sender, stopped) = mpsc::channel();
    if let Err(error) = ctrlc::set_handler(move || {
        let _ = sender.send(()); // It fails when all is ending anyway.
    }) {
        complain(format!("cannot listen to Ctrl-C: {error}"));
    }
    while servers.iter().all(Server::is_running) {
        if stopped.recv_timeout(LOOK_EVERY).is_ok() {
            break;
        }
    }
    let mut exit = Exit::Ok;
    for server in servers {
        if let Err(failure) = server.stop() {
            complain(failure);
            exit = Exit::Failed;
        }
    }
    exit
}
