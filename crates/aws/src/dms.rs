//! Running replication tasks and serverless replications: connection tests, start, stop, progress and reload, for the
//! code that hauls data. Which of the two it is tells the ARN.
//!
//! Functions over plain structs; each is one call, or one paged list. Nothing here waits, retries
//! or decides whether a migration is done.

mod serverless;

use aws_sdk_databasemigration::types::{
    Connection as LiveConnection, Filter, ReloadOptionValue, ReplicationStats, ReplicationTask, ReplicationTaskStats,
    StartReplicationTaskTypeValue, TableStatistics, TableToReload,
};
use aws_smithy_types::DateTime;
use chrono::{DateTime as Moment, Utc};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Place;

use crate::cloud::Cloud;
use crate::fault::fault;
use crate::kinds::dms_common;

/// The most tables one `ReloadTables` takes.
const RELOAD_BATCH: usize = 10;

/// The result of testing whether an instance reaches an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// It was never tested.
    Untested,
    /// A test runs.
    Testing,
    /// The last test succeeded. It is not repeated when a secret or security group changes.
    Successful,
    /// The last test failed; the text is DMS's reason.
    Failed(String),
}

/// How a task is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartType {
    /// The first run, or change data capture from a given position.
    Start,
    /// Goes on where the last run stopped: unfinished tables, or the checkpoint.
    Resume,
    /// Loads all tables again; what is on the target is lost unless the settings keep it.
    Reload,
}

/// The kinds whose objects are tasks in the words of this module.
pub const KINDS: [&str; 2] = ["dms/replication_config", "dms/replication_task"];

/// The ARN of the task of this kind and identifier, as towpath makes it: known before it exists and after it is gone.
pub fn arn_of(place: &Place, kind: &str, identity: &str) -> String {
    let resource = if kind == "dms/replication_config" { serverless::RESOURCE } else { "task" };
    dms_common::arn(place, resource, &dms_common::resource_identifier(identity))
}

/// Whether a status is one between a start and running.
pub fn is_beginning(status: &str) -> bool {
    status == "starting" || serverless::is_beginning(status)
}

/// A task or serverless replication as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// Its identifier.
    pub name: String,
    /// The ARN of its instance; a serverless replication has none.
    pub instance: Option<String>,
    /// The ARN of its source endpoint.
    pub source: String,
    /// The ARN of its target endpoint.
    pub target: String,
    /// `full-load`, `cdc` or `full-load-and-cdc`.
    pub mode: String,
    /// The table mappings as JSON text.
    pub mappings: String,
    /// DMS's status, e.g. `running`, `stopped`, `failed`.
    pub status: String,
    /// Why it stopped, e.g. `Stop Reason FULL_LOAD_ONLY_FINISHED`. May lag behind the status.
    pub stop_reason: Option<String>,
    /// What failed last.
    pub last_failure_message: Option<String>,
    /// Where change data capture would go on; absent before the first run.
    pub recovery_checkpoint: Option<String>,
    /// Whether it was ever started.
    pub has_run: bool,
    /// When its last run ended.
    pub stopped: Option<Moment<Utc>>,
    /// Whether DMS has forgotten counters, tables and position of its runs, which it does of a serverless replication
    /// some time after its end.
    pub is_forgotten: bool,
    /// Counters; absent before the first run.
    pub stats: Option<Stats>,
}

/// The counters of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Progress of the full load in percent, by DMS's estimate.
    pub full_load_percent: i32,
    /// Time of the run in milliseconds.
    pub elapsed_milliseconds: i64,
    /// Tables that are loaded.
    pub tables_loaded: i32,
    /// Tables being loaded.
    pub tables_loading: i32,
    /// Tables that wait.
    pub tables_queued: i32,
    /// Tables that failed.
    pub tables_errored: i32,
    /// When the last run from scratch began.
    pub fresh_start: Option<Moment<Utc>>,
    /// When the last run began.
    pub started: Option<Moment<Utc>>,
    /// When it ended.
    pub stopped: Option<Moment<Utc>>,
    /// When the full load began.
    pub full_load_started: Option<Moment<Utc>>,
    /// When it ended.
    pub full_load_finished: Option<Moment<Utc>>,
}

