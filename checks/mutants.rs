//! Mutants: known bugs put back in, one at a time, to prove the checks awake.
//!
//! A check that has never failed may be unable to. Each file `checks/mutants/*.patch` makes one
//! small change to the protocol code and says which property of which check must fall for it. A
//! mutant is *killed* when that property falls, or when that goal is out of reach; the same check
//! must pass without the change, so that a check that always fails kills nothing.
//!
//! [`mutant`] is what a patch file says, [`tree`] the copy of the sources that is changed and
//! built, [`trial`] the building and the judging. What runs in the changed tree is [`finding`], or
//! [`driven`] for what the random driver must find, inside the program `probe`
//! (`checks/mutants/probe.rs`). The user's own tree is only read.

pub mod driven;
pub mod finding;
pub mod mutant;
pub mod tree;
pub mod trial;

use std::io;
use std::path::PathBuf;

/// Why mutants could not be tried at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A patch file is not what it should be.
    #[error("mutant {id}: {reason}")]
    Malformed {
        /// Which.
        id: String,
        /// Why.
        reason: String,
    },
    /// Another run uses the scratch directory.
    #[error("{} is in use by another run", path.display())]
    Busy {
        /// The scratch directory.
        path: PathBuf,
    },
    /// A program cannot be started.
    #[error("cannot run {program}: {source}")]
    Program {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The tree does not build, or a check does not pass, without any change.
    #[error("{0}")]
    Control(String),
}

impl Error {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}

/// The workspace that this program was built from.
#[must_use]
pub fn home() -> PathBuf {
    let checks = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    checks.parent().map(PathBuf::from).unwrap_or(checks)
}
