//! The protocols of Shardwright, and what is promised about them.
