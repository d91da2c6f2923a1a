//! The statements of this process: what was asked, how far it is, what came of it; and the connections they run on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{CancelToken, Client, Config};

use super::run::Outcome;
use super::{run, warehouse};
use crate::clock::Timestamp;
use crate::redshift_sql;

/// Statements that are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 20_000;
/// Idle connections kept for one database.
const IDLE: usize = 16;

/// How far a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Submitted,
    Started,
    Finished,
    Failed,
    Aborted,
}

impl Status {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Started => "STARTED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}

/// One piece of SQL with its end.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) sql: String,
    pub(super) status: Status,
    pub(super) error: Option<String>,
    pub(super) outcome: Option<Arc<Outcome>>,
    pub(super) nanoseconds: u128,
    pub(super) updated: Timestamp,
}

/// A statement, or a batch of them.
#[derive(Clone)]
pub(super) struct Statement {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) workgroup: String,
    pub(super) database: String,
    pub(super) secret: Option<String>,
    pub(super) parameters: Vec<(String, String)>,
    /// `JSON` or `CSV`.
    pub(super) format: &'static str,
    pub(super) session: Option<String>,
    pub(super) is_batch: bool,
    /// Whether a batch is one transaction.
    pub(super) in_transaction: bool,
    pub(super) number: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) status: Status,
    pub(super) error: Option<String>,
    pub(super) pieces: Vec<Piece>,
    pub(super) cancel: Option<CancelToken>,
    pub(super) changed: Arc<Notify>,
}

/// "The maximum duration of query results and status is 24 hours" (Redshift management guide, "Considerations when calling
/// the Amazon Redshift Data API"). It does not go with the speed: nothing waits for it.
const KEPT: Duration = Duration::from_hours(24);

impl Statement {
    /// Whether it is past the time for which statements are kept.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.status.is_final() && now.since(self.updated) > KEPT
    }
}

#[derive(Default)]
struct Book {
    statements: HashMap<String, Statement>,
    order: VecDeque<String>,
    /// Ids by client token.
    tokens: HashMap<String, String>,
    count: u64,
    idle: HashMap<String, Vec<Client>>,
    sessions: HashMap<String, Arc<tokio::sync::Mutex<Client>>>,
}

static BOOK: LazyLock<Mutex<Book>> = LazyLock::new(Mutex::default);

