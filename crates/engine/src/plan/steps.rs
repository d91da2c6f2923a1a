//! Decided fates as steps. Which step must wait for which is `edges`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::build::{Builder, Case, Fate, Verb, tag_changes};
use super::edges::{self, Users};
use super::graph::{critical_path, renumber};
use super::live::Live;
use super::{Action, FieldChange, Note, Plan, Reason, Step, written};
use crate::address::Address;
use crate::diff;
use crate::kind::{AnyKind, Facts, Object, Pauses, Price, Readiness, Seconds, SecretMark, Tags, tag};
use crate::resume;
use crate::value::Value;

/// Seconds that pass for a call without a life cycle behind it (tags).
const CALL: Seconds = Seconds::new(0.2, 0.5, 2.0);

/// How long a step takes that does this.
pub(crate) fn seconds(facts: &Facts, action: Action) -> Seconds {
    match action {
        Action::Create | Action::Wait => facts.create,
        Action::Update | Action::Pause | Action::Resume => facts.update,
        Action::Delete => facts.delete,
        Action::Tag => CALL,
    }
}

/// The steps of a plan under construction; the maps go from the position of a case to step ids.
pub(super) struct Layout<'a, 'b> {
    pub(super) builder: &'b Builder<'a>,
    pub(super) steps: Vec<Step>,
    /// What makes, changes or waits for the object: others need it.
    pub(super) making: BTreeMap<usize, Vec<usize>>,
    /// What only tags it: nobody needs that.
    pub(super) tagging: BTreeMap<usize, usize>,
    pub(super) deleting: BTreeMap<usize, usize>,
    pub(super) pausing: BTreeMap<usize, usize>,
    pub(super) resuming: BTreeMap<usize, usize>,
    /// What is deleted without a step of its own, with the identity of what takes it along.
    along: BTreeMap<usize, String>,
}

/// Lays the steps out and finishes the plan.
pub(super) fn lay_out(builder: Builder<'_>) -> Plan {
    let mut layout = Layout {
        builder: &builder,
        steps: Vec::new(),
        making: BTreeMap::new(),
        tagging: BTreeMap::new(),
        deleting: BTreeMap::new(),
        pausing: BTreeMap::new(),
        resuming: BTreeMap::new(),
        along: BTreeMap::new(),
    };
    let users = Users::of(&builder);
    layout.pauses(&users);
    layout.deletes();
    layout.makes();
    layout.resumes();
    edges::draw(&mut layout, &users);
    let Layout { steps, along, .. } = layout;
    let steps = renumber(steps);
    let mut plan = builder.plan;
    for (index, holder) in along {
        let text = format!("it goes with `{holder}`, in which it lies");
        plan.notes.push(Note { address: builder.cases[index].address.clone(), text });
    }
    let touched: HashSet<&Address> = steps.iter().map(|step| &step.address).collect();
    for case in &builder.cases {
        if matches!(case.fate, Fate::Keep) && !touched.contains(&case.address) {
            plan.unchanged.push(case.address.clone());
        }
        if case.fate.deletes() && case.object.is_some_and(|object| object.running) {
            plan.notes
                .push(Note { address: case.address.clone(), text: "its running work is stopped first".to_owned() });
        }
    }
    (plan.seconds, plan.critical_path) = critical_path(&steps);
    plan.steps = steps;
    plan
}

/// The spec of an update: some calls send more than what changed, and what is ignored must go out as
/// it is. What is never told (a password) stays as declared.
fn as_is_where_ignored(case: &Case<'_>) -> Value {
    let mut spec = case.spec.clone();
    let (Some(resource), Some(object)) = (case.resource, case.object) else { return spec };
    for field in &resource.ignore {
        let Some(live) = object.state.get(field) else { continue };
        match (spec.get_mut(field).and_then(Value::as_object_mut), live.as_object()) {
            (Some(declared), Some(live)) => declared.extend(live.clone()),
            _ => spec[field] = live.clone(),
        }
    }
    spec
}

