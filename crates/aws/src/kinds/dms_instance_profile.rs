//! `dms/instance_profile`: network and key settings of schema conversion.
//!
//! In place: everything but the name. It blocks the deletion of its subnet group. DMS refuses to change or
//! delete one that a migration project uses: around a change the project is deleted and made again. Costs
//! nothing by itself.

use aws_sdk_databasemigration::types::InstanceProfile as Live;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::Fault;
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Tags,
};
use towpath_engine::value::Value;

use super::dms_common::{self, NAME_LIMIT, SYNCHRONOUS, SYNCHRONOUS_POLL};
use super::dms_replication_instance::NetworkType;
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `dms/instance_profile`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name, at most 255 characters. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "an object of towpath keeps its name for life" }))]
    pub name: Option<String>,
    /// What it is for, in at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub description: Option<String>,
    /// The name of a `dms/subnet_group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["dms/subnet_group"], "attribute": "name" },
        "holds": { "dms/subnet_group": "name" },
    }))]
    pub subnet_group: Option<String>,
    /// Security groups of its network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "compare": "set",
        "refers_to": { "kinds": ["ec2/security_group"], "attribute": "id", "physical": ["sg-"] },
    }))]
    pub security_groups: Option<Vec<String>>,
    /// Whether it has a public address. Default: `false` (AWS's own default is `true`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// `IPV4` or `DUAL`. Default: `IPV4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_type: Option<NetworkType>,
    /// The zone, e.g. `eu-north-1a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// The ARN of the key that encrypts what conversion stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
}

/// The kind `dms/instance_profile`.
pub struct InstanceProfile {
    cloud: Cloud,
}

impl InstanceProfile {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

fn object(live: Live) -> Object {
    let identity = live.instance_profile_name.unwrap_or_default();
    let mut groups = live.vpc_security_groups.unwrap_or_default();
    groups.sort();
    let spec = Spec {
        name: Some(identity.clone()),
        description: live.description,
        subnet_group: live.subnet_group_identifier.map(|name| name.to_lowercase()),
        security_groups: Some(groups),
        public: live.publicly_accessible,
        network_type: live.network_type.as_deref().and_then(NetworkType::parse),
        availability_zone: live.availability_zone,
        kms_key: live.kms_key_arn,
    };
    Object {
        outputs: Outputs::from([
            ("arn".to_owned(), json!(live.instance_profile_arn)),
            ("name".to_owned(), json!(identity)),
        ]),
        state: dms_common::state(&spec),
        tags: None,
        readiness: Readiness::Ready,
        running: false,
        pending: Value::Null,
        identity,
    }
}

impl Kind for InstanceProfile {
    const NAME: &'static str = "dms/instance_profile";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "Network and key settings of schema conversion.",
            create: SYNCHRONOUS,
            update: SYNCHRONOUS,
            delete: SYNCHRONOUS,
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Holders,
            holds: None,
            name_limit: NAME_LIMIT,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        dms_common::identifier(place, name, spec.name.as_ref(), 63)
    }

    fn predict(&self, _place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        Outputs::from([("name".to_owned(), json!(identity))])
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        dms_common::check_name(spec.name.as_ref(), NAME_LIMIT).into_iter().collect()
    }

    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        found.without(state, &json!({ "network_type": "IPV4", "public": false, "security_groups": [] }))
    }

    fn normalise(&self, mut value: Value) -> Value {
        dms_common::fold_name(&mut value);
        value
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let client = self.cloud.dms().await;
        let pages = client.describe_instance_profiles().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
        let pages = dms_common::pages(pages, "dms:DescribeInstanceProfiles")?;
        let profiles = pages.into_iter().flat_map(|page| page.instance_profiles.unwrap_or_default());
        let mut objects: Vec<Object> = profiles.map(object).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let client = self.cloud.dms().await;
        client
            .create_instance_profile()
            .instance_profile_name(name)
            .set_description(spec.description.clone())
            .set_subnet_group_identifier(spec.subnet_group.clone())
            .set_vpc_security_groups(spec.security_groups.clone())
            .publicly_accessible(spec.public.unwrap_or(false))
            .set_network_type(spec.network_type.map(|network| network.as_str().to_owned()))
            .set_availability_zone(spec.availability_zone.clone())
            .set_kms_key_arn(spec.kms_key.clone())
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateInstanceProfile"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |field: &str| fields.iter().any(|name| name == field);
        let client = self.cloud.dms().await;
        client
            .modify_instance_profile()
            .instance_profile_identifier(&object.identity)
            .set_description(spec.description.clone().filter(|_| changed("description")))
            .set_subnet_group_identifier(spec.subnet_group.clone().filter(|_| changed("subnet_group")))
            .set_vpc_security_groups(spec.security_groups.clone().filter(|_| changed("security_groups")))
            .set_publicly_accessible(spec.public.filter(|_| changed("public")))
            .set_network_type(
                spec.network_type.filter(|_| changed("network_type")).map(|network| network.as_str().to_owned()),
            )
            .set_availability_zone(spec.availability_zone.clone().filter(|_| changed("availability_zone")))
            .set_kms_key_arn(spec.kms_key.clone().filter(|_| changed("kms_key")))
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyInstanceProfile"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let call = client.delete_instance_profile().instance_profile_identifier(&object.identity);
        call.send().await.map(drop).map_err(fault("dms:DeleteInstanceProfile"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        super::dms_migration_project::users(&self.cloud, &object.identity).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        vec![Example {
            name: "profile",
            spec: json!({ "description": "club" }),
            changed: vec![json!({ "description": "club, second", "public": false })],
        }]
    }
}
