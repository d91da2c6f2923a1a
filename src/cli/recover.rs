//! `towpath recover`: settles a run that was cut off, without applying anything.

use clap::Args;
use towpath_engine::journal::Replay;
use towpath_engine::kind::{Object, Readiness};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Plan, Step, Verb, build, settle};

use super::apply::{Errand, carry_out, show};
use super::lease::{Held, hold};
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan};
use crate::report::output::Output;

/// Arguments of `towpath recover`.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    consent: Consent,
}

/// Says what became of every call whose outcome is not known, waits for what is on its way, and
/// starts what was left stopped.
pub(super) async fn run(global: &Global, args: &RecoverArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let held = hold(&session, "recover", args.consent, output).await?;
    let result = recover(&session, &held, args, output).await;
    held.release().await;
    session.close().await;
    result
}

async fn recover(session: &Session, held: &Held, args: &RecoverArgs, output: &Output) -> Result<Exit, CliError> {
    let replay = plan::remembered(session)?;
    let place = session.locate().await?;
    let observation = plan::look(session, Verb::Destroy, &replay).await?;
    let options = plan::options(session, &Selection::default(), Verb::Apply, Vec::new());
    let mut plan = settle(build(&plan::input(session, &place, &options, &replay, &observation)), &replay);
    // What is half-way shows in the world, whether or not a journal remembers the run.
    if replay.unsettled.is_empty() && plan.is_empty() {
        output.data("No run was cut off.\n");
        return Ok(Exit::Done);
    }
    let hidden = tell(&replay, &plan, &observation, output);
    // A create of which nothing is seen may yet become visible: it stays open.
    plan.partial = hidden > 0;
    show(session, &plan, output);
    if !plan.is_empty() {
        ask(&session.interrupt, args.consent, "Settle this?", output).await?;
    }
    let again = session.command("recover");
    let exit =
        carry_out(session, held, &plan, &observation, &Errand { verb: "recover", again: &again }, output).await?;
    output.talk(&format!("To go on with what was meant: {}", session.command("apply")));
    Ok(exit)
}

/// What became of each call; how many creates left nothing to be seen.
fn tell(replay: &Replay, plan: &Plan, observation: &Observation, output: &Output) -> usize {
    let mut hidden = 0;
    for (address, action, identity) in &replay.unsettled {
        let is = |object: &&Object| {
            let name = object.outputs.get("name").and_then(|name| name.as_str());
            object.identity.eq_ignore_ascii_case(identity)
                || name.is_some_and(|name| name.eq_ignore_ascii_case(identity))
        };
        let found = observation.of(&address.kind).iter().find(is);
        let state = match found.map(|object| &object.readiness) {
            None => "is not there",
            Some(Readiness::Ready) => "is there and ready",
            Some(Readiness::Pending(_)) => "is on its way",
            Some(Readiness::Failed(_)) => "is there and has failed",
            Some(Readiness::Deleting) => "is going away",
        };
        hidden += usize::from(*action == Action::Create && found.is_none());
        output.json(
            "unsettled",
            &serde_json::json!({ "address": address.to_string(), "action": action, "identity": identity, "state": state }),
        );
        output.data(&format!("  {address} ({identity}) {state}\n"));
    }
    for Step { address, .. } in plan.steps.iter().filter(|step| step.action == Action::Resume) {
        output.json("stopped", &serde_json::json!({ "address": address.to_string() }));
        output.data(&format!("  {address} was stopped for a change\n"));
    }
    output.data("\n");
    hidden
}
