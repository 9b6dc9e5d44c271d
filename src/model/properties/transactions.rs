//! What is promised of transactions.
//!
//! That they take effect as one, at a moment between call and answer, `linearizability` says, for
//! the specification knows transactions. Here is what must hold inside for that.

use std::collections::BTreeMap;

use super::truth::{Truth, view_of_logs};
use super::{Holds, Property, Server, promise};
use crate::kv::command::Key;
use crate::kv::transaction::Access;
use crate::shard::store::Shards;
use crate::shard::txn::coordinator::Stage;
use crate::shard::txn::locks::Lock;
use crate::shard::txn::{Decision, TxnId, claims};
use crate::system::HostState;
use crate::violation::demand;

/// P14 to P16.
pub(super) const PROMISES: &[Property] = &[
    promise!(
        Hosts(view_of_logs),
        transaction_atomicity,
        "P14 A transaction is committed only if all have prepared it, and all hear the same."
    ),
    promise!(
        Hosts(view_of_logs),
        transaction_results,
        "P15 A transaction gives what it gives on the values that were found."
    ),
    promise!(
        Host,
        lock_safety,
        "P16 What a transaction reads or writes is its own from prepare to decision."
    ),
];

/// Each attempt has one outcome, which its coordinator has decided. It is committed only if each
/// participant has prepared it [Bernstein §7.1, atomic commitment].
pub fn transaction_atomicity(hosts: &[&HostState]) -> Holds {
    let Some(truth) = Truth::of(hosts) else { return Ok(()) };
    let mut decisions = BTreeMap::new();
    for decided in truth.groups.values() {
        for (attempt, told) in &decided.decisions {
            for (group, decision) in told {
                decisions.insert((*attempt, *group), decision);
                let prepared =
                    truth.groups.get(group).is_some_and(|g| g.prepared.contains(attempt));
                let aborted = matches!(decision, Decision::Abort);
                demand("transaction_atomicity", aborted || prepared, || {
                    format!("{attempt:?} is committed, and {group} has not prepared it")
                })?;
            }
        }
    }
    for (group, decided) in &truth.groups {
        for (attempt, heard) in &decided.settled {
            let told = decisions.get(&(*attempt, *group)).copied();
            demand("transaction_atomicity", told == Some(heard), || {
                format!("{group} has settled {attempt:?} as {heard:?}, decided is {told:?}")
            })?;
        }
    }
    Ok(())
}

/// The answer to a transaction is the specification's, on what its groups have found.
pub fn transaction_results(hosts: &[&HostState]) -> Holds {
    let Some(truth) = Truth::of(hosts) else { return Ok(()) };
    let mut wrong = truth.groups.values().flat_map(|decided| &decided.wrong);
    match wrong.next() {
        None => Ok(()),
        Some(wrong) => demand("transaction_results", false, || wrong.clone()),
    }
}

/// Who is between prepare and decision holds the keys that it needs, and nobody else does, unless
/// all of them only read [Bernstein §3.2].
pub fn lock_safety((_, server): Server<'_>) -> Holds {
    let Some(shards) = server.machine.shards() else { return Ok(()) };
    let mut held: BTreeMap<Key, BTreeMap<TxnId, Access>> = BTreeMap::new();
    for (txn, claim) in holders(shards) {
        for (key, access) in claim {
            held.entry(key).or_default().insert(txn, access);
        }
    }
    for (key, holders) in &held {
        let alone = holders.len() == 1 || holders.values().all(|access| !access.writes());
        demand("lock_safety", alone, || format!("{key:?} is held by {holders:?}"))?;
    }
    let locks = &shards.transactions.locks;
    let locked = locks.iter().map(|(key, lock)| {
        let holders: BTreeMap<TxnId, bool> = match lock {
            Lock::Shared(holders) => holders.iter().map(|txn| (*txn, false)).collect(),
            Lock::Exclusive(holder) => BTreeMap::from([(*holder, true)]),
        };
        (key.clone(), holders)
    });
    let needed = held.into_iter().map(|(key, holders)| {
        (key, holders.into_iter().map(|(txn, access)| (txn, access.writes())).collect())
    });
    let (locked, needed): (BTreeMap<_, _>, BTreeMap<_, BTreeMap<TxnId, bool>>) =
        (locked.collect(), needed.collect());
    demand("lock_safety", locked == needed, || format!("locked {locked:?}, needed {needed:?}"))
}

/// The transactions between prepare and decision, and what each needs here.
fn holders(shards: &Shards) -> Vec<(TxnId, Vec<(Key, Access)>)> {
    let coordinated = shards.transactions.records.iter().filter_map(|(txn, record)| {
        let Stage::Preparing { config, .. } = &record.stage else { return None };
        Some((*txn, claims(&record.transaction, config).remove(&shards.group)?))
    });
    let shares = shards.transactions.shares.iter().filter(|(_, share)| share.prepared);
    coordinated.chain(shares.map(|(txn, share)| (*txn, share.claim.to_vec()))).collect()
}
