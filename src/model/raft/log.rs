//! The log: entries in order, each with the term in which a leader received it [Raft §5.3].

use std::fmt::{self, Debug, Formatter};
use std::hash::Hash;
use std::sync::Arc;

use im::Vector;
use serde::{Deserialize, Serialize};

use super::membership::Members;
use crate::size;
use crate::types::{Index, Term};

/// What Raft replicates. Raft looks at nothing but its size.
pub trait Command: Clone + Debug + Eq + Hash + Ord + Serialize {
    /// The size of the command's encoding.
    fn bytes(&self) -> usize {
        size::of(self)
    }
}

/// One entry of the log.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Entry<C> {
    /// The term of the leader that created it.
    pub term: Term,
    /// What it carries.
    pub payload: Payload<C>,
}

/// What an entry carries.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Payload<C> {
    /// Nothing: the entry with which each leader opens its term, so that it has one of its own to
    /// commit [Raft §8].
    Noop,
    /// A command for the state machine.
    Command(C),
    /// The members of the group, in force from this entry on. The group is founded with the first
    /// such entry; there are no others yet.
    Members(Arc<Members>),
}

impl<C: Debug> Debug for Entry<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.payload {
            Payload::Noop => write!(f, "{}", self.term),
            Payload::Command(command) => write!(f, "{} {command:?}", self.term),
            Payload::Members(members) => write!(f, "{} {members:?}", self.term),
        }
    }
}

impl<C: Command> Entry<C> {
    /// The size of the entry's encoding.
    pub fn bytes(&self) -> usize {
        size::of(self)
    }
}

/// A place in a log, and the term of the entry there. Two logs that hold the same position agree
/// on everything up to it: the Log Matching Property [Raft §5.3].
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Position {
    /// The term of the entry. Compared first: "the log with the later term is more
    /// up-to-date" [Raft §5.4.1].
    pub term: Term,
    /// Its index. Compared second: "whichever log is longer is more up-to-date".
    pub index: Index,
}

impl Debug for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// The entries of one server. Clones share their structure.
///
/// Entry 0 is the one that the group was founded with: it names the members, and all of them have
/// it, in term 0, before the group does anything. Index 0 is therefore committed from the start,
/// and every two logs of a group agree there.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Log<C: Clone>(Vector<Entry<C>>);

/// A log that belongs to no group, for those who look at entries only. No server runs with one.
impl<C: Clone> Default for Log<C> {
    fn default() -> Self {
        Self::founded(Arc::default())
    }
}

impl<C: Clone + Debug> Debug for Log<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The entries behind entry 0 of a log that belongs to no group.
impl<C: Clone> FromIterator<Entry<C>> for Log<C> {
    fn from_iter<I: IntoIterator<Item = Entry<C>>>(entries: I) -> Self {
        let mut log = Self::default();
        log.0.extend(entries);
        log
    }
}

impl<C: Clone> Log<C> {
    /// The log of a group that has just been founded with these members.
    #[must_use]
    pub fn founded(members: Arc<Members>) -> Self {
        Self(Vector::unit(Entry { term: Term(0), payload: Payload::Members(members) }))
    }

    /// Whether the two logs are one, as far as that is seen without a look at their entries.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }

    /// The members of the group, as the log says: those of its last entry that names any. Only
    /// entry 0 does, until members can be changed.
    #[must_use]
    pub fn members(&self) -> &Arc<Members> {
        match self.0.front().map(|entry| &entry.payload) {
            Some(Payload::Members(members)) => members,
            Some(Payload::Noop | Payload::Command(_)) | None => {
                unreachable!("entry 0 names the members")
            }
        }
    }

    /// The index of the last entry.
    #[must_use]
    pub fn last_index(&self) -> Index {
        Index(self.0.len() as u64 - 1)
    }

    /// Where the log ends.
    #[must_use]
    pub fn last(&self) -> Position {
        self.0.last().map_or_else(Position::default, |entry| Position {
            term: entry.term,
            index: self.last_index(),
        })
    }

    /// The entry at `index`, if the log reaches so far.
    #[must_use]
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        self.0.get(usize::try_from(index.0).ok()?)
    }

    /// The position at `index`, if the log reaches so far.
    #[must_use]
    pub fn position(&self, index: Index) -> Option<Position> {
        self.get(index).map(|entry| Position { term: entry.term, index })
    }

    /// Whether this log holds `position`.
    #[must_use]
    pub fn contains(&self, position: Position) -> bool {
        self.position(position.index) == Some(position)
    }

    /// The last position at or before `limit` whose term is at most `term`. Terms never fall along
    /// a log, so this is a binary search.
    #[must_use]
    pub fn last_at_or_below(&self, limit: Index, term: Term) -> Position {
        let (mut low, mut high) = (Index::ZERO, limit.min(self.last_index()));
        while low < high {
            let middle = Index(low.0 + (high.0 - low.0).div_ceil(2));
            match self.get(middle) {
                Some(entry) if entry.term <= term => low = middle,
                Some(_) | None => high = middle.previous(),
            }
        }
        self.position(low).unwrap_or_default()
    }

    /// The entries behind `after`, up to and including `last`.
    pub fn range(&self, after: Index, last: Index) -> impl Iterator<Item = &Entry<C>> {
        let end = last.min(self.last_index()).next().0 as usize;
        let start = (after.next().0 as usize).min(end);
        // An empty range cannot be focused on.
        (start < end).then(|| self.0.focus().narrow(start..end)).into_iter().flatten()
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: Entry<C>) {
        self.0.push_back(entry);
    }

    /// Removes all entries from `from` on.
    ///
    /// # Panics
    /// If that is entry 0, which stays for ever.
    pub fn truncate(&mut self, from: Index) {
        assert!(from > Index::ZERO, "the entry that founded the group stays");
        self.0.truncate(from.0 as usize);
    }

    /// All entries behind entry 0, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<C>> {
        self.0.iter().skip(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Command for u8 {}

    fn log(terms: &[u64]) -> Log<u8> {
        terms.iter().map(|t| Entry { term: Term(*t), payload: Payload::Noop }).collect()
    }

    fn at(index: u64, term: u64) -> Position {
        Position { term: Term(term), index: Index(index) }
    }

    #[test]
    fn up_to_date_compares_terms_before_lengths() {
        assert!(at(1, 2) > at(9, 1));
        assert!(at(2, 1) > at(1, 1));
    }

    #[test]
    fn conflict_search_skips_whole_terms() {
        let log = log(&[1, 1, 2, 2, 4]);
        assert_eq!(log.last_at_or_below(Index(5), Term(3)), at(4, 2));
        assert_eq!(log.last_at_or_below(Index(3), Term(3)), at(3, 2));
        assert_eq!(log.last_at_or_below(Index(9), Term(9)), at(5, 4));
        assert_eq!(log.last_at_or_below(Index(5), Term(0)), at(0, 0));
    }

    #[test]
    fn founding_entry_is_in_every_log() {
        assert!(log(&[]).contains(at(0, 0)));
        assert_eq!(log(&[]).range(Index(0), Index(9)).count(), 0);
        assert!(!log(&[1]).contains(at(1, 2)));
        assert!(!log(&[1]).contains(at(2, 1)));
    }

    #[test]
    fn truncation_keeps_what_is_before() {
        let mut log = log(&[1, 1, 2]);
        log.truncate(Index(2));
        assert_eq!(log.last(), at(1, 1));
        assert_eq!(log.range(Index(0), Index(9)).count(), 1);
    }
}
