//! What DMS says about itself: engines, classes, versions; and lists of what nobody can make here.
//!
//! Versions as in "AWS DMS release notes", classes as in "Choosing the right AWS DMS replication instance".

use serde_json::{Value, json};

use super::common::{filters, page, passes};
use super::endpoints::ENGINES;
use super::{instances, settings, surroundings};
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

/// `DescribeEndpointTypes`: the engines that the sandbox plays.
pub(super) fn endpoint_types(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let filters = filters(call.input, &["engine-name", "endpoint-type"])?;
    let items = ENGINES
        .iter()
        .map(|(engine, display, is_source)| (engine, display, if *is_source { "source" } else { "target" }))
        .filter(|(engine, _, kind)| {
            passes(&filters, |name| vec![if name == "engine-name" { (**engine).to_owned() } else { (*kind).to_owned() }])
        })
        .map(|(engine, display, kind)| {
            json!({"EngineName": engine, "EngineDisplayName": display, "EndpointType": kind, "SupportsCDC": true})
        })
        .collect();
    page(call.input, "SupportedEndpointTypes", items)
}

/// `DescribeEndpointSettings`: those of which the sandbox knows the default.
pub(super) fn endpoint_settings(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let engine = call.input.required("EngineName")?;
    if !ENGINES.iter().any(|(known, ..)| *known == engine) {
        return Err(call.input.invalid(format!("Engine {engine} is not supported by the sandbox")));
    }
    let items = settings::endpoint_defaults(engine)
        .into_iter()
        .map(|(name, default)| {
            let (kind, text) = match &default {
                Value::Bool(flag) => ("boolean", flag.to_string()),
                Value::Number(number) => ("integer", number.to_string()),
                other => ("string", other.as_str().unwrap_or_default().to_owned()),
            };
            json!({"Name": name, "Type": kind, "Sensitive": false, "DefaultValue": text})
        })
        .collect();
    page(call.input, "EndpointSettings", items)
}

/// `DescribePendingMaintenanceActions`: nothing is ever pending here.
pub(super) fn pending_maintenance(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if let Some(arn) = call.input.text("ReplicationInstanceArn")? {
        instances::name_of(call, arn)?;
    }
    page(call.input, "PendingMaintenanceActions", Vec::new())
}

/// `DescribeReplicationInstanceTaskLogs`: the size of the log of each task that has one.
pub(super) fn task_logs(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let arn = call.input.required("ReplicationInstanceArn")?;
    instances::name_of(call, arn)?;
    let now = call.clock.now();
    let tasks =
        call.world.dms.tasks.values().filter(|task| task.instance_arn == arn && !task.work.lifecycle.is_gone(now));
    let items = tasks
        .filter_map(|task| {
            let (group, stream) = surroundings::task_log(call, task)?;
            let bytes = call.world.logs.groups.get(&group)?.streams.get(&stream)?.bytes;
            Some(json!({
                "ReplicationTaskName": task.work.identifier, "ReplicationTaskArn": task.work.arn, "ReplicationInstanceTaskLogSize": bytes,
            }))
        })
        .collect();
    let mut answer = page(call.input, "ReplicationInstanceTaskLogs", items)?;
    answer["ReplicationInstanceArn"] = json!(arn);
    Ok(answer)
}

/// `DescribeCertificates`: nobody can import one here.
pub(super) fn certificates(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "Certificates", Vec::new())
}

/// `DescribeEventSubscriptions`: nobody can subscribe here.
pub(super) fn event_subscriptions(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "EventSubscriptionsList", Vec::new())
}

/// `DescribeReplicationTaskAssessmentRuns`: none is ever started here.
pub(super) fn assessment_runs(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "ReplicationTaskAssessmentRuns", Vec::new())
}

/// `DescribeReplicationTaskIndividualAssessments`: the parts of runs, of which there are none.
pub(super) fn individual_assessments(call: &mut Call<'_>) -> Result<Value, ApiError> {
    page(call.input, "ReplicationTaskIndividualAssessments", Vec::new())
}

/// `DescribeReplicationTaskAssessmentResults`: those of the older assessment, of which there are none either.
pub(super) fn assessment_results(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if call.input.has("ReplicationTaskArn") {
        super::tasks::find(call)?;
    }
    page(call.input, "ReplicationTaskAssessmentResults", Vec::new())
}
