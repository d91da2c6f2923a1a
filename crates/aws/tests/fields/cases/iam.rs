//! Roles.

use serde_json::{Value, json};

use super::Sheet;
use crate::edit::edit;

fn policy(action: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": action, "Resource": "*" }],
    })
}

fn trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" }],
    })
}

pub(super) fn role() -> Vec<Sheet> {
    let dms = |name: &str| format!("arn:aws:iam::aws:policy/service-role/{name}");
    let services = |services: &[&str]| json!({ "services": services });
    vec![Sheet {
        kind: "iam/role",
        world: json!({}),
        base: json!({ "trust": { "services": ["dms.amazonaws.com"] } }),
        probe: Some(("max_session_seconds", json!(4000), json!(5000))),
        edits: vec![
            edit("name", json!("club-one"), json!("club-two")),
            edit("trust", services(&["dms.amazonaws.com"]), services(&["redshift.amazonaws.com"]))
                .twins(&["trust_policy"])
                .needed(),
            edit("trust_policy", trust("dms.amazonaws.com"), trust("redshift.amazonaws.com"))
                .with(json!({ "trust": null }))
                .twins(&["trust"])
                .needed(),
            edit(
                "policies",
                json!([dms("AmazonDMSVPCManagementRole")]),
                json!([dms("AmazonDMSCloudWatchLogsRole"), dms("AmazonDMSRedshiftS3Role")]),
            ),
            edit("inline", json!({ "read": policy("s3:GetObject") }), json!({ "read": policy("s3:*") })),
            edit("inline", json!({ "read": policy("s3:*") }), json!({ "write": policy("s3:*") })),
            edit("description", json!("one"), json!("two")),
            edit("max_session_seconds", json!(3600), json!(7200)),
            edit("path", json!("/one/"), json!("/two/")),
            edit(
                "permissions_boundary",
                json!(dms("AmazonDMSVPCManagementRole")),
                json!(dms("AmazonDMSRedshiftS3Role")),
            ),
        ],
    }]
}
