//! `towpath reap`: destroys every stack of the account and region whose time has passed, found by
//! the tags of its objects; neither its file nor its journal is needed.
//!
//! A stack expires when the last of its objects does. The tags are read again under the stack's
//! lease, so that one that was renewed meanwhile stays.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use clap::Args;
use towpath_engine::kind::{Object, tag};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Expiry, Plan, Verb, build, expiry};
use towpath_engine::stack::LeasePlace;

use super::apply::{Errand, act, allowed, show};
use super::down::Purge;
use super::lease::{Held, hold};
use super::leftovers::{self, Before, Next};
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, Global, Selection, plan, typed};
use crate::report::output::Output;
use crate::report::style::{duration, plural};

/// Arguments of `towpath reap`.
#[derive(Debug, Args)]
pub(super) struct ReapArgs {
    /// Allow the loss of what this resource holds, as NAME or STACK.NAME; may be repeated
    #[arg(long = "allow-data-loss", value_name = "NAME")]
    allow_data_loss: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// A stack as its tags show it.
#[derive(Clone, Debug)]
struct Tagged {
    name: String,
    expiry: Option<Expiry>,
    /// When the first of its objects was made, by the name of that run.
    made: Option<DateTime<Utc>>,
    objects: usize,
    /// Where its lease lies, in the words of its objects.
    leases: BTreeSet<String>,
}

/// Finds the stacks whose time has passed and destroys them, each under its own lease.
pub(super) async fn run(global: &Global, args: &ReapArgs, output: &Output) -> Result<Exit, CliError> {
    let session = Session::without_stack(global, "towpath-reap", output)?;
    let session = session.start(global).await?;
    let observation = plan::look(&session, Verb::Destroy, &plan::remembered(&session)?).await?;
    let now = session.clock.now();
    let stacks = stacks(&observation);
    session.close().await;
    let mut expired = Vec::new();
    for stack in stacks.into_values() {
        describe(&stack, now, output);
        if stack.has_passed(now) {
            expired.push(stack);
        }
    }
    if expired.is_empty() {
        output.data("No stack has expired.\n");
        return Ok(Exit::Done);
    }
    let mut worst = Exit::Done;
    for stack in expired {
        let exit = match reap(global, args, &stack, output).await {
            Ok(exit) => exit,
            Err(error) => {
                output.clear();
                error.show(output);
                error.exit
            }
        };
        if exit != Exit::Done && worst != Exit::Failed {
            worst = exit;
        }
    }
    Ok(worst)
}

/// The stacks that own objects, by name.
fn stacks(observation: &Observation) -> BTreeMap<String, Tagged> {
    let mut stacks: BTreeMap<String, Tagged> = BTreeMap::new();
    for object in observation.objects.values().flatten() {
        let Some((name, _)) = object.owner() else { continue };
        let stack = stacks.entry(name.to_owned()).or_insert_with(|| Tagged {
            name: name.to_owned(),
            expiry: None,
            made: None,
            objects: 0,
            leases: BTreeSet::new(),
        });
        stack.objects += 1;
        stack
            .leases
            .extend(object.tags.iter().flatten().filter(|(key, _)| *key == tag::LEASE).map(|(_, at)| at.clone()));
        stack.expiry = stack.expiry.max(expiry(object));
        stack.made = match (stack.made, made(object)) {
            (Some(first), Some(other)) => Some(first.min(other)),
            (first, other) => first.or(other),
        };
    }
    stacks
}

/// When the run began that made an object: runs are named by that.
fn made(object: &Object) -> Option<DateTime<Utc>> {
    let run = object.tags.as_ref()?.get(tag::RUN)?;
    let time = run.get(..15)?;
    NaiveDateTime::parse_from_str(time, "%Y%m%d-%H%M%S").ok().map(|time| time.and_utc())
}

impl Tagged {
    fn has_passed(&self, now: DateTime<Utc>) -> bool {
        matches!(self.expiry, Some(Expiry::At(at)) if at <= now)
    }

