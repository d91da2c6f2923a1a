//! Tags of DMS objects.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::common::not_found;
use crate::call::{ApiError, Call, Input};

/// Whether DMS takes a key or value: "The string can only contain only the set of Unicode letters, digits, white-space, '_', '.',
/// '/', '=', '+', '-' (Java regular expressions: "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-]*)$")" (DMS API reference, `Tag`).
fn fits(text: &str) -> bool {
    static TEXT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{Z}\p{N}_.:/=+-]*$").expect("a constant pattern"));
    TEXT.is_match(text)
}

/// The tags of a request.
pub(super) fn read(input: Input<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let mut tags = Vec::new();
    for tag in input.structures("Tags")? {
        let (key, value) = (tag.required("Key")?, tag.text("Value")?.unwrap_or_default());
        if key.is_empty()
            || key.chars().count() > 128
            || value.chars().count() > 256
            || ["aws:", "dms:"].iter().any(|own| key.starts_with(own) || value.starts_with(own))
            || !(fits(key) && fits(value))
        {
            return Err(input.invalid(format!(
                "Invalid tag: {key}. Keys have 1 to 128 characters, values up to 256: letters, digits, white-space and _.:/=+-, without the prefixes aws: and dms:."
            )));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// `AddTagsToResource`.
pub(super) fn add(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = existing(call, call.input.required("ResourceArn")?)?;
    let tags = read(call.input)?;
    call.world.dms.tags.entry(arn).or_default().extend(tags);
    Ok(json!({}))
}

/// `RemoveTagsFromResource`.
pub(super) fn remove(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = existing(call, call.input.required("ResourceArn")?)?;
    let keys = call.input.texts("TagKeys")?;
    if let Some(tags) = call.world.dms.tags.get_mut(&arn) {
        tags.retain(|key, _| !keys.contains(&key.as_str()));
    }
    Ok(json!({}))
}

/// `ListTagsForResource`, of one object or of many.
pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let many = call.input.texts("ResourceArnList")?;
    let (arns, with_arn) =
        if many.is_empty() { (vec![call.input.required("ResourceArn")?], false) } else { (many, true) };
    let mut list = Vec::new();
    for arn in arns {
        let arn = existing(call, arn)?;
        for (key, value) in call.world.dms.tags.get(&arn).into_iter().flatten() {
            list.push(json!({"Key": key, "Value": value, "ResourceArn": with_arn.then_some(&arn)}));
        }
    }
    Ok(json!({ "TagList": list }))
}

fn existing(call: &Call<'_>, arn: &str) -> Result<String, ApiError> {
    let dms = &call.world.dms;
    let now = call.clock.now();
    let known = dms.subnet_groups.values().any(|object| object.arn == arn)
        || dms.instances.values().any(|object| object.arn == arn && !object.lifecycle.is_gone(now))
        || dms.endpoints.values().any(|object| object.arn == arn && !object.lifecycle.is_gone(now))
        || dms.works().any(|object| object.arn == arn && !object.lifecycle.is_gone(now))
        || [&dms.data_providers, &dms.instance_profiles, &dms.migration_projects]
            .into_iter()
            .any(|objects| objects.values().any(|object| object.arn == arn));
    if known { Ok(arn.to_owned()) } else { Err(not_found(format!("Resource not found: {arn}"))) }
}
