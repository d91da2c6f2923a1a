//! Texts, numbers and switches against a schema, and lengths of lists.

use ipnet::IpNet;
use regex::Regex;
use serde_json::json;

use super::super::header::wrong_type;
use super::super::yaml::{Node, Tree, plain};
use super::schema::shapes;
use crate::diag::Diagnostic;
use crate::value::Value;

/// A scalar as JSON; lists and blocks as null.
pub(super) fn literal(tree: &Tree) -> Value {
    match tree {
        Tree::Bool(value) => json!(value),
        Tree::Integer(value) => json!(value),
        Tree::Float(value) => json!(value),
        Tree::Text(value) => json!(value),
        Tree::Null | Tree::List(_) | Tree::Map(_) => Value::Null,
    }
}

/// A word of an enumeration as it is written in a stack file.
pub(super) fn shown(word: &Value) -> String {
    word.as_str().map_or_else(|| word.to_string(), str::to_owned)
}

/// Whether a node has a shape that a branch of a union takes at all.
pub(super) fn fits(node: &Node, root: &Value, branch: &Value) -> bool {
    let shapes = shapes(root, branch);
    let fits = |tree: &Tree| match tree {
        Tree::Null => shapes.contains(&"null"),
        Tree::Bool(_) => shapes.contains(&"boolean"),
        Tree::Integer(_) => shapes.contains(&"integer") || shapes.contains(&"number"),
        Tree::Float(_) => shapes.contains(&"number"),
        Tree::Text(_) => shapes.contains(&"string"),
        Tree::List(_) => shapes.contains(&"array"),
        Tree::Map(_) => shapes.contains(&"object"),
    };
    let reread = node.text().filter(|_| node.interpolated).map(plain);
    shapes.is_empty() || fits(&node.tree) || reread.is_some_and(|tree| fits(&tree))
}

/// What a place takes, in words, from JSON types.
pub(super) fn described(types: &[&str]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for kind in types {
        let word = match *kind {
            "string" => "text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "`true` or `false`",
            "array" => "a list",
            "object" => "a block",
            _ => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}

/// Checks a number, a switch or nothing; everything else has the wrong type here.
pub(super) fn check(node: &Node, schema: &Value, types: &[&str], mistakes: &mut Vec<Diagnostic>) -> Value {
    let takes_number = types.contains(&"number");
    match &node.tree {
        Tree::Bool(value) if types.contains(&"boolean") => json!(value),
        Tree::Integer(value) if takes_number || types.contains(&"integer") => {
            range(node, *value as f64, schema, mistakes);
            json!(value)
        }
        Tree::Float(value) if takes_number => {
            range(node, *value, schema, mistakes);
            json!(value)
        }
        tree => {
            let diagnostic = wrong_type(node, &described(types));
            let is_bare = matches!(tree, Tree::Bool(_) | Tree::Integer(_) | Tree::Float(_));
            mistakes.push(match node.scalar() {
                Some(text) if is_bare && types.contains(&"string") => {
                    diagnostic.with_help(format!("Write it in quotes: `\"{text}\"`."))
                }
                Some(text) if types.contains(&"array") && !node.interpolated => {
                    diagnostic.with_help(format!("Write it as a list: `[{text}]`."))
                }
                _ => diagnostic,
            });
            Value::Null
        }
    }
}

fn range(node: &Node, value: f64, schema: &Value, mistakes: &mut Vec<Diagnostic>) {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let (narrow_low, narrow_high) = match format {
        "int8" => (Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))),
        "int16" => (Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))),
        "int32" => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        "uint8" => (Some(0.0), Some(f64::from(u8::MAX))),
        "uint16" => (Some(0.0), Some(f64::from(u16::MAX))),
        "uint32" => (Some(0.0), Some(f64::from(u32::MAX))),
        "uint64" | "uint" => (Some(0.0), None),
        _ => (None, None),
    };
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let (low, high) = (bound("minimum").or(narrow_low), bound("maximum").or(narrow_high));
    let (above, below) = (bound("exclusiveMinimum"), bound("exclusiveMaximum"));
    let is_outside = low.is_some_and(|low| value < low)
        || high.is_some_and(|high| value > high)
        || above.is_some_and(|above| value <= above)
        || below.is_some_and(|below| value >= below);
    if is_outside {
        let label = match (low, high) {
            (Some(low), Some(high)) => format!("not between {low} and {high}"),
            (Some(low), None) => format!("less than {low}"),
            (None, Some(high)) => format!("more than {high}"),
            (None, None) => "out of range".to_owned(),
        };
        mistakes.push(Diagnostic::error("out-of-range", "A number is out of range", node.span.clone(), label));
    } else if let Some(step) = bound("multipleOf").filter(|step| (value / step).fract() != 0.0) {
        let label = format!("not a multiple of {step}");
        mistakes.push(Diagnostic::error("out-of-range", "A number is out of range", node.span.clone(), label));
    }
}

/// Checks a text's length and pattern.
pub(super) fn text(node: &Node, text: &str, schema: &Value, mistakes: &mut Vec<Diagnostic>) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let length = text.chars().count() as u64;
    let mut report = |label: String| {
        let summary = "A text does not have the form it must have";
        mistakes.push(Diagnostic::error("bad-text", summary, node.span.clone(), label));
    };
    if let Some(least) = bound("minLength").filter(|least| length < *least) {
        report(if length == 0 { "empty".to_owned() } else { format!("shorter than {least} characters") });
    }
    if let Some(most) = bound("maxLength").filter(|most| length > *most) {
        report(format!("longer than {most} characters"));
    }
    let pattern = schema.get("pattern").and_then(Value::as_str);
    // A pattern in a dialect of its own is left to the kind's type.
    let compiled = pattern.and_then(|pattern| Some((pattern, Regex::new(pattern).ok()?)));
    if let Some((pattern, _)) = compiled.filter(|(_, compiled)| !compiled.is_match(text)) {
        report(format!("does not match `{pattern}`"));
    }
}

/// Checks the length of a list.
pub(super) fn length(node: &Node, length: usize, schema: &Value, mistakes: &mut Vec<Diagnostic>) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    let label = match (bound("minItems"), bound("maxItems")) {
        (Some(least), _) if (length as u64) < least => format!("needs at least {least}"),
        (_, Some(most)) if length as u64 > most => format!("takes at most {most}"),
        _ => return,
    };
    mistakes.push(Diagnostic::error("list-length", "A list is too short or too long", node.span.clone(), label));
}

/// Checks a block of addresses.
pub(super) fn cidr(node: &Node, text: &str) -> Option<Diagnostic> {
    let summary = "A text is no block of addresses";
    let Ok(block) = text.parse::<IpNet>() else {
        let diagnostic =
            Diagnostic::error("bad-cidr", summary, node.span.clone(), "not an address with `/` and a length");
        let help = match text.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => format!("For one address write `{text}/32`."),
            Ok(std::net::IpAddr::V6(_)) => format!("For one address write `{text}/128`."),
            Err(_) => "For example `10.0.0.0/16`.".to_owned(),
        };
        return Some(diagnostic.with_help(help));
    };
    let whole = block.trunc();
    (whole != block).then(|| {
        let label = "inside the block, not its beginning";
        Diagnostic::error("bad-cidr", summary, node.span.clone(), label).with_help(format!("Did you mean `{whole}`?"))
    })
}
