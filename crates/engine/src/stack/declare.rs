//! Objects that exist as blocks of a stack file: what `adopt` writes.
//!
//! A live state becomes a spec by the kind's own rule; ids and ARNs of objects that are in the
//! stack, or come into it in the same go, become names. What can only be named (a subnet group of
//! an instance) comes along. Nothing here edits text (`edit` does) or decides what happens to an
//! object (`plan` does): a block that would change something is found out by planning it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::check::schema::{branches, facts_of, follow, shapes};
use crate::kind::{AnyKind, Change, Compare, FieldFacts, Found, Object, Place, RefersTo, Registry};
use crate::observe::Observation;
use crate::value::{Map, Reference, Value};

/// An object to be declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its kind.
    pub kind: String,
    /// Its identity, as [`Object::identity`] has it.
    pub identity: String,
    /// The name it shall have under `resources:`; `None` takes one made from its own.
    pub name: Option<String>,
}

/// A block for an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Its kind.
    pub kind: String,
    /// Its identity.
    pub identity: String,
    /// Its name under `resources:`.
    pub name: String,
    /// The block with `kind` first, as [`edit::append_resource`](super::edit::append_resource)
    /// takes it.
    pub block: Value,
    /// The fields that no service tells, with the environment variable that stands for each, if
    /// one does.
    pub unread: Vec<(String, Option<String>)>,
    /// Whether nobody asked for it: another one refers to it and can only name it.
    pub along: bool,
}

/// Why an object cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// No such kind.
    #[error("no kind is named `{0}`")]
    NoKind(String),
    /// No such object.
    #[error("there is no {kind} `{identity}`")]
    NoObject {
        /// The kind.
        kind: String,
        /// What was asked for.
        identity: String,
    },
    /// It refers to something that is not there.
    #[error("{kind} `{identity}` refers by `{field}` to `{target}`, which cannot be read")]
    Unreferable {
        /// The kind.
        kind: String,
        /// The object.
        identity: String,
        /// The field.
        field: String,
        /// The other object.
        target: String,
    },
}

/// What is known of the stack that the objects come into.
pub struct Surroundings<'a> {
    /// What there is.
    pub observation: &'a Observation,
    /// The kinds.
    pub registry: &'a Registry,
    /// Where.
    pub place: &'a Place,
    /// The object of each resource that has one, by resource.
    pub standing: &'a BTreeMap<String, &'a Object>,
    /// The kind of every resource of the stack, by resource.
    pub kinds: &'a BTreeMap<String, String>,
}

/// The object that a user means by its identity, its name or its ARN.
pub fn find<'a>(observation: &'a Observation, kind: &str, wanted: &str) -> Option<&'a Object> {
    let objects = observation.of(kind);
    let by_identity = objects.iter().find(|object| object.identity.eq_ignore_ascii_case(wanted));
    let has = |object: &&Object, attribute: &str| {
        object.outputs.get(attribute).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(wanted))
    };
    let mut others = objects.iter().filter(|object| has(object, "arn") || has(object, "name"));
    by_identity.or_else(|| others.next().filter(|_| others.next().is_none()))
}

/// Writes the wanted objects, and what they can only name, as blocks; each after what it names.
///
/// # Errors
/// If an object is not there, or refers to one that can only be named and is not there.
pub fn declare(wanted: &[Wanted], around: &Surroundings<'_>) -> Result<Vec<Declared>, DeclareError> {
    let mut names = Names::new(around);
    for one in wanted {
        names.take(one, false)?;
    }
    loop {
        let mut missing = Vec::new();
        let mut declared = Vec::new();
        for taken in &names.taken {
            declared.push(names.block(taken, &mut missing)?);
        }
        if missing.is_empty() {
            let position = |one: &Declared| names.taken.iter().position(|taken| taken.name == one.name);
            return Ok(in_order(declared, &position));
        }
        for one in &missing {
            names.take(one, true)?;
        }
    }
}

/// What is named comes before what names it; else as asked for.
fn in_order(mut open: Vec<Declared>, position: &dyn Fn(&Declared) -> Option<usize>) -> Vec<Declared> {
    let mut sorted: Vec<Declared> = Vec::new();
    open.sort_by_key(|one| position(one));
    while !open.is_empty() {
        let waits =
            |one: &Declared| open.iter().any(|other| other.name != one.name && mentions(&one.block, &other.name));
        let next = open.iter().position(|one| !waits(one)).unwrap_or(0);
        sorted.push(open.remove(next));
    }
    sorted
}

fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text == name,
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        Value::Object(map) => map.iter().any(|(key, item)| key != "kind" && mentions(item, name)),
        _ => false,
    }
}

