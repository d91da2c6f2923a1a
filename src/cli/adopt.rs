//! `towpath adopt`: objects that exist already become the stack's own.
//!
//! Objects of declared resources get the stack's tags. Objects that are not declared are written
//! into the stack file first, in a form whose plan changes nothing but tags; a plan that would
//! change more is refused and the file left alone. The file is written before the tags: tags
//! without a block would be a deletion in the next plan.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use towpath_engine::kind::Object;
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Plan, Verb, standing};
use towpath_engine::stack::declare::{Declared, Surroundings, Wanted, declare, find};
use towpath_engine::stack::edit;

use super::apply::{Errand, allowed, carry_out, show};
use super::lease::{Held, hold};
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan, secrets, stack_file, typed};
use crate::report::output::Output;

/// The kinds that `--discover` looks for: the pipeline's own.
const PIPELINE: [&str; 2] = ["dms/", "redshift/"];

/// Arguments of `towpath adopt`.
#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// Resources whose objects exist already; or a kind and the objects of it to declare and take over
    #[arg(value_name = "NAME | KIND OBJECT", required_unless_present_any = ["all", "discover"])]
    what: Vec<String>,
    /// The name that the declared object gets under `resources:`
    #[arg(long = "as", value_name = "NAME", conflicts_with_all = ["all", "discover"])]
    name: Option<String>,
    /// Every resource whose object exists and is owned by no stack
    #[arg(long, conflicts_with = "what")]
    all: bool,
    /// Also every object of DMS and Redshift Serverless that no stack owns, declared in the stack file
    #[arg(long, conflicts_with = "what")]
    discover: bool,
    /// With `--discover`: objects of this kind instead; may be repeated
    #[arg(long = "kind", value_name = "KIND", requires = "discover")]
    kinds: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

impl AdoptArgs {
    /// The same command once more.
    fn again(&self, session: &Session) -> String {
        let name = self.name.iter().map(|name| ("--as", name.clone()));
        let options = typed(name.chain(self.kinds.iter().map(|kind| ("--kind", kind.clone()))));
        let flags = [(self.all, " --all"), (self.discover, " --discover")];
        let flags: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect();
        let what = [&["adopt".to_owned()], self.what.as_slice()].concat().join(" ");
        session.command(&format!("{what}{flags}{options}"))
    }
}

/// Puts the stack's tags on objects that exist already, writing those into the stack file that are
/// not declared in it.
pub(super) async fn run(global: &Global, args: &AdoptArgs, output: &Output) -> Result<Exit, CliError> {
    let mut session = Session::open(global, output).await?;
    let held = hold(&session, "adopt", args.consent, output).await?;
    let result = match args.what.split_first() {
        Some((kind, objects)) if kind.contains('/') => {
            undeclared(global, &mut session, &held, &Asked::Objects { kind, objects }, args, output).await
        }
        _ if args.discover => undeclared(global, &mut session, &held, &Asked::Discover, args, output).await,
        _ => declared(&session, &held, args, output).await,
    };
    held.release().await;
    session.close().await;
    result
}

/// Takes over the objects of declared resources; fields that differ are changed by the same plan,
/// which is shown first.
async fn declared(session: &Session, held: &Held, args: &AdoptArgs, output: &Output) -> Result<Exit, CliError> {
    if args.name.is_some() {
        let error = CliError::new(Exit::Usage, "`--as` goes with a kind and one object");
        let example = session.command("adopt dms/endpoint my-endpoint --as source");
        return Err(error.hint(format!("name both, as in: {example}")));
    }
    let (first, observation) = plan::make(session, &Selection::default(), Verb::Apply, output).await?;
    let names = if args.all {
        // What another stack owns is taken from it by name only.
        for (foreign, owner) in first.foreign.iter().filter_map(|one| Some((one, one.owner.as_ref()?))) {
            let name = &foreign.address.name;
            output.alert(&format!(
                "`{}` belongs to {owner} and is left. To take it from there: {}",
                foreign.identity,
                session.command(&format!("adopt {name}"))
            ));
        }
        let free = first.foreign.iter().filter(|foreign| foreign.owner.is_none());
        free.map(|foreign| foreign.address.name.clone()).collect()
    } else {
        args.what.clone()
    };
    let selection = Selection { targets: names.clone(), ..Selection::default() };
    plan::known(session, &names)?;
    if names.is_empty() {
        output.data("There is nothing to adopt.\n");
        return Ok(Exit::Done);
    }
    let plan = plan::adopting(session, &selection, names, &observation).await?;
    show(session, &plan, output);
    allowed(session, &plan)?;
    secrets::required(session, &plan, output)?;
    if plan.is_empty() {
        return Ok(Exit::Done);
    }
    ask(&session.interrupt, args.consent, "Adopt these?", output).await?;
    carry_out(session, held, &plan, &observation, &Errand { verb: "adopt", again: &args.again(session) }, output).await
}

