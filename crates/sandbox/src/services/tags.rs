//! Tags in the form most services take: a list of `Key` and `Value`.

use serde_json::{Value, json};

use crate::call::{ApiError, Input};
use crate::world::Tags;

/// AWS's limit of tags on one object.
pub(crate) const LIMIT: usize = 50;

/// The tags of the list member `name`.
pub(crate) fn read(input: Input<'_>, name: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in input.structures(name)? {
        let key = tag.required("Key")?;
        let value = tag.text("Value")?.unwrap_or_default();
        check(input, key, value)?;
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > LIMIT {
        return Err(input.invalid(format!("An object can bear no more than {LIMIT} tags")));
    }
    Ok(tags)
}

/// The tags of the map member `name`: values by key.
pub(crate) fn read_map(input: Input<'_>, name: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for (key, value) in input.get(name).and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().ok_or_else(|| input.invalid(format!("{name} must be a map of strings")))?;
        check(input, key, value)?;
        tags.insert(key.clone(), value.to_owned());
    }
    Ok(tags)
}

fn check(input: Input<'_>, key: &str, value: &str) -> Result<(), ApiError> {
    if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
        return Err(input.invalid("Tag keys have 1 to 128 characters and values at most 256"));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(input.invalid("Tag keys may not start with aws:"));
    }
    Ok(())
}

/// The list of `Key` and `Value`.
pub(crate) fn write(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}
