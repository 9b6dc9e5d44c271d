//! A file for what does not fit into memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file without a name, that goes with the process: made when it is first needed, in the system's
/// directory for temporary files.
#[derive(Default)]
pub(crate) struct Spill {
    file: OnceLock<File>,
    end: AtomicU64,
}

/// Where something lies in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spilt {
    at: u64,
    len: usize,
}

impl Spill {
    /// How many bytes have been written.
    pub(crate) fn written(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<Spilt> {
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile()?;
                self.file.get_or_init(|| file)
            }
        };
        let at = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        file.write_all_at(bytes, at)?;
        Ok(Spilt { at, len: bytes.len() })
    }

    pub(crate) fn read(&self, spilt: Spilt) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; spilt.len];
        if let Some(file) = self.file.get() {
            file.read_exact_at(&mut bytes, spilt.at)?;
        }
        Ok(bytes)
    }
}
