//! The warehouse side of a stack alone: a role, a namespace, a workgroup; and how a scenario looks at it
//! from outside.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::TestEnvironment;

/// The stack file.
pub(super) const STACK: &str = "stacks/house.yaml";

const TEXT: &str = "stack: house
target: sandbox
resources:
  access: {kind: iam/role, preset: dms-access-for-endpoint}
  warehouse: {kind: redshift/namespace, database: club, roles: [access], protect: false}
  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}
";

/// A project with that stack.
pub(super) fn house() -> TestEnvironment {
    let house = TestEnvironment::empty();
    house.write(STACK, TEXT);
    house
}

/// The namespace as the service tells it.
pub(super) fn namespace(aws: &Aws) -> Value {
    aws.redshift("GetNamespace", &json!({ "namespaceName": "house-warehouse" })).unwrap()["namespace"].clone()
}

/// The workgroup as the service tells it.
pub(super) fn workgroup(aws: &Aws) -> Value {
    aws.redshift("GetWorkgroup", &json!({ "workgroupName": "house-workgroup" })).unwrap()["workgroup"].clone()
}

/// The value of a database parameter of the workgroup.
pub(super) fn parameter(aws: &Aws, key: &str) -> Value {
    let parameters = workgroup(aws)["configParameters"].clone();
    let found = parameters.as_array().into_iter().flatten().find(|one| one["parameterKey"] == key);
    found.map_or(Value::Null, |one| one["parameterValue"].clone())
}

/// Applies, and insists that nothing is left to do.
#[track_caller]
pub(super) fn apply(environment: &TestEnvironment) {
    environment.expect(0, &["apply", "--yes"]);
    settled(environment);
}

/// Insists that the plan is empty.
#[track_caller]
pub(super) fn settled(environment: &TestEnvironment) {
    environment.expect(0, &["plan"]);
}

/// Waits until something is so.
#[track_caller]
pub(super) fn until(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("ten seconds were not enough");
}
