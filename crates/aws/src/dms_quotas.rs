//! The quotas of DMS in the account and region, and what a plan takes of them.
//!
//! A quota is asked for, never known here: each account has its own. What a plan takes is counted by the
//! names that `DescribeAccountAttributes` has for quotas; one that it does not name is not judged.

use std::collections::{BTreeMap, BTreeSet};

use towpath_engine::fault::Fault;
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Note, Plan, Step};

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

/// How much more of each quota there is after a plan than before it, where it is more. What the plan deletes counts
/// against what it makes: on the way there may be more for a while.
pub fn taken(plan: &Plan, observation: &Observation) -> BTreeMap<&'static str, i64> {
    let mut taken: BTreeMap<&'static str, i64> = BTreeMap::new();
    for step in &plan.steps {
        let change = match step.action {
            Action::Create => 1,
            Action::Delete => -1,
            _ => 0,
        };
        for (_, quota) in COUNTED.iter().filter(|(kind, _)| *kind == step.address.kind) {
            *taken.entry(quota).or_default() += change;
        }
        *taken.entry(STORAGE).or_default() += storage(step, observation);
    }
    taken.retain(|_, more| *more > 0);
    taken
}

/// The gigabytes that a step takes more.
fn storage(step: &Step, observation: &Observation) -> i64 {
    if step.address.kind != "dms/replication_instance" {
        return 0;
    }
    let live = observation.of(&step.address.kind).iter().find(|object| object.identity == step.identity);
    let held = live.and_then(|object| object.state["storage_gb"].as_i64());
    match step.action {
        Action::Create => {
            let class = step.spec["class"].as_str().unwrap_or_default();
            step.spec["storage_gb"].as_i64().unwrap_or_else(|| i64::from(included_storage(class)))
        }
        Action::Update => {
            let change = step.changes.iter().find(|change| change.path == "storage_gb");
            change.and_then(|change| change.after.as_i64()).map_or(0, |after| after - held.unwrap_or(after))
        }
        Action::Delete => -held.unwrap_or(0),
        _ => 0,
    }
}

