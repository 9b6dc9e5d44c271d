//! A disk in memory that loses, at a crash, whatever the real one may lose.
//!
//! What is modelled: of the blocks written since the last sync of their file, any subset survives,
//! and each may survive by half; every name has, independently, one of the bindings that it had
//! since the last sync of the directory; blocks of a new file hold rubbish until they are synced;
//! locks vanish. What is not: loss of synced data. For that see [`MemoryDisk::overwrite`].

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::disk::{Disk, DiskFile};

/// The disk of one simulated machine. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    directory: Arc<Mutex<Directory>>,
    block_bytes: usize,
}

#[derive(Default, Debug)]
struct Directory {
    /// What each name was bound to, at the last sync and after every change since.
    names: BTreeMap<String, Vec<Option<Shared>>>,
    lock: Weak<()>,
}

type Shared = Arc<Mutex<Contents>>;

#[derive(Debug)]
struct Contents {
    /// What a running system reads.
    cached: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// Which blocks of `cached` the next sync will write.
    dirty: Vec<bool>,
    block_bytes: usize,
}

/// What an unwritten block of a new file holds.
const RUBBISH: u8 = 0xa5;

impl MemoryDisk {
    /// An empty disk which writes in blocks of `block_bytes`, more than zero: 512 is realistic,
    /// a few bytes make an exhaustive test of crash states possible.
    pub fn new(block_bytes: usize) -> Self {
        assert!(block_bytes > 0, "a block has at least one byte");
        Self { directory: Arc::default(), block_bytes }
    }

    /// The disk as one process sees it, until that process ends or the machine crashes.
    pub fn attach(&self) -> Box<dyn Disk> {
        Box::new(Attached { disk: self.clone(), lock: None })
    }

    /// Cuts the power. Every process on the machine must be dropped, before or after.
    ///
    /// `choose(n)` picks one of `n` outcomes, below `n`, for each thing that is not certain. For a
    /// name it picks among its bindings, oldest first; for a block 0 means lost, 1 means written,
    /// 2 that its first half was written. So a constant 0 loses all that may be lost.
    pub fn crash(&self, choose: &mut dyn FnMut(usize) -> usize) {
        let mut directory = locked(&self.directory);
        directory.lock = Weak::new();
        // A file under two names is settled once.
        let mut settled: Vec<(Shared, Shared)> = Vec::new();
        for bindings in directory.names.values_mut() {
            let picked = if bindings.len() > 1 { choose(bindings.len()) } else { 0 };
            let binding = bindings[picked].take().map(|file| {
                let known = settled.iter().find(|(before, _)| Arc::ptr_eq(before, &file));
                if let Some((_, after)) = known {
                    return after.clone();
                }
                // A new object, so that a process from before the crash writes into the void.
                let after = Arc::new(Mutex::new(locked(&file).after_crash(choose)));
                settled.push((file, after.clone()));
                after
            });
            *bindings = vec![binding];
        }
        directory.names.retain(|_, bindings| bindings[0].is_some());
    }

    /// Does what a kernel may do after a failed sync: the pages are still read as written, but no
    /// later sync writes them.
    pub fn forget_dirty(&self) {
        for file in locked(&self.directory).names.values().flatten().flatten() {
            locked(file).dirty.fill(false);
        }
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        let directory = locked(&self.directory);
        directory.names.keys().filter(|name| directory.file(name).is_ok()).cloned().collect()
    }

    /// The content of a file, if there is such a file.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = locked(&self.directory).file(name).ok()?;
        let content = locked(&file).cached.clone();
        Some(content)
    }

    /// Damages the disk: the file durably has this content, and is created if it does not exist.
    pub fn overwrite(&self, name: &str, content: &[u8]) {
        let bindings = vec![Some(Contents::new(self.block_bytes, content.to_vec()))];
        locked(&self.directory).names.insert(name.to_owned(), bindings);
    }

    /// Damages the disk: the file is durably gone.
    pub fn lose(&self, name: &str) {
        locked(&self.directory).names.remove(name);
    }
}

