//! Workgroups.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::placement::{
    add_interfaces, move_network, require_addresses, security_groups, shown_interfaces, subnets, texts,
};
use super::{conflict, name, not_found, page, require_room, tags};
use crate::Quota;
use crate::arn::ec2_id;
use crate::call::{ApiError, Call, Fate, Input};
use crate::world::dms::Lifecycle;
use crate::world::redshift_serverless::Workgroup;

/// CREATING, then AVAILABLE for a moment, then MODIFYING, then AVAILABLE: as AWS does it.
const CREATING: Duration = Duration::from_secs(150);
const FIRST_GLIMPSE: Duration = Duration::from_secs(152);
pub(crate) const CREATED: Duration = Duration::from_mins(3);
const MODIFYING: Duration = Duration::from_secs(45);
/// For so long after `DeleteWorkgroup` the old state is shown.
const STILL_AVAILABLE: Duration = Duration::from_secs(8);
const DELETING: Duration = Duration::from_secs(90);

/// Members of which one update changes exactly one.
const CHANGEABLE: [&str; 11] = [
    "baseCapacity",
    "maxCapacity",
    "pricePerformanceTarget",
    "configParameters",
    "enhancedVpcRouting",
    "extraComputeForAutomaticOptimization",
    "ipAddressType",
    "port",
    "publiclyAccessible",
    "trackName",
    "subnetIds",
];
const PARAMETERS: [(&str, &str); 9] = [
    ("auto_mv", "true"),
    ("datestyle", "ISO, MDY"),
    ("enable_case_sensitive_identifier", "false"),
    ("enable_user_activity_logging", "true"),
    ("query_group", "default"),
    ("search_path", "$user, public"),
    ("require_ssl", "true"),
    ("use_fips_ssl", "false"),
    ("max_query_execution_time", "14400"),
];
const QUERY_LIMITS: [&str; 10] = [
    "max_query_cpu_time",
    "max_query_blocks_read",
    "max_scan_row_count",
    "max_query_queue_time",
    "max_query_cpu_usage_percent",
    "max_query_temp_blocks_to_disk",
    "max_join_row_count",
    "max_nested_loop_join_row_count",
    "wlm_json_configuration",
    "enable_large_strings_opt_in",
];
const LARGE_REGIONS: [&str; 5] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"];

/// `CreateWorkgroup`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let own = name(input, "workgroupName")?.to_owned();
    let namespace = input.required("namespaceName")?.to_owned();
    let now = call.clock.now();
    let state = &call.world.redshift_serverless;
    if state.workgroups.get(&own).is_some_and(|old| !old.lifecycle.is_gone(now)) {
        return Err(conflict(format!("Workgroup {own} already exists.")));
    }
    let home = state
        .namespaces
        .get(&namespace)
        .filter(|own| !own.lifecycle.is_gone(now))
        .ok_or_else(|| not_found(format!("Namespace not found: {namespace}")))?;
    if home.lifecycle.at(now) != "AVAILABLE" {
        return Err(conflict(
            "There is an operation running on the namespace. Try to create the workgroup again later.",
        ));
    }
    if let Some(other) =
        state.workgroups.values().find(|other| other.namespace == namespace && !other.lifecycle.is_gone(now))
    {
        return Err(conflict(format!(
            "The namespace {namespace} is already associated with workgroup {}.",
            other.name
        )));
    }
    let standing = state.workgroups.values().filter(|own| !own.lifecycle.is_gone(now)).count();
    require_room(call, Quota::Workgroups, standing)?;
    let body = new_body(call)?;
    let id = Uuid::new_v4().to_string();
    let arn = call.place.arn("redshift-serverless", &format!("workgroup/{id}"));
    tags::keep(call, &arn)?;
    let interfaces = add_interfaces(call, &own, &body);
    if matches!(call.fate, Fate::Failure | Fate::NoCapacity) {
        return Err(ApiError::new(
            "InsufficientCapacityException",
            "There isn't enough capacity available to process the request.",
        ));
    }
    let (glimpse, modifying, done) =
        (call.clock.after(CREATING), call.clock.after(FIRST_GLIMPSE), call.clock.after(CREATED));
    let workgroup = Workgroup {
        name: own.clone(),
        id,
        arn,
        namespace: namespace.clone(),
        created: now,
        lifecycle: Lifecycle::steady("CREATING")
            .then(glimpse, "AVAILABLE")
            .then(modifying, "MODIFYING")
            .then(done, "AVAILABLE"),
        body,
        vpc_endpoint: ec2_id("vpce"),
        interfaces,
    };
    occupy(call, &namespace, done);
    if let Some(namespace) = call.world.redshift_serverless.namespaces.get_mut(&namespace) {
        namespace.had_workgroup = true;
    }
    let shown = show(call, &workgroup);
    call.world.redshift_serverless.workgroups.insert(own, workgroup);
    Ok(json!({ "workgroup": shown }))
}

