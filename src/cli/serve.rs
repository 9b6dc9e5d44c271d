//! `shardwright serve`: one server of a cluster.

use std::path::PathBuf;

use runtime::cluster::Cluster;
use runtime::server::{Server, data_directory};

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
    let place = data_directory(&cluster, arguments.node, arguments.first_start)?;
    let server = Server::start(&cluster, arguments.node, place)?;
    println!("n{} at {}", arguments.node, cluster.node[usize::from(arguments.node)].address);
    Ok(server)
}
