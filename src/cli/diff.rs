//! `towpath diff`: what differs between two environments of the stack file, and with `--live` between
//! what stands of them.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;
use towpath_engine::kind::Change;
use towpath_engine::plan::{Verb, standing};
use towpath_engine::stack::Stack;
use towpath_engine::stack::compare::{Difference, compare, differences};
use towpath_engine::stack::declare::{Surroundings, written};
use towpath_engine::value::{Map, Value};

use super::session::{Project, Session};
use super::{CliError, Exit, Global, Selection, plan};
use crate::report::output::Output;
use crate::report::plan::value;

/// How the stack file without an environment is called.
const NONE: &str = "none";

/// Arguments of `towpath diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// An environment of the stack file; `none` is the file without one
    #[arg(value_name = "ENVIRONMENT")]
    left: String,
    /// The environment to compare it with
    #[arg(value_name = "OTHER", default_value = NONE)]
    right: String,
    /// Compare what stands in AWS, in the fields that either declares
    #[arg(long)]
    live: bool,
}

/// Lists what differs, field by field.
pub(super) async fn run(global: &Global, args: &DiffArgs, output: &Output) -> Result<Exit, CliError> {
    let project = Project::find(global)?;
    let registry = kinds::registry(&Cloud::offline());
    let sides = [&args.left, &args.right].map(|name| in_environment(global, name));
    let [left, right] = &sides;
    let (first, second) =
        (project.load_written(left, &registry, output)?, project.load_written(right, &registry, output)?);
    let found = if args.live {
        differences(&live(left, &first, &second, output).await?, &live(right, &second, &first, output).await?)
    } else {
        compare(&first, &second)
    };
    output.talk(&format!("{} (stack `{}`) against {} (stack `{}`)\n", args.left, first.name, args.right, second.name));
    for one in &found {
        output.json("difference", &serde_json::json!({ "path": one.path, "left": one.left, "right": one.right }));
        output.data(&line(one, args, &first, &second));
    }
    if found.is_empty() {
        output.data("Nothing differs.\n");
        return Ok(Exit::Done);
    }
    Ok(Exit::Differences)
}

fn in_environment(global: &Global, name: &str) -> Global {
    Global { env: (name != NONE).then(|| name.to_owned()), ..global.clone() }
}

fn line(one: &Difference, args: &DiffArgs, first: &Stack, second: &Stack) -> String {
    let is_resource = first.resources.contains_key(&one.path) || second.resources.contains_key(&one.path);
    match (is_resource, one.left.is_null(), one.right.is_null()) {
        (true, false, true) => format!("  {}: only in {}\n", one.path, args.left),
        (true, true, false) => format!("  {}: only in {}\n", one.path, args.right),
        _ => format!("  {}: {} | {}\n", one.path, side(&one.left), side(&one.right)),
    }
}

fn side(one: &Value) -> String {
    if one.is_null() { "-".to_owned() } else { value(one) }
}

/// What stands of an environment: per resource the live values of the fields that either declares,
/// with other resources by name.
async fn live(global: &Global, own: &Stack, other: &Stack, output: &Output) -> Result<Value, CliError> {
    let session = Session::open(global, output).await?;
    let place = session.locate().await?;
    let replay = plan::remembered(&session)?;
    session.cloud.read_fully();
    let observation = plan::look(&session, Verb::Apply, &replay).await?;
    let options = plan::options(&session, &Selection::default(), Verb::Apply, Vec::new());
    let input = plan::input(&session, &place, &options, &replay, &observation);
    let standing = standing(&input);
    let kinds: BTreeMap<String, String> =
        session.stack.resources.iter().map(|(name, one)| (name.clone(), one.address.kind.clone())).collect();
    let around = Surroundings {
        observation: &observation,
        registry: &session.registry,
        place: &place,
        standing: &standing,
        kinds: &kinds,
    };
    let mut found = Map::new();
    for (name, object) in &standing {
        let Some(kind) = kinds.get(name).and_then(|kind| session.registry.get(kind)) else { continue };
        let declared: BTreeSet<&String> = [own, other]
            .into_iter()
            .filter_map(|stack| stack.resources.get(name)?.spec.as_object())
            .flat_map(Map::keys)
            .filter(|field| {
                let change = kind.fields().get(*field).map(|fact| fact.change);
                *field != "name" && !matches!(change, Some(Change::Local | Change::WriteOnly))
            })
            .collect();
        let state = kind.normalise(object.state.clone());
        let value = |field: &String| {
            let live = state.get(field).map(|live| written(live, kind.as_ref(), field, &around));
            (field.clone(), live.unwrap_or_default())
        };
        found.insert(name.clone(), Value::Object(declared.into_iter().map(value).collect()));
    }
    session.close().await;
    Ok(Value::Object(found))
}
