//! Replication instances.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::common::{
    check_name, exists, filters, identifier, keep_tags, name_servers, new_arn, not_found, page, passes, window,
    wrong_state,
};
use super::{events, lookups, quotas, subnet_groups, surroundings};
use crate::Quota;
use crate::call::{ApiError, Call, Fate};
use crate::world::dms::{Instance, Lifecycle};

pub(crate) const CREATING: Duration = Duration::from_mins(6);
/// A new instance is shown as being modified before it is available (hashicorp/terraform-provider-aws#1182).
const SETTLING: Duration = Duration::from_mins(5);
const REBOOTING: Duration = Duration::from_mins(2);
const MODIFYING: Duration = Duration::from_mins(2);
const DELETING: Duration = Duration::from_mins(4);

/// `CreateReplicationInstance`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = identifier(input, "ReplicationInstanceIdentifier", 63)?;
    let class = input.required("ReplicationInstanceClass")?;
    let storage = lookups::check_class(input, class)?;
    surroundings::require_vpc_role(call)?;
    require_capacity(call)?;
    if call.world.dms.instances.get(&name).is_some_and(|old| !old.lifecycle.is_gone(call.clock.now())) {
        return Err(exists(format!("Replication Instance already exists: {name}")));
    }
    let storage = input.integer("AllocatedStorage")?.unwrap_or(storage);
    quotas::require_room(call, Quota::ReplicationInstances)?;
    quotas::require_storage(call, 0, storage)?;
    let multi_az = input.flag("MultiAZ")?.unwrap_or(false);
    if multi_az && input.has("AvailabilityZone") {
        return Err(input.invalid("You can't specify AvailabilityZone together with MultiAZ."));
    }
    let (window, name_servers) = (window(input)?, name_servers(input)?);
    let version = input.text("EngineVersion")?.unwrap_or(lookups::DEFAULT_VERSION);
    lookups::check_version(input, version)?;
    let group = subnet_groups::named_or_default(call, input.text("ReplicationSubnetGroupIdentifier")?)?;
    let groups = subnet_groups::security_groups(call, &group, &input.texts("VpcSecurityGroupIds")?)?;
    let zone = input.text("AvailabilityZone")?.map(str::to_owned);
    let subnets = call.world.dms.subnet_groups.get(&group).map(|group| group.subnets.clone()).unwrap_or_default();
    let home = subnets
        .iter()
        .find(|id| {
            zone.as_ref().is_none_or(|zone| surroundings::subnet(call, id).is_some_and(|subnet| subnet.zone == *zone))
        })
        .cloned()
        .ok_or_else(|| ApiError::new("InvalidSubnet", "The subnet group has no subnet in the availability zone"))?;
    let zone = surroundings::subnet(call, &home).map(|subnet| subnet.zone.clone());
    let arn = new_arn(call, "rep")?;
    keep_tags(call, &arn)?;
    let interface = surroundings::add_interface(call, &home, &groups);
    let address = interface.as_ref().and_then(|id| surroundings::address(call, id));
    let public = input.flag("PubliclyAccessible")?.unwrap_or(true);
    let second = multi_az
        .then(|| {
            subnets
                .iter()
                .filter_map(|id| surroundings::subnet(call, id))
                .map(|subnet| subnet.zone.clone())
                .find(|other| Some(other) != zone.as_ref())
        })
        .flatten();
    let body = json!({
        "ReplicationInstanceIdentifier": name,
        "ReplicationInstanceClass": class,
        "AllocatedStorage": storage,
        "AvailabilityZone": zone,
        "SecondaryAvailabilityZone": second,
        "PreferredMaintenanceWindow": window.unwrap_or_else(|| "sun:03:00-sun:03:30".to_owned()),
        "MultiAZ": multi_az,
        "EngineVersion": version,
        "AutoMinorVersionUpgrade": input.flag("AutoMinorVersionUpgrade")?.unwrap_or(true),
        "KmsKeyId": input.text("KmsKeyId")?.map_or_else(|| call.place.arn("kms", "key/00000000-0000-4000-8000-0000000000d5"), str::to_owned),
        "PubliclyAccessible": public,
        "ReplicationInstancePrivateIpAddress": address,
        "ReplicationInstancePrivateIpAddresses": address.iter().collect::<Vec<_>>(),
        "ReplicationInstancePublicIpAddresses": public.then_some("203.0.113.10").iter().collect::<Vec<_>>(),
        "ReplicationInstancePublicIpAddress": public.then_some("203.0.113.10"),
        "DnsNameServers": name_servers,
        "NetworkType": input.text("NetworkType")?.unwrap_or("IPV4"),
        "KerberosAuthenticationSettings": input.get("KerberosAuthenticationSettings"),
    });
    let lifecycle = first_life(call, &name);
    let instance = Instance {
        identifier: name.clone(),
        arn,
        subnet_group: group,
        security_groups: groups,
        lifecycle,
        pending: Map::new(),
        body: body.as_object().cloned().unwrap_or_default(),
        interface,
    };
    let shown = show(call, &instance);
    call.world.dms.instances.insert(name, instance);
    Ok(json!({ "ReplicationInstance": shown }))
}

