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
fn what_others_have_in_a_network_is_named_before_anything_is_done() {
    let harbour = TestEnvironment::empty();
    let stack = "stack: harbour\ntarget: sandbox\nresources:\n  network: {kind: ec2/vpc, cidr: 10.20.0.0/16}\n  pier: {kind: ec2/subnet, vpc: network, cidr: 10.20.1.0/24, zone: eu-north-1a}\n";
    harbour.write("stacks/harbour.yaml", stack);
    harbour.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&harbour);
    let vpcs = aws.ec2("Action=DescribeVpcs&Filter.1.Name=tag:towpath:stack&Filter.1.Value.1=harbour");
    let vpc = vpcs.split("<vpcId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let made = aws.ec2(&format!("Action=CreateSecurityGroup&GroupName=gate&GroupDescription=theirs&VpcId={vpc}"));
    let id = made.split("<groupId>").nth(1).unwrap().split('<').next().unwrap().to_owned();

    // To make the network again would tear the subnet down first and get stuck.
    harbour.edit("stacks/harbour.yaml", "cidr: 10.20.0.0/16", "cidr: 10.20.0.0/17");
    let group = format!("is used by ec2/security_group `{id}` `gate` (not this stack's)");
    for (code, arguments) in [(3, &["plan"][..]), (1, &["apply", "--yes"])] {
        let refused = harbour.expect(code, arguments);
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(told.contains(&format!("`{vpc}` cannot be made again while it {group}")), "{told}");
        assert!(told.contains("--exclude network"), "{told}");
    }
    assert!(aws.ec2("Action=DescribeSubnets").contains("10.20.1.0/24"), "nothing was done");

    // Another plan was made before the group: the run names it, too.
    aws.ec2(&format!("Action=DeleteSecurityGroup&GroupId={id}"));
    harbour.edit("stacks/harbour.yaml", "  network: {kind", "  network: {timeouts: {delete: 20s}, kind");
    harbour.expect(3, &["plan", "--out", "saved.json"]);
    let made = aws.ec2(&format!("Action=CreateSecurityGroup&GroupName=gate&GroupDescription=theirs&VpcId={vpc}"));
    let id = made.split("<groupId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let held = harbour.expect(4, &["apply", "saved.json"]);
    assert!(held.stderr.contains(&format!("held by security group {id} (gate)")), "{}", held.stderr);

    // A destroy leaves the network, does the rest, and says what is in the way.
    let left = harbour.expect(5, &["destroy", "--yes"]);
    assert!(
        left.stdout.contains(&format!("cannot be deleted while it is used by ec2/security_group `{id}`")),
        "{}",
        left.stdout
    );
    assert!(left.stdout.contains("free it, then: towpath destroy"), "{}", left.stdout);
    aws.ec2(&format!("Action=DeleteSecurityGroup&GroupId={id}"));
    harbour.expect(0, &["destroy", "--yes"]);
    assert!(!aws.ec2("Action=DescribeVpcs").contains(&vpc));
}
