//! towpath as a library, for its own program and tests.

pub mod database;
pub mod migrate;
pub mod models;
pub mod report;
pub mod sample;
pub mod upload;
pub mod validate;
