//! `ec2/vpc_endpoint`: a private way from a VPC to an AWS service.
//!
//! A replication instance without a public route reaches S3, Secrets Manager and CloudWatch Logs only through these
//! (DMS user guide, "Configuring VPC endpoints for AWS DMS"); Redshift with enhanced VPC routing needs the one for S3.
//! A gateway (S3, DynamoDB) is a route in route tables and free; an interface stands in subnets, behind security
//! groups, and costs $0.01 an hour and zone, and $0.01 per GB.
//!
//! In place: policy, route tables, subnets, security groups, private DNS, the name (`ModifyVpcEndpoint`). Replacement:
//! VPC, service, type. Source: EC2 API reference, `CreateVpcEndpoint`, `ModifyVpcEndpoint`, `DescribeVpcEndpoints`,
//! `DeleteVpcEndpoints`. The service assigns the identity (`vpce-…`); the name is the tag `Name`.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, ResourceType, RouteTable, State, VpcEndpointType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Kind, Object, Outputs, Pauses, Place, Poll, Price, Readiness, Scope, Seconds, Tags,
    physical_name,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, state};
use super::iam_role::policy;
use super::security_group::tag_specification;
use super::vpc::{NAME_TAG, add_tags, add_tags_and_name, ec2_arn, named};
use crate::cloud::{Cloud, ec2_tags};
use crate::fault::{classify, fault};

/// The word for the route table that subnets without one of their own use.
const MAIN: &str = "main";

/// Services that have gateways.
const GATEWAYS: [&str; 2] = ["s3", "dynamodb"];

/// US dollars a month for an interface in one zone. Source: $0.01 an hour, section 15 of the AWS fact sheet.
const ZONE_PRICE: f64 = 7.30;

/// The block of an `ec2/vpc_endpoint`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The tag `Name`. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The VPC: the name of an `ec2/vpc`, an id, or `default`.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "ModifyVpcEndpoint has no VpcId",
        "refers_to": { "kinds": ["ec2/vpc"], "attribute": "id", "physical": ["vpc-"], "words": ["default"] },
        "holds": { "ec2/vpc": "id" },
    }))]
    pub vpc: String,
    /// The service: `s3`, `secretsmanager`, `logs`, `redshift-serverless`, or in full
    /// `com.amazonaws.eu-north-1.s3`.
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "ModifyVpcEndpoint has no ServiceName" }))]
    pub service: String,
    /// `gateway` or `interface`. Default: a gateway for `s3` and `dynamodb`, an interface for all others.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "ModifyVpcEndpoint has no VpcEndpointType" }))]
    pub endpoint_type: Option<EndpointType>,
    /// Where a gateway's routes go: ids of route tables, or `main` for the VPC's main one. Default: `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "set" }))]
    pub route_tables: Option<Vec<String>>,
    /// Where an interface stands, one subnet in a zone: names of `ec2/subnet` resources, ids, or `default` for the
    /// default subnets of the default VPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set",
        "refers_to": { "kinds": ["ec2/subnet"], "attribute": "id", "physical": ["subnet-"], "words": ["default"] },
        "holds": { "ec2/subnet": "id" },
    }))]
    pub subnets: Option<Vec<String>>,
    /// Who may use an interface: port 443 must be open in them. Default: the VPC's default group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set",
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"] },
        "holds": { "ec2/security_group": "id" },
    }))]
    pub security_groups: Option<Vec<String>>,
    /// Whether the service's public name leads to the interface. Needs `dns_hostnames` of the VPC. Default: true for an
    /// interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_dns: Option<bool>,
    /// Who may do what through it: a policy document. Default: everybody everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
}

/// How an endpoint works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointType {
    /// A route in route tables.
    Gateway,
    /// A network interface in each of its subnets.
    Interface,
}

impl Spec {
    fn endpoint_type(&self) -> EndpointType {
        let has_gateway = GATEWAYS.iter().any(|service| self.service.rsplit('.').next() == Some(*service));
        self.endpoint_type.unwrap_or(if has_gateway { EndpointType::Gateway } else { EndpointType::Interface })
    }
}

