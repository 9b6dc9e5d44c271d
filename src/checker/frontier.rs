//! States that have been reached, packed, in the order in which they were reached: those of a level
//! that are to be expanded, and all of them, where they are to be walked over once more.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::log::Place;
use crate::spill::{Spill, Spilt};
use crate::state::{Reader, State, put};
use crate::store::lock;

/// A segment is handed to one thread as a whole, and is this large: small enough that a narrow
/// level keeps all threads busy, large enough that handing it over costs nothing.
const SEGMENT_BYTES: usize = 16 << 10;

/// States that one thread has reached one after the other.
#[derive(Clone)]
pub(crate) struct Segment {
    thread: u32,
    /// Where in its thread's log the next state to be taken out has its record, at the earliest;
    /// and the next to be put in.
    next_out: u32,
    next_in: u32,
    count: usize,
    /// Each state, and before it how many records lie between its own and the one before.
    bytes: Vec<u8>,
    /// How far they have been taken out.
    at: usize,
}

impl Segment {
    /// An empty one, for states whose records stand at `first` or behind.
    pub(crate) fn new(first: Place) -> Self {
        let Place { thread, index } = first;
        Self { thread, next_out: index, next_in: index, count: 0, bytes: Vec::new(), at: 0 }
    }

    /// Appends a state, whose record stands behind those of the states that are there.
    pub(crate) fn push(&mut self, place: Place, state: &State) {
        debug_assert_eq!(place.thread, self.thread, "a segment has the states of one thread");
        put(&mut self.bytes, place.index - self.next_in);
        state.pack(&mut self.bytes);
        self.next_in = place.index.wrapping_add(1);
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
        let mut reader = Reader { bytes: &self.bytes, at: self.at };
        let index = self.next_out + reader.take();
        state.unpack(actors, &mut reader);
        self.at = reader.at;
        self.next_out = index.wrapping_add(1);
        self.count -= 1;
        Some(Place { thread: self.thread, index })
    }
}

/// A segment, in memory or on disk.
#[derive(Clone)]
pub(crate) struct Stored {
    /// On disk, without its bytes.
    segment: Segment,
    spilt: Option<Spilt>,
}

impl Stored {
    /// Keeps a segment; on disk, if so wished.
    pub(crate) fn new(segment: Segment, spill: Option<&Spill>) -> io::Result<Self> {
        let mut stored = Self { segment, spilt: None };
        if let Some(spill) = spill {
            stored.spill(spill)?;
        }
        Ok(stored)
    }

    fn spill(&mut self, spill: &Spill) -> io::Result<()> {
        if self.spilt.is_none() {
            self.spilt = Some(spill.write(&self.segment.bytes)?);
            self.segment.bytes = Vec::new();
        }
        Ok(())
    }

    /// The segment.
    pub(crate) fn load(&self, spill: &Spill) -> io::Result<Segment> {
        let mut segment = self.segment.clone();
        if let Some(spilt) = self.spilt {
            segment.bytes = spill.read(spilt)?;
        }
        Ok(segment)
    }

    fn into_segment(self, spill: &Spill) -> io::Result<Segment> {
        if self.spilt.is_some() { self.load(spill) } else { Ok(self.segment) }
    }

    /// Bytes in memory.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.segment.bytes.capacity()
    }
}

/// Segments to be taken out in the order in which they were put in.
#[derive(Default)]
pub(crate) struct Level {
    segments: Mutex<VecDeque<Stored>>,
    states: AtomicUsize,
    bytes: AtomicUsize,
}

impl Level {
    /// Adds a segment.
    pub(crate) fn push(&self, stored: Stored) {
        self.states.fetch_add(stored.segment.count, Ordering::Relaxed);
        self.bytes.fetch_add(stored.bytes(), Ordering::Relaxed);
        lock(&self.segments).push_back(stored);
    }

    /// Takes the first segment out.
    pub(crate) fn pop(&self, spill: &Spill) -> io::Result<Option<Segment>> {
        let Some(stored) = lock(&self.segments).pop_front() else { return Ok(None) };
        self.states.fetch_sub(stored.segment.count, Ordering::Relaxed);
        self.bytes.fetch_sub(stored.bytes(), Ordering::Relaxed);
        stored.into_segment(spill).map(Some)
    }

    /// How many states there are.
    pub(crate) fn len(&self) -> usize {
        self.states.load(Ordering::Relaxed)
    }

    /// How much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Moves to disk what is in memory.
    pub(crate) fn spill(&self, spill: &Spill) -> io::Result<()> {
        let mut segments = lock(&self.segments);
        let spilt: io::Result<()> = segments.iter_mut().try_for_each(|stored| stored.spill(spill));
        self.bytes.store(segments.iter().map(Stored::bytes).sum(), Ordering::Relaxed);
        spilt
    }

    /// All of them.
    pub(crate) fn into_segments(self) -> Vec<Stored> {
        self.segments.into_inner().unwrap_or_else(PoisonError::into_inner).into()
    }
}
