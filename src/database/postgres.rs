//! PostgreSQL: a small pool of connections behind the [`Database`] trait.
//!
//! Statements go through the simple protocol, so every value comes back as the server's own
//! text. Sessions are set to UTC and exact float output, so that text can be compared. Callers
//! that need more than one statement on one connection take a [`Session`].

use std::error::Error as _;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::config::Host;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use towpath_engine::secret::{Secret, redact};

use super::tls::{Encryption, Mode};
use super::{Database, DatabaseError, Dialect, Obstacle, Rows};

/// What every session is set to: values as text must not depend on the server's configuration.
const SESSION: &str = "set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; \
                       set bytea_output = 'hex'; set extra_float_digits = 1; set standard_conforming_strings = on";

/// A PostgreSQL database. Connections are opened when first needed and kept for later calls.
pub struct Postgres {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    name: String,
    idle: Mutex<Vec<Client>>,
    permits: Semaphore,
}

/// One connection for as long as this value lives, for several statements in a row. It goes back
/// to the pool by [`Session::release`]; dropped without, the connection is closed, because
/// nobody knows in which state it is.
pub struct Session<'pool> {
    pool: &'pool Postgres,
    client: Option<Client>,
    _permit: SemaphorePermit<'pool>,
}

impl Postgres {
    /// A database by URL (`postgresql://user:password@host:5432/database?sslmode=…`) or by
    /// keywords (`host=… dbname=…`), with at most `connections` open at once. Nothing is opened
    /// yet. Refused: what is not a connection string, and an `sslrootcert` that cannot be read. The
    /// error never quotes the text.
    pub fn new(url: &Secret, connections: usize) -> Result<Self, DatabaseError> {
        let (text, encryption) = Encryption::take(url.expose()).map_err(refused)?;
        let text = Secret::new(text);
        let mut config: Config = text.expose().parse().map_err(|_| {
            refused("the connection string is not valid; it should read postgresql://USER:PASSWORD@HOST:5432/DATABASE")
        })?;
        if config.get_hosts().is_empty() {
            return Err(refused("the connection string names no host"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        // A host that died says nothing more: it is asked after half a minute, not after libpq's two hours.
        if config.get_keepalives_idle() > Duration::from_secs(30) {
            config.keepalives_idle(Duration::from_secs(30)).keepalives_interval(Duration::from_secs(10));
            config.keepalives_retries(3);
        }
        if config.get_application_name().is_none() {
            config.application_name("towpath");
        }
        // As the server may quote it; in the URL it may stand encoded.
        drop(config.get_password().map(|password| Secret::new(String::from_utf8_lossy(password))));
        let name = name(&config);
        let encryption = encryption.unwrap_or_else(|| Encryption::of(config.get_ssl_mode()));
        config.ssl_mode(encryption.asked());
        // Loopback needs no encryption; a handshake with every connection would only cost time.
        let is_plain = match encryption.mode {
            Mode::Disable => true,
            Mode::Prefer => config.get_hosts().iter().all(is_local),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => false,
        };
        let tls = if is_plain {
            None
        } else {
            Some(encryption.connector().map_err(|why| refused(format!("{name}: {why}")))?)
        };
        Ok(Self { config, tls, name, idle: Mutex::default(), permits: Semaphore::new(connections.max(1)) })
    }

    /// Takes a connection, waiting while all are in use.
    pub async fn session(&self) -> Result<Session<'_>, DatabaseError> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let idle = || self.idle.lock().expect("no code panics with the list of connections locked").pop();
        let mut client = idle();
        while client.as_ref().is_some_and(Client::is_closed) {
            client = idle();
        }
        let client = match client {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(Session { pool: self, client: Some(client), _permit: permit })
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<(Rows, u64), DatabaseError> {
        let session = self.session().await?;
        let result = session.run(sql).await;
        // A connection that broke does not always know it yet: it must not serve the next call.
        if !matches!(result, Err(DatabaseError::Unreachable { .. })) {
            session.release();
        }
        result
    }

    /// A new connection. `connect_timeout` is for the network alone; as long again a server may take to say who it is.
    async fn connect(&self) -> Result<Client, DatabaseError> {
        let limit = self.config.get_connect_timeout().copied().unwrap_or_default();
        let limit = limit * (1 + u32::try_from(self.config.get_hosts().len()).unwrap_or(1));
        tokio::time::timeout(limit, self.greet()).await.unwrap_or_else(|_| {
            let message = format!("it does not answer within {} s, though connections are taken", limit.as_secs());
            Err(self.unreachable(&message, Obstacle::Mute))
        })
    }

    async fn greet(&self) -> Result<Client, DatabaseError> {
        // A connection ends by itself when the client is dropped; what it reports reaches the client's calls.
        let client = if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await.map_err(|error| self.error(&error))?;
            tokio::spawn(connection);
            client
        } else {
            let (client, connection) = self.config.connect(NoTls).await.map_err(|error| self.error(&error))?;
            tokio::spawn(connection);
            client
        };
        client.batch_execute(SESSION).await.map_err(|error| self.error(&error))?;
        Ok(client)
    }

    /// Turns a client error into ours, with nothing in it that the URL holds except host and
    /// database.
    pub(crate) fn error(&self, error: &tokio_postgres::Error) -> DatabaseError {
        match error.as_db_error() {
            Some(refusal) if !is_connection_loss(refusal) => refusal_of(refusal),
            Some(refusal) => self.unreachable(refusal.message(), Obstacle::Other),
            None => {
                let mut message = error.to_string();
                let mut source = error.source();
                while let Some(inner) = source {
                    message = format!("{message}: {inner}");
                    source = inner.source();
                }
                if message.contains("UnknownIssuer") {
                    message.push_str("; name the authority to trust: sslrootcert=FILE");
                }
                self.unreachable(&message, obstacle(error, &message))
            }
        }
    }

    fn unreachable(&self, message: &str, obstacle: Obstacle) -> DatabaseError {
        DatabaseError::Unreachable { server: self.name.clone(), message: redact(message), obstacle }
    }
}

impl Session<'_> {
    /// Runs statements and returns the last result with the count of rows it had or changed.
    pub async fn run(&self, sql: &str) -> Result<(Rows, u64), DatabaseError> {
        let messages = self.simple_query(sql).await.map_err(|error| self.pool.error(&error))?;
        let (mut rows, mut count) = (Rows::default(), 0);
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    rows.columns = columns.iter().map(|column| column.name().to_owned()).collect();
                    rows.rows.clear();
                }
                SimpleQueryMessage::Row(row) => {
                    rows.rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
                }
                SimpleQueryMessage::CommandComplete(number) => count = number,
                _ => {}
            }
        }
        Ok((rows, count))
    }

    /// Gives the connection back. Only after a statement that ended, outside a transaction.
    pub fn release(mut self) {
        if let Some(client) = self.client.take() {
            self.pool.idle.lock().expect("no code panics with the list of connections locked").push(client);
        }
    }
}

