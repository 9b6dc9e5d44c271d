//! The same log on a real file system.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

fn attach(directory: &Path) -> Box<dyn Disk> {
    Box::new(RealDisk::open(directory).unwrap())
}

/// A file system of a given size, as long as this lives.
struct Small(tempfile::TempDir);

impl Small {
    /// Mounts one, which only root may; `None`, with a message, if that fails.
    fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(directory.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(directory)),
            failed => {
                eprintln!("SKIPPED: cannot mount a small file system: {failed:?}");
                None
            }
        }
    }

    /// Fills all that is free with a file, which is returned.
    fn fill(&self) -> std::path::PathBuf {
        let ballast = self.0.path().join("ballast");
        let written = fs::write(&ballast, vec![1; 64 << 20]);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
        ballast
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if let Err(error) = Command::new("umount").arg(self.0.path()).status() {
            eprintln!("{:?} stays mounted: {error}", self.0);
        }
    }
}

#[test]
fn a_log_outlives_a_full_file_system() {
    let Some(small) = Small::mount(3 << 20) else { return };
    let directory = small.0.path().join("data");
    let options = Options { segment_bytes: 1 << 20 };
    let disk = Box::new(RealDisk::create(&directory).unwrap());
    let mut wal = Wal::create(disk, ALICE, options).unwrap();
    let ballast = small.fill();
    let next = Record { kind: 0, index: 0, term: 0, payload: vec![1; 1000] };
    let mut written = 0;
    while wal.append(&next).is_ok() {
        written += 1;
        wal.sync().unwrap();
        let allocated = wal.preallocate();
        assert!(matches!(allocated, Ok(()) | Err(WalError::NoSpace { .. })), "{allocated:?}");
        assert_eq!(wal.is_provided(), written * 1040 < (1 << 19) - 64, "{written}");
    }
    assert_eq!(written, ((1 << 20) - 64 - 40) / 1040);
    wal.seal().unwrap();
    drop(wal);
    let (mut wal, recovered) = Wal::open(attach(&directory), options).unwrap();
    assert_eq!(recovered.records, vec![next.clone(); written]);
    assert!(matches!(wal.append(&next), Err(WalError::NoSpace { .. })));
    fs::remove_file(ballast).unwrap();
    wal.append(&next).unwrap();
    wal.seal().unwrap();
    drop(wal);
    let (_, recovered) = Wal::open(attach(&directory), options).unwrap();
    assert_eq!(recovered.records, vec![next; written + 1]);
}

#[test]
fn a_log_lives_in_a_directory() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let disk = RealDisk::create(&directory).unwrap();
    let mut wal = Wal::create(Box::new(disk), ALICE, SMALL).unwrap();
    write(&mut wal, 0..30);
    write(&mut wal, 30..60);
    let second = Wal::open(attach(&directory), SMALL);
    assert!(matches!(second, Err(WalError::Locked)));
    drop(wal);
    let (mut wal, recovered) = Wal::open(attach(&directory), SMALL).unwrap();
    assert_eq!(recovered, Recovered { identity: ALICE, records: records(0..60), torn: None });
    write(&mut wal, 60..90);
    drop(wal);
    let again = RealDisk::create(&directory).unwrap();
    let refused = Wal::create(Box::new(again), ALICE, SMALL);
    assert!(matches!(refused, Err(WalError::NotEmpty { .. })));
    let (_, recovered) = Wal::open(attach(&directory), SMALL).unwrap();
    assert_eq!(recovered.records, records(0..90));
}

#[test]
fn a_segment_is_preallocated_and_keeps_its_length() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 3 << 20 };
    let mut wal = Wal::create(attach(directory.path()), ALICE, options).unwrap();
    let file = directory.path().join("0000000001.wal");
    assert_eq!(fs::metadata(&file).unwrap().len(), 3 << 20);
    write(&mut wal, 0..30);
    assert_eq!(fs::metadata(&file).unwrap().len(), 3 << 20);
}

#[test]
fn a_torn_tail_is_cut_and_damage_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut wal = Wal::create(attach(directory.path()), ALICE, SMALL).unwrap();
    write(&mut wal, 0..3);
    drop(wal);
    let file = directory.path().join("0000000001.wal");
    let mut content = fs::read(&file).unwrap();
    content[400] = 1;
    fs::write(&file, &content).unwrap();
    let (_, recovered) = Wal::open(attach(directory.path()), SMALL).unwrap();
    assert_eq!(recovered.records, records(0..3));
    let torn = recovered.torn.unwrap();
    assert_eq!(torn.to_string().split(" of ").next(), Some(&*format!("cut {} bytes", torn.bytes)));

    let mut content = fs::read(&file).unwrap();
    assert_eq!(content[400], 0, "the tail was cleared");
    content[70] ^= 1;
    fs::write(&file, &content).unwrap();
    let refused = Wal::open(attach(directory.path()), SMALL);
    assert!(matches!(refused, Err(WalError::Corrupt { offset: 64, .. })));
}

#[test]
fn a_missing_or_empty_directory_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let missing = RealDisk::open(&parent.path().join("nowhere"));
    assert!(matches!(missing, Err(WalError::Io { .. })));
    assert!(matches!(Wal::open(attach(parent.path()), SMALL), Err(WalError::Empty)));
}

#[test]
fn an_unreadable_log_is_not_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    write(&mut Wal::create(attach(directory.path()), ALICE, SMALL).unwrap(), 0..3);
    let file = directory.path().join("0000000001.wal");
    fs::remove_file(&file).unwrap();
    // A directory in its place fails to be read, whoever runs the test.
    fs::create_dir(&file).unwrap();
    assert!(matches!(Wal::open(attach(directory.path()), SMALL), Err(WalError::Io { .. })));
}
