//! DMS Serverless: configurations, each with its one replication, which gets its own capacity when it is started.
//!
//! What is carried, and the copying, are a task's (`run`, `progress`). Here is what differs: no instance and no test asked
//! for, states of its own from start to running, capacity that is taken away some time after the work has ended, and with
//! it what is known of the tables. Not played: growing and shrinking within the capacity units, and premigration
//! assessments.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::common::{
    exists, filters, identifier, keep_tags, name_servers, new_arn, not_found, page, passes, window, wrong_state,
};
use super::{endpoints, progress, run, settings, subnet_groups, surroundings};
use crate::call::{ApiError, Call, Fate, Input};
use crate::clock::{Clock, Timestamp};
use crate::world::World;
use crate::world::dms::{Lifecycle, Replication, Work};

const CREATING: Duration = Duration::from_secs(20);
const MODIFYING: Duration = Duration::from_secs(20);
const STOPPING: Duration = Duration::from_mins(1);
const DELETING: Duration = Duration::from_secs(90);
/// The states of a start without capacity, with how long each lasts: about half an hour, as a whole test of hashicorp's
/// provider with a start takes 51 minutes. The states are those of the DMS user guide, "AWS DMS Serverless components".
const BEGINNING: [(&str, Duration); 7] = [
    ("initializing", Duration::from_mins(2)),
    ("preparing_metadata_resources", Duration::from_mins(10)),
    ("testing_connection", Duration::from_mins(2)),
    ("fetching_metadata", Duration::from_mins(2)),
    ("calculating_capacity", Duration::from_mins(1)),
    ("provisioning_capacity", Duration::from_mins(12)),
    ("replication_starting", Duration::from_mins(1)),
];
/// The states of a start that finds its capacity in place.
const GOING_ON: [&str; 3] = ["initializing", "testing_connection", "replication_starting"];
/// How long capacity stays after the work has ended, and how long it takes to go.
const KEPT: Duration = Duration::from_hours(48);
const DEPROVISIONING: Duration = Duration::from_mins(5);
/// "The list of valid DCU values" (DMS API reference, `ComputeConfig`).
const UNITS: [i64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384];

/// `CreateReplicationConfig`.
pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let name = identifier(input, "ReplicationConfigIdentifier", 255)?;
    let (source, target) = (input.required("SourceEndpointArn")?, input.required("TargetEndpointArn")?);
    endpoints::check_ends(call, source, target)?;
    let now = call.clock.now();
    if call.world.dms.replications.get(&name).is_some_and(|old| !old.work.lifecycle.is_gone(now)) {
        return Err(exists(format!("Replication Config already exists: {name}")));
    }
    let asked = input.structure("ComputeConfig")?.ok_or_else(|| input.missing("ComputeConfig"))?;
    let (subnet_group, compute) = compute(call, asked)?;
    let arn = new_arn(call, "replication-config")?;
    let lifecycle = Lifecycle::steady("created").then(call.clock.after(CREATING), "ready");
    let mut work = Work::new(name.clone(), arn.clone(), now, lifecycle);
    source.clone_into(&mut work.source_arn);
    target.clone_into(&mut work.target_arn);
    work.migration_type = progress::migration_type(input, input.required("ReplicationType")?)?;
    work.mappings = progress::mappings(input, input.required("TableMappings")?)?;
    work.settings = progress::declared_settings(input, "ReplicationSettings")?.unwrap_or_else(|| json!({}));
    keep_tags(call, &arn)?;
    let replication = Replication {
        work,
        supplemental: input.text("SupplementalSettings")?.map(str::to_owned),
        subnet_group,
        compute,
        updated: now,
        capacity: None,
        deprovisioned_at: None,
    };
    let shown = show_config(call, &replication);
    call.world.dms.replications.insert(name, replication);
    Ok(json!({ "ReplicationConfig": shown }))
}

