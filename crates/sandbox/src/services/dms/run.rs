//! The work of a running task: waits until it runs, copies, and writes the end.
//!
//! One process owns a run: its name is in the task, and it holds the lock file of the task, which the system frees when
//! the process dies. A run whose lock is free is taken up by the next process that looks; it loads unfinished tables
//! afresh, as DMS recovers. A run whose task no longer names it (stopped, deleted, started again) ends at its next beat,
//! together with its connections.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fs4::fs_std::FileExt as _;
use serde_json::Value;

use super::{probe, settings};
use crate::call::Call;
use crate::clock::Timestamp;
use crate::cloud::Cloud;
use crate::load::{self, Choices, Follow, Job, Ledger, Mappings, Preparation, Progress, Until};
use crate::services::redshift_data::warehouse;
use crate::store::private_options;
use crate::world::World;
use crate::world::dms::{Lifecycle, Task};

const BEAT: Duration = Duration::from_millis(500);

/// A name for the owner of a run.
pub(super) fn new_owner() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Begins the run of a task that was just started.
pub(super) fn begin(call: &mut Call<'_>, arn: &str, owner: &str) {
    let (arn, owner) = (arn.to_owned(), owner.to_owned());
    call.afterwards(move |cloud| async move { execute_first(&cloud, &arn, &owner).await });
}

fn is_under_way(task: &Task, now: Timestamp) -> bool {
    task.owner.is_some() && ["starting", "running"].contains(&task.lifecycle.at(now))
}

/// The runs under way: ARNs of their tasks.
fn under_way(world: &World, now: Timestamp) -> Vec<String> {
    world.dms.tasks.values().filter(|task| is_under_way(task, now)).map(|task| task.arn.clone()).collect()
}

/// Takes up every run whose owner is dead, after the answer.
pub(super) fn take_up(call: &mut Call<'_>) {
    for arn in under_way(call.world, call.clock.now()) {
        call.afterwards(move |cloud| async move { take_over(&cloud, &arn).await });
    }
}

/// Watches the runs that were under way when this process began, until they have an end.
pub(crate) fn resume(cloud: &Cloud) {
    let watched = cloud.clone();
    cloud.spawn(async move {
        loop {
            let now = watched.clock().now();
            let Ok(found) = watched.read(|world| under_way(world, now)) else { return };
            if found.is_empty() {
                return;
            }
            for arn in found {
                let cloud = watched.clone();
                watched.spawn(async move { take_over(&cloud, &arn).await });
            }
            tokio::time::sleep(BEAT).await;
        }
    });
}

/// The lock of a task's run, if nobody holds it. Dropping it, or the death of the process, frees it.
fn lock(cloud: &Cloud, arn: &str) -> io::Result<Option<File>> {
    let folder = cloud.directory().join("runs");
    crate::make_private(&folder)?;
    let name = arn.rsplit(':').next().unwrap_or(arn).to_lowercase();
    let path = folder.join(format!("{name}.lock"));
    let file = private_options().read(true).write(true).create(true).truncate(false).open(path)?;
    Ok(file.try_lock_exclusive()?.then_some(file))
}

/// Goes on with a run if its owner is dead.
async fn take_over(cloud: &Cloud, arn: &str) {
    let lock = match lock(cloud, arn) {
        Ok(Some(lock)) => lock,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, "the lock of a replication task could not be taken");
            return;
        }
    };
    let owner = new_owner();
    let now = cloud.clock().now();
    let taken = cloud.write(|world| {
        let task = world.dms.tasks.values_mut().find(|task| task.arn == arn && is_under_way(task, now))?;
        task.owner = Some((owner.clone(), now));
        Some(())
    });
    if let Ok(Some(())) = taken {
        execute(cloud, arn, &owner, lock).await;
    }
}

/// Begins a run as its first owner: waits until an earlier run of the task has let go.
async fn execute_first(cloud: &Cloud, arn: &str, owner: &str) {
    loop {
        match lock(cloud, arn) {
            Ok(Some(lock)) => return execute(cloud, arn, owner, lock).await,
            Ok(None) => tokio::time::sleep(BEAT / 5).await,
            Err(error) => {
                return finish(cloud, arn, owner, &Progress::default(), End::Failed(error.to_string()));
            }
        }
        if !matches!(cloud.read(|world| is_owned(world, arn, owner)), Ok(true)) {
            return;
        }
    }
}

