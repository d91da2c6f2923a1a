//! Task settings: a document that the service expands, reorders and adds to.

use serde_json::{Value, json};

use super::{STACK, steps, task};
use crate::env::TestEnvironment;
use crate::wire::Wire;

const SETTINGS: &str = "settings: {\
    Logging: {EnableLogging: true, LogComponents: [\
        {Id: TARGET_LOAD, Severity: LOGGER_SEVERITY_DEBUG}, {Id: SOURCE_UNLOAD, Severity: LOGGER_SEVERITY_DEFAULT}]}, \
    FullLoadSettings: {MaxFullLoadSubTasks: '4', CommitRate: 20000}, \
    ControlTablesSettings: {historyTimeslotInMinutes: 5}, TTSettings: null}, ";

fn live(wire: &Wire) -> Value {
    serde_json::from_str(task(&wire.aws)["ReplicationTaskSettings"].as_str().unwrap()).unwrap()
}

#[test]
fn what_the_service_adds_to_the_settings_is_no_difference() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    small.edit(STACK, "  vpc_role:", "  logs_role: {kind: iam/role, preset: dms-cloudwatch-logs-role}\n  vpc_role:");
    small.edit(STACK, "  load: {", &format!("  load: {{{SETTINGS}"));
    small.expect(0, &["apply", "--yes"]);
    assert!(live(&wire).as_object().unwrap().len() > 10, "the service has expanded the document");
    small.expect(0, &["plan"]);
    // Once the task has run, the service has put its log group and stream into the document.
    small.expect(0, &["upload"]);
    small.expect(0, &["migrate"]);
    small.expect(0, &["plan"]);
    // The order of components means nothing.
    small.edit(
        STACK,
        "{Id: TARGET_LOAD, Severity: LOGGER_SEVERITY_DEBUG}, {Id: SOURCE_UNLOAD, Severity: LOGGER_SEVERITY_DEFAULT}",
        "{Id: SOURCE_UNLOAD, Severity: LOGGER_SEVERITY_DEFAULT}, {Id: TARGET_LOAD, Severity: LOGGER_SEVERITY_DEBUG}",
    );
    small.expect(0, &["plan"]);
    // A section that another tool adds, as an engine upgrade would, is not declared and stays.
    let change = |settings: &Value| {
        let arn = task(&wire.aws)["ReplicationTaskArn"].clone();
        let change = json!({"ReplicationTaskArn": arn, "ReplicationTaskSettings": settings.to_string()});
        wire.aws.dms("ModifyReplicationTask", &change).unwrap();
        super::until(|| task(&wire.aws)["Status"] == "stopped");
    };
    change(&json!({"ValidationSettings": {"EnableValidation": true}}));
    small.expect(0, &["plan"]);
    // A declared value that differs is the only thing planned and sent.
    change(&json!({"FullLoadSettings": {"CommitRate": 5000}}));
    assert_eq!(steps(&small, &["plan"]), ["update load"]);
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    let sent = wire.of("dms:ModifyReplicationTask")[0].json();
    let document: Value = serde_json::from_str(sent["ReplicationTaskSettings"].as_str().unwrap()).unwrap();
    assert!(!document.to_string().contains("CloudWatchLog"), "{document}");
    assert!(document["StreamBufferSettings"].is_null(), "{document}");
    assert_eq!(live(&wire)["FullLoadSettings"]["CommitRate"], 20000);
    assert_eq!(live(&wire)["ValidationSettings"]["EnableValidation"], true);
    small.expect(0, &["plan"]);
}
