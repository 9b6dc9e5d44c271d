//! Turns: what requests for one key, and transactions, do when it is their turn.
//!
//! The order is that of age. After an entry whoever waits at a key that has become free is looked
//! at again, on every replica alike; an entry that frees nothing costs nothing here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::coordinator::{Record, Stage};
use super::queue::access;
use super::{Claim, TxnId, claims};
use crate::kv::command::{Key, Op, Request};
use crate::kv::session::Seen;
use crate::kv::transaction::Access;
use crate::machine::Applied;
use crate::replica::Answer;
use crate::shard::config::Configuration;
use crate::shard::ownership::Ownership;
use crate::shard::store::Shards;
use crate::types::{ConfigNum, ShardId};

impl Shards {
    /// Carries out, locks and refuses whatever can be by now.
    pub(in crate::shard) fn take_turns(&mut self, out: &mut Applied) {
        if std::mem::take(&mut self.transactions.due.everything) {
            self.line_up_anew(out);
        }
        // Each turn that frees something ends the wait of one transaction or the attempt of one
        // record, and none is begun and given up in the same step.
        let mut most = self.transactions.queue.len() + self.transactions.records.len();
        loop {
            if let Some(key) = self.transactions.due.keys.pop_first() {
                self.serve_requests_at(&key, out);
                let head = self.transactions.queue.head(&key);
                self.transactions.due.transactions.extend(head);
            } else if let Some(txn) = self.transactions.due.transactions.pop_first() {
                self.take_turn(txn, out);
                if !self.transactions.due.keys.is_empty() {
                    most = most.checked_sub(1).expect("fewer wait, or fewer hold, after each turn");
                }
            } else {
                break;
            }
        }
    }

    /// Carries out the requests for this key alone that need not wait any more. They lock nothing:
    /// they need only that nobody else does.
    fn serve_requests_at(&mut self, key: &Key, out: &mut Applied) {
        for request in self.transactions.queue.requests_at(key) {
            out.work += 1;
            if self.is_locked(&request.op) {
                continue;
            }
            self.transactions.queue.unstall(request.client);
            let shard = self.shard_of(key);
            let Some(machine) = self.serving_mut(shard) else { continue };
            if let Some(output) = machine.apply(&request) {
                out.answer(request.client, request.number, Answer::Done(output));
            }
        }
    }

    /// Lets a transaction whose turn it may be begin or vote. If it must wait, it wounds the
    /// younger ones that hold what it needs.
    fn take_turn(&mut self, txn: TxnId, out: &mut Applied) {
        let Some(claim) = self.transactions.queue.claim(txn).map(Arc::clone) else { return };
        out.work += claim.len();
        if let Some(record) = self.transactions.records.get(&txn)
            && self.is_past(txn, record)
        {
            // Another group has carried it out since, and answers, or the client has moved on.
            self.transactions.forget(txn);
            self.leave_queue(txn);
        } else if self.must_wait(txn, &claim) {
            self.wound_own(txn, out);
            self.say(txn, &mut out.said);
        } else {
            self.transactions.queue.remove(txn);
            match self.transactions.shares.get(&txn).cloned() {
                None => self.begin(txn, out),
                Some(share) => self.vote(&share, out),
            }
        }
    }

    /// Whether the session of a transaction has gone on without it.
    fn is_past(&self, txn: TxnId, record: &Record) -> bool {
        match self.ownership(self.home(record)) {
            Ownership::Serving(machine) => machine.seen(txn.client, txn.number) != Seen::Not,
            Ownership::Absent | Ownership::Awaiting { .. } | Ownership::Leaving { .. } => false,
        }
    }

    /// Lets a request for one key wait, which finds the key locked.
    pub(in crate::shard) fn stall(&mut self, request: &Request) {
        let left = self.transactions.queue.stall(request);
        self.transactions.due.keys.extend(left);
    }

    /// Whether an operation on one key must wait.
    pub(in crate::shard) fn is_locked(&self, op: &Op) -> bool {
        self.transactions.locks.deny(op.key(), access(op))
    }

    /// Lets a transaction wait for its turn, if it could have one by what the group owns. One that
    /// another group coordinates now is sent there.
    pub(super) fn line_up(&mut self, txn: TxnId, out: &mut Applied) {
        if let Some(record) = self.transactions.records.get(&txn)
            && let Stage::Waiting { .. } = record.stage
            && !self.is_to_serve(self.home(record))
        {
            self.transactions.forget(txn);
            out.answer(txn.client, txn.number, Answer::Elsewhere(self.config.num));
        } else if let Some(claim) = self.waits_for(txn) {
            self.transactions.queue.push(txn, claim);
            self.transactions.due.transactions.insert(txn);
        }
    }

    /// Whether the group serves a shard, or will when it has got all of it.
    fn is_to_serve(&self, shard: ShardId) -> bool {
        match self.ownership(shard) {
            Ownership::Serving(_) | Ownership::Awaiting { .. } => true,
            Ownership::Absent | Ownership::Leaving { .. } => false,
        }
    }

