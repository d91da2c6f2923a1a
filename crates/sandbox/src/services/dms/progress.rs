//! What a replication task and a serverless replication take and tell alike: type, mappings, settings, counters, tables.
//!
//! Who runs them is in `run`, when they may be changed in `tasks` and `replications`.

use serde_json::{Value, json};

use super::common::{filters, page, passes};
use super::{settings, surroundings};
use crate::call::{ApiError, Call, Input};
use crate::clock::Timestamp;
use crate::load::{Mappings, State};
use crate::world::dms::Work;

/// The stop reason of a run that failed as a whole.
pub(super) const FATAL_ERROR: &str = "Stop Reason FATAL_ERROR Error Level FATAL";
/// What a planted failure says.
pub(super) const PLANTED_FAILURE: &str = "Last Error Fatal error has occurred Task error notification received from subtask 0, \
     thread 0 Stop Reason FATAL_ERROR Error Level FATAL";

/// A migration type DMS knows.
pub(super) fn migration_type(input: Input<'_>, text: &str) -> Result<String, ApiError> {
    if ["full-load", "cdc", "full-load-and-cdc"].contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(input.invalid(format!("Invalid migration type: {text}")))
    }
}

/// Table mappings that read.
pub(super) fn mappings(input: Input<'_>, text: &str) -> Result<String, ApiError> {
    Mappings::parse(text).map_err(|error| input.invalid(error))?;
    Ok(text.to_owned())
}

/// The settings document of a request, if it has one.
pub(super) fn declared_settings(input: Input<'_>, member: &str) -> Result<Option<Value>, ApiError> {
    match input.text(member)?.filter(|text| !text.is_empty()) {
        Some(text) => settings::parse(text).map(Some).map_err(|error| input.invalid(error)),
        None => Ok(None),
    }
}

/// The settings as DMS tells them, with the log group and stream it chose once something was written to them.
pub(super) fn settings(call: &Call<'_>, work: &Work, log: Option<surroundings::LogNames>) -> String {
    let mut full = settings::expanded(&work.settings);
    if let Some((group, stream)) = log {
        let known = call.world.logs.groups.get(&group).is_some_and(|group| group.streams.contains_key(&stream));
        if known {
            full["Logging"]["CloudWatchLogGroup"] = json!(group);
            full["Logging"]["CloudWatchLogStream"] = json!(stream);
        }
    }
    full.to_string()
}

/// The counters of the run at hand or of the last one; nothing before the first.
pub(super) fn stats(work: &Work, now: Timestamp) -> Option<Value> {
    let started = work.started?;
    let ended = !work.is_busy(now);
    let count = |state: State| work.tables.iter().filter(|table| table.state == state).count();
    let estimate: u64 = work.tables.iter().map(|table| table.estimate.max(table.rows)).sum();
    let rows: u64 = work.tables.iter().map(|table| table.rows).sum();
    let percent = if work.load_finished.is_some() {
        100
    } else {
        rows.saturating_mul(100).checked_div(estimate).unwrap_or(0).min(99)
    };
    let end = work.stopped.filter(|_| ended).unwrap_or(now);
    Some(json!({
        "FullLoadProgressPercent": percent,
        "ElapsedTimeMillis": u64::try_from(end.since(started).as_millis()).unwrap_or(u64::MAX),
        "TablesLoaded": count(State::Completed), "TablesLoading": count(State::Loading), "TablesQueued": count(State::BeforeLoad),
        "TablesErrored": count(State::Error),
        "FreshStartDate": work.fresh_start.map(Timestamp::epoch), "StartDate": started.epoch(),
        "StopDate": work.stopped.filter(|_| ended).map(Timestamp::epoch),
        "FullLoadStartDate": work.load_started.map(Timestamp::epoch), "FullLoadFinishDate": work.load_finished.map(Timestamp::epoch),
    }))
}

/// One page of the tables that pass the request's filters, under `member`.
pub(super) fn tables(call: &Call<'_>, work: &Work, member: &str) -> Result<Value, ApiError> {
    let filters = filters(call.input, &["schema-name", "table-name", "table-state"])?;
    let updated = call.clock.now().epoch();
    let tables = work
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
    page(call.input, member, tables)
}
