//! Judging a recorded history: many clients, many operations, all of it known.
//!
//! Operations on different keys do not touch each other, and a history is linearizable if its part
//! for each key is [Herlihy-Wing §3.1, locality], so each key is judged alone; but keys that
//! transactions join are one object, and those are judged by the [`Monitor`]. Per key the events
//! are followed in order, with the set of configurations that they allow, as in
//! [`Monitor`]; but where the monitor must be ready for every future, here the
//! future is written down. That decides nearly all choices (`sight`, `search`), and so what is
//! exponential in general [Gibbons-Korach] stays small: values that are read name the writes before
//! them, and writes that nobody reads are all alike.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use self::search::{Event, Search, Task};
use crate::kv::command::{Key, Op, Output};
use crate::types::ClientId;

mod deed;
mod joined;
mod outlook;
mod places;
mod search;
mod sight;

/// An operation as its client saw it. Times are nanoseconds of one clock for the whole history, and
/// the operation took effect, if it did, at a moment from `call` to `ret`, both included.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Operation {
    /// Who called it.
    pub client: ClientId,
    /// When it was called.
    pub call: u64,
    /// When it was answered. `None`: never, and it may still take effect.
    pub ret: Option<u64>,
    /// What was called.
    pub op: Op,
    /// The answer. `None` with a `ret`: the client was told that it had not taken effect.
    pub output: Option<Output>,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotLinearizable {
    /// The key whose operations have no order; one of them, if transactions join several.
    pub key: Key,
    /// The first operation whose answer nothing explains: up to just before its return, the
    /// operations on this key have an order.
    pub operation: Box<Operation>,
    /// Those that overlap it, and some that ended before, by the time of their calls.
    pub around: Vec<Operation>,
}

impl Display for NotLinearizable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?}: no order explains {}\naround it:", self.key, self.operation)?;
        self.around.iter().try_for_each(|operation| write!(f, "\n  {operation}"))
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { client, call, ret, op, output } = self;
        write!(f, "{client} [{call}, ")?;
        match ret {
            Some(ret) => write!(f, "{ret}]")?,
            None => write!(f, "...)")?,
        }
        write!(f, " {op:?}")?;
        match (ret, output) {
            (_, Some(output)) => write!(f, " -> {output:?}"),
            (Some(_), None) => write!(f, " -> not done"),
            (None, None) => Ok(()),
        }
    }
}

/// Whether the history of a store that was empty at first is linearizable. The operations may come
/// in any order.
///
/// # Errors
/// If it is not: which answer shows it.
///
/// # Panics
/// If an operation returns before it is called, or has an output and no return.
pub fn judge(history: &[Operation]) -> Result<(), NotLinearizable> {
    joined::parts(history).into_iter().try_for_each(|operations| {
        let joined = operations.iter().any(|operation| operation.op.transaction().is_some());
        let part = Part::new(operations);
        let judged = if joined { part.follow() } else { part.judge() };
        judged.map_err(|event| part.explain(event))
    })
}

/// What happened to one key, or to several that transactions join.
struct Part<'a> {
    /// In the order of their calls, which is that of the events.
    operations: Vec<&'a Operation>,
    events: Vec<Event>,
}

impl<'a> Part<'a> {
    fn new(mut operations: Vec<&'a Operation>) -> Self {
        // What is known not to have taken effect plays no part.
        operations.retain(|operation| operation.ret.is_none() || operation.output.is_some());
        operations.sort_by_key(|operation| operation.call);
        let mut events = Vec::new();
        for (task, operation) in operations.iter().enumerate() {
            let Operation { call, ret, output, .. } = operation;
            assert!(ret.is_none_or(|ret| *call <= ret), "returns before its call: {operation}");
            assert!(ret.is_some() || output.is_none(), "output without a return: {operation}");
            events.push((*call, Event::Call(task)));
            events.extend(ret.map(|ret| (ret, Event::Return(task))));
        }
        // At equal times calls come first, for then the two operations overlap.
        events.sort_unstable();
        Self { operations, events: events.into_iter().map(|(_, event)| event).collect() }
    }

    /// The first return that makes the history not linearizable, as a position among the events.
    fn judge(&self) -> Result<(), usize> {
        let Err(stuck) = self.search(self.events.len()) else { return Ok(()) };
        // Up to `stuck` there is an order. That the search went no further may be for the sake of
        // an answer that comes later, mostly soon; the first prefix without an order ends with it.
        let (mut good, mut bad, mut step) = (stuck, self.events.len(), 1);
        while good + 1 < bad {
            let middle = good.midpoint(bad).min(good + step);
            match self.search(middle) {
                Ok(()) => (good, step) = (middle, 2 * step),
                Err(_) => bad = middle,
            }
        }
        Err(bad - 1)
    }

    /// Looks for an order of the history that ends after so many events. The error is the event
    /// before which there still was one.
    fn search(&self, events: usize) -> Result<(), usize> {
        let events = &self.events[..events];
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::Call(task) => {
                    let Operation { op, .. } = self.operations[task];
                    tasks.push(Task { op, output: None, call: at, deadline: None });
                }
                Event::Return(task) => {
                    tasks[task].output = self.operations[task].output.as_ref();
                    tasks[task].deadline = Some(at);
                }
            }
        }
        Search::new(&tasks).run(events)
    }

    fn explain(&self, event: usize) -> NotLinearizable {
        const BEFORE: usize = 8;
        let (Event::Call(wrong) | Event::Return(wrong)) = self.events[event];
        let operation = self.operations[wrong];
        let end = operation.ret.unwrap_or(u64::MAX);
        let ended_before = |other: &&Operation| other.ret.is_some_and(|ret| ret < operation.call);
        let called_by_then = self.operations.iter().copied().filter(|other| other.call <= end);
        let (mut before, mut around): (Vec<_>, Vec<_>) = called_by_then.partition(ended_before);
        before.sort_unstable_by_key(|other| other.ret);
        around.extend(before.iter().rev().take(BEFORE));
        around.sort_unstable_by_key(|other| other.call);
        NotLinearizable {
            key: operation.op.key().clone(),
            operation: Box::new(operation.clone()),
            around: around.into_iter().cloned().collect(),
        }
    }
}