/// A compute configuration with what DMS fills in, and its subnet group.
fn compute(call: &mut Call<'_>, asked: Input<'_>) -> Result<(String, Map<String, Value>), ApiError> {
    let units = |member: &str| -> Result<Option<i64>, ApiError> {
        match asked.integer(member)? {
            Some(units) if !UNITS.contains(&units) => Err(asked.invalid(format!(
                "Invalid {member}: {units}. Valid values are 1, 2, 4, 8, 16, 32, 64, 128, 192, 256 and 384."
            ))),
            other => Ok(other),
        }
    };
    let most = units("MaxCapacityUnits")?.ok_or_else(|| asked.missing("MaxCapacityUnits"))?;
    let least = units("MinCapacityUnits")?.unwrap_or(1);
    if least > most {
        return Err(asked.invalid("MinCapacityUnits must not be greater than MaxCapacityUnits."));
    }
    let multi_az = asked.flag("MultiAZ")?.unwrap_or(false);
    if multi_az && asked.has("AvailabilityZone") {
        return Err(asked.invalid("You can't set AvailabilityZone if MultiAZ is set to true."));
    }
    let group = subnet_groups::named_or_default(call, asked.text("ReplicationSubnetGroupId")?)?;
    let groups = subnet_groups::security_groups(call, &group, &asked.texts("VpcSecurityGroupIds")?)?;
    let subnets = call.world.dms.subnet_groups.get(&group).map(|group| group.subnets.clone()).unwrap_or_default();
    let zones: Vec<String> =
        subnets.iter().filter_map(|id| surroundings::subnet(call, id)).map(|subnet| subnet.zone.clone()).collect();
    let zone = match asked.text("AvailabilityZone")? {
        Some(zone) if !zones.iter().any(|one| one == zone) => {
            return Err(ApiError::new("InvalidSubnet", "The subnet group has no subnet in the availability zone"));
        }
        Some(zone) => Some(zone.to_owned()),
        None => zones.into_iter().next().filter(|_| !multi_az),
    };
    let key = asked
        .text("KmsKeyId")?
        .map_or_else(|| call.place.arn("kms", "key/00000000-0000-4000-8000-0000000000d5"), str::to_owned);
    let filled = json!({
        "MaxCapacityUnits": most,
        "MinCapacityUnits": least,
        "MultiAZ": multi_az,
        "AvailabilityZone": zone,
        "KmsKeyId": key,
        "DnsNameServers": name_servers(asked)?,
        "PreferredMaintenanceWindow": window(asked)?.unwrap_or_else(|| "sun:03:00-sun:03:30".to_owned()),
        "ReplicationSubnetGroupId": group,
        "VpcSecurityGroupIds": groups,
    });
    let mut filled = filled.as_object().cloned().unwrap_or_default();
    filled.retain(|_, value| !value.is_null());
    Ok((group, filled))
}

/// The replications that pass the request's filters.
fn wanted(call: &Call<'_>) -> Result<Vec<Replication>, ApiError> {
    let filters = filters(call.input, &["replication-config-arn", "replication-config-id"])?;
    let now = call.clock.now();
    let found: Vec<Replication> = call
        .world
        .dms
        .replications
        .values()
        .filter(|one| !one.work.lifecycle.is_gone(now))
        .filter(|one| {
            passes(&filters, |name| {
                vec![if name == "replication-config-arn" { one.work.arn.clone() } else { one.work.identifier.clone() }]
            })
        })
        .cloned()
        .collect();
    if found.is_empty() && !filters.is_empty() {
        return Err(not_found("No Replication Configs found matching provided filters"));
    }
    Ok(found)
}

/// `DescribeReplicationConfigs`.
pub(super) fn describe_configs(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let found = wanted(call)?.iter().map(|one| show_config(call, one)).collect();
    page(call.input, "ReplicationConfigs", found)
}

/// `DescribeReplications`. Also takes up work whose process died.
pub(super) fn describe(call: &mut Call<'_>) -> Result<Value, ApiError> {
    run::take_up(call);
    let found = wanted(call)?.iter().map(|one| show(call, one)).collect();
    page(call.input, "Replications", found)
}

