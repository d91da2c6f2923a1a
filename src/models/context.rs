//! What a template sees: `ref`, `source`, `config`, `var`, `this`, `adapter` and the rest of dbt's
//! context. While a project is parsed, calls are noted; while it runs, they are answered.
//!
//! Names dbt has and this does not know are undefined, and calling them is an error that shows the call.
//! Long because dbt's context is one flat list of names, and a reader looks for a name in one place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, Rest, from_args};
use minijinja::{Error, State, Value};
use serde_json::{Map, Value as Json};

use super::config::Config;
use super::event::ModelsEvent;
use super::jinja::{Jinja, dict, from_json, invalid, list, to_json};
use super::node::{Relation, quote};
use super::project::Project;
use super::relation_value::{ColumnValue, RelationValue, TableValue};
use super::session::{RelationKind, Session};
use super::settings::Settings;
use crate::database::DatabaseError;

/// What is the same for every template of a project.
pub(super) struct Basis {
    pub(super) settings: Settings,
    pub(super) project_name: String,
    pub(super) jinja: Jinja,
    /// Variables for every package.
    pub(super) vars: Map<String, Json>,
    /// Variables of one package only.
    pub(super) package_vars: BTreeMap<String, Map<String, Json>>,
    /// `dispatch` of `dbt_project.yml`.
    pub(super) search_order: BTreeMap<String, Vec<String>>,
}

/// What a template called while it was parsed.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// `ref`: package, if given, and name.
    pub(super) refs: Vec<(Option<String>, String)>,
    /// `source`: source and table.
    pub(super) sources: Vec<(String, String)>,
    /// `config`: settings in order.
    pub(super) config: Vec<(String, Json)>,
}

/// The rendering of one template.
pub(super) struct Context {
    pub(super) basis: Arc<Basis>,
    pub(super) package: String,
    /// What the template is part of, in messages: `model.club.x`.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) this: Option<Relation>,
    pub(super) config: Config,
    pub(super) is_incremental_model: bool,
    pub(super) capture: Mutex<Capture>,
    /// Values under names of our own, for the arguments of generic tests.
    pub(super) extras: Vec<(String, Value)>,
    pub(super) execution: Option<Execution>,
}

/// What there is when a template is rendered to be run.
#[derive(Clone)]
pub(super) struct Execution {
    pub(super) project: Arc<Project>,
    /// Absent when only compiling without a database.
    pub(super) session: Option<Arc<Session>>,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Context({})", self.id)
    }
}

const FUNCTIONS: &[&str] = &[
    "ref",
    "source",
    "config",
    "var",
    "env_var",
    "is_incremental",
    "log",
    "print",
    "run_query",
    "statement",
    "load_result",
    "fromjson",
    "tojson",
    "adapter",
    "exceptions",
    "doc",
];

impl Context {
    /// A context in which calls are noted and nothing is run.
    pub(super) fn parsing(basis: &Arc<Basis>, package: &str, id: &str, name: &str) -> Self {
        Self {
            basis: basis.clone(),
            package: package.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            this: None,
            config: Config::default(),
            is_incremental_model: false,
            capture: Mutex::default(),
            extras: Vec::new(),
            execution: None,
        }
    }

