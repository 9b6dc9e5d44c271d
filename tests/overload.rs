//! A leader that can not commit, under many clients that give up: what it has under way is bounded,
//! what it refuses stays undone, and it serves again when the others are back.

// A file, socket or server that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use model::health::Health;
use model::kv::command::{Key, Op, Output, Value};
use model::replica::{Answer, Backlog, Message, NotTaken, Reply};
use model::shard::holdings::Holdings;
use model::types::{NodeId, RequestId};
use runtime::client::{Client, Outcome, SessionId, within};
use runtime::server::SCHEMA;
use runtime::transport::{Udp, Wait};
use runtime::wire::{Identity, Sender};
use runtime::{Endpoint, inspect};

use common::{Config, Server};

/// No test waits longer than this for anything, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time after which a session gives up.
const GIVES_UP: Duration = Duration::from_millis(300);

const SESSIONS: u64 = 500;
const VALUE_BYTES: usize = 10_000;

/// The number of refusals that ends the flood: by then several times as much was asked for as the
/// leader may have under way.
const REFUSALS: usize = 5_000;

fn inspect(config: &Config) -> BTreeMap<NodeId, Holdings> {
    inspect::servers(&config.cluster, Duration::from_secs(1)).unwrap()
}

fn leader(config: &Config) -> usize {
    let end = Instant::now() + PATIENCE;
    loop {
        let told = inspect(config);
        if let Some((leader, _)) = told.iter().find(|(_, holdings)| holdings.leads) {
            return usize::from(leader.0);
        }
        assert!(Instant::now() < end, "nobody leads");
    }
}

/// Returns how many entries a server's log holds beyond what is committed, and whether the server
/// says that it is overloaded.
fn backlog(config: &Config, server: usize) -> (u64, bool) {
    match inspect(config).remove(&NodeId(server as u16)).map(|holdings| holdings.server) {
        Some(Health::Member(member)) => (member.last.0 - member.commit.0, member.overloaded),
        other => panic!("{other:?}"),
    }
}

/// Memory of a process in bytes, where the system tells.
fn memory(server: &Server) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kib| kib << 10)
}

/// The keys that sessions have put, by what they were told, and the number that was given up.
#[derive(Default)]
struct Told {
    done: Vec<Key>,
    refused: Vec<Key>,
    unknown: usize,
}

/// Has sessions put values under keys of their own, without rest, until enough are refused.
fn flood(config: &Config) -> Told {
    let mut client = Client::connect(&config.cluster).unwrap();
    let value = Value::from(&*vec![b'v'; VALUE_BYTES]);
    let mut asked: BTreeMap<SessionId, (Instant, Key)> = BTreeMap::new();
    let (mut told, mut count) = (Told::default(), 0);
    let mut ask = |client: &mut Client, session| {
        count += 1;
        let key = Key::from(format!("flood{count}"));
        client.invoke(session, Op::Put(key.clone(), value.clone()));
        (Instant::now(), key)
    };
    for _ in 0..SESSIONS {
        let session = client.open();
        let asks = ask(&mut client, session);
        asked.insert(session, asks);
    }
    let end = Instant::now() + PATIENCE;
    while told.refused.len() < REFUSALS {
        assert!(Instant::now() < end, "{} refusals only", told.refused.len());
        for (session, outcome) in client.poll(within(Duration::from_millis(10))).unwrap() {
            let (_, key) = asked[&session].clone();
            match outcome {
                Outcome::Done(_) => told.done.push(key),
                Outcome::NotDone(NotTaken::Overloaded) => told.refused.push(key),
                other => panic!("{other:?}"),
            }
            let asks = ask(&mut client, session);
            asked.insert(session, asks);
        }
        let late: Vec<_> = asked
            .iter()
            .filter(|(_, (since, _))| since.elapsed() >= GIVES_UP)
            .map(|(session, _)| *session)
            .collect();
        for session in late {
            if client.give_up(session) == Some(Outcome::Unknown) {
                told.unknown += 1;
                let asks = ask(&mut client, session);
                asked.insert(session, asks);
            }
        }
    }
    told
}

