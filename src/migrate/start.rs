//! Decides from a task's history what a migration has to do. No call is made here.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::mappings::TableName;
use super::watch::{self, Verdict};
use super::{MigrateError, Reload, StartType, TableState, Task};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "start", rename_all = "snake_case")]
pub enum Start {
    /// Every table is there and none changed since.
    Nothing,
    /// The task is under way: watch it.
    Join,
    /// Start the task.
    Task {
        /// How.
        how: StartType,
        /// Why so, in words.
        reason: String,
    },
    /// The task is replicating changes: load these tables again meanwhile.
    Tables(Vec<TableName>),
}

impl Start {
    /// Whether something is begun that has to be checked first.
    pub(super) fn begins(&self) -> bool {
        matches!(self, Self::Task { .. })
    }
}

/// Decides. The task is in a settled state. `loaded_at` says when uploaded tables of the source
/// got their present rows.
pub(super) fn decide(
    task: &Task,
    statistics: &[TableState],
    expected: &[TableName],
    loaded_at: &BTreeMap<TableName, DateTime<Utc>>,
    reload: &Reload,
) -> Result<Start, MigrateError> {
    let start = |how, reason: &str| Ok(Start::Task { how, reason: reason.to_owned() });
    if task.begins() || matches!(task.status.as_str(), "running" | "stopping") {
        return match reload {
            Reload::All => Err(MigrateError::ReloadWhileRunning { status: task.status.clone() }),
            Reload::Tables(_) if !task.captures_changes() => Err(MigrateError::ReloadNeedsChanges),
            Reload::Tables(tables) => Ok(Start::Tables(tables.clone())),
            Reload::Changed => Ok(Start::Join),
        };
    }
    if !task.has_run {
        return start(StartType::StartReplication, "the task has not run before");
    }
    match reload {
        Reload::All => return start(StartType::ReloadTarget, "all tables were asked for"),
        Reload::Tables(_) => return Err(MigrateError::ReloadNeedsChanges),
        Reload::Changed => {}
    }
    if task.captures_changes() && task.forgotten {
        return Err(MigrateError::PositionLost);
    }
    if task.captures_changes() {
        return start(StartType::ResumeProcessing, "the task goes on with the changes since it stopped");
    }
    match watch::verdict(task, statistics, expected) {
        Verdict::Loaded => {}
        // Which tables arrived nobody knows any more; the rows are counted in any case.
        Verdict::Incomplete(_) if task.forgotten && task.failure.is_none() => {}
        Verdict::Incomplete(failed) if failed.iter().all(|table| table.state.is_none()) => {
            let names: Vec<_> = failed.iter().map(|table| table.name.to_string()).collect();
            return start(StartType::ReloadTarget, &format!("new since the last load: {}", names.join(", ")));
        }
        Verdict::Incomplete(_) => {
            return start(task.goes_on(), "some tables did not arrive the last time");
        }
        _ => return start(task.goes_on(), "the last run did not end"),
    }
    let changed: Vec<_> = loaded_at
        .iter()
        .filter(|(name, loaded)| expected.contains(name) && is_newer(**loaded, name, task, statistics))
        .map(|(name, _)| name.to_string())
        .collect();
    if changed.is_empty() {
        return Ok(Start::Nothing);
    }
    start(StartType::ReloadTarget, &format!("uploaded again since the last load: {}", changed.join(", ")))
}

/// Whether a table was uploaded after the task began to load it.
fn is_newer(loaded: DateTime<Utc>, name: &TableName, task: &Task, statistics: &[TableState]) -> bool {
    let of_table = statistics.iter().find(|state| state.name == *name);
    let began = of_table.and_then(|state| state.started).or(task.full_load_started).or(task.started);
    let began = began.or(task.stopped);
    // DMS may give whole seconds: an upload and a load within one are taken to be in that order.
    let known_to = |began: &DateTime<Utc>| if began.timestamp_subsec_nanos() == 0 { 999 } else { 0 };
    began.is_none_or(|began| loaded > began + TimeDelta::milliseconds(known_to(&began)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_of_dms_do_not_make_every_table_look_new() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("the test writes an instant");
        let name = TableName { schema: "public".to_owned(), table: "teams".to_owned() };
        let newer = |loaded, began| {
            let task = Task { full_load_started: Some(at(began)), ..Task::default() };
            is_newer(at(loaded), &name, &task, &[])
        };
        assert!(!newer("2024-05-03T17:45:00.7Z", "2024-05-03T17:45:00Z"));
        assert!(newer("2024-05-03T17:45:01.1Z", "2024-05-03T17:45:00Z"));
        assert!(newer("2024-05-03T17:45:00.7Z", "2024-05-03T17:45:00.5Z"));
        assert!(!newer("2024-05-03T17:45:00.3Z", "2024-05-03T17:45:00.5Z"));
    }

    /// "You can't resume partially loaded tables during the full load phase" (DMS API reference, `StartReplication`).
    #[test]
    fn an_unfinished_load_is_resumed_by_a_task_and_made_again_by_a_serverless_replication() {
        let how = |serverless, mode: &str, forgotten| {
            let task = Task {
                status: "stopped".to_owned(),
                stop_reason: Some("Stop Reason NORMAL".to_owned()),
                mode: mode.to_owned(),
                has_run: true,
                serverless,
                forgotten,
                ..Task::default()
            };
            decide(&task, &[], &[], &BTreeMap::new(), &Reload::Changed)
        };
        let starts = |decided: Result<Start, MigrateError>, wanted| {
            assert!(matches!(decided, Ok(Start::Task { how, .. }) if how == wanted), "{decided:?}");
        };
        starts(how(false, "full-load", false), StartType::ResumeProcessing);
        starts(how(true, "full-load", false), StartType::ReloadTarget);
        starts(how(true, "full-load", true), StartType::ReloadTarget);
        starts(how(true, "full-load-and-cdc", false), StartType::ResumeProcessing);
        assert!(matches!(how(true, "full-load-and-cdc", true), Err(MigrateError::PositionLost)));
    }
}
