//! VPC endpoints: gateways at once, interfaces after a while.

use std::time::Duration;

use serde_json::{Value, json};

use super::filters::Filters;
use super::{dry_run, listed, no_group, no_subnet, no_vpc, tag_set, tag_specification};
use crate::arn::ec2_id;
use crate::call::{ApiError, Call, Fate};
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
    let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let (tables, subnets) = (owned(input.texts("RouteTableId")?), owned(input.texts("SubnetId")?));
    let mut groups = owned(input.texts("SecurityGroupId")?);
    if let Some(id) = subnets.iter().find(|id| !ec2.subnets.contains_key(*id)) {
        return Err(no_subnet(id));
    }
    if let Some(id) = groups.iter().find(|id| !ec2.security_groups.contains_key(*id)) {
        return Err(no_group(id));
    }
    if let Some(id) = tables.iter().find(|id| !ec2.route_tables.contains_key(*id)) {
        return Err(ApiError::new("InvalidRouteTableId.NotFound", format!("The routeTable ID '{id}' does not exist")));
    }
    if gateway && !(subnets.is_empty() && groups.is_empty()) {
        let message = "Subnets and security groups are only for interface endpoints.";
        return Err(ApiError::new("InvalidParameter", message));
    }
    if !gateway && groups.is_empty() {
        groups.extend(ec2.default_group(vpc_id).map(str::to_owned));
    }
    let endpoint = VpcEndpoint {
        id: ec2_id("vpce"),
        vpc_id: vpc_id.to_owned(),
        service_name: service.to_owned(),
        kind: kind.to_owned(),
        route_tables: tables,
        subnets,
        groups,
        private_dns: input.flag("PrivateDnsEnabled")?.unwrap_or(!gateway),
        policy: input.text("PolicyDocument")?.map(str::to_owned),
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
