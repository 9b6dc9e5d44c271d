//! Whose turn it is: requests for one key, and transactions, that wait for keys.
//!
//! There is no queue to be kept: who waits is known from what is recorded, and the order is that of
//! age. After every entry that may have freed something all of it is looked at again, on every
//! replica alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::coordinator::Stage;
use super::participant::Share;
use super::{Claim, Message, TxnId, claims};
use crate::kv::command::{Key, Op, Request};
use crate::kv::session::Seen;
use crate::kv::transaction::Access;
use crate::machine::Applied;
use crate::replica::Answer;
use crate::shard::config::Configuration;
use crate::shard::migration::Said;
use crate::shard::ownership::Ownership;
use crate::shard::store::Shards;
use crate::types::ConfigNum;

/// A transaction that waits for keys of the group.
struct Waiter {
    txn: TxnId,
    claim: Arc<Claim>,
    role: Role,
}

enum Role {
    Coordinator,
    Participant(Share),
}

/// What older transactions wait for: whether they write it.
type Reserved = BTreeMap<Key, bool>;

impl Shards {
    /// Carries out, locks and refuses whatever can be by now.
    pub(in crate::shard) fn serve_waiting(&mut self, out: &mut Applied) {
        while self.serve_once(out) {}
    }

    /// Looks at all that wait, once. Gives whether that has freed anything.
    fn serve_once(&mut self, out: &mut Applied) -> bool {
        self.serve_stalled(out);
        let mut reserved = Reserved::new();
        let mut freed = false;
        for waiter in self.waiters(out) {
            out.work += waiter.claim.len();
            if self.must_wait(&waiter.claim, &reserved) {
                freed |= self.wound_younger(&waiter, out);
                for (key, access) in waiter.claim.iter() {
                    *reserved.entry(key.clone()).or_default() |= access.writes();
                }
                continue;
            }
            match waiter.role {
                Role::Coordinator => self.begin(waiter.txn, out),
                Role::Participant(share) => self.vote(&share, out),
            }
        }
        freed
    }

    /// Requests for one key lock nothing: they need only that nobody else does.
    fn serve_stalled(&mut self, out: &mut Applied) {
        out.work += self.transactions.stalled.len();
        for (client, request) in self.transactions.stalled.clone() {
            if self.is_locked(&request.op) {
                continue;
            }
            self.transactions.stalled.remove(&client);
            let shard = self.shard_of(request.op.key());
            let Some(machine) = self.serving_mut(shard) else { continue };
            if let Some(output) = machine.apply(&request) {
                out.answer(client, request.number, Answer::Done(output));
            }
        }
    }

    /// A request for one key finds it locked.
    pub(in crate::shard) fn stall(&mut self, request: &Request) {
        // A client that asks for another thing has given up the last one.
        self.transactions.stalled.insert(request.client, request.clone());
    }

    /// Whether an operation on one key must wait.
    pub(in crate::shard) fn is_locked(&self, op: &Op) -> bool {
        self.transactions.locks.deny(op.key(), access(op))
    }

