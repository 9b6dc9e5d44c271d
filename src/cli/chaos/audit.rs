//! Whether what the transactions of a [`ledger`] were told fits together.

use std::collections::BTreeSet;

use checks::recorded::cycles::{self, Judged};
use checks::recorded::{Knowledge, Recorded};
use model::history::Operation;
use model::kv::command::{Key, Op, Output, Value};
use model::kv::transaction::Step;
use serde::Serialize;

use super::ledger;

/// What has become of the transactions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Transactions {
    /// How many were carried out.
    pub(super) committed: usize,
    /// Of them, by several groups together.
    pub(super) across_groups: usize,
    /// How many were refused by a check.
    pub(super) rejected: usize,
    /// How often one operation on lists was seen to come before another.
    pub(super) links: usize,
}

impl Transactions {
    /// Judges what the clients were told; complains of what does not fit together.
    pub(super) fn audit(history: &[Recorded]) -> (Self, Vec<String>) {
        let (mut transactions, mut complaints) = (Self::default(), Vec::new());
        let of_lists: Vec<_> = history.iter().filter(|r| on_lists(r)).cloned().collect();
        match cycles::judge(&of_lists) {
            Ok(Judged { links, .. }) => transactions.links = links,
            Err(anomaly) => complaints.push(format!("not strictly serializable: {anomaly}")),
        }
        for recorded in history.iter().filter(|r| r.operation.op.transaction().is_some()) {
            match recorded.known() {
                Knowledge::Done(Output::Committed(values)) => {
                    transactions.committed += 1;
                    complaints.extend(complaint(&recorded.operation, values));
                }
                Knowledge::Done(_) => transactions.rejected += 1,
                Knowledge::NotDone | Knowledge::Unknown => {}
            }
        }
        (transactions, complaints)
    }
}

fn on_lists(recorded: &Recorded) -> bool {
    ledger::is_list(recorded.operation.op.key())
}

/// What is wrong with what a transaction has read.
fn complaint(operation: &Operation, values: &[Option<Value>]) -> Option<String> {
    let read = keys_read(&operation.op);
    if read.len() == ledger::accounts().len() && read == ledger::accounts().iter().collect() {
        let numbers: Option<Vec<i64>> = values.iter().map(number).collect();
        let sum = numbers.map(|numbers| numbers.iter().sum::<i64>());
        let unopened = values.iter().all(Option::is_none);
        let right = unopened || sum == Some(ledger::total());
        return (!right).then(|| format!("{} in all accounts: {operation}", ledger::total()));
    }
    let of_pair = read.len() == 2 && read.iter().all(|key| ledger::is_of_pair(key));
    let both = of_pair && values.iter().all(Option::is_some);
    both.then(|| format!("both of a pair are there (write skew): {operation}"))
}

fn keys_read(op: &Op) -> BTreeSet<&Key> {
    let steps = op.transaction().map_or(&[][..], |transaction| transaction.steps());
    let read = steps.iter().filter_map(|step| match step {
        Step::Get(key) => Some(key),
        Step::Check(..)
        | Step::Put(..)
        | Step::Append(..)
        | Step::Add(..)
        | Step::Delete(_)
        | Step::Swap(..) => None,
    });
    read.collect()
}

fn number(value: &Option<Value>) -> Option<i64> {
    std::str::from_utf8(&value.as_ref()?.0).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use model::kv::transaction::Transaction;
    use model::types::{ClientId, RequestId};

    use super::*;

    fn read(keys: Vec<Key>, values: &[Option<&str>]) -> Recorded {
        let steps: Vec<_> = keys.into_iter().map(Step::Get).collect();
        let op = Op::Transaction(Transaction::try_from(steps).unwrap().into());
        let values: Vec<_> = values.iter().map(|value| value.map(Value::from)).collect();
        let output = Some(Output::Committed(values.into()));
        let operation = Operation { client: ClientId(1), call: 0, ret: Some(1), op, output };
        Recorded { number: RequestId(1), operation, until: 1 }
    }

    fn complaints(recorded: Recorded) -> usize {
        Transactions::audit(&[recorded]).1.len()
    }

    #[test]
    fn the_sum_of_all_accounts_is_known() {
        let mut values = [Some("100"); 8];
        assert_eq!(complaints(read(ledger::accounts(), &values)), 0);
        assert_eq!(complaints(read(ledger::accounts(), &[None; 8])), 0, "not opened");
        (values[0], values[7]) = (Some("40"), Some("160"));
        assert_eq!(complaints(read(ledger::accounts(), &values)), 0);
        values[7] = Some("100");
        assert_eq!(complaints(read(ledger::accounts(), &values)), 1);
        values[7] = None;
        assert_eq!(complaints(read(ledger::accounts(), &values)), 1);
    }

    #[test]
    fn only_one_of_a_pair_is_there() {
        let pair = || ["pair-0-1-left", "pair-0-1-right"].map(Key::from).to_vec();
        assert_eq!(complaints(read(pair(), &[Some("there"), None])), 0);
        assert_eq!(complaints(read(pair(), &[Some("there"); 2])), 1);
    }

    #[test]
    fn lists_have_an_order() {
        let list = || vec![Key::from("list-0-0")];
        assert_eq!(complaints(read(list(), &[None])), 0);
        assert_eq!(complaints(read(list(), &[Some("c1.1;")])), 1, "nobody has appended it");
    }
}
