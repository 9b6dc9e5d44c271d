//! Several groups that share a store, and give each other shards.

mod controller;
mod moving;
mod records;
