use std::time::Duration;

use serde_json::{Value, json};

use crate::testing::{Aws, Refusal, sandbox, sandbox_at};

async fn call(aws: &Aws, operation: &str, input: Value) -> Result<Value, Refusal> {
    aws.json(&format!("redshift-serverless:{operation}"), input).await
}

fn code(answer: Result<Value, Refusal>) -> String {
    answer.err().map(|refusal| refusal.code).unwrap_or_default()
}

async fn workgroup(aws: &Aws) {
    call(aws, "CreateNamespace", json!({"namespaceName": "club"})).await.unwrap();
    call(aws, "CreateWorkgroup", json!({"namespaceName": "club", "workgroupName": "club"})).await.unwrap();
}

/// `GetNamespace`, `GetWorkgroup`: `ResourceNotFoundException`. `CreateNamespace`: `ConflictException` when it exists.
/// `namespaceName`: 3 to 64 of `[a-z0-9-]` (Redshift Serverless API reference).
#[tokio::test]
async fn names_are_checked_found_and_unique() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    assert_eq!(code(call(&aws, "GetNamespace", json!({"namespaceName": "club"})).await), "ResourceNotFoundException");
    assert_eq!(code(call(&aws, "GetWorkgroup", json!({"workgroupName": "club"})).await), "ResourceNotFoundException");
    for name in ["ab", "Club", "a b c"] {
        assert_eq!(code(call(&aws, "CreateNamespace", json!({"namespaceName": name})).await), "ValidationException");
    }
    call(&aws, "CreateNamespace", json!({"namespaceName": "club"})).await.unwrap();
    assert_eq!(code(call(&aws, "CreateNamespace", json!({"namespaceName": "club"})).await), "ConflictException");
    sandbox.shutdown().await;
}

/// A workgroup is created in the states CREATING, AVAILABLE for a glimpse, MODIFYING, AVAILABLE, and its namespace is
/// MODIFYING meanwhile; changes are refused with `ConflictException` ("There is an operation running") until then.
#[tokio::test]
async fn a_new_workgroup_is_available_twice_and_refuses_changes_before() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox_at(directory.path(), 60.0, &[]).await;
    workgroup(&aws).await;
    let namespace = call(&aws, "GetNamespace", json!({"namespaceName": "club"})).await.unwrap();
    assert_eq!(namespace["namespace"]["status"], "MODIFYING");
    let update = json!({"workgroupName": "club", "baseCapacity": 32});
    assert_eq!(code(call(&aws, "UpdateWorkgroup", update).await), "ConflictException");
    assert_eq!(code(call(&aws, "DeleteNamespace", json!({"namespaceName": "club"})).await), "ConflictException");
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..1000 {
        let status =
            call(&aws, "GetWorkgroup", json!({"workgroupName": "club"})).await.unwrap()["workgroup"]["status"].clone();
        let status = status.as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        if seen.len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(seen, ["CREATING", "AVAILABLE", "MODIFYING", "AVAILABLE"]);
    sandbox.shutdown().await;
}

/// `UpdateWorkgroup` takes one parameter at a time: "Can't update multiple configurations at the same time for workgroup"
/// (`ValidationException`). "Base capacity can be set ... in units of 8" (Redshift management guide, "Billing for Amazon
/// Redshift Serverless"), and the maximum is never below it. Ports are 5431-5455 and 8191-8215.
#[tokio::test]
async fn one_parameter_at_a_time_and_only_good_ones() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    workgroup(&aws).await;
    let update = async |mut input: Value| {
        input["workgroupName"] = json!("club");
        call(&aws, "UpdateWorkgroup", input).await
    };
    let refusal = update(json!({"baseCapacity": 32, "port": 5440})).await.unwrap_err();
    assert_eq!(refusal.code, "ValidationException");
    assert!(refusal.message.contains("Can't update multiple configurations"));
    for wrong in [
        json!({"port": 80}),
        json!({"baseCapacity": 33}),
        json!({"configParameters": [{"parameterKey": "nonsense", "parameterValue": "1"}]}),
    ] {
        assert_eq!(code(update(wrong.clone()).await), "ValidationException", "{wrong}");
    }
    // A new workgroup has a price-performance target, which excludes a base capacity until it is disabled together with it.
    assert_eq!(code(update(json!({"baseCapacity": 32})).await), "ValidationException");
    update(json!({"baseCapacity": 32, "pricePerformanceTarget": {"status": "DISABLED"}})).await.unwrap();
    assert_eq!(code(update(json!({"maxCapacity": 8})).await), "ValidationException");
    let done = update(json!({"maxCapacity": 64})).await.unwrap();
    assert_eq!((&done["workgroup"]["baseCapacity"], &done["workgroup"]["maxCapacity"]), (&json!(32), &json!(64)));
    sandbox.shutdown().await;
}

