//! A disk of limited size, around any other disk.
//!
//! Space is counted in bytes of file content. A file takes space as it grows or [reserves] it, and
//! gives the space back when its last name and its last handle are gone, as on a POSIX system. To
//! write over existing content takes none.
//!
//! [reserves]: DiskFile::reserve

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};

/// The space that one or more [`LimitedDisk`]s share. Clones are the same space.
#[derive(Clone, Debug)]
pub struct Space(Arc<Mutex<Usage>>);

#[derive(Debug)]
struct Usage {
    total: u64,
    used: u64,
    can_reserve: bool,
}

impl Space {
    /// So many bytes, all of them free.
    pub fn new(total: u64) -> Self {
        Self(Arc::new(Mutex::new(Usage { total, used: 0, can_reserve: true })))
    }

    /// Makes this the space of a file system that cannot reserve any: only writing takes space.
    #[must_use]
    pub fn without_reservations(self) -> Self {
        locked(&self.0).can_reserve = false;
        self
    }

    /// Changes the number of bytes. Files keep what they have, even if that is more.
    pub fn resize(&self, total: u64) {
        locked(&self.0).total = total;
    }

    /// How many bytes the files have.
    pub fn used(&self) -> u64 {
        locked(&self.0).used
    }
}

/// A disk whose files have no more space than there is.
pub struct LimitedDisk {
    inner: Box<dyn Disk>,
    space: Space,
    files: BTreeMap<String, Arc<Mutex<Share>>>,
}

impl LimitedDisk {
    /// Gives a disk no more than this space. Files that are there already count.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn new(inner: Box<dyn Disk>, space: Space) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for name in inner.list()? {
            let bytes = inner.read(&name)?.len() as u64;
            files.insert(name, Share::new(&space, bytes));
        }
        Ok(Self { inner, space, files })
    }

    fn share(&self, name: &str) -> io::Result<Arc<Mutex<Share>>> {
        self.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The space that one file has.
#[derive(Debug)]
struct Share {
    space: Space,
    bytes: u64,
}

impl Share {
    fn new(space: &Space, bytes: u64) -> Arc<Mutex<Self>> {
        locked(&space.0).used += bytes;
        Arc::new(Mutex::new(Self { space: space.clone(), bytes }))
    }

    /// Takes as much space as there is, up to `bytes` in all, and returns how much the file has.
    fn grow(&mut self, bytes: u64) -> u64 {
        let mut usage = locked(&self.space.0);
        let free = usage.total.saturating_sub(usage.used);
        let more = bytes.saturating_sub(self.bytes).min(free);
        usage.used += more;
        self.bytes += more;
        self.bytes
    }

    /// Takes space for `bytes` bytes in all, or none.
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let (before, can_reserve) = (self.bytes, locked(&self.space.0).can_reserve);
        if can_reserve && self.grow(bytes) < bytes {
            locked(&self.space.0).used -= self.bytes - before;
            self.bytes = before;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        locked(&self.space.0).used -= self.bytes;
    }
}

impl Disk for LimitedDisk {
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
        let (inner, share) = (self.inner.open(name)?, self.share(name)?);
        Ok(Box::new(LimitedFile { inner, share }))
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inner = self.inner.create(name)?;
        let share = Share::new(&self.space, 0);
        self.files.insert(name.to_owned(), Arc::clone(&share));
        Ok(Box::new(LimitedFile { inner, share }))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)?;
        let share = self.share(from)?;
        self.files.remove(from);
        self.files.insert(to.to_owned(), share);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.inner.remove(name)?;
        self.files.remove(name);
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        self.inner.sync_dir()
    }
}

struct LimitedFile {
    inner: Box<dyn DiskFile>,
    share: Arc<Mutex<Share>>,
}

impl DiskFile for LimitedFile {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        locked(&self.share).reserve(bytes)?;
        self.inner.reserve(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let has = locked(&self.share).grow(offset + bytes.len() as u64);
        let fits = has.saturating_sub(offset).min(bytes.len() as u64) as usize;
        self.inner.write_at(offset, &bytes[..fits])?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }
}

/// A panic elsewhere leaves plain numbers behind, which are as good as before.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
