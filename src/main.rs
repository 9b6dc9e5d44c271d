//! The command line of Shardwright.

fn main() {}
