//! Large requests on real servers: over UDP, with their logs on a disk. Each is served or refused
//! with a defined outcome, others are served all the while, and nothing stays locked.

// A file, socket or server that cannot be had fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::kv::command::{Key, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, Output, Request, Value};
use model::kv::transaction::{Condition, MAX_BYTES, MAX_WORK_BYTES, Operand};
use model::kv::transaction::{Reason, Refusal, Step, Transaction};
use model::replica::{Answer, Message, NotTaken};
use model::shard::controller::Change;
use model::shard::ownership::Phase;
use model::shard::route::shard_of;
use model::size;
use model::types::{ClientId, GroupId, RequestId, ShardId};
use runtime::client::{Administrator, Client, Outcome, SessionId, within};
use runtime::cluster::{Cluster, Sharding};
use runtime::server::{SCHEMA, Server, data_directory};
use runtime::transport::{Udp, Wait};
use runtime::wire::{Identity, Rejected, Sender};
use runtime::{Endpoint, inspect};
use tempfile::TempDir;

use common::Config;

/// No test waits longer than this for anything, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many shards the sharded clusters have.
const SHARDS: u16 = 2;

/// Servers in this process.
struct Site {
    cluster: Cluster,
    servers: Vec<Option<Server>>,
    _folder: TempDir,
}

impl Site {
    fn new(config: Config) -> Self {
        let Config { folder, cluster } = config;
        let servers = cluster.node.iter().map(|_| None).collect();
        let mut site = Self { cluster, servers, _folder: folder };
        (0..site.servers.len()).for_each(|node| site.start(node, true));
        site
    }

    /// One group of three.
    fn group() -> Self {
        let site = Self::new(Config::new(3));
        site.client().put(&"first".into(), &value(1));
        site
    }

    /// A controller and two groups of three, with a shard each.
    fn sharded() -> Self {
        let site = Self::new(Config::sharded(2, 3, SHARDS));
        let groups = site.cluster.sharding.as_ref().map(Sharding::groups).unwrap();
        site.change(Change::Join(groups));
        site
    }

    fn start(&mut self, node: usize, first_start: bool) {
        let number = node as u16;
        let place = data_directory(&self.cluster, number, first_start).unwrap();
        self.servers[node] = Some(Server::start(&self.cluster, number, place).unwrap());
    }

    /// Stops a server, which has sent all that it wanted to.
    fn stop(&mut self, node: usize) {
        let server = self.servers[node].take().unwrap();
        let counters = server.handle().metrics().endpoint;
        assert_eq!(counters.sent.unsendable, 0, "n{node} had a message that can never be sent");
        assert_eq!(counters.received.rejected(Rejected::Limit), 0, "n{node} refused a message");
        server.stop().unwrap();
    }

    fn client(&self) -> Person {
        let mut client = Client::connect(&self.cluster).unwrap();
        let session = client.open();
        Person { client, session }
    }

