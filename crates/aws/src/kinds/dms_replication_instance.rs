//! `dms/replication_instance`: the machine that reads the source and writes the target.
//!
//! In place: class, storage (it only grows), engine version, zones, security groups, maintenance
//! window, network type. Replacement: zone, key, public address, subnet group, name servers. A
//! change that waits for the maintenance window is reported as pending, not as drift. Costs its
//! class per hour from the moment it exists, whether tasks run or not.
//!
//! Long because the examples that its pure parts are held to stand beside them.

use aws_sdk_databasemigration::types::{KerberosAuthenticationSettings, ReplicationInstance as Instance};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Price, Readiness, Scope, Seconds,
    Tags,
};
use towpath_engine::value::Value;

use super::dms_common;
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `dms/replication_instance`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The identifier, in lower case, at most 63 characters. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// The instance class, e.g. `dms.t3.medium`.
    #[schemars(length(max = 30), extend("x-towpath" = { "interrupts": "the tasks that run on it, until it is available again" }))]
    pub class: String,
    /// Storage for logs and cached changes in GB; it can grow, never shrink. Default: the class's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 6144))]
    pub storage_gb: Option<i32>,
    /// The DMS engine version in full, e.g. `3.5.4`. Default: the service's default version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "interrupts": "the tasks that run on it, until it is available again" }))]
    pub engine_version: Option<String>,
    /// Whether a change of `engine_version` may be a major one (3.4 to 3.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "local" }))]
    pub allow_major_upgrade: Option<bool>,
    /// Whether DMS may raise the minor version by itself. Default: `false` when `engine_version`
    /// is given, else `true` as AWS has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_minor_upgrades: Option<bool>,
    /// The name of a `dms/subnet_group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ModifyReplicationInstance has no subnet group",
        "refers_to": { "kinds": ["dms/subnet_group"], "attribute": "name" },
        "holds": { "dms/subnet_group": "name" },
    }))]
    pub subnet_group: Option<String>,
    /// Security groups of its network interface. Default: the VPC's default group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set",
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"] },
        "holds": { "ec2/security_group": "id" },
    }))]
    pub security_groups: Option<Vec<String>>,
    /// Whether it has a public address. Default: `false` (AWS's own default is `true`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ModifyReplicationInstance has no PubliclyAccessible",
    }))]
    pub public: Option<bool>,
    /// Whether a standby in another zone is kept; doubles the price. Excludes `availability_zone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_az: Option<bool>,
    /// The zone, e.g. `eu-north-1a`. Default: chosen by AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ModifyReplicationInstance has no AvailabilityZone",
    }))]
    pub availability_zone: Option<String>,
    /// The ARN of the key that encrypts its storage. Default: the account's `aws/dms` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "CreateReplicationInstance only" }))]
    pub kms_key: Option<String>,
    /// Weekly maintenance in UTC, at least 30 minutes, e.g. `sun:06:00-sun:06:30`. Default: chosen by AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<String>,
    /// `IPV4` or `DUAL`. Default: `IPV4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_type: Option<NetworkType>,
    /// Addresses of own name servers, separated by commas, four at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "CreateReplicationInstance only" }))]
    pub dns_servers: Option<String>,
    /// Kerberos authentication for the databases that ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub kerberos: Option<Kerberos>,
    /// When changes take effect: `now` (the default; interrupts tasks) or `maintenance_window`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "local" }))]
    pub apply: Option<Apply>,
}

/// Addresses of a replication instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum NetworkType {
    /// Version 4 only.
    Ipv4,
    /// Versions 4 and 6.
    Dual,
}

impl NetworkType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPV4",
            Self::Dual => "DUAL",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.to_uppercase().as_str() {
            "IPV4" => Some(Self::Ipv4),
            "DUAL" => Some(Self::Dual),
            _ => None,
        }
    }
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// At once, together with everything that was waiting.
    Now,
    /// In the next maintenance window; until then the plan shows it as pending.
    MaintenanceWindow,
}

/// Kerberos authentication of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kerberos {
    /// The secret that holds the key cache.
    pub secret: String,
    /// The ARN of the role that may read it.
    pub role: String,
    /// The contents of `krb5.conf`.
    pub configuration: String,
}

impl Kerberos {
    fn to_sdk(&self) -> KerberosAuthenticationSettings {
        KerberosAuthenticationSettings::builder()
            .key_cache_secret_id(&self.secret)
            .key_cache_secret_iam_arn(&self.role)
            .krb5_file_contents(&self.configuration)
            .build()
    }

    fn from_sdk(settings: KerberosAuthenticationSettings) -> Option<Self> {
        Some(Self {
            secret: settings.key_cache_secret_id?,
            role: settings.key_cache_secret_iam_arn?,
            configuration: settings.krb5_file_contents.unwrap_or_default(),
        })
    }
}

