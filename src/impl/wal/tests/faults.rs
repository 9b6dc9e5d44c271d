//! Disks that say no.

use super::*;

fn faulty(disk: &MemoryDisk) -> (Wal, Faults) {
    let faults = Faults::default();
    let faulty = FaultyDisk::new(disk.attach(), faults.clone());
    (Wal::create(Box::new(faulty), ALICE, SMALL).unwrap(), faults)
}

fn assert_poisoned(wal: &mut Wal) {
    assert!(matches!(wal.append(&record(0)), Err(WalError::Poisoned)));
    assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
    assert!(matches!(wal.seal(), Err(WalError::Poisoned)));
}

#[test]
fn a_failed_sync_or_write_poisons_the_log() {
    for operation in [Operation::Sync, Operation::Write] {
        for spared in 0..5 {
            let disk = MemoryDisk::new(BLOCK);
            let (mut wal, faults) = faulty(&disk);
            faults.fail(operation, spared, Failure::Io);
            for index in 0..spared {
                write(&mut wal, index..index + 1);
            }
            wal.append(&record(spared)).unwrap();
            assert!(matches!(wal.sync(), Err(WalError::Io { .. })));
            // The fault is gone, and yet the log is not to be trusted: not even an empty sync.
            let attempts = faults.total();
            assert_poisoned(&mut wal);
            assert_eq!(faults.total(), attempts, "a poisoned log leaves the disk alone");
            drop(wal);
            disk.crash(&mut lose_all);
            assert_eq!(reopened(&disk), records(0..spared));
        }
    }
}

#[test]
fn a_failed_seal_poisons_the_log_but_loses_nothing() {
    let disk = MemoryDisk::new(BLOCK);
    let (mut wal, faults) = faulty(&disk);
    write(&mut wal, 0..3);
    faults.fail(Operation::Write, 0, Failure::Io);
    assert!(matches!(wal.seal(), Err(WalError::Io { .. })));
    assert_poisoned(&mut wal);
    drop(wal);
    assert_eq!(reopened(&disk), records(0..3));
}

#[test]
fn no_operation_within_a_rollover_may_fail_unnoticed() {
    for operation in [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Rename,
        Operation::SyncDir,
    ] {
        let disk = MemoryDisk::new(BLOCK);
        let (mut wal, faults) = faulty(&disk);
        write(&mut wal, 0..4);
        faults.fail(operation, 0, Failure::Io);
        let failed = (4..100).find(|&index| wal.append(&record(index)).is_err());
        assert!(failed.is_some(), "{operation:?} was not needed");
        assert_poisoned(&mut wal);
    }
}

/// A log with records 0..15 synced and 15..17 written by a sync that did not return.
fn interrupted(disk: &MemoryDisk) {
    let (mut wal, faults) = faulty(disk);
    write(&mut wal, 0..15);
    (15..17).for_each(|index| wal.append(&record(index)).unwrap());
    faults.fail(Operation::Sync, 0, Failure::Io);
    wal.sync().unwrap_err();
}

#[test]
fn a_recovery_that_fails_can_be_repeated() {
    for spared in 0.. {
        for seed in 0..50 {
            let disk = MemoryDisk::new(BLOCK);
            interrupted(&disk);
            let faults = Faults::default();
            faults.fail_any(spared, Failure::Io);
            let faulty = FaultyDisk::new(disk.attach(), faults);
            if Wal::open(Box::new(faulty), SMALL).is_ok() {
                assert!(spared >= 4, "a recovery is several operations");
                return;
            }
            disk.crash(&mut chooser(seed));
            let kept = reopened(&disk).len() as u64;
            assert!((15..=17).contains(&kept), "{kept} records after {spared} operations");
            assert_eq!(reopened(&disk), records(0..kept));
        }
    }
}
