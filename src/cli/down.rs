//! `towpath down`: destroy, then prove that nothing is left.

use clap::Args;
use towpath_engine::plan::Verb;

use super::apply::{allowed, ask, carry_out, show};
use super::lease::{Held, hold};
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan};
use crate::report::output::Output;
use crate::report::style::plural;

/// Arguments of `towpath down`.
#[derive(Debug, Args)]
pub(super) struct DownArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    consent: Consent,
}

/// Destroys and lists leftovers.
pub(super) async fn run(global: &Global, args: &DownArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let held = hold(&session, "destroy", args.consent, output).await?;
    let result = destroy(&session, &held, &args.selection, args.consent, output).await;
    held.release().await;
    session.close().await;
    result
}

/// Plans the destruction, shows it, asks, does it, and looks what is left.
pub(super) async fn destroy(
    session: &Session,
    held: &Held,
    selection: &Selection,
    consent: Consent,
    output: &Output,
) -> Result<Exit, CliError> {
    let (plan, _) = plan::make(session, selection, Verb::Destroy, output).await?;
    show(&plan, output);
    allowed(&plan)?;
    if !plan.is_empty() {
        ask(consent, "Destroy this?", output)?;
        let exit = carry_out(session, held, &plan, "destroy", output).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    leftovers(session, selection, output).await
}

/// What still carries the stack's tags or was made on its behalf.
async fn leftovers(session: &Session, selection: &Selection, output: &Output) -> Result<Exit, CliError> {
    if !selection.targets.is_empty() || !selection.excludes.is_empty() {
        return Ok(Exit::Done);
    }
    let read = |fault| CliError::failed("cannot read what is left", &fault);
    let observation = plan::look(session, Verb::Destroy, &plan::remembered(session)?).await?;
    let mut left = Vec::new();
    for (kind, objects) in &observation.objects {
        let ours = objects.iter().filter(|object| object.owner().is_some_and(|(stack, _)| stack == session.stack.name));
        left.extend(ours.map(|object| format!("{kind} `{}`", object.identity)));
    }
    left.extend(towpath_aws::sweep::leftovers(&session.cloud, &session.stack.name).await.map_err(read)?);
    left.sort();
    left.dedup();
    output.json("leftovers", &serde_json::json!({ "leftovers": left }));
    if left.is_empty() {
        output.data("Nothing is left of this stack.\n");
        return Ok(Exit::Done);
    }
    output.data(&format!("{} left:\n", plural(left.len(), "object")));
    for object in &left {
        output.data(&format!("  {object}\n"));
    }
    Ok(Exit::Leftovers)
}
