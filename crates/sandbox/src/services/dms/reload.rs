//! `ReloadTables` and `ReloadReplicationTables`: single tables of a running task or serverless replication are loaded
//! again. The rows are moved by the run.

use serde_json::{Value, json};

use super::common::{not_found, wrong_state};
use super::{replications, tasks};
use crate::call::{ApiError, Call, Input};
use crate::load::State;
use crate::world::dms::Work;

/// "Reloads the target database table with the source data. You can only use this operation with a task in the RUNNING
/// state, otherwise the service will throw an InvalidResourceStateFault exception" (`ReloadTables`).
pub(super) fn reload_tables(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = tasks::find(call)?;
    let (input, state) = (call.input, task.work.lifecycle.at(call.clock.now()).to_owned());
    reload(input, "Replication Task", &mut task.work, &state)?;
    let arn = task.work.arn.clone();
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTaskArn": arn }))
}

/// "Reloads the target database table with the source data for a given DMS Serverless replication configuration. You can
/// only use this operation with a task in the RUNNING state, otherwise the service will throw an
/// InvalidResourceStateFault exception" (`ReloadReplicationTables`).
pub(super) fn reload_replication_tables(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (mut replication, state) = replications::find(call)?;
    reload(call.input, "Replication for Replication Config", &mut replication.work, &state)?;
    let arn = replication.work.arn.clone();
    replications::keep(call, replication);
    Ok(json!({ "ReplicationConfigArn": arn }))
}

/// Notes which tables are to be loaded again.
fn reload(input: Input<'_>, what: &str, work: &mut Work, state: &str) -> Result<(), ApiError> {
    let asked = input.structures("TablesToReload")?;
    if asked.is_empty() {
        return Err(input.missing("TablesToReload"));
    }
    if state != "running" {
        return Err(wrong_state(format!(
            "{what} {} is in state {state}; tables can be reloaded only while it is running",
            work.identifier
        )));
    }
    match input.text("ReloadOption")?.unwrap_or("data-reload") {
        "data-reload" => {}
        // "This option applies only when validation is enabled", and the sandbox does not play validation.
        "validate-only" => {
            return Err(wrong_state(format!("Validation is not enabled for {what} {}", work.identifier)));
        }
        other => return Err(input.invalid(format!("Invalid reload option: {other}"))),
    }
    for table in asked {
        let name = (table.required("SchemaName")?.to_owned(), table.required("TableName")?.to_owned());
        let known = work.tables.iter_mut().find(|own| (&own.schema, &own.table) == (&name.0, &name.1));
        let known = known.ok_or_else(|| not_found(format!("Table {}.{} is not part of {what}", name.0, name.1)))?;
        if matches!(known.state, State::Completed | State::Error) {
            known.state = State::Reloading;
        }
        if !work.reloads.contains(&name) {
            work.reloads.push(name);
        }
    }
    Ok(())
}
