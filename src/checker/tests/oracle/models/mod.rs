//! Small systems, each about one thing that actors can do.

pub(crate) mod bomb;
pub(crate) mod dice;
pub(crate) mod gossip;
#[path = "../../../examples/lock.rs"]
pub(crate) mod lock;
pub(crate) mod nobody;
pub(crate) mod numbers;
pub(crate) mod odometer;
pub(crate) mod recovery;
#[path = "../../../examples/register.rs"]
pub(crate) mod register;
pub(crate) mod table;
pub(crate) mod ticks;
pub(crate) mod votes;
