//! The event loop, with toy actors: what it promises, seen from outside.

use super::*;
use crate::journal::Volatile;
use crate::threads;
use crate::transport::{Counters, Faults, Faulty, Memory, MemoryNet, Plan, Udp, Waker};
use crate::wire::{FIRST_CLIENT, Identity, Key, Limits, Rejected};
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const ONE: u64 = 1;
const TWO: u64 = 2;
const OBSERVER: u64 = FIRST_CLIENT + 1;

#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
enum Msg {
    Ping(u64),
    Pong(u64),
    Go,
    Done(u64),
    Large(Vec<u8>),
}

/// Toys say everything one by one.
impl Join for Msg {
    fn bytes(&self) -> usize {
        0
    }

    fn join(&mut self, next: Self) -> Result<(), Self> {
        Err(next)
    }
}

enum Event {
    Start(Option<u64>),
    Message(Id, Msg),
    Timeout(u8),
    Random(u8),
}

/// An actor that is one function over a number.
#[derive(Clone)]
struct Toy(fn(&Event, &mut u64, &mut Out<Self>));

impl Actor for Toy {
    type Msg = Msg;
    type Timer = u8;
    type State = u64;
    type Storage = u64;
    type Random = u8;

    fn on_start(&self, _: Id, storage: &Option<u64>, out: &mut Out<Self>) -> u64 {
        let mut state = storage.unwrap_or_default();
        (self.0)(&Event::Start(*storage), &mut state, out);
        state
    }

    fn on_msg(&self, _: Id, state: &mut Cow<u64>, from: Id, message: Msg, out: &mut Out<Self>) {
        (self.0)(&Event::Message(from, message), state.to_mut(), out);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<u64>, timer: &u8, out: &mut Out<Self>) {
        (self.0)(&Event::Timeout(*timer), state.to_mut(), out);
    }

    fn on_random(&self, _: Id, state: &mut Cow<u64>, random: &u8, out: &mut Out<Self>) {
        (self.0)(&Event::Random(*random), state.to_mut(), out);
    }
}

fn id(number: u64) -> Id {
    Id::from(number as usize)
}

fn identity(number: u64) -> Identity {
    Identity { cluster: 7, id: number, incarnation: 100 + number, schema: 0 }
}

fn endpoint<T: Transport>(number: u64, transport: T, servers: &[(u64, SocketAddr)]) -> Endpoint<T> {
    let (key, servers) = (Key::new([9; 16]), servers.iter().copied());
    Endpoint::new(identity(number), key, Limits::default(), servers, transport)
}

fn node<T: Transport, J: Journal<u64>>(
    number: u64,
    toy: Toy,
    transport: T,
    servers: &[(u64, SocketAddr)],
    journal: J,
) -> Node<Toy, T, J> {
    let options = Options { rng: Rng::seeded(number), ..Options::default() };
    Node::new(toy, None, endpoint(number, transport, servers), journal, options)
}

type Outcome = JoinHandle<Result<(), Failure>>;

fn start<T, J>(node: Node<Toy, T, J>) -> Outcome
where
    T: Transport + Send + 'static,
    J: Journal<u64> + Send + 'static,
{
    threads::spawn("toy", || node.run()).unwrap()
}

/// Two toys that know each other, with a mailbox at each, until `check` returns.
fn pair<T: Transport + Send + 'static>(
    toys: [Toy; 2],
    transports: [T; 2],
    check: impl FnOnce([Mailbox<Msg>; 2]),
) {
    let servers = [(ONE, transports[0].local()), (TWO, transports[1].local())];
    let [first, second] = transports;
    let [one, two] = toys;
    let mut one = node(ONE, one, first, &servers, Volatile);
    let mut two = node(TWO, two, second, &servers, Volatile);
    let mailboxes = [one.mailbox(id(OBSERVER)), two.mailbox(id(OBSERVER))];
    let handles = [one.handle(), two.handle()];
    let outcomes = [start(one), start(two)];
    check(mailboxes);
    handles.iter().for_each(Handle::stop);
    outcomes.into_iter().for_each(|outcome| outcome.join().unwrap().unwrap());
}

fn memory_pair() -> [Memory; 2] {
    let net = MemoryNet::default();
    [net.attach(1), net.attach(2)]
}