/// The namespace is MODIFYING while its workgroup changes.
fn occupy(call: &mut Call<'_>, namespace: &str, until: crate::clock::Timestamp) {
    if let Some(namespace) = call.world.redshift_serverless.namespaces.get_mut(namespace) {
        namespace.lifecycle = Lifecycle::steady("MODIFYING").then(until, "AVAILABLE");
    }
}

fn new_body(call: &Call<'_>) -> Result<Map<String, Value>, ApiError> {
    let input = call.input;
    let mut body = Map::new();
    body.insert("publiclyAccessible".to_owned(), json!(input.flag("publiclyAccessible")?.unwrap_or(false)));
    body.insert("enhancedVpcRouting".to_owned(), json!(input.flag("enhancedVpcRouting")?.unwrap_or(false)));
    if let Some(flag) = input.flag("extraComputeForAutomaticOptimization")? {
        body.insert("extraComputeForAutomaticOptimization".to_owned(), json!(flag));
    }
    body.insert("ipAddressType".to_owned(), json!(input.text("ipAddressType")?.unwrap_or("ipv4")));
    body.insert("trackName".to_owned(), json!(track(input)?.unwrap_or("current")));
    body.insert("port".to_owned(), json!(port(input)?.unwrap_or(5439)));
    body.insert(
        "configParameters".to_owned(),
        parameters(input, &PARAMETERS.map(|(key, value)| (key.to_owned(), value.to_owned())))?,
    );
    if parameter(&body, "require_ssl") == Some("false") {
        return Err(input.invalid("require_ssl can't be set to false when a workgroup is created"));
    }
    capacity(input, &mut body, call)?;
    let routed = input.flag("enhancedVpcRouting")?.unwrap_or(false);
    let (subnets, vpc) = subnets(call, routed)?;
    require_addresses(call, &subnets, routed, body.get("baseCapacity").and_then(Value::as_i64).unwrap_or(-1))?;
    body.insert("securityGroupIds".to_owned(), json!(security_groups(call, "securityGroupIds", &vpc)?));
    body.insert("subnetIds".to_owned(), json!(subnets));
    Ok(body)
}

fn parameter<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let list = body.get("configParameters")?.as_array()?;
    list.iter().find(|item| item["parameterKey"] == key)?["parameterValue"].as_str()
}

/// "^[a-zA-Z0-9_]+$", 1 to 256 characters (Redshift Serverless API reference, `CreateWorkgroup`).
fn track(input: Input<'_>) -> Result<Option<&str>, ApiError> {
    let track = input.text("trackName")?;
    let fits =
        |name: &str| (1..=256).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match track {
        Some(name) if !fits(name) => Err(input.invalid(format!("Invalid track name: {name}"))),
        other => Ok(other),
    }
}

fn port(input: Input<'_>) -> Result<Option<i64>, ApiError> {
    match input.integer("port")? {
        Some(port) if !(5431..=5455).contains(&port) && !(8191..=8215).contains(&port) => {
            Err(input.invalid(format!("Invalid port: {port}. Valid ports are 5431-5455 and 8191-8215.")))
        }
        other => Ok(other),
    }
}

