//! Roles that DMS does not see yet, network interfaces that outlive their instance, and objects that
//! others still use.

use serde_json::{Value, json};

use super::{STACK, first};
use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};
use crate::wire::Wire;

fn denied(what: &str) -> Value {
    json!({"__type": "AccessDeniedFault", "message": format!("The IAM Role {what} is not configured properly.")})
}

#[test]
fn a_role_that_dms_does_not_see_yet_is_waited_for() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    let role = denied("arn:aws:iam::111122223333:role/dms-vpc-role");
    for (operation, times) in
        [("dms:CreateReplicationSubnetGroup", 5), ("dms:CreateReplicationInstance", 3), ("dms:CreateEndpoint", 2)]
    {
        wire.answer(operation, times, 400, &role);
    }
    small.expect(0, &["apply", "--yes"]);
    let tries = wire.of("dms:CreateReplicationSubnetGroup");
    assert!(tries.len() >= 6 && tries[..5].iter().all(|call| call.status == 400), "{tries:#?}");
    let groups = wire.aws.dms("DescribeReplicationSubnetGroups", &json!({})).unwrap();
    assert_eq!(groups["ReplicationSubnetGroups"].as_array().unwrap().len(), 1);
    small.expect(0, &["plan"]);
}

#[test]
fn two_stacks_of_an_account_make_the_account_s_roles_once() {
    let small = TestEnvironment::small();
    let other = small.read(STACK).replace("stack: small", "stack: other").replace("dms-small-", "dms-other-");
    small.write("stacks/other.yaml", &other);
    let runs = [STACK, "stacks/other.yaml"]
        .map(|stack| Running::start(&small, &["apply", "--yes", "--parallel", "4", "--stack", stack]));
    for run in runs {
        let (code, text) = run.end();
        assert_eq!(code, 0, "{text}");
    }
    small.expect(0, &["plan", "--stack", STACK]);
    small.expect(0, &["plan", "--stack", "stacks/other.yaml"]);
    // One of them goes, and the other still has its roles.
    small.expect(0, &["destroy", "--yes", "--stack", STACK]);
    small.expect(0, &["plan", "--stack", "stacks/other.yaml"]);
}

/// A network of the stack's own for the instance.
const NETWORK: &str = "resources:
  net: {kind: ec2/vpc, cidr: 10.20.0.0/16}
  north: {kind: ec2/subnet, vpc: net, cidr: 10.20.1.0/24, zone: eu-north-1a}
  south: {kind: ec2/subnet, vpc: net, cidr: 10.20.2.0/24, zone: eu-north-1b}
  east: {kind: ec2/subnet, vpc: net, cidr: 10.20.3.0/24, zone: eu-north-1c}
";

/// Only what an instance needs, in a network of its own.
fn alone(instance: &str) -> TestEnvironment {
    let small = TestEnvironment::empty();
    small.write(
        STACK,
        &format!(
            "stack: small\ntarget: sandbox\n{NETWORK}  vpc_role: {{kind: iam/role, preset: dms-vpc-role}}
  guard: {{kind: ec2/security_group, vpc: net, description: boats, ingress: [{{port: 5432, from: self}}]}}
  subnets: {{kind: dms/subnet_group, subnets: [north, south], depends_on: [vpc_role]}}
{instance}"
        ),
    );
    small
}

const INSTANCE: &str = "  instance: {kind: dms/replication_instance, class: dms.t3.micro, storage_gb: 20, \
                        subnet_group: subnets, security_groups: [guard]}\n";

fn interfaces(aws: &Aws) -> usize {
    aws.ec2("Action=DescribeNetworkInterfaces").matches("DMSNetworkInterface").count()
}

#[test]
fn interfaces_that_dms_leaves_behind_hold_nothing_up() {
    let mut small = alone(INSTANCE);
    // Slow enough that the five minutes for which an interface stays are seen.
    small.set("TOWPATH_SPEED", "100");
    let wire = Wire::tap(&mut small);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert_eq!(interfaces(&wire.aws), 1);
    wire.forget();
    small.expect(0, &["destroy", "--yes"]);
    assert_eq!(interfaces(&wire.aws), 0);
    let calls = wire.changes();
    let at = |operation: &str| calls.iter().rposition(|call| call == operation).unwrap();
    assert!(at("dms:DeleteReplicationInstance") < at("ec2:DeleteNetworkInterface"), "{calls:#?}");
    assert!(at("ec2:DeleteNetworkInterface") < at("ec2:DeleteVpc"), "{calls:#?}");
    let left = wire.aws.ec2("Action=DescribeVpcs");
    assert!(!left.contains("10.20.0.0/16"), "{left}");
    small.expect(0, &["destroy", "--yes"]);
}

