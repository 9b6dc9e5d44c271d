//! The frame: who sent a datagram, to whom, and that it is unchanged.
//!
//! A datagram is a 40-byte header, a payload and an 8-byte tag, all numbers little-endian. The tag
//! is SipHash-2-4 over everything before it, keyed with the cluster's secret: whoever lacks the key
//! forges a given frame with probability 2^-64 a try, and corruption passes no more often. It does
//! not hide anything, and a recorded frame can be sent again; protocols bear duplicates anyway.

use super::counters::Rejected;
use super::peers::FIRST_CLIENT;
use crate::rng::Rng;
use siphasher::sip::SipHasher24;
use std::fmt;

/// First four bytes of every frame.
const MAGIC: [u8; 4] = *b"SHWR";

/// Version of the frame format. Message formats have their own, in [`Identity::schema`].
const VERSION: u8 = 1;

/// Bytes before the payload.
pub const HEADER: usize = 40;

/// Bytes after the payload.
pub const TAG: usize = 8;

/// The cluster's shared secret.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key([u8; 16]);

impl Key {
    /// A key of these 128 bits, which should be random and the same on all members.
    pub fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// A key for another purpose: knowing what one authenticates says nothing about the other.
    pub(super) fn derive(self, purpose: u8) -> Self {
        let half = |part| self.hash(&[purpose, part]).to_le_bytes();
        let mut derived = [0; 16];
        derived[..8].copy_from_slice(&half(0));
        derived[8..].copy_from_slice(&half(1));
        Self(derived)
    }

    pub(super) fn hash(self, bytes: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.0).hash(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Who a participant is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Which cluster it belongs to.
    pub cluster: u64,
    /// Its number in the cluster: small for servers, from [`FIRST_CLIENT`] on
    /// for clients.
    pub id: u64,
    /// Drawn at random when its storage was first created: the same number with another incarnation
    /// has lost what it knew and is somebody else.
    pub incarnation: u64,
    /// Version of the message type. Different versions do not understand each other, and refuse
    /// each other's frames instead of reading one message as another.
    pub schema: u8,
}

impl Identity {
    /// A new client of `cluster`, with a number that no other client has for all practical
    /// purposes: among a million of them two are equal with a probability of about 3 in 10^8.
    pub fn client(cluster: u64, schema: u8, rng: &mut Rng) -> Self {
        let id = FIRST_CLIENT + rng.below(u64::MAX - FIRST_CLIENT);
        Self { cluster, id, incarnation: rng.next_u64(), schema }
    }
}

/// What a frame says about itself, once its tag was found right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Opened<'a> {
    pub(super) source: u64,
    pub(super) incarnation: u64,
    pub(super) payload: &'a [u8],
}

/// Writes the header for a frame from `from` to `to`; the length follows at [`seal`].
pub(super) fn header(from: &Identity, to: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    header[5] = from.schema;
    header[8..16].copy_from_slice(&from.cluster.to_le_bytes());
    header[16..24].copy_from_slice(&from.id.to_le_bytes());
    header[24..32].copy_from_slice(&to.to_le_bytes());
    header[32..40].copy_from_slice(&from.incarnation.to_le_bytes());
    header
}

/// Completes the frame that begins at `start` with its length and tag.
///
/// The payload must be at most 65,535 bytes, which the datagram limit ensures.
pub(super) fn seal(bytes: &mut Vec<u8>, start: usize, key: Key) {
    let length = (bytes.len() - start - HEADER) as u16;
    bytes[start + 6..start + 8].copy_from_slice(&length.to_le_bytes());
    let tag = key.hash(&bytes[start..]);
    bytes.extend_from_slice(&tag.to_le_bytes());
}

/// Checks that `datagram` is a frame for `to`, made with `key`.
pub(super) fn open<'a>(
    datagram: &'a [u8],
    to: &Identity,
    key: Key,
) -> Result<Opened<'a>, Rejected> {
    if datagram.len() < HEADER + TAG {
        return Err(Rejected::Short);
    }
    let (signed, tag) = datagram.split_at(datagram.len() - TAG);
    let (header, payload) = signed.split_at(HEADER);
    require(header[..4] == MAGIC, Rejected::Magic)?;
    require(header[4] == VERSION, Rejected::Version)?;
    require(header[5] == to.schema, Rejected::Schema)?;
    let length = u16::from_le_bytes([header[6], header[7]]);
    require(usize::from(length) == payload.len(), Rejected::Length)?;
    require(number(header, 8) == to.cluster, Rejected::Cluster)?;
    require(number(header, 24) == to.id, Rejected::Destination)?;
    require(number(tag, 0) == key.hash(signed), Rejected::Tag)?;
    Ok(Opened { source: number(header, 16), incarnation: number(header, 32), payload })
}

fn require(holds: bool, otherwise: Rejected) -> Result<(), Rejected> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The number in the eight bytes from `at` on, which the caller knows are there.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