/// `UpdateNamespace`: one concern in one call. Roles read back as `IamRole(applyStatus=adding, ...)`, later `in-sync`.
/// "manageAdminPassword: ... you can't use adminUserPassword if manageAdminPassword is true" (API reference).
#[tokio::test]
async fn a_namespace_changes_one_concern_at_a_time_and_its_roles_take_time() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox_at(directory.path(), 50.0, &[]).await;
    let both = json!({"namespaceName": "club", "manageAdminPassword": true, "adminUserPassword": "Passw0rd1"});
    assert_eq!(code(call(&aws, "CreateNamespace", both).await), "ValidationException");
    let weak = json!({"namespaceName": "club", "adminUserPassword": "password"});
    assert_eq!(code(call(&aws, "CreateNamespace", weak).await), "ValidationException");
    let made =
        call(&aws, "CreateNamespace", json!({"namespaceName": "club", "manageAdminPassword": true})).await.unwrap();
    assert!(made["namespace"]["adminPasswordSecretArn"].as_str().unwrap().contains(":secret:redshift!club-admin-"));
    let role = "arn:aws:iam::111122223333:role/r";
    let two = json!({"namespaceName": "club", "iamRoles": [role], "logExports": ["userlog"]});
    assert_eq!(code(call(&aws, "UpdateNamespace", two).await), "ValidationException");
    call(&aws, "UpdateNamespace", json!({"namespaceName": "club", "iamRoles": [role]})).await.unwrap();
    let roles = async || {
        call(&aws, "GetNamespace", json!({"namespaceName": "club"})).await.unwrap()["namespace"]["iamRoles"].clone()
    };
    assert_eq!(roles().await, json!([format!("IamRole(applyStatus=adding, iamRoleArn={role})")]));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(roles().await, json!([format!("IamRole(applyStatus=in-sync, iamRoleArn={role})")]));
    sandbox.shutdown().await;
}

/// `DeleteNamespace`: "ConflictException" while a workgroup is associated. A namespace has one workgroup.
/// `CreateUsageLimit` names a workgroup that exists. Snapshots: CREATING, then AVAILABLE, or FAILED.
#[tokio::test]
async fn workgroups_hold_their_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let faults = ["failed-state@redshift-serverless:CreateSnapshot#2"];
    let (sandbox, aws) = sandbox(directory.path(), &faults).await;
    workgroup(&aws).await;
    let second = json!({"namespaceName": "club", "workgroupName": "second"});
    assert_eq!(code(call(&aws, "CreateWorkgroup", second).await), "ConflictException");
    let nowhere = json!({"resourceArn": "arn:aws:redshift-serverless:eu-north-1:111122223333:workgroup/x", "usageType": "serverless-compute", "amount": 1});
    assert_eq!(code(call(&aws, "CreateUsageLimit", nowhere).await), "ResourceNotFoundException");
    for (name, status) in [("good", "AVAILABLE"), ("bad", "FAILED")] {
        call(&aws, "CreateSnapshot", json!({"namespaceName": "club", "snapshotName": name})).await.unwrap();
        let found = call(&aws, "GetSnapshot", json!({"snapshotName": name})).await.unwrap();
        assert_eq!(found["snapshot"]["status"], status);
    }
    assert_eq!(code(call(&aws, "DeleteNamespace", json!({"namespaceName": "club"})).await), "ConflictException");
    call(&aws, "DeleteWorkgroup", json!({"workgroupName": "club"})).await.unwrap();
    call(&aws, "DeleteNamespace", json!({"namespaceName": "club"})).await.unwrap();
    assert_eq!(code(call(&aws, "GetNamespace", json!({"namespaceName": "club"})).await), "ResourceNotFoundException");
    sandbox.shutdown().await;
}

