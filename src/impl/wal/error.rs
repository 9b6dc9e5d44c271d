//! Everything that can go wrong with the log, each in one line that says what to do about it.

use std::io;

use super::{Identity, MIN_SEGMENT_BYTES};

/// Why the log cannot be created, opened or written.
///
/// An error from an open [`Wal`](super::Wal) other than [`TooLarge`](Self::TooLarge) and
/// [`NoSpace`](Self::NoSpace) leaves the log poisoned: the host stops the process without sending
/// anything that depends on unsynced records.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The operating system refused an operation: see `source` (no space, I/O error, permission).
    #[error("cannot {action} {file}: {source}; mend the disk, then restart the process")]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or directory it was attempted on.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no space for the next segment. The log is as it was before the call, and goes on
    /// as long as its last segment has room.
    #[error("cannot {action} {file}: {source}; free some space on its disk")]
    NoSpace {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file that it was attempted on.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier write or sync failed, so what the disk holds is unknown until it is read again.
    #[error("the log failed earlier and takes nothing more; restart the process to recover")]
    Poisoned,
    /// There is no log: a first start that was not asked for, or a wiped or wrong directory.
    #[error(
        "the data directory holds no log; start a server that is new with --first-start; one that \
         has run before has lost its disk, and its group will refuse it under its number"
    )]
    Empty,
    /// A first start was asked for where something already is.
    #[error("the data directory already holds {file}; open it, or create in an empty directory")]
    NotEmpty {
        /// One of the files in the way.
        file: String,
    },
    /// Another process, or another part of this one, has the log open.
    #[error("the data directory is locked by another process; stop that process first")]
    Locked,
    /// The log is known to go on in a file that is not there.
    #[error(
        "log segment {file} is missing; put the file back, or leave this server stopped: its group \
         goes on while a majority of the members runs"
    )]
    Missing {
        /// The absent file.
        file: String,
    },
    /// Bytes are damaged that were once durable, so records that were promised may be lost.
    #[error(
        "{file} is corrupt at byte {offset}: {reason}; leave this server stopped: its group goes \
         on while a majority of the members runs"
    )]
    Corrupt {
        /// The damaged file.
        file: String,
        /// Where the damage begins, in bytes from the start of the file.
        offset: u64,
        /// How it is known to be damage and not an interrupted write.
        reason: &'static str,
    },
    /// A segment belongs to another replica's log.
    #[error("{file} belongs to {found}, the log before it to {expected}; restore the right file")]
    Foreign {
        /// The stray file.
        file: String,
        /// Whose it is.
        found: Identity,
        /// Whose log it was found in.
        expected: Identity,
    },
    /// The segment was written in a format that this release does not know.
    #[error("{file} has format version {version}; run the release that wrote it")]
    Version {
        /// The file.
        file: String,
        /// The version it claims.
        version: u32,
    },
    /// The record cannot fit in a segment. Nothing was appended, and the log remains usable.
    #[error("a record of {bytes} payload bytes exceeds the limit of {limit}; split it")]
    TooLarge {
        /// Payload bytes in the refused record.
        bytes: usize,
        /// Most payload bytes that a record may have with this segment size.
        limit: usize,
    },
    /// The configured segment size is unusable.
    #[error(
        "segment size {bytes} is unusable; take a multiple of 8 from {min}",
        min = MIN_SEGMENT_BYTES
    )]
    SegmentSize {
        /// The configured size, in bytes.
        bytes: u32,
    },
}

/// Whether the operating system refused an operation for lack of space.
pub(super) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Turns an [`io::Error`] about a file that is not part of the log into one that says what was
/// attempted; it is not final if there was no space.
pub(super) fn space_error(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> WalError {
    move |source| {
        if is_no_space(&source) {
            WalError::NoSpace { action, file: file.to_owned(), source }
        } else {
            WalError::Io { action, file: file.to_owned(), source }
        }
    }
}

/// Turns an [`io::Error`] into one that says what was attempted, and on which file.
pub(super) fn io_error(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> WalError {
    move |source| WalError::Io { action, file: file.to_owned(), source }
}