/// The replication with the request's ARN, and its state.
pub(super) fn find(call: &Call<'_>) -> Result<(Replication, String), ApiError> {
    let arn = call.input.required("ReplicationConfigArn")?;
    let now = call.clock.now();
    let mut all = call.world.dms.replications.values();
    let found = all.find(|one| one.work.arn == arn && !one.work.lifecycle.is_gone(now));
    let found = found.ok_or_else(|| not_found(format!("Replication Config not found: {arn}")))?;
    Ok((found.clone(), found.work.lifecycle.at(now).to_owned()))
}

/// Refuses what only stands still: "You can only modify an AWS DMS replication configuration that is in the CREATED,
/// STOPPED, or FAILED states" (DMS user guide, "AWS DMS Serverless limitations"); "in a non-RUNNING and non-STARTING
/// state" (DMS API reference, `DeleteReplicationConfig`). The words are those of a start during a change
/// (hashicorp/terraform-provider-aws#35650).
fn require_still(work: &Work, state: &str, what: &str) -> Result<(), ApiError> {
    if ["created", "ready", "stopped", "failed"].contains(&state) {
        return Ok(());
    }
    Err(wrong_state(format!(
        "Replication for Replication Config: {} is in {} state and cannot {what}",
        work.identifier,
        state.to_uppercase()
    )))
}

/// `ModifyReplicationConfig`. Whether a part of a compute configuration leaves the rest as it is the API reference does
/// not say; here it does not, so that a client must send all of it.
pub(super) fn modify(call: &mut Call<'_>) -> Result<Value, ApiError> {
    const MEMBERS: [&str; 7] = [
        "ReplicationType",
        "TableMappings",
        "ReplicationSettings",
        "SupplementalSettings",
        "ComputeConfig",
        "SourceEndpointArn",
        "TargetEndpointArn",
    ];
    let (mut replication, state) = find(call)?;
    let input = call.input;
    require_still(&replication.work, &state, "be modified")?;
    if !MEMBERS.iter().any(|member| input.has(member)) {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "No modifications were requested on replication config.",
        ));
    }
    let work = &mut replication.work;
    if let Some(kind) = input.text("ReplicationType")? {
        work.migration_type = progress::migration_type(input, kind)?;
    }
    if let Some(text) = input.text("TableMappings")? {
        work.mappings = progress::mappings(input, text)?;
    }
    if let Some(declared) = progress::declared_settings(input, "ReplicationSettings")? {
        settings::merge(&mut work.settings, &declared);
    }
    if let Some(arn) = input.text("SourceEndpointArn")? {
        arn.clone_into(&mut work.source_arn);
    }
    if let Some(arn) = input.text("TargetEndpointArn")? {
        arn.clone_into(&mut work.target_arn);
    }
    endpoints::check_ends(call, &work.source_arn, &work.target_arn)?;
    if let Some(text) = input.text("SupplementalSettings")? {
        replication.supplemental = Some(text.to_owned());
    }
    if let Some(asked) = input.structure("ComputeConfig")? {
        (replication.subnet_group, replication.compute) = compute(call, asked)?;
    }
    let end = match (call.fate, state.as_str()) {
        (Fate::Failure, _) => "failed",
        (_, "created") => "ready",
        (_, state) => state,
    };
    replication.updated = call.clock.now();
    replication.work.lifecycle = Lifecycle::steady("modifying").then(call.clock.after(MODIFYING), end);
    let shown = show_config(call, &replication);
    keep(call, replication);
    Ok(json!({ "ReplicationConfig": shown }))
}

/// `DeleteReplicationConfig`. "This effectively deprovisions any and all replications that use this configuration."
pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (mut replication, state) = find(call)?;
    require_still(&replication.work, &state, "be deleted")?;
    replication.work.lifecycle = Lifecycle::steady("deleting").then_gone(call.clock.after(DELETING));
    replication.work.owner = None;
    call.world.dms.tags.shift_remove(&replication.work.arn);
    let shown = show_config(call, &replication);
    keep(call, replication);
    Ok(json!({ "ReplicationConfig": shown }))
}

