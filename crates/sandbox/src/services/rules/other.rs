//! Refusals of the JSON services: DMS, Redshift Serverless, Redshift Data, Secrets Manager, tagging.

use super::Proof::{Call, Never, Test};
use super::Rule;

const REDSHIFT: &str = "Redshift Serverless API reference, errors of the operation";
const DATA: &str = "Redshift Data API reference, errors of the operation";
const LOGS: &str = "CloudWatch Logs API reference, errors of the operation";
const SECRETS: &str = "Secrets Manager API reference, errors of the operation";

const fn rule(
    service: &'static str,
    code: &'static str,
    when: &'static str,
    source: &'static str,
    proof: super::Proof,
) -> Rule {
    Rule { service, code, when, source, proof }
}

pub(super) const RULES: &[Rule] = &[
    rule(
        "dms",
        "ValidationException",
        "a member is absent or has a wrong form",
        "DMS API reference, common errors",
        Call("CreateEndpoint", "{}"),
    ),
    rule(
        "dms",
        "AccessDeniedFault",
        "`dms-vpc-role` is absent, too new, or lacks trust or policy",
        "DMS API reference; hashicorp/terraform-provider-aws#11025, #32824",
        Test("a_subnet_group_needs_the_vpc_role_and_the_role_needs_time"),
    ),
    rule(
        "dms",
        "ResourceNotFoundFault",
        "there is no such object, or a filter fits none",
        "DMS API reference, errors of each Describe operation",
        Call("DescribeEndpoints", r#"{"Filters": [{"Name": "endpoint-id", "Values": ["nobody"]}]}"#),
    ),
    rule(
        "dms",
        "ResourceAlreadyExistsFault",
        "the identifier is taken, in any case",
        "DMS API reference",
        Call(
            "CreateReplicationInstance",
            r#"{"ReplicationInstanceIdentifier": "ONE", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group"}"#,
        ),
    ),
    rule(
        "dms",
        "InvalidResourceStateFault",
        "an object is not in a state for this, or others need it: a task that runs, an instance with tasks, an endpoint under test, a group with an instance",
        "DMS API reference; hashicorp/terraform-provider-aws#27661, #46139, #34576",
        Call("DeleteReplicationSubnetGroup", r#"{"ReplicationSubnetGroupIdentifier": "group"}"#),
    ),
    rule(
        "dms",
        "InvalidResourceStateFault",
        "a serverless replication is started, changed or deleted while its configuration changes (\"is in MODIFYING state and cannot start\")",
        "hashicorp/terraform-provider-aws#35650",
        Test("a_serverless_replication_is_neither_started_nor_changed_while_it_changes_or_runs"),
    ),
    rule(
        "dms",
        "InvalidResourceStateFault",
        "a serverless replication is changed or deleted while it starts, runs or stops (\"You can only modify an AWS DMS replication configuration that is in the CREATED, STOPPED, or FAILED states\"; \"when the replication is in a non-RUNNING and non-STARTING state\"), or stopped while it does not run",
        "DMS user guide, \"AWS DMS Serverless limitations\"; DMS API reference, `DeleteReplicationConfig`",
        Test("a_serverless_replication_is_neither_started_nor_changed_while_it_changes_or_runs"),
    ),
    rule(
        "dms",
        "InvalidResourceStateFault",
        "a serverless full load is resumed (\"The resume-processing option isn't applicable for a full-load replication\"), or a replication whose capacity was taken away",
        "DMS API reference, `StartReplication`; dev.classmethod.jp, June 2025",
        Test("capacity_is_taken_away_after_the_end_and_statistics_and_position_with_it"),
    ),
    rule(
        "dms",
        "InvalidResourceStateFault",
        "an endpoint or subnet group is deleted that a serverless replication uses",
        "DMS API reference, errors of the operation; hashicorp/terraform-provider-aws PR#34576",
        Test("a_serverless_replication_brings_its_own_capacity_and_copies_rows"),
    ),
    rule(
        "dms",
        "ValidationException",
        "capacity units are not among \"1, 2, 4, 8, 16, 32, 64, 128, 192, 256, and 384\", fewer at most than at least, or a zone is asked for together with `MultiAZ`",
        "DMS API reference, `ComputeConfig`",
        Test("a_serverless_configuration_is_filled_in_and_its_mistakes_are_refused"),
    ),
    rule(
        "dms",
        "InvalidParameterCombination",
        "a change of a serverless configuration changes nothing (\"no modifications requested\")",
        "hashicorp/terraform-provider-aws#35650",
        Test("a_serverless_configuration_is_filled_in_and_its_mistakes_are_refused"),
    ),
    rule(
        "dms",
        "InvalidParameterCombination",
        "a change of an instance changes nothing",
        "seen in practice; not in the model",
        Call("ModifyReplicationInstance", r#"{"ReplicationInstanceArn": "{instance}"}"#),
    ),
    rule(
        "dms",
        "InvalidSubnet",
        "a subnet does not exist, or subnets lie in several VPCs",
        "DMS API reference, `CreateReplicationSubnetGroup`",
        Call(
            "ModifyReplicationSubnetGroup",
            r#"{"ReplicationSubnetGroupIdentifier": "group", "SubnetIds": ["subnet-0123456789abcdef0"]}"#,
        ),
    ),
    rule(
        "dms",
        "ReplicationSubnetGroupDoesNotCoverEnoughAZs",
        "the subnets lie in one availability zone",
        "\"There needs to be at least one subnet in at least two Availability Zones in the AWS Region, otherwise the service will throw a ReplicationSubnetGroupDoesNotCoverEnoughAZs exception\" (DMS API reference, `CreateReplicationSubnetGroup`)",
        Call(
            "CreateReplicationSubnetGroup",
            r#"{"ReplicationSubnetGroupIdentifier": "narrow", "ReplicationSubnetGroupDescription": "d", "SubnetIds": ["{subnet}"]}"#,
        ),
    ),
    rule(
        "dms",
        "SubnetAlreadyInUse",
        "a subnet in which an instance lies is taken out of its group",
        "DMS API reference, `ModifyReplicationSubnetGroup`",
        Call(
            "ModifyReplicationSubnetGroup",
            r#"{"ReplicationSubnetGroupIdentifier": "group", "SubnetIds": ["{second}", "{third}"]}"#,
        ),
    ),
    rule(
        "redshift-serverless",
        "ValidationException",
        "a member has a wrong form; more than one parameter in `UpdateWorkgroup` (\"Can't update multiple configurations at the same time for workgroup\"); more than one concern in `UpdateNamespace`; a base above the maximum; -1 without a maximum; `require_ssl=false` at creation; too few zones or free addresses",
        "hashicorp/terraform-provider-aws#28108, #28255, #36030, #36031, #28977; cloudformation-coverage-roadmap#2454",
        Call("UpdateWorkgroup", r#"{"workgroupName": "club", "port": 5440, "publiclyAccessible": true}"#),
    ),
    rule(
        "redshift-serverless",
        "ConflictException",
        "the name is taken, an operation is running, or a workgroup needs the namespace",
        REDSHIFT,
        Call("DeleteNamespace", r#"{"namespaceName": "club"}"#),
    ),
    rule(
        "redshift-serverless",
        "ResourceNotFoundException",
        "there is no such object",
        REDSHIFT,
        Call("GetWorkgroup", r#"{"workgroupName": "nobody"}"#),
    ),
    rule(
        "redshift-serverless",
        "TooManyTagsException",
        "an object has 50 tags",
        REDSHIFT,
        Call("TagResource", r#"{"resourceArn": "{workgroup}", "tags": [{json-tags}]}"#),
    ),
    rule(
        "redshift-serverless",
        "InsufficientCapacityException",
        "the planted `failed-state` strikes `CreateWorkgroup`",
        REDSHIFT,
        Test("capacity_runs_out_where_planted"),
    ),
    rule(
        "redshift-data",
        "ValidationException",
        "a member is absent or has a wrong form, the workgroup or database does not exist",
        DATA,
        Test("statements_batches_and_errors_end_as_on_aws"),
    ),
    rule(
        "redshift-data",
        "ResourceNotFoundException",
        "there is no such statement, session or result",
        DATA,
        Test("statements_batches_and_errors_end_as_on_aws"),
    ),
    rule(
        "redshift-data",
        "InternalServerException",
        "the sandbox's PostgreSQL fails (500)",
        DATA,
        Never("PostgreSQL must fail"),
    ),
    rule(
        "logs",
        "InvalidParameterException",
        "a member is absent or has a wrong form; a name begins with `aws/`",
        LOGS,
        Call("CreateLogGroup", r#"{"logGroupName": "aws/one"}"#),
    ),
    rule(
        "logs",
        "ResourceAlreadyExistsException",
        "there is a log group of that name",
        LOGS,
        Test("log_groups_refuse_and_count_as_cloudwatch_does"),
    ),
    rule(
        "logs",
        "ResourceNotFoundException",
        "there is no such log group",
        LOGS,
        Call("DeleteLogGroup", r#"{"logGroupName": "nobody"}"#),
    ),
    rule(
        "secretsmanager",
        "ValidationException",
        "a secret's name has other letters than `A-Za-z0-9/_+=.@!-`",
        SECRETS,
        Call("CreateSecret", r#"{"Name": "a b", "SecretString": "s"}"#),
    ),
    rule(
        "secretsmanager",
        "InvalidParameterException",
        "a member is absent or has a wrong form; a recovery window outside 7 to 30 days; more than 50 tags",
        SECRETS,
        Call("DeleteSecret", r#"{"SecretId": "kept", "RecoveryWindowInDays": 3}"#),
    ),
    rule(
        "secretsmanager",
        "InvalidRequestException",
        "the secret is scheduled for deletion, is another service's, or no value was given",
        SECRETS,
        Call("PutSecretValue", r#"{"SecretId": "kept"}"#),
    ),
    rule(
        "secretsmanager",
        "ResourceExistsException",
        "there is a secret of that name",
        SECRETS,
        Call("CreateSecret", r#"{"Name": "kept", "SecretString": "s"}"#),
    ),
    rule(
        "secretsmanager",
        "ResourceNotFoundException",
        "there is no such secret or version",
        SECRETS,
        Call("DescribeSecret", r#"{"SecretId": "nobody"}"#),
    ),
    rule(
        "secretsmanager",
        "MalformedPolicyDocumentException",
        "a resource policy is no policy",
        SECRETS,
        Call("PutResourcePolicy", r#"{"SecretId": "kept", "ResourcePolicy": "nonsense"}"#),
    ),
    rule(
        "secretsmanager",
        "InvalidNextTokenException",
        "a page is asked for by no token of the service",
        SECRETS,
        Call("ListSecrets", r#"{"NextToken": "nonsense"}"#),
    ),
    rule(
        "secretsmanager",
        "DecryptionFailure",
        "the sandbox's key is not the one the value was sealed with",
        SECRETS,
        Never("the file of the key must be replaced"),
    ),
    rule(
        "tagging",
        "InvalidParameterException",
        "a member has a wrong form",
        "Resource Groups Tagging API reference",
        Call("GetResources", r#"{"TagFilters": "nonsense"}"#),
    ),
    rule(
        "tagging",
        "PaginationTokenExpiredException",
        "a page is asked for by no token of the service",
        "Resource Groups Tagging API reference",
        Call("GetResources", r#"{"PaginationToken": "nonsense"}"#),
    ),
];
