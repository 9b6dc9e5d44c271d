//! Scenarios: what must come to pass when the protocols run for real.
//!
//! The model checker sees every order of events of a small system; a scenario sees one, of a system
//! with real threads, time, sizes and disks. `docs/scenarios.md` lists them, with the limits that
//! each holds.

#![expect(unreachable_pub, reason = "nothing here is for another crate")]

mod appends;
mod kv;
mod raft;
mod shard;
mod world;
