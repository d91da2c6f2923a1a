//! Replication tasks and their table statistics. The work of a running task is in `run`.

use std::time::Duration;

use serde_json::{Value, json};

use super::common::{
    check_name, exists, filters, identifier, keep_tags, new_arn, not_found, page, passes, wrong_state,
};
use super::{connections, endpoints, instances, run, settings, surroundings};
use crate::call::{ApiError, Call, Fate};
use crate::clock::Timestamp;
use crate::load::Mappings;
use crate::world::dms::{Lifecycle, Task};

pub(crate) const CREATING: Duration = Duration::from_secs(45);
const MODIFYING: Duration = Duration::from_secs(20);
const STARTING: Duration = Duration::from_mins(2);
const STOPPING: Duration = Duration::from_mins(1);
const DELETING: Duration = Duration::from_secs(90);

/// `CreateReplicationTask`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = identifier(input, "ReplicationTaskIdentifier", 255)?;
    let (source, target) = (input.required("SourceEndpointArn")?, input.required("TargetEndpointArn")?);
    let instance = input.required("ReplicationInstanceArn")?;
    if !endpoints::by_arn(call, source)?.is_source {
        return Err(input.invalid(format!("Endpoint {source} is not a source endpoint")));
    }
    if endpoints::by_arn(call, target)?.is_source {
        return Err(input.invalid(format!("Endpoint {target} is not a target endpoint")));
    }
    let instance_name = instances::name_of(call, instance)?;
    let now = call.clock.now();
    let state = call.world.dms.instances[&instance_name].lifecycle.at(now).to_owned();
    if state != "available" {
        return Err(wrong_state(format!("ReplicationInstance {instance_name} is not available: {state}")));
    }
    if call.world.dms.tasks.get(&name).is_some_and(|old| !old.lifecycle.is_gone(now)) {
        return Err(exists(format!("Replication Task already exists: {name}")));
    }
    let arn = new_arn(call, "task")?;
    keep_tags(call, &arn)?;
    let end = if call.fate == Fate::Failure { "failed" } else { "ready" };
    let task = Task {
        identifier: name.clone(),
        arn,
        source_arn: source.to_owned(),
        target_arn: target.to_owned(),
        instance_arn: instance.to_owned(),
        migration_type: migration_type(call, input.required("MigrationType")?)?,
        mappings: mappings(call, input.required("TableMappings")?)?,
        settings: declared_settings(call)?.unwrap_or_else(|| json!({})),
        task_data: input.text("TaskData")?.map(str::to_owned),
        cdc_start: input.text("CdcStartPosition")?.map(str::to_owned),
        cdc_stop: input.text("CdcStopPosition")?.map(str::to_owned),
        created: now,
        lifecycle: Lifecycle::steady("creating").then(call.clock.after(CREATING), end),
        failure: None,
        stop_reason: None,
        fresh_start: None,
        started: None,
        stopped: None,
        load_started: None,
        load_finished: None,
        run: 0,
        start_type: String::new(),
        tables: Vec::new(),
        owner: None,
    };
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(name, task);
    Ok(json!({ "ReplicationTask": shown }))
}

fn migration_type(call: &Call<'_>, text: &str) -> Result<String, ApiError> {
    if ["full-load", "cdc", "full-load-and-cdc"].contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(call.input.invalid(format!("Invalid migration type: {text}")))
    }
}

fn mappings(call: &Call<'_>, text: &str) -> Result<String, ApiError> {
    Mappings::parse(text).map_err(|error| call.input.invalid(error))?;
    Ok(text.to_owned())
}

fn declared_settings(call: &Call<'_>) -> Result<Option<Value>, ApiError> {
    match call.input.text("ReplicationTaskSettings")?.filter(|text| !text.is_empty()) {
        Some(text) => settings::parse(text).map(Some).map_err(|error| call.input.invalid(error)),
        None => Ok(None),
    }
}

