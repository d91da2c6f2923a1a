//! The catalogue of faults, and the states of objects.

use super::{Limit, Machine, Sql};
use crate::Quota;

/// One fault of the catalogue.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// What happens, as a sentence.
    pub(super) happens: &'static str,
    /// What it is for, after "It is for".
    pub(super) purpose: &'static str,
    /// What a client should do, after "A client should".
    pub(super) client: &'static str,
    pub(super) example: &'static str,
}

pub(super) const HEAD: &str = "# The sandbox

What the local AWS plays, as tables. This page is written from the tables of `crates/sandbox/src/services/rules`, which are tests: each refusal
that has a call is provoked by it. Write the page again with `TOWPATH_BLESS=1 cargo test -p towpath-sandbox --lib services::rules`.

Not played: limits on the number of calls of services other than DMS, permissions of the caller, KMS, Lambda, Redshift's provisioned clusters,
routes, network ACLs and the VPC endpoints that DMS needs in a private network,
recovery points, assessment runs and validation of DMS, the growing and shrinking of DMS Serverless within its capacity units, and
the text of logs (CloudWatch Logs keeps sizes only). An operation that is not played is refused by its name: `UnknownOperationException` (400) by the JSON services, `InvalidAction` (400) by EC2, IAM and STS, `NotImplemented` (501) by S3. It is never taken for
another operation and has no effect. What nobody can make here is listed as empty where AWS has a list of it.
Service Quotas is not played (an option raises a quota), and what is not in the table of quotas below has none.

The credentials of `GetCredentials` are those of a real user of the sandbox's PostgreSQL; the address of a workgroup leads nowhere from this machine. The endpoint
type in `DescribeEndpoints` is in capitals, as AWS sends it, although its model has small letters; `InvalidParameterValueException` and
`InvalidParameterCombinationException` of DMS are not in its model either.

## Faults

A fault is planted with `--fault NAME@SERVICE:OPERATION` on any command that works on the sandbox, or in the variable `TOWPATH_FAULTS` (several with
commas). `#3` at the end means the third such call of the process, `#*` each; without it the first. `*` in the pattern stands for any text. A library
user sets `Options::faults`.

";