    /// Takes a transaction out of the lines, and looks at those behind it.
    pub(super) fn leave_queue(&mut self, txn: TxnId) {
        if let Some(claim) = self.transactions.queue.remove(txn) {
            self.transactions.due.free(&claim);
        }
    }

    /// Finds out anew which transactions wait for keys here and could have them: the group has
    /// other shards than before, or is about to.
    fn line_up_anew(&mut self, out: &mut Applied) {
        let transactions = self.transactions.clone();
        for txn in transactions.records.keys().chain(transactions.shares.keys()) {
            self.transactions.queue.remove(*txn);
            self.line_up(*txn, out);
        }
        self.transactions.due.keys.extend(transactions.queue.requested().cloned());
    }

    /// Keys that a transaction needs here, if it waits and could have them by what the group owns.
    fn waits_for(&self, txn: TxnId) -> Option<Arc<Claim>> {
        let claim = if let Some(record) = self.transactions.records.get(&txn) {
            let Stage::Waiting { from } = record.stage else { return None };
            let claim = claims(&record.transaction, &self.config).remove(&self.group);
            let claim = Arc::new(claim.unwrap_or_default());
            let is_served = matches!(self.ownership(self.home(record)), Ownership::Serving(_));
            (from <= self.config.num && is_served && !self.is_leaving(&claim)).then_some(claim)
        } else {
            let share = self.transactions.shares.get(&txn)?;
            (!share.prepared).then(|| Arc::clone(&share.claim))
        };
        claim.filter(|claim| self.serves(claim))
    }

    /// Whether somebody holds what a transaction needs, or has waited longer for it.
    fn must_wait(&self, txn: TxnId, claim: &Claim) -> bool {
        claim.iter().any(|(key, access)| {
            self.transactions.queue.is_reserved(key, *access, txn) || self.is_denied(key, *access)
        })
    }

    /// Whether somebody holds the key, or a request waits for it, so that this access must wait.
    fn is_denied(&self, key: &Key, access: Access) -> bool {
        self.transactions.locks.deny(key, access) || self.transactions.queue.is_wanted(key, access)
    }

    /// The younger transactions that hold what a waiting one needs, or what a request waits for
    /// that it waits behind.
    pub(super) fn younger_holders(&self, txn: TxnId) -> BTreeSet<TxnId> {
        let Some(claim) = self.transactions.queue.claim(txn) else { return BTreeSet::new() };
        let denied = claim.iter().filter(|(key, access)| self.is_denied(key, *access));
        let holders = denied.flat_map(|(key, _)| self.transactions.locks.holders(key));
        holders.filter(|holder| *holder > txn).collect()
    }

    /// Gives up the attempts of this group that hold what an older transaction waits for. None of
    /// them is decided: a coordinator's own keys are free when it has decided.
    fn wound_own(&mut self, txn: TxnId, out: &mut Applied) {
        for holder in self.younger_holders(txn) {
            if self.transactions.records.contains_key(&holder) {
                self.give_up(holder, Some(self.config.num), out);
            }
        }
    }

    /// Whether the group serves all the shards of these keys now.
    fn serves(&self, claim: &Claim) -> bool {
        claim
            .iter()
            .all(|(key, _)| matches!(self.ownership(self.shard_of(key)), Ownership::Serving(_)))
    }

    /// Whether one of these keys is of a shard that goes with the next configuration.
    pub(super) fn is_leaving(&self, claim: &Claim) -> bool {
        let Some(next) = &self.next else { return false };
        claim.iter().any(|(key, _)| self.leaves_with(next, key))
    }

    fn leaves_with(&self, next: &Configuration, key: &Key) -> bool {
        next.assignment.owner(self.shard_of(key)) != Some(self.group)
    }

    /// Whether the group must wait with a configuration: a key is locked whose shard leaves.
    pub(in crate::shard) fn must_wait_with(&self, next: &Configuration) -> bool {
        self.transactions.locks.iter().any(|(key, _)| self.leaves_with(next, key))
    }

    /// Makes way for the next configuration: the attempts that hold keys of shards which leave are
    /// given up, unless they are decided. Whatever they wait for, they would keep the configuration
    /// waiting for it, too.
    pub(in crate::shard) fn make_way(&mut self, next: ConfigNum, out: &mut Applied) {
        let transactions = self.transactions.clone();
        for (txn, record) in &transactions.records {
            if let Stage::Preparing { config, .. } = &record.stage {
                let own = claims(&record.transaction, config).remove(&self.group);
                if own.is_some_and(|own| self.is_leaving(&own)) {
                    self.give_up(*txn, Some(next), out);
                }
            }
        }
        for txn in transactions.shares.keys() {
            self.say(*txn, &mut out.said);
        }
    }

    /// Refuses the attempts that wait for keys which leave, or for keys under a configuration that
    /// is not this group's any more: they would wait in vain.
    pub(in crate::shard) fn refuse_attempts(&mut self, reached: ConfigNum, out: &mut Applied) {
        for share in self.transactions.shares.clone().values().filter(|share| !share.prepared) {
            if share.attempt.config < self.config.num || self.is_leaving(&share.claim) {
                self.refuse(share, reached, out);
            }
        }
    }
}
