//! Which live object refers to which, by the facts of the kinds and the outputs of the objects.

use std::collections::{HashMap, HashSet};

use super::build::BuildInput;
use super::decide::texts;
use crate::kind::Object;

/// The firm references between observed objects: those that keep their target from being deleted.
pub(super) struct Live<'a> {
    uses: HashMap<*const Object, Vec<(&'a str, &'a Object)>>,
}

impl<'a> Live<'a> {
    pub(super) fn of(input: &BuildInput<'a>) -> Self {
        let mut by_output: HashMap<(&str, &str, &str), &'a Object> = HashMap::new();
        for (kind, objects) in &input.observation.objects {
            for object in objects {
                for (attribute, value) in &object.outputs {
                    if let Some(text) = value.as_str() {
                        by_output.insert((kind, attribute, text), object);
                    }
                }
            }
        }
        let mut uses: HashMap<*const Object, Vec<(&'a str, &'a Object)>> = HashMap::new();
        for (kind, objects) in &input.observation.objects {
            let Some(kind) = input.registry.get(kind) else { continue };
            for (field, fact) in kind.fields() {
                let Some(refers) = fact.refers_to.as_ref().filter(|refers| !refers.loose) else { continue };
                for object in objects {
                    for text in object.state.get(field).map(texts).unwrap_or_default() {
                        let used = refers
                            .kinds
                            .iter()
                            .filter_map(|kind| by_output.get(&(kind.as_str(), refers.attribute.as_str(), text)));
                        uses.entry(std::ptr::from_ref(object))
                            .or_default()
                            .extend(used.map(|used| (field.as_str(), *used)));
                    }
                }
            }
        }
        Self { uses }
    }

    /// Everything that `object` holds by `field`, directly and through what it holds, as far as
    /// `passes` lets the way go on.
    pub(super) fn held_by(&self, object: &Object, field: &str, passes: &dyn Fn(&Object) -> bool) -> Vec<&'a Object> {
        let of = |object: &Object| self.uses.get(&std::ptr::from_ref(object)).into_iter().flatten().copied();
        let mut open: Vec<&'a Object> = of(object).filter(|(by, _)| *by == field).map(|(_, used)| used).collect();
        let mut seen: HashSet<*const Object> = HashSet::new();
        let mut found = Vec::new();
        while let Some(next) = open.pop() {
            if seen.insert(std::ptr::from_ref(next)) {
                found.push(next);
                if passes(next) {
                    open.extend(of(next).map(|(_, used)| used));
                }
            }
        }
        found
    }
}
