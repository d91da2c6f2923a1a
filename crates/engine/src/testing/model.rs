//! What the world must look like when a stack is applied, told from the stack's text and the world
//! alone: no line of the planner or of apply is asked.

use std::collections::BTreeMap;

use super::cloud::FakeCloud;
use crate::kind::{Object, Readiness, tag};
use crate::stack::Stack;
use crate::value::{Value, resolve};

/// What is wrong with the world, one line a mistake: resources that are missing, double, unlike
/// their spec or the stack's tags or not ready, and objects that nobody wants. Objects named in `others` are not ours.
pub fn complaints(cloud: &FakeCloud, stack: &Stack, others: &[&str]) -> Vec<String> {
    let objects = cloud.objects();
    let mut wrong = Vec::new();
    let mut found: BTreeMap<&str, &Object> = BTreeMap::new();
    for (name, resource) in &stack.resources {
        let shared = resource.spec.get("shared").is_some();
        let candidates: Vec<&Object> = objects
            .iter()
            .filter(|(kind, object)| {
                let tagged =
                    object.tags.as_ref().and_then(|tags| Some((tags.get(tag::STACK)?, tags.get(tag::RESOURCE)?)));
                *kind == resource.address.kind
                    && match tagged {
                        Some((owner, of)) => *owner == stack.name && of == name,
                        None => shared && object.identity == name.replace('_', "-"),
                    }
            })
            .map(|(_, object)| object)
            .collect();
        match candidates[..] {
            [] => wrong.push(format!("{} is missing", resource.address)),
            [one] => drop(found.insert(name, one)),
            [..] => wrong.push(format!("{} is there {} times", resource.address, candidates.len())),
        }
    }
    for (name, object) in &found {
        let resource = &stack.resources[*name];
        if object.readiness != Readiness::Ready {
            wrong.push(format!("{} is {:?}", resource.address, object.readiness));
        }
        // A limit tells whose it is and carries no other tag.
        let tagged = object.tags.as_ref().is_some_and(|tags| tags.contains_key(tag::STACK))
            && resource.address.kind != "house/limit";
        for (key, value) in stack.tags.iter().filter(|_| tagged) {
            if object.tags.as_ref().and_then(|tags| tags.get(key)) != Some(value) {
                wrong.push(format!("{} lacks the tag {key}={value}", resource.address));
            }
        }
        let wanted = resolve(&resource.spec, &|reference| {
            found.get(reference.resource.as_str())?.outputs.get(&reference.attribute).cloned()
        });
        for (field, value) in wanted.as_object().into_iter().flatten() {
            let live = object.state.get(field).unwrap_or(&Value::Null);
            let hidden = matches!(field.as_str(), "shared" | "password" | "trust");
            // An empty list and none at all are one to every service.
            let is_empty = live.is_null() && value.as_array().is_some_and(Vec::is_empty);
            if !hidden && !is_empty && live != value {
                wrong.push(format!("{}.{field} is {live}, not {value}", resource.address));
            }
        }
    }
    for (kind, object) in &objects {
        let wanted = found.values().any(|other| std::ptr::eq(*other, object));
        if !wanted && !others.contains(&object.identity.as_str()) {
            wrong.push(format!("nobody wants the {kind} `{}`: {:?}", object.identity, object.readiness));
        }
    }
    wrong
}
