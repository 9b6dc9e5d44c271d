//! Lines at the keys of a group: who waits for which key, in which order.
//!
//! The lines follow from what the group has recorded ([`Record`], [`Share`]). They are kept so that
//! a transaction that may go on when a key becomes free is found at that key, however many others
//! wait elsewhere.
//!
//! [`Record`]: super::coordinator::Record
//! [`Share`]: super::participant::Share

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use im::{OrdMap, OrdSet};

use super::{Claim, TxnId};
use crate::kv::command::{Key, Op, Request};
use crate::kv::transaction::Access;
use crate::types::{ClientId, RequestId};

/// The lines at all keys.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Queue {
    /// The transactions that wait, and what each needs.
    claims: OrdMap<TxnId, Arc<Claim>>,
    /// The clients whose requests for one key wait, and that key.
    stalled: OrdMap<ClientId, Key>,
    /// The line at each key that somebody waits for.
    lines: OrdMap<Key, Line>,
}

/// The line at one key.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Line {
    /// The transactions that read the key.
    readers: OrdSet<TxnId>,
    /// The transactions that write it.
    writers: OrdSet<TxnId>,
    /// The requests for this key alone.
    requests: OrdMap<ClientId, Request>,
}

/// Changes by one entry that may let somebody go on. Nothing is left of it when the entry is
/// applied.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Due {
    /// Whether the group has other shards than before, or is about to: all that wait are looked at.
    pub everything: bool,
    /// Keys that somebody has ceased to hold or to wait for.
    pub keys: BTreeSet<Key>,
    /// Transactions whose turn it may be.
    pub transactions: BTreeSet<TxnId>,
}

impl Due {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.keys.is_empty() && self.transactions.is_empty()
    }

    /// Notes that somebody has ceased to hold these keys, or to wait for them.
    pub(super) fn free(&mut self, claim: &Claim) {
        self.keys.extend(claim.iter().map(|(key, _)| key.clone()));
    }
}

impl Queue {
    /// Number of transactions that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.claims.is_empty()
    }

    /// The transactions that wait, the oldest first, and what each needs.
    pub fn transactions(&self) -> impl Iterator<Item = (&TxnId, &Arc<Claim>)> {
        self.claims.iter()
    }

    /// The requests for one key that wait.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.stalled.iter().filter_map(|(client, key)| self.lines.get(key)?.requests.get(client))
    }

    /// Whether this request for one key waits.
    #[must_use]
    pub fn has_request(&self, client: ClientId, number: RequestId) -> bool {
        let line = self.stalled.get(&client).and_then(|key| self.lines.get(key));
        line.and_then(|line| line.requests.get(&client)).is_some_and(|r| r.number == number)
    }

    /// Keys that a transaction needs, if it waits.
    #[must_use]
    pub fn claim(&self, txn: TxnId) -> Option<&Arc<Claim>> {
        self.claims.get(&txn)
    }

    /// Adds a transaction.
    pub(super) fn push(&mut self, txn: TxnId, claim: Arc<Claim>) {
        for (key, access) in claim.iter() {
            let line = self.lines.entry(key.clone()).or_default();
            line.of(*access).insert(txn);
        }
        self.claims.insert(txn, claim);
    }

    /// Removes a transaction. Returns what it needed, if it was there.
    pub(super) fn remove(&mut self, txn: TxnId) -> Option<Arc<Claim>> {
        let claim = self.claims.remove(&txn)?;
        for (key, access) in claim.iter() {
            self.change(key, |line| {
                line.of(*access).remove(&txn);
            });
        }
        Some(claim)
    }

    /// Adds a request for one key. A client that asks for another thing has given up the last one:
    /// returns the key of that one.
    pub(super) fn stall(&mut self, request: &Request) -> Option<Key> {
        let left = self.unstall(request.client);
        let key = request.op.key();
        self.stalled.insert(request.client, key.clone());
        let line = self.lines.entry(key.clone()).or_default();
        line.requests.insert(request.client, request.clone());
        left
    }

    /// Removes the request of a client. Returns the key that it waited for, if it did.
    pub(super) fn unstall(&mut self, client: ClientId) -> Option<Key> {
        let key = self.stalled.remove(&client)?;
        self.change(&key, |line| {
            line.requests.remove(&client);
        });
        Some(key)
    }

    /// The requests for this key alone.
    pub(super) fn requests_at(&self, key: &Key) -> Vec<Request> {
        self.lines.get(key).map_or_else(Vec::new, |line| line.requests.values().cloned().collect())
    }

    /// The keys that requests for one key wait for.
    pub(super) fn requested(&self) -> impl Iterator<Item = &Key> {
        self.stalled.values()
    }

    /// The transactions at the head of the line at a key: all that read it and are older than the
    /// first that writes it, and that one. Nobody behind them can go on.
    pub(super) fn head(&self, key: &Key) -> Vec<TxnId> {
        let Some(line) = self.lines.get(key) else { return Vec::new() };
        let writer = line.writers.get_min();
        let readers = line.readers.iter().take_while(|txn| writer.is_none_or(|w| *txn < w));
        readers.chain(writer).copied().collect()
    }

    /// Whether an older transaction waits for the key that this one would keep waiting.
    pub(super) fn is_reserved(&self, key: &Key, access: Access, txn: TxnId) -> bool {
        let is_older = |other: Option<&TxnId>| other.is_some_and(|other| *other < txn);
        self.lines.get(key).is_some_and(|line| {
            is_older(line.writers.get_min()) || access.writes() && is_older(line.readers.get_min())
        })
    }

    /// Whether a request for the key waits that this access would keep waiting.
    pub(super) fn is_wanted(&self, key: &Key, by: Access) -> bool {
        self.lines.get(key).is_some_and(|line| {
            line.requests.values().any(|request| by.writes() || access(&request.op).writes())
        })
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Line)) {
        let Some(line) = self.lines.get_mut(key) else { return };
        change(line);
        if *line == Line::default() {
            self.lines.remove(key);
        }
    }
}

impl Line {
    /// The transactions that need the key so.
    fn of(&mut self, access: Access) -> &mut OrdSet<TxnId> {
        if access.writes() { &mut self.writers } else { &mut self.readers }
    }
}

/// What an operation on one key needs it for.
pub(super) fn access(op: &Op) -> Access {
    match op {
        Op::Get(_) => Access::Read,
        Op::Put(..) | Op::Delete(_) => Access::Write,
        Op::Append(..) | Op::Cas { .. } | Op::Transaction(_) => Access::Update,
    }
}

impl Debug for Queue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("stalled ")?;
        f.debug_list().entries(self.requests()).finish()
    }
}
