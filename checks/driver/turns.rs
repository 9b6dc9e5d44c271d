//! Turns: how often a waiting transaction is overtaken by transactions that came later.
//!
//! Ages come from the clocks of the groups. If the clock of one group runs behind, its transactions
//! count as older than they are, and overtake those that wait elsewhere. Each group hears of the
//! other's clock with the first answer, so the number of those that overtake is bounded by what is
//! under way before it does: at most one transaction of each session, for each group.

use std::collections::BTreeMap;

use model::kv::command::Key;
use model::kv::transaction::{Access, Transaction};
use model::machine::Machine;
use model::replica::Command;
use model::shard::store::Shards;
use model::shard::txn::coordinator::Stage;
use model::shard::txn::{TxnId, claims};
use model::types::RequestId;
use model::violation::{Violation, demand};

use super::plan::Plan;
use super::referee::asked;

/// The transactions that wait.
pub struct Turns {
    /// The number of entries applied so far, which is the time of this count.
    now: u64,
    /// The times at which the transactions of each session were enlisted at a coordinator.
    enlisted: BTreeMap<(usize, RequestId), u64>,
    /// The transactions that wait, by the group where they wait.
    waiting: BTreeMap<(usize, TxnId), Waiting>,
    /// The largest number by which a transaction may be overtaken.
    bound: u64,
    plan: Plan,
}

/// A transaction that waits for keys of a group.
struct Waiting {
    since: u64,
    claim: Vec<(Key, Access)>,
    overtaken: u64,
}

impl Turns {
    /// The count of an episode.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            now: 0,
            enlisted: BTreeMap::new(),
            waiting: BTreeMap::new(),
            bound: 2 * u64::from(plan.sessions) * plan.shape.groups.len() as u64,
            plan: plan.clone(),
        }
    }

    /// A client has given up: its transaction stays under way beside the next one.
    pub fn on_given_up(&mut self) {
        self.bound += 1;
    }

    /// A group has applied a command.
    pub fn on_applied(&mut self, group: usize, machine: &Machine, command: &Command) {
        self.now += 1;
        let Machine::Group(shards) = machine else { return };
        if let (Some((client, number)), Some(_)) = (command.asked_by(), asked(command))
            && let Some(client) = super::world::session_of(&self.plan, client)
        {
            let now = self.now;
            self.enlisted.entry((client, number)).or_insert(now);
        }
        let waits = |(of, txn): &(usize, TxnId)| *of != group || is_waiting(shards, txn);
        self.waiting.retain(|waiter, _| waits(waiter));
        let transactions = &shards.transactions;
        for (txn, record) in &transactions.records {
            if let Stage::Waiting { .. } = record.stage {
                let claim = || claims(&record.transaction, &shards.config).remove(&shards.group);
                self.begin(group, *txn, || claim().unwrap_or_default());
            }
        }
        for (txn, share) in transactions.shares.iter().filter(|(_, share)| !share.prepared) {
            self.begin(group, *txn, || share.claim.to_vec());
        }
    }

    fn begin(&mut self, group: usize, txn: TxnId, claim: impl FnOnce() -> Vec<(Key, Access)>) {
        let since = self.now;
        let waiting = || Waiting { since, claim: claim(), overtaken: 0 };
        self.waiting.entry((group, txn)).or_insert_with(waiting);
    }

    /// A transaction has been carried out.
    ///
    /// # Errors
    /// If it is one too many that overtakes another.
    pub fn on_carried_out(
        &mut self,
        client: usize,
        number: RequestId,
        transaction: &Transaction,
    ) -> Result<(), Violation> {
        let Some(enlisted) = self.enlisted.get(&(client, number)) else { return Ok(()) };
        let accesses = transaction.accesses();
        for ((group, txn), waiting) in &mut self.waiting {
            let itself = super::world::session_of(&self.plan, txn.client) == Some(client);
            if waiting.since >= *enlisted || itself {
                continue;
            }
            let conflicts = |(key, access): &(Key, Access)| {
                let place = accesses.binary_search_by(|(other, _)| other.cmp(key));
                place.is_ok_and(|place| access.writes() || accesses[place].1.writes())
            };
            if waiting.claim.iter().any(conflicts) {
                waiting.overtaken += 1;
                demand("turns", waiting.overtaken <= self.bound, || {
                    let times = waiting.overtaken;
                    format!("{txn:?} waits at g{group} and is overtaken {times} times")
                })?;
            }
        }
        Ok(())
    }
}

fn is_waiting(shards: &Shards, txn: &TxnId) -> bool {
    let transactions = &shards.transactions;
    let record = transactions.records.get(txn);
    record.is_some_and(|record| matches!(record.stage, Stage::Waiting { .. }))
        || transactions.shares.get(txn).is_some_and(|share| !share.prepared)
}
