//! towpath as a library, for its own program and tests.

pub mod database;
pub mod migrate;
pub mod report;
pub mod models;
pub mod sample;
pub mod upload;
pub mod validate;
