//! Jinja as dbt means it, on minijinja.
//!
//! [`Jinja`] holds every macro of the project and its packages, compiled once; a render includes
//! only the files whose names occur in what it renders. Nothing here knows `ref` or `config`: those
//! arrive in the context (`context.rs`). Errors carry the file and line of the user's own text.

mod collection;
mod json;
mod lexer;
mod rewrite;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, Rest, from_args};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use self::collection::{Dict, List, pairs_of};
pub(super) use self::json::{from_json, to_json};
use self::rewrite::{Signature, rewrite};
use super::fault::{ModelError, Place};

/// The package whose macros ship with the program.
pub(super) const BUILTIN: &str = "dbt";

/// A file of macros.
#[derive(Clone, Debug)]
pub(super) struct MacroFile {
    /// The package it belongs to.
    pub(super) package: String,
    /// The path shown in errors, unique.
    pub(super) path: String,
    /// The text.
    pub(super) text: String,
}

/// The macros of a project, ready to render with.
pub(super) struct Jinja {
    environment: Environment<'static>,
    /// By bare name: where it is defined.
    macros: BTreeMap<String, Vec<Defined>>,
    /// What each macro file may call.
    words: BTreeMap<String, BTreeSet<String>>,
    root: String,
}

#[derive(Clone, Debug)]
struct Defined {
    package: String,
    file: String,
    signature: Arc<Signature>,
}

impl Jinja {
    /// Compiles the macro files of the project `root` and its packages; mistakes are collected.
    pub(super) fn new(root: &str, files: &[MacroFile], errors: &mut Vec<ModelError>) -> Self {
        let mut jinja =
            Self { environment: environment(), macros: BTreeMap::new(), words: BTreeMap::new(), root: root.to_owned() };
        for file in files {
            jinja.add(file, errors);
        }
        let packages: BTreeSet<_> = files.iter().map(|file| file.package.clone()).chain([root.to_owned()]).collect();
        for package in packages {
            let members: BTreeMap<_, _> = jinja
                .macros
                .iter()
                .filter_map(|(name, all)| {
                    Some((name.clone(), all.iter().find(|one| one.package == package)?.reference()))
                })
                .collect();
            jinja.environment.add_global(package.clone(), Value::from_object(Package { name: package, members }));
        }
        let globals: Vec<_> =
            jinja.macros.keys().filter_map(|name| Some((name.clone(), jinja.find(name, None)?.reference()))).collect();
        for (name, reference) in globals {
            jinja.environment.add_global(name, reference);
        }
        jinja
    }

    fn add(&mut self, file: &MacroFile, errors: &mut Vec<ModelError>) {
        let rewritten = rewrite(&file.text, &file.package);
        errors.extend(unsupported(&file.path, &file.text, &rewritten.unsupported));
        if let Err(error) = self.environment.add_template_owned(file.path.clone(), rewritten.text) {
            errors.push(model_error(&error, &file.path));
            return;
        }
        self.words.insert(file.path.clone(), rewritten.words);
        for signature in rewritten.macros {
            self.macros.entry(signature.name.clone()).or_default().push(Defined {
                package: file.package.clone(),
                file: file.path.clone(),
                signature: Arc::new(signature),
            });
        }
    }

    /// The macro a bare name means: the project's own, then the shipped one, then any package's;
    /// with `package`, that package's only.
    fn find(&self, name: &str, package: Option<&str>) -> Option<&Defined> {
        let all = self.macros.get(name)?;
        match package {
            Some(package) => all.iter().find(|one| one.package == package),
            None => [self.root.as_str(), BUILTIN]
                .iter()
                .find_map(|wanted| all.iter().find(|one| one.package == *wanted))
                .or_else(|| all.first()),
        }
    }

    /// A macro as a callable value, for `adapter.dispatch`.
    pub(super) fn callable(&self, name: &str, package: Option<&str>) -> Option<Value> {
        self.find(name, package).map(Defined::reference)
    }

    /// The names of the project's own macros: they take the place of functions of the same name.
    pub(super) fn overrides(&self, name: &str) -> bool {
        self.find(name, Some(&self.root)).is_some()
    }

    /// All generic tests there are, without their `test_`.
    pub(super) fn generic_tests(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().filter_map(|name| name.strip_prefix("test_"))
    }

    /// The name and parameters of a macro, for checking a test's arguments.
    pub(super) fn parameters(&self, name: &str, package: Option<&str>) -> Option<&[String]> {
        self.find(name, package).map(|one| one.signature.parameters.as_slice())
    }

