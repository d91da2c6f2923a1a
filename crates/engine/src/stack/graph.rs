//! The names under `resources:` and the references between them.

use std::collections::{BTreeMap, BTreeSet};

use super::header::{all, listed};
use crate::diag::{Diagnostic, Diagnostics, Span, closest};

/// The kind of every resource by its name; an empty kind is one that is not known.
#[derive(Debug, Default)]
pub(crate) struct Names<'a>(pub(crate) BTreeMap<&'a str, &'a str>);

impl Names<'_> {
    /// Checks that a resource of that name exists and has one of the kinds (any, if none is
    /// listed). A resource whose own kind is not known passes: that is reported at its place.
    pub(crate) fn accept(&self, name: &str, kinds: &[String], place: &Span) -> Result<(), Box<Diagnostic>> {
        let is_right = |kind: &str| kinds.is_empty() || kind.is_empty() || kinds.iter().any(|wanted| wanted == kind);
        let wanted: Vec<&str> = kinds.iter().map(String::as_str).collect();
        match self.0.get(name) {
            Some(kind) if is_right(kind) => Ok(()),
            Some(kind) => {
                let label = format!("its kind is `{kind}`");
                let summary = "A reference names a resource of the wrong kind";
                let diagnostic = Diagnostic::error("wrong-kind", summary, place.clone(), label)
                    .with_detail(format!("`{name}` is of kind `{kind}`; this place takes {}.", listed(&wanted)));
                Err(Box::new(self.fitting(diagnostic, name, &is_right)))
            }
            None => {
                let summary = "A reference names no resource";
                let diagnostic = Diagnostic::error("unknown-reference", summary, place.clone(), "no such resource");
                let takes = if wanted.is_empty() { "the name of a resource".to_owned() } else { listed(&wanted) };
                let diagnostic = diagnostic
                    .with_detail(format!("There is no `{name}` under `resources:`; this place takes {takes}."));
                Err(Box::new(self.fitting(diagnostic, name, &is_right)))
            }
        }
    }

    /// Adds the way out: the most similar name that fits, else all that fit.
    fn fitting(&self, diagnostic: Diagnostic, name: &str, is_right: &dyn Fn(&str) -> bool) -> Diagnostic {
        let fitting: Vec<&str> =
            self.0.iter().filter(|(other, kind)| **other != name && is_right(kind)).map(|(name, _)| *name).collect();
        match closest(name, fitting.iter().copied()) {
            Some(similar) => diagnostic.with_help(format!("Did you mean `{similar}`?")),
            None if fitting.is_empty() => diagnostic.with_help("The file has no resource that fits here."),
            None => diagnostic.with_help(format!("The file has {}.", all(&fitting))),
        }
    }
}

/// "The resource `from` needs the resource `to`", with the place that says so.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) place: Span,
}

/// Reports every group of resources that need each other in a circle, once.
pub(crate) fn cycles(edges: &[Edge], found: &mut Diagnostics) {
    let mut done = BTreeSet::new();
    for edge in edges {
        if done.contains(edge.from.as_str()) {
            continue;
        }
        let Some(path) = way_back(edges, edge) else { continue };
        done.extend(path.iter().map(|edge| edge.from.as_str()));
        let mut names: Vec<&str> = path.iter().map(|edge| edge.from.as_str()).collect();
        names.push(&edge.from);
        let label = |edge: &Edge| format!("`{}` needs `{}`", edge.from, edge.to);
        let summary = "Resources need each other in a circle";
        let first = Diagnostic::error("cycle", summary, edge.place.clone(), label(edge))
            .with_detail(format!("None of them could be made first: {}.", names.join(" → ")))
            .with_help("Take one of these references out.");
        found.push(path[1..].iter().fold(first, |all, edge| all.with_label(edge.place.clone(), label(edge))));
    }
}

/// The shortest path that starts with an edge and ends where that edge begins.
fn way_back<'e>(edges: &'e [Edge], first: &'e Edge) -> Option<Vec<&'e Edge>> {
    let mut queue = std::collections::VecDeque::from([vec![first]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = queue.pop_front() {
        let at = path.last().map_or(first.to.as_str(), |edge| edge.to.as_str());
        if at == first.from {
            return Some(path);
        }
        if seen.insert(at) {
            queue.extend(edges.iter().filter(|edge| edge.from == at).map(|edge| [path.clone(), vec![edge]].concat()));
        }
    }
    None
}
