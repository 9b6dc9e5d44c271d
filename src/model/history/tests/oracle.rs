//! The monitor against stateright's tester, which keeps the history and searches for an order.

use quickcheck::QuickCheck;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::draw::Drawn;
use super::{Event, *};
use crate::kv::command::{Key, Op, Output};
use crate::spec::map::Map;

/// The map in stateright's terms.
#[derive(Clone)]
struct Reference(Map);

impl SequentialSpec for Reference {
    type Op = Op;
    type Ret = Output;

    fn invoke(&mut self, op: &Op) -> Output {
        self.0.apply(op)
    }
}

/// What stateright says. It knows neither failed nor abandoned operations: the former are left out,
/// the latter are calls of a client of their own that never return.
fn stateright_accepts(events: &[Event<Map>]) -> bool {
    let mut tester = LinearizabilityTester::new(Reference(Map::default()));
    for (at, event) in events.iter().enumerate() {
        match event {
            Call(client, op) => {
                let end = events[at + 1..].iter().find(|event| match event {
                    Call(..) => false,
                    Return(other, _) | Fail(other) | Abandon(other) => other == client,
                });
                let thread = match end {
                    Some(Fail(_)) => continue,
                    Some(Abandon(_)) => 1000 + at as u64,
                    _ => *client,
                };
                tester.on_invoke(thread, op.clone()).unwrap();
            }
            Return(client, output) => {
                tester.on_return(*client, output.clone()).unwrap();
            }
            Fail(_) | Abandon(_) => {}
        }
    }
    tester.is_consistent()
}

/// The monitor and stateright agree on every prefix.
fn agree(events: &[Event<Map>]) -> bool {
    let mut monitor = Monitor::new(Map::default());
    events.iter().enumerate().all(|(at, event)| {
        let _ = monitor.on_event(event);
        monitor.is_linearizable() == stateright_accepts(&events[..=at])
    })
}

#[test]
fn drawn_histories_are_judged_as_by_stateright() {
    fn property(Drawn { events, atomic }: Drawn<7>) -> bool {
        let accepted = Monitor::of(Map::default(), &events).is_linearizable();
        agree(&events) && (accepted || !atomic)
    }
    QuickCheck::new().tests(10_000).quickcheck(property as fn(_) -> _);
}

#[test]
fn drawn_histories_are_of_all_kinds() {
    let mut g = quickcheck::Gen::new(10);
    let mut seen = [0; 2];
    for _ in 0..2_000 {
        let drawn: Drawn<7> = quickcheck::Arbitrary::arbitrary(&mut g);
        let accepted = Monitor::of(Map::default(), &drawn.events).is_linearizable();
        seen[usize::from(accepted)] += 1;
    }
    assert!(seen.iter().all(|&n| n > 200), "{seen:?}");
}

/// Every history of the given operations and answers, up to the first violation.
struct Exhaustive {
    clients: u64,
    ops: Vec<(Op, Vec<Output>)>,
    histories: usize,
    violations: usize,
}

impl Exhaustive {
    fn check(&mut self, events: &mut Vec<Event<Map>>, monitor: &Monitor<Map>, calls: usize) {
        for client in 0..self.clients {
            let next: Vec<_> = match monitor.pending(ClientId(client)) {
                None if calls == 0 => continue,
                None => self.ops.iter().map(|(op, _)| Call(client, op.clone())).collect(),
                Some(op) => {
                    let (_, outputs) = self.ops.iter().find(|(other, _)| other == op).unwrap();
                    let returns = outputs.iter().map(|output| Return(client, output.clone()));
                    returns.chain([Fail(client), Abandon(client)]).collect()
                }
            };
            for event in next {
                let called = usize::from(matches!(event, Call(..)));
                let mut monitor = monitor.clone();
                let _ = monitor.on_event(&event);
                events.push(event);
                self.histories += 1;
                let accepted = monitor.is_linearizable();
                assert_eq!(accepted, called == 1 || stateright_accepts(events), "{events:#?}");
                if accepted {
                    self.check(events, &monitor, calls - called);
                } else {
                    self.violations += 1;
                }
                events.pop();
            }
        }
    }

    fn run(clients: u64, calls: usize, ops: Vec<(Op, Vec<Output>)>) -> Self {
        let mut search = Self { clients, ops, histories: 0, violations: 0 };
        search.check(&mut Vec::new(), &Monitor::new(Map::default()), calls);
        search
    }
}

fn register(values: &[&str]) -> Vec<(Op, Vec<Output>)> {
    let key = Key::from("k");
    let mut reads = vec![Output::Value(None)];
    reads.extend(values.iter().map(|&value| Output::Value(Some(value.into()))));
    let puts = values.iter().map(|&value| Op::Put(key.clone(), value.into()));
    let mut ops: Vec<_> = puts.map(|put| (put, vec![Output::Written])).collect();
    ops.push((Op::Get(key), reads));
    ops
}

#[test]
fn every_small_register_history_is_judged_as_by_stateright() {
    let two_clients = Exhaustive::run(2, 4, register(&["a", "b"]));
    let three_clients = Exhaustive::run(3, 3, register(&["a", "b"]));
    for search in [two_clients, three_clients] {
        println!("{} histories, {} violations", search.histories, search.violations);
        assert!(search.violations > 10_000);
    }
}

#[test]
fn every_small_map_history_is_judged_as_by_stateright() {
    let key = Key::from("k");
    let found = |value: Option<&str>| value.map(crate::kv::command::Value::from);
    let values = [None, Some("a"), Some("aa")];
    let ops = vec![
        (Op::Get(key.clone()), values.iter().map(|&v| Output::Value(found(v))).collect()),
        (Op::Append(key.clone(), "a".into()), vec![Output::Written]),
        (
            Op::Cas { key: key.clone(), expected: found(Some("a")), new: "aa".into() },
            vec![Output::Swapped, Output::Mismatch(None), Output::Mismatch(found(Some("aa")))],
        ),
        (Op::Delete(key), vec![Output::Deleted(true), Output::Deleted(false)]),
    ];
    let search = Exhaustive::run(3, 3, ops);
    println!("{} histories, {} violations", search.histories, search.violations);
    assert!(search.violations > 10_000);
}
