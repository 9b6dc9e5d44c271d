//! What a group has to do with a shard, and how that may change.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use super::config::Servers;
use super::content::Place;
use crate::kv::Machine;
use crate::types::{ConfigNum, GroupId};

/// What a group has to do with a shard. What holds for a phase only lies inside it.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Ownership {
    /// Nothing.
    #[default]
    Absent,
    /// It owns the shard, and answers for it.
    Serving(Machine),
    /// It owns the shard since configuration `since`, and takes it over from another group.
    Awaiting {
        /// The servers that are asked for it: at first those of the former owner.
        servers: Servers,
        /// The configuration that said so.
        since: ConfigNum,
        /// What has arrived, and how far that is.
        arrived: Machine,
        /// How far.
        place: Place,
    },
    /// Configuration `since` gave the shard to another group. What it held then is kept as it was,
    /// until that group has all of it or has declined it.
    Leaving {
        /// The new owner.
        to: GroupId,
        /// Its servers.
        servers: Servers,
        /// The configuration that said so.
        since: ConfigNum,
        /// What the shard holds.
        content: Machine,
        /// Whether the move can still be taken back.
        hold: Hold,
    },
}

/// The power of a former owner over a shard that it gives away.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Hold {
    /// The new owner lacks a part: the next configuration may give the shard back, or to a third
    /// group.
    Kept,
    /// The new owner may have all of it. If later configurations move the shard, this is the last
    /// such move.
    Released(Option<Later>),
}

/// A move of a shard while its former owner does not know yet what has become of the one before.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Later {
    /// The configuration that moves it.
    pub since: ConfigNum,
    /// The servers of the group that owned it until then.
    pub servers: Servers,
}

/// Which of them, without what lies inside.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Phase {
    /// See [`Ownership::Absent`].
    Absent,
    /// See [`Ownership::Serving`].
    Serving,
    /// See [`Ownership::Awaiting`].
    Awaiting,
    /// See [`Ownership::Leaving`].
    Leaving,
}

/// What may become of what, and when. Everything else is a bug.
const MOVES: [(Phase, Phase); 10] = [
    // The first configuration with groups gives every shard to one of them, empty.
    (Phase::Absent, Phase::Serving),
    // A configuration gives the shard to this group, which must wait for what it holds,
    (Phase::Absent, Phase::Awaiting),
    // part after part,
    (Phase::Awaiting, Phase::Awaiting),
    // to the last.
    (Phase::Awaiting, Phase::Serving),
    // A configuration gives it to another group before all of it is here.
    (Phase::Awaiting, Phase::Absent),
    // A configuration gives the shard to another group,
    (Phase::Serving, Phase::Leaving),
    // which is about to get the last part; or another configuration, to a third group.
    (Phase::Leaving, Phase::Leaving),
    // A configuration gives it back before the last part is released; or the other declines it.
    (Phase::Leaving, Phase::Serving),
    // The other group has all of it.
    (Phase::Leaving, Phase::Absent),
    // The other group has all of it, and a later configuration gives it back.
    (Phase::Leaving, Phase::Awaiting),
];

impl Ownership {
    /// Which phase it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Absent => Phase::Absent,
            Self::Serving(_) => Phase::Serving,
            Self::Awaiting { .. } => Phase::Awaiting,
            Self::Leaving { .. } => Phase::Leaving,
        }
    }

    /// The group that the shard goes to, if it leaves.
    #[must_use]
    pub fn goes_to(&self) -> Option<GroupId> {
        match self {
            Self::Leaving { to, .. } => Some(*to),
            Self::Absent | Self::Serving(_) | Self::Awaiting { .. } => None,
        }
    }

    /// What the group has of the shard.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        match self {
            Self::Absent => None,
            Self::Serving(machine)
            | Self::Awaiting { arrived: machine, .. }
            | Self::Leaving { content: machine, .. } => Some(machine),
        }
    }

    /// Whether this may become `next`.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        MOVES.contains(&(self.phase(), next.phase()))
    }
}

impl Debug for Ownership {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Serving(machine) => write!(f, "serving {machine:?}"),
            Self::Awaiting { servers, since, arrived, place } => {
                write!(f, "awaiting from {servers:?} since {since}: {arrived:?} up to {place:?}")
            }
            Self::Leaving { to, servers: _, since, content, hold } => {
                write!(f, "leaving to {to} since {since} {hold:?}: {content:?}")
            }
        }
    }
}
