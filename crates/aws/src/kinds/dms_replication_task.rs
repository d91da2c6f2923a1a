//! `dms/replication_task`: which tables are carried from where to where, and how.
//!
//! In place, while it does not run: mode, tables, settings, positions; another instance is a move.
//! Replacement: either endpoint. The engine stops a running task for a change and resumes it where
//! it stopped. Starting it the first time is no part of this kind: that is `migrate`. A run that
//! failed leaves the object as sound as before, so `failed` counts as ready once a task has run. Costs nothing beside
//! its instance.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_sdk_databasemigration::types::ReplicationTask as Live;
use aws_smithy_types::date_time::Format;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Readiness, Scope, Seconds, Tags,
};
use towpath_engine::secret::redact;
use towpath_engine::value::{Map, Value};

use super::dms_work::{Carried, Told};
pub use super::dms_work::{Mode, Tables};
use super::{dms_common, dms_work};
use crate::cloud::Cloud;
use crate::dms::{self, ConnectionState, StartType};
use crate::fault::fault;

/// The block of a `dms/replication_task`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The identifier, in lower case, at most 255 characters. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// The `dms/replication_instance` that does the work; another one is a move.
    #[schemars(extend("x-towpath" = {
        "group": "instance", "rule": "MoveReplicationTask",
        "refers_to": { "kinds": ["dms/replication_instance"], "attribute": "arn", "physical": ["arn:"] },
        "holds": { "dms/replication_instance": "arn" },
    }))]
    pub instance: String,
    /// The `dms/endpoint` to read.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ModifyReplicationTask has no endpoints",
        "refers_to": { "kinds": ["dms/endpoint"], "attribute": "arn", "physical": ["arn:"] },
        "holds": { "dms/endpoint": "arn" },
    }))]
    pub source: String,
    /// The `dms/endpoint` to write.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ModifyReplicationTask has no endpoints",
        "refers_to": { "kinds": ["dms/endpoint"], "attribute": "arn", "physical": ["arn:"] },
        "holds": { "dms/endpoint": "arn" },
    }))]
    pub target: String,
    /// Whether existing rows, later changes or both are carried.
    pub mode: Mode,
    /// The tables, in short form; excludes `mappings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Tables>,
    /// The table mappings in DMS's own form (`{rules: […]}`), for what `tables` does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mappings: Option<Value>,
    /// Task settings in DMS's own form, e.g. `FullLoadSettings: {MaxFullLoadSubTasks: 16}`. Only
    /// what is written here is sent and compared; DMS fills in the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub settings: Option<Map>,
    /// Where change data capture begins: a log position or checkpoint. PostgreSQL has no position for a time ("PostgreSQL
    /// as a source doesn't support a custom CDC start time", Database Migration Guide, "Ongoing Replication").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdc_start_position: Option<String>,
    /// Where it ends: `server_time:` or `commit_time:` and a time, e.g. `server_time:2026-02-09T12:12:12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdc_stop_position: Option<String>,
    /// Supplemental task data, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_data: Option<String>,
}

impl Spec {
    fn carried(&self) -> Carried<'_> {
        Carried { tables: self.tables.as_ref(), mappings: self.mappings.as_ref(), settings: self.settings.as_ref() }
    }
}

/// The kind `dms/replication_task`.
pub struct ReplicationTask {
    cloud: Cloud,
    /// ARNs of endpoints whose failed test was asked for again, since DMS never repeats one by itself.
    retested: Mutex<BTreeSet<String>>,
}

/// What is said of a connection that nobody takes: "The database endpoints must include … security group rules (if applicable) that
/// allow incoming access from the replication instance" (DMS user guide, "Setting up a network for a replication instance").
const NOBODY_ANSWERS: &str =
    "; the security groups of both must let the port through, out of the instance and into the database";

