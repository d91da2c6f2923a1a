//! Stack and observation in, plan out: a pure function.
//!
//! It decides per resource (`decide`), each after what it needs, adds what is ours and no longer
//! declared, then lays the steps out with their edges (`steps`). It never calls a kind's verbs
//! that touch the world.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use chrono::{DateTime, Utc};

use super::live::Live;
use super::selection::Selection;
use super::{FieldChange, Note, Plan, Reason, steps, tags};
use crate::address::Address;
use crate::diff::{self, Diff};
use crate::journal::Replay;
use crate::kind::{AnyKind, Object, Outputs, Place, Readiness, Registry, Seconds, SecretMark, Tags};
use crate::observe::Observation;
use crate::stack::{Resource, Stack};
use crate::value::Value;

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
    /// The object that a resource stands for, by its identity, where neither tags nor the name say
    /// so: an object that is being adopted.
    pub identities: BTreeMap<String, String>,
    /// Whose data may be lost.
    pub allow_data_loss: Vec<String>,
    /// Only these fields of these resources, tags as `tags.KEY`; empty means all. Nothing is made
    /// and nothing deleted, save what a field forces.
    pub only: BTreeMap<String, BTreeSet<String>>,
    /// On destroy, delete account-wide objects that no other stack uses.
    pub include_shared: bool,
    /// When the stack's objects expire, if it says so.
    pub expires_at: Option<DateTime<Utc>>,
    /// The final snapshot to take of a resource that is deleted, by resource name.
    pub final_snapshots: BTreeMap<String, String>,
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
    /// An account-wide object that the stack no longer uses.
    Release {
        tags: Tags,
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

    /// Whether the object is changed in more than its tags.
    pub(super) fn updates(&self) -> bool {
        matches!(self, Self::Change { diff, .. } if !diff.is_empty())
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
    /// The name by which a create makes it.
    pub(super) name: String,
    /// The identity of the live object, else the name.
    pub(super) identity: String,
    /// The tags a create sends and a change completes.
    pub(super) tags: Tags,
    /// The mark of the secret that the spec sends, if it is at hand.
    pub(super) mark: Option<SecretMark>,
    /// The same on an object that is made anew under the case's name.
    pub(super) new_mark: Option<SecretMark>,
    /// Outputs that hold after the plan: live or predicted.
    pub(super) outputs: Outputs,
    pub(super) fate: Fate,
}

pub(super) struct Builder<'a> {
    pub(super) input: &'a BuildInput<'a>,
    pub(super) objects: Objects<'a>,
    pub(super) selection: Selection,
    pub(super) cases: Vec<Case<'a>>,
    pub(super) index: HashMap<String, usize>,
    /// Decided cases by their live objects.
    pub(super) by_object: HashMap<*const Object, usize>,
    /// Decided cases that nothing may refer to for a while: they are replaced, or changed and of a kind
    /// that is changed only so.
    pub(super) unheld: Vec<usize>,
    /// Who holds whom; made when first asked for, which is only when something must be unheld.
    pub(super) live: OnceCell<Live<'a>>,
    pub(super) plan: Plan,
    /// Whether references stand for what is there now rather than after the plan.
    pub(super) as_is: bool,
}

/// Makes the plan. `input.observation` must hold a list for every kind of the stack.
///
/// # Panics
/// If the stack names a kind that the registry lacks or has a cycle: `stack::load` refuses both.
pub fn build(input: &BuildInput<'_>) -> Plan {
    let mut builder = Builder::new(input, false);
    builder.decide_all();
    builder.orphans();
    builder.untagged();
    builder.leave_used_by_left_out();
    builder.leave_managed();
    builder.leave_held();
    builder.protect();
    steps::lay_out(builder)
}

/// What differs between the stack and its live objects, field by field and with tags as
/// `tags.KEY`, for resources that exist and are the stack's. Resources that do not exist are the
/// plan's business.
///
/// # Panics
/// As [`build`].
pub fn drift(input: &BuildInput<'_>) -> Vec<(Address, Vec<FieldChange>)> {
    let mut builder = Builder::new(input, true);
    builder.decide_all();
    let mut found = Vec::new();
    for case in &builder.cases {
        let Some(object) = case.object.filter(|_| !matches!(case.fate, Fate::Aside)) else { continue };
        let mut changes = diff::compare(case.kind, &case.spec, &object.state, &object.pending).changes;
        let mut missing = tags::missing(object, &case.tags, input.stack.expires);
        // Another declaration of what cannot be read is no difference of the live object.
        missing.retain(|key, _| !super::written::is_one(key));
        changes.extend(tag_changes(object, &missing));
        changes.retain(|change| !case.resource.is_some_and(|resource| resource.ignores(&change.path)));
        if !changes.is_empty() {
            found.push((case.address.clone(), changes));
        }
    }
    found
}

