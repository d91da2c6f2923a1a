//! What a project consists of: models, seeds, tests, analyses and the sources they read.

use std::fmt;

use super::config::Config;
use super::fault::Place;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A query that becomes a view or a table.
    Model,
    /// A CSV file that becomes a table.
    Seed,
    /// A query whose rows are mistakes.
    Test,
    /// A query that is only compiled.
    Analysis,
}

impl NodeKind {
    /// dbt's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Seed => "seed",
            Self::Test => "test",
            Self::Analysis => "analysis",
        }
    }
}

/// How a model is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Materialization {
    /// A view.
    View,
    /// A table, built anew each time.
    Table,
    /// A table that is added to.
    Incremental,
    /// Nothing of its own: it is written into whoever reads it.
    Ephemeral,
}

/// A table or view in the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub identifier: String,
}

impl Relation {
    /// The relation of that name in that schema.
    pub fn new(schema: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self { schema: schema.into(), identifier: identifier.into() }
    }

    /// A neighbour whose name ends in `suffix`, cut to what PostgreSQL keeps of a name.
    pub(super) fn beside(&self, suffix: &str) -> Self {
        let mut length = 63usize.saturating_sub(suffix.len()).min(self.identifier.len());
        while !self.identifier.is_char_boundary(length) {
            length -= 1;
        }
        Self::new(&self.schema, format!("{}{suffix}", &self.identifier[..length]))
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", quote(&self.schema), quote(&self.identifier))
    }
}

/// An identifier in double quotes.
pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One thing that can be run, tested or compiled.
#[derive(Clone, Debug)]
pub struct Node {
    /// `model.club.stg_teams`: unique in the project.
    pub id: String,
    /// The name that `ref` and selectors use.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// The package it belongs to.
    pub package: String,
    /// The file, and for a generic test the line in its properties file.
    pub place: Place,
    /// Package, folders and name, for selectors and folder settings.
    pub fqn: Vec<String>,
    /// Its settings.
    pub config: Config,
    /// Where it is (or, for a test that stores failures, would be) in the warehouse.
    pub relation: Relation,
    /// Indices of the nodes it reads.
    pub depends_on: Vec<usize>,
    /// Indices of the sources it reads.
    pub reads: Vec<usize>,
    /// The file's text, or the call of a generic test.
    pub text: String,
    /// What makes a generic test, for tests only.
    pub generic: Option<Generic>,
    /// The description in its properties.
    pub description: String,
    /// Names, types and descriptions of the columns in its properties.
    pub columns: Vec<ColumnNote>,
}

/// A column as the properties describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnNote {
    /// Its name.
    pub name: String,
    /// Its type, if said.
    pub data_type: Option<String>,
    /// What it holds.
    pub description: String,
}

/// A generic test: a macro applied to a model or source.
#[derive(Clone, Debug)]
pub struct Generic {
    /// The macro's name without `test_`.
    pub test: String,
    /// What is tested.
    pub subject: Subject,
    /// The column, if it is a column's test.
    pub column: Option<String>,
    /// Further arguments, as written.
    pub(super) arguments: Vec<(String, serde_json::Value)>,
}

/// What a generic test looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A model or seed, by name.
    Model(String),
    /// A source and its table.
    Source(String, String),
}

impl Node {
    /// How a model is built; a view unless it says otherwise.
    pub fn materialization(&self) -> Materialization {
        match self.config.text("materialized") {
            Some("table") => Materialization::Table,
            Some("incremental") => Materialization::Incremental,
            Some("ephemeral") => Materialization::Ephemeral,
            _ => Materialization::View,
        }
    }

    /// Whether it is a model without a relation of its own.
    pub fn is_ephemeral(&self) -> bool {
        self.kind == NodeKind::Model && self.materialization() == Materialization::Ephemeral
    }
}

/// A table that others put into the warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `source.club.club.teams`.
    pub id: String,
    /// The package that declares it.
    pub package: String,
    /// The source's name.
    pub source: String,
    /// The table's name in `source()`.
    pub table: String,
    /// Where it is.
    pub relation: Relation,
    /// The properties file.
    pub place: Place,
    /// Its tags.
    pub tags: Vec<String>,
}
