//! Tags of everything EC2 holds.

use serde_json::{Value, json};

use super::{done, dry_run, listed};
use crate::call::{ApiError, Call};
use crate::services::tags;

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if call.input.structures("Tag")?.len() > tags::LIMIT {
        return Err(too_many());
    }
    let new = tags::read(call.input, "Tag")?;
    let ids = call.input.texts("ResourceId")?;
    dry_run(call.input)?;
    for id in ids {
        let own = call.world.ec2.tags_mut(id).ok_or_else(|| no_object(id))?;
        own.extend(new.clone());
        if own.len() > tags::LIMIT {
            return Err(too_many());
        }
    }
    Ok(done())
}

fn too_many() -> ApiError {
    ApiError::new("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut keys = Vec::new();
    for tag in call.input.structures("Tag")? {
        keys.push((tag.required("Key")?, tag.text("Value")?));
    }
    let ids = call.input.texts("ResourceId")?;
    dry_run(call.input)?;
    for id in ids {
        let own = call.world.ec2.tags_mut(id).ok_or_else(|| no_object(id))?;
        if keys.is_empty() {
            own.clear();
        }
        for (key, value) in &keys {
            // A value, when given, must fit for the tag to go.
            if value.is_none_or(|value| own.get(*key).is_some_and(|own| own == value)) {
                own.remove(*key);
            }
        }
    }
    Ok(done())
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let mut wanted = Vec::new();
    for filter in call.input.structures("Filter")? {
        wanted.push((filter.required("Name")?, filter.texts("Value")?));
    }
    let mut items = Vec::new();
    for (arn, tags) in call.world.ec2.tagged(call.place) {
        let (kind, id) = arn.rsplit(':').next().and_then(|object| object.split_once('/')).unwrap_or_default();
        for (key, value) in &tags {
            let fits = wanted.iter().all(|(name, values)| match *name {
                "resource-id" => values.contains(&id),
                "resource-type" => values.contains(&kind),
                "key" => values.contains(&key.as_str()),
                "value" => values.contains(&value.as_str()),
                name => name.strip_prefix("tag:") == Some(key) && values.contains(&value.as_str()),
            });
            if fits {
                items.push(json!({"resourceId": id, "resourceType": kind, "key": key, "value": value}));
            }
        }
    }
    listed(call.input, "tagSet", items)
}

fn no_object(id: &str) -> ApiError {
    let code = match id.split('-').next() {
        Some("sg") => "InvalidGroup.NotFound",
        Some("vpc") => "InvalidVpcID.NotFound",
        Some("subnet") => "InvalidSubnetID.NotFound",
        Some("sgr") => "InvalidSecurityGroupRuleId.NotFound",
        Some("eni") => "InvalidNetworkInterfaceID.NotFound",
        _ => "InvalidID",
    };
    ApiError::new(code, format!("The ID '{id}' is not valid"))
}
