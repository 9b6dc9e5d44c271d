//! The bound of the work that an entry causes on every replica.

use model::limits::Limits;
use model::machine::Machine;
use model::replica::Command;
use model::shard::txn::Transactions;
use model::violation::{Violation, demand};

use super::referee::asked;

/// The work that any entry may cause.
const BASE: usize = 1_000;

/// The work that an entry may cause for each transaction and request that waits or is open: its
/// keys may be looked at, but not its steps.
const OPEN: usize = 2_000;

/// The work that an entry may cause for each step of a transaction that it begins or ends.
const STEP: usize = 8;

/// Demands that applying a command has not caused more work than its bound.
///
/// # Errors
/// If it has.
pub fn demand_bound(
    before: &Machine,
    after: &Machine,
    command: &Command,
    work: usize,
    limits: &Limits,
) -> Result<(), Violation> {
    let (Some(before), Some(after)) = (before.shards(), after.shards()) else { return Ok(()) };
    let (before, after) = (&before.transactions, &after.transactions);
    let own = asked(command).map_or(0, |transaction| whole(transaction.steps().len(), limits));
    let touched: usize = before
        .records
        .iter()
        .chain(&after.records)
        .filter(|(txn, record)| {
            let other = (before.records.get(txn), after.records.get(txn));
            other != (Some(record), Some(record))
        })
        .map(|(_, record)| whole(record.transaction.steps().len(), limits))
        .sum();
    let bound = BASE + OPEN * (open(before) + open(after)) + own + touched;
    demand("work_per_entry", work <= bound, || {
        let mut words = format!("{command:?}");
        words.truncate(words.floor_char_boundary(200));
        format!("{work} steps, keys and bytes were looked at, the bound is {bound}: {words}")
    })
}

/// The work of beginning a transaction of so many steps and carrying it out.
fn whole(steps: usize, limits: &Limits) -> usize {
    STEP * steps + 2 * limits.work
}

/// The number of transactions and requests that wait or are open.
fn open(transactions: &Transactions) -> usize {
    transactions.open() + transactions.queue.requests().count()
}
