//! `redshift/workgroup`: the computing power of a namespace and its address.
//!
//! In place, one field per call, in an order that keeps base capacity at or below the maximum:
//! capacity, network, port, parameters, track. Replacement: name and namespace. Costs $0.375 per
//! RPU-hour (us-east-1) while queries run, per second with a minimum of 60 seconds; nothing while
//! it rests.
//!
//! Long because the examples that its pure parts are held to stand beside them.

mod placement;

use std::collections::BTreeMap;

use aws_sdk_redshiftserverless::types::{
    ConfigParameter, Namespace, PerformanceTarget, PerformanceTargetStatus, Workgroup as Live, WorkgroupStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Poll, Price, Readiness, Scope, Seconds,
    Tags,
};
use towpath_engine::value::Value;

use super::dms_subnet_group::Subnets;
use super::redshift_common;
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `redshift/workgroup`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name: 3 to 64 small letters, digits and hyphens. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "UpdateWorkgroup has no other name" }))]
    pub name: Option<String>,
    /// The `redshift/namespace` it computes for; a namespace has one workgroup.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "UpdateWorkgroup has no namespace",
        "refers_to": { "kinds": ["redshift/namespace"], "attribute": "name" },
        "holds": { "redshift/namespace": "name" },
    }))]
    pub namespace: String,
    /// Base capacity in RPU: 4, 8 to 512 in steps of 8, or in large regions up to 1024 in steps of
    /// 32. Default: AWS decides by its price-performance target.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 1024), extend("x-towpath" = { "group": "base_rpu" }))]
    pub base_rpu: Option<i32>,
    /// The most RPU it may scale to, a brake on cost; `-1` for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "max_rpu" }))]
    pub max_rpu: Option<i32>,
    /// AWS chooses the capacity by this target: 1 (cheapest), 25, 50, 75 or 100 (fastest). Excludes
    /// `base_rpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [1, 25, 50, 75, 100], "x-towpath" = { "group": "price_performance" }))]
    pub price_performance: Option<i32>,
    /// Subnets in at least two availability zones: ids, names of `ec2/subnet` resources, or
    /// `default`. Default: the default VPC's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set", "group": "subnets",
        "refers_to": { "kinds": ["ec2/subnet"], "attribute": "id", "physical": ["subnet-"], "words": ["default"] },
        "holds": { "ec2/subnet": "id" },
    }))]
    pub subnets: Option<Subnets>,
    /// Security groups of its network interfaces. Default: the VPC's default group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), extend("x-towpath" = {
        "compare": "set", "group": "security_groups",
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"] },
        "holds": { "ec2/security_group": "id" },
    }))]
    pub security_groups: Option<Vec<String>>,
    /// The port: 5431 to 5455 or 8191 to 8215. Default: 5439.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "port" }))]
    pub port: Option<u16>,
    /// Whether it can be reached from the internet. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "public" }))]
    pub public: Option<bool>,
    /// Whether COPY and UNLOAD go through the VPC. Needs subnets in three zones. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "enhanced_vpc_routing" }))]
    pub enhanced_vpc_routing: Option<bool>,
    /// `ipv4` or `dualstack`. Default: `ipv4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["ipv4", "dualstack"], "x-towpath" = { "group": "ip_address_type" }))]
    pub ip_address_type: Option<String>,
    /// The track of releases: `current` or `trailing`. Default: `current`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = "^[a-zA-Z0-9_]+$"), extend("x-towpath" = { "group": "track" }))]
    pub track: Option<String>,
    /// Whether AWS may use extra computing power for its automatic optimisations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "extra_compute" }))]
    pub extra_compute: Option<bool>,
    /// Database parameters, e.g. `enable_case_sensitive_identifier: "true"` or query limits. Only
    /// what is written here is compared. `require_ssl: "false"` cannot be set at creation: the plan
    /// sets it right afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset", "group": "parameters" }))]
    pub parameters: Option<BTreeMap<String, Parameter>>,
}

