//! Two stacks, or two environments of one, field by field. Pure: what stands in AWS is compared by
//! the same walk over values that somebody else has read.

use serde_json::json;

use super::Stack;
use super::declare::names_of;
use crate::value::{Map, Value};

/// One place where two documents say different things.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The path, e.g. `target` or `instance.class`; a whole resource by its name.
    pub path: String,
    /// What the first says; `Null` when nothing.
    pub left: Value,
    /// What the second says.
    pub right: Value,
}

/// What two stacks say differently, in the order of the first; not their names, which are never the
/// same in two environments.
pub fn compare(left: &Stack, right: &Stack) -> Vec<Difference> {
    let mut found = differences(&header(left), &header(right));
    found.extend(differences(&resources(left), &resources(right)));
    found
}

/// What two documents say differently: blocks are gone into where both have one.
pub fn differences(left: &Value, right: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", left, right, &mut found);
    found
}

fn walk(path: &str, left: &Value, right: &Value, found: &mut Vec<Difference>) {
    let (Value::Object(first), Value::Object(second)) = (left, right) else {
        if left != right {
            found.push(Difference { path: path.to_owned(), left: left.clone(), right: right.clone() });
        }
        return;
    };
    let added = second.keys().filter(|key| !first.contains_key(*key));
    for key in first.keys().chain(added) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let of = |map: &Map| map.get(key).cloned().unwrap_or_default();
        walk(&path, &of(first), &of(second), found);
    }
}

fn header(stack: &Stack) -> Value {
    json!({
        "target": stack.target, "region": stack.region, "account": stack.account, "tags": stack.tags,
        "expires": stack.expires.map(|seconds| format!("{seconds}s")), "moved": stack.moved, "pipeline": stack.pipeline,
    })
}

fn resources(stack: &Stack) -> Value {
    let block = |resource: &super::Resource| {
        let mut block = Map::new();
        block.insert("kind".to_owned(), json!(resource.address.kind));
        if let Some(protect) = resource.protect {
            block.insert("protect".to_owned(), json!(protect));
        }
        for (key, list) in [("depends_on", &resource.depends_on), ("ignore", &resource.ignore)] {
            if !list.is_empty() {
                block.insert(key.to_owned(), json!(list));
            }
        }
        block.extend(names_of(resource.spec.clone()).as_object().cloned().unwrap_or_default());
        Value::Object(block)
    };
    Value::Object(stack.resources.iter().map(|(name, resource)| (name.clone(), block(resource))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_gone_into_and_lists_are_not() {
        let left = json!({ "a": { "x": 1, "y": [1, 2] }, "b": 1, "c": { "k": 1 } });
        let right = json!({ "a": { "x": 1, "y": [1] }, "c": 2, "d": true });
        let found = differences(&left, &right);
        let paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["a.y", "b", "c", "d"]);
        assert_eq!((&found[1].left, &found[1].right), (&json!(1), &Value::Null));
        assert!(differences(&left, &left).is_empty());
    }
}
