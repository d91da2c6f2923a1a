//! The edits: for each kind a world around the subject, a spec, and two values for every field.

mod dms;
mod dms_data;
mod ec2;
mod iam;
mod redshift;
mod storage;

use serde_json::Value;

pub(crate) use redshift::GRANTEES;

use crate::edit::Edit;

/// A world, a subject in it, and edits of the subject.
pub(crate) struct Sheet {
    pub(crate) kind: &'static str,
    /// The other resources by name.
    pub(crate) world: Value,
    /// The fields of the subject that every edit starts from.
    pub(crate) base: Value,
    pub(crate) edits: Vec<Edit>,
    /// A field with two values whose change must leave alone what is no longer declared.
    pub(crate) probe: Option<(&'static str, Value, Value)>,
}

/// A key that does not exist; nothing asks whether it does.
pub(crate) const KEY: &str = "arn:aws:kms:eu-north-1:111122223333:key/00000000-0000-4000-8000-000000000001";

/// Another one.
pub(crate) const OTHER_KEY: &str = "arn:aws:kms:eu-north-1:111122223333:key/00000000-0000-4000-8000-000000000002";

/// The edits of a kind.
pub(crate) fn of(kind: &str) -> Vec<Sheet> {
    match kind {
        "dms/data_provider" => dms::data_provider(),
        "dms/endpoint" => dms_data::endpoint(),
        "dms/instance_profile" => dms::instance_profile(),
        "dms/migration_project" => dms::migration_project(),
        "dms/replication_config" => dms_data::replication_config(),
        "dms/replication_instance" => dms::replication_instance(),
        "dms/replication_task" => dms_data::replication_task(),
        "dms/subnet_group" => dms::subnet_group(),
        "ec2/security_group" => ec2::security_group(),
        "ec2/subnet" => ec2::subnet(),
        "ec2/vpc" => ec2::vpc(),
        "ec2/vpc_endpoint" => ec2::vpc_endpoint(),
        "iam/role" => iam::role(),
        "redshift/grant" => redshift::grant(),
        "redshift/namespace" => redshift::namespace(),
        "redshift/schema" => redshift::schema(),
        "redshift/usage_limit" => redshift::usage_limit(),
        "redshift/workgroup" => redshift::workgroup(),
        "s3/bucket" => storage::bucket(),
        "secretsmanager/secret" => storage::secret(),
        // Told by `every_field_has_an_edit`.
        _ => Vec::new(),
    }
}