/// The parameters `base` with the request's over them.
fn parameters(input: Input<'_>, base: &[(String, String)]) -> Result<Value, ApiError> {
    let mut all = base.to_vec();
    for given in input.structures("configParameters")? {
        let (key, value) = (given.required("parameterKey")?, given.required("parameterValue")?);
        if !PARAMETERS.iter().any(|(known, _)| *known == key) && !QUERY_LIMITS.contains(&key) {
            return Err(input.invalid(format!("Invalid configuration parameter: {key}")));
        }
        check_value(input, key, value)?;
        match all.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => all.push((key.to_owned(), value.to_owned())),
        }
    }
    // "You can either specify individual query monitoring metrics … or use wlm_json_configuration … but not both" (Redshift
    // Serverless API reference, `ConfigParameter`).
    let given = input.structures("configParameters")?;
    let keys: Vec<&str> = given.iter().filter_map(|item| item.text("parameterKey").ok().flatten()).collect();
    if keys.contains(&QUEUES) && keys.iter().any(|key| key.starts_with("max_")) {
        return Err(input.invalid("Query monitoring metrics and wlm_json_configuration can't be specified together."));
    }
    Ok(all.into_iter().map(|(key, value)| json!({"parameterKey": key, "parameterValue": value})).collect())
}

/// The parameter with query queues.
const QUEUES: &str = "wlm_json_configuration";
/// Parameters that are on or off (Redshift management guide, "Amazon Redshift parameter groups").
const SWITCHES: [&str; 5] =
    ["auto_mv", "enable_case_sensitive_identifier", "enable_user_activity_logging", "require_ssl", "use_fips_ssl"];

/// Whether a parameter can have a value: "If you're using wlm_json_configuration, the maximum size of parameterValue is 8000
/// characters" (Redshift Serverless API reference, `ConfigParameter`).
fn check_value(input: Input<'_>, key: &str, value: &str) -> Result<(), ApiError> {
    let is_wrong = SWITCHES.contains(&key) && !["true", "false"].contains(&value)
        || key.starts_with("max_") && value.parse::<u64>().is_err()
        || key == QUEUES && value.chars().count() > 8000;
    if is_wrong {
        return Err(input.invalid(format!("Invalid value of configuration parameter {key}")));
    }
    Ok(())
}

/// Base and maximum capacity, and the price-performance target that excludes a base.
fn capacity(input: Input<'_>, body: &mut Map<String, Value>, call: &Call<'_>) -> Result<(), ApiError> {
    let large = LARGE_REGIONS.contains(&call.place.region.as_str());
    let fits = |rpu: i64| {
        rpu == 4
            || ((8..=512).contains(&rpu) && rpu % 8 == 0)
            || (large && (512..=1024).contains(&rpu) && rpu % 32 == 0)
    };
    let base = input.integer("baseCapacity")?;
    if let Some(rpu) = base.filter(|rpu| !fits(*rpu)) {
        return Err(input.invalid(format!("Invalid base capacity {rpu}: it must be 4, or 8 to 512 in units of 8.")));
    }
    let fresh = !body.contains_key("baseCapacity");
    let target = input.structure("pricePerformanceTarget")?;
    if let Some(target) = target {
        let status = target.text("status")?.unwrap_or("ENABLED");
        let level = target.integer("level")?.unwrap_or(50);
        if ![1, 25, 50, 75, 100].contains(&level) {
            return Err(
                input.invalid(format!("Invalid price-performance level {level}: it must be 1, 25, 50, 75 or 100."))
            );
        }
        if status == "ENABLED" && base.is_some() {
            return Err(input.invalid("Base capacity can't be set while a price-performance target is enabled."));
        }
        if status == "DISABLED" && base.is_none() {
            return Err(input.invalid("Disabling the price-performance target needs a base capacity."));
        }
        body.insert(
            "pricePerformanceTarget".to_owned(),
            if status == "ENABLED" { json!({"status": status, "level": level}) } else { json!({"status": status}) },
        );
        body.insert("baseCapacity".to_owned(), json!(base.unwrap_or(-1)));
    } else if let Some(rpu) = base {
        if !fresh && body.get("pricePerformanceTarget").is_some_and(|target| target["status"] == "ENABLED") {
            return Err(input.invalid("Base capacity can't be set while a price-performance target is enabled."));
        }
        body.insert("baseCapacity".to_owned(), json!(rpu));
        body.insert("pricePerformanceTarget".to_owned(), json!({"status": "DISABLED"}));
    } else if fresh {
        body.insert("baseCapacity".to_owned(), json!(-1));
        body.insert("pricePerformanceTarget".to_owned(), json!({"status": "ENABLED", "level": 50}));
    }
    match input.integer("maxCapacity")? {
        Some(-1) if body.get("maxCapacity").is_none() => {
            return Err(input.invalid("The workgroup has no max capacity to remove."));
        }
        Some(-1) => {
            body.shift_remove("maxCapacity");
        }
        Some(most) if !fits(most) => return Err(input.invalid(format!("Invalid max capacity {most}."))),
        Some(most) => {
            body.insert("maxCapacity".to_owned(), json!(most));
        }
        None => {}
    }
    let (base, most) =
        (body.get("baseCapacity").and_then(Value::as_i64), body.get("maxCapacity").and_then(Value::as_i64));
    if let (Some(base), Some(most)) = (base, most)
        && base > most
    {
        return Err(input.invalid(format!("The base capacity {base} can't be greater than the max capacity {most}.")));
    }
    Ok(())
}

