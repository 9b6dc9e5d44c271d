//! Chunks: how one message spans many datagrams.
//!
//! The parts of a message carry its keyed hash, its size and their place in it. Since the hash is
//! the message's name, a message sent again unchanged completes what its first attempt left behind:
//! each repetition only has to fill the gaps, where a counter for a name would start over and a
//! large message would never get through a lossy network. It is also the check that the parts
//! belong together.

use super::counters::Rejected;
use super::frame::Key;
use super::record::Part;

/// How much to hold of messages that have arrived in part. Beyond it the one that has waited
/// longest for its next part is given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Assembly {
    /// Most messages in assembly from one sender.
    pub per_sender: usize,
    /// Most messages in assembly.
    pub messages: usize,
    /// Most bytes in assembly, counting each message in full from its first part on.
    pub bytes: usize,
}

impl Assembly {
    /// Room for eight of the largest messages, be they from one sender or from several.
    pub const DEFAULT: Self = Self { per_sender: 8, messages: 128, bytes: 64 << 20 };
}

impl Default for Assembly {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The shortest part, but for the last of a message: a sender pads what is shorter.
pub(super) const SHORTEST_PART: usize = 128;

/// Most separate runs of bytes that a message in assembly may consist of: if every second of its
/// parts is missing, and all are as short as can be.
fn most_runs(total: usize) -> usize {
    total / (2 * SHORTEST_PART) + 1
}

/// Messages that have arrived in part.
#[derive(Debug)]
pub(super) struct Assembler {
    key: Key,
    limits: Assembly,
    max_message: usize,
    /// Least recently extended first. Few enough to search.
    partial: Vec<Partial>,
    bytes: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Partial {
    source: u64,
    stream: u64,
    bytes: Vec<u8>,
    /// What has arrived: disjoint, ascending, not touching.
    runs: Vec<(usize, usize)>,
}

impl Assembler {
    pub(super) fn new(key: Key, max_message: usize, limits: Assembly) -> Self {
        Self { key, limits, max_message, partial: Vec::new(), bytes: 0, evicted: 0 }
    }

    /// How many messages were given up to make room.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in a well-formed part, and returns the message if it is complete now.
    pub(super) fn accept(
        &mut self,
        source: u64,
        part: &Part<'_>,
    ) -> Result<Option<Vec<u8>>, Rejected> {
        let total = part.total as usize;
        if total > self.max_message || total > self.limits.bytes {
            return Err(Rejected::Limit);
        }
        let mut partial = match self.position(source, part.stream) {
            Some(at) => self.remove(at),
            None => Partial::new(source, part.stream, total),
        };
        if partial.bytes.len() != total {
            return Err(Rejected::Digest);
        }
        partial.fill(part.offset as usize, part.data);
        if partial.runs.len() > most_runs(total) {
            return Err(Rejected::Limit);
        }
        if partial.runs != [(0, total)] {
            self.insert(partial);
            return Ok(None);
        }
        if self.key.hash(&partial.bytes) != part.stream {
            return Err(Rejected::Digest);
        }
        Ok(Some(partial.bytes))
    }

    /// The senders of the messages in assembly, and the bytes they take.
    #[cfg(test)]
    pub(super) fn held(&self) -> (Vec<u64>, usize) {
        (self.partial.iter().map(|it| it.source).collect(), self.bytes)
    }

    fn position(&self, source: u64, stream: u64) -> Option<usize> {
        self.partial.iter().position(|it| it.source == source && it.stream == stream)
    }

    fn remove(&mut self, at: usize) -> Partial {
        let partial = self.partial.remove(at);
        self.bytes -= partial.bytes.len();
        partial
    }

    /// Adds `partial` as the most recent, and drops the oldest while there are too many.
    fn insert(&mut self, partial: Partial) {
        let source = partial.source;
        self.bytes += partial.bytes.len();
        self.partial.push(partial);
        if self.partial.iter().filter(|it| it.source == source).count() > self.limits.per_sender {
            self.evict(|it| it.source == source);
        }
        while self.partial.len() > self.limits.messages || self.bytes > self.limits.bytes {
            self.evict(|_| true);
        }
    }

    fn evict(&mut self, which: impl FnMut(&Partial) -> bool) {
        if let Some(oldest) = self.partial.iter().position(which) {
            self.remove(oldest);
            self.evicted += 1;
        }
    }
}

impl Partial {
    fn new(source: u64, stream: u64, total: usize) -> Self {
        Self { source, stream, bytes: vec![0; total], runs: Vec::new() }
    }

    /// Puts `data` in its place, which the caller knows to lie within the message.
    fn fill(&mut self, start: usize, data: &[u8]) {
        let end = start + data.len();
        self.bytes[start..end].copy_from_slice(data);
        let first = self.runs.partition_point(|run| run.1 < start);
        let last = self.runs.partition_point(|run| run.0 <= end);
        let touched = &self.runs[first..last];
        let start = touched.first().map_or(start, |run| run.0.min(start));
        let end = touched.last().map_or(end, |run| run.1.max(end));
        self.runs.splice(first..last, [(start, end)]);
    }
}
