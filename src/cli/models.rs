//! `towpath models`: the dbt project.

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use towpath_engine::stack::Stack;

use super::data::{self, Standing};
use super::lease::hold;
use super::session::{Project as Files, Session};
use super::{CliError, Consent, Exit, Global, typed};
use crate::database::Dialect;
use crate::models::{self, ModelError, Options, Project, Settings, Verdict, Work};
use crate::report::models as report;
use crate::report::output::Output;
use crate::report::style::plural;

/// Arguments of `towpath models`.
#[derive(Debug, Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    verb: ModelsVerb,
}

#[derive(Debug, Subcommand)]
enum ModelsVerb {
    /// Seeds, models and tests in the order of the graph
    #[command(after_help = "Example:\n  towpath models build --select staging")]
    Build(Chosen),
    /// Models
    #[command(after_help = "Example:\n  towpath models run --select rbt_event_rsvps_daily+ --full-refresh")]
    Run(Chosen),
    /// Tests
    #[command(after_help = "Example:\n  towpath models test --select stg_events")]
    Test(Chosen),
    /// Seeds
    #[command(after_help = "Example:\n  towpath models seed")]
    Seed(Chosen),
    /// Print the SQL, without running it
    #[command(after_help = "Example:\n  towpath models compile --select daily_active_teams")]
    Compile(Chosen),
    /// List nodes
    #[command(after_help = "Example:\n  towpath models ls --select +rbt_event_rsvps_daily")]
    Ls(Chosen),
}

/// Which nodes, and how.
#[derive(Clone, Debug, Default, Args)]
struct Chosen {
    /// Selectors as in dbt: name, tag:…, path:…, source:…, with + for neighbours
    #[arg(long, short, value_name = "SELECTOR", num_args = 1..)]
    select: Vec<String>,
    /// Selectors of what to leave out
    #[arg(long, value_name = "SELECTOR", num_args = 1..)]
    exclude: Vec<String>,
    /// Build incremental models from scratch
    #[arg(long)]
    full_refresh: bool,
    /// Variables over those of dbt_project.yml, as YAML
    #[arg(long, value_name = "YAML")]
    vars: Option<String>,
    /// Nodes worked on at a time
    #[arg(long, default_value_t = 8)]
    threads: usize,
    #[command(flatten)]
    consent: Consent,
}

impl Chosen {
    /// The same as it is typed after the command.
    fn written(&self) -> String {
        let names = [("--select", &self.select), ("--exclude", &self.exclude)];
        let names = names.into_iter().flat_map(|(option, names)| names.iter().map(move |name| (option, name.clone())));
        let refresh = if self.full_refresh { " --full-refresh" } else { "" };
        format!("{}{refresh}", typed(names.chain(self.vars.iter().map(|vars| ("--vars", vars.clone())))))
    }
}

/// Runs a verb of the models. What writes tables does so under the stack's lease: another build may be writing them, or
/// an `apply` be making the warehouse anew. Tests that keep nothing only read.
pub(super) async fn run(global: &Global, args: &ModelsArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let (work, verb, chosen) = match &args.verb {
        ModelsVerb::Build(chosen) => (Work::Build, "build", chosen),
        ModelsVerb::Run(chosen) => (Work::Run, "run", chosen),
        ModelsVerb::Test(chosen) => (Work::Test, "test", chosen),
        ModelsVerb::Seed(chosen) => (Work::Seed, "seed", chosen),
        ModelsVerb::Compile(chosen) => return offline(&session, chosen, true, output).await,
        ModelsVerb::Ls(chosen) => return offline(&session, chosen, false, output).await,
    };
    let verb = format!("models {verb}");
    let again = session.command(&format!("{verb}{}", chosen.written()));
    let result = if writes(&session, work, chosen)? {
        let held = hold(&session, &verb, chosen.consent, output).await?;
        held.step("building");
        let result = held.keeping(&session, &again, execute(&session, work, chosen, output)).await;
        held.release().await;
        result
    } else {
        data::unless_interrupted(&session, &again, execute(&session, work, chosen, output)).await
    };
    output.clear();
    session.close().await;
    result
}

/// Whether the work writes; known before the warehouse is reached.
fn writes(session: &Session, work: Work, chosen: &Chosen) -> Result<bool, CliError> {
    if work != Work::Test {
        return Ok(true);
    }
    let wanted = session.stack.pipeline.models.as_ref().ok_or_else(none)?;
    let project = load(&session.project, &wanted.project, settings(&session.project, &session.stack, chosen)?)?;
    models::writes(work, &project, &options(chosen)).map_err(|error| unchosen(&error))
}

/// The error of selectors that choose nothing that there is.
fn unchosen(error: &models::SelectError) -> CliError {
    CliError::failed("the models cannot be chosen", error).with_exit(Exit::Usage)
}

/// Builds everything, as a stage of `up`.
pub(super) async fn stage(session: &Session, output: &Output) -> Result<Exit, CliError> {
    execute(session, Work::Build, &Chosen { threads: 8, ..Chosen::default() }, output).await
}

