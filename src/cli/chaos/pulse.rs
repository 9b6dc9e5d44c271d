//! Whether the machine does its part: how long a small write takes to get to its disk.
//!
//! All servers wait for one disk, and for processors that others may use, too. Where this machine
//! stands still for longer than followers wait for a leader, so does everything on it, and that
//! says nothing of the servers.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use runtime::threads;

/// From one write to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// What takes longer is a standstill: then leaders miss several heartbeats.
const LATE: Duration = Duration::from_millis(200);

/// Somebody who writes a little all the time, and looks at the clock.
pub(super) struct Pulse {
    over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Range<Duration>>>>,
}

impl Pulse {
    /// Begins to write a file in this folder.
    pub(super) fn start(folder: &Path, beginning: Instant) -> io::Result<Self> {
        let mut file = File::create(folder.join("pulse"))?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = threads::spawn("pulse", move || {
            let mut standstills = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let from = beginning.elapsed();
                thread::sleep(PAUSE);
                file.rewind()?;
                file.write_all(b"pulse")?;
                file.sync_data()?;
                let to = beginning.elapsed();
                if to - from > PAUSE + LATE {
                    standstills.push(from..to);
                }
            }
            Ok(standstills)
        })?;
        Ok(Self { over, thread })
    }

    /// When the machine stood still, since the beginning.
    pub(super) fn finish(self) -> io::Result<Vec<Range<Duration>>> {
        self.over.store(true, Ordering::Relaxed);
        let died = |_| Err(io::Error::other("the pulse panicked"));
        self.thread.join().unwrap_or_else(died)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_ends_and_has_seen_no_standstill_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let beginning = Instant::now();
        let standstills = Pulse::start(folder.path(), beginning).unwrap().finish().unwrap();
        let whole = beginning.elapsed();
        assert!(standstills.iter().all(|still| still.start + LATE < still.end));
        assert!(standstills.iter().all(|still| still.end <= whole));
    }
}
