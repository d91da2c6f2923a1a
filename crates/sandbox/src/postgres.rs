//! The real PostgreSQL behind source and warehouse.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::vault::{Secret, Vault};

/// The database that plays the source.
pub const SOURCE_DATABASE: &str = "source";

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No installation was found.
    #[error("no PostgreSQL 15 or later was found")]
    NotInstalled,
}

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The superuser's password.
    pub password: Secret,
}

impl Server {
    /// The superuser's name.
    pub const USER: &str = "postgres";

    /// The URL of a database on the server, password included.
    pub fn url(&self, database: &str) -> Secret {
        let password = utf8_percent_encode(self.password.expose(), NON_ALPHANUMERIC);
        Secret::new(format!("postgres://{}:{password}@127.0.0.1:{}/{database}", Self::USER, self.port))
    }

    /// How `tokio_postgres` connects to a database on the server.
    pub fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(Self::USER).password(self.password.expose()).dbname(database);
        config
    }
}

/// The server of one sandbox directory, running or not.
pub(crate) struct Postgres {
    #[expect(dead_code, reason = "used once the server is started")]
    parts: (PathBuf, Vault, Option<Vec<OsString>>),
}

impl Postgres {
    pub(crate) fn new(directory: &Path, vault: Vault, supervisor: Option<Vec<OsString>>) -> Self {
        Self { parts: (directory.to_owned(), vault, supervisor) }
    }

    /// Starts the server unless it runs, and waits until it takes connections.
    pub(crate) async fn ensure(&self) -> Result<Server, PostgresError> {
        Err(PostgresError::NotInstalled)
    }

    /// Stops using the server; the last user stops it.
    pub(crate) async fn release(&self) {}
}
