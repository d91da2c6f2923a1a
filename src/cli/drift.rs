//! `towpath drift`: what differs from the stack, field by field, and what to do about each: write
//! the live value into the file, change it back, or leave it alone for good.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use towpath_engine::address::Address;
use towpath_engine::observe::Observation;
use towpath_engine::plan::{FieldChange, Verb, drift, standing};
use towpath_engine::stack::declare::{Surroundings, accepted};
use towpath_engine::stack::edit;

use super::apply::{Errand, allowed, carry_out, show};
use super::lease::{Held, hold};
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan, secrets, stack_file, typed};
use crate::report::output::Output;
use crate::report::plan::value;

/// Arguments of `towpath drift`.
#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    /// Write the live value of this field into the stack file, as NAME.FIELD; may be repeated
    #[arg(long, value_name = "NAME.FIELD")]
    accept: Vec<String>,
    /// Change this field back to what the stack declares, and nothing else; may be repeated
    #[arg(long, value_name = "NAME.FIELD")]
    revert: Vec<String>,
    /// Write into the stack file that this field may differ; may be repeated
    #[arg(long, value_name = "NAME.FIELD")]
    ignore: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

type Found = Vec<(Address, Vec<FieldChange>)>;

/// Lists live differences field by field, and does with each what was asked for.
pub(super) async fn run(global: &Global, args: &DriftArgs, output: &Output) -> Result<Exit, CliError> {
    let mut session = Session::open(global, output).await?;
    let observation = look(&session).await?;
    let found = differences(&session, &observation).await?;
    known(&session, args, &found, output)?;
    let text = rewritten(global, &session, args, &found, &observation).await?;
    let left = list(args, &found, output);
    if args.revert.is_empty() {
        write(global, &mut session, args, text, output).await?;
    } else {
        let held = hold(&session, "drift", args.consent, output).await?;
        let result = revert(global, &mut session, &held, args, text, output).await;
        held.release().await;
        if !matches!(result, Ok(Exit::Done)) {
            session.close().await;
            return result;
        }
    }
    if left == 0 {
        output.data("Nothing else differs from the stack.\n");
    } else {
        let [accept, revert, ignore] =
            ["accept", "revert", "ignore"].map(|word| session.command(&format!("drift --{word} NAME.FIELD")));
        output.talk(&format!(
            "\nTo declare what is there: {accept}\nTo make it as declared:    {revert}\nTo leave it alone:         {ignore}"
        ));
    }
    session.close().await;
    Ok(if left == 0 { Exit::Done } else { Exit::Differences })
}

async fn look(session: &Session) -> Result<Observation, CliError> {
    plan::look(session, Verb::Apply, &plan::remembered(session)?).await
}

async fn differences(session: &Session, observation: &Observation) -> Result<Found, CliError> {
    let place = session.locate().await?;
    let replay = plan::remembered(session)?;
    let options = plan::options(session, &Selection::default(), Verb::Apply, Vec::new());
    Ok(drift(&plan::input(session, &place, &options, &replay, observation)))
}

/// Refuses fields that do not differ, and fields of which two things are wanted. To make as declared what is so already,
/// by a run that was cut off say, is no mistake.
fn known(session: &Session, args: &DriftArgs, found: &Found, output: &Output) -> Result<(), CliError> {
    let there: Vec<String> = found
        .iter()
        .flat_map(|(address, changes)| changes.iter().map(|change| format!("{}.{}", address.name, change.path)))
        .collect();
    let asked = || args.accept.iter().chain(&args.revert).chain(&args.ignore);
    let is_declared = |name: &str| {
        let (resource, field) = name.split_once('.').unwrap_or_default();
        session.stack.resources.get(resource).is_some_and(|resource| !resource.spec[field].is_null())
    };
    for name in asked() {
        if args.revert.contains(name) && !there.contains(name) && is_declared(name) {
            output.talk(&format!("`{name}` is as declared."));
            continue;
        }
        if !there.contains(name) {
            let error = CliError::new(Exit::Usage, format!("`{name}` does not differ from the stack"));
            return Err(match towpath_engine::diag::closest(name, there.iter().map(String::as_str)) {
                Some(close) => error.hint(format!("did you mean `{close}`?")),
                None => error.hint(format!("list what differs: {}", session.command("drift"))),
            });
        }
        if asked().filter(|other| *other == name).count() > 1 {
            return Err(CliError::new(
                Exit::Usage,
                format!("`{name}` is named twice: accept it, revert it or ignore it"),
            ));
        }
    }
    Ok(())
}

/// Shows what differs; how many fields nothing is done about.
fn list(args: &DriftArgs, found: &Found, output: &Output) -> usize {
    let mut left = 0;
    for (address, changes) in found {
        for change in changes {
            let name = format!("{}.{}", address.name, change.path);
            let mark = if args.accept.contains(&name) {
                "accepted"
            } else if args.revert.contains(&name) {
                "reverted"
            } else if args.ignore.contains(&name) {
                "ignored"
            } else {
                left += 1;
                "differs"
            };
            output.json(
                "drift",
                &serde_json::json!({ "address": address.to_string(), "field": change.path, "declared": change.after,
                    "live": change.before, "accepted": mark == "accepted", "outcome": mark }),
            );
            output.data(&format!(
                "  {name} {mark}: declared {}, live {}\n",
                value(&change.after),
                value(&change.before)
            ));
        }
    }
    left
}

