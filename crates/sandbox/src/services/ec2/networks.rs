//! VPCs, subnets, zones and route tables.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::filters::Filters;
use super::{chosen, done, dry_run, listed, no_subnet, no_vpc, tag_set, tag_specification};
use crate::Quota;
use crate::arn::ec2_id;
use crate::call::{ApiError, Call, Input};
use crate::world::ec2::{RouteTable, Subnet, Vpc, zones};

/// Addresses of each subnet that AWS keeps for itself.
const RESERVED_ADDRESSES: u64 = 5;

/// The DHCP options of every VPC.
pub(super) const DHCP_OPTIONS: &str = "dopt-0a1b2c3d4e5f60718";

pub(super) fn describe_vpcs(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let known = [
        "cidr",
        "cidr-block-association.cidr-block",
        "dhcp-options-id",
        "is-default",
        "isDefault",
        "owner-id",
        "state",
        "vpc-id",
    ];
    let filters = Filters::read(call.input, &known)?;
    let vpcs = chosen(call, "VpcId", &call.world.ec2.vpcs, no_vpc)?;
    let field = |vpc: &Vpc, name: &str| match name {
        "cidr" | "cidr-block-association.cidr-block" => vec![vpc.cidr.clone()],
        "dhcp-options-id" => vec![DHCP_OPTIONS.to_owned()],
        "owner-id" => vec![call.place.account.clone()],
        "is-default" | "isDefault" => vec![vpc.is_default.to_string()],
        "state" => vec!["available".to_owned()],
        _ => vec![vpc.id.clone()],
    };
    let fitting = vpcs.into_iter().filter(|vpc| filters.fit(&vpc.tags, |name| field(vpc, name)));
    let vpcs = fitting.map(|vpc| describe_vpc(vpc, &call.place.account)).collect();
    listed(call.input, "vpcSet", vpcs)
}

