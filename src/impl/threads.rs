//! The one place where this crate starts threads.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Runs `work` on a new thread called `name`.
///
/// # Errors
///
/// When the operating system refuses another thread.
pub fn spawn<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<JoinHandle<R>> {
    Builder::new().name(name.to_owned()).spawn(work)
}
