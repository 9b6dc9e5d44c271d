//! A copy of the sources that can be changed, and built.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use super::mutant::Change;

/// The program that a tree is asked with.
const PROBE: &str = "probe";

/// The profile that it is built in: the shortest time to build and search.
const PROFILE: &str = "mutant";

/// A copy of a tree, in a scratch directory that only one run uses at a time. It stays where it is
/// after the run, so that the next one builds only what has changed.
pub struct Tree {
    original: PathBuf,
    scratch: PathBuf,
    /// What is changed, with what the file holds when it is not.
    changed: BTreeMap<PathBuf, Vec<u8>>,
    /// Released when the run ends, however it ends.
    _lock: File,
}

impl Tree {
    /// Copies the tree at `original` to the scratch directory.
    ///
    /// # Errors
    /// If it cannot be copied, or another run uses the scratch directory.
    pub fn copy(original: &Path) -> Result<Self, Error> {
        let scratch = original.join("target").join("mutants");
        let copy = scratch.join("tree");
        fs::create_dir_all(&copy).map_err(Error::file(&copy))?;
        let lock = scratch.join("lock");
        let lock = File::create(&lock).map_err(Error::file(&lock))?;
        lock.try_lock().map_err(|_| Error::Busy { path: scratch.clone() })?;
        copy_directory(original, &copy)?;
        Ok(Self { original: original.to_owned(), scratch, changed: BTreeMap::new(), _lock: lock })
    }

    /// The tree that it is a copy of.
    #[must_use]
    pub fn original(&self) -> &Path {
        &self.original
    }

    /// Makes it the original tree with these changes, and no others.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn change(&mut self, changes: &[Change]) -> Result<(), Error> {
        let mut changed = std::mem::take(&mut self.changed);
        for change in changes {
            let file = self.scratch.join("tree").join(&change.path);
            let before = match changed.remove(&file) {
                Some(before) => before,
                None => fs::read(&file).map_err(Error::file(&file))?,
            };
            fs::write(&file, &change.content).map_err(Error::file(&file))?;
            self.changed.insert(file, before);
        }
        for (file, before) in changed {
            fs::write(&file, before).map_err(Error::file(&file))?;
        }
        Ok(())
    }

    /// Builds the probe and gives where it is: a copy called `name`, which the next build leaves
    /// alone. The compiler's words if it does not build.
    ///
    /// # Errors
    /// If cargo cannot be run, or the program not be copied.
    pub fn build(&self, name: &str) -> Result<Result<PathBuf, String>, Error> {
        let target = self.scratch.join("target");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let output = Command::new(&cargo)
            .args(["build", "--quiet", "--locked", "--package", "checks"])
            .args(["--bin", PROBE, "--profile", PROFILE])
            .current_dir(self.scratch.join("tree"))
            .env("CARGO_TARGET_DIR", &target)
            // What a change leaves unused is not what it is tried for.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Program { program: cargo, source })?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let suffix = std::env::consts::EXE_SUFFIX;
        let built = target.join(PROFILE).join(format!("{PROBE}{suffix}"));
        let probes = self.scratch.join("probes");
        let probe = probes.join(format!("{name}{suffix}"));
        fs::create_dir_all(&probes).map_err(Error::file(&probes))?;
        fs::copy(&built, &probe).map_err(Error::file(&probe))?;
        Ok(Ok(probe))
    }
}

/// Makes `to` hold what `from` holds, but for what is built and what git keeps. Files that are
/// equal are left alone: cargo goes by the time of the last change.
fn copy_directory(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::file(to))?;
    let mut wanted = Vec::new();
    for entry in fs::read_dir(from).map_err(Error::file(from))? {
        let entry = entry.map_err(Error::file(from))?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let (source, copy) = (entry.path(), to.join(&name));
        let kind = entry.file_type().map_err(Error::file(&source))?;
        if kind.is_dir() {
            copy_directory(&source, &copy)?;
        } else if kind.is_file() {
            copy_file(&source, &copy)?;
        } else {
            continue; // A link or a device is no source.
        }
        wanted.push(name);
    }
    for entry in fs::read_dir(to).map_err(Error::file(to))? {
        let entry = entry.map_err(Error::file(to))?;
        if wanted.contains(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::file(&path))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let content = fs::read(from).map_err(Error::file(from))?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::write(to, content).map_err(Error::file(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(tree: &Tree, path: &str) -> String {
        fs::read_to_string(tree.scratch.join("tree").join(path)).unwrap()
    }

    #[test]
    fn each_change_replaces_the_one_before_and_the_original_stays() {
        let original = tempfile::tempdir().unwrap();
        for file in ["a", "b"] {
            fs::write(original.path().join(file), file).unwrap();
        }
        let mut tree = Tree::copy(original.path()).unwrap();
        assert!(matches!(Tree::copy(original.path()), Err(Error::Busy { .. })));
        let change = |path: &str| Change { path: path.to_owned(), content: "new".to_owned() };
        tree.change(&[change("a")]).unwrap();
        assert_eq!((content(&tree, "a"), content(&tree, "b")), ("new".into(), "b".into()));
        tree.change(&[change("b")]).unwrap();
        assert_eq!((content(&tree, "a"), content(&tree, "b")), ("a".into(), "new".into()));
        drop(tree);
        let tree = Tree::copy(original.path()).unwrap();
        assert_eq!((content(&tree, "a"), content(&tree, "b")), ("a".into(), "b".into()));
        assert_eq!(fs::read_to_string(original.path().join("b")).unwrap(), "b");
    }
}
