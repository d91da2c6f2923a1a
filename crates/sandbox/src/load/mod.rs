//! Copies tables from a source PostgreSQL into a warehouse database, as a DMS full load does.
//!
//! Tables are read in one snapshot, several at a time, big ones in ranges of pages, each range a `COPY` stream from
//! server to server that never holds more than one buffer. A table's error does not end the others.
//! Nothing here knows tasks or endpoints; `services::dms::run` does. Start reading at `run`.

mod apply;
mod catalog;
mod copy;
mod decoding;
mod follow;
mod ledger;
mod mapping;
mod progress;
mod reload;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use chrono::Utc;
use futures::future::join_all;
use tokio_postgres::{Client, Config, Error, NoTls};

pub(crate) use catalog::TypeChoices as Choices;
pub(crate) use copy::pipe;
pub(crate) use follow::{Follow, Until};
pub(crate) use ledger::{Ledger, Name};
pub(crate) use mapping::Mappings;
pub(crate) use progress::{Progress, State, TableProgress};

use catalog::Table;
use follow::Follower;
use ledger::Loaded;
use mapping::quoted;

/// Pages (of 8 KB) from which on a table is read in ranges.
const RANGE_PAGES: i64 = 4096;
/// Ranges of one table at most.
const MOST_RANGES: i64 = 16;

/// What happens to a target table before its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preparation {
    /// It is made anew.
    DropAndCreate,
    /// It is emptied, or made when absent.
    Truncate,
    /// It is made when absent.
    Nothing,
}

/// A full load.
pub(crate) struct Job {
    pub(crate) source: Config,
    pub(crate) target: Config,
    pub(crate) mappings: Mappings,
    /// Where all tables go, instead of the schema they have on the source.
    pub(crate) target_schema: Option<String>,
    pub(crate) choices: Choices,
    pub(crate) preparation: Preparation,
    /// Ranges copied at the same time.
    pub(crate) subtasks: usize,
    /// Whether the first table error ends the run.
    pub(crate) stop_on_table_error: bool,
    /// Whether a run without any table is an error.
    pub(crate) fail_without_tables: bool,
    /// Which load of which task this is: tables it has completed are not loaded again.
    pub(crate) ledger: Ledger,
    /// What is known of the tables from the run that is taken up.
    pub(crate) known: Vec<TableProgress>,
    /// Whether tables count as reloaded.
    pub(crate) reloaded: bool,
    /// Whether rows are copied before changes are followed.
    pub(crate) loads: bool,
    /// Where changes are read, when they are followed.
    pub(crate) follow: Option<Follow>,
}

/// A piece of a table that one worker copies.
struct Range {
    table: usize,
    select: String,
}

/// What the workers share.
struct Shared<'a> {
    job: &'a Job,
    tables: &'a [Table],
    /// The snapshot to read in: the name it was exported under, and what it sees.
    snapshot: (String, String),
    queue: Mutex<VecDeque<Range>>,
    /// Ranges of each table that are not copied yet.
    left: Mutex<Vec<usize>>,
    progress: &'a Progress,
}

/// Loads what the mappings choose, then follows the source's changes, as the job says.
///
/// # Errors
/// Why the run as a whole failed. Errors of single tables are in `progress`.
pub(crate) async fn run(job: Job, progress: &Progress) -> Result<(), String> {
    let target = connect(&job.target, "target").await?;
    let loaded = job.ledger.open(&target).await.map_err(|error| describe(&error))?;
    if let Some(follow) = &job.follow {
        let reached = job.ledger.reached(&target).await.map_err(|error| describe(&error))?;
        let source = connect(&job.source, "source").await?;
        follow::open(&source, follow, loaded.is_empty() && reached.is_none() && job.known.is_empty()).await?;
    }
    let tables = load(&job, &target, &loaded, progress).await?;
    let Some(follow) = job.follow.as_ref().filter(|follow| follow.until != Until::Loaded) else {
        while let Some(name) = progress.next_reload() {
            reload::table(&job, &target, &name, progress).await?;
        }
        return Ok(());
    };
    let loaded = job.ledger.loaded(&target).await.map_err(|error| describe(&error))?;
    let source = connect(&job.source, "source").await?;
    let follower = Follower {
        job: &job,
        follow,
        source,
        target,
        tables,
        loaded,
        ignored: HashSet::new(),
        progress,
        reached: None,
    };
    follower.run().await
}

