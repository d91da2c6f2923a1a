//! What stands against a plan before its first call: each kind is asked about what is to be made of
//! it and how it is to be deleted. Only what the service is known to refuse belongs here; everything
//! else is the run's.

use crate::apply::retry::Retry;
use crate::fault::Fault;
use crate::kind::{Object, Readiness, Registry};
use crate::observe::Observation;
use crate::plan::{Action, Note, Plan};

/// What the service would refuse of this plan. Fails with the first fault of a read that retrying did
/// not cure.
pub async fn preflight(
    plan: &Plan,
    observation: &Observation,
    registry: &Registry,
    retry: &Retry<'_>,
) -> Result<Vec<Note>, Fault> {
    let mut found = Vec::new();
    for step in &plan.steps {
        let Some(kind) = registry.get(&step.address.kind) else { continue };
        let texts = match step.action {
            Action::Create => retry.call(kind.kind(), || kind.preflight(&step.spec)).await?,
            Action::Delete => {
                let is_it = |object: &&Object| object.identity == step.identity;
                let object = observation.of(&step.address.kind).iter().find(is_it);
                let Some(object) = object.filter(|object| object.readiness != Readiness::Deleting) else { continue };
                let options = plan.delete_options(step);
                retry.call(kind.kind(), || kind.preflight_delete(object, &options)).await?
            }
            _ => continue,
        };
        found.extend(texts.into_iter().map(|text| Note { address: step.address.clone(), text }));
    }
    Ok(found)
}
