//! Outstanding: what other groups have yet to hear about a transaction.
//!
//! All of it follows from what is recorded, and is found in this one place: when something changes
//! and when a leader says everything again, since whatever was said may be lost. Votes and
//! acknowledgements are answers: a participant gives them whenever it is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::coordinator::{Record, Stage};
use super::{Message, TxnId, claims};
use crate::shard::config::{Configuration, Servers};
use crate::shard::migration::Said;
use crate::shard::store::Shards;
use crate::types::GroupId;

impl Shards {
    /// Other groups without which this one can not end its transactions or let go of its shards.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<GroupId> {
        let mut needed = BTreeSet::new();
        for record in self.transactions.records.values() {
            match &record.stage {
                Stage::Waiting { .. } => {}
                Stage::Preparing { config, .. } => {
                    needed.extend(claims(&record.transaction, config).into_keys());
                }
                Stage::Decided { open, .. } => needed.extend(open.keys().copied()),
            }
        }
        needed.extend(self.transactions.shares.keys().map(|txn| txn.coordinator));
        needed.extend(self.iter().filter_map(|(_, ownership)| ownership.goes_to()));
        needed.remove(&self.group);
        needed
    }

    /// Says again everything about transactions that other groups have yet to hear.
    pub(in crate::shard) fn say_transactions_again(&self, said: &mut Said) {
        let transactions = &self.transactions;
        for txn in transactions.records.keys().chain(transactions.shares.keys()) {
            self.say(*txn, said);
        }
    }

    /// Says what other groups have yet to hear about a transaction: its participants hear what they
    /// are asked or told, its coordinator hears that it is in the way of a configuration, and the
    /// coordinators of younger ones hear that these are in its way.
    pub(super) fn say(&self, txn: TxnId, said: &mut Said) {
        if let Some(record) = self.transactions.records.get(&txn) {
            self.say_to_participants(txn, record, said);
        }
        let mut in_the_way = self.younger_holders(txn);
        if let Some(share) = self.transactions.shares.get(&txn)
            && share.prepared
            && self.is_leaving(&share.claim)
        {
            in_the_way.insert(txn);
        }
        for share in in_the_way.iter().filter_map(|txn| self.transactions.shares.get(txn)) {
            super::say(said, &share.coordinator, &Message::Wound { attempt: share.attempt });
        }
    }

    fn say_to_participants(&self, txn: TxnId, record: &Record, said: &mut Said) {
        let Some((attempt, config)) = record.attempt(txn) else { return };
        match &record.stage {
            Stage::Waiting { .. } => {}
            Stage::Preparing { votes, .. } => {
                for (group, claim) in claims(&record.transaction, config) {
                    if group != self.group && !votes.contains_key(&group) {
                        let (coordinator, claim) = (self.servers_under(config), Arc::new(claim));
                        let message = Message::Prepare { attempt, coordinator, claim };
                        super::say(said, &config.groups[&group], &message);
                    }
                }
            }
            Stage::Decided { open, .. } => {
                for (group, decision) in open {
                    let (coordinator, decision) = (self.servers_under(config), decision.clone());
                    let message = Message::Decide { attempt, coordinator, decision };
                    super::say(said, &config.groups[group], &message);
                }
            }
        }
    }

    /// Servers of this group, as a configuration names them.
    fn servers_under(&self, config: &Configuration) -> Servers {
        config.groups.get(&self.group).cloned().unwrap_or_else(|| Servers::from_iter([]))
    }
}
