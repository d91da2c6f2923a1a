//! towpath as a library, for its own program and tests.
//!
//! `cli` is the way in; ARCHITECTURE.md shows how the modules depend on one another.

pub mod cli;
pub mod database;
pub mod migrate;
pub mod models;
pub mod report;
pub mod sample;
pub mod upload;
pub mod validate;
