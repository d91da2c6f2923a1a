//! What happens to one resource, given what happens to those it needs.
//!
//! Resources are decided in the order of their needs, so that a replacement is known before what
//! holds the replaced object is decided: that must go with it, for AWS deletes nothing in use.

use std::collections::BTreeMap;

use super::build::{Builder, Case, Fate, Verb};
use super::live::Live;
use super::selection::closure;
use super::{FieldChange, Foreign, Note, Reason, tags, written};
use crate::diff;
use crate::kind::{AnyKind, Change, Object, Outputs, Pauses, Readiness, tag};
use crate::plan::Action;
use crate::resume;
use crate::stack::Resource;
use crate::value::{Reference, Value, is_unknown, references, resolve};

impl<'a> Builder<'a> {
    pub(super) fn decide(&mut self, resource_name: &str) {
        let input = self.input;
        let resource = &input.stack.resources[resource_name];
        let kind: &'a dyn AnyKind = input
            .registry
            .get(&resource.address.kind)
            .unwrap_or_else(|| panic!("a loaded stack names only known kinds, not `{}`", resource.address.kind))
            .as_ref();
        let looked_up = input.observation.specs.get(resource_name).unwrap_or(&resource.spec);
        let spec = resolve(looked_up, &|reference| self.output(reference));
        let name = kind.name(input.place, resource_name, &spec).unwrap_or_else(|_| resource_name.to_owned());
        let is_shared = kind.is_shared(&spec);
        let mut case = Case {
            address: resource.address.clone(),
            kind,
            resource: Some(resource),
            object: self.find(resource, kind, &name, &spec),
            tags: match (kind.facts().taggable, is_shared) {
                (false, _) => tags::owner(input.place, resource_name),
                (true, true) => tags::shared(input.place),
                (true, false) => {
                    let (place, expires) = (input.place, input.options.expires_at);
                    let mut own = tags::own(input.stack, place, resource_name, resource.protect, expires);
                    own.extend(written::tags(kind, &resource.spec));
                    own
                }
            },
            spec,
            mark: None,
            new_mark: None,
            identity: name.clone(),
            name,
            outputs: Outputs::new(),
            fate: Fate::Aside,
        };
        if input.options.verb == Verb::Apply
            && case.object.is_some_and(|object| object.readiness == Readiness::Deleting)
        {
            case.object = None;
        }
        case.identity = case.object.map_or_else(|| case.name.clone(), |object| object.identity.clone());
        if kind.facts().taggable && !is_shared {
            case.mark = kind.secret_mark(input.place, &case.identity, &case.spec);
            case.new_mark = kind.secret_mark(input.place, &case.name, &case.spec);
        }
        case.fate = match (self.selection.has(resource_name), input.options.verb) {
            (false, _) => self.left_out(&case),
            (true, Verb::Apply) => self.wanted(&case, is_shared),
            (true, Verb::Destroy) => self.doom(&case, is_shared),
        };
        case.outputs = self.outputs(&case);
        self.index.insert(resource_name.to_owned(), self.cases.len());
        if let Some(object) = case.object {
            self.by_object.insert(std::ptr::from_ref(object), self.cases.len());
        }
        let is_changed_alone = case.fate.updates() && kind.facts().pauses == Pauses::Holders;
        if matches!(case.fate, Fate::Replace { .. }) || is_changed_alone {
            self.unheld.push(self.cases.len());
        }
        self.cases.push(case);
    }

    /// The value of a reference, if it is known before anything is done.
    fn output(&self, reference: &Reference) -> Option<Value> {
        let case = &self.cases[*self.index.get(&reference.resource)?];
        case.outputs.get(&reference.attribute).cloned()
    }

