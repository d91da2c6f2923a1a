//! `towpath status`: what stands.

use towpath_engine::kind::{Object, Readiness, tag};
use towpath_engine::plan::Verb;

use super::session::Session;
use super::{CliError, Exit, Global, plan};
use crate::report::output::Output;

/// Lists every resource with its object and state.
pub(super) async fn run(global: &Global, output: &Output) -> Result<Exit, CliError> {
    let session = Session::open(global, output).await?;
    let place = session.locate().await?;
    let replay = plan::remembered(&session)?;
    let observation = plan::look(&session, Verb::Apply, &replay).await?;
    output.data(&format!("Stack `{}` in account {}, region {}\n\n", place.stack, place.account, place.region));
    let width = session.stack.resources.values().map(|resource| resource.address.to_string().len()).max().unwrap_or(0);
    let mut expires = None;
    for (name, resource) in &session.stack.resources {
        let objects = observation.of(&resource.address.kind);
        let by_tag = objects.iter().find(|object| object.owner() == Some((place.stack.as_str(), name)));
        let physical = session
            .registry
            .get(&resource.address.kind)
            .and_then(|kind| kind.name(&place, name, &resource.spec).ok())
            .unwrap_or_default();
        let found = by_tag.or_else(|| objects.iter().find(|object| object.identity.eq_ignore_ascii_case(&physical)));
        let (state, identity) =
            found.map_or(("absent".to_owned(), String::new()), |object| (state(object), object.identity.clone()));
        expires = expires.or_else(|| found?.tags.as_ref()?.get(tag::EXPIRES).cloned());
        output.json(
            "resource",
            &serde_json::json!({ "address": resource.address.to_string(), "state": state, "identity": identity }),
        );
        output.data(&format!("  {:width$}  {state:<10}  {identity}\n", resource.address.to_string()));
    }
    if let Some(expires) = expires {
        output.data(&format!("\nExpires {expires}; `towpath down` ends it earlier.\n"));
    }
    if !replay.unsettled.is_empty() {
        output.data("\nAn earlier run was cut off; `towpath apply` finishes it.\n");
    }
    session.close().await;
    Ok(Exit::Done)
}

fn state(object: &Object) -> String {
    match &object.readiness {
        Readiness::Ready if object.running => "running".to_owned(),
        Readiness::Ready => "ready".to_owned(),
        Readiness::Pending(status) => status.clone(),
        Readiness::Failed(reason) => format!("failed ({reason})"),
        Readiness::Deleting => "deleting".to_owned(),
    }
}
