//! The change rules of the kinds against AWS's public resource schemas: what the schema says can only
//! be set at creation forces a replacement, what it says is never read back is write-only, and the rest
//! changes in place. Where a kind says otherwise, the reason is here.
//!
//! The lists are facts from the schemas of the CloudFormation registry (resource type by name, public
//! under `https://schema.cloudformation.us-east-1.amazonaws.com/`, as of August 2026), cut to the
//! properties that a kind has a field for.

use towpath_engine::kind::Change;

/// What a schema says of the properties that matter here, and which field each of them is.
struct Schema {
    kind: &'static str,
    resource: &'static str,
    create_only: &'static [&'static str],
    write_only: &'static [&'static str],
    /// The property of every field; `-` where the schema has none.
    fields: &'static [(&'static str, &'static str)],
    /// Why a field's rule is not the schema's.
    deviations: &'static [(&'static str, &'static str)],
}

const KEEPS_ITS_NAME: &str = "the API could rename it; towpath finds objects by name and keeps it for life";
const OWN: &str = "a field of towpath's own; no property says the same";

const ENDS: &str = "the API takes others; but position and loaded tables belong to the two, and a run with others would go on from nowhere";
const FIRST_CAPACITY: &str = "Terraform's provider replaces it too (ForceNew in dms/replication_config.go): it is given to the \
                              capacity when that is made";

