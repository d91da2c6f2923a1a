//! The warehouse.

use serde_json::{Value, json};

use super::{KEY, OTHER_KEY, Sheet};
use crate::edit::edit;
use crate::stand::SUBJECT;

fn role() -> Value {
    json!({ "kind": "iam/role", "trust": { "services": ["redshift.amazonaws.com"] } })
}

pub(super) fn namespace() -> Vec<Sheet> {
    let own = |user: &str, password: &str| json!({ "username": user, "password": { "env": password } });
    vec![
        Sheet {
            kind: "redshift/namespace",
            // The database is told only while there is a workgroup.
            world: json!({ "queries": { "kind": "redshift/workgroup", "namespace": SUBJECT, "base_rpu": 8 } }),
            base: json!({}),
            probe: None,
            edits: vec![edit("database", json!("one"), json!("two"))],
        },
        Sheet {
            kind: "redshift/namespace",
            world: json!({ "copier": role(), "writer": role() }),
            base: json!({}),
            probe: Some(("log_exports", json!(["userlog"]), json!(["connectionlog"]))),
            edits: vec![
                edit("name", json!("club-one"), json!("club-two")),
                edit("admin", json!("managed"), own("ann", "SOURCE_PASSWORD")).twins(&["admin_secret_kms_key"]),
                edit("admin", own("ann", "SOURCE_PASSWORD"), own("bob", "SOURCE_PASSWORD")),
                edit("admin", own("bob", "SOURCE_PASSWORD"), own("bob", "OTHER_PASSWORD")),
                edit("admin_secret_kms_key", json!(KEY), json!(OTHER_KEY)).with(json!({ "admin": "managed" })),
                edit("roles", json!(["copier"]), json!(["copier", "writer"])),
                edit("default_role", json!("copier"), json!("writer")).with(json!({ "roles": ["copier", "writer"] })),
                edit("log_exports", json!(["userlog"]), json!(["userlog", "connectionlog"])),
                edit("kms_key", json!(KEY), json!(OTHER_KEY)),
            ],
        },
    ]
}

pub(super) fn usage_limit() -> Vec<Sheet> {
    let workgroup = |namespace: &str| json!({ "kind": "redshift/workgroup", "namespace": namespace, "base_rpu": 8 });
    let namespace = json!({ "kind": "redshift/namespace" });
    vec![Sheet {
        kind: "redshift/usage_limit",
        world: json!({
            "first": namespace, "second": namespace, "small": workgroup("first"), "large": workgroup("second"),
        }),
        base: json!({ "workgroup": "small", "amount": 10 }),
        probe: Some(("amount", json!(50), json!(60))),
        edits: vec![
            edit("workgroup", json!("small"), json!("large")).needed(),
            edit("usage", json!("serverless-compute"), json!("cross-region-datasharing"))
                .defaults_to(json!("serverless-compute")),
            edit("amount", json!(10), json!(20)).needed(),
            edit("period", json!("daily"), json!("weekly")).defaults_to(json!("monthly")),
            edit("breach_action", json!("log"), json!("deactivate")),
        ],
    }]
}

/// Two warehouses, whose databases differ.
fn warehouses() -> Value {
    let workgroup = |namespace: &str| json!({ "kind": "redshift/workgroup", "namespace": namespace, "base_rpu": 8 });
    let namespace = |database: &str| json!({ "kind": "redshift/namespace", "database": database });
    json!({
        "first": namespace("one"), "second": namespace("two"), "small": workgroup("first"), "large": workgroup("second"),
    })
}

pub(super) fn schema() -> Vec<Sheet> {
    vec![Sheet {
        kind: "redshift/schema",
        world: warehouses(),
        base: json!({ "workgroup": "small" }),
        probe: Some(("quota", json!("30 GB"), json!("40 GB"))),
        edits: vec![
            edit("workgroup", json!("small"), json!("large")).needed(),
            edit("database", json!("one"), json!("two")).together("workgroup", json!("small"), json!("large")),
            edit("name", json!("lake"), json!("sea")),
            edit("owner", json!("admin"), json!("IAM:sandbox")),
            edit("quota", json!("10 GB"), json!("2048 MB")),
            edit("quota", json!("1 TB"), json!("unlimited")),
        ],
    }]
}

