//! EC2's networking: what a pipeline finds, makes and must remove again.
//!
//! Source: Amazon EC2 API reference; error codes as in "Error codes for the Amazon EC2 API".

mod endpoints;
mod filters;
mod groups;
mod interfaces;
mod lookups;
mod networks;
mod rules;
mod tagging;

use serde_json::Value;

pub(crate) use self::networks::{Block, free_addresses};
use crate::call::{ApiError, Call, Codes, Input};
use crate::paging::page;
use crate::protocol::query::Dialect;
use crate::router::{Operation, Protocol, Reach, Service};
use crate::world::Tags;

pub(crate) const SERVICE: Service = Service {
    name: "ec2",
    protocol: Protocol::Query { dialect: Dialect::Ec2, namespace: "http://ec2.amazonaws.com/doc/2016-11-15/" },
    reach: Reach::Regional,
    codes: &Codes { missing: "MissingParameter", invalid: "InvalidParameterValue" },
    operations: &[
        ("AuthorizeSecurityGroupEgress", Operation::Call(rules::authorize_egress)),
        ("AuthorizeSecurityGroupIngress", Operation::Call(rules::authorize_ingress)),
        ("CreateSecurityGroup", Operation::Call(groups::create)),
        ("CreateSubnet", Operation::Call(networks::create_subnet)),
        ("CreateTags", Operation::Call(tagging::create)),
        ("CreateVpc", Operation::Call(networks::create_vpc)),
        ("CreateVpcEndpoint", Operation::Call(endpoints::create)),
        ("DeleteNetworkInterface", Operation::Call(interfaces::delete)),
        ("DeleteSecurityGroup", Operation::Call(groups::delete)),
        ("DeleteSubnet", Operation::Call(networks::delete_subnet)),
        ("DeleteTags", Operation::Call(tagging::delete)),
        ("DeleteVpc", Operation::Call(networks::delete_vpc)),
        ("DeleteVpcEndpoints", Operation::Call(endpoints::delete)),
        ("DescribeAccountAttributes", Operation::Call(lookups::account_attributes)),
        ("DescribeAddresses", Operation::Call(lookups::addresses)),
        ("DescribeAvailabilityZones", Operation::Call(networks::describe_availability_zones)),
        ("DescribeDhcpOptions", Operation::Call(lookups::dhcp_options)),
        ("DescribeInstances", Operation::Call(lookups::instances)),
        ("DescribeInternetGateways", Operation::Call(lookups::internet_gateways)),
        ("DescribeNatGateways", Operation::Call(lookups::nat_gateways)),
        ("DescribeNetworkAcls", Operation::Call(lookups::network_acls)),
        ("DescribeNetworkInterfaces", Operation::Call(interfaces::describe)),
        ("DescribePrefixLists", Operation::Call(lookups::prefix_lists)),
        ("DescribeRegions", Operation::Call(lookups::regions)),
        ("DescribeRouteTables", Operation::Call(networks::describe_route_tables)),
        ("DescribeSecurityGroupRules", Operation::Call(rules::describe)),
        ("DescribeSecurityGroups", Operation::Call(groups::describe)),
        ("DescribeStaleSecurityGroups", Operation::Call(lookups::stale_groups)),
        ("DescribeSubnets", Operation::Call(networks::describe_subnets)),
        ("DescribeTags", Operation::Call(tagging::describe)),
        ("DescribeVpcAttribute", Operation::Call(networks::describe_vpc_attribute)),
        ("DescribeVpcEndpointServices", Operation::Call(lookups::endpoint_services)),
        ("DescribeVpcEndpoints", Operation::Call(endpoints::describe)),
        ("DescribeVpcPeeringConnections", Operation::Call(lookups::peerings)),
        ("DescribeVpcs", Operation::Call(networks::describe_vpcs)),
        ("DetachNetworkInterface", Operation::Call(interfaces::detach)),
        ("GetSecurityGroupsForVpc", Operation::Call(lookups::groups_for_vpc)),
        ("ModifySecurityGroupRules", Operation::Call(rules::modify)),
        ("ModifySubnetAttribute", Operation::Call(networks::modify_subnet_attribute)),
        ("ModifyVpcAttribute", Operation::Call(networks::modify_vpc_attribute)),
        ("ModifyVpcEndpoint", Operation::Call(endpoints::modify)),
        ("RevokeSecurityGroupEgress", Operation::Call(rules::revoke_egress)),
        ("RevokeSecurityGroupIngress", Operation::Call(rules::revoke_ingress)),
        ("UpdateSecurityGroupRuleDescriptionsEgress", Operation::Call(rules::describe_anew_egress)),
        ("UpdateSecurityGroupRuleDescriptionsIngress", Operation::Call(rules::describe_anew_ingress)),
    ],
};

/// The answer of an operation that has nothing to tell.
fn done() -> Value {
    serde_json::json!({"return": true})
}

/// Answers a dry run, which never has an effect.
fn dry_run(input: Input<'_>) -> Result<(), ApiError> {
    match input.flag("DryRun")? {
        Some(true) => {
            let text = "Request would have succeeded, but DryRun flag is set.";
            Err(ApiError::new("DryRunOperation", text).status(412))
        }
        _ => Ok(()),
    }
}

/// The tags that `TagSpecification` gives to objects of `kind`.
fn tag_specification(input: Input<'_>, kind: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for specification in input.structures("TagSpecification")? {
        if specification.required("ResourceType")? == kind {
            tags.extend(super::tags::read(specification, "Tag")?);
        }
    }
    Ok(tags)
}

/// The tag set of an answer.
fn tag_set(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| serde_json::json!({"key": key, "value": value})).collect()
}

/// One page of a list, as EC2 pages: `MaxResults` of 5 to 1,000, and all when it is not given.
fn listed(input: Input<'_>, name: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let size = match input.integer("MaxResults")? {
        Some(size) if !(5..=1000).contains(&size) => {
            let message =
                format!("Value ( {size} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.");
            return Err(input.invalid(message));
        }
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let (items, token) = page(items, input.text("NextToken")?, size)
        .map_err(|_| ApiError::new("InvalidNextToken", "The token is invalid."))?;
    Ok(serde_json::json!({name: items, "nextToken": token}))
}

/// Looks objects up by the ids of `member`, or takes all when none are given.
fn chosen<'a, T>(
    call: &Call<'_>,
    member: &str,
    table: &'a std::collections::BTreeMap<String, T>,
    missing: impl Fn(&str) -> ApiError,
) -> Result<Vec<&'a T>, ApiError> {
    let ids = call.input.texts(member)?;
    if ids.is_empty() {
        return Ok(table.values().collect());
    }
    ids.into_iter().map(|id| table.get(id).ok_or_else(|| missing(id))).collect()
}

fn no_vpc(id: &str) -> ApiError {
    ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
}

fn no_subnet(id: &str) -> ApiError {
    ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
}

fn no_group(id: &str) -> ApiError {
    if id.strip_prefix("sg-").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        ApiError::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
    } else {
        ApiError::new("InvalidGroupId.Malformed", format!("Invalid id: \"{id}\""))
    }
}
