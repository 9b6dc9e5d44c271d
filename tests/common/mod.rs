//! Clusters of real processes, and the command line that their users have.

// Each test program uses some of it. A file or process that cannot be had fails the test.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Lines};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime::cluster::{Cluster, Sharding};
use tempfile::TempDir;

pub(crate) fn shardwright(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardwright"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    shardwright(arguments).output().unwrap()
}

/// Fails with this exit code, one line that says `expected`, and nothing else.
pub(crate) fn refuses(arguments: &[&str], code: i32, expected: &str) {
    let output = run(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
    assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{arguments:?}: {complaint}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A cluster's configuration on ports that are free now.
pub(crate) struct Config {
    pub(crate) folder: TempDir,
    pub(crate) cluster: Cluster,
}

impl Config {
    pub(crate) fn new(servers: usize) -> Self {
        Self::of(servers, None)
    }

    /// A controller and groups, of so many servers each.
    pub(crate) fn sharded(groups: u16, servers: u16, shards: u16) -> Self {
        let sharding = Sharding::even(groups, servers, shards);
        Self::of(sharding.nodes(), Some(sharding))
    }

    pub(crate) fn of(servers: usize, sharding: Option<Sharding>) -> Self {
        // Held until all are found, so that they differ.
        let sockets: Vec<_> =
            (0..servers).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("cluster.toml");
        Cluster { sharding, ..Cluster::draw(&addresses).unwrap() }.store(&file).unwrap();
        let cluster = Cluster::load(&file).unwrap();
        Self { folder, cluster }
    }

    pub(crate) fn file(&self) -> String {
        self.folder.path().join("cluster.toml").display().to_string()
    }

    pub(crate) fn data(&self, node: usize) -> &Path {
        &self.cluster.node[node].data
    }

    pub(crate) fn segment(&self, node: usize) -> PathBuf {
        self.data(node).join("0000000001.wal")
    }

    /// The command that starts a server.
    pub(crate) fn serve_command(&self, node: usize, first_start: bool) -> Command {
        let (file, node) = (self.file(), node.to_string());
        let mut arguments = vec!["serve", "--config", &file, "--node", &node];
        arguments.extend(first_start.then_some("--first-start"));
        shardwright(&arguments)
    }

    /// Starts a server, and waits until it runs.
    pub(crate) fn serve(&self, node: usize, first_start: bool) -> Server {
        Server::running(self.serve_command(node, first_start), node)
    }

    pub(crate) fn serve_all(&self, first_start: bool) -> Vec<Server> {
        (0..self.cluster.node.len()).map(|node| self.serve(node, first_start)).collect()
    }

    pub(crate) fn kv(&self, arguments: &[&str]) -> Output {
        let file = self.file();
        run(&[arguments, &["--config", &file, "--timeout", "60"]].concat())
    }

    pub(crate) fn get(&self, key: &str) -> String {
        let output = self.kv(&["get", key]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Has a change made.
    pub(crate) fn admin(&self, arguments: &[&str]) {
        let output = self.kv(&[&["admin"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A process that is killed, without warning, when it is dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, and gives the lines that it prints.
    pub(crate) fn start(mut command: Command) -> (Self, Lines<BufReader<ChildStdout>>) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (Self(child), lines)
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for a process that ends by itself, at most so long.
    pub(crate) fn wait(child: Child, patience: Duration) -> Output {
        let id = child.id();
        let (ended, end) = mpsc::channel();
        let waiting = thread::spawn(move || {
            let output = child.wait_with_output().unwrap();
            ended.send(()).unwrap();
            output
        });
        if end.recv_timeout(patience).is_err() {
            Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
            panic!("a server that was to end by itself runs on");
        }
        waiting.join().unwrap()
    }

    /// Starts a server of a cluster, and waits until it runs.
    pub(crate) fn running(command: Command, node: usize) -> Self {
        let (server, mut lines) = Self::start(command);
        assert!(lines.next().unwrap().unwrap().starts_with(&format!("n{node} at")));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