/// The value of a parameter; all of them are text to the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Parameter {
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// Any text.
    Text(String),
}

impl Parameter {
    /// The text that is sent and compared.
    fn to_text(&self) -> String {
        match self {
            Self::Switch(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) if ["true", "false"].contains(&value.to_lowercase().as_str()) => value.to_lowercase(),
            Self::Text(value) => value.clone(),
        }
    }
}

/// The kind `redshift/workgroup`.
pub struct Workgroup {
    cloud: Cloud,
}

impl Workgroup {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

/// The host of a workgroup, which follows from its name.
fn host(place: &Place, name: &str) -> String {
    let suffix = if place.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{name}.{}.{}.redshift-serverless.{suffix}", place.account, place.region)
}

fn parameters<'a>(declared: impl IntoIterator<Item = (&'a String, &'a Parameter)>) -> Vec<ConfigParameter> {
    let one = |(key, value): (&String, &Parameter)| {
        ConfigParameter::builder().parameter_key(key).parameter_value(value.to_text()).build()
    };
    declared.into_iter().map(one).collect()
}

/// Whether a parameter is taken when the workgroup is made. Source: CloudFormation's coverage roadmap,
/// issue 2454: `require_ssl` can be turned off only by an update.
fn at_creation((key, value): &(&String, &Parameter)) -> bool {
    key.as_str() != "require_ssl" || !value.to_text().eq_ignore_ascii_case("false")
}

fn target(level: i32) -> PerformanceTarget {
    PerformanceTarget::builder().level(level).status(PerformanceTargetStatus::Enabled).build()
}

fn object(live: Live, namespaces: &[Namespace]) -> Object {
    let identity = live.workgroup_name.unwrap_or_default();
    let namespace = live.namespace_name.unwrap_or_default();
    let readiness = match &live.status {
        Some(WorkgroupStatus::Available) => Readiness::Ready,
        Some(WorkgroupStatus::Deleting) => Readiness::Deleting,
        Some(other) => Readiness::Pending(other.as_str().to_owned()),
        None => Readiness::Pending("no status yet".to_owned()),
    };
    let target = live.price_performance_target.as_ref();
    let enabled = target.filter(|target| target.status == Some(PerformanceTargetStatus::Enabled));
    let endpoint = live.endpoint.as_ref();
    let port = endpoint.and_then(|endpoint| endpoint.port).or(live.port);
    let sorted = |ids: Option<Vec<String>>| {
        let mut ids = ids.unwrap_or_default();
        ids.sort();
        ids
    };
    let parameters: BTreeMap<String, String> = live
        .config_parameters
        .into_iter()
        .flatten()
        .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value.unwrap_or_default())))
        .collect();
    let state = redshift_common::without_nulls(json!({
        "name": identity,
        "namespace": namespace,
        // -1 says that the price-performance target decides.
        "base_rpu": live.base_capacity.filter(|rpu| *rpu > 0),
        // Not returned while there is no limit, which is declared as -1.
        "max_rpu": live.max_capacity.unwrap_or(-1),
        "price_performance": enabled.and_then(|target| target.level),
        "subnets": sorted(live.subnet_ids),
        "security_groups": sorted(live.security_group_ids),
        "port": port,
        "public": live.publicly_accessible,
        "enhanced_vpc_routing": live.enhanced_vpc_routing,
        "ip_address_type": live.ip_address_type,
        "track": live.track_name,
        "extra_compute": live.extra_compute_for_automatic_optimization,
        "parameters": parameters,
    }));
    let address = endpoint.and_then(|endpoint| endpoint.address.clone());
    let mut outputs = Outputs::from([
        ("arn".to_owned(), json!(live.workgroup_arn)),
        ("id".to_owned(), json!(live.workgroup_id)),
        ("name".to_owned(), json!(identity)),
        ("namespace".to_owned(), json!(namespace)),
        ("address".to_owned(), json!(address)),
        ("port".to_owned(), json!(port)),
        ("reached_at".to_owned(), json!(redshift_common::reached_at(&identity, port))),
    ]);
    if let Some(found) = namespaces.iter().find(|one| one.namespace_name.as_deref() == Some(namespace.as_str())) {
        let database = found.db_name.as_deref().unwrap_or(redshift_common::FIRST_DATABASE);
        outputs.insert("database".to_owned(), json!(database));
        if let Some(arn) = &found.admin_password_secret_arn {
            outputs.insert("admin_secret_arn".to_owned(), json!(arn));
        }
        if address.is_some() {
            outputs.insert("connection".to_owned(), json!({ "host": address, "port": port, "database": database }));
        }
    }
    let pending = live.pending_track_name.map_or(Value::Null, |track| json!({ "track": track }));
    Object { identity, outputs, state, tags: None, readiness, running: false, pending }
}

