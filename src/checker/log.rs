//! How each state was first reached: eight bytes for each, written once and read only to tell how a
//! property was broken.

use std::io;
use std::sync::Mutex;

use crate::spill::{Spill, Spilt};
use crate::step::Event;
use crate::store::lock;
use crate::worker::Padded;

/// Bits for an event; see [`crate::store::MOST_PARTS`].
const EVENT_BITS: u32 = 26;
/// Bits for the state's number among those of its thread.
const INDEX_BITS: u32 = 32;
/// The most threads.
pub(crate) const MOST_THREADS: usize = 1 << (64 - EVENT_BITS - INDEX_BITS);

/// Records in a chunk.
const CHUNK: usize = 1 << 17;

/// Where a state's record stands: which thread reached it, and as its how-manyth.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Place {
    pub(crate) thread: u32,
    pub(crate) index: u32,
}

/// How a state was reached. A first state is said to come from itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    pub(crate) from: Place,
    pub(crate) event: Event,
}

impl Record {
    fn pack(self) -> u64 {
        let from = u64::from(self.from.thread) << INDEX_BITS | u64::from(self.from.index);
        from << EVENT_BITS | u64::from(self.event.0)
    }

    fn unpack(word: u64) -> Self {
        let from = word >> EVENT_BITS;
        Self {
            from: Place { thread: (from >> INDEX_BITS) as u32, index: from as u32 },
            event: Event((word & ((1 << EVENT_BITS) - 1)) as u32),
        }
    }
}

/// The records of one thread.
#[derive(Default)]
pub(crate) struct Log {
    spilt: Vec<Spilt>,
    full: Vec<Box<[u64]>>,
    open: Vec<u64>,
}

impl Log {
    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        (self.spilt.len() + self.full.len()) * CHUNK + self.open.len()
    }

    /// How much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.full.len() * CHUNK * size_of::<u64>() + self.open.capacity() * size_of::<u64>()
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.open.push(record.pack());
        if self.open.len() == CHUNK {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(CHUNK));
            self.full.push(full.into_boxed_slice());
        }
    }

    /// Moves what is full to disk.
    pub(crate) fn spill(&mut self, spill: &Spill) -> io::Result<()> {
        for chunk in self.full.drain(..) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|word| word.to_le_bytes()).collect();
            self.spilt.push(spill.write(&bytes)?);
        }
        Ok(())
    }

    fn get(&self, index: usize, spill: &Spill) -> io::Result<Record> {
        let (chunk, place) = (index / CHUNK, index % CHUNK);
        let word = if let Some(spilt) = self.spilt.get(chunk) {
            let bytes = spill.read(*spilt)?;
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[place * 8..place * 8 + 8]);
            u64::from_le_bytes(word)
        } else {
            match self.full.get(chunk - self.spilt.len()) {
                Some(full) => full[place],
                None => self.open[place],
            }
        };
        Ok(Record::unpack(word))
    }
}

/// The events that lead from where the search started to the state at `place`.
pub(crate) fn path(
    logs: &[Padded<Mutex<Log>>],
    mut place: Place,
    spill: &Spill,
) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    loop {
        let record = lock(&logs[place.thread as usize].0).get(place.index as usize, spill)?;
        if record.from == place {
            events.reverse();
            return Ok(events);
        }
        events.push(record.event);
        place = record.from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_found_in_memory_and_on_disk() {
        let spill = Spill::default();
        let mut log = Log::default();
        let count = CHUNK * 2 + 10;
        for index in 0..count as u32 {
            let from = Place { thread: 0, index: index.saturating_sub(1) };
            log.push(Record { from, event: Event(index) });
        }
        log.spill(&spill).expect("a file");
        assert_eq!(log.len(), count);
        let place = Place { thread: 0, index: CHUNK as u32 + 5 };
        let record = log.get(place.index as usize, &spill).expect("a record");
        assert_eq!(record.event, Event(place.index));
        let logs = [Padded(Mutex::new(log))];
        let events = path(&logs, Place { thread: 0, index: 20 }, &spill).expect("a path");
        assert_eq!(events, (1..=20).map(Event).collect::<Vec<_>>());
    }

    #[test]
    fn records_keep_their_largest_values() {
        let from = Place { thread: MOST_THREADS as u32 - 1, index: u32::MAX };
        let record = Record { from, event: Event((1 << EVENT_BITS) - 1) };
        assert_eq!(Record::unpack(record.pack()), record);
    }
}
