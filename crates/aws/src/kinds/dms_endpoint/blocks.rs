//! The settings block of an endpoint's engine, as a create or a modify sends it. What stands in it
//! beside the settings themselves (bucket, role, secret) belongs to the spec. No call is made here.

use aws_sdk_databasemigration::types::{PostgreSqlSettings, RedshiftSettings};
use serde_json::Value;

use super::access::Access;
use super::{Settings, Spec};
use crate::kinds::dms_common;

/// The engine's block of a create or modify; `None` when it would be empty.
pub(super) struct Blocks {
    pub(super) postgres: Option<PostgreSqlSettings>,
    pub(super) redshift: Option<RedshiftSettings>,
}

/// `settings` are those to send, `changed` says which other fields are to be sent.
pub(super) fn blocks(
    spec: &Spec,
    access: Option<&Access>,
    settings: &Settings,
    changed: &dyn Fn(&str) -> bool,
) -> Blocks {
    let role = spec.role.clone().filter(|_| changed("role"));
    let secret = access.and_then(|access| access.secret.clone());
    let secret_role = access.and_then(|access| access.role.clone()).filter(|_| secret.is_some());
    // A secret says nothing of the database, which DMS then reads from the block.
    let database = access.and_then(|access| access.database.clone()).filter(|_| secret.is_some());
    if spec.engine.is_redshift() {
        let empty = RedshiftSettings::builder().build();
        let mut block = empty.clone();
        settings.write_redshift(&mut block);
        block.bucket_name = spec.bucket.clone().filter(|_| changed("bucket"));
        block.bucket_folder = spec.bucket_folder.clone().filter(|_| changed("bucket_folder"));
        block.service_access_role_arn = role;
        block.secrets_manager_secret_id = secret;
        block.secrets_manager_access_role_arn = secret_role;
        block.database_name = database;
        return Blocks { postgres: None, redshift: Some(block).filter(|block| *block != empty) };
    }
    let empty = PostgreSqlSettings::builder().build();
    let mut block = empty.clone();
    settings.write_postgres(&mut block);
    block.service_access_role_arn = role;
    block.secrets_manager_secret_id = secret;
    block.secrets_manager_access_role_arn = secret_role;
    block.database_name = database;
    Blocks { postgres: Some(block).filter(|block| *block != empty), redshift: None }
}

/// The spec with what the live settings block has beside it.
pub(super) fn with_live_block(spec: &Spec, state: &Value) -> Spec {
    let live = |field: &str| state[field].as_str().map(str::to_owned);
    let mut settings = state["settings"].as_object().cloned().unwrap_or_default();
    let declared = spec.settings.as_ref().map(dms_common::state);
    settings.extend(declared.as_ref().and_then(Value::as_object).cloned().unwrap_or_default());
    Spec {
        bucket: spec.bucket.clone().or_else(|| live("bucket")),
        bucket_folder: spec.bucket_folder.clone().or_else(|| live("bucket_folder")),
        role: spec.role.clone().or_else(|| live("role")),
        settings: serde_json::from_value(Value::Object(settings)).ok().or_else(|| spec.settings.clone()),
        ..spec.clone()
    }
}