/// Brings the chosen tables to the warehouse, with their rows unless only changes are wanted.
async fn load(
    job: &Job,
    target: &Client,
    loaded: &HashMap<Name, Loaded>,
    progress: &Progress,
) -> Result<Vec<Table>, String> {
    let source = connect(&job.source, "source").await?;
    let begin = "begin isolation level repeatable read read only";
    source.batch_execute(begin).await.map_err(|error| describe(&error))?;
    let snapshot = source
        .query_one("select pg_export_snapshot(), pg_current_snapshot()::text", &[])
        .await
        .map(|row| (row.get(0), row.get(1)))
        .map_err(|error| describe(&error))?;
    let mut tables = catalog::tables(&source, &job.mappings, job.choices).await.map_err(|error| describe(&error))?;
    if let Some(schema) = &job.target_schema {
        for table in &mut tables {
            table.target_schema.clone_from(schema);
        }
    }
    if tables.is_empty() && job.fail_without_tables {
        return Err("No tables were found at task initialization. Either the selection mapping is wrong or the user lacks privileges.".to_owned());
    }
    let waiting = announce(job, &tables, loaded, progress);
    for (at, table) in tables.iter().enumerate().filter(|(at, _)| job.follow.is_some() && !waiting.contains(at)) {
        // The source may have got columns while the task was stopped.
        if let Err(error) = copy::add_columns(target, table).await {
            fail(progress, at, describe(&error));
        }
    }
    let mut queue = VecDeque::new();
    let mut left = vec![0; tables.len()];
    for at in waiting {
        match copy::prepare(target, &tables[at], job.preparation()).await {
            Ok(()) if !job.loads => {}
            Ok(()) => {
                let ranges = ranges(&tables[at], job.preparation());
                left[at] = ranges.len();
                queue.extend(ranges.into_iter().map(|select| Range { table: at, select }));
            }
            Err(error) => fail(progress, at, describe(&error)),
        }
    }
    let workers =
        job.subtasks.min(queue.len()).min(2 * std::thread::available_parallelism().map_or(2, usize::from).max(2));
    let shared = Shared { job, tables: &tables, snapshot, queue: Mutex::new(queue), left: Mutex::new(left), progress };
    for result in join_all((0..workers).map(|_| work(&shared))).await {
        result?;
    }
    for table in &tables {
        // Redshift analyses loaded tables by itself; without it the planner knows nothing of them.
        let analyze = format!("analyze {}.{}", quoted(&table.target_schema), quoted(&table.target_name));
        if let Err(error) = target.batch_execute(&analyze).await {
            tracing::debug!(table = table.name, error = describe(&error), "not analysed");
        }
    }
    let errors = progress.tables().into_iter().find_map(|table| table.error);
    if job.loads {
        progress.load_ended(now());
    }
    match errors {
        Some(error) if job.stop_on_table_error => Err(error),
        _ => Ok(tables),
    }
}

impl Job {
    /// What happens to target tables first: those that only get changes stay as they are.
    fn preparation(&self) -> Preparation {
        if self.loads { self.preparation } else { Preparation::Nothing }
    }
}

/// Lists every table in `progress`; gives those that are still to be loaded.
fn announce(job: &Job, tables: &[Table], loaded: &HashMap<Name, Loaded>, progress: &Progress) -> Vec<usize> {
    let mut waiting = Vec::new();
    let listed = tables
        .iter()
        .enumerate()
        .map(|(at, table)| {
            let known = job.known.iter().find(|known| known.schema == table.schema && known.table == table.name);
            let done = loaded.get(&(table.schema.clone(), table.name.clone()));
            let is_done = done.is_some() || !job.loads;
            if done.is_none() {
                waiting.push(at);
            }
            // The run that is taken up may have died before it told of a table's end.
            let time = |of: fn(&TableProgress) -> Option<i64>| done.map(|_| known.and_then(of).unwrap_or_else(now));
            let count = |of: fn(&TableProgress) -> u64| known.filter(|_| is_done).map_or(0, of);
            TableProgress {
                rows: done.map_or(0, |done| done.rows),
                started: time(|table| table.started),
                ended: time(|table| table.ended),
                reloaded: job.reloaded,
                inserts: count(|table| table.inserts),
                updates: count(|table| table.updates),
                deletes: count(|table| table.deletes),
                ..TableProgress::of(table, if is_done { State::Completed } else { State::BeforeLoad })
            }
        })
        .collect();
    *progress.locked() = listed;
    waiting
}

fn now() -> i64 {
    Utc::now().timestamp_millis()
}

fn fail(progress: &Progress, at: usize, error: String) {
    progress.change(at, |table| {
        table.state = State::Error;
        table.error = Some(error);
        table.ended = Some(now());
    });
}

