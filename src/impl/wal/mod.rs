//! The durable log: what a node has promised, kept through crashes.
//!
//! The log is a chain of opaque [`Record`]s. [`Wal::append`] only buffers; [`Wal::sync`] writes the
//! buffer with one write and one `fdatasync`, however many records it holds, and when it returns
//! they are durable. The log is never rewritten: a layer above that changes its mind appends a
//! record saying so.
//!
//! **On disk** the log is a row of preallocated *segments*. A segment header says whose log it is,
//! and carries the end of the chain from the segment before. Each record is one *frame*, whose
//! checksum covers its place (cluster, node, incarnation, segment, offset), its content, and the
//! checksum of the frame before. A record that was lost, moved, swapped or left over from another
//! life therefore breaks the chain.
//!
//! **After a crash** the last batch may be there in part. Every frame carries a watermark, the
//! offset below which all was durable when it was written, and this tells a batch that the crash
//! interrupted from damage to one that was acknowledged: the first is cut off, the second is
//! refused (`recovery.rs`). A node that refuses to start is repaired by replacing it; one that
//! forgot a vote is not repaired at all.
//!
//! **The last batch** has nothing after it that could vouch for it. [`Wal::seal`] appends a frame
//! that is nothing but a watermark; a host calls it when it is idle and before it stops.
//!
//! **Errors are final.** After a failed write or sync nobody knows what the disk holds until it is
//! read again, so the log takes nothing more and the host stops the process.
//!
//! **A full disk is not, as long as it only prevents the next segment.** That file holds nothing
//! that was promised, and the present segment has the space that it needs: zeros took it before the
//! segment was begun. So [`WalError::NoSpace`] leaves the log as it was, and the host may go on in
//! the [`room`](Wal::room) that is left and try again later ([`Wal::preallocate`]). An error that
//! concerns the present segment is final whatever the system says, also if it says that there is no
//! space.
//!
//! `docs/wal.md` has the format, the argument, and the list of what is not detected.

mod blank;
mod disk;
mod error;
mod faulty;
mod frame;
mod header;
mod limited;
mod memory;
mod recovery;
mod segment;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::WalError;
pub use faulty::{Failure, Faults, FaultyDisk, Operation};
pub use frame::{Record, frame_bytes};
pub use header::Identity;
pub use limited::{LimitedDisk, Space};
pub use memory::MemoryDisk;

use std::fmt;
use std::io;

use blank::Blank;
use error::io_error;
use frame::{ALIGNMENT, FRAME_HEADER};
use header::{SEGMENT_HEADER, SegmentHeader};
use segment::Segment;

/// Least size of a segment, in bytes: room for a small record, a seal and the mark of a successor.
pub const MIN_SEGMENT_BYTES: u32 = (SEGMENT_HEADER + 4 * FRAME_HEADER) as u32;

/// How to lay out a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Size of each new segment file, in bytes: a multiple of 8, at least [`MIN_SEGMENT_BYTES`].
    /// Segments that exist keep the size they have.
    pub segment_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    /// Segments that a server fills in a few seconds when it is busy.
    pub const DEFAULT: Self = Self { segment_bytes: 64 << 20 };

    /// Most payload bytes that a record may have in a segment of this size.
    #[must_use]
    pub const fn payload_limit(self) -> usize {
        Segment::payload_limit(self.segment_bytes)
    }

    fn check(self) -> Result<Self, WalError> {
        let Self { segment_bytes: bytes } = self;
        if bytes < MIN_SEGMENT_BYTES || !(bytes as usize).is_multiple_of(ALIGNMENT) {
            return Err(WalError::SegmentSize { bytes });
        }
        Ok(self)
    }
}

/// What [`Wal::open`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// Whose log it is; the host compares this with its configuration.
    pub identity: Identity,
    /// All records, oldest first: a prefix of those appended, with all that were ever synced.
    pub records: Vec<Record<Vec<u8>>>,
    /// What was cut off as never acknowledged, if anything was.
    pub torn: Option<TornTail>,
}

