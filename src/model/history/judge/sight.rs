//! How much of a value matters: as much as somebody sees of it.
//!
//! The values that a history shows (read, or found as expected by a `Cas`) are known beforehand. A
//! value that begins one of them may grow into it, so it is known by which ones it begins. All
//! other values are the same: whatever is appended, nobody will see them.

use std::collections::BTreeSet;

use crate::kv::command::{MAX_VALUE_BYTES, Op, Output, Value};

/// The beginning of a shown value: its first `len` bytes, which are the first bytes of exactly the
/// values from `low` to before `high`, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Beginning {
    pub(super) low: usize,
    pub(super) high: usize,
    pub(super) len: usize,
}

impl Beginning {
    /// Whether this is what the other begins with.
    pub(super) fn begins(self, other: Self) -> bool {
        self.len <= other.len && (self.low..self.high).contains(&other.low)
    }
}

/// What is stored under the key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum State {
    /// Nothing.
    Absent,
    /// A value that begins one that is shown.
    Seen(Beginning),
    /// Any other value.
    Unseen {
        /// Its length, if some value might outgrow [`MAX_VALUE_BYTES`]; else 0.
        len: usize,
    },
}

impl State {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Seen(Beginning { len, .. }) | Self::Unseen { len } => len,
        }
    }

    /// Whether it is a value that begins like that.
    pub(super) fn is_within(self, beginning: Beginning) -> bool {
        matches!(self, Self::Seen(own) if beginning.begins(own))
    }
}

/// The values that a history shows.
pub(super) struct Sight<'a> {
    /// In order, each once.
    values: Vec<&'a [u8]>,
    /// Whether some value might outgrow the limit, so that lengths matter.
    pub(super) measured: bool,
}

impl<'a> Sight<'a> {
    /// Of those operations and answers.
    pub(super) fn new(tasks: impl Iterator<Item = (&'a Op, Option<&'a Output>)> + Clone) -> Self {
        let expected = tasks.clone().filter_map(|(op, output)| match (op, output) {
            (Op::Cas { expected, .. }, None | Some(Output::Swapped)) => expected.as_ref(),
            // It was not there.
            (Op::Cas { .. }, Some(_)) => None,
            (Op::Get(_) | Op::Put(..) | Op::Append(..) | Op::Delete(_) | Op::Transaction(_), _) => {
                None
            }
        });
        let answered = tasks.clone().filter_map(|(_, output)| match output? {
            Output::Value(value) | Output::Mismatch(value) => value.as_ref(),
            Output::Written
            | Output::TooLarge
            | Output::Swapped
            | Output::Deleted(_)
            | Output::Committed(_)
            | Output::Rejected(_) => None,
        });
        let mut values: Vec<_> = expected.chain(answered).map(|Value(bytes)| &bytes[..]).collect();
        values.sort_unstable();
        values.dedup();
        let (mut set, mut appended) = (0, 0);
        for (op, _) in tasks {
            let len = op.value().map_or(0, |value| value.0.len());
            match op {
                Op::Append(..) => appended += len,
                Op::Get(_) | Op::Put(..) | Op::Cas { .. } | Op::Delete(_) | Op::Transaction(_) => {
                    set = len.max(set);
                }
            }
        }
        Self { values, measured: set + appended > MAX_VALUE_BYTES }
    }

    /// The value.
    pub(super) fn value(&self, bytes: &[u8]) -> State {
        self.extend(Beginning { low: 0, high: self.values.len(), len: 0 }, bytes)
    }

    /// The value that begins like that and goes on with these bytes.
    pub(super) fn extend(&self, beginning: Beginning, more: &[u8]) -> State {
        let Beginning { low, high, len } = beginning;
        let values = &self.values[low..high];
        let first = values.partition_point(|value| &value[len..] < more);
        let count = values[first..].partition_point(|value| value[len..].starts_with(more));
        if count == 0 {
            return self.unseen(len + more.len());
        }
        let low = low + first;
        State::Seen(Beginning { low, high: low + count, len: len + more.len() })
    }

    /// A value of that length that nobody sees.
    pub(super) fn unseen(&self, len: usize) -> State {
        State::Unseen { len: self.measure(len) }
    }

    /// The length, as far as it matters.
    pub(super) fn measure(&self, len: usize) -> usize {
        if self.measured { len } else { 0 }
    }

    /// The bytes.
    pub(super) fn bytes(&self, beginning: Beginning) -> &'a [u8] {
        &self.values[beginning.low][..beginning.len]
    }

    /// Finds the pieces in the shown values, where they can have been appended: to nothing, to one
    /// of the given whole values, or to a piece that is found. Calls `found` with each piece and
    /// the beginning that it completes. Returns where pieces can begin: by the position of a value
    /// that no other begins with, and the position in it.
    pub(super) fn parse<'b>(
        &self,
        wholes: &BTreeSet<&[u8]>,
        pieces: &BTreeSet<&'b [u8]>,
        mut found: impl FnMut(&'b [u8], Beginning),
    ) -> BTreeSet<(usize, usize)> {
        let lengths = |of: &BTreeSet<&[u8]>| of.iter().map(|bytes| bytes.len()).collect();
        let (whole_lengths, lengths): (BTreeSet<_>, BTreeSet<_>) =
            (lengths(wholes), lengths(pieces));
        let mut all_starts = BTreeSet::new();
        for (at, value) in self.values.iter().enumerate() {
            // What the next value begins with is found there.
            if self.values.get(at + 1).is_some_and(|next| next.starts_with(value)) {
                continue;
            }
            let fits = |len: &&usize| **len <= value.len() && wholes.contains(&value[..**len]);
            let mut starts: BTreeSet<_> = whole_lengths.iter().filter(fits).copied().collect();
            starts.insert(0);
            let mut upto = Beginning { low: 0, high: self.values.len(), len: 0 };
            while let Some(start) = starts.pop_first() {
                let State::Seen(next) = self.extend(upto, &value[upto.len..start]) else { break };
                upto = next;
                all_starts.insert((at, start));
                for len in lengths.iter().take_while(|&len| start + len <= value.len()) {
                    let piece = &value[start..start + len];
                    if let Some(piece) = pieces.get(piece)
                        && let State::Seen(end) = self.extend(upto, piece)
                    {
                        found(piece, end);
                        // An empty piece leads nowhere new.
                        if end.len > start {
                            starts.insert(end.len);
                        }
                    }
                }
            }
        }
        all_starts
    }
}
