//! How other threads of the process talk to a node.

use crate::metrics::Metrics;
use crate::transport::Waker;
use stateright::actor::Id;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// Most messages to hold for a node that does not come round to them; more are lost.
const QUEUE: usize = 1 << 16;

/// Controls a node from any thread. It outlives the node, and then has no effect.
#[derive(Debug)]
pub struct Handle<M>(Arc<Shared<M>>);

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Handle<M> {
    pub(crate) fn new(waker: Waker) -> Self {
        let requests = Mutex::new(Requests::default());
        Self(Arc::new(Shared { requests, metrics: Mutex::new(Metrics::default()), waker }))
    }

    /// Makes the node return from its run, after the turn it is in.
    pub fn stop(&self) {
        self.request(|requests| requests.stop = true);
    }

    /// Delivers `message` to the actor as if it had come from `from`.
    ///
    /// Like any message it may be lost: when the node is stopped or far behind.
    pub fn inject(&self, from: Id, message: M) {
        self.request(|requests| {
            if !requests.closed && requests.messages.len() < QUEUE {
                requests.messages.push((from, message));
            }
        });
    }

    /// Makes the node know a server by this address, in place of any former one.
    pub fn set_server(&self, server: u64, address: SocketAddr) {
        self.request(|requests| requests.servers.push((server, address)));
    }

    /// What the node had done at the end of its last turn.
    pub fn metrics(&self) -> Metrics {
        *lock(&self.0.metrics)
    }

    pub(crate) fn publish(&self, metrics: Metrics) {
        *lock(&self.0.metrics) = metrics;
    }

    /// Exchanges what was requested for `requests`, which the caller has emptied.
    pub(crate) fn exchange(&self, requests: &mut Requests<M>) {
        mem::swap(&mut *lock(&self.0.requests), requests);
    }

    /// Takes no more messages.
    pub(crate) fn close(&self) {
        *lock(&self.0.requests) = Requests { closed: true, ..Requests::default() };
    }

    fn request(&self, change: impl FnOnce(&mut Requests<M>)) {
        change(&mut lock(&self.0.requests));
        self.0.waker.wake();
    }
}

#[derive(Debug)]
struct Shared<M> {
    requests: Mutex<Requests<M>>,
    metrics: Mutex<Metrics>,
    waker: Waker,
}

/// What other threads ask of a node.
#[derive(Debug)]
pub(crate) struct Requests<M> {
    pub(crate) messages: Vec<(Id, M)>,
    pub(crate) servers: Vec<(u64, SocketAddr)>,
    pub(crate) stop: bool,
    closed: bool,
}

impl<M> Default for Requests<M> {
    fn default() -> Self {
        Self { messages: Vec::new(), servers: Vec::new(), stop: false, closed: false }
    }
}

/// A participant inside the node's own process, which sends and receives without a network.
#[derive(Debug)]
pub struct Mailbox<M> {
    id: Id,
    handle: Handle<M>,
    received: mpsc::Receiver<M>,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(id: Id, handle: Handle<M>, received: mpsc::Receiver<M>) -> Self {
        Self { id, handle, received }
    }

    /// Sends `message` to the node's actor. It may be lost, see [`Handle::inject`].
    pub fn send(&self, message: M) {
        self.handle.inject(self.id, message);
    }

    /// The next message that the actor has sent here, waiting for it up to `patience`.
    ///
    /// `None` when none came in time, and at once when none is left and the node has stopped.
    pub fn receive(&self, patience: Duration) -> Option<M> {
        self.received.recv_timeout(patience).ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
