//! A stack as the story's author knows it: what is declared now, how it is written as YAML, and the
//! names that its objects may have. What an object must then look like is the model's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// One declared resource.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) kind: &'static str,
    /// What it was invented as, whatever it is called now.
    pub(super) slot: &'static str,
    pub(super) fields: Map<String, Value>,
    pub(super) protect: Option<bool>,
    /// The names that its object may have: a moved one keeps the name it was made with, and gets
    /// the one of its present key when it is made again.
    pub(super) names: BTreeSet<String>,
}

/// What one stack file declares.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) name: &'static str,
    pub(super) team: &'static str,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) moved: BTreeMap<String, String>,
}

impl Stack {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, team: "boats", resources: BTreeMap::new(), moved: BTreeMap::new() }
    }

    /// The name that a new object gets from its key.
    pub(super) fn default_name(&self, kind: &str, key: &str) -> String {
        let prefix = if kind == "s3/bucket" { "dms-" } else { "" };
        format!("{prefix}{}-{key}", self.name)
    }

    /// The key that a slot goes by at present.
    pub(super) fn key(&self, slot: &str) -> Option<&str> {
        self.resources.iter().find(|(_, resource)| resource.slot == slot).map(|(key, _)| key.as_str())
    }

    pub(super) fn declare(&mut self, kind: &'static str, slot: &'static str, fields: Value, protect: Option<bool>) {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        let preset = fields.get("preset").and_then(Value::as_str).map(str::to_owned);
        let names = BTreeSet::from([preset.unwrap_or_else(|| self.default_name(kind, slot))]);
        self.resources.insert(slot.to_owned(), Resource { kind, slot, fields, protect, names });
    }

    /// Takes a resource away and all that refers to it; what went.
    pub(super) fn remove(&mut self, key: &str) -> Vec<String> {
        let gone: Vec<String> = self.users(&BTreeSet::from([key.to_owned()])).into_iter().collect();
        for key in &gone {
            self.resources.remove(key);
            self.moved.retain(|_, new| new != key);
        }
        gone
    }

    /// These resources and all that refers to them, directly or through others.
    pub(super) fn users(&self, keys: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = keys.clone();
        loop {
            let more: Vec<String> = self
                .resources
                .iter()
                .filter(|(key, resource)| !found.contains(*key) && !self.needs(resource).is_disjoint(&found))
                .map(|(key, _)| key.clone())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// These resources and all that they refer to.
    pub(super) fn closure(&self, key: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::from([key.to_owned()]);
        let mut open = vec![key.to_owned()];
        while let Some(key) = open.pop() {
            for need in self.resources.get(&key).map(|resource| self.needs(resource)).unwrap_or_default() {
                if found.insert(need.clone()) {
                    open.push(need);
                }
            }
        }
        found
    }

    /// The keys that a resource names. No other text of a stack is a key.
    pub(super) fn needs(&self, resource: &Resource) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for value in resource.fields.values() {
            self.named(value, &mut found);
        }
        found
    }

    fn named(&self, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if self.resources.contains_key(text) => drop(found.insert(text.clone())),
            Value::Array(list) => list.iter().for_each(|item| self.named(item, found)),
            Value::Object(members) => members.values().for_each(|member| self.named(member, found)),
            _ => {}
        }
    }

    /// Gives a resource another key, under which it stays the same object.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        let mut resource = self.resources.remove(old).expect("what is renamed is declared");
        resource.names.insert(self.default_name(resource.kind, new));
        self.resources.insert(new.to_owned(), resource);
        for resource in self.resources.values_mut() {
            for value in resource.fields.values_mut() {
                replace(value, old, new);
            }
        }
        self.moved.insert(old.to_owned(), new.to_owned());
    }

    /// As a stack file.
    pub(super) fn yaml(&self) -> String {
        let mut text = format!("stack: {}\ntarget: sandbox\ntags: {{team: {}}}\n", self.name, self.team);
        if !self.moved.is_empty() {
            let _infallible = writeln!(text, "moved: {}", json!(self.moved));
        }
        text.push_str(if self.resources.is_empty() { "resources: {}\n" } else { "resources:\n" });
        for (key, resource) in &self.resources {
            let mut block = Map::from_iter([("kind".to_owned(), json!(resource.kind))]);
            block.extend(resource.fields.clone());
            if let Some(protect) = resource.protect {
                block.insert("protect".to_owned(), json!(protect));
            }
            let _infallible = writeln!(text, "  {key}: {}", Value::Object(block));
        }
        text
    }
}

fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, old, new)),
        _ => {}
    }
}
