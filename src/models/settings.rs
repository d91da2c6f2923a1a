//! What a project is loaded for: the schema, the dialect, variables. Nothing here reads an
//! environment; the caller hands in what `env_var` may see.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::database::Dialect;

/// The circumstances under which a project is read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The schema models are built in, dbt's `target.schema`.
    pub schema: String,
    /// The SQL to write.
    pub dialect: Dialect,
    /// dbt's `target.name`.
    pub target: String,
    /// dbt's `target.database`, shown to templates only.
    pub database: String,
    /// Variables that take the place of those in `dbt_project.yml`.
    pub vars: Map<String, Value>,
    /// What `env_var` sees.
    pub environment: BTreeMap<String, String>,
    /// The start of the run as ISO 8601, what `run_started_at` shows.
    pub started_at: String,
    /// The run's id, what `invocation_id` shows.
    pub run: String,
    /// Nodes worked on at a time; at least 1.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schema: "analytics".to_owned(),
            dialect: Dialect::Postgres,
            target: "default".to_owned(),
            database: "warehouse".to_owned(),
            vars: Map::new(),
            environment: BTreeMap::new(),
            started_at: String::new(),
            run: String::new(),
            threads: 4,
        }
    }
}

impl Settings {
    /// dbt's `target.type`.
    pub(super) fn adapter(&self) -> &'static str {
        match self.dialect {
            Dialect::Postgres => "postgres",
            Dialect::Redshift => "redshift",
        }
    }
}
