//! Refusals of members by their form, where AWS says what it is: lengths, letters, numbers, words.

use super::Proof::{Call, Test};
use super::{Rule, rule};

const DMS: &str = "InvalidParameterValueException";
const SERVERLESS: &str = "ValidationException";

pub(super) const RULES: &[Rule] = &[
    rule(
        "dms",
        DMS,
        "a maintenance window is none (\"Format: ddd:hh24:mi-ddd:hh24:mi\"), or shorter than half an hour (\"Minimum 30-minute window\")",
        "DMS API reference, `CreateReplicationInstance`, `ComputeConfig`",
        Call(
            "CreateReplicationInstance",
            r#"{"ReplicationInstanceIdentifier": "two", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group", "PreferredMaintenanceWindow": "sun:06:00-sun:06:10"}"#,
        ),
    ),
    rule(
        "dms",
        DMS,
        "name servers are no addresses or more than four (\"a comma-separated list of internet addresses for up to four on-premise DNS name servers\")",
        "DMS API reference, `CreateReplicationInstance`, `ComputeConfig`",
        Call(
            "CreateReplicationInstance",
            r#"{"ReplicationInstanceIdentifier": "two", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group", "DnsNameServers": "1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5"}"#,
        ),
    ),
    rule(
        "dms",
        DMS,
        "the name of a subnet group is `default` or has other letters (\"Must contain no more than 255 alphanumeric characters, periods, underscores, or hyphens\"; a space is one of them), or its description has control characters; names are kept, and found, in small letters",
        "DMS API reference, `CreateReplicationSubnetGroup`",
        Call(
            "CreateReplicationSubnetGroup",
            r#"{"ReplicationSubnetGroupIdentifier": "two words", "ReplicationSubnetGroupDescription": "d", "SubnetIds": ["{subnet}", "{second}"]}"#,
        ),
    ),
    rule(
        "dms",
        DMS,
        "a tag has other letters than \"Unicode letters, digits, white-space, '_', '.', '/', '=', '+', '-'\" and the colon, or begins with `aws:` or `dms:`",
        "DMS API reference, `Tag`",
        Call(
            "AddTagsToResource",
            r#"{"ResourceArn": "{instance}", "Tags": [{"Key": "team", "Value": "boats & trips"}]}"#,
        ),
    ),
    rule(
        "dms",
        DMS,
        "the description of a data provider, an instance profile or a migration project has more than 255 characters",
        "CloudFormation's public resource schemas `AWS::DMS::DataProvider`, `AWS::DMS::InstanceProfile`, `AWS::DMS::MigrationProject`",
        Call("CreateInstanceProfile", r#"{"InstanceProfileName": "wordy", "Description": "{long}"}"#),
    ),
    rule(
        "dms",
        DMS,
        "a position to stop at is neither `server_time:` nor `commit_time:` with a time (\"The value can be either server time or commit time\")",
        "DMS API reference, `CreateReplicationTask`",
        Test("a_task_takes_only_times_to_stop_at"),
    ),
    rule(
        "dms",
        DMS,
        "`MaxFullLoadSubTasks` is above 49 (\"the maximum value is 49\"), `CommitRate` above 50,000 (\"the maximum value is 50000\"), or `TargetTablePrepMode` none of its three words",
        "DMS user guide, \"Full-load task settings\"",
        Test("settings_of_the_full_load_keep_within_their_limits"),
    ),
    rule(
        "dms",
        DMS,
        "two rules of table mappings have one `rule-id` (\"A unique numeric value to identify the rule\")",
        "DMS user guide, \"Selection rules and actions\"",
        Test("two_rules_of_one_id_are_refused"),
    ),
    rule(
        "redshift-serverless",
        SERVERLESS,
        "a database or an admin is not called `[a-zA-Z][a-zA-Z_0-9+.@-]*`, or a database has more than 127 characters",
        "CloudFormation's public resource schema `AWS::RedshiftServerless::Namespace`",
        Call("CreateNamespace", r#"{"namespaceName": "second", "dbName": "9to5"}"#),
    ),
    rule(
        "redshift-serverless",
        SERVERLESS,
        "an admin password has not 8 to 64 characters with a small letter, a capital letter and a digit, or has a space, a quote, `/`, `@` or `\\`",
        "CloudFormation's public resource schema `AWS::RedshiftServerless::Namespace`",
        Call(
            "CreateNamespace",
            r#"{"namespaceName": "second", "adminUsername": "ann", "adminUserPassword": "Passw0rd@home"}"#,
        ),
    ),
    rule(
        "redshift-serverless",
        SERVERLESS,
        "a track is not called `^[a-zA-Z0-9_]+$`; a parameter that is on or off is neither `true` nor `false`, a limit of queries no number; limits of queries stand beside query queues (\"but not both\"), or those have more than 8000 characters",
        "Redshift Serverless API reference, `CreateWorkgroup`, `ConfigParameter`; Redshift management guide, \"Amazon Redshift parameter groups\"",
        Test("a_workgroup_takes_only_values_that_redshift_has"),
    ),
    rule(
        "iam",
        "ValidationError",
        "a description has letters beyond `\\u00FF` or more than 1000 of them; a boundary has not 20 to 2048 characters",
        "IAM API reference, `CreateRole`",
        Call(
            "CreateRole",
            "RoleName=described&Description=%C4%80&AssumeRolePolicyDocument=%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C%22Principal%22%3A%7B%22Service%22%3A%22dms.amazonaws.com%22%7D%7D%7D",
        ),
    ),
    rule(
        "iam",
        "LimitExceeded",
        "the policies in a role have more than 10,240 characters together (\"Role policy size can't exceed 10,240 characters\"; 409)",
        "\"IAM and AWS STS quotas\"",
        Test("policies_in_a_role_have_a_size_together"),
    ),
    rule(
        "iam",
        "MalformedPolicyDocument",
        "a trust policy names a role of the account that is not there or too new (\"Invalid principal in policy\")",
        "hashicorp/terraform-provider-aws, `iam/role.go`",
        Test("a_role_trusts_only_roles_that_are_there_and_seen"),
    ),
    rule(
        "s3",
        "InvalidBucketName",
        "a name begins with `xn--`, `sthree-` or `amzn-s3-demo-`, or ends with `-s3alias`, `--ol-s3`, `.mrap`, `--x-s3` or `--table-s3`",
        "S3 user guide, \"General purpose bucket naming rules\"",
        Call("PUT /sthree-staging", ""),
    ),
    rule(
        "secretsmanager",
        "InvalidParameterException",
        "a description or a key has more than 2048 characters",
        "Secrets Manager API reference, `CreateSecret`",
        Call("CreateSecret", r#"{"Name": "wordy", "SecretString": "s", "Description": "{long}"}"#),
    ),
    rule(
        "ec2",
        "InvalidParameterValue",
        "the description of a rule has more than 255 characters or others than \"a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*\"",
        "EC2 API reference, `IpRange`",
        Call(
            "AuthorizeSecurityGroupIngress",
            "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=9&IpPermissions.1.ToPort=9&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8&IpPermissions.1.IpRanges.1.Description=it's",
        ),
    ),
];
