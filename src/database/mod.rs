//! The SQL side of the program: one trait, two databases.
//!
//! `postgres` speaks to the source and to PostgreSQL warehouses, `redshift` to Redshift
//! Serverless through the Data API. Values come back as text, because everything above compares,
//! counts or prints; nothing here knows models, migrations or AWS credentials.

pub mod data_api;
pub mod postgres;
pub mod redshift;
#[cfg(test)]
pub(crate) mod server;
mod tls;

use async_trait::async_trait;

/// Which SQL a database understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL 15 or later.
    Postgres,
    /// Amazon Redshift.
    Redshift,
}

/// A result: column names and rows of text, `None` for NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Names in order.
    pub columns: Vec<String>,
    /// One entry per row, each as long as `columns`.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What keeps a server from being reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nobody knows the host's name.
    Name,
    /// Nothing answers, or no way leads there.
    Silence,
    /// The host answers, and nothing listens at the port.
    Closed,
    /// Something listens at the port and does not speak.
    Mute,
    /// The two do not agree on encryption.
    Encryption,
    /// Something else, which the message says.
    Other,
}

/// A failed statement.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The server could not be reached or the connection was lost; the effect is unknown.
    #[error("cannot reach {server}: {message}")]
    Unreachable {
        /// Host and port, or the workgroup.
        server: String,
        /// The reason, without credentials.
        message: String,
        /// What is in the way, as far as it can be told.
        obstacle: Obstacle,
    },
    /// The server refused the statement.
    #[error("{message}")]
    Refused {
        /// SQLSTATE where there is one.
        code: Option<String>,
        /// The server's message, with detail and hint.
        message: String,
        /// Position in the statement, in characters from 1.
        position: Option<u32>,
    },
}

/// A place that runs SQL. Every method may be called from many tasks at once.
#[async_trait]
pub trait Database: Send + Sync {
    /// The dialect to write.
    fn dialect(&self) -> Dialect;

    /// The name shown in messages and compared in caches: host and database, or workgroup and
    /// database; never credentials.
    fn name(&self) -> String;

    /// Runs one statement and returns its rows (none for statements without a result).
    async fn query(&self, sql: &str) -> Result<Rows, DatabaseError>;

    /// Runs one statement and returns how many rows it changed, where the server says.
    async fn execute(&self, sql: &str) -> Result<Option<u64>, DatabaseError>;

    /// Runs the statements in one transaction: all or nothing.
    async fn transaction(&self, statements: &[String]) -> Result<(), DatabaseError>;
}

/// A name as both dialects take it, whatever characters it has.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text as a literal. PostgreSQL sessions are set to `standard_conforming_strings`; Redshift
/// reads backslashes as escapes, so text from outside must not reach it this way.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
