//! Namespaces: roles that read back as text, a default role that must go again, a database that the
//! service does not tell before there is a workgroup.

use serde_json::{Value, json};

use super::house::{STACK, apply, house, namespace, settled};
use crate::aws::Aws;
use crate::env::TestEnvironment;

const ROLE: &str = "arn:aws:iam::111122223333:role/dms-access-for-endpoint";

/// hashicorp/terraform-provider-aws#26624, #39268: roles come back as `IamRole(applyStatus=...)`, which
/// showed a difference for ever, and a default role could not be taken away.
#[test]
fn roles_that_read_back_as_text_show_no_difference_and_the_default_role_can_be_cleared() {
    let house = house();
    house.edit(STACK, "roles: [access]", "roles: [access], default_role: access");
    apply(&house);
    let aws = Aws::of(&house);
    let in_sync = json!([format!("IamRole(applyStatus=in-sync, iamRoleArn={ROLE})")]);
    assert_eq!(namespace(&aws)["iamRoles"], in_sync, "a role that is still being added is waited for");
    assert_eq!(namespace(&aws)["defaultIamRoleArn"], ROLE);

    house.edit(STACK, "default_role: access", "default_role: none");
    let plan = house.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 0 to create, 1 to change, 0 to delete"), "{}", plan.stdout);
    apply(&house);
    assert_eq!(namespace(&aws)["defaultIamRoleArn"], Value::Null);
    assert_eq!(namespace(&aws)["iamRoles"], in_sync, "the role itself stays");
}

/// hashicorp/terraform-provider-aws#39273: the database is not told before the namespace has a
/// workgroup. Taken for another database, it would force a replacement of the namespace.
#[test]
fn a_database_that_is_told_late_is_no_difference() {
    let house = house();
    house.expect(0, &["apply", "--yes", "--target", "warehouse"]);
    let aws = Aws::of(&house);
    let id = namespace(&aws)["namespaceId"].clone();
    assert_eq!(namespace(&aws)["dbName"], Value::Null);
    let plan = house.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 1 to create, 0 to change, 0 to delete"), "{}", plan.stdout);
    apply(&house);
    assert_eq!((&namespace(&aws)["dbName"], &namespace(&aws)["namespaceId"]), (&json!("club"), &id));
    settled(&house);
    // Told, it counts.
    house.edit(STACK, "database: club", "database: boats");
    let plan = house.expect(3, &["plan"]);
    assert!(plan.stdout.contains("UpdateNamespace has no dbName"), "{}", plan.stdout);
}

#[test]
fn a_database_that_is_not_told_yet_is_not_taken_for_the_usual_one() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes", "--fault", "stale-list@redshift-serverless:GetNamespace#1"]);
    let aws = Aws::of(&small);
    let database = aws.redshift("GetNamespace", &json!({ "namespaceName": "small-warehouse" })).unwrap();
    let database = database["namespace"]["dbName"].clone();
    assert_eq!(database, "small");
    let endpoints = aws.dms("DescribeEndpoints", &json!({})).unwrap();
    let endpoints = endpoints["Endpoints"].as_array().unwrap();
    let target = endpoints.iter().find(|endpoint| endpoint["EndpointType"] == "TARGET").unwrap();
    assert_eq!(target["DatabaseName"], database);
}
