//! `ec2/vpc`: a network of one's own.
//!
//! In place: tags, `dns_hostnames`. Replacement: the CIDR block. Costs nothing. It has no way to the internet: DMS
//! reaches S3 and other services from it through VPC endpoints only. The service assigns the identity
//! (`vpc-…`); the name is the tag `Name`, and a VPC is found again by its owner's tags.

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, NetworkInterface, ResourceType, VpcAttributeName, VpcState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Seconds, Tags,
    physical_name, tag,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, state};
use super::security_group::{sdk_tags, tag_specification};
use crate::cloud::{Cloud, ec2_tags};
use crate::fault::{fault, unfinished};

/// The tag that shows as the name of things that have none.
pub(super) const NAME_TAG: &str = "Name";

/// The block of an `ec2/vpc`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The tag `Name`. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The addresses, `/16` to `/28`, e.g. `10.20.0.0/16`.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "a VPC keeps its first CIDR block for life", "cidr": true,
    }))]
    pub cidr: String,
    /// Whether addresses of the VPC have public DNS names, which private DNS of an `ec2/vpc_endpoint` needs. Default:
    /// false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "group": "dns_hostnames" }))]
    pub dns_hostnames: Option<bool>,
}

/// The kind `ec2/vpc`.
pub struct Vpc {
    cloud: Cloud,
}

impl Vpc {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    async fn set_dns_hostnames(&self, id: &str, enabled: bool) -> Result<(), Fault> {
        let value = AttributeBooleanValue::builder().value(enabled).build();
        let call = self.cloud.ec2().await.modify_vpc_attribute().vpc_id(id).enable_dns_hostnames(value);
        call.send().await.map(drop).map_err(fault("ec2:ModifyVpcAttribute"))
    }

    /// The VPC that bears the ownership among these tags.
    async fn made_before(&self, tags: &Tags) -> Result<Option<String>, Fault> {
        let keys = [tag::STACK, tag::RESOURCE].iter().filter_map(|key| Some((key, tags.get(*key)?)));
        let filters: Vec<Filter> =
            keys.map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(value).build()).collect();
        if filters.len() < 2 {
            return Ok(None);
        }
        let call = self.cloud.ec2().await.describe_vpcs().set_filters(Some(filters));
        let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        Ok(found.map_err(fault("ec2:DescribeVpcs"))?.into_iter().find_map(|vpc| vpc.vpc_id))
    }

    /// No list tells it: it is asked for of this stack's own VPCs, which are few.
    async fn dns_hostnames(&self, vpc: &aws_sdk_ec2::types::Vpc) -> Result<Option<bool>, Fault> {
        if ec2_tags(vpc.tags()).get(tag::STACK) != Some(&self.cloud.place().stack) {
            return Ok(None);
        }
        let call = self.cloud.ec2().await.describe_vpc_attribute().set_vpc_id(vpc.vpc_id.clone());
        match call.attribute(VpcAttributeName::EnableDnsHostnames).send().await {
            Ok(answer) => Ok(answer.enable_dns_hostnames.and_then(|value| value.value)),
            Err(error) => match fault("ec2:DescribeVpcAttribute")(error) {
                // It went away since it was listed.
                fault if fault.is_not_found() => Ok(None),
                fault => Err(fault),
            },
        }
    }

    fn object(&self, vpc: &aws_sdk_ec2::types::Vpc, dns_hostnames: Option<bool>) -> Object {
        let identity = vpc.vpc_id().unwrap_or_default().to_owned();
        let tags = ec2_tags(vpc.tags());
        let name = tags.get(NAME_TAG).cloned();
        let spec = Spec { name: name.clone(), cidr: vpc.cidr_block().unwrap_or_default().to_owned(), dns_hostnames };
        Object {
            outputs: Outputs::from([
                ("arn".to_owned(), json!(ec2_arn(&self.cloud.place(), "vpc", &identity))),
                ("id".to_owned(), json!(identity)),
                ("name".to_owned(), json!(name)),
                ("cidr".to_owned(), json!(spec.cidr)),
                ("is_default".to_owned(), json!(vpc.is_default.unwrap_or_default())),
            ]),
            state: state(&spec),
            tags: Some(tags),
            readiness: match vpc.state() {
                Some(VpcState::Pending) => Readiness::Pending("pending".to_owned()),
                _ => Readiness::Ready,
            },
            running: false,
            pending: Value::Null,
            identity,
        }
    }
}

