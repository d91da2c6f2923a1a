//! From the text of a stack file to a [`Stack`], with every mistake on the way.
//!
//! The order: parse, lay the chosen environment over it, put in `${…}`, read the top, check the
//! resources against their kinds, check the pipeline. Only a text that does not parse ends the
//! search early. Nothing here reads a file or the environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::header::{Header, KEYS, header, is_block, is_name, known_keys, missing, start, variables};
use super::interpolate::{Values, interpolate};
use super::yaml::{Entry, Node, Tree, parse};
use super::{Stack, Target, pipeline, resources};
use crate::diag::{Diagnostic, Diagnostics, Source, Span, closest};
use crate::kind::{Place, Registry};

/// What a stack is loaded from.
pub struct LoadInput<'a> {
    /// The stack file.
    pub source: Arc<Source>,
    /// `--env`: the overlay under `environments:` to use.
    pub environment: Option<&'a str>,
    /// `--target`, over whatever the file says.
    pub target: Option<Target>,
    /// The environment variables; unset and empty are the same.
    pub variables: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// `--var name=value`, over the defaults under `variables:`.
    pub vars: BTreeMap<String, String>,
    /// The names in `.env.template`, for help with unset variables.
    pub template: &'a [String],
}

/// Loads a stack. It is absent exactly when the diagnostics have an error.
///
/// `place` gives account, region and partition where the file does not; its stack name is not used.
/// Variables that hold secrets are only listed in [`Stack::secret_variables`]: a plan can be made without them.
pub fn load(input: &LoadInput<'_>, registry: &Registry, place: &Place) -> (Option<Stack>, Diagnostics) {
    let mut found = Diagnostics::default();
    let mut hidden = Vec::new();
    let stack =
        prepared(input, registry, &mut found).map(|root| read(input, &root, registry, place, &mut found, &mut hidden));
    without_sequels(&mut found);
    without_repetitions(&mut found);
    found.hide(&input.source, &hidden);
    found.sort();
    (stack.filter(|_| !found.has_errors()), found)
}

/// What is said about a text with an expression that has no value follows from that alone.
fn without_sequels(found: &mut Diagnostics) {
    let is_cause = |one: &Diagnostic| ["unset-variable", "interpolation"].contains(&one.code);
    let place = |one: &Diagnostic| one.labels.first().map(|(span, _)| span.range.clone());
    let causes: Vec<_> = found.iter().filter(|one| is_cause(one)).filter_map(place).collect();
    found.retain(|one| {
        let sequel = |range: std::ops::Range<usize>| {
            causes.iter().any(|cause| range.start <= cause.start && cause.end <= range.end)
        };
        is_cause(one) || !place(one).is_some_and(sequel)
    });
}

/// An overlay that is used is checked by itself and as a part of the stack.
fn without_repetitions(found: &mut Diagnostics) {
    let mut told = std::collections::BTreeSet::new();
    found.retain(|one| {
        let place = one.labels.first().map(|(span, _)| span.range.start).filter(|_| one.code == "unknown-field");
        place.is_none_or(|place| told.insert(place))
    });
}

/// Refuses a value on the command line for a variable that the file does not have: it was meant for another.
fn unused_values(input: &LoadInput<'_>, root: &Node, declared: &BTreeMap<String, String>, found: &mut Diagnostics) {
    let text = &input.source.text;
    let expressions = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let mut known: Vec<&str> = expressions.filter_map(|one| one.trim().strip_prefix("var.")).collect();
    known.extend(declared.keys().map(String::as_str));
    for name in input.vars.keys().filter(|name| !known.contains(&name.as_str())) {
        let place = root.entry("variables").map_or_else(|| start(root), |entry| entry.key_span.clone());
        let help = match closest(name, known.iter().copied()) {
            Some(similar) => format!("Did you mean `--var {similar}=…`?"),
            None => format!("Leave it out, or write `${{var.{name}}}` where its value belongs."),
        };
        let label = format!("`{name}` is not here");
        found.push(
            Diagnostic::error("unknown-variable", "A value is given for a variable that is not there", place, label)
                .with_detail(format!("`--var {name}=…` gives a value that nothing in the file uses."))
                .with_help(help),
        );
    }
}

