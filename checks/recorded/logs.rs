//! The servers' logs after a run: one log, and the one that the clients were told of.
//!
//! [`agree`] compares the logs with each other. [`explain`] compares one with the clients: replayed
//! on an empty state machine it must give every answer that was given, and no operation may stand
//! before one that had been answered before it was called. A log that does so is an order that
//! makes the history linearizable, so this decides, in linear time and with the store's own code,
//! what [`model::history::judge`] decides by search and by the specification.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use model::history::Operation;
use model::kv::Machine;
use model::kv::command::{Output, Request};
use model::kv::session::Seen;
use model::raft::{Log, Payload};
use model::replica::Command;
use model::types::{ClientId, Index, RequestId};

use super::{Knowledge, Recorded};

/// Two servers whose logs are not equal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Discord {
    /// One log ends where the other goes on.
    Short {
        /// The server with the shorter log.
        server: usize,
        /// Where it ends.
        last: Index,
        /// Where the longest ends.
        longest: Index,
    },
    /// There are different entries at one place.
    Apart {
        /// The first such place.
        index: Index,
        /// One server.
        one: usize,
        /// The other.
        other: usize,
    },
}

impl Display for Discord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { server, last, longest } => {
                write!(f, "the log of n{server} ends at {last}, the longest at {longest}")
            }
            Self::Apart { index, one, other } => {
                write!(f, "n{one} and n{other} hold different entries at {index}")
            }
        }
    }
}

/// Whether all logs are equal, as they are once the cluster has been left in peace.
///
/// # Errors
/// The first difference.
pub fn agree(logs: &[Log<Command>]) -> Result<(), Discord> {
    let Some((one, longest)) = logs.iter().enumerate().max_by_key(|(_, log)| log.last_index())
    else {
        return Ok(());
    };
    for (other, log) in logs.iter().enumerate() {
        if let Some(at) = log.iter().zip(longest.iter()).position(|(a, b)| a != b) {
            return Err(Discord::Apart { index: Index(at as u64 + 1), one, other });
        }
        if log.last_index() < longest.last_index() {
            let (last, longest) = (log.last_index(), longest.last_index());
            return Err(Discord::Short { server: other, last, longest });
        }
    }
    Ok(())
}

/// The log that holds all that was ever committed, if these are the logs of a majority: that which
/// is most up-to-date [Raft §5.4.1].
#[must_use]
pub fn most_up_to_date(logs: &[Log<Command>]) -> Option<&Log<Command>> {
    logs.iter().max_by_key(|log| log.last())
}

/// An answer that the log does not give.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unexplained {
    /// The operation was acknowledged and is not in the log.
    Lost(Operation),
    /// Its client was told that it was not done, and it is in the log.
    Undone(Operation),
    /// The log has something else under its number.
    Garbled(Operation, Request),
    /// The log gives this answer.
    Differs(Operation, Output),
    /// The log has the second before the first, which was answered before the second was called.
    Overtaken(Operation, Operation),
}

impl Display for Unexplained {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(operation) => write!(f, "acknowledged, and not in the log: {operation}"),
            Self::Undone(operation) => {
                write!(f, "was not done, it was said, and is in the log: {operation}")
            }
            Self::Garbled(operation, request) => {
                write!(f, "the log has {:?} in place of {operation}", request.op)
            }
            Self::Differs(operation, output) => {
                write!(f, "by the log the answer is {output:?}: {operation}")
            }
            Self::Overtaken(first, second) => {
                write!(f, "in the log\n  {second}\nstands before\n  {first}")
            }
        }
    }
}

/// Whether the log gives every answer that the clients got.
///
/// # Errors
/// The first operation for which it does not.
pub fn explain(log: &Log<Command>, history: &[Recorded]) -> Result<(), Box<Unexplained>> {
    let effects = replay(log);
    let mut placed = Vec::new();
    for recorded in history {
        let operation = &recorded.operation;
        let effect = effects.get(&(operation.client, recorded.number));
        if let Some(effect) = effect {
            if effect.request.op != operation.op {
                let request = effect.request.clone();
                return Err(Box::new(Unexplained::Garbled(operation.clone(), request)));
            }
            placed.push((operation, effect.index));
        }
        match (effect, recorded.known()) {
            (Some(effect), Knowledge::Done(output)) if effect.output != *output => {
                let output = effect.output.clone();
                return Err(Box::new(Unexplained::Differs(operation.clone(), output)));
            }
            (Some(_), Knowledge::Done(_)) | (_, Knowledge::Unknown) => {}
            (Some(_), Knowledge::NotDone) => {
                return Err(Box::new(Unexplained::Undone(operation.clone())));
            }
            (None, Knowledge::Done(_)) => {
                return Err(Box::new(Unexplained::Lost(operation.clone())));
            }
            (None, Knowledge::NotDone) => {}
        }
    }
    in_real_time(placed)
}

/// What an entry did when it was applied for the first time.
struct Effect<'a> {
    index: Index,
    request: &'a Request,
    output: Output,
}

fn replay(log: &Log<Command>) -> BTreeMap<(ClientId, RequestId), Effect<'_>> {
    let mut machine = Machine::default();
    let mut effects = BTreeMap::new();
    for (place, entry) in log.iter().enumerate() {
        let Payload::Command(Command::Request(request)) = &entry.payload else { continue };
        let (client, number) = (request.client, request.number);
        let first = machine.seen(client, number) == Seen::Not;
        if let Some(output) = machine.apply(request).filter(|_| first) {
            let index = Index(place as u64 + 1);
            effects.insert((client, number), Effect { index, request, output });
        }
    }
    effects
}

/// Whether each operation stands behind all that were answered before it was called.
fn in_real_time(mut placed: Vec<(&Operation, Index)>) -> Result<(), Box<Unexplained>> {
    let mut answered: Vec<_> =
        placed.iter().filter_map(|&(op, index)| Some((op.ret?, index, op))).collect();
    answered.sort_unstable_by_key(|&(ret, index, _)| (ret, index));
    placed.sort_unstable_by_key(|&(op, _)| op.call);
    let mut answered = answered.into_iter().peekable();
    let mut latest: Option<(Index, &Operation)> = None;
    for (operation, index) in placed {
        while let Some((_, other, by)) = answered.next_if(|&(ret, ..)| ret < operation.call) {
            if latest.is_none_or(|(latest, _)| latest < other) {
                latest = Some((other, by));
            }
        }
        if let Some((_, first)) = latest.filter(|&(latest, _)| latest > index) {
            return Err(Box::new(Unexplained::Overtaken(first.clone(), operation.clone())));
        }
    }
    Ok(())
}
