//! Operations reduced to what they need to find and what they leave behind.

use super::sight::{Beginning, Sight, State};
use crate::kv::command::{MAX_VALUE_BYTES, Op, Output, Value};

/// An operation with its answer, or, for one without an answer, with the answer that it had if it
/// took effect. Equal deeds can stand in for each other.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Deed<'a> {
    pub(super) guard: Guard,
    pub(super) effect: Effect<'a>,
}

/// In which states the answer is right.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Guard {
    Any,
    /// The operation never answers so.
    Never,
    Is(State),
    Present,
    /// There is room for so many bytes.
    Fits(usize),
    /// There is not.
    Exceeds(usize),
}

/// What the operation leaves behind, having answered so.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Effect<'a> {
    Nothing,
    Set(State),
    /// More bytes at the end.
    Extend(&'a [u8]),
    /// So many more bytes at the end, which are in no shown value.
    Blot(usize),
}

impl<'a> Deed<'a> {
    pub(super) fn of(sight: &Sight<'_>, op: &'a Op, output: Option<&Output>) -> Self {
        let found = |value: &Option<Value>| match value {
            None => Guard::Is(State::Absent),
            Some(Value(bytes)) => Guard::Is(sight.value(bytes)),
        };
        let set = |value: &Value| Effect::Set(sight.value(&value.0));
        let (guard, effect) = match (op, output) {
            (Op::Get(_), None) => (Guard::Any, Effect::Nothing),
            (Op::Get(_), Some(Output::Value(value))) => (found(value), Effect::Nothing),
            (Op::Put(_, value), None | Some(Output::Written)) => (Guard::Any, set(value)),
            (Op::Append(_, Value(more)), None | Some(Output::Written)) => {
                let fits = if sight.measured { Guard::Fits(more.len()) } else { Guard::Any };
                (fits, Effect::Extend(more))
            }
            (Op::Append(_, Value(more)), Some(Output::TooLarge)) => {
                (Guard::Exceeds(more.len()), Effect::Nothing)
            }
            (Op::Cas { expected, new, .. }, None | Some(Output::Swapped)) => {
                let changes = expected.as_ref() != Some(new);
                (found(expected), if changes { set(new) } else { Effect::Nothing })
            }
            (Op::Cas { expected, .. }, Some(Output::Mismatch(value))) if expected != value => {
                (found(value), Effect::Nothing)
            }
            (Op::Delete(_), None | Some(Output::Deleted(true))) => {
                (Guard::Present, Effect::Set(State::Absent))
            }
            (Op::Delete(_), Some(Output::Deleted(false))) => (found(&None), Effect::Nothing),
            (Op::Get(_) | Op::Put(..) | Op::Append(..) | Op::Cas { .. } | Op::Delete(_), _) => {
                (Guard::Never, Effect::Nothing)
            }
            (Op::Transaction(_), _) => unreachable!("those are judged with all their keys"),
        };
        Self { guard, effect }
    }

    /// The same, for bytes that are in no shown value.
    pub(super) fn blotted(self, sight: &Sight<'_>) -> Self {
        let effect = match self.effect {
            Effect::Extend(more) if sight.measured => Effect::Blot(more.len()),
            Effect::Extend(_) => Effect::Set(sight.unseen(0)),
            Effect::Nothing | Effect::Set(_) | Effect::Blot(_) => self.effect,
        };
        Self { effect, ..self }
    }

    /// The value that must be there, if it must be one in particular.
    pub(super) fn observes(&self) -> Option<Beginning> {
        match self.guard {
            Guard::Is(State::Seen(value)) => Some(value),
            Guard::Is(State::Absent | State::Unseen { .. })
            | Guard::Any
            | Guard::Never
            | Guard::Present
            | Guard::Fits(_)
            | Guard::Exceeds(_) => None,
        }
    }

    /// What it leaves behind in that state, if its answer is right there.
    pub(super) fn apply(&self, sight: &Sight<'_>, state: State) -> Option<State> {
        let right = match self.guard {
            Guard::Any => true,
            Guard::Never => false,
            Guard::Is(needed) => state == needed,
            Guard::Present => state != State::Absent,
            Guard::Fits(more) => state.len() + more <= MAX_VALUE_BYTES,
            Guard::Exceeds(more) => state.len() + more > MAX_VALUE_BYTES,
        };
        right.then(|| match (self.effect, state) {
            (Effect::Nothing, _) => state,
            (Effect::Set(state), _) => state,
            (Effect::Extend(more), State::Absent) => sight.value(more),
            (Effect::Extend(more), State::Seen(beginning)) => sight.extend(beginning, more),
            (Effect::Extend(more), State::Unseen { len }) => sight.unseen(len + more.len()),
            (Effect::Blot(more), _) => sight.unseen(state.len() + more),
        })
    }
}
