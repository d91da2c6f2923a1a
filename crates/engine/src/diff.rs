//! The difference between a declared spec and a live state, field by field.
//!
//! Only declared fields are compared, and by meaning: how is said by each field's facts, after the
//! kind has brought both sides to one form. Nothing here knows plans or steps.

use std::collections::BTreeMap;

use crate::kind::{AnyKind, Change, Compare, FieldFacts};
use crate::plan::FieldChange;
use crate::value::{Map, Reference, Value, is_unknown};

/// All differences of one resource, in the order of the declaration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// Fields whose declared value the service has accepted and not put in force yet.
    pub converging: Vec<String>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a field differs that cannot change in place.
    pub fn forces_replacement(&self) -> bool {
        self.changes.iter().any(|change| change.forces_replacement.is_some())
    }
}

/// Compares `desired` (references resolved as far as possible) with the live `state`. Values in
/// `pending` stand for the live ones: one that is as declared is converging, not drift, and one that
/// is not would come into force unless it is changed back.
pub fn compare(kind: &dyn AnyKind, desired: &Value, state: &Value, pending: &Value) -> Diff {
    let facts = kind.fields();
    let wanted = kind.normalise(desired.clone());
    let live = kind.normalise(state.clone());
    let coming = if pending.is_null() { Value::Null } else { kind.normalise(pending.clone()) };
    let mut diff = Diff::default();
    for (field, after) in wanted.as_object().unwrap_or(&Map::new()) {
        let fact = facts.get(field).cloned().unwrap_or_default();
        if matches!(fact.change, Change::Local | Change::WriteOnly) || after.is_null() {
            continue;
        }
        let before = live.get(field).unwrap_or(&Value::Null);
        if fact.told_late && before.is_null() {
            continue;
        }
        // What was accepted and is not in force yet counts as the live value: it will be.
        if let Some(value) = coming.get(field).filter(|value| !value.is_null()) {
            if equal(fact.compare, after, value) {
                diff.converging.push(field.clone());
            } else {
                diff.changes.push(change(kind, field, &fact, value, after));
            }
            continue;
        }
        if !is_unknown(after) && equal(fact.compare, after, before) {
            continue;
        }
        diff.changes.push(change(kind, field, &fact, before, after));
    }
    diff
}

fn change(kind: &dyn AnyKind, field: &str, fact: &FieldFacts, before: &Value, after: &Value) -> FieldChange {
    let always = (fact.change == Change::Replace)
        .then(|| fact.rule.clone().unwrap_or_else(|| "the service cannot change it in place".to_owned()));
    let forces = always.or_else(|| kind.forces_replacement(field, before, after));
    FieldChange {
        path: field.to_owned(),
        before: if fact.compare == Compare::Subset { declared_part(after, before) } else { before.clone() },
        after: after.clone(),
        forces_replacement: forces,
        loses: fact.loses.clone(),
    }
}

/// Of a live value that compares as a subset what the declared one speaks of.
fn declared_part(declared: &Value, live: &Value) -> Value {
    let (Value::Object(wanted), Value::Object(found)) = (declared, live) else { return live.clone() };
    if Reference::from_value(declared).is_some() {
        return live.clone();
    }
    let part = wanted.iter().filter_map(|(key, value)| Some((key.clone(), declared_part(value, found.get(key)?))));
    Value::Object(part.collect())
}

/// Whether the declared value is what the live one is, in the given sense.
pub fn equal(compare: Compare, declared: &Value, live: &Value) -> bool {
    match compare {
        Compare::Exact => exact(declared, live),
        Compare::Set => set(declared, live, &exact),
        Compare::Subset => subset(declared, live),
    }
}

fn exact(declared: &Value, live: &Value) -> bool {
    match (declared, live) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| exact(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let keys = |map: &Map| map.iter().filter(|(_, value)| !value.is_null()).count();
            keys(left) == keys(right)
                && left
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .all(|(key, value)| right.get(key).is_some_and(|other| exact(value, other)))
        }
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            number.to_string() == *text
        }
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Bool(flag), Value::String(text)) | (Value::String(text), Value::Bool(flag)) => {
            flag.to_string() == *text
        }
        _ => declared == live,
    }
}

/// Every item has an equal one on the other side, both ways. A missing list is an empty one.
fn set(declared: &Value, live: &Value, same: &dyn Fn(&Value, &Value) -> bool) -> bool {
    let empty = Vec::new();
    let list = |value: &Value| match value {
        Value::Array(items) => Some(items.clone()),
        Value::Null => Some(empty.clone()),
        _ => None,
    };
    match (list(declared), list(live)) {
        (Some(left), Some(right)) => {
            left.iter().all(|item| right.iter().any(|other| same(item, other)))
                && right.iter().all(|item| left.iter().any(|other| same(other, item)))
        }
        _ => exact(declared, live),
    }
}

fn subset(declared: &Value, live: &Value) -> bool {
    match (declared, live) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, value)| subset(value, found.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.iter().all(Value::is_object) => {
            wanted.iter().all(|item| found.iter().any(|other| subset(item, other)))
        }
        (Value::Array(_), _) => set(declared, live, &exact),
        _ => exact(declared, live),
    }
}

/// The changed fields by update group, groups in the order the kind wants them.
pub fn groups(
    kind: &dyn AnyKind,
    changes: &[FieldChange],
    before: &Value,
    after: &Value,
) -> Vec<(String, Vec<FieldChange>)> {
    let facts = kind.fields();
    let mut by_group: BTreeMap<String, Vec<FieldChange>> = BTreeMap::new();
    let mut order = Vec::new();
    for change in changes {
        let group = facts.get(&change.path).map(|fact| fact.group.clone()).unwrap_or_default();
        if !by_group.contains_key(&group) {
            order.push(group.clone());
        }
        by_group.entry(group).or_default().push(change.clone());
    }
    let order = kind.order(&kind.normalise(before.clone()), &kind.normalise(after.clone()), order);
    order.into_iter().filter_map(|group| by_group.remove(&group).map(|changes| (group, changes))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_equal_their_text_and_sets_have_no_order() {
        assert!(equal(Compare::Exact, &json!(8), &json!("8")));
        assert!(equal(Compare::Exact, &json!(true), &json!("true")));
        assert!(!equal(Compare::Exact, &json!(["a", "b"]), &json!(["b", "a"])));
        assert!(equal(Compare::Set, &json!(["a", "b", "a"]), &json!(["b", "a"])));
        assert!(!equal(Compare::Set, &json!(["a"]), &json!(["a", "b"])));
        assert!(equal(Compare::Set, &json!([]), &Value::Null));
    }

    #[test]
    fn a_subset_ignores_what_was_not_declared() {
        let live = json!({"Logging": {"EnableLogging": false, "LogComponents": [{"Id": "IO", "Severity": 1}, {"Id": "X"}]}, "Other": 1});
        assert!(equal(Compare::Subset, &json!({"Logging": {"LogComponents": [{"Id": "IO"}]}}), &live));
        assert!(!equal(Compare::Subset, &json!({"Logging": {"EnableLogging": true}}), &live));
        assert!(equal(Compare::Subset, &json!({"Missing": null}), &live));
    }
}
