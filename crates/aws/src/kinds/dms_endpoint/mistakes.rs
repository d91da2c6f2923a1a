//! What an endpoint's schema cannot say: which of its fields go together and which exclude each other.

use super::{Direction, Spec, SslMode, attributes};
use crate::kinds::dms_common;

/// All contradictions of a spec: `(field path, message)`.
pub(super) fn check(spec: &Spec) -> Vec<(String, String)> {
    let mut mistakes: Vec<(String, String)> = dms_common::check_name(spec.name.as_ref(), 255).into_iter().collect();
    let mut mistake = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
    let connection = spec.connection.clone().unwrap_or_default();
    match (spec.direction, spec.engine.is_redshift()) {
        (Direction::Source, true) => mistake("engine", "Redshift can only be a target"),
        (Direction::Target, false) => mistake("engine", "towpath's targets are `redshift-serverless` and `redshift`"),
        _ => {}
    }
    let ways =
        [connection.url.is_some(), connection.host.is_some(), connection.secret.is_some(), spec.workgroup.is_some()];
    if ways.iter().all(|way| !way) {
        mistake("connection", "say where the database is: `url`, `host`, `secret`, or for Redshift `workgroup`");
    }
    if connection.secret.is_some() && (connection.password.is_some() || connection.url.is_some()) {
        mistake("connection.secret", "DMS takes a secret or a password, never both");
    }
    if connection.secret.is_some() != connection.role.is_some() {
        mistake("connection.role", "`secret` and the `role` that may read it go together");
    }
    if connection.secret.is_some() && connection.database.is_none() && spec.workgroup.is_none() {
        mistake("connection.database", "DMS does not take the database from a secret: name it");
    }
    if connection.url.is_some() && spec.workgroup.is_some() {
        mistake("workgroup", "`url` and `workgroup` both say where the database is");
    }
    if connection.port.is_some() && spec.workgroup.is_some() {
        mistake("connection.port", "the port is the workgroup's");
    }
    if connection.host.is_some() && connection.url.is_none() && connection.secret.is_none() {
        if connection.database.is_none() {
            mistake("connection.database", "with `host`, name the database");
        }
        if connection.username.is_none() {
            mistake("connection.username", "with `host`, name the user");
        }
    }
    if spec.workgroup.is_some() && !spec.engine.is_redshift() {
        mistake("workgroup", "only Redshift endpoints have a workgroup");
    }
    if !spec.engine.is_redshift() && (spec.bucket.is_some() || spec.bucket_folder.is_some()) {
        mistake("bucket", "only Redshift endpoints use a bucket");
    }
    if matches!(spec.ssl_mode, Some(SslMode::VerifyCa | SslMode::VerifyFull)) && spec.certificate.is_none() {
        mistake("ssl_mode", "`verify-ca` and `verify-full` need a `certificate`");
    }
    let kms = spec.settings.as_ref().filter(|settings| settings.encryption_mode.as_deref() == Some("sse-kms"));
    if kms.is_some_and(|settings| settings.server_side_encryption_kms_key_id.is_none()) {
        mistake("settings.encryption_mode", "`sse-kms` needs `server_side_encryption_kms_key_id`");
    }
    mistakes.extend(attributes::contradictions(spec));
    mistakes.extend(spec.settings.iter().flat_map(|settings| settings.check(spec.engine.is_redshift())));
    mistakes
}
