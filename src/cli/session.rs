//! What a command works with, wired together: project, stack, account or sandbox, clock, journal.
//!
//! Opening a session reads files and starts the sandbox's server; it makes no AWS call before
//! [`Session::locate`], whose first call checks the account that the stack names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::LocalBoxFuture;
use towpath_aws::cloud::Cloud;
use towpath_aws::connection::{Connection, Credentials};
use towpath_aws::kinds;
use towpath_engine::apply::retry::Retry;
use towpath_engine::clock::Clock;
use towpath_engine::diag::{Diagnostics, Source, Span};
use towpath_engine::fault::Fault;
use towpath_engine::journal::FileJournal;
use towpath_engine::kind::{Place, Registry};
use towpath_engine::secret::{Secret, Secrets};
use towpath_engine::stack::{LeasePlace, LoadInput, Stack, Target, load};
use towpath_sandbox::Sandbox;

use super::mortal::{self, MortalJournal};
use super::{CliError, Exit, Global};
use crate::report::diagnostics;
use crate::report::output::Output;

/// The variable that names the source database; on the sandbox it may stay unset.
pub(super) const SOURCE_VARIABLE: &str = "SOURCE_DATABASE_URL";

/// The account and region that the sandbox plays when the stack names none.
const SANDBOX_ACCOUNT: &str = "111122223333";
const SANDBOX_REGION: &str = "eu-north-1";

/// Files and variables around a stack.
pub(super) struct Project {
    /// The folder that relative paths of the stack start from.
    pub(super) root: PathBuf,
    /// The stack file.
    pub(super) source: Arc<Source>,
    /// Process environment over `.env`.
    variables: BTreeMap<String, String>,
    /// Names in `.env.template`.
    template: Vec<String>,
}

/// An open session.
pub(super) struct Session {
    pub(super) project: Project,
    pub(super) stack: Stack,
    pub(super) cloud: Cloud,
    pub(super) registry: Registry,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) parallel: usize,
    pub(super) take_over: bool,
    /// `--lease`, over what the stack says.
    pub(super) lease: Option<String>,
    /// The options by which the command line chose stack and place.
    chosen: String,
}

/// A session before its target is reached.
pub(super) struct Unstarted {
    project: Project,
    stack: Stack,
}

impl Unstarted {
    /// The same, for a stack whose lease lies there, as the tags of its objects say.
    pub(super) fn leased(mut self, place: Option<LeasePlace>) -> Self {
        let nowhere = Span { source: self.project.source.clone(), range: 0..0 };
        self.stack.lease = place.map(|place| (place, nowhere));
        self
    }

    /// Reaches the target.
    pub(super) async fn start(self, global: &Global) -> Result<Session, CliError> {
        Session::begin(self.project, self.stack, global).await
    }
}

/// The wall clock, whose waiting is shortened by the sandbox's speed.
struct ScaledClock {
    speed: f64,
    began: Instant,
}

#[async_trait]
impl Clock for ScaledClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn steady(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.speed)).await;
    }

    fn scale(&self) -> f64 {
        self.speed
    }
}

