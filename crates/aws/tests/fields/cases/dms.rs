//! Instances, their places, and what schema conversion needs.

use serde_json::{Value, json};

use super::{KEY, OTHER_KEY, Sheet};
use crate::edit::edit;

fn vpc_role() -> Value {
    json!({ "kind": "iam/role", "preset": "dms-vpc-role" })
}

fn subnets() -> Value {
    json!({ "kind": "dms/subnet_group", "subnets": "default", "depends_on": ["vpc_role"] })
}

fn source(host: &str) -> Value {
    json!({
        "kind": "dms/endpoint", "direction": "source", "engine": "postgres",
        "connection": { "host": host, "port": 5432, "database": "club", "username": "club",
            "password": { "env": "SOURCE_PASSWORD" } },
    })
}

fn provider(host: &str) -> Value {
    json!({ "kind": "dms/data_provider", "engine": "postgres", "host": host, "database": "club" })
}

fn secret() -> Value {
    json!({ "kind": "secretsmanager/secret", "generate": { "length": 16 }, "recovery_days": 0 })
}

fn dms_role() -> Value {
    json!({ "kind": "iam/role", "trust": { "services": ["dms.amazonaws.com"] } })
}

pub(super) fn data_provider() -> Vec<Sheet> {
    let own = json!({ "host": null, "port": null, "database": null });
    vec![Sheet {
        kind: "dms/data_provider",
        world: json!({
            "here": source("here.example.com"), "there": source("there.example.com"),
            "writer": dms_role(), "other_writer": dms_role(),
        }),
        base: json!({ "engine": "postgres", "host": "db.example.com", "port": 5432, "database": "club" }),
        probe: Some(("s3_path", json!("s3://dms-p/a"), json!("s3://dms-p/b"))),
        edits: vec![
            edit("name", json!("One-Name"), json!("two-names")),
            edit("description", json!("one"), json!("two")),
            edit("engine", json!("postgres"), json!("aurora-postgresql")).needed(),
            edit("from", json!("here"), json!("there")).with(own.clone()).twins(&["host", "port", "database"]).needed(),
            edit(
                "from",
                json!({ "host": "a", "port": 1, "database": "x" }),
                json!({ "host": "b", "port": 2, "database": "y" }),
            )
            .with(own)
            .twins(&["host", "port", "database"])
            .needed(),
            edit("host", json!("one.example.com"), json!("two.example.com")).twins(&["from"]).needed(),
            edit("port", json!(5432), json!(6543)).twins(&["from"]),
            edit("database", json!("one"), json!("two")).twins(&["from"]).needed(),
            edit("ssl_mode", json!("none"), json!("require")),
            edit(
                "certificate",
                json!("arn:aws:dms:eu-north-1:111122223333:cert:ONE"),
                json!("arn:aws:dms:eu-north-1:111122223333:cert:TWO"),
            )
            .with(json!({ "ssl_mode": "verify-ca" }))
            .needed(),
            edit("s3_path", json!("s3://dms-one/folder"), json!("s3://dms-two/folder")),
            edit("s3_role", json!("writer"), json!("other_writer")),
        ],
    }]
}

pub(super) fn instance_profile() -> Vec<Sheet> {
    vec![Sheet {
        kind: "dms/instance_profile",
        world: json!({
            "vpc_role": vpc_role(), "subnets": subnets(), "others": subnets(),
            "guard": { "kind": "ec2/security_group" }, "watch": { "kind": "ec2/security_group" },
        }),
        base: json!({}),
        probe: Some(("description", json!("a"), json!("b"))),
        edits: vec![
            edit("name", json!("One-Name"), json!("two-names")),
            edit("description", json!("one"), json!("two")),
            edit("subnet_group", json!("subnets"), json!("others")),
            edit("security_groups", json!(["guard"]), json!(["watch", "guard"])),
            edit("public", json!(false), json!(true)),
            edit("network_type", json!("IPV4"), json!("DUAL")),
            edit("availability_zone", json!("eu-north-1a"), json!("eu-north-1b")),
            edit("kms_key", json!(KEY), json!(OTHER_KEY)),
        ],
    }]
}

