//! Where a workgroup lies: subnets, security groups, network interfaces.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::call::{ApiError, Call};
use crate::world::ec2::Ec2;
use crate::world::redshift_serverless::Workgroup;

/// Subnets, and security groups, that a workgroup may have.
const MOST: usize = 32;
/// Free addresses that each subnet needs.
const FREE: u64 = 3;
/// With enhanced VPC routing, by the largest base capacity that the number is enough for.
const FREE_ROUTED: [(i64, u64); 5] = [(32, 13), (64, 21), (128, 37), (256, 69), (512, 133)];

/// The asked subnets, or those of the default VPC, of a workgroup; with their VPC.
pub(super) fn subnets(call: &Call<'_>, routed: bool) -> Result<(Vec<String>, String), ApiError> {
    chosen_subnets(call, if routed { 3 } else { 2 })
}

/// The asked subnets, or those of the default VPC, which must lie in so many zones; with their VPC.
pub(super) fn chosen_subnets(call: &Call<'_>, needed: usize) -> Result<(Vec<String>, String), ApiError> {
    let input = call.input;
    let asked = input.texts("subnetIds")?;
    let ec2 = &call.world.ec2;
    let chosen: Vec<String> = if asked.is_empty() {
        let vpc = ec2.default_vpc().ok_or_else(|| input.invalid("There is no default VPC; give subnetIds."))?;
        ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc).map(|subnet| subnet.id.clone()).collect()
    } else {
        asked.into_iter().map(str::to_owned).collect()
    };
    // "maxItems" of `SubnetIds` and `SecurityGroupIds` (CloudFormation's public resource schema
    // `AWS::RedshiftServerless::Workgroup`).
    if chosen.len() > MOST {
        return Err(input.invalid(format!("At most {MOST} subnets can be specified.")));
    }
    let mut zones = BTreeSet::new();
    let mut vpcs = BTreeSet::new();
    for id in &chosen {
        let subnet =
            ec2.subnets.get(id).ok_or_else(|| input.invalid(format!("The subnet ID '{id}' does not exist")))?;
        zones.insert(&subnet.zone);
        vpcs.insert(&subnet.vpc_id);
    }
    if zones.len() < needed || chosen.len() < needed {
        return Err(input.invalid(format!(
            "Insufficient free subnets: at least {needed} subnets in {needed} Availability Zones are required."
        )));
    }
    match vpcs.into_iter().next() {
        Some(vpc) if chosen.iter().all(|id| ec2.subnets[id].vpc_id == *vpc) => Ok((chosen.clone(), vpc.clone())),
        _ => Err(input.invalid("The subnets must be in one VPC.")),
    }
}

/// Each subnet has as many free addresses as the workgroup needs.
pub(super) fn require_addresses(call: &Call<'_>, subnets: &[String], routed: bool, base: i64) -> Result<(), ApiError> {
    // Without a base capacity of one's own the service plans for its former default.
    let base = if base > 0 { base } else { 128 };
    let needed = if routed {
        FREE_ROUTED.iter().find(|(rpu, _)| base <= *rpu).map_or(FREE_ROUTED[4].1, |(_, free)| *free)
    } else {
        FREE
    };
    for id in subnets {
        let free =
            call.world.ec2.subnets.get(id).map_or(0, |subnet| crate::services::ec2::free_addresses(call, subnet));
        if free < needed {
            return Err(call.input.invalid(format!(
                "Insufficient free IP addresses: the subnet {id} has {free}, at least {needed} are required."
            )));
        }
    }
    Ok(())
}

/// The asked security groups, or the default one of the VPC.
pub(super) fn security_groups(call: &Call<'_>, member: &str, vpc: &str) -> Result<Vec<String>, ApiError> {
    let asked = call.input.texts(member)?;
    if asked.is_empty() {
        return Ok(call.world.ec2.default_group(vpc).map(str::to_owned).into_iter().collect());
    }
    if asked.len() > MOST {
        return Err(call.input.invalid(format!("At most {MOST} security groups can be specified.")));
    }
    for id in &asked {
        if call.world.ec2.security_groups.get(*id).is_none_or(|group| group.vpc_id != vpc) {
            return Err(call.input.invalid(format!("VPC Security group {id} does not exist in VPC {vpc}")));
        }
    }
    Ok(asked.into_iter().map(str::to_owned).collect())
}

/// The texts of a list of the body.
pub(crate) fn texts(body: &Map<String, Value>, member: &str) -> Vec<String> {
    body.get(member)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

/// The VPC of a workgroup.
pub(crate) fn network_of(ec2: &Ec2, workgroup: &Workgroup) -> String {
    let first = texts(&workgroup.body, "subnetIds").into_iter().next().unwrap_or_default();
    ec2.subnets.get(&first).map(|subnet| subnet.vpc_id.clone()).unwrap_or_default()
}

/// Makes the network interfaces of a workgroup; their ids.
pub(super) fn add_interfaces(call: &mut Call<'_>, name: &str, body: &Map<String, Value>) -> Vec<String> {
    let groups = texts(body, "securityGroupIds");
    let description = format!("VPC Endpoint Interface of Redshift Serverless workgroup {name}");
    interfaces(call, &texts(body, "subnetIds"), &groups, &description)
}

/// Makes one network interface in each subnet; their ids.
pub(super) fn interfaces(call: &mut Call<'_>, subnets: &[String], groups: &[String], description: &str) -> Vec<String> {
    subnets
        .iter()
        .filter_map(|id| {
            let subnet = call.world.ec2.subnets.get(id)?.clone();
            Some(call.world.ec2.add_service_interface(&subnet, groups, description, "redshift-serverless"))
        })
        .collect()
}

/// Network interfaces as workgroups and endpoints tell them.
pub(super) fn shown_interfaces(call: &Call<'_>, ids: &[String]) -> Vec<Value> {
    ids.iter()
        .filter_map(|id| call.world.ec2.network_interfaces.get(id))
        .map(|own| {
            let zone = call.world.ec2.subnets.get(&own.subnet_id).map(|subnet| &subnet.zone);
            json!({"networkInterfaceId": own.id, "subnetId": own.subnet_id, "privateIpAddress": own.private_address, "availabilityZone": zone})
        })
        .collect()
}

/// Moves a workgroup to the asked subnets and security groups.
pub(super) fn move_network(call: &mut Call<'_>, workgroup: &mut Workgroup) -> Result<(), ApiError> {
    if call.input.has("subnetIds") {
        let routed = workgroup.body["enhancedVpcRouting"] == json!(true);
        let (chosen, _) = subnets(call, routed)?;
        workgroup.body.insert("subnetIds".to_owned(), json!(chosen));
    }
    let vpc = network_of(&call.world.ec2, workgroup);
    if call.input.has("securityGroupIds") {
        let groups = security_groups(call, "securityGroupIds", &vpc)?;
        workgroup.body.insert("securityGroupIds".to_owned(), json!(groups));
    }
    for id in std::mem::take(&mut workgroup.interfaces) {
        call.world.ec2.network_interfaces.remove(&id);
    }
    workgroup.interfaces = add_interfaces(call, &workgroup.name, &workgroup.body);
    Ok(())
}
