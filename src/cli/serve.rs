//! `shardwright serve`: one server of a cluster.

use std::io::{self, Write, stdin, stdout};
use std::path::PathBuf;

use runtime::cluster::Cluster;
use runtime::server::{Place, Server, data_directory};
use runtime::threads;
use runtime::transport::{Faults, Faulty};

use super::{Exit, complain, up};

/// Run one server of a cluster, until Ctrl-C
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright serve --config cluster.toml --node 0 --first-start   once, for a new server
  shardwright serve --config cluster.toml --node 0                 ever after

A server starts only from a log that it can prove complete. An empty directory may be a lost one, so
a first start is asked for explicitly.")]
pub(crate) struct Arguments {
    /// The cluster's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which of its servers this is
    #[arg(long, value_name = "N")]
    node: u16,
    /// This is a new server: there is no log yet
    #[arg(long)]
    first_start: bool,
    /// For `chaos`: begin another file of the log after so many bytes
    #[arg(long, value_name = "BYTES", hide = true)]
    segment_bytes: Option<u32>,
    /// For `chaos`: take network faults from standard input, drawn with this seed
    #[arg(long, value_name = "SEED", hide = true)]
    faults: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match start(arguments) {
        Ok(server) => up::watch(vec![server]),
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

fn start(arguments: &Arguments) -> Result<Server, Box<dyn std::error::Error>> {
    let cluster = Cluster::load(&arguments.config)?;
    let node = arguments.node;
    let mut place = data_directory(&cluster, node, arguments.first_start)?;
    if let (Some(bytes), Place::Disk { options, .. }) = (arguments.segment_bytes, &mut place) {
        options.segment_bytes = bytes;
    }
    let server = match arguments.faults {
        None => Server::start(&cluster, node, place)?,
        Some(seed) => {
            let faults = Faults::default();
            let faulty = |udp| Ok(Faulty::new(udp, faults.clone(), seed));
            let server = Server::start_on(&cluster, node, place, faulty)?;
            let handle = server.handle().clone();
            threads::spawn("faults", move || {
                if let Err(error) = follow(&faults) {
                    complain(format!("no more faults: {error}"));
                }
                handle.stop();
            })?;
            server
        }
    };
    println!("n{node} at {}", cluster.node[usize::from(node)].address);
    Ok(server)
}

/// Does what standard input says, until it ends: each line is a plan, and is answered with what has
/// gone wrong so far.
fn follow(faults: &Faults) -> io::Result<()> {
    for line in stdin().lines() {
        *faults.plan() = serde_json::from_str(&line?)?;
        writeln!(stdout(), "{}", serde_json::to_string(&faults.tally())?)?;
    }
    Ok(())
}
