//! The event loop, with toy actors: what it promises, seen from outside.

mod choices;
mod flood;
mod order;
mod strangers;
mod talk;

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

impl Hosted for Toy {}

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

fn pong(event: &Event, _: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(from, Msg::Ping(n)) = event {
        out.send(*from, Msg::Pong(*n));
    }
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
