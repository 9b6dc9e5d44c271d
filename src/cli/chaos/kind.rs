//! The kinds of faults.

/// The kinds of faults.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// Datagrams are lost.
    Loss,
    /// Datagrams are sent twice.
    Duplication,
    /// Datagrams overtake each other.
    Reordering,
    /// Datagrams are late.
    Delay,
    /// Datagrams arrive with a flipped bit.
    Corruption,
    /// A minority of the servers, of each group if there are several, and the others do not hear
    /// each other.
    Split,
    /// The servers of one group, or of the controller, and all others do not hear each other.
    Rift,
    /// One server and all others do not hear each other.
    Isolation,
    /// One server hears no other, and is heard.
    Deafness,
    /// One server is heard by no other, and hears.
    Muteness,
    /// One server is killed and comes back.
    Kill,
    /// All servers are killed at once and come back.
    KillAll,
    /// All servers of one group are killed at once and come back.
    KillGroup,
    /// The controller's leader is killed and comes back.
    KillController,
    /// One server stands still for longer than the others wait for a leader.
    Pause,
    /// A server is killed, its disk is lost, and it comes back with an empty one, while all others
    /// of its group are up.
    DiskLost,
    /// The same while others of its group are down.
    DiskLostOthersDown,
}

impl Kind {
    /// What befalls a cluster by itself in turn.
    pub(super) const ALONE: [Self; 12] = [
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::Delay,
        Self::Corruption,
        Self::Split,
        Self::Isolation,
        Self::Deafness,
        Self::Muteness,
        Self::Kill,
        Self::KillAll,
        Self::Pause,
    ];

    /// What befalls one with groups in turn.
    pub(super) const SHARDED: [Self; 15] = [
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::Delay,
        Self::Corruption,
        Self::Split,
        Self::Rift,
        Self::Isolation,
        Self::Deafness,
        Self::Muteness,
        Self::Kill,
        Self::KillAll,
        Self::KillGroup,
        Self::KillController,
        Self::Pause,
    ];

    /// What befalls any cluster, and no group more often than it can bear
    /// ([`disks`](super::disks)).
    pub(super) const DISKS: [Self; 2] = [Self::DiskLost, Self::DiskLostOthersDown];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Reordering => "reordering",
            Self::Delay => "delay",
            Self::Corruption => "corruption",
            Self::Split => "split",
            Self::Rift => "rift",
            Self::Isolation => "isolation",
            Self::Deafness => "deafness",
            Self::Muteness => "muteness",
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::KillGroup => "kill-group",
            Self::KillController => "kill-controller",
            Self::Pause => "pause",
            Self::DiskLost => "disk-lost",
            Self::DiskLostOthersDown => "disk-lost-others-down",
        }
    }

    /// Whether it is about servers, not about datagrams.
    pub(super) fn is_of_servers(self) -> bool {
        match self {
            Self::Kill
            | Self::KillAll
            | Self::KillGroup
            | Self::KillController
            | Self::Pause
            | Self::DiskLost
            | Self::DiskLostOthersDown => true,
            Self::Loss
            | Self::Duplication
            | Self::Reordering
            | Self::Delay
            | Self::Corruption
            | Self::Split
            | Self::Rift
            | Self::Isolation
            | Self::Deafness
            | Self::Muteness => false,
        }
    }

    /// Whether it costs a server its disk.
    pub(super) fn loses_disk(self) -> bool {
        Self::DISKS.contains(&self)
    }

    /// Whether it separates servers. Of these there is one at a time, so that what was lost
    /// between servers is known to be its work.
    pub(super) fn separates(self) -> bool {
        match self {
            Self::Split | Self::Rift | Self::Isolation | Self::Deafness | Self::Muteness => true,
            Self::Loss
            | Self::Duplication
            | Self::Reordering
            | Self::Delay
            | Self::Corruption
            | Self::Kill
            | Self::KillAll
            | Self::KillGroup
            | Self::KillController
            | Self::Pause
            | Self::DiskLost
            | Self::DiskLostOthersDown => false,
        }
    }

    /// How long one that comes in turn lasts, in milliseconds. Elections take less than the shorter
    /// ones. A group is away for longer than an operation on what the others have may wait.
    pub(super) fn lasts(self) -> (u64, u64) {
        match self {
            Self::Kill | Self::KillAll | Self::KillController => (100, 2_000),
            Self::KillGroup => (3_000, 5_000),
            Self::Pause => (800, 2_500),
            Self::Split | Self::Rift | Self::Isolation | Self::Deafness | Self::Muteness => {
                (1_000, 2_500)
            }
            Self::Loss | Self::Duplication | Self::Reordering | Self::Delay | Self::Corruption => {
                (1_000, 3_000)
            }
            Self::DiskLost | Self::DiskLostOthersDown => unreachable!("its steps say it"),
        }
    }
}
