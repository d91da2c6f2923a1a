//! VPC endpoints: gateways at once, interfaces after a while.

use std::time::Duration;

use serde_json::{Value, json};

use super::filters::Filters;
use super::{done, dry_run, listed, no_group, no_subnet, no_vpc, tag_set, tag_specification};
use crate::Quota;
use crate::arn::ec2_id;
use crate::call::{ApiError, Call, Fate, Input};
use crate::clock::Timestamp;
use crate::world::ec2::VpcEndpoint;

const INTERFACE_READY: Duration = Duration::from_secs(90);
const GATEWAY_READY: Duration = Duration::from_secs(2);
const GONE: Duration = Duration::from_secs(30);

impl VpcEndpoint {
    /// Whether it has disappeared.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        self.gone_at.is_some_and(|gone| gone <= now)
    }
}

/// "If this parameter is not specified, we attach a default policy that allows full access to the service" (CreateVpcEndpoint).
const FULL_ACCESS: &str =
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

fn owned(ids: Vec<&str>) -> Vec<String> {
    ids.into_iter().map(str::to_owned).collect()
}

/// What an endpoint refers to must exist in its VPC.
fn check_parts(call: &Call<'_>, vpc: &str, endpoint: &Parts) -> Result<(), ApiError> {
    let ec2 = &call.world.ec2;
    let in_vpc = |own: Option<&str>, missing: ApiError, id: &str| match own {
        None => Err(missing),
        Some(own) if own == vpc => Ok(()),
        Some(_) => Err(ApiError::new("InvalidParameter", format!("{id} does not belong to VPC {vpc}"))),
    };
    for id in &endpoint.subnets {
        in_vpc(ec2.subnets.get(id).map(|subnet| subnet.vpc_id.as_str()), no_subnet(id), id)?;
    }
    for id in &endpoint.groups {
        in_vpc(ec2.security_groups.get(id).map(|group| group.vpc_id.as_str()), no_group(id), id)?;
    }
    for id in &endpoint.tables {
        let missing = ApiError::new("InvalidRouteTableId.NotFound", format!("The routeTable ID '{id}' does not exist"));
        in_vpc(ec2.route_tables.get(id).map(|table| table.vpc_id.as_str()), missing, id)?;
    }
    if endpoint.groups.len() > call.quotas.value(Quota::SecurityGroupsPerInterface) {
        let message = "The maximum number of security groups for a network interface has been reached.";
        return Err(ApiError::new("SecurityGroupsPerInterfaceLimitExceeded", message));
    }
    let zone = |id: &String| ec2.subnets.get(id).map(|subnet| subnet.zone.clone());
    for (at, id) in endpoint.subnets.iter().enumerate() {
        if endpoint.subnets[..at].iter().any(|other| zone(other) == zone(id)) {
            let message = format!("Found another VPC endpoint subnet in the availability zone of {id}");
            return Err(ApiError::new("DuplicateSubnetsInSameZone", message));
        }
    }
    Ok(())
}

/// The lists of an endpoint.
struct Parts {
    tables: Vec<String>,
    subnets: Vec<String>,
    groups: Vec<String>,
}

/// "To use a private hosted zone, you must set the following VPC attributes to true: enableDnsHostnames and
/// enableDnsSupport" (CreateVpcEndpoint).
fn check_private_dns(call: &Call<'_>, vpc: &str) -> Result<(), ApiError> {
    if call.world.ec2.vpcs.get(vpc).is_some_and(|vpc| vpc.dns_hostnames && vpc.dns_support) {
        return Ok(());
    }
    let message = format!(
        "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for {vpc}"
    );
    Err(ApiError::new("InvalidParameter", message))
}

/// A route table has one route to a service: another endpoint's is in the way.
fn check_routes(call: &Call<'_>, service: &str, own: &str, tables: &[String]) -> Result<(), ApiError> {
    let now = call.clock.now();
    let others = call.world.ec2.vpc_endpoints.values();
    let others = others.filter(|other| other.id != own && other.service_name == service && !other.is_gone(now));
    for other in others {
        if let Some(table) = tables.iter().find(|table| other.route_tables.contains(table)) {
            let message =
                format!("route table {table} already has a route with destination-prefix-list-id of {service}");
            return Err(ApiError::new("RouteAlreadyExists", message));
        }
    }
    Ok(())
}

