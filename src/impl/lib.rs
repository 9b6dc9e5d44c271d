//! All of Shardwright that touches the world: network, disk, clock, client.
//!
//! A [`Node`] runs one actor: it takes in what the network delivered and which timers are due, runs
//! the actor's handlers, saves once, syncs once, and only then sends. It stands on an [`Endpoint`],
//! which is also what a client is built on: messages in, authenticated datagrams out, and back.
//!
//! | module | idea |
//! |---|---|
//! | [`wire`] | what a datagram looks like, and everything that makes one be dropped |
//! | [`transport`] | who carries datagrams: UDP, memory, or either of them with faults |
//! | [`endpoint`] | wire, routes and transport as one: messages to and from participants |
//! | [`timers`] | which timer is due |
//! | [`journal`] | where saved state goes |
//! | [`wal`] | the log on disk |
//! | [`cluster`] | the configuration file |
//! | [`server`] | one server, put together and started |
//! | [`client`] | the client library |
//! | [`inspect`] | what the groups of a cluster hold |
//! | [`load`] | many clients at once, measured |
//!
//! Clock, randomness, socket and thread are each touched in one file only.

mod backoff;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod endpoint;
pub mod hosted;
pub mod inspect;
mod join;
pub mod journal;
pub mod load;
mod mailbox;
mod metrics;
pub mod rng;
mod runtime;
pub mod server;
mod sizes;
pub mod threads;
pub mod timers;
pub mod transport;
pub mod wal;
pub mod wire;

pub use endpoint::Endpoint;
pub use join::Join;
pub use mailbox::{Handle, Mailbox};
pub use metrics::Metrics;
pub use runtime::{Failure, Node, Options};
