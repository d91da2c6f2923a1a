//! Small changes to the text of a stack file that leave everything else as it was, comments and
//! layout included: a field set to what is live (drift accepted), a block added (an object
//! adopted).
//!
//! The place comes from the parsed tree and the change is made in the text. What was changed is
//! parsed again: a result that does not say what was asked for is refused, never written.

use std::sync::Arc;

mod items;
#[cfg(test)]
mod tests;

use super::check::raw;
use super::yaml::{Entry, Node, Tree, parse};
use crate::diag::{Diagnostics, Source};
use crate::value::Value;

/// The longest line that is written.
const WIDTH: usize = 118;

/// Why a text was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not a stack file at all.
    #[error("the stack file does not parse; `towpath check` says where")]
    Unreadable,
    /// The resource is not in the text.
    #[error("there is no `{0}` under `resources:`")]
    NoResource(String),
    /// A resource of that name is in the text.
    #[error("`{0}` is already under `resources:`")]
    Taken(String),
    /// The text is laid out in a way that this module does not change safely.
    #[error("`{0}` cannot be changed by machine without touching other lines; change it by hand")]
    ByHand(String),
}

/// Sets a field of a resource, e.g. `storage_gb` or `settings.FullLoadSettings`, to a value;
/// `null` takes the field out. With an environment the change is made in its overlay, which gets
/// the resource if it has none of it yet. Returns the whole new text.
///
/// # Errors
/// If the resource or all but the last part of the path is not there, or the layout is beyond this.
pub fn set(
    text: &str,
    environment: Option<&str>,
    resource: &str,
    path: &str,
    value: &Value,
) -> Result<String, EditError> {
    let root = tree(text)?;
    let base = root.get("resources").and_then(|all| all.get(resource));
    let added = environment.and_then(|name| root.get("environments")?.get(name)?.get("resources")?.get(resource));
    if base.or(added).is_none() {
        return Err(EditError::NoResource(resource.to_owned()));
    }
    let mut parts = place(environment, resource);
    parts.extend(path.split('.'));
    // In the base, blocks above the field must be there; an overlay is small and gets them.
    let must_exist = if environment.is_some() { 1 } else { parts.len() - 1 };
    within(text, &parts, must_exist, &literal(value)).ok_or_else(|| EditError::ByHand(format!("{resource}.{path}")))
}

/// Adds a resource as the last one, with an environment to its overlay. `block` has `kind` and the
/// fields. Returns the whole new text.
///
/// # Errors
/// If the name is taken or the file has no `resources:` written over several lines.
pub fn append_resource(text: &str, environment: Option<&str>, name: &str, block: &Value) -> Result<String, EditError> {
    let root = tree(text)?;
    if root.get("resources").is_some_and(|resources| resources.get(name).is_some()) {
        return Err(EditError::Taken(name.to_owned()));
    }
    change(text, &root, &place(environment, name), 1, &literal(block))
        .ok_or_else(|| EditError::ByHand("resources".to_owned()))
}

/// Adds words to the list `ignore` of a resource. Returns the whole new text.
///
/// # Errors
/// As [`set`].
pub fn ignore(text: &str, environment: Option<&str>, resource: &str, field: &str) -> Result<String, EditError> {
    let root = tree(text)?;
    let parts = place(environment, resource);
    let own = parts.iter().try_fold(&root, |node, part| node.get(part));
    let base = root.get("resources").and_then(|all| all.get(resource));
    let list = own.and_then(|own| own.get("ignore")).or_else(|| base.and_then(|base| base.get("ignore")));
    let mut fields = list.map(raw).and_then(|list| list.as_array().cloned()).unwrap_or_default();
    if !fields.iter().any(|known| known == field) {
        fields.push(Value::String(field.to_owned()));
    }
    set(text, environment, resource, "ignore", &Value::Array(fields))
}

/// Where a resource is written.
fn place<'a>(environment: Option<&'a str>, resource: &'a str) -> Vec<&'a str> {
    match environment {
        Some(name) => vec!["environments", name, "resources", resource],
        None => vec!["resources", resource],
    }
}

/// Sets what is at the end of a path of keys in as small changes as it takes: of a block only the fields that differ, of
/// a list only the items, so that the lines between them stay, comments too.
fn within(text: &str, parts: &[&str], must_exist: usize, value: &Value) -> Option<String> {
    let root = tree(text).ok()?;
    let there = parts.iter().try_fold(&root, |node, part| node.get(part));
    let in_parts = match (there.map(|node| &node.tree), value) {
        (Some(Tree::Map(entries)), Value::Object(wanted)) if !entries.is_empty() && !wanted.is_empty() => {
            field_by_field(text, entries, parts, must_exist, wanted)
        }
        (Some(Tree::List(items)), Value::Array(wanted)) if !wanted.is_empty() => {
            let changed = items::relist(text, there?, items, wanted, &flow);
            changed.filter(|changed| says(changed, &root, parts, value))
        }
        _ => None,
    };
    in_parts.or_else(|| change(text, &root, parts, must_exist, value))
}

