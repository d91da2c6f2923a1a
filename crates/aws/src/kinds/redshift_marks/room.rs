//! Whether the marks of a plan fit on their namespaces: a resource has at most 50 tags, and AWS would refuse the next one
//! only in the middle of the run. A pure function of the plan and of what was read for it.
//!
//! Source: AWS Tagging guide, "Tag naming limits and requirements": 50 tags, of which those that begin with `aws:` do not
//! count.

use std::collections::{BTreeMap, BTreeSet};

use towpath_engine::address::Address;
use towpath_engine::kind::{Object, Tags, tag};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Note, Plan, Step};
use towpath_engine::value::{Value, references};

use super::{GRANT, SCHEMA, decode};

const NAMESPACE: &str = "redshift/namespace";

/// The kinds whose objects have marks, with how those begin.
const MARKED: [(&str, &str); 2] = [("redshift/schema", SCHEMA), ("redshift/grant", GRANT)];

/// The most tags of a resource.
const LIMIT: usize = 50;

/// What a namespace will carry.
#[derive(Default)]
struct Room {
    /// Tags that are no marks of this stack.
    others: BTreeSet<String>,
    /// The resources of the stack that have a mark: its beginning and the resource's name.
    marks: BTreeSet<(&'static str, String)>,
    /// Schemas that have two marks while they are renamed.
    renamed: usize,
}

/// The namespaces that would carry more tags than AWS allows.
pub fn overfull(plan: &Plan, observation: &Observation) -> Vec<Note> {
    let mut rooms: BTreeMap<String, Room> = BTreeMap::new();
    let is_made = |namespace: &str| {
        plan.steps
            .iter()
            .any(|step| step.action == Action::Create && step.address.kind == NAMESPACE && step.identity == namespace)
    };
    for object in observation.of(NAMESPACE).iter().filter(|object| !is_made(&object.identity)) {
        rooms.insert(object.identity.clone(), Room::of(object.tags.as_ref(), &plan.place.stack));
    }
    for step in plan.steps.iter().filter(|step| step.address.kind == NAMESPACE && step.action != Action::Delete) {
        rooms.entry(step.identity.clone()).or_default().others.extend(step.tags.keys().cloned());
    }
    for (kind, beginning) in MARKED {
        // What goes makes room for what comes.
        for object in observation.of(kind).iter().filter(|object| goes(plan, kind, object)) {
            if let (Some(room), Some((_, resource))) = (rooms.get_mut(namespace_in(&object.identity)), object.owner()) {
                room.marks.remove(&(beginning, resource.to_owned()));
            }
        }
        for step in plan.steps.iter().filter(|step| step.address.kind == kind) {
            let Some(namespace) = namespace_of(plan, step) else { continue };
            let room = rooms.entry(namespace).or_default();
            match step.action {
                Action::Create | Action::Tag => {
                    room.marks.insert((beginning, step.address.name.clone()));
                }
                Action::Update if step.group.as_deref() == Some("name") => room.renamed += 1,
                _ => {}
            }
        }
    }
    let adds =
        |step: &&Step| MARKED.iter().any(|(kind, _)| step.address.kind == *kind) && step.action != Action::Delete;
    let mut found = Vec::new();
    for (namespace, room) in rooms.iter().filter(|(_, room)| room.size() > LIMIT) {
        let mut steps = plan.steps.iter().filter(adds);
        let Some(step) = steps.find(|step| namespace_of(plan, step).as_ref() == Some(namespace)) else { continue };
        let address = plan.steps.iter().find(|one| one.address.kind == NAMESPACE && one.identity == *namespace);
        let live = || observation.of(NAMESPACE).iter().find(|object| object.identity == *namespace)?.owner();
        let address = address.map(|step| step.address.clone());
        let address = address.or_else(|| live().map(|(_, name)| Address::new(NAMESPACE, name)));
        found.push(Note { address: address.unwrap_or_else(|| step.address.clone()), text: room.says(namespace) });
    }
    found
}

impl Room {
    fn of(tags: Option<&Tags>, stack: &str) -> Self {
        let mut room = Self::default();
        for (key, value) in tags.into_iter().flatten().filter(|(key, _)| !key.starts_with("aws:")) {
            let mark = MARKED.iter().find(|(_, beginning)| key.starts_with(beginning)).map(|(_, beginning)| *beginning);
            let tags = decode(value);
            match (mark, tags.get(tag::STACK), tags.get(tag::RESOURCE)) {
                (Some(mark), Some(owner), Some(resource)) if owner == stack => {
                    room.marks.insert((mark, resource.clone()));
                }
                _ => {
                    room.others.insert(key.clone());
                }
            }
        }
        room
    }

