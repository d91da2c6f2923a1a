//! Which step must wait for which.
//!
//! Making follows the declared needs; deleting follows what really refers to what, because that is
//! what a service looks at; work stands still around the changes that need it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::build::{Builder, Case, Fate};
use super::decide::texts;
use super::selection::closure;
use super::steps::Layout;
use super::{Action, Step};
use crate::kind::Pauses;
use crate::stack::Resource;

/// Who uses whom, by position of the cases.
pub(super) struct Users {
    /// By the references of live objects that keep the used one from being deleted.
    firm: BTreeMap<usize, BTreeSet<usize>>,
    /// By live references that do not.
    loose: BTreeMap<usize, BTreeSet<usize>>,
    /// By the stack file.
    declared: BTreeMap<usize, BTreeSet<usize>>,
}

impl Users {
    pub(super) fn of(builder: &Builder<'_>) -> Self {
        let mut by_output: HashMap<(&str, &str, &str), usize> = HashMap::new();
        for (index, case) in builder.cases.iter().enumerate() {
            for (attribute, value) in case.object.iter().flat_map(|object| &object.outputs) {
                if let Some(text) = value.as_str() {
                    by_output.insert((case.kind.kind(), attribute, text), index);
                }
            }
        }
        let mut users = Self { firm: BTreeMap::new(), loose: BTreeMap::new(), declared: BTreeMap::new() };
        for (index, case) in builder.cases.iter().enumerate() {
            for (used, is_loose) in live_references(case, &by_output) {
                let list = if is_loose { &mut users.loose } else { &mut users.firm };
                if used != index {
                    list.entry(used).or_default().insert(index);
                }
            }
            for used in declared_references(builder, case) {
                users.declared.entry(used).or_default().insert(index);
            }
        }
        users
    }

    /// What keeps a case from being deleted.
    pub(super) fn holding(&self, index: usize) -> impl Iterator<Item = usize> {
        self.firm.get(&index).into_iter().flatten().copied()
    }

    /// Everything that uses a case in any way.
    pub(super) fn of_case(&self, index: usize) -> impl Iterator<Item = usize> {
        let all: BTreeSet<usize> = [&self.firm, &self.loose, &self.declared]
            .into_iter()
            .filter_map(|users| users.get(&index))
            .flatten()
            .copied()
            .collect();
        all.into_iter()
    }
}

fn live_references(case: &Case<'_>, by_output: &HashMap<(&str, &str, &str), usize>) -> Vec<(usize, bool)> {
    let Some(object) = case.object else { return Vec::new() };
    let mut found = Vec::new();
    for (field, fact) in case.kind.fields() {
        let (Some(refers), Some(value)) = (&fact.refers_to, object.state.get(field)) else { continue };
        for text in texts(value) {
            for kind in &refers.kinds {
                let used = by_output.get(&(kind.as_str(), refers.attribute.as_str(), text));
                found.extend(used.map(|used| (*used, refers.loose)));
            }
        }
    }
    found
}

fn declared_references(builder: &Builder<'_>, case: &Case<'_>) -> Vec<usize> {
    let needs = case.resource.map(Resource::needs).unwrap_or_default();
    needs.iter().filter_map(|need| builder.index.get(need).copied()).collect()
}

/// Adds all edges. Those of the first three kinds cannot make a cycle; the others are left out
/// where they would: the service then has the last word, and the call is made again.
pub(super) fn draw(layout: &mut Layout<'_, '_>, users: &Users) {
    making(layout);
    standing_still(layout, users);
    changing_alone(layout, users);
    let deleting: Vec<(usize, usize)> = layout.deleting.iter().map(|(index, id)| (*index, *id)).collect();
    deletes_after(layout, &users.firm, &deleting);
    for (index, delete) in &deleting {
        for before in letting_go(layout, users, *index) {
            add_unless_cycle(&mut layout.steps, *delete, before);
        }
    }
    deletes_after(layout, &users.declared, &deleting);
    deletes_after(layout, &users.loose, &deleting);
    names_first(layout, &deleting);
    for (index, case) in layout.builder.cases.iter().enumerate() {
        let (Fate::Release { .. }, Some(tag)) = (&case.fate, layout.tagging.get(&index).copied()) else { continue };
        for user in users.of_case(index) {
            let last = layout.deleting.get(&user).into_iter().chain(layout.making.get(&user).into_iter().flatten());
            for before in last.copied().collect::<Vec<_>>() {
                add_unless_cycle(&mut layout.steps, tag, before);
            }
        }
    }
}

/// Users go first.
fn deletes_after(layout: &mut Layout<'_, '_>, users: &BTreeMap<usize, BTreeSet<usize>>, deleting: &[(usize, usize)]) {
    for (index, delete) in deleting {
        for user in users.get(index).into_iter().flatten() {
            if let Some(before) = layout.deleting.get(user).copied() {
                add_unless_cycle(&mut layout.steps, *delete, before);
            }
        }
    }
}

