//! Makes test nodes from the `tests:` of properties files, and names them as dbt does.

use std::sync::Arc;

use minijinja::Value;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use towpath_engine::diag::closest;

use super::assemble::{Assembler, Draft};
use super::config::Config;
use super::context::{Basis, Context};
use super::fault::{ModelError, Place, locate};
use super::jinja::from_json;
use super::node::{Generic, Node, NodeKind, Relation, Subject};
use super::project::Package;
use super::properties::{Column, TestEntry, test_entry};

/// Where a test stands: what it is about and the words that lead to its line.
struct Stand<'a> {
    path: &'a str,
    text: &'a str,
    words: Vec<&'a str>,
    subject: Subject,
    column: Option<String>,
}

/// All generic tests of the assembler's package.
pub(super) fn tests(assembler: &mut Assembler<'_>) -> Vec<Draft> {
    let package = assembler.package;
    let mut out = Vec::new();
    for (path, text, file) in &package.properties {
        for one in file.models.iter().chain(&file.seeds) {
            let subject = Subject::Model(one.name.clone());
            let whole = one.tests.iter().chain(&one.data_tests);
            collect(assembler, &mut out, path, text, &[&one.name], &subject, whole, &one.columns);
        }
        for source in &file.sources {
            for table in &source.tables {
                let subject = Subject::Source(source.name.clone(), table.name.clone());
                let whole = table.tests.iter().chain(&table.data_tests);
                collect(assembler, &mut out, path, text, &[&source.name, &table.name], &subject, whole, &table.columns);
            }
        }
    }
    out
}

#[expect(clippy::too_many_arguments, reason = "one call for models and one for sources, both spelled out above")]
fn collect<'a>(
    assembler: &mut Assembler<'_>,
    out: &mut Vec<Draft>,
    path: &'a str,
    text: &'a str,
    words: &[&'a str],
    subject: &Subject,
    whole: impl Iterator<Item = &'a Json>,
    columns: &'a [Column],
) {
    let stand = |column: Option<&'a Column>| {
        let mut words = words.to_vec();
        words.extend(column.map(|column| column.name.as_str()));
        let column = column.map(|column| match column.quote {
            Some(true) => super::node::quote(&column.name),
            _ => column.name.clone(),
        });
        Stand { path, text, words, subject: subject.clone(), column }
    };
    for written in whole {
        out.extend(test(assembler, stand(None), written));
    }
    for column in columns {
        for written in column.tests.iter().chain(&column.data_tests) {
            out.extend(test(assembler, stand(Some(column)), written));
        }
    }
}

fn test(assembler: &mut Assembler<'_>, mut stand: Stand<'_>, written: &Json) -> Option<Draft> {
    let path = stand.path;
    let entry = match test_entry(written) {
        Ok(entry) => entry,
        Err(message) => {
            let place = Place::line(path, locate(stand.text, &stand.words));
            assembler.errors.push(ModelError::new(place, message));
            return None;
        }
    };
    let mut words = stand.words.clone();
    words.push(&entry.test);
    let place = Place::line(path, locate(stand.text, &words).or_else(|| locate(stand.text, &stand.words)));
    if let Some(Json::String(column)) = entry.arguments.get("column_name") {
        stand.column = Some(column.clone());
    }
    if let Err(error) = check_macro(assembler.basis, &entry, &stand, &place) {
        assembler.errors.push(error);
        return None;
    }
    let name = entry.name.clone().unwrap_or_else(|| generated_name(&entry, &stand));
    let short = if entry.name.is_some() { name.clone() } else { short_name(&name) };
    let id = format!("test.{}.{name}", assembler.package.name);
    let mut fqn = vec![assembler.package.name.clone()];
    fqn.extend(
        path.split('/').skip(1).map(|part| part.trim_end_matches(".yml").to_owned()).filter(|part| !part.contains('.')),
    );
    fqn.push(name.clone());
    let mut config = Config::default();
    assembler.folder_settings(NodeKind::Test, &fqn, &mut config);
    assembler.apply(&mut config, &entry.config, &place);
    let schema = format!("{}_dbt_test__audit", assembler.basis.settings.schema);
    let schema = config.text("schema").map_or(schema, |custom| format!("{}_{custom}", assembler.basis.settings.schema));
    let relation = Relation::new(schema, config.text("alias").unwrap_or(&short));
    let arguments: Vec<_> = entry.arguments.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut node = Node {
        id,
        name,
        kind: NodeKind::Test,
        package: assembler.package.name.clone(),
        place,
        fqn,
        config,
        relation,
        depends_on: Vec::new(),
        reads: Vec::new(),
        text: call(&entry, stand.column.is_some()),
        generic: Some(Generic { test: entry.test.clone(), subject: stand.subject, column: stand.column, arguments }),
        description: String::new(),
        columns: Vec::new(),
    };
    let context = Context::parsing(assembler.basis, &node.package, &node.id, &node.name);
    let (context, rendered) = render(&node, context);
    if let Err(error) = rendered {
        assembler.errors.push(error);
        return None;
    }
    let mut captured = context.captured();
    node.config = {
        let mut laid = Config::default();
        // What the macro itself configures is the weakest word.
        for (key, value) in captured.config.drain(..).chain(node.config.entries().clone()) {
            if let Err(message) = laid.set(&key, value) {
                assembler.errors.push(ModelError::new(node.place.clone(), message));
            }
        }
        laid
    };
    let (refs, source_refs) = (std::mem::take(&mut captured.refs), std::mem::take(&mut captured.sources));
    Some(Draft { node, refs, source_refs })
}

