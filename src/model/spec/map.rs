//! The store as its clients see it: a map from keys to values.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use super::{Spec, transaction};
use crate::kv::command::{Key, MAX_VALUE_BYTES, Op, Output, Value};
use crate::limits::Limits;

/// A map from keys to values, at first empty.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Map {
    contents: BTreeMap<Key, Value>,
    limits: Limits,
}

impl Map {
    /// A map that keeps to these limits.
    #[must_use]
    pub fn within(limits: Limits) -> Self {
        Self { contents: BTreeMap::new(), limits }
    }

    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }
}

impl Debug for Map {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Map({:?})", self.contents)
    }
}

impl Spec for Map {
    type Op = Op;
    type Output = Output;

    fn apply(&mut self, op: &Op) -> Output {
        match op {
            Op::Get(key) => Output::Value(self.contents.get(key).cloned()),
            Op::Put(key, value) => {
                self.contents.insert(key.clone(), value.clone());
                Output::Written
            }
            Op::Append(key, more) => {
                let present = self.contents.get(key).map_or(&[][..], |value| &value.0);
                if present.len() + more.0.len() > self.limits.value {
                    return Output::TooLarge;
                }
                let longer = [present, &more.0].concat();
                self.contents.insert(key.clone(), Value::from(longer));
                Output::Written
            }
            Op::Cas { key, expected, new } => {
                let present = self.contents.get(key);
                if present != expected.as_ref() {
                    return Output::Mismatch(present.cloned());
                }
                self.contents.insert(key.clone(), new.clone());
                Output::Swapped
            }
            Op::Delete(key) => Output::Deleted(self.contents.remove(key).is_some()),
            Op::Transaction(transaction) => {
                let before = self.contents.clone();
                let applied = transaction::apply(&mut self.contents, transaction, &self.limits);
                applied.unwrap_or_else(|refusal| {
                    self.contents = before;
                    Output::Rejected(refusal)
                })
            }
        }
    }

    fn changes_nothing(op: &Op) -> bool {
        match op {
            Op::Get(_) => true,
            Op::Append(_, more) => more.0.len() > MAX_VALUE_BYTES,
            Op::Cas { expected, new, .. } => expected.as_ref() == Some(new),
            Op::Transaction(transaction) => {
                transaction.accesses().iter().all(|(_, access)| !access.writes())
            }
            Op::Put(..) | Op::Delete(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::from("k")
    }

    fn get(map: &mut Map) -> Option<Value> {
        match map.apply(&Op::Get(key())) {
            Output::Value(value) => value,
            other => panic!("a Get answers with a value, not {other:?}"),
        }
    }

    fn cas(expected: Option<&str>, new: &str) -> Op {
        Op::Cas { key: key(), expected: expected.map(Value::from), new: new.into() }
    }

    #[test]
    fn a_missing_value_counts_as_empty_for_append() {
        let mut map = Map::default();
        assert_eq!(get(&mut map), None);
        assert_eq!(map.apply(&Op::Append(key(), "a".into())), Output::Written);
        assert_eq!(map.apply(&Op::Append(key(), "b".into())), Output::Written);
        assert_eq!(get(&mut map), Some("ab".into()));
        assert_eq!(map.apply(&Op::Get(Key::from("other"))), Output::Value(None));
    }

    #[test]
    fn an_empty_append_makes_the_key_exist() {
        let mut map = Map::default();
        assert_eq!(map.apply(&Op::Append(key(), "".into())), Output::Written);
        assert_eq!(get(&mut map), Some("".into()));
    }

    #[test]
    fn an_append_fits_exactly_or_changes_nothing() {
        let mut map = Map::default();
        map.apply(&Op::Put(key(), vec![b'x'; MAX_VALUE_BYTES - 1].into()));
        let before = map.clone();
        assert_eq!(map.apply(&Op::Append(key(), "yz".into())), Output::TooLarge);
        assert_eq!(map, before);
        assert_eq!(map.apply(&Op::Append(key(), "y".into())), Output::Written);
        assert_eq!(get(&mut map).map(|v| v.0.len()), Some(MAX_VALUE_BYTES));
    }

    #[test]
    fn cas_answers_with_what_was_there() {
        let mut map = Map::default();
        assert_eq!(map.apply(&cas(Some("a"), "b")), Output::Mismatch(None));
        assert_eq!(map.apply(&cas(None, "b")), Output::Swapped);
        assert_eq!(map.apply(&cas(None, "c")), Output::Mismatch(Some("b".into())));
        assert_eq!(map.apply(&cas(Some("b"), "c")), Output::Swapped);
        assert_eq!(get(&mut map), Some("c".into()));
    }

    #[test]
    fn delete_says_whether_there_was_anything() {
        let mut map = Map::default();
        assert_eq!(map.apply(&Op::Delete(key())), Output::Deleted(false));
        map.apply(&Op::Put(key(), "a".into()));
        assert_eq!(map.apply(&Op::Delete(key())), Output::Deleted(true));
        assert_eq!(map, Map::default());
    }

    #[test]
    fn what_changes_nothing_changes_nothing() {
        let too_long = Op::Append(key(), vec![b'x'; MAX_VALUE_BYTES + 1].into());
        let ops = [Op::Get(key()), too_long, cas(Some("a"), "a")];
        for op in ops {
            assert!(Map::changes_nothing(&op));
            for start in [None, Some("a"), Some("b")] {
                let mut map = Map::default();
                if let Some(value) = start {
                    map.apply(&Op::Put(key(), value.into()));
                }
                let before = map.clone();
                map.apply(&op);
                assert_eq!(map, before);
            }
        }
        for op in [cas(None, "a"), Op::Delete(key()), Op::Append(key(), "".into())] {
            assert!(!Map::changes_nothing(&op));
        }
    }
}
