//! Endpoints, tasks and serverless replications.

use serde_json::{Map, Value, json};

use super::{KEY, OTHER_KEY, Sheet};
use crate::edit::{Edit, edit};

const CERTIFICATE: &str = "arn:aws:dms:eu-north-1:111122223333:cert:ONE";
const OTHER_CERTIFICATE: &str = "arn:aws:dms:eu-north-1:111122223333:cert:TWO";

fn role() -> Value {
    json!({ "kind": "iam/role", "trust": { "services": ["dms.amazonaws.com"] } })
}

fn connection() -> Value {
    json!({ "host": "one.example.com", "port": 5432, "database": "one", "username": "ann",
        "password": { "env": "SOURCE_PASSWORD" } })
}

/// The connection with one member changed.
fn reconnected(member: &str, value: Value) -> Edit {
    let mut to = connection();
    to[member] = value;
    edit("connection", connection(), to).needed()
}

pub(super) fn endpoint() -> Vec<Sheet> {
    let login = |path: &str| json!({ "kind": "secretsmanager/secret", "name": path, "value": { "env": "SOURCE_PASSWORD" }, "recovery_days": 0 });
    let by_secret = |secret: &str, role: &str| json!({ "secret": secret, "role": role, "database": "club" });
    let source = Sheet {
        kind: "dms/endpoint",
        world: json!({
            "login": login("one"), "other_login": login("two"), "reader": role(), "other_reader": role(),
        }),
        base: json!({ "direction": "source", "engine": "postgres", "connection": connection() }),
        probe: Some(("extra_attributes", json!({ "probe": "1" }), json!({ "probe": "2" }))),
        edits: [
            edit("name", json!("One-Name"), json!("two-names")),
            edit("engine", json!("postgres"), json!("aurora-postgresql")).needed(),
            reconnected("host", json!("two.example.com")),
            reconnected("port", json!(6543)),
            reconnected("database", json!("two")),
            reconnected("username", json!("bob")),
            reconnected("password", json!({ "env": "OTHER_PASSWORD" })),
            edit("connection", json!({ "url": { "env": "SOURCE_URL" } }), json!({ "url": { "env": "OTHER_URL" } }))
                .needed(),
            edit("connection", by_secret("login", "reader"), by_secret("other_login", "reader")).needed(),
            edit("connection", by_secret("login", "reader"), by_secret("login", "other_reader")).needed(),
            edit("ssl_mode", json!("none"), json!("require")),
            edit("certificate", json!(CERTIFICATE), json!(OTHER_CERTIFICATE))
                .with(json!({ "ssl_mode": "verify-full" }))
                .needed(),
            edit("kms_key", json!(KEY), json!(OTHER_KEY)),
            edit("extra_attributes", json!({ "libpqTimeout": "100" }), json!({ "libpqTimeout": "200" })),
            edit("role", json!("reader"), json!("other_reader")),
        ]
        .into_iter()
        .chain(settings(false))
        .collect(),
    };
    vec![source, target(), turned()]
}

fn target() -> Sheet {
    let workgroup = |namespace: &str| json!({ "kind": "redshift/workgroup", "namespace": namespace, "base_rpu": 8 });
    let namespace = json!({ "kind": "redshift/namespace", "database": "club" });
    Sheet {
        kind: "dms/endpoint",
        world: json!({
            "first": namespace, "second": namespace, "small": workgroup("first"), "large": workgroup("second"),
            "staging": { "kind": "s3/bucket" }, "other_staging": { "kind": "s3/bucket" },
            "loader": role(), "other_loader": role(),
        }),
        base: json!({
            "direction": "target", "engine": "redshift-serverless", "workgroup": "small", "bucket": "staging",
            "role": "loader",
        }),
        probe: Some(("bucket_folder", json!("probe"), json!("probes"))),
        edits: [
            edit("workgroup", json!("small"), json!("large")).twins(&["connection"]).needed(),
            edit("bucket", json!("staging"), json!("other_staging")),
            edit("bucket_folder", json!("one"), json!("two")),
            edit("role", json!("loader"), json!("other_loader")),
        ]
        .into_iter()
        .chain(settings(true))
        .collect(),
    }
}

