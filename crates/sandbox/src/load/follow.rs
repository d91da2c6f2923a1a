//! Change data capture: reads a logical replication slot of the source over plain SQL and applies what it tells.
//!
//! The slot is made before the load's snapshot is taken, so no change is lost; a change whose transaction a table's
//! snapshot already saw is left out, so none comes twice. The place reached is written with the rows, and the slot
//! is moved on only afterwards. The slot stays when the task is deleted, as with DMS.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::catalog::{self, Table};
use super::decoding::{self, Change};
use super::ledger::{Loaded, Name};
use super::{Job, Preparation, Progress, State, TableProgress, apply, copy, describe, now, reload};

/// Between two looks at a slot without changes.
const PAUSE: Duration = Duration::from_millis(300);
/// Changes read at once; a transaction is never cut.
const BATCH: i32 = 20_000;
/// So long the slot may be held by the connection of a process that was killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A slot and how far to read it.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    /// The slot's name.
    pub(crate) slot: String,
    /// Whether the slot is the user's own: then it is never made here.
    pub(crate) given: bool,
    /// How far to go.
    pub(crate) until: Until,
}

/// When following ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Never: the task runs until it is stopped.
    Stopped,
    /// When the load is done: `StopTaskCachedChangesNotApplied`.
    Loaded,
    /// When the changes that came during the load are applied: `StopTaskCachedChangesApplied`.
    CaughtUp,
}

/// Makes the slot unless it is there already; drops the one of an earlier load of the task.
///
/// # Errors
/// The source refused, or a slot that held this load's place is gone.
pub(super) async fn open(source: &Client, follow: &Follow, is_fresh: bool) -> Result<(), String> {
    let found = source
        .query_opt("select 1 from pg_replication_slots where slot_name = $1", &[&follow.slot])
        .await
        .map_err(|error| describe(&error))?;
    match (found.is_some(), is_fresh && !follow.given) {
        (true, _) => Ok(()),
        (false, false) => Err(format!("replication slot \"{}\" does not exist", follow.slot)),
        (false, true) => {
            let (own, _) = follow.slot.rsplit_once('_').unwrap_or((&follow.slot, ""));
            let old = "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
                       where starts_with(slot_name, $1 || '_') and slot_name <> $2 and not active";
            source.query(old, &[&own, &follow.slot]).await.map_err(|error| describe(&error))?;
            // It waits for every transaction under way in the cluster: TransactionConsistencyTimeout.
            let make = "select pg_create_logical_replication_slot($1, 'test_decoding')";
            source.batch_execute("set statement_timeout = '600s'").await.map_err(|error| describe(&error))?;
            source.execute(make, &[&follow.slot]).await.map_err(|error| describe(&error))?;
            source.batch_execute("reset statement_timeout").await.map_err(|error| describe(&error))
        }
    }
}

/// A transaction's changes and the place behind it.
struct Batch {
    changes: Vec<(u32, Change)>,
    end: String,
}

/// Follows the source from where the ledger says.
pub(super) struct Follower<'a> {
    pub(super) job: &'a Job,
    pub(super) follow: &'a Follow,
    pub(super) source: Client,
    pub(super) target: Client,
    pub(super) tables: Vec<Table>,
    pub(super) loaded: HashMap<Name, Loaded>,
    pub(super) ignored: HashSet<Name>,
    pub(super) progress: &'a Progress,
    /// The place the ledger has, as far as is known here.
    pub(super) reached: Option<String>,
}

