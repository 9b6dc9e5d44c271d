//! The servers' logs after a run: one log for each group, and those that the clients were told of.
//!
//! [`agree`] compares the logs of one group with each other. [`explain`] compares one of each group
//! with the clients: [replayed](Replay), they must give every answer that was given, each once, and
//! of the operations on a shard none may stand before one that had been answered before it was
//! called. Logs that do so are, for each shard, an order that makes its part of the history
//! linearizable, and so all of it is [Herlihy-Wing §3.1]. This decides, in linear time and with the
//! store's own code, what [`model::history::judge`] decides by search and by the specification.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use model::history::Operation;
use model::kv::command::{Output, Request};
use model::raft::Log;
use model::replica::Command;
use model::types::{Index, NodeId, ShardId};

use super::replay::{Place, Replay};
use super::{Knowledge, Recorded};

/// Two servers whose logs are not equal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Discord {
    /// One log ends where the other goes on.
    Short {
        /// The server with the shorter log.
        server: NodeId,
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
        one: NodeId,
        /// The other.
        other: NodeId,
    },
}

impl Display for Discord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { server, last, longest } => {
                write!(f, "the log of {server} ends at {last}, the longest at {longest}")
            }
            Self::Apart { index, one, other } => {
                write!(f, "{one} and {other} hold different entries at {index}")
            }
        }
    }
}

/// The log of each server of a group.
pub type Logs = BTreeMap<NodeId, Log<Command>>;

/// Whether all logs of a group are equal, as they are once it has been left in peace.
///
/// # Errors
/// The first difference.
pub fn agree(logs: &Logs) -> Result<(), Discord> {
    let longest = logs.iter().max_by_key(|(_, log)| log.last_index());
    let Some((&one, longest)) = longest else { return Ok(()) };
    for (&other, log) in logs {
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

/// The log that holds all that a group has ever committed, if these are the logs of a majority:
/// that which is most up-to-date [Raft §5.4.1].
#[must_use]
pub fn most_up_to_date(logs: &Logs) -> Option<&Log<Command>> {
    logs.values().max_by_key(|log| log.last())
}

/// An answer that the logs do not give.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unexplained {
    /// The operation was acknowledged and is not in the log.
    Lost(Operation),
    /// Two groups have carried it out.
    Twice(Request),
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
            Self::Twice(request) => write!(f, "two groups have carried it out: {request:?}"),
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

/// Whether the logs of all groups give every answer that the clients got.
///
/// # Errors
/// The first operation for which they do not.
pub fn explain(replays: &[Replay<'_>], history: &[Recorded]) -> Result<(), Box<Unexplained>> {
    let mut effects = BTreeMap::new();
    for (id, effect) in replays.iter().flat_map(|replay| &replay.effects) {
        if effects.insert(*id, effect).is_some() {
            return Err(Box::new(Unexplained::Twice(effect.request.clone())));
        }
    }
    let mut placed: BTreeMap<ShardId, Vec<_>> = BTreeMap::new();
    for recorded in history {
        let operation = &recorded.operation;
        let effect = effects.get(&(operation.client, recorded.number));
        if let Some(effect) = effect {
            if effect.request.op != operation.op {
                let request = effect.request.clone();
                return Err(Box::new(Unexplained::Garbled(operation.clone(), request)));
            }
            placed.entry(effect.shard).or_default().push((operation, effect.place));
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
    placed.into_values().try_for_each(in_real_time)
}

/// Whether each operation stands behind all that were answered before it was called.
fn in_real_time(mut placed: Vec<(&Operation, Place)>) -> Result<(), Box<Unexplained>> {
    let mut answered: Vec<_> =
        placed.iter().filter_map(|&(op, place)| Some((op.ret?, place, op))).collect();
    answered.sort_unstable_by_key(|&(ret, place, _)| (ret, place));
    placed.sort_unstable_by_key(|&(op, _)| op.call);
    let mut answered = answered.into_iter().peekable();
    let mut latest: Option<(Place, &Operation)> = None;
    for (operation, place) in placed {
        while let Some((_, other, by)) = answered.next_if(|&(ret, ..)| ret < operation.call) {
            if latest.is_none_or(|(latest, _)| latest < other) {
                latest = Some((other, by));
            }
        }
        if let Some((_, first)) = latest.filter(|&(latest, _)| latest > place) {
            return Err(Box::new(Unexplained::Overtaken(first.clone(), operation.clone())));
        }
    }
    Ok(())
}
