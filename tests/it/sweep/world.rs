//! The sandbox's own state file, read as what it will be once every transition has ended, without
//! what differs between two runs that did the same: ids, times, run ids, sealed values.
//!
//! It knows nothing of towpath: two worlds are equal when they hold the same objects with the same
//! settings and tags.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::env::TestEnvironment;

/// Numbers above this are moments in milliseconds.
const MOMENT: u64 = 1_000_000_000_000;

static IDS: LazyLock<Regex> = LazyLock::new(|| {
    let id = r"\b(vpc|subnet|sg|sgr|eni-attach|eni|rtb|igw|vpce)-(endpoint-)?[0-9a-f]{8,}\b";
    let uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let address = r"\b(172\.31|203\.0\.113)\.\d+(\.\d+)?\b";
    // Of DMS objects that were given no identifier for their ARN.
    let dms = r"\b[A-Z2-7]{26}\b";
    let time = r"\d{4}-\d\d-\d\dT[\d:.]+Z";
    Regex::new(&format!("{id}|{uuid}|{address}|{dms}|{time}")).unwrap()
});

/// The end that Secrets Manager gives the ARN of a secret.
static SECRET: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(:secret:.*)-[A-Za-z0-9]{6}$").unwrap());

/// Members of records that say when, how often or by which run rather than what. The port is that
/// of the project's own database server, the zone that of a subnet by chance.
const FLEETING: [&str; 17] = [
    "created",
    "changed",
    "id",
    "number",
    "events",
    "connections",
    "password",
    "value",
    "visible_at",
    "private_address",
    "roles_in_sync_at",
    "towpath:run",
    // Which stretch of a task's work was stopped, if that is not settled yet.
    "towpath:resume",
    // Names the limit's id as well, except right after a kill.
    "towpath:limit:serverless-compute:monthly",
    // Of the password of a source that each sandbox makes up for itself.
    "towpath:secret",
    "Port",
    "AvailabilityZone",
];

/// What a project's account holds, one line an object.
pub(super) fn world(environment: &TestEnvironment) -> Vec<String> {
    let text = environment.read(".towpath-sandbox/world.json");
    let world: Map<String, Value> = serde_json::from_str(&text).unwrap();
    let mut lines = Vec::new();
    for (service, tables) in &world {
        for (table, records) in tables.as_object().into_iter().flatten() {
            if FLEETING.contains(&table.as_str()) {
                continue;
            }
            let records: Vec<(String, &Value)> = match records {
                Value::Object(records) => records.iter().map(|(key, record)| (key.clone(), record)).collect(),
                Value::Array(records) => records.iter().map(|record| (String::new(), record)).collect(),
                _ => Vec::new(),
            };
            for (key, record) in records.into_iter().filter(|(_, record)| !is_leaving(record)) {
                lines.push(format!("{service} {table} {}: {}", nameless(&key), settled(record)));
            }
        }
    }
    lines.sort();
    lines
}

/// What one world has and the other lacks, one line a difference; nothing when they are equal.
pub(super) fn difference(wanted: &[String], found: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for line in wanted {
        *counts.entry(line).or_default() -= 1;
    }
    for line in found {
        *counts.entry(line).or_default() += 1;
    }
    let told = |(line, count): (&str, i64)| match count {
        0 => None,
        1.. => Some(format!("too much ({count}): {line}")),
        _ => Some(format!("missing ({}): {line}", -count)),
    };
    counts.into_iter().filter_map(told).collect()
}

/// Whether a record is gone or on its way out.
fn is_leaving(record: &Value) -> bool {
    let last = last_state(&record["lifecycle"]);
    !record["gone_at"].is_null() || !record["deleted"].is_null() || last.as_deref() == Some("")
}

fn last_state(lifecycle: &Value) -> Option<String> {
    let last = lifecycle["next"].as_array().and_then(|next| next.last()).map(|next| &next[1]);
    last.unwrap_or(&lifecycle["state"]).as_str().map(str::to_owned)
}

/// Text without the ids that AWS gives.
fn nameless(text: &str) -> String {
    let text = IDS.replace_all(text, "*");
    SECRET.replace(&text, "$1-*").into_owned()
}

fn settled(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| !FLEETING.contains(&name.as_str()));
            let mut sorted: BTreeMap<String, Value> = BTreeMap::new();
            for (name, member) in members {
                let member = match name.as_str() {
                    "lifecycle" => last_state(member).map_or(Value::Null, Value::String),
                    _ => settled(member),
                };
                sorted.insert(nameless(name), member);
            }
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(settled).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::String(text) => Value::String(nameless(text)),
        Value::Number(number) if number.as_f64().is_some_and(|number| number > MOMENT as f64) => Value::Null,
        other => other.clone(),
    }
}
