//! `towpath status`: what stands.

use towpath_engine::kind::{Object, Readiness};
use towpath_engine::plan::{Expiry, Verb, expiry};

use super::session::Session;
use super::{CliError, Exit, Global, plan};
use crate::report::output::Output;
use crate::report::style::duration;

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
        expires = expires.max(found.and_then(expiry));
        output.json(
            "resource",
            &serde_json::json!({
                "address": resource.address.to_string(), "state": state, "identity": identity,
                "arn": found.and_then(|object| object.outputs.get("arn")),
            }),
        );
        output.data(&format!("  {:width$}  {state:<10}  {identity}\n", resource.address.to_string()));
    }
    if let Some(Expiry::At(at)) = expires {
        let left = (at - session.clock.now()).num_milliseconds() as f64 / 1000.0;
        let when = if left > 0.0 { format!("in {}", duration(left)) } else { format!("{} ago", duration(-left)) };
        output.json("expiry", &serde_json::json!({ "expires": at.to_rfc3339(), "seconds_left": left }));
        let next = if left > 0.0 { ("down", "ends it earlier") } else { ("reap", "may destroy it at any time") };
        let next = format!("`{}` {}", session.command(next.0), next.1);
        output.data(&format!("\nExpires {} ({when}); {next}.\n", at.to_rfc3339()));
    }
    if !replay.unsettled.is_empty() {
        output.data(&format!("\nAn earlier run was cut off; `{}` finishes it.\n", session.command("apply")));
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