/// An instance that another tool makes in the stack's subnet group and security group.
fn foreign_instance(aws: &Aws) -> Value {
    let group = aws.ec2("Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=small-guard");
    let id = group.split("<groupId>").nth(1).unwrap().split('<').next().unwrap();
    let instance = json!({
        "ReplicationInstanceIdentifier": "theirs", "ReplicationInstanceClass": "dms.t3.micro",
        "ReplicationSubnetGroupIdentifier": "small-subnets", "VpcSecurityGroupIds": [id],
    });
    aws.dms("CreateReplicationInstance", &instance).unwrap();
    super::until(|| {
        first(aws, "DescribeReplicationInstances", "ReplicationInstances")["ReplicationInstanceStatus"] == "available"
    });
    first(aws, "DescribeReplicationInstances", "ReplicationInstances")
}

#[test]
fn what_others_still_use_is_named_and_goes_once_they_are_gone() {
    let mut small = alone("");
    let wire = Wire::tap(&mut small);
    small.expect(0, &["apply", "--yes"]);
    let theirs = foreign_instance(&wire.aws);
    let part = small.expect(5, &["destroy", "--target", "guard", "--yes"]);
    assert!(part.stdout.contains("free it, then: towpath destroy --target guard"), "{}", part.stdout);
    let left = small.expect(5, &["destroy", "--yes"]);
    for kept in ["dms/subnet_group.subnets: `small-subnets`", "ec2/security_group.guard: `sg-"] {
        let line = left.stdout.lines().find(|line| line.contains(kept)).unwrap_or_else(|| panic!("{}", left.stdout));
        assert!(line.contains("while it is used by dms/replication_instance `theirs` (not this stack's)"), "{line}");
    }
    assert!(wire.of("ec2:DetachNetworkInterface").is_empty(), "an interface in use is left alone");
    assert!(wire.of("dms:DeleteReplicationSubnetGroup").is_empty(), "nothing is tried in vain");
    assert_eq!(interfaces(&wire.aws), 1);
    let gone = json!({"ReplicationInstanceArn": theirs["ReplicationInstanceArn"]});
    wire.aws.dms("DeleteReplicationInstance", &gone).unwrap();
    small.expect(0, &["destroy", "--yes"]);
    assert_eq!(interfaces(&wire.aws), 0);
}

#[test]
fn an_instance_with_a_task_of_another_tool_is_not_deleted_under_it() {
    let mut small = TestEnvironment::small();
    let wire = Wire::tap(&mut small);
    small.expect(0, &["apply", "--yes"]);
    let ours = super::task(&wire.aws);
    let theirs = json!({
        "ReplicationTaskIdentifier": "theirs", "MigrationType": "full-load", "TableMappings": ours["TableMappings"],
        "SourceEndpointArn": ours["SourceEndpointArn"], "TargetEndpointArn": ours["TargetEndpointArn"],
        "ReplicationInstanceArn": ours["ReplicationInstanceArn"],
    });
    let made = wire.aws.dms("CreateReplicationTask", &theirs).unwrap();
    let left = small.expect(5, &["destroy", "--yes"]);
    let held = "cannot be deleted while it is used by dms/replication_task `theirs` (not this stack's)";
    assert!(left.stdout.contains(held), "{}", left.stdout);
    assert!(wire.of("dms:DeleteReplicationInstance").is_empty(), "nothing is tried in vain");
    assert_eq!(wire.of("dms:DeleteReplicationTask").len(), 1, "the rest is done");
    let task = json!({"ReplicationTaskArn": made["ReplicationTask"]["ReplicationTaskArn"]});
    wire.aws.dms("DeleteReplicationTask", &task).unwrap();
    super::until(|| wire.aws.dms("DescribeReplicationTasks", &json!({})).unwrap()["ReplicationTasks"] == json!([]));
    small.expect(0, &["destroy", "--yes"]);
    assert_eq!(wire.aws.dms("DescribeReplicationInstances", &json!({})).unwrap()["ReplicationInstances"], json!([]));
}