impl Layout<'_, '_> {
    fn push(&mut self, case: usize, action: Action, reason: Reason) -> usize {
        let of = &self.builder.cases[case];
        let id = self.steps.len();
        let seconds = seconds(&of.kind.facts(), action);
        let learned = self.builder.input.replay.learned(of.kind.kind(), action);
        let makes = action == Action::Create;
        let own = Some(self.builder.input.place.stack.as_str());
        let ours = !makes && of.object.is_some_and(|object| object.owner().map(|(stack, _)| stack) == own);
        self.steps.push(Step {
            id,
            address: of.address.clone(),
            action,
            reason,
            identity: if makes { of.name.clone() } else { of.identity.clone() },
            ours,
            group: None,
            changes: Vec::new(),
            spec: Value::Null,
            tags: Tags::new(),
            after: Vec::new(),
            seconds: learned.map_or(seconds, |typical| Seconds {
                low: seconds.low.min(typical),
                typical,
                high: seconds.high.max(typical),
            }),
            give_up: of.resource.and_then(|resource| resource.timeouts.of(action)),
            loses: None,
            interrupts: None,
            price: None,
            price_before: None,
            final_snapshot: None,
        });
        id
    }

    /// Running work that must stand still: of objects that are deleted, of objects whose kind asks
    /// for it, and of what uses them.
    fn pauses(&mut self, users: &Users) {
        // What has failed does no work that could be stopped, whatever the service says.
        let works = |object: &Object| object.running && !matches!(object.readiness, Readiness::Failed(_));
        let runs = |index: &usize| self.builder.cases[*index].object.is_some_and(works);
        let mut still: BTreeMap<usize, Reason> = BTreeMap::new();
        for (index, case) in self.builder.cases.iter().enumerate() {
            match &case.fate {
                Fate::Delete { reason } | Fate::Replace { reason, .. } if runs(&index) => {
                    still.insert(index, reason.clone());
                }
                Fate::Change { diff, .. } if !diff.is_empty() => {
                    let affected: Vec<usize> = match case.kind.facts().pauses {
                        Pauses::Nothing | Pauses::Holders => Vec::new(),
                        Pauses::Itself => vec![index],
                        Pauses::Dependents => users.of_case(index).collect(),
                    };
                    for index in affected.into_iter().filter(runs) {
                        still.entry(index).or_insert(Reason::Differs);
                    }
                }
                _ => {}
            }
        }
        for (index, reason) in still {
            let id = self.push(index, Action::Pause, reason);
            self.steps[id].interrupts =
                Some("the running replication stands still until it is started again".to_owned());
            self.pausing.insert(index, id);
        }
    }

    fn deletes(&mut self) {
        for index in 0..self.builder.cases.len() {
            let case = &self.builder.cases[index];
            let (Fate::Delete { reason } | Fate::Replace { reason, .. }) = &case.fate else { continue };
            if case.object.is_none() {
                continue;
            }
            if let Some(holder) = self.goes_with(case) {
                self.along.insert(index, holder);
                continue;
            }
            let id = self.push(index, Action::Delete, reason.clone());
            let holds = case.object.and_then(|object| case.kind.holds(object));
            let snapshot = self.builder.input.options.final_snapshots.get(&case.address.name);
            let snapshot = snapshot.filter(|_| case.kind.takes_final_snapshot());
            let without = if case.kind.takes_final_snapshot() { ", without a final snapshot" } else { "" };
            let step = &mut self.steps[id];
            step.loses = holds.map(|holds| match snapshot {
                Some(snapshot) => format!("{holds}, save for the snapshot `{snapshot}`"),
                None => format!("{holds}{without}"),
            });
            step.price = case.object.and_then(|object| case.kind.price(&object.state));
            step.final_snapshot = snapshot.cloned();
            self.deleting.insert(index, id);
        }
    }

    /// The identity of the object that this plan deletes and in which the case's object lies.
    fn goes_with(&self, case: &Case<'_>) -> Option<String> {
        let builder = self.builder;
        let object = case.object?;
        let leaves = |holder: &Object, within: &str| {
            builder.cases.iter().any(|other| {
                other.fate.deletes()
                    && other.kind.kind() == within
                    && other.object.is_some_and(|object| std::ptr::eq(object, holder))
            })
        };
        case.kind.fields().iter().find_map(|(field, fact)| {
            let within = fact.refers_to.as_ref()?.within.as_deref()?;
            let live = builder.live.get_or_init(|| Live::of(builder.input));
            let held = live.held_by(object, field, &|_| true);
            held.into_iter().find(|holder| leaves(holder, within)).map(|holder| holder.identity.clone())
        })
    }

