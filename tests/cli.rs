//! The command line, as its users meet it: a cluster that serves, and bad input of every kind.

// A file or process that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use runtime::cluster::Cluster;
use tempfile::TempDir;

fn shardwright(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardwright"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    shardwright(arguments).output().unwrap()
}

/// Fails with this exit code, one line that says `expected`, and nothing else.
fn refuses(arguments: &[&str], code: i32, expected: &str) {
    let output = run(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
    assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{arguments:?}: {complaint}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A cluster's configuration on ports that are free now.
struct Config {
    folder: TempDir,
    cluster: Cluster,
}

impl Config {
    fn new(servers: usize) -> Self {
        // Held until all are found, so that they differ.
        let sockets: Vec<_> =
            (0..servers).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let folder = TempDir::new().unwrap();
        Cluster::draw(&addresses).unwrap().store(&folder.path().join("cluster.toml")).unwrap();
        let cluster = Cluster::load(&folder.path().join("cluster.toml")).unwrap();
        Self { folder, cluster }
    }

    fn file(&self) -> String {
        self.folder.path().join("cluster.toml").display().to_string()
    }

    fn data(&self, node: usize) -> &Path {
        &self.cluster.node[node].data
    }

    fn segment(&self, node: usize) -> PathBuf {
        self.data(node).join("0000000001.wal")
    }

    fn serve(&self, node: usize, first_start: bool) -> Server {
        let (file, node) = (self.file(), node.to_string());
        let mut arguments = vec!["serve", "--config", &file, "--node", &node];
        arguments.extend(first_start.then_some("--first-start"));
        Server(shardwright(&arguments).stdout(Stdio::null()).spawn().unwrap())
    }

    fn serve_all(&self, first_start: bool) -> Vec<Server> {
        (0..self.cluster.node.len()).map(|node| self.serve(node, first_start)).collect()
    }

    fn kv(&self, arguments: &[&str]) -> Output {
        let file = self.file();
        run(&[arguments, &["--config", &file, "--timeout", "60"]].concat())
    }

    fn get(&self, key: &str) -> String {
        let output = self.kv(&["get", key]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

/// A process that is killed, without warning, when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_when_all_are_killed_at_once() {
    let config = Config::new(3);
    let servers = config.serve_all(true);
    assert!(config.kv(&["put", "k", "one"]).status.success());
    assert!(config.kv(&["append", "k", " two"]).status.success());
    drop(servers);

    let servers = config.serve_all(false);
    assert_eq!(config.get("k"), "one two");
    assert_eq!(config.kv(&["cas", "k", "else", "x"]).status.code(), Some(1));
    assert!(config.kv(&["cas", "k", "one two", "three"]).status.success());
    assert_eq!(config.get("k"), "three");
    assert!(config.kv(&["delete", "k"]).status.success());
    assert_eq!(config.kv(&["get", "k"]).status.code(), Some(1));
    drop(servers);
}

#[test]
fn senseless_requests_are_refused_before_anything_is_sent() {
    let config = Config::new(1);
    let file = config.file();
    let key = "k".repeat((4 << 10) + 1);
    refuses(&["put", &key, "v", "--config", &file], 2, "the limit is 4096");
    refuses(&["check", "nonsense"], 2, "no check is called 'nonsense'");
    refuses(&["explore", "nonsense"], 2, "no check is called 'nonsense'");
    refuses(&["get", "k", "--config", "/nowhere/c.toml"], 1, "cannot read /nowhere/c.toml");
    refuses(&["serve", "--config", &file, "--node", "7"], 1, "has no node 7");
}

/// Where a check may start, that it says so, and what it refuses to start from.
#[test]
fn check_from_a_stage_claims_no_more_than_it_saw() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (recording, json) = (path("one-term-committed.json"), path("report.json"));
    let records = path("");
    let after = ["--after", "committed", "--counterexamples", &records];
    let from = ["--from", &recording, "--json", &json];
    for stage in [after, from] {
        let output = run(&[&["check", "one-term"], &stage[..]].concat());
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("passed from stage"), "{told}");
        assert!(!told.replace("passed from stage", "").contains("passed"), "{told}");
        assert!(told.contains("says nothing of states that are not reached from there"), "{told}");
    }
    let reports: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let report = &reports[0];
    assert_eq!(report["verdict"], "passed from stage");
    assert_eq!(report["stage"]["from"], recording.as_str());
    assert!(report["unique_states"].as_u64() < report["pinned_unique_states"].as_u64());
    assert_eq!(run(&["replay", &recording]).status.code(), Some(0), "the goal is reached");

    let way = fs::read_to_string(&recording).unwrap();
    fs::write(path("impossible.json"), way.replace(r#""action": "n"#, r#""action": "m"#)).unwrap();
    fs::write(path("damaged.json"), &way[..way.len() / 2]).unwrap();
    for (check, file, complaint) in [
        ("one-term", "impossible.json", "step 1 cannot be taken any more"),
        ("one-term", "damaged.json", "is no recording"),
        ("one-term", "nowhere.json", "cannot read"),
        ("core", "one-term-committed.json", "is recorded of the check one-term, not of core"),
    ] {
        refuses(&["check", check, "--from", &path(file)], 2, complaint);
    }
    refuses(&["check", "one-term", "--after", "peace"], 2, "its goals are all_done, committed");
    refuses(&["check", "--after", "committed"], 2, "are for one check: name it");
    let stateright = ["check", "one-term", "--after", "committed", "--engine", "stateright"];
    refuses(&stateright, 2, "only the project's own engine");
}

#[test]
fn value_over_the_limit_is_refused_by_the_library_too() {
    let config = Config::new(1);
    let _server = config.serve(0, true);
    let mut client = runtime::client::Client::connect(&config.cluster).unwrap();
    let session = client.open();
    let value = vec![b'v'; (1 << 20) + 1];
    let op = model::kv::command::Op::Put("k".into(), value.into());
    let outcome = client.call(session, op, std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(outcome, runtime::client::Outcome::NotDone);

    let value = vec![b'v'; 1 << 20];
    let op = model::kv::command::Op::Put("k".into(), value.into());
    let outcome = client.call(session, op, std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(outcome, runtime::client::Outcome::Done(model::kv::command::Output::Written));
}

#[test]
fn malformed_configurations_are_refused() {
    let config = Config::new(2);
    let text = fs::read_to_string(config.file()).unwrap();
    let file = config.file();
    for (malformed, expected) in [
        ("cluster = ".to_owned(), "is not a cluster configuration"),
        (text.replace("id = 1", "id = 5"), "5 is not 1"),
        (text.replace(&config.cluster.key, "secret"), "not 32 hexadecimal digits"),
        (text.replace("[[node]]", "[[server]]"), "is not a cluster configuration"),
        (text.replace(&config.cluster.node[1].address.to_string(), "here"), "socket address"),
        (String::new(), "missing field"),
    ] {
        fs::write(&file, malformed).unwrap();
        refuses(&["get", "k", "--config", &file], 1, expected);
    }
}

#[test]
fn server_starts_only_from_a_log_that_it_can_prove_complete() {
    let config = Config::new(1);
    let file = config.file();
    let serve = ["serve", "--config", &file, "--node", "0"];
    let first_start = [&serve[..], &["--first-start"]].concat();
    refuses(&serve, 1, "ask explicitly for a first start");

    let server = config.serve(0, true);
    assert!(config.kv(&["put", "k", "v"]).status.success());
    refuses(&serve, 1, "cannot listen on");
    drop(server);
    refuses(&first_start, 1, "already holds");

    let log = fs::read(config.segment(0)).unwrap();
    let mut damaged = log.clone();
    damaged[100] ^= 1;
    fs::write(config.segment(0), damaged).unwrap();
    refuses(&serve, 1, "0000000001.wal");

    fs::write(config.segment(0), log).unwrap();
    let server = config.serve(0, false);
    assert_eq!(config.get("k"), "v");
    drop(server);
}

#[test]
fn two_servers_do_not_share_a_log() {
    let config = Config::new(1);
    let _server = config.serve(0, true);
    assert!(config.kv(&["put", "k", "v"]).status.success());
    // The same data under another address.
    let other = Config::new(1);
    let address = other.cluster.node[0].address.to_string();
    let text = fs::read_to_string(config.file()).unwrap();
    let moved = text.replace(&config.cluster.node[0].address.to_string(), &address);
    let file = config.folder.path().join("moved.toml");
    fs::write(&file, moved).unwrap();
    let file = file.display().to_string();
    refuses(&["serve", "--config", &file, "--node", "0"], 1, "locked by another process");
}
