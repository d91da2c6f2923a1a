//! Renders a node to the SQL that is sent: dependencies as relations, ephemeral models written in.

use std::sync::Arc;

use minijinja::Value;

use super::context::{Context, Execution};
use super::fault::ModelError;
use super::generic;
use super::node::{Materialization, Node};
use super::project::Project;
use super::session::Session;

/// The name under which an ephemeral model is written into its readers.
pub(super) fn ephemeral_name(name: &str) -> String {
    format!("__dbt__cte__{name}")
}

/// The SQL of a node. Blocks while its template queries the database; without a session such a
/// template is an error.
pub(super) fn node(project: &Arc<Project>, index: usize, session: Option<&Arc<Session>>) -> Result<String, ModelError> {
    let mut parts = Parts { project, session, done: Vec::new() };
    let sql = parts.render(index)?;
    Ok(with_ephemerals(&sql, &parts.done))
}

/// Renders a text that belongs to a node (a hook), or to none.
pub(super) fn text(
    project: &Arc<Project>,
    index: Option<usize>,
    text: &str,
    session: Option<&Arc<Session>>,
) -> Result<String, ModelError> {
    let execution = Execution { project: project.clone(), session: session.cloned() };
    let node = index.map(|index| &project.nodes[index]);
    let context = context(project, node, execution);
    let file = node.map_or("dbt_project.yml", |node| node.place.file.as_str());
    let package = node.map_or(project.name.as_str(), |node| node.package.as_str());
    project.basis.jinja.render(package, file, text, Value::from_object(context))
}

fn context(project: &Project, node: Option<&Node>, execution: Execution) -> Context {
    let basis = &project.basis;
    let mut context = match node {
        Some(node) => Context::parsing(basis, &node.package, &node.id, &node.name),
        None => Context::parsing(basis, &project.name, "", ""),
    };
    if let Some(node) = node {
        context.this = Some(node.relation.clone());
        context.config = node.config.clone();
        context.is_incremental_model = node.materialization() == Materialization::Incremental;
    }
    context.execution = Some(execution);
    context
}

struct Parts<'a> {
    project: &'a Arc<Project>,
    session: Option<&'a Arc<Session>>,
    /// Ephemeral models in the order in which they must be written.
    done: Vec<(String, String)>,
}

impl Parts<'_> {
    fn render(&mut self, index: usize) -> Result<String, ModelError> {
        let project = self.project;
        let node = &project.nodes[index];
        let execution = Execution { project: project.clone(), session: self.session.cloned() };
        let context = context(project, Some(node), execution);
        let (context, rendered) = if node.generic.is_some() {
            generic::render(node, context)
        } else {
            let context = Arc::new(context);
            let value = Value::from_dyn_object(context.clone());
            let rendered = project.basis.jinja.render(&node.package, &node.place.file, &node.text, value);
            (context, rendered)
        };
        let sql = rendered?;
        let refs = std::mem::take(&mut context.captured().refs);
        for (package, name) in refs {
            let Some(found) = project.find_ref(&node.package, package.as_deref(), &name) else { continue };
            let name = ephemeral_name(&name);
            if project.nodes[found].is_ephemeral() && !self.done.iter().any(|(done, _)| *done == name) {
                let sql = self.render(found)?;
                self.done.push((name, sql));
            }
        }
        Ok(sql.trim().trim_end_matches(';').trim_end().to_owned())
    }
}

/// Puts common table expressions in front of a query, into its own `with` where it has one.
fn with_ephemerals(sql: &str, ephemerals: &[(String, String)]) -> String {
    if ephemerals.is_empty() {
        return sql.to_owned();
    }
    let written: Vec<_> = ephemerals.iter().map(|(name, sql)| format!("{name} as (\n{sql}\n)")).collect();
    let written = written.join(", ");
    let start = after_comments(sql);
    let word =
        |from: usize| sql[from..].split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
    if !word(start).eq_ignore_ascii_case("with") {
        return format!("with {written}\n{sql}");
    }
    let mut at = start + "with".len();
    let next = at + after_comments(&sql[at..]);
    if word(next).eq_ignore_ascii_case("recursive") {
        at = next + "recursive".len();
    }
    format!("{} {written},{}", &sql[..at], &sql[at..])
}

/// The offset of the first character that is neither white space nor comment.
fn after_comments(sql: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &sql[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let skipped = if trimmed.starts_with("--") {
            trimmed.find('\n').unwrap_or(trimmed.len())
        } else if trimmed.starts_with("/*") {
            trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
        } else {
            return at;
        };
        at += skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ephemeral_models_go_into_the_querys_own_with() {
        let one = [("e".to_owned(), "select 1".to_owned())];
        assert_eq!(with_ephemerals("select * from e", &one), "with e as (\nselect 1\n)\nselect * from e");
        assert_eq!(
            with_ephemerals("-- c\nWITH a as (x) select", &one),
            "-- c\nWITH e as (\nselect 1\n), a as (x) select"
        );
        assert_eq!(with_ephemerals("with recursive a as (x)", &one), "with recursive e as (\nselect 1\n), a as (x)");
    }
}
