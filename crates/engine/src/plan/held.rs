//! Objects of others that name what a plan would delete, in a way for which the service refuses the deletion:
//! what they name stays with a word about it, and what would be made again is refused before anything is done. It
//! does not look at the service for them: they are seen only if their kinds were observed ([`holding`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::build::{Builder, Fate};
use super::{Action, Note, Plan};
use crate::kind::{Object, Pauses, Readiness, Registry};
use crate::value::Value;

/// The kinds whose objects may hold what a plan deletes, or changes only while nothing refers to it.
pub fn holding<'a>(plan: &Plan, registry: &'a Registry) -> BTreeSet<&'a str> {
    let needs_free = |kind: &str| registry.get(kind).is_some_and(|kind| kind.facts().pauses == Pauses::Holders);
    let held: HashSet<&str> = plan
        .steps
        .iter()
        .filter(|step| match step.action {
            Action::Delete => true,
            Action::Update => needs_free(&step.address.kind),
            _ => false,
        })
        .map(|step| step.address.kind.as_str())
        .collect();
    let holds = |facts: &BTreeMap<String, String>| facts.keys().any(|kind| held.contains(kind.as_str()));
    registry
        .iter()
        .filter(|kind| kind.fields().values().any(|fact| holds(&fact.holds)))
        .map(|kind| kind.kind())
        .collect()
}

impl Builder<'_> {
    /// Leaves what others hold out of what has been decided.
    pub(super) fn leave_held(&mut self) {
        let mut left = BTreeSet::new();
        for (index, holders) in self.held_by_others() {
            let case = &mut self.cases[index];
            let identity = &case.identity;
            let holders = holders.join(" and ");
            let way_out = format!("free it, or leave it as it is: --exclude {}", case.address.name);
            let note = |text: String| Note { address: case.address.clone(), text };
            match &case.fate {
                Fate::Delete { .. } => {
                    let text = format!("`{identity}` cannot be deleted while it is used by {holders}");
                    self.plan.kept.push(note(text));
                    case.fate = Fate::Aside;
                    left.insert(index);
                }
                Fate::Replace { .. } => {
                    let text = format!("`{identity}` cannot be made again while it is used by {holders}; {way_out}");
                    self.plan.refused.push(note(text));
                }
                _ => {
                    let text = format!("`{identity}` cannot be changed while it is used by {holders}; {way_out}");
                    self.plan.refused.push(note(text));
                }
            }
        }
        if !left.is_empty() {
            self.leave_used(left);
        }
    }

    /// By position of the case the others that hold it, in words.
    fn held_by_others(&self) -> BTreeMap<usize, Vec<String>> {
        let mut free: HashMap<(&str, &str, &str), usize> = HashMap::new();
        for (index, case) in self.cases.iter().enumerate() {
            let changes_free = case.kind.facts().pauses == Pauses::Holders && case.fate.updates();
            if !case.fate.deletes() && !changes_free {
                continue;
            }
            for (attribute, value) in case.object.iter().flat_map(|object| &object.outputs) {
                free.extend(value.as_str().map(|text| ((case.kind.kind(), attribute.as_str(), text), index)));
            }
        }
        let mut held: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        if free.is_empty() {
            return held;
        }
        // What stands under a name of the stack and bears nobody's tags may be on its way out, whatever it shows.
        let is_own = |object: &&Object| object.owner().is_none_or(|(stack, _)| stack == self.input.place.stack);
        let own = self.cases.iter().filter_map(|case| case.object).filter(is_own);
        let own: HashSet<*const Object> = own.map(std::ptr::from_ref).collect();
        for (kind_name, objects) in &self.input.observation.objects {
            let Some(kind) = self.input.registry.get(kind_name) else { continue };
            let holding: Vec<_> = kind.fields().iter().filter(|(_, fact)| !fact.holds.is_empty()).collect();
            let is_other = |object: &&Object| {
                object.readiness != Readiness::Deleting
                    && !kind.is_given(object)
                    && !own.contains(&std::ptr::from_ref(*object))
                    && object.owner().is_none_or(|(stack, _)| stack != self.input.place.stack)
            };
            for object in objects.iter().filter(is_other) {
                let mut found: BTreeSet<usize> = BTreeSet::new();
                for (field, fact) in &holding {
                    let texts = object.state.get(*field).map(deep_texts).unwrap_or_default();
                    let named = |text: &str| {
                        let target = |(kind, attribute): (&String, &String)| {
                            free.get(&(kind.as_str(), attribute.as_str(), text)).copied()
                        };
                        fact.holds.iter().filter_map(target).collect::<Vec<_>>()
                    };
                    found.extend(texts.into_iter().flat_map(named));
                }
                for index in found {
                    held.entry(index).or_default().push(words(kind_name, object));
                }
            }
        }
        held
    }
}

/// An object of somebody else, in words.
fn words(kind: &str, object: &Object) -> String {
    let name = object.outputs.get("name").and_then(Value::as_str).filter(|name| *name != object.identity);
    let name = name.filter(|name| !name.is_empty()).map(|name| format!(" `{name}`")).unwrap_or_default();
    let whose = match object.owner() {
        Some((stack, resource)) => format!("(resource `{resource}` of stack `{stack}`)"),
        None => "(not this stack's)".to_owned(),
    };
    format!("{kind} `{}`{name} {whose}", object.identity)
}

/// Every text of a value, at any depth.
fn deep_texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(deep_texts).collect(),
        Value::Object(map) => map.values().flat_map(deep_texts).collect(),
        _ => Vec::new(),
    }
}
