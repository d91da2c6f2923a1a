//! Dropping the replication slots of tasks and serverless replications that are gone, on their sources.
//!
//! Before a task that reads changes is deleted, its source endpoint gets the tag `towpath:slots:TASK`: a run that is
//! killed between the deletion and the drop leaves the drop to the next run, which needs no journal to know of it. An
//! endpoint that is deleted as well is deleted after the drop was tried.

use async_trait::async_trait;
/// The kinds whose objects leave slots.
pub(super) use towpath_aws::dms::KINDS;
use towpath_engine::address::Address;
use towpath_engine::apply::BeforeDelete;
use towpath_engine::apply::retry::Retry;
use towpath_engine::journal::{Journal, Record};
use towpath_engine::kind::{Object, Tags};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Plan, Step};
use towpath_engine::stack::Resource;
use towpath_engine::value::{Value, references};

use super::lease::Held;
use super::session::Session;
use super::{CliError, data, plan};
use crate::database::postgres::Postgres;
use crate::migrate::slots;
use crate::report::leftovers::Leftover;
use crate::report::output::Output;

/// The kind whose objects remember slots that are still to be dropped.
const ENDPOINT: &str = "dms/endpoint";

/// The beginning of the tag of a source endpoint that says of which deleted task slots may be left there.
const TAG: &str = "towpath:slots:";

/// Its value until they are dropped, and afterwards.
const DUE: &str = "due";
const DROPPED: &str = "dropped";

/// A task, or serverless replication, that is or will be gone, and where its slots may be.
#[derive(Clone)]
pub(super) struct Task {
    /// Its kind.
    pub(super) kind: String,
    /// Its physical name.
    pub(super) identity: String,
    arn: String,
    sources: Vec<Source>,
    /// Whether it is known to have read changes; otherwise a source that cannot be reached is no leftover.
    reads_changes: bool,
    /// Whether an earlier run has deleted it.
    is_gone: bool,
    /// The live source endpoints that say so.
    marked: Vec<Object>,
}

