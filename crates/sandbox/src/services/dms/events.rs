//! What happened to instances and tasks, as DMS tells it.
//!
//! Source: DMS user guide, "AWS DMS event categories and event messages". An event may be told before its moment comes;
//! until then nobody sees it.

use serde_json::{Value, json};

use super::common::page;
use crate::call::{ApiError, Call};
use crate::clock::Timestamp;
use crate::world::dms::{Dms, Event};

/// The kinds of source, each with its categories.
const CATEGORIES: [(&str, &[&str]); 2] = [
    (INSTANCE, &["low storage", "configuration change", "maintenance", "deletion", "creation", "failover", "failure"]),
    (TASK, &["configuration change", "state change", "deletion", "creation", "failure"]),
];
const INSTANCE: &str = "replication-instance";
const TASK: &str = "replication-task";

/// Writes an event of an instance down.
pub(super) fn of_instance(dms: &mut Dms, name: &str, category: &str, message: &str, at: Timestamp) {
    tell(dms, INSTANCE, name, category, message, at);
}

/// Writes an event of a task down.
pub(super) fn of_task(dms: &mut Dms, name: &str, category: &str, message: &str, at: Timestamp) {
    tell(dms, TASK, name, category, message, at);
}

fn tell(dms: &mut Dms, kind: &str, name: &str, category: &str, message: &str, at: Timestamp) {
    dms.events.push(Event {
        source: name.to_owned(),
        source_type: kind.to_owned(),
        message: message.to_owned(),
        category: category.to_owned(),
        at,
    });
}

/// A moment that a JSON service is given as seconds since 1970.
fn moment(call: &Call<'_>, member: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(value) = call.input.get(member) else { return Ok(None) };
    let seconds = value.as_f64().ok_or_else(|| call.input.invalid(format!("{member} must be a timestamp")))?;
    Ok(Some(Timestamp((seconds * 1000.0) as i64)))
}

/// `DescribeEvents`, of the last hour unless asked otherwise.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let minutes = input.integer("Duration")?.unwrap_or(60).clamp(1, 20_160);
    let now = call.clock.now();
    let end = moment(call, "EndTime")?.unwrap_or(now).min(now);
    let since = moment(call, "StartTime")?.unwrap_or(Timestamp(end.0 - minutes * 60_000));
    let (source, kind) = (input.text("SourceIdentifier")?, input.text("SourceType")?);
    let categories = input.texts("EventCategories")?;
    let fits = |event: &&Event| {
        (since..=end).contains(&event.at)
            && source.is_none_or(|name| event.source.eq_ignore_ascii_case(name))
            && kind.is_none_or(|kind| event.source_type == kind)
            && (categories.is_empty() || categories.contains(&event.category.as_str()))
    };
    let mut found: Vec<&Event> = call.world.dms.events.iter().filter(fits).collect();
    found.sort_by_key(|event| event.at);
    let items = found
        .into_iter()
        .map(|event| {
            json!({
                "SourceIdentifier": event.source, "SourceType": event.source_type, "Message": event.message,
                "EventCategories": [event.category], "Date": event.at.epoch(),
            })
        })
        .collect();
    page(input, "Events", items)
}

/// `DescribeEventCategories`.
pub(super) fn categories(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let kind = call.input.text("SourceType")?;
    let groups: Vec<Value> = CATEGORIES
        .iter()
        .filter(|(source, _)| kind.is_none_or(|kind| kind == *source))
        .map(|(source, categories)| json!({"SourceType": source, "EventCategories": categories}))
        .collect();
    Ok(json!({ "EventCategoryGroupList": groups }))
}