const SCHEMAS: &[Schema] = &[
    Schema {
        kind: "dms/data_provider",
        resource: "AWS::DMS::DataProvider",
        create_only: &[],
        write_only: &["DataProviderIdentifier", "ExactSettings"],
        fields: &[
            ("name", "DataProviderName"),
            ("description", "Description"),
            ("engine", "Engine"),
            ("from", "Settings"),
            ("host", "Settings"),
            ("port", "Settings"),
            ("database", "Settings"),
            ("ssl_mode", "Settings"),
            ("certificate", "Settings"),
            ("s3_path", "Settings"),
            ("s3_role", "Settings"),
        ],
        deviations: &[("name", KEEPS_ITS_NAME)],
    },
    Schema {
        kind: "dms/endpoint",
        resource: "AWS::DMS::Endpoint",
        create_only: &["KmsKeyId", "ResourceIdentifier"],
        write_only: &["ExtraConnectionAttributes", "Password", "ResourceIdentifier"],
        fields: &[
            ("name", "EndpointIdentifier"),
            ("direction", "EndpointType"),
            ("engine", "EngineName"),
            ("connection", "ServerName"),
            ("workgroup", "ServerName"),
            ("bucket", "RedshiftSettings"),
            ("bucket_folder", "RedshiftSettings"),
            ("role", "RedshiftSettings"),
            ("ssl_mode", "SslMode"),
            ("certificate", "CertificateArn"),
            ("kms_key", "KmsKeyId"),
            ("settings", "PostgreSqlSettings"),
            ("extra_attributes", "ExtraConnectionAttributes"),
        ],
        deviations: &[
            ("name", KEEPS_ITS_NAME),
            ("direction", "a source has no use as a target: the tasks that hold it cannot follow"),
            ("engine", "settings and credentials of one engine mean nothing to another"),
            (
                "extra_attributes",
                "DescribeEndpoints answers with them, mixed with settings: declared keys are compared",
            ),
        ],
    },
    Schema {
        kind: "dms/instance_profile",
        resource: "AWS::DMS::InstanceProfile",
        create_only: &[],
        write_only: &["InstanceProfileIdentifier"],
        fields: &[
            ("name", "InstanceProfileName"),
            ("description", "Description"),
            ("subnet_group", "SubnetGroupIdentifier"),
            ("security_groups", "VpcSecurityGroups"),
            ("public", "PubliclyAccessible"),
            ("network_type", "NetworkType"),
            ("availability_zone", "AvailabilityZone"),
            ("kms_key", "KmsKeyArn"),
        ],
        deviations: &[("name", KEEPS_ITS_NAME)],
    },
    Schema {
        kind: "dms/migration_project",
        resource: "AWS::DMS::MigrationProject",
        create_only: &[],
        write_only: &["MigrationProjectIdentifier", "InstanceProfileIdentifier"],
        fields: &[
            ("name", "MigrationProjectName"),
            ("description", "Description"),
            ("source", "SourceDataProviderDescriptors"),
            ("source_secret", "SourceDataProviderDescriptors"),
            ("source_role", "SourceDataProviderDescriptors"),
            ("target", "TargetDataProviderDescriptors"),
            ("target_secret", "TargetDataProviderDescriptors"),
            ("target_role", "TargetDataProviderDescriptors"),
            ("instance_profile", "InstanceProfileIdentifier"),
            ("transformation_rules", "TransformationRules"),
            ("conversion", "SchemaConversionApplicationAttributes"),
        ],
        deviations: &[
            ("name", KEEPS_ITS_NAME),
            ("instance_profile", "DescribeMigrationProjects answers with the profile's name and ARN"),
        ],
    },
    Schema {
        kind: "dms/replication_config",
        resource: "AWS::DMS::ReplicationConfig",
        create_only: &["ResourceIdentifier"],
        write_only: &[],
        fields: &[
            ("name", "ReplicationConfigIdentifier"),
            ("source", "SourceEndpointArn"),
            ("target", "TargetEndpointArn"),
            ("mode", "ReplicationType"),
            ("tables", "TableMappings"),
            ("mappings", "TableMappings"),
            ("settings", "ReplicationSettings"),
            ("supplemental_settings", "SupplementalSettings"),
            ("max_capacity_units", "ComputeConfig"),
            ("min_capacity_units", "ComputeConfig"),
            ("multi_az", "ComputeConfig"),
            ("availability_zone", "ComputeConfig"),
            ("subnet_group", "ComputeConfig"),
            ("security_groups", "ComputeConfig"),
            ("kms_key", "ComputeConfig"),
            ("maintenance_window", "ComputeConfig"),
            ("dns_servers", "ComputeConfig"),
        ],
        deviations: &[
            ("name", KEEPS_ITS_NAME),
            ("source", ENDS),
            ("target", ENDS),
            ("availability_zone", FIRST_CAPACITY),
            ("subnet_group", FIRST_CAPACITY),
            ("kms_key", FIRST_CAPACITY),
        ],
    },
    Schema {
        kind: "dms/replication_instance",
        resource: "AWS::DMS::ReplicationInstance",
        create_only: &[
            "DnsNameServers",
            "KmsKeyId",
            "PubliclyAccessible",
            "ReplicationSubnetGroupIdentifier",
            "ResourceIdentifier",
        ],
        write_only: &[],
        fields: &[
            ("name", "ReplicationInstanceIdentifier"),
            ("class", "ReplicationInstanceClass"),
            ("storage_gb", "AllocatedStorage"),
            ("engine_version", "EngineVersion"),
            ("allow_major_upgrade", "AllowMajorVersionUpgrade"),
            ("auto_minor_upgrades", "AutoMinorVersionUpgrade"),
            ("subnet_group", "ReplicationSubnetGroupIdentifier"),
            ("security_groups", "VpcSecurityGroupIds"),
            ("public", "PubliclyAccessible"),
            ("multi_az", "MultiAZ"),
            ("availability_zone", "AvailabilityZone"),
            ("kms_key", "KmsKeyId"),
            ("maintenance_window", "PreferredMaintenanceWindow"),
            ("network_type", "NetworkType"),
            ("dns_servers", "DnsNameServers"),
            ("kerberos", "-"),
            ("apply", "-"),
        ],
        deviations: &[
            ("name", KEEPS_ITS_NAME),
            ("allow_major_upgrade", "it is leave for a change of the version, not a value that is kept"),
            ("availability_zone", "ModifyReplicationInstance has no AvailabilityZone"),
            ("apply", OWN),
        ],
    },
    Schema {
        kind: "dms/replication_task",
        resource: "AWS::DMS::ReplicationTask",
        create_only: &["ReplicationInstanceArn", "ResourceIdentifier", "SourceEndpointArn", "TargetEndpointArn"],
        write_only: &[],
        fields: &[
            ("name", "ReplicationTaskIdentifier"),
            ("instance", "ReplicationInstanceArn"),
            ("source", "SourceEndpointArn"),
            ("target", "TargetEndpointArn"),
            ("mode", "MigrationType"),
            ("tables", "TableMappings"),
            ("mappings", "TableMappings"),
            ("settings", "ReplicationTaskSettings"),
            ("cdc_start_position", "CdcStartPosition"),
            ("cdc_stop_position", "CdcStopPosition"),
            ("task_data", "TaskData"),
        ],
        deviations: &[
            ("name", KEEPS_ITS_NAME),
            ("instance", "MoveReplicationTask moves a task, which CloudFormation does not use"),
        ],
    },
    Schema {
        kind: "dms/subnet_group",
        resource: "AWS::DMS::ReplicationSubnetGroup",
        create_only: &["ReplicationSubnetGroupIdentifier"],
        write_only: &[],
        fields: &[
            ("name", "ReplicationSubnetGroupIdentifier"),
            ("description", "ReplicationSubnetGroupDescription"),
            ("subnets", "SubnetIds"),
        ],
        deviations: &[],
    },
    Schema {
        kind: "ec2/security_group",
        resource: "AWS::EC2::SecurityGroup",
        create_only: &["GroupDescription", "GroupName", "VpcId"],
        write_only: &[],
        fields: &[
            ("name", "GroupName"),
            ("vpc", "VpcId"),
            ("description", "GroupDescription"),
            ("ingress", "SecurityGroupIngress"),
            ("egress", "SecurityGroupEgress"),
        ],
        deviations: &[],
    },
    Schema {
        kind: "ec2/subnet",
        resource: "AWS::EC2::Subnet",
        create_only: &["AvailabilityZone", "CidrBlock", "VpcId"],
        write_only: &[],
        fields: &[("name", "Tags"), ("vpc", "VpcId"), ("cidr", "CidrBlock"), ("zone", "AvailabilityZone")],
        deviations: &[],
    },
    Schema {
        kind: "ec2/vpc",
        resource: "AWS::EC2::VPC",
        create_only: &["CidrBlock"],
        write_only: &[],
        fields: &[("name", "Tags"), ("cidr", "CidrBlock"), ("dns_hostnames", "EnableDnsHostnames")],
        deviations: &[],
    },
    Schema {
        kind: "ec2/vpc_endpoint",
        resource: "AWS::EC2::VPCEndpoint",
        create_only: &["ServiceName", "VpcEndpointType", "VpcId"],
        write_only: &[],
        fields: &[
            ("name", "Tags"),
            ("vpc", "VpcId"),
            ("service", "ServiceName"),
            ("type", "VpcEndpointType"),
            ("route_tables", "RouteTableIds"),
            ("subnets", "SubnetIds"),
            ("security_groups", "SecurityGroupIds"),
            ("private_dns", "PrivateDnsEnabled"),
            ("policy", "PolicyDocument"),
        ],
        deviations: &[],
    },
    Schema {
        kind: "iam/role",
        resource: "AWS::IAM::Role",
        create_only: &["Path", "RoleName"],
        write_only: &[],
        fields: &[
            ("preset", "AssumeRolePolicyDocument"),
            ("name", "RoleName"),
            ("trust", "AssumeRolePolicyDocument"),
            ("trust_policy", "AssumeRolePolicyDocument"),
            ("policies", "ManagedPolicyArns"),
            ("inline", "Policies"),
            ("description", "Description"),
            ("max_session_seconds", "MaxSessionDuration"),
            ("path", "Path"),
            ("permissions_boundary", "PermissionsBoundary"),
        ],
        deviations: &[],
    },
    Schema {
        kind: "redshift/namespace",
        resource: "AWS::RedshiftServerless::Namespace",
        create_only: &["NamespaceName"],
        write_only: &["AdminUserPassword", "ManageAdminPassword"],
        fields: &[
            ("name", "NamespaceName"),
            ("database", "DbName"),
            ("admin", "AdminUsername"),
            ("admin_secret_kms_key", "AdminPasswordSecretKmsKeyId"),
            ("roles", "IamRoles"),
            ("default_role", "DefaultIamRoleArn"),
            ("log_exports", "LogExports"),
            ("kms_key", "KmsKeyId"),
        ],
        deviations: &[("database", "UpdateNamespace has no dbName")],
    },
    Schema {
        kind: "redshift/workgroup",
        resource: "AWS::RedshiftServerless::Workgroup",
        create_only: &["NamespaceName", "WorkgroupName"],
        write_only: &["ConfigParameters", "SecurityGroupIds", "SubnetIds"],
        fields: &[
            ("name", "WorkgroupName"),
            ("namespace", "NamespaceName"),
            ("base_rpu", "BaseCapacity"),
            ("max_rpu", "MaxCapacity"),
            ("price_performance", "PricePerformanceTarget"),
            ("subnets", "SubnetIds"),
            ("security_groups", "SecurityGroupIds"),
            ("port", "Port"),
            ("public", "PubliclyAccessible"),
            ("enhanced_vpc_routing", "EnhancedVpcRouting"),
            ("ip_address_type", "-"),
            ("track", "TrackName"),
            ("extra_compute", "-"),
            ("parameters", "ConfigParameters"),
        ],
        deviations: &[
            ("subnets", "GetWorkgroup answers with them, as the schema's own read-only `Workgroup` does"),
            ("security_groups", "GetWorkgroup answers with them, as the schema's own read-only `Workgroup` does"),
            ("parameters", "GetWorkgroup answers with all of them: declared keys are compared"),
        ],
    },
    Schema {
        kind: "s3/bucket",
        resource: "AWS::S3::Bucket",
        create_only: &["BucketName"],
        write_only: &[],
        fields: &[
            ("name", "BucketName"),
            ("block_public_access", "PublicAccessBlockConfiguration"),
            ("encryption", "BucketEncryption"),
            ("kms_key", "BucketEncryption"),
            ("versioning", "VersioningConfiguration"),
            ("expire_days", "LifecycleConfiguration"),
            ("abort_uploads_days", "LifecycleConfiguration"),
        ],
        deviations: &[],
    },
    Schema {
        kind: "secretsmanager/secret",
        resource: "AWS::SecretsManager::Secret",
        create_only: &["Name"],
        write_only: &["GenerateSecretString", "SecretString"],
        fields: &[
            ("name", "Name"),
            ("description", "Description"),
            ("value", "SecretString"),
            ("generate", "GenerateSecretString"),
            ("value_version", "-"),
            ("kms_key", "KmsKeyId"),
            ("recovery_days", "-"),
        ],
        deviations: &[],
    },
];