/// A name is free when the object that has it is gone.
fn names_first(layout: &mut Layout<'_, '_>, deleting: &[(usize, usize)]) {
    let cases = &layout.builder.cases;
    let mut going: HashMap<(&str, String), usize> = HashMap::new();
    for (index, delete) in deleting {
        let case = &cases[*index];
        let named = case.object.and_then(|object| object.outputs.get("name")?.as_str());
        for name in named.into_iter().chain([case.identity.as_str()]) {
            going.insert((case.kind.kind(), name.to_lowercase()), *delete);
        }
    }
    for (index, case) in cases.iter().enumerate() {
        let Some(delete) = going.get(&(case.kind.kind(), case.name.to_lowercase())).copied() else { continue };
        for id in layout.making.get(&index).cloned().unwrap_or_default() {
            if layout.steps[id].action == Action::Create {
                add_unless_cycle(&mut layout.steps, id, delete);
            }
        }
    }
}

/// What is needed is made first; what is replaced is deleted before it is made again.
fn making(layout: &mut Layout<'_, '_>) {
    for (index, case) in layout.builder.cases.iter().enumerate() {
        let Some(making) = layout.making.get(&index) else { continue };
        let mut before: Vec<usize> = layout.deleting.get(&index).copied().into_iter().collect();
        for need in declared_references(layout.builder, case) {
            before.extend(layout.making.get(&need).into_iter().flatten());
        }
        for id in making {
            if layout.steps[*id].action != Action::Wait {
                layout.steps[*id].after.extend(&before);
            }
        }
    }
}

/// Work stops before what needs that, and starts when everything around it is done.
fn standing_still(layout: &mut Layout<'_, '_>, users: &Users) {
    for (index, case) in layout.builder.cases.iter().enumerate() {
        if let Some(delete) = layout.deleting.get(&index) {
            layout.steps[*delete].after.extend(layout.pausing.get(&index));
        }
        let mut still: Vec<usize> = Vec::new();
        if !matches!(case.kind.facts().pauses, Pauses::Nothing | Pauses::Holders) {
            still.extend(layout.pausing.get(&index));
        }
        if case.kind.facts().pauses == Pauses::Dependents {
            still.extend(users.of_case(index).filter_map(|user| layout.pausing.get(&user)));
        }
        // What it needs may be why it changes: an address that moves away under running work would end that.
        let needs = if case.fate.updates() { declared_references(layout.builder, case) } else { Vec::new() };
        for changed in needs.into_iter().chain([index]) {
            for id in layout.making.get(&changed).into_iter().flatten() {
                if layout.steps[*id].action == Action::Update {
                    layout.steps[*id].after.extend(&still);
                }
            }
        }
    }
    if layout.resuming.is_empty() {
        return;
    }
    for index in 0..layout.builder.cases.len() {
        for user in users.of_case(index).chain([index]) {
            let Some(resume) = layout.resuming.get(&user).copied() else { continue };
            layout.steps[resume].after.extend(layout.making.get(&index).into_iter().flatten());
            layout.steps[resume].after.extend(layout.pausing.get(&user));
        }
    }
}

/// What is changed only while nothing refers to it waits until all that does is deleted or has let go.
fn changing_alone(layout: &mut Layout<'_, '_>, users: &Users) {
    for (index, case) in layout.builder.cases.iter().enumerate() {
        if case.kind.facts().pauses != Pauses::Holders || !case.fate.updates() {
            continue;
        }
        let mut before: Vec<usize> = users
            .firm
            .get(&index)
            .into_iter()
            .flatten()
            .filter_map(|user| layout.deleting.get(user).copied())
            .collect();
        before.extend(letting_go(layout, users, index));
        for id in layout.making.get(&index).cloned().unwrap_or_default() {
            for before in &before {
                add_unless_cycle(&mut layout.steps, id, *before);
            }
        }
    }
}

/// The updates by which users that stay let go of an object before it is deleted. A user that is
/// declared to use the object made in its place has nothing to let go.
fn letting_go(layout: &Layout<'_, '_>, users: &Users, index: usize) -> Vec<usize> {
    let builder = layout.builder;
    let case = &builder.cases[index];
    let mut found = Vec::new();
    for user in users.firm.get(&index).into_iter().chain(users.loose.get(&index)).flatten() {
        let other = &builder.cases[*user];
        if !matches!(other.fate, Fate::Change { .. }) {
            continue;
        }
        let needs_it = case.resource.is_some()
            && closure(&other.resource.map(Resource::needs).unwrap_or_default(), &|name| {
                builder.input.stack.resources.get(name).map(Resource::needs).unwrap_or_default()
            })
            .contains(&case.address.name);
        if !needs_it {
            found.extend(layout.making.get(user).into_iter().flatten());
        }
    }
    found
}

/// Lets `step` wait for `before`, unless `before` waits for `step` already.
fn add_unless_cycle(steps: &mut [Step], step: usize, before: usize) {
    let mut seen: HashSet<usize> = HashSet::new();
    let mut open = vec![before];
    while let Some(id) = open.pop() {
        if id == step {
            return;
        }
        if seen.insert(id) {
            open.extend(&steps[id].after);
        }
    }
    steps[step].after.push(before);
}
