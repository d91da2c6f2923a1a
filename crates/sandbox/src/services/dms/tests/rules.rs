//! Preconditions, fault codes and states of DMS.

use std::time::Duration;

use serde_json::{Value, json};

use crate::testing::{Aws, Refusal, pipeline, sandbox, sandbox_at};

fn code<T>(answer: Result<T, Refusal>) -> String {
    answer.err().map(|refusal| refusal.code).unwrap_or_default()
}

async fn statuses(aws: &Aws, call: &str, list: &str, member: &str, until: &str) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..2000 {
        let answer = aws.json(call, json!({})).await.unwrap();
        let Some(status) = answer[list][0][member].as_str().map(str::to_owned) else {
            seen.push("gone".to_owned());
            break;
        };
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        if seen.last().is_some_and(|status| status == until) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

/// "Creating the IAM roles to use with AWS DMS" (DMS user guide): "If you use the AWS CLI or the AWS DMS API, ... you must
/// add three IAM roles to your account" before these operations work. IAM is eventually consistent (IAM user guide,
/// "Changes that I make are not always immediately visible"): the refusal lasts for some seconds after the role is made.
#[tokio::test]
async fn a_subnet_group_needs_the_vpc_role_and_the_role_needs_time() {
    let directory = tempfile::tempdir().unwrap();
    // Ten seconds of propagation become half a second.
    let (sandbox, aws) = sandbox_at(directory.path(), 20.0, &[]).await;
    let refusal = aws.make_subnet_group().await.unwrap_err();
    assert_eq!(refusal.code, "AccessDeniedFault");
    assert!(refusal.message.contains("role/dms-vpc-role is not configured properly"), "{}", refusal.message);
    aws.make_vpc_role().await;
    assert_eq!(code(aws.make_subnet_group().await), "AccessDeniedFault");
    tokio::time::sleep(Duration::from_millis(600)).await;
    aws.make_subnet_group().await.unwrap();
    assert_eq!(code(aws.make_subnet_group().await), "ResourceAlreadyExistsFault");
    sandbox.shutdown().await;
}

/// `CreateReplicationSubnetGroup` (DMS API reference): "There needs to be at least one subnet in at least two Availability
/// Zones in the AWS Region, otherwise the service will throw a ReplicationSubnetGroupDoesNotCoverEnoughAZs exception."
#[tokio::test]
async fn a_subnet_group_covers_two_zones() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    aws.make_vpc_role().await;
    let create = async |subnets: &[&str]| {
        let input = json!({"ReplicationSubnetGroupIdentifier": "g", "ReplicationSubnetGroupDescription": "d", "SubnetIds": subnets});
        aws.json("dms:CreateReplicationSubnetGroup", input).await
    };
    let subnets = aws.subnets().await;
    assert_eq!(code(create(&[&subnets[0]]).await), "ReplicationSubnetGroupDoesNotCoverEnoughAZs");
    assert_eq!(code(create(&[&subnets[0], "subnet-00000000"]).await), "InvalidSubnet");
    create(&[&subnets[0], &subnets[1]]).await.unwrap();
    sandbox.shutdown().await;
}

/// `DescribeReplicationInstances` and its siblings: a filter that fits nothing gives `ResourceNotFoundFault`, not an empty
/// list; without filters the list is empty (DMS API reference, errors of each operation).
#[tokio::test]
async fn a_filter_that_fits_nothing_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    for (call, filter, list) in [
        ("dms:DescribeReplicationInstances", "replication-instance-id", "ReplicationInstances"),
        ("dms:DescribeEndpoints", "endpoint-id", "Endpoints"),
        ("dms:DescribeReplicationTasks", "replication-task-id", "ReplicationTasks"),
        ("dms:DescribeConnections", "endpoint-arn", "Connections"),
        ("dms:DescribeReplicationSubnetGroups", "replication-subnet-group-id", "ReplicationSubnetGroups"),
    ] {
        let filtered = aws.json(call, json!({"Filters": [{"Name": filter, "Values": ["nobody"]}]})).await;
        assert_eq!(code(filtered), "ResourceNotFoundFault", "{call}");
        assert_eq!(aws.json(call, json!({})).await.unwrap()[list], json!([]), "{call}");
    }
    sandbox.shutdown().await;
}

