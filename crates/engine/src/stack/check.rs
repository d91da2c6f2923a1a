//! A block of the stack file against the JSON Schema of its kind, with the place of every mistake.
//!
//! Covers what `schemars` generates for specs: references to definitions, unions, words, ranges,
//! lengths, patterns, lists and blocks; and the facts in `x-towpath` that a schema cannot say:
//! names of resources, CIDR blocks, secrets. Of a union, the branch that fits best is reported.

use std::ops::Range;

use serde_json::json;

use super::graph::{Edge, Names};
use super::header::{listed, missing, not_one_of, start, unknown_field, wrong_type};
use super::yaml::{Entry, Node, Tree, plain};
use crate::diag::{Diagnostic, Span, closest};
use crate::kind::{FieldFacts, RefersTo};
use crate::value::{Map, Reference, Value};

mod scalar;
pub(crate) mod schema;

use self::schema::{branches, facts_of, follow, takes_null, types, words};

/// What a check found besides the value.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) mistakes: Vec<Diagnostic>,
    pub(crate) edges: Vec<Edge>,
    /// Environment variables that hold secrets, with their places.
    pub(crate) secrets: Vec<(String, Span)>,
    /// Literal secrets, which no output may repeat.
    pub(crate) literals: Vec<Range<usize>>,
}

impl Findings {
    fn append(&mut self, other: Self) {
        self.mistakes.extend(other.mistakes);
        self.edges.extend(other.edges);
        self.secrets.extend(other.secrets);
        self.literals.extend(other.literals);
    }
}

/// One resource's block and what it is checked against.
pub(crate) struct Checker<'a> {
    /// The whole schema, for its definitions.
    pub(crate) root: &'a Value,
    /// What to call the block: "`dms/endpoint`".
    pub(crate) block: String,
    /// The resource's own name.
    pub(crate) own: &'a str,
    /// All resources.
    pub(crate) names: &'a Names<'a>,
}