    /// The outputs after the plan: live ones for what stays, except those that the change of the
    /// spec changes by the kind's own prediction; predicted ones for what is made.
    fn outputs(&self, case: &Case<'_>) -> Outputs {
        match (&case.fate, case.object) {
            (Fate::Change { diff, .. }, Some(object)) if !diff.is_empty() && !self.as_is => {
                let before = self.foreseen(case, &object.identity, &object.state);
                let after = self.foreseen(case, &object.identity, &changed(case, object, diff));
                let changed = after.into_iter().filter(|(key, value)| before.get(key).is_some_and(|old| old != value));
                let mut outputs = object.outputs.clone();
                outputs.extend(changed);
                outputs
            }
            (Fate::Create | Fate::Replace { .. }, Some(_)) if !self.as_is => self.predicted(case),
            (_, Some(object)) => object.outputs.clone(),
            (_, None) => self.predicted(case),
        }
    }

    /// The outputs of what is to be made, as far as they are known before that.
    fn predicted(&self, case: &Case<'_>) -> Outputs {
        self.foreseen(case, &case.name, &case.spec)
    }

    /// The outputs of an object of that identity and spec, as far as the kind can tell.
    fn foreseen(&self, case: &Case<'_>, identity: &str, spec: &Value) -> Outputs {
        let mut outputs = case.kind.predict(self.input.place, identity, spec);
        let mut referred = BTreeMap::new();
        for (field, value) in case.resource.and_then(|resource| resource.spec.as_object()).into_iter().flatten() {
            let to = references(value).into_iter().next();
            if let Some(index) = to.and_then(|reference| self.index.get(&reference.resource)) {
                referred.insert(field.clone(), whole(&self.cases[*index]));
            }
        }
        outputs.extend(case.kind.infer(&outputs, &referred));
        outputs
    }

