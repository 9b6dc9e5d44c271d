//! What a transaction does to a map, step by step, with nothing in between.

use std::collections::BTreeMap;

use crate::kv::command::{Key, Output, Value};
use crate::kv::transaction::{
    Condition, MAX_NUMBER_BYTES, Operand, Reason, Refusal, Step, Transaction,
};
use crate::limits::Limits;
use crate::size;

type Contents = BTreeMap<Key, Value>;

/// Carries out the steps. If one cannot be, those before it have been, and the map is to be what it
/// was.
pub(super) fn apply(
    map: &mut Contents,
    transaction: &Transaction,
    limits: &Limits,
) -> Result<Output, Refusal> {
    let of_key = |key: &Key| size::bytes(key.len());
    let of_value =
        |value: Option<&Value>| size::CHOICE + value.map_or(0, |value| size::bytes(value.0.len()));
    let accesses = transaction.accesses().iter();
    let read = accesses.filter(|(_, access)| access.reads()).map(|(key, _)| key);
    let mut work: usize = read.map(|key| of_key(key) + of_value(map.get(key))).sum();
    if work > limits.work {
        return Err(Refusal { step: 0, reason: Reason::TooLarge });
    }
    let mut compared = 0;
    let mut found = Vec::new();
    for (step, number) in transaction.steps().iter().zip(0..) {
        let refuse = |reason| Refusal { step: number, reason };
        let written = match step {
            Step::Get(key) => {
                found.push(map.get(key).cloned());
                vec![(key, map.get(key).cloned(), false)]
            }
            Step::Check(key, condition) => {
                let value = map.get(key);
                if let Condition::Equals(_) | Condition::Differs(_) = condition {
                    compared += value.map_or(0, |value| value.0.len());
                    if compared > limits.compared() {
                        return Err(refuse(Reason::TooLarge));
                    }
                }
                if !holds(map, value, condition).map_err(refuse)? {
                    return Err(refuse(Reason::Found(value.cloned())));
                }
                vec![]
            }
            Step::Put(key, operand) => {
                vec![(key, Some(value_of(map, operand).map_err(refuse)?), true)]
            }
            Step::Append(key, operand) => {
                let more = value_of(map, operand).map_err(refuse)?;
                let present = map.get(key).map_or(&[][..], |value| &value.0);
                vec![(key, Some(Value::from([present, &more.0].concat())), true)]
            }
            Step::Add(key, operand) => {
                let more = value_of(map, operand).map_err(refuse)?;
                let sum = integer(map.get(key))
                    .and_then(|now| integer(Some(&more)).map(|more| now.checked_add(more)))
                    .map_err(refuse)?;
                let sum = sum.ok_or_else(|| refuse(Reason::NotANumber))?;
                vec![(key, Some(Value::from(sum.to_string())), true)]
            }
            Step::Delete(key) => vec![(key, None, true)],
            Step::Swap(one, other) => {
                let (first, second) = (map.get(one).cloned(), map.get(other).cloned());
                vec![(one, second, true), (other, first, true)]
            }
        };
        for (key, value, writes) in written {
            if writes && value.as_ref().is_some_and(|value| value.0.len() > limits.value) {
                return Err(refuse(Reason::TooLarge));
            }
            work += of_value(value.as_ref());
            if writes {
                work += of_key(key);
                match value {
                    Some(value) => drop(map.insert(key.clone(), value)),
                    None => drop(map.remove(key)),
                }
            }
        }
        if work > limits.work {
            return Err(refuse(Reason::TooLarge));
        }
    }
    Ok(Output::Committed(found.into()))
}

fn value_of(map: &Contents, operand: &Operand) -> Result<Value, Reason> {
    match operand {
        Operand::Value(value) => Ok(value.clone()),
        Operand::Of(key) => map.get(key).cloned().ok_or(Reason::Missing),
    }
}

fn holds(map: &Contents, value: Option<&Value>, condition: &Condition) -> Result<bool, Reason> {
    match condition {
        Condition::Missing => Ok(value.is_none()),
        Condition::Present => Ok(value.is_some()),
        Condition::Equals(other) => Ok(value == Some(&value_of(map, other)?)),
        Condition::Differs(other) => Ok(value != Some(&value_of(map, other)?)),
        Condition::AtLeast(other) => {
            let least = value_of(map, other)?;
            Ok(integer(value)? >= integer(Some(&least))?)
        }
        Condition::AtMost(other) => {
            let most = value_of(map, other)?;
            Ok(integer(value)? <= integer(Some(&most))?)
        }
    }
}

fn integer(value: Option<&Value>) -> Result<i64, Reason> {
    match value {
        None => Ok(0),
        Some(value) if value.0.len() > MAX_NUMBER_BYTES => Err(Reason::NotANumber),
        Some(value) => String::from_utf8_lossy(&value.0).parse().map_err(|_| Reason::NotANumber),
    }
}
