//! What is promised: the objects that the store pretends to be, one operation at a time.
//!
//! A sequential object says what every operation answers when nothing runs beside it. A history of
//! overlapping operations is right if it looks as if each of them had taken effect on that object
//! at one moment between its call and its answer [Herlihy-Wing §2.2]; [`crate::history`] decides
//! that. Nothing here knows how the store works, and the code is as plain as can be: it is the
//! yardstick.

use std::fmt::Debug;
use std::hash::Hash;

pub mod map;
mod transaction;

/// A sequential object: a state, and what each operation does to it and answers.
///
/// Total and deterministic: every operation is defined in every state [Herlihy-Wing §2.2]. Equal
/// states must be states that no operation can tell apart, because equality is what makes two
/// histories one state of the checker.
pub trait Spec: Clone + Debug + Hash + Ord {
    /// What can be asked.
    type Op: Clone + Debug + Hash + Ord;
    /// What can be answered.
    type Output: Clone + Debug + Hash + Ord;

    /// Carries out the operation.
    fn apply(&mut self, op: &Self::Op) -> Self::Output;

    /// Whether the operation leaves every state as it is, so that its answer is all there is to it.
    fn changes_nothing(op: &Self::Op) -> bool;
}
