//! The map from keys to values. Clones share their structure, so a copy of it costs nothing.

use std::fmt::{self, Debug, Formatter};
use std::ops::Bound;

use im::OrdMap;

use super::command::{Key, Op, Output, Value};
use super::transaction::Carried;
use crate::limits::Limits;

/// The map from keys to values.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Store {
    map: OrdMap<Key, Value>,
    /// Of all keys and values: a function of the map.
    bytes: u64,
}

impl Store {
    /// Carries out an operation.
    pub fn apply(&mut self, op: &Op, limits: &Limits) -> Output {
        match op {
            Op::Get(key) => Output::Value(self.map.get(key).cloned()),
            Op::Put(key, value) => {
                self.set(key.clone(), value.clone());
                Output::Written
            }
            Op::Append(key, tail) => self.append(key, tail, limits),
            Op::Cas { key, expected, new } => {
                let present = self.map.get(key);
                if present != expected.as_ref() {
                    return Output::Mismatch(present.cloned());
                }
                self.set(key.clone(), new.clone());
                Output::Swapped
            }
            Op::Delete(key) => Output::Deleted(self.remove(key)),
            Op::Transaction(transaction) => {
                let (carried, _) = transaction.carry_out(limits, |key| self.map.get(key).cloned());
                match carried {
                    Ok(Carried { values, writes }) => {
                        self.write(writes);
                        Output::Committed(values.into())
                    }
                    Err(refusal) => Output::Rejected(refusal),
                }
            }
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.map.get(key)
    }

    /// Sets and removes what a transaction writes.
    pub fn write(&mut self, writes: impl IntoIterator<Item = (Key, Option<Value>)>) {
        for (key, value) in writes {
            match value {
                Some(value) => self.set(key, value),
                None => drop(self.remove(&key)),
            }
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.map.len()
    }

    /// How many bytes all keys and values take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets the value of a key.
    pub fn set(&mut self, key: Key, value: Value) {
        let length = key.len();
        self.bytes += (length + value.0.len()) as u64;
        if let Some(before) = self.map.insert(key, value) {
            self.bytes -= (length + before.0.len()) as u64;
        }
    }

    fn remove(&mut self, key: &Key) -> bool {
        let before = self.map.remove(key);
        if let Some(value) = &before {
            self.bytes -= (key.len() + value.0.len()) as u64;
        }
        before.is_some()
    }

    fn append(&mut self, key: &Key, tail: &Value, limits: &Limits) -> Output {
        let mut bytes = self.map.get(key).map_or_else(Vec::new, |value| value.0.to_vec());
        if bytes.len() + tail.0.len() > limits.value {
            return Output::TooLarge;
        }
        bytes.extend_from_slice(&tail.0);
        self.set(key.clone(), Value::from(bytes));
        Output::Written
    }

    /// The keys behind `after`, or all of them, with their values, in order.
    pub fn behind(&self, after: Option<&Key>) -> impl Iterator<Item = (&Key, &Value)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.map.range::<_, Key>((from, Bound::Unbounded))
    }

    /// All keys with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.map.iter()
    }
}

impl Debug for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("store ")?;
        f.debug_map().entries(&self.map).finish()
    }
}
