//! The work of a running task: waits until it runs, copies, and writes the end.
//!
//! One process owns a run and says so in the task every half second. A run whose owner has been silent is taken up by
//! the next process that looks, which loads unfinished tables afresh, as DMS recovers. A run whose task no longer names it
//! (stopped, deleted, started again) ends at its next beat, together with its connections.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{probe, settings};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::load::{self, Choices, Job, Mappings, Preparation, Progress, State};
use crate::services::redshift_data::warehouse;
use crate::world::dms::{Lifecycle, Task};

const BEAT: Duration = Duration::from_millis(500);
/// An owner that was silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(6);

/// A name for the owner of a run.
pub(super) fn new_owner() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Begins the run of a task that was just started.
pub(super) fn begin(call: &mut Call<'_>, arn: &str, owner: &str) {
    let (arn, owner) = (arn.to_owned(), owner.to_owned());
    call.afterwards(move |cloud| async move { execute(&cloud, &arn, &owner).await });
}

fn is_under_way(task: &Task, now: crate::clock::Timestamp) -> bool {
    ["starting", "running"].contains(&task.lifecycle.at(now))
}

/// Takes up every run whose owner is dead.
pub(super) fn take_up(call: &mut Call<'_>) {
    let now = call.clock.now();
    let orphans: Vec<String> = call
        .world
        .dms
        .tasks
        .values()
        .filter(|task| {
            is_under_way(task, now) && task.owner.as_ref().is_some_and(|(_, beat)| now.since(*beat) > SILENCE)
        })
        .map(|task| task.identifier.clone())
        .collect();
    for name in orphans {
        let owner = new_owner();
        if let Some(task) = call.world.dms.tasks.get_mut(&name) {
            task.owner = Some((owner.clone(), now));
            "resume-processing".clone_into(&mut task.start_type);
            let arn = task.arn.clone();
            begin(call, &arn, &owner);
        }
    }
}

/// Watches the runs that were under way when this process began, until they have an owner or an end.
pub(crate) fn resume(cloud: &Cloud) {
    let watched = cloud.clone();
    cloud.spawn(async move {
        loop {
            let now = watched.clock().now();
            let found = watched.read(|world| {
                world
                    .dms
                    .tasks
                    .values()
                    .filter(|task| is_under_way(task, now))
                    .filter_map(|task| Some((task.arn.clone(), task.owner.clone()?)))
                    .collect::<Vec<_>>()
            });
            let Ok(found) = found else { return };
            let Some((arn, _)) = found.iter().find(|(_, (_, beat))| now.since(*beat) > SILENCE) else {
                if found.is_empty() {
                    return;
                }
                tokio::time::sleep(BEAT * 4).await;
                continue;
            };
            let owner = new_owner();
            let taken = watched.write(|world| {
                let task = world.dms.tasks.values_mut().find(|task| task.arn == *arn)?;
                let is_silent = task.owner.as_ref().is_some_and(|(_, beat)| now.since(*beat) > SILENCE);
                is_silent.then(|| {
                    task.owner = Some((owner.clone(), now));
                    "resume-processing".clone_into(&mut task.start_type);
                })
            });
            if let Ok(Some(())) = taken {
                let (cloud, arn) = (watched.clone(), arn.clone());
                watched.spawn(async move { execute(&cloud, &arn, &owner).await });
            }
        }
    });
}

/// How a run ended.
enum End {
    /// Every table was tried.
    Finished,
    /// The task as a whole failed.
    Failed(String),
}

async fn execute(cloud: &Cloud, arn: &str, owner: &str) {
    let progress = Arc::new(Progress::default());
    tokio::select! {
        end = load(cloud, arn, &progress) => finish(cloud, arn, owner, &progress, end),
        () = beat(cloud, arn, owner, &progress) => {}
    }
}

/// Writes progress until the task no longer belongs to this run.
async fn beat(cloud: &Cloud, arn: &str, owner: &str, progress: &Progress) {
    loop {
        tokio::time::sleep(BEAT).await;
        let now = cloud.clock().now();
        let tables = progress.tables();
        let mine = cloud.write(|world| match world.dms.tasks.values_mut().find(|task| task.arn == arn) {
            Some(task) if task.owner.as_ref().is_some_and(|(own, _)| own == owner) => {
                task.owner = Some((owner.to_owned(), now));
                if !tables.is_empty() {
                    task.load_started.get_or_insert(now);
                    task.tables = tables;
                }
                true
            }
            _ => false,
        });
        if !matches!(mine, Ok(true)) {
            return;
        }
    }
}

