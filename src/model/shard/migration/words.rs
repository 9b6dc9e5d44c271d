//! The words of migration: what groups say to each other and to the controller, and what they log.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::shard::config::{Configuration, Servers};
use crate::shard::content::{Part, Place};
use crate::shard::holdings::Holdings;
use crate::types::{ConfigNum, ShardId};

/// Messages between groups, with the controller, and with people who look after the cluster. A
/// shard is named together with the configuration that moves it: a later move of the same shard is
/// another matter.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Message {
    /// A group asks the controller for the configuration with this number, or a client for the
    /// latest, which it needs if that has at least this number. If there is none yet it is not
    /// answered.
    Ask(ConfigNum),
    /// The controller answers, or tells the groups of a new one.
    Configuration(Arc<Configuration>),
    /// A group has a shard for its new owner: how far is that one?
    Offer {
        /// The shard.
        shard: ShardId,
        /// The configuration that moves it.
        since: ConfigNum,
        /// The servers of the group that offers it.
        servers: Servers,
    },
    /// The new owner does not have all of a shard and never will: a later configuration moves it.
    Decline {
        /// The shard.
        shard: ShardId,
        /// The configuration that was to move it.
        since: ConfigNum,
    },
    /// The new owner has a shard up to here, and wants what follows; at the end nothing more.
    Want {
        /// The shard.
        shard: ShardId,
        /// The configuration that moves it.
        since: ConfigNum,
        /// Place up to which the new owner has it.
        from: Place,
    },
    /// Part of what a shard holds.
    Part {
        /// The shard.
        shard: ShardId,
        /// The configuration that moves it.
        since: ConfigNum,
        /// The part.
        part: Arc<Part>,
    },
    /// Somebody who looks after the cluster asks a server what it knows of its group's shards.
    Inspect,
    /// The server answers.
    Holdings(Holdings),
}

/// Entries about shards in the log of a group.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Entry {
    /// The group takes the next configuration.
    Configure(Arc<Configuration>),
    /// Part of a shard has arrived.
    Install {
        /// The shard.
        shard: ShardId,
        /// The configuration that moves it.
        since: ConfigNum,
        /// The part.
        part: Arc<Part>,
    },
    /// A shard that is awaited is at a group of these servers.
    TurnTo {
        /// The shard.
        shard: ShardId,
        /// The configuration that moves it.
        since: ConfigNum,
        /// The servers.
        servers: Servers,
    },
    /// The new owner of a shard may have the last part.
    Release {
        /// The shard.
        shard: ShardId,
        /// The configuration that moves it.
        since: ConfigNum,
        /// The place where the last part begins.
        from: Place,
    },
    /// The new owner of a shard has declined it.
    Decline {
        /// The shard.
        shard: ShardId,
        /// The configuration that was to move it.
        since: ConfigNum,
    },
    /// The new owner has all of a shard.
    Discard {
        /// The shard.
        shard: ShardId,
        /// The configuration that moved it.
        since: ConfigNum,
    },
}

impl Entry {
    /// The shard that it is part of, and the configuration that moves that.
    #[must_use]
    pub fn part_of(&self) -> Option<(ShardId, ConfigNum)> {
        match self {
            Self::Install { shard, since, .. } => Some((*shard, *since)),
            Self::Configure(_)
            | Self::TurnTo { .. }
            | Self::Release { .. }
            | Self::Decline { .. }
            | Self::Discard { .. } => None,
        }
    }
}

impl Debug for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(num) => write!(f, "Ask({num})"),
            Self::Configuration(config) => write!(f, "Configuration({config:?})"),
            Self::Offer { shard, since, servers } => {
                write!(f, "Offer({shard} {since} at {servers:?})")
            }
            Self::Decline { shard, since } => write!(f, "Decline({shard} {since})"),
            Self::Want { shard, since, from } => write!(f, "Want({shard} {since} from {from:?})"),
            Self::Part { shard, since, part } => write!(f, "Part({shard} {since} {part:?})"),
            Self::Inspect => f.write_str("Inspect"),
            Self::Holdings(holdings) => holdings.fmt(f),
        }
    }
}

impl Debug for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configure(config) => write!(f, "configure {config:?}"),
            Self::Install { shard, since, part } => write!(f, "install {shard} {since} {part:?}"),
            Self::TurnTo { shard, since, servers } => {
                write!(f, "turn to {servers:?} for {shard} {since}")
            }
            Self::Release { shard, since, from } => {
                write!(f, "release {shard} {since} from {from:?}")
            }
            Self::Decline { shard, since } => write!(f, "decline {shard} {since}"),
            Self::Discard { shard, since } => write!(f, "discard {shard} {since}"),
        }
    }
}
