//! From messages to datagrams.

use super::chunk::SHORTEST_PART;
use super::codec::{EncodeError, encode};
use super::frame::{self, HEADER, Identity, Key, TAG};
use super::peers::FIRST_CLIENT;
use super::record::{PART, Part, RECORD, write_part, write_whole};
use super::{Limits, MIN_DATAGRAM, STREAMS, whole_message};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::{fmt, mem};

/// Buffers larger than this are given back after use rather than kept for the next.
const KEEP: usize = 256 << 10;

// Even the smallest datagram has room for the shortest part.
const _: () = assert!(MIN_DATAGRAM - HEADER - TAG - RECORD - PART >= SHORTEST_PART);

/// Most idle buffers to keep.
const SPARE: usize = 256;

/// Packs messages into datagrams, many to one, and holds them until they are drained.
///
/// Small messages leave with the next drain. Large ones, in chunks, leave in bursts behind the
/// small, so that they neither delay them nor overrun the receiver's buffer.
#[derive(Debug)]
pub struct Sealer {
    identity: Identity,
    key: Key,
    stream_key: Key,
    limits: Limits,
    /// The message being encoded.
    scratch: Vec<u8>,
    /// Where messages wait, in order of their first one.
    active: Vec<Outbox>,
    /// Empty outside of a drain; kept for its memory.
    draining: Vec<Outbox>,
    spare: Vec<Outbox>,
    /// Position in `active` by destination.
    index: HashMap<u64, usize>,
    backlog: usize,
    sent: Sent,
}

/// What a [`Sealer`] has packed so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Messages accepted.
    pub messages: u64,
    /// Datagrams drained.
    pub datagrams: u64,
    /// Bytes in those datagrams.
    pub bytes: u64,
    /// Messages refused.
    pub refused: u64,
    /// Those of them that could never be sent: too large, or without an encoding. The protocols
    /// send none such.
    pub unsendable: u64,
}

/// Why a message cannot be sent. To the protocol it is a lost message: one that is refused for what
/// waits before it may leave the next time, any other never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// Its encoding exceeds [`Limits::max_message`], or it has none.
    Encoding(EncodeError),
    /// Too much is waiting already, see [`Limits::max_backlog`].
    Backlog,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(error) => error.fmt(f),
            Self::Backlog => f.write_str("too many large messages are waiting to be sent"),
        }
    }
}

impl std::error::Error for Refused {}

impl Sealer {
    /// A sealer for messages from `identity`, which authenticates them with `key`.
    pub fn new(identity: Identity, key: Key, limits: Limits) -> Self {
        Self {
            identity,
            key,
            stream_key: key.derive(STREAMS),
            limits: limits.legal(),
            scratch: Vec::new(),
            active: Vec::new(),
            draining: Vec::new(),
            spare: Vec::new(),
            index: HashMap::new(),
            backlog: 0,
            sent: Sent::default(),
        }
    }

    /// Packs `message` for participant `to`.
    ///
    /// # Errors
    ///
    /// When it cannot be sent; it is counted already.
    pub fn push<M: Serialize + ?Sized>(&mut self, to: u64, message: &M) -> Result<(), Refused> {
        let pushed = self.try_push(to, message);
        match pushed {
            Ok(()) => self.sent.messages += 1,
            Err(Refused::Backlog) => self.sent.refused += 1,
            Err(Refused::Encoding(_)) => {
                self.sent.refused += 1;
                self.sent.unsendable += 1;
            }
        }
        pushed
    }

    /// Whether anything is waiting.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Whether large messages are waiting.
    pub fn has_backlog(&self) -> bool {
        self.backlog > 0
    }

    /// What was packed so far.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Hands all small messages, and a burst of each destination's large ones if `bulk`, to `emit`
    /// as (destination, datagrams, size), those for servers first: all datagrams but the last have
    /// exactly that size.
    /// Returns the bytes of large messages in the largest burst.
    pub fn drain(&mut self, bulk: bool, mut emit: impl FnMut(u64, &[u8], usize)) -> usize {
        let size = self.limits.max_datagram;
        let mut largest = 0;
        self.index.clear();
        let idle = mem::take(&mut self.draining);
        let mut draining = mem::replace(&mut self.active, idle);
        // Servers first: they have work to do with it, for which others wait.
        draining.sort_by_key(|outbox| outbox.to >= FIRST_CLIENT);
        for mut outbox in draining.drain(..) {
            if bulk {
                let (packed, ended) = outbox.pack_burst(self.limits.burst);
                self.backlog -= ended;
                largest = largest.max(packed);
            }
            let datagrams = outbox.packer.finish();
            if !datagrams.is_empty() {
                self.sent.datagrams += datagrams.len().div_ceil(size) as u64;
                self.sent.bytes += datagrams.len() as u64;
                emit(outbox.to, datagrams, size);
            }
            self.recycle(outbox);
        }
        self.draining = draining;
        largest
    }