/// Kinds that CloudFormation has no resource type for.
const WITHOUT_SCHEMA: &[&str] = &["redshift/grant", "redshift/schema", "redshift/usage_limit"];

#[test]
fn rules_agree_with_the_public_resource_schemas() {
    let registry = towpath_aws::kinds::registry(&towpath_aws::cloud::Cloud::offline());
    let mut wrong = Vec::new();
    for kind in registry.iter().filter(|kind| !WITHOUT_SCHEMA.contains(&kind.kind())) {
        let Some(schema) = SCHEMAS.iter().find(|schema| schema.kind == kind.kind()) else {
            wrong.push(format!("{} is compared with no resource schema", kind.kind()));
            continue;
        };
        for (field, facts) in kind.fields() {
            let Some((_, property)) = schema.fields.iter().find(|(name, _)| name == field) else {
                wrong.push(format!("{} {field} has no property of {}", schema.kind, schema.resource));
                continue;
            };
            let expected = match property {
                property if schema.create_only.contains(property) => Change::Replace,
                property if schema.write_only.contains(property) => Change::WriteOnly,
                _ => Change::InPlace,
            };
            let agrees = facts.change == expected;
            if agrees == schema.deviations.iter().any(|(name, _)| name == field) {
                wrong.push(format!(
                    "{} {field} is {:?}, {} {property} is {expected:?}{}",
                    schema.kind,
                    facts.change,
                    schema.resource,
                    if agrees { ": the deviation is none" } else { "" }
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
