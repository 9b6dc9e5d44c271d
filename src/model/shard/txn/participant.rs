//! The participant's side: a group that owns keys of a transaction that another one coordinates.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use super::coordinator::Reaction;
use super::{Attempt, Claim, Contents, Decision, Entry, Message, Vote};
use crate::machine::Applied;
use crate::shard::config::Servers;
use crate::shard::store::Shards;
use crate::size;
use crate::types::{ConfigNum, RequestId};

/// What a group has to do with an attempt of another.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Share {
    /// The attempt.
    pub attempt: Attempt,
    /// The servers of its coordinator.
    pub coordinator: Servers,
    /// The keys that it needs.
    pub claim: Arc<Claim>,
    /// Whether it has them, until the decision. Else it waits.
    pub prepared: bool,
}

/// The last attempt of a client that is settled here. Neither it nor an earlier one may begin
/// again. A later configuration does as well: it refuses them all.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fence {
    number: RequestId,
    config: ConfigNum,
    count: u32,
}

impl Fence {
    fn of(attempt: Attempt) -> Self {
        Self { number: attempt.txn.number, config: attempt.config, count: attempt.count }
    }
}

impl Shards {
    /// What a participant's leader logs, or answers, when it is asked for locks.
    pub(super) fn on_prepare(
        &self,
        attempt: Attempt,
        coordinator: Servers,
        claim: Arc<Claim>,
    ) -> Option<Reaction> {
        if attempt.config > self.config.num {
            return None; // It will be asked again.
        }
        let vote = match self.share(attempt) {
            Some(share) if share.prepared => Vote::Yes(Arc::new(self.found(&share.claim))),
            Some(_) => return None, // It waits.
            // The end of an attempt of another coordinator is on its way.
            None if self.transactions.shares.contains_key(&attempt.txn) => return None,
            None => match self.refuses(attempt, &claim)? {
                Ok(()) => {
                    return Some(Reaction::Log(Entry::Prepare { attempt, coordinator, claim }));
                }
                Err(vote) => vote,
            },
        };
        Some(Reaction::Answer(self.ballot(attempt, vote)))
    }

    /// The same when it is told a decision.
    pub(super) fn on_decide(
        &self,
        attempt: Attempt,
        coordinator: Servers,
        decision: Decision,
    ) -> Option<Reaction> {
        match (self.share(attempt), &decision) {
            (None, _) if self.is_settled_here(attempt) => {
                Some(Reaction::Answer(Message::Settled { attempt }))
            }
            (Some(Share { prepared: true, .. }), _) | (_, Decision::Abort) => {
                Some(Reaction::Log(Entry::Decide { attempt, coordinator, decision }))
            }
            (Some(_) | None, Decision::Commit(_)) => None, // Nobody commits what is not prepared.
        }
    }

    fn share(&self, attempt: Attempt) -> Option<&Share> {
        let share = self.transactions.shares.get(&attempt.txn)?;
        (share.attempt == attempt).then_some(share)
    }

    /// Whether an attempt is over here: it can never begin.
    fn is_settled_here(&self, attempt: Attempt) -> bool {
        let fence = self.transactions.fences.get(&attempt.txn.client);
        attempt.config < self.config.num || fence.is_some_and(|fence| *fence >= Fence::of(attempt))
    }

    /// Whether an attempt that is not known here is refused, and how; `None` if nobody waits for
    /// the answer.
    fn refuses(&self, attempt: Attempt, claim: &Claim) -> Option<Result<(), Vote>> {
        if attempt.config < self.config.num {
            return Some(Err(Vote::No(self.config.num)));
        }
        if let Some(fence) = self.transactions.fences.get(&attempt.txn.client)
            && *fence >= Fence::of(attempt)
        {
            return (fence.number > attempt.txn.number).then_some(Err(Vote::Late));
        }
        match &self.next {
            Some(next) if self.is_leaving(claim) => Some(Err(Vote::No(next.num))),
            Some(_) | None => Some(Ok(())),
        }
    }

