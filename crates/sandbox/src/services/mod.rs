//! The emulated services: one file each with one function per operation, and this table.
//!
//! To add an operation, write its function and its line in the service's `OPERATIONS`.

pub(crate) mod dms;
mod ec2;
mod iam;
pub(crate) mod logs;
mod managed_policies;
pub(crate) mod redshift_data;
mod redshift_serverless;
#[cfg(test)]
mod rules;
mod s3;
mod secretsmanager;
mod sts;
mod tagging;
mod tags;
#[cfg(test)]
mod tests;

use crate::cloud::Cloud;
use crate::router::Service;

/// Every service, by the name in the credential scope.
pub(crate) const SERVICES: &[Service] = &[
    dms::SERVICE,
    ec2::SERVICE,
    iam::SERVICE,
    logs::SERVICE,
    redshift_data::SERVICE,
    redshift_serverless::SERVICE,
    s3::SERVICE,
    secretsmanager::SERVICE,
    sts::SERVICE,
    tagging::SERVICE,
];

/// The calls that make what is not ready at once, with the seconds until it is.
pub(crate) fn durations() -> Vec<(&'static str, f64)> {
    let own = [
        ("dms:CreateReplicationInstance", dms::INSTANCE_CREATING),
        ("dms:CreateReplicationTask", dms::TASK_CREATING),
        ("iam:CreateRole", iam::PROPAGATION),
        ("redshift-serverless:CreateWorkgroup", redshift_serverless::WORKGROUP_CREATED),
    ];
    own.into_iter().map(|(call, duration)| (call, duration.as_secs_f64())).collect()
}

/// Takes up the work that was under way when the last process ended.
pub(crate) fn started(cloud: &Cloud) {
    dms::take_up_tests(cloud);
    dms::resume(cloud);
}