    /// What was called so far.
    pub(super) fn captured(&self) -> MutexGuard<'_, Capture> {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> Option<&Arc<Session>> {
        self.execution.as_ref()?.session.as_ref()
    }

    fn execute(&self) -> bool {
        self.execution.is_some()
    }

    fn target(&self) -> Value {
        let Settings { schema, target, database, threads, .. } = &self.basis.settings;
        dict(vec![
            ("name".into(), Value::from(target.as_str())),
            ("schema".into(), Value::from(schema.as_str())),
            ("type".into(), Value::from(self.basis.settings.adapter())),
            ("database".into(), Value::from(database.as_str())),
            ("dbname".into(), Value::from(database.as_str())),
            ("threads".into(), Value::from(*threads)),
            ("profile_name".into(), Value::from("towpath")),
        ])
    }

    fn model(&self) -> Value {
        let this = self.this.clone().unwrap_or_else(|| Relation::new(&self.basis.settings.schema, &self.name));
        dict(vec![
            ("name".into(), Value::from(self.name.as_str())),
            ("unique_id".into(), Value::from(self.id.as_str())),
            ("package_name".into(), Value::from(self.package.as_str())),
            ("schema".into(), Value::from(this.schema)),
            ("alias".into(), Value::from(this.identifier)),
            ("config".into(), from_json(&Json::Object(self.config.entries().clone()))),
            ("resource_type".into(), Value::from(self.id.split('.').next().unwrap_or_default())),
        ])
    }

    fn constant(&self, name: &str) -> Option<Value> {
        let settings = &self.basis.settings;
        Some(match name {
            "target" => self.target(),
            "model" | "node" => self.model(),
            "this" => self.relation(self.this.clone().unwrap_or_else(|| Relation::new(&settings.schema, &self.name))),
            "execute" => Value::from(self.execute()),
            "schema" => Value::from(settings.schema.as_str()),
            "database" => Value::from(settings.database.as_str()),
            "project_name" => Value::from(self.basis.project_name.as_str()),
            "run_started_at" => Value::from(settings.started_at.as_str()),
            "invocation_id" => Value::from(settings.run.as_str()),
            "dbt_version" => Value::from("1.10.0"),
            "flags" => dict(vec![(
                "FULL_REFRESH".into(),
                Value::from(self.session().is_some_and(|session| session.full_refresh)),
            )]),
            _ => return None,
        })
    }

    fn relation(&self, relation: Relation) -> Value {
        let kind = self.session().and_then(|session| session.kind_of(&relation));
        RelationValue::value(relation, kind)
    }

    fn answer(&self, function: &str, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match function {
            "ref" => self.call_ref(args),
            "source" => self.call_source(args),
            "config" => self.call_config(args),
            "var" => self.call_var(args),
            "env_var" => self.call_env_var(args),
            "is_incremental" => Ok(Value::from(self.is_incremental())),
            "log" | "print" => self.call_log(function, args),
            "run_query" => self.run_query(args),
            "statement" => self.statement(state, args),
            "load_result" => {
                let (name,): (String,) = from_args(args)?;
                Ok(state.get_temp(&format!("result:{name}")).unwrap_or_else(|| Value::from(())))
            }
            "fromjson" => {
                let (text,): (String,) = from_args(args)?;
                let json: Json = serde_json::from_str(&text).map_err(|error| invalid(format!("fromjson: {error}")))?;
                Ok(from_json(&json))
            }
            "tojson" => {
                let value = args.first().ok_or_else(|| invalid("tojson takes a value"))?;
                Ok(Value::from(to_json(value)?.to_string()))
            }
            "doc" => Ok(Value::from("")),
            other => Err(invalid(format!("`{other}` is not a function"))),
        }
    }

    fn call_ref(&self, args: &[Value]) -> Result<Value, Error> {
        let (Rest(names), kwargs): (Rest<String>, Kwargs) = from_args(args)?;
        if let Some(key) = kwargs.args().next() {
            return Err(invalid(format!("`ref(…, {key}=…)`: versions of models are not supported")));
        }
        let (package, name) = match names.as_slice() {
            [name] => (None, name.clone()),
            [package, name] => (Some(package.clone()), name.clone()),
            _ => return Err(invalid("`ref` takes a model's name, or a package and a name")),
        };
        let answer = match &self.execution {
            None => Relation::new(&self.basis.settings.schema, &name),
            Some(execution) => {
                let found = execution.project.find_ref(&self.package, package.as_deref(), &name);
                let node =
                    &execution.project.nodes[found.ok_or_else(|| invalid(format!("there is no model `{name}`")))?];
                if node.is_ephemeral() {
                    let name = super::compile::ephemeral_name(&node.name);
                    self.captured().refs.push((package, node.name.clone()));
                    return Ok(Value::from(name));
                }
                node.relation.clone()
            }
        };
        self.captured().refs.push((package, name));
        Ok(self.relation(answer))
    }

    fn call_source(&self, args: &[Value]) -> Result<Value, Error> {
        let (source, table): (String, String) = from_args(args)?;
        let answer = match &self.execution {
            None => Relation::new(&source, &table),
            Some(execution) => {
                let found = execution.project.find_source(&self.package, &source, &table);
                let found = found.ok_or_else(|| invalid(format!("there is no source `{source}.{table}`")))?;
                execution.project.sources[found].relation.clone()
            }
        };
        self.captured().sources.push((source, table));
        Ok(self.relation(answer))
    }

    fn call_config(&self, args: &[Value]) -> Result<Value, Error> {
        if self.execute() {
            return Ok(Value::from(""));
        }
        let (Rest(positional), kwargs): (Rest<Value>, Kwargs) = from_args(args)?;
        let mut captured = self.captured();
        for map in positional {
            for key in map.try_iter()? {
                captured.config.push((key.to_string(), to_json(&map.get_item(&key)?)?));
            }
        }
        for key in kwargs.args() {
            captured.config.push((key.to_owned(), to_json(&kwargs.get::<Value>(key)?)?));
        }
        Ok(Value::from(""))
    }

    fn setting(&self, key: &str) -> Option<Value> {
        let captured = self.captured();
        let noted = captured.config.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value);
        let value = noted.or_else(|| self.config.get(key))?;
        Some(from_json(value))
    }

    fn config_method(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let (name, default, kwargs): (String, Option<Value>, Kwargs) = from_args(args)?;
        let default = default.or_else(|| kwargs.get("default").ok()).unwrap_or_else(|| Value::from(()));
        match method {
            "get" | "meta_get" => Ok(self.setting(&name).unwrap_or(default)),
            "require" | "meta_require" => match self.setting(&name) {
                Some(value) => Ok(value),
                None if !self.execute() => Ok(default),
                None => Err(invalid(format!("the setting `{name}` is required here and not set"))),
            },
            _ => Err(invalid(format!("`config.{method}` is not supported"))),
        }
    }

    fn call_var(&self, args: &[Value]) -> Result<Value, Error> {
        let (name, default, kwargs): (String, Option<Value>, Kwargs) = from_args(args)?;
        let default = default.or_else(|| kwargs.get("default").ok());
        match (self.variable(&name), default) {
            (Some(value), _) => Ok(from_json(value)),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(invalid(format!("variable `{name}` has no value; set it under `vars:` or pass it"))),
        }
    }

    fn variable(&self, name: &str) -> Option<&Json> {
        let basis = &self.basis;
        basis
            .settings
            .vars
            .get(name)
            .or_else(|| basis.package_vars.get(&self.package)?.get(name))
            .or_else(|| basis.vars.get(name))
    }

    fn call_env_var(&self, args: &[Value]) -> Result<Value, Error> {
        let (name, default): (String, Option<Value>) = from_args(args)?;
        let found = self.basis.settings.environment.get(&name).map(|text| Value::from(text.as_str()));
        found.or(default).ok_or_else(|| invalid(format!("environment variable `{name}` is not set")))
    }

    fn is_incremental(&self) -> bool {
        let (Some(session), Some(this)) = (self.session(), &self.this) else { return false };
        self.is_incremental_model
            && session.kind_of(this) == Some(RelationKind::Table)
            && !self.config.flag("full_refresh").unwrap_or(session.full_refresh)
    }

    fn call_log(&self, function: &str, args: &[Value]) -> Result<Value, Error> {
        let (message, info, kwargs): (Value, Option<bool>, Kwargs) = from_args(args)?;
        let shown = function == "print" || info.or_else(|| kwargs.get("info").ok()).unwrap_or(false);
        if let (true, Some(session)) = (shown, self.session()) {
            session.emit(ModelsEvent::Logged { id: self.id.clone(), message: message.to_string() });
        }
        Ok(Value::from(""))
    }

    fn query(&self, sql: &str) -> Result<Option<Value>, Error> {
        let Some(execution) = &self.execution else { return Ok(None) };
        let Some(session) = &execution.session else {
            return Err(invalid("this template queries the database while it renders; compile it with a connection"));
        };
        session.query_blocking(sql).map(|rows| Some(TableValue::value(rows))).map_err(|error| refused(&error))
    }

    fn run_query(&self, args: &[Value]) -> Result<Value, Error> {
        let (sql,): (String,) = from_args(args)?;
        Ok(self.query(&sql)?.unwrap_or_else(|| Value::from(())))
    }

    fn statement(&self, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (name, kwargs): (Option<String>, Kwargs) = from_args(args)?;
        let caller: Value = kwargs.get("caller")?;
        let name = name.or_else(|| kwargs.get("name").ok());
        let sql = caller.call(state, &[])?.to_string();
        if let (Some(table), Some(name)) = (self.query(&sql)?, name) {
            let data = table.get_attr("rows")?;
            let result =
                dict(vec![("table".into(), table), ("data".into(), data), ("response".into(), Value::from("OK"))]);
            state.set_temp(&format!("result:{name}"), result);
        }
        Ok(Value::from(""))
    }

    fn exception(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let message = args.first().map(ToString::to_string).unwrap_or_default();
        match method {
            "warn" => {
                if let Some(session) = self.session() {
                    session.emit(ModelsEvent::Logged { id: self.id.clone(), message });
                }
                Ok(Value::from(""))
            }
            _ if method.starts_with("raise_") => Err(invalid(message)),
            _ => Err(invalid(format!("`exceptions.{method}` is not supported"))),
        }
    }

    fn adapter_method(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "dispatch" => self.dispatch(args),
            "quote" => {
                let (name,): (String,) = from_args(args)?;
                Ok(Value::from(quote(&name)))
            }
            "get_relation" => {
                let (Rest(positional), kwargs): (Rest<Value>, Kwargs) = from_args(args)?;
                let part = |at: usize, name: &str| {
                    positional.get(at).cloned().or_else(|| kwargs.get(name).ok()).map(|v| v.to_string())
                };
                let (Some(schema), Some(identifier)) = (part(1, "schema"), part(2, "identifier")) else {
                    return Err(invalid("`adapter.get_relation` takes database, schema and identifier"));
                };
                let relation = Relation::new(schema, identifier);
                let kind = self.session().and_then(|session| session.kind_of(&relation));
                Ok(kind.map_or_else(|| Value::from(()), |kind| RelationValue::value(relation, Some(kind))))
            }
            "get_columns_in_relation" => {
                let (relation,): (Value,) = from_args(args)?;
                let Some(session) = self.session() else { return Ok(list(Vec::new())) };
                let relation = relation.downcast_object_ref::<RelationValue>().map(|value| value.relation.clone());
                let relation = relation.ok_or_else(|| invalid("`adapter.get_columns_in_relation` takes a relation"))?;
                let columns = session.columns_blocking(&relation).map_err(|error| refused(&error))?;
                Ok(list(columns.into_iter().map(|(name, data_type)| ColumnValue::value(name, data_type)).collect()))
            }
            _ => Err(invalid(format!("`adapter.{method}` is not supported"))),
        }
    }

    fn dispatch(&self, args: &[Value]) -> Result<Value, Error> {
        let (name, namespace, kwargs): (String, Option<String>, Kwargs) = from_args(args)?;
        let namespace = namespace.or_else(|| kwargs.get("macro_namespace").ok());
        let basis = &self.basis;
        let packages: Vec<Option<&str>> = match &namespace {
            None => vec![None],
            Some(namespace) => match basis.search_order.get(namespace) {
                Some(order) => order.iter().map(|package| Some(package.as_str())).collect(),
                None => vec![Some(basis.project_name.as_str()), Some(namespace.as_str())],
            },
        };
        let prefixes: &[&str] = match basis.settings.adapter() {
            "redshift" => &["redshift", "postgres", "default"],
            _ => &["postgres", "default"],
        };
        for package in packages {
            for prefix in prefixes {
                if let Some(found) = basis.jinja.callable(&format!("{prefix}__{name}"), package) {
                    return Ok(found);
                }
            }
        }
        Err(invalid(format!("no macro `{}__{name}` or `default__{name}` is to be found", prefixes[0])))
    }
}

