//! Replication subnet groups: the subnets a replication instance may live in.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::common::{exists, filters, keep_tags, not_found, page, passes, require_writable, wrong_state};
use super::quotas;
use super::surroundings::{self, VPC_ROLE};
use crate::Quota;
use crate::call::{ApiError, Call, Input};
use crate::world::dms::SubnetGroup;

/// `CreateReplicationSubnetGroup`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = input.required("ReplicationSubnetGroupIdentifier")?.to_lowercase();
    // "Must contain no more than 255 alphanumeric characters, periods, underscores, or hyphens. Must not be "default"" (DMS API
    // reference, `CreateReplicationSubnetGroup`).
    let fits = name.len() <= 255
        && name != "default"
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && !name.is_empty();
    if !fits {
        return Err(input.invalid("The parameter ReplicationSubnetGroupIdentifier must have at most 255 letters, digits, periods, underscores or hyphens and must not be \"default\"."));
    }
    let description = described(input)?.ok_or_else(|| input.missing("ReplicationSubnetGroupDescription"))?;
    surroundings::require_vpc_role(call)?;
    if call.world.dms.subnet_groups.contains_key(&name) {
        return Err(exists(format!("Replication subnet group already exists: {name}")));
    }
    quotas::require_room(call, Quota::ReplicationSubnetGroups)?;
    let (vpc, subnets) = chosen_subnets(call)?;
    let arn = call.place.arn("dms", &format!("subgrp:{name}"));
    keep_tags(call, &arn)?;
    let group = SubnetGroup { identifier: name.clone(), arn, description, vpc, subnets, read_only: call.read_only };
    let shown = show(call, &group);
    call.world.dms.subnet_groups.insert(name, group);
    Ok(json!({ "ReplicationSubnetGroup": shown }))
}

/// The request's description: "This parameter Must not contain non-printable control characters" (the same page).
fn described(input: Input<'_>) -> Result<Option<String>, ApiError> {
    let text = input.text("ReplicationSubnetGroupDescription")?.map(str::to_owned);
    if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
        return Err(
            input.invalid("The parameter ReplicationSubnetGroupDescription must not contain control characters.")
        );
    }
    Ok(text)
}

/// The request's subnets with their VPC, checked for AZ cover.
fn chosen_subnets(call: &Call<'_>) -> Result<(String, Vec<String>), ApiError> {
    let input = call.input;
    let ids = input.texts("SubnetIds")?;
    if ids.is_empty() {
        return Err(input.missing("SubnetIds"));
    }
    let mut vpcs = BTreeSet::new();
    let mut zones = BTreeSet::new();
    for id in &ids {
        let subnet = surroundings::subnet(call, id)
            .ok_or_else(|| ApiError::new("InvalidSubnet", format!("The subnet ID '{id}' does not exist")))?;
        vpcs.insert(subnet.vpc_id.clone());
        zones.insert(subnet.zone.clone());
    }
    if vpcs.len() > 1 {
        return Err(ApiError::new("InvalidSubnet", "The subnets must be in one VPC"));
    }
    if zones.len() < 2 {
        return Err(ApiError::new(
            "ReplicationSubnetGroupDoesNotCoverEnoughAZs",
            format!(
                "The replication subnet group doesn't meet availability zone (AZ) coverage requirement. Please add subnets to cover at least 2 AZs. Current coverage: {}",
                zones.len()
            ),
        ));
    }
    quotas::require_few_subnets(call, ids.len())?;
    let vpc = vpcs.into_iter().next().ok_or_else(|| input.missing("SubnetIds"))?;
    Ok((vpc, ids.into_iter().map(str::to_owned).collect()))
}

/// `DescribeReplicationSubnetGroups`.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = filters(call.input, &["replication-subnet-group-id"])?;
    let found: Vec<Value> = call
        .world
        .dms
        .subnet_groups
        .values()
        .filter(|group| passes(&filters, |_| vec![group.identifier.clone()]))
        .map(|group| show(call, group))
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found("No Subnet Groups found matching provided filters"));
    }
    page(call.input, "ReplicationSubnetGroups", found)
}

/// `ModifyReplicationSubnetGroup`.
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("ReplicationSubnetGroupIdentifier")?.to_lowercase();
    surroundings::require_vpc_role(call)?;
    let old = find(call, &name)?.clone();
    require_writable(old.read_only, &name)?;
    let (vpc, subnets) = chosen_subnets(call)?;
    if vpc != old.vpc {
        return Err(ApiError::new(
            "InvalidSubnet",
            format!("The subnets must be in the VPC of the subnet group, {}", old.vpc),
        ));
    }
    if let Some(subnet) =
        old.subnets.iter().find(|subnet| !subnets.contains(*subnet) && surroundings::holds_instance(call, subnet))
    {
        return Err(ApiError::new(
            "SubnetAlreadyInUse",
            format!("Subnet {subnet} is in use by a replication instance"),
        ));
    }
    let description = described(call.input)?.unwrap_or_else(|| old.description.clone());
    let group = SubnetGroup { description, subnets, ..old };
    let shown = show(call, &group);
    call.world.dms.subnet_groups.insert(name, group);
    Ok(json!({ "ReplicationSubnetGroup": shown }))
}