    fn makes(&mut self) {
        for index in 0..self.builder.cases.len() {
            match &self.builder.cases[index].fate {
                Fate::Create => self.create(index, Reason::Declared, &[]),
                Fate::Replace { diff, reason } => self.create(index, reason.clone(), &diff.changes),
                Fate::Change { diff, tags } => {
                    let asked = self.builder.input.options.adopt.contains(&self.builder.cases[index].address.name);
                    let reason = if asked { Reason::Asked } else { Reason::Differs };
                    // What was written is noted only when it has been.
                    let is_changed = |key: &str| {
                        written::field_of(key).is_some_and(|field| diff.changes.iter().any(|one| one.path == field))
                    };
                    let (after, before): (Tags, Tags) = tags.clone().into_iter().partition(|(key, _)| is_changed(key));
                    self.write_tags(index, &before, reason);
                    let last = self.updates(index, &diff.changes);
                    self.note_written(index, &after, last);
                    self.wait(index);
                }
                Fate::Release { tags, reason } => self.write_tags(index, tags, reason.clone()),
                Fate::Keep => self.wait(index),
                Fate::Delete { .. } | Fate::Aside => {}
            }
        }
    }

    /// Takes up the waiting for an object that an earlier run has left half-way.
    fn wait(&mut self, index: usize) {
        let pending =
            self.builder.cases[index].object.is_some_and(|object| matches!(object.readiness, Readiness::Pending(_)));
        if pending && !self.making.contains_key(&index) {
            let id = self.push(index, Action::Wait, Reason::Declared);
            self.making.entry(index).or_default().push(id);
        }
    }

    fn create(&mut self, index: usize, reason: Reason, differing: &[FieldChange]) {
        let id = self.push(index, Action::Create, reason);
        let case = &self.builder.cases[index];
        let mut changes: Vec<FieldChange> = differing.to_vec();
        let known: BTreeSet<String> = changes.iter().map(|change| change.path.clone()).collect();
        // Of a replacement only the differing fields are news; of a new object all are.
        if differing.is_empty() {
            let fields = case.spec.as_object().into_iter().flatten().filter(|(field, _)| !known.contains(*field));
            changes.extend(fields.map(|(field, after)| FieldChange {
                path: field.clone(),
                before: Value::Null,
                after: after.clone(),
                forces_replacement: None,
                loses: None,
            }));
        }
        let step = &mut self.steps[id];
        step.changes = changes;
        step.spec = case.spec.clone();
        step.tags = case.tags.clone();
        step.tags.extend(mark_tag(case.new_mark.as_ref()));
        step.price = case.kind.price(&case.spec);
        self.making.entry(index).or_default().push(id);
        self.after_create(index, id);
    }

    /// What a create cannot set is changed right after it.
    fn after_create(&mut self, index: usize, created: usize) {
        let case = &self.builder.cases[index];
        let late = case.kind.after_create(&case.spec);
        let changes: Vec<FieldChange> = late
            .into_iter()
            .filter_map(|field| {
                let after = case.spec.get(&field)?.clone();
                Some(FieldChange { path: field, before: Value::Null, after, forces_replacement: None, loses: None })
            })
            .collect();
        assert!(changes.is_empty() || !case.kind.facts().assigned_identity, "the name is how the new object is found");
        let mut last = created;
        for (group, fields) in diff::groups(case.kind, &changes, &Value::Null, &case.spec) {
            let id = self.push(index, Action::Update, Reason::Declared);
            let step = &mut self.steps[id];
            step.identity.clone_from(&case.name);
            step.changes = fields;
            step.group = (!group.is_empty()).then_some(group);
            step.spec = case.spec.clone();
            step.after.push(last);
            last = id;
            self.making.entry(index).or_default().push(id);
        }
    }

