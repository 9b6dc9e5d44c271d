//! Reading a log back: cut off what a crash left half-written, refuse everything else.
//!
//! A batch of frames becomes durable as a whole before the next one is begun, and every frame says
//! in `synced` where its own batch began. So where reading stops at a bad frame at offset B:
//!
//! - if some frame behind it says `synced > B`, then B was durable once and is damaged: refuse;
//! - otherwise whatever is behind it was written together with B, in a batch of which nothing
//!   shows that its sync ever returned: cut the log at B.

use super::blank::remove_temporary;
use super::disk::Disk;
use super::error::{WalError, io_error};
use super::frame::{ALIGNMENT, Frame, Record, Tag};
use super::header::{self, SEGMENT_HEADER, SegmentHeader};
use super::segment::Segment;
use super::{Recovered, TornTail};

/// One segment as it was found.
struct Found {
    name: String,
    header: SegmentHeader,
    content: Vec<u8>,
    chain: Chain,
}

/// The frames of one segment, up to the first that is not a link of the chain.
#[derive(Debug)]
struct Chain {
    records: Vec<Record<Vec<u8>>>,
    /// Where the chain ends; the mark of a successor is not a part of it.
    end: usize,
    /// Checksum of the last link.
    last: u32,
    /// The highest watermark: everything below is known to be durable.
    proven: usize,
    /// Whether the last link is a seal, so that there is no record above `proven`.
    sealed: bool,
    /// Whether the segment has a successor.
    continued: bool,
}

/// Reads the log on a locked disk, repairs its tail, and opens its last segment for appending.
pub(super) fn recover(disk: &mut dyn Disk) -> Result<(Segment, Recovered), WalError> {
    // A name that was renamed but not synced when the process died must not vanish later.
    disk.sync_dir().map_err(io_error("sync", "the data directory"))?;
    let mut names = segment_names(disk)?.into_iter();
    let mut last = find(disk, names.next().ok_or(WalError::Empty)?)?;
    let identity = last.header.identity;
    let mut records = Vec::new();
    for name in names {
        let next = find(disk, name)?;
        records.extend(close(disk, last, &next)?);
        last = next;
    }
    if last.chain.continued {
        return Err(WalError::Missing { file: header::file_name(last.header.sequence + 1) });
    }
    refuse_damage(&last)?;
    records.append(&mut last.chain.records);
    let (segment, torn) = repair(disk, &last)?;
    Ok((segment, Recovered { identity, records, torn }))
}

/// The names of all segments in order, after removing those that never became part of the log.
fn segment_names(disk: &mut dyn Disk) -> Result<Vec<String>, WalError> {
    let mut names = disk.list().map_err(io_error("list", "the data directory"))?;
    for name in names.iter().filter(|name| header::is_temporary(name)) {
        remove_temporary(disk, name)?;
    }
    names.retain(|name| header::is_segment(name));
    names.sort_unstable();
    for (name, sequence) in names.iter().zip(1..) {
        let expected = header::file_name(sequence);
        if *name != expected {
            return Err(WalError::Missing { file: expected });
        }
    }
    Ok(names)
}

fn find(disk: &dyn Disk, name: String) -> Result<Found, WalError> {
    let content = disk.read(&name).map_err(io_error("read", &name))?;
    let header = SegmentHeader::decode(&name, &content)?;
    let chain = Chain::read(&content, header.seed());
    Ok(Found { name, header, content, chain })
}

/// Checks that a segment leads to the next one, which was begun only when this one was durable.
fn close(
    disk: &mut dyn Disk,
    segment: Found,
    next: &Found,
) -> Result<Vec<Record<Vec<u8>>>, WalError> {
    let Found { name, header, chain, .. } = segment;
    if header.identity != next.header.identity {
        return Err(WalError::Foreign {
            file: next.name.clone(),
            found: next.header.identity,
            expected: header.identity,
        });
    }
    if chain.last != next.header.carried {
        let reason = "the next segment continues from records that are not there";
        return Err(WalError::Corrupt { file: name, offset: chain.end as u64, reason });
    }
    if !chain.continued {
        // The process died between creating the successor and saying so.
        let file = disk.open(&name).map_err(io_error("open", &name))?;
        let mut segment = Segment::resume(file, header, chain.end, chain.last, true);
        segment.push_continued();
        segment.flush()?;
    }
    Ok(chain.records)
}

/// Refuses a last segment whose end was durable before a later frame was written.
fn refuse_damage(Found { name, header, content, chain }: &Found) -> Result<(), WalError> {
    let seed = header.seed();
    let damaged = (chain.end..content.len())
        .step_by(ALIGNMENT)
        .filter_map(|offset| Frame::at(content, seed, offset))
        .any(|frame| frame.synced > chain.end);
    if damaged {
        let reason = "the bytes here were durable before a later part of the log was written";
        return Err(WalError::Corrupt { file: name.clone(), offset: chain.end as u64, reason });
    }
    Ok(())
}

/// Makes the last segment durably equal to what was read from it.
///
/// Frames above the last watermark may be in the page cache only, and after a failed sync the
/// kernel may take those pages for clean. So they are written again, as they are, and synced.
fn repair(disk: &mut dyn Disk, found: &Found) -> Result<(Segment, Option<TornTail>), WalError> {
    let Found { name, header, content, chain: Chain { end, last, proven, sealed, .. } } = found;
    let dirty = content.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let torn = (dirty > *end).then(|| TornTail {
        file: name.clone(),
        offset: *end as u64,
        bytes: (dirty - end) as u64,
    });
    let mut image = content[*proven..*end].to_vec();
    image.resize(dirty.max(*end) - proven, 0);
    let mut write = || {
        let mut file = disk.open(name)?;
        if !image.is_empty() {
            file.write_at(*proven as u64, &image)?;
            file.sync()?;
        }
        Ok(file)
    };
    let file = write().map_err(io_error("repair", name))?;
    Ok((Segment::resume(file, *header, *end, *last, *sealed), torn))
}

impl Chain {
    /// Follows the chain from the header of `segment`.
    fn read(segment: &[u8], seed: u32) -> Self {
        let mut chain = Self {
            records: Vec::new(),
            end: SEGMENT_HEADER,
            last: seed,
            proven: SEGMENT_HEADER,
            sealed: true,
            continued: false,
        };
        while let Some(frame) = Frame::at(segment, seed, chain.end) {
            let Some(record) = frame.record(segment) else { break };
            if frame.previous != chain.last {
                break;
            }
            chain.proven = chain.proven.max(frame.synced);
            match frame.tag {
                Tag::Record => chain.records.push(record),
                Tag::Seal => {}
                Tag::Continued => {
                    chain.continued = true;
                    break;
                }
            }
            chain.sealed = frame.tag == Tag::Seal;
            chain.last = frame.checksum;
            chain.end = frame.end();
        }
        chain
    }
}