/// `CreateSnapshot`, `RestoreFromSnapshot`: "Restores a namespace from a snapshot", with the rows it had. `UpdateSnapshot` changes
/// how long it is kept. A namespace that is made anew under the name of a deleted one is empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_brings_the_rows_back() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let namespace = json!({"namespaceName": "club"});
    let statement = async |sql: &str| {
        let input = json!({"Sql": sql, "WorkgroupName": "club", "Database": "dev", "WaitTimeSeconds": 30});
        let id = aws.json("redshift-data:ExecuteStatement", input).await.unwrap()["Id"].clone();
        let told = aws.json("redshift-data:DescribeStatement", json!({"Id": id, "WaitTimeSeconds": 30})).await.unwrap();
        assert_eq!(told["Status"], "FINISHED", "{sql}: {told}");
        let found = aws.json("redshift-data:GetStatementResult", json!({ "Id": id })).await;
        found.map_or(Value::Null, |found| found["Records"][0][0].clone())
    };
    let count = "select count(*) from information_schema.tables where table_schema = 'public'";
    workgroup(&aws).await;
    statement("create table boats (id int not null, name varchar(20), primary key (id))").await;
    statement("insert into boats values (1, 'Ada'), (2, 'Grace')").await;
    statement("create view names as select name from boats").await;
    call(&aws, "CreateSnapshot", json!({"namespaceName": "club", "snapshotName": "before"})).await.unwrap();
    let status = async || {
        call(&aws, "GetSnapshot", json!({"snapshotName": "before"})).await.unwrap()["snapshot"]["status"].clone()
    };
    while status().await != "AVAILABLE" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kept = json!({"snapshotName": "before", "retentionPeriod": 7});
    assert_eq!(call(&aws, "UpdateSnapshot", kept).await.unwrap()["snapshot"]["snapshotRetentionPeriod"], 7);
    statement("drop view names").await;
    statement("update boats set name = 'x'").await;
    let available = async || {
        while call(&aws, "GetNamespace", namespace.clone()).await.unwrap()["namespace"]["status"] != "AVAILABLE" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let restore = json!({"namespaceName": "club", "workgroupName": "club", "snapshotName": "before"});
    call(&aws, "RestoreFromSnapshot", restore.clone()).await.unwrap();
    available().await;
    let names = "select listagg(name, ',') within group (order by name) from names";
    assert_eq!(statement(names).await["stringValue"], "Ada,Grace");
    call(&aws, "DeleteWorkgroup", json!({"workgroupName": "club"})).await.unwrap();
    call(&aws, "DeleteNamespace", namespace.clone()).await.unwrap();
    workgroup(&aws).await;
    assert_eq!(statement(count).await["longValue"], 0, "a new namespace is empty");
    call(&aws, "RestoreFromSnapshot", restore).await.unwrap();
    available().await;
    assert_eq!(statement(names).await["stringValue"], "Ada,Grace");
    let nothing = json!({"namespaceName": "club", "workgroupName": "club", "snapshotName": "nothing"});
    assert_eq!(code(call(&aws, "RestoreFromSnapshot", nothing).await), "ResourceNotFoundException");
    sandbox.shutdown().await;
}

/// `GetCredentials`: "between 900 and 3600" seconds, the user with the prefix `IAM:`, and who logs in with them is that user.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_credentials_log_in() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    workgroup(&aws).await;
    let short = json!({"workgroupName": "club", "durationSeconds": 60});
    assert_eq!(code(call(&aws, "GetCredentials", short).await), "ValidationException");
    let given = call(&aws, "GetCredentials", json!({"workgroupName": "club"})).await.unwrap();
    let again = call(&aws, "GetCredentials", json!({"workgroupName": "club"})).await.unwrap();
    assert_eq!(given["dbPassword"], again["dbPassword"]);
    assert_eq!(given["dbUser"], "IAM:sandbox");
    let mut config = crate::services::redshift_data::warehouse::config(&sandbox.cloud, "club").await.unwrap();
    config.user("IAM:sandbox").password(given["dbPassword"].as_str().unwrap());
    let client = crate::services::redshift_data::warehouse::connect(&config).await.unwrap();
    assert_eq!(client.query_one("select current_user::text", &[]).await.unwrap().get::<_, String>(0), "IAM:sandbox");
    sandbox.shutdown().await;
}

