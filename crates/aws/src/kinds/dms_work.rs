//! What a replication task and a serverless replication have in common: which tables are carried and how, and how
//! their work ended.
//!
//! Pure functions over specs and states. Where the work is done, and what starts and stops it, is a matter of the kinds.

mod settings;

use aws_sdk_databasemigration::types::MigrationTypeValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Object;
use towpath_engine::secret::redact;
use towpath_engine::value::{Map, Value};

pub(super) use self::settings::to_send as settings_to_send;
use super::dms_common;
use crate::dms_mappings::{self, TableRule};

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The rows that are there, once.
    FullLoad,
    /// The rows that are there, then every change.
    FullLoadAndCdc,
    /// Changes only.
    Cdc,
}

impl Mode {
    pub(super) fn to_sdk(self) -> MigrationTypeValue {
        match self {
            Self::FullLoad => MigrationTypeValue::FullLoad,
            Self::FullLoadAndCdc => MigrationTypeValue::FullLoadAndCdc,
            Self::Cdc => MigrationTypeValue::Cdc,
        }
    }
}

/// Tables in short form, or already compiled to DMS's rules (which is how they are compared).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Tables(#[schemars(with = "Vec<TableRule>")] Value);

impl Tables {
    /// The DMS rules these tables stand for, or what is wrong with them.
    fn rules(&self) -> Result<Vec<Value>, String> {
        let compiled = self.0.as_array().is_some_and(|rules| rules.iter().any(|rule| rule.get("rule-type").is_some()));
        if compiled {
            return Ok(dms_mappings::canonical(&self.0));
        }
        let tables: Vec<TableRule> = serde_json::from_value(self.0.clone()).map_err(|error| error.to_string())?;
        Ok(dms_mappings::compile(&tables))
    }
}

/// The table mappings as DMS wants them, of a spec's `tables` or `mappings`.
pub(super) fn to_send(kind: &str, tables: Option<&Tables>, mappings: Option<&Value>) -> Result<String, Fault> {
    if let Some(raw) = mappings {
        return Ok(match raw {
            Value::String(text) => text.clone(),
            Value::Array(rules) => json!({ "rules": rules }).to_string(),
            other => other.to_string(),
        });
    }
    let invalid = |message: String| Fault::local(FaultClass::Invalid, kind, message);
    let tables = tables.ok_or_else(|| invalid("it needs `tables` or `mappings`".to_owned()))?;
    let rules = tables.rules().map_err(|error| invalid(format!("`tables` does not read: {error}")))?;
    Ok(json!({ "rules": rules }).to_string())
}

/// Mistakes in what a spec says about tables and settings: `(field path, message)`.
pub(super) fn check(
    tables: Option<&Tables>,
    mappings: Option<&Value>,
    settings: Option<&Map>,
) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
    match (tables, mappings) {
        (None, None) => mistake("tables", "say which tables are carried, with `tables` or `mappings`"),
        (Some(_), Some(_)) => mistake("mappings", "`tables` and `mappings` both say which tables are carried"),
        (Some(tables), None) => match tables.rules() {
            Err(error) => mistake("tables", &error),
            Ok(rules) if !includes_something(&rules) => {
                mistake("tables", "at least one table must be included");
            }
            Ok(rules) => {
                for rule in rules.iter().filter(|rule| rule["rule-target"] == "schema") {
                    if rule["value"].as_str().is_some_and(|name| name.starts_with('_')) {
                        mistake("tables", "Redshift does not take schema names that begin with `_`");
                    }
                }
            }
        },
        (None, Some(mappings)) if !includes_something(&dms_mappings::canonical(mappings)) => {
            mistake("mappings", "at least one selection rule must include a table");
        }
        _ => {}
    }
    mistakes.extend(settings.into_iter().flat_map(settings::check));
    mistakes
}

fn includes_something(rules: &[Value]) -> bool {
    rules.iter().any(|rule| rule["rule-type"] == "selection" && rule["rule-action"] != "exclude")
}

/// Whether any rule of `tables` or `mappings` carries views.
pub(super) fn carries_views(tables: Option<&Tables>, mappings: Option<&Value>) -> bool {
    let rules = match (tables, mappings) {
        (Some(tables), _) => tables.rules().unwrap_or_default(),
        (None, Some(mappings)) => dms_mappings::canonical(mappings),
        (None, None) => Vec::new(),
    };
    rules.iter().any(|rule| matches!(rule["object-locator"]["table-type"].as_str(), Some("view" | "all")))
}

