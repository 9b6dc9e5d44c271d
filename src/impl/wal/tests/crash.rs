//! Power cuts: at every point, with every outcome that the disk allows.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

/// What is recovered is a prefix of what was written, and no shorter than what was acknowledged.
fn assert_kept(recovered: &[Owned], written: &[Owned], acknowledged: usize) {
    assert!(recovered.len() >= acknowledged, "{} of {acknowledged} kept", recovered.len());
    assert!(recovered.len() <= written.len(), "{} of {} kept", recovered.len(), written.len());
    assert_eq!(recovered, &written[..recovered.len()]);
}

/// A log with records 0..3 synced and 3..6 written by a sync that did not return.
fn interrupted(disk: &MemoryDisk) {
    let faults = Faults::default();
    let faulty = FaultyDisk::new(disk.attach(), faults.clone());
    let mut wal = Wal::create(Box::new(faulty), ALICE, SMALL).unwrap();
    write(&mut wal, 0..3);
    (3..6).for_each(|index| wal.append(&record(index)).unwrap());
    faults.fail(Operation::Sync, 0, Failure::Io);
    wal.sync().unwrap_err();
}

#[test]
fn every_subset_of_unsynced_blocks_leaves_a_prefix() {
    let mut seen = [0; 7];
    let runs = for_every_choice(|choose| {
        // 183 bytes in blocks of 32: six blocks, each lost, written or half-written.
        let disk = MemoryDisk::new(32);
        interrupted(&disk);
        disk.crash(choose);
        let (mut wal, recovered) = Wal::open(disk.attach(), SMALL).unwrap();
        assert_kept(&recovered.records, &records(0..6), 3);
        // The repaired log takes new records, and a second crash takes none of them away.
        let kept = recovered.records.len() as u64;
        write(&mut wal, kept..8);
        drop(wal);
        disk.crash(&mut lose_all);
        assert_eq!(reopened(&disk), records(0..8));
        seen[kept as usize] += 1;
    });
    assert_eq!(runs, seen.iter().sum::<usize>());
    assert!(runs >= 3_usize.pow(5), "{runs} crash states");
    assert!(seen[3..].iter().all(|&times| times > 0), "every prefix is reached: {seen:?}");
}

#[test]
fn a_write_cut_at_any_byte_leaves_the_records_before_the_cut() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..3);
    let name = disk.names().remove(0);
    let synced = disk.read(&name).unwrap();
    write(&mut wal, 3..6);
    drop(wal);
    let written = disk.read(&name).unwrap();
    let first = (0..synced.len()).find(|&at| synced[at] != written[at]).unwrap();
    let mut kept_before = 3;
    for cut in first..=written.len() {
        let mut torn = written.clone();
        torn[cut..].copy_from_slice(&synced[cut..]);
        disk.overwrite(&name, &torn);
        let recovered = open(&disk).unwrap();
        assert_kept(&recovered.records, &records(0..6), kept_before);
        kept_before = recovered.records.len();
        assert_eq!(
            recovered.torn.is_some(),
            cut > first && torn != written && {
                // A cut between two frames leaves nothing to clear away.
                let end = recovered_end(&disk, &name);
                torn[end..].iter().any(|&byte| byte != 0)
            }
        );
    }
    assert_eq!(kept_before, 6);
}

/// Where the frames of records end in a file that was opened, and so ends with a seal.
fn recovered_end(disk: &MemoryDisk, name: &str) -> usize {
    let content = disk.read(name).unwrap();
    let sealed = content.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    sealed.next_multiple_of(8) - FRAME_HEADER
}

#[test]
fn what_is_recovered_is_durable_even_if_it_was_not() {
    let disk = MemoryDisk::new(BLOCK);
    interrupted(&disk);
    // The process restarts and reads its unsynced records back from the page cache, whose pages
    // the failed sync left clean.
    disk.forget_dirty();
    assert_eq!(reopened(&disk), records(0..6));
    disk.crash(&mut lose_all);
    assert_eq!(reopened(&disk), records(0..6));
}

