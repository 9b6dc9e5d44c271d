//! Transports: what is sent arrives unless a plan says otherwise, and a wait always ends.

mod wakes;

use super::*;
use crate::{clock, threads};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn udp() -> Udp {
    Udp::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

fn memory() -> (Memory, Memory) {
    let net = MemoryNet::default();
    (net.attach(1), net.attach(2))
}

/// The next `count` datagrams to arrive.
fn collect(transport: &mut impl Transport, count: usize) -> Vec<Vec<u8>> {
    let deadline = clock::now() + PATIENCE;
    let mut datagrams = Vec::new();
    while datagrams.len() < count {
        assert!(clock::now() < deadline, "{} of {count} datagrams arrived", datagrams.len());
        let deliver = &mut |_, datagram: &[u8]| datagrams.push(datagram.to_vec());
        transport.receive(Wait::Until(deadline), deliver).unwrap();
    }
    datagrams
}

/// What is ready at once.
fn ready(transport: &mut impl Transport) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    let deliver = &mut |_, datagram: &[u8]| datagrams.push(datagram.to_vec());
    while transport.receive(Wait::Poll, deliver).unwrap() {}
    datagrams
}

fn runs_arrive_in_pieces(mut from: impl Transport, mut to: impl Transport) {
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
    for size in [1_400, 300, 9_000, 60_000] {
        from.send(to.local(), &bytes, size);
        let pieces = collect(&mut to, bytes.len().div_ceil(size));
        assert!(pieces.iter().map(Vec::as_slice).eq(bytes.chunks(size)));
    }
}

#[test]
fn runs_arrive_in_pieces_by_udp() {
    runs_arrive_in_pieces(udp(), udp());
}

#[test]
fn runs_arrive_in_pieces_by_memory() {
    let (from, to) = memory();
    runs_arrive_in_pieces(from, to);
}

#[test]
fn an_empty_datagram_does_no_harm() {
    let mut to = udp();
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.send_to(&[], to.local()).unwrap();
    socket.send_to(&[1], to.local()).unwrap();
    assert_eq!(collect(&mut to, 2), [vec![], vec![1]]);
}

#[test]
fn a_datagram_that_cannot_be_sent_is_a_counted_loss() {
    let (mut from, mut to) = (udp(), udp());
    from.send(to.local(), &vec![0; 70_000], 70_000);
    from.send((Ipv4Addr::BROADCAST, 9).into(), &[0], 1);
    assert_eq!(from.counters().send_failures, 2);
    from.send(to.local(), &[7], 1);
    assert_eq!(collect(&mut to, 1), [[7]]);
    assert_eq!(from.counters().sent, 1);
}

#[test]
fn a_closed_port_does_not_disturb_the_sender() {
    let (mut from, mut to) = (udp(), udp());
    let closed = udp().local();
    for _ in 0..10 {
        from.send(closed, &[1], 1);
        assert!(ready(&mut from).is_empty());
        from.send(to.local(), &[2], 1);
    }
    assert_eq!(collect(&mut to, 10).len(), 10);
}

fn a_wake_ends_the_wait(mut transport: impl Transport + Send + 'static) {
    let waker = transport.waker();
    // Before the wait, twice: it ends one wait and no more.
    waker.wake();
    waker.wake();
    transport.receive(Wait::Forever, &mut |_, _| {}).unwrap();
    let soon = clock::now() + Duration::from_millis(1);
    transport.receive(Wait::Until(soon), &mut |_, _| {}).unwrap();
    assert!(clock::now() >= soon);
    // During the wait, as far as one can tell.
    let (started, began) = std::sync::mpsc::channel();
    let waiting = threads::spawn("waits", move || {
        started.send(()).unwrap();
        transport.receive(Wait::Forever, &mut |_, _| {}).unwrap();
    });
    began.recv_timeout(PATIENCE).unwrap();
    waker.wake();
    waiting.unwrap().join().unwrap();
}

#[test]
fn a_wake_ends_the_wait_for_udp() {
    a_wake_ends_the_wait(udp());
}

#[test]
fn a_wake_ends_the_wait_for_memory() {
    a_wake_ends_the_wait(memory().0);
}

#[test]
fn a_full_memory_port_loses_what_is_over() {
    let (mut from, mut to) = memory();
    for _ in 0..20_000 {
        from.send(to.local(), &[1], 1);
    }
    assert_eq!(ready(&mut to).len(), 8_192);
}

