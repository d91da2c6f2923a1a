//! Stack and observation in, plan out: a pure function.
//!
//! It decides per resource (`decide`), then lays the steps out with their edges (`steps`). It
//! never calls a kind's verbs that touch the world.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::steps;
use super::{Foreign, Note, Plan, Reason};
use crate::address::Address;
use crate::diff::{self, Diff};
use crate::journal::Replay;
use crate::kind::{AnyKind, Object, Outputs, Place, Readiness, Registry, Tags, tag};
use crate::observe::Observation;
use crate::stack::{Resource, Stack};
use crate::value::{Reference, Value, resolve};

/// What is wanted of the stack as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verb {
    /// That the world matches it.
    #[default]
    Apply,
    /// That nothing of it is left.
    Destroy,
}

/// What the user asked for besides the verb. All lists hold resource names.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Apply or destroy.
    pub verb: Verb,
    /// Only these and what they need (destroy: and what needs them); empty means all.
    pub targets: Vec<String>,
    /// Not these, nor what needs them (destroy: nor what they need).
    pub excludes: Vec<String>,
    /// Delete and make again.
    pub replace: Vec<String>,
    /// Take over although foreign.
    pub adopt: Vec<String>,
    /// Whose data may be lost.
    pub allow_data_loss: Vec<String>,
    /// On destroy, delete account-wide objects that no other stack uses.
    pub include_shared: bool,
    /// When the stack's objects expire, if it says so.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Everything a plan is made of.
pub struct BuildInput<'a> {
    /// What is wanted.
    pub stack: &'a Stack,
    /// What there is.
    pub observation: &'a Observation,
    /// The kinds.
    pub registry: &'a Registry,
    /// Where.
    pub place: &'a Place,
    /// What the user asked for.
    pub options: &'a Options,
    /// What the journal remembers.
    pub replay: &'a Replay,
    /// towpath's version.
    pub version: &'a str,
}

/// What happens to one resource.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Create,
    Change {
        diff: Diff,
        tags: Tags,
    },
    Replace {
        diff: Diff,
        reason: Reason,
    },
    Delete {
        reason: Reason,
    },
    Keep,
    /// Left as it is and not counted: foreign, excluded, or a shared object on destroy.
    Aside,
}

impl Fate {
    pub(super) fn deletes(&self) -> bool {
        matches!(self, Self::Delete { .. } | Self::Replace { .. })
    }

    pub(super) fn creates(&self) -> bool {
        matches!(self, Self::Create | Self::Replace { .. })
    }
}

/// One resource, or one of our objects that the stack no longer declares.
pub(super) struct Case<'a> {
    pub(super) address: Address,
    pub(super) kind: &'a dyn AnyKind,
    pub(super) resource: Option<&'a Resource>,
    pub(super) object: Option<&'a Object>,
    /// The spec with every reference resolved whose value is known now.
    pub(super) spec: Value,
    pub(super) identity: String,
    /// The tags a create sends and a change completes.
    pub(super) tags: Tags,
    /// Outputs that hold after the plan: live or predicted.
    pub(super) outputs: Outputs,
    pub(super) fate: Fate,
}

pub(super) struct Builder<'a> {
    pub(super) input: &'a BuildInput<'a>,
    pub(super) cases: Vec<Case<'a>>,
    pub(super) index: BTreeMap<String, usize>,
    pub(super) plan: Plan,
}

/// Makes the plan. `input.observation` must hold a list for every kind of the stack.
///
/// # Panics
/// If the stack names a kind that the registry lacks or has a cycle: `stack::load` refuses both.
pub fn build(input: &BuildInput<'_>) -> Plan {
    let mut builder = Builder { input, cases: Vec::new(), index: BTreeMap::new(), plan: empty(input) };
    for name in order(input.stack) {
        builder.decide(&name);
    }
    builder.orphans();
    builder.select();
    builder.cascade();
    builder.protect();
    steps::lay_out(builder)
}

fn empty(input: &BuildInput<'_>) -> Plan {
    Plan {
        format: 1,
        place: input.place.clone(),
        version: input.version.to_owned(),
        stack_hash: crate::stack::stack_hash(input.stack),
        steps: Vec::new(),
        unchanged: Vec::new(),
        kept: Vec::new(),
        notes: Vec::new(),
        foreign: Vec::new(),
        refused: Vec::new(),
        seconds: crate::kind::Seconds::new(0.0, 0.0, 0.0),
        critical_path: Vec::new(),
    }
}

