//! Schema-conversion objects: data providers, instance profiles, migration projects.
//!
//! They are known by name or ARN, have no states, and are never converted here: launching a conversion is not played.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::common::{check_name, exists, filters, keep_tags, not_found, page, passes, wrong_state};
use super::quotas;
use crate::Quota;
use crate::arn::random_text;
use crate::call::{ApiError, Call, Input};
use crate::world::dms::{Dms, Simple};

/// One kind of these objects: its word in ARNs and filters, and its members on the wire.
struct Kind {
    arn: &'static str,
    /// The prefix of its members: `DataProviderName`, `DataProviderArn`.
    member: &'static str,
    plural: &'static str,
    identifier: &'static str,
    filters: &'static [&'static str],
    quota: Quota,
    of: fn(&Dms) -> &IndexMap<String, Simple>,
    of_mut: fn(&mut Dms) -> &mut IndexMap<String, Simple>,
}

const PROVIDER: Kind = Kind {
    arn: "data-provider",
    member: "DataProvider",
    plural: "DataProviders",
    identifier: "DataProviderIdentifier",
    filters: &["data-provider-identifier"],
    quota: Quota::DataProviders,
    of: |dms| &dms.data_providers,
    of_mut: |dms| &mut dms.data_providers,
};
const PROFILE: Kind = Kind {
    arn: "instance-profile",
    member: "InstanceProfile",
    plural: "InstanceProfiles",
    identifier: "InstanceProfileIdentifier",
    filters: &["instance-profile-identifier"],
    quota: Quota::InstanceProfiles,
    of: |dms| &dms.instance_profiles,
    of_mut: |dms| &mut dms.instance_profiles,
};
const PROJECT: Kind = Kind {
    arn: "migration-project",
    member: "MigrationProject",
    plural: "MigrationProjects",
    identifier: "MigrationProjectIdentifier",
    filters: &["migration-project-identifier", "instance-profile-identifier", "data-provider-identifier"],
    quota: Quota::MigrationProjects,
    of: |dms| &dms.migration_projects,
    of_mut: |dms| &mut dms.migration_projects,
};
const ENGINES: [&str; 13] = [
    "aurora",
    "aurora-postgresql",
    "db2",
    "db2-zos",
    "docdb",
    "mariadb",
    "mongodb",
    "mysql",
    "oracle",
    "postgres",
    "redshift",
    "sqlserver",
    "sybase",
];

fn create(call: &mut Call<'_>, kind: &Kind, mut body: Map<String, Value>) -> Result<Value, ApiError> {
    let input = call.input;
    check_description(input)?;
    let random = || random_text(26, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    let name = match input.text(&format!("{}Name", kind.member))? {
        Some(name) => {
            check_name(input, &format!("{}Name", kind.member), name, 255)?;
            name.to_owned()
        }
        None => format!("{}-{}", kind.arn, random().to_lowercase()),
    };
    if (kind.of)(&call.world.dms).contains_key(&name) {
        return Err(exists(format!("{} already exists: {name}", kind.member)));
    }
    quotas::require_room(call, kind.quota)?;
    let arn = call.place.arn("dms", &format!("{}:{}", kind.arn, random()));
    keep_tags(call, &arn)?;
    body.insert(format!("{}Name", kind.member), json!(name));
    body.insert(format!("{}Arn", kind.member), json!(arn));
    body.insert(format!("{}CreationTime", kind.member), json!(call.clock.now().iso()));
    let object = Simple { name: name.clone(), arn, body };
    let shown = Value::Object(object.body.clone());
    (kind.of_mut)(&mut call.world.dms).insert(name, object);
    Ok(json!({ kind.member: shown }))
}

fn find<'a>(call: &'a Call<'_>, kind: &Kind, id: &str) -> Result<&'a Simple, ApiError> {
    (kind.of)(&call.world.dms)
        .values()
        .find(|object| object.arn == id || object.name == id)
        .ok_or_else(|| not_found(format!("{} not found: {id}", kind.member)))
}

fn describe(call: &Call<'_>, kind: &Kind) -> Result<Value, ApiError> {
    let filters = filters(call.input, kind.filters)?;
    let found: Vec<Value> = (kind.of)(&call.world.dms)
        .values()
        .filter(|object| {
            passes(&filters, |filter| match filter {
                "instance-profile-identifier" if kind.arn == "migration-project" => {
                    texts(&object.body, &["InstanceProfileArn", "InstanceProfileName"])
                }
                "data-provider-identifier" if kind.arn == "migration-project" => descriptors(&object.body),
                _ => vec![object.arn.clone(), object.name.clone()],
            })
        })
        .map(|object| Value::Object(object.body.clone()))
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found(format!("No {} found matching provided filters", kind.plural)));
    }
    page(call.input, kind.plural, found)
}

