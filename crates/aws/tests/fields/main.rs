//! Every field of every kind, edited: the plan shows exactly that field with exactly the action its
//! facts promise, the apply changes exactly that, and the plan after it is empty. Then the field is
//! set back, which must be shown in the same way, and removed, after which nothing is compared.
//!
//! The real engine and the real SDK against the sandbox over HTTP. A field of a schema without an
//! edit in `cases` fails `every_field_has_an_edit`; so does a nested one.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop and wait")]

mod cases;
mod edit;
mod meaning;
mod schemas;
mod stand;

use std::collections::BTreeSet;

use serde_json::Value;

use stand::Stand;

macro_rules! fields {
    ($($test:ident: $kind:literal,)*) => {
        const EDITED: &[&str] = &[$($kind),*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                every_edit($kind).await;
            }
        )*
    };
}

fields! {
    data_providers: "dms/data_provider",
    endpoints: "dms/endpoint",
    instance_profiles: "dms/instance_profile",
    migration_projects: "dms/migration_project",
    replication_configs: "dms/replication_config",
    replication_instances: "dms/replication_instance",
    replication_tasks: "dms/replication_task",
    subnet_groups: "dms/subnet_group",
    security_groups: "ec2/security_group",
    subnets: "ec2/subnet",
    vpcs: "ec2/vpc",
    vpc_endpoints: "ec2/vpc_endpoint",
    roles: "iam/role",
    grants: "redshift/grant",
    namespaces: "redshift/namespace",
    schemas: "redshift/schema",
    usage_limits: "redshift/usage_limit",
    workgroups: "redshift/workgroup",
    buckets: "s3/bucket",
    secrets: "secretsmanager/secret",
}

#[test]
fn every_field_has_an_edit() {
    let registry = towpath_aws::kinds::registry(&towpath_aws::cloud::Cloud::offline());
    assert_eq!(registry.names().collect::<Vec<_>>(), EDITED, "a kind has no test of its fields");
    let mut missing = Vec::new();
    for kind in registry.iter() {
        let sheets = cases::of(kind.kind());
        let touched: BTreeSet<String> =
            sheets.iter().flat_map(|sheet| &sheet.edits).flat_map(edit::Edit::touched).collect();
        let mut fields = fields_of(kind.schema());
        // Another preset is another object, which `another_preset_is_another_role` is about.
        if kind.kind() == "iam/role" {
            fields.remove("preset");
        }
        missing.extend(fields.difference(&touched).map(|field| format!("{} {field}", kind.kind())));
        let unknown: Vec<&String> =
            touched.iter().filter(|path| !path.contains('.') && !fields.contains(*path)).collect();
        assert!(unknown.is_empty(), "{} has no {unknown:?}", kind.kind());
    }
    assert!(missing.is_empty(), "fields without an edit: {missing:#?}");
}

/// The fields of a spec and the members of those that are blocks, as `connection.host`.
fn fields_of(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (field, property) in schema["properties"].as_object().unwrap() {
        found.insert(field.clone());
        for block in blocks(property, schema) {
            found.extend(block.keys().map(|member| format!("{field}.{member}")));
        }
    }
    found
}

/// The members of a block, of the items of a list of blocks, or of the branches that are blocks.
fn blocks<'s>(property: &'s Value, schema: &'s Value) -> Vec<&'s serde_json::Map<String, Value>> {
    if let Some(path) = property["$ref"].as_str() {
        let name = path.rsplit('/').next().unwrap();
        // Where a secret comes from is one value.
        return if name == "SecretSource" { Vec::new() } else { blocks(&schema["$defs"][name], schema) };
    }
    if let Some(members) = property["properties"].as_object() {
        return vec![members];
    }
    let branches = ["anyOf", "oneOf"].into_iter().filter_map(|union| property[union].as_array()).flatten();
    branches.chain(property.get("items")).flat_map(|branch| blocks(branch, schema)).collect()
}

async fn every_edit(kind: &str) {
    let stand = Stand::new().await;
    let mut wrong = Vec::new();
    for sheet in cases::of(kind) {
        stand.prepare(&sheet).await;
        for edit in &sheet.edits {
            if let Err(what) = edit::prove(&stand, &sheet, edit).await {
                wrong.push(format!("{kind} {}: {what}", edit.field));
            }
        }
    }
    stand.close().await;
    assert!(wrong.is_empty(), "{} edits went wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The one field whose other value is another object: the roles of DMS belong to the account, so the
/// one that is no longer used is given free and not deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_preset_is_another_role() {
    use towpath_engine::plan::Action;
    let stand = Stand::new().await;
    let stack = |preset: &str| serde_json::json!({ "subject": { "kind": "iam/role", "preset": preset } });
    stand.settle(&stack("dms-vpc-role")).await.unwrap();
    let planned = stand.plan(&stack("dms-cloudwatch-logs-role")).await.unwrap();
    let steps: Vec<(Action, &str)> =
        planned.plan.steps.iter().map(|step| (step.action, step.identity.as_str())).collect();
    assert_eq!(steps, [(Action::Create, "dms-cloudwatch-logs-role"), (Action::Tag, "dms-vpc-role")]);
    stand.apply(&planned).await.unwrap();
    assert!(stand.plan(&stack("dms-cloudwatch-logs-role")).await.unwrap().plan.is_empty());
    let back = stand.settle(&stack("dms-vpc-role")).await.unwrap();
    assert!(back.plan.is_empty());
    stand.close().await;
}