/// The kind `ec2/vpc_endpoint`.
pub struct VpcEndpoint {
    cloud: Cloud,
}

impl VpcEndpoint {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// What AWS's services are called in front of their own name.
    fn prefix(&self) -> String {
        format!("com.amazonaws.{}.", self.cloud.place().region)
    }

    async fn tables(&self) -> Result<Vec<RouteTable>, Fault> {
        let pages = self.cloud.ec2().await.describe_route_tables().into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.map_err(fault("ec2:DescribeRouteTables"))
    }

    /// Route tables by id, the word for the main one looked up now that the VPC exists.
    async fn table_ids(&self, vpc: &str, wanted: &[String]) -> Result<Vec<String>, Fault> {
        if !wanted.iter().any(|table| table == MAIN) {
            return Ok(wanted.to_vec());
        }
        let filters = [("vpc-id", vpc), ("association.main", "true")]
            .map(|(name, value)| Filter::builder().name(name).values(value).build());
        let call = self.cloud.ec2().await.describe_route_tables().set_filters(Some(filters.to_vec()));
        let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        let found = found.map_err(fault("ec2:DescribeRouteTables"))?;
        let main = found.first().and_then(RouteTable::route_table_id).unwrap_or(MAIN);
        Ok(wanted.iter().map(|table| if table == MAIN { main.to_owned() } else { table.clone() }).collect())
    }

    fn object(&self, live: aws_sdk_ec2::types::VpcEndpoint, mains: &BTreeSet<String>) -> Object {
        let identity = live.vpc_endpoint_id.unwrap_or_default();
        let tags = ec2_tags(live.tags.as_deref().unwrap_or_default());
        let kind = match live.vpc_endpoint_type {
            Some(VpcEndpointType::Gateway) => Some(EndpointType::Gateway),
            Some(VpcEndpointType::Interface) => Some(EndpointType::Interface),
            _ => None,
        };
        let is_gateway = kind == Some(EndpointType::Gateway);
        let word = |id: String| if mains.contains(&id) { MAIN.to_owned() } else { id };
        let groups = live.groups.unwrap_or_default().into_iter().filter_map(|group| group.group_id).collect();
        let spec = Spec {
            name: tags.get(NAME_TAG).cloned(),
            vpc: live.vpc_id.unwrap_or_default(),
            service: live.service_name.unwrap_or_default(),
            endpoint_type: kind,
            route_tables: is_gateway.then(|| live.route_table_ids.unwrap_or_default().into_iter().map(word).collect()),
            subnets: (!is_gateway).then(|| live.subnet_ids.unwrap_or_default()),
            security_groups: (!is_gateway).then_some(groups),
            private_dns: live.private_dns_enabled.filter(|_| !is_gateway),
            policy: live.policy_document.and_then(|text| serde_json::from_str(&text).ok()),
        };
        let dns = live.dns_entries.unwrap_or_default().into_iter().find_map(|entry| entry.dns_name);
        Object {
            outputs: Outputs::from([
                ("arn".to_owned(), json!(ec2_arn(&self.cloud.place(), "vpc-endpoint", &identity))),
                ("id".to_owned(), json!(identity)),
                ("name".to_owned(), json!(spec.name)),
                ("dns_name".to_owned(), json!(dns)),
            ]),
            state: state(&spec),
            tags: Some(tags),
            readiness: readiness(live.state.as_ref().map_or("", State::as_str)),
            running: false,
            pending: Value::Null,
            identity,
        }
    }
}

/// States come with a capital or without (EC2 API reference, `VpcEndpoint`).
fn readiness(state: &str) -> Readiness {
    match state.to_lowercase().as_str() {
        "available" => Readiness::Ready,
        "deleting" | "deleted" => Readiness::Deleting,
        failed @ ("failed" | "rejected" | "expired") => Readiness::Failed(format!("the endpoint is {failed}")),
        "pendingacceptance" => Readiness::Pending("its owner must accept it".to_owned()),
        other => Readiness::Pending(other.to_owned()),
    }
}