/// `StartReplication`.
pub(super) fn start(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (mut replication, state) = find(call)?;
    let now = call.clock.now();
    let how = call.input.required("StartReplicationType")?;
    require_still(&replication.work, &state, "start")?;
    let kind = replication.work.migration_type.as_str();
    let has_run = replication.work.run > 0;
    match how {
        "start-replication" if has_run && kind != "cdc" => {
            return Err(wrong_state(
                "Start Type : START_REPLICATION, valid only for replications running for the first time",
            ));
        }
        // "The resume-processing option isn't applicable for a full-load replication, because you can't resume
        // partially loaded tables during the full load phase" (DMS API reference, `StartReplication`).
        "resume-processing" if !has_run || kind == "full-load" => {
            return Err(wrong_state(
                "Start Type : RESUME_PROCESSING, valid only for replications that capture changes and ran before",
            ));
        }
        "resume-processing" if replication.is_deprovisioned(now) => {
            return Err(wrong_state(
                "Start Type : RESUME_PROCESSING, not valid for replications whose capacity is deprovisioned",
            ));
        }
        "reload-target" if !has_run || kind == "cdc" => {
            return Err(wrong_state(
                "Start Type : RELOAD_TARGET, valid only for replications with a full load that ran before",
            ));
        }
        "start-replication" | "resume-processing" | "reload-target" => {}
        other => return Err(call.input.invalid(format!("Invalid start type: {other}"))),
    }
    let (lifecycle, provisioned_at) = beginning(call.clock, replication.is_provisioned(now));
    let running_at = lifecycle.settles_at();
    replication.work.begin(how, lifecycle, now);
    replication.capacity = Some(provisioned_at.map_or_else(
        || Lifecycle::steady("provisioned"),
        |at| Lifecycle::steady("provisioning").then(at, "provisioned"),
    ));
    replication.deprovisioned_at = None;
    if call.fate == Fate::Failure {
        let failed = Lifecycle::steady("initializing").then(running_at.unwrap_or(now), "failed");
        replication.work.lifecycle = failed;
        replication.work.failure = Some(progress::PLANTED_FAILURE.to_owned());
        replication.work.stop_reason = Some(progress::FATAL_ERROR.to_owned());
    } else {
        let owner = run::new_owner();
        run::begin(call, &replication.work.arn, &owner);
        replication.work.owner = Some((owner, now));
    }
    surroundings::log(call, surroundings::replication_log(&replication.work));
    let shown = show(call, &replication);
    keep(call, replication);
    Ok(json!({ "Replication": shown }))
}

/// The states from a start to running, and when there will be capacity, unless there is some already.
fn beginning(clock: Clock, is_provisioned: bool) -> (Lifecycle, Option<Timestamp>) {
    let mut at = clock.now();
    let mut lifecycle: Option<Lifecycle> = None;
    let mut provisioned_at = None;
    for (state, duration) in BEGINNING.into_iter().filter(|(state, _)| !is_provisioned || GOING_ON.contains(state)) {
        lifecycle = Some(match lifecycle {
            None => Lifecycle::steady(state),
            Some(lifecycle) => lifecycle.then(at, state),
        });
        at = at.plus(clock.scaled(duration));
        if state == "provisioning_capacity" {
            provisioned_at = Some(at);
        }
    }
    let lifecycle = lifecycle.unwrap_or_else(|| Lifecycle::steady("running"));
    (lifecycle.then(at, "running"), provisioned_at)
}

/// `StopReplication`. "This command doesn't deprovision the stopped replications" (DMS API reference): that comes later.
pub(super) fn stop(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (mut replication, state) = find(call)?;
    if state != "running" {
        let name = &replication.work.identifier;
        return Err(wrong_state(format!("Replication for Replication Config: {name} is currently not running")));
    }
    let stopped = call.clock.after(STOPPING);
    let work = &mut replication.work;
    work.lifecycle = Lifecycle::steady("stopping").then(stopped, "stopped");
    work.stop_reason = Some("Stop Reason NORMAL".to_owned());
    work.stopped = Some(stopped);
    work.owner = None;
    release_after(&mut replication, stopped, call.clock);
    let shown = show(call, &replication);
    keep(call, replication);
    Ok(json!({ "Replication": shown }))
}