/// The kind `dms/replication_instance`.
pub struct ReplicationInstance {
    cloud: Cloud,
}

impl ReplicationInstance {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

fn readiness(status: &str) -> Readiness {
    match status {
        // A full disk is an object one can still change: more storage is the way out.
        "available" | "storage-full" => Readiness::Ready,
        "deleting" | "deleted" => Readiness::Deleting,
        "failed" => Readiness::Failed("the instance could not be created".to_owned()),
        "incompatible-network" => Readiness::Failed(
            "incompatible-network: a subnet has no free address, or the role dms-vpc-role cannot make interfaces"
                .to_owned(),
        ),
        "incompatible-credentials" | "inaccessible-encryption-credentials" => {
            Readiness::Failed(format!("{status}: DMS cannot use the instance's encryption key"))
        }
        other => Readiness::Pending(other.to_owned()),
    }
}

fn object(instance: Instance) -> Object {
    let identity = instance.replication_instance_identifier.unwrap_or_default().to_lowercase();
    let groups: Vec<_> = instance.vpc_security_groups.unwrap_or_default();
    let leaving = |status: Option<&str>| status == Some("removing");
    let pending = instance.pending_modified_values.map_or(Value::Null, |values| {
        let mut waiting = json!({
            "class": values.replication_instance_class, "storage_gb": values.allocated_storage,
            "multi_az": values.multi_az, "engine_version": values.engine_version,
            "network_type": values.network_type,
        });
        let members = waiting.as_object_mut().map(|map| map.retain(|_, value| !value.is_null()));
        if members.is_some() && waiting != json!({}) { waiting } else { Value::Null }
    });
    let mut security_groups: Vec<String> = groups
        .into_iter()
        .filter(|group| !leaving(group.status.as_deref()))
        .filter_map(|group| group.vpc_security_group_id)
        .collect();
    security_groups.sort();
    let spec = Spec {
        name: Some(identity.clone()),
        class: instance.replication_instance_class.unwrap_or_default(),
        storage_gb: Some(instance.allocated_storage),
        engine_version: instance.engine_version,
        allow_major_upgrade: None,
        auto_minor_upgrades: Some(instance.auto_minor_version_upgrade),
        subnet_group: instance
            .replication_subnet_group
            .and_then(|group| group.replication_subnet_group_identifier)
            .map(|name| name.to_lowercase()),
        security_groups: Some(security_groups),
        public: Some(instance.publicly_accessible),
        multi_az: Some(instance.multi_az),
        availability_zone: instance.availability_zone,
        kms_key: instance.kms_key_id,
        maintenance_window: instance.preferred_maintenance_window,
        network_type: instance.network_type.as_deref().and_then(NetworkType::parse),
        dns_servers: instance.dns_name_servers,
        kerberos: instance.kerberos_authentication_settings.and_then(Kerberos::from_sdk),
        apply: None,
    };
    Object {
        outputs: Outputs::from([
            ("maintenance_window".to_owned(), json!(spec.maintenance_window)),
            ("arn".to_owned(), json!(instance.replication_instance_arn)),
            ("name".to_owned(), json!(identity)),
            ("private_addresses".to_owned(), json!(instance.replication_instance_private_ip_addresses)),
            ("public_addresses".to_owned(), json!(instance.replication_instance_public_ip_addresses)),
        ]),
        state: dms_common::state(&spec),
        tags: None,
        readiness: readiness(instance.replication_instance_status.as_deref().unwrap_or_default()),
        running: false,
        pending,
        identity,
    }
}

/// Gigabytes of storage that an instance of a class has when none are asked for, and that its price includes.
pub(crate) fn included_storage(class: &str) -> i32 {
    if class.starts_with("dms.t") { 50 } else { 100 }
}

impl Kind for ReplicationInstance {
    const NAME: &'static str = "dms/replication_instance";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "The machine that reads the source and writes the target.",
            create: Seconds::new(240.0, 360.0, 1800.0),
            update: Seconds::new(60.0, 300.0, 1800.0),
            delete: Seconds::new(120.0, 240.0, 1800.0),
            poll: Poll { first: 5.0, interval: 10.0, give_up: 2400.0, stable: 1 },
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 63,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        dms_common::identifier(place, name, spec.name.as_ref(), 63)
    }

    fn predict(&self, place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        let id = dms_common::resource_identifier(identity);
        Outputs::from([
            ("arn".to_owned(), json!(dms_common::arn(place, "rep", &id))),
            ("name".to_owned(), json!(identity)),
        ])
    }

