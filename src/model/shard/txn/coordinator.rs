//! The coordinator's side: the group that owns a transaction's first key.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use im::OrdMap;

use super::{Attempt, Claim, Contents, Decision, Entry, Message, TxnId, Vote, claims};
use crate::kv::command::{Key, Output, Request, Value};
use crate::kv::session::Seen;
use crate::kv::transaction::{Carried, Reason, Refusal, Transaction};
use crate::machine::Applied;
use crate::replica::Answer;
use crate::shard::config::Configuration;
use crate::shard::store::Shards;
use crate::types::{ConfigNum, GroupId, NodeId, ShardId};

/// A transaction that the group coordinates.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Record {
    /// What is to be done.
    pub transaction: Arc<Transaction>,
    /// How many attempts have begun.
    pub count: u32,
    /// How far the last one is.
    pub stage: Stage,
}

/// How far an attempt is. What holds for a stage only lies inside it.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// There is none. The next one waits for its turn, and for this configuration.
    Waiting {
        /// The first one under which it may begin.
        from: ConfigNum,
    },
    /// The group's own keys are locked, and the others are asked.
    Preparing {
        /// The configuration that says who owns the keys.
        config: Arc<Configuration>,
        /// What those who have voted have found.
        votes: OrdMap<GroupId, Arc<Contents>>,
    },
    /// It is decided. The group's own keys are free, and the others are told.
    Decided {
        /// The configuration that said who owned the keys.
        config: Arc<Configuration>,
        /// The participants that have not acknowledged it, and what each is told.
        open: OrdMap<GroupId, Decision>,
        /// If there shall be another attempt, the first configuration under which it may begin.
        retry: Option<ConfigNum>,
    },
}

impl Record {
    /// The attempt that is alive, and the configuration that it was made under.
    pub(super) fn attempt(&self, txn: TxnId) -> Option<(Attempt, &Arc<Configuration>)> {
        match &self.stage {
            Stage::Waiting { .. } => None,
            Stage::Preparing { config, .. } | Stage::Decided { config, .. } => {
                Some((Attempt { txn, config: config.num, count: self.count }, config))
            }
        }
    }
}

impl Shards {
    /// What a coordinator's leader logs when a participant has voted.
    pub(super) fn on_vote(
        &self,
        from: NodeId,
        attempt: Attempt,
        vote: Vote,
        clock: u64,
    ) -> Option<Reaction> {
        let (record, group) = self.participant(from, attempt)?;
        match &record.stage {
            Stage::Preparing { votes, .. } if !votes.contains_key(&group) => {
                Some(Reaction::Log(Entry::Vote { attempt, group, vote, clock }))
            }
            // It is known, or too late: who has voted hears what is decided.
            Stage::Preparing { .. } | Stage::Waiting { .. } | Stage::Decided { .. } => None,
        }
    }

    /// The same when an older transaction is waiting for the attempt.
    pub(super) fn on_wound(&self, attempt: Attempt) -> Option<Reaction> {
        match self.alive(attempt)?.stage {
            Stage::Preparing { .. } => Some(Reaction::Log(Entry::Wound { attempt })),
            Stage::Waiting { .. } | Stage::Decided { .. } => None, // It soon holds nothing.
        }
    }

    /// The same when a participant has done as it was told.
    pub(super) fn on_settled(&self, from: NodeId, attempt: Attempt) -> Option<Reaction> {
        let (record, group) = self.participant(from, attempt)?;
        match &record.stage {
            Stage::Decided { open, .. } if open.contains_key(&group) => {
                Some(Reaction::Log(Entry::Settled { attempt, group }))
            }
            Stage::Decided { .. } | Stage::Waiting { .. } | Stage::Preparing { .. } => None,
        }
    }

    /// The record of an attempt that is alive.
    fn alive(&self, attempt: Attempt) -> Option<&Record> {
        let record = self.transactions.records.get(&attempt.txn)?;
        let (alive, _) = record.attempt(attempt.txn)?;
        (alive == attempt).then_some(record)
    }

    /// The record of an attempt that is alive, and which of its participants a server belongs to.
    fn participant(&self, server: NodeId, attempt: Attempt) -> Option<(&Record, GroupId)> {
        let record = self.alive(attempt)?;
        let (_, config) = record.attempt(attempt.txn)?;
        let mut groups = claims(&record.transaction, config).into_keys();
        let is_its = |group: &GroupId| config.groups.get(group).is_some_and(|s| s.contains(server));
        let group = groups.find(is_its).filter(|group| *group != self.group)?;
        Some((record, group))
    }