fn check_macro(basis: &Basis, entry: &TestEntry, stand: &Stand<'_>, place: &Place) -> Result<(), ModelError> {
    let name = format!("test_{}", entry.test);
    let Some(parameters) = basis.jinja.parameters(&name, entry.package.as_deref()) else {
        let error = ModelError::new(place.clone(), format!("there is no generic test `{}`", entry.test));
        return Err(match closest(&entry.test, basis.jinja.generic_tests()) {
            Some(near) => error.with_help(format!("Did you mean `{near}`?")),
            None => error.with_help("Generic tests are macros: `{% test name(model, column_name) %}`."),
        });
    };
    let unknown = entry.arguments.keys().find(|key| !parameters.contains(key));
    if let Some(unknown) = unknown {
        let message = format!("test `{}` has no argument `{unknown}`; it takes {}", entry.test, parameters.join(", "));
        return Err(ModelError::new(place.clone(), message));
    }
    if stand.column.is_some() && !parameters.iter().any(|one| one == "column_name") {
        let message = format!("test `{}` is about a whole table and cannot stand under a column", entry.test);
        return Err(ModelError::new(place.clone(), message));
    }
    Ok(())
}

/// The template that calls a test's macro; arguments are handed over under names of our own.
fn call(entry: &TestEntry, with_column: bool) -> String {
    let package = entry.package.as_ref().map(|package| format!("{package}.")).unwrap_or_default();
    let mut arguments = vec!["model=__model".to_owned()];
    arguments.extend(with_column.then(|| "column_name=__column".to_owned()));
    let named = entry.arguments.keys().filter(|key| *key != "column_name");
    arguments.extend(named.map(|key| format!("{key}=__argument_{key}")));
    format!("{{{{ {package}test_{}({}) }}}}", entry.test, arguments.join(", "))
}

/// Renders a generic test's call in `context` and hands the context back for what it noted.
pub(super) fn render(node: &Node, mut context: Context) -> (Arc<Context>, Result<String, ModelError>) {
    let Some(generic) = &node.generic else { unreachable!("only generic tests are rendered here") };
    let basis = context.basis.clone();
    let file = &node.place.file;
    let scratch = Arc::new(Context {
        extras: Vec::new(),
        config: Config::default(),
        capture: std::sync::Mutex::default(),
        basis: basis.clone(),
        package: context.package.clone(),
        id: context.id.clone(),
        name: context.name.clone(),
        this: None,
        is_incremental_model: false,
        execution: context.execution.clone(),
    });
    let evaluate =
        |text: &str| basis.jinja.evaluate(&node.package, file, text, Value::from_dyn_object(scratch.clone()));
    let subject = match &generic.subject {
        Subject::Model(name) => evaluate(&format!("{{{{ ref('{name}') }}}}")),
        Subject::Source(source, table) => evaluate(&format!("{{{{ source('{source}', '{table}') }}}}")),
    };
    let mut extras = Vec::new();
    let fill = |extras: &mut Vec<(String, Value)>| -> Result<(), ModelError> {
        let subject = subject?;
        let model = match node.config.text("where") {
            Some(condition) => Value::from(format!("(select * from {subject} where {condition}) dbt_subquery")),
            None => subject,
        };
        extras.push(("__model".to_owned(), model));
        extras.extend(generic.column.iter().map(|column| ("__column".to_owned(), Value::from(column.as_str()))));
        for (key, value) in &generic.arguments {
            extras.push((format!("__argument_{key}"), argument(value, &evaluate)?));
        }
        Ok(())
    };
    let filled = fill(&mut extras);
    context.extras = extras;
    let (refs, sources) = {
        let mut captured = scratch.captured();
        (std::mem::take(&mut captured.refs), std::mem::take(&mut captured.sources))
    };
    context.captured().refs.extend(refs);
    context.captured().sources.extend(sources);
    let context = Arc::new(context);
    let rendered = filled.and_then(|()| {
        basis.jinja.render(&node.package, file, &node.text, Value::from_dyn_object(context.clone())).map_err(
            |mut error| {
                // The call has no line of its own; the properties file has.
                if error.place.file == *file {
                    error.place = node.place.clone();
                }
                error
            },
        )
    });
    (context, rendered)
}