fn field_by_field(
    text: &str,
    entries: &[Entry],
    parts: &[&str],
    must_exist: usize,
    wanted: &crate::value::Map,
) -> Option<String> {
    let mut text = text.to_owned();
    let path = |key| [parts, &[key]].concat();
    for (key, value) in wanted {
        let same = entries.iter().any(|entry| entry.key == *key && raw(&entry.value) == *value);
        if !same {
            text = within(&text, &path(key), must_exist, value)?;
        }
    }
    for entry in entries.iter().filter(|entry| !wanted.contains_key(&entry.key)) {
        text = change(&text, &tree(&text).ok()?, &path(&entry.key), must_exist, &Value::Null)?;
    }
    Some(text)
}

/// Sets what is at the end of a path of keys, of which the first `must_exist` are there, and makes
/// sure that the new text says that and nothing else.
fn change(text: &str, root: &Node, parts: &[&str], must_exist: usize, value: &Value) -> Option<String> {
    let (last, parents) = parts.split_last()?;
    let mut block = root;
    let mut depth = 0;
    while depth < parents.len()
        && let Some(next) = block.get(parents[depth]).filter(|next| matches!(next.tree, Tree::Map(_)))
    {
        block = next;
        depth += 1;
    }
    if depth < must_exist {
        return None;
    }
    let changed = if depth < parents.len() {
        if value.is_null() {
            return Some(text.to_owned());
        }
        let wrap = |inner: Value, key: &&str| {
            let mut map = crate::value::Map::new();
            map.insert((*key).to_owned(), inner);
            Value::Object(map)
        };
        let inner = parts[depth + 1..].iter().rev().fold(value.clone(), wrap);
        match block.entry(parents[depth]) {
            Some(entry) => replace(text, entry, &inner)?,
            None => insert(text, block, parents[depth], &inner)?,
        }
    } else {
        match block.entry(last) {
            Some(entry) if value.is_null() => remove(text, block, entry)?,
            Some(entry) => replace(text, entry, value)?,
            None if value.is_null() => text.to_owned(),
            None => insert(text, block, last, value)?,
        }
    };
    says(&changed, root, parts, value).then_some(changed)
}

/// Whether a text says the same as a tree but for the value at the end of a path.
fn says(text: &str, root: &Node, parts: &[&str], value: &Value) -> bool {
    let mut expected = raw(root);
    let mut target = &mut expected;
    let Some((last, parents)) = parts.split_last() else { return false };
    for parent in parents {
        if !target.get(*parent).is_some_and(Value::is_object) {
            target[*parent] = Value::Object(crate::value::Map::new());
        }
        target = &mut target[*parent];
    }
    let Some(target) = target.as_object_mut() else { return false };
    if value.is_null() {
        target.shift_remove(*last);
    } else {
        target.insert((*last).to_owned(), value.clone());
    }
    tree(text).is_ok_and(|after| raw(&after) == expected)
}

fn tree(text: &str) -> Result<Node, EditError> {
    let source = Arc::new(Source { path: String::new(), text: text.to_owned() });
    let mut found = Diagnostics::default();
    parse(&source, &mut found).filter(|_| !found.has_errors()).ok_or(EditError::Unreadable)
}

/// A value in which nothing reads as an expression.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(items) => Value::Array(items.iter().map(literal).collect()),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), literal(value))).collect()),
        other => other.clone(),
    }
}

/// Whether a map is written with braces.
fn is_flow(text: &str, node: &Node) -> bool {
    text[node.span.range.clone()].starts_with('{')
}

/// Puts another value in the place of a value; comments behind it stay.
fn replace(text: &str, entry: &Entry, value: &Value) -> Option<String> {
    let range = entry.value.span.range.clone();
    // An empty value, an alias and an anchor have no text of their own to replace.
    let written = text.get(entry.key_span.range.end..range.start)?;
    // Comments inside would go with the old value.
    if range.is_empty() || written.contains(['&', '*', '#', '!']) || items::has_comment(text, &entry.value) {
        return None;
    }
    if let Some(scalar) = items::block_scalar(text, entry) {
        return Some(format!("{} {}{}", &text[..scalar.start], flow(value), &text[scalar.end..]));
    }
    let is_block =
        matches!(entry.value.tree, Tree::Map(_) | Tree::List(_)) && !text[range.clone()].starts_with(['{', '[']);
    let start = if is_block { entry.key_span.range.end + 1 } else { range.start };
    let space = if is_block { " " } else { "" };
    // What was in quotes stays in quotes: the file may be JSON.
    let written = match value {
        Value::String(new) if text[range.clone()].starts_with('"') => Value::String(new.clone()).to_string(),
        _ => flow(value),
    };
    Some(format!("{}{space}{written}{}", &text[..start], &text[range.end..]))
}

