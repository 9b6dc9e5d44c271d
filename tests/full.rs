//! Servers on full disks: they serve reads, refuse writes and say why, start again as they are, and
//! go on when there is room.

// A file, socket or server that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use model::health::Health;
use model::kv::command::{Op, Output, Value};
use model::replica::{NotTaken, Room};
use model::types::NodeId;
use runtime::client::{Client, Outcome, SessionId};
use runtime::inspect;
use runtime::server::{Place, Server};
use runtime::wal::{LimitedDisk, Options, RealDisk, Space};

use common::Config;

/// No test waits longer than this for anything, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Small segments are full soon.
const SEGMENT: u32 = 1 << 20;

/// A disk with room for one segment, and for two.
const ONE: u64 = SEGMENT as u64 + (SEGMENT as u64) / 2;
const TWO: u64 = ONE + SEGMENT as u64;

fn start(config: &Config, node: usize, space: &Space, first_start: bool) -> Server {
    let folder = config.data(node);
    let disk = if first_start { RealDisk::create(folder) } else { RealDisk::open(folder) }.unwrap();
    let disk = Box::new(LimitedDisk::new(Box::new(disk), space.clone()).unwrap());
    let options = Options { segment_bytes: SEGMENT };
    let place = Place::Disk { disk, first_start, options };
    Server::start(&config.cluster, node as u16, place).unwrap()
}

fn room(config: &Config, node: usize) -> Room {
    let told = inspect::servers(&config.cluster, PATIENCE).unwrap();
    match told.get(&NodeId(node as u16)).map(|holdings| &holdings.server) {
        Some(Health::Member(member)) => member.room,
        other => panic!("{other:?}"),
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
    }
}

struct Person {
    client: Client,
    session: SessionId,
}

impl Person {
    fn of(config: &Config) -> Self {
        let mut client = Client::connect(&config.cluster).unwrap();
        let session = client.open();
        Self { client, session }
    }

    fn call(&mut self, op: Op) -> Outcome {
        self.client.call(self.session, op, PATIENCE).unwrap()
    }

    fn put(&mut self, bytes: usize) -> Outcome {
        self.call(Op::Put("k".into(), Value::from(&*vec![b'v'; bytes])))
    }

    fn reads(&mut self) {
        let outcome = self.call(Op::Get("k".into()));
        assert!(matches!(outcome, Outcome::Done(Output::Value(Some(_)))), "{outcome:?}");
    }

    /// Writes until it is refused.
    fn fill(&mut self) {
        let full = Outcome::NotDone(NotTaken::DiskFull);
        eventually("the disk is full", || match self.put(10_000) {
            Outcome::Done(_) => false,
            outcome => {
                assert_eq!(outcome, full);
                true
            }
        });
    }
}

/// A server whose disk has no room for a second segment, written to until it refuses, and a client.
fn full() -> (Config, Space, Server, Person) {
    let config = Config::new(1);
    let space = Space::new(ONE);
    let server = start(&config, 0, &space, true);
    let mut person = Person::of(&config);
    person.fill();
    (config, space, server, person)
}

#[test]
fn server_on_a_full_disk_reads_refuses_writes_and_resumes() {
    let (config, space, server, mut person) = full();
    assert_eq!(room(&config, 0), Room::Scarce);
    for _ in 0..100 {
        person.reads();
    }
    assert_eq!(person.put(1), Outcome::NotDone(NotTaken::DiskFull));

    server.stop().unwrap();
    let server = start(&config, 0, &space, false);
    person.reads();
    assert_eq!(person.put(1), Outcome::NotDone(NotTaken::DiskFull));

    space.resize(TWO);
    eventually("there is room again", || matches!(person.put(2), Outcome::Done(_)));
    assert_eq!(room(&config, 0), Room::Ample);
    server.stop().unwrap();
}

/// The last of its room a server keeps for terms and votes: reads are refused as well, and the
/// server runs on.
#[test]
fn server_without_room_for_reads_refuses_them_and_resumes() {
    let (config, space, server, mut person) = full();
    let full = Outcome::NotDone(NotTaken::DiskFull);
    eventually("reads are refused", || person.call(Op::Get("k".into())) == full);
    assert_eq!(room(&config, 0), Room::None);
    assert!(server.is_running());
    space.resize(TWO);
    eventually("there is room again", || matches!(person.put(2), Outcome::Done(_)));
    person.reads();
    server.stop().unwrap();
}

#[test]
fn follower_on_a_full_disk_takes_nothing_and_catches_up() {
    let config = Config::new(3);
    let spaces = [0, 1, 2].map(|_| Space::new(ONE));
    let servers: Vec<_> = (0..3).map(|node| start(&config, node, &spaces[node], true)).collect();
    let mut person = Person::of(&config);
    assert!(matches!(person.put(1), Outcome::Done(_)));
    let told = inspect::servers(&config.cluster, PATIENCE).unwrap();
    let leads = |node: &usize| told[&NodeId(*node as u16)].leads;
    let follower = (0..3).find(|node| !leads(node)).unwrap();
    (0..3).filter(|node| *node != follower).for_each(|node| spaces[node].resize(64 << 20));

    eventually("the follower has no room", || {
        assert!(matches!(person.put(10_000), Outcome::Done(_)));
        room(&config, follower) == Room::None
    });
    for _ in 0..100 {
        assert!(matches!(person.put(10_000), Outcome::Done(_)), "two of three are a majority");
    }
    assert!(servers[follower].is_running());
    spaces[follower].resize(64 << 20);
    eventually("the follower has caught up", || {
        let told = inspect::servers(&config.cluster, PATIENCE).unwrap();
        let last = |node: usize| match &told[&NodeId(node as u16)].server {
            Health::Member(member) => member.last,
            other @ Health::Founding { .. } => panic!("{other:?}"),
        };
        (0..3).all(|node| last(node) == last(follower))
    });
    servers.into_iter().for_each(|server| server.stop().unwrap());
}
