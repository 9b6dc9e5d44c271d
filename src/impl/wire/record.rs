//! Records: how one datagram carries many messages.
//!
//! A payload is a sequence of records, each a kind, a length of two bytes and a body. A zero byte
//! where a record would begin ends the sequence; from there on all bytes are zero. That padding
//! makes all datagrams of a run but the last the same size, which segmentation offload asks for.

use super::counters::Rejected;

/// Bytes before a record's body.
pub(super) const RECORD: usize = 3;

/// Bytes of a part's body before its data.
pub(super) const PART: usize = 16;

const PADDING: u8 = 0;
const WHOLE: u8 = 1;
const PARTIAL: u8 = 2;

/// A piece of a message that is too large for one datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Part<'a> {
    /// Keyed hash of the whole message, by which its parts find each other.
    pub(super) stream: u64,
    /// Where in the message the data belongs.
    pub(super) offset: u32,
    /// Size of the whole message.
    pub(super) total: u32,
    pub(super) data: &'a [u8],
}

/// One element of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Record<'a> {
    Whole(&'a [u8]),
    Part(Part<'a>),
}

/// Appends a complete message, which the caller knows to fit.
pub(super) fn write_whole(bytes: &mut Vec<u8>, message: &[u8]) {
    write_head(bytes, WHOLE, message.len());
    bytes.extend_from_slice(message);
}

/// Appends a part of a message, which the caller knows to fit.
pub(super) fn write_part(bytes: &mut Vec<u8>, part: &Part<'_>) {
    write_head(bytes, PARTIAL, PART + part.data.len());
    bytes.extend_from_slice(&part.stream.to_le_bytes());
    bytes.extend_from_slice(&part.offset.to_le_bytes());
    bytes.extend_from_slice(&part.total.to_le_bytes());
    bytes.extend_from_slice(part.data);
}

fn write_head(bytes: &mut Vec<u8>, kind: u8, length: usize) {
    bytes.push(kind);
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
}

/// Whether `payload` is a non-empty sequence of well-formed records.
///
/// Asked before any record takes effect, so that a frame takes effect as a whole or not at all.
pub(super) fn well_formed(payload: &[u8]) -> bool {
    let mut records = Records(payload);
    let mut count = 0_usize;
    while let Some(record) = records.next_record() {
        if record.is_err() {
            return false;
        }
        count += 1;
    }
    count > 0
}

/// The records of a payload that is [`well_formed`].
pub(super) fn records(payload: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut records = Records(payload);
    std::iter::from_fn(move || records.next_record()?.ok())
}

struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    fn next_record(&mut self) -> Option<Result<Record<'a>, Rejected>> {
        let kind = *self.0.first()?;
        if kind == PADDING {
            let clean = self.0.iter().all(|&byte| byte == PADDING);
            self.0 = &[];
            return if clean { None } else { Some(Err(Rejected::Record)) };
        }
        Some(self.body().and_then(|body| match kind {
            WHOLE => Ok(Record::Whole(body)),
            PARTIAL => part(body).map(Record::Part),
            _ => Err(Rejected::Record),
        }))
    }

    fn body(&mut self) -> Result<&'a [u8], Rejected> {
        let (head, rest) = self.0.split_at_checked(RECORD).ok_or(Rejected::Record)?;
        let length = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let (body, rest) = rest.split_at_checked(length).ok_or(Rejected::Record)?;
        self.0 = rest;
        Ok(body)
    }
}

fn part(body: &[u8]) -> Result<Part<'_>, Rejected> {
    let (stream, rest) = body.split_first_chunk().ok_or(Rejected::Record)?;
    let (offset, rest) = rest.split_first_chunk().ok_or(Rejected::Record)?;
    let (total, data) = rest.split_first_chunk().ok_or(Rejected::Record)?;
    let part = Part {
        stream: u64::from_le_bytes(*stream),
        offset: u32::from_le_bytes(*offset),
        total: u32::from_le_bytes(*total),
        data,
    };
    let end = u64::from(part.offset) + data.len() as u64;
    let fits = !data.is_empty() && end <= u64::from(part.total);
    if fits { Ok(part) } else { Err(Rejected::Record) }
}