/// The fields of a state that come from live mappings and settings.
pub(super) fn live(mappings: Option<String>, settings: Option<&String>) -> Map {
    let rules = json!(mappings.unwrap_or_default());
    Map::from_iter([
        ("tables".to_owned(), json!(dms_mappings::canonical(&rules))),
        ("mappings".to_owned(), rules),
        ("settings".to_owned(), settings::normalise(&json!(settings))),
    ])
}

/// Brings `name`, `tables`, `mappings` and `settings` of a spec or state to the form in which they are compared.
pub(super) fn normalise(mut value: Value) -> Value {
    dms_common::fold_name(&mut value);
    if let Some(tables) = value.get("tables").cloned()
        && let Ok(rules) = Tables(tables).rules()
    {
        value["tables"] = json!(dms_mappings::meaning(&Value::Array(rules)));
    }
    if let Some(mappings) = value.get("mappings") {
        value["mappings"] = json!(dms_mappings::meaning(mappings));
    }
    if let Some(document) = value.get("settings") {
        value["settings"] = settings::normalise(document);
    }
    value
}

/// Mappings and settings of a state as a stack file declares them. The mappings are as DMS has them: the short form
/// cannot say everything.
pub(super) fn declare(state: &mut Value) {
    let Some(map) = state.as_object_mut() else { return };
    if let Some(rules) = map.remove("tables") {
        map.insert("mappings".to_owned(), json!({ "rules": rules }));
    }
    if let Some(document) = map.remove("settings") {
        map.insert("settings".to_owned(), settings::written(document));
    }
}

/// What work that has read changes knows: where to go on. Made again, it would begin anew.
pub(super) fn holds(object: &Object, has_begun: bool) -> Option<&'static str> {
    let follows = object.state["mode"].as_str().is_some_and(|mode| mode.contains("cdc"));
    (follows && has_begun).then_some("the position of its change data capture")
}

/// How work came to its end, from the outputs `status`, `stop_reason`, `failure` and `loaded`.
pub(super) fn ended(object: &Object) -> Option<Result<(), String>> {
    let text = |output: &str| dms_common::text(object, output).unwrap_or_default();
    let (status, reason) = (text("status"), text("stop_reason"));
    let reason = reason.strip_prefix("Stop Reason ").unwrap_or(&reason).split(' ').next().unwrap_or_default();
    let is_loaded = object.state["mode"] == "full-load" && object.outputs.get("loaded") == Some(&Value::Bool(true));
    match (status.as_str(), reason) {
        (
            "stopped",
            "FULL_LOAD_ONLY_FINISHED"
            | "STOPPED_AFTER_FULL_LOAD"
            | "STOPPED_AFTER_CACHED_EVENTS"
            | "STOPPED_AT_SERVER_TIME"
            | "STOPPED_AT_COMMIT_TIME"
            | "STOPPED_AFTER_DDL_APPLY",
        ) => Some(Ok(())),
        // What a user's stop leaves, and on some versions the end of a load too.
        ("stopped", "NORMAL") => is_loaded.then_some(Ok(())),
        ("stopped", "" | "RECONFIGURATION_RESTART" | "RECYCLE_TASK") => None,
        ("stopped" | "failed", _) => {
            let failure = text("failure");
            Some(Err(redact(if failure.is_empty() { reason } else { &failure })))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_tables_equal_the_mappings_they_become() {
        let declared: Tables = serde_json::from_value(json!([{ "schema": "public", "exclude": ["tmp_%"] }])).unwrap();
        let sent = to_send("dms/replication_task", Some(&declared), None).unwrap();
        let compiled = declared.rules().unwrap();
        assert_eq!(live(Some(sent), None)["tables"], json!(dms_mappings::canonical(&Value::Array(compiled))));
    }

    #[test]
    fn views_are_seen_in_both_forms() {
        let tables = |kind: &str| serde_json::from_value(json!([{ "schema": "public", "type": kind }])).unwrap();
        assert!(carries_views(Some(&tables("all")), None) && carries_views(Some(&tables("view")), None));
        assert!(!carries_views(Some(&tables("table")), None));
        let rule = json!({ "rules": [{ "rule-type": "selection", "rule-id": "1", "rule-action": "include",
            "object-locator": { "schema-name": "s", "table-name": "%", "table-type": "view" } }] });
        assert!(carries_views(None, Some(&rule)));
    }
}
