//! Runs a project: what is ready is worked on in parallel, what stands on a failure is skipped and
//! named.
//!
//! Start at [`execute`]. Rendering happens on threads that may block, because templates may ask the
//! database; everything else is asynchronous.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use super::check;
use super::compile::{node as compile_node, text as compile_text};
use super::event::{ModelsEvent, NodeResult, OnEvent, Status, Summary};
use super::fault::ModelError;
use super::graph::{heights, waits};
use super::materialize::{self, BuildError};
use super::node::{Node, NodeKind, quote};
use super::project::Project;
use super::seed::load as load_seed;
use super::select::{SelectError, select};
use super::session::Session;
use crate::database::{Database, DatabaseError};

/// What to do with the chosen nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Build models.
    Run,
    /// Run tests.
    Test,
    /// Load seeds.
    Seed,
    /// All three in the order of the graph; a failed test stops what reads its model.
    Build,
}

/// Which nodes, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Selectors; everything where there is none.
    pub select: Vec<String>,
    /// Selectors of what to leave out.
    pub exclude: Vec<String>,
    /// Build incremental models from scratch.
    pub full_refresh: bool,
    /// Sources (`club.events`) that did not arrive: what reads them is skipped.
    pub missing_sources: BTreeSet<String>,
}

/// Builds the models that are chosen.
pub async fn run(
    project: &Arc<Project>,
    database: &Arc<dyn Database>,
    options: &Options,
    on_event: OnEvent,
) -> Result<Summary, SelectError> {
    execute(Work::Run, project, database, options, on_event).await
}

/// Runs the tests that are chosen.
pub async fn test(
    project: &Arc<Project>,
    database: &Arc<dyn Database>,
    options: &Options,
    on_event: OnEvent,
) -> Result<Summary, SelectError> {
    execute(Work::Test, project, database, options, on_event).await
}

/// Loads the seeds that are chosen.
pub async fn seed(
    project: &Arc<Project>,
    database: &Arc<dyn Database>,
    options: &Options,
    on_event: OnEvent,
) -> Result<Summary, SelectError> {
    execute(Work::Seed, project, database, options, on_event).await
}

/// Loads seeds, builds models and runs tests.
pub async fn build(
    project: &Arc<Project>,
    database: &Arc<dyn Database>,
    options: &Options,
    on_event: OnEvent,
) -> Result<Summary, SelectError> {
    execute(Work::Build, project, database, options, on_event).await
}

/// The chosen nodes in the order of the project, without doing anything.
pub fn list<'a>(project: &'a Project, options: &Options) -> Result<Vec<&'a Node>, SelectError> {
    let chosen = select(project, &options.select, &options.exclude)?;
    Ok(chosen.into_iter().map(|index| &project.nodes[index]).collect())
}

/// Whether the work would write anything: of tests, those that keep the rows they find, and whatever hooks do.
pub fn writes(work: Work, project: &Project, options: &Options) -> Result<bool, SelectError> {
    let chosen = select(project, &options.select, &options.exclude)?;
    let hooked = !project.on_run_start.is_empty() || !project.on_run_end.is_empty();
    Ok(hooked || chosen.iter().map(|&index| &project.nodes[index]).any(|node| belongs(work, node) && stores(node)))
}

/// A node's SQL.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The node's id.
    pub id: String,
    /// Its file.
    pub file: String,
    /// The SQL, or what prevents it.
    pub sql: Result<String, ModelError>,
}

/// Renders what is chosen; `database` is only asked by templates that query while they render.
pub async fn compile(
    project: &Arc<Project>,
    database: Option<&Arc<dyn Database>>,
    options: &Options,
) -> Result<Vec<Compiled>, SelectError> {
    let chosen = select(project, &options.select, &options.exclude)?;
    let session =
        database.map(|database| Arc::new(Session::new(database.clone(), options.full_refresh, Arc::new(|_| {}))));
    let mut out = Vec::new();
    for index in chosen.into_iter().filter(|&index| project.nodes[index].kind != NodeKind::Seed) {
        let Node { id, place, .. } = &project.nodes[index];
        let sql = rendered(project, index, session.as_ref()).await;
        out.push(Compiled { id: id.clone(), file: place.file.clone(), sql });
    }
    Ok(out)
}

async fn rendered(project: &Arc<Project>, index: usize, session: Option<&Arc<Session>>) -> Result<String, ModelError> {
    let (project, session) = (project.clone(), session.cloned());
    let place = project.nodes[index].place.clone();
    tokio::task::spawn_blocking(move || compile_node(&project, index, session.as_ref()))
        .await
        .unwrap_or_else(|error| Err(ModelError::new(place, format!("rendering stopped: {error}"))))
}

