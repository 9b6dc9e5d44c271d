//! Transactions: several operations on several keys that take effect as one, or not at all.
//!
//! A transaction is a list of steps, carried out in order on what the keys hold when it takes
//! effect; each step sees those before it. Nothing happens in between, and if a step cannot be
//! carried out (a check fails, a sum is no number) nothing has happened at all. All of it is known
//! beforehand: there is no conversation with a client that may stop talking.

mod course;
mod show;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

pub use course::Carried;

use super::command::{Key, MAX_KEY_BYTES, Value};
#[cfg(doc)]
use crate::limits::Limits;
use crate::size;

/// Most keys that a transaction may name.
pub const MAX_KEYS: usize = 1_000;

/// Most steps.
pub const MAX_STEPS: usize = 1 << 17;

/// The largest encoding.
pub const MAX_BYTES: usize = 1 << 20;

/// Most bytes that a transaction may find, give back and write in all: values, and the keys that
/// they are found or written under, as they are encoded.
pub const MAX_WORK_BYTES: usize = 4 << 20;

/// Longest number, in bytes: the least of 64 bits with its sign. What is longer is no number, so
/// reading one costs nothing worth counting.
pub const MAX_NUMBER_BYTES: usize = 20;

/// Operations that take effect together: at least one, within the limits, and no two of which write
/// to a key what the other then hides.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "Vec<Step>")]
pub struct Transaction {
    steps: Vec<Step>,
    /// Keys, in order, and what each is needed for. Computed once: a transaction that waits is
    /// looked at often, and may have many more steps than keys.
    accesses: Vec<(Key, Access)>,
}

/// One operation of a transaction.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Step {
    /// Give back the value.
    Get(Key),
    /// Go on only if this holds.
    Check(Key, Condition),
    /// Set the value.
    Put(Key, Operand),
    /// Add to the end of the value; a missing value counts as empty.
    Append(Key, Operand),
    /// Add to the value as a number, in decimals; a missing value counts as 0.
    Add(Key, Operand),
    /// Remove the key, if it is there.
    Delete(Key),
    /// Exchange what is under two keys, a missing value included.
    Swap(Key, Key),
}

/// A value that a step needs.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Operand {
    /// This one.
    Value(Value),
    /// What is under a key, which must be there.
    Of(Key),
}

/// What may be demanded of a value. A missing one is a value like any other to the first four, and
/// 0 to those that compare numbers.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Condition {
    /// There is none.
    Missing,
    /// There is one.
    Present,
    /// It is this one.
    Equals(Operand),
    /// It is not this one.
    Differs(Operand),
    /// As a number it is as large as this one, or larger.
    AtLeast(Operand),
    /// As a number it is as small as this one, or smaller.
    AtMost(Operand),
}

/// Why a transaction was not carried out. Nothing has changed.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Refusal {
    /// The step that could not be, from 0 on.
    pub step: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a step cannot be carried out.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Reason {
    /// A check found this.
    Found(Option<Value>),
    /// An operand is not there.
    Missing,
    /// A value that should be a number is none, or one beyond 64 bits with sign, or longer than
    /// [`MAX_NUMBER_BYTES`].
    NotANumber,
    /// A value would outgrow [`Limits::value`], all together [`Limits::work`], or what is compared
    /// [`Limits::compared`].
    TooLarge,
}

/// What a key is needed for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Access {
    /// Its value is read, and stays.
    Read,
    /// It is written, whatever it was.
    Write,
    /// It is read and written.
    Update,
}

/// What is wrong with a list of steps. None of them was carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mistake {
    /// There is none.
    Empty,
    /// It names this many keys.
    TooManyKeys(usize),
    /// It has this many steps.
    TooManySteps(usize),
    /// It has this many bytes.
    TooManyBytes(usize),
    /// This key is too long.
    KeyTooLong(usize),
    /// The key is set, and written by another step, too: one of them would be in vain.
    WrittenTwice(Key),
}

impl Transaction {
    /// Its operations.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The least of its keys. The shard of this key remembers what has become of the transaction.
    #[must_use]
    pub fn first_key(&self) -> &Key {
        let (key, _) = self.accesses.first().expect("it has a step, and every step a key");
        key
    }

