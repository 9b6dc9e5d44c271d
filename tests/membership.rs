//! Membership of groups: founding, lost disks, older copies of disks, and configuration files that
//! contradict the log; with real processes and real directories.

// A file or process that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use model::kv::command::Op;
use runtime::client::Client;
use runtime::cluster::{Cluster, Member};

use common::{Config, Server, run, shardwright};

/// Longer than anything takes that comes to pass at all, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster whose servers write what they have to say into files.
struct Site {
    config: Config,
}

impl Site {
    fn new(servers: usize) -> Self {
        Self { config: Config::new(servers) }
    }

    /// Where a server writes what it has to say.
    fn log(&self, node: usize) -> PathBuf {
        self.config.folder.path().join(format!("n{node}.log"))
    }

    /// Starts a server, and waits until it runs.
    fn serve(&self, node: usize, first_start: bool) -> Server {
        let log = File::options().create(true).append(true).open(self.log(node)).unwrap();
        let mut command = self.config.serve_command(node, first_start);
        command.stderr(Stdio::from(log));
        Server::running(command, node)
    }

    /// Starts a server that has a new disk and is to be refused; returns its last words.
    fn is_refused(&self, command: Command) -> String {
        let mut command = command;
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Server::wait(child, PATIENCE);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Waits until a server has written this.
    fn await_log(&self, node: usize, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(self.log(node)).unwrap().contains(expected) {
            assert!(Instant::now() < deadline, "n{node} has not written '{expected}'");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn put(&self, key: &str, value: &str) {
        let output = self.config.kv(&["put", key, value]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether an operation is answered in a second.
    fn answers(&self) -> bool {
        let file = self.config.file();
        run(&["get", "k", "--config", &file, "--timeout", "1"]).status.code() == Some(0)
    }

    /// The leader, as a client finds it.
    fn leader(&self) -> usize {
        let mut client = Client::connect(&self.config.cluster).unwrap();
        let session = client.open();
        client.call(session, Op::Get("k".into()), PATIENCE).unwrap();
        usize::from(client.leader().unwrap().0)
    }

    /// The problems that a server tells of.
    fn problems(&self, node: usize) -> String {
        let file = self.config.file();
        let output = run(&["admin", "status", "--json", "--config", &file]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["servers"][node]["problems"].to_string()
    }
}

/// Copies a directory with the files in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A leader and a follower acknowledge a write while the third server is down. Then the follower
/// loses its disk, and comes back under its number while the leader is down.
#[test]
fn server_without_its_disk_has_no_voice() {
    let site = Site::new(3);
    let mut servers: Vec<_> = (0..3).map(|node| Some(site.serve(node, true))).collect();
    site.put("k", "before");
    let leader = site.leader();
    let [lost, witness] = [(leader + 1) % 3, (leader + 2) % 3];

    servers[witness] = None;
    site.put("k", "precious");
    servers[lost] = None;
    fs::remove_dir_all(site.config.data(lost)).unwrap();
    servers[leader] = None;

    // With the others down it can only wait.
    let waiting = site.serve(lost, true);
    // The one that has missed the write tells it that it is not a member.
    servers[witness] = Some(site.serve(witness, false));
    site.await_log(lost, "can not come back under its number");
    site.await_log(witness, &format!("refused n{lost}"));
    assert!(site.problems(witness).contains(&format!("refuses n{lost}")));
    drop(waiting);
    let words = site.is_refused(site.config.serve_command(lost, false));
    assert!(words.contains("the group was founded with"), "{words}");
    assert!(!site.answers(), "one of three is no majority");

    servers[leader] = Some(site.serve(leader, false));
    assert_eq!(site.config.get("k"), "precious");
    site.put("k", "after");
    // Nothing changes when it comes while both others are up.
    site.is_refused(site.config.serve_command(lost, false));
    assert_eq!(site.config.get("k"), "after");
    drop(servers);
}

/// The configuration file of a group that is founded, with servers added or left out.
fn changed(config: &Config, servers: usize) -> String {
    let addresses: Vec<_> = config.cluster.node.iter().map(|member| member.address).collect();
    let mut cluster = Cluster::clone(&config.cluster);
    cluster.node.truncate(servers);
    for id in cluster.node.len()..servers {
        let mut address = addresses[0];
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        address.set_port(socket.local_addr().unwrap().port());
        let data = config.folder.path().join(format!("n{id}"));
        cluster.node.push(Member { id: id as u16, address, data });
    }
    let file = config.folder.path().join(format!("{servers}-servers.toml"));
    cluster.store(&file).unwrap();
    file.display().to_string()
}

#[test]
fn file_that_contradicts_the_log_is_refused_and_splits_nothing() {
    let site = Site::new(3);
    let mut servers: Vec<_> = (0..3).map(|node| Some(site.serve(node, true))).collect();
    site.put("k", "v");
    servers[2] = None;
    for count in [5, 2] {
        let file = changed(&site.config, count);
        let node = if count == 2 { "1" } else { "2" };
        if count == 2 {
            servers[1] = None;
        }
        let words = site.is_refused(shardwright(&["serve", "--config", &file, "--node", node]));
        assert!(words.contains("belongs to a group of {n0, n1, n2}"), "{words}");
        let listed: Vec<_> = (0..count).map(|node| format!("n{node}")).collect();
        assert!(words.contains(&format!("says {{{}}}", listed.join(", "))), "{words}");
        if count == 2 {
            servers[1] = Some(site.serve(1, false));
        }
    }
    // Servers that the group does not know can not found another with its members.
    let file = changed(&site.config, 5);
    for node in ["3", "4"] {
        let command = shardwright(&["serve", "--config", &file, "--node", node, "--first-start"]);
        let words = site.is_refused(command);
        assert!(words.contains("servers can not be added"), "{words}");
    }
    site.await_log(0, "refused n3");
    assert_eq!(site.config.get("k"), "v");
    servers[2] = Some(site.serve(2, false));
    site.put("k", "w");
    drop(servers);
}

#[test]
fn servers_with_different_lists_never_serve() {
    let site = Site::new(3);
    let file = changed(&site.config, 2);
    let log = File::create(site.log(1)).unwrap();
    let mut other = shardwright(&["serve", "--config", &file, "--node", "1", "--first-start"]);
    other.stderr(Stdio::from(log));
    let other = Server::running(other, 1);
    let servers = [site.serve(0, true), site.serve(2, true)];
    site.await_log(0, "n1 is configured to found a group of {n0, n1}");
    site.await_log(1, "and this server one of {n0, n1}");
    assert!(!site.answers());
    assert!(site.problems(0).contains("waits for n1"), "{}", site.problems(0));

    // With the same list in all files the group is founded.
    drop(other);
    let _third = site.serve(1, false);
    site.put("k", "v");
    drop(servers);
}

/// A follower's directory is replaced by an older copy of itself, which lacks what the follower has
/// acknowledged since.
#[test]
fn older_copy_of_a_disk_is_noticed() {
    let site = Site::new(3);
    let mut servers: Vec<_> = (0..3).map(|node| Some(site.serve(node, true))).collect();
    site.put("k", "before");
    let leader = site.leader();
    let [restored, witness] = [(leader + 1) % 3, (leader + 2) % 3];
    servers[restored] = None;
    let copied = site.config.folder.path().join("copy");
    copy(site.config.data(restored), &copied);
    servers[restored] = Some(site.serve(restored, false));
    servers[witness] = None;
    site.put("k", "precious"); // Acknowledged by the leader and this follower.
    assert_eq!(site.leader(), leader);

    servers[restored] = None;
    fs::remove_dir_all(site.config.data(restored)).unwrap();
    fs::rename(copied, site.config.data(restored)).unwrap();
    servers[restored] = Some(site.serve(restored, false));
    site.await_log(leader, &format!("n{restored} has lost entry"));
    site.await_log(restored, "it takes no part in its group any more");
    assert!(site.problems(leader).contains(&format!("n{restored} has lost entries")));
    assert!(site.problems(restored).contains("has lost entry"));
    assert!(!site.answers(), "the leader and a server that does not count are no majority");

    // Nor does it count for another leader, after a restart.
    servers[restored] = None;
    servers[restored] = Some(site.serve(restored, false));
    assert!(!site.answers());
    servers[witness] = Some(site.serve(witness, false));
    assert_eq!(site.config.get("k"), "precious");
    servers[leader] = None;
    assert!(!site.answers());
    servers[leader] = Some(site.serve(leader, false));
    assert_eq!(site.config.get("k"), "precious");
    drop(servers);
}