impl Checker<'_> {
    /// Checks the fields of the resource and returns them as a spec with reference markers.
    pub(crate) fn fields(&self, fields: &[&Entry], key: &Span, found: &mut Findings) -> Value {
        self.object(fields, self.root, &FieldFacts::default(), &self.block, key, found)
    }

    fn value(&self, node: &Node, schema: &Value, inherited: &FieldFacts, found: &mut Findings) -> Value {
        let own_facts = facts_of(schema);
        let schema = follow(self.root, schema);
        let facts = own_facts.or_else(|| facts_of(schema)).unwrap_or_else(|| inherited.clone());
        if facts.secret && !matches!(node.tree, Tree::Null | Tree::List(_)) {
            return self.secret(node, schema, &facts, found);
        }
        self.plain_value(node, schema, &facts, found)
    }

    fn plain_value(&self, node: &Node, schema: &Value, facts: &FieldFacts, found: &mut Findings) -> Value {
        if let Some(words) = words(self.root, schema) {
            return Self::word(node, &words, found);
        }
        if let Some(branches) = branches(self.root, schema) {
            return self.union(node, &branches, facts, found);
        }
        let types = types(schema);
        match &node.tree {
            _ if types.is_empty() => raw(node),
            Tree::Null if types.contains(&"null") => Value::Null,
            Tree::List(items) if types.contains(&"array") => self.list(node, items, schema, facts, found),
            Tree::Map(entries) if types.contains(&"object") => {
                let entries: Vec<&Entry> = entries.iter().collect();
                self.object(&entries, schema, facts, "this block", &start(node), found)
            }
            Tree::Text(text) if types.contains(&"string") => self.text(node, text, schema, facts, found),
            Tree::Text(text) if node.interpolated => {
                let read = Node { tree: plain(text), span: node.span.clone(), interpolated: false };
                scalar::check(&read, schema, &types, &mut found.mistakes)
            }
            _ => scalar::check(node, schema, &types, &mut found.mistakes),
        }
    }

    fn word(node: &Node, words: &[Value], found: &mut Findings) -> Value {
        let written = match &node.tree {
            Tree::Text(text) if node.interpolated => vec![json!(text), scalar::literal(&plain(text))],
            other => vec![scalar::literal(other)],
        };
        if let Some(word) = words.iter().find(|word| written.contains(word)) {
            return word.clone();
        }
        let shown: Vec<String> = words.iter().filter(|word| !word.is_null()).map(scalar::shown).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        found.mistakes.push(match node.scalar() {
            Some(text) => not_one_of(node, text, &shown),
            None => wrong_type(node, &listed(&shown)),
        });
        Value::Null
    }

    fn union(&self, node: &Node, branches: &[&Value], facts: &FieldFacts, found: &mut Findings) -> Value {
        if node.tree == Tree::Null && branches.iter().any(|branch| takes_null(self.root, branch)) {
            return Value::Null;
        }
        let fitting: Vec<&&Value> =
            branches.iter().filter(|branch| scalar::fits(node, self.root, follow(self.root, branch))).collect();
        if fitting.is_empty() {
            let expected: Vec<&str> = branches.iter().flat_map(|branch| schema::shapes(self.root, branch)).collect();
            found.mistakes.push(wrong_type(node, &scalar::described(&expected)));
            return Value::Null;
        }
        let tried = fitting.into_iter().map(|branch| {
            let mut trial = Findings::default();
            let value = self.value(node, branch, facts, &mut trial);
            (value, trial)
        });
        let best = tried.min_by_key(|(_, trial)| trial.mistakes.iter().map(weight).sum::<usize>());
        let Some((value, trial)) = best else { return Value::Null };
        found.append(trial);
        value
    }

    fn list(&self, node: &Node, items: &[Node], schema: &Value, facts: &FieldFacts, found: &mut Findings) -> Value {
        scalar::length(node, items.len(), schema, &mut found.mistakes);
        let any = Value::Bool(true);
        let item_schema = schema.get("items").unwrap_or(&any);
        Value::Array(items.iter().map(|item| self.value(item, item_schema, facts, found)).collect())
    }

    fn object(
        &self,
        entries: &[&Entry],
        schema: &Value,
        facts: &FieldFacts,
        block: &str,
        place: &Span,
        found: &mut Findings,
    ) -> Value {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        let others = schema.get("additionalProperties");
        let mut value = Map::new();
        let mut guessed = Vec::new();
        for entry in entries {
            if let Some(property) = properties.get(&entry.key) {
                let facts = FieldFacts::default();
                let checked = self.value(&entry.value, property, &facts, found);
                if !checked.is_null() {
                    value.insert(entry.key.clone(), checked);
                }
            } else if others == Some(&Value::Bool(false)) {
                guessed.extend(closest(&entry.key, known.iter().copied()));
                found.mistakes.push(unknown_field(entry, &known, block));
            } else {
                let any = Value::Bool(true);
                let checked = self.value(&entry.value, others.unwrap_or(&any), facts, found);
                value.insert(entry.key.clone(), checked);
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for field in required.filter_map(Value::as_str) {
            // A field that was only misspelt is reported once.
            if !entries.iter().any(|entry| entry.key == field) && !guessed.contains(&field) {
                found.mistakes.push(missing(field, block, place.clone()));
            }
        }
        Value::Object(value)
    }

    fn text(&self, node: &Node, text: &str, schema: &Value, facts: &FieldFacts, found: &mut Findings) -> Value {
        if facts.cidr && (facts.refers_to.is_none() || text.contains('/')) {
            found.mistakes.extend(scalar::cidr(node, text));
            return json!(text);
        }
        if let Some(refers_to) = &facts.refers_to {
            return self.reference(node, text, refers_to, found);
        }
        scalar::text(node, text, schema, &mut found.mistakes);
        json!(text)
    }

    fn reference(&self, node: &Node, text: &str, refers_to: &RefersTo, found: &mut Findings) -> Value {
        let is_physical = refers_to.physical.iter().any(|prefix| text.starts_with(prefix.as_str()));
        if is_physical || refers_to.words.iter().any(|word| word == text) {
            return json!(text);
        }
        if text == self.own {
            let summary = "A resource refers to itself";
            let detail = format!("`{text}` would have to exist before it is made.");
            let diagnostic = Diagnostic::error("self-reference", summary, node.span.clone(), "this very resource")
                .with_detail(detail);
            let word = refers_to.words.iter().find(|word| *word == "self").map(|_| "Write `self`.");
            found.mistakes.push(word.into_iter().fold(diagnostic, Diagnostic::with_help));
            return Value::Null;
        }
        match self.names.accept(text, &refers_to.kinds, &node.span) {
            Ok(()) => {
                let place = node.span.clone();
                found.edges.push(Edge { from: self.own.to_owned(), to: text.to_owned(), place });
                Reference { resource: text.to_owned(), attribute: refers_to.attribute.clone() }.to_value()
            }
            Err(diagnostic) => {
                let diagnostic = also_physical(*diagnostic, refers_to);
                let word = closest(text, refers_to.words.iter().map(String::as_str));
                let help = word.map(|word| format!("Did you mean `{word}`?"));
                found.mistakes.push(help.into_iter().fold(diagnostic, Diagnostic::with_help));
                Value::Null
            }
        }
    }

    fn secret(&self, node: &Node, schema: &Value, facts: &FieldFacts, found: &mut Findings) -> Value {
        let Some(text) = node.scalar() else {
            let value = self.plain_value(node, schema, &FieldFacts { secret: false, ..facts.clone() }, found);
            if let Some(name) = node.get("env").filter(|_| value.get("env").is_some())
                && let Some(text) = name.text()
            {
                found.secrets.push((text.to_owned(), name.span.clone()));
            }
            return value;
        };
        let is_word = |branch: &&Value| words(self.root, branch).is_some_and(|words| words.contains(&json!(text)));
        if branches(self.root, schema).unwrap_or_else(|| vec![schema]).iter().any(is_word) {
            return json!(text);
        }
        let summary = "A secret is written into the stack file";
        let detail = "Stack files are committed and shared, so a secret in one is no secret any more.";
        let diagnostic = Diagnostic::error("literal-secret", summary, node.span.clone(), "a literal secret");
        let help = "Write `{env: NAME}` and set NAME in `.env`, or `{secret: name}` for one in Secrets Manager.";
        found.mistakes.push(diagnostic.with_detail(detail).with_help(help));
        found.literals.push(node.span.range.clone());
        Value::Null
    }
}

/// How far a branch is from what was meant; a guessed spelling is nearer than an unknown word.
fn weight(mistake: &Diagnostic) -> usize {
    let guessed = mistake.help.as_deref().is_some_and(|help| help.starts_with("Did you mean"));
    match mistake.code {
        "not-in-list" => 12,
        "unknown-field" if guessed => 3,
        "unknown-field" => 6,
        _ => 2,
    }
}

/// Adds what else the place takes: ids by their prefixes, words, addresses.
fn also_physical(diagnostic: Diagnostic, refers_to: &RefersTo) -> Diagnostic {
    // Addresses have only the beginnings of numbers as prefixes, which would tell nobody anything.
    let (ids, addresses): (Vec<&String>, Vec<&String>) = refers_to.physical.iter().partition(|prefix| prefix.len() > 2);
    let ids: Vec<String> = ids.iter().map(|prefix| format!("{prefix}…")).collect();
    let also: Vec<&str> = ids.iter().chain(&refers_to.words).map(String::as_str).collect();
    let also = match (also.is_empty(), addresses.is_empty()) {
        (true, true) => return diagnostic,
        (true, false) => "an address".to_owned(),
        (false, true) => listed(&also),
        (false, false) => format!("{}, or an address", listed(&also)),
    };
    let detail = format!("{} It also takes {also}.", diagnostic.detail.as_deref().unwrap_or_default());
    diagnostic.with_detail(detail)
}

/// A value without any check.
pub(crate) fn raw(node: &Node) -> Value {
    match &node.tree {
        Tree::List(items) => Value::Array(items.iter().map(raw).collect()),
        Tree::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), raw(&entry.value))).collect())
        }
        other => scalar::literal(other),
    }
}