fn texts(body: &Map<String, Value>, members: &[&str]) -> Vec<String> {
    members.iter().filter_map(|member| body.get(*member)?.as_str().map(str::to_owned)).collect()
}

/// Names and ARNs of the data providers of a project.
fn descriptors(body: &Map<String, Value>) -> Vec<String> {
    ["SourceDataProviderDescriptors", "TargetDataProviderDescriptors"]
        .into_iter()
        .filter_map(|member| body.get(member)?.as_array())
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(|descriptor| texts(descriptor, &["DataProviderArn", "DataProviderName"]))
        .collect()
}

/// Refuses while a migration project names the object.
fn require_unused(call: &Call<'_>, kind: &Kind, object: &Simple) -> Result<(), ApiError> {
    let user = call.world.dms.migration_projects.values().find(|project| {
        let used = if kind.arn == "instance-profile" {
            texts(&project.body, &["InstanceProfileArn"])
        } else {
            descriptors(&project.body)
        };
        used.contains(&object.arn)
    });
    match user {
        Some(project) if kind.arn != "migration-project" => {
            Err(wrong_state(format!("{} {} is in use by migration project {}", kind.member, object.name, project.name)))
        }
        _ => Ok(()),
    }
}

fn delete(call: &mut Call<'_>, kind: &Kind) -> Result<Value, ApiError> {
    let object = find(call, kind, call.input.required(kind.identifier)?)?.clone();
    require_unused(call, kind, &object)?;
    (kind.of_mut)(&mut call.world.dms).shift_remove(&object.name);
    call.world.dms.tags.shift_remove(&object.arn);
    Ok(json!({ kind.member: Value::Object(object.body) }))
}

/// Puts new members over the old ones; a description is cleared with an empty text.
fn modify(call: &mut Call<'_>, kind: &Kind, changes: Map<String, Value>) -> Result<Value, ApiError> {
    check_description(call.input)?;
    let mut object = find(call, kind, call.input.required(kind.identifier)?)?.clone();
    require_unused(call, kind, &object)?;
    let old = object.name.clone();
    object.body.extend(changes);
    if object.body.get("Description").and_then(Value::as_str) == Some("") {
        object.body.shift_remove("Description");
    }
    if let Some(name) = call.input.text(&format!("{}Name", kind.member))? {
        name.clone_into(&mut object.name);
        object.body.insert(format!("{}Name", kind.member), json!(name));
    }
    let shown = Value::Object(object.body.clone());
    (kind.of_mut)(&mut call.world.dms).shift_remove(&old);
    (kind.of_mut)(&mut call.world.dms).insert(object.name.clone(), object);
    Ok(json!({ kind.member: shown }))
}

/// "maxLength" 255 of `Description` (CloudFormation's public resource schema `AWS::DMS::DataProvider`, and those of the two others).
fn check_description(input: Input<'_>) -> Result<(), ApiError> {
    if input.text("Description")?.is_some_and(|text| text.chars().count() > 255) {
        return Err(input.invalid("The parameter Description must have at most 255 characters."));
    }
    Ok(())
}

/// The request's members that are kept as they came.
fn kept(input: Input<'_>, members: &[&str]) -> Map<String, Value> {
    members.iter().filter_map(|member| Some(((*member).to_owned(), input.get(member)?.clone()))).collect()
}

/// `CreateDataProvider`.
pub(super) fn create_provider(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let engine = input.required("Engine")?;
    if !ENGINES.contains(&engine) {
        return Err(input.invalid(format!("Engine {engine} is not supported")));
    }
    let settings = input.structure("Settings")?.ok_or_else(|| input.missing("Settings"))?;
    if settings.value().as_object().map_or(0, Map::len) != 1 {
        return Err(input.invalid("Settings must contain the settings of exactly one engine"));
    }
    let mut body = kept(input, &["Engine", "Settings", "Description"]);
    body.insert("Virtual".to_owned(), json!(input.flag("Virtual")?.unwrap_or(false)));
    create(call, &PROVIDER, body)
}

/// `DescribeDataProviders`.
pub(super) fn describe_providers(call: &mut Call<'_>) -> Result<Value, ApiError> {
    describe(call, &PROVIDER)
}

/// `ModifyDataProvider`: settings are merged unless `ExactSettings`.
pub(super) fn modify_provider(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let mut changes = kept(input, &["Engine", "Description", "Settings", "Virtual"]);
    if let Some(Value::Object(new)) = changes.get("Settings").cloned()
        && !input.flag("ExactSettings")?.unwrap_or(false)
    {
        let mut merged = find(call, &PROVIDER, input.required("DataProviderIdentifier")?)?
            .body
            .get("Settings")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for (engine, block) in new {
            match (merged.get_mut(&engine).and_then(Value::as_object_mut), block) {
                (Some(old), Value::Object(block)) => old.extend(block),
                (_, block) => merged = Map::from_iter([(engine, block)]),
            }
        }
        changes.insert("Settings".to_owned(), Value::Object(merged));
    }
    modify(call, &PROVIDER, changes)
}