    fn price(&self, spec: &Spec) -> Option<Price> {
        let two_zones = spec.multi_az == Some(true);
        // List prices per hour; only those that were found in a public price source.
        let hourly = match spec.class.as_str() {
            "dms.t2.micro" => Some((0.018, "us-east-1")),
            "dms.r5.large" => Some((0.23, "eu-west-1")),
            _ => None,
        };
        let storage = spec.storage_gb.map(|size| format!(", {size} GB")).unwrap_or_default();
        let what = format!("{}{}{storage}", spec.class, if two_zones { ", two zones" } else { "" });
        let Some((hourly, region)) = hourly else {
            return Some(Price { monthly: None, unknown: true, basis: what });
        };
        // Storage beyond what the class includes is charged by GB and month.
        let extra = f64::from(spec.storage_gb.map_or(0, |size| (size - included_storage(&spec.class)).max(0)));
        let (zones, per_gb) = if two_zones { (2.0, 0.23) } else { (1.0, 0.115) };
        let monthly = hourly * zones * 730.0 + extra * per_gb;
        Some(Price { monthly: Some(monthly), unknown: false, basis: format!("{what}, list price of {region}") })
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes: Vec<(String, String)> = dms_common::check_name(spec.name.as_ref(), 63).into_iter().collect();
        if spec.multi_az == Some(true) && spec.availability_zone.is_some() {
            let rule = "with `multi_az` AWS chooses the zones: leave `availability_zone` out";
            mistakes.push(("availability_zone".to_owned(), rule.to_owned()));
        }
        mistakes.extend(dms_common::check_window(spec.maintenance_window.as_ref()));
        mistakes.extend(dms_common::check_name_servers(spec.dns_servers.as_ref()));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_whole = |version: &String| version.split('.').count() == 3 && version.split('.').all(is_number);
        if spec.engine_version.as_ref().is_some_and(|version| !is_whole(version)) {
            let rule = "an engine version has three parts, e.g. 3.5.4";
            mistakes.push(("engine_version".to_owned(), rule.to_owned()));
        }
        if !spec.class.is_empty() && !spec.class.starts_with("dms.") {
            mistakes.push(("class".to_owned(), "classes of DMS begin with `dms.`, e.g. dms.t3.medium".to_owned()));
        }
        mistakes
    }

    fn normalise(&self, mut value: Value) -> Value {
        dms_common::fold_name(&mut value);
        if let Some(window) = value.get_mut("maintenance_window") {
            *window = json!(window.as_str().unwrap_or_default().to_lowercase());
        }
        value
    }

