//! The portfolio: what is checked, to which bound, and how the checks are shown to be awake.

pub mod comparison;
pub mod counterexample;
pub mod driver;
pub mod engine;
pub mod mutants;
pub mod portfolio;
pub mod recorded;
pub mod replay;
pub mod report;
pub mod stage;
pub mod story;
