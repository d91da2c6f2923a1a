//! What can be sent and never read back: which of it is declared is kept as a tag on the object, so
//! that another declaration is seen as a change.
//!
//! A tag holds a hash of what the stack file says (`{env: NAME}`, a length), never of a secret's
//! value: another value behind the same name is not seen.

use super::FieldChange;
use crate::kind::tag::WRITTEN;
use crate::kind::{AnyKind, Change, Object, Tags};
use crate::value::{Map, Sorted, Value, hash};

/// Whether a tag is one of these.
pub(super) fn is_one(key: &str) -> bool {
    key.starts_with(WRITTEN)
}

/// The field whose declaration a tag keeps.
pub(super) fn field_of(key: &str) -> Option<&str> {
    key.strip_prefix(WRITTEN)
}

/// The tags of a declared spec: one for each field that has something in it that cannot be read.
pub(super) fn tags(kind: &dyn AnyKind, declared: &Value) -> Tags {
    let schema = kind.schema();
    let mut tags = Tags::new();
    for (field, value) in declared.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let is_whole = kind.fields().get(field).is_some_and(|fact| fact.change == Change::WriteOnly);
        let unread = if is_whole { value.clone() } else { unread_members(&schema["properties"][field], schema, value) };
        if !unread.is_null() {
            // Eight bytes of it.
            tags.insert(format!("{WRITTEN}{field}"), hash(&Sorted(&unread))[..16].to_owned());
        }
    }
    tags
}

/// The members of a block that cannot be read back; `Null` if there are none.
fn unread_members(property: &Value, schema: &Value, value: &Value) -> Value {
    let Some(block) = value.as_object() else { return Value::Null };
    let mut found = Map::new();
    for members in blocks(property, schema) {
        for (member, value) in block {
            let facts = &members[member]["x-towpath"];
            if facts["secret"] == true || facts["change"] == "write_only" {
                found.insert(member.clone(), value.clone());
            }
        }
    }
    if found.is_empty() { Value::Null } else { Value::Object(found) }
}

/// The properties of a schema, of what it refers to, or of its branches.
fn blocks<'s>(property: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return blocks(&schema["$defs"][name], schema);
    }
    if property["properties"].is_object() {
        return vec![&property["properties"]];
    }
    let branches = ["anyOf", "oneOf"].into_iter().filter_map(|union| property[union].as_array()).flatten();
    branches.flat_map(|branch| blocks(branch, schema)).collect()
}

/// The fields of one of our objects whose declaration is not the one that was written.
pub(super) fn changes(object: &Object, wanted: &Tags, declared: &Value) -> Vec<FieldChange> {
    let live = |key: &String| object.tags.as_ref().and_then(|tags| tags.get(key));
    wanted
        .iter()
        .filter_map(|(key, hash)| {
            let field = field_of(key).filter(|_| object.tags.is_some() && live(key) != Some(hash))?;
            let known = object.state.get(field).cloned();
            Some(FieldChange {
                path: field.to_owned(),
                before: known.unwrap_or_else(|| Value::String(NOT_READABLE.to_owned())),
                after: declared[field].clone(),
                forces_replacement: None,
                loses: None,
            })
        })
        .collect()
}

/// What stands for a value that no service tells.
const NOT_READABLE: &str = "(not readable)";
