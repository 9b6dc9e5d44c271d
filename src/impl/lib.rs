//! All of Shardwright that touches the world: network, disk, clock, client.

pub mod wal;