/// Refuses one endpoint more than there may be: of gateways in the region, of interfaces in a VPC.
fn require_room(call: &Call<'_>, gateway: bool, vpc: &str) -> Result<(), ApiError> {
    let now = call.clock.now();
    let standing = call.world.ec2.vpc_endpoints.values().filter(|endpoint| !endpoint.is_gone(now));
    let (quota, used) = if gateway {
        (Quota::GatewayEndpoints, standing.filter(|endpoint| endpoint.kind == "Gateway").count())
    } else {
        let own = |endpoint: &&VpcEndpoint| endpoint.kind == "Interface" && endpoint.vpc_id == vpc;
        (Quota::InterfaceEndpointsPerVpc, standing.filter(own).count())
    };
    if used < call.quotas.value(quota) {
        return Ok(());
    }
    Err(ApiError::new("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached."))
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let ec2 = &call.world.ec2;
    let vpc_id = input.required("VpcId")?;
    ec2.vpcs.get(vpc_id).ok_or_else(|| no_vpc(vpc_id))?;
    let service = input.required("ServiceName")?;
    if !service.starts_with(&format!("com.amazonaws.{}.", call.place.region)) {
        let message = format!("The Vpc Endpoint Service '{service}' does not exist");
        return Err(ApiError::new("InvalidServiceName", message));
    }
    let kind = input.text("VpcEndpointType")?.unwrap_or("Gateway");
    let gateway = match kind {
        "Gateway" => true,
        "Interface" => false,
        _ => return Err(input.invalid(format!("Value ({kind}) for parameter vpcEndpointType is invalid."))),
    };
    let (tables, subnets) = (owned(input.texts("RouteTableId")?), owned(input.texts("SubnetId")?));
    let mut groups = owned(input.texts("SecurityGroupId")?);
    if gateway && !(subnets.is_empty() && groups.is_empty()) {
        let message = "Subnets and security groups are only for interface endpoints.";
        return Err(ApiError::new("InvalidParameter", message));
    }
    if !gateway && groups.is_empty() {
        groups.extend(ec2.default_group(vpc_id).map(str::to_owned));
    }
    let parts = Parts { tables, subnets, groups };
    check_parts(call, vpc_id, &parts)?;
    check_routes(call, service, "", &parts.tables)?;
    let private_dns = input.flag("PrivateDnsEnabled")?.unwrap_or(!gateway);
    if private_dns {
        check_private_dns(call, vpc_id)?;
    }
    require_room(call, gateway, vpc_id)?;
    let Parts { tables, subnets, groups } = parts;
    let endpoint = VpcEndpoint {
        id: ec2_id("vpce"),
        vpc_id: vpc_id.to_owned(),
        service_name: service.to_owned(),
        kind: kind.to_owned(),
        route_tables: tables,
        subnets,
        groups,
        private_dns,
        policy: Some(policy(input)?.unwrap_or(FULL_ACCESS).to_owned()),
        created: call.clock.now(),
        ready_at: call.clock.after(if gateway { GATEWAY_READY } else { INTERFACE_READY }),
        failed: call.fate == Fate::Failure,
        gone_at: None,
        tags: tag_specification(input, "vpc-endpoint")?,
    };
    dry_run(input)?;
    let answer = describe_endpoint(call, &endpoint);
    call.world.ec2.vpc_endpoints.insert(endpoint.id.clone(), endpoint);
    Ok(json!({"vpcEndpoint": answer}))
}

/// The policy of a request, which must be JSON.
fn policy(input: Input<'_>) -> Result<Option<&str>, ApiError> {
    let text = input.text("PolicyDocument")?;
    // "Characters per VPC endpoint policy … 20,480" ("AWS PrivateLink quotas"). With which code EC2 refuses it is not documented.
    if text.is_some_and(|text| text.chars().count() > 20_480) {
        return Err(input.invalid("The policy document has more than 20480 characters"));
    }
    if text.is_some_and(|text| !serde_json::from_str::<Value>(text).is_ok_and(|policy| policy.is_object())) {
        return Err(ApiError::new("MalformedPolicyDocument", "Invalid policy document. Please check the JSON syntax."));
    }
    Ok(text)
}

/// Puts `Add…` into a list and takes `Remove…` out of it.
fn edit(input: Input<'_>, member: &str, list: &mut Vec<String>) -> Result<(), ApiError> {
    let removed = input.texts(&format!("Remove{member}"))?;
    list.retain(|id| !removed.contains(&id.as_str()));
    for id in owned(input.texts(&format!("Add{member}"))?) {
        if !list.contains(&id) {
            list.push(id);
        }
    }
    Ok(())
}

