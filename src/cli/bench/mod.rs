//! `shardwright bench`: how fast it is.

mod cluster;
mod servers;

use clap::Subcommand;

use super::Exit;

/// Measure a cluster on this machine
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Cluster(cluster::Arguments),
    #[command(hide = true)]
    Server(servers::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match &arguments.what {
        What::Cluster(arguments) => cluster::run(arguments),
        What::Server(arguments) => servers::run(arguments),
    }
}