/// The items of a list; none where there is no list.
fn items(spec: &Value, field: &str) -> Vec<Value> {
    spec.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What a list gains and loses.
fn difference(before: &Value, after: Option<&Vec<String>>) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let Some(after) = after else { return (None, None) };
    let before: Vec<&str> = before.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let added: Vec<String> = after.iter().filter(|id| !before.contains(&id.as_str())).cloned().collect();
    let removed = before.into_iter().filter(|id| !after.iter().any(|kept| kept == id)).map(str::to_owned);
    let removed: Vec<String> = removed.collect();
    ((!added.is_empty()).then_some(added), (!removed.is_empty()).then_some(removed))
}

/// The most characters that the policy of an endpoint may have.
const POLICY_SIZE: usize = 20_480;

impl Kind for VpcEndpoint {
    const NAME: &'static str = "ec2/vpc_endpoint";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A private way from a VPC to an AWS service.",
            create: Seconds::new(2.0, 90.0, 300.0),
            update: SYNCHRONOUS,
            delete: Seconds::new(5.0, 30.0, 600.0),
            poll: Poll { first: 2.0, interval: 5.0, give_up: 600.0, stable: 1 },
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

    fn price(&self, spec: &Spec) -> Option<Price> {
        if spec.endpoint_type() == EndpointType::Gateway {
            return None;
        }
        let zones = spec.subnets.as_ref().map(Vec::len).filter(|zones| *zones > 0);
        Some(Price {
            monthly: zones.map(|zones| zones as f64 * ZONE_PRICE),
            unknown: zones.is_none(),
            basis: "$0.01 an hour and zone, and $0.01 per GB".to_owned(),
        })
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut wrong = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        let is_gateway = spec.endpoint_type() == EndpointType::Gateway;
        if is_gateway && !GATEWAYS.contains(&spec.service.rsplit('.').next().unwrap_or_default()) {
            wrong("type", "only `s3` and `dynamodb` have gateways; write `type: interface`");
        }
        for (field, given) in [
            ("subnets", spec.subnets.is_some()),
            ("security_groups", spec.security_groups.is_some()),
            ("private_dns", spec.private_dns.is_some()),
        ] {
            if is_gateway && given {
                wrong(field, "a gateway is a route and has none; write `type: interface`");
            }
        }
        if !is_gateway && spec.route_tables.is_some() {
            wrong("route_tables", "an interface stands in subnets; only a gateway has route tables");
        }
        let tables = spec.route_tables.iter().flatten();
        for table in tables.filter(|table| *table != MAIN && !table.starts_with("rtb-")) {
            wrong("route_tables", &format!("`{table}` is no route table; write `main` or an id (`rtb-…`)"));
        }
        // "Characters per VPC endpoint policy … 20,480" ("AWS PrivateLink quotas").
        if spec.policy.as_ref().is_some_and(|policy| policy.to_string().chars().count() > POLICY_SIZE) {
            wrong("policy", "the policy of an endpoint has at most 20,480 characters");
        }
        if spec.policy.as_ref().is_some_and(|policy| !policy.is_object()) {
            wrong("policy", "write the policy as a map, with `Version` and `Statement`");
        }
        mistakes
    }

    fn normalise(&self, mut value: Value) -> Value {
        let service = value["service"].as_str().unwrap_or_default();
        if let Some(short) = service.strip_prefix(&self.prefix()) {
            value["service"] = json!(short);
        }
        if value.get("policy").is_some_and(Value::is_object) {
            value["policy"] = policy::canonical(&value["policy"]);
        }
        value
    }

