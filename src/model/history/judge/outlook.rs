//! What is still to be seen, and whether that can still be.

use std::collections::{BTreeMap, BTreeSet};

use super::deed::{Deed, Effect};
use super::places::Places;
use super::search::{Configuration, DeedId, TaskId};
use super::sight::{Beginning, Sight, State};

/// The operations that have not returned: those that must see a value, and those that may make one.
pub(super) struct Outlook<'a> {
    places: Places<'a>,
    /// By the value that must be there, which is the `low` of its beginning.
    observers: BTreeSet<(usize, TaskId)>,
    /// The same of those that never return: what they would see does not have to be.
    hopeful: BTreeSet<(usize, TaskId)>,
    /// By what they set: `low` and `len` of the beginning.
    setters: BTreeSet<(usize, usize, TaskId)>,
    /// With when they are called, in order.
    removers: BTreeMap<TaskId, usize>,
    /// By what they append.
    extenders: BTreeSet<(&'a [u8], TaskId)>,
    /// The deed of each task that never returns, and how many there are of each.
    adrift: BTreeMap<TaskId, DeedId>,
    counts: BTreeMap<DeedId, usize>,
}

impl<'a> Outlook<'a> {
    pub(super) fn new(
        places: Places<'a>,
        deeds: &[Deed<'a>],
        tasks: impl Iterator<Item = (DeedId, usize, Option<usize>)>,
    ) -> Self {
        let mut outlook = Self {
            places,
            observers: BTreeSet::new(),
            hopeful: BTreeSet::new(),
            setters: BTreeSet::new(),
            removers: BTreeMap::new(),
            extenders: BTreeSet::new(),
            adrift: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        for (task, (id, call, deadline)) in tasks.enumerate() {
            let deed = &deeds[id];
            match deed.effect {
                Effect::Set(State::Seen(Beginning { low, len, .. })) => {
                    outlook.setters.insert((low, len, task));
                }
                Effect::Extend(more) => {
                    outlook.extenders.insert((more, task));
                }
                Effect::Set(State::Absent) => {
                    outlook.removers.insert(task, call);
                }
                Effect::Set(State::Unseen { .. }) | Effect::Nothing | Effect::Blot(_) => {}
            }
            let seen = deed.observes().map(|value| (value.low, task));
            if deadline.is_none() {
                outlook.adrift.insert(task, id);
                *outlook.counts.entry(id).or_default() += 1;
                outlook.hopeful.extend(seen);
            } else {
                outlook.observers.extend(seen);
            }
        }
        outlook
    }

    /// The operation has returned, and does and sees no more.
    pub(super) fn on_return(&mut self, task: TaskId, deed: &Deed<'a>) {
        if let Some(value) = deed.observes() {
            self.observers.remove(&(value.low, task));
        }
        match deed.effect {
            Effect::Set(State::Seen(Beginning { low, len, .. })) => {
                self.setters.remove(&(low, len, task));
            }
            Effect::Extend(more) => {
                self.extenders.remove(&(more, task));
            }
            Effect::Set(State::Absent) => {
                self.removers.remove(&task);
            }
            Effect::Set(State::Unseen { .. }) | Effect::Nothing | Effect::Blot(_) => {}
        }
    }

    /// Whether the value can be removed before that event.
    pub(super) fn can_be_removed(&self, event: usize, now: &Configuration) -> bool {
        let mut removers = self.removers.iter().take_while(|&(_, &call)| call < event);
        removers.any(|(&task, _)| self.is_to_come(task, now))
    }

    /// Whether a value that must still be seen can come about no more, now that the deed has led
    /// from the state before to the configuration.
    ///
    /// Two steps may lose a value: leaving the state that begins it, and appending, elsewhere, a
    /// piece of it. Both are harmless if some operation can still make a value that begins like it.
    /// This errs on the side of hope; what is lost unnoticed shows when the observer returns.
    pub(super) fn is_lost(
        &self,
        sight: &Sight<'_>,
        deed: &Deed<'a>,
        before: State,
        now: &Configuration,
    ) -> bool {
        let left = match before {
            State::Seen(beginning) => Some(beginning),
            State::Absent | State::Unseen { .. } => None,
        };
        let missed = match deed.effect {
            Effect::Extend(more) => self.places.of(more),
            Effect::Nothing | Effect::Set(_) | Effect::Blot(_) => None,
        };
        left.iter().chain(missed.into_iter().flatten()).any(|&beginning| {
            !now.state.is_within(beginning)
                && self.is_needed(beginning, now)
                && !self.can_be_entered(sight, beginning, now)
        })
    }

    /// Whether it makes no difference any more what the value is, beginning like that: nobody will
    /// see it or anything that it grows into.
    pub(super) fn is_forgotten(&self, beginning: Beginning, now: &Configuration) -> bool {
        let mut hopeful = self.hopeful.range((beginning.low, 0)..(beginning.high, 0));
        !self.is_needed(beginning, now) && !hopeful.any(|&(_, task)| self.is_to_come(task, now))
    }

    /// Whether nobody will see a value with that piece any more, wherever it is appended.
    pub(super) fn is_spent(&self, piece: &[u8], now: &Configuration) -> bool {
        self.places
            .of(piece)
            .is_some_and(|places| places.iter().all(|&place| self.is_forgotten(place, now)))
    }

    /// Whether a value that begins like that must still be seen.
    fn is_needed(&self, beginning: Beginning, now: &Configuration) -> bool {
        let mut observers = self.observers.range((beginning.low, 0)..(beginning.high, 0));
        observers.any(|&(_, task)| !now.has_done(task))
    }

    /// Whether an operation to come may turn a value that does not begin like that into one that
    /// does.
    pub(super) fn can_be_entered(
        &self,
        sight: &Sight<'_>,
        beginning: Beginning,
        now: &Configuration,
    ) -> bool {
        let Beginning { low, high, len } = beginning;
        let mut setters = self.setters.range((low, 0, 0)..(high, 0, 0));
        if len == 0 || setters.any(|&(_, set, task)| set >= len && self.is_to_come(task, now)) {
            return true;
        }
        let bytes = sight.bytes(beginning);
        self.places.starts(beginning).any(|start| {
            let end = &bytes[start..];
            self.extenders
                .range((end, 0)..)
                .take_while(|(more, _)| more.starts_with(end))
                .any(|&(_, task)| self.is_to_come(task, now))
        })
    }

    /// Whether the operation, which has not returned, may still take effect.
    fn is_to_come(&self, task: TaskId, now: &Configuration) -> bool {
        match self.adrift.get(&task) {
            None => !now.has_done(task),
            Some(deed) => now.used.get(deed) < self.counts.get(deed),
        }
    }
}
