//! Decided fates as steps with edges, in an order in which they could be done one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Builder, Case, Fate};
use super::{Action, FieldChange, Note, Plan, Reason, Step};
use crate::diff;
use crate::kind::{Object, Pauses, Seconds, Tags};
use crate::value::Value;

/// Seconds that pass for a call without a life cycle behind it (tags).
const CALL: Seconds = Seconds::new(0.2, 0.5, 2.0);

struct Layout<'a, 'b> {
    builder: &'b Builder<'a>,
    steps: Vec<Step>,
    /// Steps of a case by its position: those that make or change it, those that delete it.
    making: BTreeMap<usize, Vec<usize>>,
    deleting: BTreeMap<usize, usize>,
    pausing: BTreeMap<usize, usize>,
    resuming: BTreeMap<usize, usize>,
}

/// Lays the steps out and finishes the plan.
pub(super) fn lay_out(builder: Builder<'_>) -> Plan {
    let mut layout = Layout {
        builder: &builder,
        steps: Vec::new(),
        making: BTreeMap::new(),
        deleting: BTreeMap::new(),
        pausing: BTreeMap::new(),
        resuming: BTreeMap::new(),
    };
    let users = live_users(&builder);
    layout.pauses(&users);
    layout.deletes();
    layout.makes();
    layout.resumes(&users);
    layout.edges(&users);
    let steps = renumber(&layout.steps);
    let mut plan = builder.plan;
    for case in &builder.cases {
        if matches!(case.fate, Fate::Keep) && !steps.iter().any(|step| step.address == case.address) {
            plan.unchanged.push(case.address.clone());
        }
        if let (Fate::Delete { .. } | Fate::Replace { .. }, Some(object)) = (&case.fate, case.object)
            && object.running
        {
            plan.notes
                .push(Note { address: case.address.clone(), text: "its running work is stopped first".to_owned() });
        }
    }
    (plan.seconds, plan.critical_path) = critical_path(&steps);
    plan.steps = steps;
    plan
}

/// For each case, the cases whose live objects refer to its live object, or whose declared specs
/// refer to it.
fn live_users(builder: &Builder<'_>) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut by_output: BTreeMap<(&str, String, String), usize> = BTreeMap::new();
    for (index, case) in builder.cases.iter().enumerate() {
        let Some(object) = case.object else { continue };
        for (attribute, value) in &object.outputs {
            if let Value::String(text) = value {
                by_output.insert((case.kind.kind(), attribute.clone(), text.clone()), index);
            }
        }
    }
    let mut users: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (index, case) in builder.cases.iter().enumerate() {
        for used in live_references(case, &by_output).into_iter().chain(declared_references(builder, case)) {
            if used != index {
                users.entry(used).or_default().insert(index);
            }
        }
    }
    users
}

fn live_references(case: &Case<'_>, by_output: &BTreeMap<(&str, String, String), usize>) -> Vec<usize> {
    let Some(object) = case.object else { return Vec::new() };
    let mut found = Vec::new();
    for (field, fact) in case.kind.fields() {
        let Some(refers) = &fact.refers_to else { continue };
        let texts: Vec<&str> = match object.state.get(field) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => continue,
        };
        for text in texts {
            for kind in &refers.kinds {
                found.extend(by_output.get(&(kind.as_str(), refers.attribute.clone(), text.to_owned())));
            }
        }
    }
    found
}

fn declared_references(builder: &Builder<'_>, case: &Case<'_>) -> Vec<usize> {
    let needs = case.resource.map(crate::stack::Resource::needs).unwrap_or_default();
    needs.iter().filter_map(|need| builder.index.get(need).copied()).collect()
}

impl Layout<'_, '_> {
    fn push(&mut self, case: usize, action: Action, reason: Reason) -> usize {
        let of = &self.builder.cases[case];
        let id = self.steps.len();
        let facts = of.kind.facts();
        let seconds = match action {
            Action::Create => facts.create,
            Action::Update | Action::Pause | Action::Resume => facts.update,
            Action::Delete => facts.delete,
            Action::Tag => CALL,
        };
        let learned = self.builder.input.replay.learned(of.kind.kind(), action);
        self.steps.push(Step {
            id,
            address: of.address.clone(),
            action,
            reason,
            identity: of.identity.clone(),
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
            loses: None,
            interrupts: None,
            price: None,
            final_snapshot: None,
            fingerprint: of.object.map(fingerprint),
        });
        id
    }

