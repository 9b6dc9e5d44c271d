//! Are the answers that the clients got the answers of a sequential object?
//!
//! A history is a sequence of calls and returns. It is *linearizable* if every completed operation,
//! and any of the others, can be given one moment between its call and its return such that the
//! object, carrying them out at those moments, answers what was answered [Herlihy-Wing §2.2]. The
//! order is that of real time, so no later reader sees an older state.
//!
//! There are two deciders, because there are two questions.
//!
//! - [`Monitor`] follows a history event by event and knows nothing of what comes. It is part of
//!   every state that the checker explores, so equal futures must make equal monitors.
//! - [`judge()`] is given a whole recorded history, of many clients and many operations. It uses
//!   what was read later to know what must have happened, and so stays fast where following all
//!   possibilities cannot. In tests the two must agree.
//!
//! Both are exact: neither accepts a history that is not linearizable, rejects one that is, or
//! gives up.

mod configuration;
mod judge;
mod monitor;

pub use judge::{NotLinearizable, Operation, judge};
pub use monitor::{Claim, Monitor, Violation};

#[cfg(test)]
mod tests;
