//! `ec2/subnet`: a part of a VPC in one availability zone.
//!
//! In place: tags. Replacement: VPC, CIDR block, zone. Costs nothing. DMS wants subnets in two zones,
//! Redshift Serverless in two, or three with enhanced VPC routing. The service assigns the identity
//! (`subnet-…`); the name is the tag `Name`, and a subnet is found again by its owner's tags.

use aws_sdk_ec2::types::{ResourceType, SubnetState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Kind, Object, Outputs, Pauses, Place, Poll, Readiness, Scope, Seconds, Tags,
    physical_name,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, state};
use super::security_group::tag_specification;
use super::vpc::{NAME_TAG, add_tags, add_tags_and_name, canonical_block, ec2_arn, interfaces, named, wrong_block};
use crate::cloud::{Cloud, ec2_tags};
use crate::fault::fault;

/// The block of an `ec2/subnet`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The tag `Name`. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The VPC: the name of an `ec2/vpc`, an id, or `default`.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "a subnet cannot move to another VPC",
        "refers_to": { "kinds": ["ec2/vpc"], "attribute": "id", "physical": ["vpc-"], "words": ["default"] },
        "holds": { "ec2/vpc": "id" },
    }))]
    pub vpc: String,
    /// The addresses, a part of the VPC's, `/16` to `/28`.
    #[schemars(extend("x-towpath" = {
        "change": "replace", "rule": "a subnet keeps its CIDR block for life", "cidr": true,
    }))]
    pub cidr: String,
    /// The availability zone, e.g. `eu-north-1a`. Default: EC2 takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "a subnet cannot move to another zone" }))]
    pub zone: Option<String>,
}

/// The kind `ec2/subnet`.
pub struct Subnet {
    cloud: Cloud,
}

impl Subnet {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    fn object(&self, subnet: &aws_sdk_ec2::types::Subnet) -> Object {
        let identity = subnet.subnet_id().unwrap_or_default().to_owned();
        let tags = ec2_tags(subnet.tags());
        let spec = Spec {
            name: tags.get(NAME_TAG).cloned(),
            vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
            cidr: subnet.cidr_block().unwrap_or_default().to_owned(),
            zone: subnet.availability_zone.clone(),
        };
        Object {
            outputs: Outputs::from([
                ("arn".to_owned(), json!(ec2_arn(&self.cloud.place(), "subnet", &identity))),
                ("id".to_owned(), json!(identity)),
                ("name".to_owned(), json!(spec.name)),
                ("vpc".to_owned(), json!(spec.vpc)),
                ("zone".to_owned(), json!(spec.zone)),
                ("is_default".to_owned(), json!(subnet.default_for_az.unwrap_or_default())),
            ]),
            state: state(&spec),
            tags: Some(tags),
            readiness: match subnet.state() {
                Some(SubnetState::Pending) => Readiness::Pending("pending".to_owned()),
                _ => Readiness::Ready,
            },
            running: false,
            pending: Value::Null,
            identity,
        }
    }
}

impl Kind for Subnet {
    const NAME: &'static str = "ec2/subnet";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A part of a VPC in one availability zone.",
            create: Seconds::new(1.0, 2.0, 30.0),
            update: SYNCHRONOUS,
            delete: Seconds::new(1.0, 2.0, 900.0),
            // Network interfaces of deleted instances and workgroups hold a subnet for minutes.
            poll: Poll { give_up: 900.0, ..SYNCHRONOUS_POLL },
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

    async fn look_up(&self, mut spec: Value) -> Result<Value, Fault> {
        if spec["vpc"] == "default" {
            spec["vpc"] = json!(self.cloud.default_vpc().await?);
        }
        Ok(spec)
    }

    fn is_given(&self, object: &Object) -> bool {
        object.outputs.get("is_default") == Some(&json!(true))
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let pages = self.cloud.ec2().await.describe_subnets().into_paginator().items().send();
        let subnets = pages.collect::<Result<Vec<_>, _>>().await.map_err(fault("ec2:DescribeSubnets"))?;
        Ok(subnets.iter().map(|subnet| self.object(subnet)).collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let call = self.cloud.ec2().await.create_subnet().vpc_id(&spec.vpc).cidr_block(&spec.cidr);
        let call = call.set_availability_zone(spec.zone.clone());
        let call = call.set_tag_specifications(tag_specification(ResourceType::Subnet, &named(tags, name)));
        let answer = call.send().await.map_err(fault("ec2:CreateSubnet"))?;
        Ok(answer.subnet.and_then(|subnet| subnet.subnet_id).unwrap_or_default())
    }

    async fn update(&self, object: &Object, spec: &Spec, _fields: &[String]) -> Result<(), Fault> {
        // Only the name changes in place.
        let name = spec.name.clone().unwrap_or_default();
        add_tags(&self.cloud, &object.identity, &named(&Tags::new(), &name)).await
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let call = self.cloud.ec2().await.delete_subnet().subnet_id(&object.identity);
        match call.clone().send().await.map(drop).map_err(fault("ec2:DeleteSubnet")) {
            Err(busy) if busy.class == FaultClass::Busy => {
                super::ec2_interfaces::clear(&self.cloud, "subnet-id", &object.identity).await?;
                call.send().await.map(drop).map_err(fault("ec2:DeleteSubnet"))
            }
            other => other,
        }
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        add_tags_and_name(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        interfaces(&self.cloud, "subnet-id", &object.identity).await
    }

    /// In the default VPC, beside its own subnets.
    fn examples(&self, place: &Place) -> Vec<Example> {
        let subnet = json!({ "vpc": "default", "cidr": "172.31.250.0/24", "zone": format!("{}b", place.region) });
        let mut renamed = subnet.clone();
        renamed["name"] = json!("club-other-name");
        vec![Example { name: "subnet", spec: subnet, changed: vec![renamed] }]
    }
}