/// `DescribeReplicationTasks`. Also takes up work whose process died.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = filters(
        call.input,
        &["replication-task-id", "replication-task-arn", "migration-type", "endpoint-arn", "replication-instance-arn"],
    )?;
    let without = call.input.flag("WithoutSettings")?.unwrap_or(false);
    let now = call.clock.now();
    run::take_up(call);
    let found: Vec<Value> = call
        .world
        .dms
        .tasks
        .values()
        .filter(|task| !task.lifecycle.is_gone(now))
        .filter(|task| {
            passes(&filters, |name| match name {
                "replication-task-id" => vec![task.identifier.clone()],
                "replication-task-arn" => vec![task.arn.clone()],
                "migration-type" => vec![task.migration_type.clone()],
                "endpoint-arn" => vec![task.source_arn.clone(), task.target_arn.clone()],
                _ => vec![task.instance_arn.clone()],
            })
        })
        .map(|task| show(call, task, !without))
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found("No Tasks found matching provided filters"));
    }
    page(call.input, "ReplicationTasks", found)
}

/// The task with the request's ARN.
fn find(call: &Call<'_>) -> Result<Task, ApiError> {
    let arn = call.input.required("ReplicationTaskArn")?;
    let now = call.clock.now();
    let found = call.world.dms.tasks.values().find(|task| task.arn == arn && !task.lifecycle.is_gone(now)).cloned();
    found.ok_or_else(|| not_found(format!("Replication Task not found: {arn}")))
}