    async fn look_up(&self, mut spec: Value) -> Result<Value, Fault> {
        if spec["vpc"] == "default" {
            spec["vpc"] = json!(self.cloud.default_vpc().await?);
        }
        if items(&spec, "subnets").iter().any(|subnet| subnet == "default") {
            let mut subnets: Vec<Value> =
                items(&spec, "subnets").into_iter().filter(|subnet| subnet != "default").collect();
            subnets.extend(self.cloud.default_subnets().await?.into_iter().map(Value::String));
            spec["subnets"] = Value::Array(subnets);
        }
        if items(&spec, "route_tables").iter().any(|table| table.as_str().is_some_and(|id| id.starts_with("rtb-"))) {
            let mains = mains(&self.tables().await?);
            let word =
                |table: Value| if table.as_str().is_some_and(|id| mains.contains(id)) { json!(MAIN) } else { table };
            spec["route_tables"] = items(&spec, "route_tables").into_iter().map(word).collect();
        }
        Ok(spec)
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let pages = self.cloud.ec2().await.describe_vpc_endpoints().into_paginator().items().send();
        let mut endpoints = pages.collect::<Result<Vec<_>, _>>().await.map_err(fault("ec2:DescribeVpcEndpoints"))?;
        // A deleted one is shown for a while; one that a service made for itself is its own.
        endpoints.retain(|endpoint| {
            let state = endpoint.state().map_or("", State::as_str);
            !state.eq_ignore_ascii_case("deleted") && !endpoint.requester_managed().unwrap_or_default()
        });
        let has_gateway = endpoints.iter().any(|one| one.vpc_endpoint_type() == Some(&VpcEndpointType::Gateway));
        let mains = if has_gateway { mains(&self.tables().await?) } else { BTreeSet::new() };
        Ok(endpoints.into_iter().map(|endpoint| self.object(endpoint, &mains)).collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let is_gateway = spec.endpoint_type() == EndpointType::Gateway;
        let service = if spec.service.contains('.') && spec.service.starts_with("com.") {
            spec.service.clone()
        } else {
            format!("{}{}", self.prefix(), spec.service)
        };
        let wanted = spec.route_tables.clone().unwrap_or_else(|| vec![MAIN.to_owned()]);
        let tables = if is_gateway { Some(self.table_ids(&spec.vpc, &wanted).await?) } else { None };
        let kind = if is_gateway { VpcEndpointType::Gateway } else { VpcEndpointType::Interface };
        let call = self.cloud.ec2().await.create_vpc_endpoint().vpc_id(&spec.vpc).service_name(service);
        let answer = call
            .vpc_endpoint_type(kind)
            .set_route_table_ids(tables)
            .set_subnet_ids(spec.subnets.clone())
            .set_security_group_ids(spec.security_groups.clone())
            .set_private_dns_enabled(spec.private_dns)
            .set_policy_document(spec.policy.as_ref().map(Value::to_string))
            .set_tag_specifications(tag_specification(ResourceType::VpcEndpoint, &named(tags, name)))
            .send()
            .await
            .map_err(fault("ec2:CreateVpcEndpoint"))?;
        Ok(answer.vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id).unwrap_or_default())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |field: &str| fields.iter().any(|name| name == field);
        if let Some(name) = spec.name.as_ref().filter(|_| changed("name")) {
            add_tags(&self.cloud, &object.identity, &named(&Tags::new(), name)).await?;
            if fields.len() == 1 {
                return Ok(());
            }
        }
        let list = |field: &str, value: Option<&Vec<String>>| {
            difference(object.state.get(field).unwrap_or(&Value::Null), value.filter(|_| changed(field)))
        };
        let (mut more_tables, mut less_tables) = list("route_tables", spec.route_tables.as_ref());
        for tables in [&mut more_tables, &mut less_tables].into_iter().flatten() {
            *tables = self.table_ids(&spec.vpc, tables).await?;
        }
        let (more_subnets, less_subnets) = list("subnets", spec.subnets.as_ref());
        let (more_groups, less_groups) = list("security_groups", spec.security_groups.as_ref());
        let call = self.cloud.ec2().await.modify_vpc_endpoint().vpc_endpoint_id(&object.identity);
        call.set_add_route_table_ids(more_tables)
            .set_remove_route_table_ids(less_tables)
            .set_add_subnet_ids(more_subnets)
            .set_remove_subnet_ids(less_subnets)
            .set_add_security_group_ids(more_groups)
            .set_remove_security_group_ids(less_groups)
            .set_private_dns_enabled(spec.private_dns.filter(|_| changed("private_dns")))
            .set_policy_document(spec.policy.as_ref().filter(|_| changed("policy")).map(Value::to_string))
            .send()
            .await
            .map(drop)
            .map_err(fault("ec2:ModifyVpcEndpoint"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let call = self.cloud.ec2().await.delete_vpc_endpoints().vpc_endpoint_ids(&object.identity);
        let answer = call.send().await.map_err(fault("ec2:DeleteVpcEndpoints"))?;
        // What was not deleted is told in an answer that succeeds.
        let Some(error) = answer.unsuccessful().iter().find_map(|item| item.error()) else { return Ok(()) };
        let (code, message) = (error.code().unwrap_or("Unknown"), error.message().unwrap_or_default());
        Err(Fault {
            class: classify("ec2:DeleteVpcEndpoints", code, message, None),
            operation: "ec2:DeleteVpcEndpoints".to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: None,
        })
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        add_tags_and_name(&self.cloud, object, tags).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let statement = |action: &str| {
            json!({
                "Version": "2012-10-17",
                "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*" }],
            })
        };
        let gateway = json!({ "vpc": "default", "service": "s3", "policy": statement("s3:*") });
        let interface = json!({ "vpc": "default", "service": "secretsmanager", "subnets": ["default"] });
        vec![
            Example {
                name: "to_storage",
                spec: gateway,
                changed: vec![
                    json!({ "vpc": "default", "service": "s3", "policy": statement("s3:GetObject"), "route_tables": [MAIN] }),
                ],
            },
            Example {
                name: "to_secrets",
                spec: interface,
                changed: vec![
                    json!({ "name": "club-other-name", "vpc": "default", "service": "secretsmanager", "private_dns": false }),
                ],
            },
        ]
    }
}