/// What arrives of a hundred numbered datagrams under `plan`.
fn arrivals(plan: Plan, seed: u64) -> Vec<Vec<u8>> {
    let (from, mut to) = memory();
    let faults = Faults::default();
    *faults.plan() = plan;
    let mut from = Faulty::new(from, faults, seed);
    let bytes: Vec<u8> = (0..100).collect();
    from.send(to.local(), &bytes, 1);
    assert!(ready(&mut from).is_empty());
    ready(&mut to)
}

#[test]
fn faults_are_drawn_by_plan_and_seed() {
    let numbered: Vec<Vec<u8>> = (0..100).map(|at| vec![at]).collect();
    assert_eq!(arrivals(Plan::default(), 1), numbered);
    assert!(arrivals(Plan { drop: 1.0, ..Plan::default() }, 1).is_empty());
    assert_eq!(arrivals(Plan { duplicate: 1.0, ..Plan::default() }, 1).len(), 200);

    let lossy = Plan { drop: 0.5, ..Plan::default() };
    assert!((20..80).contains(&arrivals(lossy.clone(), 1).len()));
    assert_eq!(arrivals(lossy.clone(), 1), arrivals(lossy.clone(), 1));
    assert_ne!(arrivals(lossy.clone(), 1), arrivals(lossy, 2));

    let corrupted = arrivals(Plan { corrupt: 1.0, ..Plan::default() }, 1);
    let flips = corrupted.iter().zip(&numbered).map(|(one, other)| one[0] ^ other[0]);
    assert!(flips.clone().all(|flip| flip.count_ones() == 1));

    let mut reordered = arrivals(Plan { reorder: 0.3, ..Plan::default() }, 1);
    assert_ne!(reordered, numbered);
    reordered.sort();
    assert_eq!(reordered, numbered);
}

#[test]
fn what_goes_wrong_is_counted() {
    let (from, to) = memory();
    let faults = Faults::default();
    let mut from = Faulty::new(from, faults.clone(), 1);
    let mut meet = |plan: Plan| {
        let before = faults.tally();
        *faults.plan() = plan;
        from.send(to.local(), &[1, 2, 3], 1);
        (before, faults.tally())
    };
    let always = |change: fn(&mut Plan)| {
        let mut plan = Plan::default();
        change(&mut plan);
        plan
    };
    let (before, _) = meet(Plan::default());
    assert_eq!(before, Tally::default());
    let (before, after) = meet(always(|plan| plan.drop = 1.0));
    assert_eq!((before, after), (Tally::default(), Tally { dropped: 3, ..before }));
    let (before, after) = meet(always(|plan| plan.duplicate = 1.0));
    assert_eq!(after, Tally { duplicated: 3, ..before });
    let (before, after) = meet(always(|plan| plan.corrupt = 1.0));
    assert_eq!(after, Tally { corrupted: 3, ..before });
    let (before, after) = meet(always(|plan| plan.reorder = 1.0));
    assert_eq!(after, Tally { reordered: 3, ..before });
    let (before, after) = meet(always(|plan| plan.delay = 1.0));
    assert_eq!(after, Tally { delayed: 3, ..before });
    let (before, after) =
        meet(always(|plan| plan.block(&[MemoryNet::address(1)], &[MemoryNet::address(2)])));
    assert_eq!(after, Tally { blocked: 3, ..before });
}

#[test]
fn a_delayed_datagram_ends_the_wait_and_leaves_when_due() {
    let (from, mut to) = memory();
    let faults = Faults::default();
    let by = Duration::from_millis(5);
    *faults.plan() = Plan { delay: 1.0, delay_by: by..by, ..Plan::default() };
    let mut from = Faulty::new(from, faults.clone(), 1);
    let sent = clock::now();
    from.send(to.local(), &[1], 1);
    faults.heal();
    from.send(to.local(), &[2], 1);
    from.receive(Wait::Forever, &mut |_, _| {}).unwrap();
    assert!(clock::now() >= sent + by);
    assert_eq!(ready(&mut to), [[2], [1]]);
}

#[test]
fn a_partition_has_a_direction_and_heals() {
    let faults = Faults::default();
    let (one, two) = memory();
    let mut one = Faulty::new(one, faults.clone(), 1);
    let mut two = Faulty::new(two, faults.clone(), 2);
    let mut passes = |forth, back| {
        one.send(two.local(), &[1], 1);
        two.send(one.local(), &[2], 1);
        assert_eq!(ready(&mut two).len(), usize::from(forth));
        assert_eq!(ready(&mut one).len(), usize::from(back));
    };
    let (first, second) = (MemoryNet::address(1), MemoryNet::address(2));
    faults.plan().block(&[first], &[second]);
    passes(false, true);
    faults.plan().partition(&[first], &[second]);
    passes(false, false);
    faults.heal();
    passes(true, true);
}
