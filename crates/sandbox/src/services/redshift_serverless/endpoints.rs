//! Endpoint access: further ways into a workgroup, from subnets of other VPCs.
//!
//! Source: Redshift Serverless API reference, `CreateEndpointAccess` and its like.

use std::time::Duration;

use serde_json::{Value, json};

use super::placement;
use super::{conflict, not_found, page};
use crate::arn::{ec2_id, random_text};
use crate::call::{ApiError, Call};
use crate::world::dms::Lifecycle;
use crate::world::redshift_serverless::EndpointAccess;

const CREATING: Duration = Duration::from_mins(2);
const MODIFYING: Duration = Duration::from_secs(30);
const DELETING: Duration = Duration::from_mins(1);
const DESCRIPTION: &str = "VPC Endpoint Interface of Redshift Serverless endpoint access";

/// `CreateEndpointAccess`. "The name must begin with a letter; it must not have more than 30 characters, two hyphens in
/// a row, or a hyphen at its end."
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = input.required("endpointName")?;
    let fits = (1..=30).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.contains("--")
        && !name.ends_with('-');
    if !fits {
        return Err(input.invalid(format!("Invalid endpoint name: {name}")));
    }
    let own = input.required("workgroupName")?;
    let now = call.clock.now();
    let state = &call.world.redshift_serverless;
    let workgroup = state.workgroups.get(own).filter(|own| !own.lifecycle.is_gone(now));
    let workgroup = workgroup.ok_or_else(|| not_found(format!("Workgroup not found: {own}")))?;
    if workgroup.lifecycle.at(now) != "AVAILABLE" {
        return Err(conflict("There is an operation running on the workgroup. Try to run the operation again later."));
    }
    let port = workgroup.port();
    if state.endpoint_accesses.get(name).is_some_and(|old| !old.lifecycle.is_gone(now)) {
        return Err(conflict(format!("Endpoint {name} already exists.")));
    }
    if input.texts("subnetIds")?.is_empty() {
        return Err(input.missing("subnetIds"));
    }
    let (subnets, vpc) = placement::chosen_subnets(call, 1)?;
    let groups = placement::security_groups(call, "vpcSecurityGroupIds", &vpc)?;
    let interfaces = placement::interfaces(call, &subnets, &groups, &format!("{DESCRIPTION} {name}"));
    let suffix = random_text(20, b"abcdefghijklmnopqrstuvwxyz0123456789");
    let access = EndpointAccess {
        name: name.to_owned(),
        arn: call.place.arn("redshift-serverless", &format!("managedvpcendpoint/{}", uuid::Uuid::new_v4())),
        workgroup: own.to_owned(),
        address: format!(
            "{name}-endpoint-{suffix}.{}.{}.redshift-serverless.amazonaws.com",
            call.place.account, call.place.region
        ),
        port,
        subnets,
        groups,
        vpc,
        vpc_endpoint: ec2_id("vpce"),
        interfaces,
        created: now,
        lifecycle: Lifecycle::steady("CREATING").then(call.clock.after(CREATING), "ACTIVE"),
    };
    let shown = show(call, &access);
    call.world.redshift_serverless.endpoint_accesses.insert(name.to_owned(), access);
    Ok(json!({ "endpoint": shown }))
}

fn find(call: &Call<'_>) -> Result<EndpointAccess, ApiError> {
    let name = call.input.required("endpointName")?;
    let found = call.world.redshift_serverless.endpoint_accesses.get(name);
    let found = found.filter(|access| !access.lifecycle.is_gone(call.clock.now())).cloned();
    found.ok_or_else(|| not_found(format!("Endpoint not found: {name}")))
}

fn require_active(call: &Call<'_>, access: &EndpointAccess) -> Result<(), ApiError> {
    match access.lifecycle.at(call.clock.now()) {
        "ACTIVE" => Ok(()),
        state => Err(conflict(format!("The endpoint {} is in state {state}. Try again later.", access.name))),
    }
}

/// `GetEndpointAccess`.
pub(super) fn get(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let access = find(call)?;
    Ok(json!({ "endpoint": show(call, &access) }))
}

/// `ListEndpointAccess`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (workgroup, vpc) = (call.input.text("workgroupName")?, call.input.text("vpcId")?);
    let now = call.clock.now();
    let found = call
        .world
        .redshift_serverless
        .endpoint_accesses
        .values()
        .filter(|access| !access.lifecycle.is_gone(now))
        .filter(|access| workgroup.is_none_or(|name| access.workgroup == name))
        .filter(|access| vpc.is_none_or(|id| access.vpc == id))
        .map(|access| show(call, access))
        .collect();
    page(call.input, "endpoints", found)
}

/// `UpdateEndpointAccess`: the security groups are all that can be changed.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut access = find(call)?;
    require_active(call, &access)?;
    if !call.input.has("vpcSecurityGroupIds") {
        return Err(call.input.missing("vpcSecurityGroupIds"));
    }
    access.groups = placement::security_groups(call, "vpcSecurityGroupIds", &access.vpc)?;
    for id in &access.interfaces {
        if let Some(interface) = call.world.ec2.network_interfaces.get_mut(id) {
            interface.groups.clone_from(&access.groups);
        }
    }
    access.lifecycle = Lifecycle::steady("MODIFYING").then(call.clock.after(MODIFYING), "ACTIVE");
    let shown = show(call, &access);
    call.world.redshift_serverless.endpoint_accesses.insert(access.name.clone(), access);
    Ok(json!({ "endpoint": shown }))
}

/// `DeleteEndpointAccess`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut access = find(call)?;
    require_active(call, &access)?;
    let gone = call.clock.after(DELETING);
    for id in &access.interfaces {
        if let Some(interface) = call.world.ec2.network_interfaces.get_mut(id) {
            interface.gone_at = Some(gone);
        }
    }
    access.lifecycle = Lifecycle::steady("DELETING").then_gone(gone);
    let shown = show(call, &access);
    call.world.redshift_serverless.endpoint_accesses.insert(access.name.clone(), access);
    Ok(json!({ "endpoint": shown }))
}

fn show(call: &Call<'_>, access: &EndpointAccess) -> Value {
    let groups: Vec<Value> =
        access.groups.iter().map(|id| json!({"vpcSecurityGroupId": id, "status": "active"})).collect();
    json!({
        "endpointName": access.name, "endpointArn": access.arn, "workgroupName": access.workgroup,
        "endpointStatus": access.lifecycle.at(call.clock.now()), "endpointCreateTime": access.created.iso(),
        "address": access.address, "port": access.port, "subnetIds": access.subnets, "vpcSecurityGroups": groups,
        "vpcEndpoint": {
            "vpcEndpointId": access.vpc_endpoint, "vpcId": access.vpc,
            "networkInterfaces": placement::shown_interfaces(call, &access.interfaces),
        },
    })
}
