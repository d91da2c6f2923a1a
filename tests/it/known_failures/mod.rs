//! The known failures of other tools, one scenario each, played through the program against the
//! sandbox. A scenario sets up what made the other tool fail and shows that towpath passes: the plan,
//! the run, what the API says afterwards, and the plan after it. Nothing here tests wording.
//!
//! | number | the other tool's problem | test |
//! |---|---|---|
//! | 1 | task settings differ for ever: the service adds, fills in and reorders | `task_settings::what_the_service_adds_to_the_settings_is_no_difference` |
//! | 2 | the same for DMS Serverless configurations | `replications::what_the_service_adds_to_a_serverless_configuration_is_no_difference` |
//! | 3 | an endpoint change is refused while tasks run | `endpoints::a_change_stops_the_running_task_and_starts_it_again`, `endpoints::a_change_that_is_refused_leaves_the_task_running` |
//! | 4 | the hidden connection test leaves the task stopped | the first of 3, `endpoints::a_task_stopped_for_a_change_is_started_again_after_a_kill`, `endpoints::a_change_that_breaks_the_connection_is_named_and_mended_by_the_next_run` |
//! | 5 | fixed waits, after which the object is tainted and made again | `tasks::what_takes_longer_than_the_stack_allows_is_waited_for_by_the_next_run_and_never_made_again`, `tasks::a_slow_stop_and_a_slow_start_are_gone_on_with_by_the_next_run` |
//! | 6 | the full load is over before the waiter looks | `tasks::a_load_that_is_over_before_anyone_looks_is_a_success` |
//! | 7 | a running task cannot be changed; trouble with its type | `tasks::a_running_task_is_stopped_changed_in_place_and_goes_on`, `tasks::a_type_change_that_dms_refuses_becomes_a_replacement_only_by_consent` |
//! | 8 | `dms-vpc-role` is not seen yet | `networks::a_role_that_dms_does_not_see_yet_is_waited_for`, `networks::two_stacks_of_an_account_make_the_account_s_roles_once` |
//! | 9 | interfaces that DMS leaves behind block group and subnet | `networks::interfaces_that_dms_leaves_behind_hold_nothing_up` |
//! | 10 | subnet group or instance deleted while still used | `networks::what_others_still_use_is_named_and_goes_once_they_are_gone`, `networks::an_instance_with_a_task_of_another_tool_is_not_deleted_under_it` |
//! | 11 | a change for the maintenance window is an error or lost, pending values are ignored | `instances::a_change_that_waits_for_the_window_is_scheduled_and_not_lost` |
//! | 12 | settings of Redshift Serverless endpoints are not applied | `endpoints::settings_of_a_serverless_target_are_applied_and_only_what_changed_is_sent` |
//! | 13 | an update injects zero values | the same |
//! | 14 | extra connection attributes are dropped or differ for ever | `endpoints::extra_attributes_are_compared_with_what_the_service_makes_of_them` |
//! | 15 | with a secret the database name is ignored and a password demanded | `endpoints::with_a_secret_the_database_is_sent_and_no_password_is_asked_for`, `endpoints::a_mixture_of_credentials_is_refused_before_anything_is_made` |
//! | 16 | password drift is invisible or rewritten; the start flag is part of the definition | `passwords` |
//! | 17 | a serverless replication is started while its configuration changes | `replications::a_running_replication_is_stopped_changed_and_started_once_the_change_is_settled`, `replications::a_replication_that_is_being_changed_is_waited_for_by_apply_and_migrate`, `replications::a_replication_stopped_for_a_change_runs_again_after_a_kill` |
//! | 18 | `IamRole(...)` texts differ for ever; a default role cannot be removed | `namespaces` |
//! | 19 | a namespace cannot change to or from a managed password | `passwords` |
//! | 20 | a workgroup refuses several changes at once | `workgroups` |
//! | 21 | AVAILABLE too early and too late, creation timeouts, deletes that show AVAILABLE | `stability` |
//! | 22 | parameters differ for ever, because AWS adds keys | `workgroups` |
//! | 23 | the order of base and maximum capacity, and -1 sent twice | `workgroups` |
//! | 24 | `require_ssl=false` is refused on create | `workgroups` |
//! | 25 | the database is told only when a workgroup exists | `namespaces` |
//! | 26 | zones and free addresses are learnt from a refusal | `workgroups` |
//! | 27 | one more endpoint makes tasks again | `stability` |
//! | 28 | the trust of an existing role lacks Redshift Serverless | `stability` |

mod endpoints;
mod house;
mod instances;
mod namespaces;
mod networks;
mod passwords;
mod replications;
mod stability;
mod task_settings;
mod tasks;
mod workgroups;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::TestEnvironment;
use crate::wire::Wire;

/// The small project's stack file.
const STACK: &str = "stacks/small.yaml";

/// The small project with its task replicating changes, behind a tap.
pub(crate) fn replicating() -> (TestEnvironment, Wire) {
    let mut small = TestEnvironment::small();
    small.edit(STACK, "mode: full-load,", "mode: full-load-and-cdc,");
    // The task and its connection tests do real work, which no speed makes shorter.
    small.set("TOWPATH_SPEED", "250");
    let wire = Wire::tap(&mut small);
    for command in [&["apply", "--yes"][..], &["upload"], &["migrate"]] {
        small.expect(0, command);
    }
    assert_eq!(task(&wire.aws)["Status"], "running");
    wire.forget();
    (small, wire)
}

/// The calls around a change that a running task stands in the way of: it is marked, stopped, started again
/// and its mark is settled.
fn interrupted(change: &str) -> [&str; 5] {
    ["dms:AddTagsToResource", "dms:StopReplicationTask", change, "dms:StartReplicationTask", "dms:AddTagsToResource"]
}

/// The first item of a list of DMS.
#[track_caller]
fn first(aws: &Aws, operation: &str, list: &str) -> Value {
    aws.dms(operation, &json!({})).unwrap()[list][0].clone()
}

/// The only replication task.
#[track_caller]
pub(crate) fn task(aws: &Aws) -> Value {
    first(aws, "DescribeReplicationTasks", "ReplicationTasks")
}

/// The endpoint of that direction (`SOURCE` or `TARGET`).
#[track_caller]
fn endpoint(aws: &Aws, direction: &str) -> Value {
    let answer = aws.dms("DescribeEndpoints", &json!({})).unwrap();
    let endpoints = answer["Endpoints"].as_array().unwrap();
    endpoints.iter().find(|endpoint| endpoint["EndpointType"] == direction).unwrap().clone()
}

/// What the steps of a plan do, in their order: `action name`.
#[track_caller]
pub(crate) fn steps(project: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    let plan = project.expect(3, &[arguments, &["--json"]].concat());
    let events = plan.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let plan = events.into_iter().find(|event| event["type"] == "plan").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = plan["plan"]["steps"].as_array().unwrap();
    steps.iter().map(|step| format!("{} {}", text(&step["action"]), text(&step["address"]["name"]))).collect()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(is_so: impl Fn() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("ten seconds were not enough");
}