    /// What AWS chooses and moves on by itself is left to it.
    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        let upgrades = state["auto_minor_upgrades"] == json!(true);
        let zones = state["multi_az"] == json!(true);
        let mut spec = found.without(state, &json!({ "multi_az": false, "network_type": "IPV4" }));
        if let Some(map) = spec.as_object_mut() {
            // With automatic upgrades a version would be out of date one day.
            for field in ["engine_version", "auto_minor_upgrades"] {
                map.remove(field).filter(|_| !upgrades).and_then(|value| map.insert(field.to_owned(), value));
            }
            if zones {
                map.shift_remove("availability_zone");
            }
        }
        spec
    }

    fn forces_replacement(&self, field: &str, before: &Value, after: &Value) -> Option<String> {
        let version = |value: &Value| {
            let text = value.as_str()?;
            text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()
        };
        let rule = match field {
            "storage_gb" if after.as_i64() < before.as_i64() => "AllocatedStorage can grow, never shrink",
            "engine_version" if version(after)? < version(before)? => "EngineVersion cannot be downgraded",
            _ => return None,
        };
        Some(rule.to_owned())
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let pages =
            client.describe_replication_instances().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeReplicationInstances")?;
        let instances = pages.into_iter().flat_map(|page| page.replication_instances.unwrap_or_default());
        let mut objects: Vec<Object> = instances.map(object).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let upgrades = spec.auto_minor_upgrades.or_else(|| spec.engine_version.as_ref().map(|_| false));
        let client = self.cloud.dms().await;
        client
            .create_replication_instance()
            .replication_instance_identifier(name)
            .resource_identifier(dms_common::resource_identifier(name))
            .replication_instance_class(&spec.class)
            .set_allocated_storage(spec.storage_gb)
            .set_vpc_security_group_ids(spec.security_groups.clone())
            .set_availability_zone(spec.availability_zone.clone())
            .set_replication_subnet_group_identifier(spec.subnet_group.clone())
            .set_preferred_maintenance_window(spec.maintenance_window.clone())
            .set_multi_az(spec.multi_az)
            .set_engine_version(spec.engine_version.clone())
            .set_auto_minor_version_upgrade(upgrades)
            .set_kms_key_id(spec.kms_key.clone())
            .publicly_accessible(spec.public.unwrap_or(false))
            .set_dns_name_servers(spec.dns_servers.clone())
            .set_network_type(spec.network_type.map(|network| network.as_str().to_owned()))
            .set_kerberos_authentication_settings(spec.kerberos.as_ref().map(Kerberos::to_sdk))
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateReplicationInstance"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        let client = self.cloud.dms().await;
        client
            .modify_replication_instance()
            .replication_instance_arn(arn)
            .apply_immediately(spec.apply != Some(Apply::MaintenanceWindow))
            .set_replication_instance_class(changed("class").then(|| spec.class.clone()))
            .set_allocated_storage(spec.storage_gb.filter(|_| changed("storage_gb")))
            .set_vpc_security_group_ids(spec.security_groups.clone().filter(|_| changed("security_groups")))
            .set_preferred_maintenance_window(spec.maintenance_window.clone().filter(|_| changed("maintenance_window")))
            .set_multi_az(spec.multi_az.filter(|_| changed("multi_az")))
            .set_engine_version(spec.engine_version.clone().filter(|_| changed("engine_version")))
            .allow_major_version_upgrade(spec.allow_major_upgrade.unwrap_or(false))
            .set_auto_minor_version_upgrade(spec.auto_minor_upgrades.filter(|_| changed("auto_minor_upgrades")))
            .set_network_type(
                spec.network_type.filter(|_| changed("network_type")).map(|network| network.as_str().to_owned()),
            )
            .set_kerberos_authentication_settings(
                spec.kerberos.as_ref().filter(|_| changed("kerberos")).map(Kerberos::to_sdk),
            )
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyReplicationInstance"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let arn = dms_common::text(object, "arn").unwrap_or_default();
        let call = client.delete_replication_instance().replication_instance_arn(arn);
        call.send().await.map(drop).map_err(fault("dms:DeleteReplicationInstance"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        dms_common::tasks_of(&self.cloud, "replication-instance-arn", object).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let first = json!({ "class": "dms.t3.medium", "storage_gb": 50, "public": false });
        let mut larger = first.clone();
        larger["class"] = json!("dms.t3.large");
        larger["storage_gb"] = json!(100);
        let mut window = larger.clone();
        window["maintenance_window"] = json!("Sun:06:00-Sun:06:30");
        window["auto_minor_upgrades"] = json!(false);
        vec![Example { name: "instance", spec: first, changed: vec![larger, window] }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_databasemigration::types::ReplicationPendingModifiedValues;

    #[test]
    fn values_that_wait_for_the_window_are_pending_not_state() {
        let instance = Instance::builder()
            .replication_instance_identifier("Club-Instance")
            .replication_instance_class("dms.t3.medium")
            .replication_instance_status("available")
            .pending_modified_values(
                ReplicationPendingModifiedValues::builder().replication_instance_class("dms.t3.large").build(),
            )
            .build();
        let object = object(instance);
        assert_eq!(object.identity, "club-instance");
        assert_eq!(object.state["class"], "dms.t3.medium");
        assert_eq!(object.pending, json!({ "class": "dms.t3.large" }));
        assert_eq!(object.readiness, Readiness::Ready);
    }

    #[test]
    fn a_price_nobody_knows_is_unknown_and_storage_beyond_the_class_is_charged() {
        let kind = ReplicationInstance::new(crate::cloud::Cloud::offline());
        let price = |class: &str, size: i32, zones: bool| {
            let spec =
                Spec { class: class.to_owned(), storage_gb: Some(size), multi_az: Some(zones), ..Spec::default() };
            kind.price(&spec).unwrap()
        };
        let known = price("dms.t2.micro", 60, true);
        assert!((known.monthly.unwrap() - (0.036 * 730.0 + 2.30)).abs() < 0.001, "{known:?}");
        let unknown = price("dms.t3.medium", 50, false);
        assert!(unknown.unknown && unknown.monthly.is_none());
        assert_eq!(unknown.basis, "dms.t3.medium, 50 GB");
    }

    #[test]
    fn nothing_waiting_is_null() {
        let empty = ReplicationPendingModifiedValues::builder().build();
        let instance = Instance::builder().pending_modified_values(empty).build();
        assert_eq!(object(instance).pending, Value::Null);
    }

    #[test]
    fn a_full_disk_can_be_mended_and_a_broken_network_cannot() {
        assert_eq!(readiness("storage-full"), Readiness::Ready);
        assert_eq!(readiness("maintenance"), Readiness::Pending("maintenance".to_owned()));
        assert!(matches!(readiness("incompatible-network"), Readiness::Failed(_)));
    }
}
