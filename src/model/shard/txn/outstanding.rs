//! Outstanding: what other groups have yet to hear about a transaction.
//!
//! All of it follows from what is recorded, and is found in this one place: when something changes
//! and when a leader says everything again, since whatever was said may be lost. Votes and
//! acknowledgements are answers: a participant gives them whenever it is asked.

use std::sync::Arc;

use super::coordinator::{Record, Stage};
use super::{Message, TxnId, claims};
use crate::shard::config::{Configuration, Servers};
use crate::shard::migration::Said;
use crate::shard::store::Shards;

impl Shards {
    /// What a leader says again of transactions.
    pub(in crate::shard) fn say_transactions_again(&self, said: &mut Said) {
        let transactions = &self.transactions;
        for txn in transactions.records.keys().chain(transactions.shares.keys()) {
            self.say(*txn, said);
        }
    }

    /// Says what other groups have yet to hear about a transaction, as far as this one knows: its
    /// participants what they are asked or told, and the coordinators of younger ones that it waits
    /// for these.
    pub(super) fn say(&self, txn: TxnId, said: &mut Said) {
        if let Some(record) = self.transactions.records.get(&txn) {
            self.say_to_participants(txn, record, said);
        }
        for younger in self.younger_holders(txn) {
            if let Some(share) = self.transactions.shares.get(&younger) {
                let message = Message::Wound { attempt: share.attempt };
                super::say(said, &share.coordinator, &message);
            }
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

    /// This group's own servers, as a configuration names them.
    fn servers_under(&self, config: &Configuration) -> Servers {
        config.groups.get(&self.group).cloned().unwrap_or_else(|| Servers::from_iter([]))
    }
}