/// Takes a field out, with its line where it has one for itself.
fn remove(text: &str, block: &Node, entry: &Entry) -> Option<String> {
    let (start, end) = (entry.key_span.range.start, entry.value.span.range.end.max(entry.key_span.range.end + 1));
    if !is_flow(text, block) {
        let start = line_start(text, start);
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
        // The last field cannot go: the block would become nothing.
        return (block.entries().len() > 1).then(|| format!("{}{}", &text[..start], &text[end..]));
    }
    let after = text[end..].trim_start();
    if let Some(rest) = after.strip_prefix(',') {
        return Some(format!("{}{}", &text[..start], rest.trim_start_matches(' ')));
    }
    let before = text[..start].trim_end();
    Some(format!("{}{}", before.strip_suffix(',').unwrap_or(before), &text[end..]))
}

/// Adds a field behind the last one of a block, in the block's own style.
fn insert(text: &str, block: &Node, field: &str, value: &Value) -> Option<String> {
    let Some(last) = block.entries().last() else { return fill(text, block, field, value) };
    let end = last.value.span.range.end.max(last.key_span.range.end + 1);
    if is_flow(text, block) {
        return Some(format!("{}, {}: {}{}", &text[..end], scalar(field), flow(value), &text[end..]));
    }
    let first = block.entries().first()?;
    let line = &text[line_start(text, first.key_span.range.start)..first.key_span.range.start];
    // A block may begin behind the dash of a list.
    let indentation = " ".repeat(line.chars().count());
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    let end = items::behind_comments(text, end, indentation.len());
    let newline = if text[..end].ends_with('\n') { "" } else { "\n" };
    let lines = as_ended(text, &format!("{newline}{}", block_lines(field, value, &indentation)));
    Some(format!("{}{lines}{}", &text[..end], &text[end..]))
}

/// Puts the first field into an empty block, `{}`. A resource gets lines of its own.
fn fill(text: &str, block: &Node, field: &str, value: &Value) -> Option<String> {
    let range = block.span.range.clone();
    if !is_flow(text, block) {
        return None;
    }
    let line = &text[line_start(text, range.start)..range.start];
    let is_at_the_top = line == "resources: " && value.get("kind").is_some();
    let rest = text[range.end..].lines().next().unwrap_or_default();
    if !is_at_the_top || !rest.trim().is_empty() {
        return Some(format!("{}{{{}: {}}}{}", &text[..range.start], scalar(field), flow(value), &text[range.end..]));
    }
    let lines = as_ended(text, &format!("\n{}", block_lines(field, value, "  ").trim_end_matches('\n')));
    Some(format!("{}{lines}{}", text[..range.start].trim_end(), &text[range.end..]))
}

/// New lines that end like those of the file.
fn as_ended(text: &str, lines: &str) -> String {
    if text.contains("\r\n") { lines.replace('\n', "\r\n") } else { lines.to_owned() }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// A field on a line of its own; a resource as one line per field, and so is what would be too long
/// for a line.
fn block_lines(field: &str, value: &Value, indentation: &str) -> String {
    let key = scalar(field);
    let line = format!("{indentation}{key}: {}\n", flow(value));
    let is_long = line.chars().count() > WIDTH;
    match value {
        Value::Object(map) if !map.is_empty() && (is_long || holds_resource(value)) => {
            let deeper = format!("{indentation}  ");
            let lines: String = map.iter().map(|(field, value)| block_lines(field, value, &deeper)).collect();
            format!("{indentation}{key}:\n{lines}")
        }
        Value::Array(items) if is_long && !items.is_empty() => {
            let lines: Vec<String> = items.iter().map(|item| format!("{indentation}  - {}\n", flow(item))).collect();
            format!("{indentation}{key}:\n{}", lines.concat())
        }
        _ => line,
    }
}

/// Whether a block is a resource or has one inside.
fn holds_resource(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.contains_key("kind") || map.values().any(holds_resource))
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text without quotes where it surely reads as the same text, else in double quotes.
fn scalar(text: &str) -> String {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "_-./".contains(character))
        && super::yaml::plain(text) == Tree::Text(text.to_owned())
        && !["yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    // A JSON string is a YAML string in double quotes.
    if is_word { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}
