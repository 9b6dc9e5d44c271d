//! Carrying out a transaction.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{Condition, MAX_NUMBER_BYTES, Operand, Reason, Refusal, Step, Transaction};
use crate::kv::command::{Key, Value};
use crate::limits::Limits;
use crate::size;

/// What carrying out a transaction gives.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Carried {
    /// What its reads found, in their order.
    pub values: Vec<Option<Value>>,
    /// What the keys that it writes hold after it.
    pub writes: BTreeMap<Key, Option<Value>>,
}

impl Transaction {
    /// Carries it out on what `read` finds. Returns also how many steps and bytes were looked at,
    /// which is the measure of the time that it takes.
    ///
    /// # Errors
    /// If a step cannot be carried out, or all of it is too much.
    pub fn carry_out(
        &self,
        limits: &Limits,
        read: impl Fn(&Key) -> Option<Value>,
    ) -> (Result<Carried, Refusal>, usize) {
        let looked = Cell::new(0);
        let carried = Course::new(self, limits, &looked, read).run(&self.steps);
        (carried, looked.get())
    }
}

/// A transaction that is being carried out.
struct Course<'a, R> {
    limits: &'a Limits,
    /// Number of steps and bytes that were looked at.
    looked: &'a Cell<usize>,
    /// What the keys held before.
    read: R,
    carried: Carried,
    /// How many bytes it may still find, give back and write.
    left: usize,
    /// Number of bytes that its checks may still compare.
    comparable: usize,
}

impl<'a, R: Fn(&Key) -> Option<Value>> Course<'a, R> {
    fn new(
        transaction: &Transaction,
        limits: &'a Limits,
        looked: &'a Cell<usize>,
        read: R,
    ) -> Self {
        let reads = transaction.accesses().iter().filter(|(_, access)| access.reads());
        let found: usize = reads.map(|(key, _)| size::of(&(key, read(key)))).sum();
        let left = (limits.work + 1).saturating_sub(found); // At 0 it is too much already.
        looked.set(found);
        let comparable = limits.compared();
        Self { limits, looked, read, carried: Carried::default(), left, comparable }
    }

    fn run(mut self, steps: &[Step]) -> Result<Carried, Refusal> {
        self.spend(0).map_err(|reason| Refusal { step: 0, reason })?;
        for (step, number) in steps.iter().zip(0..) {
            self.look(1);
            self.take(step).map_err(|reason| Refusal { step: number, reason })?;
        }
        Ok(self.carried)
    }

    fn take(&mut self, step: &Step) -> Result<(), Reason> {
        match step {
            Step::Get(key) => {
                let value = self.get(key);
                self.spend(size::of(&value))?;
                self.carried.values.push(value);
                Ok(())
            }
            Step::Check(key, condition) => {
                let found = self.get(key);
                let holds = self.holds(&found, condition)?;
                if holds { Ok(()) } else { Err(Reason::Found(found)) }
            }
            Step::Put(key, operand) => {
                let value = self.operand(operand)?;
                self.set(key, Some(value))
            }
            Step::Append(key, operand) => {
                let more = self.operand(operand)?;
                let mut bytes = self.get(key).map_or_else(Vec::new, |value| value.0.to_vec());
                bytes.extend_from_slice(&more.0);
                self.set(key, Some(Value::from(bytes)))
            }
            Step::Add(key, operand) => {
                let more = self.number_of(operand)?;
                let sum = self.number(self.get(key).as_ref())?.checked_add(more);
                self.set(key, Some(Value::from(sum.ok_or(Reason::NotANumber)?.to_string())))
            }
            Step::Delete(key) => self.set(key, None),
            Step::Swap(one, other) => {
                let (first, second) = (self.get(one), self.get(other));
                self.set(one, second)?;
                self.set(other, first)
            }
        }
    }

    fn holds(&mut self, found: &Option<Value>, condition: &Condition) -> Result<bool, Reason> {
        Ok(match condition {
            Condition::Missing => found.is_none(),
            Condition::Present => found.is_some(),
            Condition::Equals(operand) => self.equals(found, operand)?,
            Condition::Differs(operand) => !self.equals(found, operand)?,
            Condition::AtLeast(operand) => {
                self.number_of(operand)? <= self.number(found.as_ref())?
            }
            Condition::AtMost(operand) => {
                self.number_of(operand)? >= self.number(found.as_ref())?
            }
        })
    }

    fn equals(&mut self, found: &Option<Value>, operand: &Operand) -> Result<bool, Reason> {
        let length = found.as_ref().map_or(0, |value| value.0.len());
        self.comparable = self.comparable.checked_sub(length).ok_or(Reason::TooLarge)?;
        self.look(length);
        Ok(found.as_ref() == Some(&self.operand(operand)?))
    }

    fn get(&self, key: &Key) -> Option<Value> {
        self.carried.writes.get(key).cloned().unwrap_or_else(|| (self.read)(key))
    }

    fn operand(&self, operand: &Operand) -> Result<Value, Reason> {
        match operand {
            Operand::Value(value) => Ok(value.clone()),
            Operand::Of(key) => self.get(key).ok_or(Reason::Missing),
        }
    }

    fn number_of(&self, operand: &Operand) -> Result<i64, Reason> {
        self.number(Some(&self.operand(operand)?))
    }

    /// A value as a number.
    fn number(&self, value: Option<&Value>) -> Result<i64, Reason> {
        let Some(value) = value else { return Ok(0) };
        if value.0.len() > MAX_NUMBER_BYTES {
            return Err(Reason::NotANumber);
        }
        self.look(value.0.len());
        let text = std::str::from_utf8(&value.0).map_err(|_| Reason::NotANumber)?;
        text.parse().map_err(|_| Reason::NotANumber)
    }

    fn look(&self, at: usize) {
        self.looked.set(self.looked.get() + at);
    }

    fn set(&mut self, key: &Key, value: Option<Value>) -> Result<(), Reason> {
        let length = value.as_ref().map_or(0, |value| value.0.len());
        if length > self.limits.value {
            return Err(Reason::TooLarge);
        }
        self.spend(size::of(&(key, &value)))?;
        self.carried.writes.insert(key.clone(), value);
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Reason> {
        self.look(bytes);
        match self.left.checked_sub(bytes) {
            None | Some(0) => Err(Reason::TooLarge),
            Some(left) => {
                self.left = left;
                Ok(())
            }
        }
    }
}
