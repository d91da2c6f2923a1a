//! The command line: what can be asked, and which file answers.
//!
//! One file per command, named like it; `session` wires engine, AWS or sandbox and output
//! together; `error` is the only place that knows exit codes and hints. Nothing imports `cli`.

mod account;
mod adopt;
mod apply;
mod check;
mod cost;
mod data;
mod diff;
mod doctor;
mod down;
mod drift;
mod error;
mod explain;
mod graph;
mod init;
mod interrupt;
mod lease;
mod leftovers;
mod migrate;
mod models;
mod mortal;
mod plan;
mod question;
mod quotas;
mod reap;
mod recover;
mod sample;
mod sandbox;
mod schema;
mod secrets;
mod session;
mod slots;
mod stack_file;
mod status;
mod up;
mod upload;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use error::{CliError, Exit};

use crate::report::output::{Output, Wishes};

/// PostgreSQL to AWS DMS to Redshift Serverless, from one YAML stack
#[derive(Debug, Parser)]
#[command(name = "towpath", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Stack file [default: the only file in `stacks/`]
    #[arg(long, global = true, value_name = "FILE", env = "TOWPATH_STACK")]
    stack: Option<PathBuf>,
    /// Environment of the stack file to lay over it
    #[arg(long, global = true, value_name = "NAME", env = "TOWPATH_ENV")]
    env: Option<String>,
    /// Value of a `${var.NAME}`, as NAME=VALUE; may be repeated
    #[arg(id = "stack_vars", long = "var", global = true, value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
    /// Where to work, over what the stack says
    #[arg(long = "on", global = true, value_name = "TARGET", value_parser = ["sandbox", "aws"])]
    on: Option<String>,
    /// How much faster than AWS the sandbox's states pass
    #[arg(long, global = true, value_name = "FACTOR", default_value_t = 60.0, env = "TOWPATH_SPEED", value_parser = speed)]
    speed: f64,
    /// Plant a fault in the sandbox, as NAME@SERVICE:OPERATION or with #N for the N-th such call; may be repeated
    #[arg(long = "fault", global = true, value_name = "FAULT", env = "TOWPATH_FAULTS", value_delimiter = ',')]
    faults: Vec<towpath_sandbox::Fault>,
    /// Give the sandbox's account another quota than AWS's default, as SERVICE:NAME=NUMBER; may be repeated
    #[arg(long = "quota", global = true, value_name = "QUOTA", env = "TOWPATH_QUOTAS", value_delimiter = ',')]
    quotas: Vec<towpath_sandbox::AppliedQuota>,
    /// How many steps may be calling at once; waiting for an object does not count
    #[arg(long, global = true, value_name = "N", default_value_t = 16)]
    parallel: usize,
    /// Events and results as NDJSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Only results and errors
    #[arg(long, short, global = true)]
    quiet: bool,
    /// No colours; the variable NO_COLOR says the same
    #[arg(long, global = true)]
    no_color: bool,
    /// Take over the stack from the run that holds it (only if that run is gone)
    #[arg(long, global = true)]
    take_over: bool,
    /// Where the lease lies that keeps the stack to one writer, over what the stack says
    #[arg(long, global = true, value_name = "PLACE", value_parser = ["local", "s3"])]
    lease: Option<String>,
}

impl Global {
    /// The options that chose stack, environment and place, as they are typed after a command.
    fn chosen(&self) -> String {
        let stack = self.stack.as_ref().map(|path| ("--stack", path.display().to_string()));
        let word = |option, value: &Option<String>| value.clone().map(|value| (option, value));
        let single = [stack, word("--env", &self.env), word("--on", &self.on), word("--lease", &self.lease)];
        let vars = self.vars.iter().map(|(name, value)| ("--var", format!("{name}={value}")));
        typed(single.into_iter().flatten().chain(vars))
    }

    /// A command to type next: about the same stack, environment and place.
    fn command(&self, what: &str) -> String {
        format!("towpath {what}{}", self.chosen())
    }
}

/// Options with their values, as a shell reads them; each after a blank.
fn typed<'o>(options: impl IntoIterator<Item = (&'o str, String)>) -> String {
    options.into_iter().fold(String::new(), |words, (option, value)| format!("{words} {option} {}", quoted(&value)))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// `--yes`, for commands that change something.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Consent {
    /// Go ahead without asking
    #[arg(long, short)]
    yes: bool,
}