/// The states of a new instance, which its events tell of.
fn first_life(call: &mut Call<'_>, name: &str) -> Lifecycle {
    let (now, settling, ready) = (call.clock.now(), call.clock.after(SETTLING), call.clock.after(CREATING));
    let creating = Lifecycle::steady("creating");
    let (category, message, lifecycle) = match call.fate {
        Fate::Failure => ("failure", "A replication instance has failed.", creating.then(ready, "failed")),
        Fate::Network => {
            ("failure", "A replication instance has failed.", creating.then(ready, "incompatible-network"))
        }
        _ => {
            let lifecycle = creating.then(settling, "modifying").then(ready, "available");
            ("creation", "A replication instance has been created.", lifecycle)
        }
    };
    events::of_instance(&mut call.world.dms, name, "creation", "A replication instance is being created.", now);
    events::of_instance(&mut call.world.dms, name, category, message, ready);
    lifecycle
}

/// `DescribeReplicationInstances`.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = filters(
        call.input,
        &["replication-instance-id", "replication-instance-arn", "replication-instance-class", "engine-version"],
    )?;
    let now = call.clock.now();
    let found: Vec<Value> = call
        .world
        .dms
        .instances
        .values()
        .filter(|instance| !instance.lifecycle.is_gone(now))
        .filter(|instance| {
            passes(&filters, |name| {
                let body =
                    |member: &str| instance.body.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
                vec![match name {
                    "replication-instance-id" => instance.identifier.clone(),
                    "replication-instance-arn" => instance.arn.clone(),
                    "replication-instance-class" => body("ReplicationInstanceClass"),
                    _ => body("EngineVersion"),
                }]
            })
        })
        .map(|instance| show(call, instance))
        // It may have gone since it was looked at.
        .filter(|shown| shown["ReplicationInstanceStatus"] != "")
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found("No Replication Instances found matching provided filters"));
    }
    page(call.input, "ReplicationInstances", found)
}

/// The name of the instance with the request's ARN.
pub(super) fn name_of(call: &Call<'_>, arn: &str) -> Result<String, ApiError> {
    let now = call.clock.now();
    call.world
        .dms
        .instances
        .values()
        .find(|instance| instance.arn == arn && !instance.lifecycle.is_gone(now))
        .map(|instance| instance.identifier.clone())
        .ok_or_else(|| not_found(format!("Replication Instance not found: {arn}")))
}

fn require_available(call: &Call<'_>, name: &str) -> Result<(), ApiError> {
    let state = call
        .world
        .dms
        .instances
        .get(name)
        .map(|instance| instance.lifecycle.at(call.clock.now()).to_owned())
        .unwrap_or_default();
    if state == "available" || state == "storage-full" {
        Ok(())
    } else {
        Err(wrong_state(format!("Replication Instance {name} is not in an available state: {state}")))
    }
}

/// Refuses where a planted fault says that there is no capacity.
fn require_capacity(call: &Call<'_>) -> Result<(), ApiError> {
    if call.fate == Fate::NoCapacity {
        let message = "There are not enough resources allocated to the database migration.";
        return Err(ApiError::new("InsufficientResourceCapacityFault", message));
    }
    Ok(())
}