pub(super) const FAULTS: &[Entry] = &[
    Entry {
        name: "throttle",
        happens: "The call is refused with the service's own throttling error and has no effect.",
        purpose: "retries with backoff",
        client: "wait, longer each time and with jitter, leave the whole service alone meanwhile, and call again",
        example: "towpath apply --yes --fault 'throttle@dms:Describe*#*'",
    },
    Entry {
        name: "server-error",
        happens: "The call is answered with a 500 and has no effect.",
        purpose: "retries of transient errors",
        client: "call again, but settle first whether the call had an effect after all",
        example: "towpath apply --yes --fault server-error@iam:CreateRole",
    },
    Entry {
        name: "cut-before",
        happens: "The connection closes before the call has an effect.",
        purpose: "retries of broken connections",
        client: "take the outcome as unknown: look for the object, then call again",
        example: "towpath apply --yes --fault cut-before@ec2:CreateSecurityGroup",
    },
    Entry {
        name: "cut-after",
        happens: "The call has its effect and the connection closes without an answer.",
        purpose: "unknown outcomes",
        client: "find the object by name or tag and go on with it; never make a second one",
        example: "towpath apply --yes --fault cut-after@dms:CreateReplicationInstance",
    },
    Entry {
        name: "lost-tags",
        happens: "A create succeeds without its tags.",
        purpose: "ownership that does not rest on tags alone",
        client: "know by its journal what it has made, and put the tags on",
        example: "towpath apply --yes --fault lost-tags@dms:CreateEndpoint",
    },
    Entry {
        name: "stale-list",
        happens: "The call is answered from the world before the last change.",
        purpose: "eventual consistency",
        client: "not believe that something is gone, or in its old state, because one read says so",
        example: "towpath apply --yes --fault stale-list@dms:DescribeEndpoints",
    },
    Entry {
        name: "slow-state",
        happens: "The transition that the call begins takes five times as long.",
        purpose: "waits and their limits",
        client: "wait on; past its limit say that the work goes on, and take it up next time",
        example: "towpath apply --yes --fault slow-state@redshift-serverless:CreateWorkgroup",
    },
    Entry {
        name: "failed-state",
        happens: "The transition that the call begins ends in the failed state.",
        purpose: "failures told with their cause",
        client: "say what failed and why, go on with what does not depend on it, and make the object again next time",
        example: "towpath apply --yes --fault failed-state@dms:CreateReplicationInstance",
    },
    Entry {
        name: "crash-before",
        happens: "The process of the client is killed (SIGKILL) instead of the call.",
        purpose: "a kill before the effect",
        client: "find in its journal what was meant, and do it",
        example: "towpath apply --yes --fault crash-before@redshift-serverless:UpdateWorkgroup",
    },
    Entry {
        name: "crash-after",
        happens: "The call has its effect, then the process of the client is killed (SIGKILL).",
        purpose: "a kill between effect and outcome",
        client: "find the object that the journal says was about to be made, and adopt it",
        example: "towpath apply --yes --fault 'crash-after@redshift-serverless:UpdateWorkgroup#2'",
    },
    Entry {
        name: "not-found",
        happens: "The call is refused as if what it names were not there, and has no effect: with the service's own code for it, and by the Data API as for a \
                  statement that is older than 24 hours (`ValidationException`).",
        purpose: "reads right after a create, and statements that have expired",
        client: "look again before it believes that something it has just made is gone",
        example: "towpath apply --yes --fault not-found@iam:GetRole",
    },
    Entry {
        name: "no-capacity",
        happens: "The call is refused for want of capacity and has no effect: `InsufficientResourceCapacityFault` of `CreateReplicationInstance` and \
                  `ModifyReplicationInstance`, `InsufficientCapacityException` of `CreateWorkgroup`. Other calls are as usual.",
        purpose: "refusals that waiting for a moment does not mend",
        client: "tell the user, go on with what does not depend on it, and not call again at once",
        example: "towpath apply --yes --fault no-capacity@dms:CreateReplicationInstance",
    },
    Entry {
        name: "incompatible-network",
        happens: "The replication instance that the call makes ends in the state `incompatible-network`. Other calls are as usual.",
        purpose: "failed states that have another name than `failed`",
        client: "stop waiting, say what is wrong with the network, and make the instance again when told to",
        example: "towpath apply --yes --fault incompatible-network@dms:CreateReplicationInstance",
    },
    Entry {
        name: "recoverable-error",
        happens: "The replication task that the call starts runs, carries nothing, and stops with `RECOVERABLE_ERROR`. Other calls are as usual.",
        purpose: "resuming",
        client: "say so and start the task again with `resume-processing`",
        example: "towpath migrate --fault recoverable-error@dms:StartReplicationTask",
    },
    Entry {
        name: "read-only",
        happens: "The endpoint or subnet group that the call makes belongs to a zero-ETL integration: `IsReadOnly` is true, and it can be neither changed nor \
                  deleted (`InvalidResourceStateFault`). Other calls are as usual.",
        purpose: "objects that must be left alone",
        client: "name the object and leave it",
        example: "towpath apply --yes --fault read-only@dms:CreateReplicationSubnetGroup",
    },
];

pub(super) const STATES: &str = "## States

Transitions take the time they take on AWS, divided by `--speed`.

| object | states | source | test |
|---|---|---|---|
";