/// One table of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The schema on the source.
    pub schema: String,
    /// The name on the source.
    pub name: String,
    /// DMS's state, e.g. `Full load`, `Table completed`, `Table error`.
    pub state: String,
    /// Rows loaded by the full load.
    pub full_load_rows: i64,
    /// Rows that could not be loaded.
    pub full_load_errors: i64,
    /// When its load began.
    pub full_load_started: Option<Moment<Utc>>,
    /// When its load ended.
    pub full_load_finished: Option<Moment<Utc>>,
    /// Whether it was loaded again.
    pub reloaded: bool,
    /// Inserts, updates, deletes and schema changes captured since.
    pub captured: Changes,
    /// Those of them that reached the target, where DMS says so.
    pub applied: Option<Changes>,
    /// When these figures were taken.
    pub updated: Option<Moment<Utc>>,
    /// DMS's validation state, e.g. `Not enabled`, `Validated`, `Mismatched records`.
    pub validation_state: Option<String>,
    /// Details of it.
    pub validation_details: Option<String>,
    /// Rows validation has still to compare.
    pub validation_pending: i64,
    /// Rows that differ.
    pub validation_failed: i64,
    /// Rows that could not be compared.
    pub validation_suspended: i64,
}

/// Numbers of changes by sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows added.
    pub inserts: i64,
    /// Rows changed.
    pub updates: i64,
    /// Rows removed.
    pub deletes: i64,
    /// Changes of the table itself.
    pub schema_changes: i64,
}

/// Asks the instance to test its connection to the endpoint. A test that runs already is as good.
pub async fn test_connection(cloud: &Cloud, instance: &str, endpoint: &str) -> Result<(), Fault> {
    let call = cloud.dms().await.test_connection().replication_instance_arn(instance).endpoint_arn(endpoint);
    match call.send().await.map(drop).map_err(fault("dms:TestConnection")) {
        Err(fault) if fault.message.contains("already being tested") => Ok(()),
        other => other,
    }
}

/// The state of the connection between instance and endpoint.
pub async fn connection(cloud: &Cloud, instance: &str, endpoint: &str) -> Result<ConnectionState, Fault> {
    let filters = vec![filter("replication-instance-arn", instance)?, filter("endpoint-arn", endpoint)?];
    let call = cloud.dms().await.describe_connections().set_filters(Some(filters));
    let found = match call.send().await.map_err(fault("dms:DescribeConnections")) {
        Ok(answer) => answer.connections.unwrap_or_default(),
        Err(fault) if fault.is_not_found() => Vec::new(),
        Err(fault) => return Err(fault),
    };
    let same = |one: &String, other: &str| one.eq_ignore_ascii_case(other);
    Ok(found
        .into_iter()
        .find(|connection| connection.endpoint_arn.as_ref().is_none_or(|arn| same(arn, endpoint)))
        .map_or(ConnectionState::Untested, connection_state))
}

fn connection_state(connection: LiveConnection) -> ConnectionState {
    match connection.status.as_deref() {
        Some("successful") => ConnectionState::Successful,
        Some("testing") => ConnectionState::Testing,
        Some("failed") => {
            ConnectionState::Failed(connection.last_failure_message.unwrap_or_else(|| "DMS gave no reason".to_owned()))
        }
        _ => ConnectionState::Untested,
    }
}

/// Starts a task. It is under way when this returns, not running yet.
pub async fn start(cloud: &Cloud, task: &str, how: StartType) -> Result<(), Fault> {
    if serverless::is_config(task) {
        return serverless::start(cloud, task, how).await;
    }
    let how = match how {
        StartType::Start => StartReplicationTaskTypeValue::StartReplication,
        StartType::Resume => StartReplicationTaskTypeValue::ResumeProcessing,
        StartType::Reload => StartReplicationTaskTypeValue::ReloadTarget,
    };
    let call = cloud.dms().await.start_replication_task().replication_task_arn(task).start_replication_task_type(how);
    call.send().await.map(drop).map_err(fault("dms:StartReplicationTask"))
}

