//! One way in which the past may have gone, as far as the future can tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::Spec;
use crate::types::ClientId;

/// The operations that have been called and not answered, each with the client that waits.
pub(super) type Pending<S> = BTreeMap<ClientId, <S as Spec>::Op>;

/// What the object is now, and which of the open operations made it so.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Configuration<S: Spec> {
    /// The state of the object.
    pub(super) state: S,
    /// The pending operations that have taken effect, and what each is going to answer.
    pub(super) done: BTreeMap<ClientId, S::Output>,
    /// The abandoned operations that may still take effect, each with how many there are of it.
    pub(super) adrift: BTreeMap<S::Op, usize>,
}

impl<S: Spec> Configuration<S> {
    /// Nothing has happened.
    pub(super) fn new(state: S) -> Self {
        Self { state, done: BTreeMap::new(), adrift: BTreeMap::new() }
    }

    /// Nobody waits for the client's operation any more: its answer is forgotten if it has taken
    /// effect, and otherwise it may do so at any time.
    pub(super) fn abandon(&mut self, client: ClientId, op: &S::Op) {
        if self.done.remove(&client).is_none() && !S::changes_nothing(op) {
            *self.adrift.entry(op.clone()).or_default() += 1;
        }
    }

    /// The configurations in which one more operation has taken effect.
    fn successors(&self, pending: &Pending<S>) -> Vec<Self> {
        let waiting = pending.iter().filter(|(client, _)| !self.done.contains_key(client));
        let mut next: Vec<_> = waiting
            .map(|(&client, op)| {
                let mut next = self.clone();
                let output = next.state.apply(op);
                next.done.insert(client, output);
                next
            })
            .collect();
        next.extend(self.adrift.keys().map(|op| {
            let mut next = self.clone();
            next.state.apply(op);
            next.take(op);
            next
        }));
        next
    }

    /// Removes one of the abandoned operations.
    fn take(&mut self, op: &S::Op) {
        if let Some(count) = self.adrift.get_mut(op) {
            *count -= 1;
            if *count == 0 {
                self.adrift.remove(op);
            }
        }
    }

    /// Whether `other` is the same but for more abandoned operations, which never have to happen.
    fn within(&self, other: &Self) -> bool {
        self.done == other.done
            && self.state == other.state
            && self.adrift.iter().all(|(op, n)| other.adrift.get(op).is_some_and(|m| m >= n))
    }
}

/// Everything that may have happened by now: all configurations that more pending and abandoned
/// operations, one after the other, lead to. Looks no further where `until` has taken effect.
pub(super) fn reach<'a, S: Spec + 'a>(
    from: impl IntoIterator<Item = &'a Configuration<S>>,
    pending: &Pending<S>,
    until: Option<ClientId>,
) -> BTreeSet<Configuration<S>> {
    let mut found: BTreeSet<_> = from.into_iter().cloned().collect();
    let mut open: Vec<_> = found.iter().cloned().collect();
    while let Some(next) = open.pop() {
        if until.is_some_and(|client| next.done.contains_key(&client)) {
            continue;
        }
        for successor in next.successors(pending) {
            if found.insert(successor.clone()) {
                open.push(successor);
            }
        }
    }
    found
}

/// The configurations that are not covered by another one.
///
/// One covers another if it leads to it, give or take abandoned operations that are left over: then
/// whatever can follow on the other can follow on it. That is a partial order, as every step on the
/// way uses up an operation; so a set has the same uncovered members whichever of its
/// configurations were found first, and however many of the covered ones were found at all.
pub(super) fn uncovered<S: Spec>(
    all: BTreeSet<Configuration<S>>,
    pending: &Pending<S>,
) -> BTreeSet<Configuration<S>> {
    if all.len() < 2 {
        return all;
    }
    let mut kept = all.clone();
    for one in &all {
        // What a covered configuration covers, its cover covers.
        if kept.contains(one) {
            let led_to = reach([one], pending, None);
            kept.retain(|other| other == one || !led_to.iter().any(|c| other.within(c)));
        }
    }
    kept
}
