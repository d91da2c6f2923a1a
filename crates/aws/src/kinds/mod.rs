//! The table of kinds. A kind is one file and two lines here.

pub(crate) mod dms_common;
pub mod dms_data_provider;
pub mod dms_endpoint;
pub mod dms_instance_profile;
pub mod dms_migration_project;
pub mod dms_replication_config;
pub mod dms_replication_instance;
pub mod dms_replication_task;
pub mod dms_subnet_group;
mod dms_work;
mod ec2_interfaces;
pub mod iam_role;
mod redshift_common;
pub(crate) mod redshift_contents;
pub mod redshift_grant;
mod redshift_marks;
pub mod redshift_namespace;
pub mod redshift_schema;
mod redshift_sql;
pub mod redshift_usage_limit;
pub mod redshift_workgroup;
pub mod s3_bucket;
pub mod secretsmanager_secret;
pub mod security_group;
pub mod subnet;
pub mod vpc;
pub mod vpc_endpoint;

use std::sync::Arc;

use towpath_engine::kind::{AnyKind, Of, Registry, Tags, tag};

pub use self::redshift_marks::overfull;
use crate::cloud::Cloud;

/// All kinds over one cloud.
pub fn registry(cloud: &Cloud) -> Registry {
    let kinds: Vec<Arc<dyn AnyKind>> = vec![
        Arc::new(Of::new(dms_data_provider::DataProvider::new(cloud.clone()))),
        Arc::new(Of::new(dms_endpoint::Endpoint::new(cloud.clone()))),
        Arc::new(Of::new(dms_instance_profile::InstanceProfile::new(cloud.clone()))),
        Arc::new(Of::new(dms_migration_project::MigrationProject::new(cloud.clone()))),
        Arc::new(Of::new(dms_replication_config::ReplicationConfig::new(cloud.clone()))),
        Arc::new(Of::new(dms_replication_instance::ReplicationInstance::new(cloud.clone()))),
        Arc::new(Of::new(dms_replication_task::ReplicationTask::new(cloud.clone()))),
        Arc::new(Of::new(dms_subnet_group::SubnetGroup::new(cloud.clone()))),
        Arc::new(Of::new(iam_role::Role::new(cloud.clone()))),
        Arc::new(Of::new(redshift_grant::Grant::new(cloud.clone()))),
        Arc::new(Of::new(redshift_namespace::Namespace::new(cloud.clone()))),
        Arc::new(Of::new(redshift_schema::Schema::new(cloud.clone()))),
        Arc::new(Of::new(redshift_usage_limit::UsageLimit::new(cloud.clone()))),
        Arc::new(Of::new(redshift_workgroup::Workgroup::new(cloud.clone()))),
        Arc::new(Of::new(s3_bucket::Bucket::new(cloud.clone()))),
        Arc::new(Of::new(secretsmanager_secret::Secret::new(cloud.clone()))),
        Arc::new(Of::new(security_group::SecurityGroup::new(cloud.clone()))),
        Arc::new(Of::new(subnet::Subnet::new(cloud.clone()))),
        Arc::new(Of::new(vpc::Vpc::new(cloud.clone()))),
        Arc::new(Of::new(vpc_endpoint::VpcEndpoint::new(cloud.clone()))),
    ];
    Registry::new(kinds)
}

/// Whether two sets of tags name the same stack and resource as owner.
fn same_owner(left: &Tags, right: &Tags) -> bool {
    [tag::STACK, tag::RESOURCE].iter().all(|key| left.contains_key(*key) && left.get(*key) == right.get(*key))
}

#[cfg(test)]
mod tests;
