//! Small systems, each about one thing that actors can do; [`checker::examples`] are more.

pub(crate) mod bomb;
pub(crate) mod dice;
pub(crate) mod gossip;
pub(crate) mod nobody;
pub(crate) mod numbers;
pub(crate) mod odometer;
pub(crate) mod recovery;
pub(crate) mod table;
pub(crate) mod ticks;
pub(crate) mod votes;
