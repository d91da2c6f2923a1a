//! The JSON Schema of a whole stack file, for editors: completion, hover text, red lines.
//!
//! It is made from the kinds' own schemas, so it knows what the loader knows, except what needs
//! more than one place: names of resources, cycles, what a kind checks itself. It never refuses
//! what the loader takes: `${…}` is let through wherever a scalar may stand.

use serde_json::json;

use crate::kind::{AnyKind, Registry};
use crate::value::{Map, Value};

/// The text with which an expression begins; a value that has one is only known when it is loaded.
const EXPRESSION: &str = r"\$\{(env|var)\.";

/// The schema of stack files made of these kinds, in draft 2020-12.
pub fn of(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    for kind in registry.iter() {
        let place = definition(kind.kind());
        definitions.extend(kind_definitions(kind.as_ref(), &place));
        choices.push(json!({
            "if": { "properties": { "kind": { "const": kind.kind() } } },
            "then": { "$ref": format!("#/$defs/{place}") },
        }));
    }
    let names: Vec<&str> = registry.names().collect();
    definitions.insert(
        "resource".to_owned(),
        json!({
            "type": "object",
            "required": ["kind"],
            "properties": { "kind": { "description": "What it is.", "enum": names } },
            "allOf": choices,
        }),
    );
    let mut properties = top();
    let mut overlay = properties.clone();
    overlay.insert("resources".to_owned(), json!({ "type": "object", "additionalProperties": { "type": "object" } }));
    properties.insert(
        "resources".to_owned(),
        json!({
            "description": "What is to exist, by a name of your choice.",
            "type": "object",
            "propertyNames": { "pattern": "^[a-z][a-z0-9_-]{0,62}$" },
            "additionalProperties": { "$ref": "#/$defs/resource" },
        }),
    );
    properties.insert(
        "environments".to_owned(),
        json!({
            "description": "Overlays for `--env NAME`: blocks are merged, everything else is replaced.",
            "type": "object",
            "additionalProperties": { "type": "object", "additionalProperties": false, "properties": overlay },
        }),
    );
    properties.insert(
        "moved".to_owned(),
        json!({
            "description": "Resources that were renamed, as `old: new`: the object stays.",
            "type": "object",
            "additionalProperties": { "type": "string" },
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of towpath",
        "type": "object",
        "required": ["stack", "resources"],
        "additionalProperties": false,
        "properties": properties,
        "$defs": definitions,
    })
}

/// `dms/endpoint` as part of a JSON pointer.
fn definition(kind: &str) -> String {
    kind.replace('/', ".")
}

/// A kind's block and the definitions it needs, each under a name of its own.
fn kind_definitions(kind: &dyn AnyKind, place: &str) -> Map {
    let mut schema = kind.schema().clone();
    adapt(&mut schema, place);
    let Value::Object(mut block) = schema else { return Map::new() };
    let inner = block.remove("$defs");
    for key in ["$schema", "title"] {
        block.remove(key);
    }
    block.insert("description".to_owned(), json!(kind.facts().summary));
    if let Value::Object(properties) = block.entry("properties").or_insert_with(|| json!({})) {
        properties.insert("kind".to_owned(), json!({ "description": kind.facts().summary, "const": kind.kind() }));
        properties.insert("protect".to_owned(), protect());
        properties.insert("depends_on".to_owned(), depends_on());
        properties.insert("timeouts".to_owned(), timeouts());
        properties.insert("ignore".to_owned(), ignore());
    }
    let mut definitions = Map::from_iter([(place.to_owned(), Value::Object(block))]);
    if let Some(Value::Object(inner)) = inner {
        definitions.extend(inner.into_iter().map(|(name, schema)| (format!("{place}.{name}"), schema)));
    }
    definitions
}

fn protect() -> Value {
    json!({
        "description": "Whether destroying or replacing it needs `--allow-data-loss NAME`. \
            Default: `true` for what holds data.",
        "type": ["boolean", "string"],
        "pattern": EXPRESSION,
    })
}

fn depends_on() -> Value {
    json!({
        "description": "Names of resources that must be there first, beyond those it refers to.",
        "type": "array",
        "items": { "type": "string" },
    })
}

fn timeouts() -> Value {
    let duration = |description: &str| {
        json!({
            "description": description, "type": "string",
            "pattern": format!("^[1-9][0-9]{{0,4}}(s|m|h)$|{EXPRESSION}"),
        })
    };
    json!({
        "description": "How long to wait, e.g. `40m`. What is not ready by then is left in progress and taken up by \
            the next run, never made again. Default: the kind's own limits.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "create": duration("Until it is made and ready."),
            "update": duration("Until a change is in force."),
            "delete": duration("Until it is gone."),
            "start": duration("Until its work runs again."),
            "stop": duration("Until its work stands still."),
        },
    })
}

