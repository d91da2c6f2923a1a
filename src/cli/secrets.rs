//! Secrets that the stack takes from variables which are not set: named at their places before anything is changed,
//! by those who send them, and as a warning by those who can do without.

use std::collections::BTreeMap;

use towpath_engine::address::Address;
use towpath_engine::diag::{Diagnostics, Severity};
use towpath_engine::plan::Plan;
use towpath_engine::stack::secrets::{SecretVariable, unset};
use towpath_engine::stack::{Stack, Target};

use super::session::{self, Project, SOURCE_VARIABLE, Session};
use super::{CliError, Exit, data};
use crate::report::output::Output;
use crate::report::style::plural;

/// Places of the file by variable, and the resources whose step or work needs the value.
type Unset<'s> = BTreeMap<&'s str, (Vec<&'s SecretVariable>, Vec<Address>)>;

/// Refuses a plan of which a step sends a secret that is not there, naming every one.
pub(super) fn required(session: &Session, plan: &Plan, output: &Output) -> Result<(), CliError> {
    refuse(session, &of_plan(session, plan), output)
}

/// The same together with the work that `up` does after it.
pub(super) fn required_by_all(session: &Session, plan: &Plan, output: &Output) -> Result<(), CliError> {
    let pipeline = &session.stack.pipeline;
    let mut found = of_plan(session, plan);
    let upload = pipeline.upload.as_ref().map(|upload| upload.into.clone());
    for endpoint in upload.into_iter().chain(source(&session.stack)) {
        of_endpoint(session, &endpoint, &mut found);
    }
    refuse(session, &found, output)
}

/// Refuses work on the source database that an upload fills.
pub(super) fn required_by_upload(session: &Session, output: &Output) -> Result<(), CliError> {
    let endpoint = session.stack.pipeline.upload.as_ref().map(|upload| upload.into.clone());
    required_by(session, endpoint, output)
}

/// Refuses work on the source database that the stack's task reads.
pub(super) fn required_by_task(session: &Session, output: &Output) -> Result<(), CliError> {
    required_by(session, source(&session.stack), output)
}

fn required_by(session: &Session, endpoint: Option<String>, output: &Output) -> Result<(), CliError> {
    let mut found = Unset::new();
    if let Some(endpoint) = endpoint {
        of_endpoint(session, &endpoint, &mut found);
    }
    refuse(session, &found, output)
}

/// Warns of every secret that is not there. A plan can be made without, where nobody has them.
pub(super) fn warn(session: &Session, plan: &Plan, output: &Output) {
    let mut found = of_plan(session, plan);
    for variable in absent(session) {
        let (places, _) = found.entry(&variable.name).or_default();
        if !places.contains(&variable) {
            places.push(variable);
        }
    }
    tell(&found, Severity::Warning, session.project.template(), output);
}

/// The same for a stack that is only read. On the sandbox the source database is the sandbox's own unless named.
pub(super) fn warn_offline(project: &Project, stack: &Stack, output: &Output) {
    let mut found = Unset::new();
    let own = |name: &str| stack.target == Target::Sandbox && name == SOURCE_VARIABLE;
    let absent = stack.secret_variables.iter().filter(|one| project.variable(&one.name).is_none() && !own(&one.name));
    for variable in absent {
        let (places, wanted_by) = found.entry(&variable.name).or_default();
        places.push(variable);
        wanted_by.extend(stack.resources.get(&variable.resource).map(|resource| resource.address.clone()));
    }
    tell(&found, Severity::Warning, project.template(), output);
}

/// The variables that an endpoint of the stack takes secrets from and that are not set, each once.
pub(super) fn unset_of<'s>(session: &'s Session, endpoint: &str) -> Vec<&'s str> {
    let mut found = Unset::new();
    of_endpoint(session, endpoint, &mut found);
    found.into_keys().collect()
}

/// The source endpoint of the stack's task.
fn source(stack: &Stack) -> Option<String> {
    data::source_of(stack, &stack.pipeline.migrate.as_ref()?.task)
}

fn absent(session: &Session) -> impl Iterator<Item = &SecretVariable> {
    let secrets = session.cloud.secrets();
    session.stack.secret_variables.iter().filter(|variable| secrets.get(&variable.name).is_none())
}

fn of_plan<'s>(session: &'s Session, plan: &Plan) -> Unset<'s> {
    let mut found = Unset::new();
    for variable in absent(session) {
        for step in variable.senders(plan, &session.registry) {
            add(&mut found, variable, &step.address);
        }
    }
    found
}

fn of_endpoint<'s>(session: &'s Session, endpoint: &str, found: &mut Unset<'s>) {
    let Some(resource) = session.stack.resources.get(endpoint) else { return };
    for variable in absent(session).filter(|variable| variable.resource == endpoint) {
        add(found, variable, &resource.address);
    }
}

fn add<'s>(found: &mut Unset<'s>, variable: &'s SecretVariable, wanted_by: &Address) {
    let (places, addresses) = found.entry(&variable.name).or_default();
    if !places.contains(&variable) {
        places.push(variable);
    }
    if !addresses.contains(wanted_by) {
        addresses.push(wanted_by.clone());
    }
}

fn refuse(session: &Session, found: &Unset<'_>, output: &Output) -> Result<(), CliError> {
    if found.is_empty() {
        return Ok(());
    }
    tell(found, Severity::Error, session.project.template(), output);
    let missing = if found.len() == 1 { "is not set" } else { "are not set" };
    Err(CliError::new(
        Exit::Usage,
        format!("{} with a secret {missing}; nothing was done", plural(found.len(), "variable")),
    ))
}

fn tell(found: &Unset<'_>, severity: Severity, template: &[String], output: &Output) {
    let mut told = Diagnostics::default();
    for (places, wanted_by) in found.values() {
        let mut one = unset(places, wanted_by, template);
        one.severity = severity;
        told.push(one);
    }
    told.sort();
    session::show(&told, output);
}
