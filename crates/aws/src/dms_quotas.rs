//! The quotas of DMS in the account and region, and what a plan takes of them.
//!
//! A quota is asked for, never known here: each account has its own. What a plan takes is counted by the
//! names that `DescribeAccountAttributes` has for quotas; one that it does not name is not judged.

use std::collections::BTreeMap;

use towpath_engine::fault::Fault;
use towpath_engine::plan::{Action, Plan, Step};

use crate::cloud::Cloud;
use crate::fault::fault;
use crate::kinds::dms_replication_instance::included_storage;

/// The quota of gigabytes of all replication instances together.
const STORAGE: &str = "AllocatedStorage";

/// Kinds with the quota that each of their objects takes one of. Source: the boto3 reference of
/// `DescribeAccountAttributes`, and "Quotas for AWS Database Migration Service" in its user guide.
const COUNTED: [(&str, &str); 7] = [
    ("dms/replication_instance", "ReplicationInstances"),
    ("dms/subnet_group", "ReplicationSubnetGroups"),
    ("dms/endpoint", "Endpoints"),
    ("dms/replication_task", "ReplicationTasks"),
    ("dms/data_provider", "DataProviders"),
    ("dms/instance_profile", "InstanceProfiles"),
    ("dms/migration_project", "MigrationProjects"),
];

/// One quota of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its name, e.g. `ReplicationInstances`.
    pub name: String,
    /// How much of it is used.
    pub used: i64,
    /// How much there is.
    pub max: i64,
}

/// All quotas that DMS tells.
pub async fn read(cloud: &Cloud) -> Result<Vec<Quota>, Fault> {
    let answer = cloud.dms().await.describe_account_attributes().send().await;
    let quotas = answer.map_err(fault("dms:DescribeAccountAttributes"))?.account_quotas.unwrap_or_default();
    let told = quotas.into_iter().map(|quota| Quota {
        name: quota.account_quota_name.unwrap_or_default(),
        used: quota.used,
        max: quota.max,
    });
    Ok(told.collect())
}

/// How much more of each quota there is after a plan than before it, where it is more. What is made
/// again takes the place of what it was.
pub fn taken(plan: &Plan) -> BTreeMap<&'static str, i64> {
    let mut taken: BTreeMap<&'static str, i64> = BTreeMap::new();
    for step in &plan.steps {
        let is_again = |other: &Step| other.action == Action::Delete && other.address == step.address;
        if step.action == Action::Create && !plan.steps.iter().any(is_again) {
            for (_, quota) in COUNTED.iter().filter(|(kind, _)| *kind == step.address.kind) {
                *taken.entry(quota).or_default() += 1;
            }
        }
        *taken.entry(STORAGE).or_default() += storage(step);
    }
    taken.retain(|_, more| *more > 0);
    taken
}

/// The gigabytes that a step takes more.
fn storage(step: &Step) -> i64 {
    if step.address.kind != "dms/replication_instance" {
        return 0;
    }
    let change = step.changes.iter().find(|change| change.path == "storage_gb");
    let before = change.and_then(|change| change.before.as_i64());
    match step.action {
        Action::Create => {
            let class = step.spec["class"].as_str().unwrap_or_default();
            let after = step.spec["storage_gb"].as_i64().unwrap_or_else(|| i64::from(included_storage(class)));
            // Of a replacement only what differs is told: the same storage is taken again.
            let again = if step.changes.iter().any(|change| change.forces_replacement.is_some()) { after } else { 0 };
            after - before.unwrap_or(again)
        }
        Action::Update => {
            change.and_then(|change| change.after.as_i64()).map_or(0, |after| after - before.unwrap_or(0))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use towpath_engine::address::Address;
    use towpath_engine::kind::{Place, Seconds, Tags};
    use towpath_engine::plan::{FORMAT, FieldChange, Reason};
    use towpath_engine::value::Value;

    fn step(action: Action, kind: &str, name: &str, spec: Value) -> Step {
        Step {
            id: 0,
            address: Address::new(kind, name),
            action,
            reason: Reason::Declared,
            identity: name.to_owned(),
            group: None,
            changes: Vec::new(),
            spec,
            tags: Tags::new(),
            after: Vec::new(),
            seconds: Seconds::new(1.0, 1.0, 1.0),
            give_up: None,
            loses: None,
            interrupts: None,
            price: None,
            price_before: None,
            final_snapshot: None,
        }
    }

    fn plan(steps: Vec<Step>) -> Plan {
        let place = Place {
            stack: "club".to_owned(),
            account: "111122223333".to_owned(),
            region: "eu-north-1".to_owned(),
            partition: "aws".to_owned(),
        };
        Plan {
            format: FORMAT,
            place,
            version: String::new(),
            stack_hash: String::new(),
            partial: false,
            steps,
            unchanged: Vec::new(),
            kept: Vec::new(),
            notes: Vec::new(),
            foreign: Vec::new(),
            refused: Vec::new(),
            seconds: Seconds::new(1.0, 1.0, 1.0),
            critical_path: Vec::new(),
        }
    }

    fn change(before: i64, after: i64, rule: Option<&str>) -> FieldChange {
        FieldChange {
            path: "storage_gb".to_owned(),
            before: json!(before),
            after: json!(after),
            forces_replacement: rule.map(str::to_owned),
            loses: None,
        }
    }

    #[test]
    fn new_objects_take_one_each_and_their_storage() {
        let taken = taken(&plan(vec![
            step(Action::Create, "dms/replication_instance", "one", json!({ "class": "dms.t3.micro" })),
            step(
                Action::Create,
                "dms/replication_instance",
                "two",
                json!({ "class": "dms.r5.large", "storage_gb": 70 }),
            ),
            step(Action::Create, "dms/endpoint", "source", json!({})),
            step(Action::Create, "s3/bucket", "staging", json!({})),
        ]));
        assert_eq!(taken, BTreeMap::from([("ReplicationInstances", 2), ("AllocatedStorage", 120), ("Endpoints", 1)]));
    }

    #[test]
    fn what_is_made_again_or_changed_takes_only_what_it_grows_by() {
        let made = |change: FieldChange| {
            let spec = json!({ "class": "dms.t3.micro", "storage_gb": change.after });
            let mut made = step(Action::Create, "dms/replication_instance", "one", spec);
            made.changes = vec![change];
            plan(vec![step(Action::Delete, "dms/replication_instance", "one", Value::Null), made])
        };
        assert_eq!(taken(&made(change(100, 20, Some("AllocatedStorage can grow, never shrink")))), BTreeMap::new());
        let mut grown = step(Action::Update, "dms/replication_instance", "one", json!({ "storage_gb": 80 }));
        grown.changes = vec![change(50, 80, None)];
        assert_eq!(taken(&plan(vec![grown])), BTreeMap::from([("AllocatedStorage", 30)]));
    }
}