/// The ARN of a thing of EC2.
pub(super) fn ec2_arn(place: &Place, thing: &str, id: &str) -> String {
    format!("arn:{}:ec2:{}:{}:{thing}/{id}", place.partition, place.region, place.account)
}

/// A CIDR block without host bits, as EC2 keeps it.
pub(super) fn canonical_block(block: &Value) -> Value {
    let read = block.as_str().and_then(|text| text.parse::<ipnet::Ipv4Net>().ok());
    read.map_or_else(|| block.clone(), |block| json!(block.trunc().to_string()))
}

/// What is wrong with a CIDR block of a VPC or subnet, if anything.
pub(super) fn wrong_block(block: &str) -> Option<String> {
    match block.parse::<ipnet::Ipv4Net>() {
        Ok(read) if (16..=28).contains(&read.prefix_len()) => None,
        Ok(_) => Some(format!("`{block}` is not between /16 and /28")),
        Err(_) => Some(format!("`{block}` is no IPv4 CIDR block; write `10.20.0.0/16`")),
    }
}

/// Tags with the name among them.
pub(super) fn named(tags: &Tags, name: &str) -> Tags {
    let mut all = tags.clone();
    all.insert(NAME_TAG.to_owned(), name.to_owned());
    all
}

/// Writes tags on a thing whose name is one of them. One that has no name lost it with its other tags
/// when it was made, and gets the one that it was made with.
pub(super) async fn add_tags_and_name(cloud: &Cloud, object: &Object, tags: &Tags) -> Result<(), Fault> {
    let has_name = object.outputs.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let owner = tags.get(tag::STACK).zip(tags.get(tag::RESOURCE));
    let tags = match owner.filter(|_| !has_name) {
        Some((stack, resource)) => {
            let place = Place { stack: stack.clone(), ..cloud.place() };
            named(tags, &physical_name(&place, resource, 255))
        }
        None => tags.clone(),
    };
    add_tags(cloud, &object.identity, &tags).await
}

/// Adds or overwrites tags of a thing of EC2.
pub(super) async fn add_tags(cloud: &Cloud, id: &str, tags: &Tags) -> Result<(), Fault> {
    let call = cloud.ec2().await.create_tags().resources(id).set_tags(Some(sdk_tags(tags)));
    call.send().await.map(drop).map_err(fault("ec2:CreateTags"))
}

async fn live_interfaces(cloud: &Cloud, filter: &str, value: &str) -> Result<Vec<NetworkInterface>, Fault> {
    let filter = Filter::builder().name(filter).values(value).build();
    let call = cloud.ec2().await.describe_network_interfaces().filters(filter);
    let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
    found.map_err(fault("ec2:DescribeNetworkInterfaces"))
}

/// The network interfaces that a filter finds, in words.
pub(super) async fn interfaces(cloud: &Cloud, filter: &str, value: &str) -> Result<Vec<String>, Fault> {
    let found = live_interfaces(cloud, filter, value).await;
    let words = |interface: NetworkInterface| {
        format!(
            "network interface {} ({}, {})",
            interface.network_interface_id.unwrap_or_default(),
            interface.description.filter(|text| !text.is_empty()).unwrap_or_else(|| "no description".to_owned()),
            interface.status.map_or_else(|| "no status".to_owned(), |status| status.as_str().to_owned()),
        )
    };
    Ok(found?.into_iter().map(words).collect())
}

