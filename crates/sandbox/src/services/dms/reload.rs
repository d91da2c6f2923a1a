//! `ReloadTables`: single tables of a running task are loaded again. The rows are moved by the run of the task.

use serde_json::{Value, json};

use super::common::{not_found, wrong_state};
use super::tasks;
use crate::call::{ApiError, Call};
use crate::load::State;

/// "Reloads the target database table with the source data. You can only use this operation with a task in the RUNNING
/// state, otherwise the service will throw an InvalidResourceStateFault exception" (`ReloadTables`).
pub(super) fn reload_tables(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = tasks::find(call)?;
    let input = call.input;
    let asked = input.structures("TablesToReload")?;
    if asked.is_empty() {
        return Err(input.missing("TablesToReload"));
    }
    let state = task.work.lifecycle.at(call.clock.now()).to_owned();
    if state != "running" {
        return Err(wrong_state(format!(
            "Replication Task {} is in state {state}; tables can be reloaded only while it is running",
            task.work.identifier
        )));
    }
    match input.text("ReloadOption")?.unwrap_or("data-reload") {
        "data-reload" => {}
        // "This option applies only when validation is enabled for the task", and the sandbox does not play validation.
        "validate-only" => return Err(wrong_state("Validation is not enabled for the replication task")),
        other => return Err(input.invalid(format!("Invalid reload option: {other}"))),
    }
    for table in asked {
        let name = (table.required("SchemaName")?.to_owned(), table.required("TableName")?.to_owned());
        let known = task.work.tables.iter_mut().find(|own| (&own.schema, &own.table) == (&name.0, &name.1));
        let known = known.ok_or_else(|| not_found(format!("Table {}.{} is not part of the task", name.0, name.1)))?;
        if matches!(known.state, State::Completed | State::Error) {
            known.state = State::Reloading;
        }
        if !task.work.reloads.contains(&name) {
            task.work.reloads.push(name);
        }
    }
    let arn = task.work.arn.clone();
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTaskArn": arn }))
}
