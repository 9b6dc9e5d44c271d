//! Participants and their numbers.
//!
//! Every participant that has the cluster's key is heard. Which servers have a say in a group is
//! not decided here, but by the log of that group, which names its members and their incarnations
//! ([`model::raft::membership`]).

/// The first number of a client. Servers are numbered below 65,535, by the configuration;
/// clients draw theirs at random from here on and need not be known in advance.
pub const FIRST_CLIENT: u64 = 1 << 32;

/// The number of numbers that servers may have.
pub(super) const SERVERS: u64 = u16::MAX as u64;

/// The sender of a frame, as its tag vouches.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sender {
    /// Its number.
    pub source: u64,
    /// Its incarnation.
    pub incarnation: u64,
}

impl Sender {
    /// Whether the sender's number is one that a server or a client may have.
    pub(super) fn is_legal(self) -> bool {
        self.source < SERVERS || self.source >= FIRST_CLIENT
    }
}
