//! Follows a task to the end of its load and says how it ended.
//!
//! A task that "finished" may have failed tables, a stopped one may not have its reason yet, and
//! statistics lag behind: [`verdict`] decides on status, stop reason and tables together.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use towpath_engine::fault::{Fault, FaultClass};

use super::mappings::TableName;
use super::{MigrateError, MigrateEvent, Outcome, Session, TableState, Task};

/// One table on its way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableProgress {
    /// The table, as named in the source.
    pub name: TableName,
    /// DMS's word for its state.
    pub state: String,
    /// Rows loaded so far.
    pub rows: u64,
    /// Rows of the source by its own estimate.
    pub expected_rows: Option<u64>,
    /// Rows per second since its load began; none before.
    pub rows_per_second: Option<f64>,
    /// Seconds until it is done at that rate.
    pub seconds_left: Option<f64>,
}

/// A table that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedTable {
    /// The table, as named in the source.
    pub name: TableName,
    /// DMS's word for its state; none when the task does not know the table.
    pub state: Option<String>,
    /// The task's last failure message, if it has one.
    pub cause: Option<String>,
}

impl std::fmt::Display for FailedTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.as_deref().unwrap_or("not known to the task");
        write!(formatter, "{} ({state}", self.name)?;
        if let Some(cause) = &self.cause {
            write!(formatter, ": {cause}")?;
        }
        formatter.write_str(")")
    }
}

/// What a task's state means for its load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not over.
    Loading,
    /// Stopped, but the reason is not there yet.
    Settling,
    /// Over, every table arrived.
    Loaded,
    /// Over, and these did not arrive.
    Incomplete(Vec<FailedTable>),
    /// Stopped by something that may pass.
    Recoverable(String),
    /// Stopped by something else, or failed.
    Ended(String),
}

/// Decides what state and tables mean together.
pub(super) fn verdict(task: &Task, statistics: &[TableState], expected: &[TableName]) -> Verdict {
    let reason = task.stop_reason.as_deref().unwrap_or_default();
    let reason = reason.strip_prefix("Stop Reason ").unwrap_or(reason).trim();
    let message = || match &task.failure {
        Some(failure) if !failure.is_empty() => format!("{reason} {failure}").trim().to_owned(),
        _ if reason.is_empty() => "DMS gives no reason".to_owned(),
        _ => reason.to_owned(),
    };
    // "RECOVERABLE_ERROR Error Level RECOVERABLE": the level comes behind the reason.
    let kind = reason.split_whitespace().next().unwrap_or_default();
    match (task.status.as_str(), kind) {
        ("running", _) if task.captures_changes() && load_is_over(task, statistics) => {
            arrived(task, statistics, expected)
        }
        ("stopped", "") => Verdict::Settling,
        ("stopped", "FULL_LOAD_ONLY_FINISHED" | "STOPPED_AFTER_FULL_LOAD" | "STOPPED_AFTER_CACHED_EVENTS") => {
            arrived(task, statistics, expected)
        }
        // NORMAL is what a user's stop leaves, and on some versions the end of a load too.
        ("stopped", "NORMAL") if load_is_over(task, statistics) => arrived(task, statistics, expected),
        ("stopped", "RECOVERABLE_ERROR" | "RECONFIGURATION_RESTART" | "RECYCLE_TASK") => {
            Verdict::Recoverable(message())
        }
        ("stopped" | "failed", _) => Verdict::Ended(message()),
        _ => Verdict::Loading,
    }
}

fn load_is_over(task: &Task, statistics: &[TableState]) -> bool {
    let loading = |state: &TableState| !is_final(&state.state);
    task.full_load_finished.is_some() && !statistics.is_empty() && !statistics.iter().any(loading)
}

fn arrived(task: &Task, statistics: &[TableState], expected: &[TableName]) -> Verdict {
    let state = |name: &TableName| statistics.iter().find(|state| state.name == *name).map(|state| &state.state);
    let failed: Vec<_> = expected
        .iter()
        .filter(|name| state(name).is_none_or(|state| state != COMPLETED))
        .map(|name| FailedTable { name: name.clone(), state: state(name).cloned(), cause: task.failure.clone() })
        .collect();
    if failed.is_empty() && task.tables_errored == 0 { Verdict::Loaded } else { Verdict::Incomplete(failed) }
}

const COMPLETED: &str = "Table completed";

fn is_final(state: &str) -> bool {
    matches!(state, COMPLETED | "Table error" | "Table cancelled" | "Table does not exist")
}

/// Makes a reading call, again and again while the service is out of breath.
pub(super) async fn patiently<T, F>(session: &Session<'_>, mut call: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut failures = 0;
    loop {
        match call().await {
            Err(fault) if matches!(fault.class, FaultClass::Throttled | FaultClass::Unavailable) && failures < 10 => {
                failures += 1;
                session.clock.sleep(Duration::from_secs(5 * failures)).await;
            }
            result => return result,
        }
    }
}

