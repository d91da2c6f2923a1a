//! Which connections the security groups of the account let through, and a form that only a task has.

use std::time::Duration;

use serde_json::{Value, json};

use crate::testing::{Aws, pipeline, sandbox, within};

/// The end of a connection test: its status and failure message.
async fn tested(aws: &Aws, instance: &str, endpoint: &str) -> (String, String) {
    let test = json!({"ReplicationInstanceArn": instance, "EndpointArn": endpoint});
    aws.json("dms:TestConnection", test).await.unwrap();
    let filter = json!({"Filters": [{"Name": "endpoint-arn", "Values": [endpoint]}]});
    loop {
        let found = aws.json("dms:DescribeConnections", filter.clone()).await.unwrap()["Connections"][0].clone();
        if found["Status"] != "testing" {
            let text = |member: &str| found[member].as_str().unwrap_or_default().to_owned();
            return (text("Status"), text("LastFailureMessage"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn group(aws: &Aws, name: &str) -> String {
    let form = [("GroupName", name), ("GroupDescription", "d")];
    within(&aws.query("ec2:CreateSecurityGroup", &form).await.unwrap(), "groupId")[0].clone()
}

/// A rule of a group for TCP on one port, from or to another group or a block.
async fn rule(aws: &Aws, call: &str, group: &str, port: &str, peer: &str) {
    let other =
        if peer.starts_with("sg-") { "IpPermissions.1.Groups.1.GroupId" } else { "IpPermissions.1.IpRanges.1.CidrIp" };
    let ports = [("IpPermissions.1.FromPort", port), ("IpPermissions.1.ToPort", port)];
    let form = [("GroupId", group), ("IpPermissions.1.IpProtocol", "tcp"), ports[0], ports[1], (other, peer)];
    aws.query(&format!("ec2:{call}"), &form).await.unwrap();
}

async fn change(aws: &Aws, call: &str, input: Value) {
    for _ in 0..1000 {
        match aws.json(call, input.clone()).await {
            Ok(_) => return,
            // Something else is still under way.
            Err(refusal) if refusal.code == "ConflictException" => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(refusal) => panic!("{call}: {refusal:?}"),
        }
    }
    panic!("{call} is refused for ever");
}

/// "The database endpoints must include network access control lists (ACLs) and security group rules (if applicable) that allow
/// incoming access from the replication instance"; "make sure this security group's rules let all traffic on all ports leave (egress)
/// the VPC" (DMS user guide, "Setting up a network for a replication instance").
#[tokio::test(flavor = "multi_thread")]
async fn a_workgroup_is_reached_only_through_its_security_groups() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    // In the default group everything is open between its members.
    let pipeline = pipeline(&sandbox, &aws).await;
    let target = async || tested(&aws, &pipeline.instance, &pipeline.target).await;
    let (machine, house) = (group(&aws, "machine").await, group(&aws, "house").await);
    change(
        &aws,
        "dms:ModifyReplicationInstance",
        json!({"ReplicationInstanceArn": pipeline.instance, "VpcSecurityGroupIds": [machine]}),
    )
    .await;
    change(&aws, "redshift-serverless:UpdateWorkgroup", json!({"workgroupName": "club", "securityGroupIds": [house]}))
        .await;
    let (status, message) = target().await;
    assert_eq!(status, "failed");
    assert!(message.contains("Connection timed out") && message.contains("port 5439"), "{message}");
    rule(&aws, "AuthorizeSecurityGroupIngress", &house, "5432", &machine).await;
    assert_eq!(target().await.0, "failed", "another port is open");
    rule(&aws, "AuthorizeSecurityGroupIngress", &house, "5439", &machine).await;
    assert_eq!(target().await, ("successful".to_owned(), String::new()));
    rule(&aws, "RevokeSecurityGroupIngress", &house, "5439", &machine).await;
    rule(&aws, "AuthorizeSecurityGroupIngress", &house, "5439", "172.31.0.0/16").await;
    assert_eq!(target().await.0, "successful", "the instance's address lies in the block");
    // Out of the instance nothing may go any more, neither to the warehouse nor to the source.
    let all = [
        ("GroupId", machine.as_str()),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    aws.query("ec2:RevokeSecurityGroupEgress", &all).await.unwrap();
    assert_eq!(target().await.0, "failed");
    let (status, message) = tested(&aws, &pipeline.instance, &pipeline.source).await;
    assert_eq!(status, "failed");
    assert!(message.contains("Connection timed out"), "{message}");
    rule(&aws, "AuthorizeSecurityGroupEgress", &machine, "5439", &house).await;
    assert_eq!(target().await.0, "successful");
    sandbox.shutdown().await;
}

/// "The value can be either server time or commit time. Server time example: --cdc-stop-position “server_time:2018-02-09T12:12:12”"
/// (DMS API reference, `CreateReplicationTask`).
#[tokio::test(flavor = "multi_thread")]
async fn a_task_takes_only_times_to_stop_at() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    let task = pipeline.make_task(&aws, "full-load-and-cdc", &json!({})).await;
    aws.wait_for(&task, "ready").await;
    let stop = async |position: &str| {
        let input = json!({"ReplicationTaskArn": task, "CdcStopPosition": position});
        aws.json("dms:ModifyReplicationTask", input).await.err().map(|refusal| refusal.code).unwrap_or_default()
    };
    for position in ["later", "server_time:tomorrow", "0/1000000", "server_time:2027-01-01"] {
        assert_eq!(stop(position).await, "InvalidParameterValueException", "{position}");
    }
    assert_eq!(stop("server_time:2027-01-01T00:00:00").await, "");
    assert_eq!(aws.task(&task).await["CdcStopPosition"], "server_time:2027-01-01T00:00:00");
    sandbox.shutdown().await;
}

/// `SlotName`: "DMS verifies that the specified logical replication slot exists before starting the CDC load task. It also verifies that
/// the task was created with a valid setting of CdcStartPosition. If the specified slot doesn't exist or the task doesn't have a valid
/// CdcStartPosition setting, DMS raises an error" (DMS API reference, `PostgreSQLSettings`).
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_of_the_user_s_own_needs_a_position_to_start_at() {
    let directory = tempfile::tempdir().unwrap();
    let (sandbox, aws) = sandbox(directory.path(), &[]).await;
    let pipeline = pipeline(&sandbox, &aws).await;
    for prepared in [
        "create table boats (id int primary key)",
        "select pg_create_logical_replication_slot('mine', 'test_decoding')",
    ] {
        pipeline.origin.batch_execute(prepared).await.unwrap();
    }
    let named =
        json!({"EndpointArn": pipeline.source, "EngineName": "postgres", "PostgreSQLSettings": {"SlotName": "mine"}});
    aws.json("dms:ModifyEndpoint", named).await.unwrap();
    while aws.json("dms:DescribeConnections", json!({})).await.unwrap()["Connections"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["Status"] == "testing")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let task = pipeline.make_task(&aws, "cdc", &json!({})).await;
    aws.wait_for(&task, "ready").await;
    pipeline.start(&aws, &task, "start-replication").await;
    let failed = aws.wait_for(&task, "failed").await;
    assert!(failed["LastFailureMessage"].as_str().unwrap().contains("no CdcStartPosition"), "{failed}");
    let position = json!({"ReplicationTaskArn": task, "CdcStartPosition": "0/0"});
    aws.json("dms:ModifyReplicationTask", position).await.unwrap();
    pipeline.start(&aws, &task, "start-replication").await;
    aws.wait_for(&task, "running").await;
    pipeline.origin.batch_execute("insert into boats values (1)").await.unwrap();
    sandbox.shutdown().await;
}
