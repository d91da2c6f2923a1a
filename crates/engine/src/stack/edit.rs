//! Small changes to the text of a stack file that leave everything else as it was, comments and
//! layout included: a field set to what is live (drift accepted), a block added (an object
//! adopted).
//!
//! The place comes from the parsed tree and the change is made in the text. What was changed is
//! parsed again: a result that does not say what was asked for is refused, never written.

use std::sync::Arc;

use super::check::raw;
use super::yaml::{Entry, Node, Tree, parse};
use crate::diag::{Diagnostics, Source};
use crate::value::Value;

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
/// `null` takes the field out. Returns the whole new text.
///
/// # Errors
/// If the resource or all but the last part of the path is not there, or the layout is beyond this.
pub fn set(text: &str, resource: &str, path: &str, value: &Value) -> Result<String, EditError> {
    let (root, value) = (tree(text)?, &literal(value));
    let no_resource = || EditError::NoResource(resource.to_owned());
    let mut block = root.get("resources").and_then(|all| all.get(resource)).ok_or_else(no_resource)?;
    let by_hand = || EditError::ByHand(format!("{resource}.{path}"));
    let parts: Vec<&str> = path.split('.').collect();
    let (field, parents) = parts.split_last().ok_or_else(by_hand)?;
    for parent in parents {
        block = block.get(parent).ok_or_else(by_hand)?;
    }
    let changed = match block.entry(field) {
        Some(entry) if value.is_null() => remove(text, block, entry),
        Some(entry) => replace(text, entry, value),
        None if value.is_null() => Some(text.to_owned()),
        None => insert(text, block, field, value),
    };
    let changed = changed.ok_or_else(by_hand)?;
    let after = tree(&changed).map_err(|_| by_hand())?;
    let mut expected = raw(&root);
    let mut target = &mut expected["resources"][resource];
    for parent in parents {
        target = &mut target[*parent];
    }
    let target = target.as_object_mut().ok_or_else(by_hand)?;
    if value.is_null() {
        target.shift_remove(*field);
    } else {
        target.insert((*field).to_owned(), value.clone());
    }
    if raw(&after) == expected { Ok(changed) } else { Err(by_hand()) }
}