impl Project {
    /// Finds the stack file and reads what lies around it.
    pub(super) fn find(global: &Global) -> Result<Self, CliError> {
        let path = match &global.stack {
            Some(path) => path.clone(),
            None => only_stack()?,
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let failed = CliError::failed(format!("cannot read the stack file `{}`", path.display()), &error);
            failed.with_exit(Exit::Usage).hint(match error.kind() {
                std::io::ErrorKind::InvalidData => "save it as UTF-8",
                std::io::ErrorKind::PermissionDenied => "ask for the right to read it",
                _ => "name the file with --stack FILE, or begin a project: towpath init NAME",
            })
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let root = if folder.file_name().is_some_and(|name| name == "stacks") {
            folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
        } else {
            folder
        };
        let root = root.to_owned();
        let mut variables = dotenv(&root.join(".env"))?;
        variables.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        let template = dotenv(&root.join(".env.template"))?.into_keys().collect();
        let source = Arc::new(Source { path: path.display().to_string(), text });
        Ok(Self { root, source, variables, template })
    }

    /// The folder towpath is called in, without a stack file.
    fn bare() -> Result<Self, CliError> {
        let root = PathBuf::from(".");
        let mut variables = dotenv(&root.join(".env"))?;
        variables.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        let source = Arc::new(Source { path: String::new(), text: String::new() });
        Ok(Self { root, source, variables, template: Vec::new() })
    }

    /// A path of the stack, which counts from the project's folder.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A variable of the environment or of `.env`.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names in `.env.template`.
    pub(super) fn template(&self) -> &[String] {
        &self.template
    }

    /// All variables, for templates that ask for them.
    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Loads the stack and says every mistake. `Err` when there is an error among them.
    pub(super) fn load(&self, global: &Global, registry: &Registry, output: &Output) -> Result<Stack, CliError> {
        let (stack, mut diagnostics) = self.read(global, registry);
        if let Some(mistake) = stack.as_ref().and_then(|stack| super::lease::in_own_bucket(stack, registry)) {
            diagnostics.push(mistake);
        }
        self.sound(stack, &diagnostics, output)
    }

    fn sound(&self, stack: Option<Stack>, diagnostics: &Diagnostics, output: &Output) -> Result<Stack, CliError> {
        show(diagnostics, output);
        let errors = diagnostics.iter().filter(|one| one.severity == towpath_engine::diag::Severity::Error).count();
        match stack {
            Some(stack) if errors == 0 => Ok(stack),
            _ => Err(CliError::new(
                Exit::Usage,
                format!("{} in `{}`", crate::report::style::plural(errors, "mistake"), self.source.path),
            )),
        }
    }

    /// Loads the stack as it is written, for comparing: a variable that is not set stands for itself.
    pub(super) fn load_written(
        &self,
        global: &Global,
        registry: &Registry,
        output: &Output,
    ) -> Result<Stack, CliError> {
        let target = global.on.as_deref().map(|on| if on == "aws" { Target::Aws } else { Target::Sandbox });
        let variables = |name: &str| {
            self.variable(name).map_or_else(|| Some(format!("${{env.{name}}}")), |value| Some(value.to_owned()))
        };
        let input = LoadInput {
            source: self.source.clone(),
            environment: global.env.as_deref(),
            target,
            variables: &variables,
            vars: global.vars.iter().cloned().collect(),
            template: &self.template,
        };
        let (stack, diagnostics) = load(&input, registry, &Cloud::offline().place());
        self.sound(stack, &diagnostics, output)
    }

    fn read(&self, global: &Global, registry: &Registry) -> (Option<Stack>, Diagnostics) {
        let target = match global.on.as_deref() {
            Some("aws") => Some(Target::Aws),
            Some(_) => Some(Target::Sandbox),
            None => None,
        };
        let place = Cloud::offline().place();
        let attempt = |on_sandbox: bool| {
            // On the sandbox the source database is the sandbox's own unless named.
            let variables = |name: &str| {
                let own = on_sandbox && name == SOURCE_VARIABLE;
                self.variable(name).map(str::to_owned).or_else(|| own.then(String::new))
            };
            let input = LoadInput {
                source: self.source.clone(),
                environment: global.env.as_deref(),
                target,
                variables: &variables,
                vars: global.vars.iter().cloned().collect(),
                template: &self.template,
            };
            load(&input, registry, &place)
        };
        let (stack, diagnostics) = attempt(true);
        match &stack {
            Some(found) if found.target == Target::Aws && self.variable(SOURCE_VARIABLE).is_none() => attempt(false),
            _ => (stack, diagnostics),
        }
    }
}

/// Shows diagnostics on stderr, and as events with `--json`.
pub(super) fn show(diagnostics: &Diagnostics, output: &Output) {
    for one in diagnostics.iter() {
        let (line, column) = one.labels.first().map_or((0, 0), |(span, _)| span.line_column());
        output.json(
            "diagnostic",
            &serde_json::json!({
                "code": one.code, "summary": one.summary, "detail": one.detail, "help": one.help,
                "line": line, "column": column,
                "severity": if one.severity == towpath_engine::diag::Severity::Error { "error" } else { "warning" },
            }),
        );
    }
    if !diagnostics.is_empty() {
        output.alert(diagnostics::render(diagnostics, output.talk_color).trim_end());
        output.alert("");
    }
}

/// The only stack file in `stacks/`.
fn only_stack() -> Result<PathBuf, CliError> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("stacks")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"))
        .collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(CliError::new(Exit::Usage, "there is no stack file in `stacks/`")
            .hint("name one with --stack FILE, or begin a project: towpath init NAME")),
        many => {
            let names: Vec<String> = many.iter().map(|path| format!("`{}`", path.display())).collect();
            Err(CliError::new(Exit::Usage, format!("there are several stack files: {}", names.join(", ")))
                .hint("name one: --stack FILE"))
        }
    }
}

