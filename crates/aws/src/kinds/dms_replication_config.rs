//! `dms/replication_config`: a replication of DMS Serverless, which tables are carried from where to where, and between
//! which bounds DMS gives it capacity. It has no instance: DMS brings its own when the replication is started, which
//! takes about half an hour.
//!
//! In place, while it does not run: mode, tables, settings, capacity units, zones, groups, window, name servers.
//! Replacement: either endpoint, because position and loaded tables belong to the two of them; zone, key and subnet group,
//! as Terraform's provider has it. The engine stops a running replication for a change, waits until the change is
//! settled (a start meanwhile is refused: "is in MODIFYING state and cannot start",
//! hashicorp/terraform-provider-aws#35650) and starts it again: changes where they stopped, a full load afresh, since
//! "the resume-processing option isn't applicable for a full-load replication" (DMS API reference, `StartReplication`).
//! Starting it the first time is no part of this kind: that is `migrate`. Costs its capacity units by the hour while it
//! has any, which is up to 48 hours longer than it runs; then its position is lost with its capacity.
//!
//! Long because the examples that its pure parts are held to stand beside them.
//!
//! Fields are not gathered in a `compute` block as in the API, because each has a rule of its own.

use aws_sdk_databasemigration::types::{ComputeConfig, Replication as LiveRun, ReplicationConfig as Live};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Price, Scope, Seconds, Tags,
};
use towpath_engine::value::{Map, Value};

use super::dms_work::{Carried, Told};
pub use super::dms_work::{Mode, Tables};
use super::{dms_common, dms_work};
use crate::cloud::Cloud;
use crate::dms::{self, StartType};
use crate::fault::fault;

/// "The list of valid DCU values" (DMS API reference, `ComputeConfig`).
const UNITS: [i32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384];

/// The block of a `dms/replication_config`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The identifier, in lower case, at most 255 characters. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// The `dms/endpoint` to read.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "position and loaded tables belong to the two endpoints",
        "refers_to": { "kinds": ["dms/endpoint"], "attribute": "arn", "physical": ["arn:"] },
        "holds": { "dms/endpoint": "arn" },
    }))]
    pub source: String,
    /// The `dms/endpoint` to write.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "position and loaded tables belong to the two endpoints",
        "refers_to": { "kinds": ["dms/endpoint"], "attribute": "arn", "physical": ["arn:"] },
        "holds": { "dms/endpoint": "arn" },
    }))]
    pub target: String,
    /// Whether existing rows, later changes or both are carried.
    pub mode: Mode,
    /// The tables, in short form; excludes `mappings`. DMS Serverless carries no views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Tables>,
    /// The table mappings in DMS's own form (`{rules: […]}`), for what `tables` does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mappings: Option<Value>,
    /// Settings in DMS's own form, those of a task, e.g. `FullLoadSettings: {MaxFullLoadSubTasks: 16}`. Only what is
    /// written here is sent and compared; DMS fills in the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub settings: Option<Map>,
    /// Supplemental settings, in DMS's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplemental_settings: Option<Map>,
    /// The most capacity units (DCU, 2 GB of memory each) it may have: 1, 2, 4, 8, 16, 32, 64, 128, 192, 256 or 384.
    pub max_capacity_units: i32,
    /// The fewest it has while it works. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_capacity_units: Option<i32>,
    /// Whether a standby in another zone is kept. Excludes `availability_zone`. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_az: Option<bool>,
    /// The zone, e.g. `eu-north-1a`. Default: chosen by AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "its capacity keeps its zone for life" }))]
    pub availability_zone: Option<String>,
    /// The name of a `dms/subnet_group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "its capacity keeps its subnets for life",
        "refers_to": { "kinds": ["dms/subnet_group"], "attribute": "name" },
        "holds": { "dms/subnet_group": "name" },
    }))]
    pub subnet_group: Option<String>,
    /// Security groups of its network interfaces. Default: the VPC's default group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set",
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"] },
        "holds": { "ec2/security_group": "id" },
    }))]
    pub security_groups: Option<Vec<String>>,
    /// The ARN of the key that encrypts its storage. Default: the account's `aws/dms` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "its storage keeps its key for life" }))]
    pub kms_key: Option<String>,
    /// Weekly maintenance in UTC, at least 30 minutes, e.g. `sun:06:00-sun:06:30`. Default: chosen by AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<String>,
    /// Addresses of own name servers, separated by commas, four at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_servers: Option<String>,
}

impl Spec {
    fn carried(&self) -> Carried<'_> {
        Carried { tables: self.tables.as_ref(), mappings: self.mappings.as_ref(), settings: self.settings.as_ref() }
    }
}