/// Asks a leader for more until it says that it is overloaded, which it does for a short time after
/// it has refused a request. Returns how many entries it has under way.
fn refused(config: &Config, leader: usize) -> u64 {
    let mut client = Client::connect(&config.cluster).unwrap();
    let session = client.open();
    let end = Instant::now() + PATIENCE;
    loop {
        let put = Op::Put("more".into(), Value::from(&*vec![b'v'; VALUE_BYTES]));
        let outcome = client.call(session, put, GIVES_UP).unwrap();
        assert!(!matches!(outcome, Outcome::Done(_)), "one of three is no majority");
        if let (entries, true) = backlog(config, leader) {
            return entries;
        }
        assert!(Instant::now() < end, "the leader does not say that it is overloaded");
    }
}

#[test]
fn what_a_leader_without_majority_has_under_way_is_bounded() {
    let config = Config::new(3);
    let mut servers: Vec<_> = config.serve_all(true).into_iter().map(Some).collect();
    let mut client = Client::connect(&config.cluster).unwrap();
    let session = client.open();
    let mut call = |op| client.call(session, op, PATIENCE).unwrap();
    assert_eq!(call(Op::Put("first".into(), "v".into())), Outcome::Done(Output::Written));

    let leader = leader(&config);
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    others.iter().for_each(|other| servers[*other] = None);
    let before = servers[leader].as_ref().and_then(memory);
    let told = flood(&config);
    let entries = refused(&config, leader);
    let most = Backlog::DEFAULT.bytes / VALUE_BYTES;
    assert!(entries <= most as u64, "{entries} entries are under way, {most} may be");
    assert!(told.done.is_empty(), "one of three is no majority");
    // Each session has one request under way when the flood ends.
    let open = told.unknown + SESSIONS as usize;
    assert!(open >= entries as usize, "nobody is told that a logged request is not done");
    let after = servers[leader].as_ref().and_then(memory);
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.saturating_sub(before) >> 20;
        assert!(grown <= 64, "the leader has grown by {grown} MiB");
    }

    others.iter().for_each(|other| servers[*other] = Some(config.serve(*other, false)));
    assert_eq!(call(Op::Put("last".into(), "v".into())), Outcome::Done(Output::Written));
    for key in told.refused.iter().step_by(REFUSALS / 200) {
        let outcome = call(Op::Get(key.clone()));
        assert_eq!(outcome, Outcome::Done(Output::Value(None)), "{key:?} was not done");
    }
    drop(servers);
}

/// A server refuses a request that a session has never made. It says so before it refuses one that
/// another session has made, so that the client must have seen it when that one ends.
#[test]
fn refusal_for_a_session_that_has_asked_nothing_has_no_effect() {
    let config = Config::new(1);
    let cluster = &config.cluster;
    let identity = Identity { cluster: cluster.cluster, id: 0, incarnation: 1, schema: SCHEMA };
    let transport = Udp::bind(cluster.node[0].address).unwrap();
    let (key, limits) = (cluster.secret(), cluster.limits());
    let mut server = Endpoint::new(identity, key, limits, cluster.addresses(), transport);

    let mut client = Client::connect(cluster).unwrap();
    let (asks, silent) = (client.open(), client.open());
    client.invoke(asks, Op::Get("k".into()));
    let end = Instant::now() + PATIENCE;
    let mut ended = Vec::new();
    while ended.is_empty() {
        assert!(Instant::now() < end, "no outcome");
        ended = client.poll(within(Duration::from_millis(10))).unwrap();
        let mut asked = Vec::new();
        let take = |from: Sender, _: Message| asked.push(from.source);
        server.receive(Wait::Poll, 64, take).unwrap();
        for process in asked {
            for client in [client.id(silent), client.id(asks)] {
                let answer = Answer::Refused(NotTaken::Overloaded);
                let reply = Reply { client, number: RequestId(1), answer };
                server.push(process, &Message::Reply(reply));
            }
            server.flush();
        }
    }
    assert_eq!(ended, [(asks, Outcome::NotDone(NotTaken::Overloaded))]);
}