/// The variables of a `.env` file; an absent file has none.
fn dotenv(path: &Path) -> Result<BTreeMap<String, String>, CliError> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    // The error would quote the line, which may hold a secret.
    let wrong = || CliError::new(Exit::Usage, format!("`{}` is not a list of NAME=VALUE lines", path.display()));
    dotenvy::from_path_iter(path).map_err(|_| wrong())?.collect::<Result<_, _>>().map_err(|_| wrong())
}

impl Session {
    /// Loads the stack and reaches its target.
    pub(super) async fn open(global: &Global, output: &Output) -> Result<Self, CliError> {
        let project = Project::find(global)?;
        let stack = project.load(global, &kinds::registry(&Cloud::offline()), output)?;
        Unstarted { project, stack }.start(global).await
    }

    /// A session for objects of a stack whose file is not at hand, in the account and region of the
    /// stack file that is, or where `--on` says.
    pub(super) fn without_stack(global: &Global, name: &str, output: &Output) -> Result<Unstarted, CliError> {
        let (project, like) = match Project::find(global) {
            Ok(project) => {
                let stack = project.load(global, &kinds::registry(&Cloud::offline()), output)?;
                (project, Some(stack))
            }
            Err(error) if global.stack.is_some() => return Err(error),
            Err(_) => (Project::bare()?, None),
        };
        let asked = global.on.as_deref().map(|on| if on == "aws" { Target::Aws } else { Target::Sandbox });
        let target = like.as_ref().map(|like| like.target).or(asked).unwrap_or(Target::Sandbox);
        let (region, account) = like.map(|like| (like.region, like.account)).unwrap_or_default();
        Ok(Unstarted { project, stack: Stack::bare(name, target, region, account) })
    }

    /// Reaches the target.
    async fn begin(project: Project, stack: Stack, global: &Global) -> Result<Self, CliError> {
        let mut secrets = Secrets::default();
        for name in stack.secret_variables.iter().map(|variable| &variable.name) {
            if let Some(value) = project.variable(name) {
                secrets.insert(name, Secret::new(value));
            }
        }
        let mut connection = Connection { region: stack.region.clone(), ..Connection::default() };
        let mut sandbox = None;
        let mut speed = 1.0;
        if stack.target == Target::Sandbox {
            speed = global.speed;
            let started = super::sandbox::start(&project, &stack, global).await?;
            if secrets.get(SOURCE_VARIABLE).is_none() {
                let url = started.source_url().map_err(|error| super::sandbox::no_postgres(&error))?;
                secrets.insert(SOURCE_VARIABLE, Secret::new(url.expose()));
            }
            connection.endpoint_url =
                Some(project.variable("TOWPATH_SANDBOX_PROXY").map_or_else(|| started.endpoint(), str::to_owned));
            connection.region = Some(stack.region.clone().unwrap_or_else(|| SANDBOX_REGION.to_owned()));
            connection.credentials = Some(Credentials::lasting("towpath", "sandbox"));
            connection.speed = Some(speed);
            sandbox = Some(started);
        } else {
            super::account::of_file(&project, &mut connection);
        }
        let cloud = Cloud::connect(connection, secrets);
        let interrupt = Arc::new(AtomicBool::new(false));
        super::interrupt::listen(interrupt.clone());
        Ok(Self {
            registry: kinds::registry(&cloud),
            project,
            stack,
            cloud,
            clock: Arc::new(ScaledClock { speed, began: Instant::now() }),
            sandbox,
            interrupt,
            parallel: global.parallel,
            take_over: global.take_over,
            lease: global.lease.clone(),
            chosen: global.chosen(),
        })
    }

