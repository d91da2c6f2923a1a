//! The work of a running task or serverless replication: waits until it runs, copies, and writes the end.
//!
//! One process owns a run: its name is in the task, and it holds the lock file of the task, which the system frees when
//! the process dies. A run whose lock is free is taken up by the next process that looks; it loads unfinished tables
//! afresh, as DMS recovers. A run whose task no longer names it (stopped, deleted, started again) ends at its next beat,
//! together with its connections.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fs4::fs_std::FileExt as _;
use serde_json::Value;

use super::{events, probe, replications, settings};
use crate::call::Call;
use crate::clock::Timestamp;
use crate::cloud::Cloud;
use crate::load::{self, Choices, Follow, Job, Ledger, Mappings, Name, Preparation, Progress, State, Until};
use crate::services::redshift_data::warehouse;
use crate::store::private_options;
use crate::world::World;
use crate::world::dms::{Lifecycle, Work};

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

fn is_under_way(work: &Work, now: Timestamp) -> bool {
    work.owner.is_some() && (work.begins(now) || work.lifecycle.at(now) == "running")
}

/// The runs under way: ARNs of their tasks and replications.
fn under_way(world: &World, now: Timestamp) -> Vec<String> {
    world.dms.works().filter(|work| is_under_way(work, now)).map(|work| work.arn.clone()).collect()
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

/// The lock of a run, if nobody holds it. Dropping it, or the death of the process, frees it.
fn lock(cloud: &Cloud, arn: &str) -> io::Result<Option<File>> {
    let folder = cloud.directory().join("runs");
    crate::make_private(&folder)?;
    // A task and a replication may have the same name: `task:NAME`, `replication-config:NAME`.
    let name = arn.splitn(6, ':').last().unwrap_or(arn).to_lowercase().replace(':', "-");
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
        let work = world.dms.work_mut(arn).filter(|work| is_under_way(work, now))?;
        work.owner = Some((owner.clone(), now));
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
    let work = world.dms.works().find(|work| work.arn == arn);
    work.is_some_and(|work| work.owner.as_ref().is_some_and(|(own, _)| own == owner))
}

/// How a run ended.
enum End {
    /// Every table was tried, and the changes that were asked for are applied: the stop reason.
    Finished(&'static str),
    /// The task as a whole failed.
    Failed(String),
    /// It stopped before its end, and resuming takes it on.
    Interrupted,
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

/// Writes progress until the task no longer belongs to this run, and hands on which tables are to be loaded again.
async fn beat(cloud: &Cloud, arn: &str, owner: &str, progress: &Progress) {
    let mut begun = HashSet::new();
    loop {
        // What is stopped must not carry another row, so that is looked for far more often.
        for _ in 0..50 {
            tokio::time::sleep(BEAT / 50).await;
            if matches!(cloud.read(|world| is_owned(world, arn, owner)), Ok(false)) {
                return;
            }
        }
        let now = cloud.clock().now();
        let mine = cloud.write(|world| match world.dms.work_mut(arn) {
            Some(work) if work.owner.as_ref().is_some_and(|(own, _)| own == owner) => {
                work.owner = Some((owner.to_owned(), now));
                hand_on_reloads(work, progress, &mut begun);
                let tables = progress.tables();
                if !tables.is_empty() {
                    work.load_started.get_or_insert(now);
                    work.load_finished = work.load_finished.or(progress.loaded().map(Timestamp));
                    work.tables = tables;
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

/// Begins the reloads that were asked for since the last look, and forgets those that have ended. They stay with the
/// task until then, so that who takes the run up begins them again.
fn hand_on_reloads(work: &mut Work, progress: &Progress, begun: &mut HashSet<Name>) {
    let is_over = |name: &Name| progress.state(name) != Some(State::Reloading);
    work.reloads.retain(|name| !(begun.contains(name) && is_over(name)));
    begun.retain(|name| !is_over(name));
    let new: Vec<Name> = work.reloads.iter().filter(|name| !begun.contains(*name)).cloned().collect();
    begun.extend(progress.reload(&new));
}

async fn load(cloud: &Cloud, arn: &str, progress: &Progress) -> End {
    let Ok(Some(work)) = cloud.read(|world| world.dms.works().find(|work| work.arn == arn).cloned()) else {
        return End::Failed("the task is gone".to_owned());
    };
    let until = async |moment: Option<Timestamp>| {
        if let Some(moment) = moment {
            tokio::time::sleep(moment.since(cloud.clock().now())).await;
        }
    };
    // A serverless replication tests its connections itself.
    if let Some(tested_at) = work.lifecycle.after("testing_connection") {
        until(Some(tested_at)).await;
        for endpoint in [&work.source_arn, &work.target_arn] {
            if let Err(error) = probe::test(cloud, endpoint, arn).await {
                return End::Failed(error);
            }
        }
    }
    until(work.lifecycle.settles_at()).await;
    if work.breaks {
        return End::Interrupted;
    }
    match prepare(cloud, &work).await {
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
fn follow(cloud: &Cloud, work: &Work, full: &Value) -> Option<Follow> {
    if work.migration_type == "full-load" {
        return None;
    }
    let settings = &full["FullLoadSettings"];
    let is_cdc = work.migration_type == "cdc";
    let until = if !is_cdc && settings["StopTaskCachedChangesNotApplied"] == Value::Bool(true) {
        Until::Loaded
    } else if !is_cdc && settings["StopTaskCachedChangesApplied"] == Value::Bool(true) {
        Until::CaughtUp
    } else {
        Until::Stopped
    };
    let named = cloud.read(|world| {
        let endpoint = world.dms.endpoints.values().find(|endpoint| endpoint.arn == work.source_arn)?;
        endpoint.settings.get("SlotName").and_then(Value::as_str).map(str::to_owned)
    });
    let given = named.ok().flatten().filter(|name| !name.is_empty());
    let own = || {
        let suffix = work.arn.rsplit(':').next().unwrap_or_default().to_lowercase().replace('-', "_");
        format!("{suffix}_{}", work.fresh_start.map_or(0, |started| started.0))
    };
    Some(Follow { given: given.is_some(), slot: given.unwrap_or_else(own), until })
}

/// What a run needs. "DMS verifies that the specified logical replication slot exists before starting the CDC load task. It also
/// verifies that the task was created with a valid setting of CdcStartPosition" (DMS API reference, `PostgreSQLSettings`, `SlotName`).
async fn prepare(cloud: &Cloud, work: &Work) -> Result<Job, String> {
    let full = settings::expanded(&work.settings);
    let follow = follow(cloud, work, &full);
    if let Some(follow) = follow.as_ref().filter(|follow| follow.given && work.cdc_start.is_none()) {
        return Err(format!(
            "Last Error The source endpoint names the replication slot \"{}\", and the task has no CdcStartPosition. Task error notification received from subtask 0, thread 0 Stop Reason FATAL_ERROR Error Level FATAL",
            follow.slot
        ));
    }
    let namespace = probe::target_namespace(cloud, &work.target_arn)?;
    let (source, target) = (probe::source(cloud, &work.source_arn).await?, warehouse::config(cloud, &namespace).await?);
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
        mappings: Mappings::parse(&work.mappings)?,
        target_schema: full["TargetMetadata"]["TargetSchema"]
            .as_str()
            .filter(|name| !name.is_empty())
            .map(str::to_lowercase),
        choices: Choices {
            lob_kilobytes: number("TargetMetadata", "LobMaxSize").unwrap_or(32),
            lobs: full["TargetMetadata"]["SupportLobs"] != Value::Bool(false),
            booleans: maps_booleans(&work.source_arn) && maps_booleans(&work.target_arn),
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
        ledger: Ledger { task: work.arn.clone(), generation: work.fresh_start.map_or(0, |started| started.0) },
        known: work.tables.clone(),
        loads: work.migration_type != "cdc",
        follow,
        reloaded: work.start_type == "reload-target",
    })
}

fn finish(cloud: &Cloud, arn: &str, owner: &str, progress: &Progress, end: End) {
    let now = cloud.clock().now();
    let tables = progress.tables();
    let written = cloud.write(|world| {
        let Some(work) = world.dms.work_mut(arn) else { return };
        if work.owner.as_ref().is_none_or(|(own, _)| own != owner) {
            return;
        }
        work.owner = None;
        work.stopped = Some(now);
        if !tables.is_empty() {
            work.load_started.get_or_insert(now);
            work.tables = tables;
        }
        match end {
            End::Finished(reason) => {
                work.lifecycle = Lifecycle::steady("stopped");
                work.load_finished = work.load_finished.or(progress.loaded().map(Timestamp)).or(Some(now));
                work.stop_reason = Some(format!("Stop Reason {reason}"));
                let errors: Vec<String> = work
                    .tables
                    .iter()
                    .filter_map(|table| {
                        Some(format!("Table '{}.{}': {}", table.schema, table.table, table.error.as_ref()?))
                    })
                    .collect();
                work.failure = (!errors.is_empty()).then(|| errors.join("; "));
            }
            End::Interrupted => {
                work.lifecycle = Lifecycle::steady("stopped");
                work.stop_reason = Some("Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE".to_owned());
                work.failure = Some(
                    "Last Error Task error notification received from subtask 0, thread 0 The connection to the source was lost Stop Reason RECOVERABLE_ERROR Error Level RECOVERABLE".to_owned(),
                );
            }
            End::Failed(error) => {
                work.lifecycle = Lifecycle::steady("failed");
                work.stop_reason = Some("Stop Reason FATAL_ERROR Error Level FATAL".to_owned());
                work.failure = Some(format!("Last Error {error} Stop Reason FATAL_ERROR Error Level FATAL"));
            }
        }
        let (category, message) = match work.lifecycle.at(now) {
            "failed" => ("failure", "A replication task has failed."),
            _ => ("state change", "The replication task has stopped."),
        };
        let name = work.identifier.clone();
        if world.dms.tasks.contains_key(&name) {
            events::of_task(&mut world.dms, &name, category, message, now);
        }
        replications::release(world, arn, now, cloud.clock());
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the end of a replication task could not be kept");
    }
}
