//! Endpoints: changes while tasks run, settings that come back otherwise than they were sent, and
//! where their credentials come from.

use serde_json::{Value, json};

use super::{STACK, endpoint, interrupted, replicating, steps, task};
use crate::aws::Aws;
use crate::env::TestEnvironment;
use crate::wire::Wire;

/// The end of the source's block in the small stack, and of the target's.
const SOURCE: &str = "{url: {env: SOURCE_DATABASE_URL}}}";
const TARGET: &str = "bucket: staging, role: access}";

/// The source's block with more fields.
fn source_with(project: &TestEnvironment, fields: &str) {
    project.edit(STACK, SOURCE, &format!("{{url: {{env: SOURCE_DATABASE_URL}}}}, {fields}}}"));
}

const HEARTBEAT: &str = "settings: {heartbeat_enable: true}";

/// Stop, change, start again.
const INTERRUPTED: [&str; 3] = ["pause load", "update source", "resume load"];

#[test]
fn a_change_stops_the_running_task_and_starts_it_again() {
    let (small, wire) = replicating();
    source_with(&small, HEARTBEAT);
    assert_eq!(steps(&small, &["plan"]), INTERRUPTED);
    let shown = small.expect(3, &["plan"]).stdout;
    assert!(shown.contains("interrupts: the running replication stands still"), "{shown}");
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(wire.changes(), interrupted("dms:ModifyEndpoint"));
    let calls = wire.calls();
    assert!(calls.iter().all(|call| call.status == 200), "nothing is refused: {calls:#?}");
    // The test that a change starts by itself is joined: its end is seen before the start.
    let at = |operation: &str| calls.iter().position(|call| call.operation == operation).unwrap();
    let seen = &calls[at("dms:ModifyEndpoint")..at("dms:StartReplicationTask")];
    let tests: Vec<_> = seen.iter().filter(|call| call.operation == "dms:DescribeConnections").collect();
    assert!(!tests.last().unwrap().answer.contains("testing"), "{tests:#?}");
    assert_eq!(wire.of("dms:StartReplicationTask")[0].json()["StartReplicationTaskType"], "resume-processing");
    assert_eq!(task(&wire.aws)["Status"], "running");
    assert_eq!(endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"]["HeartbeatEnable"], true);
    small.expect(0, &["plan"]);
}

#[test]
fn a_task_stopped_for_a_change_is_started_again_after_a_kill() {
    let (small, wire) = replicating();
    source_with(&small, "settings: {heartbeat_frequency: 1}");
    for (number, operation) in
        ["dms:StopReplicationTask", "dms:ModifyEndpoint", "dms:StartReplicationTask"].into_iter().enumerate()
    {
        small.edit(STACK, "heartbeat_frequency: ", &format!("heartbeat_frequency: {}", number + 1));
        wire.kill_after(operation, &small, &["apply", "--yes"]);
        assert_ne!(task(&wire.aws)["Status"], "ready", "killed after {operation}");
        small.expect(0, &["apply", "--yes"]);
        assert_eq!(task(&wire.aws)["Status"], "running", "killed after {operation}");
        small.expect(0, &["plan"]);
    }
    let frequency = endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"]["HeartbeatFrequency"].clone();
    assert_eq!(frequency, json!(3211), "each change is there: the number grew at its front");
}

#[test]
fn a_change_that_breaks_the_connection_is_named_and_mended_by_the_next_run() {
    let (small, wire) = replicating();
    small.edit(STACK, SOURCE, "{url: {env: SOURCE_DATABASE_URL}, port: 1}}");
    let broken = small.expect(4, &["apply", "--yes"]);
    assert!(broken.stderr.contains("cannot connect to the source `small-source`"), "{}", broken.stderr);
    assert_eq!(task(&wire.aws)["Status"], "stopped");
    small.edit(STACK, ", port: 1}}", "}}");
    assert_eq!(steps(&small, &["plan"]), INTERRUPTED[1..]);
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(task(&wire.aws)["Status"], "running");
    small.expect(0, &["plan"]);
}

#[test]
fn a_change_that_is_refused_leaves_the_task_running() {
    let (small, wire) = replicating();
    source_with(&small, HEARTBEAT);
    let refusal = json!({"__type": "InvalidParameterValueException", "message": "not this one"});
    wire.answer("dms:ModifyEndpoint", 1, 400, &refusal);
    let refused = small.expect(4, &["apply", "--yes"]);
    assert!(refused.stderr.contains("not this one"), "{}", refused.stderr);
    assert_eq!(task(&wire.aws)["Status"], "running");
    assert_eq!(steps(&small, &["plan"]), INTERRUPTED);
}

/// Applies the small stack with these fields added to the target.
fn with_target(fields: &str) -> (TestEnvironment, Wire) {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    small.edit(STACK, TARGET, &format!("bucket: staging, role: access, {fields}}}"));
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    (small, wire)
}

fn redshift(aws: &Aws) -> Value {
    endpoint(aws, "TARGET")["RedshiftSettings"].clone()
}

#[test]
fn settings_of_a_serverless_target_are_applied_and_only_what_changed_is_sent() {
    let (small, wire) = with_target("settings: {truncate_columns: true, max_file_size: 250000}");
    let settings = redshift(&wire.aws);
    assert_eq!((&settings["TruncateColumns"], &settings["MaxFileSize"]), (&json!(true), &json!(250_000)));
    small.edit(STACK, "truncate_columns: true", "truncate_columns: false");
    wire.forget();
    small.expect(0, &["apply", "--yes"]);
    let sent = wire.of("dms:ModifyEndpoint")[0].json();
    let arn = endpoint(&wire.aws, "TARGET")["EndpointArn"].clone();
    let expected = json!({
        "EndpointArn": arn, "EngineName": "redshift-serverless", "RedshiftSettings": {"TruncateColumns": false},
    });
    assert_eq!(sent, expected, "no zero values, no ExactSettings, nothing that is as it was");
    let after = redshift(&wire.aws);
    assert_eq!(after["TruncateColumns"], json!(false));
    for (name, value) in settings.as_object().unwrap().iter().filter(|(name, _)| *name != "TruncateColumns") {
        assert_eq!(&after[name], value, "{name}");
    }
    small.expect(0, &["plan"]);
    // What is no longer declared is no longer compared, and nothing is reset to zero for it.
    small.edit(STACK, ", settings: {truncate_columns: false, max_file_size: 250000}", "");
    small.expect(0, &["plan"]);
}

#[test]
fn extra_attributes_are_compared_with_what_the_service_makes_of_them() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    source_with(
        &small,
        "extra_attributes: {captureDDLs: N, executeTimeout: '180', secretsManagerEndpointOverride: vpce}",
    );
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    let settings = || endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"].clone();
    assert_eq!((&settings()["CaptureDdls"], &settings()["ExecuteTimeout"]), (&json!(false), &json!(180)));
    // Another tool adds an attribute: it is not declared, so nothing is to be done, and it stays.
    let live = endpoint(&wire.aws, "SOURCE");
    let text = format!("{};unboundedVarcharMaxSize=100", live["ExtraConnectionAttributes"].as_str().unwrap());
    let other = json!({"EndpointArn": live["EndpointArn"], "ExtraConnectionAttributes": text});
    wire.aws.dms("ModifyEndpoint", &other).unwrap();
    small.expect(0, &["plan"]);
    small.edit(STACK, "secretsManagerEndpointOverride: vpce", "secretsManagerEndpointOverride: vpce2");
    small.edit(STACK, "'180'", "'240'");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    let attributes = endpoint(&wire.aws, "SOURCE")["ExtraConnectionAttributes"].as_str().unwrap().to_owned();
    assert!(attributes.contains("secretsManagerEndpointOverride=vpce2"), "{attributes}");
    assert!(attributes.contains("unboundedVarcharMaxSize=100"), "{attributes}");
    assert_eq!(settings()["ExecuteTimeout"], json!(240));
    small.edit(STACK, "extra_attributes:", "settings: {capture_ddls: true}, extra_attributes:");
    let refused = small.expect(2, &["check"]);
    assert!(refused.stderr.contains("`captureDDLs` is the setting `capture_ddls`"), "{}", refused.stderr);
}

