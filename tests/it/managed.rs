//! Objects that another service manages (`IsReadOnly` of DMS): named, left alone, and told of at the end.

use serde_json::json;

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = "stacks/small.yaml";

const RESOURCES: &str = "stack: small
target: sandbox
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  net: {kind: ec2/vpc, cidr: 10.20.0.0/16}
  a: {kind: ec2/subnet, vpc: net, zone: eu-north-1a, cidr: 10.20.1.0/24}
  b: {kind: ec2/subnet, vpc: net, zone: eu-north-1b, cidr: 10.20.2.0/24}
  subnets: {kind: dms/subnet_group, subnets: [a, b], depends_on: [vpc_role]}
  source: {kind: dms/endpoint, direction: source, engine: postgres, connection: {url: {env: SOURCE_DATABASE_URL}}}
  staging: {kind: s3/bucket, name: dms-small-staging, protect: false}
";

#[test]
fn what_a_zero_etl_integration_manages_is_named_and_left_alone() {
    let small = TestEnvironment::empty();
    small.write(STACK, RESOURCES);
    let faults = ["--fault", "read-only@dms:CreateReplicationSubnetGroup", "--fault", "read-only@dms:CreateEndpoint"];
    small.expect(0, &[&["apply", "--yes"][..], &faults].concat());
    small.expect(0, &["plan"]);
    let manager = "is managed by a zero-ETL integration of DMS, through which alone";

    // A change is refused by name before anything is done.
    small.edit(STACK, "subnets: [a, b],", "subnets: [a, b], description: another,");
    let refused = small.expect(1, &["apply", "--yes"]);
    let wanted = format!("dms/subnet_group.subnets: `small-subnets` {manager} `description` can be changed");
    assert!(refused.stderr.contains(&wanted), "{}", refused.stderr);
    small.edit(STACK, "description: another,", "description: another, ignore: [description],");
    small.expect(0, &["plan"]);

    // A destroy leaves them and what they use, does the rest, and ends with what is left.
    let destroyed = small.expect(5, &["destroy", "--yes"]);
    for wanted in [
        format!("dms/endpoint.source: `small-source` {manager} it can be deleted"),
        format!("dms/subnet_group.subnets: `small-subnets` {manager} it can be deleted"),
        "`, which stays".to_owned(),
        "delete that integration, then: towpath destroy".to_owned(),
    ] {
        assert!(destroyed.stdout.contains(&wanted), "no {wanted:?} in:\n{}\n{}", destroyed.stdout, destroyed.stderr);
    }
    assert!(!destroyed.stderr.contains("InvalidResourceStateFault"), "{}", destroyed.stderr);
    let aws = Aws::of(&small);
    let groups = aws.dms("DescribeReplicationSubnetGroups", &json!({})).unwrap();
    assert_eq!(groups["ReplicationSubnetGroups"][0]["ReplicationSubnetGroupIdentifier"], "small-subnets");
    let buckets = aws.bucket("GET", "", "").unwrap();
    assert!(!buckets.contains("dms-small-staging"), "{buckets}");
    assert!(aws.ec2("Action=DescribeSubnets").contains("10.20.1.0/24"), "what is in use stays");
    // Out of the file, they stay all the same.
    let (role, _) = RESOURCES.split_once("  net:").unwrap();
    small.write(STACK, role);
    let plan = small.expect(0, &["plan"]);
    assert!(plan.stdout.contains(manager), "{}", plan.stdout);
}
