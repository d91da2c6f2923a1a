//! The block `resources:` against the kinds, and the references between the resources.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use regex::Regex;

use super::check::{Checker, Findings};
use super::graph::{Edge, Names, cycles};
use super::header::{all, is_block, known_keys, missing, switch, text, waiting, wrong_type};
use super::secrets::SecretVariable;
use super::yaml::{Entry, Node, Tree};
use super::{Resource, Timeouts};
use crate::address::Address;
use crate::diag::{Diagnostic, Diagnostics, Span, closest};
use crate::kind::{AnyKind, Change, Place, Registry};
use crate::value::{Value, resolve};

/// Fields that every kind has.
const COMMON: [&str; 5] = ["kind", "protect", "depends_on", "timeouts", "ignore"];

/// What `timeouts` may hold.
const TIMEOUTS: [&str; 5] = ["create", "update", "delete", "start", "stop"];

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-z][a-z0-9_-]{0,62}$").expect("the pattern is a constant that the tests use"));

/// What was read besides the mistakes.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) resources: IndexMap<String, Resource>,
    pub(crate) secrets: Vec<SecretVariable>,
    pub(crate) literals: Vec<Range<usize>>,
}

/// The kinds of all resources by name.
pub(crate) fn names<'n>(node: &'n Node, registry: &Registry) -> Names<'n> {
    let kind = |entry: &'n Entry| {
        let kind = entry.value.get("kind").and_then(Node::text);
        kind.filter(|kind| registry.get(kind).is_some()).unwrap_or_default()
    };
    Names(node.entries().iter().map(|entry| (entry.key.as_str(), kind(entry))).collect())
}

/// Reads all resources; those with a mistake are left out.
pub(crate) fn resources(
    node: &Node,
    names: &Names<'_>,
    registry: &Registry,
    place: &Place,
    found: &mut Diagnostics,
) -> Read {
    let mut read = Read::default();
    if !is_block(node, found) {
        return read;
    }
    let mut edges = Vec::new();
    let mut physical = BTreeMap::new();
    for entry in node.entries() {
        let mut reader = Reader { entry, names, registry, findings: Findings::default() };
        if let Some((resource, kind)) = reader.resource() {
            reader.physical_name(&resource, kind, place, &mut physical);
            read.resources.insert(entry.key.clone(), resource);
        }
        reader.findings.mistakes.into_iter().for_each(|mistake| found.push(mistake));
        edges.extend(reader.findings.edges);
        let secrets = reader.findings.secrets.into_iter();
        read.secrets.extend(secrets.map(|(name, span)| SecretVariable { name, span, resource: entry.key.clone() }));
        read.literals.extend(reader.findings.literals);
    }
    cycles(&edges, found);
    read
}

/// One resource while it is read.
struct Reader<'a> {
    entry: &'a Entry,
    names: &'a Names<'a>,
    registry: &'a Registry,
    findings: Findings,
}

impl<'a> Reader<'a> {
    fn resource(&mut self) -> Option<(Resource, &'a Arc<dyn AnyKind>)> {
        let (node, name) = (&self.entry.value, &self.entry.key);
        self.name();
        let protect = self.with(|found| node.get("protect").and_then(|node| switch(node, found)));
        let depends_on = self.depends_on();
        let timeouts = self.with(|found| node.get("timeouts").map(|node| timeouts(node, found)).unwrap_or_default());
        let kind = self.kind()?;
        let schema = kind.schema();
        let block = format!("`{}`", kind.kind());
        let checker = Checker { root: schema, block, own: name, names: self.names };
        let fields: Vec<&Entry> = node.entries().iter().filter(|entry| !COMMON.contains(&entry.key.as_str())).collect();
        let before = self.findings.mistakes.len();
        let spec = checker.fields(&fields, &self.entry.key_span, &mut self.findings);
        if self.findings.mistakes.len() > before || !self.agrees(kind, &spec) {
            return None;
        }
        let ignore = self.ignore(kind);
        let address = Address::new(kind.kind(), name);
        let span = self.entry.key_span.clone();
        Some((Resource { address, spec, protect, depends_on, timeouts, ignore, span }, kind))
    }

    /// Runs a reader of hand-written blocks and keeps what it reports.
    fn with<T>(&mut self, read: impl FnOnce(&mut Diagnostics) -> T) -> T {
        let mut found = Diagnostics::default();
        let value = read(&mut found);
        self.findings.mistakes.extend(found.iter().cloned());
        value
    }

