//! What is held against the account after a run: whose objects are there, which of them are the same as
//! before, and which may be others.

use std::collections::{BTreeMap, BTreeSet};

use super::{Step, Story};
use crate::random_story::account::{self, Object};
use crate::random_story::stack::{Resource, Stack};
use crate::random_story::{invent, model};

impl Story {
    /// What a targeted run may not have touched.
    pub(super) fn only_targets(&self, step: &Step, target: &str, after: &[Object], wrong: &mut Vec<String>) {
        let stack = &self.stacks[step.which];
        let mut chosen = stack.closure(target);
        for (old, new) in &stack.moved {
            if chosen.contains(new) {
                chosen.insert(old.clone());
            }
        }
        for object in &step.before {
            let is_ours = object.tag("towpath:stack") == stack.name && !chosen.contains(object.tag("towpath:resource"));
            if is_ours && !after.contains(object) {
                wrong.push(format!("no target, and changed: {object:?}"));
            }
        }
    }

    /// Others' objects and the other stack's are as they were.
    pub(super) fn untouched(&self, step: &Step, after: &[Object], wrong: &mut Vec<String>) {
        for object in &self.foreign {
            if !after.contains(object) {
                let now = after.iter().find(|other| other.id == object.id);
                wrong.push(format!("not ours, and changed: {object:?}\nnow {now:?}"));
            }
        }
        let other = self.stacks[1 - step.which].name;
        for object in step.before.iter().filter(|object| object.tag("towpath:stack") == other) {
            if !after.contains(object) {
                let now = after.iter().find(|other| other.id == object.id);
                wrong.push(format!("another stack's, and changed: {object:?}\nnow {now:?}"));
            }
        }
    }

    /// Whether the object of a key may be lost only when somebody says so.
    pub(super) fn is_protected(&self, step: &Step, key: &str) -> bool {
        let stack = &self.stacks[step.which];
        let declared = stack.resources.get(key).or_else(|| step.was.as_ref()?.resources.get(key));
        declared.is_some_and(|resource| resource.protect.unwrap_or_else(|| invent::holds(resource.kind)))
    }

    /// The key of the file as it is now for one of the file before.
    pub(super) fn present(&self, step: &Step, key: &str) -> String {
        self.stacks[step.which].moved.get(key).cloned().unwrap_or_else(|| key.to_owned())
    }

    /// What is protected and was not given up is the object that it was.
    pub(super) fn protected(&self, step: &Step, after: &[Object], wrong: &mut Vec<String>) {
        let ours = |object: &&Object| object.tag("towpath:stack") == self.stacks[step.which].name;
        for object in step.before.iter().filter(ours) {
            let key = self.present(step, object.tag("towpath:resource"));
            let may_go = step.allowed.contains(&key) || step.deleted.contains(&key);
            let stays = || after.iter().any(|other| other.id == object.id);
            if self.is_protected(step, &key) && !may_go && !stays() {
                wrong.push(format!("protected, and gone: {object:?}"));
            }
        }
    }

    /// The keys whose objects may be other ones after this step, by the files and by what happened.
    pub(super) fn may_be_remade(&self, step: &Step) -> BTreeSet<String> {
        let now = &self.stacks[step.which];
        if step.may_fail {
            return now.resources.keys().cloned().collect();
        }
        let mut keys = step.deleted.clone();
        let Some(was) = &step.was else { return now.users(&keys) };
        for (old, new) in self.both(step) {
            if invent::is_remade((was, &old), (now, &new)) != Some(false) {
                keys.insert(new);
            }
        }
        // A data provider is changed only while no migration project uses it.
        let is_changed = |(old, new): &(String, String)| {
            let (then, now) = (&was.resources[old], &now.resources[new]);
            now.kind == "dms/data_provider" && then.fields != now.fields
        };
        let changed: BTreeSet<String> = self.both(step).into_iter().filter(is_changed).map(|(_, new)| new).collect();
        keys.extend(now.users(&changed).difference(&changed).cloned());
        // Who holds an object that is made again goes with it, by the old file or by the new one.
        let old: BTreeSet<String> =
            self.both(step).into_iter().filter(|(_, new)| keys.contains(new)).map(|(old, _)| old).collect();
        let holders = was.users(&old);
        keys.extend(self.both(step).into_iter().filter(|(old, _)| holders.contains(old)).map(|(_, new)| new));
        now.users(&keys)
    }

    /// Resources that are declared before and after the step as the same object: both keys.
    pub(super) fn both(&self, step: &Step) -> Vec<(String, String)> {
        let Some(was) = &step.was else { return Vec::new() };
        let now = &self.stacks[step.which];
        let pair = |(old, resource): (&String, &Resource)| {
            let new = self.present(step, old);
            now.resources.get(&new).is_some_and(|other| other.slot == resource.slot).then(|| (old.clone(), new))
        };
        was.resources.iter().filter_map(pair).collect()
    }

    pub(super) fn check(&mut self, step: &Step) -> Result<(), String> {
        let after = self.account();
        let mut wrong = Vec::new();
        self.untouched(step, &after, &mut wrong);
        self.protected(step, &after, &mut wrong);
        for which in [0, 1] {
            if self.stands[which] {
                wrong.extend(model::complaints(&self.stacks[which], &after, &self.nobodys));
            }
        }
        self.same_or_another(step, &after, &mut wrong);
        for (id, key, value) in &self.extra {
            let object = after.iter().find(|object| object.id == *id);
            if object.is_some_and(|object| object.tag(key) != value) {
                wrong.push(format!("somebody's tag {key} is gone from {object:?}"));
            }
        }
        self.stacks[step.which].moved.clear();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// What had no reason to be made again is the same object; what had one is another.
    fn same_or_another(&self, step: &Step, after: &[Object], wrong: &mut Vec<String>) {
        let Some(was) = &step.was else { return };
        let now = &self.stacks[step.which];
        let of = |stack: &Stack, account| -> BTreeMap<String, String> {
            let matched = model::matched(stack, account, &mut Vec::new());
            matched.into_iter().map(|(key, object)| (key, object.id.clone())).collect()
        };
        let (old_ids, new_ids) = (of(was, &step.before), of(now, after));
        let may_be_remade = self.may_be_remade(step);
        for (old, new) in self.both(step) {
            let (Some(before), Some(then)) = (old_ids.get(&old), new_ids.get(&new)) else { continue };
            if before != then && !may_be_remade.contains(&new) {
                wrong.push(format!("`{new}` is another object without need: {before} before, {then} now"));
            }
            let is_told = account::has_own_ids(now.resources[&new].kind);
            if before == then && is_told && invent::is_remade((was, &old), (now, &new)) == Some(true) {
                wrong.push(format!("`{new}` is the object {then} that it was, and had to be made again"));
            }
        }
    }
}
