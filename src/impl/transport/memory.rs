//! A network within one process, for tests.
//!
//! Datagrams between two ports arrive in order and are lost only when the receiver's queue is full,
//! so a run depends on nothing but the order in which its threads send.

use super::{Counters, Transport, Wait, Waker};
use crate::clock;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Most datagrams that wait at one port; more are lost.
const QUEUE: usize = 8_192;

/// Most datagrams to receive at once.
const BATCH: usize = 256;

/// The network: whoever holds it can [attach](Self::attach) to it.
#[derive(Clone, Debug, Default)]
pub struct MemoryNet(Arc<Mutex<HashMap<SocketAddr, Arc<Port>>>>);

/// One port of a [`MemoryNet`].
#[derive(Debug)]
pub struct Memory {
    net: MemoryNet,
    local: SocketAddr,
    port: Arc<Port>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Port {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    woken: bool,
}

impl MemoryNet {
    /// The address of participant number `id`.
    pub fn address(id: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, id).into()
    }

    /// The port of participant number `id`, empty; a former one no longer receives.
    pub fn attach(&self, id: u16) -> Memory {
        let local = Self::address(id);
        let port = Arc::new(Port::default());
        self.ports().insert(local, Arc::clone(&port));
        Memory { net: self.clone(), local, port, counters: Counters::default() }
    }

    fn ports(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<Port>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the queue once it holds something, is woken, or it is time.
    fn wait(&self, wait: Wait) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue();
        while queue.datagrams.is_empty() && !queue.woken {
            queue = match wait {
                Wait::Poll => return queue,
                Wait::Forever => self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Wait::Until(deadline) => {
                    let left = deadline.saturating_duration_since(clock::now());
                    if left.is_zero() {
                        return queue;
                    }
                    let waited = self.ready.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        queue
    }
}

impl Transport for Memory {
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize) {
        let port = self.net.ports().get(&to).map(Arc::clone);
        for datagram in datagrams.chunks(size.max(1)) {
            let Some(port) = &port else {
                self.counters.send_failures += 1;
                continue;
            };
            self.counters.sent += 1;
            let mut queue = port.queue();
            if queue.datagrams.len() < QUEUE {
                queue.datagrams.push_back((self.local, datagram.to_vec()));
                port.ready.notify_one();
            }
        }
    }

    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool> {
        let mut queue = self.port.wait(wait);
        queue.woken = false;
        let count = queue.datagrams.len().min(BATCH);
        let batch: Vec<_> = queue.datagrams.drain(..count).collect();
        let more = !queue.datagrams.is_empty();
        drop(queue);
        self.counters.received += count as u64;
        for (from, datagram) in batch {
            deliver(from, &datagram);
        }
        Ok(more)
    }

    fn waker(&self) -> Waker {
        let port = Arc::clone(&self.port);
        Waker::new(move || {
            port.queue().woken = true;
            port.ready.notify_one();
        })
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn receive_buffer(&self) -> usize {
        QUEUE << 10 // Datagrams of about a KiB.
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
