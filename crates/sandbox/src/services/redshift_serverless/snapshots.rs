//! Snapshots of namespaces, with the rows of their warehouses, and restoring from them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{conflict, namespaces, not_found, page, tags};
use crate::call::{ApiError, Call, Fate};
use crate::clock::Timestamp;
use crate::cloud::Cloud;
use crate::services::redshift_data::{snapshots as data, warehouse};
use crate::world::dms::Lifecycle;
use crate::world::redshift_serverless::{Namespace, Snapshot};

const CREATING: Duration = Duration::from_mins(1);
const RESTORING: Duration = Duration::from_mins(3);
/// After this time a restore without an end belongs to a process that died.
const INTERRUPTED: Duration = Duration::from_mins(10);

/// The rows of a warehouse on their way into a snapshot.
pub(super) struct Copying {
    name: String,
    from: String,
    to: String,
}

impl Copying {
    /// Copies them, and says so in the snapshot.
    pub(super) async fn take(self, cloud: &Cloud) {
        let result = data::take(cloud, &self.from, &self.to).await;
        let written = cloud.write(|world| {
            let Some(snapshot) = world.redshift_serverless.snapshots.get_mut(&self.name) else { return };
            snapshot.copying = false;
            if result.is_err() {
                snapshot.lifecycle = Lifecycle::steady("FAILED");
            }
        });
        if let Some(error) = result.err().or_else(|| written.err().map(|error| error.to_string())) {
            tracing::warn!(error, snapshot = self.name, "the rows of a snapshot could not be copied");
        }
    }
}

/// Adds a snapshot of a namespace; gives the copy that is still to be made, if the namespace has rows.
pub(super) fn add(
    call: &mut Call<'_>,
    namespace: &Namespace,
    name: &str,
    retention: i64,
    lifecycle: Lifecycle,
) -> Result<Option<Copying>, ApiError> {
    // "[a-z][a-z0-9]*(-[a-z0-9]+)*", at most 255 characters (CloudFormation's public resource schema
    // `AWS::RedshiftServerless::Namespace`, `FinalSnapshotName`).
    let fits = name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    if !fits {
        return Err(call.input.invalid(format!("Invalid snapshot name: {name}")));
    }
    if call.world.redshift_serverless.snapshots.contains_key(name) {
        return Err(conflict(format!("Snapshot {name} already exists.")));
    }
    let body = body(call, namespace, name, retention);
    let arn = body["snapshotArn"].as_str().unwrap_or_default().to_owned();
    tags::keep(call, &arn)?;
    let copying = namespace.has_data.then(|| Copying {
        name: name.to_owned(),
        from: warehouse::database_of(namespace),
        to: warehouse::database_of_snapshot(&arn),
    });
    let snapshot = Snapshot { lifecycle, body, copying: copying.is_some(), has_rows: copying.is_some() };
    call.world.redshift_serverless.snapshots.insert(name.to_owned(), snapshot);
    Ok(copying)
}

fn body(call: &Call<'_>, namespace: &Namespace, name: &str, retention: i64) -> Map<String, Value> {
    let now = call.clock.now().iso();
    let body = json!({
        "snapshotName": name,
        "snapshotArn": call.place.arn("redshift-serverless", &format!("snapshot/{}", Uuid::new_v4())),
        "namespaceName": namespace.name, "namespaceArn": namespace.arn, "adminUsername": namespace.admin, "ownerAccount": call.place.account,
        "kmsKeyId": namespace.kms_key.as_deref().unwrap_or("AWS_OWNED_KMS_KEY"),
        "snapshotCreateTime": now, "snapshotRetentionStartTime": now, "snapshotRetentionPeriod": retention,
        "accountsWithRestoreAccess": [], "accountsWithProvisionedRestoreAccess": [],
    });
    body.as_object().cloned().unwrap_or_default()
}

/// `CreateSnapshot`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let (name, own) = (input.required("snapshotName")?, input.required("namespaceName")?);
    let now = call.clock.now();
    let state = &call.world.redshift_serverless;
    let namespace = state
        .namespaces
        .get(own)
        .filter(|own| !own.lifecycle.is_gone(now))
        .cloned()
        .ok_or_else(|| not_found(format!("Namespace not found: {own}")))?;
    if !state.workgroups.values().any(|workgroup| workgroup.namespace == own && !workgroup.lifecycle.is_gone(now)) {
        return Err(conflict(format!("The namespace {own} has no workgroup; a snapshot needs one.")));
    }
    let end = if call.fate == Fate::Failure { "FAILED" } else { "AVAILABLE" };
    let lifecycle = Lifecycle::steady("CREATING").then(call.clock.after(CREATING), end);
    let copying = add(call, &namespace, name, input.integer("retentionPeriod")?.unwrap_or(-1), lifecycle)?;
    if let Some(copying) = copying {
        call.afterwards(move |cloud| async move { copying.take(&cloud).await });
    }
    let shown = call.world.redshift_serverless.snapshots.get(name).map(|snapshot| show(snapshot, now));
    Ok(json!({ "snapshot": shown }))
}

