//! Transactions in words.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use super::{Condition, MAX_BYTES, MAX_KEYS, MAX_STEPS, Mistake};
use super::{Operand, Reason, Refusal, Step, Transaction};
use crate::kv::command::MAX_KEY_BYTES;

impl Debug for Transaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("txn ")?;
        f.debug_set().entries(&self.steps).finish()
    }
}

impl Debug for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key) => write!(f, "get {key:?}"),
            Self::Check(key, condition) => write!(f, "check {key:?} {condition:?}"),
            Self::Put(key, operand) => write!(f, "put {key:?} {operand:?}"),
            Self::Append(key, operand) => write!(f, "append {key:?} {operand:?}"),
            Self::Add(key, operand) => write!(f, "add {key:?} {operand:?}"),
            Self::Delete(key) => write!(f, "delete {key:?}"),
            Self::Swap(one, other) => write!(f, "swap {one:?} {other:?}"),
        }
    }
}

impl Debug for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Of(key) => write!(f, "${key:?}"),
        }
    }
}

impl Debug for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Present => f.write_str("present"),
            Self::Equals(operand) => write!(f, "= {operand:?}"),
            Self::Differs(operand) => write!(f, "!= {operand:?}"),
            Self::AtLeast(operand) => write!(f, ">= {operand:?}"),
            Self::AtMost(operand) => write!(f, "<= {operand:?}"),
        }
    }
}

impl Debug for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {:?}", self.step, self.reason)
    }
}

impl Debug for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(Some(value)) => write!(f, "found {value:?}"),
            Self::Found(None) => f.write_str("found nothing"),
            Self::Missing => f.write_str("an operand is missing"),
            Self::NotANumber => f.write_str("not a number"),
            Self::TooLarge => f.write_str("too large"),
        }
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a transaction has at least one step"),
            Self::TooManyKeys(keys) => {
                write!(f, "{keys} keys are over the limit of {MAX_KEYS}: split the transaction")
            }
            Self::TooManySteps(steps) => {
                write!(f, "{steps} steps are over the limit of {MAX_STEPS}: split the transaction")
            }
            Self::TooManyBytes(bytes) => {
                write!(f, "{bytes} bytes are over the limit of {MAX_BYTES}: split the transaction")
            }
            Self::KeyTooLong(bytes) => {
                write!(f, "a key has {bytes} bytes, the limit is {MAX_KEY_BYTES}: shorten it")
            }
            Self::WrittenTwice(key) => {
                write!(f, "{key:?} is set and written by another step, too: leave one of them out")
            }
        }
    }
}

impl Error for Mistake {}
