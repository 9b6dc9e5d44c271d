//! Faults as middleware: any transport, made worse.

use super::{Counters, Transport, Wait, Waker};
use crate::clock;
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::ops::{Add, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What goes wrong, each with its probability from 0 to 1 for a datagram. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// It is lost.
    pub drop: f64,
    /// It is sent twice.
    pub duplicate: f64,
    /// One of its bits is flipped.
    pub corrupt: f64,
    /// It is overtaken by whatever is sent until the next receive.
    pub reorder: f64,
    /// It is held back for a time from `delay_by`.
    pub delay: f64,
    /// How long a delayed datagram is held back.
    pub delay_by: Range<Duration>,
    /// Directed pairs (from, to) between which everything is lost.
    pub blocked: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Plan {
    /// Loses everything from any of `from` to any of `to`, in this direction only.
    pub fn block(&mut self, from: &[SocketAddr], to: &[SocketAddr]) {
        self.blocked.extend(from.iter().flat_map(|&from| to.iter().map(move |&to| (from, to))));
    }

    /// Loses everything between `one` and `other`, in both directions.
    pub fn partition(&mut self, one: &[SocketAddr], other: &[SocketAddr]) {
        self.block(one, other);
        self.block(other, one);
    }
}

/// How many datagrams met which fault.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Lost by chance.
    pub dropped: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// Sent with a flipped bit.
    pub corrupted: u64,
    /// Held back until the next receive.
    pub reordered: u64,
    /// Held back for a time.
    pub delayed: u64,
    /// Lost between a blocked pair.
    pub blocked: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            dropped: self.dropped + other.dropped,
            duplicated: self.duplicated + other.duplicated,
            corrupted: self.corrupted + other.corrupted,
            reordered: self.reordered + other.reordered,
            delayed: self.delayed + other.delayed,
            blocked: self.blocked + other.blocked,
        }
    }
}

/// The plan of one or more transports, which any thread may change while they run.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
    tally: Arc<Mutex<Tally>>,
}

impl Faults {
    /// The plan as it is, to read or change; datagrams wait while it is held.
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }

    /// What has gone wrong so far.
    pub fn tally(&self) -> Tally {
        *lock(&self.tally)
    }

    /// Nothing goes wrong from now on. What was delayed still arrives when it is due.
    pub fn heal(&self) {
        *self.plan() = Plan::default();
    }
}

/// A transport whose sends go wrong by plan.
#[derive(Debug)]
pub struct Faulty<T> {
    inner: T,
    faults: Faults,
    rng: Rng,
    /// Held back, by the moment of release and then in order.
    late: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    count: u64,
}

impl<T: Transport> Faulty<T> {
    /// Makes `inner` as bad as `faults` say. Equal seeds draw equal faults.
    pub fn new(inner: T, faults: Faults, seed: u64) -> Self {
        Self { inner, faults, rng: Rng::seeded(seed), late: BTreeMap::new(), count: 0 }
    }

    fn send_one(&mut self, plan: &Plan, tally: &mut Tally, to: SocketAddr, datagram: &[u8]) {
        if self.rng.chance(plan.drop) {
            tally.dropped += 1;
            return;
        }
        let mut bytes = datagram.to_vec();
        if self.rng.chance(plan.corrupt) && !bytes.is_empty() {
            let at = self.rng.index(bytes.len());
            bytes[at] ^= 1 << self.rng.below(8);
            tally.corrupted += 1;
        }
        let wait = if self.rng.chance(plan.delay) {
            tally.delayed += 1;
            Some(self.rng.duration(&plan.delay_by))
        } else if self.rng.chance(plan.reorder) {
            tally.reordered += 1;
            Some(Duration::ZERO)
        } else {
            None
        };
        match wait {
            Some(wait) => {
                self.count += 1;
                self.late.insert((clock::now() + wait, self.count), (to, bytes));
            }
            None => self.inner.send(to, &bytes, bytes.len()),
        }
    }

    fn send_due(&mut self) {
        let now = clock::now();
        while let Some(entry) = self.late.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (to, bytes) = entry.remove();
            self.inner.send(to, &bytes, bytes.len());
        }
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize) {
        let plan = self.faults.plan().clone();
        let mut tally = Tally::default();
        let datagrams = datagrams.chunks(size.max(1));
        if plan.blocked.contains(&(self.inner.local(), to)) {
            tally.blocked = datagrams.len() as u64;
        } else {
            for datagram in datagrams {
                self.send_one(&plan, &mut tally, to, datagram);
                if self.rng.chance(plan.duplicate) {
                    tally.duplicated += 1;
                    self.send_one(&plan, &mut tally, to, datagram);
                }
            }
        }
        let mut total = lock(&self.faults.tally);
        *total = *total + tally;
    }

    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool> {
        self.send_due();
        let release = self.late.first_key_value().map(|(key, _)| key.0);
        let more = self.inner.receive(wait.at_most(release), deliver)?;
        self.send_due();
        Ok(more)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn local(&self) -> SocketAddr {
        self.inner.local()
    }

    fn receive_buffer(&self) -> usize {
        self.inner.receive_buffer()
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
