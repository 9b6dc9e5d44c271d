//! The wire: from messages to datagrams and back.
//!
//! [`Sealer`] packs messages into authenticated datagrams, [`Opener`] takes them out again. Between
//! them stand four ideas, one file each: [`frame`] says who may speak and that nothing was changed,
//! `record` lets one datagram carry many messages, `chunk` lets one message span many datagrams,
//! [`codec`] turns values into bytes. Whatever arrives malformed is dropped and counted by
//! [reason](Rejected); no input makes this module panic or hold memory without bound.
//!
//! `docs/wire.md` has the tables.

mod chunk;
pub mod codec;
mod counters;
pub mod frame;
mod opener;
mod peers;
mod record;
mod sealer;
#[cfg(test)]
mod tests;

pub use chunk::Assembly;
pub use counters::{Counters, Rejected};
pub use frame::{Identity, Key};
pub use opener::Opener;
pub use peers::{FIRST_CLIENT, Sender};
pub use sealer::{Refused, Sealer, Sent};

use std::time::Duration;

use model::limits::MAX_MESSAGE_BYTES;

/// Largest UDP payload over IPv4, in bytes.
pub const MAX_UDP_PAYLOAD: usize = 65_507;

/// Smallest datagram size worth configuring: room for the overhead and some payload.
pub const MIN_DATAGRAM: usize = 256;

/// The largest message that fits into one datagram of this size.
#[must_use]
pub const fn whole_message(max_datagram: usize) -> usize {
    max_datagram - frame::HEADER - record::RECORD - frame::TAG
}

/// What the key is derived for that names large messages.
const STREAMS: u8 = 1;

/// How much the wire may use of everything.
///
/// All members of a cluster should agree on `max_message`; the rest is each one's own business.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Largest datagram to send, in bytes, from [`MIN_DATAGRAM`] to [`MAX_UDP_PAYLOAD`]. The
    /// default of 1,400 passes an Ethernet path with room for tunnels; more is for loopback and
    /// jumbo frames.
    pub max_datagram: usize,
    /// Largest encoded message, in bytes: what the model takes for granted.
    pub max_message: usize,
    /// Most bytes of large messages to hold back for pacing, over all destinations.
    pub max_backlog: usize,
    /// Bytes of large messages to send to one destination at once, and in each `burst_interval`.
    /// The receiver's socket buffer must hold a few of them.
    pub burst: usize,
    /// How long a full burst takes up, if the receiver's socket buffer is as small as usual; one of
    /// half the size, half as long. Up to four times as fast for larger buffers.
    pub burst_interval: Duration,
    /// How much to hold of large messages that have arrived in part.
    pub assembly: Assembly,
}

impl Limits {
    /// What is right for most networks.
    pub const DEFAULT: Self = Self {
        max_datagram: 1_400,
        max_message: MAX_MESSAGE_BYTES,
        max_backlog: 64 << 20,
        burst: 64 << 10,
        burst_interval: Duration::from_millis(1),
        assembly: Assembly::DEFAULT,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The smallest usual size of a socket buffer, in bytes: what Linux gives to who does not ask.
const USUAL_BUFFER: usize = 208 << 10;

/// By how much faster than to such a buffer to send at most.
const FASTEST: usize = 4;

impl Limits {
    /// These limits for receivers with so large a socket buffer: the more it holds while its owner
    /// waits for a processor, the faster may it come.
    pub(crate) fn paced_for(self, buffer: usize) -> Self {
        let times = (buffer / USUAL_BUFFER).clamp(1, FASTEST) as u32;
        Self { burst_interval: self.burst_interval / times, ..self }
    }

    /// These limits with every value brought into its legal range.
    fn legal(self) -> Self {
        Self {
            max_datagram: self.max_datagram.clamp(MIN_DATAGRAM, MAX_UDP_PAYLOAD),
            max_message: self.max_message.min(u32::MAX as usize),
            burst: self.burst.max(1),
            ..self
        }
    }
}