    fn write_tags(&mut self, index: usize, tags: &Tags, reason: Reason) {
        let Some(object) = self.builder.cases[index].object.filter(|_| !tags.is_empty()) else { return };
        let id = self.push(index, Action::Tag, reason);
        self.steps[id].changes = tag_changes(object, tags);
        self.steps[id].tags = tags.clone();
        self.tagging.insert(index, id);
    }

    /// Tags that say what an update before them has written.
    fn note_written(&mut self, index: usize, tags: &Tags, after: Option<usize>) {
        let Some(object) = self.builder.cases[index].object.filter(|_| !tags.is_empty()) else { return };
        let id = self.push(index, Action::Tag, Reason::Differs);
        let step = &mut self.steps[id];
        step.changes = tag_changes(object, tags);
        step.tags = tags.clone();
        step.after.extend(after);
    }

    /// The updates, one after the other; the last of them.
    fn updates(&mut self, index: usize, changes: &[FieldChange]) -> Option<usize> {
        let case = &self.builder.cases[index];
        let before = case.object.map_or(Value::Null, |object| object.state.clone());
        // Nothing of an adopted object is changed before it carries our tags.
        let mut last: Option<usize> = self.tagging.get(&index).copied();
        for (group, fields) in diff::groups(case.kind, changes, &before, &case.spec) {
            let id = self.push(index, Action::Update, Reason::Differs);
            let step = &mut self.steps[id];
            let lost: Vec<String> = fields.iter().filter_map(|change| change.loses.clone()).collect();
            step.loses = (!lost.is_empty()).then(|| lost.join(", "));
            // Written after the secret was sent: a crash in between sends it again.
            if case.mark.as_ref().is_some_and(|mark| fields.iter().any(|change| change.path == mark.field)) {
                step.tags.extend(mark_tag(case.mark.as_ref()));
            }
            let facts = case.kind.fields();
            let mut stops: Vec<String> =
                fields.iter().filter_map(|change| facts.get(&change.path)?.interrupts.clone()).collect();
            stops.dedup();
            step.interrupts = (!stops.is_empty()).then(|| stops.join(", "));
            (step.price_before, step.price) = prices(case.kind, &before, &case.spec, &fields);
            step.changes = fields;
            step.group = (!group.is_empty()).then_some(group);
            step.spec = as_is_where_ignored(case);
            step.after.extend(last);
            last = Some(id);
            self.making.entry(index).or_default().push(id);
        }
        last
    }

    /// What was stopped and is not deleted runs again; so does what an earlier run left stopped, by the
    /// mark on the object.
    fn resumes(&mut self) {
        let paused: Vec<usize> = self.pausing.keys().copied().collect();
        for index in paused {
            if self.builder.cases[index].fate.deletes() {
                continue;
            }
            let id = self.push(index, Action::Resume, Reason::For(self.pausing[&index]));
            self.resuming.insert(index, id);
        }
        if self.builder.input.options.verb == Verb::Destroy {
            return;
        }
        for (index, case) in self.builder.cases.iter().enumerate() {
            let stack = self.builder.input.place.stack.as_str();
            let is_due = |object: &Object| {
                object.owner().is_some_and(|(owner, _)| owner == stack) && resume::is_due(case.kind, object)
            };
            let left = case.object.is_some_and(is_due)
                && matches!(case.fate, Fate::Keep | Fate::Change { .. } | Fate::Aside)
                && !self.resuming.contains_key(&index);
            if left {
                let id = self.push(index, Action::Resume, Reason::Broken);
                self.resuming.insert(index, id);
            }
        }
    }
}

/// The tag that carries the mark of the secret that a step sends.
fn mark_tag(mark: Option<&SecretMark>) -> Option<(String, String)> {
    mark.map(|mark| (tag::SECRET.to_owned(), mark.mark.clone()))
}

/// The price before and after a change of these fields, if the change has anything to do with it.
fn prices(kind: &dyn AnyKind, before: &Value, spec: &Value, changes: &[FieldChange]) -> (Option<Price>, Option<Price>) {
    let mut after = before.clone();
    for change in changes {
        if let Some(map) = after.as_object_mut() {
            map.insert(change.path.clone(), spec[&change.path].clone());
        }
    }
    let (old, new) = (kind.price(before), kind.price(&after));
    if old == new { (None, None) } else { (old, new) }
}
