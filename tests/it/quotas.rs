//! Quotas of the account: seen before the first call where AWS tells them, and final where it refuses a call for one.

use serde_json::json;

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

const STACK: &str = "stacks/small.yaml";

/// How many endpoints there are in the account.
fn endpoints(small: &TestEnvironment) -> usize {
    Aws::of(small).dms("DescribeEndpoints", &json!({})).unwrap()["Endpoints"].as_array().unwrap().len()
}

#[test]
fn a_plan_beyond_a_quota_of_dms_is_refused_before_the_first_call() {
    let small = TestEnvironment::small();
    for arguments in
        [["plan", "--quota", "dms:Endpoints=1"].as_slice(), &["apply", "--yes", "--quota", "dms:Endpoints=1"]]
    {
        let refused = small.expect(1, arguments);
        for told in [
            "AWS would refuse this plan; nothing was done",
            "quota Endpoints: 0 of 1 are used and the plan takes 2 more",
            "hint: delete what nobody needs, or give the sandbox's account more with --quota",
        ] {
            assert!(refused.stderr.contains(told), "{told}\n{}", refused.stderr);
        }
    }
    assert_eq!(endpoints(&small), 0);
    let storage = small.expect(1, &["plan", "--quota", "dms:AllocatedStorage=19", "--quota", "dms:ReplicationTasks=0"]);
    for told in
        ["quota AllocatedStorage: 0 of 19 are used and the plan takes 20 more", "quota ReplicationTasks: 0 of 0"]
    {
        assert!(storage.stderr.contains(told), "{told}\n{}", storage.stderr);
    }
    let crowded = small.expect(1, &["plan", "--quota", "dms:SubnetsPerReplicationSubnetGroup=2"]);
    let told = "dms/subnet_group.subnets: it would have 3 subnets, and 2 are allowed";
    assert!(crowded.stderr.contains(told), "{}", crowded.stderr);
    // Who may not read the quotas plans all the same.
    small.expect(3, &["plan", "--quota", "dms:Endpoints=1", "--fault", "not-found@dms:DescribeAccountAttributes"]);

    // What stands counts, what is made in the place of something else does not.
    small.expect(0, &["apply", "--yes", "--quota", "dms:Endpoints=2", "--quota", "dms:AllocatedStorage=20"]);
    let quiet = small.expect(0, &["plan", "--calls", "--quota", "dms:Endpoints=0"]);
    assert!(!quiet.stderr.contains("DescribeAccountAttributes"), "{}", quiet.stderr);
    small.edit(STACK, "storage_gb: 20", "storage_gb: 30");
    let grown = small.expect(1, &["plan", "--quota", "dms:AllocatedStorage=29"]);
    assert!(
        grown.stderr.contains("quota AllocatedStorage: 20 of 29 are used and the plan takes 10 more"),
        "{}",
        grown.stderr
    );
    small.expect(3, &["plan", "--quota", "dms:AllocatedStorage=30"]);
    small.expect(
        3,
        &[
            "plan",
            "--replace",
            "instance",
            "--quota",
            "dms:AllocatedStorage=30",
            "--quota",
            "dms:ReplicationInstances=1",
        ],
    );
}

#[test]
fn a_call_beyond_a_quota_is_made_once_and_the_rest_goes_on() {
    let small = TestEnvironment::small();
    let mut sandbox =
        Running::start(&small, &["sandbox", "--port", "0", "--calls", "--quota", "redshift-serverless:Namespaces=0"]);
    let line = sandbox.wait_for("http://127.0.0.1:").unwrap();
    let address = line.rsplit("http://").next().and_then(|rest| rest.split_whitespace().next()).unwrap();
    let mut apply = small.command(&["apply", "--yes"]);
    let failed = apply.env("TOWPATH_SANDBOX_PROXY", format!("http://{address}")).output().unwrap();
    let failed = String::from_utf8_lossy(&failed.stderr).into_owned();
    for told in [
        "redshift/namespace.warehouse: redshift-serverless:CreateNamespace failed: ServiceQuotaExceededException",
        "redshift/workgroup.workgroup was not tried, because redshift/namespace.warehouse failed",
        "hint: the account has no more namespaces left; delete what nobody needs",
        "mend the cause, then go on: towpath apply",
    ] {
        assert!(failed.contains(told), "{told}\n{failed}");
    }
    sandbox.signal("INT");
    let (code, calls) = sandbox.end();
    assert_eq!(code, 0, "{calls}");
    let made = |call: &str| calls.lines().filter(|line| line.trim() == format!("call {call}")).count();
    assert_eq!(made("redshift-serverless:CreateNamespace"), 1);
    assert_eq!((made("dms:CreateReplicationInstance"), made("s3:CreateBucket")), (1, 1), "{calls}");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
}

#[test]
fn a_quota_that_was_used_up_after_the_plan_is_named_by_the_apply() {
    let small = TestEnvironment::small();
    small.expect(3, &["plan", "--out", "small.plan"]);
    let failed =
        small.expect(4, &["apply", "small.plan", "--quota", "dms:Endpoints=0", "--quota", "ec2:SecurityGroups=1"]);
    for told in [
        "dms:CreateEndpoint failed: ResourceQuotaExceededFault",
        "hint: the account has no more endpoints left; delete what nobody needs",
        "ec2:CreateSecurityGroup failed: SecurityGroupLimitExceeded",
        "hint: the account has no more security groups left; delete what nobody needs",
    ] {
        assert!(failed.stderr.contains(told), "{told}\n{}", failed.stderr);
    }
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
}

#[test]
fn the_doctor_remarks_on_defaults_that_nobody_tells() {
    let harbour = TestEnvironment::empty();
    let network = |number: usize| format!("  net{number}: {{kind: ec2/vpc, cidr: 10.{number}.0.0/16}}\n");
    let few = (1..5).map(network).collect::<Vec<_>>().concat();
    let stack = "stack: harbour\ntarget: sandbox\nresources:\n";
    harbour.write("stacks/harbour.yaml", &format!("{stack}{few}"));
    let within = harbour.expect(0, &["doctor"]);
    assert!(!within.stdout.contains("by default"), "{}", within.stdout);
    harbour.write("stacks/harbour.yaml", &format!("{stack}{few}{}", network(5)));
    let beyond = harbour.expect(0, &["doctor"]);
    let told = "odd    quota VPCs: 5 by default; you would have 6. Where the account has no more than that, delete what nobody needs";
    assert!(beyond.stdout.contains(told), "{}", beyond.stdout);
    // The account may have more: only AWS knows.
    harbour.expect(3, &["plan"]);
    let failed = harbour.expect(4, &["apply", "--yes"]);
    assert!(failed.stderr.contains("hint: the account has no more VPCs left"), "{}", failed.stderr);
    harbour.expect(0, &["apply", "--yes", "--quota", "ec2:Vpcs=6"]);
}