async fn execute(session: &Session, work: Work, chosen: &Chosen, output: &Output) -> Result<Exit, CliError> {
    let wanted = session.stack.pipeline.models.as_ref().ok_or_else(none)?;
    let settings = settings(&session.project, &session.stack, chosen)?;
    let standing = Standing::read(session).await?;
    session.ensure_postgres().await?;
    let (warehouse, database) = standing.warehouse(&wanted.warehouse)?;
    let settings = Settings { database, ..settings };
    let project = Arc::new(load(&session.project, &wanted.project, settings)?);
    let output_of = Shared(output);
    let summary = output_of.follow(work, &project, &warehouse, &options(chosen)).await?;
    output.clear();
    report::summary(&summary, output);
    let skipped = summary.count(|status| matches!(status, models::Status::Skipped { .. }));
    Ok(match summary.verdict() {
        Verdict::Passed | Verdict::Warned if skipped == 0 => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Follows a run whose events come from other tasks.
struct Shared<'a>(&'a Output);

impl Shared<'_> {
    async fn follow(
        &self,
        work: Work,
        project: &Arc<Project>,
        warehouse: &Arc<dyn crate::database::Database>,
        options: &Options,
    ) -> Result<models::Summary, CliError> {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let on_event: models::OnEvent = Arc::new(move |event| {
            // The receiver lives as long as the run.
            let _closed = sender.send(event).is_err();
        });
        let run = models::execute(work, project, warehouse, options, on_event);
        let show = async {
            while let Some(event) = events.recv().await {
                report::event(&event, self.0);
            }
        };
        let (summary, ()) = tokio::join!(run, show);
        summary.map_err(|error| unchosen(&error))
    }
}

fn none() -> CliError {
    CliError::new(Exit::Usage, "the stack has no `pipeline.models`")
        .hint("say where they are: pipeline: {models: {project: sql, warehouse: workgroup}}")
}

fn options(chosen: &Chosen) -> Options {
    Options {
        select: chosen.select.clone(),
        exclude: chosen.exclude.clone(),
        full_refresh: chosen.full_refresh,
        ..Options::default()
    }
}

fn settings(files: &Files, stack: &Stack, chosen: &Chosen) -> Result<Settings, CliError> {
    let vars = match &chosen.vars {
        None => serde_json::Map::new(),
        Some(text) => serde_yaml::from_str(text)
            .map_err(|error| CliError::failed("`--vars` is not a YAML mapping", &error).with_exit(Exit::Usage))?,
    };
    let schema = stack.pipeline.models.as_ref().map_or("analytics", |models| models.schema.as_str());
    let now = chrono::Utc::now();
    Ok(Settings {
        schema: schema.to_owned(),
        dialect: Dialect::Redshift,
        target: "towpath".to_owned(),
        vars,
        environment: files.variables().clone(),
        started_at: now.to_rfc3339(),
        run: uuid::Uuid::new_v4().to_string(),
        threads: chosen.threads.max(1),
        ..Settings::default()
    })
}

fn load(files: &Files, folder: &str, settings: Settings) -> Result<Project, CliError> {
    let path = files.path(folder);
    Project::load(&path, settings).map_err(|errors| mistakes(&path, &errors))
}

fn mistakes(path: &Path, errors: &[ModelError]) -> CliError {
    let error = CliError::new(
        Exit::Usage,
        format!("{} in the models of `{}`", plural(errors.len(), "mistake"), path.display()),
    );
    errors.iter().fold(error, CliError::because)
}

/// Reads the models of a stack offline; the number of nodes.
pub(super) fn check(files: &Files, stack: &Stack, folder: &str) -> Result<usize, CliError> {
    let project = load(files, folder, settings(files, stack, &Chosen { threads: 1, ..Chosen::default() })?)?;
    let nodes = models::list(&project, &Options::default())
        .map_err(|error| CliError::failed("the models cannot be listed", &error))?;
    Ok(nodes.len())
}

/// `compile` and `ls`, which need no warehouse.
async fn offline(session: &Session, chosen: &Chosen, compile: bool, output: &Output) -> Result<Exit, CliError> {
    let wanted = session.stack.pipeline.models.as_ref().ok_or_else(none)?;
    let project = load(&session.project, &wanted.project, settings(&session.project, &session.stack, chosen)?)?;
    if !compile {
        for node in models::list(&project, &options(chosen)).map_err(|error| unchosen(&error))? {
            output.json("node", &serde_json::json!({ "id": node.id }));
            output.data(&format!("{}\n", node.id));
        }
        return Ok(Exit::Done);
    }
    let mut failed = false;
    for node in models::compile(&Arc::new(project), None, &options(chosen)).await.map_err(|error| unchosen(&error))? {
        match &node.sql {
            Ok(sql) => {
                output.json("compiled", &serde_json::json!({ "id": node.id, "sql": sql }));
                output.data(&format!("-- {}\n{}\n\n", node.id, sql.trim()));
            }
            Err(error) => {
                failed = true;
                output.alert(&format!("error: {error}"));
            }
        }
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}
