//! The calls of `dms` for DMS Serverless, where a replication is known by the ARN of its configuration.
//!
//! A replication has no instance and no connection test of its own: it tests in its start. Answers have the form of a
//! task's.

use aws_sdk_databasemigration::types::{Filter, Replication, ReplicationConfig, TableToReload};
use towpath_engine::fault::{Fault, FaultClass};

use super::{StartType, Stats, Table, Task, filter, moment};
use crate::cloud::Cloud;
use crate::fault::fault;

/// What the ARN of a configuration has where a task's has `task`.
pub(super) const RESOURCE: &str = "replication-config";

/// The states between a start and running, in their order. Source: DMS user guide, "AWS DMS Serverless components".
const BEGINNING: [&str; 7] = [
    "initializing",
    "preparing_metadata_resources",
    "testing_connection",
    "fetching_metadata",
    "calculating_capacity",
    "provisioning_capacity",
    "replication_starting",
];

/// Whether a status is one between a start and running.
pub(super) fn is_beginning(status: &str) -> bool {
    BEGINNING.contains(&status)
}

/// Whether an ARN is that of a configuration.
pub(super) fn is_config(arn: &str) -> bool {
    arn.rsplit(':').nth(1) == Some(RESOURCE)
}

pub(super) async fn start(cloud: &Cloud, arn: &str, how: StartType) -> Result<(), Fault> {
    let how = match how {
        StartType::Start => "start-replication",
        StartType::Resume => "resume-processing",
        StartType::Reload => "reload-target",
    };
    let call = cloud.dms().await.start_replication().replication_config_arn(arn).start_replication_type(how);
    call.send().await.map(drop).map_err(fault("dms:StartReplication"))
}

pub(super) async fn stop(cloud: &Cloud, arn: &str) -> Result<(), Fault> {
    let call = cloud.dms().await.stop_replication().replication_config_arn(arn);
    call.send().await.map(drop).map_err(fault("dms:StopReplication"))
}

pub(super) async fn task(cloud: &Cloud, arn: &str) -> Result<Task, Fault> {
    let client = cloud.dms().await;
    let by_arn = || -> Result<Option<Vec<Filter>>, Fault> { Ok(Some(vec![filter("replication-config-arn", arn)?])) };
    let configs = client.describe_replication_configs().set_filters(by_arn()?);
    let runs = client.describe_replications().set_filters(by_arn()?);
    let configs = async { configs.send().await.map_err(fault("dms:DescribeReplicationConfigs")) };
    let runs = async { runs.send().await.map_err(fault("dms:DescribeReplications")) };
    let (configs, runs) = futures::try_join!(configs, runs)?;
    let config = configs.replication_configs.unwrap_or_default().into_iter().next();
    let run = runs.replications.unwrap_or_default().into_iter().next();
    let config = config.ok_or_else(|| {
        let message = format!("there is no replication {arn}");
        Fault::local(FaultClass::NotFound, "dms:DescribeReplicationConfigs", message)
    })?;
    Ok(read(config, run.unwrap_or_else(|| Replication::builder().status("created").build())))
}

fn read(config: ReplicationConfig, run: Replication) -> Task {
    let failures = run.failure_messages().join("; ");
    let capacity = run.provision_data.and_then(|data| data.provision_state);
    Task {
        arn: config.replication_config_arn.unwrap_or_default(),
        name: config.replication_config_identifier.unwrap_or_default(),
        instance: None,
        source: config.source_endpoint_arn.unwrap_or_default(),
        target: config.target_endpoint_arn.unwrap_or_default(),
        mode: config.replication_type.map(|mode| mode.as_str().to_owned()).unwrap_or_default(),
        mappings: config.table_mappings.unwrap_or_default(),
        status: run.status.unwrap_or_default(),
        stop_reason: run.stop_reason.filter(|reason| !reason.is_empty()),
        last_failure_message: Some(failures).filter(|message| !message.is_empty()),
        recovery_checkpoint: run.recovery_checkpoint.filter(|checkpoint| !checkpoint.is_empty()),
        has_run: run.start_replication_type.is_some_and(|how| !how.is_empty())
            || run.replication_last_stop_time.is_some(),
        stopped: moment(run.replication_last_stop_time),
        is_forgotten: capacity.as_deref() == Some("deprovisioned"),
        stats: run.replication_stats.map(Stats::from),
    }
}

pub(super) async fn table_statistics(cloud: &Cloud, arn: &str) -> Result<Vec<Table>, Fault> {
    let call = cloud.dms().await.describe_replication_table_statistics().replication_config_arn(arn).max_records(100);
    let pages = call.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = pages.map_err(fault("dms:DescribeReplicationTableStatistics"))?;
    let tables = pages.into_iter().flat_map(|page| page.replication_table_statistics.unwrap_or_default());
    Ok(tables.map(Table::from).collect())
}

/// Loads at most ten tables again.
pub(super) async fn reload_tables(cloud: &Cloud, arn: &str, tables: Vec<TableToReload>) -> Result<(), Fault> {
    use aws_sdk_databasemigration::types::ReloadOptionValue::DataReload;
    let call = cloud.dms().await.reload_replication_tables().replication_config_arn(arn);
    let call = call.set_tables_to_reload(Some(tables)).reload_option(DataReload);
    call.send().await.map(drop).map_err(fault("dms:ReloadReplicationTables"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_databasemigration::types::ProvisionData;

    use super::*;

    #[test]
    fn a_configuration_is_told_by_its_arn() {
        assert!(is_config("arn:aws:dms:eu-north-1:111122223333:replication-config:club-load"));
        assert!(!is_config("arn:aws:dms:eu-north-1:111122223333:task:replication-config"));
    }

    #[test]
    fn a_replication_reads_as_a_task_without_an_instance() {
        let data = ProvisionData::builder().provision_state("deprovisioned").build();
        let run = Replication::builder().status("failed").failure_messages("no route").failure_messages("to host");
        let task = read(ReplicationConfig::builder().build(), run.provision_data(data).build());
        assert_eq!((task.instance, task.status.as_str()), (None, "failed"));
        assert_eq!(task.last_failure_message.as_deref(), Some("no route; to host"));
        assert!(task.is_forgotten && !task.has_run && task.stats.is_none());
    }
}