/// Whether objects of a kind leave slots.
fn leaves_slots(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// Where a task has read from.
#[derive(Clone)]
enum Source {
    /// A source endpoint of the stack file, by resource.
    Declared(String),
    /// An endpoint of which no file tells, as it was when the task was deleted.
    Found { name: String, state: Value },
}

impl Task {
    /// What its ARN and its slots are named after.
    fn id(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// Whether both are of one name, and so of the same slots.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    /// Whether it has read from this endpoint: its resource and its physical name.
    fn reads_from(&self, resource: &str, identity: &str) -> bool {
        self.sources.iter().any(|source| match source {
            Source::Declared(name) => name == resource,
            Source::Found { name, .. } => name.eq_ignore_ascii_case(identity),
        })
    }
}

/// The tasks that a plan deletes, asked before it is carried out, while they can still be read.
pub(super) async fn going(session: &Session, plan: &Plan, observation: &Observation) -> Result<Vec<Task>, CliError> {
    let mut tasks = Vec::new();
    for step in plan.steps.iter().filter(|step| step.action == Action::Delete && leaves_slots(&step.address.kind)) {
        let object = observation.of(&step.address.kind).iter().find(|object| object.identity == step.identity);
        let mode = object.and_then(|object| object.state.get("mode")).and_then(Value::as_str);
        let found = object.and_then(|object| source_of(object, observation));
        tasks.extend(task(session, &step.address, &step.identity, mode, found).await?);
    }
    Ok(tasks)
}

/// The same, marked on their source endpoints, and those that earlier runs have deleted without dropping their slots.
pub(super) async fn deleted(
    session: &Session,
    held: &Held,
    plan: &Plan,
    observation: &Observation,
) -> Result<Vec<Task>, CliError> {
    let stays = |object: &&Object| {
        !plan.steps.iter().any(|step| {
            step.action == Action::Delete
                && step.address.kind == ENDPOINT
                && step.identity.eq_ignore_ascii_case(&object.identity)
        })
    };
    // What goes needs no settling.
    let settled = |mut task: Task| {
        task.marked.retain(|endpoint| stays(&endpoint));
        task
    };
    let mut tasks: Vec<Task> = due(session, observation).into_iter().map(settled).collect();
    for mut task in going(session, plan, observation).await? {
        if task.reads_changes {
            let is_its = |object: &&Object| {
                object.owner().is_some_and(|(_, resource)| task.reads_from(resource, &object.identity))
            };
            task.marked = own_endpoints(session, observation).filter(is_its).cloned().collect();
            mark(session, held, &task, DUE).await?;
        }
        tasks.push(settled(task));
    }
    Ok(tasks)
}

fn own_endpoints<'a>(session: &'a Session, observation: &'a Observation) -> impl Iterator<Item = &'a Object> {
    let is_own = |object: &&Object| object.owner().is_some_and(|(stack, _)| stack == session.stack.name);
    observation.of(ENDPOINT).iter().filter(is_own)
}

/// The tasks of which a source endpoint says that their slots are still to be dropped. One that was made again and has
/// been started since has slots that it needs.
pub(super) fn due(session: &Session, observation: &Observation) -> Vec<Task> {
    let mut tasks = Vec::new();
    for endpoint in own_endpoints(session, observation) {
        let Some((_, resource)) = endpoint.owner() else { continue };
        let tags = endpoint.tags.iter().flatten().filter(|(_, value)| *value == DUE);
        for id in tags.filter_map(|(key, _)| key.strip_prefix(TAG)) {
            let Some(arn) = endpoint.outputs.get("arn").and_then(Value::as_str) else { continue };
            let arn = arn.rsplit_once(":endpoint:").map(|(place, _)| format!("{place}:task:{id}")).unwrap_or_default();
            let is_it = |task: &&Object| {
                let own = task.outputs.get("arn").and_then(Value::as_str).and_then(|arn| arn.rsplit(':').next());
                own == Some(id)
            };
            let live = KINDS.into_iter().flat_map(|kind| observation.of(kind)).find(is_it);
            if live.is_some_and(has_run) {
                continue;
            }
            tasks.push(Task {
                kind: "dms/replication_task".to_owned(),
                identity: id.to_owned(),
                arn,
                sources: vec![match session.stack.resources.get(resource) {
                    Some(_) => Source::Declared(resource.to_owned()),
                    None => Source::Found { name: endpoint.identity.clone(), state: endpoint.state.clone() },
                }],
                reads_changes: true,
                is_gone: true,
                marked: vec![endpoint.clone()],
            });
        }
    }
    tasks
}

fn has_run(task: &Object) -> bool {
    let status = task.outputs.get("status").and_then(Value::as_str).unwrap_or_default();
    let started = task.outputs.get("started").is_some_and(|started| !started.is_null());
    status != "deleting" && (started || !matches!(status, "creating" | "ready"))
}

/// Drops what a former task of the same name has left on the source of one that has never run.
pub(super) async fn release_former(source: &Postgres, arn: &str, output: &Output) -> Result<(), CliError> {
    let unusable = |error| CliError::failed("the slots of the task before cannot be dropped", &error);
    for slot in slots::of_task(source, arn).await.map_err(unusable)? {
        slots::drop(source, &slot.name).await.map_err(unusable)?;
        output.talk(&format!("  ✓ replication slot {} of the task before dropped", slot.name));
    }
    Ok(())
}

/// Says on the source endpoints of a task how it is with its slots there.
async fn mark(session: &Session, held: &Held, task: &Task, word: &str) -> Result<(), CliError> {
    let Some(kind) = session.registry.get(ENDPOINT) else { return Ok(()) };
    let tags = Tags::from([(format!("{TAG}{}", task.id()), word.to_owned())]);
    let retry = Retry::new(session.clock.as_ref(), plan::seed());
    for endpoint in &task.marked {
        if !held.guard().may_change(session.clock.as_ref()).await {
            return Err(held.loss());
        }
        let written = retry.call(ENDPOINT, || kind.tag(endpoint, &tags)).await;
        written.map_err(|fault| CliError::failed(format!("`{}` cannot be tagged", endpoint.identity), &fault))?;
    }
    Ok(())
}

/// Drops the slots of tasks that earlier runs have deleted, where there is nothing else to do.
pub(super) async fn release_due(
    session: &Session,
    held: &Held,
    observation: &Observation,
    output: &Output,
) -> Result<(), CliError> {
    release_and_settle(session, held, due(session, observation), output).await
}

async fn release_and_settle(session: &Session, held: &Held, tasks: Vec<Task>, output: &Output) -> Result<(), CliError> {
    for task in tasks {
        let left = release(session, std::slice::from_ref(&task), output).await?;
        warn(&left, output);
        if left.is_empty() {
            mark(session, held, &task, DROPPED).await?;
        }
    }
    Ok(())
}

/// The tasks that the stack or the journal names and that do not exist.
pub(super) async fn gone(session: &Session, observation: &Observation) -> Result<Vec<Task>, CliError> {
    let place = session.locate().await?;
    let mut named: Vec<(Address, String)> = Vec::new();
    for kind in KINDS {
        named.extend(self::named(session, kind)?);
    }
    for (name, resource) in &session.stack.resources {
        let kind = session.registry.get(&resource.address.kind).filter(|kind| leaves_slots(kind.kind()));
        let identity = kind.and_then(|kind| kind.name(&place, name, &resource.spec).ok());
        named.extend(identity.map(|identity| (resource.address.clone(), identity)));
    }
    named.sort();
    named.dedup();
    let mut tasks = Vec::new();
    for (address, identity) in named {
        if !observation.of(&address.kind).iter().any(|object| object.identity.eq_ignore_ascii_case(&identity)) {
            tasks.extend(task(session, &address, &identity, None, None).await?);
        }
    }
    Ok(tasks)
}

/// Everything of a kind that the journal has seen made: resource and physical name.
pub(super) fn named(session: &Session, kind: &str) -> Result<Vec<(Address, String)>, CliError> {
    let entries = session.journal().entries();
    let entries = entries.map_err(|error| CliError::failed("the journal cannot be read", &error))?;
    let made = entries.into_iter().filter_map(|entry| match entry.record {
        Record::Made { address, identity } | Record::Done { address, identity, .. } => Some((address, identity)),
        _ => None,
    });
    Ok(made.filter(|(address, _)| address.kind == kind).collect())
}

/// The endpoint that a task reads from, as it is.
fn source_of(task: &Object, observation: &Observation) -> Option<Source> {
    let arn = task.state.get("source")?;
    let is_it = |object: &&Object| object.outputs.get("arn") == Some(arn);
    let endpoint = observation.of("dms/endpoint").iter().find(is_it)?;
    Some(Source::Found { name: endpoint.identity.clone(), state: endpoint.state.clone() })
}

/// A task with its sources, `found` if no file tells them; `None` for one that never had a slot.
async fn task(
    session: &Session,
    address: &Address,
    identity: &str,
    mode: Option<&str>,
    found: Option<Source>,
) -> Result<Option<Task>, CliError> {
    let declared = session.stack.resources.get(&address.name).filter(|resource| resource.address.kind == address.kind);
    let text = |resource: &Resource, field: &str| resource.spec.get(field).and_then(Value::as_str).map(str::to_owned);
    let modes = [mode.map(str::to_owned), declared.and_then(|resource| text(resource, "mode"))];
    let reads_changes = modes.iter().flatten().any(|mode| mode.contains("cdc"));
    if !reads_changes && modes.iter().any(Option::is_some) {
        return Ok(None);
    }
    let is_source = |resource: &Resource| {
        resource.address.kind == "dms/endpoint"
            && text(resource, "direction").as_deref() == Some("source")
            && text(resource, "engine").is_some_and(|engine| engine.contains("postgres"))
    };
    let own = declared.and_then(|resource| references(resource.spec.get("source")?).into_iter().next());
    let mut sources: Vec<Source> = if let Some(reference) = own {
        vec![Source::Declared(reference.resource)]
    } else {
        let endpoints = session.stack.resources.iter().filter(|(_, resource)| is_source(resource));
        endpoints.map(|(name, _)| Source::Declared(name.clone())).collect()
    };
    if sources.is_empty() {
        sources.extend(found);
    }
    let place = session.locate().await?;
    let arn = towpath_aws::dms::arn_of(&place, &address.kind, identity);
    let (kind, identity) = (address.kind.clone(), identity.to_owned());
    Ok(Some(Task { kind, identity, arn, sources, reads_changes, is_gone: false, marked: Vec::new() }))
}

/// Drops the slots of tasks before a source endpoint of theirs is deleted, which would take along what it knows of them.
pub(super) struct Dropping<'a> {
    pub(super) session: &'a Session,
    pub(super) plan: &'a Plan,
    pub(super) tasks: &'a [Task],
    pub(super) output: &'a Output,
}

#[async_trait(?Send)]
impl BeforeDelete for Dropping<'_> {
    async fn before_delete(&self, step: &Step) {
        if step.address.kind != ENDPOINT {
            return;
        }
        let is_gone = |task: &&Task| {
            let mut before = step.after.iter().map(|id| &self.plan.steps[*id]);
            task.is_gone
                || before.any(|before| {
                    before.action == Action::Delete
                        && before.address.kind == task.kind
                        && before.identity == task.identity
                })
        };
        let tasks = self.tasks.iter().filter(|task| task.reads_from(&step.address.name, &step.identity));
        let tasks: Vec<Task> = tasks.filter(is_gone).cloned().collect();
        // What stays is told when the run has ended, by those who tell what is left.
        if let Err(error) = release(self.session, &tasks, self.output).await {
            error.show(self.output);
        }
    }
}