impl Follower<'_> {
    /// Applies changes until the end that was asked for.
    ///
    /// # Errors
    /// Source or warehouse refused as a whole.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let goal = self.text("select pg_current_wal_flush_lsn()::text").await?;
        self.synchronise().await?;
        loop {
            while let Some(name) = self.progress.next_reload() {
                self.reload(&name).await?;
            }
            match self.peek().await? {
                Some(batch) if self.apply(&batch).await? => self.advance(&batch.end).await?,
                // A process that was killed had applied some of it and not yet moved the slot.
                Some(_) => self.synchronise().await?,
                None if self.follow.until == Until::CaughtUp && self.has_reached(&goal).await? => return Ok(()),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Loads a table again; from then on it gets the changes behind its new rows.
    async fn reload(&mut self, name: &Name) -> Result<(), String> {
        let Some((table, loaded)) = reload::table(self.job, &self.target, name, self.progress).await? else {
            return Ok(());
        };
        self.tables.retain(|own| !is(own, name));
        self.tables.push(table);
        self.loaded.insert(name.clone(), loaded);
        Ok(())
    }

    /// Moves the slot to the ledger's place if it lies behind.
    async fn synchronise(&mut self) -> Result<(), String> {
        self.reached = self.job.ledger.reached(&self.target).await.map_err(|error| describe(&error))?;
        let Some(reached) = &self.reached else { return Ok(()) };
        let select = "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1";
        let row = self.source.query_one(select, &[&self.follow.slot]).await.map_err(|error| describe(&error))?;
        if place(row.get(0)) < place(reached) { self.advance(reached).await } else { Ok(()) }
    }

    async fn text(&self, sql: &str) -> Result<String, String> {
        self.source.query_one(sql, &[]).await.map(|row| row.get(0)).map_err(|error| describe(&error))
    }

    /// Whether the source has flushed past a place; the slot had nothing to tell before it.
    async fn has_reached(&self, goal: &str) -> Result<bool, String> {
        Ok(place(&self.text("select pg_current_wal_flush_lsn()::text").await?) >= place(goal))
    }

    /// The next transactions of the slot, if there are any.
    async fn peek(&self) -> Result<Option<Batch>, String> {
        let select = format!(
            "select lsn::text, xid::text::bigint, data from pg_logical_slot_peek_changes($1, null, {BATCH}, 'include-xids', '0', 'skip-empty-xacts', '1')"
        );
        let begun = Instant::now();
        let rows = loop {
            match self.source.query(&select, &[&self.follow.slot]).await {
                Ok(rows) => break rows,
                Err(error) if error.code().is_some_and(|code| code.code() == "55006") && begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(describe(&error)),
            }
        };
        let Some(last) = rows.last() else { return Ok(None) };
        let end = last.get(0);
        let changes = rows
            .iter()
            .filter_map(|row| {
                let xid = u32::try_from(row.get::<_, i64>(1)).unwrap_or(0);
                Some((xid, decoding::change(row.get(2))?))
            })
            .collect();
        Ok(Some(Batch { changes, end }))
    }

    async fn advance(&self, end: &str) -> Result<(), String> {
        let advance = "select pg_replication_slot_advance($1, $2::text::pg_lsn)";
        self.source.execute(advance, &[&self.follow.slot, &end]).await.map(|_| ()).map_err(|error| describe(&error))
    }

    /// Applies a batch and writes down its end, in one transaction; not when the ledger's place has moved meanwhile.
    async fn apply(&mut self, batch: &Batch) -> Result<bool, String> {
        let mut by_table: Vec<(Name, Vec<Change>)> = Vec::new();
        for (xid, change) in &batch.changes {
            let name = (change.schema.clone(), change.table.clone());
            if self.loaded.get(&name).is_some_and(|loaded| saw(&loaded.snapshot, *xid)) {
                continue;
            }
            match by_table.iter_mut().find(|(own, _)| *own == name) {
                Some((_, changes)) => changes.push(change.clone()),
                None => by_table.push((name, vec![change.clone()])),
            }
        }
        for (name, changes) in &by_table {
            self.meet(name, changes).await?;
        }
        let failed = |error: tokio_postgres::Error| describe(&error);
        self.target.batch_execute("begin").await.map_err(failed)?;
        let moved = self.job.ledger.reach(&self.target, self.reached.as_deref(), &batch.end).await.map_err(failed)?;
        if !moved {
            self.target.batch_execute("rollback").await.map_err(failed)?;
            return Ok(false);
        }
        let mut done = Vec::new();
        for (name, changes) in &by_table {
            let Some(table) = self.tables.iter().find(|table| is(table, name)) else { continue };
            if self.progress.state(name).is_none_or(|state| state == State::Error) {
                continue;
            }
            self.target.batch_execute("savepoint before_table").await.map_err(failed)?;
            let outcome = apply::changes(&self.target, table, changes).await;
            if outcome.is_err() {
                self.target.batch_execute("rollback to before_table").await.map_err(failed)?;
            }
            done.push((name.clone(), outcome));
        }
        self.target.batch_execute("commit").await.map_err(failed)?;
        self.reached = Some(batch.end.clone());
        for (name, outcome) in done {
            self.progress.change_named(&name, |table| match outcome {
                Ok(counts) => {
                    table.inserts += counts.inserts;
                    table.updates += counts.updates;
                    table.deletes += counts.deletes;
                }
                // TableErrorPolicy SUSPEND_TABLE: the others go on.
                Err(error) => {
                    table.state = State::Error;
                    table.error = Some(describe(&error));
                }
            });
        }
        Ok(true)
    }

    /// Reads the catalog again when a table or a column is new, and brings the warehouse up to it.
    async fn meet(&mut self, name: &Name, changes: &[Change]) -> Result<(), String> {
        let known = self.tables.iter().find(|table| is(table, name));
        let has_all = known.is_some_and(|table| {
            let told = changes.iter().flat_map(|change| &change.new);
            told.into_iter().all(|(column, _)| table.wires.iter().any(|(own, _)| own == column))
        });
        if has_all || self.ignored.contains(name) {
            return Ok(());
        }
        let failed = |error: tokio_postgres::Error| describe(&error);
        let found = catalog::tables(&self.source, &self.job.mappings, self.job.choices).await.map_err(failed)?;
        let Some(mut table) = found.into_iter().find(|table| is(table, name)) else {
            self.ignored.insert(name.clone());
            return Ok(());
        };
        if let Some(schema) = &self.job.target_schema {
            table.target_schema.clone_from(schema);
        }
        copy::prepare(&self.target, &table, Preparation::Nothing).await.map_err(failed)?;
        copy::add_columns(&self.target, &table).await.map_err(failed)?;
        if known.is_none() {
            self.progress.add(TableProgress {
                started: Some(now()),
                ended: Some(now()),
                ..TableProgress::of(&table, State::Completed)
            });
        }
        self.tables.retain(|own| !is(own, name));
        self.tables.push(table);
        Ok(())
    }
}

fn is(table: &Table, name: &Name) -> bool {
    table.schema == name.0 && table.name == name.1
}

/// A place in the log as a number.
fn place(lsn: &str) -> u64 {
    let part = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    lsn.split_once('/').map_or(0, |(high, low)| (part(high) << 32) | part(low))
}

/// Whether a snapshot (`xmin:xmax:xip,...`) saw a transaction, of which the slot tells the lower 32 bits.
fn saw(snapshot: &str, xid: u32) -> bool {
    let mut parts = snapshot.split(':');
    let mut number = || parts.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(least), Some(next)) = (number(), number()) else { return false };
    let epoch = next & !u64::from(u32::MAX);
    let mut full = epoch | u64::from(xid);
    // Transactions of the slot lie close to the snapshot, on either side of a wrap.
    if full > next + u64::from(u32::MAX / 2) {
        full = full.saturating_sub(1 << 32);
    } else if full + u64::from(u32::MAX / 2) < next {
        full += 1 << 32;
    }
    let is_running = parts.next().unwrap_or_default().split(',').any(|own| own.parse() == Ok(full));
    full < least || (full < next && !is_running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_saw_what_had_ended_before_it() {
        assert!(saw("100:105:102,103", 99));
        assert!(saw("100:105:102,103", 101));
        assert!(!saw("100:105:102,103", 102));
        assert!(!saw("100:105:", 105));
        // Transaction numbers of 32 bits wrap; snapshots have 64.
        let wrapped = 1_u64 << 32;
        assert!(saw(&format!("{}:{}:", wrapped + 2, wrapped + 2), u32::MAX - 5));
        assert!(!saw(&format!("{}:{}:", wrapped - 3, wrapped - 3), 4));
    }

    #[test]
    fn places_are_ordered_as_numbers() {
        assert!(place("1/0") > place("0/FFFFFFFF"));
        assert!(place("0/A0") > place("0/9F"));
    }
}
