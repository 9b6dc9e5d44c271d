//! The protocols of Shardwright, and what is promised about them.
//!
//! Nothing here knows a clock, a socket, a file, a thread or a random number: a protocol step is a
//! function of a node's state and one event, and gives back what it wants done. So the same code is
//! searched by the model checker and run by the runtime.
//!
//! To read it in order:
//!
//! 1. [`types`] and [`effects`]: the words.
//! 2. [`raft`]: how a group of servers keeps one log.
//! 3. [`kv`]: the store that the log drives, and how each request happens exactly once.
//! 4. [`founding`]: how the servers of a new group agree on its members.
//! 5. [`replica`] and [`client`]: the two put together, and the other side; [`message`]: what they
//!    say.
//! 6. [`shard`]: which group of servers owns which part of the keys, and how that changes.
//! 7. [`health`]: what a server tells of itself to the people who look after a cluster.
//! 8. [`node`] and [`actor`]: all roles in one type, as a `stateright` actor.
//!
//! And what is promised: [`spec`] and [`history`] (what clients may see), [`properties`] (what
//! holds inside), [`system`] (a bounded system of nodes, to be searched), [`symmetry`] (which of
//! its states differ in names only).
//!
//! The protocols never name the promises, nor stateright; [`actor`] is the only door. Raft is
//! generic over its command and knows nothing of the store.

pub mod actor;
pub mod client;
pub mod effects;
pub mod founding;
pub mod health;
pub mod history;
pub mod kv;
pub mod limits;
pub mod machine;
pub mod message;
pub mod node;
pub mod properties;
pub mod raft;
pub mod replica;
pub mod service;
pub mod shard;
pub mod size;
pub mod spec;
pub mod symmetry;
pub mod system;
pub mod types;
pub mod violation;
