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
    change(text, &root, &parts, must_exist, &literal(value))
        .ok_or_else(|| EditError::ByHand(format!("{resource}.{path}")))
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
    let after = tree(&changed).ok()?;
    let mut expected = raw(root);
    let mut target = &mut expected;
    for parent in parents {
        if !target.get(*parent).is_some_and(Value::is_object) {
            target[*parent] = Value::Object(crate::value::Map::new());
        }
        target = &mut target[*parent];
    }
    let target = target.as_object_mut()?;
    if value.is_null() {
        target.shift_remove(*last);
    } else {
        target.insert((*last).to_owned(), value.clone());
    }
    (raw(&after) == expected).then_some(changed)
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
        difference(&set(TEXT, None, resource, path, value).unwrap())
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
    fn quotes_and_line_ends_are_those_of_the_file() {
        let json = r#"{"stack": "s", "resources": {"box": {"kind": "s3/bucket", "kms_key": "alias/one"}}}"#;
        let after = set(json, None, "box", "kms_key", &json!("alias/two")).unwrap();
        assert_eq!(after, json.replace("alias/one", "alias/two"));
        let dos = TEXT.replace('\n', "\r\n");
        let after = set(&dos, None, "instance", "public", &json!(false)).unwrap();
        assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
        assert!(after.contains("    public: false\r\n"), "{after}");
        let added = append_resource(&dos, None, "new", &json!({ "kind": "s3/bucket" })).unwrap();
        assert!(added.contains("  new:\r\n    kind: s3/bucket\r\n"), "{added}");
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
        let after = append_resource(TEXT, None, "source", &block).unwrap();
        assert_eq!(
            difference(&after),
            ["+  source:", "+    kind: dms/endpoint", "+    engine: postgres", "+    note: \"$${aws:username}: no\"",]
        );
        assert_eq!(append_resource(TEXT, None, "group", &block), Err(EditError::Taken("group".to_owned())));
    }

    #[test]
    fn what_cannot_be_changed_alone_is_left_to_the_user() {
        let shared = "resources:\n  a: &a {kind: k, size: 1}\n  b: *a\n";
        assert_eq!(set(shared, None, "b", "size", &json!(2)), Err(EditError::ByHand("b.size".to_owned())));
        assert_eq!(set(TEXT, None, "nobody", "size", &json!(2)), Err(EditError::NoResource("nobody".to_owned())));
        assert_eq!(set("a: [", None, "b", "size", &json!(2)), Err(EditError::Unreadable));
    }

    #[test]
    fn an_environment_changes_in_its_overlay() {
        let text = "resources:\n  instance: {kind: k, class: small}\nenvironments:\n  prod:\n    target: aws\n";
        let changed = set(text, Some("prod"), "instance", "class", &json!("large")).unwrap();
        assert_eq!(changed, format!("{text}    resources: {{instance: {{class: large}}}}\n"));
        let again = set(&changed, Some("prod"), "instance", "class", &json!("huge")).unwrap();
        assert_eq!(again, changed.replace("large", "huge"));
        let ignored = ignore(&changed, Some("prod"), "instance", "class").unwrap();
        assert!(ignored.ends_with("{instance: {class: large, ignore: [class]}}\n"), "{ignored}");
        let taken = append_resource(text, Some("prod"), "more", &json!({ "kind": "k" })).unwrap();
        assert!(taken.ends_with("    resources:\n      more:\n        kind: k\n"), "{taken}");
        let base = ignore(text, None, "instance", "class").unwrap();
        let base = ignore(&base, None, "instance", "zone").unwrap();
        assert!(base.contains("{kind: k, class: small, ignore: [class, zone]}"), "{base}");
    }

    #[test]
    fn the_first_resource_of_an_empty_file_gets_its_lines_and_long_values_theirs() {
        let text = "stack: s\nresources: {}\n# end\n";
        let block = json!({ "kind": "k", "settings": { "A": { "B": "x".repeat(60), "C": "y".repeat(60) }, "D": 1 } });
        let (x, y) = ("x".repeat(60), "y".repeat(60));
        assert_eq!(
            append_resource(text, None, "first", &block).unwrap(),
            format!(
                "stack: s\nresources:\n  first:\n    kind: k\n    settings:\n      A:\n        B: {x}\n        C: {y}\n      D: 1\n# end\n"
            )
        );
    }
}
