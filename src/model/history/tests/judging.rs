//! The judge against the monitor, on small histories, and alone on large ones.

use quickcheck::{Gen, QuickCheck};

use super::draw::{Drawn, below};
use super::{Event, *};
use crate::history::{NotLinearizable, Operation, judge};
use crate::kv::command::{Key, Op, Output, Value};
use crate::spec::map::Map;

/// The events as a recorder would have noted them, each at its own time.
fn recorded(events: &[Event<Map>]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for (time, event) in events.iter().enumerate() {
        let time = time as u64;
        let (client, output) = match event {
            Call(client, op) => {
                let (client, op) = (ClientId(*client), op.clone());
                operations.push(Operation { client, call: time, ret: None, op, output: None });
                continue;
            }
            Return(client, output) => (client, Some(output.clone())),
            Fail(client) => (client, None),
            Abandon(_) => continue,
        };
        let called = operations.iter_mut().rev().find(|o| o.client == ClientId(*client)).unwrap();
        (called.ret, called.output) = (Some(time), output);
    }
    operations
}

#[test]
fn the_judge_agrees_with_the_monitor() {
    fn property(Drawn { events, .. }: Drawn<9>) -> bool {
        let monitor = Monitor::of(Map::default(), &events);
        judge(&recorded(&events)).is_ok() == monitor.is_linearizable()
    }
    QuickCheck::new().tests(30_000).max_tests(30_000).quickcheck(property as fn(_) -> _);
}

#[test]
fn the_judge_names_the_answer_that_the_monitor_rejects() {
    fn property(Drawn { events, .. }: Drawn<8>) -> bool {
        let key = Key::from("x");
        let on_key: Vec<_> = recorded(&events)
            .into_iter()
            .filter(|o| *o.op.key() == key && (o.ret.is_none() || o.output.is_some()))
            .collect();
        let Err(NotLinearizable { operation, .. }) = judge(&on_key) else { return true };
        // The monitor sees the same operations end in the same order.
        let mut monitor = Monitor::new(Map::default());
        for time in 0..events.len() as u64 {
            for (id, o) in on_key.iter().enumerate() {
                let client = ClientId(id as u64);
                if o.call == time {
                    monitor.invoke(client, o.op.clone());
                }
                let Some(output) = o.output.as_ref().filter(|_| o.ret == Some(time)) else {
                    continue;
                };
                if monitor.respond(client, output).is_err() {
                    return *o == *operation;
                }
            }
        }
        false
    }
    QuickCheck::new().tests(10_000).max_tests(10_000).quickcheck(property as fn(_) -> _);
}

fn operation(client: u64, call: u64, ret: u64, op: Op, output: Output) -> Operation {
    Operation { client: ClientId(client), call, ret: Some(ret), op, output: Some(output) }
}

fn get(client: u64, call: u64, ret: u64, value: Option<&str>) -> Operation {
    let output = Output::Value(value.map(Value::from));
    operation(client, call, ret, Op::Get(Key::from("k")), output)
}

fn put(client: u64, call: u64, ret: u64, value: &str) -> Operation {
    let op = Op::Put(Key::from("k"), value.into());
    operation(client, call, ret, op, Output::Written)
}

#[test]
fn intervals_are_closed() {
    // The read begins at the instant at which the write ends: they overlap.
    assert!(judge(&[put(1, 10, 20, "a"), get(2, 20, 30, None)]).is_ok());
    assert!(judge(&[put(1, 10, 19, "a"), get(2, 20, 30, None)]).is_err());
    assert!(judge(&[put(1, 10, 10, "a"), get(2, 10, 10, None)]).is_ok());
}

#[test]
fn the_order_of_the_list_means_nothing() {
    assert!(judge(&[get(2, 20, 30, Some("a")), put(1, 10, 19, "a")]).is_ok());
    assert!(judge(&[get(2, 20, 30, None), put(1, 10, 19, "a")]).is_err());
}