fn refused(error: &DatabaseError) -> Error {
    invalid(format!("the query failed: {error}"))
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if let Some((_, value)) = self.extras.iter().find(|(extra, _)| extra == name) {
            return Some(value.clone());
        }
        if self.basis.jinja.overrides(name) {
            return None;
        }
        if let Some(name) = FUNCTIONS.iter().find(|function| **function == name) {
            return Some(Value::from_object(Function { context: self.clone(), name }));
        }
        match name {
            "api" => Some(Value::from_object(Api)),
            "builtins" => Some(dict(
                ["ref", "source", "config", "var"]
                    .map(|name| (Value::from(name), Value::from_object(Function { context: self.clone(), name })))
                    .into(),
            )),
            _ => self.constant(name),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(FUNCTIONS)
    }
}

/// A function of the context, or an object that only has methods.
struct Function {
    context: Arc<Context>,
    name: &'static str,
}

impl fmt::Debug for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Object for Function {
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.context.answer(self.name, state, args)
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match self.name {
            "config" => self.context.config_method(method, args),
            "adapter" => self.context.adapter_method(method, args),
            "exceptions" => self.context.exception(method, args),
            "var" if method == "has_var" => {
                let (name,): (String,) = from_args(args)?;
                Ok(Value::from(self.context.variable(&name).is_some()))
            }
            name => Err(invalid(format!("`{name}.{method}` is not supported"))),
        }
    }
}

/// `api.Relation.create(…)` and `api.Column(…)`.
#[derive(Debug)]
struct Api;

impl Object for Api {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("Relation")).then(|| Value::from_object(Self))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "create" => {
                let (kwargs,): (Kwargs,) = from_args(args)?;
                let schema: String = kwargs.get("schema")?;
                Ok(RelationValue::value(Relation::new(schema, kwargs.get::<String>("identifier")?), None))
            }
            "Column" => {
                let (name, data_type): (String, String) = from_args(args)?;
                Ok(ColumnValue::value(name, data_type))
            }
            _ => Err(invalid(format!("`api.{method}` is not supported"))),
        }
    }
}
