//! What the log promises, on disks that keep no more than they must.

mod crash;
mod damage;
mod faults;
mod full;
mod real;

use super::*;

/// Blocks this small make torn writes out of the smallest records.
const BLOCK: usize = 16;

const SMALL: Options = Options { segment_bytes: 512 };

const ALICE: Identity = Identity { cluster: 0xc1, node: 1, incarnation: 0xa11ce };

type Owned = Record<Vec<u8>>;

/// The record number `index`, with a payload of a length and content of its own.
fn record(index: u64) -> Owned {
    let payload = (0..index * 7 % 30).map(|at| (index * 31 + at) as u8 | 1).collect();
    Record { kind: index as u8, index, term: index / 3, payload }
}

fn records(range: std::ops::Range<u64>) -> Vec<Owned> {
    range.map(record).collect()
}

/// Appends and syncs records, as one batch.
fn write(wal: &mut Wal, range: std::ops::Range<u64>) {
    for index in range {
        wal.append(&record(index)).unwrap();
    }
    wal.sync().unwrap();
}

fn create(disk: &MemoryDisk) -> Wal {
    Wal::create(disk.attach(), ALICE, SMALL).unwrap()
}

fn open(disk: &MemoryDisk) -> Result<Recovered, WalError> {
    Wal::open(disk.attach(), SMALL).map(|(_, recovered)| recovered)
}

fn reopened(disk: &MemoryDisk) -> Vec<Owned> {
    open(disk).unwrap().records
}

fn lose_all(_: usize) -> usize {
    0
}

/// Seeded choices: all or nothing for some seeds, mixed for others.
fn chooser(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |outcomes| match seed {
        0 => 0,
        1 => outcomes - 1,
        _ => {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % outcomes
        }
    }
}

/// Calls `run` with every sequence of choices that it asks for.
fn for_every_choice(mut run: impl FnMut(&mut dyn FnMut(usize) -> usize)) -> usize {
    let mut script: Vec<(usize, usize)> = Vec::new();
    let mut runs = 0;
    loop {
        let mut step = 0;
        run(&mut |outcomes| {
            if step == script.len() {
                script.push((0, outcomes));
            }
            assert_eq!(script[step].1, outcomes, "choices depend on nothing but choices");
            step += 1;
            script[step - 1].0
        });
        runs += 1;
        while let Some((chosen, outcomes)) = script.pop() {
            if chosen + 1 < outcomes {
                script.push((chosen + 1, outcomes));
                break;
            }
        }
        if script.is_empty() {
            return runs;
        }
    }
}

#[test]
fn returns_what_was_written_in_order() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..1);
    write(&mut wal, 1..5);
    drop(wal);
    let recovered = open(&disk).unwrap();
    assert_eq!(recovered, Recovered { identity: ALICE, records: records(0..5), torn: None });
}

#[test]
fn a_new_log_is_empty_and_can_be_reopened() {
    let disk = MemoryDisk::new(BLOCK);
    drop(create(&disk));
    disk.crash(&mut lose_all);
    assert_eq!(reopened(&disk), []);
    assert_eq!(reopened(&disk), []);
}

#[test]
fn goes_on_after_a_restart() {
    let disk = MemoryDisk::new(BLOCK);
    drop(create(&disk));
    for start in (0..60).step_by(3) {
        let (mut wal, recovered) = Wal::open(disk.attach(), SMALL).unwrap();
        assert_eq!(recovered.records, records(0..start));
        write(&mut wal, start..start + 3);
    }
    assert_eq!(reopened(&disk), records(0..60));
}

#[test]
fn rolls_over_into_as_many_segments_as_it_takes() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..100);
    drop(wal);
    assert!(disk.names().len() > 10, "only {:?}", disk.names());
    disk.crash(&mut lose_all);
    assert_eq!(reopened(&disk), records(0..100));
}

#[test]
fn segments_of_different_sizes_make_one_log() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..10);
    drop(wal);
    let larger = Options { segment_bytes: 4096 };
    let (mut wal, _) = Wal::open(disk.attach(), larger).unwrap();
    let big = Record { kind: 1, index: 10, term: 4, payload: vec![7; wal.payload_limit()] };
    wal.append(&big).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let mut expected = records(0..10);
    expected.push(big);
    assert_eq!(reopened(&disk), expected);
}

#[test]
fn appending_without_sync_promises_and_writes_nothing() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..2);
    let before = disk.read(&disk.names()[0]);
    wal.append(&record(2)).unwrap();
    assert_eq!(disk.read(&disk.names()[0]), before);
    drop(wal);
    assert_eq!(reopened(&disk), records(0..2));
}

#[test]
fn a_batch_costs_one_write_and_one_sync_and_no_batch_costs_none() {
    let faults = Faults::default();
    let disk = FaultyDisk::new(MemoryDisk::new(512).attach(), faults.clone());
    let mut wal = Wal::create(Box::new(disk), ALICE, Options::default()).unwrap();
    let cost = || (faults.count(Operation::Write), faults.count(Operation::Sync), faults.total());
    let (writes, syncs, total) = cost();
    (0..1000).for_each(|index| wal.append(&record(index)).unwrap());
    wal.sync().unwrap();
    assert_eq!(cost(), (writes + 1, syncs + 1, total + 2));
    wal.sync().unwrap();
    assert_eq!(cost(), (writes + 1, syncs + 1, total + 2));
    wal.seal().unwrap();
    wal.seal().unwrap();
    assert_eq!(cost(), (writes + 2, syncs + 2, total + 4));
}

