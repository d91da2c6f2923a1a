//! What the nodes of one run share: the database, and which relations it holds.
//!
//! Templates are synchronous and the database is not: they render on a thread that may block, and
//! wait here for their queries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::event::{ModelsEvent, OnEvent};
use super::node::{Relation, literal};
use crate::database::{Database, DatabaseError, Rows};

/// What a relation is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelationKind {
    /// A table.
    Table,
    /// A view.
    View,
}

impl RelationKind {
    /// Its keyword in SQL.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
        }
    }
}

/// One run's hold on the database.
pub(super) struct Session {
    pub(super) database: Arc<dyn Database>,
    pub(super) full_refresh: bool,
    pub(super) on_event: OnEvent,
    runtime: Handle,
    relations: Mutex<HashMap<Relation, RelationKind>>,
}

impl Session {
    /// A session on this database; to be called inside a runtime.
    pub(super) fn new(database: Arc<dyn Database>, full_refresh: bool, on_event: OnEvent) -> Self {
        Self { database, full_refresh, on_event, runtime: Handle::current(), relations: Mutex::default() }
    }

    /// Reads which relations the schemas hold.
    pub(super) async fn learn(&self, schemas: &[String]) -> Result<(), DatabaseError> {
        if schemas.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = schemas.iter().map(|schema| literal(schema)).collect();
        let rows = self
            .database
            .query(&format!(
                "select n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname in ({}) and c.relkind in ('r', 'p', 'v', 'm')",
                names.join(", ")
            ))
            .await?;
        let mut relations = self.relations();
        for row in rows.rows {
            if let [Some(schema), Some(name), Some(kind)] = row.as_slice() {
                let kind = if kind == "v" { RelationKind::View } else { RelationKind::Table };
                relations.insert(Relation::new(schema, name), kind);
            }
        }
        Ok(())
    }

    fn relations(&self) -> MutexGuard<'_, HashMap<Relation, RelationKind>> {
        self.relations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands there, as far as this run knows.
    pub(super) fn kind_of(&self, relation: &Relation) -> Option<RelationKind> {
        self.relations().get(relation).copied()
    }

    /// Notes what a statement of this run made, or with `None` removed.
    pub(super) fn note(&self, relation: &Relation, kind: Option<RelationKind>) {
        match kind {
            Some(kind) => self.relations().insert(relation.clone(), kind),
            None => self.relations().remove(relation),
        };
    }

    /// Names and types of a relation's columns, in order.
    pub(super) async fn columns(&self, relation: &Relation) -> Result<Vec<(String, String)>, DatabaseError> {
        let sql = format!(
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a join pg_class c on c.oid = a.attrelid \
             join pg_namespace n on n.oid = c.relnamespace where n.nspname = {} and c.relname = {} \
             and a.attnum > 0 and not a.attisdropped order by a.attnum",
            literal(&relation.schema),
            literal(&relation.identifier)
        );
        let rows = self.database.query(&sql).await?;
        Ok(rows
            .rows
            .into_iter()
            .filter_map(|row| {
                let mut cells = row.into_iter();
                Some((cells.next()??, cells.next()??))
            })
            .collect())
    }

    /// Runs a query for a template. Must not be called on a thread that drives the runtime.
    pub(super) fn query_blocking(&self, sql: &str) -> Result<Rows, DatabaseError> {
        self.runtime.block_on(self.database.query(sql))
    }

    /// The columns of a relation, for a template.
    pub(super) fn columns_blocking(&self, relation: &Relation) -> Result<Vec<(String, String)>, DatabaseError> {
        self.runtime.block_on(self.columns(relation))
    }

    /// Tells whoever listens.
    pub(super) fn emit(&self, event: ModelsEvent) {
        (self.on_event)(event);
    }
}
