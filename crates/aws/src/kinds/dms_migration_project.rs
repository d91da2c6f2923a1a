//! `dms/migration_project`: source, target and profile of a schema conversion, in one object.
//!
//! In place: everything but the name, while the conversion is not open. Costs nothing by itself;
//! a quota of ten projects per account is usual.

use aws_sdk_databasemigration::types::{
    DataProviderDescriptor, DataProviderDescriptorDefinition, MigrationProject as Live, ScApplicationAttributes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Readiness, Scope, Tags,
};
use towpath_engine::value::{Map, Value};

use super::dms_common::{self, NAME_LIMIT, SYNCHRONOUS, SYNCHRONOUS_POLL};
use crate::cloud::Cloud;
use crate::fault::fault;

/// The block of a `dms/migration_project`.
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
    /// The `dms/data_provider` to convert from.
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["dms/data_provider"], "attribute": "name" },
        "holds": { "dms/data_provider": "name" },
    }))]
    pub source: String,
    /// The secret with the source's credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["secretsmanager/secret"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub source_secret: Option<String>,
    /// The role that may read that secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub source_role: Option<String>,
    /// The `dms/data_provider` to convert to.
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["dms/data_provider"], "attribute": "name" },
        "holds": { "dms/data_provider": "name" },
    }))]
    pub target: String,
    /// The secret with the target's credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["secretsmanager/secret"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub target_secret: Option<String>,
    /// The role that may read that secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub target_role: Option<String>,
    /// The `dms/instance_profile` it runs with.
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["dms/instance_profile"], "attribute": "name" },
        "holds": { "dms/instance_profile": "name" },
    }))]
    pub instance_profile: String,
    /// Transformation rules of the conversion, in DMS's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transformation_rules: Option<Map>,
    /// Where the conversion keeps its reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "compare": "subset" }))]
    pub conversion: Option<Conversion>,
}

/// The bucket of a schema conversion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conversion {
    /// The folder, `s3://bucket/folder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_path: Option<String>,
    /// The role that may write there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = {
        "refers_to": { "kinds": ["iam/role"], "attribute": "arn", "physical": ["arn:"] },
    }))]
    pub s3_role: Option<String>,
}

impl Conversion {
    fn to_sdk(&self) -> ScApplicationAttributes {
        ScApplicationAttributes::builder()
            .set_s3_bucket_path(self.s3_path.clone())
            .set_s3_bucket_role_arn(self.s3_role.clone())
            .build()
    }
}

/// The kind `dms/migration_project`.
pub struct MigrationProject {
    cloud: Cloud,
}

impl MigrationProject {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }
}

fn descriptor(
    provider: &str,
    secret: Option<&String>,
    role: Option<&String>,
) -> Result<Vec<DataProviderDescriptorDefinition>, Fault> {
    let descriptor = DataProviderDescriptorDefinition::builder()
        .data_provider_identifier(provider)
        .set_secrets_manager_secret_id(secret.cloned())
        .set_secrets_manager_access_role_arn(role.cloned())
        .build();
    descriptor
        .map(|one| vec![one])
        .map_err(|error| Fault::local(FaultClass::Invalid, "dms/migration_project:descriptor", error.to_string()))
}

async fn all(cloud: &Cloud) -> Result<Vec<Live>, Fault> {
    let client = cloud.dms().await;
    let pages = client.describe_migration_projects().into_paginator().send().collect::<Result<Vec<_>, _>>().await;
    let pages = dms_common::pages(pages, "dms:DescribeMigrationProjects")?;
    Ok(pages.into_iter().flat_map(|page| page.migration_projects.unwrap_or_default()).collect())
}

/// The projects that use a data provider or an instance profile of that name.
pub(super) async fn users(cloud: &Cloud, name: &str) -> Result<Vec<String>, Fault> {
    let uses = |project: &Live| {
        let providers = project.source_data_provider_descriptors.iter().flatten();
        let mut providers = providers.chain(project.target_data_provider_descriptors.iter().flatten());
        project.instance_profile_name.as_deref() == Some(name)
            || providers.any(|provider| provider.data_provider_name.as_deref() == Some(name))
    };
    let projects = all(cloud).await?.into_iter().filter(uses);
    Ok(projects
        .map(|project| format!("migration project {}", project.migration_project_name.unwrap_or_default()))
        .collect())
}

