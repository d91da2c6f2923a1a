//! What stands against a plan before its first call: each kind is asked about what is to be made of
//! it. Only what the service is known to refuse belongs here; everything else is the run's.

use crate::apply::retry::Retry;
use crate::fault::Fault;
use crate::kind::Registry;
use crate::plan::{Action, Note, Plan};

/// What the service would refuse of this plan. Fails with the first fault of a read that retrying did
/// not cure.
pub async fn preflight(plan: &Plan, registry: &Registry, retry: &Retry<'_>) -> Result<Vec<Note>, Fault> {
    let mut found = Vec::new();
    for step in plan.steps.iter().filter(|step| step.action == Action::Create) {
        let Some(kind) = registry.get(&step.address.kind) else { continue };
        let texts = retry.call(kind.kind(), || kind.preflight(&step.spec)).await?;
        found.extend(texts.into_iter().map(|text| Note { address: step.address.clone(), text }));
    }
    Ok(found)
}