/// A source becomes a target, which no engine is both of.
fn turned() -> Sheet {
    let turned = edit("direction", json!("source"), json!("target"));
    Sheet {
        kind: "dms/endpoint",
        world: json!({}),
        base: json!({ "direction": "source", "engine": "postgres", "connection": connection() }),
        probe: None,
        edits: vec![turned.together("engine", json!("postgres"), json!("redshift")).needed()],
    }
}

/// Two edits that between them change every setting of an engine, by the schema.
fn settings(of_redshift: bool) -> Vec<Edit> {
    let registry = towpath_aws::kinds::registry(&towpath_aws::cloud::Cloud::offline());
    let schema = registry.get("dms/endpoint").unwrap().schema();
    let (mut from, mut to) = (Map::new(), Map::new());
    for (name, property) in schema["$defs"]["Settings"]["properties"].as_object().unwrap() {
        let text = property["description"].as_str().unwrap();
        if text.starts_with(if of_redshift { "PostgreSQL:" } else { "Redshift:" }) {
            continue;
        }
        let (one, two) = match (property["enum"].as_array(), property["type"].to_string()) {
            (Some(words), _) => (words[0].clone(), words[1].clone()),
            (None, kind) if kind.contains("boolean") => (json!(true), json!(false)),
            (None, kind) if kind.contains("integer") => (json!(10), json!(20)),
            _ => (json!("one"), json!("two")),
        };
        from.insert(name.clone(), one);
        to.insert(name.clone(), two);
    }
    let all = edit("settings", Value::Object(from), Value::Object(to));
    let rule = "EncryptionMode can change from SSE_KMS to SSE_S3 only";
    vec![if of_redshift { all.forced(rule) } else { all }]
}

fn end(direction: &str, engine: &str) -> Value {
    json!({ "kind": "dms/endpoint", "direction": direction, "engine": engine, "connection": connection() })
}

fn mapped(schema: &str) -> Value {
    json!({ "rules": [{ "rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
        "object-locator": { "schema-name": schema, "table-name": "%" } }] })
}

fn commit_rate(rate: u32) -> Value {
    json!({ "FullLoadSettings": { "CommitRate": rate } })
}

pub(super) fn replication_config() -> Vec<Sheet> {
    let subnets = json!({ "kind": "dms/subnet_group", "subnets": "default", "depends_on": ["vpc_role"] });
    let group = json!({ "kind": "ec2/security_group" });
    vec![Sheet {
        kind: "dms/replication_config",
        world: json!({
            "vpc_role": { "kind": "iam/role", "preset": "dms-vpc-role" }, "subnets": subnets, "others": subnets,
            "guard": group, "watch": group,
            "here": end("source", "postgres"), "there": end("source", "postgres"),
            "sink": end("target", "redshift"), "other_sink": end("target", "redshift"),
        }),
        base: json!({
            "source": "here", "target": "sink", "mode": "cdc", "tables": [{ "schema": "public" }],
            "max_capacity_units": 16, "subnet_group": "subnets",
        }),
        probe: Some(("maintenance_window", json!("sun:01:00-sun:01:30"), json!("mon:01:00-mon:01:30"))),
        edits: [
            edit("name", json!("One-Name"), json!("two-names")),
            edit("source", json!("here"), json!("there")).needed(),
            edit("target", json!("sink"), json!("other_sink")).needed(),
            edit("mode", json!("full-load"), json!("full-load-and-cdc")).needed(),
            edit("mappings", mapped("one"), mapped("two")).with(json!({ "tables": null })).twins(&["tables"]).needed(),
            edit("settings", commit_rate(20_000), commit_rate(30_000)),
            edit("supplemental_settings", json!({ "one": 1 }), json!({ "two": 2 })),
            edit("max_capacity_units", json!(16), json!(32)).needed(),
            edit("min_capacity_units", json!(2), json!(4)),
            // With two zones AWS chooses them.
            edit("multi_az", json!(false), json!(true)).twins(&["availability_zone"]),
            edit("availability_zone", json!("eu-north-1a"), json!("eu-north-1b")),
            edit("subnet_group", json!("subnets"), json!("others")),
            edit("security_groups", json!(["guard"]), json!(["watch", "guard"])),
            edit("kms_key", json!(KEY), json!(OTHER_KEY)),
            edit("maintenance_window", json!("Sun:06:00-Sun:06:30"), json!("Mon:06:00-Mon:06:30")),
            edit("dns_servers", json!("10.0.0.2"), json!("10.0.0.3")),
        ]
        .into_iter()
        .chain(tables())
        // There are no views to change to: the one type goes away together with another change.
        .chain([edit(
            "tables",
            json!([{ "schema": "public", "type": "table", "include": ["a%"] }]),
            json!([{ "schema": "public", "include": ["b%"] }]),
        )
        .twins(&["mappings"])
        .needed()])
        .collect(),
    }]
}

