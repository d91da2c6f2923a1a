//! What a replication task and a serverless replication have in common: which tables are carried and how, what is told of
//! them, and how their work ended.
//!
//! Functions over specs and states, and the call that stops. Where the work is done, and what starts it, is a matter of
//! the kinds.

mod settings;

use aws_sdk_databasemigration::types::MigrationTypeValue;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{Object, Outputs, Place, Readiness};
use towpath_engine::secret::redact;
use towpath_engine::value::{Map, Value};

use super::dms_common;
use crate::cloud::Cloud;
use crate::dms;
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

/// What a spec says about the tables that are carried, and how.
#[derive(Clone, Copy)]
pub(super) struct Carried<'a> {
    pub(super) tables: Option<&'a Tables>,
    pub(super) mappings: Option<&'a Value>,
    pub(super) settings: Option<&'a Map>,
}

impl Carried<'_> {
    /// The table mappings as DMS wants them.
    pub(super) fn mappings(self, kind: &str) -> Result<String, Fault> {
        if let Some(raw) = self.mappings {
            return Ok(match raw {
                Value::String(text) => text.clone(),
                Value::Array(rules) => json!({ "rules": rules }).to_string(),
                other => other.to_string(),
            });
        }
        let invalid = |message: String| Fault::local(FaultClass::Invalid, kind, message);
        let tables = self.tables.ok_or_else(|| invalid("it needs `tables` or `mappings`".to_owned()))?;
        let rules = tables.rules().map_err(|error| invalid(format!("`tables` does not read: {error}")))?;
        Ok(json!({ "rules": rules }).to_string())
    }

    /// The settings as DMS wants them.
    pub(super) fn settings(self) -> Option<String> {
        self.settings.map(settings::to_send)
    }

    /// Mappings and settings to send when these fields have changed.
    pub(super) fn changed(self, kind: &str, fields: &[String]) -> Result<(Option<String>, Option<String>), Fault> {
        let has = |field: &str| fields.iter().any(|name| name == field);
        let mappings = (has("tables") || has("mappings")).then(|| self.mappings(kind)).transpose()?;
        Ok((mappings, self.settings().filter(|_| has("settings"))))
    }

    /// Mistakes in it: `(field path, message)`.
    pub(super) fn check(self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        match (self.tables, self.mappings) {
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
            (None, Some(mappings)) => {
                let rules = dms_mappings::canonical(mappings);
                if !includes_something(&rules) {
                    mistake("mappings", "at least one selection rule must include a table");
                }
                // "A unique numeric value to identify the rule" (user guide, "Selection rules and actions").
                for pair in rules.windows(2).filter(|pair| pair[0]["rule-id"] == pair[1]["rule-id"]) {
                    if let Some(id) = pair[0]["rule-id"].as_str() {
                        mistake("mappings", &format!("two rules have the `rule-id` {id}"));
                    }
                }
            }
        }
        mistakes.extend(self.settings.into_iter().flat_map(settings::check));
        mistakes
    }

    /// Whether any rule carries views.
    pub(super) fn has_views(self) -> bool {
        let rules = match (self.tables, self.mappings) {
            (Some(tables), _) => tables.rules().unwrap_or_default(),
            (None, Some(mappings)) => dms_mappings::canonical(mappings),
            (None, None) => Vec::new(),
        };
        rules.iter().any(|rule| matches!(rule["object-locator"]["table-type"].as_str(), Some("view" | "all")))
    }
}

fn includes_something(rules: &[Value]) -> bool {
    rules.iter().any(|rule| rule["rule-type"] == "selection" && rule["rule-action"] != "exclude")
}

/// What DMS tells of both alike.
#[derive(Default)]
pub(super) struct Told {
    pub(super) arn: Option<String>,
    pub(super) name: Option<String>,
    pub(super) source: Option<String>,
    pub(super) target: Option<String>,
    pub(super) mode: Option<MigrationTypeValue>,
    pub(super) mappings: Option<String>,
    pub(super) settings: Option<String>,
    pub(super) status: Option<String>,
    pub(super) stop_reason: Option<String>,
    pub(super) failure: Option<String>,
    /// When the stretch of work began: "the date the replication task was started either with a fresh start or a resume"
    /// (DMS API reference, `ReplicationTaskStats.StartDate`; `ReplicationStats.StartDate` likewise).
    pub(super) started: Option<DateTime>,
    /// When its full load was finished.
    pub(super) loaded: Option<DateTime>,
}

