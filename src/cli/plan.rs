//! `towpath plan`, and how every command that acts makes its plan.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use towpath_aws::kinds::overfull;
use towpath_engine::apply::retry::Retry;
use towpath_engine::journal::{Entry, Journal, Record, Replay, replay};
use towpath_engine::kind::{Object, Place, tag};
use towpath_engine::observe::{Observation, observe};
use towpath_engine::plan::saved::Saved;
use towpath_engine::plan::{Action, BuildInput, Note, Options, Plan, Verb, build, holding, is_chosen, is_used_by};
use towpath_engine::preflight::preflight;

use super::lease::Held;
use super::quotas::Taken;
use super::session::Session;
use super::{CliError, Exit, Global, Selection, quotas, secrets};
use crate::report::output::Output;
use crate::report::plan::{markdown, text};

/// Arguments of `towpath plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    selection: Selection,
    /// Plan the destruction of the stack
    #[arg(long)]
    destroy: bool,
    /// Save the plan; `towpath apply FILE` does exactly that or refuses
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print Markdown for a pull request
    #[arg(long)]
    markdown: bool,
    /// Say how many AWS calls were made, by operation
    #[arg(long)]
    calls: bool,
}

/// Shows the plan.
pub(super) async fn run(global: &Global, args: &PlanArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let verb = if args.destroy { Verb::Destroy } else { Verb::Apply };
    let (plan, observation) = make(&session, &args.selection, verb, output).await?;
    output.json("plan", &serde_json::json!({ "plan": plan }));
    let adopt = |name: &str| session.command(&format!("adopt {name}"));
    output.data(&if args.markdown { markdown(&plan, &adopt) } else { text(&plan, output.color, &adopt) });
    if verb == Verb::Apply {
        secrets::warn(&session, &plan, output);
    }
    if let Some(path) = &args.out {
        save(&session, &args.selection, verb, &plan, &observation, path).await?;
        let path = path.display().to_string();
        let apply = session.command(&format!("apply {}", super::quoted(&path)));
        output.talk(&format!("Saved to `{path}`. To apply exactly this:\n\n    {apply}"));
    }
    if args.calls {
        let calls = session.cloud.calls();
        output.json("calls", &serde_json::json!({ "calls": calls }));
        for (operation, count) in &calls {
            output.talk(&format!("{count:>4}  {operation}"));
        }
        output.talk(&format!("{:>4}  AWS calls in all", calls.values().sum::<u64>()));
    }
    session.close().await;
    Ok(if plan.is_empty() && plan.is_allowed() { Exit::Done } else { Exit::Differences })
}

/// Makes a plan from what is there now. One of which AWS would refuse a step is refused.
pub(super) async fn make(
    session: &Session,
    selection: &Selection,
    verb: Verb,
    output: &Output,
) -> Result<(Plan, Observation), CliError> {
    let (plan, observation) = draft(session, selection, verb, output).await?;
    feasible(session, &plan, &observation).await?;
    Ok((plan, observation))
}

/// Makes a plan from what is there now, whatever AWS would say of it.
pub(super) async fn draft(
    session: &Session,
    selection: &Selection,
    verb: Verb,
    output: &Output,
) -> Result<(Plan, Observation), CliError> {
    sensible(session, selection, verb)?;
    can_be_saved(session, selection)?;
    let place = session.locate().await?;
    let replay = remembered(session)?;
    let options = options(session, selection, verb, Vec::new());
    let look_and_build = async |replay: &Replay| {
        output.bar("observe", "reading what is there", None);
        let observed = look(session, verb, replay).await;
        output.finish("observe");
        observed.map(|observation| (build(&input(session, &place, &options, replay, &observation)), observation))
    };
    session.cloud.read_tags_in_bulk(verb == Verb::Apply);
    let (mut plan, mut observation) = look_and_build(&replay).await?;
    known_losses(session, selection, &plan, &observation, output)?;
    session.cloud.read_tags_in_bulk(false);
    // The index of tags lags behind: it may say that there is nothing to do, and nothing else.
    if session.cloud.has_read_tags_in_bulk() && !(plan.is_empty() && plan.is_allowed()) {
        (plan, observation) = look_and_build(&replay).await?;
    }
    chosen(session, selection, &observation)?;
    // What others have in the way of a deletion may be of kinds that the stack does not use.
    let mut wider = replay.clone();
    wider.kinds.extend(holding(&plan, &session.registry).into_iter().map(str::to_owned));
    if wider.kinds.iter().any(|kind| !observation.objects.contains_key(kind)) {
        (plan, observation) = look_and_build(&wider).await?;
    }
    Ok((plan, observation))
}