async fn load(cloud: &Cloud, arn: &str, progress: &Progress) -> End {
    let Ok(Some(task)) = cloud.read(|world| world.dms.tasks.values().find(|task| task.arn == arn).cloned()) else {
        return End::Failed("the task is gone".to_owned());
    };
    if let Some(running_at) = task.lifecycle.settles_at() {
        tokio::time::sleep(running_at.since(cloud.clock().now())).await;
    }
    if task.migration_type != "full-load" {
        return End::Failed("change data capture is not available in the sandbox".to_owned());
    }
    match prepare(cloud, &task).await {
        Ok(job) => match load::run(job, progress).await {
            Ok(()) => End::Finished,
            Err(error) => End::Failed(error),
        },
        Err(error) => End::Failed(error),
    }
}

async fn prepare(cloud: &Cloud, task: &Task) -> Result<Job, String> {
    let full = settings::expanded(&task.settings);
    let namespace = probe::target_namespace(cloud, &task.target_arn)?;
    let (source, target) = (probe::source(cloud, &task.source_arn)?, warehouse::config(cloud, &namespace).await?);
    let maps_booleans = |arn: &str| {
        let found = cloud.read(|world| {
            let endpoint = world.dms.endpoints.values().find(|endpoint| endpoint.arn == arn)?;
            endpoint.settings.get("MapBooleanAsBoolean").and_then(Value::as_bool)
        });
        matches!(found, Ok(Some(true)))
    };
    let number = |group: &str, key: &str| full[group][key].as_i64().or_else(|| full[group][key].as_str()?.parse().ok());
    Ok(Job {
        source,
        target,
        mappings: Mappings::parse(&task.mappings)?,
        target_schema: full["TargetMetadata"]["TargetSchema"]
            .as_str()
            .filter(|name| !name.is_empty())
            .map(str::to_lowercase),
        choices: Choices {
            lob_kilobytes: number("TargetMetadata", "LobMaxSize").unwrap_or(32),
            lobs: full["TargetMetadata"]["SupportLobs"] != Value::Bool(false),
            booleans: maps_booleans(&task.source_arn) && maps_booleans(&task.target_arn),
        },
        preparation: match full["FullLoadSettings"]["TargetTablePrepMode"].as_str() {
            Some("TRUNCATE_BEFORE_LOAD") => Preparation::Truncate,
            Some("DO_NOTHING") => Preparation::Nothing,
            _ => Preparation::DropAndCreate,
        },
        subtasks: usize::try_from(number("FullLoadSettings", "MaxFullLoadSubTasks").unwrap_or(8))
            .unwrap_or(8)
            .clamp(1, 49),
        stop_on_table_error: full["ErrorBehavior"]["TableErrorPolicy"].as_str() == Some("STOP_TASK"),
        fail_without_tables: full["ErrorBehavior"]["FailOnNoTablesCaptured"] != Value::Bool(false),
        done: if task.start_type == "resume-processing" {
            task.tables.iter().filter(|table| table.state == State::Completed).cloned().collect()
        } else {
            Vec::new()
        },
        reloaded: task.start_type == "reload-target",
    })
}

fn finish(cloud: &Cloud, arn: &str, owner: &str, progress: &Progress, end: End) {
    let now = cloud.clock().now();
    let tables = progress.tables();
    let written = cloud.write(|world| {
        let Some(task) = world.dms.tasks.values_mut().find(|task| task.arn == arn) else { return };
        if task.owner.as_ref().is_none_or(|(own, _)| own != owner) {
            return;
        }
        task.owner = None;
        task.stopped = Some(now);
        if !tables.is_empty() {
            task.load_started.get_or_insert(now);
            task.tables = tables;
        }
        match end {
            End::Finished => {
                task.lifecycle = Lifecycle::steady("stopped");
                task.load_finished = Some(now);
                task.stop_reason = Some("Stop Reason FULL_LOAD_ONLY_FINISHED".to_owned());
                let errors: Vec<String> = task
                    .tables
                    .iter()
                    .filter_map(|table| {
                        Some(format!("Table '{}.{}': {}", table.schema, table.table, table.error.as_ref()?))
                    })
                    .collect();
                task.failure = (!errors.is_empty()).then(|| errors.join("; "));
            }
            End::Failed(error) => {
                task.lifecycle = Lifecycle::steady("failed");
                task.stop_reason = Some("Stop Reason FATAL_ERROR Error Level FATAL".to_owned());
                task.failure = Some(format!("Last Error {error} Stop Reason FATAL_ERROR Error Level FATAL"));
            }
        }
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the end of a replication task could not be kept");
    }
}
