//! A network of one's own: made, unchanged, changed in place and taken down through the program.

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = r"stack: harbour
target: sandbox
resources:
  network: {kind: ec2/vpc, cidr: 10.20.0.0/16, dns_hostnames: true}
  pier_a: {kind: ec2/subnet, vpc: network, cidr: 10.20.1.0/24, zone: eu-north-1a}
  pier_b: {kind: ec2/subnet, vpc: network, cidr: 10.20.2.0/24, zone: eu-north-1b}
  guard: {kind: ec2/security_group, vpc: network, description: who may ask, ingress: [{port: 443, from: self}]}
  to_storage: {kind: ec2/vpc_endpoint, vpc: network, service: s3}
  to_secrets:
    kind: ec2/vpc_endpoint
    vpc: network
    service: secretsmanager
    subnets: [pier_a, pier_b]
    security_groups: [guard]
";

#[test]
fn endpoints_of_a_network_come_change_and_go() {
    let harbour = TestEnvironment::empty();
    harbour.write("stacks/harbour.yaml", STACK);
    let planned = harbour.expect(3, &["plan"]);
    // Two zones of an interface at $7.30; the gateway is free.
    assert!(planned.stdout.contains("+14.60 US dollars a month"), "{}", planned.stdout);
    harbour.expect(0, &["apply", "--yes"]);
    harbour.expect(0, &["plan"]);
    std::fs::remove_dir_all(harbour.path().join(".towpath/harbour")).unwrap();
    harbour.expect(0, &["plan"]);

    harbour.edit("stacks/harbour.yaml", "subnets: [pier_a, pier_b]", "subnets: [pier_a]");
    harbour.edit("stacks/harbour.yaml", "dns_hostnames: true", "dns_hostnames: false");
    harbour.edit("stacks/harbour.yaml", "service: secretsmanager", "service: secretsmanager\n    private_dns: false");
    let changed = harbour.expect(3, &["plan"]);
    assert!(!changed.stdout.contains("replace"), "{}", changed.stdout);
    harbour.expect(0, &["apply", "--yes"]);
    harbour.expect(0, &["plan"]);

    harbour.edit("stacks/harbour.yaml", "service: s3", "service: dynamodb");
    let replaced = harbour.expect(3, &["plan"]);
    assert!(replaced.stdout.contains("ModifyVpcEndpoint has no ServiceName"), "{}", replaced.stdout);
    let down = harbour.expect(0, &["down", "--yes"]);
    assert!(down.stdout.contains("Nothing is left of this stack."), "{}", down.stdout);
}

#[test]
fn what_keeps_a_network_from_being_deleted_is_named() {
    let harbour = TestEnvironment::empty();
    let stack = "stack: harbour\ntarget: sandbox\nresources:\n  network: {kind: ec2/vpc, cidr: 10.20.0.0/16}\n  gate: {kind: ec2/security_group, vpc: network, description: who may pass}\n";
    harbour.write("stacks/harbour.yaml", stack);
    harbour.expect(0, &["apply", "--yes"]);
    // Somebody makes the group his own.
    let aws = Aws::of(&harbour);
    let groups = aws.ec2("Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=harbour-gate");
    let id = groups.split("<groupId>").nth(1).unwrap().split('<').next().unwrap();
    aws.ec2(&format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key=towpath:stack"));
    harbour.edit("stacks/harbour.yaml", "10.20.0.0/16", "10.20.0.0/17");
    let held = harbour.expect(4, &["apply", "--yes"]);
    assert!(held.stderr.contains(&format!("held by security group {id} (harbour-gate)")), "{}", held.stderr);
    aws.ec2(&format!("Action=DeleteSecurityGroup&GroupId={id}"));
    harbour.expect(0, &["apply", "--yes"]);
    harbour.expect(0, &["plan"]);
}
