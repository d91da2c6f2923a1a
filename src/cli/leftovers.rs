//! What is left after a destroy, and deleting it where the user agreed.

use std::collections::BTreeSet;
use std::time::Duration;

use towpath_aws::sweep::{self, Names, Sort};
use towpath_engine::apply::retry::Retry;
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Note, Plan, Verb};
use towpath_engine::value::Value;

use super::down::Purge;
use super::question::ask;
use super::session::Session;
use super::{CliError, Consent, Exit, plan, slots};
use crate::report::leftovers::{self as report, Leftover};
use crate::report::output::Output;
use crate::report::style::plural;

const INSTANCE: &str = "dms/replication_instance";

/// Seconds on AWS for which the interfaces of a deleted instance are waited for. Source: the five minutes in section 1.2
/// and 8.3 of the AWS fact sheet, and a minute on top.
const LINGER: f64 = 360.0;

/// Seconds between two looks at them.
const LOOK: f64 = 10.0;

/// What a destroy knows of instances and tasks only while they stand.
pub(super) struct Before {
    /// The private addresses of the instances.
    addresses: BTreeSet<String>,
    /// The tasks that may have slots, with their sources.
    tasks: Vec<slots::Task>,
    /// All tasks, by physical name.
    known: BTreeSet<String>,
}

impl Before {
    /// Of what a plan deletes.
    pub(super) async fn of(session: &Session, plan: &Plan, observation: &Observation) -> Result<Self, CliError> {
        let deleted = |kind: &str| -> BTreeSet<String> {
            let steps = plan.steps.iter().filter(|step| step.action == Action::Delete && step.address.kind == kind);
            steps.map(|step| step.identity.clone()).collect()
        };
        let instances = deleted(INSTANCE);
        let instances = observation.of(INSTANCE).iter().filter(|object| instances.contains(&object.identity));
        let addresses = instances.filter_map(|object| object.outputs.get("private_addresses")).flat_map(texts);
        Ok(Self {
            addresses: addresses.collect(),
            tasks: [slots::going(session, plan, observation).await?, slots::due(session, observation)].concat(),
            known: slots::KINDS.into_iter().flat_map(&deleted).collect(),
        })
    }
}

/// The texts of a list.
fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The commands that come next.
pub(super) struct Next<'a> {
    /// Deletes what the stack still owns.
    pub(super) again: &'a str,
    /// What the plan has kept, and why.
    pub(super) kept: &'a [Note],
    /// Deletes what AWS left, where a file tells of which stack.
    pub(super) purge: Option<&'a str>,
}

/// Lists what is left with its price, deletes what may be deleted, and says what remains and what deletes it.
pub(super) async fn sweep(
    session: &Session,
    before: &Before,
    purge: &Purge,
    consent: Consent,
    next: &Next<'_>,
    output: &Output,
) -> Result<Exit, CliError> {
    let observation = plan::look(session, Verb::Destroy, &plan::remembered(session)?).await?;
    let mut left: Vec<Leftover> = owned(session, &observation, next).into_iter().map(|(one, _)| one).collect();
    let names = names(session, before, &observation).await?;
    let mut found = lingering(session, &names, output).await?;
    let mut tasks = slots::gone(session, &observation).await?;
    tasks.retain(|task| !before.known.contains(&task.identity) && !before.tasks.iter().any(|one| one.is(task)));
    let is_gone = |task: &&slots::Task| observation.of(&task.kind).iter().all(|one| one.identity != task.identity);
    tasks.extend(before.tasks.iter().filter(is_gone).cloned());
    left.extend(slots::release(session, &tasks, output).await?);

    let chosen: Vec<_> = found.iter().filter(|one| is_chosen(one, purge)).cloned().collect();
    for name in &purge.purge_snapshot {
        if !chosen.iter().any(|one| one.sort == Sort::Snapshot && one.name == *name) {
            output.talk(&format!("There is no snapshot `{name}` of this stack."));
        }
    }
    if !chosen.is_empty() {
        report::show(&chosen.iter().map(row).collect::<Vec<_>>(), output);
        ask(&session.interrupt, consent, &format!("Delete {}?", plural(chosen.len(), "leftover")), output).await?;
        for one in &chosen {
            let retry = Retry::new(session.clock.as_ref(), plan::seed());
            match Box::pin(retry.call(one.sort.word(), || sweep::delete(&session.cloud, one))).await {
                Ok(()) => output.talk(&format!("  ✓ {} {} deleted", one.sort.word(), one.name)),
                Err(fault) => output.alert(&format!("  ✗ {} {}: {fault}", one.sort.word(), one.name)),
            }
        }
        found = self::left(session, &names).await?;
    }
    left.extend(found.iter().map(row));
    report::show(&left, output);
    let is_purged = |one: &sweep::Leftover| one.sort != Sort::Snapshot;
    if let Some(command) = next.purge.filter(|_| !purge.purge && found.iter().any(is_purged)) {
        output.talk(&format!("To delete all of them that AWS left, except snapshots: {command}"));
    }
    Ok(if left.is_empty() { Exit::Done } else { Exit::Leftovers })
}

/// Lists what a destruction of a part was to delete and has left. The observation is the one that it was planned by.
pub(super) fn kept(session: &Session, observation: &Observation, next: &Next<'_>, output: &Output) -> Exit {
    let left: Vec<Leftover> =
        owned(session, observation, next).into_iter().filter(|(_, is_kept)| *is_kept).map(|(one, _)| one).collect();
    if left.is_empty() {
        return Exit::Done;
    }
    report::show(&left, output);
    Exit::Leftovers
}