/// The remains of a batch whose sync never returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail {
    /// The segment file.
    pub file: String,
    /// Where in the file the cut was made, in bytes.
    pub offset: u64,
    /// How many bytes were zeroed from there on.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes } = self;
        write!(f, "cut {bytes} bytes of an unfinished write off {file} at byte {offset}")
    }
}

/// A log open for appending.
///
/// Dropping it writes nothing: records that were not synced are lost, as in a crash.
pub struct Wal {
    disk: Box<dyn Disk>,
    options: Options,
    segment: Segment,
    /// The file of the next segment, if its preallocation has begun.
    next: Option<Blank>,
    poisoned: bool,
}

impl Wal {
    /// Starts the log of a node that has never run before, in an empty directory.
    ///
    /// # Errors
    /// [`WalError::NotEmpty`], [`WalError::Locked`], [`WalError::SegmentSize`], [`WalError::Io`].
    /// When it fails or is interrupted nothing was promised, and it can be tried again.
    pub fn create(
        mut disk: Box<dyn Disk>,
        identity: Identity,
        options: Options,
    ) -> Result<Self, WalError> {
        let options = options.check()?;
        lock(&mut *disk)?;
        for name in disk.list().map_err(io_error("list", "the data directory"))? {
            if !header::is_temporary(&name) {
                return Err(WalError::NotEmpty { file: name });
            }
            disk.remove(&name).map_err(io_error("remove", &name))?;
        }
        let bytes = options.segment_bytes;
        let header = SegmentHeader { identity, sequence: 1, bytes, carried: 0 };
        let segment = Blank::create(&mut *disk, 1, bytes)?.finish(&mut *disk, header)?;
        Ok(Self { disk, options, segment, next: None, poisoned: false })
    }

    /// Opens the log of a node that has run before, and returns all that it recorded.
    ///
    /// Everything returned is durable, also what the interrupted process had not synced.
    ///
    /// # Errors
    /// [`WalError::Empty`] if there is no log, [`WalError::Locked`] if another process has it,
    /// [`WalError::Io`], and the errors that name a file if the log cannot be proved complete.
    pub fn open(mut disk: Box<dyn Disk>, options: Options) -> Result<(Self, Recovered), WalError> {
        let options = options.check()?;
        lock(&mut *disk)?;
        let (segment, recovered) = recovery::recover(&mut *disk)?;
        let mut wal = Self { disk, options, segment, next: None, poisoned: false };
        wal.seal()?;
        Ok((wal, recovered))
    }

    /// Buffers a record in memory. Records become durable in the order in which they were appended.
    ///
    /// If the segment has no room for it, this syncs the segment and begins another one.
    ///
    /// # Errors
    /// [`WalError::TooLarge`] and [`WalError::NoSpace`], after which the log is as before: a
    /// smaller record may still fit; [`WalError::Poisoned`]; [`WalError::Io`], which poisons the
    /// log.
    pub fn append<P: AsRef<[u8]>>(&mut self, record: &Record<P>) -> Result<(), WalError> {
        let Record { kind, index, term, ref payload } = *record;
        let payload = payload.as_ref();
        let (bytes, limit) = (payload.len(), self.payload_limit());
        if bytes > limit {
            return Err(WalError::TooLarge { bytes, limit });
        }
        self.guard(|wal| {
            if !wal.segment.has_room(frame_bytes(bytes)) {
                wal.roll()?;
            }
            wal.segment.push_record(Record { kind, index, term, payload });
            Ok(())
        })
    }

