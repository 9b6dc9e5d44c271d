//! The servers of a benchmark: processes of their own, as in earnest.
//!
//! Threads of one process would share its memory allocator and save the processor some work at
//! every switch between them. Whoever compares the numbers with another system's would have to take
//! that into account.
//!
//! A server tells what it has counted for each line of its standard input, and ends when that does,
//! so none outlives the benchmark, however that ends.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runtime::Metrics;
use runtime::cluster::Cluster;
use runtime::server::{Place, Server, data_directory};
use serde_json::{Value, json};

use crate::cli::{Exit, complain};

/// Run one server of a benchmark, until the end of standard input
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The cluster's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which of its servers this is
    #[arg(long, value_name = "N")]
    node: u16,
    /// Keep everything in memory
    #[arg(long)]
    memory: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    match serve(arguments) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::load(&arguments.config)?;
    let place = if arguments.memory {
        Place::Memory
    } else {
        data_directory(&cluster, arguments.node, true)?
    };
    let server = Server::start(&cluster, arguments.node, place)?;
    println!("ready");
    let handle = server.handle().clone();
    for line in io::stdin().lock().lines() {
        line?; // Whatever it says, it asks.
        println!("{}", work(&handle.metrics()));
    }
    server.stop()?;
    println!("{}", work(&handle.metrics()));
    Ok(())
}

fn work(metrics: &Metrics) -> Value {
    json!({
        "memory_bytes": memory_stats::memory_stats().map(|memory| memory.physical_mem),
        "turns": metrics.turns,
        "steps": metrics.steps,
        "syncs": metrics.syncs,
        "messages_sent": metrics.endpoint.sent.messages,
        "datagrams_sent": metrics.endpoint.sent.datagrams,
        "datagrams_received": metrics.endpoint.transport.received,
    })
}

/// The running servers of a benchmark. They are gone when this is.
pub(super) struct Servers(Vec<Process>);

struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Servers {
    /// Starts a server for each node of the configuration, and waits until all listen.
    pub(super) fn start(config: &Path, nodes: u16, memory: bool) -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let mut servers = Self(Vec::new());
        for node in 0..nodes {
            let mut command = Command::new(&program);
            command.args(["bench", "server", "--node", &node.to_string(), "--config"]).arg(config);
            if memory {
                command.arg("--memory");
            }
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let output = BufReader::new(child.stdout.take().ok_or("a server has no output")?);
            servers.0.push(Process { child, output });
        }
        for process in &mut servers.0 {
            if process.read_line()? != "ready" {
                return Err("a server did not start".into());
            }
        }
        Ok(servers)
    }

    /// What each server has counted so far, and how many bytes of memory it takes.
    pub(super) fn work(&mut self) -> Result<Vec<Value>, Box<dyn Error>> {
        for process in &mut self.0 {
            let input = process.child.stdin.as_mut().ok_or("a server has no input")?;
            writeln!(input)?;
        }
        self.0.iter_mut().map(Process::told).collect()
    }

    /// Stops the servers, and gives what each has counted.
    pub(super) fn stop(mut self) -> Result<Vec<Value>, Box<dyn Error>> {
        self.0.iter_mut().for_each(|process| drop(process.child.stdin.take()));
        self.0.iter_mut().map(Process::told).collect()
    }
}

impl Process {
    fn told(&mut self) -> Result<Value, Box<dyn Error>> {
        Ok(serde_json::from_str(&self.read_line()?)?)
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends by itself with its input, unless it is stuck; then nobody needs its state.
        drop(self.child.stdin.take());
        let mut rest = Vec::new();
        let _ = self.output.read_to_end(&mut rest);
        let _ = self.child.wait();
    }
}