pub(super) fn migration_project() -> Vec<Sheet> {
    let rules = |name: &str| json!({ "rules": [{ "rule-type": "transformation", "rule-name": name }] });
    let conversion = |path: &str, role: &str| json!({ "s3_path": path, "s3_role": role });
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    vec![Sheet {
        kind: "dms/migration_project",
        world: json!({
            "one": provider("one.example.com"), "two": provider("two.example.com"),
            "three": provider("three.example.com"),
            "profile": { "kind": "dms/instance_profile" }, "other_profile": { "kind": "dms/instance_profile" },
            "login": secret(), "other_login": secret(), "reader": dms_role(), "other_reader": dms_role(),
        }),
        base: json!({ "source": "one", "target": "two", "instance_profile": "profile" }),
        probe: Some(("description", json!("a"), json!("b"))),
        edits: vec![
            edit("name", json!("One-Name"), json!("two-names")),
            edit("description", json!("one"), json!("two")),
            edit("source", json!("one"), json!("three")).needed(),
            edit("source_secret", json!("login"), json!("other_login"))
                .with(json!({ "source_role": "reader" }))
                .needed(),
            edit("source_role", json!("reader"), json!("other_reader"))
                .with(json!({ "source_secret": "login" }))
                .needed(),
            edit("target", json!("two"), json!("three")).needed(),
            edit("target_secret", json!("login"), json!("other_login"))
                .with(json!({ "target_role": "reader" }))
                .needed(),
            edit("target_role", json!("reader"), json!("other_reader"))
                .with(json!({ "target_secret": "login" }))
                .needed(),
            edit("instance_profile", json!("profile"), json!("other_profile")).needed(),
            edit("transformation_rules", rules("one"), rules("two")),
            edit("conversion", conversion("s3://dms-a/x", &role("a")), conversion("s3://dms-b/y", &role("b"))),
        ],
    }]
}

pub(super) fn replication_instance() -> Vec<Sheet> {
    let kerberos = |word: &str| {
        json!({
            "secret": format!("arn:aws:secretsmanager:eu-north-1:111122223333:secret:{word}"),
            "role": format!("arn:aws:iam::111122223333:role/{word}"),
            "configuration": word,
        })
    };
    vec![Sheet {
        kind: "dms/replication_instance",
        world: json!({
            "vpc_role": vpc_role(), "subnets": subnets(), "others": subnets(),
            "guard": { "kind": "ec2/security_group" }, "watch": { "kind": "ec2/security_group" },
        }),
        base: json!({ "class": "dms.t3.medium", "subnet_group": "subnets" }),
        probe: Some(("maintenance_window", json!("sun:01:00-sun:01:30"), json!("mon:01:00-mon:01:30"))),
        edits: vec![
            edit("name", json!("One-Name"), json!("two-names")),
            edit("class", json!("dms.t3.medium"), json!("dms.t3.large")).needed(),
            edit("engine_version", json!("3.5.3"), json!("3.5.4")).forced_back("EngineVersion cannot be downgraded"),
            edit("allow_major_upgrade", json!(false), json!(true)),
            edit("auto_minor_upgrades", json!(false), json!(true)),
            edit("subnet_group", json!("subnets"), json!("others")),
            edit("security_groups", json!(["guard"]), json!(["watch", "guard"])),
            edit("public", json!(false), json!(true)),
            edit("multi_az", json!(false), json!(true)),
            edit("availability_zone", json!("eu-north-1a"), json!("eu-north-1b")),
            edit("kms_key", json!(KEY), json!(OTHER_KEY)),
            edit("maintenance_window", json!("Sun:06:00-Sun:06:30"), json!("Mon:06:00-Mon:06:30")),
            edit("network_type", json!("IPV4"), json!("DUAL")),
            edit("dns_servers", json!("10.0.0.2"), json!("10.0.0.3")),
            edit("kerberos", kerberos("one"), kerberos("two")),
            edit("apply", json!("now"), json!("maintenance_window")),
            edit("storage_gb", json!(50), json!(100)).forced_back("AllocatedStorage can grow, never shrink"),
        ],
    }]
}

pub(super) fn subnet_group() -> Vec<Sheet> {
    let subnet = |number: usize, zone: &str| json!({ "kind": "ec2/subnet", "vpc": "net", "zone": zone, "cidr": format!("10.20.{number}.0/24") });
    vec![Sheet {
        kind: "dms/subnet_group",
        world: json!({
            "vpc_role": vpc_role(), "net": { "kind": "ec2/vpc", "cidr": "10.20.0.0/16" },
            "a": subnet(1, "eu-north-1a"), "b": subnet(2, "eu-north-1b"), "c": subnet(3, "eu-north-1c"),
        }),
        base: json!({ "subnets": ["a", "b"], "depends_on": ["vpc_role"] }),
        probe: Some(("description", json!("a"), json!("b"))),
        edits: vec![
            edit("name", json!("One-Name"), json!("two-names")),
            edit("description", json!("one"), json!("two")),
            edit("subnets", json!(["a", "b"]), json!(["c", "b"])).needed(),
        ],
    }]
}
