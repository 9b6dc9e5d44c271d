//! The order of each list's elements, and what no order of transactions explains.

use std::collections::{BTreeMap, BTreeSet};

use model::kv::command::Key;

use super::{Anomaly, Authors, Element, Micro, Transaction, authors};

/// What is known of the lists.
pub(super) struct Order {
    /// The longest that anybody has read.
    pub(super) lists: BTreeMap<Key, Vec<Element>>,
    /// Who has appended each element, and whether it was the last that he appended there.
    pub(super) authors: Authors,
}

/// Reads the order of the elements from the reads.
pub(super) fn order(transactions: &[Transaction<'_>]) -> Result<Order, Box<Anomaly>> {
    let authors = authors(transactions);
    let mut longest: BTreeMap<Key, (Vec<Element>, usize)> = BTreeMap::new();
    for (reader, transaction) in transactions.iter().enumerate() {
        is_consistent(transaction)?;
        for step in &transaction.steps {
            let Micro::Read(key, list) = step else { continue };
            are_right(transactions, transaction, reader, list, &authors)?;
            let (known, by) = longest.entry(key.clone()).or_default();
            let common = known.len().min(list.len());
            if known[..common] != list[..common] {
                let both = [*by, reader].map(|at| transactions[at].operation.clone());
                return Err(Anomaly::IncompatibleOrder(both.into(), key.clone()).into());
            }
            if list.len() > known.len() {
                (*known, *by) = (list.clone(), reader);
            }
        }
    }
    let lists = longest.into_iter().map(|(key, (list, _))| (key, list)).collect();
    Ok(Order { lists, authors })
}

/// Whether the elements of a list that was read are there once each, and may be there at all.
fn are_right(
    transactions: &[Transaction<'_>],
    transaction: &Transaction<'_>,
    reader: usize,
    list: &[Element],
    authors: &Authors,
) -> Result<(), Box<Anomaly>> {
    let operation = || transaction.operation.clone();
    let mut seen = BTreeSet::new();
    for element in list {
        if !seen.insert(element) {
            return Err(Anomaly::Duplicate(operation(), element.clone()).into());
        }
        let Some((author, _)) = authors.get(element) else {
            return Err(Anomaly::Garbage(operation(), element.clone()).into());
        };
        if transactions[*author].committed == Some(false) {
            return Err(Anomaly::AbortedRead(operation(), element.clone()).into());
        }
    }
    match list.last().and_then(|last| Some((last, authors.get(last)?))) {
        Some((last, (author, false))) if *author != reader => {
            Err(Anomaly::IntermediateRead(operation(), last.clone()).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a transaction sees its own appends and keeps to what it has read.
fn is_consistent(transaction: &Transaction<'_>) -> Result<(), Box<Anomaly>> {
    let mut expected: BTreeMap<&Key, Vec<Element>> = BTreeMap::new();
    let mut appended: BTreeMap<&Key, Vec<Element>> = BTreeMap::new();
    for step in &transaction.steps {
        match step {
            Micro::Append(element) => match expected.get_mut(&element.key) {
                Some(list) => list.push(element.clone()),
                None => appended.entry(&element.key).or_default().push(element.clone()),
            },
            Micro::Read(key, list) => {
                let right = match (expected.get(key), appended.get(key)) {
                    (Some(expected), _) => expected == list,
                    (None, Some(appended)) => list.ends_with(appended),
                    (None, None) => true,
                };
                if !right {
                    let operation = transaction.operation.clone();
                    return Err(Anomaly::Internal(operation, key.clone()).into());
                }
                expected.insert(key, list.clone());
            }
        }
    }
    Ok(())
}
