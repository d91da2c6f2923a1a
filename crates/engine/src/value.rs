//! The value tree of specs and states: JSON, in which a reference to another resource is a marker.
//!
//! A marker is an object with the single key `$ref`. Planning replaces markers whose value is
//! known already; applying replaces the rest just before the call. Kinds never see one.

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Any spec, state or part of one.
pub type Value = serde_json::Value;

/// A JSON object in the order it was written.
pub type Map = serde_json::Map<String, Value>;

/// "The output `attribute` of the resource `resource`", e.g. the `arn` of `instance`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// The key of the resource under `resources:`.
    pub resource: String,
    /// The output of its object, e.g. `arn`, `id`, `name`, `address`.
    pub attribute: String,
}

const MARKER: &str = "$ref";

impl Reference {
    /// The marker that stands for this reference inside a value.
    pub fn to_value(&self) -> Value {
        serde_json::json!({ MARKER: { "resource": self.resource, "attribute": self.attribute } })
    }

    /// Reads a marker; `None` for any other value.
    pub fn from_value(value: &Value) -> Option<Self> {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        Self::deserialize(map.get(MARKER)?).ok()
    }
}

/// A value that is written with the members of every object in alphabetical order: the same text for
/// equal content.
#[derive(Clone, Copy, Debug)]
pub struct Sorted<'a>(pub &'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
            Value::Object(map) => {
                let mut members: Vec<(&String, Sorted<'_>)> =
                    map.iter().map(|(key, item)| (key, Sorted(item))).collect();
                members.sort_by_key(|(key, _)| *key);
                serializer.collect_map(members)
            }
            other => other.serialize(serializer),
        }
    }
}

/// SHA-256, in hexadecimal, of what is written as JSON. Only for what serde writes without an error:
/// values, and structures of them.
pub(crate) fn hash(written: &impl Serialize) -> String {
    let text = serde_json::to_vec(written).unwrap_or_else(|error| panic!("a value is written as JSON: {error}"));
    hex::encode(Sha256::digest(text))
}

/// All references inside a value, in document order, with repetitions.
pub fn references(value: &Value) -> Vec<Reference> {
    if let Some(reference) = Reference::from_value(value) {
        return vec![reference];
    }
    match value {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(map) => map.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Replaces every marker for which `lookup` has a value; the others stay as they are.
pub fn resolve(value: &Value, lookup: &dyn Fn(&Reference) -> Option<Value>) -> Value {
    if let Some(reference) = Reference::from_value(value) {
        return lookup(&reference).unwrap_or_else(|| value.clone());
    }
    match value {
        Value::Array(items) => Value::Array(items.iter().map(|item| resolve(item, lookup)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), resolve(item, lookup))).collect())
        }
        other => other.clone(),
    }
}

/// Whether a marker is left anywhere inside.
pub fn is_unknown(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(is_unknown),
        Value::Object(map) => Reference::from_value(value).is_some() || map.values().any(is_unknown),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_marker_is_replaced_only_when_its_value_is_known() {
        let known = Reference { resource: "a".into(), attribute: "arn".into() };
        let unknown = Reference { resource: "b".into(), attribute: "arn".into() };
        let value = json!({ "x": [known.to_value(), unknown.to_value(), 1] });
        let resolved = resolve(&value, &|reference| (reference.resource == "a").then(|| json!("arn:a")));
        assert_eq!(resolved["x"][0], json!("arn:a"));
        assert_eq!(references(&resolved), vec![unknown]);
    }
}