/// "Replication instance" states: creating, then available; deleting, then gone. Its network interface outlives it by
/// some minutes and keeps the security group from deletion (`DependencyViolation`, EC2 API reference, error codes).
#[tokio::test]
async fn an_instance_lives_through_its_states_and_its_interface_outlives_it() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox_at(directory.path(), 1200.0, &[]).await;
    aws.make_vpc_role().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    aws.make_subnet_group().await.unwrap();
    let vpc = crate::testing::within(&aws.query("ec2:DescribeVpcs", &[]).await.unwrap(), "vpcId")[0].clone();
    let group = [("GroupName", "own"), ("GroupDescription", "d"), ("VpcId", vpc.as_str())];
    let group =
        crate::testing::within(&aws.query("ec2:CreateSecurityGroup", &group).await.unwrap(), "groupId")[0].clone();
    let input = json!({"ReplicationInstanceIdentifier": "One", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group",
        "VpcSecurityGroupIds": [group]});
    let made = aws.json("dms:CreateReplicationInstance", input).await.unwrap();
    let arn = made["ReplicationInstance"]["ReplicationInstanceArn"].clone();
    assert_eq!(made["ReplicationInstance"]["ReplicationInstanceIdentifier"], "one");
    let delete = json!({"ReplicationInstanceArn": arn});
    assert_eq!(code(aws.json("dms:DeleteReplicationInstance", delete.clone()).await), "InvalidResourceStateFault");
    let describe = "dms:DescribeReplicationInstances";
    let seen = statuses(&aws, describe, "ReplicationInstances", "ReplicationInstanceStatus", "available").await;
    // It passes through `modifying`, perhaps between two looks.
    assert_eq!((seen.first().unwrap().as_str(), seen.last().unwrap().as_str()), ("creating", "available"));
    let busy = json!({"ReplicationSubnetGroupIdentifier": "group"});
    assert_eq!(code(aws.json("dms:DeleteReplicationSubnetGroup", busy.clone()).await), "InvalidResourceStateFault");
    aws.json("dms:DeleteReplicationInstance", delete).await.unwrap();
    let seen = statuses(&aws, describe, "ReplicationInstances", "ReplicationInstanceStatus", "gone").await;
    assert_eq!(seen, ["deleting", "gone"]);
    let delete_group = [("GroupId", group.as_str())];
    assert_eq!(code(aws.query("ec2:DeleteSecurityGroup", &delete_group).await), "DependencyViolation");
    tokio::time::sleep(Duration::from_millis(300)).await;
    aws.query("ec2:DeleteSecurityGroup", &delete_group).await.unwrap();
    aws.json("dms:DeleteReplicationSubnetGroup", busy).await.unwrap();
    sandbox.shutdown().await;
}

/// `ModifyReplicationInstance`: changes wait for the maintenance window in `PendingModifiedValues` unless
/// `ApplyImmediately`; a call that changes nothing is `InvalidParameterCombinationException`.
#[tokio::test]
async fn changes_of_an_instance_wait_unless_applied_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    aws.make_vpc_role().await;
    aws.make_subnet_group().await.unwrap();
    let arn = aws.make_instance().await.unwrap()["ReplicationInstance"]["ReplicationInstanceArn"].clone();
    let modify = async |members: Value| {
        let mut input = members;
        input["ReplicationInstanceArn"] = arn.clone();
        aws.json("dms:ModifyReplicationInstance", input).await
    };
    assert_eq!(code(modify(json!({})).await), "InvalidParameterCombinationException");
    let waiting = modify(json!({"ReplicationInstanceClass": "dms.t3.large"})).await.unwrap();
    assert_eq!(waiting["ReplicationInstance"]["ReplicationInstanceClass"], "dms.t3.medium");
    assert_eq!(waiting["ReplicationInstance"]["PendingModifiedValues"]["ReplicationInstanceClass"], "dms.t3.large");
    let applied = modify(json!({"ApplyImmediately": true})).await.unwrap();
    assert_eq!(applied["ReplicationInstance"]["ReplicationInstanceClass"], "dms.t3.large");
    assert_eq!(applied["ReplicationInstance"]["PendingModifiedValues"], json!({}));
    sandbox.shutdown().await;
}

