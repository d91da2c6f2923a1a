//! Stacks from text and plans as text, so that a test reads as what goes in and what comes out.
//!
//! A stack is one resource a line: `pipe/task load mode=full instance=@main.arn !after=other`.
//! `@main.arn` refers to an output, `[@a.id,@b.id]` is a list, anything else is JSON or a text.
//! `!protect`, `!unprotect` and `!after=name` are what stack files call `protect` and `depends_on`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::address::Address;
use crate::diag::{Source, Span};
use crate::plan::{Plan, Reason, Step};
use crate::stack::{Pipeline, Resource, Stack, Target};
use crate::value::{Map, Reference, Value};

/// Reads a stack named `shop`. A line `moved old new` is the stack file's `moved:`, a line
/// `expires seconds` its `expires:`, a line `tag key value` one of its `tags:`.
///
/// # Panics
/// If a line has no kind and name: a mistake in the test.
pub fn stack(text: &str) -> Stack {
    let mut stack = Stack {
        name: "shop".to_owned(),
        target: Target::Sandbox,
        region: None,
        account: None,
        lease: None,
        tags: BTreeMap::new(),
        expires: None,
        resources: IndexMap::new(),
        pipeline: Pipeline::default(),
        moved: BTreeMap::new(),
        secret_variables: Vec::new(),
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["moved", old, new] => drop(stack.moved.insert(old.to_owned(), new.to_owned())),
            ["expires", seconds] => stack.expires = seconds.parse().ok(),
            ["tag", key, text] => drop(stack.tags.insert(key.to_owned(), text.to_owned())),
            [kind, name, ref fields @ ..] => {
                stack.resources.insert(name.to_owned(), resource(kind, name, fields));
            }
            _ => panic!("not a resource: {line}"),
        }
    }
    stack
}

fn resource(kind: &str, name: &str, fields: &[&str]) -> Resource {
    let mut resource = Resource {
        address: Address::new(kind, name),
        spec: Value::Null,
        protect: None,
        ignore: Vec::new(),
        depends_on: Vec::new(),
        timeouts: crate::stack::Timeouts::default(),
        span: Span { source: Arc::new(Source { path: "test".to_owned(), text: String::new() }), range: 0..0 },
    };
    let mut spec = Map::new();
    for field in fields {
        match field.split_once('=') {
            None if *field == "!protect" => resource.protect = Some(true),
            None if *field == "!unprotect" => resource.protect = Some(false),
            Some(("!after", other)) => resource.depends_on.push(other.to_owned()),
            Some((field, text)) => drop(spec.insert(field.to_owned(), value(text))),
            None => panic!("`{field}` is no field=value"),
        }
    }
    resource.spec = Value::Object(spec);
    resource
}

fn value(text: &str) -> Value {
    if let Some((resource, attribute)) = text.strip_prefix('@').and_then(|text| text.split_once('.')) {
        return Reference { resource: resource.to_owned(), attribute: attribute.to_owned() }.to_value();
    }
    if let Some(list) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Value::Array(list.split(',').filter(|item| !item.is_empty()).map(value).collect());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A plan as text: one line a step, then what is refused, foreign, kept and noted.
pub fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        line(&mut text, step);
    }
    for (title, notes) in [("refused", &plan.refused), ("kept", &plan.kept), ("note", &plan.notes)] {
        for note in notes {
            let _infallible = writeln!(text, "{title} {}: {}", note.address, note.text);
        }
    }
    for foreign in &plan.foreign {
        let owner = foreign.owner.as_deref().unwrap_or("nobody known");
        let _infallible = writeln!(text, "foreign {}: `{}` of {owner}", foreign.address, foreign.identity);
    }
    text
}

fn line(text: &mut String, step: &Step) {
    let mut line = format!("{} {} {}", step.id, step.action.symbol(), step.address);
    if let Some(group) = &step.group {
        let _infallible = write!(line, "/{group}");
    }
    let reason = match &step.reason {
        Reason::Declared => "declared".to_owned(),
        Reason::Differs => "differs".to_owned(),
        Reason::Replaced => "replaced".to_owned(),
        Reason::Removed => "removed".to_owned(),
        Reason::Destroyed => "destroyed".to_owned(),
        Reason::For(id) => format!("for {id}"),
        Reason::Asked => "asked".to_owned(),
        Reason::Broken => "broken".to_owned(),
    };
    let _infallible = write!(line, " ({reason})");
    if !step.after.is_empty() {
        let ids: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        let _infallible = write!(line, " after {}", ids.join(","));
    }
    for change in &step.changes {
        let _infallible = write!(line, " | {}: {} -> {}", change.path, brief(&change.before), brief(&change.after));
        if let Some(rule) = &change.forces_replacement {
            let _infallible = write!(line, " [{rule}]");
        }
    }
    if let Some(loses) = &step.loses {
        let _infallible = write!(line, " | loses {loses}");
    }
    if let Some(snapshot) = &step.final_snapshot {
        let _infallible = write!(line, " | snapshot {snapshot}");
    }
    text.push_str(&line);
    text.push('\n');
}

fn brief(value: &Value) -> String {
    if let Some(reference) = Reference::from_value(value) {
        return format!("@{}.{}", reference.resource, reference.attribute);
    }
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(brief).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}
