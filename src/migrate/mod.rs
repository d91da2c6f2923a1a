//! Carries the data over: one DMS task, or serverless replication, from preflight to confirmed row counts.
//!
//! [`run`] checks the source, tests both connections, starts the task in the way its history asks
//! for, watches it and compares row counts. Dropping the future at any point leaves the task
//! running; the next run joins it. What to start is decided in `start`, what a state means in
//! `watch`, both without any call; DMS itself comes in through [`Replication`].

mod confirm;
mod dms;
mod mappings;
mod preflight;
pub mod slots;
mod start;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use towpath_engine::clock::Clock;
use towpath_engine::fault::Fault;

use crate::database::postgres::Postgres;
use crate::database::{Database, DatabaseError};

pub use confirm::Count;
pub use mappings::{Mappings, TableName};
pub use preflight::{Finding, Severity, server as check_server};
pub use start::Start;
pub use watch::{FailedTable, TableProgress};

/// How a task is started, in DMS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartType {
    /// The first run.
    StartReplication,
    /// From where it stopped.
    ResumeProcessing,
    /// All tables afresh.
    ReloadTarget,
}

/// A replication task, or a serverless replication, as DMS describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// `ready`, `running`, `stopped`, `failed`, …
    pub status: String,
    /// Why it stopped, with DMS's `Stop Reason ` before it or not.
    pub stop_reason: Option<String>,
    /// The last failure's message.
    pub failure: Option<String>,
    /// `full-load`, `full-load-and-cdc` or `cdc`.
    pub mode: String,
    /// Whether it is a serverless replication, which has no instance and tests its connections in its start.
    pub serverless: bool,
    /// The replication instance's ARN; empty for a serverless replication.
    pub instance: String,
    /// The source endpoint's ARN.
    pub source: String,
    /// The target endpoint's ARN.
    pub target: String,
    /// The table mappings, as JSON.
    pub mappings: String,
    /// Whether it was ever started.
    pub has_run: bool,
    /// Whether DMS has forgotten times, tables and position of its runs, as it does when it takes the capacity of a
    /// serverless replication away.
    pub forgotten: bool,
    /// When the last run ended.
    pub stopped: Option<DateTime<Utc>>,
    /// When the task was started for the first time, as far as DMS remembers.
    pub started: Option<DateTime<Utc>>,
    /// When the last full load began.
    pub full_load_started: Option<DateTime<Utc>>,
    /// When the last full load ended.
    pub full_load_finished: Option<DateTime<Utc>>,
    /// Tables in error by the task's own count.
    pub tables_errored: u32,
}

impl Task {
    /// Whether the task goes on with changes after the load, or does only that.
    pub fn captures_changes(&self) -> bool {
        self.mode != "full-load"
    }

    /// Whether it was started and does not run yet.
    fn begins(&self) -> bool {
        towpath_aws::dms::is_beginning(&self.status)
    }

    /// How a run that did not come to its end is gone on with. A full load of DMS Serverless cannot be: "you can't resume
    /// partially loaded tables during the full load phase" (DMS API reference, `StartReplication`).
    fn goes_on(&self) -> StartType {
        if self.serverless && !self.captures_changes() { StartType::ReloadTarget } else { StartType::ResumeProcessing }
    }
}

/// What DMS says about one table of a task. Names are those of the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableState {
    /// Schema and table.
    pub name: TableName,
    /// `Before load`, `Full load`, `Table completed`, `Table error`, …
    pub state: String,
    /// Rows loaded.
    pub rows: u64,
    /// When its load began.
    pub started: Option<DateTime<Utc>>,
}

/// The last test of one endpoint from one replication instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `successful`, `testing`, `failed`, `deleting`.
    pub status: String,
    /// Why it failed.
    pub failure: Option<String>,
}

/// What this module asks of DMS. No call waits for a state or retries.
#[async_trait]
pub trait Replication: Send + Sync {
    /// Describes the task.
    async fn task(&self, task: &str) -> Result<Task, Fault>;
    /// All pages of the table statistics.
    async fn tables(&self, task: &str) -> Result<Vec<TableState>, Fault>;
    /// The last connection test, if there was one.
    async fn connection(&self, instance: &str, endpoint: &str) -> Result<Option<Connection>, Fault>;
    /// Begins a connection test. `Busy` when one is under way.
    async fn test_connection(&self, instance: &str, endpoint: &str) -> Result<(), Fault>;
    /// Starts the task.
    async fn start(&self, task: &str, how: StartType) -> Result<(), Fault>;
    /// Reloads at most ten tables of a running task, by schema and table.
    async fn reload_tables(&self, task: &str, tables: &[TableName]) -> Result<(), Fault>;
}

