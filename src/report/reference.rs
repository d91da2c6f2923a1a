//! The reference page of a kind, from its schema and facts: what `towpath explain` prints and
//! `docs/kinds` keeps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use towpath_engine::kind::{Change, Facts, FieldFacts, Pauses, Seconds};

use super::style::estimate;

/// The page of one kind as Markdown.
pub fn page(kind: &str, facts: &Facts, schema: &Value, fields: &BTreeMap<String, FieldFacts>) -> String {
    let mut out = format!("# {kind}\n\n{}\n\n", facts.summary);
    let time = |seconds: Seconds| {
        format!("{} ({} to {})", estimate(seconds.typical), estimate(seconds.low), estimate(seconds.high))
    };
    let _ = writeln!(out, "| | |\n|---|---|");
    let _ = writeln!(out, "| create | {} |", time(facts.create));
    let _ = writeln!(out, "| update | {} |", time(facts.update));
    let _ = writeln!(out, "| delete | {} |", time(facts.delete));
    let holds = facts.holds.map_or_else(
        || "nothing; not protected".to_owned(),
        |holds| format!("{holds}; protected unless `protect: false`"),
    );
    let _ = writeln!(out, "| holds | {holds} |");
    let pauses = match facts.pauses {
        Pauses::Nothing => "nothing",
        Pauses::Itself => "its own running work, which is started again afterwards",
        Pauses::Dependents => "the running work of what uses it, which is started again afterwards",
        Pauses::Holders => "all that refers to it, which is deleted before and made again afterwards",
    };
    let _ = writeln!(out, "| an update stops | {pauses} |\n");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(out, "| field | type | change | meaning |\n|---|---|---|---|");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let fact = fields.get(name).cloned().unwrap_or_default();
        let star = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let _ = writeln!(
            out,
            "| `{name}`{star} | {} | {} | {} |",
            type_of(property, schema),
            change(&fact),
            meaning(property, &fact)
        );
    }
    out
}

fn change(fact: &FieldFacts) -> String {
    let mut text = match fact.change {
        Change::InPlace => "in place".to_owned(),
        Change::Replace => "forces replacement".to_owned(),
        Change::WriteOnly => "in place; cannot be read back".to_owned(),
        Change::Local => "used by towpath only".to_owned(),
    };
    if let Some(rule) = &fact.rule {
        let _ = write!(text, ": {rule}");
    }
    if !fact.group.is_empty() {
        let _ = write!(text, "; a call of its own (`{}`)", fact.group);
    }
    cell(&text)
}

fn meaning(property: &Value, fact: &FieldFacts) -> String {
    let mut text = property["description"].as_str().unwrap_or_default().to_owned();
    if let Some(refers) = &fact.refers_to {
        let kinds: Vec<String> = refers.kinds.iter().map(|kind| format!("`{kind}`")).collect();
        let _ = write!(text, " Names a resource of kind {}.", kinds.join(" or "));
    }
    if let Some(loses) = &fact.loses {
        let _ = write!(text, " A change loses {loses}.");
    }
    if let Some(interrupts) = &fact.interrupts {
        let _ = write!(text, " A change interrupts {interrupts}.");
    }
    cell(&text)
}

/// A type in few words, as a person would say it.
fn type_of(property: &Value, schema: &Value) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return type_of(&schema["$defs"][name], schema);
    }
    if let Some(values) = property["enum"].as_array() {
        let words: Vec<String> = values
            .iter()
            .filter(|value| !value.is_null())
            .map(|value| format!("`{}`", value.as_str().unwrap_or(&value.to_string())))
            .collect();
        return cell(&words.join(", "));
    }
    if let Some(value) = property.get("const") {
        return cell(&format!("`{}`", value.as_str().unwrap_or(&value.to_string())));
    }
    for union in ["anyOf", "oneOf"] {
        if let Some(branches) = property[union].as_array() {
            let mut words: Vec<String> = branches
                .iter()
                .filter(|branch| branch["type"] != "null")
                .map(|branch| type_of(branch, schema))
                .collect();
            words.dedup();
            return words.join(" or ");
        }
    }
    let word = match &property["type"] {
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    };
    match word.as_str() {
        "array" => format!("list of {}", type_of(&property["items"], schema)),
        "object" => "mapping".to_owned(),
        "integer" => match (property["minimum"].as_i64(), property["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => word,
        },
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        _ => word,
    }
}

/// Text that fits into a table's cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