/// The tree with its environment laid over and all expressions put in.
fn prepared(input: &LoadInput<'_>, registry: &Registry, found: &mut Diagnostics) -> Option<Node> {
    let root = parse(&input.source, found);
    let Some(mut root) = root else {
        if !found.has_errors() {
            let place = Span { source: Arc::clone(&input.source), range: 0..0 };
            found.push(missing("stack", "the file", place).with_help("Begin with `stack: my-name`."));
        }
        return None;
    };
    if !is_block(&root, found) {
        return None;
    }
    environments(&mut root, input, registry, found);
    let mut vars = BTreeMap::new();
    if let Some(node) = entry_mut(&mut root, "variables") {
        let values = Values { environment: input.variables, vars: &BTreeMap::new(), template: input.template };
        interpolate(node, &values, found);
        vars = variables(node, found);
    }
    unused_values(input, &root, &vars, found);
    vars.extend(input.vars.clone());
    let values = Values { environment: input.variables, vars: &vars, template: input.template };
    if let Tree::Map(entries) = &mut root.tree {
        let rest = entries.iter_mut().filter(|entry| entry.key != "variables" && entry.key != "environments");
        rest.for_each(|entry| interpolate(&mut entry.value, &values, found));
    }
    Some(root)
}

fn entry_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.tree {
        Tree::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
        _ => None,
    }
}

/// Checks all environments as far as that can be done without using them, and uses one.
fn environments(root: &mut Node, input: &LoadInput<'_>, registry: &Registry, found: &mut Diagnostics) {
    let overlays = root.get("environments").cloned();
    if let Some(overlays) = overlays.as_ref().filter(|overlays| is_block(overlays, found)) {
        for entry in overlays.entries() {
            overlay(entry, root, input.environment, registry, found);
        }
    }
    let Some(name) = input.environment else { return };
    if let Some(chosen) = overlays.as_ref().and_then(|overlays| overlays.entry(name)) {
        let own_name = chosen.value.get("stack").is_some();
        merge(root, chosen.value.clone());
        if !own_name {
            lengthen(root, chosen, found);
        }
        return;
    }
    let entries = overlays.as_ref().map_or(&[][..], Node::entries);
    let place = root.entry("environments").map_or_else(|| start(root), |entry| entry.key_span.clone());
    let help = match closest(name, entries.iter().map(|entry| entry.key.as_str())) {
        Some(similar) => format!("Did you mean `--env {similar}`?"),
        None if entries.is_empty() => "Leave `--env` out, or write a block under `environments:`.".to_owned(),
        None => "Leave `--env` out, or choose one that is there.".to_owned(),
    };
    let summary = "The environment is not in the stack file";
    let label = "the asked-for environment is not here";
    let detail = format!("There is no `{name}` under `environments:`.");
    found.push(Diagnostic::error("unknown-environment", summary, place, label).with_detail(detail).with_help(help));
}

/// Makes the name of the stack that of the stack in this environment: two environments in one
/// account must not own the same objects.
fn lengthen(root: &mut Node, chosen: &Entry, found: &mut Diagnostics) {
    let Some(Node { tree: Tree::Text(name), .. }) = entry_mut(root, "stack") else { return };
    let longer = format!("{name}-{}", chosen.key);
    if is_name(&longer) || name.contains("${") || !is_name(name) {
        *name = longer;
        return;
    }
    let label = format!("makes the stack `{longer}`, which is no name of a stack");
    let detail =
        "In an environment the stack is called `STACK-ENVIRONMENT`: small letters, digits and hyphens, at most 31.";
    let help = "Rename the environment, or give it a `stack:` of its own.";
    found.push(
        Diagnostic::error("environment-name", "An environment cannot name its stack", chosen.key_span.clone(), label)
            .with_detail(detail)
            .with_help(help),
    );
}

