//! One edit of one field, and the proof that it does what its facts say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use towpath_engine::diff;
use towpath_engine::kind::{AnyKind, Change};
use towpath_engine::plan::{Action, FieldChange, Plan, Reason, Step};

use crate::cases::Sheet;
use crate::stand::{Planned, SUBJECT, Stand, said};

/// What a stack means from which the field is removed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Gone {
    /// Nothing: what is not declared is not compared.
    Nothing,
    /// A mistake.
    Mistake,
    /// The kind's default, which is compared although it is not declared.
    Default(Value),
}

/// A field with two valid values.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) field: &'static str,
    from: Value,
    to: Value,
    /// Other fields that must be so for this.
    with: Value,
    /// Fields of the state that say the same in another way, and so change too.
    twins: &'static [&'static str],
    gone: Gone,
    /// Another field that must change with it: its two values.
    together: Option<(&'static str, Value, Value)>,
    /// The API rule by which this change, other than most of the field's, makes the object anew: from
    /// the first value to the second, or back.
    forced: [Option<&'static str>; 2],
}

/// An edit of a field whose removal means nothing.
pub(crate) fn edit(field: &'static str, from: Value, to: Value) -> Edit {
    Edit { field, from, to, with: Value::Null, twins: &[], gone: Gone::Nothing, together: None, forced: [None; 2] }
}

impl Edit {
    /// Beside these other fields; `null` leaves one out.
    pub(crate) fn with(mut self, with: Value) -> Self {
        self.with = with;
        self
    }

    /// These say the same.
    pub(crate) fn twins(mut self, twins: &'static [&'static str]) -> Self {
        self.twins = twins;
        self
    }

    /// Only with a change of this one.
    pub(crate) fn together(mut self, field: &'static str, from: Value, to: Value) -> Self {
        self.together = Some((field, from, to));
        self
    }

    /// The change to the second value makes the object anew.
    pub(crate) fn forced(mut self, rule: &'static str) -> Self {
        self.forced[0] = Some(rule);
        self
    }

    /// The change back makes the object anew.
    pub(crate) fn forced_back(mut self, rule: &'static str) -> Self {
        self.forced[1] = Some(rule);
        self
    }

    /// Without it the stack has a mistake.
    pub(crate) fn needed(mut self) -> Self {
        self.gone = Gone::Mistake;
        self
    }

    /// Without it the kind's default is compared.
    pub(crate) fn defaults_to(mut self, value: Value) -> Self {
        self.gone = Gone::Default(value);
        self
    }

    /// The field, and the members of it that differ or are there on one side only.
    pub(crate) fn touched(&self) -> BTreeSet<String> {
        let mut touched = BTreeSet::from([self.field.to_owned()]);
        let pairs = match (&self.from, &self.to) {
            (Value::Array(from), Value::Array(to)) => from.iter().zip(to).collect(),
            (from, to) => vec![(from, to)],
        };
        for (from, to) in pairs {
            let (empty, none) = (Map::new(), Map::new());
            let (from, to) = (from.as_object().unwrap_or(&empty), to.as_object().unwrap_or(&none));
            let differing = from.keys().chain(to.keys()).filter(|member| from.get(*member) != to.get(*member));
            touched.extend(differing.map(|member| format!("{}.{member}", self.field)));
        }
        touched
    }

    /// Whether a member of the block is never read back.
    fn writes_secrets(&self) -> bool {
        [&self.from, &self.to].into_iter().any(|value| value.get("password").or(value.get("url")).is_some())
    }

    /// Whether the values differ only in what cannot be read back.
    fn is_unread(&self) -> bool {
        ["value", "generate"].contains(&self.field) || {
            let unread = |member: &str| ["password", "url"].contains(&member);
            let touched = self.touched();
            let mut members = touched.iter().filter_map(|path| path.split_once('.')).peekable();
            members.peek().is_some() && members.all(|(_, member)| unread(member))
        }
    }

    fn spec(&self, sheet: &Sheet, value: Option<&Value>) -> Value {
        let mut spec = sheet.base.clone();
        let map = spec.as_object_mut().unwrap();
        for (key, value) in self.with.as_object().into_iter().flatten() {
            map.insert(key.clone(), value.clone());
        }
        map.remove(self.field);
        map.extend(value.map(|value| (self.field.to_owned(), value.clone())));
        if let Some((field, from, to)) = &self.together {
            let other = if value == Some(&self.to) { to } else { from };
            map.insert((*field).to_owned(), other.clone());
        }
        map.retain(|_, value| !value.is_null());
        map.insert("kind".to_owned(), Value::from(sheet.kind));
        spec
    }

    fn stack(&self, sheet: &Sheet, value: Option<&Value>) -> Value {
        let mut resources = sheet.world.clone();
        resources[SUBJECT] = self.spec(sheet, value);
        resources
    }
}

