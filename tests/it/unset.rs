//! Secrets whose variable is not set: what sends them is refused before anything is done, everything else goes on.

use serde_json::json;

use crate::aws::Aws;
use crate::env::{Ran, TestEnvironment};

const STACK: &str = "stacks/quiet.yaml";

const QUIET: &str = "stack: quiet
resources:
  guard: {kind: ec2/security_group, description: boats}
  token: {kind: secretsmanager/secret, value: {env: TOKEN}, protect: false}
  source:
    kind: dms/endpoint
    direction: source
    engine: postgres
    connection: {host: 127.0.0.1, port: 9, database: d, username: u, password: {env: PASSWORD}}
pipeline:
  upload: {from: data, into: source}
";

fn quiet() -> TestEnvironment {
    let quiet = TestEnvironment::empty();
    quiet.write(STACK, QUIET);
    quiet.write(".env.template", "TOKEN=\n");
    quiet
}

/// Holds a message to the two variables, their places and their ways out.
#[track_caller]
fn names_both(ran: &Ran, level: &str) {
    for words in [
        &format!("{level}[unset-variable]: A variable has no value"),
        "stacks/quiet.yaml:4:",
        "stacks/quiet.yaml:9:",
        "Fill in `TOKEN=` of `.env.template` in your `.env`, or export it.",
        "Set `PASSWORD` in `.env`",
    ] {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.stderr);
    }
}

#[test]
fn an_apply_that_needs_unset_secrets_is_refused_with_all_of_them_and_nothing_is_made() {
    let quiet = quiet();
    names_both(&quiet.expect(0, &["check"]), "warning");
    let plan = quiet.expect(3, &["plan"]);
    names_both(&plan, "warning");
    assert!(plan.stdout.contains("+ dms/endpoint.source"), "{}", plan.stdout);
    for command in [["apply", "--yes"], ["up", "--yes"]] {
        let refused = quiet.expect(2, &command);
        names_both(&refused, "error");
        assert!(refused.stderr.contains("its value is needed for dms/endpoint.source."), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("2 variables with a secret are not set; nothing was done"),
            "{}",
            refused.stderr
        );
    }
    let endpoints = Aws::of(&quiet).dms("DescribeEndpoints", &json!({})).unwrap();
    assert_eq!(endpoints["Endpoints"], json!([]));
    quiet.expect(0, &["apply", "--yes", "--target", "guard"]);
    let upload = quiet.expect(2, &["upload"]);
    assert!(upload.stderr.contains("1 variable with a secret is not set"), "{}", upload.stderr);
    assert!(!upload.stderr.contains("TOKEN"), "an upload sends no token: {}", upload.stderr);
}

#[test]
fn what_sends_no_secret_goes_on_without_it() {
    let quiet = quiet();
    quiet.write(".env", "TOKEN=canary-token\nPASSWORD=canary-password\n");
    quiet.expect(0, &["apply", "--yes"]);
    quiet.write(".env", "");
    let plan = quiet.expect(0, &["plan"]);
    assert!(plan.stderr.contains("Without it nobody sees whether the secret has changed."), "{}", plan.stderr);
    quiet.edit(STACK, "stack: quiet", "stack: quiet\ntags: {team: blue}");
    quiet.edit(STACK, "value: {env: TOKEN}", "value: {env: TOKEN}, description: what it is for");
    quiet.expect(0, &["apply", "--yes"]);
    quiet.edit(STACK, "host: 127.0.0.1", "host: 127.0.0.2");
    let refused = quiet.expect(2, &["apply", "--yes"]);
    assert!(refused.stderr.contains("PASSWORD") && !refused.stderr.contains("TOKEN"), "{}", refused.stderr);
    quiet.expect(0, &["status"]);
    quiet.expect(0, &["destroy", "--yes"]);
}

#[test]
fn a_saved_plan_is_refused_without_the_secret_it_sends_and_done_with_it() {
    let quiet = quiet();
    quiet.expect(3, &["plan", "--out", "a.plan"]);
    names_both(&quiet.expect(2, &["apply", "a.plan"]), "error");
    quiet.write(".env", "TOKEN=canary-token\nPASSWORD=canary-password\n");
    quiet.expect(0, &["apply", "a.plan"]);
    quiet.expect(0, &["plan"]);
}

#[test]
fn work_on_the_source_needs_its_secret_and_an_account_can_be_planned_for_without() {
    let small = TestEnvironment::small();
    small.edit(
        "stacks/small.yaml",
        "connection: {url: {env: SOURCE_DATABASE_URL}}",
        "connection: {host: 127.0.0.1, port: 9, database: d, username: u, password: {env: PASSWORD}}",
    );
    for command in ["upload", "migrate", "validate"] {
        let refused = small.expect(2, &[command]);
        assert!(refused.stderr.contains("its value is needed for dms/endpoint.source."), "{}", refused.stderr);
        assert!(refused.stderr.contains("1 variable with a secret is not set; nothing was done"), "{}", refused.stderr);
    }
    let own = TestEnvironment::small();
    assert!(own.expect(0, &["check"]).stderr.is_empty(), "the sandbox has a source of its own");
    let account = own.expect(0, &["check", "--on", "aws"]);
    assert!(account.stderr.contains("warning[unset-variable]"), "{}", account.stderr);
}
