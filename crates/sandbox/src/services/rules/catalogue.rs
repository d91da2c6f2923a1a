//! The catalogue of faults, and the states of objects.

use super::Machine;

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

Not played: limits on the number of calls of services other than DMS, permissions of the caller, KMS, objects that are read only (`IsReadOnly`), the
growing and shrinking of DMS Serverless within its capacity units, premigration assessments, Redshift's provisioned clusters, `ReloadTables`,
`ReloadReplicationTables`, `GetCredentials`, the listings of the Data API, and that statements are forgotten after 24 hours.

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
        states: "creating → available; modifying → available; deleting → gone; creating → failed where planted",
        source: "DMS user guide, \"Replication instance status\"",
        test: "an_instance_lives_through_its_states_and_its_interface_outlives_it",
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
        object: "replication task",
        states: "creating → ready; starting → running → stopped (`FULL_LOAD_ONLY_FINISHED`, `STOPPED_AFTER_FULL_LOAD`, `STOPPED_AFTER_CACHED_EVENTS`); stopping → stopped (`NORMAL`); starting → failed (`FATAL_ERROR`) where planted; modifying → as before; deleting → gone",
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
        states: "CREATING → AVAILABLE for a moment → MODIFYING → AVAILABLE; MODIFYING → AVAILABLE after each update",
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
        states: "CREATING → AVAILABLE, or FAILED where planted",
        source: "Redshift Serverless API reference, `Snapshot`",
        test: "workgroups_hold_their_namespace",
    },
    Machine {
        object: "statement",
        states: "SUBMITTED → STARTED → FINISHED, FAILED or ABORTED",
        source: "Redshift Data API reference, `DescribeStatement`",
        test: "statements_batches_and_errors_end_as_on_aws",
    },
    Machine {
        object: "secret",
        states: "deleted → scheduled for 7 to 30 days, its name taken (`InvalidRequestException`) → gone; restored at any time before",
        source: "Secrets Manager API reference, `DeleteSecret`",
        test: "secrets_keep_their_name_until_they_are_gone",
    },
];

pub(super) const REFUSALS: &str = "
## Refusals

The last column says how the row is shown: by a call that is refused so, or by a test.

| service | when | code | source | shown by |
|---|---|---|---|---|
";
