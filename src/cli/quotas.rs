//! Quotas of the account: what a plan would go beyond, what a refused call went beyond, and how one gets more.
//!
//! Only DMS tells its quotas, and is asked only where a plan takes of them. A quota that cannot be read stands in
//! nobody's way: the service keeps it anyway.

use std::collections::BTreeMap;

use towpath_aws::dms_quotas::{self, Quota};
use towpath_aws::quotas;
use towpath_engine::apply::retry::Retry;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Note, Plan, Step};
use towpath_engine::stack::Target;

use super::plan;
use super::session::Session;

/// What a plan takes of the quotas of DMS.
pub(super) struct Taken {
    quotas: Vec<Quota>,
    wanted: BTreeMap<&'static str, i64>,
    crowded: Vec<Note>,
}

impl Taken {
    /// Asks DMS, if the plan takes of a quota there; `None` if it does not.
    pub(super) async fn by(plan: &Plan, observation: &Observation, session: &Session) -> Result<Option<Self>, Fault> {
        let wanted = dms_quotas::taken(plan, observation);
        // Of the quotas that each object has for itself only this one can be gone beyond by a change.
        let is_moved = |step: &Step| step.action == Action::Update && step.address.kind == "dms/subnet_group";
        if wanted.is_empty() && !plan.steps.iter().any(is_moved) {
            return Ok(None);
        }
        let retry = Retry::new(session.clock.as_ref(), plan::seed());
        let quotas = retry.call("dms", || dms_quotas::read(&session.cloud)).await?;
        let crowded = dms_quotas::crowded(plan, &quotas);
        Ok(Some(Self { quotas, wanted, crowded }))
    }

    /// The quotas that the plan takes of: how much, and whether that is too much.
    fn touched(&self) -> impl Iterator<Item = (&Quota, i64, bool)> {
        let more = |quota: &Quota| self.wanted.get(quota.name.as_str()).copied().unwrap_or_default();
        self.quotas
            .iter()
            .map(move |quota| (quota, more(quota)))
            .filter(|(_, more)| *more > 0)
            .map(|(quota, more)| (quota, more, quota.used + more > quota.max))
    }

    /// What the plan would go beyond: of what, and by how much.
    pub(super) fn beyond(&self) -> Vec<(String, String)> {
        let of_account = self.touched().filter(|(.., beyond)| *beyond).map(|(Quota { name, used, max }, more, _)| {
            (format!("quota {name}"), format!("{used} of {max} are used and the plan takes {more} more"))
        });
        let of_one = self.crowded.iter().map(|note| (note.address.to_string(), note.text.clone()));
        of_account.chain(of_one).collect()
    }

    /// What there is after the plan of each quota that it takes of and does not go beyond.
    pub(super) fn within(&self) -> Option<String> {
        let said: Vec<String> = self
            .touched()
            .filter(|(.., beyond)| !beyond)
            .map(|(Quota { name, used, max }, more, _)| format!("{name} {} of {max}", used + more))
            .collect();
        (!said.is_empty()).then(|| format!("after the plan {}", said.join(", ")))
    }
}

/// How one gets more of a service's quotas: the way out of every refusal for a quota.
pub(super) fn more(session: &Session, service: &str) -> String {
    match session.stack.target {
        Target::Sandbox => "delete what nobody needs, or give the sandbox's account more with --quota".to_owned(),
        Target::Aws => format!(
            "delete what nobody needs, or ask for more in the Service Quotas console: \
             https://console.aws.amazon.com/servicequotas/home/services/{service}/quotas"
        ),
    }
}

/// The way out of a step that failed for want of something that the account may have no more of.
pub(super) fn way_out(session: &Session, fault: &Fault) -> Option<String> {
    match quotas::exceeded(fault) {
        Some(quota) => Some(format!("the account has no more {} left; {}", quota.what, more(session, quota.service))),
        None if fault.class == FaultClass::Quota && fault.code.starts_with("Insufficient") => Some(
            "AWS has no capacity for it at the moment: go on later, or choose another class or other zones".to_owned(),
        ),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_plan_goes_beyond_is_told_apart_from_what_there_is_after_it() {
        let quota = |name: &str, used, max| Quota { name: name.to_owned(), used, max };
        let quotas =
            vec![quota("Endpoints", 999, 1000), quota("ReplicationInstances", 5, 60), quota("DataProviders", 1, 9)];
        let taken = |endpoints| Taken {
            quotas: quotas.clone(),
            wanted: BTreeMap::from([("Endpoints", endpoints), ("ReplicationInstances", 1)]),
            crowded: Vec::new(),
        };
        let beyond = ("quota Endpoints".to_owned(), "999 of 1000 are used and the plan takes 2 more".to_owned());
        assert_eq!(taken(2).beyond(), [beyond]);
        assert_eq!(taken(2).within().as_deref(), Some("after the plan ReplicationInstances 6 of 60"));
        assert_eq!(taken(1).beyond(), []);
    }
}