/// Drops the slots of those tasks that this run has seen gone, and warns of what stays. A task that could not be deleted
/// needs its slot to go on.
pub(super) async fn release_deleted(
    session: &Session,
    held: &Held,
    mut tasks: Vec<Task>,
    output: &Output,
) -> Result<(), CliError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let entries = session.journal().entries();
    let entries = entries.map_err(|error| CliError::failed("the journal cannot be read", &error))?;
    let has_deleted = |task: &Task, record: &Record| {
        let Record::Done { address, action, identity, .. } = record else { return false };
        *action == Action::Delete && address.kind == task.kind && *identity == task.identity
    };
    let own = entries.iter().filter(|entry| entry.run == held.run());
    tasks.retain(|task| task.is_gone || own.clone().any(|entry| has_deleted(task, &entry.record)));
    release_and_settle(session, held, tasks, output).await
}

/// Drops the slots of tasks, and gives those that could not be dropped or looked for.
pub(super) async fn release(session: &Session, tasks: &[Task], output: &Output) -> Result<Vec<Leftover>, CliError> {
    let mut left = Vec::new();
    for task in tasks {
        if task.sources.is_empty() && task.reads_changes {
            left.push(unseen(task, None, "the stack has no source endpoint that could be looked at"));
        }
        for source in &task.sources {
            match release_at(session, task, source, output).await {
                Ok(slots) => left.extend(slots),
                Err(error) if task.reads_changes => left.push(unseen(task, Some(source), &error.summary())),
                Err(_) => {}
            }
        }
    }
    Ok(left)
}

