//! Where the shards have been: every move as the logs of both sides have it, and who has what at
//! the end.
//!
//! [`judge`] holds whenever the servers are stopped, [`settled`] once they have been left in peace.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use model::shard::config::Configuration;
use model::shard::ownership::Ownership;
use model::types::{ConfigNum, GroupId, ShardId};

use super::replay::{Move, Replay};

/// Moves that have come to their end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moves {
    /// How many.
    pub completed: usize,
    /// Of shards that held a key at least.
    pub of_keys: usize,
}

/// A shard that has gone astray.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Astray {
    /// It was taken over, and nobody gave it away.
    Conjured(Move),
    /// What arrived is not what left.
    Altered(Move),
    /// Two groups gave it away, or two took it over.
    Doubled(Move),
}

impl Display for Astray {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conjured((shard, num)) => {
                write!(f, "{shard} was taken over in {num}, and nobody gave it away")
            }
            Self::Altered((shard, num)) => {
                write!(f, "{shard} was moved in {num}, and what arrived is not what left")
            }
            Self::Doubled((shard, num)) => {
                write!(f, "{shard} was moved in {num}, by or to two groups")
            }
        }
    }
}

/// Whether each shard that a group took over is what another gave away: the same keys and sessions.
///
/// # Errors
/// The first that is not.
pub fn judge(groups: &[Replay<'_>]) -> Result<Moves, Astray> {
    let (mut given, mut taken) = (BTreeMap::new(), BTreeMap::new());
    for replay in groups {
        for (all, own) in [(&mut given, &replay.given), (&mut taken, &replay.taken)] {
            for (of, content) in own {
                if all.insert(*of, content).is_some() {
                    return Err(Astray::Doubled(*of));
                }
            }
        }
    }
    let mut moves = Moves::default();
    for (of, content) in taken {
        match given.get(&of) {
            None => return Err(Astray::Conjured(of)),
            Some(before) if *before != content => return Err(Astray::Altered(of)),
            Some(_) => {
                moves.completed += 1;
                moves.of_keys += usize::from(content.store.iter().next().is_some());
            }
        }
    }
    Ok(moves)
}

/// What is not yet as the latest configuration says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsettled {
    /// The group has not reached it.
    Behind(GroupId, ConfigNum),
    /// The group owns the shard and does not serve it.
    Unserved(GroupId, ShardId),
    /// The group does not own the shard and has not let go of it.
    Held(GroupId, ShardId),
}

impl Display for Unsettled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(group, num) => write!(f, "{group} has not come further than {num}"),
            Self::Unserved(group, shard) => write!(f, "{group} does not serve {shard}, its own"),
            Self::Held(group, shard) => write!(f, "{group} has not let go of {shard}"),
        }
    }
}

/// Whether all groups have reached the latest configuration, each shard is served by its owner, and
/// nobody else has anything of it. So it is once the cluster has been left in peace.
///
/// # Errors
/// What is not so.
pub fn settled(latest: &Configuration, groups: &[Replay<'_>]) -> Result<(), Unsettled> {
    for shards in groups.iter().filter_map(|replay| replay.machine.shards()) {
        if *shards.config != *latest {
            return Err(Unsettled::Behind(shards.group, shards.config.num));
        }
        for (shard, owner) in latest.assignment.iter() {
            let owns = owner == Some(shards.group);
            let right = match shards.ownership(shard) {
                Ownership::Serving(_) => owns,
                Ownership::Absent => !owns,
                Ownership::Awaiting { .. } | Ownership::Leaving { .. } => false,
            };
            if !right && owns {
                return Err(Unsettled::Unserved(shards.group, shard));
            } else if !right {
                return Err(Unsettled::Held(shards.group, shard));
            }
        }
    }
    Ok(())
}