/// The resources, each after what it needs; ties in file order.
pub(super) fn order(stack: &Stack) -> Vec<String> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut sorted = Vec::new();
    while sorted.len() < stack.resources.len() {
        let before = sorted.len();
        for (name, resource) in &stack.resources {
            let ready = !done.contains(name.as_str())
                && resource
                    .needs()
                    .iter()
                    .all(|need| done.contains(need.as_str()) || !stack.resources.contains_key(need));
            if ready {
                done.insert(name);
                sorted.push(name.clone());
            }
        }
        assert!(sorted.len() > before, "a loaded stack has no cycle");
    }
    sorted
}

/// The identity as kinds may fold it: names of AWS are compared without regard to case.
fn same_identity(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

impl<'a> Builder<'a> {
    fn decide(&mut self, name: &str) {
        let input = self.input;
        let resource = &input.stack.resources[name];
        let kind: &'a dyn AnyKind = input
            .registry
            .get(&resource.address.kind)
            .unwrap_or_else(|| panic!("a loaded stack names only known kinds, not `{}`", resource.address.kind))
            .as_ref();
        let looked_up = input.observation.specs.get(name).unwrap_or(&resource.spec);
        let spec = resolve(looked_up, &|reference| self.output(reference));
        let identity = kind.name(input.place, name, &spec).unwrap_or_else(|_| name.to_owned());
        let object = self.find(name, kind, &identity);
        let is_shared = kind.is_shared(&spec);
        let tags = self.tags(name, kind, is_shared);
        let fate = match input.options.verb {
            Verb::Apply => self.fate(resource, kind, &spec, object, is_shared, &tags),
            Verb::Destroy => self.doom(resource, kind, object, is_shared),
        };
        let outputs = match (&fate, object) {
            (Fate::Change { .. } | Fate::Keep | Fate::Aside, Some(object)) => object.outputs.clone(),
            _ => kind.predict(input.place, &identity, &spec),
        };
        let identity = object.map_or(identity, |object| object.identity.clone());
        self.index.insert(name.to_owned(), self.cases.len());
        self.cases.push(Case {
            address: resource.address.clone(),
            kind,
            resource: Some(resource),
            object,
            spec,
            identity,
            tags,
            outputs,
            fate,
        });
    }

    /// The value of a reference, if it is known before anything is done.
    pub(super) fn output(&self, reference: &Reference) -> Option<Value> {
        let case = &self.cases[*self.index.get(&reference.resource)?];
        case.outputs.get(&reference.attribute).cloned()
    }

    /// The live object of a resource: by our tags (also under the name it had before a move), else
    /// by its physical name.
    fn find(&self, name: &str, kind: &dyn AnyKind, identity: &str) -> Option<&'a Object> {
        let input = self.input;
        let objects = input.observation.of(kind.kind());
        let former: Vec<&str> =
            input.stack.moved.iter().filter(|(_, new)| *new == name).map(|(old, _)| old.as_str()).collect();
        let by_tag = |wanted: &str| {
            objects.iter().find(|object| {
                object.owner() == Some((input.place.stack.as_str(), wanted)) && object.readiness != Readiness::Deleting
            })
        };
        let assigned = kind.facts().assigned_identity;
        let by_name = || {
            objects.iter().find(|object| {
                if assigned {
                    let named = object.outputs.get("name").and_then(Value::as_str);
                    named.is_some_and(|named| same_identity(named, identity)) || object.identity == identity
                } else {
                    same_identity(&object.identity, identity)
                }
            })
        };
        by_tag(name).or_else(|| former.iter().find_map(|old| by_tag(old))).or_else(by_name)
    }

    fn tags(&self, name: &str, kind: &dyn AnyKind, is_shared: bool) -> Tags {
        let mut tags = self.input.stack.tags.clone();
        if !kind.facts().taggable {
            return Tags::new();
        }
        if is_shared {
            tags.insert(user_tag(&self.input.place.stack), "in-use".to_owned());
            return tags;
        }
        tags.insert(tag::STACK.to_owned(), self.input.place.stack.clone());
        tags.insert(tag::RESOURCE.to_owned(), name.to_owned());
        if let Some(at) = self.input.options.expires_at {
            tags.insert(tag::EXPIRES.to_owned(), at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        }
        tags
    }

    fn is_ours(&self, resource: &Resource, kind: &dyn AnyKind, object: &Object) -> bool {
        if !kind.facts().taggable {
            return true;
        }
        object.owner().is_some_and(|(stack, owner)| {
            stack == self.input.place.stack
                && (owner == resource.address.name
                    || self.input.stack.moved.get(owner).is_some_and(|new| *new == resource.address.name)
                    || self.input.options.adopt.contains(&resource.address.name))
        })
    }

    fn fate(
        &mut self,
        resource: &Resource,
        kind: &dyn AnyKind,
        spec: &Value,
        object: Option<&Object>,
        is_shared: bool,
        tags: &Tags,
    ) -> Fate {
        let Some(object) = object else { return Fate::Create };
        let name = &resource.address.name;
        let adopted = self.input.options.adopt.contains(name);
        if !is_shared && !adopted && !self.is_ours(resource, kind, object) {
            self.plan.foreign.push(Foreign {
                address: resource.address.clone(),
                identity: object.identity.clone(),
                owner: object.owner().map(|(stack, owner)| format!("resource `{owner}` of stack `{stack}`")),
            });
            return Fate::Aside;
        }
        match &object.readiness {
            Readiness::Deleting => return Fate::Create,
            Readiness::Failed(_) => return Fate::Replace { diff: Diff::default(), reason: Reason::Broken },
            Readiness::Ready | Readiness::Pending(_) => {}
        }
        let diff = diff::compare(kind, spec, &object.state, &object.pending);
        for field in &diff.converging {
            self.plan.notes.push(Note {
                address: resource.address.clone(),
                text: format!("the new `{field}` is accepted and takes effect in the maintenance window"),
            });
        }
        if self.input.options.replace.contains(name) {
            return Fate::Replace { diff, reason: Reason::Asked };
        }
        if diff.forces_replacement() {
            return Fate::Replace { diff, reason: Reason::Replaced };
        }
        let missing = missing_tags(object, tags);
        if diff.is_empty() && missing.is_empty() {
            return Fate::Keep;
        }
        Fate::Change { diff, tags: missing }
    }

    fn doom(&mut self, resource: &Resource, kind: &dyn AnyKind, object: Option<&Object>, is_shared: bool) -> Fate {
        let Some(object) = object else { return Fate::Aside };
        let keep = |text: String| Note { address: resource.address.clone(), text };
        if is_shared {
            let others = other_users(object, &self.input.place.stack);
            if !self.input.options.include_shared {
                self.plan.kept.push(keep(format!("`{}` belongs to the whole account", object.identity)));
                return Fate::Aside;
            }
            if !others.is_empty() {
                self.plan.kept.push(keep(format!("`{}` is used by {}", object.identity, others.join(", "))));
                return Fate::Aside;
            }
        } else if !self.is_ours(resource, kind, object) {
            self.plan.kept.push(keep(format!("`{}` is not this stack's", object.identity)));
            return Fate::Aside;
        }
        Fate::Delete { reason: Reason::Destroyed }
    }

    /// Objects that carry our stack's tag and that no case has taken.
    fn orphans(&mut self) {
        let input = self.input;
        let taken: BTreeSet<(&str, &str)> = self
            .cases
            .iter()
            .filter_map(|case| case.object.map(|object| (case.kind.kind(), object.identity.as_str())))
            .collect();
        let mut found = Vec::new();
        for (kind_name, objects) in &input.observation.objects {
            let Some(kind) = input.registry.get(kind_name) else { continue };
            for object in objects {
                let Some((stack, owner)) = object.owner() else { continue };
                if stack != input.place.stack
                    || taken.contains(&(kind_name.as_str(), object.identity.as_str()))
                    || object.readiness == Readiness::Deleting
                {
                    continue;
                }
                let reason = match input.options.verb {
                    Verb::Apply => Reason::Removed,
                    Verb::Destroy => Reason::Destroyed,
                };
                found.push(Case {
                    address: Address::new(kind_name.clone(), owner),
                    kind: kind.as_ref(),
                    resource: None,
                    object: Some(object),
                    spec: Value::Null,
                    identity: object.identity.clone(),
                    tags: Tags::new(),
                    outputs: object.outputs.clone(),
                    fate: Fate::Delete { reason },
                });
            }
        }
        self.cases.extend(found);
    }

    /// `--target` and `--exclude`.
    fn select(&mut self) {
        let options = self.input.options;
        if options.targets.is_empty() && options.excludes.is_empty() {
            return;
        }
        let stack = self.input.stack;
        let needs = |name: &str| stack.resources.get(name).map(Resource::needs).unwrap_or_default();
        let needed_by = |name: &str| -> Vec<String> {
            stack
                .resources
                .iter()
                .filter(|(_, other)| other.needs().iter().any(|need| need == name))
                .map(|(name, _)| name.clone())
                .collect()
        };
        let apply = options.verb == Verb::Apply;
        let down = |names: &[String]| closure(names, &needs);
        let up = |names: &[String]| closure(names, &needed_by);
        let wanted = if apply { down(&options.targets) } else { up(&options.targets) };
        let unwanted = if apply { up(&options.excludes) } else { down(&options.excludes) };
        for case in &mut self.cases {
            let name = &case.address.name;
            if (!options.targets.is_empty() && !wanted.contains(name)) || unwanted.contains(name) {
                case.fate = Fate::Aside;
            }
        }
    }

    /// What holds a replaced object must go with it: AWS refuses to delete what is in use.
    fn cascade(&mut self) {
        loop {
            let replaced: BTreeMap<String, bool> = self
                .cases
                .iter()
                .filter(|case| matches!(case.fate, Fate::Replace { .. }))
                .map(|case| (case.address.name.clone(), true))
                .collect();
            let next = self.cases.iter().position(|case| {
                matches!(case.fate, Fate::Keep | Fate::Change { .. })
                    && case.object.is_some()
                    && case.resource.is_some_and(|resource| holds(case.kind, resource, &replaced))
            });
            let Some(next) = next else { break };
            let diff = match std::mem::replace(&mut self.cases[next].fate, Fate::Keep) {
                Fate::Change { diff, .. } => diff,
                _ => Diff::default(),
            };
            self.cases[next].fate = Fate::Replace { diff, reason: Reason::Replaced };
            let case = &self.cases[next];
            self.cases[next].outputs = case.kind.predict(self.input.place, &case.identity, &case.spec);
        }
        // Specs were resolved with live outputs of objects that are now replaced.
        let names: Vec<(usize, Value)> = (0..self.cases.len())
            .filter(|index| self.cases[*index].fate.creates())
            .filter_map(|index| {
                let name = &self.cases[index].address.name;
                let raw = self.input.observation.specs.get(name)?;
                Some((index, resolve(raw, &|reference| self.output(reference))))
            })
            .collect();
        for (index, spec) in names {
            self.cases[index].spec = spec;
        }
    }

    /// Refuses the loss of data that was not agreed to.
    fn protect(&mut self) {
        for case in &self.cases {
            if !case.fate.deletes() || case.object.is_none() {
                continue;
            }
            let name = &case.address.name;
            let declared = case.resource.and_then(|resource| resource.protect);
            let holds = case.kind.facts().holds;
            let protected = declared.unwrap_or(holds.is_some());
            if protected && !self.input.options.allow_data_loss.contains(name) {
                let what = holds.unwrap_or("an object marked `protect: true`");
                self.plan.refused.push(Note {
                    address: case.address.clone(),
                    text: format!("deleting `{}` would lose {what}", case.identity),
                });
            }
        }
    }
}

/// Whether a resource refers to one of `names` in a way that keeps it from being deleted.
fn holds(kind: &dyn AnyKind, resource: &Resource, names: &BTreeMap<String, bool>) -> bool {
    let facts = kind.fields();
    resource.spec.as_object().is_some_and(|spec| {
        spec.iter().any(|(field, value)| {
            let loose = facts.get(field).and_then(|fact| fact.refers_to.as_ref()).is_some_and(|refers| refers.loose);
            !loose && crate::value::references(value).iter().any(|reference| names.contains_key(&reference.resource))
        })
    })
}

fn closure(names: &[String], next: &dyn Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = names.iter().cloned().collect();
    let mut open: Vec<String> = names.to_vec();
    while let Some(name) = open.pop() {
        for other in next(&name) {
            if found.insert(other.clone()) {
                open.push(other);
            }
        }
    }
    found
}

/// Wanted tags that the object lacks or has with another value. The time of expiry moves with
/// every plan and is renewed only when it is missing or another tag is written anyway.
fn missing_tags(object: &Object, wanted: &Tags) -> Tags {
    let Some(live) = &object.tags else { return Tags::new() };
    let missing: Tags = wanted
        .iter()
        .filter(|(key, value)| live.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let only_expiry = missing.len() == 1 && missing.contains_key(tag::EXPIRES) && live.contains_key(tag::EXPIRES);
    if only_expiry { Tags::new() } else { missing }
}

/// The tag by which a stack says that it uses an account-wide object.
pub fn user_tag(stack: &str) -> String {
    format!("towpath:used-by:{stack}")
}

fn other_users(object: &Object, stack: &str) -> Vec<String> {
    let mine = user_tag(stack);
    object
        .tags
        .iter()
        .flatten()
        .filter(|(key, value)| key.starts_with("towpath:used-by:") && **key != mine && *value == "in-use")
        .map(|(key, _)| format!("stack `{}`", key.trim_start_matches("towpath:used-by:")))
        .collect()
}