#[test]
fn what_was_not_done_is_not_there() {
    let failed = Operation { output: None, ..put(1, 10, 20, "a") };
    assert!(judge(&[failed.clone(), get(2, 30, 40, None)]).is_ok());
    assert!(judge(&[failed, get(2, 30, 40, Some("a"))]).is_err());
    let unknown = Operation { output: None, ret: None, ..put(1, 10, 20, "a") };
    assert!(judge(&[unknown.clone(), get(2, 30, 40, None), get(2, 50, 60, Some("a"))]).is_ok());
    assert!(judge(&[unknown, get(2, 30, 40, Some("a")), get(2, 50, 60, None)]).is_err());
}

#[test]
fn an_explanation_names_the_answer_and_its_surroundings() {
    let other = Operation { op: Op::Get(Key::from("other")), ..get(9, 0, 99, None) };
    let overlapping = put(3, 25, 50, "b");
    let wrong = get(2, 30, 40, None);
    let first = put(1, 10, 20, "a");
    let later = get(2, 60, 70, Some("b"));
    let history = [&first, &wrong, &overlapping, &later, &other].map(Clone::clone);
    let explanation = judge(&history).unwrap_err();
    assert_eq!(
        explanation.to_string(),
        "key k: no order explains c2 [30, 40] get k -> Value(None)\naround it:\
         \n  c1 [10, 20] put k \"a\" -> Written\
         \n  c3 [25, 50] put k \"b\" -> Written\
         \n  c2 [30, 40] get k -> Value(None)"
    );
    let expected = NotLinearizable {
        key: Key::from("k"),
        operation: Box::new(wrong.clone()),
        around: vec![first, overlapping, wrong],
    };
    assert_eq!(explanation, expected);
}

#[test]
#[should_panic(expected = "returns before its call: c1 [20, 10]")]
fn time_does_not_run_backwards() {
    let _ = judge(&[put(1, 20, 10, "a")]);
}

#[test]
#[should_panic(expected = "output without a return")]
fn an_output_needs_a_return() {
    let _ = judge(&[Operation { ret: None, ..put(1, 10, 20, "a") }]);
}

/// A load on an atomic store.
#[derive(Clone, Copy, Debug)]
struct Load {
    clients: usize,
    keys: usize,
    operations: usize,
    /// How many of the first appends are never answered, and how many of them take effect.
    lost: (usize, usize),
    /// Weights of Get, Put, Append, Cas and Delete.
    mix: [usize; 5],
    /// How many different values there are; 0: every one is written once.
    values: usize,
}

const MIXED: Load = Load {
    clients: 16,
    keys: 1,
    operations: 100_000,
    lost: (20, 10),
    mix: [10, 4, 10, 3, 1],
    values: 0,
};

impl Load {
    fn op(&self, g: &mut Gen, number: usize, last: &[Option<Value>]) -> Op {
        let at = below(g, self.keys);
        let key = Key::from(format!("k{at}"));
        let value = match self.values {
            0 => Value::from(format!("{number};")),
            values => Value::from(format!("{};", below(g, values))),
        };
        let mut roll = below(g, self.mix.iter().sum());
        let kind = self.mix.iter().position(|&weight| {
            let hit = roll < weight;
            roll = roll.saturating_sub(weight);
            hit
        });
        match kind {
            Some(0) => Op::Get(key),
            Some(1) => Op::Put(key, value),
            Some(2) => Op::Append(key, value),
            // It expects what was there when it was called.
            Some(3) => Op::Cas { key, expected: last[at].clone(), new: value },
            _ => Op::Delete(key),
        }
    }

