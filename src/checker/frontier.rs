//! The states that have been reached and not yet expanded, level by level.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::log::Place;
use crate::spill::{Spill, Spilt};
use crate::state::State;
use crate::store::lock;

/// A segment is handed to one thread as a whole, and is this large: small enough that a narrow
/// level keeps all threads busy, large enough that handing it over costs nothing.
const SEGMENT_BYTES: usize = 16 << 10;

/// States that one thread has reached one after the other, packed.
#[derive(Clone)]
pub(crate) struct Segment {
    /// The first state's place in the log; the others follow.
    first: Place,
    count: usize,
    bytes: Vec<u8>,
    /// How far it has been read.
    at: usize,
}

impl Segment {
    pub(crate) fn new(first: Place) -> Self {
        Self { first, count: 0, bytes: Vec::new(), at: 0 }
    }

    /// Appends a state.
    pub(crate) fn push(&mut self, state: &State) {
        state.pack(&mut self.bytes);
        self.count += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= SEGMENT_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes the next state out.
    pub(crate) fn pop(&mut self, actors: usize, state: &mut State) -> Option<Place> {
        if self.count == 0 {
            return None;
        }
        self.at = state.unpack(actors, &self.bytes, self.at);
        let place = self.first;
        self.first = place.next();
        self.count -= 1;
        Some(place)
    }
}

/// A segment, or where it lies on disk.
enum Kept {
    Here(Segment),
    Spilt { first: Place, count: usize, at: usize, bytes: Spilt },
}

/// The states of one level.
#[derive(Default)]
pub(crate) struct Level {
    segments: Mutex<VecDeque<Kept>>,
    states: AtomicUsize,
    bytes: AtomicUsize,
}

impl Level {
    /// Adds a segment; to disk if there is no room in memory.
    pub(crate) fn push(&self, segment: Segment, spill: Option<&Spill>) -> std::io::Result<()> {
        self.states.fetch_add(segment.count, Ordering::Relaxed);
        let kept = match spill {
            None => {
                self.bytes.fetch_add(segment.bytes.capacity(), Ordering::Relaxed);
                Kept::Here(segment)
            }
            Some(spill) => Kept::Spilt {
                first: segment.first,
                count: segment.count,
                at: segment.at,
                bytes: spill.write(&segment.bytes)?,
            },
        };
        lock(&self.segments).push_back(kept);
        Ok(())
    }

    /// Takes a segment out.
    pub(crate) fn pop(&self, spill: &Spill) -> std::io::Result<Option<Segment>> {
        let Some(kept) = lock(&self.segments).pop_front() else { return Ok(None) };
        let segment = match kept {
            Kept::Here(segment) => {
                self.bytes.fetch_sub(segment.bytes.capacity(), Ordering::Relaxed);
                segment
            }
            Kept::Spilt { first, count, at, bytes } => {
                Segment { first, count, at, bytes: spill.read(bytes)? }
            }
        };
        self.states.fetch_sub(segment.count, Ordering::Relaxed);
        Ok(Some(segment))
    }

    /// How many states there are.
    pub(crate) fn len(&self) -> usize {
        self.states.load(Ordering::Relaxed)
    }

    /// How much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}