impl Deref for Session<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("the client is taken only by `release`, which consumes the session")
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // A statement that nobody waits for any more would go on in the server and hold its
        // locks; an idle connection takes no harm from being cancelled.
        if let (Some(client), Ok(runtime)) = (self.client.take(), tokio::runtime::Handle::try_current()) {
            let (cancel, tls) = (client.cancel_token(), self.pool.tls.clone());
            runtime.spawn(async move {
                drop(match tls {
                    Some(tls) => cancel.cancel_query(tls).await,
                    None => cancel.cancel_query(NoTls).await,
                });
                drop(client);
            });
        }
    }
}

#[async_trait]
impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn query(&self, sql: &str) -> Result<Rows, DatabaseError> {
        Ok(self.run(sql).await?.0)
    }

    async fn execute(&self, sql: &str) -> Result<Option<u64>, DatabaseError> {
        Ok(Some(self.run(sql).await?.1))
    }

    async fn transaction(&self, statements: &[String]) -> Result<(), DatabaseError> {
        let session = self.session().await?;
        session.run("begin").await?;
        for statement in statements {
            if let Err(error) = session.run(statement).await {
                if session.run("rollback").await.is_ok() {
                    session.release();
                }
                return Err(error);
            }
        }
        session.run("commit").await?;
        session.release();
        Ok(())
    }
}

