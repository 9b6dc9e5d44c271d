//! Small systems, each about one thing that actors can do.

pub(crate) mod dice;
pub(crate) mod lock;
pub(crate) mod nobody;
pub(crate) mod recovery;
pub(crate) mod register;
pub(crate) mod ticks;
