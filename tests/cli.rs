//! The command line, as its users meet it: a cluster that serves, and bad input of every kind.

// A file or process that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufReader, Lines, Write};
use std::net::UdpSocket;
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use model::kv::command::{Key, Op, Output as Answer, Value};
use model::replica::NotTaken;
use model::shard::route::shard_of;
use runtime::client::{Client, Outcome};
use runtime::cluster::Cluster;
use tempfile::TempDir;

use common::{Config, Server, refuses, run, shardwright};

/// What there is to say of this cluster's shards.
fn status(config: &str) -> serde_json::Value {
    let output = run(&["admin", "status", "--json", "--config", config, "--timeout", "60"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Which group owns each shard of this cluster.
fn owners(config: &str) -> Vec<u64> {
    let status = status(config);
    status["shards"].as_array().unwrap().iter().map(|group| group.as_u64().unwrap()).collect()
}

/// A key of this shard, the `nth` of those that these tests use.
fn key_of(shard: u16, shards: u16, nth: usize) -> String {
    let keys = (0..).map(|number| format!("key{number}"));
    keys.filter(|key| shard_of(&Key::from(key), shards).0 == shard).nth(nth).unwrap()
}

/// Sets a flag when it is dropped, in a panic too.
struct SetAtLast<'a>(&'a AtomicBool);

impl Drop for SetAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Appends 0, 1, 2, ... to all of these keys while `meanwhile` runs, which begins when all are
/// there, then checks that each was appended once.
fn while_appending(cluster: &Cluster, keys: &[String], meanwhile: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let (all_there, begin) = mpsc::channel();
    let mut client = Client::connect(cluster).unwrap();
    let session = client.open();
    let patience = Duration::from_secs(60);
    let appended = thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let mut appended = String::new();
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let more = format!("{number} ");
                for key in keys {
                    let op = Op::Append(Key::from(key), Value::from(&more));
                    let outcome = client.call(session, op, patience).unwrap();
                    assert_eq!(outcome, Outcome::Done(Answer::Written), "{key} {more}");
                }
                appended += &more;
                all_there.send(()).unwrap();
            }
            for key in keys {
                let outcome = client.call(session, Op::Get(Key::from(key)), patience).unwrap();
                let expected = Answer::Value(Some(Value::from(&appended)));
                assert_eq!(outcome, Outcome::Done(expected), "{key}");
            }
            appended
        });
        let stops = SetAtLast(&stop);
        begin.recv().unwrap();
        meanwhile();
        drop(stops);
        appending.join().unwrap()
    });
    assert!(!appended.is_empty());
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
    let mut client = Client::connect(&config.cluster).unwrap();
    let session = client.open();
    let value = vec![b'v'; (1 << 20) + 1];
    let op = Op::Put("k".into(), value.into());
    let outcome = client.call(session, op, Duration::from_secs(60)).unwrap();
    assert_eq!(outcome, Outcome::NotDone(NotTaken::TooLarge));

    let value = vec![b'v'; 1 << 20];
    let op = Op::Put("k".into(), value.into());
    let outcome = client.call(session, op, Duration::from_secs(60)).unwrap();
    assert_eq!(outcome, Outcome::Done(Answer::Written));
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
    refuses(&serve, 1, "start a server that is new with --first-start");

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

/// Ports that follow each other and are free now.
fn consecutive_ports(count: u16) -> u16 {
    let free =
        |port: &u16| (*port..*port + count).all(|p| UdpSocket::bind(("127.0.0.1", p)).is_ok());
    let first = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() % 20_000;
    (10_000 + first..).step_by(usize::from(count)).find(free).unwrap()
}

/// Where `shardwright up` keeps two groups of one server each that share four shards.
struct TwoGroups {
    folder: TempDir,
    listen: String,
}

impl TwoGroups {
    fn new() -> Self {
        let listen = format!("127.0.0.1:{}", consecutive_ports(3));
        Self { folder: TempDir::new().unwrap(), listen }
    }

    fn file(&self) -> String {
        self.folder.path().join("data/cluster.toml").display().to_string()
    }

    /// Starts them, and waits until they run.
    fn up(&self) -> (Server, Lines<BufReader<ChildStdout>>) {
        let data = self.folder.path().join("data").display().to_string();
        let arguments = ["up", "--groups", "2", "--servers", "1", "--shards", "4"];
        let place = ["--data", &data, "--listen", &self.listen];
        let command = shardwright(&[&arguments[..], &place[..]].concat());
        let (server, mut lines) = Server::start(command);
        assert!(lines.next().unwrap().unwrap().starts_with("3 servers"));
        (server, lines)
    }