fn book<R>(use_book: impl FnOnce(&mut Book) -> R) -> R {
    use_book(&mut BOOK.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A statement by id.
pub(super) fn get(id: &str) -> Option<Statement> {
    book(|book| book.statements.get(id).cloned())
}

/// The statement that a client token already made.
pub(super) fn by_token(token: &str) -> Option<Statement> {
    book(|book| book.tokens.get(token).and_then(|id| book.statements.get(id)).cloned())
}

/// Every statement, the newest first.
pub(super) fn all() -> Vec<Statement> {
    let now = Timestamp::now();
    book(|book| {
        let statements = book.order.iter().rev().filter_map(|id| book.statements.get(id));
        statements.filter(|own| !own.is_expired(now)).cloned().collect()
    })
}

/// Remembers a new statement.
pub(super) fn add(mut statement: Statement, token: Option<&str>) -> Statement {
    book(|book| {
        book.count += 1;
        statement.number = book.count;
        if let Some(token) = token {
            book.tokens.insert(token.to_owned(), statement.id.clone());
        }
        book.order.push_back(statement.id.clone());
        book.statements.insert(statement.id.clone(), statement.clone());
        if book.order.len() > REMEMBERED
            && let Some(oldest) = book.order.pop_front()
        {
            book.statements.remove(&oldest);
            book.tokens.retain(|_, id| *id != oldest);
        }
    });
    statement
}

/// Changes a statement and wakes who waits for it.
pub(super) fn change(id: &str, change: impl FnOnce(&mut Statement)) {
    let changed = book(|book| {
        let statement = book.statements.get_mut(id)?;
        change(statement);
        statement.updated = Timestamp::now();
        Some(Arc::clone(&statement.changed))
    });
    if let Some(changed) = changed {
        changed.notify_waiters();
    }
}

/// Whether a session is open.
pub(super) fn has_session(id: &str) -> bool {
    book(|book| book.sessions.contains_key(id))
}

/// Opens a session with a connection of its own.
pub(super) async fn open_session(config: &Config) -> Result<String, String> {
    let client = fresh(config).await?;
    let id = uuid::Uuid::new_v4().to_string();
    book(|book| book.sessions.insert(id.clone(), Arc::new(tokio::sync::Mutex::new(client))));
    Ok(id)
}

async fn fresh(config: &Config) -> Result<Client, String> {
    let client = warehouse::connect(config).await?;
    client.batch_execute(redshift_sql::SESSION).await.map_err(|error| run::message(&error))?;
    Ok(client)
}

fn key(config: &Config) -> String {
    format!("{:?}/{}", config.get_ports(), config.get_dbname().unwrap_or_default())
}

/// Runs a statement to its end on a connection of its session or of the pool.
pub(super) async fn perform(id: String, config: Config) {
    let Some(statement) = get(&id) else { return };
    if let Some(session) = &statement.session {
        let Some(client) = book(|book| book.sessions.get(session).cloned()) else { return };
        perform_on(&statement, &*client.lock().await).await;
        return;
    }
    let idle = book(|book| book.idle.get_mut(&key(&config)).and_then(Vec::pop)).filter(|client| !client.is_closed());
    let client = match idle {
        Some(client) => Ok(client),
        None => fresh(&config).await,
    };
    match client {
        Ok(client) => {
            perform_on(&statement, &client).await;
            book(|book| {
                let idle = book.idle.entry(key(&config)).or_default();
                if idle.len() < IDLE && !client.is_closed() {
                    idle.push(client);
                }
            });
        }
        Err(error) => end(&id, Status::Failed, Some(error)),
    }
}

async fn perform_on(statement: &Statement, client: &Client) {
    let id = &statement.id;
    let is_aborted = || get(id).is_none_or(|now| now.status == Status::Aborted);
    if is_aborted() {
        return;
    }
    change(id, |own| {
        own.status = Status::Started;
        own.cancel = Some(client.cancel_token());
    });
    let transaction = statement.is_batch && statement.in_transaction;
    let mut failure = None;
    if transaction && let Err(error) = client.batch_execute("begin").await {
        failure = Some(run::message(&error));
    }
    for (at, piece) in statement.pieces.iter().enumerate() {
        if failure.is_some() && (transaction || !statement.is_batch) {
            set_piece(id, at, Status::Aborted, None, None, 0);
            continue;
        }
        let began = std::time::Instant::now();
        let result = run::run(client, &piece.sql, transaction).await;
        let spent = began.elapsed().as_nanos();
        match result {
            Ok(outcome) => set_piece(id, at, Status::Finished, None, Some(Arc::new(outcome)), spent),
            Err(error) => {
                set_piece(id, at, Status::Failed, Some(error.clone()), None, spent);
                failure =
                    Some(if statement.is_batch { format!("Query #{} failed with {error}", at + 1) } else { error });
            }
        }
    }
    if transaction {
        let end = if failure.is_some() { "rollback" } else { "commit" };
        if let Err(error) = client.batch_execute(end).await {
            failure.get_or_insert_with(|| run::message(&error));
        }
    } else if !statement.is_batch && statement.session.is_none() {
        reset(statement, client).await;
    }
    let status = if failure.is_some() { Status::Failed } else { Status::Finished };
    end(id, status, failure);
}

/// A statement may leave settings or an open transaction behind; the next user of the connection must not see them.
async fn reset(statement: &Statement, client: &Client) {
    let leaves_traces = statement.pieces.iter().any(|piece| {
        matches!(
            redshift_sql::first_word(&piece.sql).as_str(),
            "set" | "begin" | "start" | "create" | "declare" | "prepare" | "listen" | "reset"
        )
    });
    if leaves_traces {
        let cleaned = client.batch_execute(&format!("rollback; discard all; {}", redshift_sql::SESSION)).await;
        if let Err(error) = cleaned {
            tracing::debug!(%error, "a warehouse connection could not be cleaned");
        }
    }
}

fn set_piece(
    id: &str,
    at: usize,
    status: Status,
    error: Option<String>,
    outcome: Option<Arc<Outcome>>,
    nanoseconds: u128,
) {
    change(id, |own| {
        if let Some(piece) = own.pieces.get_mut(at) {
            *piece = Piece {
                sql: std::mem::take(&mut piece.sql),
                status,
                error,
                outcome,
                nanoseconds,
                updated: Timestamp::now(),
            };
        }
    });
}

fn end(id: &str, status: Status, error: Option<String>) {
    change(id, |own| {
        own.cancel = None;
        if own.status != Status::Aborted {
            own.status = status;
            own.error = error;
        }
    });
}
