//! Shards: the keys are cut into parts, and each part is served by one group of servers.
//!
//! [`config`] is who serves what, as a sequence of numbered configurations, and how one follows
//! from another when groups join and leave or a shard is moved by hand; [`rebalance()`] spreads
//! the shards evenly while it moves as few of them as possible.

pub mod config;
mod rebalance;

pub use rebalance::rebalance;

#[cfg(test)]
mod tests;