/// The fields of a spec or state that the API has in `ComputeConfig`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Compute {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_capacity_units: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_capacity_units: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_az: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance_window: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_servers: Option<String>,
}

impl Compute {
    /// What is declared, in a change over all that is there. Whether DMS keeps what a part leaves out is nowhere said.
    fn of(spec: &Spec, live: Option<&Value>) -> Self {
        let mut fields = live.and_then(Value::as_object).cloned().unwrap_or_default();
        fields.extend(dms_common::state(spec).as_object().cloned().unwrap_or_default());
        serde_json::from_value(Value::Object(fields)).expect("specs and states have the fields of `Compute`")
    }

    fn to_sdk(&self) -> ComputeConfig {
        ComputeConfig::builder()
            .set_max_capacity_units(self.max_capacity_units)
            .set_min_capacity_units(self.min_capacity_units)
            .set_multi_az(self.multi_az)
            .set_availability_zone(self.availability_zone.clone().filter(|_| self.multi_az != Some(true)))
            .set_replication_subnet_group_id(self.subnet_group.clone())
            .set_vpc_security_group_ids(self.security_groups.clone())
            .set_kms_key_id(self.kms_key.clone())
            .set_preferred_maintenance_window(self.maintenance_window.clone())
            .set_dns_name_servers(self.dns_servers.clone())
            .build()
    }

    fn from_sdk(config: ComputeConfig) -> Self {
        let mut security_groups = config.vpc_security_group_ids.unwrap_or_default();
        security_groups.sort();
        Self {
            max_capacity_units: config.max_capacity_units,
            min_capacity_units: config.min_capacity_units,
            multi_az: config.multi_az,
            availability_zone: config.availability_zone,
            subnet_group: config.replication_subnet_group_id.map(|name| name.to_lowercase()),
            security_groups: Some(security_groups),
            kms_key: config.kms_key_id,
            maintenance_window: config.preferred_maintenance_window,
            dns_servers: config.dns_name_servers.filter(|servers| !servers.is_empty()),
        }
    }
}

/// The kind `dms/replication_config`.
pub struct ReplicationConfig {
    cloud: Cloud,
}

impl ReplicationConfig {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

fn text_of(document: Option<&Map>) -> Option<String> {
    document.map(|document| Value::Object(document.clone()).to_string())
}

fn object(live: Live, run: Option<&LiveRun>) -> Object {
    let is_read_only = live.is_read_only;
    let supplemental = live.supplemental_settings.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let compute = dms_common::state(&live.compute_config.map(Compute::from_sdk).unwrap_or_default());
    let mut own = compute.as_object().cloned().unwrap_or_default();
    own.insert("supplemental_settings".to_owned(), json!(supplemental));
    let stats = run.and_then(|run| run.replication_stats.as_ref());
    let capacity = run.and_then(|run| run.provision_data.as_ref()?.provision_state.clone());
    let told = Told {
        arn: live.replication_config_arn,
        name: live.replication_config_identifier,
        source: live.source_endpoint_arn,
        target: live.target_endpoint_arn,
        mode: live.replication_type,
        mappings: live.table_mappings,
        settings: live.replication_settings,
        status: Some(run.and_then(|run| run.status.clone()).unwrap_or_else(|| "created".to_owned())),
        stop_reason: run.and_then(|run| run.stop_reason.clone()),
        failure: run.map(|run| run.failure_messages().join("; ")).filter(|text| !text.is_empty()),
        started: stats.and_then(|stats| stats.start_date),
        loaded: stats.and_then(|stats| stats.full_load_finish_date),
    };
    let mut object = told.object(own);
    object.outputs.insert("capacity".to_owned(), json!(capacity));
    dms_common::note_read_only(&mut object, is_read_only);
    object
}

/// Whether the capacity of a replication that stands still was taken away, and its position with it.
fn is_deprovisioned(object: &Object) -> bool {
    dms_common::text(object, "capacity").as_deref() == Some("deprovisioned")
}

impl Kind for ReplicationConfig {
    const NAME: &'static str = "dms/replication_config";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A replication of DMS Serverless: which tables are carried from where to where, and how much \
                      capacity it may have. Once it follows changes, its position is protected like data.",
            create: Seconds::new(1.0, 20.0, 120.0),
            update: Seconds::new(20.0, 180.0, 3600.0),
            delete: Seconds::new(30.0, 90.0, 3600.0),
            poll: Poll { first: 5.0, interval: 10.0, give_up: 3600.0, stable: 1 },
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

