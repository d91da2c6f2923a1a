//! Usage limits and snapshots.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{conflict, not_found, page, tags};
use crate::call::{ApiError, Call, Fate, Input};
use crate::world::dms::Lifecycle;
use crate::world::redshift_serverless::{Namespace, Snapshot};

const SNAPSHOT: Duration = Duration::from_mins(1);

fn one_of(input: Input<'_>, member: &str, allowed: &[&str], default: Option<&str>) -> Result<String, ApiError> {
    let value = match default {
        Some(default) => input.text(member)?.unwrap_or(default),
        None => input.required(member)?,
    };
    if allowed.contains(&value) {
        Ok(value.to_owned())
    } else {
        Err(input.invalid(format!("Invalid {member}: {value}")))
    }
}

fn amount(input: Input<'_>) -> Result<i64, ApiError> {
    let amount = input.integer("amount")?.ok_or_else(|| input.missing("amount"))?;
    if amount > 0 { Ok(amount) } else { Err(input.invalid("The amount must be greater than zero")) }
}

const ACTIONS: [&str; 3] = ["log", "emit-metric", "deactivate"];

/// `CreateUsageLimit`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let arn = input.required("resourceArn")?;
    let now = call.clock.now();
    if !call.world.redshift_serverless.workgroups.values().any(|own| own.arn == arn && !own.lifecycle.is_gone(now)) {
        return Err(not_found(format!("Resource {arn} does not exist")));
    }
    let kind = one_of(input, "usageType", &["serverless-compute", "cross-region-datasharing"], None)?;
    let period = one_of(input, "period", &["daily", "weekly", "monthly"], Some("monthly"))?;
    let same = |limit: &Map<String, Value>| {
        limit["resourceArn"] == json!(arn) && limit["usageType"] == json!(kind) && limit["period"] == json!(period)
    };
    if call.world.redshift_serverless.usage_limits.values().any(same) {
        return Err(conflict("A usage limit with this usage type and period already exists for the resource."));
    }
    let id = Uuid::new_v4().to_string();
    let body = json!({
        "usageLimitId": id, "usageLimitArn": call.place.arn("redshift-serverless", &format!("usagelimit/{id}")), "resourceArn": arn,
        "usageType": kind, "period": period, "amount": amount(input)?, "breachAction": one_of(input, "breachAction", &ACTIONS, Some("log"))?,
    });
    call.world.redshift_serverless.usage_limits.insert(id, body.as_object().cloned().unwrap_or_default());
    Ok(json!({ "usageLimit": body }))
}

fn find(call: &Call<'_>) -> Result<(String, Map<String, Value>), ApiError> {
    let id = call.input.required("usageLimitId")?;
    let found = call.world.redshift_serverless.usage_limits.get(id).cloned();
    found.map(|limit| (id.to_owned(), limit)).ok_or_else(|| not_found(format!("Usage limit not found: {id}")))
}

/// `GetUsageLimit`.
pub(super) fn get(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "usageLimit": find(call)?.1 }))
}

/// `ListUsageLimits`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (arn, kind) = (call.input.text("resourceArn")?, call.input.text("usageType")?);
    let fits = |limit: &&Map<String, Value>| {
        arn.is_none_or(|arn| limit["resourceArn"] == json!(arn))
            && kind.is_none_or(|kind| limit["usageType"] == json!(kind))
    };
    let found = call
        .world
        .redshift_serverless
        .usage_limits
        .values()
        .filter(fits)
        .map(|limit| Value::Object(limit.clone()))
        .collect();
    page(call.input, "usageLimits", found)
}

/// `UpdateUsageLimit`.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, mut limit) = find(call)?;
    if call.input.has("amount") {
        limit.insert("amount".to_owned(), json!(amount(call.input)?));
    }
    if call.input.has("breachAction") {
        limit.insert("breachAction".to_owned(), json!(one_of(call.input, "breachAction", &ACTIONS, None)?));
    }
    call.world.redshift_serverless.usage_limits.insert(id, limit.clone());
    Ok(json!({ "usageLimit": limit }))
}