fn object(live: Live) -> Object {
    let identity = live.migration_project_name.unwrap_or_default();
    let first = |list: Option<Vec<DataProviderDescriptor>>| list.unwrap_or_default().into_iter().next();
    let source = first(live.source_data_provider_descriptors);
    let target = first(live.target_data_provider_descriptors);
    let part = |of: &Option<DataProviderDescriptor>, part: fn(&DataProviderDescriptor) -> Option<String>| {
        of.as_ref().and_then(part)
    };
    let rules = live.transformation_rules.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let spec = Spec {
        name: Some(identity.clone()),
        description: live.description,
        source: part(&source, |one| one.data_provider_name.clone()).unwrap_or_default(),
        source_secret: part(&source, |one| one.secrets_manager_secret_id.clone()),
        source_role: part(&source, |one| one.secrets_manager_access_role_arn.clone()),
        target: part(&target, |one| one.data_provider_name.clone()).unwrap_or_default(),
        target_secret: part(&target, |one| one.secrets_manager_secret_id.clone()),
        target_role: part(&target, |one| one.secrets_manager_access_role_arn.clone()),
        instance_profile: live.instance_profile_name.unwrap_or_default(),
        transformation_rules: rules,
        conversion: live
            .schema_conversion_application_attributes
            .map(|live| Conversion { s3_path: live.s3_bucket_path, s3_role: live.s3_bucket_role_arn }),
    };
    Object {
        outputs: Outputs::from([
            ("arn".to_owned(), json!(live.migration_project_arn)),
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

impl Kind for MigrationProject {
    const NAME: &'static str = "dms/migration_project";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "Source, target and profile of a schema conversion.",
            create: SYNCHRONOUS,
            update: SYNCHRONOUS,
            delete: SYNCHRONOUS,
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
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
        let mut mistakes: Vec<(String, String)> =
            dms_common::check_name(spec.name.as_ref(), NAME_LIMIT).into_iter().collect();
        for (side, secret, role) in
            [("source", &spec.source_secret, &spec.source_role), ("target", &spec.target_secret, &spec.target_role)]
        {
            if secret.is_some() != role.is_some() {
                let rule = format!("`{side}_secret` and the `{side}_role` that may read it go together");
                mistakes.push((format!("{side}_role"), rule));
            }
        }
        mistakes
    }

    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        found.without(state, &json!({}))
    }

    fn normalise(&self, mut value: Value) -> Value {
        dms_common::fold_name(&mut value);
        value
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let mut objects: Vec<Object> = all(&self.cloud).await?.into_iter().map(object).collect();
        dms_common::read_tags(&self.cloud, &mut objects).await?;
        dms_common::whole_secrets(&self.cloud, &mut objects, &["/source_secret", "/target_secret"]).await?;
        Ok(objects)
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let source = descriptor(&spec.source, spec.source_secret.as_ref(), spec.source_role.as_ref())?;
        let target = descriptor(&spec.target, spec.target_secret.as_ref(), spec.target_role.as_ref())?;
        let client = self.cloud.dms().await;
        client
            .create_migration_project()
            .migration_project_name(name)
            .set_description(spec.description.clone())
            .set_source_data_provider_descriptors(Some(source))
            .set_target_data_provider_descriptors(Some(target))
            .instance_profile_identifier(&spec.instance_profile)
            .set_transformation_rules(spec.transformation_rules.clone().map(|rules| Value::Object(rules).to_string()))
            .set_schema_conversion_application_attributes(spec.conversion.as_ref().map(Conversion::to_sdk))
            .set_tags(Some(dms_common::sdk_tags(tags)))
            .send()
            .await
            .map_err(fault("dms:CreateMigrationProject"))?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changed = |prefix: &str| fields.iter().any(|name| name.starts_with(prefix));
        // A descriptor is replaced as a whole: what is not declared in it stays as it is.
        let kept = |declared: &Option<String>, field: &str| {
            declared.clone().or_else(|| object.state[field].as_str().map(str::to_owned))
        };
        let side = |provider: &str, secret: Option<String>, role: Option<String>| {
            descriptor(provider, secret.as_ref(), role.as_ref())
        };
        let source = changed("source").then(|| {
            side(&spec.source, kept(&spec.source_secret, "source_secret"), kept(&spec.source_role, "source_role"))
        });
        let target = changed("target").then(|| {
            side(&spec.target, kept(&spec.target_secret, "target_secret"), kept(&spec.target_role, "target_role"))
        });
        let (source, target) = (source.transpose()?, target.transpose()?);
        let rules = spec.transformation_rules.clone().filter(|_| changed("transformation_rules"));
        let conversion = spec.conversion.as_ref().filter(|_| changed("conversion"));
        let client = self.cloud.dms().await;
        client
            .modify_migration_project()
            .migration_project_identifier(&object.identity)
            .set_description(spec.description.clone().filter(|_| changed("description")))
            .set_source_data_provider_descriptors(source)
            .set_target_data_provider_descriptors(target)
            .set_instance_profile_identifier(changed("instance_profile").then(|| spec.instance_profile.clone()))
            .set_transformation_rules(rules.map(|rules| Value::Object(rules).to_string()))
            .set_schema_conversion_application_attributes(conversion.map(Conversion::to_sdk))
            .send()
            .await
            .map(drop)
            .map_err(fault("dms:ModifyMigrationProject"))
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let client = self.cloud.dms().await;
        let call = client.delete_migration_project().migration_project_identifier(&object.identity);
        call.send().await.map(drop).map_err(fault("dms:DeleteMigrationProject"))
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        dms_common::add_tags(&self.cloud, object, tags).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
}
