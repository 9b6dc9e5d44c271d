//! Who holds which keys, from prepare to decision.

use std::fmt::{self, Debug, Formatter};

use im::{OrdMap, OrdSet};

use super::{Claim, TxnId};
use crate::kv::command::Key;
use crate::kv::transaction::Access;

/// The keys that transactions hold.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Locks(OrdMap<Key, Lock>);

/// Who holds a key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lock {
    /// These read it: nobody writes.
    Shared(OrdSet<TxnId>),
    /// This one writes it: nobody else reads or writes.
    Exclusive(TxnId),
}

impl Locks {
    /// Whether nobody holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that somebody holds, in order, and who.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Lock)> {
        self.0.iter()
    }

    /// Whether who needs the key so must wait for somebody.
    #[must_use]
    pub fn deny(&self, key: &Key, access: Access) -> bool {
        match self.0.get(key) {
            None => false,
            Some(Lock::Shared(_)) => access.writes(),
            Some(Lock::Exclusive(_)) => true,
        }
    }

    /// Who holds the key.
    pub(super) fn holders(&self, key: &Key) -> Vec<TxnId> {
        match self.0.get(key) {
            None => Vec::new(),
            Some(Lock::Shared(holders)) => holders.iter().copied().collect(),
            Some(Lock::Exclusive(holder)) => vec![*holder],
        }
    }

    /// Gives the keys to a transaction.
    ///
    /// # Panics
    /// If somebody holds one of them, so that it must wait.
    pub(super) fn take(&mut self, txn: TxnId, claim: &Claim) {
        for (key, access) in claim {
            assert!(!self.deny(key, *access), "{txn:?} takes {key:?}, which is locked");
            let lock = match self.0.get(key) {
                Some(Lock::Shared(holders)) => Lock::Shared(holders.update(txn)),
                Some(Lock::Exclusive(_)) | None if access.writes() => Lock::Exclusive(txn),
                Some(Lock::Exclusive(_)) | None => Lock::Shared(OrdSet::unit(txn)),
            };
            self.0.insert(key.clone(), lock);
        }
    }

    /// Takes the keys from a transaction.
    pub(super) fn release(&mut self, txn: TxnId, claim: &Claim) {
        for (key, _) in claim {
            match self.0.get(key) {
                Some(Lock::Shared(holders)) if holders.len() > 1 => {
                    let left = Lock::Shared(holders.without(&txn));
                    self.0.insert(key.clone(), left);
                }
                Some(Lock::Shared(_) | Lock::Exclusive(_)) => drop(self.0.remove(key)),
                None => {}
            }
        }
    }
}

impl Debug for Locks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("locks ")?;
        f.debug_map().entries(&self.0).finish()
    }
}