struct Taken<'a> {
    kind: &'a dyn AnyKind,
    object: &'a Object,
    name: String,
    along: bool,
}

/// The objects of the stack and those that come into it, by name.
struct Names<'a> {
    around: &'a Surroundings<'a>,
    used: BTreeSet<String>,
    taken: Vec<Taken<'a>>,
}

impl<'a> Names<'a> {
    fn new(around: &'a Surroundings<'a>) -> Self {
        Self { around, used: around.kinds.keys().cloned().collect(), taken: Vec::new() }
    }

    fn take(&mut self, wanted: &Wanted, along: bool) -> Result<(), DeclareError> {
        let kind = self.around.registry.get(&wanted.kind).ok_or_else(|| DeclareError::NoKind(wanted.kind.clone()))?;
        let object = find(self.around.observation, kind.kind(), &wanted.identity)
            .ok_or_else(|| DeclareError::NoObject { kind: wanted.kind.clone(), identity: wanted.identity.clone() })?;
        if self.taken.iter().any(|taken| std::ptr::eq(taken.object, object)) {
            return Ok(());
        }
        let name = wanted.name.clone().unwrap_or_else(|| self.free_name(kind.as_ref(), object));
        self.used.insert(name.clone());
        self.taken.push(Taken { kind: kind.as_ref(), object, name, along });
        Ok(())
    }

    /// A name for a resource: the object's own without the stack's prefix, in the form that names
    /// of resources have, with a number behind it where it is taken.
    fn free_name(&self, kind: &dyn AnyKind, object: &Object) -> String {
        let own = object.outputs.get("name").and_then(Value::as_str);
        let assigned = kind.facts().assigned_identity;
        let thing = kind.kind().rsplit('/').next().unwrap_or_default();
        let whole = own.unwrap_or(if assigned { thing } else { &object.identity }).to_lowercase();
        let prefix = format!("{}-", self.around.place.stack);
        let short = whole.strip_prefix("dms-").filter(|rest| rest.starts_with(&prefix)).unwrap_or(&whole);
        let short = short.strip_prefix(&prefix).unwrap_or(short);
        let mut name = String::new();
        for letter in short.chars() {
            let letter = if letter.is_ascii_alphanumeric() { letter } else { '_' };
            if letter != '_' || !name.ends_with('_') {
                name.push(letter);
            }
        }
        let mut name = name.trim_matches('_').chars().take(50).collect::<String>();
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            name = format!("{thing}_{name}");
        }
        let mut free = name.clone();
        for number in 2.. {
            if !self.used.contains(&free) {
                break;
            }
            free = format!("{name}_{number}");
        }
        free
    }

    /// The resource that stands for an object with this output.
    fn named(&self, refers: &RefersTo, value: &Value) -> Option<(&str, &'a Object)> {
        let has = |object: &Object| object.outputs.get(&refers.attribute) == Some(value);
        let taken = self
            .taken
            .iter()
            .find(|taken| refers.kinds.iter().any(|kind| kind == taken.kind.kind()) && has(taken.object));
        if let Some(taken) = taken {
            return Some((&taken.name, taken.object));
        }
        let standing = self.around.standing.iter().find(|(name, object)| {
            let kind = self.around.kinds.get(*name);
            refers.kinds.iter().any(|one| Some(one) == kind) && has(object)
        });
        standing.map(|(name, object)| (name.as_str(), *object))
    }

    fn block(&self, taken: &Taken<'a>, missing: &mut Vec<Wanted>) -> Result<Declared, DeclareError> {
        let schema = taken.kind.schema();
        let mut reader = Reader { names: self, taken, root: schema, referred: BTreeMap::new(), unnamed: Vec::new() };
        let state = reader.fields(&taken.object.state);
        let found = Found { object: taken.object, name: &taken.name, referred: &reader.referred };
        let spec = taken.kind.declare(&found, state);
        for (field, refers, value) in &reader.unnamed {
            if spec.get(field).is_none() {
                continue;
            }
            let text = value.as_str().unwrap_or_default();
            missing.push(self.other(taken, field, refers, text)?);
        }
        let mut block = Map::new();
        block.insert("kind".to_owned(), json!(taken.kind.kind()));
        let spec = names_of(spec);
        let mut spec = spec.as_object().cloned().unwrap_or_default();
        spec.shift_remove("name");
        if let Some(name) = self.own_name(taken, &spec, schema) {
            block.insert("name".to_owned(), json!(name));
        }
        block.extend(spec);
        let unread = unread(taken.kind, &block);
        Ok(Declared {
            kind: taken.kind.kind().to_owned(),
            identity: taken.object.identity.clone(),
            name: taken.name.clone(),
            block: Value::Object(block),
            unread,
            along: taken.along,
        })
    }

    /// The object behind a reference that can only be a name.
    fn other(&self, taken: &Taken<'_>, field: &str, refers: &RefersTo, text: &str) -> Result<Wanted, DeclareError> {
        let is = |object: &&Object| object.outputs.get(&refers.attribute).and_then(Value::as_str) == Some(text);
        let found =
            refers.kinds.iter().find_map(|kind| Some((kind, self.around.observation.of(kind).iter().find(is)?)));
        let (kind, object) = found.ok_or_else(|| DeclareError::Unreferable {
            kind: taken.kind.kind().to_owned(),
            identity: taken.object.identity.clone(),
            field: field.to_owned(),
            target: text.to_owned(),
        })?;
        Ok(Wanted { kind: kind.clone(), identity: object.identity.clone(), name: None })
    }

    /// The name that must be written: the object's, where the resource would get another one.
    fn own_name(&self, taken: &Taken<'_>, spec: &Map, schema: &Value) -> Option<String> {
        schema.pointer("/properties/name")?;
        let own = if taken.kind.facts().assigned_identity {
            taken.object.outputs.get("name")?.as_str()?
        } else {
            &taken.object.identity
        };
        let default = taken.kind.name(self.around.place, &taken.name, &Value::Object(spec.clone())).ok();
        // Of what lies in something else, the physical name says where, and the field does not.
        let written = taken.object.state.get("name").and_then(Value::as_str).unwrap_or(own);
        (default.as_deref() != Some(own)).then(|| written.to_owned())
    }
}