/// The plan that takes over the objects of these resources.
pub(super) async fn adopting(
    session: &Session,
    selection: &Selection,
    names: Vec<String>,
    observation: &Observation,
) -> Result<Plan, CliError> {
    let place = session.locate().await?;
    let replay = remembered(session)?;
    let options = options(session, selection, Verb::Apply, names);
    Ok(build(&input(session, &place, &options, &replay, observation)))
}

/// Refuses a plan of which AWS would refuse a step.
pub(super) async fn feasible(session: &Session, plan: &Plan, observation: &Observation) -> Result<(), CliError> {
    let found = refusals(session, plan, observation).await?;
    // Whoever may not read the quotas may still make what fits them.
    let taken = Taken::by(plan, observation, session).await.unwrap_or_default();
    let beyond = taken.map(|taken| taken.beyond()).unwrap_or_default();
    if found.is_empty() && beyond.is_empty() {
        return Ok(());
    }
    let notes = found.iter().map(|note| format!("{}: {}", note.address, note.text));
    let reasons = notes.chain(beyond.iter().map(|(what, text)| format!("{what}: {text}")));
    let error = CliError::new(Exit::Failed, "AWS would refuse this plan; nothing was done");
    let error = reasons.fold(error, CliError::because);
    Err(if beyond.is_empty() { error } else { error.hint(quotas::more(session, "dms")) })
}

/// What AWS would refuse of a plan, quotas apart.
pub(super) async fn refusals(session: &Session, plan: &Plan, observation: &Observation) -> Result<Vec<Note>, CliError> {
    let retry = Retry::new(session.clock.as_ref(), seed());
    let read = async {
        let found = preflight(plan, observation, &session.registry, &retry).await;
        found.map_err(|fault| CliError::failed("cannot read what is there", &fault))
    };
    let mut found = session.reading(read).await?;
    found.extend(overfull(plan, observation));
    Ok(found)
}

/// Reads the world: the kinds of the stack and those the journal names. Before destroying, without a
/// journal, and where an object of the stack was made by a run that the journal does not know, on another
/// machine say, an object of any kind and name may be ours, so that every kind is read.
pub(super) async fn look(session: &Session, verb: Verb, replay: &Replay) -> Result<Observation, CliError> {
    session.reading(look_to_the_end(session, verb, replay)).await
}

async fn look_to_the_end(session: &Session, verb: Verb, replay: &Replay) -> Result<Observation, CliError> {
    let read = |fault| CliError::failed("cannot read what is there", &fault);
    let place = session.locate().await?;
    for (name, resource) in &session.stack.resources {
        // Some kinds read only objects whose names they have heard of.
        if let Some(kind) = session.registry.get(&resource.address.kind)
            && let Err(fault) = kind.name(&place, name, &resource.spec)
        {
            return Err(read(fault));
        }
    }
    let retry = Retry::new(session.clock.as_ref(), seed());
    if verb == Verb::Apply && !replay.kinds.is_empty() {
        let known: Vec<String> = replay.kinds.iter().cloned().collect();
        let observation = observe(&session.stack, &session.registry, &known, &retry).await.map_err(read)?;
        if runs(session, &observation).is_subset(&replay.runs) {
            return Ok(observation);
        }
    }
    session.cloud.look_everywhere();
    let every: Vec<String> = session.registry.names().map(str::to_owned).collect();
    observe(&session.stack, &session.registry, &every, &retry).await.map_err(read)
}

/// The runs that made the objects of the stack.
fn runs(session: &Session, observation: &Observation) -> BTreeSet<String> {
    let own = observation.objects.values().flatten().filter(|object| is_own(session, object));
    own.filter_map(|object| object.tags.as_ref()?.get(tag::RUN).cloned()).collect()
}

fn is_own(session: &Session, object: &Object) -> bool {
    object.owner().is_some_and(|(stack, _)| stack == session.stack.name)
}

/// Keeps in the journal what was seen of the stack and is not in it, so that the next plan need not read
/// every kind.
pub(super) async fn keep_seen(session: &Session, held: &Held, observation: &Observation) -> Result<(), CliError> {
    let replay = remembered(session)?;
    let counts = |object: &Object| is_own(session, object) || is_used_by(object, &session.stack.name);
    let seen = observation.objects.iter().filter(|(_, objects)| objects.iter().any(counts));
    let kinds: Vec<String> = seen.map(|(kind, _)| kind.clone()).filter(|kind| !replay.kinds.contains(kind)).collect();
    let runs: Vec<String> = runs(session, observation).difference(&replay.runs).cloned().collect();
    if kinds.is_empty() && runs.is_empty() {
        return Ok(());
    }
    let entry = Entry { at: session.clock.now(), run: held.run().to_owned(), record: Record::Seen { kinds, runs } };
    session
        .journal()
        .record(&entry)
        .await
        .map_err(|error| CliError::failed("no call can be made without the journal", &error))
}