/// An overlay that is not used is only checked for keys and names that are surely wrong.
fn overlay(entry: &Entry, root: &Node, chosen: Option<&str>, registry: &Registry, found: &mut Diagnostics) {
    if !is_block(&entry.value, found) {
        return;
    }
    let known: Vec<&str> = KEYS.into_iter().filter(|key| !["environments", "moved"].contains(key)).collect();
    known_keys(&entry.value, &known, &format!("`environments.{}`", entry.key), found);
    let is_chosen = chosen == Some(&entry.key);
    let base = root.get("resources").map(|node| resources::names(node, registry)).unwrap_or_default();
    for resource in entry.value.get("resources").map_or(&[][..], Node::entries) {
        // In the one that is used, anything else is seen when it is laid over.
        let is_asked = !is_chosen || resource.value.tree == Tree::Null;
        if is_asked
            && resource.value.get("kind").is_none()
            && let Err(diagnostic) = base.accept(&resource.key, &[], &resource.key_span)
        {
            let detail = "An overlay changes a resource of the same name, takes it away with `null`, or adds one with its own `kind`.";
            found.push(diagnostic.with_detail(detail));
        }
    }
}

/// Lays one tree over another: maps are merged, `null` takes away what is there, everything else,
/// lists too, is replaced.
fn merge(base: &mut Node, over: Node) {
    match (&mut base.tree, over.tree) {
        (Tree::Map(entries), Tree::Map(overlay)) => {
            for entry in overlay {
                match entries.iter().position(|known| known.key == entry.key) {
                    Some(at) if entry.value.tree == Tree::Null => drop(entries.remove(at)),
                    Some(at) => merge(&mut entries[at].value, entry.value),
                    None => entries.push(entry),
                }
            }
        }
        (tree, over_tree) => {
            *tree = over_tree;
            base.span = over.span;
        }
    }
}

fn read(
    input: &LoadInput<'_>,
    root: &Node,
    registry: &Registry,
    place: &Place,
    found: &mut Diagnostics,
    hidden: &mut Vec<std::ops::Range<usize>>,
) -> Stack {
    let header = header(root, found);
    let target = input.target.or(header.target).unwrap_or(Target::Sandbox);
    let place = own_place(place, &header);
    let mut read = resources::Read::default();
    let mut names = super::graph::Names::default();
    if let Some(node) = root.get("resources") {
        names = resources::names(node, registry);
        read = resources::resources(node, &names, registry, &place, found);
    } else {
        found.push(missing("resources", "the file", start(root)));
    }
    hidden.extend(read.literals);
    super::credentials::refuse(root, found, hidden);
    let pipeline = root.get("pipeline").map(|node| pipeline::pipeline(node, &names, found)).unwrap_or_default();
    let moved = root.get("moved").map(|node| resources::moved(node, &names, found)).unwrap_or_default();
    if loses_a_resource(root, found) {
        // The name that is missing may be the one that one of the two was meant to have.
        found.retain(|one| one.code != "unknown-reference");
    }
    Stack {
        name: header.name,
        target,
        region: header.region,
        account: header.account,
        lease: header.lease,
        tags: header.tags,
        expires: header.expires,
        resources: read.resources,
        pipeline,
        moved,
        secret_variables: read.secrets,
    }
}

/// Whether two resources were written under one name, so that only the first of them is known.
fn loses_a_resource(root: &Node, found: &Diagnostics) -> bool {
    let resources = root.get("resources").map_or(&[][..], Node::entries);
    let is_resource = |span: &Span| resources.iter().any(|entry| entry.key_span.range == span.range);
    found.iter().any(|one| one.code == "duplicate-key" && one.labels.get(1).is_some_and(|(span, _)| is_resource(span)))
}

fn own_place(place: &Place, header: &Header) -> Place {
    Place {
        stack: header.name.clone(),
        account: header.account.clone().unwrap_or_else(|| place.account.clone()),
        region: header.region.clone().unwrap_or_else(|| place.region.clone()),
        partition: place.partition.clone(),
    }
}
