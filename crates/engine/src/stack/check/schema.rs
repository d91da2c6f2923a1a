//! Questions to a generated JSON Schema.

use crate::kind::FieldFacts;
use crate::value::Value;

/// The facts written at this place of a schema. Those that do not read are a mistake of the kind,
/// which the registry of kinds reports; here they count as none.
pub(crate) fn facts_of(schema: &Value) -> Option<FieldFacts> {
    serde_json::from_value(schema.get("x-towpath")?.clone()).ok()
}

/// The definition behind `$ref`, and the only part of an `allOf` of one.
pub(crate) fn follow<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    // Definitions that only name each other would never end.
    for _ in 0..16 {
        let definition = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| if path == "#" { Some(root) } else { root.pointer(path.strip_prefix('#')?) });
        let only = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1).map(|all| &all[0]);
        match definition.or(only) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The branches of a union, those of nested unions included.
pub(crate) fn branches<'s>(root: &'s Value, schema: &'s Value) -> Option<Vec<&'s Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array().map(|all| {
        let nested = |branch: &'s Value| {
            // A branch with facts of its own stays whole, or they would be lost.
            let inner = follow(root, branch);
            if branch.get("x-towpath").is_none() && inner.get("x-towpath").is_none() && words(root, inner).is_none() {
                branches(root, inner).unwrap_or_else(|| vec![branch])
            } else {
                vec![branch]
            }
        };
        all.iter().flat_map(nested).collect()
    })
}

/// The words of an enumeration in whichever form: `enum`, `const`, or a union of these.
pub(super) fn words(root: &Value, schema: &Value) -> Option<Vec<Value>> {
    if let Some(word) = schema.get("const") {
        return Some(vec![word.clone()]);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.clone());
    }
    let all = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
    let nested: Option<Vec<Vec<Value>>> = all
        .iter()
        .map(|branch| {
            let branch = follow(root, branch);
            if types(branch) == ["null"] { Some(vec![Value::Null]) } else { words(root, branch) }
        })
        .collect();
    nested.map(|words| words.concat())
}

/// The JSON types a schema takes; none for "anything".
pub(crate) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ => Vec::new(),
    }
}

/// Whether nothing may be written.
pub(super) fn takes_null(root: &Value, schema: &Value) -> bool {
    let schema = follow(root, schema);
    types(schema).contains(&"null") || words(root, schema).is_some_and(|words| words.contains(&Value::Null))
}

/// The JSON types that a branch takes, looked up through references and words.
pub(crate) fn shapes<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s str> {
    let schema = follow(root, schema);
    match words(root, schema) {
        Some(words) => {
            let mut shapes: Vec<&str> = words.iter().map(shape).collect();
            shapes.dedup();
            shapes
        }
        None => types(schema),
    }
}

fn shape(word: &Value) -> &'static str {
    match word {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
