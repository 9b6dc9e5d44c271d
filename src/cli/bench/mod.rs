//! `shardwright bench`: how fast it is.

mod checker;
mod cluster;
mod migration;
mod servers;
mod site;
mod txn;

use clap::Subcommand;

use super::Exit;

/// Measure a cluster, or the checker, on this machine
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Cluster(cluster::Arguments),
    Migration(migration::Arguments),
    Txn(txn::Arguments),
    Checker(checker::Arguments),
    #[command(hide = true)]
    Server(servers::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match &arguments.what {
        What::Checker(arguments) => checker::run(arguments),
        What::Cluster(arguments) => cluster::run(arguments),
        What::Migration(arguments) => migration::run(arguments),
        What::Txn(arguments) => txn::run(arguments),
        What::Server(arguments) => servers::run(arguments),
    }
}
