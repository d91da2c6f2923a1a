//! DMS as [`Replication`]: the calls of `towpath_aws::dms` in this module's words.

use async_trait::async_trait;
use towpath_aws::cloud::Cloud;
use towpath_aws::dms;
use towpath_engine::fault::Fault;

use super::{Connection, Replication, StartType, TableName, TableState, Task};

#[async_trait]
impl Replication for Cloud {
    async fn task(&self, task: &str) -> Result<Task, Fault> {
        let found = dms::task(self, task).await?;
        let stats = found.stats.as_ref();
        let full_load_started = stats.and_then(|stats| stats.full_load_started);
        Ok(Task {
            arn: found.arn,
            status: found.status,
            stop_reason: found.stop_reason,
            failure: found.last_failure_message,
            mode: found.mode,
            serverless: found.instance.is_none(),
            instance: found.instance.unwrap_or_default(),
            source: found.source,
            target: found.target,
            mappings: found.mappings,
            has_run: found.has_run,
            forgotten: found.is_forgotten,
            stopped: found.stopped,
            started: stats.and_then(|stats| stats.fresh_start.or(stats.started)).or(full_load_started),
            full_load_started,
            full_load_finished: stats.and_then(|stats| stats.full_load_finished),
            tables_errored: stats.map_or(0, |stats| u32::try_from(stats.tables_errored).unwrap_or_default()),
        })
    }

    async fn tables(&self, task: &str) -> Result<Vec<TableState>, Fault> {
        let tables = dms::table_statistics(self, task).await?;
        let state = |table: dms::Table| TableState {
            name: TableName { schema: table.schema, table: table.name },
            state: table.state,
            rows: u64::try_from(table.full_load_rows).unwrap_or_default(),
            started: table.full_load_started,
        };
        Ok(tables.into_iter().map(state).collect())
    }

    async fn connection(&self, instance: &str, endpoint: &str) -> Result<Option<Connection>, Fault> {
        let (status, failure) = match dms::connection(self, instance, endpoint).await? {
            dms::ConnectionState::Untested => return Ok(None),
            dms::ConnectionState::Testing => ("testing", None),
            dms::ConnectionState::Successful => ("successful", None),
            dms::ConnectionState::Failed(message) => ("failed", Some(message)),
        };
        Ok(Some(Connection { status: status.to_owned(), failure }))
    }

    async fn test_connection(&self, instance: &str, endpoint: &str) -> Result<(), Fault> {
        dms::test_connection(self, instance, endpoint).await
    }

    async fn start(&self, task: &str, how: StartType) -> Result<(), Fault> {
        let how = match how {
            StartType::StartReplication => dms::StartType::Start,
            StartType::ResumeProcessing => dms::StartType::Resume,
            StartType::ReloadTarget => dms::StartType::Reload,
        };
        dms::start(self, task, how).await
    }

    async fn reload_tables(&self, task: &str, tables: &[TableName]) -> Result<(), Fault> {
        let tables: Vec<_> = tables.iter().map(|name| (name.schema.clone(), name.table.clone())).collect();
        dms::reload_tables(self, task, &tables).await
    }
}
