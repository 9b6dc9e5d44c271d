//! Load on a cluster: clients that ask, wait for the answer, and ask again at once.
//!
//! A *closed loop*: as many operations are under way as there are sessions, never more. So its
//! throughput is sessions divided by latency, and a cluster that is slower is asked less.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use model::kv::command::{Key, Op, Value};
use model::kv::transaction::{Operand, Step, Transaction};
use model::replica::NotTaken;

use crate::backoff::Backoff;
use crate::client::{Client, FIRST_PAUSE, LONGEST_PAUSE, Outcome, SessionId};
use crate::clock;
use crate::cluster::Cluster;
use crate::rng::Rng;
use crate::threads;
use crate::transport::Wait;

/// How long to wait for the operations under way when the time is over.
const PATIENCE: Duration = Duration::from_secs(2);

/// Latencies are kept up to this, in nanoseconds; longer ones count as this long.
const LONGEST: u64 = 60_000_000_000;

/// Digits of a latency to keep.
const DIGITS: u8 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Set the value of a key.
    Put,
    /// Read the value of a key.
    Get,
    /// Take 1 from a key and add it to a partner, as one.
    Transfer,
}

/// Who asks, for what, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Load {
    /// How many sessions.
    pub sessions: u16,
    /// Over how many sockets, each with a thread of its own; at most one for each session.
    pub sockets: u16,
    /// The keys, each as likely as any other; at least one.
    pub keys: Vec<Key>,
    /// For transfers, the other keys, in the same way.
    pub partners: Vec<Key>,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// How long to ask before measuring.
    pub warm_up: Duration,
    /// How long to measure, unless it is ended before.
    pub duration: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// How long each operation took that ended in the time measured, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Operations that were given up without an answer, or refused for another reason than that
    /// the servers are overloaded. There should be none.
    pub failed: u64,
    /// The number of times that a session was told that the servers are overloaded, and began again
    /// later.
    pub overloaded: u64,
    /// For how long it was measured.
    pub duration: Duration,
}

impl Measured {
    /// Operations in a second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.latencies.len() as f64 / self.duration.as_secs_f64()
    }
}

/// The measurements of one socket.
struct Share {
    latencies: Histogram<u64>,
    failed: u64,
    overloaded: u64,
}

/// A load that is on its way.
pub struct Running {
    begin: Instant,
    end: Instant,
    stopped: Arc<AtomicBool>,
    clients: Vec<JoinHandle<io::Result<Share>>>,
}

/// Runs `load` on a cluster.
///
/// # Errors
///
/// When there is no socket or no thread for it.
///
/// # Panics
///
/// If a client's thread does.
pub fn run(cluster: &Cluster, load: &Load, kind: Kind) -> io::Result<Measured> {
    start(cluster, load, kind)?.join()
}

/// Starts `load` on a cluster.
///
/// # Errors
///
/// When there is no socket or no thread for it.
pub fn start(cluster: &Cluster, load: &Load, kind: Kind) -> io::Result<Running> {
    let begin = clock::now() + load.warm_up;
    let end = begin + load.duration;
    let stopped = Arc::new(AtomicBool::new(false));
    let sockets = load.sockets.clamp(1, load.sessions.max(1));
    let mut clients = Vec::new();
    for socket in 0..sockets {
        let sessions = load.sessions / sockets + u16::from(socket < load.sessions % sockets);
        let client = Client::connect(cluster)?;
        let loop_ = Loop::new(client, load, kind, begin..end, Arc::clone(&stopped));
        clients.push(threads::spawn(&format!("load{socket}"), move || loop_.run(sessions))?);
    }
    Ok(Running { begin, end, stopped, clients })
}

impl Running {
    /// Ends it now, and gives what was measured until now.
    ///
    /// # Errors
    ///
    /// As of [`run`], which also says when this panics.
    pub fn stop(mut self) -> io::Result<Measured> {
        self.stopped.store(true, Ordering::Relaxed);
        self.end = self.end.min(clock::now());
        self.join()
    }

    fn join(self) -> io::Result<Measured> {
        let duration = self.end.saturating_duration_since(self.begin);
        let mut measured = Measured { latencies: histogram(), failed: 0, overloaded: 0, duration };
        for client in self.clients {
            let share = client.join().expect("a client does not panic")?;
            measured.latencies += share.latencies;
            measured.failed += share.failed;
            measured.overloaded += share.overloaded;
        }
        Ok(measured)
    }
}