    /// Keys of the transaction, in order, and what each is needed for.
    #[must_use]
    pub fn accesses(&self) -> &[(Key, Access)] {
        &self.accesses
    }
}

/// The keys of some steps, and what each is needed for.
fn accesses(steps: &[Step]) -> BTreeMap<&Key, Access> {
    let mut accesses = BTreeMap::new();
    for (key, access) in steps.iter().flat_map(Step::accesses) {
        let all = accesses.entry(key).or_insert(access);
        *all = all.and(access);
    }
    accesses
}

impl Serialize for Transaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.steps.serialize(serializer)
    }
}

impl TryFrom<Vec<Step>> for Transaction {
    type Error = Mistake;

    fn try_from(steps: Vec<Step>) -> Result<Self, Mistake> {
        if steps.is_empty() {
            return Err(Mistake::Empty);
        }
        if steps.len() > MAX_STEPS {
            return Err(Mistake::TooManySteps(steps.len()));
        }
        let bytes = size::of(&steps);
        if bytes > MAX_BYTES {
            return Err(Mistake::TooManyBytes(bytes));
        }
        let accesses = accesses(&steps);
        if accesses.len() > MAX_KEYS {
            return Err(Mistake::TooManyKeys(accesses.len()));
        }
        if let Some(key) = accesses.keys().find(|key| key.len() > MAX_KEY_BYTES) {
            return Err(Mistake::KeyTooLong(key.len()));
        }
        // Whether each key that is written is set, and so may be written once only.
        let mut written: BTreeMap<&Key, bool> = BTreeMap::new();
        for (key, sets) in steps.iter().flat_map(Step::writes) {
            if written.insert(key, sets).is_some_and(|before| before || sets) {
                return Err(Mistake::WrittenTwice(key.clone()));
            }
        }
        let accesses = accesses.into_iter().map(|(key, access)| (key.clone(), access)).collect();
        Ok(Self { steps, accesses })
    }
}

impl Step {
    /// The keys that it names.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.accesses().map(|(key, _)| key)
    }

    /// The keys that it names, and what it needs each for.
    fn accesses(&self) -> impl Iterator<Item = (&Key, Access)> {
        let (first, second) = match self {
            Self::Get(key) => ((key, Access::Read), None),
            Self::Check(key, condition) => ((key, Access::Read), condition.key()),
            Self::Put(key, operand) => ((key, Access::Write), operand.key()),
            Self::Append(key, operand) | Self::Add(key, operand) => {
                ((key, Access::Update), operand.key())
            }
            Self::Delete(key) => ((key, Access::Write), None),
            Self::Swap(one, other) => {
                let both = [Some((one, Access::Update)), Some((other, Access::Update))];
                return both.into_iter().flatten();
            }
        };
        [Some(first), second.map(|key| (key, Access::Read))].into_iter().flatten()
    }

    /// The keys that it writes, and whether it sets them, so that what was there is gone.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (&Key, bool)> {
        let (first, second) = match self {
            Self::Get(_) | Self::Check(..) => (None, None),
            Self::Put(key, _) | Self::Delete(key) => (Some((key, true)), None),
            Self::Append(key, _) | Self::Add(key, _) => (Some((key, false)), None),
            Self::Swap(one, other) => (Some((one, true)), Some((other, true))),
        };
        [first, second].into_iter().flatten()
    }
}

impl Operand {
    fn key(&self) -> Option<&Key> {
        match self {
            Self::Of(key) => Some(key),
            Self::Value(_) => None,
        }
    }
}

impl Condition {
    fn operand(&self) -> Option<&Operand> {
        match self {
            Self::Missing | Self::Present => None,
            Self::Equals(operand)
            | Self::Differs(operand)
            | Self::AtLeast(operand)
            | Self::AtMost(operand) => Some(operand),
        }
    }

    fn key(&self) -> Option<&Key> {
        self.operand().and_then(Operand::key)
    }
}

impl Access {
    /// What a key is needed for that is needed for both.
    fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Update }
    }

    /// Whether the value is needed.
    #[must_use]
    pub fn reads(self) -> bool {
        match self {
            Self::Read | Self::Update => true,
            Self::Write => false,
        }
    }

    /// Whether the value changes.
    #[must_use]
    pub fn writes(self) -> bool {
        match self {
            Self::Write | Self::Update => true,
            Self::Read => false,
        }
    }
}