fn ignore() -> Value {
    json!({
        "description": "Fields, and tags as `tags.KEY`, that are sent when the object is made and neither compared nor \
            changed afterwards.",
        "type": "array",
        "items": { "type": "string" },
    })
}

/// Makes a kind's schema part of the whole: references lead to the renamed definitions, facts for
/// the engine go, and expressions are let through.
fn adapt(schema: &mut Value, place: &str) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| adapt(item, place)),
        Value::Object(map) => {
            map.remove("x-towpath");
            if let Some(Value::Array(words)) = map.get_mut("oneOf").filter(|branches| are_words(branches)) {
                words.push(expression());
                let words = map.remove("oneOf").unwrap_or_default();
                map.insert("anyOf".to_owned(), words);
                return;
            }
            if let Some(Value::String(path)) = map.get_mut("$ref") {
                *path = path.replacen("#/$defs/", &format!("#/$defs/{place}."), 1);
            }
            for (key, inner) in map.iter_mut() {
                match (key.as_str(), inner) {
                    ("properties" | "$defs", Value::Object(named)) => {
                        named.values_mut().for_each(|schema| adapt(schema, place));
                    }
                    ("enum" | "const" | "default" | "examples" | "required", _) => {}
                    (_, inner) => adapt(inner, place),
                }
            }
            let_expressions_through(map);
        }
        _ => {}
    }
}

fn expression() -> Value {
    json!({ "type": "string", "pattern": EXPRESSION })
}

/// Whether a union is an enumeration whose words have descriptions of their own.
fn are_words(branches: &Value) -> bool {
    let is_word = |branch: &Value| branch.get("const").is_some() || branch.get("enum").is_some();
    branches.as_array().is_some_and(|branches| branches.iter().all(is_word))
}

/// Keywords about numbers do not apply to text and those about text not to numbers, so one more
/// type and a pattern are enough; only words need a branch of their own.
fn let_expressions_through(map: &mut Map) {
    if let Some(Value::String(pattern)) = map.get_mut("pattern") {
        *pattern = format!("(?:{pattern})|{EXPRESSION}");
        return;
    }
    for words in ["enum", "const"] {
        if let Some(allowed) = map.remove(words) {
            map.remove("type");
            map.insert("anyOf".to_owned(), json!([{ words: allowed }, expression()]));
            return;
        }
    }
    if let Some(Value::Array(branches)) = map.remove("oneOf") {
        // An expression may fit several branches, which is too many for `oneOf`.
        map.insert("anyOf".to_owned(), Value::Array(branches));
    }
    let types: Vec<Value> = match map.get("type") {
        Some(Value::Array(types)) => types.clone(),
        Some(one) => vec![one.clone()],
        None => return,
    };
    let is_scalar = ["integer", "number", "boolean"].iter().any(|scalar| types.contains(&json!(scalar)));
    if is_scalar && !types.contains(&json!("string")) {
        let mut types = types;
        types.push(json!("string"));
        map.insert("type".to_owned(), Value::Array(types));
        map.insert("pattern".to_owned(), json!(EXPRESSION));
    }
}