fn status(snapshot: &Snapshot, now: Timestamp) -> &str {
    match snapshot.lifecycle.at(now) {
        "AVAILABLE" if snapshot.copying => "CREATING",
        status => status,
    }
}

fn show(snapshot: &Snapshot, now: Timestamp) -> Value {
    let mut body = snapshot.body.clone();
    body.insert("status".to_owned(), json!(status(snapshot, now)));
    Value::Object(body)
}

fn find(call: &Call<'_>) -> Result<Snapshot, ApiError> {
    let input = call.input;
    let (name, arn) = (input.text("snapshotName")?, input.text("snapshotArn")?);
    let fits = |snapshot: &&Snapshot| {
        name.is_some_and(|name| snapshot.body["snapshotName"] == json!(name))
            || arn.is_some_and(|arn| snapshot.body["snapshotArn"] == json!(arn))
    };
    call.world.redshift_serverless.snapshots.values().find(fits).cloned().ok_or_else(|| not_found("Snapshot not found"))
}

/// `GetSnapshot`.
pub(super) fn get(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "snapshot": show(&find(call)?, call.clock.now()) }))
}

/// `ListSnapshots`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let (namespace, arn) = (input.text("namespaceName")?, input.text("namespaceArn")?);
    let now = call.clock.now();
    let fits = |own: &&Snapshot| {
        namespace.is_none_or(|name| own.body["namespaceName"] == json!(name))
            && arn.is_none_or(|arn| own.body["namespaceArn"] == json!(arn))
    };
    let found = call.world.redshift_serverless.snapshots.values().filter(fits).map(|own| show(own, now)).collect();
    page(call.input, "snapshots", found)
}

/// `UpdateSnapshot`: how long it is kept.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let name = call.input.required("snapshotName")?;
    let (now, period) = (call.clock.now(), call.input.integer("retentionPeriod")?);
    let snapshot = call.world.redshift_serverless.snapshots.get_mut(name);
    let snapshot = snapshot.ok_or_else(|| not_found(format!("Snapshot not found: {name}")))?;
    if let Some(period) = period {
        snapshot.body.insert("snapshotRetentionPeriod".to_owned(), json!(period));
        snapshot.body.insert("snapshotRetentionStartTime".to_owned(), json!(now.iso()));
    }
    Ok(json!({ "snapshot": show(snapshot, now) }))
}

/// `DeleteSnapshot`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let snapshot = find(call)?;
    let name = snapshot.body["snapshotName"].as_str().unwrap_or_default().to_owned();
    let arn = snapshot.body["snapshotArn"].as_str().unwrap_or_default().to_owned();
    call.world.redshift_serverless.snapshots.shift_remove(&name);
    call.world.redshift_serverless.tags.shift_remove(&arn);
    let mut shown = show(&snapshot, call.clock.now());
    shown["status"] = json!("DELETED");
    Ok(json!({ "snapshot": shown }))
}

/// `RestoreFromSnapshot`: what the namespace holds is replaced by what the snapshot has.
pub(super) fn restore(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let snapshot = find(call)?;
    let (name, own) = (input.required("namespaceName")?, input.required("workgroupName")?);
    let now = call.clock.now();
    if status(&snapshot, now) != "AVAILABLE" {
        return Err(conflict(format!("The snapshot is in state {}.", status(&snapshot, now))));
    }
    let state = &call.world.redshift_serverless;
    let namespace = state.namespaces.get(name).filter(|own| !own.lifecycle.is_gone(now)).cloned();
    let mut namespace = namespace.ok_or_else(|| not_found(format!("Namespace not found: {name}")))?;
    let workgroup = state.workgroups.get(own).filter(|own| own.namespace == name && !own.lifecycle.is_gone(now));
    let workgroup = workgroup.ok_or_else(|| not_found(format!("Workgroup not found: {own}")))?;
    if namespace.lifecycle.at(now) != "AVAILABLE" || workgroup.lifecycle.at(now) != "AVAILABLE" {
        return Err(conflict("There is an operation running on the namespace. Try to restore again later."));
    }
    let ready = call.clock.after(RESTORING);
    namespace.lifecycle = Lifecycle::steady("MODIFYING").then(now.plus(INTERRUPTED), "AVAILABLE");
    let shown = namespaces::show(&namespace, now);
    let from = snapshot.body["snapshotArn"].as_str().map(warehouse::database_of_snapshot);
    let (from, into) = (from.filter(|_| snapshot.has_rows), namespace.name.clone());
    call.world.redshift_serverless.namespaces.insert(name.to_owned(), namespace);
    call.afterwards(move |cloud| async move {
        let restored = data::restore(&cloud, from.as_deref(), &into).await;
        let written = cloud.write(|world| {
            if let Some(namespace) = world.redshift_serverless.namespaces.get_mut(&into) {
                namespace.lifecycle = Lifecycle::steady("MODIFYING").then(ready, "AVAILABLE");
            }
        });
        if let Some(error) = restored.err().or_else(|| written.err().map(|error| error.to_string())) {
            tracing::warn!(error, "a namespace could not be restored");
        }
    });
    let told = snapshot.body["snapshotName"].clone();
    Ok(json!({ "namespace": shown, "snapshotName": told, "ownerAccount": call.place.account }))
}