impl Kind for Workgroup {
    const NAME: &'static str = "redshift/workgroup";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "The computing power of a namespace and its address.",
            create: Seconds::new(90.0, 180.0, 720.0),
            update: Seconds::new(30.0, 60.0, 600.0),
            delete: Seconds::new(45.0, 90.0, 600.0),
            poll: Poll { first: 5.0, interval: 5.0, give_up: 1200.0, stable: 2 },
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: redshift_common::NAME_LIMIT,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        redshift_common::name(&self.cloud, place, name, spec.name.as_ref())
    }

    fn predict(&self, place: &Place, identity: &str, spec: &Spec) -> Outputs {
        // The ARN ends in an id that the service makes up.
        Outputs::from([
            ("name".to_owned(), json!(identity)),
            ("namespace".to_owned(), json!(spec.namespace)),
            ("address".to_owned(), json!(host(place, identity))),
            ("port".to_owned(), json!(spec.port.unwrap_or(5439))),
            ("reached_at".to_owned(), json!(redshift_common::reached_at(identity, spec.port.map(i32::from)))),
        ])
    }

    /// The connection: the database is the namespace's, for all its life.
    fn infer(&self, predicted: &Outputs, referred: &BTreeMap<String, Value>) -> Outputs {
        let Some(namespace) = referred.get("namespace") else { return Outputs::new() };
        let database = namespace["database"].as_str().unwrap_or(redshift_common::FIRST_DATABASE);
        let connection = json!({ "host": predicted["address"], "port": predicted["port"], "database": database });
        Outputs::from([("connection".to_owned(), connection), ("database".to_owned(), json!(database))])
    }

    fn price(&self, spec: &Spec) -> Option<Price> {
        let base = spec.base_rpu.map_or_else(
            || "capacity chosen by AWS".to_owned(),
            |rpu| format!("{rpu} RPU = ${:.2} per active hour", f64::from(rpu) * 0.375),
        );
        let basis = format!("$0.375 per RPU-hour (us-east-1) while queries run, 60 seconds at least; {base}");
        Some(Price { monthly: None, unknown: false, basis })
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        check(spec)
    }

    fn after_create(&self, spec: &Spec) -> Vec<String> {
        let late = spec.parameters.iter().flatten().any(|parameter| !at_creation(&parameter));
        late.then(|| "parameters".to_owned()).into_iter().collect()
    }

    async fn preflight(&self, spec: &Value) -> Result<Vec<String>, Fault> {
        placement::preflight(&self.cloud, spec).await
    }

    fn normalise(&self, mut value: Value) -> Value {
        if let Some(parameters) = value.get_mut("parameters").and_then(Value::as_object_mut) {
            for parameter in parameters.values_mut() {
                let text = match &*parameter {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let lower = text.to_lowercase();
                *parameter = json!(if matches!(lower.as_str(), "true" | "false") { lower } else { text });
            }
        }
        value
    }

    async fn look_up(&self, mut spec: Value) -> Result<Value, Fault> {
        if spec.get("subnets").is_some_and(|subnets| subnets == "default") {
            spec["subnets"] = json!(self.cloud.default_subnets().await?);
        }
        Ok(spec)
    }

    /// Parameters as they stand: which of them somebody chose cannot be told.
    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        let defaults = json!({
            "max_rpu": -1, "port": 5439, "public": false, "enhanced_vpc_routing": false,
            "ip_address_type": "ipv4", "track": "current", "extra_compute": false,
        });
        found.without(state, &defaults)
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        // The database and the admin's secret are the namespace's. Asked at once, so that the kind of
        // namespaces, which asks at the same time, shares the call.
        let (workgroups, namespaces) =
            futures::try_join!(redshift_common::workgroups(&self.cloud), redshift_common::namespaces(&self.cloud))?;
        let mut objects: Vec<Object> = workgroups.into_iter().map(|live| object(live, &namespaces)).collect();
        redshift_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let declared = spec.parameters.as_ref();
        let client = self.cloud.redshift_serverless().await;
        client
            .create_workgroup()
            .workgroup_name(name)
            .namespace_name(&spec.namespace)
            .set_base_capacity(spec.base_rpu)
            .set_max_capacity(spec.max_rpu.filter(|rpu| *rpu > 0))
            .set_price_performance_target(spec.price_performance.map(target))
            .set_subnet_ids(spec.subnets.as_ref().map(|subnets| subnets.ids().to_vec()).filter(|ids| !ids.is_empty()))
            .set_security_group_ids(spec.security_groups.clone())
            .set_port(spec.port.map(i32::from))
            .publicly_accessible(spec.public.unwrap_or(false))
            .set_enhanced_vpc_routing(spec.enhanced_vpc_routing)
            .set_ip_address_type(spec.ip_address_type.clone())
            .set_track_name(spec.track.clone())
            .set_extra_compute_for_automatic_optimization(spec.extra_compute)
            .set_config_parameters(declared.map(|declared| parameters(declared.iter().filter(at_creation))))
            .set_tags(Some(redshift_common::sdk_tags(tags)?))
            .send()
            .await
            .map_err(fault("redshift-serverless:CreateWorkgroup"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let client = self.cloud.redshift_serverless().await;
        let call = client.update_workgroup().workgroup_name(&object.identity);
        // Every field is a group of its own, so there is exactly one.
        let call = match fields.first().map_or("", String::as_str) {
            "base_rpu" => {
                let call = call.set_base_capacity(spec.base_rpu);
                // While AWS decides, a base capacity is taken only together with the end of that.
                if object.state.get("price_performance").is_some() {
                    let off = PerformanceTarget::builder().status(PerformanceTargetStatus::Disabled).build();
                    call.price_performance_target(off)
                } else {
                    call
                }
            }
            "max_rpu" => call.set_max_capacity(spec.max_rpu),
            "price_performance" => call.set_price_performance_target(spec.price_performance.map(target)),
            "subnets" => call.set_subnet_ids(spec.subnets.as_ref().map(|subnets| subnets.ids().to_vec())),
            "security_groups" => call.set_security_group_ids(spec.security_groups.clone()),
            "port" => call.set_port(spec.port.map(i32::from)),
            "public" => call.set_publicly_accessible(spec.public),
            "enhanced_vpc_routing" => call.set_enhanced_vpc_routing(spec.enhanced_vpc_routing),
            "ip_address_type" => call.set_ip_address_type(spec.ip_address_type.clone()),
            "track" => call.set_track_name(spec.track.clone()),
            "extra_compute" => call.set_extra_compute_for_automatic_optimization(spec.extra_compute),
            _ => call.set_config_parameters(spec.parameters.as_ref().map(parameters)),
        };
        call.send().await.map(drop).map_err(fault("redshift-serverless:UpdateWorkgroup"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.redshift_serverless().await;
        let call = client.delete_workgroup().workgroup_name(&object.identity);
        call.send().await.map(drop).map_err(fault("redshift-serverless:DeleteWorkgroup"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        redshift_common::add_tags(&self.cloud, object, tags).await
    }

    fn order(&self, before: &Value, after: &Value, groups: Vec<String>) -> Vec<String> {
        order(before, after, groups)
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
}

/// Base capacity must never be above the maximum, so of the two the one goes first that fits what
/// is live: the base if the old maximum holds it, else the maximum.
fn order(before: &Value, after: &Value, mut groups: Vec<String>) -> Vec<String> {
    let rpu = |value: &Value, field: &str| value[field].as_i64().filter(|rpu| *rpu > 0);
    let base_fits = match (rpu(after, "base_rpu"), rpu(before, "max_rpu")) {
        (Some(base), Some(max)) => base <= max,
        _ => true,
    };
    let first = if base_fits { ["base_rpu", "max_rpu"] } else { ["max_rpu", "base_rpu"] };
    groups.sort_by_key(|group| first.iter().position(|name| name == group).unwrap_or(first.len()));
    groups
}

fn check(spec: &Spec) -> Vec<(String, String)> {
    let mut mistakes: Vec<(String, String)> = redshift_common::check_name(spec.name.as_ref()).into_iter().collect();
    let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
    if let Some(base) = spec.base_rpu {
        let is_step = base == 4 || (8..=512).contains(&base) && base % 8 == 0;
        let is_large_step = (513..=1024).contains(&base) && base % 32 == 0;
        if !is_step && !is_large_step {
            mistake("base_rpu", "capacity is 4, 8 to 512 in steps of 8, or up to 1024 in steps of 32");
        }
        if spec.price_performance.is_some() {
            mistake("price_performance", "with a price-performance target AWS sets the base capacity itself");
        }
        if spec.max_rpu.is_some_and(|max| max > 0 && max < base) {
            mistake("max_rpu", "the maximum is below the base capacity");
        }
    }
    if spec.max_rpu.is_some_and(|max| max != -1 && max < 4) {
        mistake("max_rpu", "the maximum is at least 4 RPU, or -1 for no limit");
    }
    if spec.price_performance.is_some_and(|level| ![1, 25, 50, 75, 100].contains(&level)) {
        mistake("price_performance", "the target is 1, 25, 50, 75 or 100");
    }
    if spec.port.is_some_and(|port| !(5431..=5455).contains(&port) && !(8191..=8215).contains(&port)) {
        mistake("port", "Redshift Serverless listens on 5431 to 5455 or 8191 to 8215");
    }
    if let Some(Subnets::Ids(ids)) = &spec.subnets {
        let needed = if spec.enhanced_vpc_routing == Some(true) { 3 } else { 2 };
        if ids.len() < needed {
            mistake("subnets", "a workgroup needs subnets in two availability zones, three with enhanced VPC routing");
        }
        if ids.len() > SUBNETS {
            mistake("subnets", "a workgroup has 32 subnets at most");
        }
    }
    mistakes.extend(spec.parameters.iter().flat_map(check_parameters));
    mistakes
}

/// How many subnets a workgroup may have (CloudFormation's public resource schema `AWS::RedshiftServerless::Workgroup`).
const SUBNETS: usize = 32;

/// Parameters that are `true` or `false` (Redshift management guide, "Amazon Redshift parameter groups").
const SWITCHES: [&str; 5] =
    ["auto_mv", "enable_case_sensitive_identifier", "enable_user_activity_logging", "require_ssl", "use_fips_ssl"];

/// The parameter that holds query queues, and the longest that it may be.
const QUEUES: &str = "wlm_json_configuration";
const QUEUES_LIMIT: usize = 8000;

/// Values that Redshift Serverless refuses: "You can either specify individual query monitoring metrics (such as
/// max_scan_row_count, max_query_execution_time) or use wlm_json_configuration to define query queues with rules, but not both.
/// If you're using wlm_json_configuration, the maximum size of parameterValue is 8000 characters" (API reference,
/// `ConfigParameter`). Other keys are left to the service, which gets more of them with time.
fn check_parameters(parameters: &BTreeMap<String, Parameter>) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let mut mistake = |key: &str, text: &str| mistakes.push((format!("parameters.{key}"), text.to_owned()));
    for (key, parameter) in parameters {
        let value = parameter.to_text();
        let is_limit = key.starts_with("max_");
        if SWITCHES.contains(&key.as_str()) && !["true", "false"].contains(&value.as_str()) {
            mistake(key, "write true or false");
        } else if is_limit && value.parse::<u64>().is_err() {
            mistake(key, "a limit of queries is a whole number");
        } else if is_limit && parameters.contains_key(QUEUES) {
            mistake(
                key,
                "limits of queries stand in `wlm_json_configuration` where there is one, in the rules of its queues",
            );
        } else if key == QUEUES && value.chars().count() > QUEUES_LIMIT {
            mistake(key, "it has 8000 characters at most");
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(groups: &[&str]) -> Vec<String> {
        groups.iter().map(|&group| group.to_owned()).collect()
    }

    #[test]
    fn capacity_is_raised_from_the_top_and_lowered_from_the_bottom() {
        let groups = || names(&["port", "base_rpu", "max_rpu"]);
        for (before, after, expected, reason) in [
            ((8, 16), (32, 64), ["max_rpu", "base_rpu", "port"], "the old maximum does not hold the new base"),
            ((32, 64), (8, 16), ["base_rpu", "max_rpu", "port"], "the new maximum is below the old base"),
            ((8, 64), (16, 32), ["base_rpu", "max_rpu", "port"], "both orders work"),
            ((8, -1), (64, 128), ["base_rpu", "max_rpu", "port"], "there was no maximum"),
        ] {
            let value = |(base, max): (i32, i32)| json!({ "base_rpu": base, "max_rpu": max });
            assert_eq!(order(&value(before), &value(after), groups()), names(&expected), "{reason}");
        }
    }

    #[test]
    fn the_host_follows_from_the_name() {
        let mut place = Place {
            stack: "club".into(),
            account: "111122223333".into(),
            region: "eu-north-1".into(),
            partition: "aws".into(),
        };
        assert_eq!(host(&place, "club-wg"), "club-wg.111122223333.eu-north-1.redshift-serverless.amazonaws.com");
        place.partition = "aws-cn".into();
        assert!(host(&place, "x").ends_with(".amazonaws.com.cn"));
    }

    #[test]
    fn a_capacity_that_aws_decides_is_not_a_number() {
        let target = PerformanceTarget::builder().status(PerformanceTargetStatus::Enabled).level(50).build();
        let live = Live::builder().workgroup_name("w").base_capacity(-1).price_performance_target(target).build();
        let object = object(live, &[]);
        assert!(object.state.get("base_rpu").is_none());
        assert_eq!(object.state["price_performance"], 50);
        assert_eq!(object.state["max_rpu"], -1);
    }

    #[test]
    fn database_and_secret_come_from_the_namespace() {
        let namespace =
            Namespace::builder().namespace_name("n").db_name("club").admin_password_secret_arn("arn:s").build();
        let endpoint = aws_sdk_redshiftserverless::types::Endpoint::builder().address("h").port(5439).build();
        let live = Live::builder().workgroup_name("w").namespace_name("n").endpoint(endpoint).build();
        let object = object(live, &[namespace]);
        assert_eq!(object.outputs["connection"], json!({ "host": "h", "port": 5439, "database": "club" }));
        assert_eq!(object.outputs["admin_secret_arn"], "arn:s");
    }

    #[test]
    fn capacities_and_ports_are_checked_against_aws_s_steps() {
        let fields = |value: Value| {
            check(&serde_json::from_value(value).unwrap()).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({ "namespace": "n", "base_rpu": 12 })), ["base_rpu"]);
        assert_eq!(fields(json!({ "namespace": "n", "base_rpu": 16, "max_rpu": 8 })), ["max_rpu"]);
        assert_eq!(fields(json!({ "namespace": "n", "port": 5432, "subnets": ["subnet-1", "subnet-2"] })), [""; 0]);
        assert_eq!(fields(json!({ "namespace": "n", "port": 80 })), ["port"]);
        assert!(fields(json!({ "namespace": "n", "base_rpu": 4, "max_rpu": -1 })).is_empty());
    }
}
