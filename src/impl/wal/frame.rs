//! A frame: one link of the log's chain, as bytes.
//!
//! The header proves itself, without its neighbours: its checksum starts from the seed of its
//! segment and from its own offset, so it holds nowhere else. It is checked apart from its payload,
//! so that recovery can look for headers at every offset in linear time.

use crc32c::{crc32c, crc32c_append};

use super::header::SEGMENT_HEADER;

/// Bytes of a frame before its payload.
pub(super) const FRAME_HEADER: usize = 40;

/// Frames begin at multiples of this, so that a search for frames looks at one offset in eight.
pub(super) const ALIGNMENT: usize = 8;

/// One opaque entry of the log. The layer above gives `kind`, `index` and `term` their meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<P> {
    /// What the payload is.
    pub kind: u8,
    /// The Raft index that the record is about.
    pub index: u64,
    /// The Raft term that the record is about.
    pub term: u64,
    /// The content: `&[u8]` or anything like it on the way in, `Vec<u8>` on the way out.
    pub payload: P,
}

/// What a frame is for. Zero is none of these, so that zeros are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    /// A record of the layer above.
    Record = 1,
    /// Nothing but a watermark: says that all before it is durable.
    Seal = 2,
    /// Says that the next segment exists, so that its absence is noticed.
    Continued = 3,
}

impl Tag {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Record, Self::Seal, Self::Continued].into_iter().find(|&tag| tag as u8 == byte)
    }
}

/// A frame header whose checksum holds at the place it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    offset: usize,
    pub(super) checksum: u32,
    pub(super) previous: u32,
    /// All of the segment below this offset was durable before this frame was written.
    pub(super) synced: usize,
    pub(super) tag: Tag,
    /// The record, with the length and the checksum of its payload in place of the payload.
    record: Record<(usize, u32)>,
}

/// Bytes that a frame with this much payload occupies.
pub fn frame_bytes(payload: usize) -> usize {
    FRAME_HEADER + payload.next_multiple_of(ALIGNMENT)
}

/// Where a frame goes, and what it follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) seed: u32,
    pub(super) offset: usize,
    pub(super) previous: u32,
    pub(super) synced: usize,
}

/// Appends a frame to `buffer` and returns its checksum, the new end of the chain.
pub(super) fn push(buffer: &mut Vec<u8>, place: Place, tag: Tag, record: Record<&[u8]>) -> u32 {
    let start = buffer.len();
    let body = start + FRAME_HEADER;
    buffer.resize(body, 0);
    buffer.extend_from_slice(record.payload);
    buffer.resize(start + frame_bytes(record.payload.len()), 0);
    let payload_checksum = crc32c(&buffer[body..]);

    let header = &mut buffer[start..body];
    header[4..8].copy_from_slice(&place.previous.to_le_bytes());
    header[8..12].copy_from_slice(&(record.payload.len() as u32).to_le_bytes());
    header[12..16].copy_from_slice(&payload_checksum.to_le_bytes());
    header[16..24].copy_from_slice(&record.index.to_le_bytes());
    header[24..32].copy_from_slice(&record.term.to_le_bytes());
    header[32..36].copy_from_slice(&(place.synced as u32).to_le_bytes());
    header[36] = record.kind;
    header[37] = tag as u8;
    let checksum = header_checksum(place.seed, place.offset, &header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

impl Frame {
    /// The frame whose header is at `offset` of `segment`, if there is one that proves itself.
    pub(super) fn at(segment: &[u8], seed: u32, offset: usize) -> Option<Self> {
        let header = segment.get(offset..)?.get(..FRAME_HEADER)?;
        let tag = Tag::from_byte(header[37])?;
        let checksum = u32_at(header, 0);
        let length = u32_at(header, 8) as usize;
        let synced = u32_at(header, 32) as usize;
        let plausible = length <= segment.len()
            && offset + frame_bytes(length) <= segment.len()
            && (SEGMENT_HEADER..=offset).contains(&synced);
        if !plausible || checksum != header_checksum(seed, offset, &header[4..]) {
            return None;
        }
        Some(Self {
            offset,
            checksum,
            previous: u32_at(header, 4),
            synced,
            tag,
            record: Record {
                kind: header[36],
                index: u64_at(header, 16),
                term: u64_at(header, 24),
                payload: (length, u32_at(header, 12)),
            },
        })
    }

    /// The offset at which the next frame begins.
    pub(super) fn end(&self) -> usize {
        self.offset + frame_bytes(self.record.payload.0)
    }

    /// The record, if its payload is whole in `segment`, from which this frame was read.
    pub(super) fn record(&self, segment: &[u8]) -> Option<Record<Vec<u8>>> {
        let Record { kind, index, term, payload: (length, checksum) } = self.record;
        let padded = &segment[self.offset + FRAME_HEADER..self.end()];
        (crc32c(padded) == checksum).then(|| Record {
            kind,
            index,
            term,
            payload: padded[..length].to_vec(),
        })
    }
}

fn header_checksum(seed: u32, offset: usize, fields: &[u8]) -> u32 {
    crc32c_append(crc32c_append(seed, &(offset as u64).to_le_bytes()), fields)
}

/// The little-endian number at `at`, which the caller knows to be inside `bytes`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// The little-endian number at `at`, which the caller knows to be inside `bytes`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_only_in_its_own_place() {
        let place = Place { seed: 7, offset: 128, previous: 5, synced: 72 };
        let record = Record { kind: 1, index: 2, term: 3, payload: &b"payload"[..] };
        let mut segment = vec![0; 128];
        let checksum = push(&mut segment, place, Tag::Record, record);
        segment.resize(512, 0);
        let frame = Frame::at(&segment, 7, 128).expect("a frame is there");
        assert_eq!((frame.checksum, frame.previous, frame.synced), (checksum, 5, 72));
        assert_eq!(frame.end(), 128 + FRAME_HEADER + 8);
        let read = frame.record(&segment).expect("its payload is whole");
        assert_eq!((read.kind, read.index, read.term), (1, 2, 3));
        assert_eq!(read.payload, b"payload");

        assert!(Frame::at(&segment, 8, 128).is_none(), "another segment");
        segment.copy_within(128..256, 256);
        assert!(Frame::at(&segment, 7, 256).is_none(), "another offset");
        assert!(Frame::at(&segment[..170], 7, 128).is_none(), "beyond the end");
        assert!((0..600).all(|at| at == 128 || Frame::at(&segment, 7, at).is_none()));
    }
}