/// `StartReplicationTask`: the last test of both endpoints must be successful; `ModifyEndpoint` starts a test on every
/// instance that uses the endpoint, and a task that is started meanwhile is refused ("already being tested"). An endpoint
/// with tasks, and an instance with tasks, are not deleted (`InvalidResourceStateFault`, DMS API reference).
#[tokio::test(flavor = "multi_thread")]
async fn a_task_starts_only_after_good_tests_and_holds_what_it_uses() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &["slow-state@dms:ModifyEndpoint"]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    pipeline.origin.batch_execute("create table t (id int primary key)").await.unwrap();
    let task = pipeline.make_task(&aws, "full-load", &json!({})).await;
    let start = async |how: &str| {
        let input = json!({"ReplicationTaskArn": task, "StartReplicationTaskType": how});
        aws.json("dms:StartReplicationTask", input).await
    };
    for (call, member, arn) in [
        ("dms:DeleteEndpoint", "EndpointArn", &pipeline.source),
        ("dms:DeleteReplicationInstance", "ReplicationInstanceArn", &pipeline.instance),
    ] {
        assert_eq!(code(aws.json(call, json!({member: arn})).await), "InvalidResourceStateFault", "{call}");
    }
    assert_eq!(code(start("resume-processing").await), "InvalidResourceStateFault");
    assert_eq!(code(start("reload-target").await), "InvalidResourceStateFault");
    let stop = aws.json("dms:StopReplicationTask", json!({"ReplicationTaskArn": task})).await;
    assert_eq!(code(stop), "InvalidResourceStateFault");
    start("start-replication").await.unwrap();
    aws.wait_for(&task, "stopped").await;
    assert_eq!(code(start("start-replication").await), "InvalidResourceStateFault");
    start("reload-target").await.unwrap();
    aws.wait_for(&task, "stopped").await;
    assert_eq!(aws.table_states(&task).await[0]["FullLoadReloaded"], true);
    let wrong = json!({"EndpointArn": pipeline.source, "EngineName": "postgres", "PostgreSQLSettings": {"Port": 1}});
    aws.json("dms:ModifyEndpoint", wrong).await.unwrap();
    assert_eq!(code(start("reload-target").await), "InvalidResourceStateFault");
    sandbox.shutdown().await;
}

/// "Using Amazon Redshift as a target" (DMS user guide): the role named to the endpoint must be associated with the
/// namespace; without it the test fails and names the role.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_role_is_not_with_the_namespace_fails_its_test() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    aws.json("redshift-serverless:UpdateNamespace", json!({"namespaceName": "club", "iamRoles": []})).await.unwrap();
    let test = json!({"ReplicationInstanceArn": pipeline.instance, "EndpointArn": pipeline.target});
    aws.json("dms:TestConnection", test).await.unwrap();
    let filter = json!({"Filters": [{"Name": "endpoint-arn", "Values": [pipeline.target]}]});
    let mut found = json!({});
    for _ in 0..500 {
        found = aws.json("dms:DescribeConnections", filter.clone()).await.unwrap()["Connections"][0].clone();
        if found["Status"] != "testing" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(found["Status"], "failed");
    assert!(found["LastFailureMessage"].as_str().unwrap().contains("dms-access-for-endpoint is not associated"));
    sandbox.shutdown().await;
}