    /// What a command prints that succeeds.
    fn client(&self, arguments: &[&str]) -> String {
        let output = run(&[arguments, &["--config", &self.file(), "--timeout", "60"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

#[test]
fn groups_share_a_store_and_give_each_other_shards() {
    let groups = TwoGroups::new();
    let file = groups.file();
    let client = |arguments: &[&str]| groups.client(arguments);
    let running = groups.up();
    assert_eq!(owners(&file), [1, 1, 2, 2]);
    let keys: Vec<_> = (0..4).map(|shard| key_of(shard, 4, 0)).collect();
    let appended: Vec<_> = (0..4).map(|shard| key_of(shard, 4, 1)).collect();
    for key in &keys {
        client(&["put", key, &format!("value of {key}")]);
    }
    while_appending(&Cluster::load(file.as_ref()).unwrap(), &appended, || {
        for _ in 0..3 {
            client(&["admin", "move", "0", "2"]);
            client(&["admin", "move", "3", "1"]);
            assert_eq!(owners(&file), [2, 1, 2, 1]);
            client(&["admin", "move", "0", "1"]);
            client(&["admin", "move", "3", "2"]);
        }
        client(&["admin", "leave", "2"]);
    });
    assert_eq!(owners(&file), [1; 4]);
    let all_there = || {
        for key in &keys {
            assert_eq!(client(&["get", key]), format!("value of {key}"));
        }
    };
    all_there();
    drop(running);
    let _running = groups.up();
    assert_eq!(owners(&file), [1; 4], "who has left does not join by itself");
    all_there();
    client(&["admin", "join", "2"]);
    assert_eq!(owners(&file).iter().filter(|owner| **owner == 2).count(), 2);
    all_there();
}

#[test]
fn transactions_over_two_groups_take_effect_as_one_or_not_at_all() {
    let groups = TwoGroups::new();
    let file = groups.file();
    let running = groups.up();
    assert_eq!(owners(&file), [1, 1, 2, 2]);
    let [a, b] = &[0, 2].map(|shard| key_of(shard, 4, 0));
    let txn = |steps: &[&str]| {
        let steps = steps.iter().map(|step| step.replace("AA", a).replace("BB", b));
        let arguments: Vec<_> = ["txn".to_owned()].into_iter().chain(steps).collect();
        groups.client(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(txn(&["put AA 15"]), "", "nothing was asked for");
    let transfer = ["check AA >= 10", "add AA -10", "add BB 10", "get AA", "get BB"];
    assert_eq!(txn(&transfer), format!("{a}: 5\n{b}: 10"));

    // Another one is refused, and says why.
    let transfer = transfer.map(|step| step.replace("AA", a).replace("BB", b));
    let command = [&["txn"], &transfer.each_ref().map(String::as_str)[..]].concat();
    let refused = [&command[..], &["--config", &file]].concat();
    let complaint = format!("nothing was changed: step 1, 'check {a} >= 10', found \"5\"");
    refuses(&refused, 1, &complaint);
    let json = run(&[&refused[..], &["--json"]].concat());
    assert_eq!((json.status.code(), &json.stderr[..]), (Some(1), &b""[..]));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let words = ["check", a, ">=", "10"];
    let expected = serde_json::json!({
        "outcome": "refused", "step": 0, "words": words, "reason": "found", "found": "5"
    });
    assert_eq!(json, expected);
    for (step, complaint) in [
        (format!("add {a} many"), format!("step 1, 'add {a} many', works with 64-bit numbers")),
        (format!("put {a} $none"), format!("step 1, 'put {a} $none', needs a key that is not")),
        (format!("check {a} missing"), format!("step 1, 'check {a} missing', found \"5\"")),
        ("check none present".to_owned(), "found no such key".to_owned()),
    ] {
        refuses(&["txn", &format!("delete {b}x"), &step, "--config", &file], 1, &{
            complaint.replace("step 1", "step 2")
        });
    }
    assert_eq!(txn(&["get AA", "get BB"]), format!("{a}: 5\n{b}: 10"));

    // Values change places, a missing one included, wherever their shards are by then.
    assert_eq!(txn(&["swap AA BB", "get AA", "get BB"]), format!("{a}: 10\n{b}: 5"));
    groups.client(&["admin", "move", "2", "1"]);
    groups.client(&["admin", "move", "0", "2"]);
    assert_eq!(txn(&["delete BB", "get BB"]), format!("{b} is missing"));
    assert_eq!(txn(&["swap AA BB", "get AA", "get BB"]), format!("{a} is missing\n{b}: 10"));
    assert_eq!(txn(&["append AA 'x  y'", "put c $AA", "put d $$AA"]), "");
    assert_eq!(txn(&["get c", "get d"]), format!("c: x  y\nd: ${a}"));

    // From a file, and told to machines.
    let steps = groups.folder.path().join("steps.json");
    fs::write(&steps, format!(r#"[["get","{b}"],["delete","{b}"],["get","{b}"]]"#)).unwrap();
    let told = groups.client(&["txn", "--json", "--file", &steps.display().to_string()]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let gets = serde_json::json!([{ "key": b, "value": "10" }, { "key": b, "value": null }]);
    assert_eq!(told, serde_json::json!({ "outcome": "committed", "gets": gets }));
    let mut piped = shardwright(&["txn", "--file", "-", "--config", &file]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(br#"[["get","c"]]"#).unwrap();
    assert_eq!(piped.wait_with_output().unwrap().stdout, b"c: x  y\n");

    drop(running);
    let unanswered = ["txn", "get c", "--config", &file, "--timeout", "1"];
    refuses(&unanswered, 1, "no answer in time");
    let json = run(&[&unanswered[..], &["--json"]].concat());
    assert_eq!(json.stdout, b"{\"outcome\":\"unknown\"}\n");
}

#[test]
fn senseless_transactions_are_refused_before_anything_is_sent() {
    // Nobody serves this cluster: who sends something waits in vain.
    let config = Config::sharded(2, 1, 4);
    let file = config.file();
    let long = format!("get {}", "k".repeat((4 << 10) + 1));
    for (steps, complaint) in [
        (&["get a", "set a v"][..], "step 2, 'set a v': there is no 'set': a step is get, check,"),
        (&["get"], "step 1, 'get': write 'get KEY'"),
        (&["put a v w"], "step 1, 'put a v w': write 'put KEY VALUE'"),
        (&["check a > 1"], "step 1, 'check a > 1': write 'check KEY missing', 'check KEY present'"),
        (&["get a", ""], "step 2, '': there is nothing in it: leave it out"),
        (&["put a 'v"], "step 1, 'put a 'v': close the quote"),
        (&["put a v", "put a w"], "a is set and written by another step, too"),
        (&["put a v", "append a w"], "a is set and written by another step, too"),
        (&["put a\nv\nw"], "step 1, 'put a v w': write 'put KEY VALUE'"),
        (&["swap a a"], "a is set and written by another step, too"),
        (&[long.as_str()], "a key has 4097 bytes, the limit is 4096"),
        (&[], "--help shows how"),
        (&["get a", "--file", "-"], "cannot be used with"),
        (&["--file", "/nowhere/steps.json"], "cannot read /nowhere/steps.json"),
    ] {
        refuses(&[&["txn"], steps, &["--config", &file]].concat(), 2, complaint);
    }
    let value = "v".repeat((1 << 20) + 1);
    let keys: Vec<_> = (0..1_001).map(|key| format!(r#"["get","{key}"]"#)).collect();
    for (text, complaint) in [
        ("[]".to_owned(), "a transaction has at least one step"),
        ("get a".to_owned(), "is no list such as [[\"put\",\"k\",\"v\"]]"),
        (r#"[["add","a",1]]"#.to_owned(), "is no list such as"),
        (format!(r#"[["put","a","{value}","b"]]"#), "vvv…: write 'put KEY VALUE'"),
        (r#"[["get","a"],["set"]]"#.to_owned(), r#"step 2, ["set"]: there is no 'set'"#),
        (format!(r#"[["put","a","{value}"]]"#), "over the limit of 1048576"),
        (format!("[{}]", keys.join(",")), "1001 keys are over the limit of 1000: split"),
    ] {
        let steps = config.folder.path().join("steps.json");
        fs::write(&steps, text).unwrap();
        let steps = steps.display().to_string();
        refuses(&["txn", "--file", &steps, "--config", &file], 2, complaint);
    }
}

#[test]
fn killed_in_the_middle_of_a_move_groups_go_on_with_it() {
    let config = Config::sharded(2, 1, 2);
    let [_controller, one, two] = config.serve_all(true).try_into().map_err(|_| ()).unwrap();
    config.admin(&["join", "1", "2"]);
    assert_eq!(owners(&config.file()), [1, 2]);
    // Several parts on the way.
    let value = "v".repeat(100_000);
    let keys: Vec<_> = (0..8).map(|nth| key_of(0, 2, nth)).collect();
    for key in &keys {
        assert!(config.kv(&["put", key, &value]).status.success());
    }
    let stays = key_of(1, 2, 0);
    assert!(config.kv(&["put", &stays, "here"]).status.success());

    config.admin(&["move", "1", "1"]);
    assert_eq!(config.get(&stays), "here");
    drop(two);
    config.admin(&["move", "0", "2"]);
    // Until the first group has let go of it, it answers.
    let file = config.file();
    let asked = ["get", &keys[0], "--config", &file, "--timeout", "1"];
    while run(&asked).status.success() {}
    assert_eq!(config.get(&stays), "here", "what does not move is served meanwhile");
    drop(one);
    let one = config.serve(1, false);
    let two = config.serve(2, false);
    for key in &keys {
        assert_eq!(config.get(key), value);
    }

    // And back, whichever is killed while the parts are under way.
    config.admin(&["move", "0", "1"]);
    drop(one);
    let one = config.serve(1, false);
    assert_eq!(config.get(&keys[7]), value);
    config.admin(&["move", "0", "2"]);
    drop((one, two));
    let _both = [config.serve(1, false), config.serve(2, false)];
    assert!(config.kv(&["append", &keys[0], "!"]).status.success());
    assert_eq!(config.get(&keys[0]), value + "!");
    assert_eq!(owners(&config.file()), [2, 1]);

    // In the end each owner has all there is, and nobody else has any of it.
    let there =
        |shard: &serde_json::Value| shard["state"] == "serving" && shard["former"].is_null();
    let status = loop {
        let status = status(&config.file());
        if status["state"].as_array().unwrap().iter().all(there) {
            break status;
        }
    };
    let held: Vec<_> = status["state"].as_array().unwrap().iter().map(|s| &s["keys"]).collect();
    assert_eq!(held, [keys.len(), 1]);
}

/// In each group and the controller another server is down at each change, so that soon no two
/// servers have seen the same, and those that have missed a change must catch up to go on.
#[test]
fn servers_that_have_missed_changes_catch_up() {
    let config = Config::sharded(2, 3, 10);
    let mut servers: Vec<_> = config.serve_all(true).into_iter().map(Some).collect();
    config.admin(&["join", "1"]);
    let keys: Vec<_> = (0..10).map(|shard| key_of(shard, 10, 0)).collect();
    let group = |number: usize| 3 * number..3 * number + 3;
    while_appending(&config.cluster, &keys, || {
        for (down, change) in [(0, ["join", "2"]), (1, ["leave", "1"]), (2, ["join", "1"])] {
            for number in 0..3 {
                servers[group(number).start + down] = None;
            }
            config.admin(&change);
            for key in &keys {
                config.get(key);
            }
            for number in 0..3 {
                let node = group(number).start + down;
                servers[node] = Some(config.serve(node, false));
            }
        }
        config.admin(&["leave", "2"]);
    });
    assert_eq!(owners(&config.file()), [1; 10]);
    // Until it has taken that configuration, the second group answers.
    let mut client = Client::connect(&config.cluster).unwrap();
    let session = client.open();
    for key in &keys {
        let answerer = |client: &mut Client| {
            let get = Op::Get(Key::from(key));
            let outcome = client.call(session, get, Duration::from_secs(60)).unwrap();
            assert!(matches!(outcome, Outcome::Done(_)), "{key}: {outcome:?}");
            usize::from(client.leader().unwrap().0)
        };
        while !group(1).contains(&answerer(&mut client)) {}
    }
    // Those that have handed everything over are needed no more.
    for node in group(2) {
        servers[node] = None;
    }
    for key in &keys {
        assert!(!config.get(key).is_empty());
    }
}

#[test]
fn senseless_changes_are_refused_and_change_nothing() {
    let config = Config::sharded(2, 1, 4);
    let file = config.file();
    let servers = config.serve_all(true);
    config.admin(&["join", "1", "2"]);
    for (change, complaint) in [
        (&["join", "3"][..], "the configuration file has no g3; it has g1, g2"),
        (&["join", "2"], "group g2 is there already"),
        (&["leave", "9"], "there is no group g9"),
        (&["leave", "1", "2"], "no group would be left"),
        (&["move", "s4", "g1"], "there is no shard s4"),
        (&["move", "0", "7"], "there is no group g7"),
        (&["move", "0", "1"], "shard s0 is there already"),
        (&["query", "5"], "the latest configuration is v1"),
    ] {
        refuses(&[&["admin"], change, &["--config", &file]].concat(), 1, complaint);
    }
    for (malformed, complaint) in [
        (&["move", "0", "one"][..], "invalid value 'one' for '<GROUP>': it should be a number"),
        (&["move", "70000", "1"], "invalid value '70000' for '<SHARD>': it should be a number"),
        (&["join"], "required arguments were not provided: <GROUP>"),
        (&["query", "x"], "invalid value 'x' for '[NUMBER]': it should be a number"),
        (&["divide", "1"], "unrecognized subcommand 'divide'"),
    ] {
        refuses(&[&["admin"], malformed, &["--config", &file]].concat(), 2, complaint);
    }
    assert_eq!(owners(&config.file()), [1, 1, 2, 2]);
    drop(servers);
    refuses(&["admin", "status", "--config", &file, "--timeout", "1"], 1, "no answer in time");
    let lone = Config::new(1);
    refuses(&["admin", "join", "1", "--config", &lone.file()], 1, "the cluster is not sharded");
}

#[test]
fn malformed_groups_are_refused() {
    let config = Config::sharded(2, 1, 4);
    let text = fs::read_to_string(config.file()).unwrap();
    let file = config.file();
    for (malformed, expected) in [
        (text.replace("nodes = [2]", "nodes = [9]"), "group 2 lists node 9, and there is none"),
        (text.replace("nodes = [2]", "nodes = [1]"), "node 1, which is listed before"),
        (text.replace("nodes = [2]", "nodes = []"), "group 2 has no nodes"),
        (text.replace("controller = [0]", "controller = []"), "the controller has no nodes"),
        (text.replace("shards = 4", "shards = 0"), "at least one shard"),
        (text.replace("shards = 4", "shards = 70000"), "is not a cluster configuration"),
    ] {
        assert_ne!(malformed, text, "{expected}");
        fs::write(&file, malformed).unwrap();
        refuses(&["admin", "status", "--config", &file], 1, expected);
        refuses(&["serve", "--config", &file, "--node", "1", "--first-start"], 1, expected);
    }
}

#[test]
fn server_does_not_start_on_what_another_cluster_has_left() {
    let config = Config::sharded(1, 1, 4);
    let file = config.file();
    let servers = config.serve_all(true);
    config.admin(&["join", "1"]);
    assert!(config.kv(&["put", "k", "v"]).status.success());
    drop(servers);
    let text = fs::read_to_string(&file).unwrap();
    let number = format!("cluster = {}", config.cluster.cluster);
    fs::write(&file, text.replace(&number, "cluster = 1")).unwrap();
    refuses(&["serve", "--config", &file, "--node", "1"], 1, "belongs to cluster");
}

#[test]
fn store_by_itself_does_not_become_a_group() {
    let config = Config::new(2);
    let servers = config.serve_all(true);
    assert!(config.kv(&["put", "k", "v"]).status.success());
    drop(servers);
    let file = config.file();
    let text = fs::read_to_string(&file).unwrap();
    let sharding = "[sharding]\ncontroller = [0]\n[[sharding.group]]\nid = 1\nnodes = [1]\n";
    fs::write(&file, text.clone() + sharding).unwrap();
    for node in ["0", "1"] {
        refuses(
            &["serve", "--config", &file, "--node", node],
            1,
            "keeps the members and the purpose that it was founded with",
        );
    }
    fs::write(&file, text).unwrap();
    let _servers = config.serve_all(false);
    assert_eq!(config.get("k"), "v");
}

#[test]
fn server_does_not_start_in_another_role() {
    let config = Config::sharded(2, 1, 4);
    let file = config.file();
    let servers = config.serve_all(true);
    config.admin(&["join", "1", "2"]);
    config.admin(&["move", "0", "2"]);
    assert_eq!(owners(&config.file()), [2, 1, 2, 2]);
    drop(servers);
    let text = fs::read_to_string(&file).unwrap();
    let role = |line: &str, other: &str| (line.to_owned(), other.to_owned());
    let swaps = [
        [role("nodes = [1]", "nodes = [2]"), role("nodes = [2]", "nodes = [1]")],
        [role("controller = [0]", "controller = [1]"), role("nodes = [1]", "nodes = [0]")],
    ];
    for swap in swaps {
        let swapped: Vec<_> = text
            .lines()
            .map(|line| match swap.iter().find(|(role, _)| role == line) {
                Some((_, other)) => other.as_str(),
                None => line,
            })
            .collect();
        fs::write(&file, swapped.join("\n")).unwrap();
        refuses(
            &["serve", "--config", &file, "--node", "1"],
            1,
            "keeps the members and the purpose that it was founded with",
        );
    }
    fs::write(&file, &text).unwrap();
    let _servers = config.serve_all(false);
    assert_eq!(owners(&config.file()), [2, 1, 2, 2]);
}