impl Kind for Vpc {
    const NAME: &'static str = "ec2/vpc";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A network of one's own, without a way to the internet.",
            create: Seconds::new(1.0, 2.0, 30.0),
            update: SYNCHRONOUS,
            delete: Seconds::new(1.0, 2.0, 300.0),
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 255,
            taggable: true,
            assigned_identity: true,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        spec.name.clone().unwrap_or_else(|| physical_name(place, name, 255))
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        wrong_block(&spec.cidr).map(|text| ("cidr".to_owned(), text)).into_iter().collect()
    }

    fn normalise(&self, mut value: Value) -> Value {
        if value["cidr"].is_string() {
            value["cidr"] = canonical_block(&value["cidr"]);
        }
        value
    }

    fn is_given(&self, object: &Object) -> bool {
        object.outputs.get("is_default") == Some(&json!(true))
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let pages = self.cloud.ec2().await.describe_vpcs().into_paginator().items().send();
        let vpcs = pages.collect::<Result<Vec<_>, _>>().await.map_err(fault("ec2:DescribeVpcs"))?;
        let attributes = vpcs.iter().map(|vpc| async move { Ok(self.object(vpc, self.dns_hostnames(vpc).await?)) });
        futures::future::try_join_all(attributes).await
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        // A create whose second call failed is repeated: it goes on with the VPC it has made.
        let made = if spec.dns_hostnames.is_some() { self.made_before(tags).await? } else { None };
        if let (Some(id), Some(enabled)) = (&made, spec.dns_hostnames) {
            self.set_dns_hostnames(id, enabled).await.map_err(unfinished)?;
            return Ok(id.clone());
        }
        let call = self.cloud.ec2().await.create_vpc().cidr_block(&spec.cidr);
        let call = call.set_tag_specifications(tag_specification(ResourceType::Vpc, &named(tags, name)));
        let answer = call.send().await.map_err(fault("ec2:CreateVpc"))?;
        let id = answer.vpc.and_then(|vpc| vpc.vpc_id).unwrap_or_default();
        if let Some(enabled) = spec.dns_hostnames {
            self.set_dns_hostnames(&id, enabled).await.map_err(unfinished)?;
        }
        Ok(id)
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        if let Some(enabled) = spec.dns_hostnames.filter(|_| fields.iter().any(|field| field == "dns_hostnames")) {
            self.set_dns_hostnames(&object.identity, enabled).await?;
        }
        if !fields.iter().any(|field| field == "name") {
            return Ok(());
        }
        let name = spec.name.clone().unwrap_or_default();
        add_tags(&self.cloud, &object.identity, &named(&Tags::new(), &name)).await
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let call = self.cloud.ec2().await.delete_vpc().vpc_id(&object.identity);
        call.send().await.map(drop).map_err(fault("ec2:DeleteVpc"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        add_tags_and_name(&self.cloud, object, tags).await
    }

    /// What `DeleteVpc` wants gone first and this program knows of: interfaces, subnets, endpoints, and all
    /// security groups but the default one (EC2 API reference, "DeleteVpc").
    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        let mut holders = interfaces(&self.cloud, "vpc-id", &object.identity).await?;
        let filter = Filter::builder().name("vpc-id").values(&object.identity).build();
        let call = self.cloud.ec2().await.describe_subnets().filters(filter);
        let subnets = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let subnets = subnets.map_err(fault("ec2:DescribeSubnets"))?;
        holders.extend(subnets.into_iter().map(|subnet| format!("subnet {}", subnet.subnet_id.unwrap_or_default())));
        let filter = Filter::builder().name("vpc-id").values(&object.identity).build();
        let call = self.cloud.ec2().await.describe_vpc_endpoints().filters(filter);
        let endpoints = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let endpoints = endpoints.map_err(fault("ec2:DescribeVpcEndpoints"))?.into_iter();
        holders.extend(endpoints.map(|one| format!("VPC endpoint {}", one.vpc_endpoint_id.unwrap_or_default())));
        let filter = Filter::builder().name("vpc-id").values(&object.identity).build();
        let call = self.cloud.ec2().await.describe_security_groups().filters(filter);
        let groups = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let groups = groups.map_err(fault("ec2:DescribeSecurityGroups"))?.into_iter();
        let groups = groups.filter(|group| group.group_name() != Some("default"));
        holders.extend(groups.map(|group| {
            format!(
                "security group {} ({})",
                group.group_id().unwrap_or_default(),
                group.group_name().unwrap_or_default()
            )
        }));
        Ok(holders)
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        vec![Example {
            name: "network",
            spec: json!({ "cidr": "10.20.3.4/16" }),
            changed: vec![
                json!({ "name": "club-other-name", "cidr": "10.20.0.0/16" }),
                json!({ "cidr": "10.20.0.0/16", "dns_hostnames": true }),
            ],
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_of_a_size_that_ec2_takes() {
        assert_eq!(wrong_block("10.0.0.0/16"), None);
        assert!(wrong_block("10.0.0.0/8").is_some());
        assert!(wrong_block("ten").is_some());
        assert_eq!(canonical_block(&json!("10.1.2.3/16")), json!("10.1.0.0/16"));
    }
}
