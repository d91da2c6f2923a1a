//! Loads single tables of a running task again: what `ReloadTables` asks for.
//!
//! The table is emptied and filled in one transaction, together with the snapshot it was read in, so that whoever reads
//! the warehouse sees the old rows or the new ones, and a change of the source that the new rows already have is not
//! applied once more. Which tables are to be reloaded, and when, is not decided here.

use tokio_postgres::{Client, Error};

use super::catalog::{self, Table};
use super::ledger::{Loaded, Name};
use super::{Job, Preparation, Progress, State, copy, describe, now, ranges};

/// Loads one table again. What goes wrong with it is in `progress`, as in the first load.
///
/// # Errors
/// Source or warehouse refused as a whole.
pub(super) async fn table(
    job: &Job,
    target: &Client,
    name: &Name,
    progress: &Progress,
) -> Result<Option<(Table, Loaded)>, String> {
    let source = super::connect(&job.source, "source").await?;
    let begin = "begin isolation level repeatable read read only";
    source.batch_execute(begin).await.map_err(|error| describe(&error))?;
    let found = catalog::tables(&source, &job.mappings, job.choices).await.map_err(|error| describe(&error))?;
    let Some(mut table) = found.into_iter().find(|table| table.schema == name.0 && table.name == name.1) else {
        progress.change_named(name, |own| {
            own.state = State::Error;
            own.error = Some(format!("The table \"{}\".\"{}\" is not on the source", name.0, name.1));
        });
        return Ok(None);
    };
    if let Some(schema) = &job.target_schema {
        table.target_schema.clone_from(schema);
    }
    progress.change_named(name, |own| {
        own.state = State::Reloading;
        own.rows = 0;
        own.error = None;
        own.started = Some(now());
        own.ended = None;
    });
    match again(job, &source, target, &table, progress).await {
        Ok(loaded) => {
            progress.change_named(name, |own| {
                own.rows = loaded.rows;
                own.state = State::Completed;
                own.ended = Some(now());
                own.reloaded = true;
            });
            Ok(Some((table, loaded)))
        }
        Err(error) => {
            target.batch_execute("rollback").await.map_err(|error| describe(&error))?;
            progress.change_named(name, |own| {
                own.state = State::Error;
                own.ended = Some(now());
                own.error = Some(describe(&error));
            });
            Ok(None)
        }
    }
}

async fn again(
    job: &Job,
    source: &Client,
    target: &Client,
    table: &Table,
    progress: &Progress,
) -> Result<Loaded, Error> {
    let snapshot: String = source.query_one("select pg_current_snapshot()::text", &[]).await?.get(0);
    // A reload never adds to what is there, whatever is done before a first load.
    let preparation = match job.preparation {
        Preparation::DropAndCreate => Preparation::DropAndCreate,
        Preparation::Truncate | Preparation::Nothing => Preparation::Truncate,
    };
    let name = (table.schema.clone(), table.name.clone());
    target.batch_execute("begin").await?;
    copy::prepare(target, table, preparation).await?;
    let mut rows = 0;
    for select in ranges(table, Preparation::Nothing) {
        let on_rows = |count: u64| progress.change_named(&name, |own| own.rows += count);
        rows += copy::stream(source, target, &select, table, on_rows).await?;
    }
    job.ledger.replace(target, table, rows, &snapshot).await?;
    target.batch_execute("commit").await?;
    Ok(Loaded { rows, snapshot })
}
