//! The next segment before it is one: a file of zeros under a temporary name.
//!
//! The zeros are really written, not only reserved: a write into a reserved extent makes the next
//! sync also commit the extent's conversion in the file system's journal. They are written a step
//! at a time, so that a host that serves clients need not stop for a whole segment.

use super::disk::{Disk, DiskFile};
use super::error::{WalError, io_error};
use super::header::{self, SEGMENT_HEADER, SegmentHeader};
use super::segment::Segment;

/// Bytes zeroed in one step: little more work for the disk than a sync that writes nothing else.
const STEP: usize = 256 << 10;
static ZEROS: [u8; STEP] = [0; STEP];

/// A segment file that is not part of the log yet; one left by a crash is removed.
pub(super) struct Blank {
    name: String,
    file: Box<dyn DiskFile>,
    bytes: usize,
    filled: usize,
}

impl Blank {
    /// Creates the file for a segment with this place in the log and this length.
    pub(super) fn create(disk: &mut dyn Disk, sequence: u64, bytes: u32) -> Result<Self, WalError> {
        let name = header::temporary_name(sequence);
        let file = disk.create(&name).map_err(io_error("create", &name))?;
        Ok(Self { name, file, bytes: bytes as usize, filled: 0 })
    }

    /// Makes some more zeros durable, if there are fewer than `due`.
    pub(super) fn grow(&mut self, due: usize) -> Result<(), WalError> {
        if self.filled < self.bytes.min(due) {
            self.fill()?;
            self.file.sync().map_err(io_error("sync", &self.name))?;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), WalError> {
        let zeros = &ZEROS[..STEP.min(self.bytes - self.filled)];
        let write = self.file.write_at(self.filled as u64, zeros);
        write.map_err(io_error("preallocate", &self.name))?;
        self.filled += zeros.len();
        Ok(())
    }

    /// Makes it a segment of the log. It gets its name only once it is durable: a segment that
    /// recovery can see is whole.
    pub(super) fn finish(
        mut self,
        disk: &mut dyn Disk,
        header: SegmentHeader,
    ) -> Result<Segment, WalError> {
        assert_eq!(header.bytes as usize, self.bytes, "the header belongs to another segment");
        while self.filled < self.bytes {
            self.fill()?;
        }
        let name = header::file_name(header.sequence);
        let mut publish = || {
            self.file.write_at(0, &header.encode())?;
            self.file.sync()?;
            disk.rename(&self.name, &name)?;
            disk.sync_dir()
        };
        publish().map_err(io_error("finish log segment", &name))?;
        Ok(Segment::resume(self.file, header, SEGMENT_HEADER, header.seed(), true))
    }
}