pub(super) const MACHINES: &[Machine] = &[
    Machine {
        object: "IAM role",
        states: "made → seen by other services some seconds later",
        source: "\"Changes that I make are not always immediately visible\" (IAM user guide)",
        test: "a_subnet_group_needs_the_vpc_role_and_the_role_needs_time",
    },
    Machine {
        object: "replication instance",
        states: "creating → modifying → available; modifying → available; rebooting → available; deleting → gone; creating → failed or incompatible-network where planted",
        source: "DMS user guide, \"Replication instance status\"; hashicorp/terraform-provider-aws#1182",
        test: "an_instance_passes_through_modifying_and_reboots",
    },
    Machine {
        object: "network interface of an instance",
        states: "in use → unattached for five minutes after its instance is gone, which keeps security groups and subnets (`DependencyViolation`) → gone",
        source: "hashicorp/terraform-provider-aws#7600",
        test: "an_instance_lives_through_its_states_and_its_interface_outlives_it",
    },
    Machine {
        object: "pending changes of an instance",
        states: "accepted into `PendingModifiedValues` → in force with `ApplyImmediately`",
        source: "DMS API reference, `ModifyReplicationInstance`",
        test: "changes_of_an_instance_wait_unless_applied_at_once",
    },
    Machine {
        object: "endpoint",
        states: "active; deleting → gone; identifiers in lower case, types in capitals, settings with all their defaults, never the password",
        source: "answers recorded in the corpus of cdk-real-drift, July 2026",
        test: "identifiers_are_folded_and_settings_are_filled_in",
    },
    Machine {
        object: "connection",
        states: "testing → successful, or failed with `LastFailureMessage`; a changed endpoint is tested again by itself, and a task cannot start meanwhile",
        source: "hashicorp/terraform-provider-aws#46139",
        test: "a_task_starts_only_after_good_tests_and_holds_what_it_uses",
    },
    Machine {
        object: "connection to Redshift",
        states: "testing → failed while the role is not among the namespace's (\"The requested role ... is not associated to cluster\")",
        source: "DMS user guide, \"Using Amazon Redshift Serverless as a target\"",
        test: "a_target_whose_role_is_not_with_the_namespace_fails_its_test",
    },
    Machine {
        object: "replication task with a slot of one's own",
        states: "starting → failed while the source endpoint names a slot (`SlotName`) and the task no `CdcStartPosition`",
        source: "\"If the specified slot doesn't exist or the task doesn't have a valid CdcStartPosition setting, DMS raises an error\" (DMS API reference, `PostgreSQLSettings`)",
        test: "a_slot_of_the_user_s_own_needs_a_position_to_start_at",
    },
    Machine {
        object: "connection through security groups",
        states: "testing → failed (\"Connection timed out\") while no rule lets the instance, or the capacity of a serverless replication, out to the port, or the workgroup in from it; no way between two VPCs but to a public workgroup",
        source: "\"no inbound traffic is allowed until you add inbound rules to the security group\" (VPC user guide, \"Security group rules\"); DMS user guide, \"Using Amazon Redshift Serverless as a target\"",
        test: "a_workgroup_is_reached_only_through_its_security_groups",
    },
    Machine {
        object: "replication task",
        states: "creating → ready; starting → running → stopped (`FULL_LOAD_ONLY_FINISHED`, `STOPPED_AFTER_FULL_LOAD`, `STOPPED_AFTER_CACHED_EVENTS`); stopping → stopped (`NORMAL`); starting → failed (`FATAL_ERROR`) where planted; running → failed when the namespace no longer has the role; running → stopped (`RECOVERABLE_ERROR`) → resumed, where planted; modifying → as before; deleting → gone",
        source: "DMS user guide, \"Working with AWS DMS tasks\"",
        test: "tasks_stop_after_the_load_or_its_changes_when_told_to",
    },
    Machine {
        object: "serverless replication",
        states: "created → ready; initializing → preparing_metadata_resources → testing_connection → fetching_metadata → calculating_capacity → provisioning_capacity → replication_starting → running → stopped (`FULL_LOAD_ONLY_FINISHED`, …) or failed with `FailureMessages`; stopping → stopped (`NORMAL`); modifying → as before; deleting → gone",
        source: "DMS user guide, \"AWS DMS Serverless components\"; hashicorp/terraform-provider-aws, `dms/replication_config.go`",
        test: "a_serverless_replication_brings_its_own_capacity_and_copies_rows",
    },
    Machine {
        object: "capacity of a serverless replication",
        states: "provisioning → provisioned; 48 hours after the end deprovisioning → deprovisioned, when statistics and position are lost; a start before that goes on with it",
        source: "\"This command doesn't deprovision the stopped replications\" (DMS API reference, `StopReplication`); dev.classmethod.jp, June 2025; DMS user guide, \"AWS DMS Serverless limitations\"",
        test: "capacity_is_taken_away_after_the_end_and_statistics_and_position_with_it",
    },
    Machine {
        object: "replication task that was just started",
        states: "acknowledged, while `DescribeReplicationTasks` still tells the state before (`stale-list`)",
        source: "hashicorp/terraform-provider-aws#29765",
        test: "a_start_may_be_seen_late_and_a_move_may_fail",
    },
    Machine {
        object: "replication task that is moved",
        states: "moving → as before, on the other instance; moving → failed-move, where it was, where planted",
        source: "DMS API reference, `MoveReplicationTask`",
        test: "a_start_may_be_seen_late_and_a_move_may_fail",
    },
    Machine {
        object: "table of a task",
        states: "Before load → Full load → Table completed, or Table error; Full load → Table cancelled when the task is stopped; Table completed or Table error → Table is being reloaded (`ReloadTables`, `ReloadReplicationTables`) → Table completed",
        source: "DMS API reference, `TableStatistics`, `ReloadTables`, `ReloadReplicationTables`",
        test: "a_reloaded_table_has_the_rows_of_the_source_again",
    },
    Machine {
        object: "schemas of an endpoint",
        states: "refreshing → successful, with the schemas of the real database, or failed",
        source: "DMS API reference, `RefreshSchemas`",
        test: "dms_tells_schemas_types_logs_and_what_it_does_not_play",
    },
    Machine {
        object: "namespace",
        states: "AVAILABLE at once; MODIFYING while it or its workgroup changes → AVAILABLE; DELETING → gone; its database is told only once it had a workgroup",
        source: "hashicorp/terraform-provider-aws#26522, #39273",
        test: "a_namespace_tells_its_database_with_its_first_workgroup",
    },
    Machine {
        object: "roles of a namespace",
        states: "`IamRole(applyStatus=adding, ...)` → `IamRole(applyStatus=in-sync, ...)`",
        source: "hashicorp/terraform-provider-aws#26624",
        test: "a_namespace_changes_one_concern_at_a_time_and_its_roles_take_time",
    },
    Machine {
        object: "workgroup",
        states: "CREATING → AVAILABLE for a moment → MODIFYING → AVAILABLE; MODIFYING → AVAILABLE after each update, and with each of its namespace",
        source: "hashicorp/terraform-provider-aws#26522, #31048",
        test: "a_new_workgroup_is_available_twice_and_refuses_changes_before",
    },
    Machine {
        object: "workgroup that is deleted",
        states: "AVAILABLE for some seconds yet → DELETING → gone",
        source: "hashicorp/terraform-provider-aws#29962, #28109",
        test: "a_deleted_workgroup_is_available_for_a_while",
    },
    Machine {
        object: "snapshot",
        states: "CREATING → AVAILABLE, or FAILED where planted; restored: the namespace is MODIFYING → AVAILABLE with the rows it had",
        source: "Redshift Serverless API reference, `Snapshot`, `RestoreFromSnapshot`",
        test: "a_snapshot_brings_the_rows_back",
    },
    Machine {
        object: "endpoint access",
        states: "CREATING → ACTIVE; MODIFYING → ACTIVE; DELETING → gone; its workgroup stays as long as it does",
        source: "Redshift Serverless API reference, `EndpointAccess`",
        test: "an_endpoint_access_holds_its_workgroup_and_its_group",
    },
    Machine {
        object: "statement",
        states: "SUBMITTED → STARTED → FINISHED, FAILED or ABORTED → forgotten after 24 hours, or with the process",
        source: "Redshift Data API reference, `DescribeStatement`; \"Considerations when calling the Amazon Redshift Data API\"",
        test: "statements_batches_and_errors_end_as_on_aws",
    },
    Machine {
        object: "secret",
        states: "deleted → scheduled for 7 to 30 days, its name taken (`InvalidRequestException`) → gone; restored at any time before",
        source: "Secrets Manager API reference, `DeleteSecret`",
        test: "secrets_keep_their_name_until_they_are_gone",
    },
];

