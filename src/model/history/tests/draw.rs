//! Random histories: what clients of an atomic map may see, and the same with a wrong answer.

use quickcheck::{Arbitrary, Gen};

use super::{Event, *};
use crate::kv::command::{Key, Op, Output, Value};
use crate::spec::map::Map;

/// A history of up to `CALLS` operations.
#[derive(Clone, Debug)]
pub(super) struct Drawn<const CALLS: usize> {
    pub(super) events: Vec<Event<Map>>,
    /// Whether the answers are those of an atomic map.
    pub(super) atomic: bool,
}

impl<const CALLS: usize> Arbitrary for Drawn<CALLS> {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut events = atomic_history(g, CALLS);
        let atomic = below(g, 2) == 0;
        if !atomic {
            corrupt(g, &mut events);
        }
        Self { events, atomic }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let Self { events, atomic } = self.clone();
        let shorter = (0..events.len()).rev().map(move |len| events[..len].to_vec());
        Box::new(shorter.map(move |events| Self { events, atomic }))
    }
}

pub(super) fn below(g: &mut Gen, n: usize) -> usize {
    usize::arbitrary(g) % n
}

fn value(g: &mut Gen) -> Value {
    Value::from(*g.choose(&["a", "b", "c"]).unwrap())
}

fn maybe_value(g: &mut Gen) -> Option<Value> {
    (below(g, 3) > 0).then(|| {
        let longer = [value(g).0, value(g).0].concat();
        if below(g, 2) == 0 { value(g) } else { longer.into() }
    })
}

fn op(g: &mut Gen, keys: usize) -> Op {
    let key = Key::from(["x", "y"][below(g, keys)]);
    match below(g, 8) {
        0..3 => Op::Get(key),
        3..5 => Op::Put(key, value(g)),
        5 => Op::Append(key, value(g)),
        6 => Op::Cas { key, expected: maybe_value(g), new: value(g) },
        _ => Op::Delete(key),
    }
}

enum Client {
    Idle,
    Waiting(Op),
    Answered(Output),
}

fn atomic_history(g: &mut Gen, calls: usize) -> Vec<Event<Map>> {
    let mut clients: Vec<_> = (0..1 + below(g, 4)).map(|_| Client::Idle).collect();
    let (mut left, keys) = (1 + below(g, calls), 1 + below(g, 2));
    let (mut map, mut adrift, mut events) = (Map::default(), Vec::new(), Vec::new());
    for _ in 0..left * 5 {
        if below(g, 10) == 0
            && let Some(op) = adrift.pop()
        {
            map.apply(&op);
        }
        let at = below(g, clients.len());
        let id = at as u64;
        clients[at] = match std::mem::replace(&mut clients[at], Client::Idle) {
            Client::Idle if left == 0 => Client::Idle,
            Client::Idle => {
                left -= 1;
                let op = op(g, keys);
                events.push(Call(id, op.clone()));
                Client::Waiting(op)
            }
            Client::Waiting(op) => match below(g, 8) {
                0 => {
                    events.push(Abandon(id));
                    adrift.push(op);
                    Client::Idle
                }
                1 => {
                    events.push(Fail(id));
                    Client::Idle
                }
                2 => Client::Waiting(op),
                _ => Client::Answered(map.apply(&op)),
            },
            Client::Answered(output) => {
                let lost = below(g, 8) == 0;
                events.push(if lost { Abandon(id) } else { Return(id, output) });
                Client::Idle
            }
        };
    }
    events
}

/// Changes one answer to another one of its kind, or to the news that nothing happened.
fn corrupt(g: &mut Gen, events: &mut [Event<Map>]) {
    let returns: Vec<_> = (0..events.len()).filter(|&i| matches!(events[i], Return(..))).collect();
    let Some(&at) = g.choose(&returns) else { return };
    let Return(client, output) = events[at].clone() else { return };
    events[at] = match output {
        _ if below(g, 6) == 0 => Fail(client),
        Output::Value(_) => Return(client, Output::Value(maybe_value(g))),
        Output::Written | Output::TooLarge => Return(client, Output::Written),
        Output::Swapped => Return(client, Output::Mismatch(maybe_value(g))),
        Output::Mismatch(_) if below(g, 2) == 0 => Return(client, Output::Swapped),
        Output::Mismatch(_) => Return(client, Output::Mismatch(maybe_value(g))),
        Output::Deleted(was) => Return(client, Output::Deleted(!was)),
    };
}