/// Which undeclared objects are wanted.
enum Asked<'a> {
    /// These of a kind.
    Objects { kind: &'a str, objects: &'a [String] },
    /// All that nobody owns.
    Discover,
}

async fn undeclared(
    global: &Global,
    session: &mut Session,
    held: &Held,
    asked: &Asked<'_>,
    args: &AdoptArgs,
    output: &Output,
) -> Result<Exit, CliError> {
    session.cloud.read_fully();
    let replay = plan::remembered(session)?;
    let observation = plan::look(session, Verb::Destroy, &replay).await?;
    let Choice { mut blocks, mut taken } = choose(session, &observation, asked, args).await?;
    if blocks.is_empty() && taken.is_empty() {
        output.data("There is nothing to adopt.\n");
        return Ok(Exit::Done);
    }
    let before = session.project.source.text.clone();
    let mut text = before.clone();
    for one in &blocks {
        text = edit::append_resource(&text, global.env.as_deref(), &one.name, &one.block).map_err(|error| {
            CliError::failed(format!("`{}` cannot be written into the stack file", one.name), &error)
        })?;
    }
    session.reread(global, &text, output).map_err(|error| {
        error.because("the blocks of the adopted objects were not written; the mistakes above are in them")
    })?;
    let observation = plan::look(session, Verb::Destroy, &replay).await?;
    for one in &blocks {
        taken.insert(one.name.clone(), one.identity.clone());
    }
    let plan = tags_only(session, &observation, &taken).await?;
    announce(&mut blocks, &session.project.source.path, output);
    show(session, &plan, output);
    allowed(session, &plan)?;
    only_tags(session, &plan, &taken)?;
    ask(&session.interrupt, args.consent, "Adopt these?", output).await?;
    if text != before {
        let path = &session.project.source.path;
        stack_file::replace(path, &text)?;
        output.talk(&format!("Wrote `{path}`."));
    }
    if plan.is_empty() {
        return Ok(Exit::Done);
    }
    carry_out(session, held, &plan, &observation, &Errand { verb: "adopt", again: &args.again(session) }, output).await
}

/// What is taken over.
struct Choice {
    /// Objects to declare.
    blocks: Vec<Declared>,
    /// Objects of declared resources, by resource.
    taken: BTreeMap<String, String>,
}

async fn choose(
    session: &Session,
    observation: &Observation,
    asked: &Asked<'_>,
    args: &AdoptArgs,
) -> Result<Choice, CliError> {
    let place = session.locate().await?;
    let replay = plan::remembered(session)?;
    let options = plan::options(session, &Selection::default(), Verb::Apply, Vec::new());
    let input = plan::input(session, &place, &options, &replay, observation);
    let standing = standing(&input);
    let kinds: BTreeMap<String, String> =
        session.stack.resources.iter().map(|(name, one)| (name.clone(), one.address.kind.clone())).collect();
    let around =
        Surroundings { observation, registry: &session.registry, place: &place, standing: &standing, kinds: &kinds };
    let mut taken = BTreeMap::new();
    let wanted = match asked {
        Asked::Objects { kind, objects } => {
            let wanted = named(session, &around, kind, objects, args.name.as_deref())?;
            let is_declared = |one: &Wanted| one.name.as_ref().is_some_and(|name| kinds.get(name) == Some(&one.kind));
            let (known, new): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_declared);
            taken.extend(known.into_iter().filter_map(|one| Some((one.name?, one.identity))));
            new
        }
        Asked::Discover => {
            let foreign = towpath_engine::plan::build(&input).foreign;
            taken.extend(
                foreign.into_iter().filter(|one| one.owner.is_none()).map(|one| (one.address.name, one.identity)),
            );
            unowned(&around, &args.kinds)?
        }
    };
    let blocks = declare(&wanted, &around).map_err(|error| {
        CliError::failed("the objects cannot be declared", &error)
            .hint(format!("list what exists: {}", session.command("adopt --discover")))
    })?;
    Ok(Choice { blocks, taken })
}

