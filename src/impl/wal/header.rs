//! The first bytes of a segment: whose log it belongs to, and where in that log.

use std::fmt;

use crc32c::crc32c;

use super::error::WalError;
use super::frame::{u32_at, u64_at};

/// Bytes of a segment before its first frame.
pub(super) const SEGMENT_HEADER: usize = 64;

const MAGIC: [u8; 8] = *b"shardwal";
const VERSION: u32 = 1;
const CHECKED: usize = SEGMENT_HEADER - 4;

/// Whose log this is. A wiped replica comes back as another incarnation, never as its old self.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// The cluster, chosen when it was founded.
    pub cluster: u64,
    /// The node within the cluster.
    pub node: u64,
    /// This life of the node, chosen at random at its first start.
    pub incarnation: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {:x} node {} ", self.cluster, self.node)?;
        write!(f, "incarnation {:x}", self.incarnation)
    }
}

/// The header of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    /// Counts from 1, without gaps.
    pub(super) sequence: u64,
    /// Length of the file.
    pub(super) bytes: u32,
    /// Where the chain of the segment before ended: the checksum of its last record or seal, or
    /// its seed; 0 in the first segment.
    pub(super) carried: u32,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut raw = [0; SEGMENT_HEADER];
        raw[..8].copy_from_slice(&MAGIC);
        raw[8..12].copy_from_slice(&VERSION.to_le_bytes());
        raw[12..16].copy_from_slice(&self.bytes.to_le_bytes());
        raw[16..24].copy_from_slice(&self.identity.cluster.to_le_bytes());
        raw[24..32].copy_from_slice(&self.identity.node.to_le_bytes());
        raw[32..40].copy_from_slice(&self.identity.incarnation.to_le_bytes());
        raw[40..48].copy_from_slice(&self.sequence.to_le_bytes());
        raw[48..52].copy_from_slice(&self.carried.to_le_bytes());
        let checksum = crc32c(&raw[..CHECKED]);
        raw[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
        raw
    }

    /// Reads the header of `file`, whose whole content is `segment`.
    pub(super) fn decode(file: &str, segment: &[u8]) -> Result<Self, WalError> {
        let corrupt = |offset, reason| WalError::Corrupt { file: file.to_owned(), offset, reason };
        let Some(raw) = segment.get(..SEGMENT_HEADER) else {
            return Err(corrupt(segment.len() as u64, "the file ends inside its header"));
        };
        if raw[..8] != MAGIC {
            return Err(corrupt(0, "this is not a log segment"));
        }
        let version = u32_at(raw, 8);
        if version != VERSION {
            return Err(WalError::Version { file: file.to_owned(), version });
        }
        if u32_at(raw, CHECKED) != crc32c(&raw[..CHECKED]) {
            return Err(corrupt(0, "the checksum of the segment header is wrong"));
        }
        let header = Self {
            identity: Identity {
                cluster: u64_at(raw, 16),
                node: u64_at(raw, 24),
                incarnation: u64_at(raw, 32),
            },
            sequence: u64_at(raw, 40),
            bytes: u32_at(raw, 12),
            carried: u32_at(raw, 48),
        };
        if segment.len() as u64 != u64::from(header.bytes) {
            // The length was durable before the first record, so no crash explains another one.
            return Err(corrupt(segment.len() as u64, "the file was cut short or made longer"));
        }
        if file != file_name(header.sequence) {
            return Err(corrupt(40, "the file holds another segment than its name says"));
        }
        Ok(header)
    }

    /// What the chain and every checksum of the segment start from.
    pub(super) fn seed(&self) -> u32 {
        u32_at(&self.encode(), CHECKED)
    }
}

const SUFFIX: &str = ".wal";
const TEMPORARY_SUFFIX: &str = ".wal.tmp";

/// The name of a segment that is part of the log.
pub(super) fn file_name(sequence: u64) -> String {
    format!("{sequence:010}{SUFFIX}")
}

/// The name of a segment that is being allocated.
pub(super) fn temporary_name(sequence: u64) -> String {
    format!("{sequence:010}{TEMPORARY_SUFFIX}")
}

pub(super) fn is_segment(file: &str) -> bool {
    file.ends_with(SUFFIX)
}

pub(super) fn is_temporary(file: &str) -> bool {
    file.ends_with(TEMPORARY_SUFFIX)
}