/// Tags to write, as field changes.
pub(super) fn tag_changes(object: &Object, tags: &Tags) -> Vec<FieldChange> {
    let live = |key: &String| object.tags.as_ref().and_then(|tags| tags.get(key));
    let change = |(key, value): (&String, &String)| FieldChange {
        path: format!("tags.{key}"),
        before: live(key).map_or(Value::Null, |value| Value::String(value.clone())),
        after: Value::String(value.clone()),
        forces_replacement: None,
        loses: None,
    };
    tags.iter().map(change).collect()
}

fn empty(input: &BuildInput<'_>) -> Plan {
    Plan {
        format: super::FORMAT,
        place: input.place.clone(),
        version: input.version.to_owned(),
        stack_hash: crate::stack::stack_hash(input.stack),
        partial: !input.options.targets.is_empty()
            || !input.options.excludes.is_empty()
            || !input.options.only.is_empty(),
        steps: Vec::new(),
        unchanged: Vec::new(),
        kept: Vec::new(),
        notes: Vec::new(),
        foreign: Vec::new(),
        refused: Vec::new(),
        seconds: Seconds::new(0.0, 0.0, 0.0),
        critical_path: Vec::new(),
    }
}

/// The resources, each after what it needs; of those that could come next the first of the file.
fn order(stack: &Stack) -> Vec<String> {
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); stack.resources.len()];
    let mut open: Vec<usize> = vec![0; stack.resources.len()];
    for (index, resource) in stack.resources.values().enumerate() {
        for need in resource.needs() {
            if let Some(need) = stack.resources.get_index_of(&need) {
                users[need].push(index);
                open[index] += 1;
            }
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..open.len()).filter(|index| open[*index] == 0).map(Reverse).collect();
    let mut sorted = Vec::with_capacity(open.len());
    while let Some(Reverse(index)) = ready.pop() {
        sorted.push(stack.resources[index].address.name.clone());
        for user in &users[index] {
            open[*user] -= 1;
            if open[*user] == 0 {
                ready.push(Reverse(*user));
            }
        }
    }
    assert!(sorted.len() == open.len(), "a loaded stack has no cycle");
    sorted
}

/// The observed objects by what they are looked for.
pub(super) struct Objects<'a> {
    by_owner: HashMap<(&'a str, &'a str), Vec<&'a Object>>,
    by_name: HashMap<(&'a str, String), Vec<&'a Object>>,
}

impl<'a> Objects<'a> {
    fn new(input: &BuildInput<'a>) -> Self {
        let mut objects = Self { by_owner: HashMap::new(), by_name: HashMap::new() };
        for (kind, list) in &input.observation.objects {
            let assigned = input.registry.get(kind).is_some_and(|kind| kind.facts().assigned_identity);
            for object in list {
                if let Some((stack, owner)) = object.owner()
                    && stack == input.place.stack
                {
                    objects.by_owner.entry((kind, owner)).or_default().push(object);
                }
                let mut names = vec![object.identity.to_lowercase()];
                if assigned && let Some(name) = object.outputs.get("name").and_then(Value::as_str) {
                    names.push(name.to_lowercase());
                }
                for name in names {
                    objects.by_name.entry((kind, name)).or_default().push(object);
                }
            }
        }
        objects
    }

    /// Objects whose tags name this stack and that resource.
    pub(super) fn owned(&self, kind: &'a str, owner: &'a str) -> &[&'a Object] {
        self.by_owner.get(&(kind, owner)).map_or(&[], Vec::as_slice)
    }

    /// Objects of that physical name. Services compare names without regard to case.
    pub(super) fn named(&self, kind: &'a str, name: &str) -> &[&'a Object] {
        self.by_name.get(&(kind, name.to_lowercase())).map_or(&[], Vec::as_slice)
    }
}

