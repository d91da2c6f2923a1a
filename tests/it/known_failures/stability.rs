//! States that come too early or too late, and changes beside which nothing else may move.

use serde_json::{Value, json};

use super::house::{apply, house, namespace, settled, workgroup};
use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

/// hashicorp/terraform-provider-aws#31048, #26522: a new workgroup is AVAILABLE for a moment, then
/// MODIFYING; and its creation may take longer than the ten minutes that were waited for.
#[test]
fn a_workgroup_that_takes_fifteen_minutes_is_waited_for_and_one_cut_off_is_taken_up() {
    let house = house();
    house.expect(0, &["apply", "--yes", "--fault", "slow-state@redshift-serverless:CreateWorkgroup"]);
    let aws = Aws::of(&house);
    assert_eq!((&workgroup(&aws)["status"], &namespace(&aws)["status"]), (&json!("AVAILABLE"), &json!("AVAILABLE")));
    settled(&house);
    house.expect(0, &["destroy", "--yes"]);

    let mut house = super::house::house();
    house.set("TOWPATH_SPEED", "300");
    let mut run = Running::start(&house, &["apply", "--yes"]);
    assert!(run.wait_for("workgroup CREATING").is_some(), "the workgroup is made");
    run.kill();
    let aws = Aws::of(&house);
    let id = workgroup(&aws)["workgroupId"].clone();
    apply(&house);
    assert_eq!((&workgroup(&aws)["workgroupId"], &workgroup(&aws)["status"]), (&id, &json!("AVAILABLE")));
}

/// hashicorp/terraform-provider-aws#29962, #28109: a workgroup that is being deleted is AVAILABLE for
/// some time yet, and its namespace refuses to go until it is gone.
#[test]
fn a_delete_that_still_shows_available_is_waited_for() {
    let mut house = house();
    apply(&house);
    house.set("TOWPATH_SPEED", "20");
    let aws = Aws::of(&house);
    aws.redshift("DeleteWorkgroup", &json!({ "workgroupName": "house-workgroup" })).unwrap();
    assert_eq!(workgroup(&aws)["status"], "AVAILABLE");
    let again = aws.redshift("DeleteWorkgroup", &json!({ "workgroupName": "house-workgroup" })).unwrap_err();
    assert!(again.contains("ConflictException"), "{again}");
    house.expect(0, &["destroy", "--yes"]);
    assert_eq!(aws.redshift("ListWorkgroups", &json!({})).unwrap()["workgroups"], json!([]));
    assert_eq!(aws.redshift("ListNamespaces", &json!({})).unwrap()["namespaces"], json!([]));
}

/// Every object of the small stack by its ARN.
fn arns(aws: &Aws) -> Vec<Value> {
    let mut found = Vec::new();
    for (operation, list, member) in [
        ("DescribeEndpoints", "Endpoints", "EndpointArn"),
        ("DescribeReplicationInstances", "ReplicationInstances", "ReplicationInstanceArn"),
        ("DescribeReplicationTasks", "ReplicationTasks", "ReplicationTaskArn"),
    ] {
        let answer = aws.dms(operation, &json!({})).unwrap();
        found.extend(answer[list].as_array().into_iter().flatten().map(|one| one[member].clone()));
    }
    found
}

/// terraform-aws-modules/terraform-aws-dms#62: objects in a list by number, so that one more in front
/// made all others again.
#[test]
fn one_more_endpoint_touches_no_other_object() {
    let mut small = TestEnvironment::small();
    small.set("SECOND_URL", "postgres://u:p@db.example.com/other");
    small.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&small);
    let before = arns(&aws);
    let line = "resources:\n  another: {kind: dms/endpoint, direction: source, engine: postgres, connection: {url: {env: SECOND_URL}}}\n";
    small.edit("stacks/small.yaml", "resources:\n", line);
    let plan = small.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 1 to create, 0 to change, 0 to delete"), "{}", plan.stdout);
    small.expect(0, &["apply", "--yes"]);
    settled(&small);
    let after = arns(&aws);
    assert!(before.iter().all(|arn| after.contains(arn)), "{before:?} {after:?}");
    assert_eq!(after.len(), before.len() + 1);
}

/// terraform-aws-modules/terraform-aws-dms#73: the account has the role already, and its trust lacks
/// `redshift-serverless.amazonaws.com`, so that the load fails inside Redshift.
#[test]
fn a_role_that_lacks_a_principal_is_completed_with_consent_and_loses_nothing() {
    let house = house();
    let aws = Aws::of(&house);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["dms.amazonaws.com","glue.amazonaws.com"]},"Action":"sts:AssumeRole"}]}"#;
    aws.iam(&format!("Action=CreateRole&RoleName=dms-access-for-endpoint&AssumeRolePolicyDocument={trust}"));
    let plan = house.expect(3, &["plan", "--json"]);
    assert!(
        plan.stdout.contains("without trust in redshift.amazonaws.com, redshift-serverless.amazonaws.com"),
        "the plan says what is lacking: {}",
        plan.stdout
    );
    house.expect(2, &["apply"]);
    let role = || aws.iam("Action=GetRole&RoleName=dms-access-for-endpoint");
    assert!(!role().contains("redshift-serverless"), "nothing was done without consent");
    apply(&house);
    for principal in ["dms.amazonaws.com", "glue.amazonaws.com", "redshift-serverless.amazonaws.com"] {
        assert!(role().contains(principal), "{principal} is trusted: {}", role());
    }
    house.expect(0, &["destroy", "--yes"]);
    assert!(role().contains("glue.amazonaws.com"), "a role of the whole account is kept");
}
