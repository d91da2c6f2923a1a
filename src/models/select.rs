//! The selector language: which nodes a command is about.
//!
//! `name`, `pack*`, `path/to`, `tag:`, `path:`, `source:`, `config.materialized:`, `resource_type:`,
//! `test_type:`, `test_name:`, `fqn:`, `package:`; `+` and `2+` on either side for ancestors and
//! descendants, `@` for both with what they need; a space unites, a comma intersects.

use std::collections::BTreeSet;

use super::node::{Node, NodeKind, Subject};
use super::project::Project;

/// A selector that cannot be understood, or that matches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The method before the colon is none of those known.
    #[error("`{selector}`: there is no selection method `{method}`")]
    UnknownMethod {
        /// The selector as written.
        selector: String,
        /// The word before the colon.
        method: String,
    },
    /// Nothing in the project fits.
    #[error("`{selector}` matches nothing in this project")]
    NoMatch {
        /// The selector as written.
        selector: String,
    },
}

/// A node or a source, as the graph sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Node(usize),
    Source(usize),
}

/// The indices of the nodes that `select` names and `exclude` does not; all where `select` is
/// empty. Tests of a selected node are selected with it.
pub fn select(project: &Project, select: &[String], exclude: &[String]) -> Result<BTreeSet<usize>, SelectError> {
    let chosen = if select.is_empty() { (0..project.nodes.len()).collect() } else { union(project, select, true)? };
    let excluded = union(project, exclude, false)?;
    Ok(chosen.difference(&excluded).copied().collect())
}

fn union(project: &Project, selectors: &[String], must_match: bool) -> Result<BTreeSet<usize>, SelectError> {
    let mut out = BTreeSet::new();
    for selector in selectors.iter().flat_map(|text| text.split_whitespace()) {
        let mut all: Option<BTreeSet<usize>> = None;
        for part in selector.split(',') {
            let found = with_tests(project, &one(project, part)?);
            all = Some(match all {
                Some(all) => all.intersection(&found).copied().collect(),
                None => found,
            });
        }
        let all = all.unwrap_or_default();
        if all.is_empty() && must_match {
            return Err(SelectError::NoMatch { selector: selector.to_owned() });
        }
        out.extend(all);
    }
    Ok(out)
}

/// The members' nodes, and the tests that look at them.
fn with_tests(project: &Project, members: &BTreeSet<Member>) -> BTreeSet<usize> {
    let mut out: BTreeSet<usize> = members
        .iter()
        .filter_map(|member| if let Member::Node(index) = member { Some(*index) } else { None })
        .collect();
    for (index, node) in project.nodes.iter().enumerate() {
        let touches = node.depends_on.iter().any(|&parent| members.contains(&Member::Node(parent)))
            || node.reads.iter().any(|&source| members.contains(&Member::Source(source)));
        if node.kind == NodeKind::Test && touches {
            out.insert(index);
        }
    }
    out
}

fn one(project: &Project, selector: &str) -> Result<BTreeSet<Member>, SelectError> {
    let (up, rest) = ancestors_of(selector);
    let (down, rest) = descendants_of(rest);
    let (childrens_parents, rest) = match rest.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let mut members = matching(project, rest, selector)?;
    let start = members.clone();
    if let Some(limit) = up {
        members.extend(walk(project, &start, limit, parents));
    }
    if down.is_some() || childrens_parents {
        members.extend(walk(project, &start, down.unwrap_or(usize::MAX), children));
    }
    if childrens_parents {
        let all = members.clone();
        members.extend(walk(project, &all, usize::MAX, parents));
    }
    Ok(members)
}

fn ancestors_of(selector: &str) -> (Option<usize>, &str) {
    match selector.split_once('+') {
        Some(("", rest)) => (Some(usize::MAX), rest),
        Some((number, rest)) if !rest.is_empty() && number.chars().all(|digit| digit.is_ascii_digit()) => {
            (number.parse().ok(), rest)
        }
        _ => (None, selector),
    }
}

fn descendants_of(selector: &str) -> (Option<usize>, &str) {
    match selector.rsplit_once('+') {
        Some((rest, "")) => (Some(usize::MAX), rest),
        Some((rest, number)) if number.chars().all(|digit| digit.is_ascii_digit()) => (number.parse().ok(), rest),
        _ => (None, selector),
    }
}

fn parents(project: &Project, member: Member) -> Vec<Member> {
    let Member::Node(index) = member else { return Vec::new() };
    let node = &project.nodes[index];
    let sources = node.reads.iter().map(|&source| Member::Source(source));
    node.depends_on.iter().map(|&parent| Member::Node(parent)).chain(sources).collect()
}

