//! Several groups that share a store, and give each other shards.

mod challenge;
mod clients;
mod controller;
mod load;
mod moving;
mod records;
