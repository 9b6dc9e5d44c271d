//! What everyone may know of the load while it lasts.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use model::types::{ConfigNum, NodeId};

use super::raft_group::RaftGroup;

/// Written by the clients and the administrator, read by whoever makes things go wrong.
#[derive(Debug)]
pub(super) struct Board {
    over: AtomicBool,
    done: AtomicU64,
    unknown: AtomicU64,
    configuration: AtomicU64,
    groups: Vec<RaftGroup>,
    /// For each of the groups, who answered last.
    leaders: Vec<AtomicU16>,
}

impl Board {
    /// Nothing has been asked yet.
    pub(super) fn new(groups: &[RaftGroup]) -> Self {
        let first = |group: &RaftGroup| AtomicU16::new(group.from(0)[0]);
        Self {
            over: AtomicBool::new(false),
            done: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            configuration: AtomicU64::new(0),
            groups: groups.to_vec(),
            leaders: groups.iter().map(first).collect(),
        }
    }

    /// Nothing is to be asked any more.
    pub(super) fn call_off(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is to be asked any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// This server has answered, or was named by one that did.
    pub(super) fn heard(&self, server: NodeId) {
        for (group, leader) in self.groups.iter().zip(&self.leaders) {
            if group.servers.contains(&server.0) {
                leader.store(server.0, Ordering::Relaxed);
            }
        }
    }

    /// Who leads a group, as far as is known: by its place among them.
    pub(super) fn leader(&self, group: usize) -> u16 {
        self.leaders[group].load(Ordering::Relaxed)
    }

    /// An operation was done.
    pub(super) fn count_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// An operation has ended as unknown.
    pub(super) fn count_unknown(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// How many operations were done, and how many ended as unknown.
    pub(super) fn ended(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.unknown.load(Ordering::Relaxed))
    }

    /// This is the latest configuration.
    pub(super) fn configured(&self, num: ConfigNum) {
        self.configuration.store(num.0, Ordering::Relaxed);
    }

    /// The latest configuration, if there is a controller.
    pub(super) fn configuration(&self) -> Option<ConfigNum> {
        Some(ConfigNum(self.configuration.load(Ordering::Relaxed))).filter(|num| num.0 > 0)
    }
}