/// `ModifyReplicationTask`.
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let input = call.input;
    let state = task.lifecycle.at(call.clock.now()).to_owned();
    if !["ready", "stopped", "failed"].contains(&state.as_str()) {
        return Err(wrong_state(format!("Task {} is in state {state} and cannot be modified", task.identifier)));
    }
    if let Some(kind) = input.text("MigrationType")? {
        task.migration_type = migration_type(call, kind)?;
    }
    if let Some(text) = input.text("TableMappings")? {
        task.mappings = mappings(call, text)?;
    }
    if let Some(declared) = declared_settings(call)? {
        settings::merge(&mut task.settings, &declared);
    }
    if let Some(data) = input.text("TaskData")? {
        task.task_data = Some(data.to_owned());
    }
    if let Some(position) = input.text("CdcStartPosition")? {
        task.cdc_start = Some(position.to_owned());
    }
    if let Some(position) = input.text("CdcStopPosition")? {
        task.cdc_stop = Some(position.to_owned());
    }
    let old = task.identifier.clone();
    if let Some(new) = input.text("ReplicationTaskIdentifier")?.map(str::to_lowercase).filter(|new| *new != old) {
        check_name(input, "ReplicationTaskIdentifier", &new, 255)?;
        if call.world.dms.tasks.contains_key(&new) {
            return Err(exists(format!("Replication Task already exists: {new}")));
        }
        task.identifier = new;
    }
    let end = if call.fate == Fate::Failure { "failed" } else { &state };
    task.lifecycle = Lifecycle::steady("modifying").then(call.clock.after(MODIFYING), end);
    let shown = show(call, &task, true);
    call.world.dms.tasks.shift_remove(&old);
    call.world.dms.tasks.insert(task.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `MoveReplicationTask`, to an instance of the same or a newer version.
pub(super) fn relocate(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let input = call.input;
    let target = input.required("TargetReplicationInstanceArn")?;
    let state = task.lifecycle.at(call.clock.now()).to_owned();
    if !["ready", "stopped", "failed", "failed-move"].contains(&state.as_str()) {
        return Err(wrong_state(format!("Task {} is in state {state} and cannot be moved", task.identifier)));
    }
    if target == task.instance_arn {
        return Err(wrong_state(format!("Task {} is on the replication instance {target} already", task.identifier)));
    }
    let new = instances::name_of(call, target)?;
    let now = call.clock.now();
    if call.world.dms.instances[&new].lifecycle.at(now) != "available" {
        return Err(wrong_state(format!("Replication Instance {new} is not in an available state")));
    }
    let version = |arn: &str| {
        let found = call.world.dms.instances.values().find(|instance| instance.arn == arn);
        let text = found.and_then(|instance| instance.body.get("EngineVersion")).and_then(Value::as_str);
        text.unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()
    };
    if version(target) < version(&task.instance_arn) {
        return Err(wrong_state("The target replication instance has an older engine version"));
    }
    target.clone_into(&mut task.instance_arn);
    let end = if state == "failed-move" { "stopped" } else { &state };
    task.lifecycle = Lifecycle::steady("moving").then(call.clock.after(MODIFYING), end);
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(task.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `DeleteReplicationTask`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let state = task.lifecycle.at(call.clock.now()).to_owned();
    if !["ready", "stopped", "failed"].contains(&state.as_str()) {
        return Err(wrong_state(format!(
            "Replication Task {} is in state {state} and cannot be deleted",
            task.identifier
        )));
    }
    task.lifecycle = Lifecycle::steady("deleting").then_gone(call.clock.after(DELETING));
    task.owner = None;
    call.world.dms.tags.shift_remove(&task.arn);
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(task.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `StartReplicationTask`.
pub(super) fn start(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let now = call.clock.now();
    let kind = call.input.required("StartReplicationTaskType")?;
    let state = task.lifecycle.at(now).to_owned();
    if !["ready", "stopped", "failed"].contains(&state.as_str()) {
        return Err(wrong_state(format!(
            "Replication Task {} cannot be started, it is in state {state}",
            task.identifier
        )));
    }
    let has_run = task.run > 0;
    match kind {
        "start-replication" if has_run && task.migration_type != "cdc" => {
            return Err(wrong_state("Start Type : START_REPLICATION, valid only for tasks running for the first time"));
        }
        "resume-processing" if !has_run => {
            return Err(wrong_state("Start Type : RESUME_PROCESSING, not valid for tasks running for the first time"));
        }
        "reload-target" if !has_run || task.migration_type == "cdc" => {
            return Err(wrong_state(
                "Start Type : RELOAD_TARGET, valid only for tasks with a full load that ran before",
            ));
        }
        "start-replication" | "resume-processing" | "reload-target" => {}
        other => return Err(call.input.invalid(format!("Invalid start type: {other}"))),
    }
    connections::require_success(call, &task.instance_arn, &task.source_arn)?;
    connections::require_success(call, &task.instance_arn, &task.target_arn)?;
    let running_at = call.clock.after(STARTING);
    task.lifecycle = Lifecycle::steady("starting").then(running_at, "running");
    task.run += 1;
    kind.clone_into(&mut task.start_type);
    task.started = Some(now);
    task.failure = None;
    task.stop_reason = None;
    task.stopped = None;
    if kind != "resume-processing" {
        task.fresh_start = Some(now);
        task.load_started = None;
        task.load_finished = None;
        task.tables.clear();
    }
    task.owner = Some((run::new_owner(), now));
    if call.fate == Fate::Failure {
        task.lifecycle = Lifecycle::steady("starting").then(running_at, "failed");
        task.failure = Some("Last Error Fatal error has occurred Task error notification received from subtask 0, thread 0 Stop Reason FATAL_ERROR Error Level FATAL".to_owned());
        task.stop_reason = Some("Stop Reason FATAL_ERROR Error Level FATAL".to_owned());
        task.owner = None;
    }
    if let Some((owner, _)) = &task.owner {
        run::begin(call, &task.arn, owner);
    }
    surroundings::log(call, &task);
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(task.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `StopReplicationTask`.
pub(super) fn stop(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let now = call.clock.now();
    let state = task.lifecycle.at(now).to_owned();
    if state != "running" {
        return Err(wrong_state(format!("Replication Task {} is currently not running", task.identifier)));
    }
    let stopped = call.clock.after(STOPPING);
    task.lifecycle = Lifecycle::steady("stopping").then(stopped, "stopped");
    task.stop_reason = Some("Stop Reason NORMAL".to_owned());
    task.stopped = Some(stopped);
    task.owner = None;
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(task.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `DescribeTableStatistics`.
pub(super) fn table_statistics(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let task = find(call)?;
    let filters = filters(call.input, &["schema-name", "table-name", "table-state"])?;
    run::take_up(call);
    let updated = call.clock.now().epoch();
    let tables = task
        .tables
        .iter()
        .filter(|table| {
            passes(&filters, |name| {
                vec![match name {
                    "schema-name" => table.schema.clone(),
                    "table-name" => table.table.clone(),
                    _ => table.state.text().to_owned(),
                }]
            })
        })
        .map(|table| {
            json!({
                "SchemaName": table.schema, "TableName": table.table,
                "Inserts": table.inserts, "Deletes": table.deletes, "Updates": table.updates, "Ddls": 0,
                "AppliedInserts": table.inserts, "AppliedDeletes": table.deletes, "AppliedUpdates": table.updates, "AppliedDdls": 0,
                "FullLoadRows": table.rows, "FullLoadCondtnlChkFailedRows": 0, "FullLoadErrorRows": 0,
                "FullLoadStartTime": table.started.map(|at| Timestamp(at).epoch()),
                "FullLoadEndTime": table.ended.map(|at| Timestamp(at).epoch()),
                "FullLoadReloaded": table.reloaded,
                "LastUpdateTime": updated, "TableState": table.state.text(),
                "ValidationPendingRecords": 0, "ValidationFailedRecords": 0, "ValidationSuspendedRecords": 0, "ValidationState": "Not enabled",
            })
        })
        .collect();
    let mut answer = page(call.input, "TableStatistics", tables)?;
    answer["ReplicationTaskArn"] = json!(task.arn);
    Ok(answer)
}

fn show(call: &Call<'_>, task: &Task, with_settings: bool) -> Value {
    let now = call.clock.now();
    let status = task.lifecycle.at(now);
    let ended = !["starting", "running", "stopping"].contains(&status);
    let stats = task.started.map(|started| {
        let count = |states: &[&str]| task.tables.iter().filter(|table| states.contains(&table.state.text())).count();
        let estimate: u64 = task.tables.iter().map(|table| table.estimate.max(table.rows)).sum();
        let rows: u64 = task.tables.iter().map(|table| table.rows).sum();
        let percent = if task.load_finished.is_some() { 100 } else { rows.saturating_mul(100).checked_div(estimate).unwrap_or(0).min(99) };
        let end = task.stopped.filter(|_| ended).unwrap_or(now);
        json!({
            "FullLoadProgressPercent": percent,
            "ElapsedTimeMillis": u64::try_from(end.since(started).as_millis()).unwrap_or(u64::MAX),
            "TablesLoaded": count(&["Table completed"]), "TablesLoading": count(&["Full load"]), "TablesQueued": count(&["Before load"]),
            "TablesErrored": count(&["Table error"]),
            "FreshStartDate": task.fresh_start.map(Timestamp::epoch), "StartDate": started.epoch(),
            "StopDate": task.stopped.filter(|_| ended).map(Timestamp::epoch),
            "FullLoadStartDate": task.load_started.map(Timestamp::epoch), "FullLoadFinishDate": task.load_finished.map(Timestamp::epoch),
        })
    });
    json!({
        "ReplicationTaskIdentifier": task.identifier, "ReplicationTaskArn": task.arn,
        "SourceEndpointArn": task.source_arn, "TargetEndpointArn": task.target_arn, "ReplicationInstanceArn": task.instance_arn,
        "MigrationType": task.migration_type,
        "TableMappings": with_settings.then_some(&task.mappings),
        "ReplicationTaskSettings": with_settings.then(|| shown_settings(call, task)),
        "Status": status,
        "LastFailureMessage": task.failure.as_ref().filter(|_| ended),
        "StopReason": task.stop_reason.as_ref().filter(|_| ended),
        "ReplicationTaskCreationDate": task.created.epoch(),
        "ReplicationTaskStartDate": task.started.map(Timestamp::epoch),
        "TaskData": task.task_data,
        "CdcStartPosition": task.cdc_start, "CdcStopPosition": task.cdc_stop,
        "ReplicationTaskStats": stats,
    })
}

/// The settings as DMS tells them, with the log group and stream it chose once the task has written to them.
fn shown_settings(call: &Call<'_>, task: &Task) -> String {
    let mut full = settings::expanded(&task.settings);
    if let Some((group, stream)) = surroundings::log_names(call, task) {
        let known = call.world.logs.groups.get(&group).is_some_and(|group| group.streams.contains_key(&stream));
        if known {
            full["Logging"]["CloudWatchLogGroup"] = json!(group);
            full["Logging"]["CloudWatchLogStream"] = json!(stream);
        }
    }
    full.to_string()
}
