//! What of a task's work is on the warehouse for good: its loaded tables, and the place in the source's log up to
//! which changes were applied.
//!
//! Each entry is written in the transaction that writes the rows, so a run that was killed at any moment neither
//! repeats nor skips one. The two tables lie in `pg_catalog`, where no listing of the warehouse shows them.

use std::collections::HashMap;

use tokio_postgres::{Client, Error};

use super::catalog::Table;

/// A task's load: all runs from one fresh start to the next share it.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// The task's ARN.
    pub(crate) task: String,
    /// When the task was last started afresh, in milliseconds since 1970.
    pub(crate) generation: i64,
}

/// A table that is loaded.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// Rows it had then.
    pub(super) rows: u64,
    /// The source's snapshot it was read in: `pg_current_snapshot()` as text.
    pub(super) snapshot: String,
}

/// Schema and name on the source.
pub(crate) type Name = (String, String);

impl Ledger {
    /// Makes the tables, and forgets what earlier loads of the task wrote; gives the tables of this load.
    pub(super) async fn open(&self, target: &Client) -> Result<HashMap<Name, Loaded>, Error> {
        // The lock keeps two tasks from making the tables at once; any number will do that nobody else takes.
        target
            .batch_execute(
                "begin; select pg_advisory_xact_lock(5439002); set local allow_system_table_mods = on; \
                 create table if not exists pg_catalog.dms_loads (task text, generation bigint, source_schema text, source_table text, \
                 rows bigint not null, snapshot text not null, primary key (task, generation, source_schema, source_table)); \
                 create table if not exists pg_catalog.dms_positions (task text primary key, generation bigint not null, lsn pg_lsn not null); \
                 commit",
            )
            .await?;
        for table in ["dms_loads", "dms_positions"] {
            let forget = format!("delete from pg_catalog.{table} where task = $1 and generation <> $2");
            target.execute(&forget, &[&self.task, &self.generation]).await?;
        }
        self.loaded(target).await
    }

    /// The tables this load has completed.
    pub(super) async fn loaded(&self, target: &Client) -> Result<HashMap<Name, Loaded>, Error> {
        let select = "select source_schema, source_table, rows, snapshot from pg_catalog.dms_loads where task = $1 and generation = $2";
        let rows = target.query(select, &[&self.task, &self.generation]).await?;
        Ok(rows
            .iter()
            .map(|row| {
                ((row.get(0), row.get(1)), Loaded { rows: row.get::<_, i64>(2).unsigned_abs(), snapshot: row.get(3) })
            })
            .collect())
    }

    /// Takes a table for the transaction at hand, waiting for whoever has it; not when it is loaded already.
    pub(super) async fn claim(&self, target: &Client, table: &Table, snapshot: &str) -> Result<bool, Error> {
        let insert = "insert into pg_catalog.dms_loads values ($1, $2, $3, $4, 0, $5) on conflict do nothing";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&self.task, &self.generation, &table.schema, &table.name, &snapshot];
        target.execute(insert, &values).await.map(|count| count == 1)
    }

    /// Keeps how many rows a claimed table has.
    pub(super) async fn count(&self, target: &Client, table: &Table, rows: u64) -> Result<(), Error> {
        let update = "update pg_catalog.dms_loads set rows = $5 where task = $1 and generation = $2 and source_schema = $3 and source_table = $4";
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        target.execute(update, &[&self.task, &self.generation, &table.schema, &table.name, &rows]).await.map(|_| ())
    }

    /// Enters a table that was loaded again, in the transaction that writes its rows.
    pub(super) async fn replace(&self, target: &Client, table: &Table, rows: u64, snapshot: &str) -> Result<(), Error> {
        let insert = "insert into pg_catalog.dms_loads values ($1, $2, $3, $4, $5, $6) \
                      on conflict (task, generation, source_schema, source_table) do update set rows = excluded.rows, snapshot = excluded.snapshot";
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&self.task, &self.generation, &table.schema, &table.name, &rows, &snapshot];
        target.execute(insert, &values).await.map(|_| ())
    }

    /// The place up to which changes were applied.
    pub(super) async fn reached(&self, target: &Client) -> Result<Option<String>, Error> {
        let select = "select lsn::text from pg_catalog.dms_positions where task = $1 and generation = $2";
        Ok(target.query_opt(select, &[&self.task, &self.generation]).await?.map(|row| row.get(0)))
    }

    /// Moves the place on from where it is known to be, in the transaction at hand; not when it is elsewhere by now.
    pub(super) async fn reach(&self, target: &Client, from: Option<&str>, to: &str) -> Result<bool, Error> {
        let count = match from {
            None => {
                let insert =
                    "insert into pg_catalog.dms_positions values ($1, $2, $3::text::pg_lsn) on conflict do nothing";
                target.execute(insert, &[&self.task, &self.generation, &to]).await?
            }
            Some(from) => {
                let update = "update pg_catalog.dms_positions set lsn = $4::text::pg_lsn \
                              where task = $1 and generation = $2 and lsn = $3::text::pg_lsn";
                target.execute(update, &[&self.task, &self.generation, &from, &to]).await?
            }
        };
        Ok(count == 1)
    }
}
