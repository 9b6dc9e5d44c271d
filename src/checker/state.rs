//! A system state as numbers of its parts.

/// A state: which part stands where. Unpacked, to work with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct State {
    /// For each actor its cell.
    pub(crate) cells: Vec<u32>,
    /// What has been recorded.
    pub(crate) past: u32,
    /// How many faults there have been, where that is bounded.
    pub(crate) tally: Tally,
    /// The message that was delivered last, where that is remembered; plus one.
    pub(crate) last: u32,
    /// What is under way, in order: messages, equal ones side by side; or flows, if ordered.
    pub(crate) net: Vec<u32>,
}

/// How many faults there have been, of those that are bounded in all.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Tally {
    pub(crate) crashes: u8,
    pub(crate) drops: u8,
    pub(crate) duplications: u8,
}

impl State {
    /// Takes over another state without giving memory back.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.cells.clone_from(&other.cells);
        self.net.clone_from(&other.net);
        (self.past, self.tally, self.last) = (other.past, other.tally, other.last);
    }

    /// Puts an item under way.
    pub(crate) fn insert(&mut self, item: u32) {
        let place = self.net.partition_point(|other| *other < item);
        self.net.insert(place, item);
    }

    /// Takes one copy of an item that is under way.
    pub(crate) fn remove(&mut self, item: u32) {
        let place = self.net.partition_point(|other| *other < item);
        debug_assert_eq!(self.net.get(place), Some(&item), "it is under way");
        self.net.remove(place);
    }

    /// Whether an item is under way.
    pub(crate) fn holds(&self, item: u32) -> bool {
        self.net.binary_search(&item).is_ok()
    }

    /// Appends the state in as few bytes as is simple: numbers in sevens of bits, of the items
    /// under way the differences.
    pub(crate) fn pack(&self, bytes: &mut Vec<u8>) {
        for cell in &self.cells {
            put(bytes, *cell);
        }
        put(bytes, self.past);
        let Tally { crashes, drops, duplications } = self.tally;
        put(bytes, u32::from_le_bytes([crashes, drops, duplications, 0]));
        put(bytes, self.last);
        put(bytes, self.net.len() as u32);
        let mut before = 0;
        for item in &self.net {
            put(bytes, item - before);
            before = *item;
        }
    }

    /// Reads a state of so many actors back.
    pub(crate) fn unpack(&mut self, actors: usize, reader: &mut Reader<'_>) {
        self.cells.clear();
        self.cells.extend((0..actors).map(|_| reader.take()));
        self.past = reader.take();
        let [crashes, drops, duplications, _] = reader.take().to_le_bytes();
        self.tally = Tally { crashes, drops, duplications };
        self.last = reader.take();
        let count = reader.take();
        let mut before = 0;
        self.net.clear();
        self.net.extend((0..count).map(|_| {
            before += reader.take();
            before
        }));
    }
}

/// Appends a number, in sevens of bits.
#[inline]
pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads numbers from bytes.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl Reader<'_> {
    #[inline]
    pub(crate) fn take(&mut self) -> u32 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.bytes[self.at];
            self.at += 1;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_states_come_back_one_behind_the_other() {
        let state = State {
            cells: vec![0, 127, 128, 1 << 24],
            past: 7,
            tally: Tally { crashes: 1, drops: 2, duplications: 3 },
            last: 9,
            net: vec![3, 3, 300, u32::MAX >> 4],
        };
        let mut bytes = Vec::new();
        state.pack(&mut bytes);
        let first = bytes.len();
        State { net: Vec::new(), ..state.clone() }.pack(&mut bytes);
        let mut back = State::default();
        let mut reader = Reader { bytes: &bytes, at: 0 };
        back.unpack(4, &mut reader);
        assert_eq!((&back, reader.at), (&state, first));
        back.unpack(4, &mut reader);
        assert_eq!(reader.at, bytes.len());
        assert_eq!(back, State { net: Vec::new(), ..state });
    }
}