    fn name(&mut self) {
        if !NAME.is_match(&self.entry.key) {
            let label = "not small letters, digits, `_` and `-`, beginning with a letter, at most 63";
            let summary = "A resource's name does not have the form it must have";
            self.findings.mistakes.push(Diagnostic::error("bad-name", summary, self.entry.key_span.clone(), label));
        }
    }

    fn kind(&mut self) -> Option<&'a Arc<dyn AnyKind>> {
        let node = &self.entry.value;
        if !self.with(|found| is_block(node, found)) {
            return None;
        }
        let Some(written) = node.get("kind") else {
            let help = "Write for example `kind: dms/endpoint`.";
            let place = self.entry.key_span.clone();
            self.findings.mistakes.push(missing("kind", &format!("`{}`", self.entry.key), place).with_help(help));
            return None;
        };
        let name = self.with(|found| text(written, found))?;
        let kind = self.registry.get(&name);
        if kind.is_none() {
            self.findings.mistakes.push(unknown_kind(&name, written, self.registry));
        }
        kind
    }

    fn depends_on(&mut self) -> Vec<String> {
        let Some(node) = self.entry.value.get("depends_on") else { return Vec::new() };
        let Tree::List(items) = &node.tree else {
            let help = node.scalar().map(|name| format!("Write it as a list: `[{name}]`."));
            let diagnostic = wrong_type(node, "a list of names");
            self.findings.mistakes.push(help.into_iter().fold(diagnostic, Diagnostic::with_help));
            return Vec::new();
        };
        let mut names = Vec::new();
        for item in items {
            let Some(name) = self.with(|found| text(item, found)) else { continue };
            if let Err(diagnostic) = self.names.accept(&name, &[], &item.span) {
                self.findings.mistakes.push(*diagnostic);
            } else if name == self.entry.key {
                let summary = "A resource refers to itself";
                let diagnostic = Diagnostic::error("self-reference", summary, item.span.clone(), "this very resource");
                self.findings.mistakes.push(diagnostic);
            } else {
                let (from, to) = (self.entry.key.clone(), name.clone());
                self.findings.edges.push(Edge { from, to, place: item.span.clone() });
                names.push(name);
            }
        }
        names
    }

    /// Fields that later differ without being changed back.
    fn ignore(&mut self, kind: &Arc<dyn AnyKind>) -> Vec<String> {
        let Some(node) = self.entry.value.get("ignore") else { return Vec::new() };
        let Tree::List(items) = &node.tree else {
            let help = node.scalar().map(|name| format!("Write it as a list: `[{name}]`."));
            let diagnostic = wrong_type(node, "a list of fields");
            self.findings.mistakes.push(help.into_iter().fold(diagnostic, Diagnostic::with_help));
            return Vec::new();
        };
        let fields = kind.fields().iter().filter(|(_, fact)| fact.change != Change::Local);
        let known: Vec<&str> = fields.map(|(field, _)| field.as_str()).collect();
        let mut ignored = Vec::new();
        for item in items {
            let Some(field) = self.with(|found| text(item, found)) else { continue };
            let is_tag = field.strip_prefix("tags.").is_some_and(|key| !key.starts_with("towpath:"));
            if is_tag || known.contains(&field.as_str()) {
                ignored.push(field);
                continue;
            }
            let help = closest(&field, known.iter().copied()).map_or_else(
                || format!("It takes {}, or a tag as `tags.KEY`.", all(&known)),
                |field| format!("Did you mean `{field}`?"),
            );
            let label = format!("not a field of `{}` that can differ", kind.kind());
            let diagnostic = Diagnostic::error("unknown-field", "A field is not known", item.span.clone(), label);
            self.findings.mistakes.push(diagnostic.with_help(help));
        }
        ignored
    }

    /// Asks the kind itself about a spec that fits its schema.
    fn agrees(&mut self, kind: &Arc<dyn AnyKind>, spec: &Value) -> bool {
        let summary = "The kind does not take this";
        let place = self.entry.key_span.clone();
        if let Some(error) = kind.parse_error(spec) {
            self.findings.mistakes.push(Diagnostic::error("bad-spec", summary, place, error));
            return false;
        }
        let mistakes = kind.check(spec);
        let is_right = mistakes.is_empty();
        for (field, message) in mistakes {
            let place = find(&self.entry.value, &field).unwrap_or_else(|| place.clone());
            let label = if field.is_empty() { "here".to_owned() } else { format!("`{field}`") };
            let diagnostic = Diagnostic::error("bad-spec", summary, place, label).with_detail(message);
            self.findings.mistakes.push(diagnostic);
        }
        is_right
    }

    fn physical_name(
        &mut self,
        resource: &Resource,
        kind: &Arc<dyn AnyKind>,
        place: &Place,
        taken: &mut BTreeMap<(&'static str, String), Span>,
    ) {
        // What is named stands for its object, whose name may be part of this one's.
        let spec = resolve(&resource.spec, &|reference| Some(Value::String(reference.resource.clone())));
        let Ok(name) = kind.name(place, &resource.address.name, &spec) else { return };
        let explicit = self.entry.value.get("name").map(|node| node.span.clone());
        let span = explicit.clone().unwrap_or_else(|| resource.span.clone());
        let limit = kind.facts().name_limit;
        if explicit.is_some() && name.chars().count() > limit {
            let label = format!("{} characters, at most {limit}", name.chars().count());
            let diagnostic = Diagnostic::error("name-too-long", "A name is too long for AWS", span.clone(), label);
            self.findings.mistakes.push(diagnostic);
        }
        if let Some(first) = taken.get(&(kind.kind(), name.clone())) {
            let summary = "Two resources would be the same object";
            let diagnostic = Diagnostic::error("same-name", summary, span, "has the same name")
                .with_label(first.clone(), "the first one")
                .with_detail(format!("Both would be the {} `{name}`.", kind.kind()))
                .with_help("Give one of them another `name`, or take one out.");
            self.findings.mistakes.push(diagnostic);
        } else {
            taken.insert((kind.kind(), name), span);
        }
    }
}

