//! `towpath apply`: the question, the run.

use std::path::PathBuf;

use clap::Args;
use tokio::sync::mpsc;
use towpath_engine::apply::{self, BeforeDelete, Context, Summary};
use towpath_engine::fault::FaultClass;
use towpath_engine::journal::{Entry, Journal, Record};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Plan, Reason, Verb};

use super::lease::{Held, Steps, hold};
use super::question::{ask, can_be_asked, is_agreed};
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan, quotas, secrets, slots};
use crate::report::output::Output;
use crate::report::plan::text;
use crate::report::run::Run;
use crate::report::style::{duration, plural};

/// Arguments of `towpath apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// A plan saved by `towpath plan --out`: exactly that is done, or nothing
    #[arg(conflicts_with_all = ["targets", "excludes", "replace", "allow_data_loss", "final_snapshots", "include_shared"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    consent: Consent,
}

/// Applies a saved plan, or plans, shows, asks and applies.
pub(super) async fn run(global: &Global, args: &ApplyArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let held = hold(&session, "apply", args.consent, output).await?;
    let result = match &args.file {
        Some(file) => Box::pin(apply_saved(&session, &held, file, output)).await,
        None => Box::pin(apply_now(&session, &held, &args.selection, args.consent, output)).await,
    };
    held.release().await;
    session.close().await;
    result
}

async fn apply_saved(
    session: &Session,
    held: &Held,
    file: &std::path::Path,
    output: &Output,
) -> Result<Exit, CliError> {
    let saved = plan::restore(session, file)?;
    secrets::required(session, &saved.plan, output)?;
    plan::fits(session, &session.locate().await?, &saved)?;
    let destroys = saved.plan.steps.iter().any(|step| step.reason == Reason::Destroyed);
    let verb = if destroys { Verb::Destroy } else { Verb::Apply };
    let name = if destroys { "destroy" } else { "apply" };
    let observation = plan::look(session, verb, &plan::remembered(session)?).await?;
    plan::stale(session, &saved.changed_since(&observation))?;
    let plan = saved.plan;
    allowed(session, &plan)?;
    record(session, held, Record::Saved { plan: saved.checksum }).await?;
    // The file is used up, and what a part of the stack was chosen by is not in it.
    let again = session.command(if plan.partial { "plan --out FILE" } else { name });
    act(session, held, &plan, &observation, &Errand { verb: name, again: &again }, output).await
}

async fn apply_now(
    session: &Session,
    held: &Held,
    selection: &Selection,
    consent: Consent,
    output: &Output,
) -> Result<Exit, CliError> {
    let (plan, observation) = plan::make(session, selection, Verb::Apply, output).await?;
    let plan = settled(session, selection, plan, &observation, consent, output).await?;
    secrets::required(session, &plan, output)?;
    if plan.is_empty() {
        plan::keep_seen(session, held, &observation).await?;
        slots::release_due(session, held, &observation, output).await?;
        return Ok(Exit::Done);
    }
    ask(&session.interrupt, consent, "Apply this plan?", output).await?;
    let again = session.command(&format!("apply{}", selection.written()));
    act(session, held, &plan, &observation, &Errand { verb: "apply", again: &again }, output).await
}

/// What a run is called, and the command that goes on with it.
pub(super) struct Errand<'a> {
    pub(super) verb: &'a str,
    pub(super) again: &'a str,
}

/// Carries the plan out. The slots of tasks that it deletes go too, whatever became of the rest.
pub(super) async fn act(
    session: &Session,
    held: &Held,
    plan: &Plan,
    observation: &Observation,
    errand: &Errand<'_>,
    output: &Output,
) -> Result<Exit, CliError> {
    let tasks = slots::deleted(session, held, plan, observation).await?;
    let dropping = slots::Dropping { session, plan, tasks: &tasks, output };
    let result = carry_out_after(session, held, plan, observation, &dropping, (errand, output)).await;
    slots::release_deleted(session, held, tasks, output).await?;
    result
}