/// Stops a task. One that does not run is as good as stopped.
pub async fn stop(cloud: &Cloud, task: &str) -> Result<(), Fault> {
    if serverless::is_config(task) {
        return serverless::stop(cloud, task).await;
    }
    let call = cloud.dms().await.stop_replication_task().replication_task_arn(task);
    match call.send().await.map(drop).map_err(fault("dms:StopReplicationTask")) {
        Err(fault) if fault.message.contains("not running") => Ok(()),
        other => other,
    }
}

/// The task of that ARN; a `NotFound` fault if there is none.
pub async fn task(cloud: &Cloud, arn: &str) -> Result<Task, Fault> {
    if serverless::is_config(arn) {
        return serverless::task(cloud, arn).await;
    }
    let filters = vec![filter("replication-task-arn", arn)?];
    let call = cloud.dms().await.describe_replication_tasks().set_filters(Some(filters));
    let answer = call.send().await.map_err(fault("dms:DescribeReplicationTasks"))?;
    let found = answer.replication_tasks.unwrap_or_default().into_iter().next();
    found.map(Task::from).ok_or_else(|| {
        Fault::local(FaultClass::NotFound, "dms:DescribeReplicationTasks", format!("there is no task {arn}"))
    })
}

/// All tables of a task; none in the first seconds of a run.
pub async fn table_statistics(cloud: &Cloud, task: &str) -> Result<Vec<Table>, Fault> {
    if serverless::is_config(task) {
        return serverless::table_statistics(cloud, task).await;
    }
    let call = cloud.dms().await.describe_table_statistics().replication_task_arn(task).max_records(500);
    let pages = call.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = pages.map_err(fault("dms:DescribeTableStatistics"))?;
    Ok(pages.into_iter().flat_map(|page| page.table_statistics.unwrap_or_default()).map(Table::from).collect())
}

/// Loads tables (schema and name on the source) again; the task must be running.
pub async fn reload_tables(cloud: &Cloud, task: &str, tables: &[(String, String)]) -> Result<(), Fault> {
    for batch in tables.chunks(RELOAD_BATCH) {
        let named = |(schema, name): &(String, String)| {
            TableToReload::builder().schema_name(schema).table_name(name).build().map_err(|error| incomplete(&error))
        };
        let batch: Vec<TableToReload> = batch.iter().map(named).collect::<Result<_, _>>()?;
        if serverless::is_config(task) {
            serverless::reload_tables(cloud, task, batch).await?;
            continue;
        }
        let call = cloud.dms().await.reload_tables().replication_task_arn(task).set_tables_to_reload(Some(batch));
        call.reload_option(ReloadOptionValue::DataReload).send().await.map_err(fault("dms:ReloadTables"))?;
    }
    Ok(())
}

fn filter(name: &str, value: &str) -> Result<Filter, Fault> {
    Filter::builder().name(name).values(value).build().map_err(|error| incomplete(&error))
}

fn incomplete(error: &aws_smithy_types::error::operation::BuildError) -> Fault {
    Fault::local(FaultClass::Invalid, "dms", error.to_string())
}

fn moment(time: Option<DateTime>) -> Option<Moment<Utc>> {
    time.and_then(|time| Moment::from_timestamp(time.secs(), time.subsec_nanos()))
}