/// Describes the task once it is in no state that only passes by.
pub(super) async fn settled(session: &Session<'_>, task: &str) -> Result<Task, MigrateError> {
    let mut patience = 180;
    loop {
        let state = patiently(session, || session.cloud.task(task)).await?;
        let passing = matches!(
            state.status.as_str(),
            "creating" | "modifying" | "testing" | "moving" | "stopping" | "deprovisioning"
        );
        if !passing || patience == 0 {
            return Ok(state);
        }
        patience -= 1;
        session.clock.sleep(Duration::from_secs(5)).await;
    }
}

/// How often a task is resumed by itself after a reason that may pass.
const RESUMES: u32 = 3;

/// How many polls a state may last that ought to pass at once: a stop without a reason, a start
/// that does not show.
const STUCK: u32 = 20;

/// Returns once the tables' states are those of a reload: for a moment after it was asked, DMS
/// goes on showing the load before.
pub(super) async fn reload_shows(
    session: &Session<'_>,
    task: &str,
    wanted: &[TableName],
    before: &[TableState],
) -> Result<(), MigrateError> {
    for _ in 0..STUCK {
        let now = patiently(session, || session.cloud.tables(task)).await?;
        let old = |state: &TableState| wanted.contains(&state.name) && is_final(&state.state) && before.contains(state);
        if !now.iter().any(old) || patiently(session, || session.cloud.task(task)).await?.status != "running" {
            break;
        }
        session.clock.sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}

/// Watches until the load is over.
pub(super) async fn load(
    session: &Session<'_>,
    task: &str,
    expected: &[TableName],
    sizes: BTreeMap<TableName, u64>,
) -> Result<Outcome, MigrateError> {
    let mut finished = BTreeSet::new();
    let (mut polls, mut stuck, mut resumes, mut begun) = (0_u32, 0, 0, false);
    let mut status = String::new();
    loop {
        let state = patiently(session, || session.cloud.task(task)).await?;
        let tables = patiently(session, || session.cloud.tables(task)).await?;
        // Right after the start the last run's state may still show.
        let is_under_way = state.begins() || state.status == "running";
        begun = begun || is_under_way;
        if is_under_way && state.status != status {
            status.clone_from(&state.status);
            (session.on_event)(MigrateEvent::StatusChanged { status: status.clone() });
        }
        report(session, &tables, &sizes, &mut finished);
        let verdict = verdict(&state, &tables, expected);
        let verdict = if begun || stuck >= STUCK { verdict } else { Verdict::Settling };
        match verdict {
            Verdict::Loading => stuck = 0,
            Verdict::Settling if stuck < STUCK => stuck += 1,
            Verdict::Settling => return Err(ended(state, "DMS gives no reason".to_owned())),
            Verdict::Loaded if state.status == "running" => return Ok(Outcome::Replicating),
            Verdict::Loaded => return Ok(Outcome::Loaded),
            Verdict::Incomplete(tables) => return Err(MigrateError::Tables { tables }),
            Verdict::Recoverable(reason) if resumes < RESUMES => {
                resumes += 1;
                begun = false;
                (session.on_event)(MigrateEvent::TaskResumed { reason });
                session.cloud.start(task, state.goes_on()).await?;
            }
            Verdict::Recoverable(message) | Verdict::Ended(message) => return Err(ended(state, message)),
        }
        // A quick load is seen quickly; a long one is not asked after four times a minute for hours.
        let pause = [1, 2, 2, 5, 5, 5].get(polls as usize).copied().unwrap_or(if polls < 60 { 10 } else { 15 });
        polls += 1;
        session.clock.sleep(Duration::from_secs(pause)).await;
    }
}

fn ended(task: Task, message: String) -> MigrateError {
    MigrateError::Task { status: task.status, message }
}

fn report(
    session: &Session<'_>,
    tables: &[TableState],
    sizes: &BTreeMap<TableName, u64>,
    finished: &mut BTreeSet<TableName>,
) {
    let now = session.clock.now();
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        let progress = progress(table, sizes, now);
        if !is_final(&table.state) {
            finished.remove(&progress.name);
        } else if finished.insert(progress.name.clone()) {
            (session.on_event)(MigrateEvent::TableFinished { table: progress.clone() });
        }
        all.push(progress);
    }
    (session.on_event)(MigrateEvent::LoadProgressed { tables: all });
}

fn progress(table: &TableState, sizes: &BTreeMap<TableName, u64>, now: DateTime<Utc>) -> TableProgress {
    let name = table.name.clone();
    let expected_rows = sizes.get(&name).copied();
    let loading = table.state == "Full load" || table.state == "Table is being reloaded";
    let seconds = table.started.filter(|_| loading).map(|started| (now - started).as_seconds_f64());
    let rows_per_second = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| table.rows as f64 / seconds);
    let left = expected_rows.map(|expected| expected.saturating_sub(table.rows) as f64);
    let seconds_left = rows_per_second.filter(|rate| *rate > 0.0).zip(left).map(|(rate, left)| left / rate);
    TableProgress { name, state: table.state.clone(), rows: table.rows, expected_rows, rows_per_second, seconds_left }
}
