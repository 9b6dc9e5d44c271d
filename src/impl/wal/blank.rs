//! The next segment before it is part of the log: a file of zeros under a temporary name.
//!
//! The zeros are really written, not only reserved: a write into a reserved extent makes the next
//! sync also commit the extent's conversion in the file system's journal. They are written a step
//! at a time, so that a host that serves clients need not stop for a whole segment. Where the file
//! system can, the space is reserved before the first step: a full disk shows at once, and not
//! after half of the file.
//!
//! **A full disk.** The file holds nothing that was promised, and nothing in the log refers to it
//! before its name is durable. If the disk has no space for it, the file is removed, so that it
//! does not itself keep the disk full, and the error is [`WalError::NoSpace`]: the log is as it
//! was, and the file can be created again later. Any other error is final.

use std::io;

use super::disk::{Disk, DiskFile};
use super::error::{WalError, io_error, is_no_space, space_error};
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
    ///
    /// # Errors
    /// [`WalError::NoSpace`], after which there is no such file; [`WalError::Io`].
    pub(super) fn create(disk: &mut dyn Disk, sequence: u64, bytes: u32) -> Result<Self, WalError> {
        let name = header::temporary_name(sequence);
        let created = match disk.create(&name) {
            // The file of an earlier attempt could not be removed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&name).and_then(|()| disk.create(&name))
            }
            created => created,
        };
        let mut file = created.map_err(space_error("create", &name))?;
        let reserved = file.reserve(bytes.into()).map_err(space_error("preallocate", &name));
        let blank = Self { name, file, bytes: bytes as usize, filled: 0 };
        blank.unless_full(disk, reserved)
    }

    /// Makes some more zeros durable, if there are fewer than `due`.
    ///
    /// # Errors
    /// [`WalError::NoSpace`], after which the file is gone; [`WalError::Io`].
    pub(super) fn grow(mut self, disk: &mut dyn Disk, due: usize) -> Result<Self, WalError> {
        let mut grow = || {
            if self.filled < self.bytes.min(due) {
                self.fill()?;
                self.file.sync().map_err(space_error("sync", &self.name))?;
            }
            Ok(())
        };
        let grown = grow();
        self.unless_full(disk, grown)
    }

    /// Whether all zeros are written.
    pub(super) fn is_whole(&self) -> bool {
        self.filled == self.bytes
    }

    fn fill(&mut self) -> Result<(), WalError> {
        let zeros = &ZEROS[..STEP.min(self.bytes - self.filled)];
        let write = self.file.write_at(self.filled as u64, zeros);
        write.map_err(space_error("preallocate", &self.name))?;
        self.filled += zeros.len();
        Ok(())
    }

    /// Makes it a segment of the log. It gets its name only once it is durable: a segment that
    /// recovery can see is whole.
    ///
    /// # Errors
    /// [`WalError::NoSpace`], after which neither the file nor its name is left; [`WalError::Io`].
    pub(super) fn finish(
        mut self,
        disk: &mut dyn Disk,
        header: SegmentHeader,
    ) -> Result<Segment, WalError> {
        assert_eq!(header.bytes as usize, self.bytes, "the header belongs to another segment");
        let name = header::file_name(header.sequence);
        let mut publish = || {
            while !self.is_whole() {
                self.fill()?;
            }
            self.file.write_at(0, &header.encode()).map_err(space_error("write", &self.name))?;
            self.file.sync().map_err(space_error("sync", &self.name))?;
            disk.rename(&self.name, &name).map_err(space_error("rename", &self.name))
        };
        let published = publish();
        let blank = self.unless_full(disk, published)?;
        match disk.sync_dir().map_err(space_error("sync the name of", &name)) {
            Ok(()) => {}
            Err(error @ WalError::NoSpace { .. }) => {
                // The name may be durable or not. It must be gone for certain before the segment
                // in front of it grows any further: its header says where that one ends.
                disk.remove(&name).map_err(io_error("remove", &name))?;
                disk.sync_dir().map_err(io_error("remove", &name))?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(Segment::resume(blank.file, header, SEGMENT_HEADER, header.seed(), true))
    }

    /// Gives the blank back if `result` is good, and removes its file if the disk was full.
    fn unless_full(
        self,
        disk: &mut dyn Disk,
        result: Result<(), WalError>,
    ) -> Result<Self, WalError> {
        let Err(error) = result else { return Ok(self) };
        if matches!(error, WalError::NoSpace { .. }) {
            let Self { name, file, .. } = self;
            drop(file); // The space of an open file is not free.
            remove_temporary(disk, &name)?;
        }
        Err(error)
    }
}

/// Removes a segment file that never became part of the log. If a full disk prevents even that, the
/// file stays, and [`Blank::create`] or the next recovery removes it.
pub(super) fn remove_temporary(disk: &mut dyn Disk, name: &str) -> Result<(), WalError> {
    match disk.remove(name) {
        Ok(()) => Ok(()),
        Err(error) if is_no_space(&error) || error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("remove", name)(error)),
    }
}