/// An object that no resource of the stack stands for.
fn leftover<'a>(kind: &'a dyn AnyKind, object: &'a Object, owner: &str, fate: Fate) -> Case<'a> {
    Case {
        address: Address::new(kind.kind(), owner),
        kind,
        resource: None,
        object: Some(object),
        spec: Value::Null,
        name: object.identity.clone(),
        identity: object.identity.clone(),
        tags: Tags::new(),
        mark: None,
        new_mark: None,
        outputs: object.outputs.clone(),
        fate,
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(input: &'a BuildInput<'a>, as_is: bool) -> Self {
        Self {
            input,
            objects: Objects::new(input),
            selection: Selection::new(input.stack, input.options),
            cases: Vec::new(),
            index: HashMap::new(),
            by_object: HashMap::new(),
            unheld: Vec::new(),
            live: OnceCell::new(),
            plan: empty(input),
            as_is,
        }
    }

    pub(super) fn decide_all(&mut self) {
        for name in order(self.input.stack) {
            self.decide(&name);
        }
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
        let destroys = input.options.verb == Verb::Destroy;
        let reason = if destroys { Reason::Destroyed } else { Reason::Removed };
        for (kind_name, objects) in &input.observation.objects {
            let Some(kind) = input.registry.get(kind_name) else { continue };
            for object in objects {
                // What is on its way out needs nobody, but a destroy waits for it.
                let leaves = object.readiness == Readiness::Deleting && !destroys;
                if leaves || taken.contains(&(kind.kind(), object.identity.as_str())) {
                    continue;
                }
                let (owner, fate) = match object.owner() {
                    Some((stack, owner)) if stack == input.place.stack => {
                        (owner, Fate::Delete { reason: reason.clone() })
                    }
                    _ => match tags::release(object, input.place) {
                        Some(tags) => (object.identity.as_str(), Fate::Release { tags, reason: reason.clone() }),
                        None => continue,
                    },
                };
                let fate = if self.selection.has(owner) { fate } else { Fate::Aside };
                found.push(leftover(kind.as_ref(), object, owner, fate));
            }
        }
        self.cases.extend(found);
    }

    /// Objects of kinds without tags of their own that hold an object which this plan deletes: they belong to it
    /// and go with it, whoever made them.
    fn untagged(&mut self) {
        let input = self.input;
        let mut leaving: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
        for case in self.cases.iter().filter(|case| case.fate.deletes()) {
            for (attribute, value) in case.object.iter().flat_map(|object| &object.outputs) {
                leaving.extend(value.as_str().map(|text| (case.kind.kind(), attribute.as_str(), text)));
            }
        }
        let destroys = input.options.verb == Verb::Destroy;
        let reason = if destroys { Reason::Destroyed } else { Reason::Removed };
        let mut going = Vec::new();
        for kind in input.registry.iter().filter(|kind| !kind.facts().taggable) {
            for object in input.observation.of(kind.kind()) {
                if object.readiness == Readiness::Deleting {
                    continue;
                }
                let holds = kind.fields().iter().any(|(field, fact)| {
                    let Some(refers) = fact.refers_to.as_ref().filter(|refers| !refers.loose) else { return false };
                    let texts = object.state.get(field).map(super::decide::texts).unwrap_or_default();
                    texts.iter().any(|text| {
                        refers.kinds.iter().any(|kind| leaving.contains(&(kind, refers.attribute.as_str(), text)))
                    })
                });
                if holds {
                    going.push((kind.as_ref(), object));
                }
            }
        }
        for (kind, object) in going {
            let fate = Fate::Delete { reason: reason.clone() };
            let is = |case: &&mut Case<'_>| case.object.is_some_and(|other| std::ptr::eq(other, object));
            match self.cases.iter_mut().find(is) {
                None => self.cases.push(leftover(kind, object, &object.identity, fate)),
                Some(case) if matches!(case.fate, Fate::Aside) => {
                    self.plan.kept.retain(|kept| kept.address != case.address);
                    case.fate = fate;
                }
                Some(_) => {}
            }
        }
    }

    /// Refuses the loss of data that was not agreed to.
    fn protect(&mut self) {
        for case in &self.cases {
            let goes_anyway = case.object.is_none_or(|object| object.readiness == Readiness::Deleting);
            if !case.fate.deletes() || goes_anyway {
                continue;
            }
            let name = &case.address.name;
            // Of what the stack no longer declares, the tag remembers what it said.
            let declared = match case.resource {
                Some(resource) => resource.protect,
                None => case.object.and_then(tags::protection),
            };
            let holds = case.object.and_then(|object| case.kind.holds(object));
            let protected = declared.unwrap_or(holds.is_some());
            if protected && !self.input.options.allow_data_loss.contains(name) {
                let what = holds.unwrap_or("an object marked `protect: true`");
                self.plan.refused.push(Note::loss(case.address.clone(), &case.identity, what));
            }
        }
    }
}