    /// A history of an atomic store, each operation taking effect at a random moment.
    fn run(&self, seed: u64) -> Vec<Operation> {
        enum Client {
            Idle,
            Called(usize),
            Applied(usize, Output),
        }
        let mut g = Gen::from_size_and_seed(10, seed);
        let mut clients: Vec<_> = (0..self.clients).map(|_| Client::Idle).collect();
        let mut map = Map::default();
        let mut last = vec![None; self.keys];
        let (mut history, mut lost): (Vec<Operation>, usize) = (Vec::new(), 0);
        for time in 0.. {
            let at = below(&mut g, clients.len());
            clients[at] = match std::mem::replace(&mut clients[at], Client::Idle) {
                Client::Idle if history.len() == self.operations => {
                    let idle = |client: &Client| matches!(client, Client::Idle);
                    if clients.iter().all(idle) {
                        break;
                    }
                    Client::Idle
                }
                Client::Idle => {
                    let op = self.op(&mut g, history.len(), &last);
                    let client = ClientId((at + self.clients * lost) as u64);
                    let number = history.len();
                    let is_append = matches!(op, Op::Append(..));
                    history.push(Operation { client, call: time, ret: None, op, output: None });
                    if is_append && lost < self.lost.0 {
                        lost += 1;
                        if lost <= self.lost.1 {
                            map.apply(&history[number].op);
                        }
                        Client::Idle
                    } else {
                        Client::Called(number)
                    }
                }
                Client::Called(number) => {
                    let op = &history[number].op;
                    let output = map.apply(op);
                    if let Output::Value(value) = map.apply(&Op::Get(op.key().clone())) {
                        let key: usize = String::from_utf8_lossy(op.key())[1..].parse().unwrap();
                        last[key] = value;
                    }
                    Client::Applied(number, output)
                }
                Client::Applied(number, output) => {
                    history[number].ret = Some(time);
                    history[number].output = Some(output);
                    Client::Idle
                }
            };
        }
        history
    }
}

/// Judges the history of the load, and again with a read in the middle showing an older value.
fn judge_load(load: Load) {
    let mut history = load.run(7);
    let judged = |history: &[Operation]| {
        // It measures the test and decides nothing.
        #[allow(clippy::disallowed_methods)]
        let start = std::time::Instant::now();
        (judge(history), start.elapsed())
    };
    let (verdict, right) = judged(&history);
    assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
    let (verdict, wrong) = match spoil(&mut history) {
        Some(_) => judged(&history),
        None => return println!("{right:?}"),
    };
    println!("right {right:?}, wrong {wrong:?}");
    assert!(verdict.is_err() || load.values > 0);
}

/// Makes a read in the middle return what an earlier one saw. Tells which.
fn spoil(history: &mut [Operation]) -> Option<usize> {
    let read = |o: &Operation| matches!((&o.op, &o.output), (Op::Get(_), Some(_)));
    let late = (history.len() / 2..history.len()).find(|&at| read(&history[at]))?;
    let early = (0..late).rev().find(|&at| {
        let [early, late] = [&history[at], &history[late]];
        let before = early.ret.is_some_and(|ret| ret + 2000 < late.call);
        let shows = early.output != Some(Output::Value(None)) && early.output != late.output;
        read(early) && before && early.op.key() == late.op.key() && shows
    })?;
    history[late].output = history[early].output.clone();
    Some(late)
}

#[test]
fn mixed_operations_on_one_key() {
    judge_load(MIXED);
}

#[test]
fn mixed_operations_on_ten_keys() {
    judge_load(Load { keys: 10, ..MIXED });
}

#[test]
fn mixed_operations_of_64_clients_on_ten_keys() {
    judge_load(Load { clients: 64, keys: 10, lost: (64, 30), ..MIXED });
}

#[test]
fn operations_of_64_clients_on_one_key_without_deletes() {
    judge_load(Load { clients: 64, lost: (64, 30), mix: [10, 4, 10, 3, 0], ..MIXED });
}

#[test]
fn many_writes_few_reads() {
    judge_load(Load { mix: [2, 44, 44, 5, 5], ..MIXED });
}

#[test]
fn appends_and_reads() {
    judge_load(Load { mix: [1, 0, 1, 0, 0], operations: 20_000, ..MIXED });
}

#[test]
fn puts_and_reads() {
    judge_load(Load { mix: [1, 1, 0, 0, 0], ..MIXED });
}

#[test]
fn a_value_that_grows_to_100_kilobytes() {
    judge_load(Load { operations: 20_000, mix: [1, 0, 9, 0, 0], ..MIXED });
}

#[test]
fn values_written_again_and_again() {
    let load = Load { operations: 20_000, values: 5, lost: (0, 0), ..MIXED };
    judge_load(Load { mix: [4, 4, 0, 2, 1], ..load });
}