async fn record(session: &Session, held: &Held, record: Record) -> Result<(), CliError> {
    let entry = Entry { at: session.clock.now(), run: held.run().to_owned(), record };
    session
        .journal()
        .record(&entry)
        .await
        .map_err(|error| CliError::failed("no call can be made without the journal", &error))
}

/// Shows a plan that is about to be asked about.
pub(super) fn show(session: &Session, plan: &Plan, output: &Output) {
    output.json("plan", &serde_json::json!({ "plan": plan }));
    output.data(&text(plan, output.color, &|name| session.command(&format!("adopt {name}"))));
}

/// Refuses a plan that would touch what is not ours or lose what is protected.
pub(super) fn allowed(session: &Session, plan: &Plan) -> Result<(), CliError> {
    if plan.is_allowed() {
        return Ok(());
    }
    let mut error = CliError::new(Exit::Failed, "the plan is refused; nothing was done");
    for foreign in &plan.foreign {
        error = error.because(format!("{}: `{}` exists and is not this stack's", foreign.address, foreign.identity));
    }
    for refused in &plan.refused {
        error = error.because(format!("{}: {}", refused.address, refused.text));
        if refused.is_loss() {
            error = error.hint(format!("to allow it: --allow-data-loss {}", refused.address.name));
        }
    }
    for foreign in &plan.foreign {
        let it = if plan.foreign.len() == 1 { "it".to_owned() } else { format!("`{}`", foreign.identity) };
        error =
            error.hint(format!("to take {it} over: {}", session.command(&format!("adopt {}", foreign.address.name))));
    }
    Err(error)
}

/// A plan that may be carried out, after it was shown. Where objects stand in its way that no stack owns and somebody can
/// be asked, they may be adopted, which makes it another plan that is shown as well. `--yes` adopts nothing, and what
/// another stack owns is only taken over by its name.
pub(super) async fn settled(
    session: &Session,
    selection: &Selection,
    plan: Plan,
    observation: &Observation,
    consent: Consent,
    output: &Output,
) -> Result<Plan, CliError> {
    show(session, &plan, output);
    let is_free = !plan.foreign.is_empty() && plan.foreign.iter().all(|foreign| foreign.owner.is_none());
    if !is_free || consent.yes || !can_be_asked(output) {
        return allowed(session, &plan).map(|()| plan);
    }
    let names = plan.foreign.iter().map(|foreign| foreign.address.name.clone()).collect();
    let with_them = plan::adopting(session, selection, names, observation).await?;
    if !with_them.is_allowed() {
        return allowed(session, &plan).map(|()| plan);
    }
    let these = match plan.foreign.as_slice() {
        [one] => format!("`{}`", one.identity),
        many => format!("these {}", plural(many.len(), "object")),
    };
    if !is_agreed(&session.interrupt, &format!("Adopt {these} and go on?"), output).await? {
        return allowed(session, &plan).map(|()| plan);
    }
    plan::feasible(session, &with_them, observation).await?;
    show(session, &with_them, output);
    Ok(with_them)
}

/// Carries the plan out and says how it went.
pub(super) async fn carry_out(
    session: &Session,
    held: &Held,
    plan: &Plan,
    observation: &Observation,
    errand: &Errand<'_>,
    output: &Output,
) -> Result<Exit, CliError> {
    carry_out_after(session, held, plan, observation, &(), (errand, output)).await
}