    /// Where the stack's lease lies, if it lies elsewhere than usual. While an apply moves it, nobody knows.
    fn lease(&self) -> Result<Option<LeasePlace>, CliError> {
        let places: Vec<LeasePlace> = self.leases.iter().filter_map(|words| LeasePlace::read(words)).collect();
        if self.leases.len() < 2 {
            return Ok(places.into_iter().next());
        }
        let places: Vec<&str> = self.leases.iter().map(String::as_str).collect();
        let message =
            format!("the objects of `{}` tell different places of its lease: {}", self.name, places.join(", "));
        Err(CliError::new(Exit::Failed, message)
            .hint("finish the apply that changes it, or destroy the stack by its file"))
    }
}

fn describe(stack: &Tagged, now: DateTime<Utc>, output: &Output) {
    let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).num_milliseconds() as f64 / 1000.0;
    let (at, ends) = match stack.expiry {
        Some(Expiry::At(at)) if at <= now => (Some(at), format!("expired {} ago", duration(seconds(at, now)))),
        Some(Expiry::At(at)) => (Some(at), format!("expires in {}", duration(seconds(now, at)))),
        Some(Expiry::Never) | None => (None, "does not expire".to_owned()),
    };
    let age = stack.made.map(|made| format!(", made {} ago", duration(seconds(made, now)))).unwrap_or_default();
    output.json(
        "stack",
        &serde_json::json!({
            "stack": stack.name, "expires": at.map(|at| at.to_rfc3339()), "expired": stack.has_passed(now),
            "made": stack.made.map(|made| made.to_rfc3339()), "objects": stack.objects,
        }),
    );
    output.data(&format!("Stack `{}` {ends}{age}: {}\n", stack.name, plural(stack.objects, "object")));
}

/// Destroys one stack, if its time has passed still.
async fn reap(global: &Global, args: &ReapArgs, stack: &Tagged, output: &Output) -> Result<Exit, CliError> {
    let unstarted = Session::without_stack(global, &stack.name, output)?.leased(stack.lease()?);
    let session = unstarted.start(global).await?;
    let result = match hold(&session, "reap", args.consent, output).await {
        Ok(held) => {
            let result = destroy(&session, &held, args, output).await;
            held.release().await;
            result
        }
        Err(error) => Err(error),
    };
    session.close().await;
    result
}

async fn destroy(session: &Session, held: &Held, args: &ReapArgs, output: &Output) -> Result<Exit, CliError> {
    let replay = plan::remembered(session)?;
    let observation = plan::look(session, Verb::Destroy, &replay).await?;
    let name = &session.stack.name;
    if !stacks(&observation).get(name).is_some_and(|stack| stack.has_passed(session.clock.now())) {
        output.data(&format!("Stack `{name}` was renewed or destroyed meanwhile.\n"));
        return Ok(Exit::Done);
    }
    let prefix = format!("{name}.");
    let own = |allowed: &String| allowed.strip_prefix(&prefix).unwrap_or(allowed).to_owned();
    let selection =
        Selection { allow_data_loss: args.allow_data_loss.iter().map(own).collect(), ..Selection::default() };
    let place = session.locate().await?;
    let options = plan::options(session, &selection, Verb::Destroy, Vec::new());
    let plan = build(&plan::input(session, &place, &options, &replay, &observation));
    show(session, &plan, output);
    output.data(&format!("\n{}\n\n", price(&plan)));
    let of_this_stack =
        format!("for this stack alone: {}", session.command(&format!("reap --allow-data-loss {name}.NAME")));
    let losses = args.allow_data_loss.iter().map(|name| ("--allow-data-loss", name.clone()));
    let again = session.command(&format!("reap{}", typed(losses)));
    allowed(session, &plan)
        .map_err(|error| if plan.refused.is_empty() { error } else { error.hint(&of_this_stack) })?;
    let before = Before::of(session, &plan, &observation).await?;
    if !plan.is_empty() {
        ask(&session.interrupt, args.consent, &format!("Destroy the stack `{name}`?"), output).await?;
        let errand = Errand { verb: "reap", again: &again };
        let exit = act(session, held, &plan, &observation, &errand, output).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    // The file at hand, if there is one, is of another stack: no command of it may be named.
    let next = Next { again: &again, kept: &plan.kept, purge: None };
    leftovers::sweep(session, &before, &Purge::default(), args.consent, &next, output).await
}

/// What the objects cost that go.
fn price(plan: &Plan) -> String {
    let prices: Vec<_> = plan.steps.iter().filter_map(|step| step.price.as_ref()).collect();
    // A sum of nothing is minus zero.
    let known = 0.0 + prices.iter().filter_map(|price| price.monthly).sum::<f64>();
    let unknown = prices.iter().filter(|price| price.monthly.is_none()).count();
    let more = if unknown == 0 {
        String::new()
    } else {
        format!(", and {} charged by use or not known offline", plural(unknown, "object"))
    };
    format!("They cost ${known:.2} a month{more}.")
}
