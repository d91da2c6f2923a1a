//! Replication tasks: how long things take, loads that are over before anyone looks, and changes of
//! a task that runs.

use serde_json::json;

use super::{STACK, endpoint, interrupted, replicating, steps, task, until};
use crate::env::TestEnvironment;
use crate::wire::Wire;

const HEARTBEAT: (&str, &str) =
    ("{url: {env: SOURCE_DATABASE_URL}}}", "{url: {env: SOURCE_DATABASE_URL}}, settings: {heartbeat_enable: true}}");

#[test]
fn what_takes_longer_than_the_stack_allows_is_waited_for_by_the_next_run_and_never_made_again() {
    let mut small = TestEnvironment::small();
    small.set("TOWPATH_SPEED", "60");
    let wire = Wire::tap(&mut small);
    small.edit(STACK, "    class: dms.t3.micro", "    timeouts: {create: 20s}\n    class: dms.t3.micro");
    let first = small.expect(4, &["apply", "--yes"]);
    assert!(first.stderr.contains("still `creating` after"), "{}", first.stderr);
    assert_eq!(steps(&small, &["plan"]), ["wait instance", "create load"]);
    small.edit(STACK, "{create: 20s}", "{create: 40m}");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert_eq!(wire.of("dms:CreateReplicationInstance").len(), 1);
    assert!(wire.of("dms:DeleteReplicationInstance").is_empty());
}

#[test]
fn a_slow_stop_and_a_slow_start_are_gone_on_with_by_the_next_run() {
    let (mut small, _fast) = replicating();
    small.set("TOWPATH_SPEED", "40");
    let wire = Wire::tap(&mut small);
    small.edit(STACK, HEARTBEAT.0, HEARTBEAT.1);
    small.edit(STACK, "  load: {", "  load: {timeouts: {stop: 10s, start: 10s}, ");
    let slow = small.expect(4, &["apply", "--yes"]);
    assert!(slow.stderr.contains("still `stopping` after"), "{}", slow.stderr);
    assert!(wire.of("dms:ModifyEndpoint").is_empty(), "nothing is changed under a task that still runs");
    small.edit(STACK, "stop: 10s", "stop: 10m");
    let slow = small.expect(4, &["apply", "--yes"]);
    assert!(slow.stderr.contains("still `starting` after"), "{}", slow.stderr);
    assert_eq!(endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"]["HeartbeatEnable"], true);
    // It goes on in AWS; nothing is left to do, and nothing was made again.
    until(|| task(&wire.aws)["Status"] == "running");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert_eq!(wire.of("dms:StartReplicationTask").len(), 1);
    assert!(wire.of("dms:DeleteReplicationTask").is_empty() && wire.of("dms:CreateReplicationTask").is_empty());
}

#[test]
fn a_load_that_is_over_before_anyone_looks_is_a_success() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    for command in [&["apply", "--yes"][..], &["upload"], &["migrate"], &["validate", "--level", "rows"]] {
        small.expect(0, command);
    }
    let ended = task(&wire.aws);
    assert_eq!(ended["Status"], "stopped");
    assert_eq!(ended["StopReason"], "Stop Reason FULL_LOAD_ONLY_FINISHED");
    small.expect(0, &["plan"]);
    // A full load that is under way when its source changes, and is over before it can be stopped.
    for endpoint in ["SourceEndpointArn", "TargetEndpointArn"] {
        let pair = json!({"ReplicationInstanceArn": ended["ReplicationInstanceArn"], "EndpointArn": ended[endpoint]});
        wire.aws.dms("TestConnection", &pair).unwrap();
    }
    until(|| !wire.aws.dms("DescribeConnections", &json!({})).unwrap().to_string().contains("testing"));
    small.set("TOWPATH_SPEED", "40");
    let wire = Wire::tap(&mut small);
    let start = json!({
        "ReplicationTaskArn": ended["ReplicationTaskArn"], "StartReplicationTaskType": "reload-target",
    });
    wire.aws.dms("StartReplicationTask", &start).unwrap();
    small.edit(STACK, HEARTBEAT.0, HEARTBEAT.1);
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"]["HeartbeatEnable"], true);
    until(|| task(&wire.aws)["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED");
    small.expect(0, &["plan"]);
    small.expect(0, &["validate", "--level", "rows"]);
}

#[test]
fn a_running_task_is_stopped_changed_in_place_and_goes_on() {
    let (small, wire) = replicating();
    let before = task(&wire.aws);
    small.edit(STACK, "mode: full-load-and-cdc,", "mode: cdc, settings: {FullLoadSettings: {CommitRate: 20000}},");
    assert_eq!(steps(&small, &["plan"]), ["pause load", "update load", "resume load"]);
    let shown = small.expect(3, &["plan"]).stdout;
    assert!(shown.contains("interrupts: the running replication stands still"), "{shown}");
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(wire.changes(), interrupted("dms:ModifyReplicationTask"));
    let sent = wire.of("dms:ModifyReplicationTask")[0].json();
    assert_eq!(
        sent,
        json!({
            "ReplicationTaskArn": before["ReplicationTaskArn"], "MigrationType": "cdc",
            "ReplicationTaskSettings": r#"{"FullLoadSettings":{"CommitRate":20000}}"#,
        })
    );
    assert_eq!(wire.of("dms:StartReplicationTask")[0].json()["StartReplicationTaskType"], "resume-processing");
    let after = task(&wire.aws);
    assert_eq!((&after["Status"], &after["MigrationType"]), (&json!("running"), &json!("cdc")));
    assert_eq!(after["ReplicationTaskCreationDate"], before["ReplicationTaskCreationDate"]);
    small.expect(0, &["plan"]);
}

#[test]
fn a_type_change_that_dms_refuses_becomes_a_replacement_only_by_consent() {
    let (small, wire) = replicating();
    let before = task(&wire.aws);
    small.edit(STACK, "mode: full-load-and-cdc,", "mode: cdc,");
    let refusal = json!({"__type": "InvalidParameterValueException", "message": "The migration type of a task can't be changed."});
    wire.answer("dms:ModifyReplicationTask", 1, 400, &refusal);
    let refused = small.expect(4, &["apply", "--yes"]);
    assert!(refused.stderr.contains("towpath plan --replace load"), "{}", refused.stderr);
    let after = task(&wire.aws);
    assert_eq!(after["Status"], "running", "what was stopped for the change runs again");
    assert_eq!(after["ReplicationTaskCreationDate"], before["ReplicationTaskCreationDate"]);
    assert_eq!(steps(&small, &["plan", "--replace", "load"]), ["pause load", "delete load", "create load"]);
}