/// What a plan makes larger than one such object may be: a subnet group of too many subnets, an instance whose tasks
/// have too many endpoints. Only what the plan itself makes is counted, so that what is told is certain.
pub fn crowded(plan: &Plan, quotas: &[Quota]) -> Vec<Note> {
    let most = |name: &str| quotas.iter().find(|quota| quota.name == name).map_or(i64::MAX, |quota| quota.max);
    let mut found = Vec::new();
    let mut note = |step: &Step, count: usize, of: &str, name: &str| {
        let (count, max) = (i64::try_from(count).unwrap_or(i64::MAX), most(name));
        if count > max {
            let text = format!("it would have {count} {of}, and {max} are allowed (quota {name})");
            found.push(Note { address: step.address.clone(), text });
        }
    };
    let is_made = |step: &&Step| matches!(step.action, Action::Create | Action::Update);
    for step in plan.steps.iter().filter(is_made) {
        if step.address.kind == "dms/subnet_group" {
            let subnets = step.spec["subnets"].as_array().map_or(0, Vec::len);
            note(step, subnets, "subnets", "SubnetsPerReplicationSubnetGroup");
        }
    }
    let mut instances: BTreeMap<String, (&Step, BTreeSet<String>)> = BTreeMap::new();
    let is_task = |step: &&Step| step.action == Action::Create && step.address.kind == "dms/replication_task";
    for step in plan.steps.iter().filter(is_task) {
        let (_, endpoints) =
            instances.entry(step.spec["instance"].to_string()).or_insert_with(|| (step, BTreeSet::new()));
        endpoints.extend(["source", "target"].map(|end| step.spec[end].to_string()));
    }
    for (step, endpoints) in instances.into_values() {
        note(step, endpoints.len(), "endpoints on its instance, with the tasks beside it", "EndpointsPerInstance");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use towpath_engine::address::Address;
    use towpath_engine::kind::{Object, Outputs, Place, Readiness, Seconds, Tags};
    use towpath_engine::plan::{FORMAT, FieldChange, Reason};
    use towpath_engine::value::Value;

    fn step(action: Action, kind: &str, name: &str, spec: Value) -> Step {
        Step {
            id: 0,
            address: Address::new(kind, name),
            action,
            reason: Reason::Declared,
            identity: name.to_owned(),
            ours: false,
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

    fn instance(name: &str, storage: i64) -> Observation {
        let object = Object {
            identity: name.to_owned(),
            outputs: Outputs::new(),
            state: json!({ "storage_gb": storage }),
            tags: None,
            readiness: Readiness::Ready,
            running: false,
            pending: Value::Null,
        };
        Observation {
            objects: [("dms/replication_instance".to_owned(), vec![object])].into(),
            ..Observation::default()
        }
    }

    #[test]
    fn new_objects_take_one_each_and_their_storage() {
        let made = |name: &str, spec: Value| step(Action::Create, "dms/replication_instance", name, spec);
        let plan = plan(vec![
            made("one", json!({ "class": "dms.t3.micro" })),
            made("two", json!({ "class": "dms.r5.large", "storage_gb": 70 })),
            step(Action::Create, "dms/endpoint", "source", json!({})),
            step(Action::Create, "s3/bucket", "staging", json!({})),
        ]);
        let expected = BTreeMap::from([("ReplicationInstances", 2), ("AllocatedStorage", 120), ("Endpoints", 1)]);
        assert_eq!(taken(&plan, &Observation::default()), expected);
    }

    #[test]
    fn what_is_made_again_changed_or_taken_away_takes_only_what_it_grows_by() {
        let made = |name: &str, storage: i64| {
            let spec = json!({ "class": "dms.t3.micro", "storage_gb": storage });
            step(Action::Create, "dms/replication_instance", name, spec)
        };
        let gone = || step(Action::Delete, "dms/replication_instance", "one", Value::Null);
        let live = instance("one", 50);
        assert_eq!(taken(&plan(vec![gone(), made("one", 20)]), &live), BTreeMap::new());
        assert_eq!(taken(&plan(vec![gone(), made("two", 70)]), &live), BTreeMap::from([("AllocatedStorage", 20)]));
        let mut grown = step(Action::Update, "dms/replication_instance", "one", json!({ "storage_gb": 80 }));
        grown.changes = vec![FieldChange {
            path: "storage_gb".to_owned(),
            before: json!(50),
            after: json!(80),
            forces_replacement: None,
            loses: None,
        }];
        assert_eq!(taken(&plan(vec![grown]), &live), BTreeMap::from([("AllocatedStorage", 30)]));
    }

    #[test]
    fn what_is_too_large_for_itself_is_named() {
        let quota = |name: &str, max: i64| Quota { name: name.to_owned(), used: 0, max };
        let quotas = [quota("SubnetsPerReplicationSubnetGroup", 2), quota("EndpointsPerInstance", 3)];
        let task = |name: &str, source: &str| {
            let spec = json!({ "instance": "one", "source": source, "target": "warehouse" });
            step(Action::Create, "dms/replication_task", name, spec)
        };
        let group = |subnets: Value| step(Action::Create, "dms/subnet_group", "group", json!({ "subnets": subnets }));
        let fits = plan(vec![group(json!(["a", "b"])), task("first", "x"), task("second", "y")]);
        assert!(crowded(&fits, &quotas).is_empty());
        let beyond =
            plan(vec![group(json!(["a", "b", "c"])), task("first", "x"), task("second", "y"), task("third", "z")]);
        let told: Vec<String> = crowded(&beyond, &quotas).into_iter().map(|note| note.text).collect();
        assert_eq!(
            told,
            [
                "it would have 3 subnets, and 2 are allowed (quota SubnetsPerReplicationSubnetGroup)",
                "it would have 4 endpoints on its instance, with the tasks beside it, and 3 are allowed (quota EndpointsPerInstance)",
            ]
        );
    }
}
