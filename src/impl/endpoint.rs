//! Messages to and from participants: wire, routes and transport as one.
//!
//! The event loop stands on an endpoint, and so does a client: push messages, flush them, receive
//! what came. Pushed messages leave together, many to a datagram and many datagrams to a system
//! call, so whoever has several to send pushes them all before it flushes. A thread that has
//! something for the one that waits here wakes it through the [`Waker`].
//!
//! ```
//! use runtime::Endpoint;
//! use runtime::transport::{MemoryNet, Wait};
//! use runtime::wire::{Identity, Key, Limits};
//!
//! let net = MemoryNet::default();
//! let servers = [(1, MemoryNet::address(1)), (2, MemoryNet::address(2))];
//! let [mut one, mut two] = [1, 2].map(|id| {
//!     let identity = Identity { cluster: 7, id, incarnation: 70 + id, schema: 1 };
//!     let transport = net.attach(id as u16);
//!     Endpoint::new(identity, Key::new([5; 16]), Limits::default(), servers, transport)
//! });
//!
//! one.push(2, "hello");
//! one.flush();
//! let deliver = |from: runtime::wire::Sender, message: String| {
//!     assert_eq!((from.source, message.as_str()), (1, "hello"));
//! };
//! two.receive(Wait::Poll, 100, deliver)?;
//! assert_eq!(two.counters().received.messages, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod routes;

use crate::clock;
use crate::transport::{self, Transport, Wait, Waker};
use crate::wire::{self, Identity, Key, Limits, Opener, Refused, Sealer, Sender};
use routes::Routes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

/// One participant's connection to all others.
#[derive(Debug)]
pub struct Endpoint<T> {
    id: u64,
    sealer: Sealer,
    opener: Opener,
    routes: Routes,
    transport: T,
    limits: Limits,
    /// No burst of large messages before this.
    next_burst: Instant,
    unroutable: u64,
}

/// What went through an endpoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Messages in, and everything that was dropped, by reason.
    pub received: wire::Counters,
    /// Messages out.
    pub sent: wire::Sent,
    /// What the transport carried.
    pub transport: transport::Counters,
    /// Batches of datagrams to participants without a known address, which were dropped.
    pub unroutable: u64,
}

impl<T: Transport> Endpoint<T> {
    /// An endpoint for `identity`, which knows these servers by number and address.
    ///
    /// Others need not be known: their address is learnt from what they send.
    pub fn new(
        identity: Identity,
        key: Key,
        limits: Limits,
        servers: impl IntoIterator<Item = (u64, SocketAddr)>,
        transport: T,
    ) -> Self {
        // Servers ask for as large a buffer as they get, so the others' is like ours.
        let limits = limits.paced_for(transport.receive_buffer());
        let routes = Routes::new(servers);
        Self {
            id: identity.id,
            sealer: Sealer::new(identity, key, limits),
            opener: Opener::new(identity, key, limits),
            routes,
            transport,
            limits,
            next_burst: clock::now(),
            unroutable: 0,
        }
    }

    /// The number of this participant.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where others reach this participant.
    pub fn local(&self) -> SocketAddr {
        self.transport.local()
    }

    /// Knows a server by this address, in place of any former one.
    pub fn set_server(&mut self, server: u64, address: SocketAddr) {
        self.routes.set_server(server, address);
    }

    /// Packs `message` for `to`, to leave with the next [`flush`](Self::flush).
    ///
    /// A message that cannot be sent is counted and lost, as it might be on its way. If too much
    /// waits to be sent that will pass. One that is too large can never be sent, and whoever says
    /// it would say it for ever: that is a defect of this program, which is logged and, in tests,
    /// a panic.
    pub fn push<M: Serialize + ?Sized>(&mut self, to: u64, message: &M) {
        match self.sealer.push(to, message) {
            Ok(()) | Err(Refused::Backlog) => {}
            Err(Refused::Encoding(error)) => {
                tracing::error!("a message for {to} can never be sent: {error}");
                if cfg!(any(test, debug_assertions)) {
                    panic!("a message for {to}: {error}");
                }
            }
        }
    }

    /// Sends what was pushed. Large messages may take several flushes, see
    /// [`next_flush`](Self::next_flush).
    pub fn flush(&mut self) {
        if self.sealer.is_empty() {
            return;
        }
        let due = self.sealer.has_backlog().then(clock::now).filter(|now| *now >= self.next_burst);
        let Self { sealer, routes, transport, unroutable, .. } = self;
        let burst = sealer.drain(due.is_some(), |to, datagrams, size| match routes.get(to) {
            Some(address) => transport.send(address, datagrams, size),
            None => *unroutable += 1,
        });
        if let Some(now) = due {
            self.pay(now, burst);
        }
    }

    /// Puts off the next burst of large messages in proportion to the last. Time in which none left
    /// is credited up to one interval, so that a message now and then need not wait at all.
    fn pay(&mut self, now: Instant, burst: usize) {
        let Limits { burst: full, burst_interval: interval, .. } = self.limits;
        let earliest = now.checked_sub(interval).unwrap_or(now);
        let cost = interval.mul_f64(burst as f64 / full as f64);
        self.next_burst = self.next_burst.max(earliest) + cost;
    }

    /// When to flush again because something still waits.
    pub fn next_flush(&self) -> Option<Instant> {
        self.sealer.has_backlog().then_some(self.next_burst)
    }

    /// Waits for messages and hands those that are ready to `deliver`, with their senders; stops
    /// after about `most`.
    ///
    /// A datagram without a whole message counts as one message: a rejected datagram, or one that
    /// holds a part of a large message. So whatever arrives, the call ends.
    ///
    /// # Errors
    ///
    /// When the transport is unusable for good.
    pub fn receive<M: DeserializeOwned>(
        &mut self,
        mut wait: Wait,
        most: usize,
        mut deliver: impl FnMut(Sender, M),
    ) -> io::Result<()> {
        let Self { opener, routes, transport, .. } = self;
        let mut count = 0;
        loop {
            let more = transport.receive(wait, &mut |from, datagram| {
                let before = count;
                let opened = opener.open(datagram, |sender, message| {
                    count += 1;
                    deliver(sender, message);
                });
                count = count.max(before + 1);
                if let Ok(sender) = opened {
                    routes.learn(sender.source, from);
                }
            })?;
            if !more || count >= most {
                return Ok(());
            }
            wait = Wait::Poll;
        }
    }

    /// Ends a [`receive`](Self::receive) that waits, from another thread.
    pub fn waker(&self) -> Waker {
        self.transport.waker()
    }

    /// What went through so far.
    pub fn counters(&self) -> Counters {
        Counters {
            received: self.opener.counters(),
            sent: self.sealer.sent(),
            transport: self.transport.counters(),
            unroutable: self.unroutable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::MemoryNet;

    /// In tests. Elsewhere it is counted and logged.
    #[test]
    #[should_panic(expected = "a message for 2: the value is too large to encode")]
    fn a_message_that_can_never_be_sent_is_noticed() {
        let identity = Identity { cluster: 7, id: 1, incarnation: 71, schema: 1 };
        let limits = Limits { max_message: 1_000, ..Limits::default() };
        let transport = MemoryNet::default().attach(1);
        let mut endpoint = Endpoint::new(identity, Key::new([5; 16]), limits, [], transport);
        endpoint.push(2, &vec![0_u8; 990]);
        assert_eq!(endpoint.counters().sent.unsendable, 0);
        endpoint.push(2, &vec![0_u8; 1_000]);
    }
}