/// `CreateEndpointAccess` and its like: CREATING, then ACTIVE; only the security groups can be changed; its interfaces keep
/// their security group, and the endpoint its workgroup, until it is deleted.
#[tokio::test]
async fn an_endpoint_access_holds_its_workgroup_and_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    workgroup(&aws).await;
    let subnets = aws.subnets().await;
    let group = [("GroupName", "own"), ("GroupDescription", "d")];
    let group =
        crate::testing::within(&aws.query("ec2:CreateSecurityGroup", &group).await.unwrap(), "groupId")[0].clone();
    let make = json!({"endpointName": "door", "workgroupName": "club", "subnetIds": [subnets[0]]});
    assert_eq!(
        code(
            call(
                &aws,
                "CreateEndpointAccess",
                json!({"endpointName": "a--b", "workgroupName": "club", "subnetIds": []})
            )
            .await
        ),
        "ValidationException"
    );
    let made = call(&aws, "CreateEndpointAccess", make.clone()).await.unwrap();
    assert_eq!(made["endpoint"]["vpcEndpoint"]["networkInterfaces"].as_array().unwrap().len(), 1);
    assert_eq!(code(call(&aws, "CreateEndpointAccess", make).await), "ConflictException");
    call(&aws, "UpdateEndpointAccess", json!({"endpointName": "door", "vpcSecurityGroupIds": [group]})).await.unwrap();
    let delete = [("GroupId", group.as_str())];
    assert_eq!(aws.query("ec2:DeleteSecurityGroup", &delete).await.unwrap_err().code, "DependencyViolation");
    assert_eq!(code(call(&aws, "DeleteWorkgroup", json!({"workgroupName": "club"})).await), "ConflictException");
    let list = call(&aws, "ListEndpointAccess", json!({"workgroupName": "club"})).await.unwrap();
    assert_eq!(list["endpoints"][0]["endpointStatus"], "ACTIVE");
    call(&aws, "DeleteEndpointAccess", json!({"endpointName": "door"})).await.unwrap();
    assert_eq!(
        code(call(&aws, "GetEndpointAccess", json!({"endpointName": "door"})).await),
        "ResourceNotFoundException"
    );
    aws.query("ec2:DeleteSecurityGroup", &delete).await.unwrap();
    call(&aws, "DeleteWorkgroup", json!({"workgroupName": "club"})).await.unwrap();
    let tracks = call(&aws, "ListTracks", json!({})).await.unwrap();
    assert_eq!(tracks["tracks"][0]["trackName"], "current");
    sandbox.shutdown().await;
}

/// hashicorp/terraform-provider-aws#39273: `GetNamespace` has no `dbName` before the namespace has a workgroup.
/// `UpdateNamespace`: "adminUsername ... This parameter must be updated together with adminUserPassword" (API reference).
#[tokio::test]
async fn a_namespace_tells_its_database_with_its_first_workgroup() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let database = async || {
        call(&aws, "GetNamespace", json!({"namespaceName": "club"})).await.unwrap()["namespace"]["dbName"].clone()
    };
    call(&aws, "CreateNamespace", json!({"namespaceName": "club", "dbName": "boats"})).await.unwrap();
    assert_eq!(database().await, Value::Null);
    let alone = json!({"namespaceName": "club", "adminUsername": "owner"});
    assert_eq!(code(call(&aws, "UpdateNamespace", alone).await), "ValidationException");
    call(&aws, "CreateWorkgroup", json!({"namespaceName": "club", "workgroupName": "club"})).await.unwrap();
    assert_eq!(database().await, "boats");
    sandbox.shutdown().await;
}

/// hashicorp/terraform-provider-aws#29962: a workgroup is `AVAILABLE` for a while after `DeleteWorkgroup`. cloudformation-
/// coverage-roadmap#2454: `require_ssl` cannot be `false` at creation. #28977 and the management guide, "Considerations
/// when using Amazon Redshift Serverless": two subnets in two zones.
#[tokio::test]
async fn a_deleted_workgroup_is_available_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox_at(directory.path(), 100.0, &[]).await;
    call(&aws, "CreateNamespace", json!({"namespaceName": "club"})).await.unwrap();
    let subnet = aws.subnets().await[0].clone();
    for refused in [
        json!({"configParameters": [{"parameterKey": "require_ssl", "parameterValue": "false"}]}),
        json!({"subnetIds": [subnet]}),
    ] {
        let mut input = refused;
        input["namespaceName"] = json!("club");
        input["workgroupName"] = json!("club");
        assert_eq!(code(call(&aws, "CreateWorkgroup", input).await), "ValidationException");
    }
    workgroup_of(&aws).await;
    let named = json!({"workgroupName": "club"});
    while code(call(&aws, "DeleteWorkgroup", named.clone()).await) == "ConflictException" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shown = call(&aws, "GetWorkgroup", named.clone()).await.unwrap();
    assert_eq!(shown["workgroup"]["status"], "AVAILABLE");
    assert_eq!(code(call(&aws, "DeleteWorkgroup", named.clone()).await), "ConflictException");
    let mut last = String::new();
    while let Ok(found) = call(&aws, "GetWorkgroup", named.clone()).await {
        found["workgroup"]["status"].as_str().unwrap().clone_into(&mut last);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(last, "DELETING");
    sandbox.shutdown().await;
}

async fn workgroup_of(aws: &Aws) {
    call(aws, "CreateWorkgroup", json!({"namespaceName": "club", "workgroupName": "club"})).await.unwrap();
}

