//! What a node has done so far.

use crate::endpoint;

/// Counts since the node started, all taken at the same moment, the end of a turn.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Metrics {
    /// Messages, datagrams, bytes, and rejections by reason.
    pub endpoint: endpoint::Counters,
    /// Turns of the event loop.
    pub turns: u64,
    /// Handler calls of every kind.
    pub steps: u64,
    /// Handler calls for a timer.
    pub timeouts: u64,
    /// States saved.
    pub saves: u64,
    /// Times the journal was synced.
    pub syncs: u64,
    /// Messages with a remark for the operator: refused, or telling that this node's are.
    pub remarks: u64,
}
