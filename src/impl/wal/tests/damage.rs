//! Bytes that change after they were durable: refused, or nothing that was acknowledged is lost.

use super::*;

fn flipped(content: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut content = content.to_vec();
    content[at] ^= 1 << bit;
    content
}

fn is_damage(error: &WalError) -> bool {
    matches!(error, WalError::Corrupt { .. } | WalError::Version { .. })
}

/// Runs `check` on the outcome of opening the log with each bit of `name` flipped in turn.
fn for_every_flip(
    disk: &MemoryDisk,
    name: &str,
    mut check: impl FnMut(usize, Result<Recovered, WalError>),
) {
    let pristine: Vec<_> =
        disk.names().into_iter().map(|name| (disk.read(&name).unwrap(), name)).collect();
    let content = disk.read(name).unwrap();
    for at in 0..content.len() {
        for bit in 0..8 {
            disk.overwrite(name, &flipped(&content, at, bit));
            check(at, open(disk));
            pristine.iter().for_each(|(content, name)| disk.overwrite(name, content));
        }
    }
}

#[test]
fn no_flip_in_a_sealed_log_loses_a_record() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..2);
    write(&mut wal, 2..4);
    wal.seal().unwrap();
    drop(wal);
    let name = disk.names().remove(0);
    let seal = recovered_seal(&disk, &name);
    for_every_flip(&disk, &name, |at, outcome| match outcome {
        Ok(recovered) => {
            assert!(at >= seal, "a flip at {at} passed");
            assert_eq!(recovered.records, records(0..4), "a flip at {at} lost a record");
        }
        Err(error) => assert!(at < seal && is_damage(&error), "a flip at {at}: {error}"),
    });
}

/// Where the last frame of a sealed file begins.
fn recovered_seal(disk: &MemoryDisk, name: &str) -> usize {
    let content = disk.read(name).unwrap();
    let last = content.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    last.next_multiple_of(8) - FRAME_HEADER
}

#[test]
fn a_flip_in_the_last_batch_is_known_for_damage_only_if_it_is_sealed() {
    // The documented exception: the records of the very last sync, in a process that died before
    // it wrote or sealed anything more, cannot be told from a batch that the crash interrupted.
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..2);
    let name = disk.names().remove(0);
    let last_batch = disk.read(&name).unwrap().iter().rposition(|&b| b != 0).unwrap() + 1;
    let last_batch = last_batch.next_multiple_of(8);
    write(&mut wal, 2..4);
    let end = last_batch + frame_bytes(14) + frame_bytes(21);
    drop(wal);
    let mut undetected = 0;
    for_every_flip(&disk, &name, |at, outcome| match outcome {
        Ok(recovered) if at >= end => assert_eq!(recovered.records, records(0..4)),
        Ok(recovered) => {
            assert!(at >= last_batch, "a flip at {at} passed");
            assert!((2..4).contains(&recovered.records.len()), "a flip at {at}");
            assert_eq!(recovered.records, records(0..recovered.records.len() as u64));
            assert!(recovered.torn.is_some(), "the cut at {at} is reported");
            undetected += 1;
        }
        // A damaged first frame is betrayed by no other; a watermark is not in the future.
        Err(error) => assert!(at < last_batch && is_damage(&error), "a flip at {at}: {error}"),
    });
    assert_eq!(undetected, 8 * (end - last_batch));
}

#[test]
fn no_flip_in_a_closed_segment_loses_a_record() {
    let disk = MemoryDisk::new(BLOCK);
    write(&mut create(&disk), 0..20);
    let names = disk.names();
    assert!(names.len() >= 3);
    for name in &names[..names.len() - 1] {
        let mut refused = 0;
        for_every_flip(&disk, name, |at, outcome| match outcome {
            Ok(recovered) => assert_eq!(recovered.records, records(0..20), "{name} at {at}"),
            Err(error) => {
                assert!(is_damage(&error), "{name} at {at}: {error}");
                refused += 1;
            }
        });
        assert!(refused > 8 * 300, "{name}: only {refused} flips were refused");
    }
}