    /// No list price of a capacity unit was found in a public source.
    fn price(&self, spec: &Spec) -> Option<Price> {
        let (least, most) = (spec.min_capacity_units.unwrap_or(1), spec.max_capacity_units);
        let zones = if spec.multi_az == Some(true) { " in each of two zones" } else { "" };
        let units = if least == most { most.to_string() } else { format!("{least} to {most}") };
        Some(Price {
            monthly: None,
            unknown: true,
            basis: format!("{units} capacity units{zones}, from its start until up to 48 hours after its end"),
        })
    }

    fn holds(&self, object: &Object) -> Option<&'static str> {
        let has_begun = dms_common::text(object, "started").is_some();
        dms_work::holds(object, has_begun && !is_deprovisioned(object))
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        check(spec)
    }

    fn normalise(&self, value: Value) -> Value {
        let mut value = dms_work::normalise(value);
        if let Some(window) = value.get_mut("maintenance_window") {
            *window = json!(window.as_str().unwrap_or_default().to_lowercase());
        }
        value
    }

    /// What AWS chooses is left to it.
    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        dms_work::declare(&mut state);
        if let Some(map) = state.as_object_mut()
            && map.get("multi_az") == Some(&json!(true))
        {
            map.shift_remove("availability_zone");
        }
        found.without(state, &json!({ "multi_az": false, "min_capacity_units": 1 }))
    }

    fn managed_by(&self, object: &Object) -> Option<&'static str> {
        dms_common::managed_by(object)
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let configs = async {
            let pages = client.describe_replication_configs().into_paginator().send();
            dms_common::pages(pages.collect::<Result<Vec<_>, _>>().await, "dms:DescribeReplicationConfigs")
        };
        let runs = async {
            let pages = client.describe_replications().into_paginator().send();
            dms_common::pages(pages.collect::<Result<Vec<_>, _>>().await, "dms:DescribeReplications")
        };
        let (configs, runs) = futures::try_join!(configs, runs)?;
        let runs: Vec<LiveRun> = runs.into_iter().flat_map(|page| page.replications.unwrap_or_default()).collect();
        let run = |config: &Live| {
            let arn = config.replication_config_arn.as_ref();
            runs.iter().find(|run| run.replication_config_arn.as_ref() == arn)
        };
        let configs = configs.into_iter().flat_map(|page| page.replication_configs.unwrap_or_default());
        let mut objects: Vec<Object> = configs
            .map(|config| {
                let run = run(&config);
                object(config, run)
            })
            .collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let client = self.cloud.dms().await;
        client
            .create_replication_config()
            .replication_config_identifier(name)
            .resource_identifier(dms_common::resource_identifier(name))
            .source_endpoint_arn(&spec.source)
            .target_endpoint_arn(&spec.target)
            .replication_type(spec.mode.to_sdk())
            .table_mappings(spec.carried().mappings(Self::NAME)?)
            .compute_config(Compute::of(spec, None).to_sdk())
            .set_replication_settings(spec.carried().settings())
            .set_supplemental_settings(text_of(spec.supplemental_settings.as_ref()))
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateReplicationConfig"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        const COMPUTE: [&str; 6] = [
            "max_capacity_units",
            "min_capacity_units",
            "multi_az",
            "security_groups",
            "maintenance_window",
            "dns_servers",
        ];
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let (mappings, settings) = spec.carried().changed(Self::NAME, fields)?;
        let compute = COMPUTE.into_iter().any(changed).then(|| Compute::of(spec, Some(&object.state)).to_sdk());
        let client = self.cloud.dms().await;
        client
            .modify_replication_config()
            .replication_config_arn(dms_common::text(object, "arn").unwrap_or_default())
            .set_replication_type(changed("mode").then(|| spec.mode.to_sdk()))
            .set_table_mappings(mappings)
            .set_replication_settings(settings)
            .set_supplemental_settings(text_of(
                spec.supplemental_settings.as_ref().filter(|_| changed("supplemental_settings")),
            ))
            .set_compute_config(compute)
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyReplicationConfig"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        let deleted = client.delete_replication_config().replication_config_arn(arn).send().await;
        match deleted.map(drop).map_err(fault("dms:DeleteReplicationConfig")) {
            // It was started behind our back: ask it to stop, and let the engine try again.
            Err(busy) if busy.class == FaultClass::Busy && object.running => {
                self.pause(object).await?;
                Err(busy)
            }
            other => other,
        }
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    /// A refusal because it does not run is for the engine, which looks again before the next try.
    async fn pause(&self, object: &Object) -> Result<(), Fault> {
        dms_work::stop(&self.cloud, object).await
    }

    async fn resume(&self, object: &Object) -> Result<(), Fault> {
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        if object.state["mode"] == "full-load" {
            return dms::start(&self.cloud, &arn, StartType::Reload).await;
        }
        if is_deprovisioned(object) {
            let message = "it has stood still for so long that DMS took its capacity and with it its position: load \
                           everything again with `towpath migrate --reload-all`";
            return Err(Fault::local(FaultClass::Invalid, "dms:StartReplication", message));
        }
        dms::start(&self.cloud, &arn, StartType::Resume).await
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
    if spec.carried().has_views() {
        let field = if spec.tables.is_some() { "tables" } else { "mappings" };
        mistake(field, "DMS Serverless carries no views: use a `dms/replication_task` for them");
    }
    let units =
        [("max_capacity_units", Some(spec.max_capacity_units)), ("min_capacity_units", spec.min_capacity_units)];
    for (field, units) in units {
        if units.is_some_and(|units| !UNITS.contains(&units)) {
            mistake(field, "capacity units are 1, 2, 4, 8, 16, 32, 64, 128, 192, 256 or 384");
        }
    }
    if spec.min_capacity_units.is_some_and(|least| least > spec.max_capacity_units) {
        mistake("min_capacity_units", "the fewest capacity units are more than `max_capacity_units`");
    }
    mistakes.extend(dms_common::check_window(spec.maintenance_window.as_ref()));
    mistakes.extend(dms_common::check_name_servers(spec.dns_servers.as_ref()));
    let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
    if spec.multi_az == Some(true) && spec.availability_zone.is_some() {
        mistake("availability_zone", "with `multi_az` AWS chooses the zones: leave `availability_zone` out");
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use aws_sdk_databasemigration::types::{ProvisionData, ReplicationStats};
    use aws_smithy_types::DateTime;

    use super::*;

    fn spec(extra: &Value) -> Spec {
        let mut value = json!({ "source": "arn:s", "target": "arn:t", "mode": "full-load",
            "tables": [{ "schema": "public" }], "max_capacity_units": 16 });
        for (key, item) in extra.as_object().unwrap() {
            value[key] = item.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn seen(status: &str, capacity: &str, mode: &str) -> Object {
        let stats = ReplicationStats::builder().start_date(DateTime::from_secs(1)).build();
        let data = ProvisionData::builder().provision_state(capacity).build();
        let run = LiveRun::builder().status(status).provision_data(data).replication_stats(stats).build();
        object(Live::builder().replication_type(mode.into()).build(), Some(&run))
    }

    #[test]
    fn the_position_is_held_until_its_capacity_is_taken_away() {
        let kind = ReplicationConfig::new(Cloud::offline());
        assert!(kind.holds(&seen("stopped", "provisioned", "full-load-and-cdc")).is_some());
        assert!(kind.holds(&seen("stopped", "deprovisioned", "full-load-and-cdc")).is_none());
        assert!(kind.holds(&seen("stopped", "provisioned", "full-load")).is_none());
        let new = object(Live::builder().replication_type("cdc".into()).build(), None);
        assert!(kind.holds(&new).is_none());
    }

    #[test]
    fn a_change_of_the_compute_configuration_sends_all_of_it() {
        let live = json!({ "max_capacity_units": 16, "min_capacity_units": 2, "kms_key": "k", "subnet_group": "g",
            "availability_zone": "eu-north-1a", "security_groups": ["sg-1"], "multi_az": false });
        let sent = Compute::of(&spec(&json!({ "max_capacity_units": 32, "multi_az": true })), Some(&live)).to_sdk();
        assert_eq!((sent.max_capacity_units(), sent.min_capacity_units()), (Some(32), Some(2)));
        assert_eq!((sent.kms_key_id(), sent.replication_subnet_group_id()), (Some("k"), Some("g")));
        assert_eq!((sent.multi_az(), sent.availability_zone()), (Some(true), None), "DMS takes one or the other");
    }

    #[test]
    fn mistakes_name_their_field() {
        let fields = |extra: Value| check(&spec(&extra)).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        assert!(fields(json!({})).is_empty());
        assert_eq!(fields(json!({ "max_capacity_units": 5 })), ["max_capacity_units"]);
        assert_eq!(fields(json!({ "min_capacity_units": 32 })), ["min_capacity_units"]);
        assert_eq!(fields(json!({ "multi_az": true, "availability_zone": "a" })), ["availability_zone"]);
        assert_eq!(fields(json!({ "tables": [{ "schema": "public", "type": "view" }] })), ["tables"]);
    }
}
