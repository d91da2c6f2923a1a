//! Relations, columns and query results as templates see them.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, from_args};
use minijinja::{Error, State, Value};

use super::jinja::{invalid, list};
use super::node::{Relation, quote};
use super::session::RelationKind;
use crate::database::Rows;

/// A relation: prints as its quoted name.
#[derive(Debug)]
pub(super) struct RelationValue {
    pub(super) relation: Relation,
    kind: Option<RelationKind>,
    shows_schema: bool,
}

impl RelationValue {
    /// The relation, and what it is where that is known.
    pub(super) fn value(relation: Relation, kind: Option<RelationKind>) -> Value {
        Value::from_object(Self { relation, kind, shows_schema: true })
    }

    fn text(&self) -> String {
        if self.shows_schema { self.relation.to_string() } else { quote(&self.relation.identifier) }
    }
}

impl Object for RelationValue {
    // Not a map: relations are compared and joined as text.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "schema" => Value::from(self.relation.schema.as_str()),
            "identifier" | "name" | "table" => Value::from(self.relation.identifier.as_str()),
            "type" => self.kind.map_or_else(|| Value::from(()), |kind| Value::from(kind.keyword())),
            "is_view" => Value::from(self.kind == Some(RelationKind::View)),
            "is_table" => Value::from(self.kind == Some(RelationKind::Table)),
            "is_cte" => Value::from(false),
            "database" => Value::from(()),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "render" => Ok(Value::from(self.text())),
            "quote" => Ok(Value::from_object(Self { relation: self.relation.clone(), ..**self })),
            "include" => {
                let (kwargs,): (Kwargs,) = from_args(args)?;
                let shows_schema = kwargs.get::<Option<bool>>("schema")?.unwrap_or(true);
                Ok(Value::from_object(Self { relation: self.relation.clone(), kind: self.kind, shows_schema }))
            }
            "without_identifier" => Ok(Value::from(quote(&self.relation.schema))),
            _ => Err(invalid(format!("`relation.{method}` is not supported"))),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

/// A column of a relation.
#[derive(Debug)]
pub(super) struct ColumnValue {
    name: String,
    data_type: String,
}

impl ColumnValue {
    /// The column of this name and type.
    pub(super) fn value(name: String, data_type: String) -> Value {
        Value::from_object(Self { name, data_type })
    }
}

impl Object for ColumnValue {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" | "column" => Value::from(self.name.as_str()),
            "quoted" => Value::from(quote(&self.name)),
            "dtype" | "data_type" => Value::from(self.data_type.as_str()),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, _: &[Value]) -> Result<Value, Error> {
        let starts = |words: &[&str]| words.iter().any(|word| self.data_type.starts_with(word));
        match method {
            "is_string" => Ok(Value::from(starts(&["character", "text", "varchar"]))),
            "is_number" => Ok(Value::from(starts(&["int", "bigint", "smallint", "numeric", "real", "double"]))),
            "is_integer" => Ok(Value::from(starts(&["int", "bigint", "smallint"]))),
            "is_float" => Ok(Value::from(starts(&["real", "double"]))),
            "is_numeric" => Ok(Value::from(starts(&["numeric"]))),
            _ => Err(invalid(format!("`column.{method}` is not supported"))),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// A query's result: `.rows`, `.columns`, `.column_names`.
#[derive(Debug)]
pub(super) struct TableValue {
    names: Arc<Vec<String>>,
    rows: Vec<Value>,
    columns: Vec<Value>,
}

/// Databases answer in text here. A whole number that prints as it came is a number again, so that
/// templates can compare it; everything else stays text.
fn cell(cell: Option<&String>) -> Value {
    match cell {
        None => Value::from(()),
        Some(text) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Value::from(number),
            _ => Value::from(text.as_str()),
        },
    }
}

impl TableValue {
    /// The table of these rows.
    pub(super) fn value(rows: Rows) -> Value {
        let names = Arc::new(rows.columns);
        let cells: Vec<Vec<Value>> =
            rows.rows.iter().map(|row| row.iter().map(|text| cell(text.as_ref())).collect()).collect();
        let columns = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let values = cells.iter().filter_map(|row| row.get(at).cloned()).collect();
                Value::from_object(Series { name: name.clone(), names: None, values })
            })
            .collect();
        let rows = cells
            .into_iter()
            .map(|values| Value::from_object(Series { name: String::new(), names: Some(names.clone()), values }))
            .collect();
        Value::from_object(Self { names, rows, columns })
    }
}

impl Object for TableValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("rows") => Some(list(self.rows.clone())),
            Some("columns") => Some(list(self.columns.clone())),
            Some("column_names") => Some(list(self.names.iter().map(|name| Value::from(name.as_str())).collect())),
            Some(_) => None,
            None => self.rows.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.rows.len())
    }
}

/// A row (with names) or a column (with one).
#[derive(Debug)]
struct Series {
    name: String,
    names: Option<Arc<Vec<String>>>,
    values: Vec<Value>,
}

impl Series {
    fn by_name(&self, name: &str) -> Option<Value> {
        let at = self.names.as_ref()?.iter().position(|column| column.eq_ignore_ascii_case(name))?;
        self.values.get(at).cloned()
    }
}

impl Object for Series {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("name") if self.names.is_none() => Some(Value::from(self.name.as_str())),
            Some(name) => self.by_name(name),
            None => self.values.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.values.len())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args.first().and_then(Value::as_str)) {
            ("values", None) => Ok(list(self.values.clone())),
            ("get", Some(name)) => Ok(self.by_name(name).unwrap_or_else(|| Value::from(()))),
            ("keys", None) => Ok(list(
                self.names.iter().flat_map(|names| names.iter().map(|name| Value::from(name.as_str()))).collect(),
            )),
            _ => Err(invalid(format!("`{method}` is not supported on a query's result"))),
        }
    }
}
