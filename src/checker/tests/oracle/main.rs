//! The checker against stateright, and against systems whose states can be counted by reasoning.

mod agree;
mod bounded;
mod models;
mod plain;

mod bad_handlers;
mod boundary;
mod compact_model;
mod dead_messages;
mod faults;
mod memory;
mod random_tables;
mod reads;
mod recover;
mod small_models;
mod staged;
mod symmetry;
mod threads;
mod timer_sets;