/// What the journal remembers.
pub(super) fn remembered(session: &Session) -> Result<Replay, CliError> {
    let entries = session.journal().entries();
    entries.map(|entries| replay(&entries)).map_err(|error| CliError::failed("the journal cannot be read", &error))
}

/// What the command line and the stack ask of a plan.
pub(super) fn options(session: &Session, selection: &Selection, verb: Verb, adopt: Vec<String>) -> Options {
    let expires = session.stack.expires.and_then(|seconds| i64::try_from(seconds).ok()).map(chrono::Duration::seconds);
    Options {
        verb,
        targets: selection.targets.clone(),
        excludes: selection.excludes.clone(),
        replace: selection.replace.clone(),
        allow_data_loss: selection.allow_data_loss.clone(),
        include_shared: selection.include_shared,
        expires_at: expires.map(|lasts| session.clock.now() + lasts),
        adopt,
        identities: std::collections::BTreeMap::new(),
        only: std::collections::BTreeMap::new(),
        final_snapshots: selection.final_snapshots.iter().cloned().collect(),
    }
}

/// Everything that a plan is made of.
pub(super) fn input<'a>(
    session: &'a Session,
    place: &'a Place,
    options: &'a Options,
    replay: &'a Replay,
    observation: &'a Observation,
) -> BuildInput<'a> {
    BuildInput {
        stack: &session.stack,
        observation,
        registry: &session.registry,
        place,
        options,
        replay,
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Refuses names that the stack does not declare.
pub(super) fn known(session: &Session, names: &[String]) -> Result<(), CliError> {
    let declared: BTreeSet<&str> = session.stack.resources.keys().map(String::as_str).collect();
    match names.iter().find(|name| !declared.contains(name.as_str())) {
        Some(name) => Err(unknown(name, &declared)),
        None => Ok(()),
    }
}

fn unknown(name: &str, known: &BTreeSet<&str>) -> CliError {
    let error = CliError::new(Exit::Usage, format!("the stack has no resource `{name}`"));
    match towpath_engine::diag::closest(name, known.iter().copied()) {
        Some(close) => error.hint(format!("did you mean `{close}`?")),
        None => error,
    }
}

/// The names that the stack declares, and those that its live objects bear in their tags.
fn names<'a>(session: &'a Session, observation: &'a Observation) -> BTreeSet<&'a str> {
    let own = observation.objects.values().flatten().filter_map(Object::owner);
    let own = own.filter(|(stack, _)| *stack == session.stack.name).map(|(_, resource)| resource);
    session.stack.resources.keys().map(String::as_str).chain(own).collect()
}

/// Refuses what the command line asks for and this plan would not do.
fn sensible(session: &Session, selection: &Selection, verb: Verb) -> Result<(), CliError> {
    let usage = |message: String| CliError::new(Exit::Usage, message);
    known(session, &selection.replace)?;
    if let Some(name) =
        selection.targets.iter().chain(&selection.replace).find(|name| selection.excludes.contains(name))
    {
        return Err(usage(format!("`{name}` is both asked for and excluded")));
    }
    match verb {
        Verb::Destroy if !selection.replace.is_empty() => {
            return Err(usage("a destroy makes nothing again: leave `--replace` out".to_owned()));
        }
        Verb::Apply if selection.include_shared => {
            let hint = format!("to delete them: {}", session.command("destroy --include-shared"));
            return Err(usage("`--include-shared` goes with a destroy".to_owned()).hint(hint));
        }
        _ => {}
    }
    let options = options(session, selection, verb, Vec::new());
    match selection.replace.iter().find(|name| !is_chosen(&session.stack, &options, name)) {
        Some(name) => Err(usage(format!("`{name}` is to be made again, and `--target` or `--exclude` leaves it out"))
            .hint(format!("name it with `--target {name}`, and exclude nothing that it needs"))),
        None => Ok(()),
    }
}

/// Refuses parts of the stack that there are not: neither declared nor left over from what was.
fn chosen(session: &Session, selection: &Selection, observation: &Observation) -> Result<(), CliError> {
    let known = names(session, observation);
    let asked = selection.targets.iter().chain(&selection.excludes);
    asked.into_iter().find(|name| !known.contains(name.as_str())).map_or(Ok(()), |name| Err(unknown(name, &known)))
}

/// Names a loss or a final snapshot of what the stack neither declares nor owns: the name may be meant for another, and
/// may be of what an earlier run has deleted. Refused where data would go without the snapshot.
fn known_losses(
    session: &Session,
    selection: &Selection,
    plan: &Plan,
    observation: &Observation,
    output: &Output,
) -> Result<(), CliError> {
    let moved = session.stack.moved.iter().flat_map(|(old, new)| [old.as_str(), new.as_str()]);
    let known: BTreeSet<&str> = names(session, observation).into_iter().chain(moved).collect();
    let said = |name: &String| format!("the stack has no resource `{name}`");
    let close = |name: &str| {
        let close = towpath_engine::diag::closest(name, known.iter().copied());
        close.map(|close| format!("did you mean `{close}`?"))
    };
    let is_unknown = |name: &&String| !known.contains(name.as_str());
    let takes_one = |kind: &str| session.registry.get(kind).is_some_and(|kind| kind.takes_final_snapshot());
    let goes_without = plan
        .steps
        .iter()
        .any(|step| step.action == Action::Delete && step.final_snapshot.is_none() && takes_one(&step.address.kind));
    let snapshots: Vec<&String> = selection.final_snapshots.iter().map(|(name, _)| name).collect();
    if let Some(name) = snapshots.iter().copied().find(is_unknown).filter(|_| goes_without) {
        let error = CliError::new(Exit::Usage, said(name));
        return Err(close(name).into_iter().fold(error, CliError::hint));
    }
    let named: BTreeSet<&String> = selection.allow_data_loss.iter().chain(snapshots).collect();
    for name in named.into_iter().filter(is_unknown) {
        let close = close(name).map(|close| format!("; {close}")).unwrap_or_default();
        output.talk(&format!("{}{close}", said(name)));
    }
    Ok(())
}

/// Refuses a final snapshot of what cannot have one, and under a name that Redshift does not take ("Management guide",
/// identifiers of snapshots): the refusal would come when the workgroup is gone.
fn can_be_saved(session: &Session, selection: &Selection) -> Result<(), CliError> {
    for (name, snapshot) in &selection.final_snapshots {
        let is_name = snapshot.starts_with(|first: char| first.is_ascii_alphabetic())
            && snapshot.chars().all(|one| one.is_ascii_alphanumeric() || one == '-')
            && !snapshot.ends_with('-')
            && !snapshot.contains("--")
            && snapshot.len() <= 255;
        if !is_name {
            let rule = "letters, digits and single hyphens, beginning with a letter, not ending with a hyphen";
            return Err(CliError::new(Exit::Usage, format!("`{snapshot}` cannot be the name of a snapshot")).hint(rule));
        }
        if selection.final_snapshots.iter().filter(|(other, _)| other == name).count() > 1 {
            return Err(CliError::new(Exit::Usage, format!("two final snapshots are asked for of `{name}`")));
        }
        let kind = session.stack.resources.get(name).map(|resource| resource.address.kind.as_str());
        if kind.and_then(|kind| session.registry.get(kind)).is_some_and(|kind| !kind.takes_final_snapshot()) {
            return Err(CliError::new(Exit::Usage, format!("no snapshot can be taken of `{name}`"))
                .hint("of a namespace one can: --final-snapshot NAME=SNAPSHOT"));
        }
    }
    Ok(())
}

/// The seed of retry jitter: fixed in tests, the process otherwise.
pub(super) fn seed() -> u64 {
    std::env::var("TOWPATH_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()))
}

async fn save(
    session: &Session,
    selection: &Selection,
    verb: Verb,
    plan: &Plan,
    observation: &Observation,
    path: &std::path::Path,
) -> Result<(), CliError> {
    let place = session.locate().await?;
    let replay = remembered(session)?;
    let options = options(session, selection, verb, Vec::new());
    let saved = Saved::new(plan.clone(), &input(session, &place, &options, &replay, observation), session.clock.now());
    std::fs::write(path, saved.write())
        .map_err(|error| CliError::failed(format!("the plan cannot be saved to `{}`", path.display()), &error))
}

/// Reads a saved plan.
pub(super) fn restore(session: &Session, path: &std::path::Path) -> Result<Saved, CliError> {
    let wrong = |error: &dyn std::error::Error| {
        CliError::failed(format!("`{}` cannot be applied; nothing was done", path.display()), error)
            .with_exit(Exit::Usage)
            .hint(anew(session))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Saved::read(&text).map_err(|error| wrong(&error))
}

/// Refuses a saved plan that is not for this stack, place and program.
pub(super) fn fits(session: &Session, place: &Place, saved: &Saved) -> Result<(), CliError> {
    let replay = remembered(session)?;
    stale(session, &saved.unfit(&session.stack, place, env!("CARGO_PKG_VERSION"), &session.registry, &replay))
}

/// The way out of a saved plan that cannot be applied.
fn anew(session: &Session) -> String {
    format!("make a new one: {}", session.command("plan --out FILE"))
}

/// Refuses a saved plan for what has changed since.
pub(super) fn stale(session: &Session, changed: &[String]) -> Result<(), CliError> {
    if changed.is_empty() {
        return Ok(());
    }
    let error = CliError::new(Exit::Failed, "the plan is not for what is there now; nothing was done");
    Err(changed.iter().fold(error, CliError::because).hint(anew(session)))
}