fn children(project: &Project, member: Member) -> Vec<Member> {
    let nodes = project.nodes.iter().enumerate();
    let reads = |node: &Node| match member {
        Member::Node(index) => node.depends_on.contains(&index),
        Member::Source(index) => node.reads.contains(&index),
    };
    nodes.filter(|(_, node)| reads(node)).map(|(index, _)| Member::Node(index)).collect()
}

fn walk(
    project: &Project,
    start: &BTreeSet<Member>,
    limit: usize,
    next: fn(&Project, Member) -> Vec<Member>,
) -> BTreeSet<Member> {
    let mut seen = start.clone();
    let mut front: Vec<Member> = start.iter().copied().collect();
    let mut steps = 0;
    while !front.is_empty() && steps < limit {
        front =
            front.into_iter().flat_map(|member| next(project, member)).filter(|member| seen.insert(*member)).collect();
        steps += 1;
    }
    seen
}

fn matching(project: &Project, text: &str, selector: &str) -> Result<BTreeSet<Member>, SelectError> {
    let (method, value) = match text.split_once(':') {
        Some((method, value)) => (method, value),
        None if text.contains(['/', '\\']) => ("path", text),
        None => ("fqn", text),
    };
    let test = |node: &Node| -> bool {
        match method {
            "fqn" | "name" => fits_name(node, value),
            "tag" => node.config.texts("tags").iter().any(|tag| fits(tag, value)),
            "path" => {
                let value = value.trim_end_matches('/');
                let file = node.place.file.as_str();
                fits(file, value) || file.strip_prefix(value).is_some_and(|rest| rest.starts_with('/'))
            }
            "file" => fits(node.place.file.rsplit('/').next().unwrap_or_default(), value),
            "package" => fits(&node.package, value),
            "resource_type" => fits(node.kind.word(), value),
            "test_name" => node.generic.as_ref().is_some_and(|generic| fits(&generic.test, value)),
            "test_type" => {
                node.kind == NodeKind::Test && fits(if node.generic.is_some() { "generic" } else { "singular" }, value)
            }
            _ => {
                let setting = method.strip_prefix("config.").and_then(|key| node.config.get(key));
                setting.is_some_and(|setting| fits(setting.as_str().unwrap_or(&setting.to_string()), value))
            }
        }
    };
    let known = ["fqn", "name", "tag", "path", "file", "package", "resource_type", "test_name", "test_type", "source"];
    if !known.contains(&method) && !method.starts_with("config.") {
        return Err(SelectError::UnknownMethod { selector: selector.to_owned(), method: method.to_owned() });
    }
    let mut out = BTreeSet::new();
    for (index, source) in project.sources.iter().enumerate() {
        let named = match method {
            "source" => fits(&source.source, value) || fits(&format!("{}.{}", source.source, source.table), value),
            "tag" => source.tags.iter().any(|tag| fits(tag, value)),
            "path" => source.place.file == value,
            _ => false,
        };
        if named {
            out.insert(Member::Source(index));
        }
    }
    if method != "source" {
        out.extend(
            project.nodes.iter().enumerate().filter(|(_, node)| test(node)).map(|(index, _)| Member::Node(index)),
        );
    }
    Ok(out)
}

fn fits_name(node: &Node, value: &str) -> bool {
    if fits(&node.name, value) || fits(&node.fqn.join("."), value) {
        return true;
    }
    // A folder: `staging` or `club.staging` selects what lies below it.
    let wanted: Vec<_> = value.split('.').collect();
    let folders = &node.fqn[..node.fqn.len().saturating_sub(1)];
    let starts = |folders: &[String]| {
        folders.len() >= wanted.len() && folders.iter().zip(&wanted).all(|(folder, wanted)| fits(folder, wanted))
    };
    node.kind != NodeKind::Test && (starts(folders) || folders.get(1..).is_some_and(starts))
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn fits(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(&rest[at..], tail))
        }),
    }
}

/// What a generic test looks at, for messages: `stg_events.latitude`.
pub fn subject(node: &Node) -> Option<String> {
    let generic = node.generic.as_ref()?;
    let table = match &generic.subject {
        Subject::Model(name) => name.clone(),
        Subject::Source(source, table) => format!("{source}.{table}"),
    };
    Some(generic.column.as_ref().map_or(table.clone(), |column| format!("{table}.{column}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(fits("stg_teams", "stg_*") && fits("stg_teams", "*team*") && !fits("stg_teams", "team*"));
    }

    #[test]
    fn plus_signs_are_read_with_their_numbers() {
        assert_eq!(ancestors_of("2+a+"), (Some(2), "a+"));
        assert_eq!(ancestors_of("+a"), (Some(usize::MAX), "a"));
        assert_eq!(ancestors_of("a+1"), (None, "a+1"));
        assert_eq!(descendants_of("a+1"), (Some(1), "a"));
        assert_eq!(descendants_of("a+"), (Some(usize::MAX), "a"));
    }
}