/// A life of a node: three sessions, several segments, ended by a fault after `spared` operations.
/// Returns how many records were acknowledged, and whether the fault was reached.
fn life(disk: &MemoryDisk, spared: u64) -> (usize, bool) {
    let faults = Faults::default();
    faults.fail_any(spared, Failure::Io);
    let mut acknowledged = 0;
    let mut run = || -> Result<(), WalError> {
        let attach = || Box::new(FaultyDisk::new(disk.attach(), faults.clone()));
        let mut wal = Wal::create(attach(), ALICE, SMALL)?;
        for session in 0..3 {
            for batch in 0..4 {
                let start = (session * 4 + batch) * 2;
                (start..start + 2).try_for_each(|index| wal.append(&record(index)))?;
                wal.sync()?;
                acknowledged = start as usize + 2;
                wal.preallocate()?;
            }
            drop(wal);
            wal = Wal::open(attach(), SMALL)?.0;
        }
        wal.seal()
    };
    let result = run();
    (acknowledged, result.is_err())
}

#[test]
fn a_crash_at_any_operation_keeps_what_was_acknowledged() {
    let (_, reached) = life(&MemoryDisk::new(BLOCK), u64::MAX);
    assert!(!reached, "without faults it ends");
    let mut spared = 0;
    loop {
        for seed in 0..50 {
            let disk = MemoryDisk::new(BLOCK);
            let (acknowledged, reached) = life(&disk, spared);
            if !reached {
                assert!(spared > 40, "the life has only {spared} operations");
                return;
            }
            disk.crash(&mut chooser(seed));
            match open(&disk) {
                Ok(recovered) => assert_kept(&recovered.records, &records(0..24), acknowledged),
                Err(WalError::Empty) => assert!(spared <= 6, "the log is gone after {spared}"),
                Err(error) => panic!("after {spared} operations, seed {seed}: {error}"),
            }
        }
        spared += 1;
    }
}

#[test]
fn a_name_that_was_not_synced_is_synced_before_it_is_relied_on() {
    let disk = MemoryDisk::new(BLOCK);
    let faults = Faults::default();
    faults.fail(Operation::SyncDir, 0, Failure::Io);
    let faulty = FaultyDisk::new(disk.attach(), faults);
    Wal::create(Box::new(faulty), ALICE, SMALL).unwrap_err();
    // The process restarts and sees the segment; the machine has yet to crash.
    write(&mut Wal::open(disk.attach(), SMALL).unwrap().0, 0..3);
    disk.crash(&mut lose_all);
    assert_eq!(reopened(&disk), records(0..3));
}

#[test]
fn a_rollover_that_was_interrupted_is_completed() {
    // After the successor's creation comes the write that says so: the sixth of this life, after
    // the zeros and headers of two segments and one batch.
    let disk = MemoryDisk::new(BLOCK);
    let faults = Faults::default();
    faults.fail(Operation::Write, 5, Failure::Io);
    let faulty = FaultyDisk::new(disk.attach(), faults);
    let mut wal = Wal::create(Box::new(faulty), ALICE, SMALL).unwrap();
    let full = (0..).find(|&index| wal.append(&record(index)).is_err()).unwrap();
    drop(wal);
    disk.crash(&mut lose_all);
    assert_eq!(disk.names().len(), 2);
    let (mut wal, recovered) = Wal::open(disk.attach(), SMALL).unwrap();
    assert_eq!(recovered.records, records(0..full));
    write(&mut wal, full..full + 1);
    drop(wal);
    disk.lose(&disk.names()[1]);
    assert!(matches!(open(&disk), Err(WalError::Missing { .. })), "the loss is noticed");
}

