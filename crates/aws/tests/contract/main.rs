//! The contract that every kind keeps, held against the sandbox over HTTP with the real SDK.
//!
//! An object is absent, is made, is listed as it was declared, is changed to each later version in
//! place, carries the tags it is given, is deleted, is gone, and can be deleted again. Adding a kind
//! means a line in `contract!` here; a kind without a line fails `every_kind_is_held_to_the_contract`.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop and wait")]

mod pace;
mod particulars;
mod world;

use serde_json::{Value, json};
use towpath_engine::diff;
use towpath_engine::kind::{AnyKind, DeleteOptions, Object, Tags, tag};

use world::World;

/// One resource and its later versions.
struct Case {
    name: String,
    spec: Value,
    changed: Vec<Value>,
}

macro_rules! contract {
    ($($test:ident: $kind:literal,)*) => {
        const HELD: &[&str] = &[$($kind),*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                hold($kind).await;
            }
        )*
    };
}

contract! {
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
fn every_kind_is_held_to_the_contract() {
    let registry = towpath_aws::kinds::registry(&towpath_aws::cloud::Cloud::offline());
    assert_eq!(registry.names().collect::<Vec<_>>(), HELD);
}

async fn hold(kind: &str) {
    let world = World::new().await;
    for case in cases(&world, kind).await {
        live_and_die(&world, world.kind(kind), &case).await;
    }
    world.close().await;
}

/// The kind's own examples, or for kinds that need others first, examples over those.
async fn cases(world: &World, kind: &str) -> Vec<Case> {
    let one = |spec: Value, changed: Vec<Value>| vec![Case { name: "subject".to_owned(), spec, changed }];
    match kind {
        "dms/subnet_group" => {
            world.make("iam/role", "vpc_role", json!({ "preset": "dms-vpc-role" })).await;
            examples(world, kind)
        }
        "dms/replication_instance" | "dms/instance_profile" => {
            world.make("iam/role", "vpc_role", json!({ "preset": "dms-vpc-role" })).await;
            world.make("dms/subnet_group", "subnets", json!({ "subnets": "default" })).await;
            let group = world.make("ec2/security_group", "group", json!({})).await;
            let mut cases = examples(world, kind);
            let mut placed = cases[0].spec.clone();
            placed["subnet_group"] = json!("club-subnets");
            placed["security_groups"] = json!([group.identity]);
            cases.push(Case { name: "placed".to_owned(), spec: placed, changed: Vec::new() });
            cases
        }
        "dms/migration_project" => {
            world.make("iam/role", "vpc_role", json!({ "preset": "dms-vpc-role" })).await;
            let project = |description: &str| {
                json!({ "source": "club-from", "target": "club-to", "instance_profile": "club-profile",
                        "description": description })
            };
            let from = json!({ "engine": "postgres", "host": "db.example.com", "database": "club" });
            let to = json!({ "engine": "redshift", "host": "rs.example.com", "database": "club" });
            world.make("dms/data_provider", "from", from).await;
            world.make("dms/data_provider", "to", to).await;
            world.make("dms/instance_profile", "profile", json!({})).await;
            one(project("first"), vec![project("second")])
        }
        "dms/replication_task" => task_cases(world).await,
        "dms/replication_config" => replication_cases(world).await,
        "dms/endpoint" | "dms/data_provider" | "redshift/namespace" => {
            let mut cases = examples(world, kind);
            cases.extend(warehouse_cases(world, kind).await);
            cases
        }
        "redshift/workgroup" => {
            world.make("redshift/namespace", "warehouse", json!({ "database": "club", "admin": "managed" })).await;
            let small = json!({ "namespace": "club-warehouse", "base_rpu": 8 });
            let mut large = small.clone();
            large["base_rpu"] = json!(16);
            large["max_rpu"] = json!(32);
            let mut moved = large.clone();
            moved["port"] = json!(5440);
            moved["parameters"] = json!({ "max_query_execution_time": 3600 });
            one(small, vec![large, moved])
        }
        "redshift/usage_limit" => {
            world.make("redshift/namespace", "warehouse", json!({ "database": "club", "admin": "managed" })).await;
            let workgroup = json!({ "namespace": "club-warehouse", "base_rpu": 8 });
            world.make("redshift/workgroup", "workgroup", workgroup).await;
            let limit = |amount: i64, action: &str| json!({ "workgroup": "club-workgroup", "amount": amount, "breach_action": action });
            one(limit(10, "log"), vec![limit(20, "log"), limit(20, "deactivate")])
        }
        "redshift/schema" | "redshift/grant" => schema_cases(world, kind).await,
        _ => examples(world, kind),
    }
}

/// Cases in a warehouse, whose two users are there from the beginning.
async fn schema_cases(world: &World, kind: &str) -> Vec<Case> {
    world.ensure_postgres().await;
    world.make("redshift/namespace", "warehouse", json!({ "database": "club", "admin": "managed" })).await;
    world.make("redshift/workgroup", "workgroup", json!({ "namespace": "club-warehouse", "base_rpu": 8 })).await;
    let case = |name: &str, spec: Value, changed: Vec<Value>| Case { name: name.to_owned(), spec, changed };
    if kind == "redshift/schema" {
        let first = json!({ "workgroup": "club-warehouse" });
        let mut limited = first.clone();
        limited["quota"] = json!("2048 MB");
        let mut renamed = limited.clone();
        renamed["name"] = json!("harbour");
        let mut owned = renamed.clone();
        owned["owner"] = json!("IAM:sandbox");
        let named = json!({ "workgroup": "club-warehouse", "database": "club", "name": "sea", "owner": "IAM:sandbox",
            "quota": "1 TB" });
        return vec![
            case("subject", first, vec![limited, renamed, owned]),
            case("named", named, vec![json!({ "workgroup": "club-warehouse", "quota": "unlimited" })]),
        ];
    }
    let schema = world.make("redshift/schema", "lake", json!({ "workgroup": "club-warehouse" })).await;
    let grant = |on: &[&str]| json!({ "schema": schema.identity, "user": "IAM:sandbox", "on_schema": on, "on_tables": ["select"] });
    let public = json!({ "schema": "public", "workgroup": "club-warehouse", "user": "IAM:sandbox",
        "on_schema": ["create"] });
    vec![
        case("subject", grant(&["usage"]), vec![grant(&["usage", "create"]), grant(&["create"])]),
        case("public", public, Vec::new()),
    ]
}

fn examples(world: &World, kind: &str) -> Vec<Case> {
    let examples = world.kind(kind).examples(&world.place);
    assert!(!examples.is_empty(), "`{kind}` has no examples: give it some, or cases here");
    let case = |example: towpath_engine::kind::Example| Case {
        name: example.name.to_owned(),
        spec: example.spec,
        changed: example.changed,
    };
    examples.into_iter().map(case).collect()
}

/// Cases over a namespace with a role, a workgroup and a bucket.
async fn warehouse_cases(world: &World, kind: &str) -> Vec<Case> {
    let one = |spec: Value, changed: Vec<Value>| vec![Case { name: "second".to_owned(), spec, changed }];
    let role = world.make("iam/role", "access", json!({ "preset": "dms-access-for-endpoint" })).await;
    let namespace = json!({ "database": "club", "admin": "managed", "roles": [role.outputs["arn"]] });
    if kind == "redshift/namespace" {
        let mut named = namespace.clone();
        named["default_role"] = role.outputs["arn"].clone();
        return one(namespace, vec![named]);
    }
    world.make("redshift/namespace", "warehouse", namespace).await;
    let workgroup = json!({ "namespace": "club-warehouse", "base_rpu": 8 });
    let workgroup = world.make("redshift/workgroup", "workgroup", workgroup).await;
    if kind == "dms/data_provider" {
        assert_eq!(workgroup.outputs["connection"]["database"], "club");
        return one(json!({ "engine": "redshift", "from": workgroup.outputs["connection"] }), Vec::new());
    }
    let bucket = world.make("s3/bucket", "staging", json!({})).await;
    let target = json!({
        "direction": "target", "engine": "redshift-serverless", "workgroup": "club-workgroup",
        "bucket": bucket.identity, "role": role.outputs["arn"],
    });
    let mut folder = target.clone();
    folder["bucket_folder"] = json!("load");
    one(target, vec![folder])
}

/// A source and a target that are never reached.
async fn ends(world: &World) -> [Value; 2] {
    let connection = json!({ "host": "127.0.0.1", "port": 5432, "database": "club", "username": "club",
        "password": { "env": "SOURCE_PASSWORD" } });
    let source = json!({ "direction": "source", "engine": "postgres", "connection": connection });
    let target = json!({ "direction": "target", "engine": "redshift", "connection": connection });
    let source = world.make("dms/endpoint", "source", source).await;
    let target = world.make("dms/endpoint", "target", target).await;
    [source.outputs["arn"].clone(), target.outputs["arn"].clone()]
}

async fn replication_cases(world: &World) -> Vec<Case> {
    world.make("iam/role", "vpc_role", json!({ "preset": "dms-vpc-role" })).await;
    world.make("dms/subnet_group", "subnets", json!({ "subnets": "default" })).await;
    let group = world.make("ec2/security_group", "group", json!({})).await;
    let [source, target] = ends(world).await;
    let first = json!({
        "source": source, "target": target, "mode": "full-load", "tables": [{ "schema": "public" }],
        "max_capacity_units": 4, "settings": { "FullLoadSettings": { "CommitRate": 20000 } },
    });
    let mut placed = first.clone();
    placed["subnet_group"] = json!("club-subnets");
    placed["security_groups"] = json!([group.identity]);
    placed["multi_az"] = json!(true);
    placed["supplemental_settings"] = json!({ "a": 1 });
    let mut larger = first.clone();
    larger["max_capacity_units"] = json!(32);
    larger["min_capacity_units"] = json!(2);
    larger["maintenance_window"] = json!("Sun:06:00-Sun:06:30");
    let mut following = larger.clone();
    following["mode"] = json!("full-load-and-cdc");
    following["tables"] = json!([{ "schema": "public", "exclude": ["tmp_%"] }]);
    following["settings"] = json!({ "FullLoadSettings": { "CommitRate": 30000, "MaxFullLoadSubTasks": 4 } });
    let case = |name: &str, spec, changed| Case { name: name.to_owned(), spec, changed };
    vec![case("load", first, vec![larger, following]), case("placed", placed, Vec::new())]
}

async fn task_cases(world: &World) -> Vec<Case> {
    world.make("iam/role", "vpc_role", json!({ "preset": "dms-vpc-role" })).await;
    let instance = world.make("dms/replication_instance", "instance", json!({ "class": "dms.t3.medium" })).await;
    let [source, target] = ends(world).await;
    let first = json!({
        "instance": instance.outputs["arn"], "source": source, "target": target,
        "mode": "full-load", "tables": [{ "schema": "public" }],
        "settings": { "FullLoadSettings": { "CommitRate": 20000 } },
    });
    let mut narrower = first.clone();
    narrower["tables"] = json!([{ "schema": "public", "exclude": ["tmp_%"] }]);
    let mut tuned = narrower.clone();
    tuned["settings"] = json!({ "FullLoadSettings": { "CommitRate": 30000, "MaxFullLoadSubTasks": 4 } });
    vec![Case { name: "load".to_owned(), spec: first, changed: vec![narrower, tuned] }]
}

async fn live_and_die(world: &World, kind: &dyn AnyKind, case: &Case) {
    let what = format!("{} {}", kind.kind(), case.name);
    let spec = world.looked_up(kind, &case.spec).await;
    assert_eq!(kind.check(&spec), Vec::new(), "{what}");
    let name = kind.name(&world.place, &case.name, &spec).unwrap();
    assert!(world.find(kind, &name).await.is_none(), "{what} is there before it is made");

    let object = world.make(kind.kind(), &case.name, case.spec.clone()).await;
    for (output, value) in kind.predict(&world.place, &name, &spec) {
        assert_eq!(object.outputs.get(&output), Some(&value), "{what}: the output `{output}` is not as predicted");
    }
    assert_as_declared(kind, &what, &spec, &object);
    let owner = (world.place.stack.as_str(), case.name.as_str());
    assert_eq!(object.owner(), Some(owner), "{what} is not listed with its owner");
    if kind.facts().taggable {
        tag_once(world, kind, &what, &object).await;
    }
    for resource in ["renamed", &case.name] {
        give_to(world, kind, &what, &object, resource).await;
    }
    for changed in &case.changed {
        change(world, kind, &what, &object.identity, changed).await;
    }
    delete(world, kind, &what, &object.identity).await;
}

fn assert_as_declared(kind: &dyn AnyKind, what: &str, spec: &Value, object: &Object) {
    let found = diff::compare(kind, spec, &object.state, &object.pending);
    assert!(found.is_empty(), "{what} is not as declared: {:#?}\nstate: {:#}", found.changes, object.state);
}

async fn tag_once(world: &World, kind: &dyn AnyKind, what: &str, object: &Object) {
    let added = Tags::from([("team".to_owned(), "club".to_owned())]);
    world.insist(what, || kind.tag(object, &added)).await;
    let object = world.ready(kind, &object.identity).await;
    let tags = object.tags.unwrap_or_default();
    assert_eq!(tags.get("team").map(String::as_str), Some("club"), "{what} lost a tag it was given");
    assert!(tags.contains_key(tag::STACK), "{what} lost its owner when it was tagged");
}

/// Only what changes is sent, as where a resource is renamed.
async fn give_to(world: &World, kind: &dyn AnyKind, what: &str, object: &Object, resource: &str) {
    let object = world.ready(kind, &object.identity).await;
    let changed = Tags::from([(tag::RESOURCE.to_owned(), resource.to_owned())]);
    world.insist(what, || kind.tag(&object, &changed)).await;
    let object = world.ready(kind, &object.identity).await;
    assert_eq!(object.owner(), Some((world.place.stack.as_str(), resource)), "{what} is not given to another resource");
}

async fn change(world: &World, kind: &dyn AnyKind, what: &str, identity: &str, changed: &Value) {
    let spec = world.looked_up(kind, changed).await;
    let object = world.ready(kind, identity).await;
    let found = diff::compare(kind, &spec, &object.state, &object.pending);
    assert!(!found.is_empty(), "{what}: {changed} is no change");
    assert!(!found.forces_replacement(), "{what}: {changed} cannot be reached in place: {:#?}", found.changes);
    for (_, changes) in diff::groups(kind, &found.changes, &object.state, &spec) {
        let fields: Vec<String> = changes.iter().map(|change| change.path.clone()).collect();
        let object = world.ready(kind, identity).await;
        world.insist(what, || kind.update(&object, &spec, &fields)).await;
        world.ready(kind, identity).await;
    }
    assert_as_declared(kind, &format!("{what}, changed,"), &spec, &world.ready(kind, identity).await);
}

async fn delete(world: &World, kind: &dyn AnyKind, what: &str, identity: &str) {
    let object = world.ready(kind, identity).await;
    let options = DeleteOptions { force: true, ..DeleteOptions::default() };
    world.insist(what, || kind.delete(&object, &options)).await;
    world.gone(kind, identity).await;
    let again = kind.delete(&object, &options).await;
    let fault = again.expect_err("what is gone cannot be deleted");
    assert!(fault.is_not_found(), "{what}: the second delete was answered {fault}");
}
