//! Where a benchmark takes place: a cluster of its own, on the loopback interface.

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, stdout};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use model::kv::command::{Key, Op};
use model::shard::controller::Change;
use model::shard::route::shard_of;
use model::types::ShardId;
use runtime::client::{Client, Outcome};
use runtime::cluster::{Cluster, DEFAULT_SHARDS, Sharding};
use runtime::load::{self, Kind, Load, Measured};
use serde::Serialize;
use tempfile::TempDir;

use super::servers::Servers;
use crate::cli::admin::Console;
use crate::cli::{Exit, complain, up};

/// What share of the time measured to spend before it on warming up.
pub(super) const WARM_UP: f64 = 0.125;

/// How long a new cluster may take to elect a leader.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What a benchmark runs on, and where its results go.
#[derive(clap::Args)]
pub(super) struct Options {
    /// How many servers, in each group and for the controller if there are groups
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(super) servers: u16,
    /// Acknowledge what a majority has in memory
    #[arg(long)]
    memory: bool,
    /// Where the servers keep their data; a temporary directory below this one if not given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    /// The word for where the servers keep what they acknowledge.
    pub(super) fn storage(&self) -> &'static str {
        if self.memory { "memory" } else { "durable" }
    }

    /// Writes the results to where they are wanted, if anywhere.
    pub(super) fn write(&self, results: &impl Serialize) -> Result<(), Box<dyn Error>> {
        if let Some(file) = &self.json {
            fs::write(file, serde_json::to_string_pretty(results)?)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        Ok(())
    }
}

/// A cluster that runs. It is gone when this is.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    // Before the directory: servers are stopped before their files are removed.
    pub(super) servers: Servers,
    _directory: Option<TempDir>,
}

impl Site {
    /// A new cluster of so many groups, or of one group without a controller, which serves all
    /// shards.
    pub(super) fn found(options: &Options, groups: Option<u16>) -> Result<Self, Box<dyn Error>> {
        let Options { servers, memory, .. } = *options;
        let (folder, directory) = match &options.data {
            Some(data) => {
                prepare(data)?;
                (data.clone(), None)
            }
            None => {
                let directory =
                    tempfile::Builder::new().prefix("shardwright-bench-").tempdir_in(".")?;
                remove_on_interrupt(directory.path())?;
                (directory.path().to_owned(), Some(directory))
            }
        };
        let sharding = groups.map(|groups| Sharding::even(groups, servers, DEFAULT_SHARDS));
        let nodes = sharding.as_ref().map_or(servers, |sharding| sharding.nodes() as u16);
        let config = folder.join(up::CONFIG);
        Cluster { sharding, ..Cluster::draw(&free_addresses(nodes)?)? }.store(&config)?;
        let cluster = Cluster::load(&config)?;
        let servers = Servers::start(&config, nodes, memory)?;
        if let Some(sharding) = &cluster.sharding {
            let mut console = Console::connect(&cluster, FIRST_ANSWER)?;
            console.change(Change::Join(sharding.groups()), false)?;
        }
        wait_for_leaders(&cluster)?;
        Ok(Self { cluster, servers, _directory: directory })
    }
}

impl Site {
    /// Puts a load on the cluster, and shows for how long.
    pub(super) fn measure(&self, name: &str, load: &Load, kind: Kind) -> io::Result<Measured> {
        let bar =
            if stdout().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_message(format!("{name}: {} s", load.duration.as_secs()));
        bar.enable_steady_tick(Duration::from_millis(100));
        let measured = load::run(&self.cluster, load, kind);
        bar.finish_and_clear();
        measured
    }
}

/// How the command ends whose operations were all answered, or should have been.
pub(super) fn exit(measured: Result<Exit, Box<dyn Error>>) -> Exit {
    match measured {
        Ok(Exit::Ok) => Exit::Ok,
        Ok(exit) => {
            complain("some operations were not answered: the figures mean nothing");
            exit
        }
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

/// A directory that the user gave must be new or empty: what is in another may be precious.
fn prepare(data: &Path) -> Result<(), String> {
    let failed = |error| format!("cannot use {}: {error}", data.display());
    fs::create_dir_all(data).map_err(failed)?;
    match fs::read_dir(data).map_err(failed)?.next() {
        None => Ok(()),
        Some(_) => Err(format!("{} is not empty; name another directory", data.display())),
    }
}

/// Ctrl-C ends the servers too, which are in the same process group.
fn remove_on_interrupt(directory: &Path) -> Result<(), ctrlc::Error> {
    let directory = directory.to_owned();
    ctrlc::set_handler(move || {
        let _ = fs::remove_dir_all(&directory); // Nothing is left to do about a failure.
        std::process::exit(130);
    })
}

/// Addresses that nobody listens on at the moment.
fn free_addresses(count: u16) -> io::Result<Vec<SocketAddr>> {
    let bind = |_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let sockets: Vec<_> = (0..count).map(bind).collect::<Result<_, _>>()?;
    sockets.iter().map(UdpSocket::local_addr).collect()
}

/// Waits until every shard is served.
fn wait_for_leaders(cluster: &Cluster) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(cluster)?;
    let session = client.open();
    let shards = cluster.sharding.as_ref().map_or(1, |sharding| sharding.shards);
    for shard in (0..shards).map(ShardId) {
        let key = keys_of(shards, |of| of == shard).next();
        let key = key.ok_or("a shard has no keys")?;
        match client.call(session, Op::Get(key), FIRST_ANSWER)? {
            Outcome::Done(_) => {}
            Outcome::NotDone(_) | Outcome::Unknown => {
                return Err("the cluster did not elect a leader".into());
            }
        }
    }
    Ok(())
}

/// Keys of those shards that are `wanted`, of so many.
pub(super) fn keys_of(shards: u16, wanted: impl Fn(ShardId) -> bool) -> impl Iterator<Item = Key> {
    let keys = (0_u32..).map(|i| Key::from(format!("key{i:08}")));
    keys.filter(move |key| wanted(shard_of(key, shards)))
}