impl From<ReplicationTask> for Task {
    fn from(task: ReplicationTask) -> Self {
        Self {
            arn: task.replication_task_arn.unwrap_or_default(),
            name: task.replication_task_identifier.unwrap_or_default(),
            instance: task.replication_instance_arn,
            source: task.source_endpoint_arn.unwrap_or_default(),
            target: task.target_endpoint_arn.unwrap_or_default(),
            mode: task.migration_type.map(|mode| mode.as_str().to_owned()).unwrap_or_default(),
            mappings: task.table_mappings.unwrap_or_default(),
            status: task.status.unwrap_or_default(),
            stop_reason: task.stop_reason.filter(|reason| !reason.is_empty()),
            last_failure_message: task.last_failure_message.filter(|message| !message.is_empty()),
            recovery_checkpoint: task.recovery_checkpoint.filter(|checkpoint| !checkpoint.is_empty()),
            has_run: task.replication_task_start_date.is_some(),
            stopped: task.replication_task_stats.as_ref().and_then(|stats| moment(stats.stop_date)),
            is_forgotten: false,
            stats: task.replication_task_stats.map(Stats::from),
        }
    }
}

/// The SDK has a type of its own for the counters of a task and for those of a serverless replication, with the same members.
macro_rules! reads_stats {
    ($($live:ty),*) => {$(
        impl From<$live> for Stats {
            fn from(stats: $live) -> Self {
                Self {
                    full_load_percent: stats.full_load_progress_percent,
                    elapsed_milliseconds: stats.elapsed_time_millis,
                    tables_loaded: stats.tables_loaded,
                    tables_loading: stats.tables_loading,
                    tables_queued: stats.tables_queued,
                    tables_errored: stats.tables_errored,
                    fresh_start: moment(stats.fresh_start_date),
                    started: moment(stats.start_date),
                    stopped: moment(stats.stop_date),
                    full_load_started: moment(stats.full_load_start_date),
                    full_load_finished: moment(stats.full_load_finish_date),
                }
            }
        }
    )*};
}

reads_stats!(ReplicationTaskStats, ReplicationStats);

impl From<TableStatistics> for Table {
    fn from(table: TableStatistics) -> Self {
        let applied = table.applied_inserts.map(|inserts| Changes {
            inserts,
            updates: table.applied_updates.unwrap_or_default(),
            deletes: table.applied_deletes.unwrap_or_default(),
            schema_changes: table.applied_ddls.unwrap_or_default(),
        });
        Self {
            schema: table.schema_name.unwrap_or_default(),
            name: table.table_name.unwrap_or_default(),
            state: table.table_state.unwrap_or_default(),
            full_load_rows: table.full_load_rows,
            full_load_errors: table.full_load_error_rows,
            full_load_started: moment(table.full_load_start_time),
            full_load_finished: moment(table.full_load_end_time),
            reloaded: table.full_load_reloaded.unwrap_or_default(),
            captured: Changes {
                inserts: table.inserts,
                updates: table.updates,
                deletes: table.deletes,
                schema_changes: table.ddls,
            },
            applied,
            updated: moment(table.last_update_time),
            validation_state: table.validation_state,
            validation_details: table.validation_state_details,
            validation_pending: table.validation_pending_records,
            validation_failed: table.validation_failed_records,
            validation_suspended: table.validation_suspended_records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_s_status_is_read_with_its_reason() {
        let failed = LiveConnection::builder().status("failed").last_failure_message("no route").build();
        assert_eq!(connection_state(failed), ConnectionState::Failed("no route".to_owned()));
        let testing = LiveConnection::builder().status("testing").build();
        assert_eq!(connection_state(testing), ConnectionState::Testing);
        assert_eq!(connection_state(LiveConnection::builder().build()), ConnectionState::Untested);
    }

    #[test]
    fn an_empty_stop_reason_is_none() {
        let task = Task::from(ReplicationTask::builder().status("stopped").stop_reason("").build());
        assert_eq!((task.status.as_str(), task.stop_reason), ("stopped", None));
    }

    #[test]
    fn applied_changes_are_absent_when_dms_does_not_tell() {
        assert_eq!(Table::from(TableStatistics::builder().inserts(3).build()).applied, None);
        let told = Table::from(TableStatistics::builder().inserts(3).applied_inserts(2).build());
        assert_eq!(told.applied.map(|changes| changes.inserts), Some(2));
    }
}