fn find(call: &Call<'_>) -> Result<Workgroup, ApiError> {
    let own = call.input.required("workgroupName")?;
    let found = call
        .world
        .redshift_serverless
        .workgroups
        .get(own)
        .filter(|workgroup| !workgroup.lifecycle.is_gone(call.clock.now()));
    found.cloned().ok_or_else(|| not_found(format!("Workgroup not found: {own}")))
}

/// `GetWorkgroup`.
pub(super) fn get(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let workgroup = find(call)?;
    Ok(json!({ "workgroup": show(call, &workgroup) }))
}

/// `ListWorkgroups`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let now = call.clock.now();
    let found = call
        .world
        .redshift_serverless
        .workgroups
        .values()
        .filter(|own| !own.lifecycle.is_gone(now))
        .map(|own| show(call, own))
        .collect();
    page(call.input, "workgroups", found)
}

fn require_quiet(call: &Call<'_>, workgroup: &Workgroup) -> Result<(), ApiError> {
    let now = call.clock.now();
    let namespace = call
        .world
        .redshift_serverless
        .namespaces
        .get(&workgroup.namespace)
        .map_or("AVAILABLE", |own| own.lifecycle.at(now));
    if workgroup.lifecycle.at(now) == "AVAILABLE" && !workgroup.lifecycle.ends() && namespace == "AVAILABLE" {
        Ok(())
    } else {
        Err(conflict("There is an operation running on the workgroup. Try to run the operation again later."))
    }
}