    /// Renders `text`, which is (part of) the file `path` of `package`.
    pub(super) fn render(&self, package: &str, path: &str, text: &str, context: Value) -> Result<String, ModelError> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok(text.to_owned());
        }
        let rewritten = rewrite(text, package);
        if let Some(error) = unsupported(path, text, &rewritten.unsupported).into_iter().next() {
            return Err(error);
        }
        let prefix = self.prefix(package, &rewritten.words, &rewritten.macros);
        let source = prefix + &rewritten.text;
        self.environment.render_named_str(path, &source, context).map_err(|error| model_error(&error, path))
    }

    /// Evaluates `text` as dbt does in YAML: a lone `{{ … }}` keeps its type, text around it makes
    /// it a string. `None` where it renders to nothing at all.
    pub(super) fn evaluate(&self, package: &str, path: &str, text: &str, context: Value) -> Result<Value, ModelError> {
        let Some(inner) = lone_expression(text) else {
            return self.render(package, path, text, context).map(Value::from);
        };
        let rewritten = rewrite(text, package);
        let result = Arc::new(std::sync::Mutex::new(Value::UNDEFINED));
        // An expression cannot include the macro files it calls, so it becomes a template that
        // hands its value over.
        let source = format!("{}{{{{ __result({inner}) }}}}", self.prefix(package, &rewritten.words, &[]));
        let source = rewrite(&source, package).text;
        let mut environment = self.environment.clone();
        let sink = result.clone();
        environment.add_function("__result", move |value: Value| {
            *sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = value;
            ""
        });
        environment.render_named_str(path, &source, context).map_err(|error| model_error(&error, path))?;
        let value = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Ok(value)
    }

    /// Code for the first line that makes every macro known that the words may call.
    fn prefix(&self, package: &str, words: &BTreeSet<String>, local: &[Signature]) -> String {
        let mut files = BTreeSet::new();
        let mut pending: Vec<&BTreeSet<String>> = vec![words];
        while let Some(words) = pending.pop() {
            for word in words {
                for prefix in ["", "default__", "postgres__", "redshift__"] {
                    let found = self.macros.get(&format!("{prefix}{word}"));
                    for one in found.into_iter().flatten() {
                        if files.insert(one.file.as_str()) {
                            pending.extend(self.words.get(&one.file));
                        }
                    }
                }
            }
        }
        let mut out = String::new();
        if !files.is_empty() {
            out.push_str("{% set __done %}");
            for file in files {
                out.extend([format!("{{% include {file:?} %}}")]);
            }
            out.push_str("{% endset %}");
        }
        for one in local {
            let Signature { name, parameters, takes_varargs, takes_kwargs } = one;
            out.extend([format!(
                "{{% set {name} = __macro(\"{package}.{name}\", {parameters:?}, {takes_varargs}, {takes_kwargs}) %}}"
            )]);
        }
        out
    }
}

/// The inside of a text that is one `{{ … }}` and nothing else.
fn lone_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%")).then(|| inner.trim_matches('-').trim())
}

impl Defined {
    fn reference(&self) -> Value {
        let key = format!("{}.{}", self.package, self.signature.name);
        Value::from_object(MacroReference { key, signature: self.signature.clone() })
    }
}

fn unsupported(path: &str, text: &str, found: &[(usize, String)]) -> Vec<ModelError> {
    found
        .iter()
        .map(|(at, what)| {
            let line = text[..*at].matches('\n').count() + 1;
            ModelError::new(Place::line(path, Some(line)), what.clone())
        })
        .collect()
}

/// The innermost error of a chain, at the user's own line.
fn model_error(error: &Error, path: &str) -> ModelError {
    let mut best = error;
    let mut source = std::error::Error::source(error);
    while let Some(next) = source {
        if let Some(inner) = next.downcast_ref::<Error>() {
            best = if inner.line().is_some() { inner } else { best };
        }
        source = next.source();
    }
    let kind = best.kind();
    let message = match (kind, best.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        (_, Some(detail)) => format!("{kind}: {detail}"),
        (_, None) => kind.to_string(),
    };
    let message = message.replace("dbt_macro__", "");
    let expression = best.range().zip(best.template_source()).and_then(|(range, source)| source.get(range));
    let message = match expression {
        Some(text) if message.contains("undefined") => format!("{message}: `{}`", text.trim()),
        _ => message,
    };
    ModelError::new(Place::line(best.name().unwrap_or(path), best.line()), message)
}

/// A failure to report at the place where it was called.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// A list that templates can change.
pub(super) fn list(values: Vec<Value>) -> Value {
    List::value(values)
}

/// A dict that templates can change.
pub(super) fn dict(pairs: Vec<(Value, Value)>) -> Value {
    Dict::value(pairs)
}

/// `return(value)` on its way out of the macro it was called in.
#[derive(Debug)]
struct Return(Value);

impl fmt::Display for Return {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`return` outside a macro")
    }
}

impl std::error::Error for Return {}