/// What the sheet of grants needs in both warehouses besides its resources.
pub(crate) const GRANTEES: &[&str] = &[
    "create user ann password disable",
    "create group crew",
    "create group guests",
    "create role readers",
    "create role writers",
    "create table public.boats (i int)",
];

pub(super) fn grant() -> Vec<Sheet> {
    let schema = json!({ "kind": "redshift/schema", "workgroup": "small" });
    let mut world = warehouses();
    world["lake"] = schema.clone();
    world["sea"] = schema;
    let in_public = json!({ "schema": "public", "workgroup": "small", "role": "readers" });
    let grantee = |field: &'static str, from: &str, to: &str| {
        edit(field, json!(from), json!(to)).with(json!({ "role": null })).needed()
    };
    vec![Sheet {
        kind: "redshift/grant",
        world,
        base: json!({ "schema": "lake", "role": "readers", "on_schema": ["usage"] }),
        probe: Some(("on_schema", json!(["usage", "alter"]), json!(["alter"]))),
        edits: vec![
            edit("schema", json!("lake"), json!("sea")).needed(),
            edit("workgroup", json!("small"), json!("large")).with(json!({ "schema": "public" })).needed(),
            grantee("user", "ann", "IAM:sandbox"),
            grantee("group", "crew", "guests"),
            grantee("group", "crew", "public"),
            grantee("role", "readers", "writers"),
            edit("on_schema", json!(["usage"]), json!(["create", "usage"])).with(json!({ "on_tables": [] })),
            edit("on_tables", json!(["select"]), json!(["insert", "select"])).with(in_public),
        ],
    }]
}

pub(super) fn workgroup() -> Vec<Sheet> {
    let subnet = |number: usize, zone: &str| json!({ "kind": "ec2/subnet", "vpc": "net", "zone": zone, "cidr": format!("10.20.{number}.0/24") });
    let group = |vpc: &str| json!({ "kind": "ec2/security_group", "vpc": vpc });
    vec![Sheet {
        kind: "redshift/workgroup",
        world: json!({
            "first": { "kind": "redshift/namespace" }, "second": { "kind": "redshift/namespace" },
            "net": { "kind": "ec2/vpc", "cidr": "10.20.0.0/16" },
            "a": subnet(1, "eu-north-1a"), "b": subnet(2, "eu-north-1b"), "c": subnet(3, "eu-north-1c"),
            "guard": group("net"), "watch": group("net"),
        }),
        base: json!({ "namespace": "first", "base_rpu": 8, "subnets": ["a", "b", "c"], "security_groups": ["guard"] }),
        probe: Some(("max_rpu", json!(128), json!(256))),
        edits: vec![
            edit("name", json!("club-one"), json!("club-two")),
            edit("namespace", json!("first"), json!("second")).needed(),
            edit("base_rpu", json!(8), json!(16)),
            edit("max_rpu", json!(32), json!(64)),
            edit("max_rpu", json!(64), json!(-1)),
            edit("price_performance", json!(25), json!(75)).with(json!({ "base_rpu": null })),
            edit("subnets", json!(["a", "b", "c"]), json!(["a", "b"])),
            edit("security_groups", json!(["guard"]), json!(["guard", "watch"])),
            edit("port", json!(5439), json!(5440)),
            edit("public", json!(false), json!(true)),
            edit("enhanced_vpc_routing", json!(false), json!(true)),
            edit("ip_address_type", json!("ipv4"), json!("dualstack")),
            edit("track", json!("current"), json!("trailing")),
            edit("extra_compute", json!(false), json!(true)),
            edit(
                "parameters",
                json!({ "max_query_execution_time": 3600, "enable_user_activity_logging": true }),
                json!({ "max_query_execution_time": "7200", "enable_user_activity_logging": "true" }),
            ),
        ],
    }]
}