    /// The transactions that wait for keys here and could have them, the oldest first. Those that
    /// cannot any more are refused.
    fn waiters(&mut self, out: &mut Applied) -> Vec<Waiter> {
        let transactions = self.transactions.clone();
        let mut waiters = Vec::new();
        for (txn, record) in &transactions.records {
            let Stage::Waiting { from } = record.stage else { continue };
            let home = self.home(record);
            let seen = match self.ownership(home) {
                Ownership::Serving(machine) => machine.seen(txn.client, txn.number),
                Ownership::Awaiting { .. } => continue,
                Ownership::Absent | Ownership::Leaving { .. } => {
                    self.transactions.records.remove(txn);
                    out.answer(txn.client, txn.number, Answer::Elsewhere(self.config.num));
                    continue;
                }
            };
            if seen != Seen::Not {
                // Another group has carried it out since, and answers, or the client has moved on.
                self.transactions.records.remove(txn);
                continue;
            }
            out.work += 2 * record.transaction.steps().len(); // For its home and its claim.
            let claim = claims(&record.transaction, &self.config).remove(&self.group);
            let claim = Arc::new(claim.unwrap_or_default());
            if from <= self.config.num && self.serves(&claim) && !self.is_leaving(&claim) {
                waiters.push(Waiter { txn: *txn, claim, role: Role::Coordinator });
            }
        }
        for (txn, share) in transactions.shares.iter().filter(|(_, share)| !share.prepared) {
            if self.serves(&share.claim) {
                let (claim, role) = (Arc::clone(&share.claim), Role::Participant(share.clone()));
                waiters.push(Waiter { txn: *txn, claim, role });
            }
        }
        waiters.sort_unstable_by_key(|waiter| waiter.txn);
        waiters
    }

    /// Whether somebody holds what is claimed, or has waited longer for it.
    fn must_wait(&self, claim: &Claim, reserved: &Reserved) -> bool {
        claim.iter().any(|(key, access)| {
            let is_reserved = reserved.get(key).is_some_and(|writes| *writes || access.writes());
            is_reserved
                || self.transactions.locks.deny(key, *access)
                || self.is_wanted(key, *access)
        })
    }

    /// Whether a request for the key waits that this access would keep waiting.
    fn is_wanted(&self, key: &Key, by: Access) -> bool {
        self.transactions.stalled.values().any(|request| {
            let conflicts = by.writes() || access(&request.op).writes();
            request.op.key() == key && conflicts
        })
    }

    /// Makes those that hold what an older transaction waits for give it up, unless they are
    /// decided. Gives whether one has done so at once.
    fn wound_younger(&mut self, waiter: &Waiter, out: &mut Applied) -> bool {
        let mut freed = false;
        for txn in self.in_the_way(&waiter.claim).into_iter().filter(|txn| *txn > waiter.txn) {
            if self.transactions.records.contains_key(&txn) {
                self.give_up(txn, Some(self.config.num), out);
                freed = true;
            } else {
                self.say_wound(txn, &mut out.said);
            }
        }
        freed
    }

    /// Who holds what this claim waits for, or what a request waits for that this waits behind.
    fn in_the_way(&self, claim: &Claim) -> BTreeSet<TxnId> {
        let locks = &self.transactions.locks;
        let denied = |(key, access): &&(Key, Access)| {
            locks.deny(key, *access) || self.is_wanted(key, *access)
        };
        claim.iter().filter(denied).flat_map(|(key, _)| locks.holders(key)).collect()
    }

    fn say_wound(&self, txn: TxnId, said: &mut Said) {
        if let Some(share) = self.transactions.shares.get(&txn) {
            let message = Message::Wound { attempt: share.attempt };
            super::say(said, &share.coordinator, &message);
        }
    }

    /// What a leader says again of transactions: whatever was said may be lost.
    pub(in crate::shard) fn say_transactions_again(&self, said: &mut Said) {
        for (txn, record) in &self.transactions.records {
            match record.stage {
                Stage::Waiting { .. } => {}
                Stage::Preparing { .. } => self.ask_for_votes(*txn, said),
                Stage::Decided { .. } => self.tell_decision(*txn, said),
            }
        }
        let waiting = self.transactions.shares.iter().filter(|(_, share)| !share.prepared);
        for (txn, share) in waiting {
            for younger in self.in_the_way(&share.claim).into_iter().filter(|other| other > txn) {
                self.say_wound(younger, said);
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

/// What an operation on one key needs it for.
fn access(op: &Op) -> Access {
    match op {
        Op::Get(_) => Access::Read,
        Op::Put(..) | Op::Delete(_) => Access::Write,
        Op::Append(..) | Op::Cas { .. } | Op::Transaction(_) => Access::Update,
    }
}
