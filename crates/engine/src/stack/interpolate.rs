//! `${env.NAME}` and `${var.name}` inside strings; `$${` stands for `${`.
//!
//! What is put in is never looked at again, so a value cannot smuggle in an expression. Keys are
//! left alone. Every expression without a value is reported at its own place.

use std::collections::BTreeMap;

use super::yaml::{Node, Tree};
use crate::diag::{Diagnostic, Diagnostics, Span, closest};

/// Where values come from.
pub(crate) struct Values<'a> {
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub(crate) vars: &'a BTreeMap<String, String>,
    pub(crate) template: &'a [String],
}

/// Replaces the expressions in all strings of a tree.
pub(crate) fn interpolate(node: &mut Node, values: &Values<'_>, found: &mut Diagnostics) {
    match &mut node.tree {
        Tree::List(items) => items.iter_mut().for_each(|item| interpolate(item, values, found)),
        Tree::Map(entries) => entries.iter_mut().for_each(|entry| interpolate(&mut entry.value, values, found)),
        Tree::Text(text) if text.contains("${") => {
            let filled = fill(text, &node.span, values, found);
            node.interpolated = filled.1;
            node.tree = Tree::Text(filled.0);
        }
        _ => {}
    }
}

/// The text with values put in, and whether any was.
fn fill(text: &str, span: &Span, values: &Values<'_>, found: &mut Diagnostics) -> (String, bool) {
    let (mut filled, mut rest, mut any) = (String::new(), text, false);
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            filled.push_str(&rest[..start]);
            filled.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        filled.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            let label = "this `${` has no `}`";
            found.push(
                Diagnostic::error("interpolation", "An expression does not end", part(span, "${"), label)
                    .with_help("Write `$${` for a `${` that is meant as such."),
            );
            filled.push_str(&rest[start..]);
            return (filled, any);
        };
        let expression = &inside[..end];
        let place = part(span, &rest[start..start + 3 + end]);
        match value(expression.trim(), place, values) {
            Ok(value) => filled.push_str(&value),
            Err(diagnostic) => found.push(*diagnostic),
        }
        any = true;
        rest = &inside[end + 1..];
    }
    filled.push_str(rest);
    (filled, any)
}

/// The place of an expression inside the place of its string, where it can be found as written.
fn part(span: &Span, expression: &str) -> Span {
    let whole = span.source.text.get(span.range.clone()).unwrap_or_default();
    whole.find(expression).map_or_else(
        || span.clone(),
        |at| {
            let start = span.range.start + at;
            Span { source: span.source.clone(), range: start..start + expression.len() }
        },
    )
}

fn value(expression: &str, place: Span, values: &Values<'_>) -> Result<String, Box<Diagnostic>> {
    if let Some(name) = expression.strip_prefix("env.") {
        let set = (values.environment)(name).filter(|value| !value.is_empty());
        return set.ok_or_else(|| Box::new(unset(name, place, values.template)));
    }
    if let Some(name) = expression.strip_prefix("var.") {
        return values.vars.get(name).cloned().ok_or_else(|| {
            let known = values.vars.keys().map(String::as_str);
            let help = closest(name, known).map_or_else(
                || format!("Give it a default under `variables:` or pass `--var {name}=…`."),
                |name| format!("Did you mean `${{var.{name}}}`?"),
            );
            Box::new(
                Diagnostic::error("unset-variable", "A variable has no value", place, "no value")
                    .with_detail(format!("`{name}` is neither under `variables:` nor given on the command line."))
                    .with_help(help),
            )
        });
    }
    Err(Box::new(
        Diagnostic::error("interpolation", "An expression is not known", place, "neither `env.` nor `var.`")
            .with_help("Write `${env.NAME}`, `${var.name}`, or `$${` for a `${` that is meant as such."),
    ))
}

/// The diagnostic for a variable of the environment that is not set.
pub(crate) fn unset(name: &str, place: Span, template: &[String]) -> Diagnostic {
    let (line, _) = place.line_column();
    let help = if template.iter().any(|entry| entry == name) {
        format!("Fill in `{name}=` of `.env.template` in your `.env`, or export it.")
    } else if let Some(entry) = closest(name, template.iter().map(String::as_str)) {
        format!("`.env.template` has `{entry}`; did you mean that? Else set `{name}` in `.env`.")
    } else {
        format!("Set `{name}` in `.env`, and add a line `{name}=` to `.env.template` for others.")
    };
    Diagnostic::error("unset-variable", "A variable has no value", place, "not set")
        .with_detail(format!("Line {line} needs the environment variable `{name}`, which is not set or empty."))
        .with_help(help)
}
