//! Keys that transactions join: their operations have one order or none.

use std::collections::BTreeMap;

use super::search::Event;
use super::{Operation, Part};
use crate::history::Monitor;
use crate::kv::command::Key;
use crate::kv::transaction::Transaction;
use crate::spec::map::Map;
use crate::types::ClientId;

/// The operations, in parts that do not touch each other: of one key each, or of several that
/// transactions join.
pub(super) fn parts(history: &[Operation]) -> Vec<Vec<&Operation>> {
    let mut classes = Classes::default();
    for operation in history {
        let first = operation.op.key();
        classes.of(first);
        for step in operation.op.transaction().into_iter().flat_map(Transaction::steps) {
            step.keys().for_each(|key| classes.join(first, key));
        }
    }
    let mut parts: BTreeMap<usize, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        parts.entry(classes.of(operation.op.key())).or_default().push(operation);
    }
    parts.into_values().collect()
}

/// Keys in classes, each class by the number of one of its keys.
#[derive(Default)]
struct Classes<'a> {
    numbers: BTreeMap<&'a Key, usize>,
    /// For each key one of the same class, up to the one that names it.
    parents: Vec<usize>,
}

impl<'a> Classes<'a> {
    fn of(&mut self, key: &'a Key) -> usize {
        let next = self.parents.len();
        let mut number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.parents.push(next);
        }
        while self.parents[number] != number {
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }

    fn join(&mut self, one: &'a Key, other: &'a Key) {
        let (one, other) = (self.of(one), self.of(other));
        self.parents[other] = one;
    }
}

impl Part<'_> {
    /// The first return that makes the history not linearizable, as a position among the events.
    /// Every operation is given a client of its own: one that is never answered keeps nobody
    /// waiting.
    pub(super) fn follow(&self) -> Result<(), usize> {
        let mut monitor = Monitor::new(Map::default());
        let client = |task: usize| ClientId(task as u64);
        for (at, event) in self.events.iter().enumerate() {
            match *event {
                Event::Call(task) => {
                    let Operation { op, ret, .. } = self.operations[task];
                    monitor.invoke(client(task), op.clone());
                    if ret.is_none() {
                        monitor.abandon(client(task));
                    }
                }
                Event::Return(task) => {
                    let output = self.operations[task].output.as_ref();
                    let output = output.expect("what is not done plays no part");
                    monitor.respond(client(task), output).map_err(|_| at)?;
                }
            }
        }
        Ok(())
    }
}
