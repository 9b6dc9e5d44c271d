//! The random driver: long random runs of the same actors that the checks search exhaustively.
//!
//! A check looks at every run within its bounds, and its bounds are small. The driver looks at few
//! runs, and these are long: many sessions, operations of all kinds, and faults that meet in ways
//! that no bound allows. `docs/driver.md` says what it assumes and what it cannot see.
//!
//! A [`run`] consists of *episodes* ([`episode`]). Each has a seed, from which everything about it
//! is drawn: its [`plan`], and what happens in it step by step ([`chance`]). An episode takes place
//! in a [`world`] of real nodes and ends quietly ([`drain`]); the [`referee`] judges all of it.
//! [`coverage`] says what has occurred. A [`trace`] is a finding that was made small enough to be
//! read.

pub mod chance;
pub mod coverage;
pub mod drain;
pub mod draw;
pub mod episode;
pub mod event;
pub mod load;
pub mod minimise;
pub mod network;
pub mod people;
pub mod plan;
pub mod referee;
pub mod run;
pub mod trace;
pub mod turns;
pub mod work;
pub mod world;