impl Told {
    /// The object, with what only its kind has in its state.
    pub(super) fn object(self, own: Map) -> Object {
        let (readiness, running) = readiness(self.status.as_deref().unwrap_or_default());
        let identity = self.name.unwrap_or_default().to_lowercase();
        let rules = json!(self.mappings.unwrap_or_default());
        let mut state = own;
        state.extend([
            ("name".to_owned(), json!(identity)),
            ("source".to_owned(), json!(self.source)),
            ("target".to_owned(), json!(self.target)),
            ("mode".to_owned(), json!(self.mode.as_ref().map(MigrationTypeValue::as_str))),
            ("tables".to_owned(), json!(dms_mappings::canonical(&rules))),
            ("mappings".to_owned(), rules),
            ("settings".to_owned(), settings::normalise(&json!(self.settings))),
        ]);
        state.retain(|_, value| !value.is_null());
        Object {
            outputs: Outputs::from([
                ("arn".to_owned(), json!(self.arn)),
                ("name".to_owned(), json!(identity)),
                ("status".to_owned(), json!(self.status)),
                ("stop_reason".to_owned(), json!(self.stop_reason)),
                ("failure".to_owned(), json!(self.failure)),
                ("started".to_owned(), json!(self.started.and_then(|date| date.fmt(Format::DateTime).ok()))),
                ("loaded".to_owned(), json!(self.loaded.is_some())),
            ]),
            state: Value::Object(state),
            tags: None,
            readiness,
            running,
            pending: Value::Null,
            identity,
        }
    }
}

/// How far an object is, and whether it works, told from its status. Sources: DMS API reference, `ReplicationTask.Status`;
/// DMS user guide, "AWS DMS Serverless components"; and the states that Terraform's provider waits for.
fn readiness(status: &str) -> (Readiness, bool) {
    match status {
        "running" => (Readiness::Ready, true),
        "stopping" => (Readiness::Pending(status.to_owned()), true),
        status if dms::is_beginning(status) => (Readiness::Pending(status.to_owned()), true),
        "deleting" => (Readiness::Deleting, false),
        "creating" | "modifying" | "testing" | "moving" | "deprovisioning" => {
            (Readiness::Pending(status.to_owned()), false)
        }
        // `failed` is about a run and `failed-move` leaves a task on its old instance: what is mended can be changed,
        // moved and started again, and making it anew would lose the position.
        _ => (Readiness::Ready, false),
    }
}

/// The outputs that are known before the object exists.
pub(super) fn predict(place: &Place, kind: &str, identity: &str) -> Outputs {
    Outputs::from([("arn".to_owned(), json!(dms::arn_of(place, kind, identity))), ("name".to_owned(), json!(identity))])
}

/// Stops the work. Of an object that is gone there is nothing to stop.
pub(super) async fn stop(cloud: &Cloud, object: &Object) -> Result<(), Fault> {
    match dms::stop(cloud, &dms_common::text(object, "arn").unwrap_or_default()).await {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => other,
    }
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

    fn carried(tables: &Tables) -> Carried<'_> {
        Carried { tables: Some(tables), mappings: None, settings: None }
    }

    /// `ReplicationTask.Status` (DMS API reference) and the states of `DescribeReplications` (DMS user guide, "AWS DMS
    /// Serverless components").
    #[test]
    fn the_status_tells_work_from_what_stands_still() {
        assert_eq!(readiness("running"), (Readiness::Ready, true));
        for status in [
            "starting",
            "stopping",
            "initializing",
            "testing_connection",
            "provisioning_capacity",
            "replication_starting",
        ] {
            assert_eq!(readiness(status), (Readiness::Pending(status.to_owned()), true));
        }
        for status in ["created", "ready", "stopped", "failed", "failed-move", "deprovisioned"] {
            assert_eq!(readiness(status), (Readiness::Ready, false));
        }
        for status in ["creating", "modifying", "testing", "moving", "deprovisioning"] {
            assert_eq!(readiness(status), (Readiness::Pending(status.to_owned()), false));
        }
        assert_eq!(readiness("deleting"), (Readiness::Deleting, false));
    }

    #[test]
    fn declared_tables_equal_the_mappings_they_become() {
        let declared: Tables = serde_json::from_value(json!([{ "schema": "public", "exclude": ["tmp_%"] }])).unwrap();
        let sent = carried(&declared).mappings("dms/replication_task").unwrap();
        let compiled = declared.rules().unwrap();
        let live = Told { mappings: Some(sent), ..Told::default() }.object(Map::new());
        assert_eq!(live.state["tables"], json!(dms_mappings::canonical(&Value::Array(compiled))));
    }

    #[test]
    fn views_are_seen_in_both_forms() {
        let tables =
            |kind: &str| -> Tables { serde_json::from_value(json!([{ "schema": "public", "type": kind }])).unwrap() };
        assert!(carried(&tables("all")).has_views() && carried(&tables("view")).has_views());
        assert!(!carried(&tables("table")).has_views());
        let rule = json!({ "rules": [{ "rule-type": "selection", "rule-id": "1", "rule-action": "include",
            "object-locator": { "schema-name": "s", "table-name": "%", "table-type": "view" } }] });
        assert!(Carried { tables: None, mappings: Some(&rule), settings: None }.has_views());
    }
}
