//! `towpath down`: destroy, then prove that nothing is left.

use clap::Args;
use towpath_engine::plan::Verb;

use super::apply::{Errand, act, allowed, show};
use super::lease::{Held, hold};
use super::leftovers::{self, Before, Next};
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan};
use crate::report::output::Output;

/// Arguments of `towpath down` and `towpath destroy`.
#[derive(Debug, Args)]
pub(super) struct DownArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    purge: Purge,
    #[command(flatten)]
    consent: Consent,
}

/// What of the leftovers is deleted too.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Purge {
    /// Also delete what AWS made on the stack's behalf and left behind, but no snapshot
    #[arg(long)]
    pub(super) purge: bool,
    /// Also delete this snapshot of a namespace of the stack; may be repeated
    #[arg(long, value_name = "SNAPSHOT")]
    pub(super) purge_snapshot: Vec<String>,
}

/// Destroys and lists leftovers.
pub(super) async fn run(global: &Global, args: &DownArgs, output: &Output) -> Result<Exit, CliError> {
    whole(global, args)?;
    let session = Session::open(global, output).await?;
    let held = hold(&session, "destroy", args.consent, output).await?;
    let result = destroy(&session, &held, args, output).await;
    held.release().await;
    session.close().await;
    result
}

/// Refuses to purge for a part of the stack: which part a leftover belonged to, nothing tells.
fn whole(global: &Global, args: &DownArgs) -> Result<(), CliError> {
    let purges = args.purge.purge || !args.purge.purge_snapshot.is_empty();
    if !purges || args.selection.targets.is_empty() && args.selection.excludes.is_empty() {
        return Ok(());
    }
    let message =
        "what is left is purged for the whole stack only, not with `--target` or `--exclude`; nothing was done";
    Err(CliError::new(Exit::Usage, message)
        .hint("to destroy the part, leave `--purge` out")
        .hint(format!("to destroy all and purge what is left: {}", global.command("down --purge"))))
}

/// Plans the destruction, shows it, asks, does it, and looks what is left.
async fn destroy(session: &Session, held: &Held, args: &DownArgs, output: &Output) -> Result<Exit, CliError> {
    let selection = &args.selection;
    let (plan, observation) = plan::make(session, selection, Verb::Destroy, output).await?;
    show(session, &plan, output);
    allowed(session, &plan)?;
    let before = Before::of(session, &plan, &observation).await?;
    let again = session.command(&format!("destroy{}", selection.written()));
    if !plan.is_empty() {
        ask(&session.interrupt, args.consent, "Destroy this?", output).await?;
        let errand = Errand { verb: "destroy", again: &again };
        let exit = act(session, held, &plan, &observation, &errand, output).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    let purge = session.command("down --purge");
    let next = Next { again: &again, kept: &plan.kept, purge: Some(&purge) };
    if !selection.targets.is_empty() || !selection.excludes.is_empty() {
        return Ok(leftovers::kept(session, &observation, &next, output));
    }
    leftovers::sweep(session, &before, &args.purge, args.consent, &next, output).await
}
