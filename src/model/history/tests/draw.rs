//! Random histories: what clients of an atomic map may see, and the same with a wrong answer.

use quickcheck::{Arbitrary, Gen};

use super::{Event, *};
use crate::kv::command::{Key, MAX_VALUE_BYTES, Op, Output, Value};
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
        let words = Words::draw(g);
        let mut events = atomic_history(g, &words, CALLS);
        let atomic = below(g, 2) == 0;
        if !atomic {
            words.corrupt(g, &mut events);
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

/// What the operations of a history are made of.
struct Words {
    keys: &'static [&'static str],
    values: Vec<Value>,
}

impl Words {
    fn draw(g: &mut Gen) -> Self {
        let mut values: Vec<Value> = ["a", "b", "c"].map(Value::from).into();
        // Some values are so long that two of them do not fit.
        if below(g, 500) == 0 {
            values[0] = vec![b'a'; MAX_VALUE_BYTES / 2].into();
            values[1] = vec![b'a'; MAX_VALUE_BYTES / 2 + 1].into();
        }
        Self { keys: &["x", "y"][..1 + below(g, 2)], values }
    }

    fn value(&self, g: &mut Gen) -> Value {
        g.choose(&self.values).unwrap().clone()
    }

    fn maybe_value(&self, g: &mut Gen) -> Option<Value> {
        let longer = [self.value(g).0, self.value(g).0].concat();
        [None, Some(self.value(g)), Some(longer.into())][below(g, 3)].clone()
    }

    fn op(&self, g: &mut Gen) -> Op {
        let key = Key::from(g.choose(self.keys).unwrap());
        match below(g, 16) {
            0..5 => Op::Get(key),
            5..8 => Op::Put(key, self.value(g)),
            8..11 => Op::Append(key, self.value(g)),
            11..14 => Op::Cas { key, expected: self.maybe_value(g), new: self.value(g) },
            _ => Op::Delete(key),
        }
    }

    /// Changes one answer to another one of its kind, or to the news that nothing happened.
    fn corrupt(&self, g: &mut Gen, events: &mut [Event<Map>]) {
        let is_return = |&at: &usize| matches!(events[at], Return(..));
        let returns: Vec<_> = (0..events.len()).filter(is_return).collect();
        let Some(&at) = g.choose(&returns) else { return };
        let Return(client, output) = events[at].clone() else { return };
        events[at] = match output {
            _ if below(g, 6) == 0 => Fail(client),
            Output::Value(_) => Return(client, Output::Value(self.maybe_value(g))),
            Output::Written => Return(client, Output::TooLarge),
            Output::TooLarge => Return(client, Output::Written),
            Output::Swapped => Return(client, Output::Mismatch(self.maybe_value(g))),
            Output::Mismatch(_) if below(g, 2) == 0 => Return(client, Output::Swapped),
            Output::Mismatch(_) => Return(client, Output::Mismatch(self.maybe_value(g))),
            Output::Deleted(was) => Return(client, Output::Deleted(!was)),
            Output::Committed(_) | Output::Rejected(_) => unreachable!("no transaction is drawn"),
        };
    }
}

enum Client {
    Idle,
    Waiting(Op),
    Answered(Output),
}

fn atomic_history(g: &mut Gen, words: &Words, calls: usize) -> Vec<Event<Map>> {
    let mut clients: Vec<_> = (0..1 + below(g, 4)).map(|_| Client::Idle).collect();
    let mut left = 1 + below(g, calls);
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
                let op = words.op(g);
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
