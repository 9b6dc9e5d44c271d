//! The disk as the log sees it, and the real one. No other file of this crate touches files.
//!
//! The traits promise no more than POSIX does. Writes become durable at [`DiskFile::sync`], in any
//! order and any subset before it; names become durable at [`Disk::sync_dir`]. The log is tested
//! against [`MemoryDisk`](super::MemoryDisk), which loses everything that is not promised.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::error::{WalError, io_error, is_no_space};

/// One flat directory of files, which a log has to itself.
pub trait Disk: Send {
    /// Takes the directory for this handle until it is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another handle, of whatever process, has it.
    fn lock(&mut self) -> io::Result<()>;

    /// The names of all files, in no particular order; the lock file is not among them.
    ///
    /// # Errors
    /// Those of the operating system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The whole of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], and those of the operating system.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Opens an existing file for writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], and those of the operating system.
    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Creates an empty file.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], [`io::ErrorKind::StorageFull`], and those of the
    /// operating system.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name; handles to it stay valid.
    ///
    /// # Errors
    /// Those of the operating system.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes all creations, renames and removals durable.
    ///
    /// # Errors
    /// Those of the operating system; what is durable is then unknown.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send {
    /// Takes the space for the first `bytes` bytes of the file, if the file system can do so
    /// without writing them. The length of the file stays as it is.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] if there is less space.
    /// A file system that cannot reserve space is no error: the default does nothing.
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Writes all of `bytes` at `offset`, as one system call where the system lets it. The file
    /// grows if it ends before that, but is never written with a gap.
    ///
    /// # Errors
    /// Those of the operating system; any part of `bytes` may then have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes contents and length durable (`fdatasync`).
    ///
    /// # Errors
    /// Those of the operating system. Never retry: the kernel may have marked the unwritten pages
    /// clean, and a second sync would then succeed without writing them.
    fn sync(&mut self) -> io::Result<()>;
}

const LOCK_FILE: &str = "lock";

/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {
    directory: PathBuf,
    /// Holds the advisory lock, which the system gives back when the process ends, however it ends.
    lock: Option<File>,
}

impl RealDisk {
    /// A disk in a directory that must exist.
    ///
    /// # Errors
    /// [`WalError::Io`] if there is no such directory.
    pub fn open(directory: &Path) -> Result<Self, WalError> {
        // Reading it tells a directory from a file, and says whether we may.
        fs::read_dir(directory)
            .map_err(io_error("open the data directory", &directory.to_string_lossy()))?;
        Ok(Self { directory: directory.to_owned(), lock: None })
    }

    /// A disk in a directory that is created, durably, if it does not exist. Its parent must.
    ///
    /// # Errors
    /// [`WalError::Io`] if the directory cannot be created.
    pub fn create(directory: &Path) -> Result<Self, WalError> {
        let make = || match fs::create_dir(directory) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(e),
            Ok(()) => match directory.parent() {
                Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
                _ => File::open(".")?.sync_all(),
            },
        };
        make().map_err(io_error("create the data directory", &directory.to_string_lossy()))?;
        Self::open(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Disk for RealDisk {
    fn lock(&mut self) -> io::Result<()> {
        let path = self.path(LOCK_FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != LOCK_FILE {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(self.path(name))?))
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(self.path(name))?))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

impl DiskFile for File {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let reserved = fallocate(&*self, FallocateFlags::KEEP_SIZE, 0, bytes);
        match reserved.map_err(io::Error::from) {
            Err(error) if is_no_space(&error) => Err(error),
            // Where this is not supported, writing the zeros takes the space.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
