//! The quotas of DMS: what is used of them, and the refusal of what goes beyond.
//!
//! "After a quota for a resource has been reached, additional calls to create that resource fail with an exception"
//! (DMS user guide, "Quotas for AWS Database Migration Service"). Not played: the quota of serverless replications, whose
//! default is not among the sources of the sandbox.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::Quota;
use crate::call::{ApiError, Call};
use crate::world::dms::{Instance, Task};

/// What `DescribeAccountAttributes` tells. The first seven names are those of its example in the API reference, the others
/// follow them; the tasks of an instance are not in the example, and not told.
const TOLD: [(&str, Quota); 10] = [
    ("ReplicationInstances", Quota::ReplicationInstances),
    ("AllocatedStorage", Quota::AllocatedStorage),
    ("ReplicationSubnetGroups", Quota::ReplicationSubnetGroups),
    ("SubnetsPerReplicationSubnetGroup", Quota::SubnetsPerReplicationSubnetGroup),
    ("Endpoints", Quota::Endpoints),
    ("ReplicationTasks", Quota::ReplicationTasks),
    ("EndpointsPerInstance", Quota::EndpointsPerInstance),
    ("DataProviders", Quota::DataProviders),
    ("InstanceProfiles", Quota::InstanceProfiles),
    ("MigrationProjects", Quota::MigrationProjects),
];

/// `DescribeAccountAttributes`.
#[expect(clippy::unnecessary_wraps, reason = "operations share one type")]
pub(super) fn account_attributes(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let quotas: Vec<Value> = TOLD
        .into_iter()
        .map(|(name, quota)| {
            json!({"AccountQuotaName": name, "Used": used(call, quota), "Max": call.quotas.value(quota)})
        })
        .collect();
    Ok(json!({ "AccountQuotas": quotas, "UniqueAccountIdentifier": format!("dms-{}", call.place.account) }))
}

/// What is used of a quota; of one that each object has for itself, the most that one of them uses.
fn used(call: &Call<'_>, quota: Quota) -> usize {
    let now = call.clock.now();
    let dms = &call.world.dms;
    let instances = || dms.instances.values().filter(|instance| !instance.lifecycle.is_gone(now));
    match quota {
        Quota::ReplicationInstances => instances().count(),
        Quota::AllocatedStorage => instances().map(storage).sum(),
        Quota::ReplicationSubnetGroups => dms.subnet_groups.len(),
        Quota::SubnetsPerReplicationSubnetGroup => {
            dms.subnet_groups.values().map(|group| group.subnets.len()).max().unwrap_or(0)
        }
        Quota::Endpoints => dms.endpoints.values().filter(|endpoint| !endpoint.lifecycle.is_gone(now)).count(),
        Quota::EndpointsPerInstance => {
            instances().map(|instance| endpoints(call, &instance.arn).len()).max().unwrap_or(0)
        }
        Quota::ReplicationTasks => dms.tasks.values().filter(|task| !task.work.lifecycle.is_gone(now)).count(),
        Quota::TasksPerInstance => instances().map(|instance| tasks(call, &instance.arn).count()).max().unwrap_or(0),
        Quota::DataProviders => dms.data_providers.len(),
        Quota::InstanceProfiles => dms.instance_profiles.len(),
        Quota::MigrationProjects => dms.migration_projects.len(),
        other => unreachable!("{other:?} is no quota of DMS"),
    }
}

/// The gigabytes of an instance, with those that wait for its maintenance window.
fn storage(instance: &Instance) -> usize {
    let held = instance.pending.get("AllocatedStorage").or_else(|| instance.body.get("AllocatedStorage"));
    held.and_then(Value::as_u64).and_then(|gigabytes| usize::try_from(gigabytes).ok()).unwrap_or(0)
}

/// The tasks on an instance.
fn tasks<'a>(call: &'a Call<'_>, instance: &'a str) -> impl Iterator<Item = &'a Task> {
    let now = call.clock.now();
    let all = call.world.dms.tasks.values();
    all.filter(move |task| task.instance_arn == instance && !task.work.lifecycle.is_gone(now))
}

/// The endpoints that an instance has to do with: by a connection that was tested, or by a task. What counts as an endpoint of
/// an instance no page of AWS says ("Endpoints per replication instance 100" is all that "Quotas for AWS Database Migration Service" has);
/// `TestConnection` and `MoveReplicationTask` have the fault in the API reference.
fn endpoints(call: &Call<'_>, instance: &str) -> BTreeSet<String> {
    let tested = call.world.dms.connections.iter().filter(|connection| connection.instance_arn == instance);
    let carried = tasks(call, instance).flat_map(|task| [task.work.source_arn.clone(), task.work.target_arn.clone()]);
    tested.map(|connection| connection.endpoint_arn.clone()).chain(carried).collect()
}

fn exceeded() -> ApiError {
    ApiError::new("ResourceQuotaExceededFault", "The quota for this resource quota has been exceeded.")
}

fn within(call: &Call<'_>, quota: Quota, total: usize) -> Result<(), ApiError> {
    if total > call.quotas.value(quota) { Err(exceeded()) } else { Ok(()) }
}

/// Refuses one more object than the account may have.
pub(super) fn require_room(call: &Call<'_>, quota: Quota) -> Result<(), ApiError> {
    within(call, quota, used(call, quota) + 1)
}

/// Refuses a subnet group of more subnets than one may have.
pub(super) fn require_few_subnets(call: &Call<'_>, subnets: usize) -> Result<(), ApiError> {
    within(call, Quota::SubnetsPerReplicationSubnetGroup, subnets)
}

/// Refuses one more task on an instance than it may have.
pub(super) fn require_room_for_task(call: &Call<'_>, instance: &str) -> Result<(), ApiError> {
    within(call, Quota::TasksPerInstance, tasks(call, instance).count() + 1)
}

/// Refuses more endpoints of an instance than it may have, with these.
pub(super) fn require_room_for_endpoints(call: &Call<'_>, instance: &str, more: &[&str]) -> Result<(), ApiError> {
    let mut all = endpoints(call, instance);
    let before = all.len();
    all.extend(more.iter().map(|arn| (*arn).to_owned()));
    // What is there already stays, also where the quota was lowered.
    if all.len() == before { Ok(()) } else { within(call, Quota::EndpointsPerInstance, all.len()) }
}

/// Refuses more storage of all instances together than the account may have, when one that holds `held` gigabytes is to have
/// `asked`.
pub(super) fn require_storage(call: &Call<'_>, held: i64, asked: i64) -> Result<(), ApiError> {
    let more = usize::try_from(asked - held).unwrap_or(0);
    if more > 0 && used(call, Quota::AllocatedStorage) + more > call.quotas.value(Quota::AllocatedStorage) {
        return Err(ApiError::new("StorageQuotaExceededFault", "The storage quota has been exceeded."));
    }
    Ok(())
}