    /// Makes every appended record durable. Does nothing, and no system call, if all are.
    ///
    /// # Errors
    /// [`WalError::Poisoned`]; [`WalError::Io`], which poisons the log: the records may or may not
    /// be there after a restart.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.guard(|wal| wal.segment.flush())
    }

    /// Syncs, and then writes down that it did, so that later damage to the last batch is known for
    /// what it is. Does nothing if that is written already.
    ///
    /// Costs one more write and sync: call it when idle and before stopping. If neither the segment
    /// nor the disk has space for it, the last batch stays as it is, durable and not sealed.
    ///
    /// # Errors
    /// As for [`sync`](Self::sync).
    pub fn seal(&mut self) -> Result<(), WalError> {
        self.guard(|wal| {
            wal.segment.flush()?;
            if wal.segment.is_sealed() {
                return Ok(());
            }
            if !wal.segment.has_room(FRAME_HEADER) {
                // The header of the next segment vouches for this one as well as a seal does.
                return match wal.roll() {
                    Err(WalError::NoSpace { .. }) => Ok(()),
                    rolled => rolled,
                };
            }
            wal.segment.push_seal();
            wal.segment.flush()
        })
    }

    /// Does a small part of the allocation of the next segment, if it is time for that: while the
    /// third quarter of one segment fills, the whole of the next is allocated in proportion.
    ///
    /// Without this a full segment makes [`append`](Self::append) wait for the whole of it. Call it
    /// where a few milliseconds do no harm, such as after a step's messages are sent.
    ///
    /// # Errors
    /// [`WalError::NoSpace`], after which the log goes on without a next segment, and this may be
    /// tried again: the attempt begins anew, and until then takes no space. Otherwise as for
    /// [`sync`](Self::sync).
    pub fn preallocate(&mut self) -> Result<(), WalError> {
        self.guard(|wal| {
            if let Some(due) = wal.segment.due_of_next() {
                let blank = wal.take_blank()?;
                wal.next = Some(blank.grow(&mut *wal.disk, due)?);
            }
            Ok(())
        })
    }

    /// Whether the next segment is allocated, or need not be yet.
    pub fn is_provided(&self) -> bool {
        let is_whole = self.next.as_ref().is_some_and(Blank::is_whole);
        is_whole || self.segment.due_of_next().is_none()
    }

    /// Bytes of [frames](frame_bytes) that the present segment has room for, whatever the disk
    /// has.
    pub fn room(&self) -> usize {
        self.segment.room()
    }

    /// Size of the present segment, in bytes.
    pub fn segment_bytes(&self) -> usize {
        self.segment.bytes()
    }

    /// The log's identity.
    pub fn identity(&self) -> Identity {
        self.segment.identity()
    }

    /// Most payload bytes that a record may have.
    pub fn payload_limit(&self) -> usize {
        self.options.payload_limit()
    }

    /// Syncs the present segment and begins the next one, however much room the present one has
    /// left: for a host that knows that what it is about to append will not fit.
    ///
    /// # Errors
    /// [`WalError::NoSpace`], after which the present segment is still the last one. Otherwise as
    /// for [`sync`](Self::sync).
    pub fn begin_segment(&mut self) -> Result<(), WalError> {
        self.guard(Self::roll)
    }

    /// Closes the segment and begins the next one, which is durable when this returns.
    fn roll(&mut self) -> Result<(), WalError> {
        self.segment.flush()?;
        let blank = self.take_blank()?;
        let successor = self.segment.successor(self.options.segment_bytes);
        let next = blank.finish(&mut *self.disk, successor)?;
        // Only now may the old segment say that there is a new one, and only then may that be
        // written to: whoever loses the new segment's file finds that it is missing.
        self.segment.push_continued();
        self.segment.flush()?;
        self.segment = next;
        Ok(())
    }

    fn take_blank(&mut self) -> Result<Blank, WalError> {
        let bytes = self.options.segment_bytes;
        let sequence = self.segment.successor(bytes).sequence;
        self.next.take().map_or_else(|| Blank::create(&mut *self.disk, sequence, bytes), Ok)
    }

    /// Does some work on a healthy log. An error makes the log unhealthy, except for a lack of
    /// space for the next segment: that leaves the present one as it was.
    fn guard(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        if self.poisoned {
            return Err(WalError::Poisoned);
        }
        let result = work(self);
        self.poisoned = match &result {
            Ok(()) | Err(WalError::NoSpace { .. }) => false,
            Err(_) => true,
        };
        result
    }
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal")
            .field("options", &self.options)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

fn lock(disk: &mut dyn Disk) -> Result<(), WalError> {
    disk.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => WalError::Locked,
        _ => io_error("lock", "the data directory")(error),
    })
}

#[cfg(test)]
mod tests;