/// The same, with what comes before each deletion.
async fn carry_out_after(
    session: &Session,
    held: &Held,
    plan: &Plan,
    observation: &Observation,
    before_delete: &dyn BeforeDelete,
    (errand, output): (&Errand<'_>, &Output),
) -> Result<Exit, CliError> {
    plan::keep_seen(session, held, observation).await?;
    let began = std::time::Instant::now();
    let speed = session.clock.scale();
    if speed > 1.0 {
        output
            .talk(&format!("The sandbox's states pass {speed} times as fast as AWS's; the times of steps are AWS's."));
    }
    let summary = follow(session, held, plan, before_delete, (errand.verb, output)).await?;
    said(&summary, began.elapsed().as_secs_f64(), output);
    outcome(session, held, &summary, errand.again)
}

async fn follow(
    session: &Session,
    held: &Held,
    plan: &Plan,
    before_delete: &dyn BeforeDelete,
    (verb, output): (&str, &Output),
) -> Result<Summary, CliError> {
    let (events, mut received) = mpsc::unbounded_channel();
    session.cloud.remember_tags();
    let journal = session.mortal_journal();
    let context = Context {
        registry: &session.registry,
        clock: session.clock.as_ref(),
        journal: &journal,
        events,
        parallelism: session.parallel,
        interrupt: session.interrupt.as_ref(),
        lease: held.guard(),
        run: held.run().to_owned(),
        seed: plan::seed(),
        before_delete,
    };
    let reported = Run::new(output);
    let mut steps = Steps::default();
    let run = async {
        let result = apply::run(plan, verb, &context).await;
        drop(context);
        result
    };
    let report = async {
        while let Some(event) = received.recv().await {
            reported.event(&event);
            if let Some(step) = steps.after(&event) {
                held.step(&step);
            }
        }
    };
    let (result, ()) = tokio::join!(run, report);
    output.clear();
    result.map_err(|error| CliError::failed(format!("the {verb} stopped"), &error))
}

fn said(summary: &Summary, seconds: f64, output: &Output) {
    let mut parts = vec![format!("{} done", plural(summary.succeeded, "step"))];
    for (count, what) in [
        (summary.failed.len(), "failed"),
        (summary.in_progress.len(), "still in progress"),
        (summary.blocked.len(), "not tried"),
        (summary.left, "not started"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    output.talk(&format!("{} in {}.", parts.join(", "), duration(seconds)));
}

/// The error of an interrupted run, without a way out yet.
fn interrupted(summary: &Summary) -> CliError {
    let left = [
        (summary.left, format!("{} not started", plural(summary.left, "step"))),
        (
            summary.in_progress.len(),
            format!("{} still in progress in AWS", plural(summary.in_progress.len(), "object")),
        ),
    ];
    let left: Vec<String> = left.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    let said = if left.is_empty() { "interrupted".to_owned() } else { format!("interrupted: {}", left.join(", ")) };
    let error = CliError::new(Exit::Interrupted, said);
    summary.failed.iter().fold(error, |error, (address, fault)| error.because(format!("{address}: {fault}")))
}

fn outcome(session: &Session, held: &Held, summary: &Summary, again: &str) -> Result<Exit, CliError> {
    if summary.is_complete() {
        return Ok(Exit::Done);
    }
    if held.is_lost() {
        return Err(held.loss().hint(format!("once nobody else is changing the stack: {again}")));
    }
    if session.interrupt.load(std::sync::atomic::Ordering::SeqCst) {
        return Err(interrupted(summary).hint(format!("to go on: {again}")));
    }
    if summary.failed.is_empty() {
        return Err(CliError::new(
            Exit::Resumable,
            format!("{} still in progress in AWS", plural(summary.in_progress.len(), "object")),
        )
        .hint(format!("to go on waiting: {again}")));
    }
    let mut error =
        CliError::new(Exit::Resumable, format!("{} failed; the others went on", plural(summary.failed.len(), "step")));
    for (address, fault) in &summary.failed {
        error = error.because(format!("{address}: {fault}"));
    }
    for (address, fault) in &summary.failed {
        let is_change = ["Modify", "Update", "Move"].iter().any(|verb| fault.operation.contains(&format!(":{verb}")));
        if is_change && fault.class == FaultClass::Invalid {
            let anew = session.command(&format!("plan --replace {}", address.name));
            error = error.hint(format!("if AWS cannot change it in place, see what making it anew means: {anew}"));
        }
    }
    let mut ways_out: Vec<String> = Vec::new();
    for way_out in summary.failed.iter().filter_map(|(_, fault)| quotas::way_out(session, fault)) {
        if !ways_out.contains(&way_out) {
            ways_out.push(way_out);
        }
    }
    error = ways_out.into_iter().fold(error, CliError::hint);
    for (address, by) in &summary.blocked {
        error = error.because(format!("{address} was not tried, because {by} failed"));
    }
    Err(error.hint(format!("mend the cause, then go on: {again}")))
}
