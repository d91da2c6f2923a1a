//! `--target` and `--exclude`: which resources a plan is about. It only follows the declared
//! needs; what a choice makes impossible is said by `decide`.

use std::collections::{BTreeSet, HashMap};

use super::build::{Options, Verb};
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
