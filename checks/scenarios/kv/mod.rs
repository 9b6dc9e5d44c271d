//! A store for clients.

mod faults;
mod partition;
mod service;
