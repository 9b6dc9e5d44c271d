//! Worked examples: how a system is declared to the checker.
//!
//! Of each there is stateright's `ActorModel` (`model`), with properties as stateright's searches
//! take them, and the [`System`](crate::System) made of it (`system`), where each property says
//! what it reads. What a system of theirs does not keep is asked as a goal there: that it can
//! happen. So a search goes on to the last state. The tests compare the checker with stateright on
//! them, and the benches measure both.

pub mod lock;
pub mod register;
