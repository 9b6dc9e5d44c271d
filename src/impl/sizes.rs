//! How the limits of wire, disk and configuration go with those of the model.
//!
//! The model says how large the largest message and the largest record can be
//! ([`model::limits`]). Here it is held, when the program is compiled, that the runtime can carry
//! each: else a server would have to send for ever what never arrives.

use model::limits::{Limits, MAX_MESSAGE_BYTES, MAX_PART_BYTES};
use model::raft;

use crate::join::MOST_BYTES;
use crate::wal;
use crate::wire::{self, Assembly};

#[cfg(test)]
mod draw;
#[cfg(test)]
mod tests;

// What a message is allowed to have the sender takes, and the receiver puts together. One sender's
// messages have room all at once, however large.
const _: () = {
    let wire::Limits { max_message, max_backlog, .. } = wire::Limits::DEFAULT;
    let Assembly { per_sender, messages, bytes } = Assembly::DEFAULT;
    assert!(max_message == MAX_MESSAGE_BYTES && max_message <= u32::MAX as usize);
    assert!(per_sender * max_message <= bytes && per_sender <= messages);
    assert!(per_sender * max_message <= max_backlog);
};

// Joined messages are no larger than the largest batch.
const _: () = {
    let joined = Limits::DEFAULT.append_entries(1, MOST_BYTES);
    let batch = Limits::DEFAULT.append_entries(1, raft::Limits::DEFAULT.batch_bytes);
    assert!(joined <= MAX_MESSAGE_BYTES && batch <= MAX_MESSAGE_BYTES);
};

// A record of the log has room for what an entry carries, and a segment for a few of them.
const _: () = {
    let largest = Limits::DEFAULT.payload(MAX_PART_BYTES);
    assert!(4 * largest <= wal::Options::DEFAULT.payload_limit());
};

// A heartbeat, which has no entries, fits the smallest datagram.
const _: () = assert!(model::limits::APPEND_ENTRIES <= wire::whole_message(wire::MIN_DATAGRAM));
