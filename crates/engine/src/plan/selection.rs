//! `--target` and `--exclude`: which resources a plan is about. It follows the declared needs, and leaves what
//! the live objects of the others use; what else a choice makes impossible is said by `decide`.

use std::collections::{BTreeSet, HashMap};

use super::Note;
use super::build::{Builder, Fate, Options, Verb};
use super::edges::Users;
use crate::kind::Readiness;
use crate::stack::{Resource, Stack};

/// The chosen resources.
pub(super) struct Selection {
    wanted: Option<BTreeSet<String>>,
    unwanted: BTreeSet<String>,
}

impl Selection {
    /// Apply takes along what the targets need and leaves out what needs the excluded; destroy the
    /// other way round.
    pub(super) fn new(stack: &Stack, options: &Options) -> Self {
        if !options.only.is_empty() {
            return Self { wanted: Some(options.only.keys().cloned().collect()), unwanted: BTreeSet::new() };
        }
        if options.targets.is_empty() && options.excludes.is_empty() {
            return Self { wanted: None, unwanted: BTreeSet::new() };
        }
        let mut users: HashMap<String, Vec<String>> = HashMap::new();
        for (name, resource) in &stack.resources {
            for need in resource.needs() {
                users.entry(need).or_default().push(name.clone());
            }
        }
        let needs = |name: &str| stack.resources.get(name).map(Resource::needs).unwrap_or_default();
        let needed_by = |name: &str| users.get(name).cloned().unwrap_or_default();
        let (targets, excludes) = match options.verb {
            Verb::Apply => (closure(&options.targets, &needs), closure(&options.excludes, &needed_by)),
            Verb::Destroy => (closure(&options.targets, &needed_by), closure(&options.excludes, &needs)),
        };
        Self { wanted: (!options.targets.is_empty()).then_some(targets), unwanted: excludes }
    }

    /// Whether the plan is about this resource.
    pub(super) fn has(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(name)) && !self.unwanted.contains(name)
    }
}

/// Whether a plan with these options is about a resource.
pub fn is_chosen(stack: &Stack, options: &Options, name: &str) -> bool {
    Selection::new(stack, options).has(name)
}

impl Builder<'_> {
    /// Leaves what is used by the objects of resources that the plan is not about. What they use may be another
    /// object than the file says by now, and one that the file does not declare any more.
    pub(super) fn leave_used_by_left_out(&mut self) {
        let stays = |index: &usize| {
            let case = &self.cases[*index];
            let is_there = case.object.is_some_and(|object| object.readiness != Readiness::Deleting);
            is_there && matches!(case.fate, Fate::Aside) && !self.selection.has(&case.address.name)
        };
        let left: BTreeSet<usize> = (0..self.cases.len()).filter(stays).collect();
        if left.is_empty() {
            return;
        }
        let users = Users::of(self);
        for (index, case) in self.cases.iter().enumerate() {
            // Who needs it by the file, too, has been told to be added.
            let needs_it = |user: &usize| {
                let needs = self.cases[*user].resource.map(Resource::needs).unwrap_or_default();
                needs.contains(&case.address.name)
            };
            let is_replaced = matches!(case.fate, Fate::Replace { .. });
            let mut holding = users.holding(index).filter(|user| is_replaced && left.contains(user) && !needs_it(user));
            let Some(user) = holding.next().map(|user| &self.cases[user].identity) else { continue };
            let text =
                format!("`{}` cannot be made again while it is used by `{user}`, which is left out", case.identity);
            self.plan.refused.push(Note { address: case.address.clone(), text });
        }
        self.leave_used(left);
    }
}

/// The names and all that follows from them.
pub(super) fn closure(names: &[String], next: &dyn Fn(&str) -> Vec<String>) -> BTreeSet<String> {
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