pub(super) const QUOTAS: &str = "
## Quotas

What goes beyond a quota is refused and has no effect; an object counts until it is gone. The account has AWS's defaults. `--quota NAME=NUMBER` on any
command that works on the sandbox, or the variable `TOWPATH_QUOTAS` (several with commas), gives it another value, as Service Quotas do on AWS; a library
user sets `Options::quotas`. `DescribeAccountAttributes` of DMS tells what is used and how much there is; of a quota that each object has for itself, the
most that one of them uses; `TasksPerInstance` it does not tell.

```console
towpath apply --yes --quota dms:ReplicationInstances=100 --quota redshift-serverless:Workgroups=40
```

| quota | default | of what | source | test |
|---|---|---|---|---|
";

const DMS_QUOTAS: &str = "DMS user guide, \"Quotas for AWS Database Migration Service\"";
const REDSHIFT_QUOTAS: &str = "\"Quotas and limits in Amazon Redshift\" (Redshift management guide)";
const VPC_QUOTAS: &str = "\"Amazon VPC quotas\" (VPC user guide)";
const PRIVATELINK_QUOTAS: &str = "\"AWS PrivateLink quotas\" (AWS PrivateLink guide)";
const IAM_QUOTAS: &str = "\"IAM and AWS STS quotas\" (IAM user guide)";
const BUCKET_QUOTAS: &str = "\"By default, you can create up to 10,000 general purpose buckets per AWS account\" (S3 user guide, \"General purpose bucket quotas, limitations, and restrictions\")";
const DMS_TEST: &str = "dms_refuses_what_goes_beyond_its_quotas";
const INSTANCE_TEST: &str = "an_instance_of_dms_takes_so_many_endpoints_and_tasks";
const REDSHIFT_TEST: &str = "redshift_serverless_refuses_what_goes_beyond_its_quotas";
const EC2_TEST: &str = "ec2_refuses_what_goes_beyond_its_quotas";
const OTHER_TEST: &str = "iam_and_s3_refuse_what_goes_beyond_their_quotas";