#[test]
fn a_preallocated_segment_leaves_little_to_do_at_rollover() {
    let faults = Faults::default();
    let disk = MemoryDisk::new(4096);
    let faulty = FaultyDisk::new(disk.attach(), faults.clone());
    let options = Options { segment_bytes: 4 << 20 };
    let mut wal = Wal::create(Box::new(faulty), ALICE, options).unwrap();
    let big = Record { kind: 0, index: 0, term: 0, payload: vec![1; 1 << 19] };
    let quiet = faults.total();
    wal.preallocate().unwrap();
    assert_eq!(faults.total(), quiet, "there is no hurry in an empty segment");
    (0..7).for_each(|_| wal.append(&big).unwrap());
    wal.sync().unwrap();
    (0..16).for_each(|_| wal.preallocate().unwrap());
    assert_eq!(disk.names(), ["0000000001.wal", "0000000002.wal.tmp"]);
    let writes = faults.count(Operation::Write);
    wal.append(&big).unwrap();
    assert_eq!(faults.count(Operation::Write), writes + 2, "the header, and that it is there");
    wal.sync().unwrap();
    drop(wal);
    disk.crash(&mut lose_all);
    let (_, recovered) = Wal::open(disk.attach(), options).unwrap();
    assert_eq!(recovered.records, vec![big; 8]);
}

#[test]
fn the_largest_record_fits_and_a_larger_one_is_refused_without_harm() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    let limit = wal.payload_limit();
    let sized = |bytes| Record { kind: 0, index: 0, term: 0, payload: vec![1; bytes] };
    let refused = wal.append(&sized(limit + 1));
    assert!(matches!(refused, Err(WalError::TooLarge { limit: l, .. }) if l == limit));
    wal.append(&sized(limit)).unwrap();
    wal.append(&sized(limit)).unwrap();
    wal.seal().unwrap();
    drop(wal);
    assert_eq!(reopened(&disk), [sized(limit), sized(limit)]);
}

#[test]
fn the_smallest_segment_works_and_a_smaller_one_is_refused() {
    let disk = MemoryDisk::new(BLOCK);
    for bytes in [0, MIN_SEGMENT_BYTES - 8, MIN_SEGMENT_BYTES + 4] {
        let result = Wal::create(disk.attach(), ALICE, Options { segment_bytes: bytes });
        assert!(matches!(result, Err(WalError::SegmentSize { .. })), "{bytes}");
    }
    let smallest = Options { segment_bytes: MIN_SEGMENT_BYTES };
    let mut wal = Wal::create(disk.attach(), ALICE, smallest).unwrap();
    for index in 0..20 {
        write(&mut wal, index..index + 1);
        wal.seal().unwrap();
    }
    drop(wal);
    let (_, recovered) = Wal::open(disk.attach(), smallest).unwrap();
    assert_eq!(recovered.records, records(0..20));
}

#[test]
fn an_empty_directory_is_not_an_empty_log() {
    assert!(matches!(open(&MemoryDisk::new(BLOCK)), Err(WalError::Empty)));
}

#[test]
fn a_first_start_never_replaces_a_log() {
    let disk = MemoryDisk::new(BLOCK);
    write(&mut create(&disk), 0..3);
    let again = Wal::create(disk.attach(), ALICE, SMALL);
    assert!(matches!(again, Err(WalError::NotEmpty { .. })));
    assert_eq!(reopened(&disk), records(0..3));
}

#[test]
fn a_first_start_wants_a_directory_of_its_own() {
    let disk = MemoryDisk::new(BLOCK);
    disk.overwrite("thesis.tex", b"unrelated");
    let result = Wal::create(disk.attach(), ALICE, SMALL);
    assert!(matches!(result, Err(WalError::NotEmpty { file }) if file == "thesis.tex"));
}

#[test]
fn one_process_at_a_time() {
    let disk = MemoryDisk::new(BLOCK);
    let wal = create(&disk);
    assert!(matches!(open(&disk), Err(WalError::Locked)));
    assert!(matches!(Wal::create(disk.attach(), ALICE, SMALL), Err(WalError::Locked)));
    drop(wal);
    assert!(open(&disk).is_ok());
}

#[test]
fn errors_are_one_line_and_name_the_place() {
    let error = WalError::Corrupt { file: "x.wal".into(), offset: 64, reason: "so" }.to_string();
    assert!(error.starts_with("x.wal is corrupt at byte 64: so; leave this server stopped"));
    assert!(!error.contains('\n'));
    let found = Identity { node: 2, ..ALICE };
    let error = WalError::Foreign { file: "y.wal".into(), found, expected: ALICE }.to_string();
    assert!(error.contains("node 2") && error.contains("node 1") && !error.contains('\n'));
}
