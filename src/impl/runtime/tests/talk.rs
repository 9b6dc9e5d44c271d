//! Toys that talk: over every transport, in large messages, and beside busy timers.

use super::*;

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

/// Several threads send to one node without timers, each two messages at a time. Only wake-ups end
/// the waits of such a node.
#[test]
fn no_message_from_another_thread_is_left_behind() {
    let mut node = node(ONE, Toy(pong), udp(), &[], Volatile);
    let mailboxes: Vec<_> = (0..3).map(|at| node.mailbox(id(OBSERVER + at))).collect();
    let handle = node.handle();
    let outcome = start(node);
    let senders = mailboxes.into_iter().map(|mailbox| {
        let rounds = move || {
            (0..50_000).all(|round| {
                let numbers = [2 * round, 2 * round + 1];
                numbers.iter().for_each(|&n| mailbox.send(Msg::Ping(n)));
                numbers.iter().all(|&n| mailbox.receive(PATIENCE) == Some(Msg::Pong(n)))
            })
        };
        threads::spawn("sends", rounds).unwrap()
    });
    let senders: Vec<_> = senders.collect();
    assert!(senders.into_iter().all(|sender| sender.join().unwrap()), "a message was left behind");
    handle.stop();
    outcome.join().unwrap().unwrap();
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