    /// A request for a transaction is committed, and has not been carried out.
    pub(in crate::shard) fn enlist(
        &mut self,
        request: &Request,
        transaction: &Arc<Transaction>,
        out: &mut Applied,
    ) {
        let Request { client, number, .. } = *request;
        if self.transactions.has_in_hand(client, number) {
            return;
        }
        self.transactions.clock += 1;
        let (age, coordinator) = (self.transactions.clock, self.group);
        let txn = TxnId { age, coordinator, client, number };
        let stage = Stage::Waiting { from: ConfigNum::default() };
        let record = Record { transaction: Arc::clone(transaction), count: 0, stage };
        self.transactions.records.insert(txn, record);
        self.transactions.in_hand.insert((client, number));
        self.line_up(txn, out);
    }

    /// The next attempt begins: what the group itself owns of the keys is free.
    pub(super) fn begin(&mut self, txn: TxnId, out: &mut Applied) {
        let mut record = self.transactions.records[&txn].clone();
        let config = Arc::clone(&self.config);
        let mut claims = claims(&record.transaction, &config);
        out.work += record.transaction.accesses().len();
        let own = claims.remove(&self.group).unwrap_or_default();
        record.count += 1;
        record.stage = Stage::Preparing { config, votes: OrdMap::new() };
        self.transactions.locks.take(txn, &own);
        self.transactions.records.insert(txn, record);
        if claims.is_empty() {
            self.decide(txn, out);
        } else {
            self.say(txn, &mut out.said);
        }
    }

    /// A participant has voted, at this time by its clock. Whoever waits there is of that time or
    /// older, so what this group coordinates from now on does not overtake it.
    pub(super) fn count_vote(
        &mut self,
        attempt: Attempt,
        group: GroupId,
        (vote, clock): (&Vote, u64),
        out: &mut Applied,
    ) {
        let txn = attempt.txn;
        let Some(record) = self.alive(attempt) else { return };
        let Stage::Preparing { config, votes } = &record.stage else { return };
        let (record, config, votes) = (record.clone(), Arc::clone(config), votes.clone());
        self.transactions.clock = self.transactions.clock.max(clock);
        match vote {
            Vote::Yes(found) => {
                let votes = votes.update(group, Arc::clone(found));
                let others = claims(&record.transaction, &config).len() - 1;
                let all = votes.len() == others;
                let record = Record { stage: Stage::Preparing { config, votes }, ..record };
                self.transactions.records.insert(txn, record);
                if all {
                    self.decide(txn, out);
                }
            }
            Vote::No(reached) => self.give_up(txn, Some(*reached), out),
            Vote::Late => self.give_up(txn, None, out),
            Vote::TooLarge => {
                let refusal = Refusal { step: 0, reason: Reason::TooLarge };
                self.conclude(txn, Output::Rejected(refusal), out);
                self.give_up(txn, None, out);
            }
        }
    }

    /// An older transaction needs what the attempt has locked.
    pub(super) fn wound(&mut self, attempt: Attempt, out: &mut Applied) {
        if let Some(Stage::Preparing { .. }) = self.alive(attempt).map(|record| &record.stage) {
            self.give_up(attempt.txn, Some(attempt.config), out);
        }
    }

    /// A participant has done as it was told.
    pub(super) fn count_settled(&mut self, attempt: Attempt, group: GroupId, out: &mut Applied) {
        let Some(record) = self.alive(attempt) else { return };
        let Stage::Decided { config, open, retry } = &record.stage else { return };
        let (config, open, retry) = (Arc::clone(config), open.without(&group), *retry);
        let stage = Stage::Decided { config, open, retry };
        let record = Record { stage, ..record.clone() };
        self.transactions.records.insert(attempt.txn, record);
        self.forget_if_settled(attempt.txn, out);
    }