/// `RebootReplicationInstance`. "If this parameter is true, the reboot is conducted through a Multi-AZ failover. If the
/// instance isn't configured for Multi-AZ, then you can't specify true."
pub(super) fn reboot(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = name_of(call, input.required("ReplicationInstanceArn")?)?;
    require_available(call, &name)?;
    let mut instance = call.world.dms.instances.get(&name).cloned().ok_or_else(|| not_found(name.clone()))?;
    let forced = input.flag("ForceFailover")?.unwrap_or(false);
    let planned = input.flag("ForcePlannedFailover")?.unwrap_or(false);
    if forced && planned {
        return Err(input.invalid("ForceFailover and ForcePlannedFailover can't both be set to true"));
    }
    if (forced || planned) && instance.body.get("MultiAZ") != Some(&json!(true)) {
        return Err(input.invalid("A failover can't be forced because the instance isn't configured for Multi-AZ"));
    }
    note_birth(&mut instance);
    instance.lifecycle = Lifecycle::steady("rebooting").then(call.clock.after(REBOOTING), "available");
    let now = call.clock.now();
    events::of_instance(&mut call.world.dms, &name, "maintenance", "The replication instance is being rebooted.", now);
    let shown = show(call, &instance);
    call.world.dms.instances.insert(name, instance);
    Ok(json!({ "ReplicationInstance": shown }))
}

/// What waits for the maintenance window, unless it is to be applied immediately.
const QUEUED: [&str; 5] = ["AllocatedStorage", "ReplicationInstanceClass", "MultiAZ", "EngineVersion", "NetworkType"];

/// What takes effect at once.
const AT_ONCE: [&str; 3] = ["PreferredMaintenanceWindow", "AutoMinorVersionUpgrade", "KerberosAuthenticationSettings"];

/// `ModifyReplicationInstance`.
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = name_of(call, input.required("ReplicationInstanceArn")?)?;
    require_available(call, &name)?;
    require_capacity(call)?;
    let mut instance = call.world.dms.instances.get(&name).cloned().ok_or_else(|| not_found(name.clone()))?;
    if let Some(class) = input.text("ReplicationInstanceClass")? {
        lookups::check_class(input, class)?;
    }
    if let Some(version) = input.text("EngineVersion")? {
        lookups::check_upgrade(
            input,
            instance.body.get("EngineVersion").and_then(Value::as_str).unwrap_or_default(),
            version,
        )?;
    }
    let held = instance.body.get("AllocatedStorage").and_then(Value::as_i64).unwrap_or(0);
    if let Some(asked) = input.integer("AllocatedStorage")? {
        if asked < held {
            return Err(input.invalid(format!("The allocated storage can't be reduced from {held} GB")));
        }
        let pending = instance.pending.get("AllocatedStorage").and_then(Value::as_i64);
        quotas::require_storage(call, pending.unwrap_or(held), asked)?;
    }
    window(input)?;
    let mut changed = false;
    for member in AT_ONCE {
        if let Some(value) = input.get(member) {
            instance.body.insert(member.to_owned(), value.clone());
            changed = true;
        }
    }
    for member in QUEUED {
        let Some(value) = input.get(member) else { continue };
        // The value that is in force takes back what waits for the window.
        let waited = instance.pending.shift_remove(member).is_some();
        if instance.body.get(member) != Some(value) {
            instance.pending.insert(member.to_owned(), value.clone());
        }
        changed |= waited || instance.pending.contains_key(member);
    }
    if input.has("VpcSecurityGroupIds") {
        let asked = input.texts("VpcSecurityGroupIds")?;
        instance.security_groups = subnet_groups::security_groups(call, &instance.subnet_group, &asked)?;
        if let Some(id) = &instance.interface {
            surroundings::regroup_interface(call, id, &instance.security_groups);
        }
        changed = true;
    }
    let mut key = name.clone();
    if let Some(new) = input.text("ReplicationInstanceIdentifier")?.map(str::to_lowercase).filter(|new| *new != name) {
        check_name(input, "ReplicationInstanceIdentifier", &new, 63)?;
        if call.world.dms.instances.contains_key(&new) {
            return Err(exists(format!("Replication Instance already exists: {new}")));
        }
        instance.identifier.clone_from(&new);
        instance.body.insert("ReplicationInstanceIdentifier".to_owned(), json!(new));
        key = new;
        changed = true;
    }
    let immediately = input.flag("ApplyImmediately")?.unwrap_or(false);
    let applies = immediately && !instance.pending.is_empty();
    if !changed && !applies {
        return Err(ApiError::new(
            "InvalidParameterCombinationException",
            "No modifications were requested on replication instance.",
        ));
    }
    if applies {
        instance.body.append(&mut instance.pending);
        note_birth(&mut instance);
        instance.lifecycle = Lifecycle::steady("modifying").then(call.clock.after(MODIFYING), "available");
        let now = call.clock.now();
        let message = "The replication instance is being changed.";
        events::of_instance(&mut call.world.dms, &name, "configuration change", message, now);
    }
    let shown = show(call, &instance);
    call.world.dms.instances.shift_remove(&name);
    call.world.dms.instances.insert(key, instance);
    Ok(json!({ "ReplicationInstance": shown }))
}