    /// A group asks for locks.
    pub(super) fn prepare(
        &mut self,
        attempt: Attempt,
        coordinator: &Servers,
        claim: &Arc<Claim>,
        out: &mut Applied,
    ) {
        if self.transactions.shares.contains_key(&attempt.txn) {
            return;
        }
        match self.refuses(attempt, claim) {
            Some(Ok(())) => {
                let (coordinator, claim) = (coordinator.clone(), Arc::clone(claim));
                let share = Share { attempt, coordinator, claim, prepared: false };
                self.transactions.clock = self.transactions.clock.max(attempt.txn.age);
                self.transactions.shares.insert(attempt.txn, share);
                self.line_up(attempt.txn, out);
            }
            Some(Err(vote)) => {
                super::say(&mut out.said, coordinator, &self.ballot(attempt, vote));
            }
            None => {}
        }
    }

    /// The keys are free: the group votes.
    pub(super) fn vote(&mut self, share: &Share, out: &mut Applied) {
        let attempt = share.attempt;
        let found = self.found(&share.claim);
        let length: usize = found.iter().map(size::of).sum();
        let vote = if length > self.limits.work {
            self.transactions.shares.remove(&attempt.txn);
            self.transactions.due.free(&share.claim);
            Vote::TooLarge
        } else {
            self.transactions.locks.take(attempt.txn, &share.claim);
            let prepared = Share { prepared: true, ..share.clone() };
            self.transactions.shares.insert(attempt.txn, prepared);
            Vote::Yes(Arc::new(found))
        };
        super::say(&mut out.said, &share.coordinator, &self.ballot(attempt, vote));
    }

    /// The group refuses an attempt that has been waiting.
    pub(super) fn refuse(&mut self, share: &Share, reached: ConfigNum, out: &mut Applied) {
        let attempt = share.attempt;
        self.transactions.shares.remove(&attempt.txn);
        self.leave_queue(attempt.txn);
        let vote = Vote::No(reached);
        super::say(&mut out.said, &share.coordinator, &self.ballot(attempt, vote));
    }

    /// The coordinator has decided.
    pub(super) fn settle(
        &mut self,
        attempt: Attempt,
        coordinator: &Servers,
        decision: &Decision,
        out: &mut Applied,
    ) {
        if let Some(share) = self.share(attempt).cloned() {
            if share.prepared {
                if let Decision::Commit(writes) = decision {
                    self.write(writes);
                }
                self.transactions.release(attempt.txn, &share.claim);
            }
            self.transactions.shares.remove(&attempt.txn);
            self.leave_queue(attempt.txn);
        }
        let fence = Fence::of(attempt);
        let before = self.transactions.fences.get(&attempt.txn.client);
        if attempt.config >= self.config.num && before.is_none_or(|before| *before < fence) {
            self.transactions.fences.insert(attempt.txn.client, fence);
        }
        super::say(&mut out.said, coordinator, &Message::Settled { attempt });
    }

    fn ballot(&self, attempt: Attempt, vote: Vote) -> Message {
        Message::Vote { attempt, vote, clock: self.transactions.clock }
    }

    /// What is under the keys of a claim that are read.
    fn found(&self, claim: &Claim) -> Contents {
        let read = claim.iter().filter(|(_, access)| access.reads());
        read.map(|(key, _)| (key.clone(), self.value(key))).collect()
    }

    /// Fences that a configuration makes needless.
    pub(in crate::shard) fn drop_fences(&mut self) {
        let fences = std::mem::take(&mut self.transactions.fences);
        let still = |(_, fence): &(_, Fence)| fence.config >= self.config.num;
        self.transactions.fences = fences.into_iter().filter(still).collect();
    }
}

impl Debug for Share {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = if self.prepared { "prepared" } else { "waiting" };
        write!(f, "{state} {:?} {:?}", self.attempt, self.claim)
    }
}