    fn change(&self, change: Change) {
        let mut administrator = Administrator::administer(&self.cluster).unwrap();
        let session = administrator.open();
        let outcome = administrator.insist(session, &change.into(), PATIENCE).unwrap();
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    /// A client that puts small values under keys of its own, one after the other, until it is
    /// stopped.
    fn others(&self) -> Others {
        let mut person = self.client();
        let (served, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop) = (Arc::clone(&served), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed) % 8;
                person.put(&Key::from(format!("other{number}")), &value(10));
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Others { served, stopped, thread }
    }

    /// Waits until each shard is served by its owner and nobody keeps it for another.
    fn settle(&self) {
        eventually("all shards are in place", || {
            let told = inspect::servers(&self.cluster, PATIENCE).unwrap();
            let groups = inspect::groups(&self.cluster, &told);
            let shards = groups.values().flat_map(|held| &held.shards);
            let serving = shards.clone().filter(|shard| shard.phase == Phase::Serving).count();
            serving == usize::from(SHARDS) && shards.count() == serving
        });
    }

    /// Stops all that runs.
    fn finish(mut self) {
        for node in 0..self.servers.len() {
            if self.servers[node].is_some() {
                self.stop(node);
            }
        }
    }
}

/// Others who use the store meanwhile.
struct Others {
    served: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Others {
    /// All that they have asked for was done, and they go on.
    fn are_served(self) {
        let before = self.served.load(Ordering::Relaxed);
        // The first of them may have begun before.
        eventually("others are served", || self.served.load(Ordering::Relaxed) > before + 1);
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A client with one session.
struct Person {
    client: Client,
    session: SessionId,
}

impl Person {
    fn call(&mut self, op: Op) -> Outcome {
        self.client.call(self.session, op, PATIENCE).unwrap()
    }

    fn put(&mut self, key: &Key, value: &Value) {
        let outcome = self.call(Op::Put(key.clone(), value.clone()));
        assert_eq!(outcome, Outcome::Done(Output::Written));
    }

    fn get(&mut self, key: &Key) -> Option<Value> {
        match self.call(Op::Get(key.clone())) {
            Outcome::Done(Output::Value(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    fn transact(&mut self, steps: Vec<Step>) -> Output {
        let transaction = Transaction::try_from(steps).unwrap();
        match self.call(Op::Transaction(transaction.into())) {
            Outcome::Done(output) => output,
            Outcome::NotDone(_) | Outcome::Unknown => panic!("the transaction has no result"),
        }
    }
}

fn value(bytes: usize) -> Value {
    Value(Arc::from(vec![b'v'; bytes]))
}

/// The `nth` key of this length that belongs to the shard. A short one comes before a long one.
fn key_of(shard: u16, length: usize, nth: usize) -> Key {
    let first = if length < 10 { "a" } else { "b" };
    let digits = length - 1;
    let keys = (0..).map(|number| Key::from(format!("{first}{number:0digits$}")));
    keys.filter(|key| shard_of(key, SHARDS) == ShardId(shard)).nth(nth).unwrap()
}

fn present(key: &Key) -> Step {
    Step::Check(key.clone(), Condition::Present)
}

fn too_large(step: u32) -> Output {
    Output::Rejected(Refusal { step, reason: Reason::TooLarge })
}

/// Carries out these operations side by side, each in a session of its own.
fn together(site: &Site, ops: &[Op]) -> Vec<Outcome> {
    let mut client = Client::connect(&site.cluster).unwrap();
    for op in ops.iter().cloned() {
        let session = client.open();
        client.invoke(session, op);
    }
    let mut outcomes = Vec::new();
    let until = within(PATIENCE);
    while outcomes.len() < ops.len() {
        let ended = client.poll(until).unwrap();
        assert!(!ended.is_empty(), "{} of {} have ended", outcomes.len(), ops.len());
        outcomes.extend(ended.into_iter().map(|(_, outcome)| outcome));
    }
    outcomes
}

/// A compare-and-set that expects so many bytes under a key that is not there.
fn expecting(number: usize, expected: usize, new: usize) -> Op {
    let key = Key::from(format!("cas{number}"));
    Op::Cas { key, expected: Some(value(expected)), new: value(new) }
}

fn is_mismatch(outcome: &Outcome) -> bool {
    *outcome == Outcome::Done(Output::Mismatch(None))
}

#[test]
fn what_is_expected_may_be_as_large_as_any_value() {
    let mut site = Site::group();
    site.stop(2);
    let others = site.others();
    let expecting = (0..8).map(|number| expecting(number, MAX_VALUE_BYTES, MAX_VALUE_BYTES));
    assert!(together(&site, &expecting.collect::<Vec<_>>()).iter().all(is_mismatch));
    others.are_served();
    // The third server has all of it to catch up with, and then is one of two.
    site.start(2, false);
    let mut client = site.client();
    client.put(&"after".into(), &value(1));
    site.stop(0);
    assert_eq!(client.get(&"after".into()), Some(value(1)));
    site.finish();
}

#[test]
fn a_follower_catches_up_with_many_that_are_not_so_large() {
    let mut site = Site::group();
    site.stop(2);
    let expecting = (0..1_100).map(|number| expecting(number, 5_000, 1));
    assert!(together(&site, &expecting.collect::<Vec<_>>()).iter().all(is_mismatch));
    site.start(2, false);
    site.stop(1);
    let mut client = site.client();
    assert_eq!(client.get(&"first".into()), Some(value(1)));
    client.put(&"after".into(), &value(1));
    site.finish();
}

#[test]
fn a_vote_is_as_large_as_a_transaction_may_find_and_no_larger() {
    let site = Site::sharded();
    let mut client = site.client();
    let (begin, keys) = (key_of(0, 2, 0), [0, 1, 2, 3].map(|nth| key_of(1, 20, nth)));
    assert!(keys.iter().all(|key| begin < *key), "the other group coordinates");
    // In a vote: a key with its length, whether there is a value, and that with its length.
    let of_value = |length: usize| size::bytes(20) + size::CHOICE + size::bytes(length);
    let last = MAX_WORK_BYTES - 3 * of_value(MAX_VALUE_BYTES) - of_value(0) - 2;
    for (key, length) in keys.iter().zip([MAX_VALUE_BYTES, MAX_VALUE_BYTES, MAX_VALUE_BYTES, last])
    {
        client.put(key, &value(length));
    }
    let others = site.others();
    let reads: Vec<Step> = keys.iter().map(present).collect();
    let across = [&[Step::Delete(begin.clone())], &reads[..]].concat();
    let found: usize = 3 * of_value(MAX_VALUE_BYTES) + of_value(last);
    assert!(found <= MAX_WORK_BYTES && found + size::bytes(2) + 1 > MAX_WORK_BYTES);
    assert_eq!(client.transact(across.clone()), too_large(0), "with the key that it removes");
    client.put(&keys[3], &value(last - 4));
    assert_eq!(client.transact(across.clone()), Output::Committed([].into()));
    client.put(&keys[3], &value(MAX_VALUE_BYTES));
    assert_eq!(client.transact(across), too_large(0), "the participant says so");
    for key in &keys {
        client.put(key, &value(1));
    }
    others.are_served();
    site.change(Change::Move(ShardId(1), GroupId(1)));
    site.settle();
    assert_eq!(client.get(&keys[0]), Some(value(1)));
    site.finish();
}

#[test]
fn a_decision_is_as_large_as_a_transaction_may_write_and_no_larger() {
    let site = Site::sharded();
    let mut client = site.client();
    let source = key_of(0, 2, 0);
    client.put(&source, &value(64 << 10));
    let others = site.others();
    let copies = |count: usize| {
        let keys = (0..count).map(|nth| key_of(1, MAX_KEY_BYTES, nth));
        keys.map(|key| Step::Put(key, Operand::Of(source.clone()))).collect::<Vec<_>>()
    };
    let copy = size::bytes(MAX_KEY_BYTES) + size::CHOICE + size::bytes(64 << 10);
    let found = size::bytes(2) + size::CHOICE + size::bytes(64 << 10);
    let most = (MAX_WORK_BYTES - found) / copy;
    assert!(most < 63);
    assert_eq!(client.transact(copies(63)), too_large(most as u32));
    let last = key_of(1, MAX_KEY_BYTES, most - 1);
    assert_eq!(client.get(&last), None, "nothing was changed");
    assert_eq!(client.transact(copies(most)), Output::Committed([].into()));
    assert_eq!(client.get(&last), Some(value(64 << 10)));
    client.put(&last, &value(1));
    others.are_served();
    site.change(Change::Move(ShardId(1), GroupId(1)));
    site.settle();
    assert_eq!(client.get(&last), Some(value(1)));
    site.finish();
}

#[test]
fn a_shard_moves_with_the_largest_result() {
    let site = Site::sharded();
    let mut client = site.client();
    let key = key_of(0, 10, 0);
    client.put(&key, &value(1_000));
    let found = client.transact(vec![Step::Get(key.clone()); 4_175]);
    assert!(matches!(&found, Output::Committed(values) if values.len() == 4_175));
    let others = site.others();
    site.change(Change::Move(ShardId(0), GroupId(2)));
    site.settle();
    others.are_served();
    assert_eq!(client.get(&key), Some(value(1_000)));
    site.finish();
}

#[test]
fn a_result_that_would_be_too_large_is_refused() {
    let site = Site::group();
    let mut client = site.client();
    let key = Key::from("key");
    let put_and_get = |gets: usize| {
        let put = Step::Put(key.clone(), Operand::Value(value(1_000)));
        [vec![put], vec![Step::Get(key.clone()); gets]].concat()
    };
    let others = site.others();
    assert_eq!(client.transact(put_and_get(4_192)), too_large(4_181));
    assert_eq!(client.get(&key), None, "nothing was changed");
    let found = client.transact(put_and_get(4_180));
    assert!(matches!(&found, Output::Committed(values) if values.len() == 4_180));
    others.are_served();
    site.finish();
}

/// A request that the client library would not send.
#[test]
fn a_leader_refuses_what_breaks_a_limit() {
    let site = Site::group();
    site.client().put(&"key".into(), &value(1));
    let (over, key) = (value(MAX_VALUE_BYTES + 1), Key::from("key"));
    let long = Key::from(vec![b'k'; MAX_KEY_BYTES + 1]);
    let cas = |expected: &Value, new: &Value| Op::Cas {
        key: key.clone(),
        expected: Some(expected.clone()),
        new: new.clone(),
    };
    let ops = [
        Op::Put(key.clone(), over.clone()),
        Op::Append(key.clone(), over.clone()),
        cas(&over, &value(1)),
        cas(&value(1), &over),
        Op::Get(long.clone()),
        Op::Delete(long),
    ];
    for (number, op) in (1..).map(RequestId).zip(ops) {
        let why = NotTaken::TooLarge;
        assert_eq!(site.client().call(op.clone()), Outcome::NotDone(why), "the library says so");
        assert_eq!(ask(&site, number, op), Answer::Refused(why));
    }
    assert_eq!(site.client().get(&key), Some(value(1)), "nothing was changed");
    site.finish();
}

/// Asks all servers for this, past the client library, and gives the answer of the one that leads.
fn ask(site: &Site, number: RequestId, op: Op) -> Answer {
    let id = ClientId::FIRST_DRAWN * 7;
    let identity = Identity { cluster: site.cluster.cluster, id, incarnation: 1, schema: SCHEMA };
    let transport = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (key, limits) = (site.cluster.secret(), site.cluster.limits());
    let mut endpoint = Endpoint::new(identity, key, limits, site.cluster.addresses(), transport);
    let message = Message::Request(Request { client: ClientId(id), number, op });
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        (0..3).for_each(|server| endpoint.push(server, &message));
        let mut answer = None;
        let again = Instant::now() + Duration::from_millis(500);
        while answer.is_none() && Instant::now() < again {
            endpoint.flush();
            let wait = Wait::Until(again).at_most(endpoint.next_flush());
            let take = |_: Sender, message: Message| {
                if let Message::Reply(reply) = message
                    && !matches!(reply.answer, Answer::Redirect(_))
                {
                    answer = Some(reply.answer);
                }
            };
            endpoint.receive(wait, 64, take).unwrap();
        }
        if let Some(answer) = answer {
            return answer;
        }
    }
    panic!("no answer");
}

/// The largest of transactions, and what is larger.
#[test]
fn a_transaction_of_a_mebibyte_is_carried_out() {
    let site = Site::group();
    let mut client = site.client();
    let put = |length| vec![Step::Put("key".into(), Operand::Value(value(length)))];
    let length = MAX_BYTES - size::of(&put(0)) - 2;
    assert!(Transaction::try_from(put(length + 1)).is_err());
    assert_eq!(client.transact(put(length)), Output::Committed([].into()));
    assert_eq!(client.get(&"key".into()), Some(value(length)));
    site.finish();
}