/// Everything at the top that an environment may lay over, too.
fn top() -> Map {
    let texts = json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } });
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let mut tags = texts.clone();
    tags["description"] = json!("Tags of every object, beside those that say who owns it.");
    let mut variables = texts;
    variables["description"] = json!("Values of `${var.NAME}` unless `--var NAME=…` says otherwise.");
    let fields = json!({
        "stack": {
            "description": "The stack's name: prefix of every name in AWS.",
            "type": "string",
            "pattern": format!("^[a-z][a-z0-9-]{{0,30}}$|{EXPRESSION}"),
        },
        "target": {
            "description": "Where it lives: the local AWS (the default) or an account.",
            "enum": ["sandbox", "aws"],
        },
        "aws": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "region": text("The region, e.g. `eu-north-1`. Default: the profile's."),
                "account": {
                    "description": "The only account that may be touched, twelve digits.",
                    "type": ["string", "integer"],
                },
            },
        },
        "lease": {
            "description": "Where the lease lies that keeps the stack to one writer: `local` on this machine, `s3` in \
                the account's bucket of leases, or in a bucket of your own. Default: `s3` on AWS, `local` on the \
                sandbox.",
            "anyOf": [
                { "enum": ["local", "s3"] },
                {
                    "type": "object",
                    "required": ["bucket"],
                    "additionalProperties": false,
                    "properties": { "bucket": text("The bucket. It is made when it is missing, after a question, \
                        and never deleted. Not one of this stack.") },
                },
                expression(),
            ],
        },
        "tags": tags,
        "expires": {
            "description": "How long after an apply `reap` may destroy the stack: `30m`, `8h`, `2d`.",
            "type": "string",
            "pattern": format!("^[1-9][0-9]{{0,4}}(m|h|d)$|{EXPRESSION}"),
        },
        "variables": variables,
        "pipeline": pipeline(),
    });
    match fields {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn pipeline() -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let number = |description: &str, least: u32| {
        json!({
            "description": description, "type": ["integer", "string"], "minimum": least, "pattern": EXPRESSION,
        })
    };
    let block = |description: &str, required: &[&str], properties: Value| {
        json!({
            "description": description, "type": "object", "additionalProperties": false,
            "required": required, "properties": properties,
        })
    };
    let sample = block(
        "Data that `up` generates when the folder is missing.",
        &["name"],
        json!({
            "name": text("The sample, e.g. `club`."),
            "scale": number("How many times the smallest size. Default: 1.", 1),
            "seed": number("The same seed gives the same files. Default: 7.", 0),
        }),
    );
    let types = json!({
        "description": "Types of columns, `table: {column: type}`, over what is inferred.",
        "type": "object",
        "additionalProperties": { "type": "object", "additionalProperties": { "type": "string" } },
    });
    let upload = json!({
        "from": text("Folder of CSV files, relative to the project."),
        "into": text("The source: name of a `dms/endpoint`."),
        "schema": text("Schema of the tables. Default: `public`."),
        "types": types,
        "sample": sample,
    });
    let level = json!({
        "description": "How closely to compare. Default: `rows`.", "enum": ["counts", "columns", "rows"],
    });
    let models = json!({
        "project": text("Folder of the dbt project, relative to the project."),
        "warehouse": text("Name of a `redshift/workgroup`."),
        "schema": text("Schema the models are built in. Default: `analytics`."),
    });
    let task = json!({ "task": text("Name of a `dms/replication_task` or `dms/replication_config`.") });
    let parts = json!({
        "upload": block("CSV files into the source.", &["from", "into"], upload),
        "migrate": block("The task to run.", &["task"], task),
        "validate": block("The comparison of source and warehouse.", &[], json!({ "level": level })),
        "models": block("The SQL models to build and test.", &["project", "warehouse"], models),
    });
    block("What `up` does after `apply`.", &[], parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_let_through_wherever_a_scalar_may_stand() {
        let mut schema = json!({
            "properties": {
                "size": { "type": ["integer", "null"], "minimum": 5, "x-towpath": {} },
                "class": { "type": "string", "pattern": "^dms" },
                "mode": { "oneOf": [{ "const": "a", "description": "A." }, { "enum": ["b"] }] },
                "to": { "$ref": "#/$defs/To" },
            },
            "$defs": { "To": { "enum": ["x"], "type": "string" } },
        });
        adapt(&mut schema, "dms.task");
        let expression = json!({ "type": "string", "pattern": EXPRESSION });
        assert_eq!(
            schema,
            json!({
                "properties": {
                    "size": { "type": ["integer", "null", "string"], "minimum": 5, "pattern": EXPRESSION },
                    "class": { "type": "string", "pattern": format!("(?:^dms)|{EXPRESSION}") },
                    "mode": { "anyOf": [{ "const": "a", "description": "A." }, { "enum": ["b"] }, expression] },
                    "to": { "$ref": "#/$defs/dms.task.To" },
                },
                "$defs": { "To": { "anyOf": [{ "enum": ["x"] }, expression] } },
            })
        );
    }
}
