//! The checker against stateright, and against systems whose states can be counted by reasoning.

mod agree;
mod models;
mod plain;

mod small_models;
