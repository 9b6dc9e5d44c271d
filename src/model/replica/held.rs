//! Requests for shards whose content is still arriving: the leader holds them until it is there.

use super::{Command, Effects, Replica, Setup};
use crate::raft;
use crate::types::{ClientId, RequestId};

/// The largest number of requests that a leader holds.
const MAX_HELD: usize = 1_024;

/// The largest sum of their sizes, in bytes.
const MAX_HELD_BYTES: usize = 16 << 20;

impl Replica {
    /// Keeps a request until its shard has arrived, unless there are too many.
    pub(super) fn hold(&mut self, command: Command, client: ClientId, number: RequestId) {
        let before = self.held.get(&client).and_then(Command::asked_by);
        let bytes: usize = self.held.values().chain([&command]).map(raft::Command::bytes).sum();
        let is_newer = before.is_none_or(|(_, before)| before < number);
        if is_newer && self.held.len() < MAX_HELD && bytes <= MAX_HELD_BYTES {
            self.held.insert(client, command);
        }
    }

    /// Takes up the requests that had to wait for a shard; some may have to wait for another.
    pub(super) fn take_up_held(&mut self, setup: &Setup, fx: &mut Effects) {
        for command in std::mem::take(&mut self.held).into_values() {
            match command {
                Command::Request(request) => self.on_request(setup, request, fx),
                Command::Change(_) | Command::Migration(_) | Command::Transaction(_) => {
                    unreachable!("only requests for keys wait for a shard")
                }
            }
        }
        fx.save_first();
    }
}