#[test]
fn damage_is_reported_where_it_begins() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..1);
    write(&mut wal, 1..2);
    write(&mut wal, 2..3);
    drop(wal);
    let name = disk.names().remove(0);
    let second = SEGMENT_HEADER + frame_bytes(0);
    let content = disk.read(&name).unwrap();
    disk.overwrite(&name, &flipped(&content, second + FRAME_HEADER, 0));
    let error = open(&disk).unwrap_err();
    assert!(
        matches!(&error, WalError::Corrupt { file, offset, .. }
            if *file == name && *offset == second as u64),
        "{error}"
    );
}

#[test]
fn a_file_of_another_length_is_refused() {
    let disk = MemoryDisk::new(BLOCK);
    write(&mut create(&disk), 0..4);
    let name = disk.names().remove(0);
    let content = disk.read(&name).unwrap();
    for bytes in 0..content.len() {
        disk.overwrite(&name, &content[..bytes]);
        let error = open(&disk).unwrap_err();
        assert!(is_damage(&error), "cut to {bytes}: {error}");
    }
    disk.overwrite(&name, &[&content[..], &[0]].concat());
    assert!(is_damage(&open(&disk).unwrap_err()));
    disk.overwrite(&name, &content);
    assert_eq!(reopened(&disk), records(0..4));
}

#[test]
fn a_missing_segment_is_named() {
    let disk = MemoryDisk::new(BLOCK);
    write(&mut create(&disk), 0..20);
    let names = disk.names();
    for name in &names {
        let content = disk.read(name).unwrap();
        disk.lose(name);
        match open(&disk) {
            Err(WalError::Missing { file }) => assert_eq!(file, *name),
            other => panic!("without {name}: {other:?}"),
        }
        disk.overwrite(name, &content);
    }
    assert_eq!(reopened(&disk), records(0..20));
}

#[test]
fn a_lost_write_is_refused() {
    let disk = MemoryDisk::new(BLOCK);
    let mut wal = create(&disk);
    write(&mut wal, 0..2);
    let name = disk.names().remove(0);
    let before = disk.read(&name).unwrap();
    write(&mut wal, 2..4);
    let after = disk.read(&name).unwrap();
    write(&mut wal, 4..5);
    drop(wal);
    let mut content = disk.read(&name).unwrap();
    for at in 0..content.len() {
        if before[at] != after[at] {
            content[at] = before[at];
        }
    }
    disk.overwrite(&name, &content);
    assert!(matches!(open(&disk), Err(WalError::Corrupt { .. })));
}

/// A log of equal-sized records, one batch each, and the offset of each frame.
fn uniform(disk: &MemoryDisk) -> (String, Vec<u8>, Vec<usize>) {
    let mut wal = create(disk);
    for index in 0..6 {
        wal.append(&Record { kind: 1, index, term: 1, payload: [9; 8] }).unwrap();
        wal.sync().unwrap();
    }
    let name = disk.names().remove(0);
    let content = disk.read(&name).unwrap();
    let offsets = (0..6).map(|at| SEGMENT_HEADER + at * frame_bytes(8)).collect();
    (name, content, offsets)
}

#[test]
fn a_record_written_to_the_place_of_another_is_refused() {
    let disk = MemoryDisk::new(BLOCK);
    let (name, content, offsets) = uniform(&disk);
    for &from in &offsets {
        for &to in offsets[..5].iter().filter(|&&to| to != from) {
            let mut misdirected = content.clone();
            misdirected.copy_within(from..from + frame_bytes(8), to);
            disk.overwrite(&name, &misdirected);
            let error = open(&disk).unwrap_err();
            assert!(
                matches!(error, WalError::Corrupt { offset, .. } if offset == to as u64),
                "{from} over {to}: {error}"
            );
        }
    }
}

#[test]
fn a_duplicate_behind_the_end_is_not_taken_for_a_record() {
    let disk = MemoryDisk::new(BLOCK);
    let (name, content, offsets) = uniform(&disk);
    let end = offsets[5] + frame_bytes(8);
    let mut duplicated = content.clone();
    duplicated.copy_within(offsets[2]..offsets[2] + frame_bytes(8), end);
    disk.overwrite(&name, &duplicated);
    let recovered = open(&disk).unwrap();
    assert_eq!(recovered.records.len(), 6);
    assert_eq!(recovered.torn.map(|torn| torn.offset), Some(end as u64));
}

