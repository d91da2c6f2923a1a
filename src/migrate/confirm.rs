//! Counts rows on both sides after a load.

use futures::StreamExt;
use serde::Serialize;

use super::mappings::{Mappings, TableName};
use super::{MigrateError, MigrateEvent, Session, at};
use crate::database::{Database, DatabaseError, quote_identifier};

/// Rows of one table on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The table in the source.
    pub source: TableName,
    /// The table in the warehouse.
    pub target: TableName,
    /// Rows in the source.
    pub source_rows: u64,
    /// Rows in the warehouse; none when the table is not there.
    pub target_rows: Option<u64>,
}

impl Count {
    /// Whether both sides have as many rows.
    pub fn is_same(&self) -> bool {
        self.target_rows == Some(self.source_rows)
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.target_rows {
            Some(rows) => {
                write!(formatter, "{} has {} rows, {} has {rows}", self.source, self.source_rows, self.target)
            }
            None => write!(formatter, "{} is not in the warehouse", self.target),
        }
    }
}

/// Counts every table, a few at a time.
pub(super) async fn counts(
    session: &Session<'_>,
    tables: &[TableName],
    mappings: &Mappings,
) -> Result<Vec<Count>, MigrateError> {
    let count = |name: TableName| async move {
        let target = mappings.target(&name);
        let source_rows = count(session.source, &name).await.map_err(|error| at(session.source, error))?;
        let target_rows = match count(session.warehouse, &target).await {
            Ok(rows) => Some(rows),
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(at(session.warehouse, error)),
        };
        let count = Count { source: name, target, source_rows, target_rows };
        (session.on_event)(MigrateEvent::TableCounted(count.clone()));
        Ok(count)
    };
    let all: Vec<_> = futures::stream::iter(tables.to_vec()).map(count).buffered(4).collect().await;
    all.into_iter().collect()
}

async fn count(database: &dyn Database, name: &TableName) -> Result<u64, DatabaseError> {
    let sql = format!("select count(*) from {}.{}", quote_identifier(&name.schema), quote_identifier(&name.table));
    let rows = database.query(&sql).await?;
    let count = rows.rows.first().and_then(|row| row.first()?.as_ref()?.parse().ok());
    count.ok_or_else(|| DatabaseError::Refused {
        code: None,
        message: format!("`{sql}` gave no number"),
        position: None,
    })
}

/// No such table or schema. The Data API gives the message alone.
fn is_missing(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Refused { code: Some(code), .. } => matches!(code.as_str(), "42P01" | "3F000"),
        DatabaseError::Refused { code: None, message, .. } => message.contains("does not exist"),
        DatabaseError::Unreachable { .. } => false,
    }
}
