//! Passwords, which can be sent and never be read back; and running work, which is no part of a
//! definition.

use serde_json::{Value, json};

use super::house::{STACK, apply, house, namespace, settled, until};
use crate::aws::Aws;
use crate::env::{KILLED, TestEnvironment};

const FIRST: &str = "Canary-first-9x";
const SECOND: &str = "Canary-second-8y";

const SOURCE: &str = "stack: pipe
target: sandbox
resources:
  source:
    kind: dms/endpoint
    direction: source
    engine: postgres
    connection: {host: db.example.com, port: 5432, database: club, username: dms, password: {env: SOURCE_PASSWORD}}
";

#[track_caller]
fn no_secret_in(texts: &[&str]) {
    for text in texts {
        assert!(!text.contains(FIRST) && !text.contains(SECOND), "a password is shown: {text}");
    }
}

/// openaustralia/infrastructure PR 306: a changed password was either never seen or rewritten on every
/// run, so that users told the tool to look away. The mark of the password sent last is seen by any
/// machine, also without a state folder.
#[test]
fn a_changed_password_is_planned_sent_once_and_never_shown() {
    let mut pipe = TestEnvironment::empty();
    pipe.write("stacks/pipe.yaml", SOURCE);
    pipe.set("SOURCE_PASSWORD", FIRST);
    apply(&pipe);
    pipe.set("SOURCE_PASSWORD", SECOND);
    let plan = pipe.expect(3, &["plan", "--out", "saved.plan"]);
    assert!(plan.stdout.contains("Plan: 0 to create, 1 to change, 0 to delete"), "{}", plan.stdout);
    no_secret_in(&[&plan.stdout, &plan.stderr, &pipe.read("saved.plan")]);
    // Killed before and after the call, the password is still to be sent.
    for fault in ["crash-before@dms:ModifyEndpoint", "crash-after@dms:ModifyEndpoint"] {
        pipe.expect(KILLED, &["apply", "--yes", "--fault", fault]);
        pipe.expect(3, &["plan"]);
    }
    apply(&pipe);
    std::fs::remove_dir_all(pipe.path().join(".towpath/pipe")).unwrap();
    settled(&pipe);
    pipe.set("SOURCE_PASSWORD", FIRST);
    pipe.expect(3, &["plan"]);
    for file in pipe.files() {
        let text = std::fs::read(&file).unwrap();
        no_secret_in(&[&String::from_utf8_lossy(&text)]);
    }
}

/// The mark is of the name under which the password was sent, which the console may change.
#[test]
fn a_renamed_endpoint_has_the_password_it_had() {
    let mut pipe = TestEnvironment::empty();
    pipe.write("stacks/pipe.yaml", SOURCE);
    pipe.set("SOURCE_PASSWORD", FIRST);
    apply(&pipe);
    let aws = Aws::of(&pipe);
    let arn = aws.dms("DescribeEndpoints", &json!({})).unwrap()["Endpoints"][0]["EndpointArn"].clone();
    aws.dms("ModifyEndpoint", &json!({ "EndpointArn": arn, "EndpointIdentifier": "of-the-console" })).unwrap();
    settled(&pipe);
    pipe.set("SOURCE_PASSWORD", SECOND);
    apply(&pipe);
    settled(&pipe);
}

/// The mark is not a claim about objects that somebody else made: adopting one sends no password.
#[test]
fn an_adopted_endpoint_is_not_given_a_password_unasked() {
    let mut pipe = TestEnvironment::empty();
    pipe.write("stacks/pipe.yaml", SOURCE);
    pipe.set("SOURCE_PASSWORD", FIRST);
    let aws = Aws::of(&pipe);
    let made = json!({
        "EndpointIdentifier": "pipe-source", "EndpointType": "source", "EngineName": "postgres", "DatabaseName": "club",
        "ServerName": "db.example.com", "Port": 5432, "Username": "dms", "Password": "somebody else's",
    });
    aws.dms("CreateEndpoint", &made).unwrap();
    pipe.expect(0, &["adopt", "source", "--yes"]);
    pipe.expect(0, &["apply", "--yes", "--fault", "crash-before@dms:ModifyEndpoint"]);
    settled(&pipe);
}

/// The same source: whether a task runs is not part of its definition, so that neither a finished nor
/// a running task is a difference.
#[test]
fn a_task_that_runs_or_has_run_is_no_difference() {
    let small = TestEnvironment::small();
    small.expect(0, &["up", "--yes"]);
    settled(&small);
    let aws = Aws::of(&small);
    let task = || aws.dms("DescribeReplicationTasks", &json!({})).unwrap()["ReplicationTasks"][0].clone();
    let arn = task()["ReplicationTaskArn"].clone();
    let start = json!({ "ReplicationTaskArn": arn, "StartReplicationTaskType": "reload-target" });
    aws.dms("StartReplicationTask", &start).unwrap();
    settled(&small);
    until(|| task()["Status"] == "stopped");
    settled(&small);
}

/// hashicorp/terraform-provider-aws#39250, #39265, #39266: an empty password was sent, and the flag of
/// the managed password was read from the wrong place, when a namespace changed from one to the other.
#[test]
fn a_namespace_changes_between_its_own_and_a_managed_password() {
    let mut house = house();
    house.set("ADMIN_PASSWORD", FIRST);
    let own = "protect: false, admin: {username: owner, password: {env: ADMIN_PASSWORD}}";
    house.edit(STACK, "protect: false", own);
    apply(&house);
    let aws = Aws::of(&house);
    let admin = |aws: &Aws| {
        let live = namespace(aws);
        (live["adminUsername"].as_str().unwrap().to_owned(), live["adminPasswordSecretArn"].is_string())
    };
    assert_eq!(admin(&aws), ("owner".to_owned(), false));

    house.edit(STACK, own, "protect: false, admin: managed");
    let plan = house.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 0 to create, 1 to change, 0 to delete"), "{}", plan.stdout);
    apply(&house);
    assert_eq!(admin(&aws), ("owner".to_owned(), true));

    // A user is renamed only together with a password: two calls, the second after the first.
    house.edit(STACK, "admin: managed", "admin: {username: chief}");
    apply(&house);
    assert_eq!(admin(&aws), ("chief".to_owned(), true));

    house.edit(STACK, "admin: {username: chief}", "admin: {username: chief, password: {env: ADMIN_PASSWORD}}");
    apply(&house);
    assert_eq!(admin(&aws), ("chief".to_owned(), false));

    house.set("ADMIN_PASSWORD", SECOND);
    let plan = house.expect(3, &["plan"]);
    no_secret_in(&[&plan.stdout, &plan.stderr]);
    apply(&house);
    assert_eq!(namespace(&aws)["adminPasswordSecretArn"], Value::Null);
}
