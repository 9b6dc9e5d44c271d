//! `shardwright explore`: a check in stateright's Explorer.

use std::net::{SocketAddr, TcpListener};

use checks::portfolio;
use model::system::Explorable;
use stateright::Model;

use super::{Exit, complain};

/// Step through a check in the browser, with stateright's Explorer
#[derive(clap::Args)]
#[command(after_help = "Example:
  shardwright explore figure-8        then open http://localhost:3000")]
pub(crate) struct Arguments {
    /// The check
    name: String,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let Some(check) = portfolio::find(&arguments.name) else {
        complain(format!(
            "no check is called '{}': `shardwright check --list` shows all",
            arguments.name
        ));
        return Exit::Usage;
    };
    // The Explorer panics when it cannot listen; better to know first.
    if let Err(error) = TcpListener::bind(arguments.listen) {
        let listen = arguments.listen;
        complain(format!("cannot listen on {listen}: {error}; choose another with --listen"));
        return Exit::Failed;
    }
    println!("{}: open http://{}/ in a browser, end with Ctrl-C", check.name, arguments.listen);
    Explorable(check.system()).checker().serve(arguments.listen);
    Exit::Ok
}