impl Directory {
    fn file(&self, name: &str) -> io::Result<Shared> {
        let binding = self.names.get(name).and_then(|bindings| bindings.last().cloned());
        binding.flatten().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn bind(&mut self, name: &str, file: Option<Shared>) {
        self.names.entry(name.to_owned()).or_insert_with(|| vec![None]).push(file);
    }
}

impl Contents {
    /// A file that durably holds `content`.
    fn new(block_bytes: usize, content: Vec<u8>) -> Shared {
        let dirty = vec![false; content.len().div_ceil(block_bytes)];
        let durable = content.clone();
        Arc::new(Mutex::new(Self { cached: content, durable, dirty, block_bytes }))
    }

    /// Makes the file at least this long; what was not there is not on the platter either.
    fn grow(&mut self, bytes: usize) {
        if bytes > self.cached.len() {
            self.cached.resize(bytes, 0);
            self.durable.resize(bytes, RUBBISH);
            self.dirty.resize(bytes.div_ceil(self.block_bytes), true);
        }
    }

    fn after_crash(&self, choose: &mut dyn FnMut(usize) -> usize) -> Self {
        let mut durable = self.durable.clone();
        for (block, _) in self.dirty.iter().enumerate().filter(|(_, dirty)| **dirty) {
            let start = block * self.block_bytes;
            let whole = self.block_bytes.min(durable.len() - start);
            let written = match choose(3) {
                0 => 0,
                1 => whole,
                _ => whole / 2,
            };
            let range = start..start + written;
            durable[range.clone()].copy_from_slice(&self.cached[range]);
        }
        let dirty = vec![false; self.dirty.len()];
        Self { cached: durable.clone(), durable, dirty, block_bytes: self.block_bytes }
    }
}

/// A [`MemoryDisk`] in the hands of a process.
struct Attached {
    disk: MemoryDisk,
    lock: Option<Arc<()>>,
}

impl Attached {
    fn directory(&self) -> MutexGuard<'_, Directory> {
        locked(&self.disk.directory)
    }
}

impl Disk for Attached {
    fn lock(&mut self) -> io::Result<()> {
        let lock = Arc::new(());
        let mut directory = locked(&self.disk.directory);
        if directory.lock.upgrade().is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        directory.lock = Arc::downgrade(&lock);
        self.lock = Some(lock);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.names())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.directory().file(name)?))
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut directory = self.directory();
        if directory.file(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Contents::new(self.disk.block_bytes, Vec::new());
        directory.bind(name, Some(file.clone()));
        Ok(Box::new(file))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut directory = self.directory();
        let file = directory.file(from)?;
        directory.bind(from, None);
        directory.bind(to, Some(file));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut directory = self.directory();
        directory.file(name)?;
        directory.bind(name, None);
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut directory = self.directory();
        directory.names.retain(|_, bindings| {
            bindings.drain(..bindings.len() - 1);
            bindings[0].is_some()
        });
        Ok(())
    }
}

impl DiskFile for Shared {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = locked(self);
        let start = offset as usize;
        let end = start + bytes.len();
        assert!(start <= file.cached.len(), "write at {start} leaves a gap in the file");
        file.grow(end);
        file.cached[start..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            let blocks = start / file.block_bytes..end.div_ceil(file.block_bytes);
            file.dirty[blocks].fill(true);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let Contents { cached, durable, dirty, block_bytes } = &mut *locked(self);
        for (block, dirty) in dirty.iter_mut().enumerate().filter(|(_, dirty)| **dirty) {
            let start = block * *block_bytes;
            let end = (start + *block_bytes).min(cached.len());
            durable[start..end].copy_from_slice(&cached[start..end]);
            *dirty = false;
        }
        Ok(())
    }
}

/// A panic elsewhere leaves plain bytes behind, which are as good as before.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