/// `DeleteUsageLimit`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, limit) = find(call)?;
    call.world.redshift_serverless.usage_limits.shift_remove(&id);
    Ok(json!({ "usageLimit": limit }))
}

/// A snapshot of a namespace as it is shown.
pub(super) fn snapshot_body(call: &Call<'_>, namespace: &Namespace, name: &str, retention: i64) -> Map<String, Value> {
    let now = call.clock.now().iso();
    let body = json!({
        "snapshotName": name,
        "snapshotArn": call.place.arn("redshift-serverless", &format!("snapshot/{}", Uuid::new_v4())),
        "namespaceName": namespace.name, "namespaceArn": namespace.arn, "adminUsername": namespace.admin, "ownerAccount": call.place.account,
        "kmsKeyId": namespace.kms_key.as_deref().unwrap_or("AWS_OWNED_KMS_KEY"),
        "snapshotCreateTime": now, "snapshotRetentionStartTime": now, "snapshotRetentionPeriod": retention,
    });
    body.as_object().cloned().unwrap_or_default()
}

/// `CreateSnapshot`.
pub(super) fn create_snapshot(call: &mut Call<'_>) -> Result<Value, ApiError> {
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
    if state.snapshots.contains_key(name) {
        return Err(conflict(format!("Snapshot {name} already exists.")));
    }
    let body = snapshot_body(call, &namespace, name, input.integer("retentionPeriod")?.unwrap_or(-1));
    let arn = body["snapshotArn"].as_str().unwrap_or_default().to_owned();
    tags::keep(call, &arn)?;
    let end = if call.fate == Fate::Failure { "FAILED" } else { "AVAILABLE" };
    let snapshot = Snapshot { lifecycle: Lifecycle::steady("CREATING").then(call.clock.after(SNAPSHOT), end), body };
    let shown = show(&snapshot, now);
    call.world.redshift_serverless.snapshots.insert(name.to_owned(), snapshot);
    Ok(json!({ "snapshot": shown }))
}

fn show(snapshot: &Snapshot, now: crate::clock::Timestamp) -> Value {
    let mut body = snapshot.body.clone();
    body.insert("status".to_owned(), json!(snapshot.lifecycle.at(now)));
    Value::Object(body)
}

fn find_snapshot(call: &Call<'_>) -> Result<Snapshot, ApiError> {
    let input = call.input;
    let (name, arn) = (input.text("snapshotName")?, input.text("snapshotArn")?);
    let fits = |snapshot: &&Snapshot| {
        name.is_some_and(|name| snapshot.body["snapshotName"] == json!(name))
            || arn.is_some_and(|arn| snapshot.body["snapshotArn"] == json!(arn))
    };
    call.world.redshift_serverless.snapshots.values().find(fits).cloned().ok_or_else(|| not_found("Snapshot not found"))
}

/// `GetSnapshot`.
pub(super) fn get_snapshot(call: &mut Call<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "snapshot": show(&find_snapshot(call)?, call.clock.now()) }))
}

/// `ListSnapshots`.
pub(super) fn list_snapshots(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let namespace = call.input.text("namespaceName")?;
    let now = call.clock.now();
    let fits = |own: &&Snapshot| namespace.is_none_or(|name| own.body["namespaceName"] == json!(name));
    let found = call.world.redshift_serverless.snapshots.values().filter(fits).map(|own| show(own, now)).collect();
    page(call.input, "snapshots", found)
}

/// `DeleteSnapshot`.
pub(super) fn delete_snapshot(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let snapshot = find_snapshot(call)?;
    let name = snapshot.body["snapshotName"].as_str().unwrap_or_default().to_owned();
    call.world.redshift_serverless.snapshots.shift_remove(&name);
    call.world.redshift_serverless.tags.shift_remove(snapshot.body["snapshotArn"].as_str().unwrap_or_default());
    let mut shown = show(&snapshot, call.clock.now());
    shown["status"] = json!("DELETED");
    Ok(json!({ "snapshot": shown }))
}