/// Takes the capacity of a replication whose work has ended by itself; of a task nothing.
pub(super) fn release(world: &mut World, arn: &str, ended: Timestamp, clock: Clock) {
    if let Some(replication) = world.dms.replications.values_mut().find(|one| one.work.arn == arn) {
        release_after(replication, ended, clock);
    }
}

/// Capacity is kept, and paid for, up to 48 hours after the end (dev.classmethod.jp, June 2025).
fn release_after(replication: &mut Replication, ended: Timestamp, clock: Clock) {
    let from = ended.plus(clock.scaled(KEPT));
    replication.release(from, from.plus(clock.scaled(DEPROVISIONING)));
}

/// `DescribeReplicationTableStatistics`.
pub(super) fn table_statistics(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (replication, _) = find(call)?;
    run::take_up(call);
    let known = known(&replication, call.clock.now());
    let mut answer = progress::tables(call, &known, "ReplicationTableStatistics")?;
    answer["ReplicationConfigArn"] = json!(replication.work.arn);
    Ok(answer)
}

/// What DMS still knows of the work: "When a replication task is in deprovisioned state, metadata related to tables and
/// replication statistics are lost" (DMS user guide, "AWS DMS Serverless limitations", in sense).
fn known(replication: &Replication, now: Timestamp) -> Work {
    let mut work = replication.work.clone();
    if replication.is_deprovisioned(now) {
        work.tables.clear();
        work.started = None;
    }
    work
}

pub(super) fn keep(call: &mut Call<'_>, replication: Replication) {
    call.world.dms.replications.insert(replication.work.identifier.clone(), replication);
}

fn show_config(call: &Call<'_>, replication: &Replication) -> Value {
    let work = &replication.work;
    json!({
        "ReplicationConfigIdentifier": work.identifier, "ReplicationConfigArn": work.arn,
        "SourceEndpointArn": work.source_arn, "TargetEndpointArn": work.target_arn,
        "ReplicationType": work.migration_type,
        "ComputeConfig": replication.compute,
        "ReplicationSettings": progress::settings(call, work, surroundings::replication_log(work)),
        "SupplementalSettings": replication.supplemental,
        "TableMappings": work.mappings,
        "ReplicationConfigCreateTime": work.created.epoch(),
        "ReplicationConfigUpdateTime": replication.updated.epoch(),
    })
}

fn show(call: &Call<'_>, replication: &Replication) -> Value {
    let now = call.clock.now();
    let work = &replication.work;
    let ended = !work.is_busy(now);
    let provision = replication.capacity.as_ref().map(|capacity| {
        let state = capacity.at(now);
        let units = if state == "deprovisioned" { &json!(0) } else { &replication.compute["MinCapacityUnits"] };
        json!({ "ProvisionState": state, "ProvisionedCapacityUnits": units, "IsNewProvisioningAvailable": false })
    });
    json!({
        "ReplicationConfigIdentifier": work.identifier, "ReplicationConfigArn": work.arn,
        "SourceEndpointArn": work.source_arn, "TargetEndpointArn": work.target_arn,
        "ReplicationType": work.migration_type,
        "Status": work.lifecycle.at(now),
        "ProvisionData": provision,
        "StopReason": work.stop_reason.as_ref().filter(|_| ended),
        "FailureMessages": work.failure.iter().filter(|_| ended).collect::<Vec<_>>(),
        "ReplicationStats": progress::stats(&known(replication, now), now),
        "StartReplicationType": (work.run > 0).then_some(&work.start_type),
        "ReplicationCreateTime": work.created.epoch(),
        "ReplicationUpdateTime": replication.updated.epoch(),
        "ReplicationLastStopTime": work.stopped.filter(|_| ended).map(Timestamp::epoch),
        "ReplicationDeprovisionTime": replication.deprovisioned_at.filter(|_| ended).map(Timestamp::epoch),
    })
}
