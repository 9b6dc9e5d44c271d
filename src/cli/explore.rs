//! `shardwright explore`: a check in stateright's Explorer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use checks::portfolio::{self, Check};
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
    #[arg(long, value_name = "ADDR", default_value_t = LISTEN)]
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
    open(check, arguments.listen, "")
}

/// Where the Explorer listens if nothing else is said.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// Opens a check in the Explorer, at a state: see `checks::replay`.
pub(super) fn open(check: &Check, listen: SocketAddr, path: &str) -> Exit {
    // The Explorer panics when it cannot listen; better to know first.
    if let Err(error) = TcpListener::bind(listen) {
        complain(format!("cannot listen on {listen}: {error}; choose another with --listen"));
        return Exit::Failed;
    }
    let at = if path.is_empty() { String::new() } else { format!("#/steps/{path}") };
    println!("{}: open http://{listen}/{at} in a browser, end with Ctrl-C", check.name);
    Explorable(check.system()).checker().serve(listen);
    Exit::Ok
}
