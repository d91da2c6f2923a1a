//! The dbt-compatible side: a project of SQL models, tests and seeds, run on a
//! [`crate::database::Database`].
//!
//! [`Project::load`] reads everything and finds every mistake before anything runs; what this
//! program cannot do is an error that names file and construct. Nothing here prints, reads the
//! environment or knows AWS. Start reading at `project.rs`.

mod assemble;
mod check;
mod compile;
mod config;
mod context;
mod event;
mod fault;
mod generic;
mod graph;
mod jinja;
mod materialize;
mod node;
mod project;
mod properties;
mod relation_value;
mod run;
mod seed;
mod select;
mod session;
mod settings;

pub use config::Config;
pub use event::{ModelsEvent, NodeResult, OnEvent, Status, Summary, Verdict};
pub use fault::{ModelError, Place};
pub use node::{ColumnNote, Generic, Materialization, Node, NodeKind, Relation, Source, Subject};
pub use project::Project;
pub use run::{Compiled, Options, Work, build, compile, execute, list, run, seed, test, writes};
pub use select::{SelectError, select, subject};
pub use settings::Settings;

#[cfg(test)]
mod tests;