#[test]
fn an_interrupted_first_start_can_be_repeated() {
    for spared in 0.. {
        let disk = MemoryDisk::new(BLOCK);
        let faults = Faults::default();
        faults.fail_any(spared, Failure::NoSpace);
        let faulty = FaultyDisk::new(disk.attach(), faults);
        if Wal::create(Box::new(faulty), ALICE, SMALL).is_ok() {
            assert!(spared >= 4, "a creation is several operations");
            return;
        }
        disk.crash(&mut lose_all);
        write(&mut create(&disk), 0..3);
        assert_eq!(reopened(&disk), records(0..3));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    Sync,
    Seal,
    Preallocate,
    Restart,
    /// A fault after this many more disk operations; and how the machine crashes, from a seed.
    Crash(u8, u64),
    /// No space for one disk operation, after this many more.
    Full(u8),
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 14 {
            0..6 => Self::Append(u8::arbitrary(g) % 100),
            6..9 => Self::Sync,
            9 => Self::Seal,
            10 => Self::Restart,
            11 => Self::Preallocate,
            12 => Self::Full(u8::arbitrary(g) % 8),
            _ => Self::Crash(u8::arbitrary(g) % 8, u64::arbitrary(g) % 1000),
        }
    }
}

/// The log beside what it stands for: a vector, of which the first few are acknowledged.
struct Pair {
    disk: MemoryDisk,
    faults: Faults,
    wal: Option<Wal>,
    written: Vec<Owned>,
    acknowledged: usize,
    seed: u64,
}

impl Pair {
    fn start() -> Self {
        let disk = MemoryDisk::new(BLOCK);
        drop(create(&disk));
        let faults = Faults::default();
        let mut pair =
            Self { disk, faults, wal: None, written: Vec::new(), acknowledged: 0, seed: 0 };
        pair.recover(false);
        pair
    }

    /// Ends the process, with or without a power cut, and starts it until it runs.
    fn recover(&mut self, power_cut: bool) {
        // More attempts than there are faults in the longest of the generated runs.
        for _ in 0..1000 {
            self.wal = None;
            if power_cut {
                self.disk.crash(&mut chooser(self.seed));
            }
            let faulty = FaultyDisk::new(self.disk.attach(), self.faults.clone());
            match Wal::open(Box::new(faulty), SMALL) {
                Ok((wal, recovered)) => {
                    assert_kept(&recovered.records, &self.written, self.acknowledged);
                    self.acknowledged = recovered.records.len();
                    self.written = recovered.records;
                    self.wal = Some(wal);
                    return;
                }
                Err(WalError::Io { .. }) => self.seed += 1,
                Err(error) => panic!("recovery refused: {error}"),
            }
        }
        panic!("recovery never succeeds");
    }

    fn step(&mut self, step: &Step) {
        let wal = self.wal.as_mut().expect("recovered");
        let result = match *step {
            Step::Append(bytes) => {
                let index = self.written.len() as u64;
                let payload = vec![bytes | 1; usize::from(bytes)];
                let record = Record { kind: bytes, index, term: index / 2, payload };
                let result = wal.append(&record);
                if !matches!(result, Err(WalError::NoSpace { .. })) {
                    // It may be on the disk even if the append failed.
                    self.written.push(record);
                }
                result
            }
            Step::Preallocate => wal.preallocate(),
            Step::Sync => wal.sync(),
            Step::Seal => wal.seal(),
            Step::Restart => return self.recover(false),
            Step::Crash(spared, seed) => {
                self.seed = seed;
                return self.faults.fail_any(u64::from(spared), Failure::Io);
            }
            Step::Full(spared) => {
                return self.faults.fail_any(u64::from(spared), Failure::NoSpace);
            }
        };
        match (result, step) {
            (Ok(()), Step::Sync | Step::Seal) => self.acknowledged = self.written.len(),
            (Ok(()) | Err(WalError::NoSpace { .. }), _) => {}
            (Err(_), _) => self.recover(self.seed.is_multiple_of(2)),
        }
    }
}

quickcheck! {
    fn agrees_with_a_vector(steps: Vec<Step>) -> bool {
        let mut pair = Pair::start();
        steps.iter().for_each(|step| pair.step(step));
        pair.recover(true);
        pair.written.len() == pair.acknowledged
    }
}