/// The objects that were asked for by name, with the name they shall have.
fn named(
    session: &Session,
    around: &Surroundings<'_>,
    kind: &str,
    objects: &[String],
    name: Option<&str>,
) -> Result<Vec<Wanted>, CliError> {
    known_kind(around, kind)?;
    if objects.is_empty() || name.is_some() && objects.len() > 1 {
        let what = if objects.is_empty() { "name the object to adopt" } else { "`--as` goes with one object" };
        let one = session.command(&format!("adopt {kind} OBJECT --as NAME"));
        return Err(CliError::new(Exit::Usage, what).hint(format!("one at a time: {one}")));
    }
    let mut wanted = Vec::new();
    for one in objects {
        let Some(object) = find(around.observation, kind, one) else {
            let mut there: Vec<&str> =
                around.observation.of(kind).iter().map(|object| object.identity.as_str()).collect();
            there.sort_unstable();
            let error = CliError::new(Exit::Usage, format!("there is no {kind} `{one}`"));
            return Err(if there.is_empty() { error } else { error.hint(format!("there are: {}", there.join(", "))) });
        };
        let declared = around.standing.iter().find(|(_, other)| std::ptr::eq(**other, object)).map(|(name, _)| name);
        if let (Some(declared), Some(name)) = (declared, name)
            && declared != name
        {
            return Err(CliError::new(Exit::Usage, format!("{kind} `{one}` is declared already, as `{declared}`"))
                .hint(format!("to take it over as that: {}", session.command(&format!("adopt {declared}")))));
        }
        let name = name.map(str::to_owned).or_else(|| declared.cloned());
        if let Some(name) = name.as_ref().filter(|name| around.kinds.get(*name).is_some_and(|other| other != kind)) {
            return Err(CliError::new(Exit::Usage, format!("`{name}` is a resource of another kind")));
        }
        wanted.push(Wanted { kind: kind.to_owned(), identity: object.identity.clone(), name });
    }
    Ok(wanted)
}

fn known_kind(around: &Surroundings<'_>, kind: &str) -> Result<(), CliError> {
    if around.registry.get(kind).is_some() {
        return Ok(());
    }
    let error = CliError::new(Exit::Usage, format!("no kind is named `{kind}`"));
    Err(match towpath_engine::diag::closest(kind, around.registry.names()) {
        Some(close) => error.hint(format!("did you mean `{close}`?")),
        None => error.hint("list all kinds: towpath explain"),
    })
}

/// Every object of the kinds that no stack owns, no resource stands for and no service keeps.
fn unowned(around: &Surroundings<'_>, kinds: &[String]) -> Result<Vec<Wanted>, CliError> {
    for kind in kinds {
        known_kind(around, kind)?;
    }
    let declared: BTreeSet<*const Object> =
        around.standing.values().map(|object| std::ptr::from_ref(*object)).collect();
    let mut wanted = Vec::new();
    for (name, objects) in &around.observation.objects {
        let is_asked =
            if kinds.is_empty() { PIPELINE.iter().any(|one| name.starts_with(one)) } else { kinds.contains(name) };
        let Some(kind) = around.registry.get(name).filter(|_| is_asked) else { continue };
        let free = objects.iter().filter(|object| {
            object.owner().is_none() && !kind.is_given(object) && !declared.contains(&std::ptr::from_ref(*object))
        });
        wanted.extend(free.map(|one| Wanted { kind: name.clone(), identity: one.identity.clone(), name: None }));
    }
    Ok(wanted)
}

/// The plan that takes the objects over.
async fn tags_only(
    session: &Session,
    observation: &Observation,
    taken: &BTreeMap<String, String>,
) -> Result<Plan, CliError> {
    let names: Vec<String> = taken.keys().cloned().collect();
    let selection = Selection { targets: names.clone(), ..Selection::default() };
    let place = session.locate().await?;
    let replay = plan::remembered(session)?;
    let mut options = plan::options(session, &selection, Verb::Apply, names);
    options.identities.clone_from(taken);
    Ok(towpath_engine::plan::build(&plan::input(session, &place, &options, &replay, observation)))
}

/// Refuses a plan that does more than tag: then the blocks do not say what is there, or something
/// that they need is not as declared.
fn only_tags(session: &Session, plan: &Plan, taken: &BTreeMap<String, String>) -> Result<(), CliError> {
    let more: Vec<_> = plan.steps.iter().filter(|step| !matches!(step.action, Action::Tag | Action::Wait)).collect();
    if more.is_empty() {
        return Ok(());
    }
    let error = CliError::new(Exit::Failed, "adopting would change something; nothing was done");
    let error = more.iter().fold(error, |error, step| {
        let fields: Vec<&str> = step.changes.iter().map(|change| change.path.as_str()).collect();
        error.because(format!("{}: {}", step.address, fields.join(", ")))
    });
    let own = more.iter().any(|step| taken.contains_key(&step.address.name));
    let (first, next) = if own { ("declare it by hand, then", "adopt NAME") } else { ("first make it so", "apply") };
    Err(error.hint(format!("{first}: {}", session.command(next))))
}

/// Says what comes into the file, and what nobody could read.
fn announce(blocks: &mut [Declared], path: &str, output: &Output) {
    for one in blocks {
        let address = format!("{}.{}", one.kind, one.name);
        output.json(
            "declared",
            &serde_json::json!({ "address": address, "identity": one.identity, "block": one.block, "unread": one.unread }),
        );
        let along = if one.along { ", which another one names" } else { "" };
        output.data(&format!("  {address} comes into `{path}`{along}\n"));
        for (field, variable) in &one.unread {
            let remedy = match variable {
                Some(name) => format!("set {name} in `.env` before it is needed"),
                None => "write it into the file if it matters".to_owned(),
            };
            output.data(&format!("      `{field}` cannot be read: {remedy}\n"));
        }
    }
    output.data("\n");
}
