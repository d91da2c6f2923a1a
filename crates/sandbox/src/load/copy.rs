//! One table or range from server to server, and the target table it goes into.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, TryStreamExt};
use tokio_postgres::{Client, Error};

use super::Preparation;
use super::catalog::Table;
use super::mapping::quoted;

/// Rows are handed on in pieces of about this many bytes.
const PIECE: usize = 256 * 1024;

/// Makes the target table ready.
///
/// # Errors
/// PostgreSQL refused, for example because views depend on a table that must change.
pub(super) async fn prepare(target: &Client, table: &Table, preparation: Preparation) -> Result<(), Error> {
    let (schema, name) = (quoted(&table.target_schema), qualified(table));
    target.batch_execute(&format!("create schema if not exists {schema}")).await?;
    let existing = existing_columns(target, table).await?;
    let wanted: Vec<(String, String)> =
        table.columns.iter().map(|column| (column.name.clone(), column.type_.clone())).collect();
    let columns = table
        .columns
        .iter()
        .map(|column| {
            format!("{} {}{}", quoted(&column.name), column.type_, if column.not_null { " not null" } else { "" })
        })
        .collect::<Vec<_>>()
        .join(", ");
    let create = format!("create table {name} ({columns})");
    match (existing.is_empty(), preparation) {
        (true, _) => target.batch_execute(&create).await,
        (false, Preparation::Nothing) => Ok(()),
        (false, Preparation::Truncate) => target.batch_execute(&format!("truncate {name}")).await,
        // A table of the same shape is emptied instead: the result is the same, and views on it, which Redshift binds late, survive.
        (false, Preparation::DropAndCreate) if existing == wanted => {
            target.batch_execute(&format!("truncate {name}")).await
        }
        (false, Preparation::DropAndCreate) => target.batch_execute(&format!("drop table {name}; {create}")).await,
    }
}

/// Adds the columns that the target table lacks.
///
/// # Errors
/// PostgreSQL refused.
pub(super) async fn add_columns(target: &Client, table: &Table) -> Result<(), Error> {
    let existing = existing_columns(target, table).await?;
    for column in table.columns.iter().filter(|column| !existing.iter().any(|(name, _)| *name == column.name)) {
        let add = format!("alter table {} add column {} {}", qualified(table), quoted(&column.name), column.type_);
        target.batch_execute(&add).await?;
    }
    Ok(())
}

fn qualified(table: &Table) -> String {
    format!("{}.{}", quoted(&table.target_schema), quoted(&table.target_name))
}

async fn existing_columns(target: &Client, table: &Table) -> Result<Vec<(String, String)>, Error> {
    let rows = target
        .query(
            "select a.attname::text, format_type(a.atttypid, a.atttypmod) from pg_attribute a join pg_class c on c.oid = a.attrelid \
             join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relname = $2 and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped order by a.attnum",
            &[&table.target_schema, &table.target_name],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Copies what `select` reads on the source into the target table; gives the number of rows. `on_rows` hears of every
/// piece handed on.
///
/// # Errors
/// Either server refused; the target then keeps none of these rows.
pub(super) async fn stream(
    source: &Client,
    target: &Client,
    select: &str,
    table: &Table,
    on_rows: impl Fn(u64),
) -> Result<u64, Error> {
    let columns = table.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
    let into = format!("copy {} ({columns}) from stdin", qualified(table));
    pipe(source, target, &format!("copy ({select}) to stdout"), &into, on_rows).await
}

/// Carries rows from one `COPY` to another; gives their number.
///
/// # Errors
/// Either server refused; the target then keeps none of these rows.
pub(crate) async fn pipe(
    source: &Client,
    target: &Client,
    out: &str,
    into: &str,
    on_rows: impl Fn(u64),
) -> Result<u64, Error> {
    let mut rows = pin!(source.copy_out(out).await?);
    let mut sink = pin!(target.copy_in::<_, Bytes>(into).await?);
    let mut piece = BytesMut::with_capacity(PIECE + PIECE / 4);
    let (mut count, mut all) = (0, 0);
    while let Some(row) = rows.try_next().await? {
        piece.extend_from_slice(&row);
        count += 1;
        if piece.len() >= PIECE {
            sink.send(piece.split().freeze()).await?;
            piece.reserve(PIECE + PIECE / 4);
            on_rows(count);
            all += count;
            count = 0;
        }
    }
    if !piece.is_empty() {
        sink.send(piece.freeze()).await?;
    }
    sink.finish().await?;
    on_rows(count);
    Ok(all + count)
}