/// Edits, applies, sets back, applies, removes; each apply is followed by an empty plan. The error says what was not as promised.
pub(crate) async fn prove(stand: &Stand, sheet: &Sheet, edit: &Edit) -> Result<(), String> {
    let base = edit.stack(sheet, Some(&edit.from));
    let edited = edit.stack(sheet, Some(&edit.to));
    stand.settle(&base).await.map_err(|error| format!("the base: {error}"))?;
    change(stand, sheet, edit, &edited).await.map_err(|error| format!("{} to {}: {error}", edit.from, edit.to))?;
    change(stand, sheet, edit, &base).await.map_err(|error| format!("back to {}: {error}", edit.from))?;
    removed(stand, sheet, edit).await.map_err(|error| format!("removed: {error}"))
}

async fn change(stand: &Stand, sheet: &Sheet, edit: &Edit, stack: &Value) -> Result<(), String> {
    let planned = stand.plan(stack).await?;
    let kind = planned.registry.get(sheet.kind).unwrap().as_ref();
    let plan = &planned.plan;
    let value = &stack[SUBJECT][edit.field];
    as_promised(kind, edit, plan, value).map_err(|error| format!("{error}; the plan is\n{}", said(plan)))?;
    stand.apply(&planned).await?;
    let after = stand.plan(stack).await?;
    if !after.plan.is_empty() || !after.plan.is_allowed() {
        return Err(format!("after the apply the plan is not empty:\n{}", said(&after.plan)));
    }
    if planned.plan.steps.iter().all(|step| step.action == Action::Update) {
        untouched(kind, edit, &planned, &after)?;
    }
    Ok(())
}

fn fact(kind: &dyn AnyKind, field: &str) -> towpath_engine::kind::FieldFacts {
    kind.fields().get(field).cloned().unwrap_or_default()
}

/// Whether the plan is this edit and nothing else.
fn as_promised(kind: &dyn AnyKind, edit: &Edit, plan: &Plan, value: &Value) -> Result<(), String> {
    let fact = fact(kind, edit.field);
    if !plan.is_allowed() {
        return Err("the plan is refused".to_owned());
    }
    let (own, others): (Vec<&Step>, Vec<&Step>) = plan.steps.iter().partition(|step| step.address.name == SUBJECT);
    // What refers to the subject may have to be made again with it.
    if let Some(other) = others.iter().find(|step| step.reason != Reason::Replaced) {
        return Err(format!("{} is touched too", other.address));
    }
    let actions: Vec<Action> = own.iter().map(|step| step.action).collect();
    let forced = edit.forced[usize::from(*value == edit.from)];
    let expected: &[Action] = match fact.change {
        _ if forced.is_some() => &[Action::Delete, Action::Create],
        _ if edit.is_unread() => &[Action::Update, Action::Tag],
        Change::InPlace => &[Action::Update],
        Change::Replace => &[Action::Delete, Action::Create],
        Change::WriteOnly => return Err("a write-only field is shown as readable".to_owned()),
        Change::Local => &[],
    };
    // Whoever changes a password along with something else notes what was written, too.
    let noted = [Action::Update, Action::Tag];
    if actions != expected && !(expected == [Action::Update] && actions == noted && edit.writes_secrets()) {
        return Err(format!("the actions are {actions:?}, the facts promise {expected:?}"));
    }
    let Some(step) = own.into_iter().find(|step| matches!(step.action, Action::Update | Action::Create)) else {
        return Ok(());
    };
    let other = edit.together.as_ref().map(|(field, ..)| *field);
    let changes: Vec<&FieldChange> = step.changes.iter().filter(|change| Some(change.path.as_str()) != other).collect();
    let ([change], true) = (changes.as_slice(), step.changes.len() == 1 + usize::from(other.is_some())) else {
        return Err(format!("{} fields are said to change", step.changes.len()));
    };
    if change.path != edit.field {
        return Err(format!("`{}` is said to change", change.path));
    }
    match (fact.change, &change.forces_replacement) {
        (_, rule) if forced.is_some() => {
            if rule.as_deref() != forced {
                return Err(format!("the rule is {rule:?}"));
            }
        }
        (Change::Replace, Some(rule)) if fact.rule.as_ref() == Some(rule) => {}
        (Change::Replace, rule) => return Err(format!("the rule is {rule:?}, the facts say {:?}", fact.rule)),
        (_, Some(rule)) => return Err(format!("a replacement is said to be forced: {rule}")),
        (_, None) => {}
    }
    if change.loses != fact.loses {
        return Err(format!("it is said to lose {:?}", change.loses));
    }
    group_as_promised(&fact.group, step)?;
    if edit.is_unread() {
        return if change.after == *value { Ok(()) } else { Err(format!("after is {}", change.after)) };
    }
    values_as_declared(kind, edit, change, value)
}

fn group_as_promised(group: &str, step: &Step) -> Result<(), String> {
    let expected = Some(group.to_owned()).filter(|group| !group.is_empty() && step.action == Action::Update);
    if step.group == expected { Ok(()) } else { Err(format!("the group is {:?}", step.group)) }
}