    /// Running work that must stand still: of objects that are deleted, of objects whose kind asks
    /// for it, and of what uses them.
    fn pauses(&mut self, users: &BTreeMap<usize, BTreeSet<usize>>) {
        let runs = |index: &usize| self.builder.cases[*index].object.is_some_and(|object| object.running);
        let mut still: BTreeMap<usize, Reason> = BTreeMap::new();
        for (index, case) in self.builder.cases.iter().enumerate() {
            match &case.fate {
                Fate::Delete { reason } | Fate::Replace { reason, .. } if runs(&index) => {
                    still.insert(index, reason.clone());
                }
                Fate::Change { diff, .. } if !diff.is_empty() => {
                    let affected: Vec<usize> = match case.kind.facts().pauses {
                        Pauses::Nothing => Vec::new(),
                        Pauses::Itself => vec![index],
                        Pauses::Dependents => users.get(&index).into_iter().flatten().copied().collect(),
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
            let id = self.push(index, Action::Delete, reason.clone());
            let facts = case.kind.facts();
            self.steps[id].loses = facts.holds.map(str::to_owned);
            self.steps[id].price = case.object.and_then(|object| case.kind.price(&object.state));
            self.deleting.insert(index, id);
        }
    }

    fn makes(&mut self) {
        for index in 0..self.builder.cases.len() {
            let case = &self.builder.cases[index];
            match &case.fate {
                Fate::Create => {
                    let id = self.push(index, Action::Create, Reason::Declared);
                    self.fill_create(id, index, &[]);
                    self.steps[id].fingerprint = None;
                }
                Fate::Replace { diff, reason } => {
                    let id = self.push(index, Action::Create, reason.clone());
                    self.fill_create(id, index, &diff.changes);
                    self.steps[id].fingerprint = None;
                }
                Fate::Change { diff, tags } => self.changes(index, &diff.changes, tags),
                _ => {}
            }
        }
    }

    fn fill_create(&mut self, id: usize, index: usize, differing: &[FieldChange]) {
        let case = &self.builder.cases[index];
        let mut changes: Vec<FieldChange> = differing.to_vec();
        for (field, after) in case.spec.as_object().into_iter().flatten() {
            if !changes.iter().any(|change| change.path == *field) {
                changes.push(FieldChange {
                    path: field.clone(),
                    before: if differing.is_empty() { Value::Null } else { after.clone() },
                    after: after.clone(),
                    forces_replacement: None,
                    loses: None,
                });
            }
        }
        if !differing.is_empty() {
            changes.retain(|change| change.before != change.after);
        }
        let step = &mut self.steps[id];
        step.changes = changes;
        step.spec = case.spec.clone();
        step.tags = case.tags.clone();
        step.price = case.kind.price(&case.spec);
        self.making.entry(index).or_default().push(id);
    }

    fn changes(&mut self, index: usize, changes: &[FieldChange], tags: &Tags) {
        let case = &self.builder.cases[index];
        let before = case.object.map_or(Value::Null, |object| object.state.clone());
        let mut last: Option<usize> = None;
        if !tags.is_empty() {
            let asked = self.builder.input.options.adopt.contains(&case.address.name);
            let id = self.push(index, Action::Tag, if asked { Reason::Asked } else { Reason::Differs });
            let live = case.object.and_then(|object| object.tags.clone()).unwrap_or_default();
            self.steps[id].changes = tags
                .iter()
                .map(|(key, value)| FieldChange {
                    path: format!("tags.{key}"),
                    before: live.get(key).map_or(Value::Null, |value| Value::String(value.clone())),
                    after: Value::String(value.clone()),
                    forces_replacement: None,
                    loses: None,
                })
                .collect();
            self.steps[id].tags = tags.clone();
            self.making.entry(index).or_default().push(id);
            last = Some(id);
        }
        for (group, fields) in diff::groups(case.kind, changes, &before, &case.spec) {
            let id = self.push(index, Action::Update, Reason::Differs);
            let step = &mut self.steps[id];
            let lost: Vec<String> = fields.iter().filter_map(|change| change.loses.clone()).collect();
            step.loses = (!lost.is_empty()).then(|| lost.join(", "));
            step.changes = fields;
            step.group = (!group.is_empty()).then_some(group);
            step.spec = case.spec.clone();
            step.after.extend(last);
            last = Some(id);
            self.making.entry(index).or_default().push(id);
        }
    }

    /// What was stopped and is not deleted runs again; so does what an earlier run left stopped.
    fn resumes(&mut self, users: &BTreeMap<usize, BTreeSet<usize>>) {
        let paused: Vec<usize> = self.pausing.keys().copied().collect();
        for index in paused {
            if self.builder.cases[index].fate.deletes() {
                continue;
            }
            let id = self.push(index, Action::Resume, Reason::For(self.pausing[&index]));
            self.resuming.insert(index, id);
        }
        for (index, case) in self.builder.cases.iter().enumerate() {
            let left = self.builder.input.replay.must_resume.contains(&case.address)
                && case.object.is_some_and(|object| !object.running)
                && !case.fate.deletes()
                && !self.resuming.contains_key(&index);
            if left {
                let id = self.push(index, Action::Resume, Reason::Broken);
                self.resuming.insert(index, id);
            }
        }
        for (index, id) in &self.resuming {
            let mut before: Vec<usize> = self.making.get(index).cloned().unwrap_or_default();
            before.extend(self.pausing.get(index));
            for (used, by) in users {
                if by.contains(index) {
                    before.extend(self.making.get(used).into_iter().flatten());
                }
            }
            self.steps[*id].after.extend(before);
        }
    }

    fn edges(&mut self, users: &BTreeMap<usize, BTreeSet<usize>>) {
        for (index, case) in self.builder.cases.iter().enumerate() {
            let making = self.making.get(&index).cloned().unwrap_or_default();
            for need in declared_references(self.builder, case) {
                let before = self.making.get(&need).cloned().unwrap_or_default();
                for id in &making {
                    self.steps[*id].after.extend(before.iter().copied());
                }
            }
            if let Some(delete) = self.deleting.get(&index).copied() {
                for id in &making {
                    self.steps[*id].after.push(delete);
                }
                self.steps[delete].after.extend(self.pausing.get(&index));
                for user in users.get(&index).into_iter().flatten() {
                    self.steps[delete].after.extend(self.deleting.get(user));
                    if !self.builder.cases[*user].fate.creates() {
                        // A user that stays must have let go first.
                        let lets_go = self.making.get(user).cloned().unwrap_or_default();
                        if case.resource.is_none() {
                            self.steps[delete].after.extend(lets_go);
                        }
                    }
                }
            }
            if case.kind.facts().pauses != Pauses::Nothing {
                let mut still: Vec<usize> = self.pausing.get(&index).copied().into_iter().collect();
                if case.kind.facts().pauses == Pauses::Dependents {
                    still.extend(users.get(&index).into_iter().flatten().filter_map(|user| self.pausing.get(user)));
                }
                for id in making {
                    if self.steps[id].action == Action::Update {
                        self.steps[id].after.extend(still.iter().copied());
                    }
                }
            }
        }
    }
}

/// Puts the steps in an order in which they could be done one by one and numbers them so.
fn renumber(steps: &[Step]) -> Vec<Step> {
    let mut placed: BTreeMap<usize, usize> = BTreeMap::new();
    let mut sorted = Vec::new();
    while sorted.len() < steps.len() {
        let before = sorted.len();
        for step in steps {
            if !placed.contains_key(&step.id) && step.after.iter().all(|id| placed.contains_key(id)) {
                placed.insert(step.id, sorted.len());
                sorted.push(step.clone());
            }
        }
        assert!(sorted.len() > before, "the edges of a plan have no cycle");
    }
    for (position, step) in sorted.iter_mut().enumerate() {
        step.id = position;
        step.after = step.after.iter().map(|id| placed[id]).collect();
        step.after.sort_unstable();
        step.after.dedup();
        if let Reason::For(id) = &mut step.reason {
            *id = placed[id];
        }
    }
    sorted
}

/// The longest way through the steps by typical seconds, and the time of the whole along the
/// longest ways by low, typical and high seconds.
pub fn critical_path(steps: &[Step]) -> (Seconds, Vec<usize>) {
    let ends = |of: &dyn Fn(&Seconds) -> f64| {
        let mut ends: Vec<f64> = Vec::with_capacity(steps.len());
        for step in steps {
            let start = step.after.iter().map(|id| ends[*id]).fold(0.0, f64::max);
            ends.push(start + of(&step.seconds));
        }
        ends
    };
    let longest = |ends: &[f64]| ends.iter().copied().fold(0.0, f64::max);
    let typical = ends(&|seconds| seconds.typical);
    let whole = Seconds {
        low: longest(&ends(&|seconds| seconds.low)),
        typical: longest(&typical),
        high: longest(&ends(&|seconds| seconds.high)),
    };
    let mut path = Vec::new();
    let mut at = (0..steps.len()).max_by(|left, right| typical[*left].total_cmp(&typical[*right]));
    while let Some(id) = at {
        path.push(id);
        at = steps[id].after.iter().copied().max_by(|left, right| typical[*left].total_cmp(&typical[*right]));
    }
    path.reverse();
    (whole, path)
}

/// A hash of what a plan relies on in a live object: its fields, tags and readiness, not its
/// changing figures.
pub fn fingerprint(object: &Object) -> String {
    use sha2::{Digest, Sha256};
    let seen = serde_json::json!({
        "identity": object.identity, "state": object.state, "tags": object.tags, "running": object.running,
    });
    hex::encode(&Sha256::digest(seen.to_string().as_bytes())[..16])
}

/// What has changed since a plan was made, in words, one line per object: the plan may be carried
/// out only when this is empty.
pub fn changed_since(plan: &Plan, observation: &crate::observe::Observation) -> Vec<String> {
    let mut changed = BTreeSet::new();
    for step in &plan.steps {
        let live = observation.of(&step.address.kind).iter().find(|object| object.identity == step.identity);
        match (&step.fingerprint, live) {
            (Some(_), None) => {
                changed.insert(format!("{} `{}` is gone", step.address, step.identity));
            }
            (Some(wanted), Some(object)) if *wanted != fingerprint(object) => {
                changed.insert(format!("{} `{}` was changed", step.address, step.identity));
            }
            (None, Some(_))
                if step.action == Action::Create
                    && !matches!(step.reason, Reason::Replaced | Reason::Broken | Reason::Asked) =>
            {
                changed.insert(format!("{} `{}` exists now", step.address, step.identity));
            }
            _ => {}
        }
    }
    changed.into_iter().collect()
}