    /// The live object of a resource: by our tags (also under the name it had before a move), else
    /// by its physical name.
    fn find(&self, resource: &Resource, kind: &'a dyn AnyKind, name: &str, spec: &Value) -> Option<&'a Object> {
        let stack: &'a crate::stack::Stack = self.input.stack;
        if let Some(identity) = self.input.options.identities.get(&resource.address.name) {
            return self.objects.named(kind.kind(), identity).iter().find(|one| one.identity == *identity).copied();
        }
        let named = self.objects.named(kind.kind(), name);
        let own = &stack.resources[&resource.address.name].address.name;
        let former = stack.moved.iter().filter(|(_, new)| *new == own).map(|(old, _)| old);
        let by_tag = std::iter::once(own).chain(former).find_map(|owner| {
            let lives = |object: &&&Object| object.readiness != Readiness::Deleting;
            let owned = self.objects.owned(kind.kind(), owner);
            // Of two with our tags the one with the right name stays.
            let right =
                owned.iter().filter(lives).find(|object| named.iter().any(|other| std::ptr::eq(*other, **object)));
            right.or_else(|| owned.iter().find(lives)).copied()
        });
        let assigned = kind.facts().assigned_identity;
        // Where the service assigns ids, a name is unique at most within what it refers to (a
        // security group's within its network): one in another place is not in the way.
        let in_the_way = |object: &&&Object| !assigned || same_place(kind, spec, object);
        by_tag.or_else(|| named.iter().find(in_the_way).copied())
    }

    /// The object of a resource that was renamed to this one, which has another object: which of the two goes, the file
    /// does not say. With the old name of the resource.
    fn moved_here(&self, case: &Case<'_>, object: &Object) -> Option<(&'a str, &'a str)> {
        let stack: &'a crate::stack::Stack = self.input.stack;
        let lives = |other: &&&Object| other.readiness != Readiness::Deleting && !std::ptr::eq(**other, object);
        stack.moved.iter().filter(|(_, new)| **new == case.address.name).find_map(|(old, _)| {
            let former = self.objects.owned(case.kind.kind(), old).iter().find(lives)?;
            Some((old.as_str(), former.identity.as_str()))
        })
    }

    fn is_ours(&self, case: &Case<'_>, object: &Object) -> bool {
        match object.owner() {
            Some((stack, owner)) => {
                // Of the stack's own, one whose resource is gone is the object of whoever bears its name now.
                let declared = self.input.stack.resources.get(owner);
                let is_free = declared.is_none_or(|resource| resource.address.kind != case.address.kind)
                    && !self.input.stack.moved.contains_key(owner);
                stack == self.input.place.stack
                    && (owner == case.address.name
                        || is_free
                        || self.input.stack.moved.get(owner).is_some_and(|new| *new == case.address.name))
            }
            // A create whose outcome is not known has made it and its tags were lost.
            None => self.input.replay.unsettled.iter().any(|(address, action, identity)| {
                *action == Action::Create && *address == case.address && *identity == case.name
            }),
        }
    }

    fn note(&mut self, case: &Case<'_>, text: String) {
        self.plan.notes.push(Note { address: case.address.clone(), text });
    }

    fn refuse(&mut self, case: &Case<'_>, text: String) {
        self.plan.refused.push(Note { address: case.address.clone(), text });
    }

    /// Of a resource that the plan is not about, whether it makes the plan impossible.
    fn left_out(&mut self, case: &Case<'_>) -> Fate {
        if let Some(change) = self.held(case).into_iter().next() {
            let rule = change.forces_replacement.unwrap_or_default();
            self.refuse(case, format!("{rule}; add it to the targets"));
        }
        Fate::Aside
    }

    fn wanted(&mut self, case: &Case<'_>, is_shared: bool) -> Fate {
        let only = self.input.options.only.get(&case.address.name);
        let Some(object) = case.object else {
            return if only.is_some() { Fate::Aside } else { Fate::Create };
        };
        let name = &case.address.name;
        let adopted = self.input.options.adopt.contains(name);
        if !is_shared && !adopted && !self.is_ours(case, object) {
            match object.owner() {
                Some((stack, owner)) if stack == self.input.place.stack => self.refuse(
                    case,
                    format!("`{}` is the object of `{owner}`; give one of the two another `name`", object.identity),
                ),
                _ => self.plan.foreign.push(foreign(case, object)),
            }
            return Fate::Aside;
        }
        if let Some((old, former)) = self.moved_here(case, object) {
            let (kept, name) = (&object.identity, &case.address.name);
            self.refuse(
                case,
                format!(
                    "`{kept}` is its object, and by `moved` so is `{former}`: to keep `{former}`, apply once with `{old}` \
                     under its old name and without `{name}`; to keep `{kept}`, take `{old}` out of `moved`"
                ),
            );
            return Fate::Aside;
        }
        let mut diff = diff::compare(case.kind, &case.spec, &object.state, &object.pending);
        // Of an object that is taken over nobody knows what was written: it is left as it is.
        if object.owner().is_some_and(|(stack, _)| stack == self.input.place.stack) {
            let differing: Vec<String> = diff.changes.iter().map(|change| change.path.clone()).collect();
            let unread = written::changes(object, &case.tags, &case.spec);
            diff.changes.extend(unread.into_iter().filter(|change| !differing.contains(&change.path)));
        }
        diff.changes.extend(other_secret(case, object, &diff));
        let counts = |path: &str| {
            only.is_none_or(|only| only.contains(path)) && !case.resource.is_some_and(|one| one.ignores(path))
        };
        diff.changes.retain(|change| counts(&change.path));
        diff.converging.retain(|field| counts(field));
        let window = object.outputs.get("maintenance_window").and_then(Value::as_str);
        let window = window.map(|window| format!(", {window} UTC")).unwrap_or_default();
        for field in &diff.converging {
            self.note(
                case,
                format!("the new `{field}` is accepted and takes effect in the maintenance window{window}"),
            );
        }
        let reason = if matches!(object.readiness, Readiness::Failed(_)) && only.is_none() {
            Some(Reason::Broken)
        } else if self.input.options.replace.contains(name) {
            Some(Reason::Asked)
        } else {
            for change in self.held(case) {
                diff.changes.retain(|other| other.path != change.path);
                diff.changes.push(change);
            }
            diff.forces_replacement().then_some(Reason::Replaced)
        };
        if let Some(reason) = reason {
            if is_shared {
                self.refuse(case, format!("`{}` belongs to the whole account and is not made again", object.identity));
                return Fate::Aside;
            }
            if let Some(other) = self.in_the_way_of_another_name(case, object) {
                self.plan.foreign.push(other);
                return Fate::Aside;
            }
            return Fate::Replace { diff, reason };
        }
        let mut missing = tags::missing(object, &case.tags, self.input.stack.expires);
        if resume::is_left_over(case.kind, object) {
            missing.extend(resume::settled(case.kind));
        }
        missing.retain(|key, _| counts(&format!("tags.{key}")));
        if diff.is_empty() && missing.is_empty() {
            return Fate::Keep;
        }
        Fate::Change { diff, tags: missing }
    }

    /// Of an object that is made again under another name, what has that name and is not ours.
    fn in_the_way_of_another_name(&self, case: &Case<'_>, object: &Object) -> Option<Foreign> {
        if case.kind.facts().assigned_identity || object.identity.eq_ignore_ascii_case(&case.name) {
            return None;
        }
        let is_another = |other: &&&Object| {
            let stack = other.owner().map(|(stack, _)| stack);
            other.readiness != Readiness::Deleting && stack != Some(self.input.place.stack.as_str())
        };
        let other = self.objects.named(case.kind.kind(), &case.name).iter().find(is_another)?;
        Some(foreign(case, other))
    }

    fn doom(&mut self, case: &Case<'_>, is_shared: bool) -> Fate {
        let Some(object) = case.object else { return Fate::Aside };
        let keep = |text: String| Note { address: case.address.clone(), text };
        let identity = &object.identity;
        if !is_shared {
            if self.is_ours(case, object) {
                return Fate::Delete { reason: Reason::Destroyed };
            }
            self.plan.kept.push(keep(format!("`{identity}` is not this stack's")));
            return Fate::Aside;
        }
        let others = tags::other_users(object, self.input.place);
        let why = if !self.input.options.include_shared {
            format!("`{identity}` belongs to the whole account")
        } else if !others.is_empty() {
            format!("`{identity}` is used by {}", others.join(", "))
        } else if !tags::was_used(object) {
            format!("`{identity}` was never taken over by a stack")
        } else {
            return Fate::Delete { reason: Reason::Destroyed };
        };
        self.plan.kept.push(keep(why));
        match tags::release(object, self.input.place) {
            Some(tags) => Fate::Release { tags, reason: Reason::Destroyed },
            None => Fate::Aside,
        }
    }

    /// The fields by which a live object holds one that must be unheld for a while and that it needs
    /// again, as changes that force its own replacement. It may hold it through objects that are going.
    fn held(&self, case: &Case<'_>) -> Vec<FieldChange> {
        let (Some(object), Some(resource), false) = (case.object, case.resource, self.as_is) else { return Vec::new() };
        if self.unheld.is_empty() {
            return Vec::new();
        }
        let needed = closure(&resource.needs(), &|name| {
            self.input.stack.resources.get(name).map(Resource::needs).unwrap_or_default()
        });
        let needs_unheld = |index: usize| {
            let other = &self.cases[index];
            (self.unheld.contains(&index) && needed.contains(&other.address.name)).then_some(other)
        };
        if !self.unheld.iter().any(|index| needs_unheld(*index).is_some()) {
            return Vec::new();
        }
        let live = self.live.get_or_init(|| Live::of(self.input));
        let of = |object: &Object| self.by_object.get(&std::ptr::from_ref(object)).copied();
        let goes = |object: &Object| of(object).is_none_or(|index| self.cases[index].fate.deletes());
        let mut found = Vec::new();
        for (field, fact) in case.kind.fields() {
            let Some(refers) = fact.refers_to.as_ref().filter(|refers| !refers.loose) else { continue };
            let within = refers.within.as_deref();
            let counts = |index: &usize| within.is_none_or(|within| self.cases[*index].kind.kind() == within);
            // What the service does not tell is taken to be as declared.
            let is_told = object.state.get(field).is_some_and(|value| !value.is_null());
            let declared = resource.spec.get(field).filter(|_| !is_told);
            let names = declared.map(references).unwrap_or_default();
            let declared = names.iter().filter_map(|name| self.index.get(&name.resource).copied());
            let held = live.held_by(object, field, &goes);
            let mut holders = declared.chain(held.into_iter().filter_map(of)).filter(counts);
            let Some(holder) = holders.find_map(needs_unheld) else { continue };
            let why = if holder.fate.deletes() {
                "is made again and cannot be deleted while this refers to it"
            } else {
                "cannot be changed while this refers to it"
            };
            found.push(FieldChange {
                path: field.clone(),
                before: object.state.get(field).cloned().unwrap_or(Value::Null),
                after: case.spec.get(field).cloned().unwrap_or(Value::Null),
                forces_replacement: Some(format!("`{}` {why}", holder.address.name)),
                loses: None,
            });
        }
        found
    }
}

/// The change of the field whose secret is another one than was sent last, by the mark on the object.
/// An object without a mark was made or adopted before its secret was known: nothing is claimed.
fn other_secret(case: &Case<'_>, object: &Object, diff: &diff::Diff) -> Option<FieldChange> {
    let mark = case.mark.as_ref()?;
    let sent = object.tags.as_ref()?.get(tag::SECRET)?;
    // The mark is of the name at that time, which somebody may have changed since.
    if case.new_mark.as_ref().is_some_and(|mark| mark.mark == *sent) {
        return None;
    }
    let is_shown = diff.changes.iter().any(|change| change.path == mark.field);
    (*sent != mark.mark && !is_shown).then(|| FieldChange {
        path: mark.field.to_owned(),
        before: Value::String("the password sent before".to_owned()),
        after: Value::String("another password".to_owned()),
        forces_replacement: None,
        loses: None,
    })
}

/// What an object will be once it is changed: what nobody declares, or lets differ, stays as it is.
fn changed(case: &Case<'_>, object: &Object, diff: &diff::Diff) -> Value {
    let mut after = object.state.clone();
    for change in &diff.changes {
        if let Some(map) = after.as_object_mut() {
            map.insert(change.path.clone(), case.spec[&change.path].clone());
        }
    }
    after
}

/// What a case will be: as declared and, where it stays, for the rest as it is.
fn whole(case: &Case<'_>) -> Value {
    let stays = case.object.filter(|_| !case.fate.deletes());
    let mut whole = stays.map_or_else(|| Value::Object(serde_json::Map::new()), |object| object.state.clone());
    if let (Some(whole), Some(declared)) = (whole.as_object_mut(), case.spec.as_object()) {
        whole.extend(declared.clone());
    }
    whole
}

fn foreign(case: &Case<'_>, object: &Object) -> Foreign {
    Foreign {
        address: case.address.clone(),
        identity: object.identity.clone(),
        owner: object.owner().map(|(stack, owner)| format!("resource `{owner}` of stack `{stack}`")),
    }
}

/// The texts of a value or of the items of a list.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether an object is where the spec wants it, as far as references that cannot change tell.
fn same_place(kind: &dyn AnyKind, spec: &Value, object: &Object) -> bool {
    kind.fields().iter().filter(|(_, fact)| fact.refers_to.is_some() && fact.change == Change::Replace).all(
        |(field, fact)| {
            let (Some(wanted), Some(live)) = (spec.get(field), object.state.get(field)) else { return true };
            !is_unknown(wanted) && diff::equal(fact.compare, wanted, live)
        },
    )
}