/// Whether before and after are the two values, as far as values without references can be told.
fn values_as_declared(kind: &dyn AnyKind, edit: &Edit, change: &FieldChange, value: &Value) -> Result<(), String> {
    let is_first = *value == edit.from;
    let (before, after) = if is_first { (&edit.to, &edit.from) } else { (&edit.from, &edit.to) };
    let compare = fact(kind, edit.field).compare;
    // Where resources are named, the plan has their ids; so has a nested secret or role.
    let text = value.to_string();
    let has_names = fact(kind, edit.field).refers_to.is_some()
        || ["\"from\":\"", "\"secret\":\"login", "\"secret\":\"other"].iter().any(|name| text.contains(name));
    if change.before == change.after {
        return Err("before and after are shown alike".to_owned());
    }
    if has_names {
        return Ok(());
    }
    let shape = |value: &Value| {
        let mut spec = Map::from_iter([(edit.field.to_owned(), value.clone())]);
        spec.extend(edit.with.as_object().cloned().unwrap_or_default());
        kind.normalise(Value::Object(spec))[edit.field].clone()
    };
    if !diff::equal(compare, &shape(after), &shape(&change.after)) {
        return Err(format!("after is {}, declared is {}", change.after, shape(after)));
    }
    // Of a live value that compares as a subset the part is shown that is declared.
    let (shown, was) = (shape(&change.before), shape(before));
    let is_same = diff::equal(compare, &shown, &was) || diff::equal(compare, &was, &shown);
    if is_same { Ok(()) } else { Err(format!("before is {}, it was {}", change.before, shape(before))) }
}

/// Whether nothing but the field changed in the live object.
fn untouched(kind: &dyn AnyKind, edit: &Edit, before: &Planned, after: &Planned) -> Result<(), String> {
    let state = |planned: &Planned| {
        let object = planned.subject(kind.kind()).map(|object| object.state.clone()).unwrap_or_default();
        kind.normalise(object).as_object().cloned().unwrap_or_default()
    };
    let (before, after) = (state(before), state(after));
    let mut keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.retain(|key| **key != edit.field && !edit.twins.contains(&key.as_str()));
    for key in keys {
        if before.get(key) != after.get(key) {
            return Err(format!("`{key}` changed too, from {:?} to {:?}", before.get(key), after.get(key)));
        }
    }
    Ok(())
}

/// Whether the value of a field that was removed survives a change of another one. The second edit of
/// the sheet that goes with this one is that change.
async fn stays(stand: &Stand, sheet: &Sheet, edit: &Edit, before: &Planned) -> Result<(), String> {
    let kind = before.registry.get(sheet.kind).unwrap().as_ref();
    let Some((field, from, to)) = &sheet.probe else { return Ok(()) };
    if *field == edit.field || fact(kind, edit.field).change != Change::InPlace || edit.is_unread() {
        return Ok(());
    }
    let mut stack = edit.stack(sheet, None);
    let live = before.subject(sheet.kind).map(|object| object.state[*field].clone()).unwrap_or_default();
    stack[SUBJECT][*field] = if live == *from { to.clone() } else { from.clone() };
    stand.settle(&stack).await.map_err(|error| format!("with another `{field}`: {error}"))?;
    let after = stand.plan(&stack).await?;
    let state = |planned: &Planned| planned.subject(sheet.kind).map(|object| object.state[edit.field].clone());
    // Of a bucket only what is declared is read.
    let unread = state(before) == Some(Value::Null) && state(&after).as_ref() == Some(&edit.from);
    if unread || state(before) == state(&after) {
        return Ok(());
    }
    Err(format!("a change of `{field}` made {:?} of {:?}", state(&after), state(before)))
}

async fn removed(stand: &Stand, sheet: &Sheet, edit: &Edit) -> Result<(), String> {
    if matches!(edit.gone, Gone::Default(_)) {
        change(stand, sheet, edit, &edit.stack(sheet, Some(&edit.to))).await?;
    }
    let planned = stand.plan(&edit.stack(sheet, None)).await;
    match (&edit.gone, planned) {
        (Gone::Mistake, Err(_)) => Ok(()),
        (Gone::Mistake, Ok(_)) => Err("it is no mistake".to_owned()),
        (Gone::Nothing, Ok(planned)) if planned.plan.is_empty() => stays(stand, sheet, edit, &planned).await,
        (Gone::Default(value), Ok(planned)) => {
            let kind = planned.registry.get(sheet.kind).unwrap().as_ref();
            let mut back = edit.clone();
            back.from = value.clone();
            as_promised(kind, &back, &planned.plan, value)
                .map_err(|error| format!("{error}; the plan is\n{}", said(&planned.plan)))
        }
        (Gone::Nothing, Ok(planned)) => Err(format!("the plan is not empty:\n{}", said(&planned.plan))),
        (_, Err(error)) => Err(error),
    }
}