async fn release_at(
    session: &Session,
    task: &Task,
    source: &Source,
    output: &Output,
) -> Result<Vec<Leftover>, CliError> {
    let (endpoint, database) = match source {
        Source::Declared(name) => (name, data::source(session, name).await?),
        Source::Found { name, state } => (name, data::found_source(session, name, state).await?),
    };
    let unreadable = |error| CliError::failed(format!("the slots of `{endpoint}` cannot be read"), &error);
    let mut left = Vec::new();
    for slot in slots::of_task(&database, &task.arn).await.map_err(unreadable)? {
        let kept = size(slot.retained);
        match slots::drop(&database, &slot.name).await {
            Ok(()) => output.talk(&format!("  ✓ replication slot {} dropped on {endpoint} ({kept} of WAL)", slot.name)),
            Err(error) => left.push(Leftover {
                what: "replication slot".to_owned(),
                name: slot.name.clone(),
                about: format!("of task `{}` on {endpoint}, keeps {kept} of WAL; not dropped: {error}", task.identity),
                monthly: None,
                basis: "fills the disk of the source as long as it stays".to_owned(),
                delete: at(Some(source), &format!("select pg_drop_replication_slot('{}')", slot.name)),
            }),
        }
    }
    Ok(left)
}

/// The slots of a task whose source could not be looked at.
fn unseen(task: &Task, source: Option<&Source>, why: &str) -> Leftover {
    let id = task.id().to_lowercase().replace('-', "_");
    Leftover {
        what: "replication slot".to_owned(),
        name: format!("{id}_…"),
        about: format!("task `{}` may have left one on its source: {why}", task.identity),
        monthly: None,
        basis: "a slot fills the disk of the source as long as it stays".to_owned(),
        delete: at(
            source,
            &format!(
                "select slot_name, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), \
                 pg_drop_replication_slot(slot_name) from pg_replication_slots where starts_with(slot_name, '{id}_')"
            ),
        ),
    }
}

/// A statement, with the command that says it to a database of which no file tells.
fn at(source: Option<&Source>, sql: &str) -> String {
    let Some(Source::Found { state, .. }) = source else { return sql.to_owned() };
    let named = [("host", "host"), ("port", "port"), ("database", "dbname"), ("username", "user")];
    let parts = named.into_iter().filter_map(|(field, word)| {
        let value = state.get("connection")?.get(field)?;
        Some(format!("{word}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    });
    format!("psql \"{}\" -c \"{sql}\"", parts.collect::<Vec<_>>().join(" "))
}

/// Says what is left where that is not what the command is about.
fn warn(left: &[Leftover], output: &Output) {
    for one in left {
        output.alert(&format!("  ! {} `{}`: {}\n    to drop it: {}", one.what, one.name, one.about, one.delete));
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GB", bytes as f64 / 1_073_741_824.0),
    }
}
