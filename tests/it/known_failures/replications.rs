//! DMS Serverless: settings that the service expands, and starts that meet a change.

use serde_json::{Value, json};

use super::{STACK, endpoint, first, steps};
use crate::env::TestEnvironment;
use crate::wire::Wire;

/// The small project with a serverless replication for its task, behind a tap.
fn serverless(mode: &str, fields: &str) -> (TestEnvironment, Wire) {
    let mut small = TestEnvironment::small();
    // The load and the tests of its connections do real work, which no speed makes shorter.
    small.set("TOWPATH_SPEED", "500");
    small.serverless(mode, fields);
    let wire = Wire::tap(&mut small);
    (small, wire)
}

/// The same, replicating changes.
fn replicating() -> (TestEnvironment, Wire) {
    let (small, wire) = serverless("full-load-and-cdc", "");
    for command in [&["apply", "--yes"][..], &["upload"], &["migrate"]] {
        small.expect(0, command);
    }
    assert_eq!(run(&wire)["Status"], "running");
    wire.forget();
    (small, wire)
}

#[track_caller]
fn config(wire: &Wire) -> Value {
    first(&wire.aws, "DescribeReplicationConfigs", "ReplicationConfigs")
}

#[track_caller]
fn run(wire: &Wire) -> Value {
    first(&wire.aws, "DescribeReplications", "Replications")
}

fn settings(wire: &Wire) -> Value {
    serde_json::from_str(config(wire)["ReplicationSettings"].as_str().unwrap()).unwrap()
}

/// Changes the configuration as another tool would, and waits until that is done.
fn change(wire: &Wire, members: &Value) {
    let mut input = members.clone();
    input["ReplicationConfigArn"] = config(wire)["ReplicationConfigArn"].clone();
    wire.aws.dms("ModifyReplicationConfig", &input).unwrap();
    super::until(|| run(wire)["Status"] != "modifying");
}

const SETTINGS: &str = "settings: {\
    Logging: {EnableLogging: true, LogComponents: [\
        {Id: TARGET_LOAD, Severity: LOGGER_SEVERITY_DEBUG}, {Id: SOURCE_UNLOAD, Severity: LOGGER_SEVERITY_DEFAULT}]}, \
    FullLoadSettings: {MaxFullLoadSubTasks: '4', CommitRate: 20000}, \
    ControlTablesSettings: {historyTimeslotInMinutes: 5}, TTSettings: null}, ";