fn timeouts(node: &Node, found: &mut Diagnostics) -> Timeouts {
    if !is_block(node, found) {
        return Timeouts::default();
    }
    known_keys(node, &TIMEOUTS, "`timeouts`", found);
    let mut of = |key: &str| node.get(key).and_then(|node| waiting(node, found));
    Timeouts { create: of("create"), update: of("update"), delete: of("delete"), start: of("start"), stop: of("stop") }
}

fn unknown_kind(name: &str, node: &Node, registry: &Registry) -> Diagnostic {
    let same_thing = registry.names().find(|kind| kind.rsplit('/').next() == name.rsplit('/').next());
    let help = match closest(name, registry.names()).or(same_thing) {
        Some(kind) => format!("Did you mean `{kind}`?"),
        None => format!("There are {}.", all(&registry.names().collect::<Vec<_>>())),
    };
    Diagnostic::error("unknown-kind", "A kind is not known", node.span.clone(), "unknown kind").with_help(help)
}

/// The place of a field by a path such as `settings.Logging` or `tables[0].include`; as deep as
/// the path can be followed. `None` when nothing of it is there.
fn find(node: &Node, path: &str) -> Option<Span> {
    let mut at = node;
    let mut place = None;
    for part in path.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty()) {
        let next = match &at.tree {
            Tree::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => at.get(part),
        };
        let Some(next) = next else { break };
        place = Some(if matches!(next.tree, Tree::Map(_) | Tree::List(_)) {
            at.entry(part).map_or_else(|| next.span.clone(), |entry| entry.key_span.clone())
        } else {
            next.span.clone()
        });
        at = next;
    }
    place
}

/// `moved:` as new name by old name.
pub(crate) fn moved(node: &Node, names: &Names<'_>, found: &mut Diagnostics) -> BTreeMap<String, String> {
    let mut moved = BTreeMap::new();
    for (entry, new) in super::header::texts(node, found) {
        if names.0.contains_key(entry.key.as_str()) {
            let summary = "A resource was moved and is still there";
            let label = "still under `resources:`";
            found.push(Diagnostic::error("moved-still-there", summary, entry.key_span.clone(), label));
        } else if let Err(diagnostic) = names.accept(&new, &[], &entry.value.span) {
            found.push(*diagnostic);
        } else {
            moved.insert(entry.key.clone(), new);
        }
    }
    moved
}