/// "Managed resources" of a create that never becomes available: the planted `failed-state` ends an instance in `failed`,
/// a task's start in `failed` with a reason, and its change in `failed` as well.
#[tokio::test(flavor = "multi_thread")]
async fn planted_failures_end_in_the_failed_state() {
    let directory = tempfile::tempdir().unwrap();
    let faults = [
        "failed-state@dms:StartReplicationTask",
        "failed-state@dms:ModifyReplicationTask",
        "failed-state@dms:CreateReplicationInstance#2",
    ];
    let (sandbox, aws) = sandbox(directory.path(), &faults).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    let other = json!({"ReplicationInstanceIdentifier": "two", "ReplicationInstanceClass": "dms.t3.medium", "ReplicationSubnetGroupIdentifier": "group"});
    aws.json("dms:CreateReplicationInstance", other).await.unwrap();
    let filter = json!({"Filters": [{"Name": "replication-instance-id", "Values": ["two"]}]});
    let found = aws.json("dms:DescribeReplicationInstances", filter).await.unwrap();
    assert_eq!(found["ReplicationInstances"][0]["ReplicationInstanceStatus"], "failed");
    let task = pipeline.make_task(&aws, "full-load", &json!({})).await;
    pipeline.start(&aws, &task, "start-replication").await;
    let failed = aws.task(&task).await;
    assert_eq!(failed["Status"], "failed");
    assert!(failed["StopReason"].as_str().unwrap().contains("FATAL_ERROR"));
    aws.json("dms:ModifyReplicationTask", json!({"ReplicationTaskArn": task, "TaskData": "{}"})).await.unwrap();
    assert_eq!(aws.task(&task).await["Status"], "failed");
    sandbox.shutdown().await;
}

/// `stale-list` answers from the world before the last change, `slow-state` makes a transition take five times as long.
#[tokio::test]
async fn stale_lists_and_slow_states_strike_dms_and_redshift_serverless() {
    let directory = tempfile::tempdir().unwrap();
    let faults = [
        "stale-list@redshift-serverless:ListNamespaces#2",
        "stale-list@dms:DescribeReplicationSubnetGroups#2",
        "slow-state@dms:CreateReplicationInstance",
    ];
    let (sandbox, aws) = sandbox_at(directory.path(), 1800.0, &faults).await;
    aws.make_vpc_role().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    for (create, input, list, member) in [
        (
            "redshift-serverless:CreateNamespace",
            json!({"namespaceName": "club"}),
            "redshift-serverless:ListNamespaces",
            "namespaces",
        ),
        (
            "dms:CreateReplicationSubnetGroup",
            json!({"ReplicationSubnetGroupIdentifier": "group", "ReplicationSubnetGroupDescription": "d", "SubnetIds": aws.subnets().await}),
            "dms:DescribeReplicationSubnetGroups",
            "ReplicationSubnetGroups",
        ),
    ] {
        let count = async || aws.json(list, json!({})).await.unwrap()[member].as_array().unwrap().len();
        assert_eq!(count().await, 0);
        aws.json(create, input).await.unwrap();
        assert_eq!((count().await, count().await), (0, 1), "{list}");
    }
    aws.make_instance().await.unwrap();
    // Six minutes at this speed are 0.2 seconds; slowed, one second.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let found = aws.json("dms:DescribeReplicationInstances", json!({})).await.unwrap();
    assert_eq!(found["ReplicationInstances"][0]["ReplicationInstanceStatus"], "creating");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let found = aws.json("dms:DescribeReplicationInstances", json!({})).await.unwrap();
    assert_eq!(found["ReplicationInstances"][0]["ReplicationInstanceStatus"], "available");
    sandbox.shutdown().await;
}

/// Recorded answers of DMS (the corpus of cdk-real-drift, July 2026): identifiers are kept in lower case and types in
/// capitals, settings come back with all their defaults, and a password never comes back.
#[tokio::test]
async fn identifiers_are_folded_and_settings_are_filled_in() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let made = json!({
        "EndpointIdentifier": "My-EP", "EndpointType": "source", "EngineName": "postgres", "ServerName": "h", "Port": 5432, "Username": "u",
        "Password": "canary-1234", "DatabaseName": "d", "PostgreSQLSettings": {"CaptureDdls": false, "HeartbeatEnable": true},
    });
    aws.json("dms:CreateEndpoint", made).await.unwrap();
    let found = aws.json("dms:DescribeEndpoints", json!({})).await.unwrap();
    let endpoint = &found["Endpoints"][0];
    assert_eq!((&endpoint["EndpointIdentifier"], &endpoint["EndpointType"]), (&json!("my-ep"), &json!("SOURCE")));
    let settings = endpoint["PostgreSQLSettings"].as_object().unwrap();
    assert!(settings.len() > 5 && settings["HeartbeatEnable"] == true, "{settings:?}");
    assert!(!found.to_string().contains("canary-1234"));
    sandbox.shutdown().await;
}