/// The text of the stack file with what is accepted and ignored.
async fn rewritten(
    global: &Global,
    session: &Session,
    args: &DriftArgs,
    found: &Found,
    observation: &Observation,
) -> Result<String, CliError> {
    let place = session.locate().await?;
    let replay = plan::remembered(session)?;
    let options = plan::options(session, &Selection::default(), Verb::Apply, Vec::new());
    let input = plan::input(session, &place, &options, &replay, observation);
    let standing = standing(&input);
    let kinds: BTreeMap<String, String> =
        session.stack.resources.iter().map(|(name, one)| (name.clone(), one.address.kind.clone())).collect();
    let around =
        Surroundings { observation, registry: &session.registry, place: &place, standing: &standing, kinds: &kinds };
    let environment = global.env.as_deref();
    let mut text = session.project.source.text.clone();
    for (address, changes) in found {
        for change in changes {
            let name = format!("{}.{}", address.name, change.path);
            let cannot = |error: &dyn std::error::Error| {
                CliError::failed(format!("`{name}` cannot be written into the stack file; nothing was done"), error)
            };
            if args.ignore.contains(&name) {
                text = edit::ignore(&text, environment, &address.name, &change.path).map_err(|error| cannot(&error))?;
            }
            if !args.accept.contains(&name) {
                continue;
            }
            let kind = session.registry.get(&address.kind).filter(|_| !change.path.starts_with("tags."));
            let declared = session.stack.resources[&address.name].spec.get(&change.path);
            let live = kind.and_then(|kind| accepted(kind.as_ref(), &change.path, declared, &change.before, &around));
            let Some(live) = live else {
                let error = CliError::new(Exit::Failed, format!("`{name}` cannot be accepted; nothing was done"));
                let error = error.because("the file does not say this field for itself: a tag is the whole stack's, an address in a URL is the variable's");
                let [revert, ignore] =
                    ["revert", "ignore"].map(|word| session.command(&format!("drift --{word} {name}")));
                return Err(error
                    .hint(format!("make it as declared: {revert}"))
                    .hint(format!("leave it as it is: {ignore}")));
            };
            text = edit::set(&text, environment, &address.name, &change.path, &live).map_err(|error| cannot(&error))?;
        }
    }
    Ok(text)
}

/// Writes the file, once it is sure that it reads and that what was accepted and ignored differs no
/// more.
async fn write(
    global: &Global,
    session: &mut Session,
    args: &DriftArgs,
    text: String,
    output: &Output,
) -> Result<(), CliError> {
    if text == session.project.source.text {
        return Ok(());
    }
    session
        .reread(global, &text, output)
        .map_err(|error| error.because("this is what the file would have said; it was not written"))?;
    let observation = look(session).await?;
    for (address, changes) in differences(session, &observation).await? {
        for change in changes {
            let name = format!("{}.{}", address.name, change.path);
            if args.accept.contains(&name) || args.ignore.contains(&name) {
                return Err(CliError::new(
                    Exit::Failed,
                    format!("`{name}` would differ all the same; nothing was done"),
                ));
            }
        }
    }
    let path = &session.project.source.path;
    stack_file::replace(path, &text)?;
    output.talk(&format!("Wrote `{path}`."));
    Ok(())
}

/// Changes fields back to what the stack declares, after asking.
async fn revert(
    global: &Global,
    session: &mut Session,
    held: &Held,
    args: &DriftArgs,
    text: String,
    output: &Output,
) -> Result<Exit, CliError> {
    let mut only: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in &args.revert {
        if let Some((resource, field)) = name.split_once('.') {
            only.entry(resource.to_owned()).or_default().insert(field.to_owned());
        }
    }
    let place = session.locate().await?;
    let replay = plan::remembered(session)?;
    let observation = look(session).await?;
    let mut options = plan::options(session, &Selection::default(), Verb::Apply, Vec::new());
    options.only = only;
    let plan = towpath_engine::plan::build(&plan::input(session, &place, &options, &replay, &observation));
    show(session, &plan, output);
    allowed(session, &plan)?;
    secrets::required(session, &plan, output)?;
    ask(&session.interrupt, args.consent, "Change these back?", output).await?;
    write(global, session, args, text, output).await?;
    if plan.is_empty() {
        return Ok(Exit::Done);
    }
    let reverted = args.revert.iter().map(|name| ("--revert", name.clone()));
    let again = session.command(&format!("drift{}", typed(reverted)));
    carry_out(session, held, &plan, &observation, &Errand { verb: "drift", again: &again }, output).await
}