/// Which part of a stack to plan, and what may be lost.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only these resources and what they need; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// All but these resources and what needs them; may be repeated
    #[arg(long = "exclude", value_name = "NAME")]
    excludes: Vec<String>,
    /// Delete and make this resource again; may be repeated
    #[arg(long = "replace", value_name = "NAME")]
    replace: Vec<String>,
    /// Allow the loss of what this resource holds; may be repeated
    #[arg(long = "allow-data-loss", value_name = "NAME")]
    allow_data_loss: Vec<String>,
    /// Take a final snapshot of this resource before it is deleted, as NAME=SNAPSHOT; may be repeated
    #[arg(long = "final-snapshot", value_name = "NAME=SNAPSHOT", value_parser = variable)]
    final_snapshots: Vec<(String, String)>,
    /// On destroy, also delete roles that belong to the whole account
    #[arg(long)]
    include_shared: bool,
}

impl Selection {
    /// The same as it is typed after a command.
    fn written(&self) -> String {
        let names = [
            ("--target", &self.targets),
            ("--exclude", &self.excludes),
            ("--replace", &self.replace),
            ("--allow-data-loss", &self.allow_data_loss),
        ];
        let names = names.into_iter().flat_map(|(option, names)| names.iter().map(move |name| (option, name.clone())));
        let snapshots =
            self.final_snapshots.iter().map(|(name, snapshot)| ("--final-snapshot", format!("{name}={snapshot}")));
        let shared = if self.include_shared { " --include-shared" } else { "" };
        format!("{}{shared}", typed(names.chain(snapshots)))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a project to begin with: a stack, `.env.template`, models
    #[command(after_help = "Example:\n  towpath init boats && towpath up")]
    Init(init::InitArgs),
    /// Check stack and models offline, reporting every problem at once
    #[command(after_help = "Example:\n  towpath check --stack stacks/club.yaml --env prod")]
    Check,
    /// Show what `apply` would do
    ///
    /// Exits with 0 when there is nothing to do and with 3 when there is.
    #[command(
        after_help = "Examples:\n  towpath plan\n  towpath plan --out club.plan && towpath apply club.plan\n  towpath plan --markdown > comment.md"
    )]
    Plan(plan::PlanArgs),
    /// Make AWS match the stack
    #[command(
        after_help = "Examples:\n  towpath apply\n  towpath apply club.plan\n  towpath apply --yes --target instance"
    )]
    Apply(apply::ApplyArgs),
    /// Delete everything the stack owns, then list what is left
    #[command(after_help = "Example:\n  towpath destroy --allow-data-loss warehouse")]
    Destroy(down::DownArgs),
    /// List what differs from the stack, field by field; accept, revert or ignore each
    #[command(
        after_help = "Examples:\n  towpath drift\n  towpath drift --accept instance.class --revert guard.ingress --ignore workgroup.base_rpu"
    )]
    Drift(drift::DriftArgs),
    /// List what differs between two environments of the stack file, field by field
    ///
    /// Exits with 3 when something differs.
    #[command(after_help = "Examples:\n  towpath diff prod\n  towpath diff staging prod --live")]
    Diff(diff::DiffArgs),
    /// Take over objects that exist already, writing those into the stack file that are not in it
    #[command(
        after_help = "Examples:\n  towpath adopt staging\n  towpath adopt --all\n  towpath adopt dms/replication_instance my-instance --as instance\n  towpath adopt --discover\n  towpath adopt --discover --kind s3/bucket"
    )]
    Adopt(adopt::AdoptArgs),
    /// Settle a run that was cut off, without applying anything
    #[command(after_help = "Example:\n  towpath recover --yes")]
    Recover(recover::RecoverArgs),
    /// Show what stands, the migration and the expiry
    #[command(after_help = "Example:\n  towpath status --json")]
    Status,
    /// Load CSV files into the source database
    #[command(after_help = "Example:\n  towpath upload --from data/club")]
    Upload(upload::UploadArgs),
    /// Run the replication task, watch it and confirm that the rows arrived
    #[command(after_help = "Examples:\n  towpath migrate\n  towpath migrate --reload public.events")]
    Migrate(migrate::MigrateArgs),
    /// Compare source and warehouse table by table
    #[command(after_help = "Example:\n  towpath validate --level columns")]
    Validate(migrate::ValidateArgs),
    /// Build and test the SQL models
    #[command(
        after_help = "Examples:\n  towpath models build\n  towpath models run --select rbt_event_rsvps_daily+ --full-refresh\n  towpath models test --vars 'check_events_membership: true'"
    )]
    Models(models::ModelsArgs),
    /// All of it: apply, upload, migrate, validate, models; does only what is not done yet
    #[command(after_help = "Example:\n  towpath up --yes")]
    Up(up::UpArgs),
    /// Destroy the stack and prove that nothing is left
    #[command(after_help = "Examples:\n  towpath down --yes\n  towpath down --purge --purge-snapshot club-final")]
    Down(down::DownArgs),
    /// Destroy every stack of the account and region whose expiry has passed, found by tags alone
    #[command(after_help = "Examples:\n  towpath reap\n  towpath reap --on aws --yes --allow-data-loss demo.warehouse")]
    Reap(reap::ReapArgs),
    /// Look at credentials, account, roles, PostgreSQL and the source's settings
    #[command(after_help = "Example:\n  towpath doctor --env prod")]
    Doctor(doctor::DoctorArgs),
    /// Print what the declared resources cost by the month
    #[command(after_help = "Example:\n  towpath cost --env prod")]
    Cost(cost::CostArgs),
    /// Print the resources and what needs what
    #[command(
        after_help = "Examples:\n  towpath graph > stack.mmd\n  towpath graph --format dot | dot -Tsvg > stack.svg"
    )]
    Graph(graph::GraphArgs),
    /// Write sample data
    #[command(after_help = "Example:\n  towpath sample club --scale 1 --seed 7 --out data/club")]
    Sample(sample::SampleArgs),
    /// Run the local AWS in the foreground, for other clients
    #[command(
        after_help = "Example:\n  towpath sandbox --port 4566 &\n  AWS_ENDPOINT_URL=http://127.0.0.1:4566 aws dms describe-endpoints"
    )]
    Sandbox(sandbox::SandboxArgs),
    /// Watches the sandbox's database server; started by towpath itself
    #[command(hide = true)]
    SandboxSupervisor { directory: PathBuf },
    /// Print the reference page of a kind, or list all kinds
    #[command(after_help = "Examples:\n  towpath explain\n  towpath explain dms/endpoint")]
    Explain { kind: Option<String> },
    /// Print the JSON Schema of stack files
    #[command(after_help = "Example:\n  towpath schema > docs/stack.schema.json")]
    Schema,
    /// Print completions for a shell
    #[command(after_help = "Example:\n  towpath completions bash > /etc/bash_completion.d/towpath")]
    Completions { shell: clap_complete::Shell },
}

