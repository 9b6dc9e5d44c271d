//! Disks without space: the log goes on in its last segment, and resumes when there is space again.

use super::*;

/// A record whose frame has `bytes` bytes.
fn sized(bytes: usize) -> Owned {
    Record { kind: 7, index: 0, term: 0, payload: vec![1; bytes - FRAME_HEADER] }
}

fn is_no_space<T>(result: &Result<T, WalError>) -> bool {
    matches!(result, Err(WalError::NoSpace { .. }))
}

fn is_final<T>(result: &Result<T, WalError>) -> bool {
    matches!(result, Err(WalError::Io { source, .. })
        if source.kind() == io::ErrorKind::StorageFull)
}

fn attach(disk: &MemoryDisk, space: &Space) -> Box<dyn Disk> {
    Box::new(LimitedDisk::new(disk.attach(), space.clone()).unwrap())
}

/// Appends and syncs records, one by one, until there is no space for the next; returns how many
/// there are then.
fn fill(wal: &mut Wal, from: u64) -> u64 {
    for index in from.. {
        match wal.append(&record(index)) {
            Ok(()) => wal.sync().unwrap(),
            Err(WalError::NoSpace { .. }) => return index,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("a disk without end")
}

#[test]
fn a_full_disk_stops_nothing_while_the_segment_has_room() {
    for space in [Space::new(512), Space::new(800), Space::new(800).without_reservations()] {
        let disk = MemoryDisk::new(BLOCK);
        let mut wal = Wal::create(attach(&disk, &space), ALICE, SMALL).unwrap();
        let mut written = vec![];
        while wal.room() >= FRAME_HEADER {
            let next = sized(FRAME_HEADER);
            wal.append(&next).unwrap();
            wal.sync().unwrap();
            written.push(next);
            let allocated = wal.preallocate();
            assert!(allocated.is_ok() || is_no_space(&allocated), "{allocated:?}");
            assert!(disk.names().len() == 1 || allocated.is_ok(), "{:?}", disk.names());
        }
        // All that a segment holds but its header and the mark that it is continued.
        assert_eq!(written.len(), (512 - 64 - 40) / 40);
        assert!(is_no_space(&wal.append(&sized(FRAME_HEADER))));
        assert!(is_no_space(&wal.preallocate()));
        assert!(is_no_space(&wal.begin_segment()));
        wal.seal().unwrap();
        assert_eq!((disk.names().len(), space.used()), (1, 512), "nothing half-made is left");
        drop(wal);
        disk.crash(&mut lose_all);
        let (mut wal, recovered) = Wal::open(attach(&disk, &space), SMALL).unwrap();
        assert_eq!(recovered.records, written);
        space.resize(2048);
        let next = sized(FRAME_HEADER);
        wal.append(&next).unwrap();
        wal.sync().unwrap();
        written.push(next);
        drop(wal);
        disk.crash(&mut lose_all);
        assert_eq!(reopened(&disk), written);
    }
}

/// Each step of a rollover, in order: those that concern only the next segment leave the log as it
/// was, those that concern the present one are final.
#[test]
fn of_a_rollover_without_space_only_the_work_on_the_next_segment_can_be_repeated() {
    use Operation::*;
    let present = [Write, Sync];
    let next = [Create, Reserve, Write, Write, Sync, Rename, SyncDir];
    let operations: Vec<_> = present.into_iter().chain(next).chain(present).collect();
    for seed in 0..20 {
        for (at, operation) in operations.iter().enumerate() {
            let disk = MemoryDisk::new(BLOCK);
            let faults = Faults::default();
            let faulty = FaultyDisk::new(disk.attach(), faults.clone());
            let mut wal = Wal::create(Box::new(faulty), ALICE, SMALL).unwrap();
            write(&mut wal, 0..3);
            wal.append(&record(3)).unwrap();
            let spared = operations[..at].iter().filter(|it| *it == operation).count();
            faults.fail(*operation, spared as u64, Failure::NoSpace);
            let rolled = wal.begin_segment();
            if !(2..9).contains(&at) {
                assert!(is_final(&rolled), "{operation:?} {at}: {rolled:?}");
                assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
                drop(wal);
                disk.crash(&mut chooser(seed));
                assert!(reopened(&disk).len() >= 3);
                continue;
            }
            assert!(is_no_space(&rolled), "{operation:?} {at}: {rolled:?}");
            assert_eq!(disk.names(), ["0000000001.wal"], "{operation:?}");
            write(&mut wal, 4..5);
            if seed > 0 {
                drop(wal);
                disk.crash(&mut chooser(seed));
                assert_eq!(reopened(&disk), records(0..5), "{operation:?}");
                wal = Wal::open(disk.attach(), SMALL).unwrap().0;
            }
            wal.begin_segment().unwrap();
            write(&mut wal, 5..8);
            assert_eq!(disk.names(), ["0000000001.wal", "0000000002.wal"]);
            drop(wal);
            disk.crash(&mut chooser(seed));
            assert_eq!(reopened(&disk), records(0..8), "{operation:?}");
        }
    }
}

#[test]
fn a_name_that_can_neither_be_made_durable_nor_taken_back_is_final() {
    for operation in [Operation::Remove, Operation::SyncDir] {
        for failure in [Failure::Io, Failure::NoSpace] {
            let disk = MemoryDisk::new(BLOCK);
            let faults = Faults::default();
            let faulty = FaultyDisk::new(disk.attach(), faults.clone());
            let mut wal = Wal::create(Box::new(faulty), ALICE, SMALL).unwrap();
            write(&mut wal, 0..3);
            faults.fail(Operation::SyncDir, 0, Failure::NoSpace);
            faults.fail(operation, u64::from(operation == Operation::SyncDir), failure);
            assert!(matches!(wal.begin_segment(), Err(WalError::Io { .. })));
            assert!(matches!(wal.append(&record(3)), Err(WalError::Poisoned)));
            drop(wal);
            for seed in 0..20 {
                disk.crash(&mut chooser(seed));
                assert_eq!(reopened(&disk), records(0..3));
            }
        }
    }
}

#[test]
fn a_file_that_could_not_be_removed_is_replaced() {
    let disk = MemoryDisk::new(BLOCK);
    let faults = Faults::default();
    let faulty = FaultyDisk::new(disk.attach(), faults.clone());
    let mut wal = Wal::create(Box::new(faulty), ALICE, SMALL).unwrap();
    write(&mut wal, 0..3);
    faults.fail(Operation::Write, 0, Failure::NoSpace);
    faults.fail(Operation::Remove, 0, Failure::NoSpace);
    assert!(is_no_space(&wal.begin_segment()));
    assert_eq!(disk.names(), ["0000000001.wal", "0000000002.wal.tmp"]);
    wal.begin_segment().unwrap();
    write(&mut wal, 3..6);
    assert_eq!(disk.names(), ["0000000001.wal", "0000000002.wal"]);
    drop(wal);
    assert_eq!(reopened(&disk), records(0..6));
}

#[test]
fn an_error_of_the_device_is_final_also_for_the_next_segment() {
    for operation in [Operation::Create, Operation::Reserve, Operation::Write, Operation::Sync] {
        let disk = MemoryDisk::new(BLOCK);
        let faults = Faults::default();
        let faulty = FaultyDisk::new(disk.attach(), faults.clone());
        let mut wal = Wal::create(Box::new(faulty), ALICE, SMALL).unwrap();
        write(&mut wal, 0..7);
        faults.fail(operation, 0, Failure::Io);
        assert!(matches!(wal.preallocate(), Err(WalError::Io { .. })));
        assert!(matches!(wal.sync(), Err(WalError::Poisoned)));
    }
}

/// However full the segment is when the disk has no space left, the log opens, and goes on with the
/// same room as before, less that of a seal.
#[test]
fn a_log_opens_on_a_full_disk() {
    for used in (0..(512 - 64 - 40) / 8).map(|eights| 8 * eights) {
        let disk = MemoryDisk::new(BLOCK);
        let space = Space::new(512);
        let mut wal = Wal::create(attach(&disk, &space), ALICE, SMALL).unwrap();
        let written: Vec<_> = (used >= FRAME_HEADER).then(|| sized(used)).into_iter().collect();
        written.iter().for_each(|record| wal.append(record).unwrap());
        wal.sync().unwrap();
        let room = wal.room();
        drop(wal);
        disk.crash(&mut lose_all);
        for _ in 0..2 {
            let (wal, recovered) = Wal::open(attach(&disk, &space), SMALL).unwrap();
            assert_eq!(recovered.records, written);
            assert!(wal.room() == room || wal.room() == room - FRAME_HEADER, "{used}");
        }
        let (mut wal, _) = Wal::open(attach(&disk, &space), SMALL).unwrap();
        let filled = fill(&mut wal, 0);
        drop(wal);
        disk.crash(&mut lose_all);
        let (mut wal, recovered) = Wal::open(attach(&disk, &space), SMALL).unwrap();
        assert_eq!(recovered.records.len(), written.len() + filled as usize);
        space.resize(1024);
        wal.append(&sized(200)).unwrap();
        wal.seal().unwrap();
    }
}

#[test]
fn a_first_start_on_a_full_disk_leaves_nothing_behind() {
    for space in [Space::new(511), Space::new(511).without_reservations()] {
        let disk = MemoryDisk::new(BLOCK);
        let created = Wal::create(attach(&disk, &space), ALICE, SMALL);
        assert!(is_no_space(&created.map(drop)));
        assert_eq!((disk.names().len(), space.used()), (0, 0));
        space.resize(512);
        drop(Wal::create(attach(&disk, &space), ALICE, SMALL).unwrap());
        assert_eq!(reopened(&disk), []);
    }
}

#[test]
fn a_file_that_something_else_takes_the_space_of_is_given_up_and_made_later() {
    let disk = MemoryDisk::new(4096);
    let space = Space::new(8 << 20).without_reservations();
    let options = Options { segment_bytes: 4 << 20 };
    let mut wal = Wal::create(attach(&disk, &space), ALICE, options).unwrap();
    let big = sized(1 << 19);
    (0..6).for_each(|_| wal.append(&big).unwrap());
    wal.preallocate().unwrap();
    assert!(!wal.is_provided());
    let before = space.used();
    assert!(before > 4 << 20, "a part of it is there");
    space.resize(before);
    assert!(is_no_space(&wal.preallocate()));
    assert_eq!(space.used(), 4 << 20, "a part of a segment would only keep the disk full");
    wal.append(&big).unwrap();
    wal.sync().unwrap();
    space.resize(8 << 20);
    while !wal.is_provided() {
        wal.preallocate().unwrap();
    }
    (0..3).for_each(|_| wal.append(&big).unwrap());
    wal.sync().unwrap();
    drop(wal);
    disk.crash(&mut lose_all);
    let (_, recovered) = Wal::open(disk.attach(), options).unwrap();
    assert_eq!(recovered.records, vec![big; 10]);
}

/// A life of a node that goes on when there is no space and ends with an error that is final. Two
/// faults: no space after some operations, and an error of the device after some more. Returns how
/// many records were acknowledged, and how many operations there were.
fn life(disk: &MemoryDisk, no_space: u64, io: u64) -> (usize, u64) {
    let faults = Faults::default();
    faults.fail_any(no_space, Failure::NoSpace);
    faults.fail_any(no_space + 1 + io, Failure::Io);
    let mut acknowledged = 0;
    let mut run = || -> Result<(), WalError> {
        let attach = || Box::new(FaultyDisk::new(disk.attach(), faults.clone()));
        let mut wal = Wal::create(attach(), ALICE, SMALL)?;
        let goes_on = |result| if is_no_space(&result) { Ok(()) } else { result };
        for batch in 0..8 {
            for index in 2 * batch..2 * batch + 2 {
                let appended = wal.append(&record(index));
                if is_no_space(&appended) {
                    // The fault is gone: what did not fit is taken at the second attempt.
                    wal.append(&record(index))?;
                } else {
                    appended?;
                }
            }
            wal.sync()?;
            acknowledged = 2 * batch as usize + 2;
            goes_on(wal.preallocate())?;
            if batch == 4 {
                goes_on(wal.begin_segment())?;
                drop(wal);
                wal = Wal::open(attach(), SMALL)?.0;
            }
        }
        wal.seal()
    };
    let ended = run();
    assert!(ended.is_ok() || faults.total() > no_space, "{ended:?} without a fault");
    (acknowledged, faults.total())
}

#[test]
fn a_crash_at_any_operation_after_any_without_space_keeps_what_was_acknowledged() {
    let (_, operations) = life(&MemoryDisk::new(BLOCK), 1 << 30, 0);
    assert!(operations > 50, "only {operations}");
    for no_space in 0..operations {
        for io in 0.. {
            let mut total = 0;
            for seed in 0..6 {
                let disk = MemoryDisk::new(BLOCK);
                let (acknowledged, operations) = life(&disk, no_space, io);
                total = operations;
                disk.crash(&mut chooser(seed));
                let recovered = match open(&disk) {
                    Ok(recovered) => recovered.records,
                    Err(WalError::Empty) if acknowledged == 0 => continue,
                    Err(error) => panic!("{no_space} and {io}, seed {seed}: {error}"),
                };
                assert!(recovered.len() >= acknowledged, "{no_space} and {io}, seed {seed}");
                assert_eq!(recovered, records(0..recovered.len() as u64));
            }
            if total <= no_space + 1 + io {
                break; // The second fault was not reached.
            }
        }
    }
}
