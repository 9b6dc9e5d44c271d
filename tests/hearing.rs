//! Groups that are down get no shards unless an administrator forces it; with real processes.

// A file or process that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Config, Server, run};

/// No test waits longer than this for anything, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The words for a group that is down.
const SILENT: &str = "nothing was changed: group g2 has not answered the controller lately: start \
                      its servers, or give it shards all the same with --force";

/// The group that is up in the tests, and the one that is down: of one server each, behind the
/// controller's.
const UP: usize = 1;
const DOWN: usize = 2;

/// A controller and two groups, of one server each.
struct Site(Config);

impl Site {
    fn new() -> Self {
        Self(Config::sharded(2, 1, 4))
    }

    /// Starts the controller and the first group.
    fn start(&self) -> Vec<Server> {
        [0, UP].map(|node| self.0.serve(node, true)).into()
    }

    /// Asks for a change, and returns the complaint if it is not made.
    fn ask(&self, change: &[&str]) -> Result<(), String> {
        let file = self.0.file();
        let output = run(&[&["admin"], change, &["--config", &file, "--timeout", "2"]].concat());
        if output.status.success() {
            return Ok(());
        }
        assert_eq!(output.status.code(), Some(1), "{change:?}");
        assert!(output.stdout.is_empty(), "{change:?}");
        Err(String::from_utf8(output.stderr).unwrap())
    }

    /// Asks for a change that is refused because a group is down. On a busy machine there may be no
    /// answer in time: then it is asked for again.
    fn is_refused(&self, change: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let complaint = self.ask(change).expect_err("it is not made");
            if complaint.contains(SILENT) {
                return;
            }
            assert!(complaint.contains("no answer in time"), "{change:?}: {complaint}");
            assert!(Instant::now() < end, "{change:?}: {complaint}");
        }
    }

    /// The number of the latest configuration and the owner of each shard.
    fn latest(&self) -> (u64, Vec<u64>) {
        let output = self.0.kv(&["admin", "query"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let latest: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let owners = latest["shards"].as_array().unwrap().iter();
        let owners = owners.map(|owner| owner.as_u64().unwrap());
        (latest["configuration"].as_u64().unwrap(), owners.collect())
    }
}

#[test]
fn group_that_never_started_gets_shards_only_by_force() {
    let site = Site::new();
    let _servers = site.start();
    site.is_refused(&["join", "1", "2"]);
    site.0.admin(&["join", "1"]);
    site.is_refused(&["join", "2"]);
    assert_eq!(site.latest(), (1, vec![1; 4]));
    site.0.admin(&["join", "2", "--force"]);
    assert_eq!(site.latest(), (2, vec![1, 1, 2, 2]));

    // The group has never answered, and takes over what it was given when it starts.
    site.is_refused(&["move", "0", "2"]);
    site.is_refused(&["leave", "1"]);
    let _second = site.0.serve(DOWN, true);
    site.0.admin(&["move", "0", "2"]);
    site.0.admin(&["leave", "1"]);
    assert_eq!(site.latest(), (4, vec![2; 4]));
    let output = site.0.kv(&["put", "k", "v"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(site.0.get("k"), "v");
}

#[test]
fn group_that_stops_is_silent_and_one_that_starts_is_awaited() {
    let site = Site::new();
    let mut servers = site.start();
    servers.push(site.0.serve(DOWN, true));
    site.0.admin(&["join", "1", "2"]);
    servers.truncate(DOWN);
    // For a short time after its end the group still counts as heard.
    let end = Instant::now() + PATIENCE;
    loop {
        if site.latest().1[2] == 2 {
            site.0.admin(&["move", "2", "1"]);
        }
        match site.ask(&["move", "2", "2"]) {
            Err(complaint) if complaint.contains(SILENT) => break,
            Ok(()) | Err(_) => assert!(Instant::now() < end, "the group is heard for ever"),
        }
    }
    assert_eq!(site.latest().1, [1, 1, 1, 2]);
    // The command asks again until the group is heard.
    let moved = thread::scope(|scope| {
        let moved = scope.spawn(|| site.0.kv(&["admin", "move", "2", "2"]));
        servers.push(site.0.serve(DOWN, false));
        moved.join().unwrap()
    });
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert_eq!(site.latest().1, [1, 1, 2, 2]);
}
