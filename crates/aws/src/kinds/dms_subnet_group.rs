//! `dms/subnet_group`: the subnets in which DMS places replication instances.
//!
//! In place: description and subnets. Replacement: another VPC (the group must be made again there).
//! Costs nothing. DMS uses the role `dms-vpc-role` to make one, so the stack's role should come
//! first (`depends_on`, or a reference through the instance); a refusal because the role is not
//! visible yet is retried by the engine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Seconds, Tags,
};
use towpath_engine::value::Value;

use super::dms_common::{self, SYNCHRONOUS, SYNCHRONOUS_POLL};
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `dms/subnet_group`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The identifier, in lower case. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// What the group is for. Default: a sentence that names the stack's resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Subnets in at least two availability zones: ids, names of `ec2/subnet` resources, or
    /// `default` for one default subnet per zone of the default VPC.
    #[schemars(extend("x-towpath" = {
        "compare": "set",
        "refers_to": { "kinds": ["ec2/subnet"], "attribute": "id", "physical": ["subnet-"], "words": ["default"] },
    }))]
    pub subnets: Subnets,
}

/// A list of subnets or the word `default`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Subnets {
    /// `default`: the default VPC's default subnets, one per zone.
    Word(String),
    /// Subnet ids.
    Ids(Vec<String>),
}

impl Default for Subnets {
    fn default() -> Self {
        Self::Ids(Vec::new())
    }
}

impl Subnets {
    /// The ids; empty while the word has not been looked up.
    pub fn ids(&self) -> &[String] {
        match self {
            Self::Word(_) => &[],
            Self::Ids(ids) => ids,
        }
    }
}

/// The kind `dms/subnet_group`.
pub struct SubnetGroup {
    cloud: Cloud,
}

impl SubnetGroup {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    fn object(&self, group: aws_sdk_databasemigration::types::ReplicationSubnetGroup) -> Object {
        let identity = group.replication_subnet_group_identifier.unwrap_or_default().to_lowercase();
        let mut subnets: Vec<String> =
            group.subnets.into_iter().flatten().filter_map(|subnet| subnet.subnet_identifier).collect();
        subnets.sort();
        let status = group.subnet_group_status.unwrap_or_default();
        let is_read_only = group.is_read_only;
        let spec = Spec {
            name: Some(identity.clone()),
            description: group.replication_subnet_group_description,
            subnets: Subnets::Ids(subnets),
        };
        let mut object = Object {
            outputs: Outputs::from([
                // The service does not answer with the ARN; this is its form.
                ("arn".to_owned(), json!(dms_common::arn(&self.cloud.place(), "subgrp", &identity))),
                ("name".to_owned(), json!(identity)),
                ("vpc".to_owned(), json!(group.vpc_id)),
            ]),
            state: super::dms_common::state(&spec),
            tags: None,
            readiness: if status.eq_ignore_ascii_case("complete") || status.is_empty() {
                Readiness::Ready
            } else {
                Readiness::Pending(status)
            },
            running: false,
            pending: Value::Null,
            identity,
        };
        dms_common::note_read_only(&mut object, is_read_only);
        object
    }
}

/// Whether DMS takes a name: "no more than 255 alphanumeric characters, periods, underscores, or hyphens"
/// (API reference, `CreateReplicationSubnetGroup`), which is more than other names of DMS may have.
fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one))
}