/// A macro of some file, callable from everywhere.
#[derive(Debug)]
struct MacroReference {
    key: String,
    signature: Arc<Signature>,
}

impl MacroReference {
    /// Sorts what was passed into parameters, `varargs` and `kwargs`.
    fn arguments(&self, args: &[Value]) -> Result<Vec<Value>, Error> {
        let (Rest(positional), kwargs): (Rest<Value>, Kwargs) = from_args(args)?;
        let Signature { name, parameters, takes_varargs, takes_kwargs } = &*self.signature;
        let mut named: Vec<(String, Value)> = Vec::new();
        let mut rest = Vec::new();
        for key in kwargs.args() {
            let value: Value = kwargs.get(key)?;
            if *takes_kwargs && key != "caller" && !parameters.iter().any(|one| one == key) {
                rest.push((Value::from(key), value));
            } else {
                named.push((key.to_owned(), value));
            }
        }
        let own = parameters.len().min(positional.len());
        if *takes_varargs {
            named.push(("varargs".to_owned(), List::value(positional[own..].to_vec())));
        } else if positional.len() > own {
            return Err(invalid(format!(
                "macro `{name}` takes {own} positional arguments, {} were given",
                positional.len()
            )));
        }
        if *takes_kwargs {
            named.push(("kwargs".to_owned(), Dict::value(rest)));
        }
        let mut out = positional[..own].to_vec();
        out.push(Value::from(Kwargs::from_iter(named)));
        Ok(out)
    }
}

impl Object for MacroReference {
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let found = state.get_temp(&self.key);
        let inner =
            found.ok_or_else(|| invalid(format!("macro `{}` is called by a computed name; write it out", self.key)))?;
        inner.call(state, &self.arguments(args)?).or_else(|error| {
            let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            while let Some(next) = source {
                if let Some(Return(value)) = next.downcast_ref() {
                    return Ok(value.clone());
                }
                source = next.source();
            }
            Err(error)
        })
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<macro {}>", self.key)
    }
}

/// The macros of one package: `dbt_utils.star(…)`.
#[derive(Debug)]
struct Package {
    name: String,
    members: BTreeMap<String, Value>,
}

impl Object for Package {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.members.get(key.as_str()?).cloned()
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match self.members.get(method) {
            Some(member) => member.call(state, args),
            None => Err(invalid(format!("package `{}` has no macro `{method}`", self.name))),
        }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Keeps the source with an error, which names the expression that was undefined.
    environment.set_debug(true);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method);
    environment.add_function("__list", |value: Value| -> Result<Value, Error> {
        Ok(List::value(value.try_iter()?.collect()))
    });
    environment.add_function("__dict", |value: Value| -> Result<Value, Error> { Ok(Dict::value(pairs_of(&value)?)) });
    environment.add_function("__define", |state: &mut State<'_, '_>, key: String, value: Value| {
        state.set_temp(&key, value);
        ""
    });
    environment.add_function(
        "__macro",
        |key: String, parameters: Vec<String>, takes_varargs: bool, takes_kwargs: bool| {
            let name = key.split_once('.').map_or(key.clone(), |(_, name)| name.to_owned());
            let signature = Arc::new(Signature { name, parameters, takes_varargs, takes_kwargs });
            Value::from_object(MacroReference { key, signature })
        },
    );
    environment.add_function("return", |value: Option<Value>| -> Result<Value, Error> {
        let value = value.unwrap_or_else(|| Value::from(()));
        Err(invalid("`return` outside a macro").with_source(Return(value)))
    });
    environment.add_function("zip", |a: Value, b: Value| -> Result<Value, Error> {
        Ok(List::value(a.try_iter()?.zip(b.try_iter()?).map(|(a, b)| Value::from(vec![a, b])).collect()))
    });
    environment.add_function("set", |value: Value| -> Result<Value, Error> {
        let mut out: Vec<Value> = Vec::new();
        for item in value.try_iter()? {
            if !out.contains(&item) {
                out.push(item);
            }
        }
        Ok(List::value(out))
    });
    environment
        .add_filter("list", |value: Value| -> Result<Value, Error> { Ok(List::value(value.try_iter()?.collect())) });
    for native in ["as_native", "as_text", "as_bool", "as_number"] {
        environment.add_filter(native, |value: Value| value);
    }
    environment
}

fn unknown_method(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let ("rsplit", Some(text), Some(separator)) = (method, value.as_str(), args.first().and_then(Value::as_str)) {
        let limit = args.get(1).and_then(Value::as_usize).unwrap_or(usize::MAX - 1);
        let mut parts: Vec<_> = text.rsplitn(limit.saturating_add(1), separator).map(Value::from).collect();
        parts.reverse();
        return Ok(List::value(parts));
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

#[cfg(test)]
mod tests;