    fn size(&self) -> usize {
        self.others.len() + self.marks.len() + self.renamed
    }

    fn says(&self, namespace: &str) -> String {
        let renamed = match self.renamed {
            0 => String::new(),
            several => format!(", and {several} more while schemas are renamed"),
        };
        format!(
            "`{namespace}` would carry {} tags, and AWS allows {LIMIT}: one for each of the stack's {} schemas and grants \
             in it, {} others{renamed}. Lay {} of them into another namespace, grant to roles and groups instead of single \
             users, or take away tags of its own",
            self.size(),
            self.marks.len(),
            self.others.len(),
            self.size() - LIMIT,
        )
    }
}

/// Whether an object is deleted, or goes with the schema in which it lies.
fn goes(plan: &Plan, kind: &str, object: &Object) -> bool {
    let mut deleted = plan.steps.iter().filter(|step| step.action == Action::Delete);
    deleted.any(|step| {
        let is_it = step.address.kind == kind && step.identity == object.identity;
        let holds_it = step.address.kind == "redshift/schema"
            && object.identity.strip_prefix(&step.identity).is_some_and(|rest| rest.starts_with('/'));
        is_it || holds_it
    })
}

/// The namespace in an identity: `namespace/database/number`, with the grantee after it.
fn namespace_in(identity: &str) -> &str {
    identity.split('/').next().unwrap_or_default()
}

/// The namespace in which what a step is about lies or will lie.
fn namespace_of(plan: &Plan, step: &Step) -> Option<String> {
    if step.action != Action::Create {
        return Some(namespace_in(&step.identity).to_owned());
    }
    let named = |field: &str| step.spec.get(field).and_then(Value::as_str);
    if let Some(namespace) = named("workgroup") {
        return Some(namespace.to_owned());
    }
    if let Some(schema) = named("schema") {
        return Some(namespace_in(schema).to_owned());
    }
    // A schema, or workgroup, that this plan makes first.
    let first = references(&step.spec).into_iter().find_map(|reference| {
        plan.steps.iter().find(|other| other.action == Action::Create && other.address.name == reference.resource)
    })?;
    match first.address.kind.as_str() {
        "redshift/workgroup" => first.spec.get("namespace").and_then(Value::as_str).map(str::to_owned),
        _ => namespace_of(plan, first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_others_and_marks_are_counted_once_and_those_of_aws_not() {
        let tags = Tags::from([
            ("team".to_owned(), "boats".to_owned()),
            ("aws:cloudformation:stack-name".to_owned(), "x".to_owned()),
            ("towpath:schema:club.a".to_owned(), ":resource=a :stack=club".to_owned()),
            // What is left of a grant whose schema was dropped is taken away when the grant is made again.
            ("towpath:grant:club.1.user:ann".to_owned(), ":resource=ann :stack=club".to_owned()),
            ("towpath:grant:club.2.user:ann".to_owned(), ":resource=ann :stack=club".to_owned()),
            ("towpath:grant:club.2.user:bob".to_owned(), ":resource=bob :stack=zoo".to_owned()),
        ]);
        let room = Room::of(Some(&tags), "club");
        assert_eq!((room.others.len(), room.marks.len(), room.size()), (2, 2, 4));
    }
}
