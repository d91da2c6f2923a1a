//! The top of a stack file: everything but `resources:` and `pipeline:`; and the small readers
//! that all hand-written blocks share.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::yaml::{Entry, Node, Tree, plain};
use super::{LeasePlace, Target};
use crate::diag::{Diagnostic, Diagnostics, Span, closest};

/// The keys of a stack file.
pub(crate) const KEYS: [&str; 11] = [
    "stack",
    "target",
    "aws",
    "lease",
    "tags",
    "expires",
    "variables",
    "environments",
    "resources",
    "pipeline",
    "moved",
];

/// What the top says.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) target: Option<Target>,
    pub(crate) region: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) lease: Option<(LeasePlace, Span)>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) expires: Option<u64>,
}

/// Reads the top of a file; every mistake is reported, and what is wrong is left out.
pub(crate) fn header(root: &Node, found: &mut Diagnostics) -> Header {
    known_keys(root, &KEYS, "a stack file", found);
    let aws = root.get("aws").filter(|aws| is_block(aws, found));
    if let Some(aws) = aws {
        known_keys(aws, &["region", "account"], "`aws`", found);
    }
    let aws = |key: &str| aws.and_then(|aws| aws.get(key));
    Header {
        name: name(root, found),
        target: root.get("target").and_then(|node| target(node, found)),
        region: aws("region").and_then(|node| matching(node, &REGION, "a region such as `eu-north-1`", found)),
        account: aws("account").and_then(|node| matching(node, &ACCOUNT, "an account's twelve digits", found)),
        lease: root.get("lease").and_then(|node| Some((lease(node, found)?, node.span.clone()))),
        tags: root.get("tags").map(|node| tags(node, found)).unwrap_or_default(),
        expires: root.get("expires").and_then(|node| duration(node, found)),
    }
}

static NAME: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z][a-z0-9-]{0,30}$"));
static REGION: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z]{2}(-[a-z]+)+-[0-9]$"));
static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| pattern("^[0-9]{12}$"));
static BUCKET: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"));
static DURATION: LazyLock<Regex> = LazyLock::new(|| pattern("^([1-9][0-9]{0,4})(s|m|h|d)$"));
static WAITING: LazyLock<Regex> = LazyLock::new(|| pattern("^([1-9][0-9]{0,4})(s|m|h)$"));

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that the tests use")
}

/// Whether a text can be the name of a stack.
pub(crate) fn is_name(text: &str) -> bool {
    NAME.is_match(text)
}

fn name(root: &Node, found: &mut Diagnostics) -> String {
    let Some(node) = root.get("stack") else {
        found.push(missing("stack", "the file", start(root)).with_help("Begin with `stack: my-name`."));
        return String::new();
    };
    let expected = "a name of small letters, digits and hyphens, beginning with a letter, at most 31 characters";
    matching(node, &NAME, expected, found).unwrap_or_default()
}

fn target(node: &Node, found: &mut Diagnostics) -> Option<Target> {
    Some(if word(node, &["sandbox", "aws"], found)? == "aws" { Target::Aws } else { Target::Sandbox })
}

/// `local`, `s3`, or a block that names the bucket.
fn lease(node: &Node, found: &mut Diagnostics) -> Option<LeasePlace> {
    if node.scalar().is_some() {
        let is_local = word(node, &["local", "s3"], found)? == "local";
        return Some(if is_local { LeasePlace::Local } else { LeasePlace::S3 { bucket: None } });
    }
    if !is_block(node, found) {
        return None;
    }
    known_keys(node, &["bucket"], "`lease`", found);
    let Some(bucket) = node.get("bucket") else {
        let help = "Write `lease: s3` for the account's own bucket of leases.";
        found.push(missing("bucket", "`lease`", start(node)).with_help(help));
        return None;
    };
    let bucket = matching(bucket, &BUCKET, "the name of a bucket", found)?;
    Some(LeasePlace::S3 { bucket: Some(bucket) })
}

/// Whether every service takes a text in a tag: "[\p{L}\p{Z}\p{N}_.:/=+\-@]" (IAM API reference, `Tag`; others take more).
fn is_plain(text: &str) -> bool {
    text.chars().all(|one| one.is_alphabetic() || one.is_numeric() || one == ' ' || "_.:/=+-@".contains(one))
}

fn tags(node: &Node, found: &mut Diagnostics) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for (entry, value) in texts(node, found) {
        let reserved = ["aws:", "dms:", "towpath:"].iter().find(|prefix| entry.key.to_lowercase().starts_with(*prefix));
        if let Some(prefix) = reserved {
            let detail = format!("Tags that begin with `{prefix}` are not yours to set.");
            let summary = "A tag is reserved";
            found.push(
                Diagnostic::error("reserved-tag", summary, entry.key_span.clone(), "reserved").with_detail(detail),
            );
        } else if entry.key.is_empty() || entry.key.chars().count() > 128 || value.chars().count() > 256 {
            let label = "a key has 1 to 128 characters, a value at most 256";
            found.push(Diagnostic::error("tag-length", "A tag is too long", entry.key_span.clone(), label));
        } else if !(is_plain(&entry.key) && is_plain(&value)) {
            let label = "letters, digits, spaces and `_.:/=+-@` only";
            let summary = "A tag has letters that the services do not take";
            found.push(Diagnostic::error("tag-letters", summary, entry.key_span.clone(), label));
        } else {
            tags.insert(entry.key.clone(), value);
        }
    }
    tags
}

fn duration(node: &Node, found: &mut Diagnostics) -> Option<u64> {
    seconds(&matching(node, &DURATION, "a duration such as `30m`, `8h` or `2d`", found)?)
}