fn udp() -> Udp {
    Udp::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

/// Sends the number it has reached until that is answered; reports a thousand.
fn ping(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    match event {
        Event::Message(_, Msg::Pong(n)) if n == state => *state += 1,
        Event::Message(_, Msg::Go) | Event::Timeout(_) => {}
        Event::Start(_) | Event::Random(_) | Event::Message(..) => return,
    }
    if *state == 1_000 {
        out.cancel_timer(0);
        out.send(id(OBSERVER), Msg::Done(*state));
    } else {
        out.send(id(TWO), Msg::Ping(*state));
        out.set_timer(0, Duration::from_millis(2)..Duration::from_millis(4));
    }
}

fn pong(event: &Event, _: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(from, Msg::Ping(n)) = event {
        out.send(*from, Msg::Pong(*n));
    }
}

fn reaches_a_thousand([one, _two]: [Mailbox<Msg>; 2]) {
    one.send(Msg::Go);
    assert_eq!(one.receive(PATIENCE), Some(Msg::Done(1_000)));
}

#[test]
fn ping_pong_by_memory() {
    pair([Toy(ping), Toy(pong)], memory_pair(), reaches_a_thousand);
}

#[test]
fn ping_pong_by_udp() {
    pair([Toy(ping), Toy(pong)], [udp(), udp()], reaches_a_thousand);
}

#[test]
fn ping_pong_by_a_bad_network() {
    let faults = Faults::default();
    let ms = Duration::from_millis(1);
    *faults.plan() = Plan {
        drop: 0.1,
        duplicate: 0.1,
        corrupt: 0.1,
        reorder: 0.1,
        delay: 0.1,
        delay_by: ms..3 * ms,
        ..Plan::default()
    };
    let mut seed = 0;
    let transports = memory_pair().map(|inner| {
        seed += 1;
        Faulty::new(inner, faults.clone(), seed)
    });
    pair([Toy(ping), Toy(pong)], transports, reaches_a_thousand);
}

/// Passes what the observer sends to the other, and what the other sends to the observer.
fn relay(event: &Event, _: &mut u64, out: &mut Out<Toy>) {
    match event {
        Event::Message(from, message) if *from == id(OBSERVER) => {
            out.send(id(ONE), message.clone());
            out.send(id(TWO), message.clone());
        }
        Event::Message(from, message) => {
            // Once from itself, once from the other: only the latter counts.
            if matches!(message, Msg::Large(_)) && *from == id(ONE) {
                out.send(id(OBSERVER), message.clone());
            }
        }
        Event::Start(_) | Event::Timeout(_) | Event::Random(_) => {}
    }
}

#[test]
fn a_message_of_a_mebibyte_arrives() {
    let large = Msg::Large((0..1 << 20).map(|at: u32| (at ^ (at >> 8)) as u8).collect());
    pair([Toy(relay), Toy(relay)], [udp(), udp()], |[one, two]| {
        one.send(large.clone());
        assert_eq!(two.receive(PATIENCE), Some(large.clone()));
        // To itself, without the network.
        assert_eq!(one.receive(PATIENCE), Some(large));
    });
}

/// Counts messages, with a timer that is always due.
fn restless(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    match event {
        Event::Start(_) | Event::Timeout(_) => out.set_timer(0, Duration::ZERO..Duration::ZERO),
        Event::Message(..) => *state += 1,
        Event::Random(_) => {}
    }
    if *state == 1_000 {
        *state = 0;
        out.send(id(OBSERVER), Msg::Done(1_000));
    }
}

fn thousand(event: &Event, _: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(_, Msg::Go) = event {
        (0..1_000).for_each(|n| out.send(id(TWO), Msg::Ping(n)));
    }
}

#[test]
fn a_timer_that_is_always_due_does_not_starve_the_network() {
    pair([Toy(thousand), Toy(restless)], [udp(), udp()], |[one, two]| {
        one.send(Msg::Go);
        assert_eq!(two.receive(PATIENCE), Some(Msg::Done(1_000)));
    });
}

#[test]
fn a_timer_fires_at_most_once_in_a_turn() {
    let [transport, _] = memory_pair();
    let mut node = node(ONE, Toy(restless), transport, &[], Volatile);
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    (0..1_000).for_each(|n| mailbox.send(Msg::Ping(n)));
    assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Done(1_000)));
    handle.stop();
    outcome.join().unwrap().unwrap();
    let metrics = handle.metrics();
    assert!(metrics.timeouts <= metrics.turns, "{metrics:?}");
    assert!(metrics.timeouts > 0);
}