/// Does the work on the chosen nodes and says how it went with each.
pub async fn execute(
    work: Work,
    project: &Arc<Project>,
    database: &Arc<dyn Database>,
    options: &Options,
    on_event: OnEvent,
) -> Result<Summary, SelectError> {
    let started = Instant::now();
    let chosen: BTreeSet<usize> = select(project, &options.select, &options.exclude)?
        .into_iter()
        .filter(|&index| belongs(work, &project.nodes[index]))
        .collect();
    let session = Arc::new(Session::new(database.clone(), options.full_refresh, on_event));
    let mut summary = Summary::default();
    let threads = project.settings().threads.max(1);
    session.emit(ModelsEvent::RunStarted { nodes: chosen.len(), threads });
    if let Err(error) = prepare(project, &session, &chosen).await {
        summary.problems.push(format!("cannot prepare the schemas in {}: {error}", database.name()));
    }
    if summary.problems.is_empty() {
        summary.problems.extend(hooks(project, &session, None, &project.on_run_start, "on-run-start").await.err());
    }
    if summary.problems.is_empty() {
        let waits = waits(&project.nodes, &chosen, work == Work::Build);
        let schedule = Schedule::new(project, &session, waits, options);
        summary.results = schedule.run(threads).await;
        summary.problems.extend(hooks(project, &session, None, &project.on_run_end, "on-run-end").await.err());
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

fn belongs(work: Work, node: &Node) -> bool {
    let kind = match work {
        Work::Run => node.kind == NodeKind::Model,
        Work::Test => node.kind == NodeKind::Test,
        Work::Seed => node.kind == NodeKind::Seed,
        Work::Build => node.kind != NodeKind::Analysis,
    };
    kind && !node.is_ephemeral()
}

/// Whether a node writes a table.
fn stores(node: &Node) -> bool {
    node.kind != NodeKind::Test || node.config.flag("store_failures").unwrap_or(false)
}

/// Makes the schemas that will be written to, and learns what stands in all of the project's.
async fn prepare(project: &Project, session: &Session, chosen: &BTreeSet<usize>) -> Result<(), DatabaseError> {
    let written = chosen.iter().map(|&index| &project.nodes[index]).filter(|node| stores(node));
    let written: BTreeSet<_> = written.map(|node| node.relation.schema.clone()).collect();
    for schema in written {
        session.database.execute(&format!("create schema if not exists {}", quote(&schema))).await?;
    }
    let all =
        project.nodes.iter().map(|node| &node.relation).chain(project.sources.iter().map(|source| &source.relation));
    let all: BTreeSet<_> = all.map(|relation| relation.schema.clone()).collect();
    session.learn(&all.into_iter().collect::<Vec<_>>()).await
}

/// Renders and runs hooks one after the other; the error says which one.
async fn hooks(
    project: &Arc<Project>,
    session: &Arc<Session>,
    node: Option<usize>,
    hooks: &[String],
    what: &str,
) -> Result<(), String> {
    for hook in hooks {
        let (project, shared, text) = (project.clone(), session.clone(), hook.clone());
        let sql = tokio::task::spawn_blocking(move || compile_text(&project, node, &text, Some(&shared)))
            .await
            .map_err(|error| format!("{what}: {error}"))?
            .map_err(|error| format!("{what} `{hook}`: {}", error.message))?;
        let sql = sql.trim().trim_end_matches(';');
        if !sql.is_empty() {
            session.database.execute(sql).await.map_err(|error| format!("{what} `{hook}`: {error}"))?;
        }
    }
    Ok(())
}

/// What is left to do, and what it waits for.
struct Schedule<'a> {
    project: &'a Arc<Project>,
    session: &'a Arc<Session>,
    waits: BTreeMap<usize, BTreeSet<usize>>,
    readers: BTreeMap<usize, Vec<usize>>,
    heights: BTreeMap<usize, usize>,
    ready: BTreeSet<(Reverse<usize>, usize)>,
    results: Vec<NodeResult>,
}

impl<'a> Schedule<'a> {
    fn new(
        project: &'a Arc<Project>,
        session: &'a Arc<Session>,
        waits: BTreeMap<usize, BTreeSet<usize>>,
        options: &Options,
    ) -> Self {
        let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (&reader, parents) in &waits {
            for &parent in parents {
                readers.entry(parent).or_default().push(reader);
            }
        }
        let heights = heights(&waits);
        let ready =
            waits.iter().filter(|(_, parents)| parents.is_empty()).map(|(&index, _)| (Reverse(heights[&index]), index));
        let ready = ready.collect();
        let mut schedule = Self { project, session, waits, readers, heights, ready, results: Vec::new() };
        for (source, because) in project.sources.iter().enumerate().filter_map(|(index, source)| {
            let name = format!("{}.{}", source.source, source.table);
            options.missing_sources.contains(&name).then_some((index, name))
        }) {
            let chosen: Vec<_> = schedule.waits.keys().copied().collect();
            for index in chosen.into_iter().filter(|&index| reads(project, index, source)) {
                schedule.skip(index, &because);
            }
        }
        schedule
    }

    async fn run(mut self, threads: usize) -> Vec<NodeResult> {
        let mut running: JoinSet<(usize, NodeResult)> = JoinSet::new();
        loop {
            while running.len() < threads {
                let Some((_, index)) = self.ready.pop_first() else { break };
                self.waits.remove(&index);
                let (project, session) = (self.project.clone(), self.session.clone());
                running.spawn(async move { (index, work_on(&project, &session, index).await) });
            }
            match running.join_next().await {
                Some(Ok((index, result))) => self.finished(index, result),
                // A task of ours panicked; the panic has said where.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => return self.results,
            }
        }
    }

    fn finished(&mut self, index: usize, result: NodeResult) {
        let blocks = matches!(result.status, Status::Errored | Status::Failed);
        let name = result.name.clone();
        self.session.emit(ModelsEvent::NodeFinished(Box::new(result.clone())));
        self.results.push(result);
        for reader in self.readers.get(&index).cloned().unwrap_or_default() {
            if blocks {
                self.skip(reader, &name);
            } else if let Some(parents) = self.waits.get_mut(&reader) {
                parents.remove(&index);
                if parents.is_empty() {
                    self.ready.insert((Reverse(self.heights[&reader]), reader));
                }
            }
        }
    }

    /// Skips a node and all that stand on it.
    fn skip(&mut self, index: usize, because: &str) {
        if self.waits.remove(&index).is_none() {
            return;
        }
        self.ready.remove(&(Reverse(self.heights[&index]), index));
        let mut result = blank(&self.project.nodes[index]);
        result.status = Status::Skipped { because: because.to_owned() };
        result.message = Some(format!("skipped because of `{because}`"));
        self.session.emit(ModelsEvent::NodeFinished(Box::new(result.clone())));
        self.results.push(result);
        for reader in self.readers.get(&index).cloned().unwrap_or_default() {
            self.skip(reader, because);
        }
    }
}

/// Whether a node reads a source, itself or through models without a relation of their own.
fn reads(project: &Project, index: usize, source: usize) -> bool {
    let node = &project.nodes[index];
    node.reads.contains(&source)
        || node.depends_on.iter().any(|&parent| project.nodes[parent].is_ephemeral() && reads(project, parent, source))
}

fn blank(node: &Node) -> NodeResult {
    NodeResult {
        id: node.id.clone(),
        name: node.name.clone(),
        kind: node.kind,
        place: node.place.clone(),
        status: Status::Succeeded,
        message: None,
        relation: matches!(node.kind, NodeKind::Model | NodeKind::Seed).then(|| node.relation.to_string()),
        rows: None,
        failures: None,
        sample: None,
        elapsed: std::time::Duration::ZERO,
    }
}

async fn work_on(project: &Arc<Project>, session: &Arc<Session>, index: usize) -> NodeResult {
    let started = Instant::now();
    let node = &project.nodes[index];
    session.emit(ModelsEvent::NodeStarted { id: node.id.clone(), kind: node.kind });
    let mut result = blank(node);
    if let Err(message) = attempt(project, session, index, &mut result).await {
        result.status = Status::Errored;
        result.message = Some(message);
    }
    result.elapsed = started.elapsed();
    result
}

async fn attempt(
    project: &Arc<Project>,
    session: &Arc<Session>,
    index: usize,
    result: &mut NodeResult,
) -> Result<(), String> {
    let node = &project.nodes[index];
    if node.kind == NodeKind::Test {
        let sql = rendered(project, index, Some(session)).await.map_err(|error| error.to_string())?;
        let found = check::run(session, node, &sql).await.map_err(|error| error.to_string())?;
        result.status = found.status;
        result.failures = Some(found.failures);
        result.sample = found.sample;
        result.message = found.message;
        result.relation = found.stored.map(|relation| relation.to_string());
        return Ok(());
    }
    hooks(project, session, Some(index), &node.config.texts("pre_hook"), "pre-hook").await?;
    result.rows = if node.kind == NodeKind::Seed {
        load_seed(session, &project.folder, node).await.map_err(|error| error.to_string())?
    } else {
        let sql = rendered(project, index, Some(session)).await.map_err(|error| error.to_string())?;
        let built = materialize::build(session, node, &sql).await;
        built.map_err(|error: BuildError| error.to_string())?
    };
    hooks(project, session, Some(index), &node.config.texts("post_hook"), "post-hook").await
}