/// How long to wait for something, in seconds.
pub(crate) fn waiting(node: &Node, found: &mut Diagnostics) -> Option<u64> {
    seconds(&matching(node, &WAITING, "a duration such as `90s`, `40m` or `2h`", found)?)
}

fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 86400,
    };
    Some(number.parse::<u64>().ok()? * seconds)
}

/// The defaults of `${var.…}`.
pub(crate) fn variables(node: &Node, found: &mut Diagnostics) -> BTreeMap<String, String> {
    texts(node, found).into_iter().map(|(entry, value)| (entry.key.clone(), value)).collect()
}

/// A block whose values are all scalars, as text.
pub(crate) fn texts<'n>(node: &'n Node, found: &mut Diagnostics) -> Vec<(&'n Entry, String)> {
    if !is_block(node, found) {
        return Vec::new();
    }
    let entries = node.entries().iter();
    entries.filter_map(|entry| Some((entry, text(&entry.value, found)?))).collect()
}

/// A scalar as text.
pub(crate) fn text(node: &Node, found: &mut Diagnostics) -> Option<String> {
    if node.scalar().is_none() {
        found.push(wrong_type(node, "text"));
    }
    node.scalar().map(str::to_owned)
}

/// `true` or `false`.
pub(crate) fn switch(node: &Node, found: &mut Diagnostics) -> Option<bool> {
    let read = node.text().filter(|_| node.interpolated).map(plain);
    if let Tree::Bool(value) = read.as_ref().unwrap_or(&node.tree) {
        return Some(*value);
    }
    found.push(wrong_type(node, "`true` or `false`"));
    None
}

/// One of a few words.
pub(crate) fn word<'n>(node: &'n Node, words: &[&str], found: &mut Diagnostics) -> Option<&'n str> {
    let Some(text) = node.scalar() else {
        found.push(wrong_type(node, &listed(words)));
        return None;
    };
    if !words.contains(&text) {
        found.push(not_one_of(node, text, words));
        return None;
    }
    Some(text)
}

fn matching(node: &Node, pattern: &Regex, expected: &str, found: &mut Diagnostics) -> Option<String> {
    let text = text(node, found)?;
    if pattern.is_match(&text) {
        return Some(text);
    }
    let label = format!("not {expected}");
    found.push(Diagnostic::error("bad-text", "A text does not have the form it must have", node.span.clone(), label));
    None
}

/// Reports every key that is not known.
pub(crate) fn known_keys(node: &Node, known: &[&str], block: &str, found: &mut Diagnostics) {
    for entry in node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        found.push(unknown_field(entry, known, block));
    }
}

/// Whether this is a map; anything else is reported.
pub(crate) fn is_block(node: &Node, found: &mut Diagnostics) -> bool {
    let is_map = matches!(node.tree, Tree::Map(_));
    if !is_map {
        found.push(wrong_type(node, "a block of `key: value` lines"));
    }
    is_map
}

/// The diagnostic for a key that is not known.
pub(crate) fn unknown_field(entry: &Entry, known: &[&str], block: &str) -> Diagnostic {
    let help = closest(&entry.key, known.iter().copied())
        .map_or_else(|| format!("Known here: {}.", all(known)), |name| format!("Did you mean `{name}`?"));
    Diagnostic::error("unknown-field", "A field is not known", entry.key_span.clone(), "unknown field")
        .with_detail(format!("There is no `{}` in {block}.", entry.key))
        .with_help(help)
}

/// The diagnostic for a key that must be there.
pub(crate) fn missing(field: &str, block: &str, place: Span) -> Diagnostic {
    Diagnostic::error("missing-field", "A required field is missing", place, format!("`{field}` is missing"))
        .with_detail(format!("{} needs `{field}`.", capital(block)))
}

/// The diagnostic for a value of another type.
pub(crate) fn wrong_type(node: &Node, expected: &str) -> Diagnostic {
    let label = match node.tree {
        Tree::Null => format!("nothing is written here, expected {expected}"),
        _ => format!("this is {}, expected {expected}", node.describe()),
    };
    let diagnostic = Diagnostic::error("wrong-type", "A value has the wrong type", node.span.clone(), label);
    let switch = node.text().filter(|_| expected.contains("`true` or `false`")).map(str::to_lowercase);
    match switch.as_deref() {
        Some("yes" | "on" | "y") => diagnostic.with_help("Write `true`."),
        Some("no" | "off" | "n") => diagnostic.with_help("Write `false`."),
        _ => diagnostic,
    }
}

/// The diagnostic for a word that is not on the list.
pub(crate) fn not_one_of(node: &Node, text: &str, words: &[&str]) -> Diagnostic {
    let help = closest(text, words.iter().copied())
        .map_or_else(|| format!("Choose one of {}.", listed(words)), |word| format!("Did you mean `{word}`?"));
    let label = format!("not one of {}", listed(words));
    Diagnostic::error("not-in-list", "A value is not one of the allowed ones", node.span.clone(), label).with_help(help)
}

/// "`a`, `b` or `c`".
pub(crate) fn listed(words: &[&str]) -> String {
    joined(words, "or")
}

/// "`a`, `b` and `c`".
pub(crate) fn all(words: &[&str]) -> String {
    joined(words, "and")
}

fn joined(words: &[&str], last_comma: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {last_comma} {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The first character of a node, for diagnostics about the whole of a block.
pub(crate) fn start(node: &Node) -> Span {
    let start = node.span.range.start;
    let length = node.span.source.text[start..].chars().next().map_or(0, char::len_utf8);
    Span { source: node.span.source.clone(), range: start..start + length }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
