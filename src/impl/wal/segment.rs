//! The segment that is being written: durable up to a point, and a buffer of what comes after it.

use super::disk::DiskFile;
use super::error::{WalError, io_error};
use super::frame::{self, FRAME_HEADER, Place, Record, Tag, frame_bytes};
use super::header::{self, Identity, SEGMENT_HEADER, SegmentHeader};

/// The payload of a frame that is nothing but its header.
const MARK: Record<&[u8]> = Record { kind: 0, index: 0, term: 0, payload: &[] };

/// A segment open for appending.
///
/// Invariant: the file holds the chain, durably, up to `synced`; `buffer` continues it from there;
/// beyond that the file holds zeros, or pieces of writes whose sync did not return.
pub(super) struct Segment {
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    seed: u32,
    chain: u32,
    synced: usize,
    buffer: Vec<u8>,
    sealed: bool,
}

impl Segment {
    /// A segment whose frames end at `end` with checksum `chain` and are all durable.
    pub(super) fn resume(
        file: Box<dyn DiskFile>,
        header: SegmentHeader,
        end: usize,
        chain: u32,
        sealed: bool,
    ) -> Self {
        assert!(end <= header.bytes as usize, "end {end} beyond segment of {}", header.bytes);
        let seed = header.seed();
        Self { file, header, seed, chain, synced: end, buffer: Vec::new(), sealed }
    }

    /// The header of the segment that comes after this one.
    pub(super) fn successor(&self, bytes: u32) -> SegmentHeader {
        let Self { chain, header: SegmentHeader { identity, sequence, .. }, .. } = *self;
        SegmentHeader { identity, sequence: sequence + 1, bytes, carried: chain }
    }

    /// How many bytes of the next segment should be allocated by now: none before this one is half
    /// full; as many as this one has, when it is three quarters full.
    pub(super) fn due_of_next(&self) -> Option<usize> {
        let used = self.synced + self.buffer.len();
        (4 * used).checked_sub(2 * self.header.bytes as usize)
    }

    /// Length of the file.
    pub(super) fn bytes(&self) -> usize {
        self.header.bytes as usize
    }

    /// The identity of the log.
    pub(super) fn identity(&self) -> Identity {
        self.header.identity
    }

    /// Bytes of frames that still fit such that the segment can be marked as continued.
    pub(super) fn room(&self) -> usize {
        let used = self.synced + self.buffer.len() + FRAME_HEADER;
        (self.header.bytes as usize).saturating_sub(used)
    }

    /// Whether a frame fits such that the segment can still be marked as continued.
    pub(super) fn has_room(&self, frame: usize) -> bool {
        frame <= self.room()
    }

    /// Most payload bytes of a record in a segment of this size.
    pub(super) const fn payload_limit(bytes: u32) -> usize {
        // Two frame headers: the record's own, and the mark that the segment is continued.
        bytes as usize - SEGMENT_HEADER - 2 * FRAME_HEADER
    }

    /// Buffers a record, for which there must be room.
    pub(super) fn push_record(&mut self, record: Record<&[u8]>) {
        assert!(self.has_room(frame_bytes(record.payload.len())), "record beyond segment end");
        self.push(Tag::Record, record);
        self.sealed = false;
    }

    /// Buffers a seal, for which there must be room and nothing else to write.
    pub(super) fn push_seal(&mut self) {
        assert!(self.has_room(FRAME_HEADER), "seal beyond segment end");
        assert!(self.buffer.is_empty(), "a seal shares the fate of records written with it");
        self.push(Tag::Seal, MARK);
        self.sealed = true;
    }

    /// Buffers the mark that the segment has a successor, for which there is always room.
    pub(super) fn push_continued(&mut self) {
        self.push(Tag::Continued, MARK);
    }

    fn push(&mut self, tag: Tag, record: Record<&[u8]>) {
        let offset = self.synced + self.buffer.len();
        let place = Place { seed: self.seed, offset, previous: self.chain, synced: self.synced };
        self.chain = frame::push(&mut self.buffer, place, tag, record);
    }

    /// Makes everything durable, with one write and one sync; with none if there is nothing to do.
    ///
    /// After an error the segment must not be used any more.
    pub(super) fn flush(&mut self) -> Result<(), WalError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Self { file, buffer, synced, .. } = self;
        let mut write = || {
            file.write_at(*synced as u64, buffer)?;
            file.sync()
        };
        write().map_err(io_error("write", &header::file_name(self.header.sequence)))?;
        self.synced += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    /// Whether the disk itself says that every record is durable.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }
}
