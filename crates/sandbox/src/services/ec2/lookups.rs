//! What else an account's network has, as far as the sandbox knows it: gateways and lists that come with every VPC and
//! region, and empty lists of what nobody can make here.

use serde_json::{Value, json};

use super::filters::Filters;
use super::{listed, no_vpc, tag_set};
use crate::call::{ApiError, Call};
use crate::world::Tags;
use crate::world::ec2::{RouteTable, SecurityGroup};

/// Services of the region that endpoints can be made for, with the kinds of endpoint each has.
const SERVICES: [(&str, &[&str]); 10] = [
    ("dms", &["Interface"]),
    ("dynamodb", &["Gateway"]),
    ("ec2", &["Interface"]),
    ("kms", &["Interface"]),
    ("logs", &["Interface"]),
    ("redshift-data", &["Interface"]),
    ("redshift-serverless", &["Interface"]),
    ("s3", &["Gateway", "Interface"]),
    ("secretsmanager", &["Interface"]),
    ("sts", &["Interface"]),
];

/// `DescribeRegions`: the one the sandbox plays.
pub(super) fn regions(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let named = call.input.texts("RegionName")?;
    let own = &call.place.region;
    if let Some(other) = named.iter().find(|name| *name != own) {
        return Err(call.input.invalid(format!("Invalid region provided: {other}")));
    }
    let endpoint = format!("ec2.{own}.amazonaws.com");
    Ok(json!({"regionInfo": [{"regionName": own, "regionEndpoint": endpoint, "optInStatus": "opt-in-not-required"}]}))
}

/// `DescribeAccountAttributes`.
pub(super) fn account_attributes(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let named = call.input.texts("AttributeName")?;
    let default = call.world.ec2.default_vpc().unwrap_or("none").to_owned();
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("default-vpc", default),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
    ];
    let shown: Vec<Value> = all
        .into_iter()
        .filter(|(name, _)| named.is_empty() || named.contains(name))
        .map(|(name, value)| json!({"attributeName": name, "attributeValueSet": [{"attributeValue": value}]}))
        .collect();
    Ok(json!({ "accountAttributeSet": shown }))
}

/// `DescribeInternetGateways`: those that route tables lead to.
pub(super) fn internet_gateways(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let known = ["attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id"];
    let filters = Filters::read(call.input, &known)?;
    let ids = call.input.texts("InternetGatewayId")?;
    let gateways = || {
        let tables = call.world.ec2.route_tables.values();
        tables.filter_map(|table| table.internet_gateway.as_ref().map(|gateway| (gateway, table)))
    };
    if let Some(id) = ids.iter().find(|id| !gateways().any(|(own, _)| own == **id)) {
        let message = format!("The internetGateway ID '{id}' does not exist");
        return Err(ApiError::new("InvalidInternetGatewayID.NotFound", message));
    }
    let field = |gateway: &String, table: &RouteTable, name: &str| match name {
        "attachment.state" => "available".to_owned(),
        "attachment.vpc-id" => table.vpc_id.clone(),
        "owner-id" => call.place.account.clone(),
        _ => gateway.clone(),
    };
    let shown = gateways()
        .filter(|(gateway, _)| ids.is_empty() || ids.contains(&gateway.as_str()))
        .filter(|(gateway, table)| filters.fit(&Tags::new(), |name| vec![field(gateway, table, name)]))
        .map(|(gateway, table)| {
            json!({
                "internetGatewayId": gateway, "ownerId": call.place.account, "tagSet": [],
                "attachmentSet": [{"vpcId": table.vpc_id, "state": "available"}],
            })
        })
        .collect();
    listed(call.input, "internetGatewaySet", shown)
}

