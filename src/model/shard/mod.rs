//! Shards: the keys are cut into parts, and each part is served by one group of servers.
//!
//! [`config`] is who serves what, as a sequence of numbered configurations, and how one follows
//! from another when groups join and leave or a shard is moved by hand; [`rebalance()`] spreads
//! the shards evenly while it moves as few of them as possible.
//!
//! [`controller`] is the replicated state machine that makes and keeps them. A group's is in
//! [`store`]: what the group has to do with each shard ([`ownership`]), and what a shard holds
//! ([`content`]). [`migration`] is how shards go from group to group, [`route`] which shard a key
//! belongs to, and [`router`] what a client makes of that. [`txn`] is how operations on keys of
//! several groups take effect as one. [`holdings`] is what a group tells of itself to whoever looks
//! after the cluster.

pub mod config;
pub mod content;
pub mod controller;
pub mod holdings;
pub mod migration;
pub mod ownership;
mod rebalance;
pub mod route;
pub mod router;
pub mod store;
pub mod txn;

pub use rebalance::rebalance;

use config::Servers;

use crate::types::GroupId;

/// What a group is set up with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Group {
    /// Its number.
    pub id: GroupId,
    /// How many shards there are in the cluster.
    pub shards: u16,
    /// Its servers.
    pub servers: Servers,
    /// The servers of the controller.
    pub controllers: Servers,
    /// How many bytes of a shard go into one message: keys and sessions that fit together, or one
    /// that is larger.
    pub part_bytes: usize,
}

#[cfg(test)]
mod tests;