/// One state on its way to a spec.
struct Reader<'a, 'b> {
    names: &'b Names<'a>,
    taken: &'b Taken<'a>,
    root: &'b Value,
    referred: BTreeMap<String, &'a Object>,
    /// References that can only be names and have none yet.
    unnamed: Vec<(String, RefersTo, Value)>,
}

impl Reader<'_, '_> {
    fn fields(&mut self, state: &Value) -> Value {
        let mut spec = Map::new();
        for (field, value) in state.as_object().into_iter().flatten() {
            let Some(property) = self.root.pointer(&format!("/properties/{field}")) else { continue };
            let value = self.value(value, property, &FieldFacts::default(), field);
            spec.insert(field.clone(), value);
        }
        Value::Object(spec)
    }

    fn value(&mut self, value: &Value, schema: &Value, inherited: &FieldFacts, field: &str) -> Value {
        let own = facts_of(schema);
        let schema = follow(self.root, schema);
        let facts = own.or_else(|| facts_of(schema)).unwrap_or_else(|| inherited.clone());
        if let Some(refers) = facts.refers_to.as_ref().filter(|_| !value.is_array() && !value.is_null()) {
            if let Some((name, object)) = self.names.named(refers, value).filter(|(name, _)| *name != self.taken.name) {
                self.referred.insert(field.to_owned(), object);
                return Reference { resource: name.to_owned(), attribute: refers.attribute.clone() }.to_value();
            }
            if let Some(text) = value.as_str() {
                let is_word = refers.words.iter().any(|word| word == text);
                let is_physical = refers.physical.iter().any(|prefix| text.starts_with(prefix));
                if !is_word && !is_physical && !text.is_empty() {
                    self.unnamed.push((field.to_owned(), refers.clone(), value.clone()));
                }
                return value.clone();
            }
        }
        match value {
            Value::Array(items) => {
                let list = self.branch(schema, "array");
                let any = Value::Bool(true);
                let item_schema = list.get("items").unwrap_or(&any).clone();
                let mut items: Vec<Value> =
                    items.iter().map(|item| self.value(item, &item_schema, &facts, field)).collect();
                // Names in their own order, not in that of ids nobody sees.
                if facts.compare == Compare::Set {
                    items.sort_by_key(|item| Reference::from_value(item).map(|reference| reference.resource));
                }
                Value::Array(items)
            }
            Value::Object(map) => {
                let block = self.branch(schema, "object").clone();
                let any = Value::Bool(true);
                let others = block.get("additionalProperties").unwrap_or(&any);
                let inside = |reader: &mut Self, key: &str, value: &Value| {
                    let schema = block.pointer(&format!("/properties/{key}")).unwrap_or(others);
                    reader.value(value, schema, &FieldFacts::default(), field)
                };
                Value::Object(map.iter().map(|(key, value)| (key.clone(), inside(self, key, value))).collect())
            }
            other => other.clone(),
        }
    }

