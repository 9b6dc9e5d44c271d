//! A fixed leader and two followers on stateright's own `spawn`, memory only, under the closed loop
//! that `shardwright bench cluster --memory` runs: the least that a replicated put costs there.
//!
//! The leader numbers each put, sends it to both followers, and answers when one of them has it.
//! No elections, no log, no sessions, no retries between servers, one datagram for each message.
//!
//! `stateright-spawn CLIENTS SECONDS VALUE_BYTES KEYS FIRST_PORT` prints operations a second and
//! latencies as JSON. Before that it warms up for an eighth of the time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use stateright::actor::{Actor, Id, Out, spawn};

const USAGE: &str = "usage: stateright-spawn CLIENTS SECONDS VALUE_BYTES KEYS FIRST_PORT";

/// How long a client waits before it asks again.
const RETRY: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
enum Message {
    Put { request: u64, key: String, value: ByteBuf },
    Replicate { slot: u64, key: String, value: ByteBuf },
    Replicated { slot: u64 },
    Done { request: u64 },
}

#[derive(Clone)]
enum Server {
    Leader { followers: Vec<Id> },
    Follower,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct State {
    slot: u64,
    store: BTreeMap<String, ByteBuf>,
    waiting: BTreeMap<u64, Waiting>,
}

/// A put that no follower has acknowledged yet.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Waiting {
    client: Id,
    request: u64,
    key: String,
    value: ByteBuf,
}

impl Actor for Server {
    type Msg = Message;
    type Timer = ();
    type State = State;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, _: &mut Out<Self>) -> State {
        State::default()
    }

    fn on_msg(
        &self,
        _: Id,
        state: &mut Cow<'_, State>,
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        let state = state.to_mut();
        match (self, message) {
            (Self::Leader { followers }, Message::Put { request, key, value }) => {
                state.slot += 1;
                let slot = state.slot;
                for follower in followers {
                    let (key, value) = (key.clone(), value.clone());
                    out.send(*follower, Message::Replicate { slot, key, value });
                }
                state.waiting.insert(slot, Waiting { client: from, request, key, value });
            }
            (Self::Leader { .. }, Message::Replicated { slot }) => {
                // The second acknowledgement finds nothing.
                if let Some(put) = state.waiting.remove(&slot) {
                    state.store.insert(put.key, put.value);
                    out.send(put.client, Message::Done { request: put.request });
                }
            }
            (Self::Follower, Message::Replicate { slot, key, value }) => {
                state.store.insert(key, value);
                out.send(from, Message::Replicated { slot });
            }
            (Self::Leader { .. } | Self::Follower, _) => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clients, seconds, value_bytes, keys, port] = &arguments[..] else {
        return Err(USAGE.into());
    };
    let port: u16 = port.parse()?;
    let id = move |i| Id::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port + i));
    thread::spawn(move || {
        let leader = Server::Leader { followers: vec![id(1), id(2)] };
        let servers = vec![(id(0), leader), (id(1), Server::Follower), (id(2), Server::Follower)];
        let failed = spawn(
            postcard::to_stdvec::<Message>,
            |bytes| postcard::from_bytes(bytes),
            postcard::to_stdvec::<()>,
            |bytes| postcard::from_bytes(bytes),
            servers,
        );
        eprintln!("the servers have ended: {failed:?}");
        exit(1);
    });
    thread::sleep(Duration::from_millis(500)); // Until they listen.
    let seconds: f64 = seconds.parse()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    let load = Load {
        socket,
        value: ByteBuf::from(vec![b'v'; value_bytes.parse()?]),
        keys: keys.parse()?,
        random: 1,
        asked: BTreeMap::new(),
    };
    let latencies = load.run(clients.parse()?, Duration::from_secs_f64(seconds))?;
    let micros = |q| latencies.value_at_quantile(q) as f64 / 1e3;
    println!(
        "{{\"operation\":\"put\",\"per_second\":{:.1},\"p50_us\":{},\"p90_us\":{},\"p99_us\":{},\
         \"p999_us\":{},\"max_us\":{}}}",
        latencies.len() as f64 / seconds,
        micros(0.5),
        micros(0.9),
        micros(0.99),
        micros(0.999),
        micros(1.0),
    );
    exit(0); // The servers never end.
}

/// All clients, over one socket.
struct Load {
    socket: UdpSocket,
    value: ByteBuf,
    keys: u64,
    random: u64,
    /// The requests under way: when first asked, when last asked.
    asked: BTreeMap<u64, (Instant, Instant)>,
}

impl Load {
    fn run(mut self, clients: u64, duration: Duration) -> Result<Histogram<u64>, Box<dyn Error>> {
        let begin = Instant::now() + duration / 8;
        let end = begin + duration;
        let mut latencies = Histogram::new_with_max(60_000_000_000, 3)?;
        let mut buffer = [0; 1 << 16];
        let mut next_retry = Instant::now() + RETRY;
        self.socket.set_read_timeout(Some(RETRY))?;
        for request in 0..clients {
            let now = Instant::now();
            self.asked.insert(request, (now, now));
            self.ask(request)?;
        }
        let mut number = clients;
        while Instant::now() < end {
            if let Ok(length) = self.socket.recv(&mut buffer)
                && let Message::Done { request } = postcard::from_bytes(&buffer[..length])?
                && let Some((first, _)) = self.asked.remove(&request)
            {
                let now = Instant::now();
                if now >= begin {
                    latencies.saturating_record(now.duration_since(first).as_nanos() as u64);
                }
                self.asked.insert(number, (now, now));
                self.ask(number)?;
                number += 1;
            }
            if Instant::now() >= next_retry {
                next_retry += RETRY;
                self.retry()?;
            }
        }
        Ok(latencies)
    }

    fn retry(&mut self) -> Result<(), Box<dyn Error>> {
        let now = Instant::now();
        let late = |last: &Instant| now.duration_since(*last) >= RETRY;
        let lost: Vec<u64> =
            self.asked.iter().filter(|(_, (_, last))| late(last)).map(|(id, _)| *id).collect();
        for request in lost {
            self.asked.entry(request).and_modify(|(_, last)| *last = now);
            self.ask(request)?;
        }
        Ok(())
    }

    fn ask(&mut self, request: u64) -> Result<(), Box<dyn Error>> {
        // Xorshift: any spread over the keys will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let key = format!("key{:08}", self.random % self.keys);
        let put = Message::Put { request, key, value: self.value.clone() };
        self.socket.send(&postcard::to_stdvec(&put)?)?;
        Ok(())
    }
}