/// `DeleteReplicationInstance`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("ReplicationInstanceArn")?;
    let name = name_of(call, arn)?;
    let now = call.clock.now();
    let state = call.world.dms.instances[&name].lifecycle.at(now).to_owned();
    if ["deleting", "creating", "modifying", "rebooting"].contains(&state.as_str()) {
        return Err(wrong_state(format!("Replication Instance {name} is in state {state} and cannot be deleted")));
    }
    if let Some(task) =
        call.world.dms.tasks.values().find(|task| task.instance_arn == arn && !task.work.lifecycle.is_gone(now))
    {
        return Err(wrong_state(format!(
            "Cannot delete replication instance {name} because it has one or more tasks: {}",
            task.work.identifier
        )));
    }
    let gone = call.clock.after(DELETING);
    let mut instance = call.world.dms.instances[&name].clone();
    instance.lifecycle = Lifecycle::steady("deleting").then_gone(gone);
    if let Some(id) = &instance.interface {
        surroundings::drop_interface(call, id, gone);
    }
    // The instance's log group goes with it.
    call.world.logs.groups.remove(&surroundings::log_group(&name));
    call.world.dms.connections.retain(|connection| connection.instance_arn != instance.arn);
    call.world.dms.tags.shift_remove(&instance.arn);
    events::of_instance(&mut call.world.dms, &name, "deletion", "A replication instance is being deleted.", now);
    events::of_instance(&mut call.world.dms, &name, "deletion", "A replication instance has been deleted.", gone);
    let shown = show(call, &instance);
    call.world.dms.instances.insert(name, instance);
    Ok(json!({ "ReplicationInstance": shown }))
}

/// Keeps when an instance was made, which its first life tells, before it gets another one.
fn note_birth(instance: &mut Instance) {
    if let Some(ready) = instance.lifecycle.settles_at() {
        instance.body.entry("InstanceCreateTime").or_insert_with(|| ready.epoch());
    }
}

fn show(call: &Call<'_>, instance: &Instance) -> Value {
    let now = call.clock.now();
    let state = instance.lifecycle.at(now);
    let mut told = instance.clone();
    if state != "creating" {
        note_birth(&mut told);
    }
    let mut body = told.body;
    body.insert("ReplicationInstanceStatus".to_owned(), json!(state));
    body.insert("ReplicationInstanceArn".to_owned(), json!(instance.arn));
    // Whatever the spelling on the way in, the window comes back in small letters.
    if let Some(Value::String(window)) = body.get_mut("PreferredMaintenanceWindow") {
        *window = window.to_lowercase();
    }
    let groups: Vec<Value> =
        instance.security_groups.iter().map(|id| json!({"VpcSecurityGroupId": id, "Status": "active"})).collect();
    body.insert("VpcSecurityGroups".to_owned(), json!(groups));
    body.insert("PendingModifiedValues".to_owned(), Value::Object(instance.pending.clone()));
    if let Some(group) = call.world.dms.subnet_groups.get(&instance.subnet_group) {
        body.insert("ReplicationSubnetGroup".to_owned(), subnet_groups::show(call, group));
    }
    Value::Object(body)
}
