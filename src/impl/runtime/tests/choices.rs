//! Timers that cancel each other, choices, and a stop.

use super::*;

/// Cancels one timer by another, withdraws one choice, and reports what came.
fn chooser(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    let ms = Duration::from_millis(1);
    match event {
        Event::Start(storage) => {
            assert_eq!(*storage, Some(40));
            out.set_timer(1, ms..2 * ms);
            out.set_timer(2, 3 * ms..4 * ms);
            out.set_timer(3, 60 * ms..61 * ms);
        }
        Event::Timeout(1) => {
            out.cancel_timer(2);
            out.choose_random("a", vec![1, 2, 3]);
            out.choose_random("b", vec![4]);
            out.choose_random("b", vec![5]);
            out.choose_random("c", vec![6]);
            out.remove_random("c");
        }
        Event::Random(choice) => {
            *state += 1;
            assert!(matches!(choice, 1 | 2 | 3 | 5));
        }
        Event::Timeout(3) => out.send(id(OBSERVER), Msg::Done(*state)),
        Event::Timeout(other) => panic!("timer {other} was cancelled"),
        Event::Message(..) => {}
    }
}

#[test]
fn timers_are_cancelled_and_choices_drawn() {
    let [transport, _] = memory_pair();
    let endpoint = endpoint(ONE, transport, &[]);
    let mut node = Node::new(Toy(chooser), Some(40), endpoint, Volatile, Options::default());
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Done(42)));
    handle.stop();
    outcome.join().unwrap().unwrap();
}

#[test]
fn a_node_stopped_before_it_runs_returns_at_once() {
    let node = node(ONE, Toy(pong), udp(), &[], Volatile);
    node.handle().stop();
    start(node).join().unwrap().unwrap();
}
