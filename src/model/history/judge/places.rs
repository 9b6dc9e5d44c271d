//! Where the appended pieces stand in the shown values.

use std::collections::{BTreeMap, BTreeSet};

use super::deed::{Deed, Effect};
use super::sight::{Beginning, Sight, State};

/// Where each piece can have been appended if what came of it is shown.
pub(super) struct Places<'a> {
    /// Beginnings that end with the piece.
    ends: BTreeMap<&'a [u8], Vec<Beginning>>,
    /// Where pieces begin: a shown value that no other begins with, and the position in it.
    starts: BTreeSet<(usize, usize)>,
    /// The longest piece.
    longest: usize,
}

impl<'a> Places<'a> {
    /// How many places of one piece are remembered.
    const MANY: usize = 4;

    pub(super) fn find(sight: &Sight<'_>, deeds: &[Deed<'a>]) -> Self {
        let (mut wholes, mut pieces) = (BTreeSet::new(), BTreeSet::new());
        for deed in deeds {
            match deed.effect {
                Effect::Set(State::Seen(beginning)) => {
                    wholes.insert(sight.bytes(beginning));
                }
                Effect::Extend(more) => {
                    pieces.insert(more);
                }
                Effect::Set(State::Absent | State::Unseen { .. })
                | Effect::Nothing
                | Effect::Blot(_) => {}
            }
        }
        let mut ends: BTreeMap<&[u8], Vec<Beginning>> = BTreeMap::new();
        let starts = sight.parse(&wholes, &pieces, |piece, upto| {
            let found = ends.entry(piece).or_default();
            if found.len() <= Self::MANY {
                found.push(upto);
            }
        });
        let longest = ends.keys().map(|piece| piece.len()).max().unwrap_or(0);
        Self { ends, starts, longest }
    }

    /// Whether the piece is in some shown value.
    pub(super) fn has(&self, piece: &[u8]) -> bool {
        self.ends.contains_key(piece)
    }

    /// All places of the piece, unless they are too many to say.
    pub(super) fn of(&self, piece: &[u8]) -> Option<&[Beginning]> {
        let ends = self.ends.get(piece).filter(|ends| ends.len() <= Self::MANY);
        ends.map(Vec::as_slice)
    }

    /// Where, before its end, a piece may begin that leads to this or beyond.
    pub(super) fn starts(&self, upto: Beginning) -> impl Iterator<Item = usize> {
        let Beginning { high, len, .. } = upto;
        // The last value that begins like that begins no other.
        let value = high - 1;
        let range = (value, len.saturating_sub(self.longest))..(value, len);
        self.starts.range(range).map(|&(_, start)| start)
    }
}