impl ReplicationTask {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud, retested: Mutex::default() }
    }

    /// Sees to it that both ends are tested, without which no task can start. A test that failed is
    /// made once more: what it failed for may be mended.
    async fn test_ends(&self, object: &Object) -> Result<(), Fault> {
        let instance = object.state["instance"].as_str().unwrap_or_default();
        for end in ["source", "target"] {
            let endpoint = object.state[end].as_str().unwrap_or_default();
            match dms::connection(&self.cloud, instance, endpoint).await? {
                ConnectionState::Successful | ConnectionState::Testing => {}
                ConnectionState::Failed(reason) if self.was_retested(endpoint) => {
                    let name = endpoint.rsplit(':').next().unwrap_or(endpoint);
                    let way = if reason.contains("timed out") { NOBODY_ANSWERS } else { "" };
                    let message = format!("the instance cannot connect to the {end} `{name}`: {reason}{way}");
                    return Err(Fault::local(FaultClass::Invalid, "dms:TestConnection", redact(&message)));
                }
                ConnectionState::Untested | ConnectionState::Failed(_) => {
                    dms::test_connection(&self.cloud, instance, endpoint).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether the endpoint's test was made again; by the next time it was, unless this says so.
    fn was_retested(&self, endpoint: &str) -> bool {
        let mut retested = self.retested.lock().unwrap_or_else(PoisonError::into_inner);
        let was = retested.remove(endpoint);
        if !was {
            retested.insert(endpoint.to_owned());
        }
        was
    }
}

/// A task that failed before it ever ran was not made as it should be, and has no position to lose.
fn made_in_vain(live: &Live) -> Option<Readiness> {
    let is_failed = live.status.as_deref() == Some("failed") && live.replication_task_start_date.is_none();
    let reason = live.last_failure_message.clone();
    is_failed.then(|| Readiness::Failed(reason.unwrap_or_else(|| "it failed before it was ever started".to_owned())))
}

fn object(live: Live) -> Object {
    let failed = made_in_vain(&live);
    let own = Map::from_iter([
        ("instance".to_owned(), json!(live.replication_instance_arn)),
        ("cdc_start_position".to_owned(), json!(live.cdc_start_position)),
        ("cdc_stop_position".to_owned(), json!(live.cdc_stop_position)),
        ("task_data".to_owned(), json!(live.task_data)),
    ]);
    let stats = live.replication_task_stats.as_ref();
    let told = Told {
        arn: live.replication_task_arn,
        name: live.replication_task_identifier,
        source: live.source_endpoint_arn,
        target: live.target_endpoint_arn,
        mode: live.migration_type,
        mappings: live.table_mappings,
        settings: live.replication_task_settings,
        status: live.status,
        stop_reason: live.stop_reason,
        failure: live.last_failure_message,
        started: stats.and_then(|stats| stats.start_date),
        loaded: stats.and_then(|stats| stats.full_load_finish_date),
    };
    let object = told.object(own);
    Object { readiness: failed.unwrap_or(object.readiness), ..object }
}

impl Kind for ReplicationTask {
    const NAME: &'static str = "dms/replication_task";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "Which tables are carried from where to where, and how. Once it follows changes, its position is \
                      protected like data.",
            create: Seconds::new(20.0, 45.0, 120.0),
            update: Seconds::new(10.0, 30.0, 120.0),
            delete: Seconds::new(30.0, 90.0, 400.0),
            poll: Poll { first: 5.0, interval: 5.0, give_up: 900.0, stable: 1 },
            pauses: Pauses::Itself,
            holds: None,
            name_limit: 255,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        dms_common::identifier(place, name, spec.name.as_ref(), 255)
    }

    fn predict(&self, place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        dms_work::predict(place, Self::NAME, identity)
    }

    fn holds(&self, object: &Object) -> Option<&'static str> {
        let status = object.outputs.get("status").and_then(Value::as_str).unwrap_or_default();
        dms_work::holds(object, !matches!(status, "creating" | "ready" | "deleting" | ""))
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        check(spec)
    }

    fn normalise(&self, value: Value) -> Value {
        dms_work::normalise(value)
    }

    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        dms_work::declare(&mut state);
        if let Some(map) = state.as_object_mut() {
            // Where a run began is its history, not its declaration.
            map.shift_remove("cdc_start_position");
        }
        found.without(state, &json!({}))
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let call = client.describe_replication_tasks().without_settings(false);
        let pages = call.into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeReplicationTasks")?;
        let tasks = pages.into_iter().flat_map(|page| page.replication_tasks.unwrap_or_default());
        let mut objects: Vec<Object> = tasks.map(object).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let client = self.cloud.dms().await;
        client
            .create_replication_task()
            .replication_task_identifier(name)
            .resource_identifier(dms_common::resource_identifier(name))
            .source_endpoint_arn(&spec.source)
            .target_endpoint_arn(&spec.target)
            .replication_instance_arn(&spec.instance)
            .migration_type(spec.mode.to_sdk())
            .table_mappings(spec.carried().mappings(Self::NAME)?)
            .set_replication_task_settings(spec.carried().settings())
            .set_cdc_start_position(spec.cdc_start_position.clone())
            .set_cdc_stop_position(spec.cdc_stop_position.clone())
            .set_task_data(spec.task_data.clone())
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateReplicationTask"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        let client = self.cloud.dms().await;
        if changed("instance") {
            let call = client.move_replication_task().replication_task_arn(arn);
            let call = call.target_replication_instance_arn(&spec.instance);
            return call.send().await.map(drop).map_err(fault("dms:MoveReplicationTask"));
        }
        let (mappings, settings) = spec.carried().changed(Self::NAME, fields)?;
        client
            .modify_replication_task()
            .replication_task_arn(arn)
            .set_migration_type(changed("mode").then(|| spec.mode.to_sdk()))
            .set_table_mappings(mappings)
            .set_replication_task_settings(settings)
            .set_cdc_start_position(spec.cdc_start_position.clone().filter(|_| changed("cdc_start_position")))
            .set_cdc_stop_position(spec.cdc_stop_position.clone().filter(|_| changed("cdc_stop_position")))
            .set_task_data(spec.task_data.clone().filter(|_| changed("task_data")))
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyReplicationTask"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        let deleted = client.delete_replication_task().replication_task_arn(arn).send().await;
        match deleted.map(drop).map_err(fault("dms:DeleteReplicationTask")) {
            // It was started behind our back: ask it to stop, and let the engine try again.
            Err(busy) if busy.class == FaultClass::Busy => {
                self.pause(object).await?;
                Err(busy)
            }
            other => other,
        }
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    async fn pause(&self, object: &Object) -> Result<(), Fault> {
        dms_work::stop(&self.cloud, object).await
    }

    async fn resume(&self, object: &Object) -> Result<(), Fault> {
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        match dms::start(&self.cloud, &arn, StartType::Resume).await {
            Err(busy) if busy.class == FaultClass::Busy => {
                self.test_ends(object).await?;
                Err(busy)
            }
            other => other,
        }
    }

    fn ended(&self, object: &Object) -> Option<Result<(), String>> {
        dms_work::ended(object)
    }

    /// By its beginning.
    fn stretch(&self, object: &Object) -> Option<String> {
        dms_common::text(object, "started")
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
}

fn check(spec: &Spec) -> Vec<(String, String)> {
    let mut mistakes: Vec<(String, String)> = dms_common::check_name(spec.name.as_ref(), 255).into_iter().collect();
    mistakes.extend(spec.carried().check());
    let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
    if spec.mode == Mode::FullLoad && spec.cdc_start_position.is_some() {
        mistake("mode", "a full load has no position in the source's changes: use `full-load-and-cdc` or `cdc`");
    }
    if spec.cdc_stop_position.as_ref().is_some_and(|position| !is_stop(position)) {
        let rule = "write `server_time:` or `commit_time:` and a time, e.g. server_time:2026-02-09T12:12:12";
        mistake("cdc_stop_position", rule);
    }
    mistakes
}

/// Whether DMS takes a position to stop at: "The value can be either server time or commit time. Server time example:
/// --cdc-stop-position “server_time:2018-02-09T12:12:12”" (API reference, `CreateReplicationTask`).
fn is_stop(position: &str) -> bool {
    let moment = position.strip_prefix("server_time:").or_else(|| position.strip_prefix("commit_time:"));
    moment.is_some_and(|moment| {
        let moment = moment.trim();
        let whole = if moment.ends_with('Z') { moment.to_owned() } else { format!("{moment}Z") };
        aws_smithy_types::DateTime::from_str(&whole, Format::DateTime).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_databasemigration::types::ReplicationTaskStats;

    use super::*;

    fn spec(value: Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    fn whole(extra: &Value) -> Value {
        let mut value = json!({ "instance": "arn:i", "source": "arn:s", "target": "arn:t", "mode": "full-load" });
        for (key, item) in extra.as_object().unwrap() {
            value[key] = item.clone();
        }
        value
    }

    /// The table of stop reasons in the DMS API reference of `StopReplicationTask` and its task states.
    #[test]
    fn how_a_run_ended_is_told_by_status_and_reason() {
        let kind = ReplicationTask::new(Cloud::offline());
        let ended = |status: &str, reason: &str, mode: &str| {
            let stats = ReplicationTaskStats::builder().full_load_finish_date(aws_smithy_types::DateTime::from_secs(1));
            let live = Live::builder()
                .status(status)
                .stop_reason(reason)
                .migration_type(mode.into())
                .replication_task_stats(stats.build());
            kind.ended(&object(live.build()))
        };
        assert_eq!(ended("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED", "full-load"), Some(Ok(())));
        assert_eq!(ended("stopped", "Stop Reason NORMAL", "full-load"), Some(Ok(())));
        assert_eq!(ended("stopped", "Stop Reason NORMAL", "full-load-and-cdc"), None, "we stopped it");
        assert_eq!(ended("stopped", "Stop Reason RECYCLE_TASK", "cdc"), None);
        assert_eq!(ended("running", "", "cdc"), None);
        let failed = ended("failed", "Stop Reason FATAL_ERROR Error Level FATAL", "cdc");
        assert_eq!(failed, Some(Err("FATAL_ERROR".to_owned())));
        assert!(matches!(ended("stopped", "Stop Reason RECOVERABLE_ERROR", "cdc"), Some(Err(_))));
    }

    #[test]
    fn each_start_makes_another_stretch_of_work() {
        let kind = ReplicationTask::new(Cloud::offline());
        let stretch = |seconds: Option<f64>| {
            let start = seconds.map(aws_smithy_types::DateTime::from_secs_f64);
            let stats = ReplicationTaskStats::builder().set_start_date(start).build();
            kind.stretch(&object(Live::builder().replication_task_stats(stats).build()))
        };
        assert_eq!(stretch(Some(1_780_000_000.25)).as_deref(), Some("2026-05-28T20:26:40.25Z"));
        assert_ne!(stretch(Some(1_780_000_000.25)), stretch(Some(1_780_000_000.5)));
        assert_eq!(stretch(None), None);
    }

    #[test]
    fn a_task_that_failed_before_it_ever_ran_is_broken() {
        let failed = || Live::builder().replication_task_identifier("club-load").status("failed");
        assert!(matches!(object(failed().build()).readiness, Readiness::Failed(_)));
        let began = aws_smithy_types::DateTime::from_secs(1);
        let has_run = failed().replication_task_start_date(began).build();
        assert_eq!(object(has_run).readiness, Readiness::Ready);
    }

    #[test]
    fn mistakes_name_their_field() {
        let fields = |extra: Value| check(&spec(whole(&extra))).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        assert_eq!(fields(json!({})), ["tables"]);
        assert_eq!(fields(json!({ "tables": [{ "schema": "a", "include": [] }] })), ["tables"]);
        assert_eq!(fields(json!({ "tables": [{ "schema": "a", "rename_schema": "_a" }] })), ["tables"]);
        assert_eq!(fields(json!({ "tables": [{ "schem": "a" }] })), ["tables"]);
        assert_eq!(fields(json!({ "tables": [{ "schema": "a" }], "cdc_start_position": "0/1" })), ["mode"]);
        assert!(fields(json!({ "tables": [{ "schema": "a" }] })).is_empty());
    }
}