/// Roles and secrets as DMS wants them: the role trusts DMS in the region, the secret has all parts.
const READER: &str = "  reader:
    kind: iam/role
    trust: {services: [dms.eu-north-1.amazonaws.com]}
    inline: {read: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 'secretsmanager:GetSecretValue', Resource: '*'}]}}
  login:
    kind: secretsmanager/secret
    value: {env: LOGIN}
    protect: false
";

#[test]
fn with_a_secret_the_database_is_sent_and_no_password_is_asked_for() {
    let mut small = TestEnvironment::small();
    let host = "small-workgroup.111122223333.eu-north-1.redshift-serverless.amazonaws.com";
    let login = json!({"username": "loader", "password": "Loader-1-only", "host": host, "port": 5439});
    small.set("LOGIN", &login.to_string());
    let wire = Wire::tap(&mut small);
    small.edit(STACK, "resources:\n", &format!("resources:\n{READER}"));
    small.edit(STACK, TARGET, "bucket: staging, role: access, connection: {secret: login, role: reader}}");
    small.edit(STACK, SOURCE, "{secret: login, role: reader, database: club}}");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    for (direction, block, database) in
        [("SOURCE", "PostgreSQLSettings", "club"), ("TARGET", "RedshiftSettings", "small")]
    {
        let live = endpoint(&wire.aws, direction);
        assert_eq!(live["DatabaseName"], database, "{live}");
        assert_eq!(live[block]["DatabaseName"], database, "{live}");
        assert!(live[block]["SecretsManagerSecretId"].as_str().unwrap().contains(":secret:"), "{live}");
        assert!(live["Username"].is_null(), "{live}");
    }
    for call in wire.of("dms:CreateEndpoint") {
        assert!(!call.body.contains("Password") && !call.body.contains("Username"), "{}", call.body);
    }
    // DMS can log in with it.
    let (instance, target) = (task(&wire.aws)["ReplicationInstanceArn"].clone(), endpoint(&wire.aws, "TARGET"));
    let pair = json!({"ReplicationInstanceArn": instance, "EndpointArn": target["EndpointArn"]});
    wire.aws.dms("TestConnection", &pair).unwrap();
    super::until(|| {
        let connections = wire.aws.dms("DescribeConnections", &json!({})).unwrap();
        connections["Connections"][0]["Status"] == "successful"
    });
    // Another database is a change in place.
    small.edit(STACK, "database: club}}", "database: rowing}}");
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(endpoint(&wire.aws, "SOURCE")["PostgreSQLSettings"]["DatabaseName"], "rowing");
    small.expect(0, &["plan"]);
}

#[test]
fn a_mixture_of_credentials_is_refused_before_anything_is_made() {
    for (connection, message) in [
        ("secret: login, role: reader", "DMS does not take the database from a secret"),
        ("secret: login, role: reader, database: d, password: {env: LOGIN}", "a secret or a password, never both"),
        ("secret: login, database: d", "`secret` and the `role` that may read it go together"),
        ("host: h, database: d", "with `host`, name the user"),
        ("host: h, database: d, username: u, password: ''", "password"),
    ] {
        let mut small = TestEnvironment::small();
        small.set("LOGIN", "{}");
        small.edit(STACK, "resources:\n", &format!("resources:\n{READER}"));
        small.edit(STACK, SOURCE, &format!("{{{connection}}}}}"));
        let refused = small.expect(2, &["plan"]);
        assert!(refused.stderr.contains(message), "{connection}: {}", refused.stderr);
    }
}