/// hashicorp/terraform-provider-aws#45376, #35573, #35493, #34348.
#[test]
fn what_the_service_adds_to_a_serverless_configuration_is_no_difference() {
    let (small, wire) = serverless("full-load", SETTINGS);
    small.edit(STACK, "  vpc_role:", "  logs_role: {kind: iam/role, preset: dms-cloudwatch-logs-role}\n  vpc_role:");
    small.expect(0, &["apply", "--yes"]);
    assert!(settings(&wire).as_object().unwrap().len() > 10, "the service has expanded the document");
    let compute = config(&wire)["ComputeConfig"].clone();
    assert!(compute["KmsKeyId"].is_string() && compute["AvailabilityZone"].is_string(), "{compute}");
    small.expect(0, &["plan"]);
    // Once it has run, the service has put its log group and stream into the document.
    small.expect(0, &["upload"]);
    small.expect(0, &["migrate"]);
    assert!(settings(&wire)["Logging"]["CloudWatchLogGroup"].is_string());
    small.expect(0, &["plan"]);
    // The order of components means nothing.
    small.edit(
        STACK,
        "{Id: TARGET_LOAD, Severity: LOGGER_SEVERITY_DEBUG}, {Id: SOURCE_UNLOAD, Severity: LOGGER_SEVERITY_DEFAULT}",
        "{Id: SOURCE_UNLOAD, Severity: LOGGER_SEVERITY_DEFAULT}, {Id: TARGET_LOAD, Severity: LOGGER_SEVERITY_DEBUG}",
    );
    small.expect(0, &["plan"]);
    // What another tool adds is not declared and stays; a declared value that differs is the only thing planned and sent.
    change(&wire, &json!({"ReplicationSettings": r#"{"ValidationSettings": {"EnableValidation": true}}"#}));
    small.expect(0, &["plan"]);
    change(&wire, &json!({"ReplicationSettings": r#"{"FullLoadSettings": {"CommitRate": 5000}}"#}));
    assert_eq!(steps(&small, &["plan"]), ["update load"]);
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    let sent = wire.of("dms:ModifyReplicationConfig")[0].json();
    assert!(sent["ComputeConfig"].is_null() && sent["TableMappings"].is_null(), "{sent}");
    let document: Value = serde_json::from_str(sent["ReplicationSettings"].as_str().unwrap()).unwrap();
    assert!(!document.to_string().contains("CloudWatchLog"), "{document}");
    assert_eq!(settings(&wire)["FullLoadSettings"]["CommitRate"], 20000);
    assert_eq!(settings(&wire)["ValidationSettings"]["EnableValidation"], true);
    small.expect(0, &["plan"]);
}

/// Stop, change, start: each call is taken, and the start comes when the change is no longer seen.
#[track_caller]
fn nothing_was_started_during_a_change(wire: &Wire) {
    let calls = wire.calls();
    assert!(calls.iter().all(|call| call.status == 200), "nothing is refused: {calls:#?}");
    let start = calls.iter().position(|call| call.operation == "dms:StartReplication").unwrap();
    let seen = calls[..start].iter().rfind(|call| call.operation == "dms:DescribeReplications").unwrap();
    assert!(!seen.answer.contains("modifying"), "{}", seen.answer);
}

/// hashicorp/terraform-provider-aws#35650: "Replication for Replication Config: xxxxxxxx is in MODIFYING state and cannot
/// start".
#[test]
fn a_running_replication_is_stopped_changed_and_started_once_the_change_is_settled() {
    let (small, wire) = replicating();
    let before = config(&wire);
    small.edit(
        STACK,
        "max_capacity_units: 4",
        "max_capacity_units: 8, settings: {FullLoadSettings: {CommitRate: 20000}}",
    );
    assert_eq!(steps(&small, &["plan"]), ["pause load", "update load", "resume load"]);
    let shown = small.expect(3, &["plan"]).stdout;
    assert!(shown.contains("interrupts: the running replication stands still"), "{shown}");
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    let marked = "dms:AddTagsToResource";
    let between = ["dms:StopReplication", "dms:ModifyReplicationConfig", "dms:StartReplication"];
    assert_eq!(wire.changes(), [&[marked][..], &between, &[marked]].concat(), "marked before, settled after");
    nothing_was_started_during_a_change(&wire);
    let sent = wire.of("dms:ModifyReplicationConfig")[0].json();
    let mut compute = before["ComputeConfig"].clone();
    compute["MaxCapacityUnits"] = json!(8);
    assert_eq!(sent["ComputeConfig"], compute, "all of it is sent, and only what is declared differs");
    assert_eq!(wire.of("dms:StartReplication")[0].json()["StartReplicationType"], "resume-processing");
    assert_eq!(run(&wire)["Status"], "running");
    small.expect(0, &["plan"]);
    // The same around a change of an endpoint that it uses.
    let source = "{url: {env: SOURCE_DATABASE_URL}}";
    small.edit(STACK, source, &format!("{source}, settings: {{heartbeat_enable: true}}"));
    assert_eq!(steps(&small, &["plan"]), ["pause load", "update source", "resume load"]);
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    let between = ["dms:StopReplication", "dms:ModifyEndpoint", "dms:StartReplication"];
    assert_eq!(wire.changes(), [&[marked][..], &between, &[marked]].concat());
    nothing_was_started_during_a_change(&wire);
    assert_eq!(endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"]["HeartbeatEnable"], true);
    assert_eq!(run(&wire)["Status"], "running");
    small.expect(0, &["plan"]);
}

#[test]
fn a_replication_that_is_being_changed_is_waited_for_by_apply_and_migrate() {
    let (small, wire) = serverless("full-load", "");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["upload"]);
    // Another tool changes it: the next looks see that.
    let changing = || {
        let mut seen = wire.aws.dms("DescribeReplications", &json!({})).unwrap();
        seen["Replications"][0]["Status"] = json!("modifying");
        wire.forget();
        wire.answer("dms:DescribeReplications", 4, 200, &seen);
    };
    let begins_after_the_change = |operation: &str| {
        let calls = wire.calls();
        let at = calls.iter().position(|call| call.operation == operation).unwrap();
        let looks: Vec<_> = calls[..at].iter().filter(|call| call.operation == "dms:DescribeReplications").collect();
        assert!(looks.len() > 4 && !looks.last().unwrap().answer.contains("modifying"), "{looks:#?}");
        assert!(calls.iter().all(|call| call.status == 200), "nothing is refused: {calls:#?}");
    };
    small.edit(STACK, "max_capacity_units: 4", "max_capacity_units: 8");
    changing();
    small.expect(0, &["apply", "--yes"]);
    begins_after_the_change("dms:ModifyReplicationConfig");
    assert_eq!(config(&wire)["ComputeConfig"]["MaxCapacityUnits"], 8);
    changing();
    small.expect(0, &["migrate"]);
    begins_after_the_change("dms:StartReplication");
    assert_eq!(run(&wire)["StopReason"], "Stop Reason FULL_LOAD_ONLY_FINISHED");
    small.expect(0, &["plan"]);
}

#[test]
fn a_replication_stopped_for_a_change_runs_again_after_a_kill() {
    let (small, wire) = replicating();
    let mut units = 4;
    for operation in ["dms:StopReplication", "dms:ModifyReplicationConfig", "dms:StartReplication"] {
        small.edit(STACK, &format!("max_capacity_units: {units}"), &format!("max_capacity_units: {}", units * 2));
        units *= 2;
        wire.forget();
        wire.kill_after(operation, &small, &["apply", "--yes"]);
        small.expect(0, &["apply", "--yes"]);
        assert_eq!(run(&wire)["Status"], "running", "killed after {operation}");
        assert_eq!(config(&wire)["ComputeConfig"]["MaxCapacityUnits"], units, "killed after {operation}");
        let starts = wire.of("dms:StartReplication");
        assert!(starts.iter().all(|call| [0, 200].contains(&call.status)), "killed after {operation}: {starts:#?}");
        small.expect(0, &["plan"]);
    }
}