/// Which tables the user wants afresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reload {
    /// Only what changed.
    #[default]
    Changed,
    /// Everything.
    All,
    /// These, while the task goes on with changes.
    Tables(Vec<TableName>),
}

/// How to migrate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which tables to load again.
    pub reload: Reload,
    /// Whether to start although the preflight found something that blocks.
    pub ignore_findings: bool,
}

/// What a migration works with.
pub struct Session<'a> {
    /// DMS.
    pub cloud: &'a dyn Replication,
    /// The source, for preflight, expected tables and counts.
    pub source: &'a Postgres,
    /// The warehouse, for counts.
    pub warehouse: &'a dyn Database,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Listener.
    pub on_event: &'a (dyn Fn(MigrateEvent) + Sync),
}

/// One end of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The source endpoint.
    Source,
    /// The target endpoint.
    Target,
}

/// What happens during a migration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MigrateEvent {
    /// The source was looked at.
    PreflightFinished {
        /// What was found; empty when all is well.
        findings: Vec<Finding>,
        /// How many tables the mappings select.
        tables: usize,
    },
    /// A connection test began, or one under way was joined.
    ConnectionTestStarted {
        /// Which.
        end: End,
    },
    /// A connection test succeeded.
    ConnectionTestSucceeded {
        /// Which.
        end: End,
    },
    /// What was decided from the task's history.
    StartDecided(Start),
    /// The state of the load, once per poll.
    LoadProgressed {
        /// Every table known so far.
        tables: Vec<TableProgress>,
    },
    /// The task is on its way to running, or has got there.
    StatusChanged {
        /// DMS's word, e.g. `provisioning_capacity`.
        status: String,
    },
    /// A table reached its end, good or bad.
    TableFinished {
        /// The table.
        table: TableProgress,
    },
    /// The task stopped for a reason that may pass, and is being resumed.
    TaskResumed {
        /// The reason.
        reason: String,
    },
    /// Rows were counted on both sides.
    TableCounted(Count),
}

/// How a migration ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There was nothing to do.
    Unchanged,
    /// All tables were loaded and the task has stopped.
    Loaded,
    /// All tables were loaded and the task goes on with changes.
    Replicating,
}

/// A finished migration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Migrated {
    /// How it ended.
    pub outcome: Outcome,
    /// Rows per table on both sides. Differences are no error while changes are being replicated.
    pub counts: Vec<Count>,
    /// What the preflight found.
    pub findings: Vec<Finding>,
}

/// Why a migration did not end well.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The preflight found something that would lose data.
    #[error("the source is not ready to be migrated: {}", list(findings))]
    Blocked {
        /// All findings.
        findings: Vec<Finding>,
    },
    /// An endpoint cannot be reached from the replication instance.
    #[error("the {end:?} endpoint cannot be reached from the replication instance: {message}")]
    Connection {
        /// Which end.
        end: End,
        /// What DMS says.
        message: String,
    },
    /// The mappings select no table that exists.
    #[error("the task's table mappings select no table of the source")]
    NoTables,
    /// The mappings cannot be read.
    #[error("the task's table mappings cannot be read: {0}")]
    Mappings(String),
    /// Single tables were to be reloaded in a task that cannot do that.
    #[error("DMS reloads single tables only while a task is replicating changes; reload all tables instead")]
    ReloadNeedsChanges,
    /// Everything was to be reloaded while the task runs.
    #[error("the task is {status}; stop it before all tables are reloaded")]
    ReloadWhileRunning {
        /// The task's status.
        status: String,
    },
    /// A serverless replication stood still until DMS took its capacity, and its position with it.
    #[error(
        "the replication has stood still for so long that DMS took its capacity away, and with it its position in the \
         source's changes"
    )]
    PositionLost,
    /// The load ended, but not for these tables.
    #[error("{} of the tables did not arrive: {}", tables.len(), tables.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Tables {
        /// The tables, each with its state and cause.
        tables: Vec<FailedTable>,
    },
    /// The task stopped or failed as a whole.
    #[error("the task {status}: {message}")]
    Task {
        /// `stopped` or `failed`.
        status: String,
        /// Stop reason and failure message.
        message: String,
    },
    /// The load is over, but the counts differ.
    #[error("row counts differ after the load: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Counts(Vec<Count>),
    /// An AWS call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A statement failed.
    #[error("{database}: {source}")]
    Database {
        /// Which database.
        database: String,
        /// The reason.
        source: DatabaseError,
    },
}