/// `DescribeNetworkAcls`: the one that comes with each VPC and lets everything pass.
pub(super) fn network_acls(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters =
        Filters::read(call.input, &["association.subnet-id", "default", "network-acl-id", "owner-id", "vpc-id"])?;
    let id_of = |vpc: &str| vpc.replacen("vpc-", "acl-", 1);
    let entry = |number: i64, action: &str, egress: bool| json!({"ruleNumber": number, "protocol": "-1", "ruleAction": action, "egress": egress, "cidrBlock": "0.0.0.0/0"});
    let ids = call.input.texts("NetworkAclId")?;
    let shown = call
        .world
        .ec2
        .vpcs
        .values()
        .filter(|vpc| ids.is_empty() || ids.contains(&id_of(&vpc.id).as_str()))
        .map(|vpc| {
            let subnets = call.world.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc.id);
            (vpc, subnets.map(|subnet| subnet.id.clone()).collect::<Vec<_>>())
        })
        .filter(|(vpc, subnets)| {
            filters.fit(&Tags::new(), |name| match name {
                "association.subnet-id" => subnets.clone(),
                "default" => vec!["true".to_owned()],
                "network-acl-id" => vec![id_of(&vpc.id)],
                "owner-id" => vec![call.place.account.clone()],
                _ => vec![vpc.id.clone()],
            })
        })
        .map(|(vpc, subnets)| {
            let associations: Vec<Value> = subnets
                .iter()
                .map(|subnet| {
                    let id = subnet.replacen("subnet-", "aclassoc-", 1);
                    json!({"networkAclAssociationId": id, "networkAclId": id_of(&vpc.id), "subnetId": subnet})
                })
                .collect();
            json!({
                "networkAclId": id_of(&vpc.id), "vpcId": vpc.id, "default": true, "ownerId": call.place.account, "tagSet": [],
                "associationSet": associations,
                "entrySet": [entry(100, "allow", false), entry(32767, "deny", false), entry(100, "allow", true), entry(32767, "deny", true)],
            })
        })
        .collect();
    listed(call.input, "networkAclSet", shown)
}

/// `DescribeVpcEndpointServices`: those of AWS that the sandbox has heard of. Endpoints can be made for others too.
pub(super) fn endpoint_services(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = Filters::read(call.input, &["owner", "service-name", "service-region", "service-type"])?;
    let named = call.input.texts("ServiceName")?;
    let region = call.place.region.clone();
    let full = |service: &str| format!("com.amazonaws.{region}.{service}");
    if let Some(name) = named.iter().find(|name| !SERVICES.iter().any(|(own, _)| full(own) == **name)) {
        let message = format!("The Vpc Endpoint Service '{name}' does not exist");
        return Err(ApiError::new("InvalidServiceName", message));
    }
    let zones = crate::world::ec2::zones(&region);
    let fitting: Vec<_> = SERVICES
        .iter()
        .filter(|(service, _)| named.is_empty() || named.contains(&full(service).as_str()))
        .filter(|(service, kinds)| {
            filters.fit(&Tags::new(), |name| match name {
                "owner" => vec!["amazon".to_owned()],
                "service-region" => vec![region.clone()],
                "service-type" => kinds.iter().map(|kind| (*kind).to_owned()).collect(),
                _ => vec![full(service)],
            })
        })
        .collect();
    let details: Vec<Value> = fitting
        .iter()
        .map(|(service, kinds)| {
            let kinds: Vec<Value> = kinds.iter().map(|kind| json!({ "serviceType": kind })).collect();
            json!({
                "serviceName": full(service), "serviceId": format!("vpce-svc-{service}"), "serviceType": kinds, "owner": "amazon",
                "serviceRegion": region, "availabilityZoneSet": zones, "baseEndpointDnsNameSet": [format!("{service}.{region}.vpce.amazonaws.com")],
                "acceptanceRequired": false, "vpcEndpointPolicySupported": true, "managesVpcEndpoints": false, "tagSet": [],
            })
        })
        .collect();
    let mut answer = listed(call.input, "serviceDetailSet", details)?;
    let names = answer["serviceDetailSet"].as_array().into_iter().flatten().map(|one| one["serviceName"].clone());
    answer["serviceNameSet"] = names.collect();
    Ok(answer)
}

