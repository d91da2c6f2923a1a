//! Quotas of an account beside those that DMS tells: which one a refused call went beyond, and which there are
//! by default of what a plan makes.
//!
//! What an account really has only Service Quotas know, which are not asked: a default is a remark, never a reason to
//! refuse.

use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::observe::Observation;
use towpath_engine::plan::{Action, Plan};

/// A quota, as one asks for more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// What there are too many of.
    pub what: &'static str,
    /// The service in Service Quotas.
    pub service: &'static str,
}

/// Quotas by operation and code; an empty text stands for any. Source: the errors of the operations in the API references,
/// "Error codes for the Amazon EC2 API", and the quota pages of the services.
const EXCEEDED: [(&str, &str, &str, &str); 24] = [
    ("", "StorageQuotaExceededFault", "storage of all replication instances together", "dms"),
    ("dms:CreateReplicationInstance", "ResourceQuotaExceededFault", "replication instances", "dms"),
    ("dms:CreateReplicationSubnetGroup", "ResourceQuotaExceededFault", "subnet groups, or of subnets of one", "dms"),
    ("dms:ModifyReplicationSubnetGroup", "ResourceQuotaExceededFault", "subnets of a subnet group", "dms"),
    ("dms:CreateEndpoint", "ResourceQuotaExceededFault", "endpoints", "dms"),
    ("dms:TestConnection", "ResourceQuotaExceededFault", "endpoints of one replication instance", "dms"),
    (
        "dms:CreateReplicationTask",
        "ResourceQuotaExceededFault",
        "replication tasks, or of tasks or endpoints of one instance",
        "dms",
    ),
    ("dms:MoveReplicationTask", "ResourceQuotaExceededFault", "tasks or endpoints of one replication instance", "dms"),
    ("dms:CreateReplicationConfig", "ResourceQuotaExceededFault", "serverless replications", "dms"),
    ("dms:CreateDataProvider", "ResourceQuotaExceededFault", "data providers", "dms"),
    ("dms:CreateInstanceProfile", "ResourceQuotaExceededFault", "instance profiles", "dms"),
    ("dms:CreateMigrationProject", "ResourceQuotaExceededFault", "migration projects", "dms"),
    ("redshift-serverless:CreateNamespace", "ServiceQuotaExceededException", "namespaces", "redshift-serverless"),
    ("redshift-serverless:CreateWorkgroup", "ServiceQuotaExceededException", "workgroups", "redshift-serverless"),
    ("redshift-serverless:CreateUsageLimit", "ServiceQuotaExceededException", "usage limits", "redshift-serverless"),
    ("", "VpcLimitExceeded", "VPCs", "vpc"),
    ("", "SubnetLimitExceeded", "subnets of a VPC", "vpc"),
    ("", "SecurityGroupLimitExceeded", "security groups", "vpc"),
    ("", "RulesPerSecurityGroupLimitExceeded", "rules of a security group", "vpc"),
    ("", "SecurityGroupsPerInterfaceLimitExceeded", "security groups of a network interface", "vpc"),
    ("", "VpcEndpointLimitExceeded", "gateway endpoints, or of interface endpoints of a VPC", "vpc"),
    ("iam:CreateRole", "LimitExceeded", "roles", "iam"),
    ("iam:AttachRolePolicy", "LimitExceeded", "managed policies of a role", "iam"),
    ("", "TooManyBuckets", "buckets", "s3"),
];

/// Which quota a call went beyond, where its code says that it was one.
pub fn exceeded(fault: &Fault) -> Option<Named> {
    let is_it = |(operation, code, ..): &&(&str, &str, &str, &str)| {
        fault.code == *code && (operation.is_empty() || fault.operation == *operation)
    };
    let &(.., what, service) = EXCEEDED.iter().find(is_it).filter(|_| fault.class == FaultClass::Quota)?;
    Some(Named { what, service })
}

/// What a region has of each kind by default, where no call of the plan tells it. Source: "Quotas and limits in Amazon
/// Redshift", "Amazon VPC quotas".
const BY_DEFAULT: [(&str, Named, usize); 4] = [
    ("redshift/namespace", Named { what: "namespaces", service: "redshift-serverless" }, 25),
    ("redshift/workgroup", Named { what: "workgroups", service: "redshift-serverless" }, 25),
    ("ec2/vpc", Named { what: "VPCs", service: "vpc" }, 5),
    ("ec2/security_group", Named { what: "security groups", service: "vpc" }, 2500),
];

/// A quota that a plan would go beyond if the account had AWS's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Which.
    pub quota: Named,
    /// AWS's default.
    pub default: usize,
    /// How many there would be after the plan.
    pub after: usize,
}

/// The quotas that a plan would go beyond if the account had AWS's defaults.
pub fn beyond_default(plan: &Plan, observation: &Observation) -> Vec<Beyond> {
    let judged = BY_DEFAULT.into_iter().filter_map(|(kind, quota, default)| {
        let steps =
            |action| plan.steps.iter().filter(|step| step.address.kind == kind && step.action == action).count();
        let (made, gone) = (steps(Action::Create), steps(Action::Delete));
        let after = (observation.of(kind).len() + made).saturating_sub(gone);
        (made > gone && after > default).then_some(Beyond { quota, default, after })
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::classify;

    #[test]
    fn every_code_of_a_quota_is_final() {
        for (operation, code, what, _) in EXCEEDED {
            let service = match code {
                "StorageQuotaExceededFault" => "dms",
                "TooManyBuckets" => "s3",
                _ => "ec2",
            };
            let operation = if operation.is_empty() { format!("{service}:Create") } else { operation.to_owned() };
            assert_eq!(classify(&operation, code, "", Some(400)), FaultClass::Quota, "{operation} {code}");
            let mut fault = Fault::local(FaultClass::Quota, operation, "");
            fault.code = code.to_owned();
            assert_eq!(exceeded(&fault).map(|quota| quota.what), Some(what));
        }
    }

    #[test]
    fn want_of_capacity_is_no_quota() {
        let mut fault = Fault::local(FaultClass::Quota, "dms:CreateReplicationInstance", "");
        fault.code = "InsufficientResourceCapacityFault".to_owned();
        assert_eq!(exceeded(&fault), None);
    }
}