    /// Reads the stack again from a text that is not in the file yet. On a mistake everything stays
    /// as it was.
    pub(super) fn reread(&mut self, global: &Global, text: &str, output: &Output) -> Result<(), CliError> {
        let source = Arc::new(Source { path: self.project.source.path.clone(), text: text.to_owned() });
        let before = std::mem::replace(&mut self.project.source, source);
        match self.project.load(global, &kinds::registry(&Cloud::offline()), output) {
            Ok(stack) => {
                self.stack = stack;
                Ok(())
            }
            Err(error) => {
                self.project.source = before;
                Err(error)
            }
        }
    }

    /// A command to type next: about the same stack, environment and place.
    pub(super) fn command(&self, what: &str) -> String {
        format!("towpath {what}{}", self.chosen)
    }

    /// Work that only reads: an interrupt drops it where it is. Boxed, because what reads is nested deeper than the
    /// compiler follows.
    pub(super) fn reading<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = Result<T, CliError>> + 'a,
    ) -> LocalBoxFuture<'a, Result<T, CliError>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                () = super::interrupt::requested(&self.interrupt) => {
                    Err(CliError::new(Exit::Interrupted, "interrupted while reading what is there"))
                }
                result = work => result,
            }
        })
    }

    /// Where the stack lives, after making sure that it is where the stack says.
    pub(super) async fn locate(&self) -> Result<Place, CliError> {
        let asked = self.reading(async { Ok(self.asked().await) }).await?;
        let place = asked.map_err(|fault| super::account::unknown(&self.project, &fault))?;
        if let Some(account) = &self.stack.account
            && *account != place.account
        {
            return Err(CliError::new(
                Exit::Usage,
                format!("the stack belongs to account {account}, but the credentials are of account {}", place.account),
            )
            .hint("use the credentials of the stack's account, or correct `aws.account`"));
        }
        Ok(place)
    }

    /// The place as the account tells it. Where nobody answers, or nothing can be asked for want of credentials, waiting
    /// would mend nothing.
    async fn asked(&self) -> Result<Place, Fault> {
        let retry = Retry::new(self.clock.as_ref(), super::plan::seed());
        let ask = || async {
            match self.cloud.locate(&self.stack.name).await {
                Err(fault) if fault.code == "NoAnswer" && !fault.message.contains("(SendRequest)") => Ok(Err(fault)),
                other => other.map(Ok),
            }
        };
        retry.call("sts", ask).await?
    }

    /// The folder of the stack's journal, lease and plans.
    pub(super) fn folder(&self) -> PathBuf {
        self.project.root.join(".towpath").join(&self.stack.name)
    }

    /// The stack's journal.
    pub(super) fn journal(&self) -> FileJournal {
        FileJournal::new(self.folder().join("journal.jsonl"))
    }

    /// The same for a run that acts; on the sandbox a sweep may have chosen its end.
    pub(super) fn mortal_journal(&self) -> MortalJournal {
        let end = self.sandbox.as_ref().and_then(|_| self.project.variable(mortal::VARIABLE)?.parse().ok());
        MortalJournal::new(self.journal(), end)
    }

    /// Starts the sandbox's PostgreSQL if the stack works on it; nothing on AWS.
    pub(super) async fn ensure_postgres(&self) -> Result<(), CliError> {
        match &self.sandbox {
            Some(sandbox) => sandbox.ensure_postgres().await.map_err(|error| super::sandbox::no_postgres(&error)),
            None => Ok(()),
        }
    }

    /// Ends the session: the sandbox's servers stop if nobody else uses them.
    pub(super) async fn close(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// The account the sandbox plays for this stack.
pub(super) fn sandbox_account(stack: &Stack) -> String {
    stack.account.clone().unwrap_or_else(|| SANDBOX_ACCOUNT.to_owned())
}

/// The region the sandbox plays for this stack.
pub(super) fn sandbox_region(stack: &Stack) -> String {
    stack.region.clone().unwrap_or_else(|| SANDBOX_REGION.to_owned())
}