/// `DescribePrefixLists`: the two services that gateways lead to.
pub(super) fn prefix_lists(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = Filters::read(call.input, &["prefix-list-id", "prefix-list-name"])?;
    let region = &call.place.region;
    let lists = [
        ("pl-0a1b2c3d", format!("com.amazonaws.{region}.s3"), ["3.5.216.0/22", "52.95.168.0/24"]),
        ("pl-0e4f5a6b", format!("com.amazonaws.{region}.dynamodb"), ["3.218.180.0/22", "52.94.26.0/23"]),
    ];
    let ids = call.input.texts("PrefixListId")?;
    let shown = lists
        .iter()
        .filter(|(id, ..)| ids.is_empty() || ids.contains(id))
        .filter(|(id, name, _)| {
            filters.fit(&Tags::new(), |filter| {
                vec![if filter == "prefix-list-id" { (*id).to_owned() } else { name.clone() }]
            })
        })
        .map(|(id, name, blocks)| json!({"prefixListId": id, "prefixListName": name, "cidrSet": blocks}))
        .collect();
    listed(call.input, "prefixListSet", shown)
}

/// `GetSecurityGroupsForVpc`.
pub(super) fn groups_for_vpc(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let vpc = call.input.required("VpcId")?;
    if !call.world.ec2.vpcs.contains_key(vpc) {
        return Err(no_vpc(vpc));
    }
    let filters = Filters::read(call.input, &["description", "group-id", "group-name", "owner-id", "primary-vpc-id"])?;
    let field = |group: &SecurityGroup, name: &str| match name {
        "description" => group.description.clone(),
        "group-id" => group.id.clone(),
        "group-name" => group.name.clone(),
        "owner-id" => call.place.account.clone(),
        _ => group.vpc_id.clone(),
    };
    let shown = call
        .world
        .ec2
        .security_groups
        .values()
        .filter(|group| group.vpc_id == vpc)
        .filter(|group| filters.fit(&group.tags, |name| vec![field(group, name)]))
        .map(|group| {
            json!({
                "groupId": group.id, "groupName": group.name, "description": group.description, "ownerId": call.place.account,
                "primaryVpcId": group.vpc_id, "tagSet": tag_set(&group.tags),
            })
        })
        .collect();
    listed(call.input, "securityGroupForVpcSet", shown)
}

/// `DescribeDhcpOptions`: the set that every VPC has.
pub(super) fn dhcp_options(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let entry = |key: &str, value: String| json!({"key": key, "valueSet": [{ "value": value }]});
    let domain = entry("domain-name", format!("{}.compute.internal", call.place.region));
    let servers = entry("domain-name-servers", "AmazonProvidedDNS".to_owned());
    let shown = json!({
        "dhcpOptionsId": super::networks::DHCP_OPTIONS, "ownerId": call.place.account, "tagSet": [],
        "dhcpConfigurationSet": [domain, servers],
    });
    listed(call.input, "dhcpOptionsSet", vec![shown])
}

/// `DescribeNatGateways`: nobody can make one here.
pub(super) fn nat_gateways(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "natGatewaySet", Vec::new())
}

/// `DescribeVpcPeeringConnections`: nobody can make one here.
pub(super) fn peerings(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "vpcPeeringConnectionSet", Vec::new())
}

/// `DescribeInstances`: nobody can run one here.
pub(super) fn instances(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "reservationSet", Vec::new())
}

/// `DescribeAddresses`: nobody can allocate one here.
pub(super) fn addresses(call: &mut Call<'_>) -> Result<Value, ApiError> {
    listed(call.input, "addressesSet", Vec::new())
}

/// `DescribeStaleSecurityGroups`: rules get stale only with peerings.
pub(super) fn stale_groups(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let vpc = call.input.required("VpcId")?;
    if !call.world.ec2.vpcs.contains_key(vpc) {
        return Err(no_vpc(vpc));
    }
    listed(call.input, "staleSecurityGroupSet", Vec::new())
}
