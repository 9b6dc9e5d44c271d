//! Groups that are down: shards that were given to them come back, and the other groups go on; with
//! real processes.

// A process or file that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use model::shard::route::shard_of;
use model::types::ShardId;

use common::{Config, Server};

const SHARDS: u16 = 6;

/// A key of each shard.
fn keys() -> Vec<String> {
    let key_of = |shard| {
        let mut names = (0..).map(|n| format!("key{n}"));
        names.find(|name| shard_of(&name.as_str().into(), SHARDS) == ShardId(shard)).unwrap()
    };
    (0..SHARDS).map(key_of).collect()
}

fn put(config: &Config, key: &str, value: &str) {
    let output = config.kv(&["put", key, value]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Every key can be read and written.
fn serves_all(config: &Config, before: &str, after: &str) {
    for key in keys() {
        assert_eq!(config.get(&key), before, "{key}");
        put(config, &key, after);
    }
}

/// The third of three groups has not been started. It gets its share of the shards, and one by
/// hand.
#[test]
fn what_was_given_to_a_group_that_is_down_comes_back() {
    let config = Config::sharded(3, 1, SHARDS);
    let _servers: Vec<_> = (0..3).map(|node| config.serve(node, true)).collect();
    config.admin(&["join", "1", "2"]);
    keys().iter().for_each(|key| put(&config, key, "first"));

    for shard in ["0", "1"] {
        config.admin(&["join", "3", "--force"]);
        config.admin(&["move", shard, "3", "--force"]);
        config.admin(&["move", shard, "1"]);
        config.admin(&["leave", "3"]);
        serves_all(&config, "first", "first");
    }
    // It starts after all, and learns that there is nothing for it.
    config.admin(&["join", "3", "--force"]);
    config.admin(&["leave", "3"]);
    let third = config.serve(3, true);
    config.admin(&["join", "3"]);
    serves_all(&config, "first", "second");
    config.admin(&["leave", "3"]);
    serves_all(&config, "second", "third");
    drop(third);
}

/// The third of three groups goes down with its shards, and leaves. Shards that the others have
/// move between them.
#[test]
fn group_that_goes_down_with_its_shards_delays_no_other_move() {
    let config = Config::sharded(3, 1, SHARDS);
    let mut servers: Vec<_> = (0..4).map(|node| Some(config.serve(node, true))).collect();
    config.admin(&["join", "1", "2", "3"]);
    keys().iter().for_each(|key| put(&config, key, "before"));
    let [first, second] = [&keys()[0], &keys()[1]];
    for (shard, group) in [("0", "1"), ("1", "2")] {
        let output = config.kv(&["admin", "move", shard, group]);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_there = output.status.success() || complaint.contains("is there already");
        assert!(is_there, "{complaint}");
    }
    assert_eq!([config.get(first), config.get(second)], ["before", "before"]);

    servers[3] = None;
    config.admin(&["leave", "3"]);
    for (shard, group) in [("0", "2"), ("1", "1"), ("0", "1"), ("1", "2")] {
        config.admin(&["move", shard, group]);
        for key in [first, second] {
            put(&config, key, shard);
        }
    }
    servers[3] = Some(config.serve(3, false));
    for key in &keys()[2..] {
        assert_eq!(config.get(key), "before", "{key}");
    }
}

/// A group that leaves is needed until the others have what it had, however long that takes.
#[test]
fn group_that_leaves_is_needed_until_nobody_waits_for_it() {
    let config = Config::sharded(3, 1, SHARDS);
    let mut servers: Vec<_> = (0..4).map(|node| Some(config.serve(node, true))).collect();
    config.admin(&["join", "1", "2", "3"]);
    keys().iter().for_each(|key| put(&config, key, "before"));

    servers[3] = None;
    let file = config.file();
    let wait = ["--wait", "--force", "--config", &file, "--timeout", "60"];
    let leave = [&["admin", "leave", "2"], &wait[..]].concat();
    let (leaving, lines) = Server::start(common::shardwright(&leave));
    let mut lines = lines.map(Result::unwrap);
    let mut until = |beginning: &str| {
        let found = lines.find(|line| line.starts_with(beginning));
        assert!(found.is_some(), "it never says '{beginning}'");
    };
    until("g2 has left and is still needed: it has");
    let status = String::from_utf8(config.kv(&["admin", "status"]).stdout).unwrap();
    assert!(status.contains("g2 has left and is still needed: it has"), "{status}");

    servers[3] = Some(config.serve(3, false));
    until("g2 has left: its servers may be stopped");
    drop(leaving);
    servers[2] = None;
    serves_all(&config, "before", "after");
}