/// `CreateWorkgroup`: "InsufficientCapacityException: There is an insufficient capacity to perform the action" (API
/// reference).
#[tokio::test]
async fn capacity_runs_out_where_planted() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &["failed-state@redshift-serverless:CreateWorkgroup"]).await;
    call(&aws, "CreateNamespace", json!({"namespaceName": "club"})).await.unwrap();
    let input = json!({"namespaceName": "club", "workgroupName": "club"});
    assert_eq!(code(call(&aws, "CreateWorkgroup", input).await), "InsufficientCapacityException");
    sandbox.shutdown().await;
}

/// "You can either specify individual query monitoring metrics (such as max_scan_row_count, max_query_execution_time) or use
/// wlm_json_configuration to define query queues with rules, but not both. If you're using wlm_json_configuration, the maximum size of
/// parameterValue is 8000 characters" (Redshift Serverless API reference, `ConfigParameter`); `trackName`: "^[a-zA-Z0-9_]+$".
#[tokio::test]
async fn a_workgroup_takes_only_values_that_redshift_has() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    call(&aws, "CreateNamespace", json!({"namespaceName": "club"})).await.unwrap();
    let make = async |more: Value| {
        let mut input = json!({"namespaceName": "club", "workgroupName": "club"});
        input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        code(call(&aws, "CreateWorkgroup", input).await)
    };
    let with = async |parameters: &[(&str, &str)]| {
        let list: Vec<Value> =
            parameters.iter().map(|(key, value)| json!({"parameterKey": key, "parameterValue": value})).collect();
        make(json!({ "configParameters": list })).await
    };
    assert_eq!(make(json!({"trackName": "the latest"})).await, "ValidationException");
    assert_eq!(make(json!({"subnetIds": vec!["subnet-0"; 33]})).await, "ValidationException");
    for wrong in [("auto_mv", "maybe"), ("max_query_execution_time", "-5"), ("max_scan_row_count", "many")] {
        assert_eq!(with(&[wrong]).await, "ValidationException", "{wrong:?}");
    }
    let queues = ("wlm_json_configuration", "[]");
    assert_eq!(with(&[queues, ("max_query_execution_time", "60")]).await, "ValidationException");
    assert_eq!(with(&[("wlm_json_configuration", &"x".repeat(8001))]).await, "ValidationException");
    assert_eq!(with(&[queues, ("auto_mv", "false")]).await, "");
    sandbox.shutdown().await;
}

/// "maxLength" 127 and the pattern "[a-zA-Z][a-zA-Z_0-9+.@-]*" of `DbName`, the pattern of `AdminUsername` and `AdminUserPassword`
/// (CloudFormation's public resource schema `AWS::RedshiftServerless::Namespace`).
#[tokio::test]
async fn a_namespace_takes_names_and_passwords_as_its_schema_says() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let make = async |more: Value| {
        let mut input = json!({"namespaceName": "club"});
        input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        code(call(&aws, "CreateNamespace", input).await)
    };
    for name in ["", "9to5", "two words", &"d".repeat(128)] {
        assert_eq!(make(json!({ "dbName": name })).await, "ValidationException", "{name}");
    }
    assert_eq!(make(json!({"adminUsername": "9x", "adminUserPassword": "Passw0rd1"})).await, "ValidationException");
    for password in ["Passw0rd@", "Pass w0rd1", "Passw0rd/1", "Passw0rd'1", "passw0rd1", "Passw0r"] {
        let input = json!({"adminUsername": "ann", "adminUserPassword": password});
        assert_eq!(make(input).await, "ValidationException", "{password}");
    }
    assert_eq!(
        make(json!({"dbName": "club-2.x", "adminUsername": "ann", "adminUserPassword": "Passw0rd#1"})).await,
        ""
    );
    sandbox.shutdown().await;
}

/// One change at a time of a namespace and its workgroup: each is MODIFYING while the other changes (hashicorp/terraform-provider-aws
/// #26522).
#[tokio::test]
async fn a_namespace_that_changes_takes_its_workgroup_along() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox_at(directory.path(), 60.0, &[]).await;
    workgroup(&aws).await;
    let update = json!({"namespaceName": "club", "logExports": ["userlog"]});
    // Until the workgroup is made.
    for _ in 0..1000 {
        if call(&aws, "UpdateNamespace", update.clone()).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let status = async || {
        call(&aws, "GetWorkgroup", json!({"workgroupName": "club"})).await.unwrap()["workgroup"]["status"].clone()
    };
    assert_eq!(status().await, "MODIFYING");
    for _ in 0..1000 {
        if status().await == "AVAILABLE" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call(&aws, "UpdateWorkgroup", json!({"workgroupName": "club", "port": 5440})).await.unwrap();
    sandbox.shutdown().await;
}