#[test]
fn a_record_of_another_life_is_not_taken_for_ours() {
    let content = |identity| {
        let disk = MemoryDisk::new(BLOCK);
        let mut wal = Wal::create(disk.attach(), identity, SMALL).unwrap();
        write(&mut wal, 0..1);
        write(&mut wal, 1..3);
        let name = disk.names().remove(0);
        (disk.read(&name).unwrap(), name)
    };
    let (ours, name) = content(ALICE);
    let (theirs, _) = content(Identity { incarnation: 0xb0b, ..ALICE });
    let second = SEGMENT_HEADER + frame_bytes(0);
    let disk = MemoryDisk::new(BLOCK);
    disk.overwrite(&name, &[&ours[..second], &theirs[second..]].concat());
    assert_eq!(reopened(&disk), records(0..1));
}

#[test]
fn a_record_left_over_from_another_past_is_not_taken_for_ours() {
    // Two pasts of one log that differ in one record, and the end of one behind the other: what
    // a disk would show that cleared a torn tail and lost that write.
    let past = |kind| {
        let disk = MemoryDisk::new(BLOCK);
        let mut wal = create(&disk);
        for (kind, index) in [(1, 0), (kind, 1), (1, 2)] {
            wal.append(&Record { kind, index, term: 1, payload: vec![9; 8] }).unwrap();
            wal.sync().unwrap();
        }
        let name = disk.names().remove(0);
        (disk.read(&name).unwrap(), name)
    };
    let (ours, name) = past(1);
    let (theirs, _) = past(2);
    let third = SEGMENT_HEADER + 2 * frame_bytes(8);
    let disk = MemoryDisk::new(BLOCK);
    disk.overwrite(&name, &[&ours[..third], &theirs[third..]].concat());
    let kinds: Vec<_> = reopened(&disk).iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [1, 1]);
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let logs = [ALICE, Identity { node: 2, ..ALICE }].map(|identity| {
        let disk = MemoryDisk::new(BLOCK);
        let mut wal = Wal::create(disk.attach(), identity, SMALL).unwrap();
        write(&mut wal, 0..20);
        disk
    });
    let names = logs[0].names();
    logs[0].overwrite(&names[1], &logs[1].read(&names[1]).unwrap());
    match open(&logs[0]) {
        Err(WalError::Foreign { file, found, expected }) => {
            assert_eq!((file, found.node, expected.node), (names[1].clone(), 2, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_in_each_others_place_are_refused() {
    let disk = MemoryDisk::new(BLOCK);
    write(&mut create(&disk), 0..20);
    let names = disk.names();
    let contents: Vec<_> = names.iter().map(|name| disk.read(name).unwrap()).collect();
    for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        disk.overwrite(&names[to], &contents[from]);
        assert!(matches!(open(&disk), Err(WalError::Corrupt { .. })), "{from} as {to}");
        disk.overwrite(&names[to], &contents[to]);
    }
    // Alone, a later segment would make a consistent log.
    names.iter().for_each(|name| disk.lose(name));
    disk.overwrite(&names[0], &contents[1]);
    assert!(matches!(open(&disk), Err(WalError::Corrupt { .. })));
}

#[test]
fn a_segment_of_a_later_release_is_refused() {
    let disk = MemoryDisk::new(BLOCK);
    drop(create(&disk));
    let name = disk.names().remove(0);
    let mut content = disk.read(&name).unwrap();
    content[8] = 2;
    disk.overwrite(&name, &content);
    assert!(matches!(open(&disk), Err(WalError::Version { version: 2, .. })));
}

#[test]
fn payloads_that_look_like_the_log_are_only_payloads() {
    // A torn batch whose payloads are whole segments of this very log is still a torn batch.
    let disk = MemoryDisk::new(BLOCK);
    let options = Options { segment_bytes: 4096 };
    let mut wal = Wal::create(disk.attach(), ALICE, options).unwrap();
    write(&mut wal, 0..3);
    write(&mut wal, 3..6);
    let name = disk.names().remove(0);
    let before = disk.read(&name).unwrap();
    let payload = before[..1024].to_vec();
    wal.append(&Record { kind: 0, index: 6, term: 2, payload }).unwrap();
    wal.sync().unwrap();
    drop(wal);
    let mut torn = disk.read(&name).unwrap();
    let first = (0..torn.len()).find(|&at| torn[at] != before[at]).unwrap();
    torn[first] ^= 0xff;
    disk.overwrite(&name, &torn);
    let (_, recovered) = Wal::open(disk.attach(), options).unwrap();
    assert_eq!(recovered.records, records(0..6));
}