/// The sessions of one socket.
struct Loop {
    client: Client,
    kind: Kind,
    keys: Vec<Key>,
    partners: Vec<Key>,
    value: Value,
    rng: Rng,
    /// What ends in this time is measured.
    measured: Range<Instant>,
    /// Whether to ask no more.
    stopped: Arc<AtomicBool>,
    /// When each session's operation began.
    began: Vec<Instant>,
    /// The sessions that were told that the servers are overloaded, by when they begin again.
    resting: BTreeSet<(Instant, SessionId)>,
    pauses: Backoff,
    latencies: Histogram<u64>,
    failed: u64,
    overloaded: u64,
}

impl Loop {
    fn new(
        client: Client,
        load: &Load,
        kind: Kind,
        measured: Range<Instant>,
        stopped: Arc<AtomicBool>,
    ) -> Self {
        Self {
            client,
            kind,
            keys: load.keys.clone(),
            partners: load.partners.clone(),
            value: Value(Arc::from(vec![b'v'; load.value_bytes])),
            rng: Rng::from_entropy(),
            measured,
            stopped,
            began: Vec::new(),
            resting: BTreeSet::new(),
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            latencies: histogram(),
            failed: 0,
            overloaded: 0,
        }
    }

    fn run(mut self, sessions: u16) -> io::Result<Share> {
        for _ in 0..sessions {
            let session = self.client.open();
            self.began.push(clock::now());
            self.pauses.begin(session.index());
            self.ask(session);
        }
        let mut open = usize::from(sessions);
        let mut deadline = self.measured.end + PATIENCE;
        while open > 0 && clock::now() < deadline {
            let wait = Wait::Until(deadline).at_most(self.resting.first().map(|(until, _)| *until));
            for (session, outcome) in self.client.poll(wait)? {
                let now = clock::now();
                if now < self.measured.end && self.stopped.load(Ordering::Relaxed) {
                    self.measured.end = now;
                    deadline = now + PATIENCE;
                }
                self.note(session, &outcome, now);
                if now >= self.measured.end {
                    open -= 1;
                } else if outcome == Outcome::NotDone(NotTaken::Overloaded) {
                    self.pauses.on_refusal(session.index());
                    let wait = self.pauses.wait(session.index());
                    self.resting.insert((now + wait, session));
                } else {
                    self.begin(session, now);
                }
            }
            open -= self.rouse(clock::now());
        }
        self.failed += open as u64;
        let Self { latencies, failed, overloaded, .. } = self;
        Ok(Share { latencies, failed, overloaded })
    }

    /// Lets the sessions ask again that have rested long enough. When the time is over it ends them
    /// instead, and returns how many there were.
    fn rouse(&mut self, now: Instant) -> usize {
        if now >= self.measured.end {
            return std::mem::take(&mut self.resting).len();
        }
        while let Some((_, session)) = self.resting.first().filter(|(until, _)| *until <= now) {
            let session = *session;
            self.resting.pop_first();
            self.ask(session);
        }
        0
    }

    /// Begins the next operation of a session.
    fn begin(&mut self, session: SessionId, now: Instant) {
        self.began[session.index()] = now;
        self.pauses.begin(session.index());
        self.ask(session);
    }

    fn ask(&mut self, session: SessionId) {
        let key = self.keys[self.rng.index(self.keys.len())].clone();
        let op = match self.kind {
            Kind::Put => Op::Put(key, self.value.clone()),
            Kind::Get => Op::Get(key),
            Kind::Transfer => {
                let partner = self.partners[self.rng.index(self.partners.len())].clone();
                transfer(key, partner)
            }
        };
        self.client.invoke(session, op);
    }

    fn note(&mut self, session: SessionId, outcome: &Outcome, now: Instant) {
        match outcome {
            Outcome::Done(_) if self.measured.contains(&now) => {
                let latency = now.duration_since(self.began[session.index()]);
                self.latencies.saturating_record(latency.as_nanos() as u64);
            }
            Outcome::Done(_) => {}
            Outcome::NotDone(NotTaken::Overloaded) => self.overloaded += 1,
            Outcome::NotDone(_) | Outcome::Unknown => self.failed += 1,
        }
    }
}

fn transfer(from: Key, to: Key) -> Op {
    let amount = |number: &str| Operand::Value(number.into());
    let steps = vec![Step::Add(from, amount("-1")), Step::Add(to, amount("1"))];
    let transfer = Transaction::try_from(steps).expect("two small steps are within the limits");
    Op::Transaction(transfer.into())
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, DIGITS).expect("the bounds are possible")
}