const fn limit(quota: Quota, of: &'static str, source: &'static str, test: &'static str) -> Limit {
    Limit { quota, of, source, test }
}

pub(super) const LIMITS: &[Limit] = &[
    limit(Quota::ReplicationInstances, "replication instances", DMS_QUOTAS, DMS_TEST),
    limit(Quota::AllocatedStorage, "gigabytes of all replication instances together", DMS_QUOTAS, DMS_TEST),
    limit(Quota::ReplicationSubnetGroups, "replication subnet groups", DMS_QUOTAS, DMS_TEST),
    limit(Quota::SubnetsPerReplicationSubnetGroup, "subnets of a replication subnet group", DMS_QUOTAS, DMS_TEST),
    limit(Quota::Endpoints, "endpoints", DMS_QUOTAS, DMS_TEST),
    limit(
        Quota::EndpointsPerInstance,
        "endpoints that a replication instance has tested or carries in a task; the guide has the number (\"Endpoints per replication instance: 100\") and no AWS page says what counts: these two are what ties an endpoint to an instance",
        DMS_QUOTAS,
        INSTANCE_TEST,
    ),
    limit(Quota::ReplicationTasks, "replication tasks", DMS_QUOTAS, DMS_TEST),
    limit(Quota::TasksPerInstance, "replication tasks of an instance", DMS_QUOTAS, INSTANCE_TEST),
    limit(Quota::DataProviders, "data providers", DMS_QUOTAS, DMS_TEST),
    limit(Quota::InstanceProfiles, "instance profiles", DMS_QUOTAS, DMS_TEST),
    limit(Quota::MigrationProjects, "migration projects", DMS_QUOTAS, DMS_TEST),
    limit(Quota::Namespaces, "namespaces", REDSHIFT_QUOTAS, REDSHIFT_TEST),
    limit(Quota::Workgroups, "workgroups", REDSHIFT_QUOTAS, REDSHIFT_TEST),
    limit(Quota::Vpcs, "VPCs", VPC_QUOTAS, EC2_TEST),
    limit(Quota::SubnetsPerVpc, "subnets of a VPC", VPC_QUOTAS, EC2_TEST),
    limit(Quota::SecurityGroups, "security groups", VPC_QUOTAS, EC2_TEST),
    limit(Quota::RulesPerSecurityGroup, "rules of a security group, of each direction", VPC_QUOTAS, EC2_TEST),
    limit(
        Quota::SecurityGroupsPerInterface,
        "security groups of a network interface, where a VPC endpoint asks for it",
        VPC_QUOTAS,
        EC2_TEST,
    ),
    limit(Quota::GatewayEndpoints, "gateway endpoints", PRIVATELINK_QUOTAS, EC2_TEST),
    limit(Quota::InterfaceEndpointsPerVpc, "interface endpoints of a VPC", PRIVATELINK_QUOTAS, EC2_TEST),
    limit(Quota::Roles, "roles of the account, in all regions", IAM_QUOTAS, OTHER_TEST),
    limit(Quota::PoliciesPerRole, "managed policies of a role", IAM_QUOTAS, OTHER_TEST),
    limit(Quota::Buckets, "buckets of the account", BUCKET_QUOTAS, OTHER_TEST),
];