/// `UpdateWorkgroup`, one parameter at a time.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut workgroup = find(call)?;
    let input = call.input;
    let asked: Vec<&str> =
        CHANGEABLE.into_iter().chain(["securityGroupIds"]).filter(|member| input.has(member)).collect();
    let is_pair = asked == ["baseCapacity", "pricePerformanceTarget"];
    if asked.is_empty() {
        return Err(input.invalid("No parameter to update was given."));
    }
    if asked.len() > 1 && !is_pair {
        return Err(input.invalid("Can't update multiple configurations at the same time for workgroup"));
    }
    require_quiet(call, &workgroup)?;
    capacity(input, &mut workgroup.body, call)?;
    if let Some(port) = port(input)? {
        workgroup.body.insert("port".to_owned(), json!(port));
    }
    for member in ["enhancedVpcRouting", "publiclyAccessible", "extraComputeForAutomaticOptimization"] {
        if let Some(flag) = input.flag(member)? {
            workgroup.body.insert(member.to_owned(), json!(flag));
        }
    }
    if let Some(text) = input.text("ipAddressType")? {
        workgroup.body.insert("ipAddressType".to_owned(), json!(text));
    }
    if let Some(track) = track(input)? {
        // Another track begins with its next release, which the sandbox does not play.
        workgroup.body.shift_remove("pendingTrackName");
        if workgroup.body["trackName"] != json!(track) {
            workgroup.body.insert("pendingTrackName".to_owned(), json!(track));
        }
    }
    if input.has("configParameters") {
        let old: Vec<(String, String)> = workgroup.body["configParameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| {
                Some((item["parameterKey"].as_str()?.to_owned(), item["parameterValue"].as_str()?.to_owned()))
            })
            .collect();
        let new = parameters(input, &old)?;
        workgroup.body.insert("configParameters".to_owned(), new);
    }
    if input.has("subnetIds") || input.has("securityGroupIds") {
        move_network(call, &mut workgroup)?;
    }
    let done = call.clock.after(MODIFYING);
    workgroup.lifecycle = Lifecycle::steady("MODIFYING").then(done, "AVAILABLE");
    let namespace = workgroup.namespace.clone();
    occupy(call, &namespace, done);
    let shown = show(call, &workgroup);
    call.world.redshift_serverless.workgroups.insert(workgroup.name.clone(), workgroup);
    Ok(json!({ "workgroup": shown }))
}

/// `DeleteWorkgroup`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut workgroup = find(call)?;
    require_quiet(call, &workgroup)?;
    let now = call.clock.now();
    let mut accesses = call.world.redshift_serverless.endpoint_accesses.values();
    if let Some(access) = accesses.find(|own| own.workgroup == workgroup.name && !own.lifecycle.is_gone(now)) {
        return Err(conflict(format!("The workgroup {} has the endpoint {}.", workgroup.name, access.name)));
    }
    let gone = call.clock.after(DELETING);
    workgroup.lifecycle =
        Lifecycle::steady("AVAILABLE").then(call.clock.after(STILL_AVAILABLE), "DELETING").then_gone(gone);
    for id in &workgroup.interfaces {
        if let Some(interface) = call.world.ec2.network_interfaces.get_mut(id) {
            interface.gone_at = Some(gone);
        }
    }
    let (arn, namespace) = (workgroup.arn.clone(), workgroup.namespace.clone());
    occupy(call, &namespace, gone);
    call.world.redshift_serverless.tags.shift_remove(&arn);
    call.world
        .redshift_serverless
        .usage_limits
        .retain(|_, limit| limit.get("resourceArn").and_then(Value::as_str) != Some(&arn));
    let shown = show(call, &workgroup);
    call.world.redshift_serverless.workgroups.insert(workgroup.name.clone(), workgroup);
    Ok(json!({ "workgroup": shown }))
}

fn show(call: &Call<'_>, workgroup: &Workgroup) -> Value {
    let status = workgroup.lifecycle.at(call.clock.now());
    let mut body = workgroup.body.clone();
    let interfaces = shown_interfaces(call, &workgroup.interfaces);
    let first = texts(&workgroup.body, "subnetIds").into_iter().next().unwrap_or_default();
    let vpc = call.world.ec2.subnets.get(&first).map(|subnet| &subnet.vpc_id);
    let endpoints = if status == "CREATING" {
        json!([])
    } else {
        json!([{"vpcEndpointId": workgroup.vpc_endpoint, "vpcId": vpc, "networkInterfaces": interfaces}])
    };
    let shown = json!({
        "workgroupName": workgroup.name, "workgroupId": workgroup.id, "workgroupArn": workgroup.arn, "namespaceName": workgroup.namespace,
        "creationDate": workgroup.created.iso(), "status": status,
        "endpoint": {"address": workgroup.address(call.place), "port": workgroup.port(), "vpcEndpoints": endpoints},
        "crossAccountVpcs": [], "workgroupVersion": "1.0.100000", "patchVersion": "198",
    });
    body.extend(shown.as_object().cloned().unwrap_or_default());
    Value::Object(body)
}