/// The ids of main route tables.
fn mains(tables: &[RouteTable]) -> BTreeSet<String> {
    let is_main = |table: &&RouteTable| table.associations().iter().any(|one| one.main().unwrap_or_default());
    tables.iter().filter(is_main).filter_map(|table| table.route_table_id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_gateway_is_for_storage_and_has_no_interface() {
        let kind = VpcEndpoint::new(Cloud::offline());
        let fields =
            |value: Value| -> Vec<String> { kind.check(&spec(value)).into_iter().map(|(field, _)| field).collect() };
        assert!(fields(json!({ "vpc": "v", "service": "s3" })).is_empty());
        assert!(fields(json!({ "vpc": "v", "service": "com.amazonaws.eu-north-1.logs", "subnets": ["a"] })).is_empty());
        assert_eq!(fields(json!({ "vpc": "v", "service": "s3", "private_dns": true })), ["private_dns"]);
        assert_eq!(fields(json!({ "vpc": "v", "service": "logs", "type": "gateway" })), ["type"]);
        assert_eq!(fields(json!({ "vpc": "v", "service": "s3", "route_tables": ["table"] })), ["route_tables"]);
    }

    #[test]
    fn an_interface_costs_by_zone_and_a_gateway_nothing() {
        let kind = VpcEndpoint::new(Cloud::offline());
        assert_eq!(kind.price(&spec(json!({ "vpc": "v", "service": "s3" }))), None);
        let two = kind.price(&spec(json!({ "vpc": "v", "service": "logs", "subnets": ["a", "b"] }))).unwrap();
        assert_eq!(two.monthly, Some(14.6));
    }

    #[test]
    fn short_and_full_names_of_a_service_are_one() {
        let kind = VpcEndpoint::new(Cloud::offline());
        assert_eq!(kind.normalise(json!({ "service": "com.amazonaws.eu-north-1.s3" }))["service"], "s3");
        assert_eq!(
            kind.normalise(json!({ "service": "com.amazonaws.us-east-1.s3" }))["service"],
            "com.amazonaws.us-east-1.s3"
        );
    }

    #[test]
    fn a_list_is_changed_by_what_it_gains_and_loses() {
        let after = vec!["b".to_owned(), "c".to_owned()];
        let (more, less) = difference(&json!(["a", "b"]), Some(&after));
        assert_eq!((more, less), (Some(vec!["c".to_owned()]), Some(vec!["a".to_owned()])));
        assert_eq!(difference(&json!(["a"]), None), (None, None));
    }
}
