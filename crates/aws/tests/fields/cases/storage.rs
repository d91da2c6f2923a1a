//! Buckets and secrets.

use serde_json::json;

use super::{KEY, OTHER_KEY, Sheet};
use crate::edit::edit;

pub(super) fn bucket() -> Vec<Sheet> {
    vec![Sheet {
        kind: "s3/bucket",
        world: json!({}),
        base: json!({ "name": "dms-club-staging" }),
        probe: Some(("abort_uploads_days", json!(7), json!(8))),
        edits: vec![
            edit("name", json!("dms-club-one"), json!("dms-club-two")),
            edit("block_public_access", json!(true), json!(false)).defaults_to(json!(true)),
            edit("encryption", json!("sse-s3"), json!("sse-kms")).twins(&["kms_key"]),
            edit("kms_key", json!(KEY), json!(OTHER_KEY)).with(json!({ "encryption": "sse-kms" })),
            edit("versioning", json!(true), json!(false)),
            edit("expire_days", json!(3), json!(5)),
            edit("abort_uploads_days", json!(1), json!(2)),
        ],
    }]
}

pub(super) fn secret() -> Vec<Sheet> {
    vec![Sheet {
        kind: "secretsmanager/secret",
        world: json!({}),
        base: json!({ "value": { "env": "SOURCE_PASSWORD" }, "recovery_days": 0 }),
        probe: Some(("description", json!("a"), json!("b"))),
        edits: vec![
            edit("name", json!("club/one"), json!("club/two")),
            edit("description", json!("one"), json!("two")),
            edit("value", json!({ "env": "SOURCE_PASSWORD" }), json!({ "env": "OTHER_PASSWORD" })),
            edit("generate", json!({ "length": 16 }), json!({ "length": 32 })).with(json!({ "value": null })),
            edit("value_version", json!(1), json!(2)),
            edit("kms_key", json!(KEY), json!(OTHER_KEY)),
            edit("recovery_days", json!(0), json!(7)),
        ],
    }]
}
