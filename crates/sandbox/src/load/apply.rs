//! Applies a batch of changes to one table of the warehouse: per key only the net effect, as DMS's batch apply does.
//!
//! Values pass through the same expressions as in the full load, so a changed row and a loaded row look alike. A table
//! without a primary key only gets its inserts.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use super::catalog::{Column, Table};
use super::decoding::{Change, Kind, Tuple, Value};
use super::mapping::quoted;

/// Rows in one statement.
const CHUNK: usize = 500;

/// What a batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) inserts: u64,
    pub(super) updates: u64,
    pub(super) deletes: u64,
}

/// The values of a key, in the order of the table's key columns.
type Key = Vec<Value>;

/// Changes of one table that are not on the warehouse yet.
struct Pending<'a> {
    target: &'a Client,
    table: &'a Table,
    /// The last state of each key: a row, or none.
    rows: BTreeMap<Key, Option<Tuple>>,
    /// Rows of a table without a key.
    loose: Vec<Tuple>,
}

/// Applies changes of a table in their order. The caller has begun a transaction.
pub(super) async fn changes(target: &Client, table: &Table, changes: &[Change]) -> Result<Counts, Error> {
    let mut pending = Pending { target, table, rows: BTreeMap::new(), loose: Vec::new() };
    let mut counts = Counts::default();
    for change in changes {
        if table.key.is_empty() {
            if change.kind == Kind::Insert {
                counts.inserts += 1;
                pending.loose.push(change.new.clone());
            }
            continue;
        }
        match change.kind {
            Kind::Insert => {
                counts.inserts += 1;
                pending.rows.insert(key(table, &change.new), Some(change.new.clone()));
            }
            Kind::Update => {
                counts.updates += 1;
                pending.update(change).await?;
            }
            Kind::Delete => {
                let Some(old) = &change.old else { continue };
                counts.deletes += 1;
                pending.rows.insert(key(table, old), None);
            }
        }
    }
    pending.flush().await?;
    Ok(counts)
}

fn key(table: &Table, tuple: &Tuple) -> Key {
    table.key.iter().map(|name| find(tuple, name)).collect()
}

fn find(tuple: &Tuple, name: &str) -> Value {
    tuple.iter().find(|(own, _)| own == name).map_or(Value::Null, |(_, value)| value.clone())
}

impl Pending<'_> {
    async fn update(&mut self, change: &Change) -> Result<(), Error> {
        let old = change.old.as_ref().map_or_else(|| key(self.table, &change.new), |old| key(self.table, old));
        let mut row = change.new.clone();
        if row.iter().any(|(_, value)| *value == Value::Unchanged) {
            let Some(Some(before)) = self.rows.get(&old) else {
                // What the row keeps is only known on the warehouse.
                self.flush().await?;
                return self.patch(&old, &row).await;
            };
            for (name, value) in row.iter_mut().filter(|(_, value)| *value == Value::Unchanged) {
                *value = find(before, name);
            }
        }
        self.rows.insert(old, None);
        self.rows.insert(key(self.table, &row), Some(row));
        Ok(())
    }

    /// Updates one row in place, all but its unchanged columns.
    async fn patch(&self, old: &Key, row: &Tuple) -> Result<(), Error> {
        let told = |column: &&Column| {
            column
                .source
                .as_ref()
                .is_none_or(|name| row.iter().any(|(own, value)| own == name && *value != Value::Unchanged))
        };
        let columns: Vec<&Column> = self.table.columns.iter().filter(told).collect();
        let name = self.name();
        let set: Vec<String> = columns.iter().map(|column| format!("{0} = d.{0}", quoted(&column.name))).collect();
        let new: Vec<String> =
            columns.iter().map(|column| format!("{} as {}", column.expression, quoted(&column.name))).collect();
        let sql = format!(
            "update {name} set {} from (select {} from {}) d, (select {} from {}) o where {}",
            set.join(", "),
            new.join(", "),
            self.values(&[row]),
            self.key_expressions(),
            self.values(&[&self.as_tuple(old)]),
            self.same_key("o"),
        );
        self.target.batch_execute(&sql).await
    }

    /// Writes all that is pending.
    async fn flush(&mut self) -> Result<(), Error> {
        let (rows, loose) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.loose));
        let keys: Vec<Tuple> = rows.keys().map(|key| self.as_tuple(key)).collect();
        for chunk in keys.chunks(CHUNK) {
            let chunk: Vec<&Tuple> = chunk.iter().collect();
            let sql = format!(
                "delete from {} using (select {} from {}) d where {}",
                self.name(),
                self.key_expressions(),
                self.values(&chunk),
                self.same_key("d")
            );
            self.target.batch_execute(&sql).await?;
        }
        let rows: Vec<Tuple> = rows.into_values().flatten().chain(loose).collect();
        let columns: Vec<String> = self.table.columns.iter().map(|column| quoted(&column.name)).collect();
        let expressions: Vec<&str> = self.table.columns.iter().map(|column| column.expression.as_str()).collect();
        let filter = self.table.condition.as_ref().map(|condition| format!(" where {condition}")).unwrap_or_default();
        for chunk in rows.chunks(CHUNK) {
            let chunk: Vec<&Tuple> = chunk.iter().collect();
            let sql = format!(
                "insert into {} ({}) select {} from {}{filter}",
                self.name(),
                columns.join(", "),
                expressions.join(", "),
                self.values(&chunk)
            );
            self.target.batch_execute(&sql).await?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("{}.{}", quoted(&self.table.target_schema), quoted(&self.table.target_name))
    }

    fn as_tuple(&self, key: &Key) -> Tuple {
        self.table.key.iter().cloned().zip(key.iter().cloned()).collect()
    }

    fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.table
            .key
            .iter()
            .filter_map(|name| self.table.columns.iter().find(|column| column.source.as_deref() == Some(name)))
    }

    fn key_expressions(&self) -> String {
        let all: Vec<String> =
            self.key_columns().map(|column| format!("{} as {}", column.expression, quoted(&column.name))).collect();
        all.join(", ")
    }

    fn same_key(&self, alias: &str) -> String {
        let name = self.name();
        let all: Vec<String> =
            self.key_columns().map(|column| format!("{name}.{0} = {alias}.{0}", quoted(&column.name))).collect();
        all.join(" and ")
    }

    /// Rows as a table that looks like the source's. The types of the first row hold for all.
    fn values(&self, rows: &[&Tuple]) -> String {
        let names: Vec<String> = self.table.wires.iter().map(|(name, _)| quoted(name)).collect();
        let lines: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let values: Vec<String> = self
                    .table
                    .wires
                    .iter()
                    .map(|(name, type_)| {
                        let literal = match find(row, name) {
                            Value::Text(text) => literal(&text),
                            Value::Null | Value::Unchanged => "null".to_owned(),
                        };
                        if at == 0 { format!("{literal}::{type_}") } else { literal }
                    })
                    .collect();
                format!("({})", values.join(","))
            })
            .collect();
        format!("(values {}) as s({})", lines.join(","), names.join(", "))
    }
}

/// A text as SQL, whatever it holds.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