pub(super) fn create_vpc(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let block = Block::read(input.required("CidrBlock")?).filter(|block| (16..=28).contains(&block.length));
    let block = block
        .ok_or_else(|| ApiError::new("InvalidVpc.Range", "The CIDR is invalid; it must be between /16 and /28."))?;
    let tags = tag_specification(input, "vpc")?;
    dry_run(input)?;
    if call.world.ec2.vpcs.len() >= call.quotas.value(Quota::Vpcs) {
        return Err(ApiError::new("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
    }
    let id = call.world.ec2.add_vpc(&block.to_string(), false, tags);
    Ok(json!({"vpc": describe_vpc(&call.world.ec2.vpcs[&id], &call.place.account)}))
}

pub(super) fn delete_vpc(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.input.required("VpcId")?;
    dry_run(call.input)?;
    let ec2 = &call.world.ec2;
    let vpc = ec2.vpcs.get(id).ok_or_else(|| no_vpc(id))?;
    let used = ec2.subnets.values().any(|subnet| subnet.vpc_id == vpc.id)
        || ec2.security_groups.values().any(|group| group.vpc_id == vpc.id && group.name != "default")
        || ec2.vpc_endpoints.values().any(|endpoint| endpoint.vpc_id == vpc.id && !endpoint.is_gone(call.clock.now()));
    if used {
        let message = format!("The vpc '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::new("DependencyViolation", message));
    }
    let ec2 = &mut call.world.ec2;
    ec2.vpcs.remove(id);
    ec2.route_tables.retain(|_, table| table.vpc_id != id);
    let groups: Vec<_> =
        ec2.security_groups.values().filter(|group| group.vpc_id == id).map(|group| group.id.clone()).collect();
    ec2.rules.retain(|_, rule| !groups.contains(&rule.group_id));
    ec2.security_groups.retain(|group, _| !groups.contains(group));
    Ok(done())
}

fn describe_vpc(vpc: &Vpc, account: &str) -> Value {
    json!({
        "vpcId": vpc.id,
        "ownerId": account,
        "state": "available",
        "cidrBlock": vpc.cidr,
        "cidrBlockAssociationSet": [{
            "cidrBlock": vpc.cidr,
            "associationId": vpc.id.replacen("vpc-", "vpc-cidr-assoc-", 1),
            "cidrBlockState": {"state": "associated"},
        }],
        "dhcpOptionsId": DHCP_OPTIONS,
        "instanceTenancy": "default",
        "isDefault": vpc.is_default,
        "tagSet": tag_set(&vpc.tags),
    })
}

/// The value of an attribute that a Modify operation wraps into a structure.
fn attribute(input: Input<'_>, member: &str) -> Result<Option<bool>, ApiError> {
    input.structure(member)?.map_or(Ok(None), |wrapped| wrapped.flag("Value"))
}

/// "You can only modify one attribute at a time" (ModifyVpcAttribute); "You can only enable DNS hostnames if you've enabled
/// DNS support" (`EnableDnsHostnames`).
pub(super) fn modify_vpc_attribute(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.input.required("VpcId")?;
    let hostnames = attribute(call.input, "EnableDnsHostnames")?;
    let support = attribute(call.input, "EnableDnsSupport")?;
    let vpc = call.world.ec2.vpcs.get_mut(id).ok_or_else(|| no_vpc(id))?;
    match (hostnames, support) {
        (Some(_), Some(_)) => {
            let message = "Fields for multiple attribute types specified";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        (None, None) => {
            return Err(ApiError::new("MissingParameter", "Either EnableDnsHostnames or EnableDnsSupport is needed"));
        }
        (Some(true), None) if !vpc.dns_support => {
            let message = "DNS hostnames can only be enabled with DNS support";
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        (Some(enabled), None) => vpc.dns_hostnames = enabled,
        (None, Some(enabled)) => vpc.dns_support = enabled,
    }
    Ok(done())
}

/// "You can specify only one attribute at a time" (DescribeVpcAttribute).
pub(super) fn describe_vpc_attribute(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.input.required("VpcId")?;
    let vpc = call.world.ec2.vpcs.get(id).ok_or_else(|| no_vpc(id))?;
    let name = call.input.required("Attribute")?;
    let value = match name {
        "enableDnsHostnames" => vpc.dns_hostnames,
        "enableDnsSupport" => vpc.dns_support,
        _ => return Err(call.input.invalid(format!("Value ({name}) for parameter attribute is invalid."))),
    };
    Ok(json!({"vpcId": id, name: {"value": value}}))
}

/// "Modifies a subnet attribute. You can only modify one attribute at a time" (ModifySubnetAttribute).
pub(super) fn modify_subnet_attribute(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.input.required("SubnetId")?;
    let public = attribute(call.input, "MapPublicIpOnLaunch")?;
    let subnet = call.world.ec2.subnets.get_mut(id).ok_or_else(|| no_subnet(id))?;
    let message = "MapPublicIpOnLaunch is the attribute that is played";
    subnet.public_addresses = public.ok_or_else(|| ApiError::new("MissingParameter", message))?;
    Ok(done())
}

pub(super) fn describe_subnets(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let known = [
        "availability-zone",
        "availability-zone-id",
        "availabilityZone",
        "available-ip-address-count",
        "cidr",
        "cidr-block",
        "cidrBlock",
        "default-for-az",
        "defaultForAz",
        "map-public-ip-on-launch",
        "owner-id",
        "state",
        "subnet-arn",
        "subnet-id",
        "vpc-id",
    ];
    let filters = Filters::read(call.input, &known)?;
    let field = |subnet: &Subnet, name: &str| match name {
        "availability-zone" | "availabilityZone" => vec![subnet.zone.clone()],
        "availability-zone-id" => vec![zone_id(&subnet.zone)],
        "available-ip-address-count" => vec![free_addresses(call, subnet).to_string()],
        "cidr" | "cidr-block" | "cidrBlock" => vec![subnet.cidr.clone()],
        "default-for-az" | "defaultForAz" => vec![subnet.default_for_zone.to_string()],
        "map-public-ip-on-launch" => vec![subnet.public_addresses.to_string()],
        "owner-id" => vec![call.place.account.clone()],
        "subnet-arn" => vec![call.place.arn("ec2", &format!("subnet/{}", subnet.id))],
        "state" => vec!["available".to_owned()],
        "subnet-id" => vec![subnet.id.clone()],
        _ => vec![subnet.vpc_id.clone()],
    };
    let subnets = chosen(call, "SubnetId", &call.world.ec2.subnets, no_subnet)?;
    let fitting = subnets.into_iter().filter(|subnet| filters.fit(&subnet.tags, |name| field(subnet, name)));
    let subnets = fitting.map(|subnet| describe_subnet(call, subnet)).collect();
    listed(call.input, "subnetSet", subnets)
}

pub(super) fn create_subnet(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let vpc_id = input.required("VpcId")?;
    let vpc = call.world.ec2.vpcs.get(vpc_id).ok_or_else(|| no_vpc(vpc_id))?;
    let invalid = || ApiError::new("InvalidSubnet.Range", "The CIDR is invalid.");
    let block = Block::read(input.required("CidrBlock")?)
        .filter(|block| (16..=28).contains(&block.length))
        .ok_or_else(invalid)?;
    let whole = Block::read(&vpc.cidr).ok_or_else(invalid)?;
    if !whole.contains(block) {
        return Err(invalid());
    }
    let siblings = || call.world.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc_id);
    if siblings()
        .filter_map(|subnet| Block::read(&subnet.cidr))
        .any(|other| other.contains(block) || block.contains(other))
    {
        let message = format!("The CIDR '{block}' conflicts with another subnet");
        return Err(ApiError::new("InvalidSubnet.Conflict", message));
    }
    if siblings().count() >= call.quotas.value(Quota::SubnetsPerVpc) {
        let message = "The maximum number of subnets in the VPC has been reached.";
        return Err(ApiError::new("SubnetLimitExceeded", message));
    }
    let all = zones(&call.place.region);
    let zone = input.text("AvailabilityZone")?.unwrap_or(&all[0]);
    if !all.iter().any(|own| own == zone) {
        return Err(input.invalid(format!("Value ({zone}) for parameter availabilityZone is invalid.")));
    }
    let subnet = Subnet {
        id: ec2_id("subnet"),
        vpc_id: vpc_id.to_owned(),
        cidr: block.to_string(),
        zone: zone.to_owned(),
        default_for_zone: false,
        public_addresses: false,
        tags: tag_specification(input, "subnet")?,
    };
    dry_run(input)?;
    let answer = describe_subnet(call, &subnet);
    call.world.ec2.subnets.insert(subnet.id.clone(), subnet);
    Ok(json!({"subnet": answer}))
}

pub(super) fn delete_subnet(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.input.required("SubnetId")?;
    dry_run(call.input)?;
    if !call.world.ec2.subnets.contains_key(id) {
        return Err(no_subnet(id));
    }
    let now = call.clock.now();
    let mut endpoints = call.world.ec2.vpc_endpoints.values();
    let serves = endpoints.any(|endpoint| endpoint.subnets.iter().any(|own| own == id) && !endpoint.is_gone(now));
    if serves || super::interfaces::present(call).any(|interface| interface.subnet_id == id) {
        let message = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::new("DependencyViolation", message));
    }
    call.world.ec2.subnets.remove(id);
    Ok(done())
}

/// How many addresses of a subnet nobody has.
pub(crate) fn free_addresses(call: &Call<'_>, subnet: &Subnet) -> u64 {
    let size = Block::read(&subnet.cidr).map_or(0, |block| 1_u64 << (32 - block.length));
    let used = super::interfaces::present(call).filter(|interface| interface.subnet_id == subnet.id).count() as u64;
    size.saturating_sub(RESERVED_ADDRESSES + used)
}

fn describe_subnet(call: &Call<'_>, subnet: &Subnet) -> Value {
    json!({
        "subnetId": subnet.id,
        "subnetArn": call.place.arn("ec2", &format!("subnet/{}", subnet.id)),
        "state": "available",
        "ownerId": call.place.account,
        "vpcId": subnet.vpc_id,
        "cidrBlock": subnet.cidr,
        "availableIpAddressCount": free_addresses(call, subnet),
        "availabilityZone": subnet.zone,
        "availabilityZoneId": zone_id(&subnet.zone),
        "defaultForAz": subnet.default_for_zone,
        "mapPublicIpOnLaunch": subnet.public_addresses,
        "tagSet": tag_set(&subnet.tags),
    })
}

pub(super) fn describe_availability_zones(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = Filters::read(call.input, &["region-name", "state", "zone-name", "zone-type", "opt-in-status"])?;
    let named = call.input.texts("ZoneName")?;
    let region = &call.place.region;
    let field = |zone: &str, name: &str| match name {
        "region-name" => region.clone(),
        "state" => "available".to_owned(),
        "zone-type" => "availability-zone".to_owned(),
        "opt-in-status" => "opt-in-not-required".to_owned(),
        _ => zone.to_owned(),
    };
    let all = zones(region).into_iter().filter(|zone| named.is_empty() || named.contains(&zone.as_str()));
    let fitting = all.filter(|zone| filters.fit(&crate::world::Tags::new(), |name| vec![field(zone, name)]));
    let zones: Vec<_> = fitting
        .map(|zone| {
            json!({
                "zoneName": zone,
                "zoneId": zone_id(&zone),
                "zoneState": "available",
                "regionName": region,
                "zoneType": "availability-zone",
                "optInStatus": "opt-in-not-required",
                "groupName": region,
                "networkBorderGroup": region,
                "messageSet": [],
            })
        })
        .collect();
    Ok(json!({"availabilityZoneInfo": zones}))
}

/// The id of a zone: `eun1-az1` for `eu-north-1a`.
fn zone_id(zone: &str) -> String {
    let mut parts = zone.split('-');
    let area = parts.next().unwrap_or_default();
    let side = parts.next().and_then(|side| side.chars().next()).map(String::from).unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let letter = rest.bytes().last().unwrap_or(b'a');
    let number = rest.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    format!("{area}{side}{number}-az{}", letter.saturating_sub(b'a') + 1)
}

pub(super) fn describe_route_tables(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters =
        Filters::read(call.input, &["association.main", "association.subnet-id", "route-table-id", "vpc-id"])?;
    let missing =
        |id: &str| ApiError::new("InvalidRouteTableID.NotFound", format!("The routeTable ID '{id}' does not exist"));
    let tables = chosen(call, "RouteTableId", &call.world.ec2.route_tables, missing)?;
    let field = |table: &RouteTable, name: &str| match name {
        "association.main" => vec!["true".to_owned()],
        "association.subnet-id" => Vec::new(),
        "route-table-id" => vec![table.id.clone()],
        _ => vec![table.vpc_id.clone()],
    };
    let fitting = tables.into_iter().filter(|table| filters.fit(&table.tags, |name| field(table, name)));
    let tables = fitting.map(|table| describe_route_table(call, table)).collect();
    listed(call.input, "routeTableSet", tables)
}

fn describe_route_table(call: &Call<'_>, table: &RouteTable) -> Value {
    let local = call.world.ec2.vpcs.get(&table.vpc_id).map_or("", |vpc| vpc.cidr.as_str());
    let mut routes = vec![json!({
        "destinationCidrBlock": local, "gatewayId": "local", "state": "active", "origin": "CreateRouteTable",
    })];
    routes.extend(table.internet_gateway.as_ref().map(|gateway| {
        json!({"destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway, "state": "active", "origin": "CreateRoute"})
    }));
    json!({
        "routeTableId": table.id,
        "vpcId": table.vpc_id,
        "ownerId": call.place.account,
        "routeSet": routes,
        "associationSet": [{
            "routeTableAssociationId": table.id.replacen("rtb-", "rtbassoc-", 1),
            "routeTableId": table.id,
            "main": true,
            "associationState": {"state": "associated"},
        }],
        "propagatingVgwSet": [],
        "tagSet": tag_set(&table.tags),
    })
}

/// An IPv4 block with its host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    network: u32,
    length: u32,
}

impl Block {
    /// Reads `a.b.c.d/n`; host bits are cleared, as EC2 does.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length = length.parse().ok().filter(|length| *length <= 32)?;
        let address: Ipv4Addr = address.parse().ok()?;
        Some(Self { network: u32::from(address) & Self::mask(length), length })
    }

    fn mask(length: u32) -> u32 {
        u32::MAX.checked_shl(32 - length).unwrap_or(0)
    }

    /// Whether an address lies in it.
    pub(crate) fn holds(self, address: Ipv4Addr) -> bool {
        u32::from(address) & Self::mask(self.length) == self.network
    }

    fn contains(self, other: Self) -> bool {
        other.length >= self.length && other.network & Self::mask(self.length) == self.network
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.network), self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_of_a_block_are_cleared() {
        assert_eq!(Block::read("10.1.2.3/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(Block::read("1.2.3.4/0").unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(Block::read("10.1.2.3/33"), None);
    }

    #[test]
    fn zone_ids_are_those_of_aws() {
        assert_eq!(zone_id("eu-north-1a"), "eun1-az1");
        assert_eq!(zone_id("us-east-1c"), "use1-az3");
    }
}