fn argument(value: &Json, evaluate: &impl Fn(&str) -> Result<Value, ModelError>) -> Result<Value, ModelError> {
    match value {
        Json::String(text) if looks_like_call(text) => evaluate(&format!("{{{{ {text} }}}}")),
        Json::String(text) if text.contains("{{") => evaluate(text),
        Json::Array(values) => {
            values.iter().map(|value| argument(value, evaluate)).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        other => Ok(from_json(other)),
    }
}

fn looks_like_call(text: &str) -> bool {
    let text = text.trim();
    text.ends_with(')')
        && ["ref", "source", "var", "env_var", "doc"]
            .iter()
            .any(|name| text.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('(')))
}

/// dbt's name for a test: test, subject, column and arguments, with everything odd made `_`.
fn generated_name(entry: &TestEntry, stand: &Stand<'_>) -> String {
    let package = entry.package.as_ref().map(|package| format!("{package}_")).unwrap_or_default();
    let head = match &stand.subject {
        Subject::Model(model) => format!("{package}{}_{model}", entry.test),
        Subject::Source(source, table) => format!("{package}source_{}_{source}_{table}", entry.test),
    };
    let mut arguments: Map<String, Json> = entry.arguments.clone();
    if let Some(column) = &stand.column {
        arguments.insert("column_name".to_owned(), Json::from(column.as_str()));
    }
    let mut keys: Vec<_> = arguments.keys().collect();
    keys.sort();
    let parts: Vec<String> = keys.into_iter().flat_map(|key| flat(&arguments[key])).map(|text| clean(&text)).collect();
    format!("{head}_{}", parts.join("__"))
}

fn flat(value: &Json) -> Vec<String> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        other => other.to_string(),
    };
    match value {
        Json::Array(values) => values.iter().map(text).collect(),
        Json::Object(map) => map.values().map(text).collect(),
        other => vec![text(other)],
    }
}

fn clean(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            out.push(character);
        } else if !out.ends_with('\u{1}') {
            // A run of anything else becomes one underscore, beside those that were there.
            out.push('\u{1}');
        }
    }
    out.replace('\u{1}', "_")
}

/// A name that fits into an identifier: long ones are cut and end in a digest of the whole.
fn short_name(name: &str) -> String {
    if name.len() < 64 {
        return name.to_owned();
    }
    let digest: String =
        Sha256::digest(name.as_bytes()).iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("{}_{digest}", &name[..30])
}

/// Folder settings of `dbt_project.yml` that match no model or seed.
pub(super) fn unused_folders(root: &Package, drafts: &[Draft]) -> Vec<ModelError> {
    fn walk(tree: &Map<String, Json>, path: &mut Vec<String>, drafts: &[Draft], kind: NodeKind, out: &mut Vec<String>) {
        for (key, value) in tree {
            let Json::Object(inner) = value else { continue };
            if key.starts_with('+') || Config::is_setting(key) {
                continue;
            }
            path.push(key.clone());
            if drafts.iter().any(|draft| draft.node.kind == kind && draft.node.fqn.starts_with(path)) {
                walk(inner, path, drafts, kind, out);
            } else {
                out.push(path.join(" > "));
            }
            path.pop();
        }
    }
    let mut out = Vec::new();
    for (word, kind, tree) in
        [("models", NodeKind::Model, &root.file.models), ("seeds", NodeKind::Seed, &root.file.seeds)]
    {
        let mut found = Vec::new();
        walk(tree, &mut Vec::new(), drafts, kind, &mut found);
        out.extend(found.into_iter().map(|path| {
            ModelError::new(
                Place::file(&root.project_file_path),
                format!("the settings under `{word} > {path}` match no file"),
            )
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_dbt() {
        let entry = test_entry(&serde_json::json!({"accepted_values": {"values": ["a b", "c"]}})).unwrap();
        let stand = Stand {
            path: "",
            text: "",
            words: vec![],
            subject: Subject::Model("orders".into()),
            column: Some("status".into()),
        };
        assert_eq!(generated_name(&entry, &stand), "accepted_values_orders_status__a_b__c");
        let entry = test_entry(&serde_json::json!({"relationships": {"to": "ref('teams')", "field": "id"}})).unwrap();
        let stand = Stand { subject: Subject::Source("club".into(), "events".into()), ..stand };
        assert_eq!(generated_name(&entry, &stand), "source_relationships_club_events_status__id__ref_teams_");
        let short = short_name(&"x".repeat(70));
        assert_eq!((short.len(), short.starts_with(&"x".repeat(30))), (63, true));
    }
}