/// What was in the way of a connection; `message` is the whole chain of the error.
fn obstacle(error: &tokio_postgres::Error, message: &str) -> Obstacle {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::ConnectionRefused) => return Obstacle::Closed,
            Some(ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
                return Obstacle::Silence;
            }
            _ => next = error.source(),
        }
    }
    // The standard library has no kind for the first, the client library tells the second in words only.
    if message.contains("failed to lookup address") {
        Obstacle::Name
    } else if message.contains("TLS") {
        Obstacle::Encryption
    } else {
        Obstacle::Other
    }
}

fn refused(message: impl Into<String>) -> DatabaseError {
    DatabaseError::Refused { code: None, message: message.into(), position: None }
}

fn refusal_of(refusal: &DbError) -> DatabaseError {
    let mut message = refusal.message().to_owned();
    for (label, text) in [("Detail", refusal.detail()), ("Hint", refusal.hint()), ("Where", refusal.where_())] {
        if let Some(text) = text {
            message = format!("{message}\n{label}: {text}");
        }
    }
    let position = match refusal.position() {
        Some(ErrorPosition::Original(position)) => Some(*position),
        _ => None,
    };
    DatabaseError::Refused { code: Some(refusal.code().code().to_owned()), message: redact(&message), position }
}

/// The server ended the connection, is starting up or shutting down (SQLSTATE classes 08 and
/// 57P): whether the statement took effect is unknown.
fn is_connection_loss(refusal: &DbError) -> bool {
    let code = refusal.code().code();
    code.starts_with("08") || code.starts_with("57P")
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{host}:{port}/{database}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::server;

    fn database(url: &str) -> Postgres {
        Postgres::new(&Secret::new(url), 3).unwrap()
    }

    #[tokio::test]
    async fn values_are_text_and_null_is_none() {
        let server = server::shared();
        let database = database(&server.database());
        let rows = database
            .query("select 1 as a, null::text as b, '' as \"C\", 0.1::float8 as d, timestamptz '2024-05-03 19:45+02'")
            .await
            .unwrap();
        assert_eq!(rows.columns, ["a", "b", "C", "d", "timestamptz"]);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(rows.rows, [[text("1"), None, text(""), text("0.1"), text("2024-05-03 17:45:00+00")]]);
        let none = database.query("select 1 as a where false").await.unwrap();
        assert_eq!((none.columns, none.rows.len()), (vec!["a".to_owned()], 0));
    }

    #[tokio::test]
    async fn a_refusal_carries_code_detail_hint_and_position() {
        let server = server::shared();
        let database = database(&server.database());
        let refusal = database.query("select nonsense()").await.unwrap_err();
        let DatabaseError::Refused { code, message, position } = refusal else { panic!("{refusal:?}") };
        assert_eq!((code.as_deref(), position), (Some("42883"), Some(8)));
        assert!(message.contains("nonsense() does not exist\nHint: "), "{message}");
        let refusal = database.query("select 1 as a; selec 2").await.unwrap_err();
        assert!(matches!(refusal, DatabaseError::Refused { position: Some(16), .. }), "{refusal:?}");
        assert_eq!(database.query("select 2").await.unwrap().rows.len(), 1);
    }

    #[tokio::test]
    async fn a_transaction_is_all_or_nothing() {
        let server = server::shared();
        let database = database(&server.database());
        assert_eq!(database.execute("create table t(a int)").await.unwrap(), Some(0));
        let statements = ["insert into t values (1)", "insert into t values ('x')"].map(str::to_owned);
        database.transaction(&statements).await.unwrap_err();
        assert_eq!(database.query("select * from t").await.unwrap().rows.len(), 0);
        database.transaction(&statements[..1]).await.unwrap();
        assert_eq!(database.execute("update t set a = 2").await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn many_tasks_share_few_connections() {
        let server = server::shared();
        let database = database(&server.database());
        let count = "select count(*) from pg_stat_activity where datname = current_database()";
        let queries = (0..20).map(|_| database.query(count));
        let counts = futures::future::join_all(queries).await;
        for rows in counts {
            let count: u32 = rows.unwrap().rows[0][0].as_ref().unwrap().parse().unwrap();
            assert!((1..=3).contains(&count), "{count}");
        }
    }

    #[tokio::test]
    async fn a_lost_connection_is_unreachable_and_the_next_call_connects_again() {
        let server = server::shared();
        let database = database(&server.database());
        let error = database.query("select pg_terminate_backend(pg_backend_pid())").await.unwrap_err();
        assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
        assert_eq!(database.query("select 1").await.unwrap().rows.len(), 1);
    }

    #[tokio::test]
    async fn a_dropped_call_is_cancelled_in_the_server() {
        let server = server::shared();
        let database = database(&server.database());
        let slow = database.query("select pg_sleep(600)");
        tokio::time::timeout(Duration::from_millis(300), slow).await.unwrap_err();
        let count = "select count(*) from pg_stat_activity where query like 'select pg_sleep(600)%' \
                     and datname = current_database() and state = 'active'";
        for _ in 0..100 {
            if database.query(count).await.unwrap().rows[0][0].as_deref() == Some("0") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the statement is still running");
    }

    #[tokio::test]
    async fn what_is_in_the_way_of_a_connection_is_told_apart() {
        let server = server::shared();
        let port = server.database().rsplit_once(':').unwrap().1.to_owned();
        let cases = [
            ("postgresql://u:p@127.0.0.1:1/x".to_owned(), Obstacle::Closed),
            ("postgresql://u:p@nowhere.invalid/x?sslmode=disable".to_owned(), Obstacle::Name),
            (format!("postgresql://u:p@127.0.0.1:{port}?sslmode=require"), Obstacle::Encryption),
        ];
        for (url, wanted) in cases {
            let error = database(&url).query("select 1").await.unwrap_err();
            let DatabaseError::Unreachable { obstacle, .. } = &error else { panic!("{url}: {error:?}") };
            assert_eq!(*obstacle, wanted, "{url}: {error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_takes_connections_and_says_nothing_is_given_up() {
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgresql://u:p@{}/x?connect_timeout=1", mute.local_addr().unwrap());
        let error = database(&url).query("select 1").await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Unreachable { obstacle: Obstacle::Mute, .. }), "{error:?}");
        assert!(error.to_string().contains("does not answer within 2 s"), "{error}");
    }

    #[tokio::test]
    async fn errors_never_show_the_password() {
        let server = server::shared();
        let url = server.database().replace(server.password().expose(), "hunter2canary");
        let error = database(&url).query("select 1").await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Refused { code: Some(code), .. } if code == "28P01"), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2canary"));
        let error = database("postgresql://u:hunter2canary@127.0.0.1:1/x").query("select 1").await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Unreachable { server, .. } if server == "127.0.0.1:1/x"), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
        for wrong in ["postgresql://u:hunter2canary@h:port/x", "hunter2canary", "postgresql://u:hunter2canary@/x"] {
            let error = Postgres::new(&Secret::new(wrong), 1).err().unwrap();
            assert!(!format!("{error:?} {error}").contains("hunter2canary"));
        }
    }
}
