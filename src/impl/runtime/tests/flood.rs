//! Datagrams that never end: a turn of the loop ends all the same.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Datagrams that one call of [`Endless`] delivers.
const READY: u64 = 32;

/// A transport that always has more of the same datagram ready, until `left` has run out.
struct Endless {
    inner: Memory,
    datagram: Vec<u8>,
    left: Arc<AtomicU64>,
}

impl Endless {
    fn new(datagram: &[u8]) -> (Self, Arc<AtomicU64>) {
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let inner = MemoryNet::default().attach(1);
        (Self { inner, datagram: datagram.to_vec(), left: Arc::clone(&left) }, left)
    }
}

impl Transport for Endless {
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize) {
        self.inner.send(to, datagrams, size);
    }

    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool> {
        let fewer = |left: u64| left.checked_sub(READY);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err() {
            return self.inner.receive(wait, deliver);
        }
        (0..READY).for_each(|_| deliver(MemoryNet::address(2), &self.datagram));
        Ok(true)
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

/// The first datagram with which server two sends `message` to server one.
fn datagram<M: Serialize>(message: &M) -> Vec<u8> {
    let net = MemoryNet::default();
    let mut receiver = net.attach(1);
    let mut two = endpoint(TWO, net.attach(2), &[(ONE, receiver.local())]);
    two.push(ONE, message);
    two.flush();
    let mut first = None;
    let keep = &mut |_, datagram: &[u8]| first = first.take().or(Some(datagram.to_vec()));
    receiver.receive(Wait::Poll, keep).unwrap();
    first.unwrap()
}

/// Datagrams of every kind that is not a message: each is refused, or accepted and not enough.
fn not_messages() -> [Vec<u8>; 5] {
    let mut forged = datagram(&Msg::Go);
    *forged.last_mut().unwrap() ^= 1;
    [
        b"PING".to_vec(),
        vec![],
        forged,
        // No message begins with this number.
        datagram(&u32::MAX),
        // One part of many.
        datagram(&Msg::Large(vec![7; 1 << 20])),
    ]
}

#[test]
fn a_receive_is_bounded_in_datagrams_of_every_kind() {
    for datagram in not_messages() {
        let (transport, left) = Endless::new(&datagram);
        // Far more than a receive may take, so that one without a bound fails and does not hang.
        left.store(1_000_000, Ordering::Relaxed);
        let mut endpoint = endpoint(ONE, transport, &[(TWO, MemoryNet::address(2))]);
        endpoint.receive(Wait::Poll, 100, |_, _: Msg| panic!("that is no message")).unwrap();
        let taken = 1_000_000 - left.load(Ordering::Relaxed);
        assert!((100..100 + READY).contains(&taken), "{taken} datagrams: {datagram:?}");
    }
}

/// Counts what its timer does, and stops at five.
fn ticking(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    let ms = Duration::from_millis(1);
    match event {
        Event::Start(_) => {}
        Event::Timeout(_) => *state += 1,
        Event::Message(..) | Event::Random(_) => return,
    }
    if *state < 5 {
        out.set_timer(1, ms..2 * ms);
    } else {
        out.send(id(OBSERVER), Msg::Done(*state));
    }
}

#[test]
fn a_flood_does_not_keep_a_timer_from_firing() {
    let messages = [datagram(&Msg::Go)];
    for datagram in not_messages().into_iter().chain(messages) {
        let (transport, left) = Endless::new(&datagram);
        let servers = [(TWO, MemoryNet::address(2))];
        let mut node = node(ONE, Toy(ticking), transport, &servers, Volatile);
        let mailbox = node.mailbox(id(OBSERVER));
        let handle = node.handle();
        let outcome = start(node);
        let ticked = mailbox.receive(PATIENCE);
        // Ends the flood, and with it a turn that has no other end.
        left.store(0, Ordering::Relaxed);
        handle.stop();
        outcome.join().unwrap().unwrap();
        assert_eq!(ticked, Some(Msg::Done(5)), "{datagram:?}");
    }
}