    /// The branch of a union that takes a shape; the schema itself where it is none.
    fn branch(&self, schema: &Value, shape: &str) -> Value {
        let fitting = branches(self.root, schema)
            .and_then(|all| all.into_iter().find(|branch| shapes(self.root, branch).contains(&shape)))
            .unwrap_or(schema);
        follow(self.root, fitting).clone()
    }
}

/// Markers as the names they stand for.
pub(super) fn names_of(value: Value) -> Value {
    if let Some(reference) = Reference::from_value(&value) {
        return json!(reference.resource);
    }
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(names_of).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, names_of(value))).collect()),
        other => other,
    }
}

/// A live value as a stack file would write it: objects of the stack by their names.
pub fn written(value: &Value, kind: &dyn AnyKind, field: &str, around: &Surroundings<'_>) -> Value {
    let names = Names::new(around);
    let schema = kind.schema();
    let object = Object {
        identity: String::new(),
        outputs: crate::kind::Outputs::new(),
        state: Value::Null,
        tags: None,
        readiness: crate::kind::Readiness::Ready,
        running: false,
        pending: Value::Null,
    };
    let taken = Taken { kind, object: &object, name: String::new(), along: false };
    let mut reader =
        Reader { names: &names, taken: &taken, root: schema, referred: BTreeMap::new(), unnamed: Vec::new() };
    let mut state = Map::new();
    state.insert(field.to_owned(), value.clone());
    let mut read = reader.fields(&Value::Object(state));
    names_of(read.get_mut(field).map_or_else(|| value.clone(), Value::take))
}

/// What a stack file would say instead of `declared` to mean the live value: where only declared
/// keys count, those with their live values. `None` where the difference lies in something that the
/// file does not say (an address inside a secret URL).
pub fn accepted(
    kind: &dyn AnyKind,
    field: &str,
    declared: Option<&Value>,
    live: &Value,
    around: &Surroundings<'_>,
) -> Option<Value> {
    let live = written(live, kind, field, around);
    let is_subset = kind.fields().get(field).is_some_and(|fact| fact.compare == Compare::Subset);
    match declared.filter(|_| is_subset) {
        Some(declared) => {
            let declared = names_of(declared.clone());
            let accepted = overlaid(&declared, &live);
            (accepted != declared).then_some(accepted)
        }
        None => Some(as_written(kind, field, declared, live)),
    }
}

/// A live list in which what the file says already stays as it is written there.
fn as_written(kind: &dyn AnyKind, field: &str, declared: Option<&Value>, live: Value) -> Value {
    let (Some(Value::Array(declared)), Value::Array(_)) = (declared, &live) else { return live };
    let normal = |items: Value| kind.normalise(json!({ field: items }))[field].take();
    let list = |items: Value| normal(items).as_array().cloned().unwrap_or_default();
    let mut open = list(live.clone());
    let mut items = Vec::new();
    for item in declared {
        let item = names_of(item.clone());
        let parts = list(json!([item]));
        if !parts.is_empty() && parts.iter().all(|part| open.contains(part)) {
            open.retain(|part| !parts.contains(part));
            items.push(item);
        }
    }
    items.extend(open);
    let items = Value::Array(items);
    let compare = kind.fields().get(field).map(|fact| fact.compare).unwrap_or_default();
    if crate::diff::equal(compare, &normal(items.clone()), &normal(live.clone())) { items } else { live }
}

fn overlaid(declared: &Value, live: &Value) -> Value {
    match (declared, live) {
        (Value::Object(wanted), Value::Object(found)) => {
            let value = |(key, value): (&String, &Value)| {
                (key.clone(), found.get(key).map_or_else(|| value.clone(), |live| overlaid(value, live)))
            };
            Value::Object(wanted.iter().map(value).collect())
        }
        _ => live.clone(),
    }
}

/// Fields that could not be read: secrets by their placeholders, and what is only ever written.
fn unread(kind: &dyn AnyKind, block: &Map) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for (field, value) in block {
        placeholders(field, value, &mut found);
    }
    for (field, fact) in kind.fields() {
        if fact.change == Change::WriteOnly && !fact.secret && !block.contains_key(field) {
            found.push((field.clone(), None));
        }
    }
    found
}

fn placeholders(path: &str, value: &Value, found: &mut Vec<(String, Option<String>)>) {
    let Some(map) = value.as_object() else { return };
    if let (1, Some(name)) = (map.len(), map.get("env").and_then(Value::as_str)) {
        found.push((path.to_owned(), Some(name.to_owned())));
    }
    for (key, value) in map {
        placeholders(&format!("{path}.{key}"), value, found);
    }
}
