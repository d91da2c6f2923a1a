//! Replication tasks and their table statistics. The work of a running task is in `run`.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

use super::common::{
    check_name, exists, filters, identifier, keep_tags, new_arn, not_found, page, passes, wrong_state,
};
use super::{connections, endpoints, events, instances, progress, quotas, run, settings, surroundings};
use crate::Quota;
use crate::call::{ApiError, Call, Fate, Input};
use crate::clock::Timestamp;
use crate::load::State;
use crate::world::dms::{Lifecycle, Task, Work};

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
    endpoints::check_ends(call, source, target)?;
    let instance_name = instances::name_of(call, instance)?;
    let now = call.clock.now();
    let state = call.world.dms.instances[&instance_name].lifecycle.at(now).to_owned();
    if state != "available" {
        return Err(wrong_state(format!("ReplicationInstance {instance_name} is not available: {state}")));
    }
    if call.world.dms.tasks.get(&name).is_some_and(|old| !old.work.lifecycle.is_gone(now)) {
        return Err(exists(format!("Replication Task already exists: {name}")));
    }
    quotas::require_room(call, Quota::ReplicationTasks)?;
    quotas::require_room_for_task(call, instance)?;
    quotas::require_room_for_endpoints(call, instance, &[source, target])?;
    let arn = new_arn(call, "task")?;
    keep_tags(call, &arn)?;
    let end = if call.fate == Fate::Failure { "failed" } else { "ready" };
    let lifecycle = Lifecycle::steady("creating").then(call.clock.after(CREATING), end);
    let mut work = Work::new(name.clone(), arn, now, lifecycle);
    source.clone_into(&mut work.source_arn);
    target.clone_into(&mut work.target_arn);
    work.migration_type = progress::migration_type(input, input.required("MigrationType")?)?;
    work.mappings = progress::mappings(input, input.required("TableMappings")?)?;
    work.settings = progress::declared_settings(input, "ReplicationTaskSettings")?.unwrap_or_else(|| json!({}));
    work.cdc_start = input.text("CdcStartPosition")?.map(str::to_owned);
    work.cdc_stop = stop_position(input)?;
    let task = Task {
        work,
        instance_arn: instance.to_owned(),
        moves_to: None,
        task_data: input.text("TaskData")?.map(str::to_owned),
    };
    let shown = show(call, &task, true);
    events::of_task(&mut call.world.dms, &name, "creation", "The replication task was created.", now);
    call.world.dms.tasks.insert(name, task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// Where the request wants changes to end: "The value can be either server time or commit time. Server time example:
/// --cdc-stop-position “server_time:2018-02-09T12:12:12”" (DMS API reference, `CreateReplicationTask`).
fn stop_position(input: Input<'_>) -> Result<Option<String>, ApiError> {
    static POSITION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(server|commit)_time: ?\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z?$").expect("a constant pattern")
    });
    let text = input.text("CdcStopPosition")?.filter(|text| !text.is_empty());
    match text {
        Some(text) if !POSITION.is_match(text) => Err(input.invalid(format!("Invalid CdcStopPosition: {text}"))),
        other => Ok(other.map(str::to_owned)),
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
        .filter(|task| !task.work.lifecycle.is_gone(now))
        .filter(|task| {
            passes(&filters, |name| match name {
                "replication-task-id" => vec![task.work.identifier.clone()],
                "replication-task-arn" => vec![task.work.arn.clone()],
                "migration-type" => vec![task.work.migration_type.clone()],
                "endpoint-arn" => vec![task.work.source_arn.clone(), task.work.target_arn.clone()],
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
pub(super) fn find(call: &Call<'_>) -> Result<Task, ApiError> {
    let arn = call.input.required("ReplicationTaskArn")?;
    let now = call.clock.now();
    let found =
        call.world.dms.tasks.values().find(|task| task.work.arn == arn && !task.work.lifecycle.is_gone(now)).cloned();
    found.ok_or_else(|| not_found(format!("Replication Task not found: {arn}")))
}

/// `ModifyReplicationTask`.
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let input = call.input;
    let state = task.work.lifecycle.at(call.clock.now()).to_owned();
    if !["ready", "stopped", "failed"].contains(&state.as_str()) {
        return Err(wrong_state(format!("Task {} is in state {state} and cannot be modified", task.work.identifier)));
    }
    if let Some(kind) = input.text("MigrationType")? {
        task.work.migration_type = progress::migration_type(input, kind)?;
    }
    if let Some(text) = input.text("TableMappings")? {
        task.work.mappings = progress::mappings(input, text)?;
    }
    if let Some(declared) = progress::declared_settings(input, "ReplicationTaskSettings")? {
        settings::merge(&mut task.work.settings, &declared);
    }
    if let Some(data) = input.text("TaskData")? {
        task.task_data = Some(data.to_owned());
    }
    if let Some(position) = input.text("CdcStartPosition")? {
        task.work.cdc_start = Some(position.to_owned());
    }
    task.work.cdc_stop = stop_position(input)?.or(task.work.cdc_stop);
    let old = task.work.identifier.clone();
    if let Some(new) = input.text("ReplicationTaskIdentifier")?.map(str::to_lowercase).filter(|new| *new != old) {
        check_name(input, "ReplicationTaskIdentifier", &new, 255)?;
        if call.world.dms.tasks.contains_key(&new) {
            return Err(exists(format!("Replication Task already exists: {new}")));
        }
        task.work.identifier = new;
    }
    let end = if call.fate == Fate::Failure { "failed" } else { &state };
    task.work.lifecycle = Lifecycle::steady("modifying").then(call.clock.after(MODIFYING), end);
    let shown = show(call, &task, true);
    let now = call.clock.now();
    events::of_task(&mut call.world.dms, &old, "configuration change", "The replication task was modified.", now);
    call.world.dms.tasks.shift_remove(&old);
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `MoveReplicationTask`, to an instance of the same or a newer version.
pub(super) fn relocate(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let input = call.input;
    let target = input.required("TargetReplicationInstanceArn")?;
    let state = task.work.lifecycle.at(call.clock.now()).to_owned();
    if !["ready", "stopped", "failed", "failed-move"].contains(&state.as_str()) {
        return Err(wrong_state(format!("Task {} is in state {state} and cannot be moved", task.work.identifier)));
    }
    if target == task.instance_arn {
        return Err(wrong_state(format!(
            "Task {} is on the replication instance {target} already",
            task.work.identifier
        )));
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
    quotas::require_room_for_task(call, target)?;
    quotas::require_room_for_endpoints(call, target, &[&task.work.source_arn, &task.work.target_arn])?;
    task.moves_to = Some(target.to_owned());
    let end = match state.as_str() {
        _ if call.fate == Fate::Failure => "failed-move",
        "failed-move" => "stopped",
        other => other,
    };
    // What fails stays where it was.
    let home = if end == "failed-move" { task.instance_arn.clone() } else { target.to_owned() };
    task.work.lifecycle = Lifecycle::steady("moving").then(call.clock.after(MODIFYING), end);
    let shown = show(call, &task, true);
    task.instance_arn = home;
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `DeleteReplicationTask`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let state = task.work.lifecycle.at(call.clock.now()).to_owned();
    if !["ready", "stopped", "failed", "failed-move"].contains(&state.as_str()) {
        return Err(wrong_state(format!(
            "Replication Task {} is in state {state} and cannot be deleted",
            task.work.identifier
        )));
    }
    task.work.lifecycle = Lifecycle::steady("deleting").then_gone(call.clock.after(DELETING));
    task.work.owner = None;
    call.world.dms.tags.shift_remove(&task.work.arn);
    let now = call.clock.now();
    events::of_task(&mut call.world.dms, &task.work.identifier, "deletion", "The replication task was deleted.", now);
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `StartReplicationTask`.
pub(super) fn start(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let now = call.clock.now();
    let kind = call.input.required("StartReplicationTaskType")?;
    let state = task.work.lifecycle.at(now).to_owned();
    if !["ready", "stopped", "failed"].contains(&state.as_str()) {
        return Err(wrong_state(format!(
            "Replication Task {} cannot be started, it is in state {state}",
            task.work.identifier
        )));
    }
    let has_run = task.work.run > 0;
    match kind {
        "start-replication" if has_run && task.work.migration_type != "cdc" => {
            return Err(wrong_state("Start Type : START_REPLICATION, valid only for tasks running for the first time"));
        }
        "resume-processing" if !has_run => {
            return Err(wrong_state("Start Type : RESUME_PROCESSING, not valid for tasks running for the first time"));
        }
        "reload-target" if !has_run || task.work.migration_type == "cdc" => {
            return Err(wrong_state(
                "Start Type : RELOAD_TARGET, valid only for tasks with a full load that ran before",
            ));
        }
        "start-replication" | "resume-processing" | "reload-target" => {}
        other => return Err(call.input.invalid(format!("Invalid start type: {other}"))),
    }
    connections::require_success(call, &task.instance_arn, &task.work.source_arn)?;
    connections::require_success(call, &task.instance_arn, &task.work.target_arn)?;
    let running_at = call.clock.after(STARTING);
    task.work.begin(kind, Lifecycle::steady("starting").then(running_at, "running"), now);
    task.work.breaks = call.fate == Fate::Recoverable;
    task.work.owner = Some((run::new_owner(), now));
    if call.fate == Fate::Failure {
        task.work.lifecycle = Lifecycle::steady("starting").then(running_at, "failed");
        task.work.failure = Some(progress::PLANTED_FAILURE.to_owned());
        task.work.stop_reason = Some(progress::FATAL_ERROR.to_owned());
        task.work.owner = None;
    }
    if let Some((owner, _)) = &task.work.owner {
        run::begin(call, &task.work.arn, owner);
    }
    let names = surroundings::task_log(call, &task);
    surroundings::log(call, names);
    let name = &task.work.identifier;
    events::of_task(&mut call.world.dms, name, "state change", "The replication task has started.", now);
    let shown = show(call, &task, true);
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `StopReplicationTask`.
pub(super) fn stop(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut task = find(call)?;
    let now = call.clock.now();
    let state = task.work.lifecycle.at(now).to_owned();
    if state != "running" {
        return Err(wrong_state(format!("Replication Task {} is currently not running", task.work.identifier)));
    }
    let stopped = call.clock.after(STOPPING);
    task.work.lifecycle = Lifecycle::steady("stopping").then(stopped, "stopped");
    task.work.stop_reason = Some("Stop Reason NORMAL".to_owned());
    task.work.stopped = Some(stopped);
    task.work.owner = None;
    for table in &mut task.work.tables {
        if matches!(table.state, State::Loading | State::Reloading) {
            table.state = State::Cancelled;
        }
    }
    let shown = show(call, &task, true);
    let name = &task.work.identifier;
    events::of_task(&mut call.world.dms, name, "state change", "The replication task has stopped.", stopped);
    call.world.dms.tasks.insert(task.work.identifier.clone(), task);
    Ok(json!({ "ReplicationTask": shown }))
}

/// `DescribeTableStatistics`.
pub(super) fn table_statistics(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let task = find(call)?;
    run::take_up(call);
    let mut answer = progress::tables(call, &task.work, "TableStatistics")?;
    answer["ReplicationTaskArn"] = json!(task.work.arn);
    Ok(answer)
}

fn show(call: &Call<'_>, task: &Task, with_settings: bool) -> Value {
    let now = call.clock.now();
    let work = &task.work;
    let ended = !work.is_busy(now);
    let settings = || progress::settings(call, work, surroundings::task_log(call, task));
    json!({
        "ReplicationTaskIdentifier": work.identifier, "ReplicationTaskArn": work.arn,
        "SourceEndpointArn": work.source_arn, "TargetEndpointArn": work.target_arn, "ReplicationInstanceArn": task.instance_arn,
        "TargetReplicationInstanceArn": task.moves_to.as_ref().filter(|_| work.lifecycle.at(now) == "moving"),
        "MigrationType": work.migration_type,
        "TableMappings": with_settings.then_some(&work.mappings),
        "ReplicationTaskSettings": with_settings.then(settings),
        "Status": work.lifecycle.at(now),
        "LastFailureMessage": work.failure.as_ref().filter(|_| ended),
        "StopReason": work.stop_reason.as_ref().filter(|_| ended),
        "ReplicationTaskCreationDate": work.created.epoch(),
        "ReplicationTaskStartDate": work.started.map(Timestamp::epoch),
        "TaskData": task.task_data,
        "CdcStartPosition": work.cdc_start, "CdcStopPosition": work.cdc_stop,
        "ReplicationTaskStats": progress::stats(work, now),
    })
}