/// What still carries the stack's tags, each with whether the plan has kept it.
fn owned(session: &Session, observation: &Observation, next: &Next<'_>) -> Vec<(Leftover, bool)> {
    let again = next.again;
    let mut left = Vec::new();
    for (kind, objects) in &observation.objects {
        for object in
            objects.iter().filter(|object| object.owner().is_some_and(|(stack, _)| stack == session.stack.name))
        {
            let registered = session.registry.get(kind);
            let price = registered.and_then(|kind| kind.price(&object.state));
            let manager = registered.and_then(|kind| kind.managed_by(object));
            let resource = object.owner().map(|(_, resource)| resource);
            let is_it = |note: &&Note| note.address.kind == *kind && Some(note.address.name.as_str()) == resource;
            let kept = next.kept.iter().find(is_it);
            let (about, delete) = match (manager, kept) {
                (None, None) => ("still bears the stack's tags".to_owned(), again.to_owned()),
                (None, Some(kept)) => {
                    (format!("bears the stack's tags; {}", kept.text), format!("free it, then: {again}"))
                }
                (Some(manager), _) => (
                    format!(
                        "bears the stack's tags, and is managed by {manager}, through which alone it can be deleted"
                    ),
                    format!("delete that integration, then: {again}"),
                ),
            };
            let leftover = Leftover {
                what: kind.clone(),
                name: object.identity.clone(),
                about,
                monthly: price.as_ref().and_then(|price| price.monthly),
                basis: price.map(|price| price.basis).unwrap_or_default(),
                delete,
            };
            left.push((leftover, kept.is_some()));
        }
    }
    left
}

/// The names under which AWS may have made things for this stack: what the stack and the journal name, except what
/// exists still.
async fn names(session: &Session, before: &Before, observation: &Observation) -> Result<Names, CliError> {
    let place = session.locate().await?;
    let of = |kind: &str| -> Result<BTreeSet<String>, CliError> {
        let mut names: BTreeSet<String> = slots::named(session, kind)?.into_iter().map(|(_, name)| name).collect();
        for (name, resource) in session.stack.resources.iter().filter(|(_, resource)| resource.address.kind == kind) {
            let registered = session.registry.get(kind);
            names.extend(registered.and_then(|kind| kind.name(&place, name, &resource.spec).ok()));
        }
        names.retain(|name| !observation.of(kind).iter().any(|object| object.identity.eq_ignore_ascii_case(name)));
        Ok(names)
    };
    let groups = session.stack.resources.iter().filter(|(_, one)| one.address.kind == "dms/subnet_group");
    let specs = groups.filter_map(|(name, _)| observation.specs.get(name)?.get("subnets"));
    Ok(Names {
        instances: of(INSTANCE)?,
        replications: of("dms/replication_config")?,
        namespaces: of("redshift/namespace")?,
        subnets: specs.flat_map(texts).filter(|id| id.starts_with("subnet-")).collect(),
        addresses: before.addresses.clone(),
    })
}

/// Reads the leftovers. Where this run has deleted an instance, its network interfaces get the minutes that DMS takes to
/// remove them; one that has its attachment no longer and stays is deleted.
async fn lingering(session: &Session, names: &Names, output: &Output) -> Result<Vec<sweep::Leftover>, CliError> {
    let mut waited = 0.0;
    let mut found = left(session, names).await?;
    loop {
        let interfaces: Vec<&str> =
            found.iter().filter(|one| one.sort == Sort::NetworkInterface).map(|one| one.name.as_str()).collect();
        let interrupted = session.interrupt.load(std::sync::atomic::Ordering::SeqCst);
        if interfaces.is_empty() || names.addresses.is_empty() || waited >= LINGER || interrupted {
            output.finish("linger");
            return Ok(found);
        }
        let message = format!(
            "waiting until DMS removes {} ({})",
            plural(interfaces.len(), "network interface"),
            interfaces.join(", ")
        );
        if waited == 0.0 {
            output.talk(&format!("  … {message}"));
        }
        output.bar("linger", &message, None);
        session.clock.sleep(Duration::from_secs_f64(LOOK)).await;
        waited += LOOK;
        if !session.interrupt.load(std::sync::atomic::Ordering::SeqCst) {
            found = left(session, names).await?;
        }
    }
}

/// Reads what is left, as often as it takes while a service refuses for a moment.
async fn left(session: &Session, names: &Names) -> Result<Vec<sweep::Leftover>, CliError> {
    let retry = Retry::new(session.clock.as_ref(), plan::seed());
    let read = async {
        let found = retry.call("sweep", || sweep::leftovers(&session.cloud, names)).await;
        found.map_err(|fault| CliError::failed("cannot read what is left", &fault))
    };
    session.reading(read).await
}

/// Whether the user agreed to lose it.
fn is_chosen(one: &sweep::Leftover, purge: &Purge) -> bool {
    match one.sort {
        Sort::Snapshot => purge.purge_snapshot.contains(&one.name),
        _ => purge.purge,
    }
}

fn row(one: &sweep::Leftover) -> Leftover {
    Leftover {
        what: one.sort.word().to_owned(),
        name: one.name.clone(),
        about: one.about.clone(),
        monthly: one.price.monthly,
        basis: one.price.basis.clone(),
        delete: one.delete.clone(),
    }
}