/// "The attributes that you can modify depend on the type of VPC endpoint" (ModifyVpcEndpoint).
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let id = input.required("VpcEndpointId")?;
    let now = call.clock.now();
    let found = call.world.ec2.vpc_endpoints.get(id).filter(|endpoint| !endpoint.is_gone(now));
    let mut endpoint = found.cloned().ok_or_else(|| no_endpoint(id))?;
    if state(&endpoint, now) != "Available" {
        let message =
            format!("VPC endpoint {id} is in state {} and cannot be modified", state(&endpoint, now).to_lowercase());
        return Err(ApiError::new("IncorrectState", message));
    }
    let gateway = endpoint.kind == "Gateway";
    let foreign: &[&str] = if gateway {
        &["AddSubnetId", "RemoveSubnetId", "AddSecurityGroupId", "RemoveSecurityGroupId", "PrivateDnsEnabled"]
    } else {
        &["AddRouteTableId", "RemoveRouteTableId"]
    };
    if foreign.iter().any(|member| input.has(member)) {
        let message = format!("The request has parameters that an endpoint of type {} does not have.", endpoint.kind);
        return Err(ApiError::new("InvalidParameter", message));
    }
    let mut parts = Parts {
        tables: std::mem::take(&mut endpoint.route_tables),
        subnets: std::mem::take(&mut endpoint.subnets),
        groups: std::mem::take(&mut endpoint.groups),
    };
    edit(input, "RouteTableId", &mut parts.tables)?;
    edit(input, "SubnetId", &mut parts.subnets)?;
    edit(input, "SecurityGroupId", &mut parts.groups)?;
    check_parts(call, &endpoint.vpc_id, &parts)?;
    check_routes(call, &endpoint.service_name, id, &parts.tables)?;
    if let Some(enabled) = input.flag("PrivateDnsEnabled")? {
        if enabled {
            check_private_dns(call, &endpoint.vpc_id)?;
        }
        endpoint.private_dns = enabled;
    }
    if input.flag("ResetPolicy")? == Some(true) {
        endpoint.policy = Some(FULL_ACCESS.to_owned());
    }
    if let Some(policy) = policy(input)? {
        endpoint.policy = Some(policy.to_owned());
    }
    dry_run(input)?;
    (endpoint.route_tables, endpoint.subnets, endpoint.groups) = (parts.tables, parts.subnets, parts.groups);
    call.world.ec2.vpc_endpoints.insert(id.to_owned(), endpoint);
    Ok(done())
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let known = ["service-name", "vpc-endpoint-id", "vpc-endpoint-state", "vpc-endpoint-type", "vpc-id"];
    let filters = Filters::read(call.input, &known)?;
    let ids = call.input.texts("VpcEndpointId")?;
    let now = call.clock.now();
    let present = || call.world.ec2.vpc_endpoints.values().filter(|endpoint| !endpoint.is_gone(now));
    if let Some(id) = ids.iter().find(|id| !present().any(|endpoint| endpoint.id == **id)) {
        return Err(no_endpoint(id));
    }
    let field = |endpoint: &VpcEndpoint, name: &str| match name {
        "service-name" => vec![endpoint.service_name.clone()],
        "vpc-endpoint-id" => vec![endpoint.id.clone()],
        "vpc-endpoint-state" => vec![state(endpoint, now).to_lowercase(), state(endpoint, now).to_owned()],
        "vpc-endpoint-type" => vec![endpoint.kind.clone()],
        _ => vec![endpoint.vpc_id.clone()],
    };
    let endpoints = present()
        .filter(|endpoint| ids.is_empty() || ids.contains(&endpoint.id.as_str()))
        .filter(|endpoint| filters.fit(&endpoint.tags, |name| field(endpoint, name)))
        .map(|endpoint| describe_endpoint(call, endpoint))
        .collect();
    listed(call.input, "vpcEndpointSet", endpoints)
}

fn describe_endpoint(call: &Call<'_>, endpoint: &VpcEndpoint) -> Value {
    let groups: Vec<_> = endpoint.groups.iter().map(|id| json!({"groupId": id})).collect();
    let service = endpoint.service_name.rsplit('.').next().unwrap_or_default();
    let dns = (endpoint.kind == "Interface")
        .then(|| format!("{}.{service}.{}.vpce.amazonaws.com", endpoint.id, call.place.region));
    json!({
        "vpcEndpointId": endpoint.id,
        "vpcEndpointType": endpoint.kind,
        "vpcId": endpoint.vpc_id,
        "serviceName": endpoint.service_name,
        "state": state(endpoint, call.clock.now()),
        "policyDocument": endpoint.policy,
        "routeTableIdSet": endpoint.route_tables,
        "subnetIdSet": endpoint.subnets,
        "groupSet": groups,
        "privateDnsEnabled": endpoint.private_dns,
        "dnsEntrySet": dns.map(|name| json!({"dnsName": name})).into_iter().collect::<Vec<_>>(),
        "requesterManaged": false,
        "creationTimestamp": endpoint.created.iso(),
        "ownerId": call.place.account,
        "tagSet": tag_set(&endpoint.tags),
    })
}

fn state(endpoint: &VpcEndpoint, now: Timestamp) -> &'static str {
    match (endpoint.gone_at, endpoint.ready_at <= now) {
        (Some(_), _) => "Deleting",
        (None, false) => "Pending",
        (None, true) if endpoint.failed => "Failed",
        (None, true) => "Available",
    }
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let ids = call.input.texts("VpcEndpointId")?;
    dry_run(call.input)?;
    let (now, gone) = (call.clock.now(), call.clock.after(GONE));
    let mut failed = Vec::new();
    for id in ids {
        let found = call.world.ec2.vpc_endpoints.get_mut(id).filter(|endpoint| !endpoint.is_gone(now));
        if let Some(endpoint) = found {
            endpoint.gone_at = endpoint.gone_at.or(Some(gone));
        } else {
            let error = no_endpoint(id);
            failed.push(json!({"resourceId": id, "error": {"code": error.code, "message": error.message}}));
        }
    }
    Ok(json!({"unsuccessful": failed}))
}

fn no_endpoint(id: &str) -> ApiError {
    ApiError::new("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist"))
}