/// `DeleteReplicationSubnetGroup`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("ReplicationSubnetGroupIdentifier")?.to_lowercase();
    let group = find(call, &name)?;
    require_writable(group.read_only, &name)?;
    let arn = group.arn.clone();
    let now = call.clock.now();
    let dms = &call.world.dms;
    let instance = dms
        .instances
        .values()
        .find(|instance| instance.subnet_group == name && !instance.lifecycle.is_gone(now))
        .map(|instance| &instance.identifier);
    let profile = dms
        .instance_profiles
        .values()
        .find(|profile| profile.body.get("SubnetGroupIdentifier").and_then(Value::as_str) == Some(&name))
        .map(|profile| &profile.name);
    let replication = dms
        .replications
        .values()
        .find(|one| one.subnet_group == name && !one.work.lifecycle.is_gone(now))
        .map(|one| &one.work.identifier);
    if let Some(user) = instance.or(profile).or(replication) {
        return Err(wrong_state(format!(
            "Cannot delete the subnet group '{name}' because at least one database instance: {user} is still using it."
        )));
    }
    if !surroundings::role_is_usable(call, VPC_ROLE) {
        return Err(surroundings::role_misconfigured(call, VPC_ROLE));
    }
    call.world.dms.subnet_groups.shift_remove(&name);
    call.world.dms.tags.shift_remove(&arn);
    Ok(json!({}))
}

fn find<'a>(call: &'a Call<'_>, name: &str) -> Result<&'a SubnetGroup, ApiError> {
    call.world
        .dms
        .subnet_groups
        .get(name)
        .ok_or_else(|| not_found(format!("Replication subnet group not found: {name}")))
}

/// The named subnet group, or the `default` one, made of the default VPC's subnets when first needed.
pub(super) fn named_or_default(call: &mut Call<'_>, name: Option<&str>) -> Result<String, ApiError> {
    let name = name.map_or_else(|| "default".to_owned(), str::to_lowercase);
    if call.world.dms.subnet_groups.contains_key(&name) {
        return Ok(name);
    }
    if name != "default" {
        return Err(not_found(format!("Replication subnet group not found: {name}")));
    }
    let vpc = call
        .world
        .ec2
        .default_vpc()
        .map(str::to_owned)
        .ok_or_else(|| ApiError::new("InvalidSubnet", "No default VPC found"))?;
    let subnets =
        call.world.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc).map(|subnet| subnet.id.clone()).collect();
    let group = SubnetGroup {
        identifier: name.clone(),
        arn: call.place.arn("dms", "subgrp:default"),
        description: "default".to_owned(),
        vpc,
        subnets,
        read_only: false,
    };
    call.world.dms.subnet_groups.insert(name.clone(), group);
    Ok(name)
}

/// The asked security groups, or the default one of the subnet group's VPC.
pub(super) fn security_groups(call: &Call<'_>, subnet_group: &str, asked: &[&str]) -> Result<Vec<String>, ApiError> {
    let vpc = call.world.dms.subnet_groups.get(subnet_group).map(|group| group.vpc.clone()).unwrap_or_default();
    if asked.is_empty() {
        return Ok(call.world.ec2.default_group(&vpc).map(str::to_owned).into_iter().collect());
    }
    for id in asked {
        if call.world.ec2.security_groups.get(*id).is_none_or(|group| group.vpc_id != vpc) {
            return Err(call.input.invalid(format!("The security group {id} does not exist in VPC {vpc}")));
        }
    }
    Ok(asked.iter().map(|id| (*id).to_owned()).collect())
}

/// The group on the wire.
pub(super) fn show(call: &Call<'_>, group: &SubnetGroup) -> Value {
    let subnets: Vec<Value> = group
        .subnets
        .iter()
        .map(|id| {
            let zone = surroundings::subnet(call, id).map(|subnet| &subnet.zone);
            json!({"SubnetIdentifier": id, "SubnetAvailabilityZone": {"Name": zone}, "SubnetStatus": "Active"})
        })
        .collect();
    json!({
        "ReplicationSubnetGroupIdentifier": group.identifier,
        "ReplicationSubnetGroupDescription": group.description,
        "VpcId": group.vpc,
        "SubnetGroupStatus": "Complete",
        "Subnets": subnets,
        "SupportedNetworkTypes": ["IPV4"],
        "IsReadOnly": group.read_only.then_some(true),
    })
}
