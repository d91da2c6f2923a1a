//! What DMS says about itself: classes, versions, quotas, events.
//!
//! Versions as in "AWS DMS release notes", classes as in "Choosing the right AWS DMS replication instance".

use serde_json::{Value, json};

use super::common::page;
use crate::call::{ApiError, Call, Input};

/// The version an instance gets when none is asked for.
pub(super) const DEFAULT_VERSION: &str = "3.5.4";
const VERSIONS: [(&str, &str); 4] =
    [("3.6.1", "ACTIVE"), ("3.6.0", "ACTIVE"), (DEFAULT_VERSION, "DEFAULT_VERSION"), ("3.5.3", "DEPRECATED")];
const STORAGE: std::ops::RangeInclusive<i64> = 5..=6144;
const FAMILIES: [(&str, &[&str]); 6] = [
    ("t2", &["micro", "small", "medium", "large"]),
    ("t3", &["micro", "small", "medium", "large"]),
    ("c5", &["large", "xlarge", "2xlarge", "4xlarge"]),
    ("c6i", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("r5", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
    ("r6i", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"]),
];

/// Every class with its default storage in gigabytes.
fn classes() -> Vec<(String, i64)> {
    FAMILIES
        .iter()
        .flat_map(|(family, sizes)| {
            sizes
                .iter()
                .map(move |size| (format!("dms.{family}.{size}"), if family.starts_with('t') { 50 } else { 100 }))
        })
        .collect()
}

/// Refuses an unknown class or a size out of range; gives the class's default storage.
pub(super) fn check_class(input: Input<'_>, class: &str) -> Result<i64, ApiError> {
    let Some((_, storage)) = classes().into_iter().find(|(name, _)| name == class) else {
        return Err(input.invalid(format!(
            "Replication instance class {class} is not supported. See DescribeOrderableReplicationInstances."
        )));
    };
    if input.integer("AllocatedStorage")?.is_some_and(|asked| !STORAGE.contains(&asked)) {
        return Err(input.invalid("AllocatedStorage must be between 5 and 6144 GB"));
    }
    Ok(storage)
}

/// Refuses a version nobody can order.
pub(super) fn check_version(input: Input<'_>, version: &str) -> Result<(), ApiError> {
    if VERSIONS.iter().any(|(known, _)| *known == version) {
        Ok(())
    } else {
        Err(input.invalid(format!("No replication engine found with version: {version}")))
    }
}

/// Refuses a downgrade, and a step to another minor line without leave.
pub(super) fn check_upgrade(input: Input<'_>, from: &str, to: &str) -> Result<(), ApiError> {
    check_version(input, to)?;
    let parts = |version: &str| version.split('.').filter_map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>();
    let (from, to) = (parts(from), parts(to));
    if to < from {
        return Err(input.invalid("The engine version can't be downgraded"));
    }
    if to[..2.min(to.len())] != from[..2.min(from.len())] && !input.flag("AllowMajorVersionUpgrade")?.unwrap_or(false) {
        return Err(
            input.invalid("The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version")
        );
    }
    Ok(())
}

/// `DescribeOrderableReplicationInstances`.
pub(super) fn orderable_instances(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let zones = crate::world::ec2::zones(&call.place.region);
    let items = VERSIONS
        .iter()
        .filter(|(_, lifecycle)| *lifecycle != "DEPRECATED")
        .flat_map(|(version, _)| classes().into_iter().map(move |(class, storage)| (version, class, storage)))
        .map(|(version, class, storage)| {
            json!({
                "EngineVersion": version, "ReplicationInstanceClass": class, "StorageType": "gp2",
                "MinAllocatedStorage": STORAGE.start(), "MaxAllocatedStorage": STORAGE.end(),
                "DefaultAllocatedStorage": storage, "IncludedAllocatedStorage": storage,
                "AvailabilityZones": zones, "ReleaseStatus": "prod",
            })
        })
        .collect();
    page(call.input, "OrderableReplicationInstances", items)
}

/// `DescribeEngineVersions`.
pub(super) fn engine_versions(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let items = VERSIONS
        .iter()
        .enumerate()
        .map(|(at, (version, lifecycle))| {
            let upgrades: Vec<&str> = VERSIONS[..at].iter().map(|(newer, _)| *newer).collect();
            json!({"Version": version, "Lifecycle": lifecycle, "ReleaseStatus": "prod", "AvailableUpgrades": upgrades})
        })
        .collect();
    page(call.input, "EngineVersions", items)
}

/// `DescribeAccountAttributes`: the quotas of "Quotas for AWS Database Migration Service".
#[expect(clippy::unnecessary_wraps, reason = "operations share one type")]
pub(super) fn account_attributes(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let now = call.clock.now();
    let dms = &call.world.dms;
    let instances: Vec<_> = dms.instances.values().filter(|instance| !instance.lifecycle.is_gone(now)).collect();
    let storage: i64 =
        instances.iter().filter_map(|instance| instance.body.get("AllocatedStorage").and_then(Value::as_i64)).sum();
    let quotas = [
        ("ReplicationInstances", count(instances.len()), 60),
        ("AllocatedStorage", storage, 30_000),
        ("ReplicationSubnetGroups", count(dms.subnet_groups.len()), 60),
        ("Endpoints", count(dms.endpoints.values().filter(|endpoint| !endpoint.lifecycle.is_gone(now)).count()), 1000),
        ("ReplicationTasks", count(dms.tasks.values().filter(|task| !task.work.lifecycle.is_gone(now)).count()), 600),
        ("DataProviders", count(dms.data_providers.len()), 1000),
        ("InstanceProfiles", count(dms.instance_profiles.len()), 60),
        ("MigrationProjects", count(dms.migration_projects.len()), 10),
    ];
    let quotas: Vec<Value> = quotas
        .into_iter()
        .map(|(name, used, max)| json!({"AccountQuotaName": name, "Used": used, "Max": max}))
        .collect();
    Ok(json!({ "AccountQuotas": quotas, "UniqueAccountIdentifier": format!("dms-{}", call.place.account) }))
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `DescribeEvents`, of the last hour unless asked otherwise.
pub(super) fn events(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let input = call.input;
    let minutes = input.integer("Duration")?.unwrap_or(60).clamp(1, 20_160);
    let now = call.clock.now();
    let since = crate::clock::Timestamp(now.0 - minutes * 60_000);
    let (source, kind) = (input.text("SourceIdentifier")?, input.text("SourceType")?);
    let items = call
        .world
        .dms
        .events
        .iter()
        .filter(|event| {
            event.at >= since
                && source.is_none_or(|name| event.source == name)
                && kind.is_none_or(|kind| event.source_type == kind)
        })
        .map(|event| {
            json!({
                "SourceIdentifier": event.source, "SourceType": event.source_type, "Message": event.message,
                "EventCategories": [event.category], "Date": event.at.epoch(),
            })
        })
        .collect();
    page(input, "Events", items)
}