fn is_owned(world: &World, arn: &str, owner: &str) -> bool {
    let task = world.dms.tasks.values().find(|task| task.arn == arn);
    task.is_some_and(|task| task.owner.as_ref().is_some_and(|(own, _)| own == owner))
}

/// How a run ended.
enum End {
    /// Every table was tried, and the changes that were asked for are applied: the stop reason.
    Finished(&'static str),
    /// The task as a whole failed.
    Failed(String),
}

/// Runs the task as its owner, who holds its lock until the end.
async fn execute(cloud: &Cloud, arn: &str, owner: &str, lock: File) {
    if !matches!(cloud.read(|world| is_owned(world, arn, owner)), Ok(true)) {
        return;
    }
    let progress = Arc::new(Progress::default());
    tokio::select! {
        end = load(cloud, arn, &progress) => finish(cloud, arn, owner, &progress, end),
        () = beat(cloud, arn, owner, &progress) => {}
    }
    drop(lock);
}

/// Writes progress until the task no longer belongs to this run.
async fn beat(cloud: &Cloud, arn: &str, owner: &str, progress: &Progress) {
    loop {
        // What is stopped must not carry another row, so that is looked for far more often.
        for _ in 0..50 {
            tokio::time::sleep(BEAT / 50).await;
            if matches!(cloud.read(|world| is_owned(world, arn, owner)), Ok(false)) {
                return;
            }
        }
        let now = cloud.clock().now();
        let tables = progress.tables();
        let mine = cloud.write(|world| match world.dms.tasks.values_mut().find(|task| task.arn == arn) {
            Some(task) if task.owner.as_ref().is_some_and(|(own, _)| own == owner) => {
                task.owner = Some((owner.to_owned(), now));
                if !tables.is_empty() {
                    task.load_started.get_or_insert(now);
                    task.load_finished = task.load_finished.or(progress.loaded().map(Timestamp));
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
    match prepare(cloud, &task).await {
        Ok(job) => {
            let reason = match job.follow.as_ref().map(|follow| follow.until) {
                None => "FULL_LOAD_ONLY_FINISHED",
                Some(Until::Loaded) => "STOPPED_AFTER_FULL_LOAD",
                Some(Until::CaughtUp | Until::Stopped) => "STOPPED_AFTER_CACHED_EVENTS",
            };
            load::run(job, progress).await.map_or_else(End::Failed, |()| End::Finished(reason))
        }
        Err(error) => End::Failed(error),
    }
}

/// Where a task reads changes, if it does. The slot is its own unless the source endpoint names one.
fn follow(cloud: &Cloud, task: &Task, full: &Value) -> Option<Follow> {
    if task.migration_type == "full-load" {
        return None;
    }
    let settings = &full["FullLoadSettings"];
    let is_cdc = task.migration_type == "cdc";
    let until = if !is_cdc && settings["StopTaskCachedChangesNotApplied"] == Value::Bool(true) {
        Until::Loaded
    } else if !is_cdc && settings["StopTaskCachedChangesApplied"] == Value::Bool(true) {
        Until::CaughtUp
    } else {
        Until::Stopped
    };
    let named = cloud.read(|world| {
        let endpoint = world.dms.endpoints.values().find(|endpoint| endpoint.arn == task.source_arn)?;
        endpoint.settings.get("SlotName").and_then(Value::as_str).map(str::to_owned)
    });
    let given = named.ok().flatten().filter(|name| !name.is_empty());
    let own = || {
        let suffix = task.arn.rsplit(':').next().unwrap_or_default().to_lowercase().replace('-', "_");
        format!("{suffix}_{}", task.fresh_start.map_or(0, |started| started.0))
    };
    Some(Follow { given: given.is_some(), slot: given.unwrap_or_else(own), until })
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
        ledger: Ledger { task: task.arn.clone(), generation: task.fresh_start.map_or(0, |started| started.0) },
        known: task.tables.clone(),
        loads: task.migration_type != "cdc",
        follow: follow(cloud, task, &full),
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
            End::Finished(reason) => {
                task.lifecycle = Lifecycle::steady("stopped");
                task.load_finished = task.load_finished.or(progress.loaded().map(Timestamp)).or(Some(now));
                task.stop_reason = Some(format!("Stop Reason {reason}"));
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