impl Kind for SubnetGroup {
    const NAME: &'static str = "dms/subnet_group";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "The subnets in which DMS places replication instances.",
            create: Seconds::new(1.0, 3.0, 30.0),
            update: SYNCHRONOUS,
            delete: Seconds::new(1.0, 2.0, 30.0),
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
            holds: None,
            name_limit: 255,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        let declared = spec.name.as_ref().map(|name| name.to_lowercase());
        declared.unwrap_or_else(|| dms_common::identifier(place, name, None, 255))
    }

    fn predict(&self, place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        Outputs::from([
            ("arn".to_owned(), json!(dms_common::arn(place, "subgrp", identity))),
            ("name".to_owned(), json!(identity)),
        ])
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes: Vec<(String, String)> = Vec::new();
        if spec.name.as_ref().is_some_and(|name| !is_name(name)) {
            let rule = "the name of a DMS subnet group has 1 to 255 letters, digits, periods, underscores and hyphens";
            mistakes.push(("name".to_owned(), rule.to_owned()));
        }
        if spec.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("default")) {
            mistakes.push(("name".to_owned(), "DMS does not allow the name `default`".to_owned()));
        }
        // "This parameter Must not contain non-printable control characters" (API reference, `CreateReplicationSubnetGroup`).
        if spec.description.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
            let rule = "a description is one line of printable characters";
            mistakes.push(("description".to_owned(), rule.to_owned()));
        }
        // References read as empty text here and cannot be told apart.
        if let Subnets::Ids(ids) = &spec.subnets
            && (ids.len() < 2 || ids.iter().all(|id| !id.is_empty() && *id == ids[0]))
        {
            let rule = "a DMS subnet group needs subnets in at least two availability zones";
            mistakes.push(("subnets".to_owned(), rule.to_owned()));
        }
        mistakes
    }

    async fn look_up(&self, mut spec: Value) -> Result<Value, Fault> {
        if spec["subnets"] == "default" {
            let subnets = self.cloud.default_subnets().await?;
            if subnets.len() < 2 {
                return Err(Fault::local(
                    FaultClass::Invalid,
                    "dms/subnet_group:look_up",
                    "the default VPC has default subnets in fewer than two availability zones; name subnets instead",
                ));
            }
            spec["subnets"] = json!(subnets);
        }
        Ok(spec)
    }

    fn normalise(&self, mut value: Value) -> Value {
        dms_common::fold_name(&mut value);
        value
    }

    fn managed_by(&self, object: &Object) -> Option<&'static str> {
        dms_common::managed_by(object)
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let pages = client.describe_replication_subnet_groups().into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeReplicationSubnetGroups")?;
        let groups = pages.into_iter().flat_map(|page| page.replication_subnet_groups.unwrap_or_default());
        let mut objects: Vec<Object> = groups.map(|group| self.object(group)).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let description = spec.description.clone().unwrap_or_else(|| format!("Subnets of {name}, made by towpath"));
        let client = self.cloud.dms().await;
        client
            .create_replication_subnet_group()
            .replication_subnet_group_identifier(name)
            .replication_subnet_group_description(description)
            .set_subnet_ids(Some(spec.subnets.ids().to_vec()))
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateReplicationSubnetGroup"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, _fields: &[String]) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        client
            .modify_replication_subnet_group()
            .replication_subnet_group_identifier(&object.identity)
            .set_replication_subnet_group_description(spec.description.clone())
            .set_subnet_ids(Some(spec.subnets.ids().to_vec()))
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyReplicationSubnetGroup"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        client
            .delete_replication_subnet_group()
            .replication_subnet_group_identifier(&object.identity)
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:DeleteReplicationSubnetGroup"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        let client = self.cloud.dms().await;
        let pages =
            client.describe_replication_instances().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeReplicationInstances")?;
        let holds = |instance: &aws_sdk_databasemigration::types::ReplicationInstance| {
            let group = instance.replication_subnet_group.as_ref();
            group
                .and_then(|group| group.replication_subnet_group_identifier.as_deref())
                .is_some_and(|name| name.eq_ignore_ascii_case(&object.identity))
        };
        let instances =
            pages.into_iter().flat_map(|page| page.replication_instances.unwrap_or_default()).filter(holds).map(
                |instance| {
                    format!("replication instance {}", instance.replication_instance_identifier.unwrap_or_default())
                },
            );
        let found = client.describe_instance_profiles().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let found = dms_common::pages(found, "dms:DescribeInstanceProfiles")?;
        let profiles = found.into_iter().flat_map(|page| page.instance_profiles.unwrap_or_default());
        let profiles = profiles.filter(|profile| {
            profile.subnet_group_identifier().is_some_and(|name| name.eq_ignore_ascii_case(&object.identity))
        });
        let profiles =
            profiles.map(|profile| format!("instance profile {}", profile.instance_profile_name.unwrap_or_default()));
        let uses = |config: &aws_sdk_databasemigration::types::ReplicationConfig| {
            let compute = config.compute_config();
            let group = compute.and_then(|compute| compute.replication_subnet_group_id());
            group.is_some_and(|name| name.eq_ignore_ascii_case(&object.identity))
        };
        let replications = dms_common::replications_of(&self.cloud, uses).await?;
        Ok(instances.chain(profiles).chain(replications).collect())
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        vec![Example {
            name: "subnets",
            spec: json!({ "subnets": "default" }),
            changed: vec![json!({ "subnets": "default", "description": "where the pipeline's instance stands" })],
        }]
    }
}