/// What a node did to its journal and its transport, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: impl Into<String>) {
    log.lock().unwrap().push(what.into());
}

struct SpyJournal {
    log: Log,
    fails: Option<&'static str>,
}

impl SpyJournal {
    fn act(&self, what: &'static str, detail: &str) -> io::Result<()> {
        note(&self.log, format!("{what}{detail}"));
        match self.fails {
            Some(failing) if failing == what => Err(io::Error::other("disk on fire")),
            Some(_) | None => Ok(()),
        }
    }
}

impl Journal<u64> for SpyJournal {
    fn save(&mut self, storage: &u64) -> io::Result<()> {
        self.act("save", &format!(" {storage}"))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.act("sync", "")
    }

    fn meet(&mut self, server: u64, incarnation: u64) -> io::Result<()> {
        self.act("meet", &format!(" {server} {incarnation}"))
    }
}

struct SpyTransport {
    log: Log,
    inner: Memory,
}

impl Transport for SpyTransport {
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize) {
        note(&self.log, "send");
        self.inner.send(to, datagrams, size);
    }

    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool> {
        self.inner.receive(wait, deliver)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn local(&self) -> SocketAddr {
        self.inner.local()
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

/// Saves and announces each new number; stops the node by panic on `Done`.
fn announce(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(_, message) = event {
        *state += 1;
        // In the wrong order, which a host must not take over.
        out.send(id(TWO), Msg::Done(*state));
        out.send(id(OBSERVER), Msg::Done(*state));
        out.save(*state);
        assert!(!matches!(message, Msg::Done(_)), "announced once too often");
    }
}

/// A node with spies that has `messages` waiting when it starts.
fn spied(
    messages: &[Msg],
    fails: Option<&'static str>,
) -> (Log, Mailbox<Msg>, Handle<Msg>, Outcome) {
    let log = Log::default();
    let net = MemoryNet::default();
    let transport = SpyTransport { log: Arc::clone(&log), inner: net.attach(1) };
    let servers = [(ONE, MemoryNet::address(1)), (TWO, MemoryNet::address(2))];
    let journal = SpyJournal { log: Arc::clone(&log), fails };
    let mut node = node(ONE, Toy(announce), transport, &servers, journal);
    let mailbox = node.mailbox(id(OBSERVER));
    messages.iter().for_each(|message| mailbox.send(message.clone()));
    let handle = node.handle();
    (log, mailbox, handle, start(node))
}

#[test]
fn many_steps_are_saved_and_then_synced_once_and_then_sent() {
    let (log, mailbox, handle, outcome) = spied(&vec![Msg::Go; 10], None);
    for n in 1..=10 {
        assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Done(n)));
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    let saves = (1..=10).map(|n| format!("save {n}"));
    let expected: Vec<_> = saves.chain(["sync".to_owned(), "send".to_owned()]).collect();
    assert_eq!(*log.lock().unwrap(), expected);
    let metrics = handle.metrics();
    assert_eq!((metrics.steps, metrics.saves, metrics.syncs), (10, 10, 1));
    assert_eq!(metrics.endpoint.sent.messages, 10);
    assert_eq!(metrics.endpoint.sent.datagrams, 1);
}

#[test]
fn a_journal_that_fails_stops_the_node_before_it_sends() {
    for (fails, reached) in [("save", vec!["save 1"]), ("sync", vec!["save 1", "sync"])] {
        let (log, mailbox, handle, outcome) = spied(&[Msg::Go], Some(fails));
        let failure = outcome.join().unwrap().unwrap_err();
        assert!(matches!(failure, Failure::Journal(_)), "{failure}");
        assert_eq!(*log.lock().unwrap(), reached);
        assert_eq!(mailbox.receive(PATIENCE), None);
        // The handle outlives the node and does nothing.
        handle.inject(id(OBSERVER), Msg::Go);
        handle.stop();
    }
}

#[test]
fn a_handler_that_panics_stops_the_node_before_it_sends() {
    let (log, mailbox, _, outcome) = spied(&[Msg::Go, Msg::Done(0), Msg::Go], None);
    let failure = outcome.join().unwrap().unwrap_err();
    assert!(failure.to_string().contains("announced once too often"), "{failure}");
    assert_eq!(*log.lock().unwrap(), ["save 1"]);
    assert_eq!(mailbox.receive(PATIENCE), None);
}

#[test]
fn a_violated_invariant_is_reported_by_name() {
    fn violate(event: &Event, _: &mut u64, _: &mut Out<Toy>) {
        if let Event::Message(..) = event {
            std::panic::panic_any(Violation::new("monotone", "the term fell from t2 to t1"));
        }
    }
    let node = node(ONE, Toy(violate), MemoryNet::default().attach(1), &[], Volatile);
    node.handle().inject(id(OBSERVER), Msg::Go);
    let failure = node.run().unwrap_err().to_string();
    assert_eq!(failure, "the node panicked: monotone: the term fell from t2 to t1");
}

#[test]
fn a_peer_is_remembered_before_its_first_message_has_an_effect() {
    let log = Log::default();
    let net = MemoryNet::default();
    let servers = [(ONE, MemoryNet::address(1)), (TWO, MemoryNet::address(2))];
    let transport = SpyTransport { log: Arc::clone(&log), inner: net.attach(1) };
    let journal = SpyJournal { log: Arc::clone(&log), fails: None };
    let node = node(ONE, Toy(pong), transport, &servers, journal);
    let handle = node.handle();
    let outcome = start(node);
    let mut two = endpoint(TWO, net.attach(2), &servers);
    for n in 0..2 {
        two.push(ONE, &Msg::Ping(n));
        two.flush();
        assert_eq!(answer(&mut two), Msg::Pong(n));
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    assert_eq!(*log.lock().unwrap(), ["meet 2 102", "sync", "send", "send"]);
}

/// The next message that reaches `endpoint`.
fn answer<T: Transport>(endpoint: &mut Endpoint<T>) -> Msg {
    let deadline = clock::now() + PATIENCE;
    let mut answer = None;
    while answer.is_none() {
        assert!(clock::now() < deadline);
        let wait = Wait::Until(deadline).at_most(endpoint.next_flush());
        endpoint.receive(wait, 1, |_, message| answer = Some(message)).unwrap();
        endpoint.flush();
    }
    answer.unwrap()
}

#[test]
fn an_endpoint_without_a_node_is_a_client() {
    let server = udp();
    let servers = [(TWO, server.local())];
    let node = node(TWO, Toy(pong), server, &servers, Volatile);
    let handle = node.handle();
    let outcome = start(node);
    // The server knows neither of them before they speak.
    let mut clients = [7, 8].map(|n| endpoint(FIRST_CLIENT + n, udp(), &servers));
    for n in 0..100 {
        for client in &mut clients {
            client.push(TWO, &Msg::Ping(n));
            client.flush();
        }
        for client in &mut clients {
            assert_eq!(answer(client), Msg::Pong(n));
        }
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    assert_eq!(handle.metrics().endpoint.received.messages, 200);
}

#[test]
fn what_does_not_belong_has_no_effect() {
    let server = udp();
    let servers = [(ONE, udp().local()), (TWO, server.local())];
    let address = server.local();
    let node = node(TWO, Toy(pong), server, &servers, Volatile);
    let handle = node.handle();
    let outcome = start(node);

    let stranger = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.send_to(&[], address).unwrap();
    stranger.send_to(b"PING", address).unwrap();
    stranger.send_to(&[b'x'; 60_000], address).unwrap();
    let speak = |identity: Identity, key: u8| {
        let key = Key::new([key; 16]);
        let mut other = Endpoint::new(identity, key, Limits::default(), servers, udp());
        other.push(TWO, &Msg::Ping(1));
        other.flush();
        other
    };
    speak(Identity { cluster: 8, ..identity(ONE) }, 9);
    speak(identity(ONE), 8);
    speak(identity(3), 9);
    let mut good = speak(identity(ONE), 9);
    speak(Identity { incarnation: 5, ..identity(ONE) }, 9);
    // Everything above has been taken in once this is answered: one socket keeps the order.
    let mut client = speak(identity(FIRST_CLIENT), 9);
    assert_eq!(answer(&mut client), Msg::Pong(1));
    assert!(matches!(
        good.receive(Wait::Poll, 1, |_, _: Msg| panic!("to the wrong address")),
        Ok(())
    ));

    handle.stop();
    outcome.join().unwrap().unwrap();
    let metrics = handle.metrics();
    assert_eq!(metrics.steps, 2);
    let received = metrics.endpoint.received;
    let expected = [
        (Rejected::Short, 2),
        (Rejected::Magic, 1),
        (Rejected::Cluster, 1),
        (Rejected::Tag, 1),
        (Rejected::Source, 1),
        (Rejected::Incarnation, 1),
    ];
    for (reason, count) in expected {
        assert_eq!(received.rejected(reason), count, "{reason:?}");
    }
    assert_eq!(received.rejected_in_all(), 7);
}

/// Sends to one that is dead, one that is unknown, and the observer.
fn hopeful(event: &Event, _: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(_, Msg::Ping(n)) = *event {
        out.send(id(TWO), Msg::Ping(n));
        out.send(id(3), Msg::Ping(n));
        out.send(id(FIRST_CLIENT), Msg::Large(vec![0; 10_000]));
        out.send(id(OBSERVER), Msg::Pong(n));
    }
}

#[test]
fn a_dead_or_unknown_peer_does_not_stop_the_node() {
    let (own, dead) = (udp(), udp().local());
    let servers = [(ONE, own.local()), (TWO, dead)];
    let mut node = node(ONE, Toy(hopeful), own, &servers, Volatile);
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    for n in 0..100 {
        mailbox.send(Msg::Ping(n));
        assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Pong(n)));
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    assert!(handle.metrics().endpoint.unroutable >= 100);
}

#[test]
fn a_server_may_be_introduced_while_the_node_runs() {
    let net = MemoryNet::default();
    let servers = [(ONE, MemoryNet::address(1))];
    let mut node = node(ONE, Toy(hopeful), net.attach(1), &servers, Volatile);
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    let mut two = endpoint(TWO, net.attach(2), &servers);
    handle.set_server(TWO, MemoryNet::address(2));
    mailbox.send(Msg::Ping(5));
    assert_eq!(answer(&mut two), Msg::Ping(5));
    handle.stop();
    outcome.join().unwrap().unwrap();
}

/// Cancels one timer by another, withdraws one choice, and reports what came.
fn chooser(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    let ms = Duration::from_millis(1);
    match event {
        Event::Start(storage) => {
            assert_eq!(*storage, Some(40));
            out.set_timer(1, ms..2 * ms);
            out.set_timer(2, 3 * ms..4 * ms);
            out.set_timer(3, 60 * ms..61 * ms);
        }
        Event::Timeout(1) => {
            out.cancel_timer(2);
            out.choose_random("a", vec![1, 2, 3]);
            out.choose_random("b", vec![4]);
            out.choose_random("b", vec![5]);
            out.choose_random("c", vec![6]);
            out.remove_random("c");
        }
        Event::Random(choice) => {
            *state += 1;
            assert!(matches!(choice, 1 | 2 | 3 | 5));
        }
        Event::Timeout(3) => out.send(id(OBSERVER), Msg::Done(*state)),
        Event::Timeout(other) => panic!("timer {other} was cancelled"),
        Event::Message(..) => {}
    }
}

#[test]
fn timers_are_cancelled_and_choices_drawn() {
    let [transport, _] = memory_pair();
    let endpoint = endpoint(ONE, transport, &[]);
    let mut node = Node::new(Toy(chooser), Some(40), endpoint, Volatile, Options::default());
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Done(42)));
    handle.stop();
    outcome.join().unwrap().unwrap();
}

#[test]
fn a_node_stopped_before_it_runs_returns_at_once() {
    let node = node(ONE, Toy(pong), udp(), &[], Volatile);
    node.handle().stop();
    start(node).join().unwrap().unwrap();
}