pub(super) const WAREHOUSE: &str = "
## SQL of the warehouse

Users, groups, roles, owners, quotas and privileges of a warehouse are its own (PostgreSQL's are the server's) and are told, not enforced: every
statement runs as the superuser.

| statement or view | what happens | source | test |
|---|---|---|---|
";

const OWNERS: &str = "schemas_have_owners_and_quotas_that_the_views_tell";
const ACCESS: &str = "privileges_of_users_groups_and_roles_are_told_by_the_views";

pub(super) const SQL: &[Sql] = &[
    Sql {
        statement: "`CREATE SCHEMA … AUTHORIZATION … QUOTA …`",
        does: "a quota is kept in megabytes, without a unit it means gigabytes; without an owner the admin is it",
        source: "Redshift developer guide, \"CREATE SCHEMA\"",
        test: OWNERS,
    },
    Sql {
        statement: "`ALTER SCHEMA … OWNER TO`, `QUOTA`, `RENAME TO`",
        does: "one of them is changed; the schema keeps its number in `PG_NAMESPACE`",
        source: "Redshift developer guide, \"ALTER SCHEMA\"",
        test: OWNERS,
    },
    Sql {
        statement: "`SVV_ALL_SCHEMAS`, `SVV_REDSHIFT_SCHEMAS`, `SVV_REDSHIFT_SCHEMA_QUOTA`, `SVV_USER_INFO`",
        does: "tell schemas, owners and quotas; `SVV_SCHEMA_QUOTA_STATE` is \"only available when querying provisioned clusters\" and missing",
        source: "Redshift developer guide, pages of the views",
        test: OWNERS,
    },
    Sql {
        statement: "`CREATE`, `ALTER`, `DROP` of `USER`, `GROUP`, `ROLE`",
        does: "what owns a schema is not dropped; a role is not called as a user is",
        source: "Redshift developer guide, \"CREATE ROLE\", \"DROP USER\"",
        test: ACCESS,
    },
    Sql {
        statement: "`GRANT`, `REVOKE … ON SCHEMA`, `ON ALL TABLES IN SCHEMA`, `ON TABLE`",
        does: "privileges of users, groups, roles and `PUBLIC`; all tables are those that there are",
        source: "Redshift developer guide, \"GRANT\", \"REVOKE\"",
        test: ACCESS,
    },
    Sql {
        statement: "`SVV_SCHEMA_PRIVILEGES`, `SVV_RELATION_PRIVILEGES`",
        does: "tell `CREATE`, `USAGE`, `ALTER` of schemas; `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `REFERENCES`, `DROP` of relations; no others",
        source: "Redshift developer guide, pages of the views",
        test: ACCESS,
    },
    Sql {
        statement: "any, on the schema `public`",
        does: "everybody has `CREATE` and `USAGE` on it from the beginning (\"By default, all users have CREATE and USAGE permissions on the PUBLIC schema of a database\"), until they are revoked",
        source: "Redshift developer guide, \"Schema-based permissions\"",
        test: ACCESS,
    },
    Sql {
        statement: "any, on a namespace that was deleted and made again under its name",
        does: "the warehouse is empty",
        source: "Redshift Serverless API reference, `DeleteNamespace`",
        test: "a_snapshot_brings_the_rows_back",
    },
];

pub(super) const REFUSALS: &str = "
## Refusals

The last column says how the row is shown: by a call that is refused so, or by a test.

| service | when | code | source | shown by |
|---|---|---|---|---|
";
