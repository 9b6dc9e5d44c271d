//! What a client may ask of the store, and what it is told.
//!
//! This is the vocabulary that the store, the clients and the specification share.

use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::key::Key;
use super::transaction::{Refusal, Step, Transaction};
use crate::limits::Limits;
use crate::size;
use crate::types::{ClientId, RequestId};

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 4 << 10;

/// Longest value, in bytes; also what an append may grow a value to.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// A value: any bytes, shared rather than copied.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Value(#[serde(with = "shared_bytes")] pub Arc<[u8]>);

impl<T: AsRef<[u8]>> From<T> for Value {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().into())
    }
}

impl Debug for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

/// An operation: on one key, or on several as one.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Op {
    /// Read the value.
    Get(Key),
    /// Set the value.
    Put(Key, Value),
    /// Add to the end of the value; a missing value counts as empty.
    Append(Key, Value),
    /// Set the value if the present one is `expected` (`None`: if there is none).
    Cas {
        /// The key.
        key: Key,
        /// What must be there for the new value to be set.
        expected: Option<Value>,
        /// The new value.
        new: Value,
    },
    /// Remove the key.
    Delete(Key),
    /// Several operations, of which all take effect at once or none does.
    Transaction(Arc<Transaction>),
}

impl Op {
    /// The key that the operation is about: the least, if there are several. Its shard remembers
    /// that the operation has been carried out.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Get(key)
            | Self::Put(key, _)
            | Self::Append(key, _)
            | Self::Cas { key, .. }
            | Self::Delete(key) => key,
            Self::Transaction(transaction) => transaction.first_key(),
        }
    }

    /// The transaction, if it is one.
    #[must_use]
    pub fn transaction(&self) -> Option<&Transaction> {
        match self {
            Self::Transaction(transaction) => Some(transaction),
            Self::Get(_)
            | Self::Put(..)
            | Self::Append(..)
            | Self::Cas { .. }
            | Self::Delete(_) => None,
        }
    }

    /// The value that an operation on one key would store, if any.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Put(_, value) | Self::Append(_, value) | Self::Cas { new: value, .. } => {
                Some(value)
            }
            Self::Get(_) | Self::Delete(_) | Self::Transaction(_) => None,
        }
    }

    /// Whether the operation may change anything.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Get(_) => false,
            Self::Put(..) | Self::Append(..) | Self::Cas { .. } | Self::Delete(_) => true,
            Self::Transaction(transaction) => {
                transaction.steps().iter().any(|step| step.writes().next().is_some())
            }
        }
    }

    /// Whether each key and value is within the limits, and so is a transaction as a whole.
    #[must_use]
    pub fn within_limits(&self, limits: &Limits) -> bool {
        let (is_key, is_value) =
            (|key: &Key| key.len() <= limits.key, |value: &Value| value.0.len() <= limits.value);
        match self {
            Self::Get(key) | Self::Delete(key) => is_key(key),
            Self::Put(key, value) | Self::Append(key, value) => is_key(key) && is_value(value),
            Self::Cas { key, expected, new } => {
                is_key(key) && expected.as_ref().is_none_or(is_value) && is_value(new)
            }
            Self::Transaction(transaction) => {
                size::of(transaction) <= limits.transaction
                    && transaction.steps().iter().flat_map(Step::keys).all(is_key)
            }
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key) => write!(f, "get {key:?}"),
            Self::Put(key, value) => write!(f, "put {key:?} {value:?}"),
            Self::Append(key, value) => write!(f, "append {key:?} {value:?}"),
            Self::Cas { key, expected: None, new } => write!(f, "cas {key:?} nothing {new:?}"),
            Self::Cas { key, expected: Some(old), new } => write!(f, "cas {key:?} {old:?} {new:?}"),
            Self::Delete(key) => write!(f, "delete {key:?}"),
            Self::Transaction(transaction) => transaction.fmt(f),
        }
    }
}

// Debug output is what the Explorer shows, so it is the short form too.
impl Debug for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The result of an operation.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Output {
    /// Get: the value, if there is one.
    Value(Option<Value>),
    /// Put and Append: done.
    Written,
    /// Append: nothing was changed, the value would have outgrown [`Limits::value`].
    TooLarge,
    /// Cas: the new value is set.
    Swapped,
    /// Cas: nothing was changed, because this is what was there.
    Mismatch(Option<Value>),
    /// Delete: whether there was anything to remove.
    Deleted(bool),
    /// Transaction: it is carried out, and its reads have found this, in their order.
    Committed(Arc<[Option<Value>]>),
    /// Transaction: nothing was changed, because a step could not be carried out.
    Rejected(Refusal),
}

/// An operation with the identity that makes it happen exactly once [Ongaro §6.3].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Request<O = Op> {
    /// The session that asks.
    pub client: ClientId,
    /// Its number in that session.
    pub number: RequestId,
    /// What is asked.
    pub op: O,
}

impl<O: Debug> Debug for Request<O> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.client, self.number, self.op)
    }
}

/// Bytes as bytes, not as a sequence of numbers, and from the input into place without a detour:
/// much faster both ways.
mod shared_bytes {
    use std::fmt::{self, Formatter};
    use std::sync::Arc;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        from.deserialize_bytes(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Arc<[u8]>;

        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(bytes.into())
        }
    }
}
