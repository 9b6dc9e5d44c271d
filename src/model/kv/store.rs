//! The map from keys to values. Clones share their structure, so a copy of it costs nothing.

use std::fmt::{self, Debug, Formatter};
use std::ops::Bound;

use im::OrdMap;

use super::command::{Key, MAX_VALUE_BYTES, Op, Output, Value};

/// The map from keys to values.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Store(OrdMap<Key, Value>);

impl Store {
    /// Carries out an operation.
    pub fn apply(&mut self, op: &Op) -> Output {
        match op {
            Op::Get(key) => Output::Value(self.0.get(key).cloned()),
            Op::Put(key, value) => {
                self.0.insert(key.clone(), value.clone());
                Output::Written
            }
            Op::Append(key, tail) => self.append(key, tail),
            Op::Cas { key, expected, new } => {
                let present = self.0.get(key);
                if present != expected.as_ref() {
                    return Output::Mismatch(present.cloned());
                }
                self.0.insert(key.clone(), new.clone());
                Output::Swapped
            }
            Op::Delete(key) => Output::Deleted(self.0.remove(key).is_some()),
        }
    }

    fn append(&mut self, key: &Key, tail: &Value) -> Output {
        let mut bytes = self.0.get(key).map_or_else(Vec::new, |value| value.0.to_vec());
        if bytes.len() + tail.0.len() > MAX_VALUE_BYTES {
            return Output::TooLarge;
        }
        bytes.extend_from_slice(&tail.0);
        self.0.insert(key.clone(), Value::from(bytes));
        Output::Written
    }

    /// The keys behind `after`, or all of them, with their values, in order.
    pub fn behind(&self, after: Option<&Key>) -> impl Iterator<Item = (&Key, &Value)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range::<_, Key>((from, Bound::Unbounded))
    }

    /// Takes over a key with its value from elsewhere.
    pub fn restore(&mut self, key: Key, value: Value) {
        self.0.insert(key, value);
    }

    /// All keys with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.0.iter()
    }
}

impl Debug for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("store ")?;
        f.debug_map().entries(&self.0).finish()
    }
}