    fn try_push<M: Serialize + ?Sized>(&mut self, to: u64, message: &M) -> Result<(), Refused> {
        self.scratch.clear();
        encode(message, self.limits.max_message, &mut self.scratch).map_err(Refused::Encoding)?;
        if self.scratch.len() <= whole_message(self.limits.max_datagram) {
            let at = self.outbox(to);
            self.active[at].packer.push_whole(&self.scratch);
            return Ok(());
        }
        if self.backlog + self.scratch.len() > self.limits.max_backlog {
            return Err(Refused::Backlog);
        }
        let stream = self.stream_key.hash(&self.scratch);
        let at = self.outbox(to);
        let large = &mut self.active[at].large;
        // Sent again while it is still waiting, it needs to leave only once.
        if large.iter().all(|it| it.stream != stream) {
            self.backlog += self.scratch.len();
            large.push_back(Large { stream, bytes: self.scratch.as_slice().into(), sent: 0 });
        }
        if self.scratch.capacity() > KEEP {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    /// The position of the outbox for `to`, which is made active.
    fn outbox(&mut self, to: u64) -> usize {
        if let Some(&at) = self.index.get(&to) {
            return at;
        }
        let header = frame::header(&self.identity, to);
        let mut outbox = self.spare.pop().unwrap_or_else(|| Outbox {
            to,
            packer: Packer::new(header, self.key, self.limits.max_datagram),
            large: VecDeque::new(),
        });
        outbox.to = to;
        outbox.packer.header = header;
        self.activate(outbox)
    }

    fn activate(&mut self, outbox: Outbox) -> usize {
        let at = self.active.len();
        self.index.insert(outbox.to, at);
        self.active.push(outbox);
        at
    }

    fn recycle(&mut self, mut outbox: Outbox) {
        outbox.packer.clear();
        if !outbox.large.is_empty() {
            self.activate(outbox);
        } else if outbox.packer.bytes.capacity() <= KEEP && self.spare.len() < SPARE {
            self.spare.push(outbox);
        }
    }
}

/// What waits for one destination.
#[derive(Debug)]
struct Outbox {
    to: u64,
    packer: Packer,
    large: VecDeque<Large>,
}

/// A message that leaves in chunks.
#[derive(Debug)]
struct Large {
    stream: u64,
    bytes: Box<[u8]>,
    /// How many of the bytes are on their way.
    sent: usize,
}

impl Outbox {
    /// Packs chunks up to `burst` bytes. Returns how many, and the size of the messages that ended.
    fn pack_burst(&mut self, burst: usize) -> (usize, usize) {
        let (mut packed, mut ended) = (0, 0);
        while packed < burst {
            let Some(large) = self.large.front_mut() else { break };
            let room = self.packer.room_for_part();
            let end = large.bytes.len().min(large.sent + room);
            self.packer.push_part(&Part {
                stream: large.stream,
                offset: large.sent as u32,
                total: large.bytes.len() as u32,
                data: &large.bytes[large.sent..end],
            });
            packed += end - large.sent;
            large.sent = end;
            if large.sent == large.bytes.len() {
                ended += large.sent;
                self.large.pop_front();
            }
        }
        (packed, ended)
    }
}

/// Datagrams to one destination, one after the other in one buffer.
#[derive(Debug)]
struct Packer {
    header: [u8; HEADER],
    key: Key,
    /// Size of a full datagram.
    size: usize,
    bytes: Vec<u8>,
    /// Where the datagram begins that still has room; the end of `bytes` if there is none.
    open: usize,
}

impl Packer {
    fn new(header: [u8; HEADER], key: Key, size: usize) -> Self {
        Self { header, key, size, bytes: Vec::new(), open: 0 }
    }

    fn push_whole(&mut self, message: &[u8]) {
        self.make_room(RECORD + message.len());
        write_whole(&mut self.bytes, message);
    }

    fn push_part(&mut self, part: &Part<'_>) {
        self.make_room(RECORD + PART + part.data.len());
        write_part(&mut self.bytes, part);
    }

    /// How many bytes of a large message the next part should carry.
    fn room_for_part(&self) -> usize {
        // A smaller rest is padded: a part so short would cost more than it carries.
        let full = self.size - HEADER - TAG - RECORD - PART;
        match self.room().checked_sub(RECORD + PART) {
            Some(rest) if rest >= SHORTEST_PART => rest,
            Some(_) | None => full,
        }
    }

    /// How many more bytes the open datagram takes.
    fn room(&self) -> usize {
        let used = self.bytes.len() - self.open;
        if used == 0 { 0 } else { self.size - TAG - used }
    }

    /// Begins another datagram unless the open one takes `length` more bytes.
    fn make_room(&mut self, length: usize) {
        if self.room() >= length {
            return;
        }
        if self.open < self.bytes.len() {
            self.bytes.resize(self.open + self.size - TAG, 0);
            self.close();
        }
        self.bytes.extend_from_slice(&self.header);
    }

    fn close(&mut self) {
        frame::seal(&mut self.bytes, self.open, self.key);
        self.open = self.bytes.len();
    }

    /// All datagrams, complete.
    fn finish(&mut self) -> &[u8] {
        if self.open < self.bytes.len() {
            self.close();
        }
        &self.bytes
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.open = 0;
    }
}