pub(super) fn replication_task() -> Vec<Sheet> {
    let instance = json!({ "kind": "dms/replication_instance", "class": "dms.t3.medium", "depends_on": ["vpc_role"] });
    vec![Sheet {
        kind: "dms/replication_task",
        world: json!({
            "vpc_role": { "kind": "iam/role", "preset": "dms-vpc-role" },
            "machine": instance, "other_machine": instance,
            "here": end("source", "postgres"), "there": end("source", "postgres"),
            "sink": end("target", "redshift"), "other_sink": end("target", "redshift"),
        }),
        base: json!({
            "instance": "machine", "source": "here", "target": "sink", "mode": "cdc",
            "tables": [{ "schema": "public" }],
        }),
        probe: Some(("task_data", json!("{\"probe\":1}"), json!("{\"probe\":2}"))),
        edits: [
            edit("name", json!("One-Name"), json!("two-names")),
            edit("instance", json!("machine"), json!("other_machine")).needed(),
            edit("source", json!("here"), json!("there")).needed(),
            edit("target", json!("sink"), json!("other_sink")).needed(),
            edit("mode", json!("full-load"), json!("full-load-and-cdc")).needed(),
            edit("mappings", mapped("one"), mapped("two")).with(json!({ "tables": null })).twins(&["tables"]).needed(),
            edit("settings", commit_rate(20_000), commit_rate(30_000)),
            edit("cdc_start_position", json!("0/1000000"), json!("0/2000000")),
            edit(
                "cdc_stop_position",
                json!("server_time:2027-01-01T00:00:00"),
                json!("server_time:2027-02-01T00:00:00"),
            ),
            edit("task_data", json!("{\"one\":1}"), json!("{\"two\":2}")),
        ]
        .into_iter()
        .chain(tables())
        .chain([tables_with("type", &json!("table"), &json!("view"))])
        .collect(),
    }]
}

/// An edit of one member of the short form of tables.
fn tables_with(member: &str, from: &Value, to: &Value) -> Edit {
    let rule = |value: &Value| {
        let mut rule = json!({ "schema": "public" });
        rule[member] = value.clone();
        json!([rule])
    };
    edit("tables", rule(from), rule(to)).twins(&["mappings"]).needed()
}

/// An edit for every member of the short form of tables but the type.
fn tables() -> Vec<Edit> {
    let filter = |value: &str| json!([{ "column": "id", "any": [{ "operator": "gte", "value": value }] }]);
    let column = |name: &str| json!({ name: { "expression": "$AR_H_COMMIT_TIMESTAMP", "type": "datetime" } });
    let ranges = |last: &str| json!({ "a": { "columns": ["id"], "boundaries": [["10"], [last]] } });
    let members = [
        ("schema", json!("public"), json!("club")),
        ("include", json!(["a%"]), json!(["b%"])),
        ("exclude", json!(["tmp_%"]), json!(["old_%"])),
        ("load_order", json!(1), json!(2)),
        ("filters", filter("1"), filter("2")),
        ("rename_schema", json!("one"), json!("two")),
        ("rename_tables", json!({ "a": "b" }), json!({ "a": "c" })),
        ("remove_columns", json!({ "a": ["x"] }), json!({ "a": ["y"] })),
        ("add_columns", column("seen_at"), column("loaded_at")),
        ("parallel_load", ranges("20"), ranges("30")),
        ("convert_case", json!("lower"), json!("upper")),
    ];
    members.iter().map(|(member, from, to)| tables_with(member, from, to)).collect()
}
