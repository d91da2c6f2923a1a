//! `towpath migrate` and `towpath validate`.

use std::time::Instant;

use clap::Args;
use towpath_engine::apply::retry::Retry;

use super::data::{self, Standing};
use super::lease::hold;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, plan, secrets, slots, typed};
use crate::database::Database;
use crate::migrate::{self, Mappings, MigrateError, Options, Outcome, Reload, TableName, Task};
use crate::report::data as report;
use crate::report::output::Output;
use crate::validate::{self, Level, Pair, Verdict};

/// Arguments of `towpath migrate`.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// Load this table again, as schema.table; may be repeated
    #[arg(long, value_name = "TABLE", value_parser = table)]
    reload: Vec<TableName>,
    /// Load every table again
    #[arg(long, conflicts_with = "reload")]
    reload_all: bool,
    /// Go on although the source has findings that would lose data
    #[arg(long)]
    ignore_findings: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Arguments of `towpath validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// How deep to compare, over the stack's `pipeline.validate.level`
    #[arg(long, value_parser = ["counts", "columns", "rows"])]
    level: Option<String>,
}

impl MigrateArgs {
    /// The same as it is typed after the command.
    fn written(&self) -> String {
        let flags = [(self.reload_all, " --reload-all"), (self.ignore_findings, " --ignore-findings")];
        let flags: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect();
        format!("{}{flags}", typed(self.reload.iter().map(|table| ("--reload", table.to_string()))))
    }
}

fn table(text: &str) -> Result<TableName, String> {
    let (schema, table) = text.split_once('.').ok_or("write schema.table")?;
    Ok(TableName { schema: schema.to_owned(), table: table.to_owned() })
}

/// Migrates, under the stack's lease: an `apply` may be changing the task.
pub(super) async fn run(global: &Global, args: &MigrateArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    secrets::required_by_task(&session, output)?;
    let held = hold(&session, "migrate", args.consent, output).await?;
    held.step("migrating");
    let reload = match (args.reload_all, args.reload.is_empty()) {
        (true, _) => Reload::All,
        (false, false) => Reload::Tables(args.reload.clone()),
        (false, true) => Reload::Changed,
    };
    let options = Options { reload, ignore_findings: args.ignore_findings };
    let work = stage(&session, &options, output);
    let result = held.keeping(&session, &session.command(&format!("migrate{}", args.written())), work).await;
    output.clear();
    held.release().await;
    session.close().await;
    result.map(|_| Exit::Done).map_err(|error| match error.exit {
        Exit::Interrupted => error.because("nobody watches any more; a task that runs goes on by itself"),
        _ => error,
    })
}

fn task(session: &Session) -> Result<&str, CliError> {
    let wanted = session.stack.pipeline.migrate.as_ref();
    wanted.map(|migrate| migrate.task.as_str()).ok_or_else(|| {
        CliError::new(Exit::Usage, "the stack has no `pipeline.migrate`")
            .hint("say which: pipeline: {migrate: {task: load}}")
    })
}

/// Runs the stack's task to its end.
pub(super) async fn stage(session: &Session, options: &Options, output: &Output) -> Result<Outcome, CliError> {
    let task = task(session)?;
    let standing = Standing::read(session).await?;
    let arn = standing.output(task, "arn")?;
    let (warehouse, _) = standing.warehouse(&standing.workgroup_of(task)?)?;
    let source = data::source(session, &standing.source_of(task)?).await?;
    let live = live(session, &arn).await?;
    if live.captures_changes() && live.status == "ready" && live.started.is_none() && live.full_load_started.is_none() {
        slots::release_former(&source, &arn, output).await?;
    }
    let began = Instant::now();
    let on_event = |event| report::migrate(&event, output);
    let migration = migrate::Session {
        cloud: &session.cloud,
        source: &source,
        warehouse: warehouse.as_ref(),
        clock: session.clock.as_ref(),
        on_event: &on_event,
    };
    let done = migrate::run(&migration, &arn, options).await;
    output.clear();
    let done = done.map_err(|error| explain(session, &error))?;
    report::migrated(&done, began.elapsed().as_secs_f64(), output);
    Ok(done.outcome)
}

/// The task as it is now.
async fn live(session: &Session, arn: &str) -> Result<Task, CliError> {
    let retry = Retry::new(session.clock.as_ref(), plan::seed());
    // Boxed, as what is nested deeper than the compiler follows must be.
    let found = Box::pin(retry.call("dms", || migrate::Replication::task(&session.cloud, arn))).await;
    found.map_err(|fault| CliError::failed("the task cannot be read", &fault))
}

/// When the task's last full load began, as text; empty without a task or a load.
pub(super) async fn loaded_at(session: &Session) -> Result<String, CliError> {
    let Some(wanted) = &session.stack.pipeline.migrate else { return Ok(String::new()) };
    let arn = Standing::read(session).await?.output(&wanted.task, "arn")?;
    let live = live(session, &arn).await?;
    Ok(format!("{arn} {:?}", live.full_load_started))
}

fn explain(session: &Session, error: &MigrateError) -> CliError {
    let next = |what: &str, options: &str| format!("{what}: {}", session.command(&format!("migrate{options}")));
    let failed = CliError::failed("the migration did not end well", error);
    match error {
        MigrateError::Tables { tables } => tables
            .iter()
            .fold(failed, |failed, table| failed.hint(next("to load it again", &format!(" --reload {}", table.name)))),
        MigrateError::Connection { .. } => {
            failed.hint("check the endpoint's address, user and security group, then run it again")
        }
        MigrateError::PositionLost => failed.hint(next("to load everything again", " --reload-all")),
        MigrateError::Blocked { .. } => failed.hint(next("to go on all the same", " --ignore-findings")),
        _ => failed.hint(next("to go on", "")),
    }
}

/// Compares.
pub(super) async fn validate(global: &Global, args: &ValidateArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    secrets::required_by_task(&session, output)?;
    let level = args.level.iter().map(|level| ("--level", level.clone()));
    let again = session.command(&format!("validate{}", typed(level)));
    let work = compare(&session, args.level.as_deref(), output);
    let result = data::unless_interrupted(&session, &again, work).await;
    session.close().await;
    result
}

/// Compares every table that the task selects.
pub(super) async fn compare(session: &Session, level: Option<&str>, output: &Output) -> Result<Exit, CliError> {
    let declared = session.stack.pipeline.validate.as_ref().map(|validate| validate.level.as_str());
    let level = match level.or(declared) {
        Some("counts") => Level::Counts,
        Some("columns") => Level::Columns,
        _ => Level::Rows,
    };
    let task = task(session)?;
    let standing = Standing::read(session).await?;
    let (warehouse, _) = standing.warehouse(&standing.workgroup_of(task)?)?;
    let source = data::source(session, &standing.source_of(task)?).await?;
    let pairs = pairs(session, &standing, task, &source).await?;
    let options = validate::Options { level, ..validate::Options::default() };
    let on_table = |table: &validate::TableReport| report::compared(table, output);
    let reports = validate::run(&source, warehouse.as_ref(), &pairs, &options, &on_table)
        .await
        .map_err(|error| CliError::failed("the comparison stopped", &error))?;
    let all_same = reports.iter().all(|report| report.verdict == Verdict::Same);
    Ok(if all_same { Exit::Done } else { Exit::Differences })
}

/// The tables the task selects, with where they land.
async fn pairs(
    session: &Session,
    standing: &Standing<'_>,
    task: &str,
    source: &dyn Database,
) -> Result<Vec<Pair>, CliError> {
    let arn = standing.output(task, "arn")?;
    let live = live(session, &arn).await?;
    let mappings = Mappings::parse(&live.mappings).map_err(|error| CliError::new(Exit::Failed, error))?;
    let sql = "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2";
    let rows =
        source.query(sql).await.map_err(|error| CliError::failed("the source's tables cannot be read", &error))?;
    let names = rows.rows.into_iter().filter_map(|mut row| {
        let (table, schema) = (row.pop()??, row.pop()??);
        Some(TableName { schema, table })
    });
    Ok(names
        .filter(|name| mappings.selects(name))
        .map(|name| {
            let target = mappings.target(&name);
            Pair {
                source: (name.schema, name.table),
                target: (target.schema.to_lowercase(), target.table.to_lowercase()),
            }
        })
        .collect())
}