fn variable(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write NAME=VALUE".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|speed| speed.is_finite() && *speed >= 1.0)
        .ok_or_else(|| "a number from 1 (as slow as AWS) upwards".to_owned())
}

/// Runs what the command line asks for and says what went wrong. The result is the exit code.
pub async fn run(cli: Cli) -> Exit {
    let output = Output::new(Wishes {
        json: cli.global.json,
        quiet: cli.global.quiet,
        no_color: cli.global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        dumb: std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
    });
    let exit = match Box::pin(dispatch(cli, &output)).await {
        Ok(exit) => exit,
        Err(error) => {
            output.clear();
            error.show(&output);
            error.exit
        }
    };
    let Some(error) = output.unwritten() else { return exit };
    CliError::failed("not everything could be written to standard output", &error).show(&output);
    if matches!(exit, Exit::Done | Exit::Differences) { Exit::Failed } else { exit }
}

async fn dispatch(cli: Cli, output: &Output) -> Result<Exit, CliError> {
    let global = &cli.global;
    match cli.command {
        Command::Init(args) => init::run(&args, output),
        Command::Check => check::run(global, output),
        Command::Doctor(args) => doctor::run(global, &args, output).await,
        Command::Cost(args) => cost::run(global, &args, output),
        Command::Graph(args) => graph::run(global, &args, output),
        Command::Plan(args) => plan::run(global, &args, output).await,
        Command::Apply(args) => apply::run(global, &args, output).await,
        Command::Drift(args) => drift::run(global, &args, output).await,
        Command::Diff(args) => diff::run(global, &args, output).await,
        Command::Adopt(args) => adopt::run(global, &args, output).await,
        Command::Status => status::run(global, output).await,
        Command::Upload(args) => upload::run(global, &args, output).await,
        Command::Migrate(args) => migrate::run(global, &args, output).await,
        Command::Validate(args) => migrate::validate(global, &args, output).await,
        Command::Models(args) => models::run(global, &args, output).await,
        Command::Up(args) => up::run(global, &args, output).await,
        Command::Destroy(args) | Command::Down(args) => down::run(global, &args, output).await,
        Command::Recover(args) => recover::run(global, &args, output).await,
        Command::Reap(args) => reap::run(global, &args, output).await,
        Command::Sample(args) => sample::run(&args, output),
        Command::Sandbox(args) => sandbox::run(global, &args, output).await,
        Command::SandboxSupervisor { directory } => sandbox::supervise(&directory).await,
        Command::Explain { kind } => explain::run(kind.as_deref(), output),
        Command::Schema => schema::run(output),
        Command::Completions { shell } => Ok(schema::completions(shell, output)),
    }
}