/// The statements that together read a table. Without preparation a table is one range, so that it arrives whole or not at all.
fn ranges(table: &Table, preparation: Preparation) -> Vec<String> {
    let columns = table.columns.iter().map(|column| column.expression.as_str()).collect::<Vec<_>>().join(", ");
    let from = format!("select {columns} from {}.{}", quoted(&table.schema), quoted(&table.name));
    let filter = table.condition.as_ref().map(|condition| format!("({condition})"));
    let pieces = (table.pages / RANGE_PAGES).clamp(1, MOST_RANGES);
    if pieces == 1 || preparation == Preparation::Nothing {
        return vec![filter.map_or_else(|| from.clone(), |filter| format!("{from} where {filter}"))];
    }
    let step = table.pages / pieces + 1;
    (0..pieces)
        .map(|piece| {
            // The last range is open: pages may have been added since the size was read.
            let end =
                if piece + 1 == pieces { String::new() } else { format!(" and ctid < '({},0)'", (piece + 1) * step) };
            let and = filter.as_ref().map(|filter| format!(" and {filter}")).unwrap_or_default();
            format!("{from} where ctid >= '({},0)'{end}{and}", piece * step)
        })
        .collect()
}

/// One worker: takes ranges until none is left.
async fn work(shared: &Shared<'_>) -> Result<(), String> {
    let source = connect(&shared.job.source, "source").await?;
    let target = connect(&shared.job.target, "target").await?;
    let begin =
        format!("begin isolation level repeatable read read only; set transaction snapshot '{}'", shared.snapshot.0);
    source.batch_execute(&begin).await.map_err(|error| describe(&error))?;
    loop {
        let next = shared.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(range) = next else { return Ok(()) };
        let failed = shared.progress.tables().get(range.table).is_none_or(|table| table.state == State::Error);
        if failed {
            continue;
        }
        shared.progress.change(range.table, |table| {
            table.state = State::Loading;
            table.started.get_or_insert_with(now);
        });
        let done = match shared.job.preparation() {
            Preparation::Nothing => whole(shared, &source, &target, &range).await,
            _ => part(shared, &source, &target, &range).await,
        };
        match done {
            Ok(()) => {}
            Err(error) => {
                fail(shared.progress, range.table, describe(&error));
                target.batch_execute("rollback").await.map_err(|error| describe(&error))?;
                source.batch_execute("rollback").await.map_err(|error| describe(&error))?;
                source.batch_execute(&begin).await.map_err(|error| describe(&error))?;
            }
        }
    }
}

/// Copies a table that was not emptied before: its rows and their entry in the ledger come together or not at all.
async fn whole(shared: &Shared<'_>, source: &Client, target: &Client, range: &Range) -> Result<(), Error> {
    let (table, ledger) = (&shared.tables[range.table], &shared.job.ledger);
    target.batch_execute("begin").await?;
    // Otherwise a run that is dead by now committed the table after this one looked.
    if ledger.claim(target, table, &shared.snapshot.1).await? {
        let rows = stream(shared, source, target, range).await?;
        ledger.count(target, table, rows).await?;
    }
    target.batch_execute("commit").await?;
    completed(shared, range.table);
    Ok(())
}

/// Copies one range of a table that was emptied before; who copies the last one enters the table in the ledger.
async fn part(shared: &Shared<'_>, source: &Client, target: &Client, range: &Range) -> Result<(), Error> {
    stream(shared, source, target, range).await?;
    let is_last = {
        let mut left = shared.left.lock().unwrap_or_else(PoisonError::into_inner);
        left[range.table] -= 1;
        left[range.table] == 0
    };
    let found = shared.progress.tables().into_iter().nth(range.table).filter(|table| table.state != State::Error);
    if let Some(progress) = found.filter(|_| is_last) {
        let (table, ledger) = (&shared.tables[range.table], &shared.job.ledger);
        target.batch_execute("begin").await?;
        ledger.claim(target, table, &shared.snapshot.1).await?;
        ledger.count(target, table, progress.rows).await?;
        target.batch_execute("commit").await?;
        completed(shared, range.table);
    }
    Ok(())
}

async fn stream(shared: &Shared<'_>, source: &Client, target: &Client, range: &Range) -> Result<u64, Error> {
    let on_rows = |rows: u64| shared.progress.change(range.table, |table| table.rows += rows);
    copy::stream(source, target, &range.select, &shared.tables[range.table], on_rows).await
}

fn completed(shared: &Shared<'_>, at: usize) {
    shared.progress.change(at, |table| {
        table.state = State::Completed;
        table.ended = Some(now());
    });
}

/// Connects; the connection ends when the client is dropped.
async fn connect(config: &Config, side: &str) -> Result<Client, String> {
    let (client, connection) =
        config.connect(NoTls).await.map_err(|error| format!("cannot connect to the {side}: {}", describe(&error)))?;
    tokio::spawn(connection);
    client.batch_execute("set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set bytea_output = 'hex'").await.map_err(|error| describe(&error))?;
    Ok(client)
}

fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned())
}