fn list(findings: &[Finding]) -> String {
    let blocking = findings.iter().filter(|finding| finding.severity == Severity::Blocks);
    blocking.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Migrates: see the module's page. `task` is the task's ARN.
pub async fn run(session: &Session<'_>, task: &str, options: &Options) -> Result<Migrated, MigrateError> {
    let cloud = session.cloud;
    let state = watch::settled(session, task).await?;
    let mappings = Mappings::parse(&state.mappings).map_err(MigrateError::Mappings)?;
    let tables = preflight::tables(session.source, &mappings).await.map_err(|error| at(session.source, error))?;
    if tables.is_empty() {
        return Err(MigrateError::NoTables);
    }
    let expected: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let statistics = if state.has_run && !state.forgotten { cloud.tables(task).await? } else { Vec::new() };
    let loaded_at = loaded_at(session.source, &expected).await?;
    let start = start::decide(&state, &statistics, &expected, &loaded_at, &options.reload)?;
    let mut findings = Vec::new();
    if start.begins() {
        findings =
            preflight::check(session.source, &tables, &state).await.map_err(|error| at(session.source, error))?;
        let finished = MigrateEvent::PreflightFinished { findings: findings.clone(), tables: tables.len() };
        (session.on_event)(finished);
        if !options.ignore_findings && findings.iter().any(|finding| finding.severity == Severity::Blocks) {
            return Err(MigrateError::Blocked { findings });
        }
        if !state.serverless {
            let source = test(session, &state.instance, &state.source, End::Source);
            let target = test(session, &state.instance, &state.target, End::Target);
            futures::try_join!(source, target)?;
        }
    }
    (session.on_event)(MigrateEvent::StartDecided(start.clone()));
    let outcome = match &start {
        Start::Nothing => Outcome::Unchanged,
        Start::Task { how, .. } => {
            cloud.start(task, *how).await?;
            watch::load(session, task, &expected, tables_size(&tables)).await?
        }
        Start::Join => watch::load(session, task, &expected, tables_size(&tables)).await?,
        Start::Tables(wanted) => {
            for ten in wanted.chunks(10) {
                cloud.reload_tables(task, ten).await?;
            }
            watch::reload_shows(session, task, wanted, &statistics).await?;
            watch::load(session, task, &expected, tables_size(&tables)).await?
        }
    };
    let counts = confirm::counts(session, &expected, &mappings).await?;
    // While changes flow the two sides are never quite the same; validation is made for that.
    let differing: Vec<_> = counts.iter().filter(|count| !count.is_same()).cloned().collect();
    if outcome != Outcome::Replicating && !state.captures_changes() && !differing.is_empty() {
        return Err(MigrateError::Counts(differing));
    }
    Ok(Migrated { outcome, counts, findings })
}

fn at(database: &dyn Database, source: DatabaseError) -> MigrateError {
    MigrateError::Database { database: database.name(), source }
}

fn tables_size(tables: &[preflight::SourceTable]) -> BTreeMap<TableName, u64> {
    tables.iter().filter_map(|table| Some((table.name.clone(), table.rows?))).collect()
}

async fn loaded_at(
    source: &Postgres,
    expected: &[TableName],
) -> Result<BTreeMap<TableName, DateTime<Utc>>, MigrateError> {
    let mut all = BTreeMap::new();
    let mut schemas: Vec<_> = expected.iter().map(|name| name.schema.clone()).collect();
    schemas.sort();
    schemas.dedup();
    for schema in schemas {
        let loaded = crate::upload::loaded_at(source, &schema).await.map_err(|error| at(source, error))?;
        all.extend(loaded.into_iter().map(|(table, at)| (TableName { schema: schema.clone(), table }, at)));
    }
    Ok(all)
}

/// Tests one connection afresh: a success of last week says nothing about today.
async fn test(session: &Session<'_>, instance: &str, endpoint: &str, end: End) -> Result<(), MigrateError> {
    use towpath_engine::fault::FaultClass;
    match session.cloud.test_connection(instance, endpoint).await {
        Err(fault) if !matches!(fault.class, FaultClass::Busy | FaultClass::AlreadyExists) => return Err(fault.into()),
        Ok(()) | Err(_) => (session.on_event)(MigrateEvent::ConnectionTestStarted { end }),
    }
    for _ in 0..TEST_POLLS {
        let connection = watch::patiently(session, || session.cloud.connection(instance, endpoint)).await?;
        let connection = connection.unwrap_or_default();
        match connection.status.as_str() {
            "successful" => {
                (session.on_event)(MigrateEvent::ConnectionTestSucceeded { end });
                return Ok(());
            }
            "failed" => {
                let message = connection.failure.unwrap_or_else(|| "DMS gives no reason".to_owned());
                return Err(MigrateError::Connection { end, message });
            }
            _ => session.clock.sleep(TEST_PAUSE).await,
        }
    }
    let message = "the test did not end within ten minutes".to_owned();
    Err(MigrateError::Connection { end, message })
}

/// A connection test takes some 30 to 90 seconds.
const TEST_PAUSE: Duration = Duration::from_secs(5);
const TEST_POLLS: u32 = 120;

#[cfg(test)]
mod tests;