/// `DeleteDataProvider`.
pub(super) fn delete_provider(call: &mut Call<'_>) -> Result<Value, ApiError> {
    delete(call, &PROVIDER)
}

/// Members of an instance profile, checked.
fn profile_members(call: &Call<'_>) -> Result<Map<String, Value>, ApiError> {
    let mut body = kept(
        call.input,
        &["AvailabilityZone", "KmsKeyArn", "PubliclyAccessible", "NetworkType", "Description", "VpcSecurityGroups"],
    );
    if let Some(group) = call.input.text("SubnetGroupIdentifier")? {
        let group = group.to_lowercase();
        if !call.world.dms.subnet_groups.contains_key(&group) {
            return Err(not_found(format!("Replication subnet group not found: {group}")));
        }
        body.insert("SubnetGroupIdentifier".to_owned(), json!(group));
    }
    for id in call.input.texts("VpcSecurityGroups")? {
        if !call.world.ec2.security_groups.contains_key(id) {
            return Err(not_found(format!("Security group not found: {id}")));
        }
    }
    Ok(body)
}

/// `CreateInstanceProfile`.
pub(super) fn create_profile(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut body = profile_members(call)?;
    body.entry("PubliclyAccessible").or_insert(json!(true));
    body.entry("NetworkType").or_insert(json!("IPV4"));
    body.entry("SubnetGroupIdentifier").or_insert(json!("default"));
    body.entry("VpcSecurityGroups").or_insert(json!([]));
    create(call, &PROFILE, body)
}

/// `DescribeInstanceProfiles`.
pub(super) fn describe_profiles(call: &mut Call<'_>) -> Result<Value, ApiError> {
    describe(call, &PROFILE)
}

/// `ModifyInstanceProfile`.
pub(super) fn modify_profile(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let changes = profile_members(call)?;
    modify(call, &PROFILE, changes)
}

/// `DeleteInstanceProfile`.
pub(super) fn delete_profile(call: &mut Call<'_>) -> Result<Value, ApiError> {
    delete(call, &PROFILE)
}

/// Members of a migration project, references resolved to names and ARNs.
fn project_members(call: &Call<'_>) -> Result<Map<String, Value>, ApiError> {
    let input = call.input;
    let mut body = kept(input, &["TransformationRules", "Description", "SchemaConversionApplicationAttributes"]);
    if let Some(id) = input.text("InstanceProfileIdentifier")? {
        let profile = find(call, &PROFILE, id)?;
        body.insert("InstanceProfileArn".to_owned(), json!(profile.arn));
        body.insert("InstanceProfileName".to_owned(), json!(profile.name));
    }
    for member in ["SourceDataProviderDescriptors", "TargetDataProviderDescriptors"] {
        if !input.has(member) {
            continue;
        }
        let mut resolved = Vec::new();
        for descriptor in input.structures(member)? {
            let provider = find(call, &PROVIDER, descriptor.required("DataProviderIdentifier")?)?;
            let mut shown = kept(descriptor, &["SecretsManagerSecretId", "SecretsManagerAccessRoleArn"]);
            shown.insert("DataProviderName".to_owned(), json!(provider.name));
            shown.insert("DataProviderArn".to_owned(), json!(provider.arn));
            resolved.push(Value::Object(shown));
        }
        body.insert(member.to_owned(), Value::Array(resolved));
    }
    Ok(body)
}

/// `CreateMigrationProject`.
pub(super) fn create_project(call: &mut Call<'_>) -> Result<Value, ApiError> {
    for member in ["SourceDataProviderDescriptors", "TargetDataProviderDescriptors", "InstanceProfileIdentifier"] {
        if !call.input.has(member) {
            return Err(call.input.missing(member));
        }
    }
    let body = project_members(call)?;
    create(call, &PROJECT, body)
}

/// `DescribeMigrationProjects`.
pub(super) fn describe_projects(call: &mut Call<'_>) -> Result<Value, ApiError> {
    describe(call, &PROJECT)
}

/// `ModifyMigrationProject`.
pub(super) fn modify_project(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let changes = project_members(call)?;
    modify(call, &PROJECT, changes)
}

/// `DeleteMigrationProject`.
pub(super) fn delete_project(call: &mut Call<'_>) -> Result<Value, ApiError> {
    delete(call, &PROJECT)
}
