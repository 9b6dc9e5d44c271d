//! Why a datagram or a message was dropped, and how often.

/// Why a datagram, or one message in it, was dropped without effect.
///
/// The checks are made in the order of the variants; the first that fails names the reason.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rejected {
    /// Shorter than the smallest frame.
    Short,
    /// Does not begin with the magic number: not ours at all.
    Magic,
    /// Another version of the frame format.
    Version,
    /// Another version of the message type.
    Schema,
    /// The length field is not the length of the datagram: cut off, or followed by something.
    Length,
    /// Meant for another cluster.
    Cluster,
    /// Meant for another participant.
    Destination,
    /// The tag does not match: corrupted, or made by someone without the key.
    Tag,
    /// The payload is not a sequence of well-formed records.
    Record,
    /// The sender's number is the receiver's own, or neither a server's nor a client's.
    Source,
    /// A part of a message above the size limit, or a message in too many pieces.
    Limit,
    /// A message whose parts do not make the message that was sent.
    Digest,
    /// A message that does not decode, or not to its last byte.
    Undecodable,
}

impl Rejected {
    /// Every reason, in the order in which the checks are made.
    pub const ALL: [Self; 13] = [
        Self::Short,
        Self::Magic,
        Self::Version,
        Self::Schema,
        Self::Length,
        Self::Cluster,
        Self::Destination,
        Self::Tag,
        Self::Record,
        Self::Source,
        Self::Limit,
        Self::Digest,
        Self::Undecodable,
    ];
}

const _: () = {
    let mut at = 0;
    while at < Rejected::ALL.len() {
        assert!(Rejected::ALL[at] as usize == at, "`ALL` is not in the order of declaration");
        at += 1;
    }
};

/// What an [`Opener`](super::Opener) has let in and turned away.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Datagrams that passed every check of the frame.
    pub datagrams: u64,
    /// Bytes in those datagrams.
    pub bytes: u64,
    /// Messages decoded and handed on.
    pub messages: u64,
    /// Messages given up half assembled, to make room for newer ones.
    pub evicted: u64,
    pub(super) rejected: [u64; Rejected::ALL.len()],
}

impl Counters {
    /// How many datagrams or messages were dropped for `reason`.
    pub fn rejected(&self, reason: Rejected) -> u64 {
        self.rejected[reason as usize]
    }

    /// How many datagrams or messages were dropped in all.
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.iter().sum()
    }

    pub(super) fn reject(&mut self, reason: Rejected) {
        self.rejected[reason as usize] += 1;
    }
}