/// Adds a resource as the last one. `block` has `kind` and the fields. Returns the whole new text.
///
/// # Errors
/// If the name is taken or the file has no `resources:` written over several lines.
pub fn append_resource(text: &str, name: &str, block: &Value) -> Result<String, EditError> {
    let (root, block) = (tree(text)?, &literal(block));
    let by_hand = || EditError::ByHand("resources".to_owned());
    let resources = root.get("resources").ok_or_else(by_hand)?;
    if resources.get(name).is_some() {
        return Err(EditError::Taken(name.to_owned()));
    }
    let changed = insert(text, resources, name, block).ok_or_else(by_hand)?;
    let after = tree(&changed).map_err(|_| by_hand())?;
    let mut expected = raw(&root);
    expected["resources"][name] = block.clone();
    if raw(&after) == expected { Ok(changed) } else { Err(by_hand()) }
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
    if range.is_empty() || written.contains(['&', '*', '#', '!']) {
        return None;
    }
    let is_block =
        matches!(entry.value.tree, Tree::Map(_) | Tree::List(_)) && !text[range.clone()].starts_with(['{', '[']);
    let start = if is_block { entry.key_span.range.end + 1 } else { range.start };
    let space = if is_block { " " } else { "" };
    Some(format!("{}{space}{}{}", &text[..start], flow(value), &text[range.end..]))
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
    let last = block.entries().last()?;
    let end = last.value.span.range.end.max(last.key_span.range.end + 1);
    if is_flow(text, block) {
        return Some(format!("{}, {}: {}{}", &text[..end], scalar(field), flow(value), &text[end..]));
    }
    let first = block.entries().first()?;
    let line = &text[line_start(text, first.key_span.range.start)..first.key_span.range.start];
    // A block may begin behind the dash of a list.
    let indentation = " ".repeat(line.chars().count());
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    let newline = if text[..end].ends_with('\n') { "" } else { "\n" };
    let lines = block_lines(field, value, &indentation);
    Some(format!("{}{newline}{lines}{}", &text[..end], &text[end..]))
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// A field on a line of its own; a block of fields as one line per field.
fn block_lines(field: &str, value: &Value, indentation: &str) -> String {
    let key = scalar(field);
    match value {
        Value::Object(map) if map.contains_key("kind") => {
            let deeper = format!("{indentation}  ");
            let lines: String = map.iter().map(|(field, value)| block_lines(field, value, &deeper)).collect();
            format!("{indentation}{key}:\n{lines}")
        }
        _ => format!("{indentation}{key}: {}\n", flow(value)),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
# The club.
resources:
  # Does the work.
  instance:
    kind: dms/replication_instance   # the kind
    class: dms.t3.medium             # small
    storage_gb: 50
    settings:
      Logging: {EnableLogging: true}

    tags:                            # two
      - a
      - b
  group: {kind: ec2/security_group, description: talk here}  # one line

# The rest.
pipeline: {}
";

    fn changed(path: &str, value: &Value) -> Vec<String> {
        let resource = if path.starts_with("group.") { "group" } else { "instance" };
        let path = path.trim_start_matches("group.");
        difference(&set(TEXT, resource, path, value).unwrap())
    }

    /// The lines that went and came.
    fn difference(after: &str) -> Vec<String> {
        let (before, after): (Vec<&str>, Vec<&str>) = (TEXT.lines().collect(), after.lines().collect());
        let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("-{line}"));
        let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+{line}"));
        gone.chain(new).collect()
    }

    #[test]
    fn a_value_changes_and_its_comment_stays() {
        assert_eq!(
            changed("class", &json!("dms.r6i.large")),
            ["-    class: dms.t3.medium             # small", "+    class: dms.r6i.large             # small"]
        );
        assert_eq!(
            changed("settings.Logging.EnableLogging", &json!(false)),
            ["-      Logging: {EnableLogging: true}", "+      Logging: {EnableLogging: false}"]
        );
        assert_eq!(
            changed("group.description", &json!("yes, really")),
            [
                "-  group: {kind: ec2/security_group, description: talk here}  # one line",
                "+  group: {kind: ec2/security_group, description: \"yes, really\"}  # one line",
            ]
        );
    }

    #[test]
    fn a_new_field_takes_the_style_of_its_block() {
        assert_eq!(changed("public", &json!(false)), ["+    public: false"]);
        assert_eq!(changed("settings.New", &json!({ "a": ["x", 1] })), ["+      New: {a: [x, 1]}"]);
        assert_eq!(
            changed("group.ingress", &json!([{ "port": 5432, "from": "10.0.0.0/8" }])),
            [
                "-  group: {kind: ec2/security_group, description: talk here}  # one line",
                "+  group: {kind: ec2/security_group, description: talk here, \
                 ingress: [{port: 5432, from: \"10.0.0.0/8\"}]}  # one line",
            ]
        );
    }

    #[test]
    fn a_field_goes_with_its_line_and_nothing_else() {
        assert_eq!(changed("storage_gb", &Value::Null), ["-    storage_gb: 50"]);
        assert_eq!(
            changed("group.kind", &Value::Null),
            [
                "-  group: {kind: ec2/security_group, description: talk here}  # one line",
                "+  group: {description: talk here}  # one line",
            ]
        );
        assert_eq!(changed("never_there", &Value::Null), Vec::<String>::new());
    }

    #[test]
    fn an_adopted_object_comes_last_and_reads_as_what_it_is() {
        let block = json!({ "kind": "dms/endpoint", "engine": "postgres", "note": "${aws:username}: no" });
        let after = append_resource(TEXT, "source", &block).unwrap();
        assert_eq!(
            difference(&after),
            ["+  source:", "+    kind: dms/endpoint", "+    engine: postgres", "+    note: \"$${aws:username}: no\"",]
        );
        assert_eq!(append_resource(TEXT, "group", &block), Err(EditError::Taken("group".to_owned())));
    }

    #[test]
    fn what_cannot_be_changed_alone_is_left_to_the_user() {
        let shared = "resources:\n  a: &a {kind: k, size: 1}\n  b: *a\n";
        assert_eq!(set(shared, "b", "size", &json!(2)), Err(EditError::ByHand("b.size".to_owned())));
        assert_eq!(set(TEXT, "nobody", "size", &json!(2)), Err(EditError::NoResource("nobody".to_owned())));
        assert_eq!(set("a: [", "b", "size", &json!(2)), Err(EditError::Unreadable));
    }
}