    /// Everybody has voted yes: the transaction is carried out, or refused for good.
    fn decide(&mut self, txn: TxnId, out: &mut Applied) {
        let Record { transaction, stage, .. } = &self.transactions.records[&txn];
        let Stage::Preparing { votes, .. } = stage else { unreachable!("it is being prepared") };
        let found = votes.values().flat_map(|found| found.iter());
        let found: BTreeMap<&Key, &Option<Value>> = found.map(|(key, v)| (key, v)).collect();
        let read = |key: &Key| match found.get(key) {
            Some(value) => (*value).clone(),
            None => self.value(key),
        };
        let (carried, work) = transaction.carry_out(&self.limits, read);
        out.work += work;
        match carried {
            Ok(Carried { values, writes }) => {
                if self.conclude(txn, Output::Committed(values.into()), out) {
                    self.end_attempt(txn, Some(&writes), None, out);
                } else {
                    self.give_up(txn, None, out);
                }
            }
            Err(refusal) => {
                self.conclude(txn, Output::Rejected(refusal), out);
                self.give_up(txn, None, out);
            }
        }
    }

    /// The attempt comes to nothing. If there is to be another, it begins under this configuration
    /// at the earliest.
    pub(super) fn give_up(&mut self, txn: TxnId, retry: Option<ConfigNum>, out: &mut Applied) {
        self.end_attempt(txn, None, retry, out);
    }

    /// Remembers the result of a transaction and answers, unless the client has moved on. Then it
    /// is too late to carry it out.
    fn conclude(&mut self, txn: TxnId, output: Output, out: &mut Applied) -> bool {
        let home = self.home(&self.transactions.records[&txn]);
        let Some(machine) = self.serving_mut(home) else { return false };
        match machine.seen(txn.client, txn.number) {
            Seen::Not => {
                machine.sessions.record(txn.client, txn.number, output.clone());
                out.answer(txn.client, txn.number, Answer::Done(output));
                true
            }
            Seen::Last(_) | Seen::Older => false,
        }
    }

    /// What is decided takes effect here, and the others are told.
    fn end_attempt(
        &mut self,
        txn: TxnId,
        writes: Option<&BTreeMap<Key, Option<Value>>>,
        retry: Option<ConfigNum>,
        out: &mut Applied,
    ) {
        let record = self.transactions.records[&txn].clone();
        let Stage::Preparing { config, .. } = &record.stage else { return };
        let mut claims = claims(&record.transaction, config);
        out.work += record.transaction.accesses().len();
        let own = claims.remove(&self.group).unwrap_or_default();
        if let Some(writes) = writes {
            self.write(&written(&own, writes));
        }
        self.transactions.release(txn, &own);
        let decision = |claim: &Claim| match writes {
            Some(writes) => Decision::Commit(Arc::new(written(claim, writes))),
            None => Decision::Abort,
        };
        let open = claims.iter().map(|(group, claim)| (*group, decision(claim))).collect();
        let stage = Stage::Decided { config: Arc::clone(config), open, retry };
        self.transactions.records.insert(txn, Record { stage, ..record });
        self.say(txn, &mut out.said);
        self.forget_if_settled(txn, out);
    }

    /// When all have acknowledged a decision there is nothing left of the attempt.
    fn forget_if_settled(&mut self, txn: TxnId, out: &mut Applied) {
        let record = &self.transactions.records[&txn];
        let Stage::Decided { open, retry, .. } = &record.stage else { return };
        if !open.is_empty() {
            return;
        }
        match *retry {
            Some(from) => {
                let record = Record { stage: Stage::Waiting { from }, ..record.clone() };
                self.transactions.records.insert(txn, record);
                self.line_up(txn, out);
            }
            None => self.transactions.forget(txn),
        }
    }

    /// The shard that remembers what has become of a transaction.
    pub(super) fn home(&self, record: &Record) -> ShardId {
        self.shard_of(record.transaction.first_key())
    }
}

/// What a leader does about a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reaction {
    /// It answers.
    Answer(Message),
    /// It logs an entry.
    Log(Entry),
}

/// What is written to the keys of one group.
fn written(claim: &Claim, writes: &BTreeMap<Key, Option<Value>>) -> Contents {
    let its = claim.iter().filter_map(|(key, _)| writes.get_key_value(key));
    its.map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Debug for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} attempt {} {:?}", self.transaction, self.count, self.stage)
    }
}

impl Debug for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { from } => write!(f, "waiting from {from}"),
            Self::Preparing { config, votes } => {
                write!(f, "preparing under {} votes {votes:?}", config.num)
            }
            Self::Decided { config, open, retry } => {
                write!(f, "decided under {} open {open:?} retry {retry:?}", config.num)
            }
        }
    }
}
