//! A disk that fails on request, around any other disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};

/// The operations that can be counted and made to fail: all that change the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// [`Disk::create`].
    Create,
    /// [`DiskFile::reserve`].
    Reserve,
    /// [`DiskFile::write_at`]. When it fails, the first half of the bytes has been written.
    Write,
    /// [`DiskFile::sync`].
    Sync,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove`].
    Remove,
    /// [`Disk::sync_dir`].
    SyncDir,
}

/// How an operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Failure {
    /// The device reports an error (`EIO`).
    Io,
    /// The file system is full (`ENOSPC`).
    NoSpace,
}

impl Failure {
    fn error(self) -> io::Error {
        match self {
            Self::Io => io::Error::other("injected I/O error"),
            Self::NoSpace => io::ErrorKind::StorageFull.into(),
        }
    }
}

/// The faults of one [`FaultyDisk`], and the count of its operations. Clones are the same faults.
#[derive(Clone, Default, Debug)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default, Debug)]
struct Plan {
    counts: BTreeMap<Operation, u64>,
    armed: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    /// `None` for an operation of any kind.
    operation: Option<Operation>,
    /// How many more operations of this kind succeed.
    spared: u64,
    failure: Failure,
}

impl Faults {
    /// Makes one operation of this kind fail, after `spared` more of them have succeeded.
    pub fn fail(&self, operation: Operation, spared: u64, failure: Failure) {
        self.plan().armed.push(Fault { operation: Some(operation), spared, failure });
    }

    /// Makes one operation fail, of whatever kind, after `spared` more have succeeded.
    pub fn fail_any(&self, spared: u64, failure: Failure) {
        self.plan().armed.push(Fault { operation: None, spared, failure });
    }

    /// How many operations of this kind were attempted.
    pub fn count(&self, operation: Operation) -> u64 {
        self.plan().counts.get(&operation).copied().unwrap_or(0)
    }

    /// How many operations of any kind were attempted.
    pub fn total(&self) -> u64 {
        self.plan().counts.values().sum()
    }

    /// Counts an operation, and fails it if it is its turn.
    fn attempt(&self, operation: Operation) -> io::Result<()> {
        let mut plan = self.plan();
        *plan.counts.entry(operation).or_default() += 1;
        let mut due = None;
        for (at, fault) in plan.armed.iter_mut().enumerate() {
            if fault.operation.is_none_or(|kind| kind == operation) {
                match fault.spared.checked_sub(1) {
                    Some(left) => fault.spared = left,
                    None => due = Some(at),
                }
            }
        }
        due.map_or(Ok(()), |at| Err(plan.armed.swap_remove(at).failure.error()))
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk whose operations are counted and can be made to fail.
pub struct FaultyDisk {
    inner: Box<dyn Disk>,
    faults: Faults,
}

impl FaultyDisk {
    /// Puts `faults` before a disk.
    pub fn new(inner: Box<dyn Disk>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl Disk for FaultyDisk {
    fn lock(&mut self) -> io::Result<()> {
        self.inner.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let faults = self.faults.clone();
        Ok(Box::new(FaultyFile { inner: self.inner.open(name)?, faults }))
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.faults.attempt(Operation::Create)?;
        let faults = self.faults.clone();
        Ok(Box::new(FaultyFile { inner: self.inner.create(name)?, faults }))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.faults.attempt(Operation::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.faults.attempt(Operation::Remove)?;
        self.inner.remove(name)
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.faults.attempt(Operation::SyncDir)?;
        self.inner.sync_dir()
    }
}

struct FaultyFile {
    inner: Box<dyn DiskFile>,
    faults: Faults,
}

impl DiskFile for FaultyFile {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        self.faults.attempt(Operation::Reserve)?;
        self.inner.reserve(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let result = self.faults.attempt(Operation::Write);
        let written = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.inner.write_at(offset, &bytes[..written])?;
        result
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.attempt(Operation::Sync)?;
        self.inner.sync()
    }
}
