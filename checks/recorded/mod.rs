//! Judging a run of a cluster by what was recorded of it.
//!
//! A run leaves three things behind: what each client asked and was told, and when; what every key
//! holds in the end; and the logs of the servers. They must fit together, and each judge asks in
//! its own way, so that one's mistake is not another's.
//!
//! | judge | question |
//! |---|---|
//! | [`model::history::judge`] | is there an order that explains every answer? |
//! | [`appends`] | did each append happen once, and those of a session in their order? |
//! | [`cycles`] | do transactions on lists show nobody who comes before himself? |
//! | [`logs`] | do a group's servers hold one log, and do these give the answers that were given? |
//! | [`moves`] | is what a group took what another gave, and has each its own in the end? |
//! | [`changes`] | has each change of the configuration made the one that it should? |
//!
//! The last three apply the logs anew ([`replay`]). [`export`] writes a history down for judges
//! that others have made.

pub mod appends;
pub mod changes;
pub mod cycles;
pub mod export;
pub mod logs;
pub mod moves;
pub mod replay;
#[cfg(test)]
mod tests;

use model::history::Operation;
use model::kv::command::Output;
use model::types::RequestId;

/// An operation as its client saw it, with the number that it had in its session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// The number.
    pub number: RequestId,
    /// The operation.
    pub operation: Operation,
    /// When its client ceased to wait for it, answered or not.
    pub until: u64,
}

/// What a client knows of its operation in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Knowledge<'a> {
    /// It took effect, with this answer.
    Done(&'a Output),
    /// It did not, and never will.
    NotDone,
    /// It may have.
    Unknown,
}

impl Recorded {
    /// What its client knows of it.
    #[must_use]
    pub fn known(&self) -> Knowledge<'_> {
        match (&self.operation.output, self.operation.ret) {
            (Some(output), _) => Knowledge::Done(output),
            (None, Some(_)) => Knowledge::NotDone,
            (None, None) => Knowledge::Unknown,
        }
    }
}
