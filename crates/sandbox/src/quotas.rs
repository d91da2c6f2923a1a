//! Quotas: how much of something an account may have in the region. What goes beyond is refused by the
//! services, each with its own code; how much there is counts here alone.
//!
//! The values are AWS's defaults, out of the pages that `docs/sandbox.md` names beside each. AWS raises one on
//! request, through Service Quotas, which is not played: an [`AppliedQuota`] says what the account has instead.
//! It is the process's own, like the speed: two processes over one directory may differ in it.

use std::fmt;
use std::str::FromStr;

/// What an account has a quota of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// `dms:ReplicationInstances`
    ReplicationInstances,
    /// `dms:AllocatedStorage`: gigabytes of all replication instances together
    AllocatedStorage,
    /// `dms:ReplicationSubnetGroups`
    ReplicationSubnetGroups,
    /// `dms:SubnetsPerReplicationSubnetGroup`
    SubnetsPerReplicationSubnetGroup,
    /// `dms:Endpoints`
    Endpoints,
    /// `dms:EndpointsPerInstance`
    EndpointsPerInstance,
    /// `dms:ReplicationTasks`
    ReplicationTasks,
    /// `dms:TasksPerInstance`
    TasksPerInstance,
    /// `dms:DataProviders`
    DataProviders,
    /// `dms:InstanceProfiles`
    InstanceProfiles,
    /// `dms:MigrationProjects`
    MigrationProjects,
    /// `redshift-serverless:Namespaces`
    Namespaces,
    /// `redshift-serverless:Workgroups`
    Workgroups,
    /// `ec2:Vpcs`
    Vpcs,
    /// `ec2:SubnetsPerVpc`
    SubnetsPerVpc,
    /// `ec2:SecurityGroups`
    SecurityGroups,
    /// `ec2:RulesPerSecurityGroup`: of each direction
    RulesPerSecurityGroup,
    /// `ec2:SecurityGroupsPerInterface`
    SecurityGroupsPerInterface,
    /// `ec2:GatewayEndpoints`
    GatewayEndpoints,
    /// `ec2:InterfaceEndpointsPerVpc`
    InterfaceEndpointsPerVpc,
    /// `iam:Roles`
    Roles,
    /// `iam:PoliciesPerRole`
    PoliciesPerRole,
    /// `s3:Buckets`
    Buckets,
}

impl Quota {
    /// Every quota with its name and AWS's default.
    pub const ALL: [(&'static str, Self, usize); 23] = [
        ("dms:ReplicationInstances", Self::ReplicationInstances, 60),
        ("dms:AllocatedStorage", Self::AllocatedStorage, 30_000),
        ("dms:ReplicationSubnetGroups", Self::ReplicationSubnetGroups, 60),
        ("dms:SubnetsPerReplicationSubnetGroup", Self::SubnetsPerReplicationSubnetGroup, 60),
        ("dms:Endpoints", Self::Endpoints, 1000),
        ("dms:EndpointsPerInstance", Self::EndpointsPerInstance, 100),
        ("dms:ReplicationTasks", Self::ReplicationTasks, 600),
        ("dms:TasksPerInstance", Self::TasksPerInstance, 200),
        ("dms:DataProviders", Self::DataProviders, 1000),
        ("dms:InstanceProfiles", Self::InstanceProfiles, 60),
        ("dms:MigrationProjects", Self::MigrationProjects, 10),
        ("redshift-serverless:Namespaces", Self::Namespaces, 25),
        ("redshift-serverless:Workgroups", Self::Workgroups, 25),
        ("ec2:Vpcs", Self::Vpcs, 5),
        ("ec2:SubnetsPerVpc", Self::SubnetsPerVpc, 200),
        ("ec2:SecurityGroups", Self::SecurityGroups, 2500),
        ("ec2:RulesPerSecurityGroup", Self::RulesPerSecurityGroup, 60),
        ("ec2:SecurityGroupsPerInterface", Self::SecurityGroupsPerInterface, 5),
        ("ec2:GatewayEndpoints", Self::GatewayEndpoints, 20),
        ("ec2:InterfaceEndpointsPerVpc", Self::InterfaceEndpointsPerVpc, 50),
        ("iam:Roles", Self::Roles, 1000),
        ("iam:PoliciesPerRole", Self::PoliciesPerRole, 10),
        ("s3:Buckets", Self::Buckets, 10_000),
    ];
}

/// A quota with another value than AWS's default: what Service Quotas call its applied value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedQuota {
    /// Of what.
    pub quota: Quota,
    /// How much the account may have of it.
    pub value: usize,
}

/// A text that sets no quota.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` sets no quota: write NAME=NUMBER, with NAME one of {names}", names = Quota::ALL.map(|(name, ..)| name).join(", "))]
pub struct NotAQuota(String);

impl FromStr for AppliedQuota {
    type Err = NotAQuota;

    fn from_str(text: &str) -> Result<Self, NotAQuota> {
        let wrong = || NotAQuota(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let (_, quota, _) = Quota::ALL.into_iter().find(|(known, ..)| *known == name).ok_or_else(wrong)?;
        Ok(Self { quota, value: value.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for AppliedQuota {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Quota::ALL.iter().find(|(_, quota, _)| *quota == self.quota).map_or("", |(name, ..)| name);
        write!(formatter, "{name}={}", self.value)
    }
}

/// The quotas of an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quotas(Vec<AppliedQuota>);

impl Quotas {
    /// AWS's defaults, and these instead of some. Of two for one quota the later counts.
    pub(crate) fn new(applied: Vec<AppliedQuota>) -> Self {
        Self(applied)
    }

    /// How much the account may have.
    pub(crate) fn value(&self, quota: Quota) -> usize {
        let applied = self.0.iter().rev().find(|own| own.quota == quota).map(|own| own.value);
        let default = Quota::ALL.into_iter().find(|(_, own, _)| *own == quota).map(|(.., default)| default);
        applied.or(default).expect("every quota is in the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_the_default_unless_another_one_is_applied() {
        let quotas = Quotas::new(vec!["dms:Endpoints=3".parse().unwrap(), "dms:Endpoints=4".parse().unwrap()]);
        assert_eq!(quotas.value(Quota::Endpoints), 4);
        for (name, quota, default) in Quota::ALL.into_iter().filter(|(_, quota, _)| *quota != Quota::Endpoints) {
            assert_eq!(quotas.value(quota), default, "{name}");
        }
    }

    #[test]
    fn quotas_read_back_as_written() {
        for (name, ..) in Quota::ALL {
            let text = format!("{name}=7");
            assert_eq!(text.parse::<AppliedQuota>().unwrap().to_string(), text);
        }
        for text in ["dms:Endpoints", "dms:Endpoints=", "dms:Endpoints=-1", "dms:Nonsense=4", "Endpoints=4"] {
            assert!(text.parse::<AppliedQuota>().is_err(), "{text}");
        }
    }
}
