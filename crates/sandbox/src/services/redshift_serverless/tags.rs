//! Tags of namespaces, workgroups and snapshots.

use serde_json::{Value, json};

use super::not_found;
use crate::call::{ApiError, Call};

const MOST: usize = 50;

/// Puts the request's tags onto an ARN.
pub(super) fn keep(call: &mut Call<'_>, arn: &str) -> Result<(), ApiError> {
    let input = call.input;
    let mut given = Vec::new();
    for tag in input.structures("tags")? {
        let (key, value) = (tag.required("key")?, tag.text("value")?.unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 || key.starts_with("aws:") {
            return Err(input.invalid(format!("Invalid tag key or value: {key}")));
        }
        given.push((key.to_owned(), value.to_owned()));
    }
    if given.is_empty() {
        return Ok(());
    }
    let tags = call.world.redshift_serverless.tags.entry(arn.to_owned()).or_default();
    tags.extend(given);
    if tags.len() > MOST {
        return Err(ApiError::new("TooManyTagsException", format!("The resource can have at most {MOST} tags")));
    }
    Ok(())
}

/// `TagResource`.
pub(super) fn tag(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = existing(call)?;
    keep(call, &arn)?;
    Ok(json!({}))
}

/// `UntagResource`.
pub(super) fn untag(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = existing(call)?;
    let keys = call.input.texts("tagKeys")?;
    if let Some(tags) = call.world.redshift_serverless.tags.get_mut(&arn) {
        tags.retain(|key, _| !keys.contains(&key.as_str()));
    }
    Ok(json!({}))
}

/// `ListTagsForResource`.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = existing(call)?;
    let tags: Vec<Value> = call
        .world
        .redshift_serverless
        .tags
        .get(&arn)
        .into_iter()
        .flatten()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    Ok(json!({ "tags": tags }))
}

fn existing(call: &Call<'_>) -> Result<String, ApiError> {
    let arn = call.input.required("resourceArn")?;
    let state = &call.world.redshift_serverless;
    let now = call.clock.now();
    let known = state.namespaces.values().any(|own| own.arn == arn && !own.lifecycle.is_gone(now))
        || state.workgroups.values().any(|own| own.arn == arn && !own.lifecycle.is_gone(now))
        || state.snapshots.values().any(|own| own.body.get("snapshotArn").and_then(Value::as_str) == Some(arn));
    if known { Ok(arn.to_owned()) } else { Err(not_found(format!("Resource {arn} does not exist"))) }
}
