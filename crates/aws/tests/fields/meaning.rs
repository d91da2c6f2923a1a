//! Two ways to write the same: after one was applied, the other plans nothing; and what AWS makes of a
//! value by itself is no difference.

use serde_json::{Value, json};

use crate::stand::{SUBJECT, Stand, said};

/// Applies the first of several spellings and plans each of the others.
async fn same(kind: &str, world: Value, spellings: &[Value]) {
    let stand = Stand::new().await;
    let stack = |spec: &Value| {
        let mut resources = world.clone();
        resources[SUBJECT] = spec.clone();
        resources[SUBJECT]["kind"] = json!(kind);
        resources
    };
    stand.settle(&stack(&spellings[0])).await.unwrap();
    for other in spellings {
        let planned = stand.plan(&stack(other)).await.unwrap();
        assert!(planned.plan.is_empty(), "{other} is said to differ:\n{}", said(&planned.plan));
    }
    stand.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_documents_are_compared_by_what_they_allow() {
    let role = |trust: Value, policy: Value| json!({ "trust_policy": trust, "inline": { "read": policy } });
    let trust = |principal: Value, action: Value| {
        json!({ "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Principal": principal, "Action": action }] })
    };
    let policy = |statement: Value| json!({ "Version": "2012-10-17", "Statement": statement });
    let read = json!({ "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*" });
    let labelled = json!({ "Sid": "Reading", "Resource": ["*"], "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:GetObject", "s3:getobject"] });
    let both = json!({ "Service": ["dms.amazonaws.com"], "AWS": "111122223333" });
    let spelled_out = json!({ "AWS": ["arn:aws:iam::111122223333:root"], "Service": "dms.amazonaws.com" });
    let spellings = [
        role(trust(both.clone(), json!("sts:AssumeRole")), policy(json!([read]))),
        role(trust(spelled_out, json!(["sts:AssumeRole"])), policy(labelled.clone())),
        role(trust(both, json!("sts:AssumeRole")), policy(json!([labelled]))),
    ];
    same("iam/role", json!({}), &spellings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_a_group_are_compared_by_what_they_let_through() {
    let spellings = [
        json!({ "ingress": [
            { "port": 5432, "from": "10.1.2.3/8" }, { "port": 22, "from": ["self", "192.168.0.0/16"] },
            { "protocol": "all", "from": "172.16.0.0/12" },
        ], "egress": [{ "to": "0.0.0.0/0" }] }),
        json!({ "ingress": [
            { "from": "172.16.0.0/12" },
            { "port": 22, "protocol": "tcp", "from": "192.168.0.0/16" }, { "ports": "22-22", "from": "self" },
            { "ports": "5432", "protocol": "tcp", "from": "10.0.0.0/8" },
        ], "egress": [{ "protocol": "-1", "to": "0.0.0.0/0" }] }),
    ];
    same("ec2/security_group", json!({}), &spellings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_mappings_of_a_task_are_compared_as_far_as_they_are_declared() {
    let end = |direction: &str, engine: &str| {
        json!({ "kind": "dms/endpoint", "direction": direction, "engine": engine,
            "connection": { "host": "h", "database": "d", "username": "u", "password": { "env": "SOURCE_PASSWORD" } } })
    };
    let world = json!({
        "vpc_role": { "kind": "iam/role", "preset": "dms-vpc-role" },
        "machine": { "kind": "dms/replication_instance", "class": "dms.t3.medium", "depends_on": ["vpc_role"] },
        "here": end("source", "postgres"), "sink": end("target", "redshift"),
    });
    let task = |tables: Value, settings: Value| {
        json!({ "name": "Load-It", "instance": "machine", "source": "here", "target": "sink", "mode": "full-load",
            "tables": tables, "settings": settings })
    };
    let spellings = [
        task(
            json!([{ "schema": "public", "include": ["a", "b"], "exclude": ["tmp_%"] }]),
            json!({ "FullLoadSettings": { "CommitRate": 20000 }, "Logging": { "EnableLogging": true } }),
        ),
        task(
            json!([{ "exclude": ["tmp_%"], "include": ["b", "a"], "schema": "public", "type": "table" }]),
            json!({ "Logging": { "EnableLogging": "true" }, "FullLoadSettings": { "CommitRate": "20000" } }),
        ),
        task(json!([{ "schema": "public", "include": ["a", "b"], "exclude": ["tmp_%"] }]), json!({})),
        json!({ "name": "load-it", "instance": "machine", "source": "here", "target": "sink", "mode": "full-load",
            "mappings": { "rules": [
                { "rule-type": "selection", "rule-id": "9", "rule-name": "x", "rule-action": "exclude",
                  "object-locator": { "schema-name": "public", "table-name": "tmp_%" } },
                { "rule-type": "selection", "rule-id": "7", "rule-name": "y", "rule-action": "include",
                  "object-locator": { "schema-name": "public", "table-name": "a" }, "filters": [] },
                { "rule-type": "selection", "rule-id": "8", "rule-name": "z", "rule-action": "include",
                  "object-locator": { "schema-name": "public", "table-name": "b" } },
            ] } }),
    ];
    same("dms/replication_task", world, &spellings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_have_no_order_and_identifiers_no_case() {
    let group = json!({ "kind": "ec2/security_group" });
    let profile = |name: &str, groups: Value| json!({ "name": name, "security_groups": groups });
    let spellings = [
        profile("One-Name", json!(["first", "second"])),
        profile("one-name", json!(["second", "first"])),
        profile("ONE-NAME", json!(["second", "first", "second"])),
    ];
    same("dms/instance_profile", json!({ "first": group, "second": group }), &spellings).await;
    let parameters = |value: Value| {
        json!({ "namespace": "home", "base_rpu": 8, "parameters": { "max_query_execution_time": value,
            "enable_case_sensitive_identifier": "TRUE" } })
    };
    let world = json!({ "home": { "kind": "redshift/namespace" } });
    same("redshift/workgroup", world, &[parameters(json!(3600)), parameters(json!("3600"))]).await;
}

/// A class that waits for the maintenance window is converging; the old class in the file takes it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_window_is_no_drift_and_can_be_taken_back() {
    let stand = Stand::new().await;
    let stack = |class: &str| {
        json!({
            "vpc_role": { "kind": "iam/role", "preset": "dms-vpc-role" },
            SUBJECT: { "kind": "dms/replication_instance", "class": class, "apply": "maintenance_window",
                "depends_on": ["vpc_role"] },
        })
    };
    stand.settle(&stack("dms.t3.medium")).await.unwrap();
    let waiting = stand.settle(&stack("dms.t3.large")).await.unwrap();
    let notes: Vec<&str> = waiting.plan.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(
        notes,
        ["the new `class` is accepted and takes effect in the maintenance window, sun:03:00-sun:03:30 UTC"]
    );
    assert_eq!(waiting.subject("dms/replication_instance").unwrap().state["class"], "dms.t3.medium");
    let back = stand.plan(&stack("dms.t3.medium")).await.unwrap();
    let change = &back.plan.steps[0].changes[0];
    assert_eq!((&change.before, &change.after), (&json!("dms.t3.large"), &json!("dms.t3.medium")));
    stand.apply(&back).await.unwrap();
    let after = stand.plan(&stack("dms.t3.medium")).await.unwrap();
    assert!(after.plan.is_empty() && after.plan.notes.is_empty(), "{}", said(&after.plan));
    stand.close().await;
}
