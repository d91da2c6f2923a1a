//! `towpath sandbox`: the local AWS in the foreground, and how every other command starts its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use towpath_engine::stack::Stack;
use towpath_sandbox::{Options, PostgresError, Sandbox};

use super::session::{Project, sandbox_account, sandbox_region};
use super::{CliError, Exit, Global};
use crate::report::output::Output;

/// The folder of a project's sandbox. It plays an AWS account, so that it lies beside what towpath itself
/// remembers in `.towpath/`: who deletes that has lost no account.
const FOLDER: &str = ".towpath-sandbox";

/// Arguments of `towpath sandbox`.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Where the sandbox keeps its state
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    directory: PathBuf,
    /// The account it plays
    #[arg(long, default_value = "111122223333")]
    account: String,
    /// The region it plays
    #[arg(long, default_value = "eu-north-1")]
    region: String,
    /// Plant random faults, repeatable by this seed
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Say every call that comes, as `call service:Operation`
    #[arg(long)]
    calls: bool,
    /// Start PostgreSQL at once instead of when it is first used
    #[arg(long)]
    postgres: bool,
}

/// Serves until interrupted.
pub(super) async fn run(global: &Global, args: &SandboxArgs, output: &Output) -> Result<Exit, CliError> {
    let mut options = Options::new(&args.directory);
    options.account.clone_from(&args.account);
    options.region.clone_from(&args.region);
    options.speed = global.speed;
    options.listen = SocketAddr::from(([127, 0, 0, 1], args.port));
    options.faults.clone_from(&global.faults);
    options.quotas.clone_from(&global.quotas);
    options.chaos = args.chaos;
    options.supervisor = supervisor();
    let (calls, mut called) = tokio::sync::mpsc::unbounded_channel();
    if args.calls {
        // Nobody listens any more once the sandbox stops.
        options.watch = Some(Arc::new(move |call| drop(calls.send(call.to_owned()))));
    }
    let sandbox =
        Sandbox::start(options).await.map_err(|error| CliError::failed("the sandbox cannot start", &error))?;
    if args.postgres {
        sandbox.ensure_postgres().await.map_err(|error| no_postgres(&error))?;
    }
    let endpoint = sandbox.endpoint();
    output
        .json("sandbox", &serde_json::json!({ "endpoint": endpoint, "account": args.account, "region": args.region }));
    output.data(&format!("{endpoint}\n"));
    output.talk(&format!(
        "The sandbox plays account {} in {}. For other clients:\n\n    export AWS_ENDPOINT_URL={endpoint} AWS_REGION={} AWS_DEFAULT_REGION={} AWS_ACCESS_KEY_ID=towpath AWS_SECRET_ACCESS_KEY=sandbox\n\nCtrl-C stops it; its state stays in `{}`.",
        args.account,
        args.region,
        args.region,
        args.region,
        args.directory.display()
    ));
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    super::interrupt::listen(flag.clone());
    let say = |call: String| {
        output.json("call", &serde_json::json!({ "call": call }));
        output.data(&format!("call {call}\n"));
    };
    loop {
        tokio::select! {
            () = super::interrupt::requested(&flag) => break,
            Some(call) = called.recv() => say(call),
        }
    }
    sandbox.shutdown().await;
    while let Ok(call) = called.try_recv() {
        say(call);
    }
    Ok(Exit::Done)
}

/// The folder of a project's sandbox. One that an earlier towpath made in `.towpath/` is used where it is: a sandbox
/// cannot be moved, because its PostgreSQL may lie elsewhere, under a name made of the folder's.
fn folder(root: &Path) -> PathBuf {
    let (folder, earlier) = (root.join(FOLDER), root.join(".towpath").join("sandbox"));
    if !folder.exists() && earlier.join("world.json").exists() { earlier } else { folder }
}

/// Starts the sandbox of a project for one command.
pub(super) async fn start(project: &Project, stack: &Stack, global: &Global) -> Result<Sandbox, CliError> {
    let mut options = Options::new(folder(&project.root));
    options.account = sandbox_account(stack);
    options.region = sandbox_region(stack);
    options.speed = global.speed;
    options.faults.clone_from(&global.faults);
    options.quotas.clone_from(&global.quotas);
    options.supervisor = supervisor();
    Sandbox::start(options).await.map_err(|error| CliError::failed("the sandbox cannot start", &error))
}

/// The command line of the process that stops PostgreSQL when its last user is gone.
fn supervisor() -> Option<Vec<OsString>> {
    Some(vec![std::env::current_exe().ok()?.into(), "sandbox-supervisor".into()])
}

/// The body of that process.
pub(super) async fn supervise(directory: &Path) -> Result<Exit, CliError> {
    let directory = directory.to_owned();
    let watched = tokio::task::spawn_blocking(move || towpath_sandbox::postgres::supervise(&directory)).await;
    match watched {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(error)) => Err(no_postgres(&error)),
        Err(error) => Err(CliError::failed("the supervisor stopped", &error)),
    }
}

/// PostgreSQL cannot be had.
pub(super) fn no_postgres(error: &PostgresError) -> CliError {
    CliError::failed("the sandbox's PostgreSQL cannot be used", error)
}
