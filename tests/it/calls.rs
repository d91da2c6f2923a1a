//! How many calls a plan makes: counted by the sandbox, for stacks of any size.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

/// A stack of `size` × 24 objects of eleven kinds, all of which are made at once.
fn large(size: usize) -> String {
    let mut stack = String::from(
        "stack: large\ntarget: sandbox\nresources:\n  vpc_role: {kind: iam/role, preset: dms-vpc-role}\n  subnets: {kind: \
         dms/subnet_group, subnets: default, depends_on: [vpc_role]}\n  profile: {kind: dms/instance_profile, \
         subnet_group: subnets}\n  staging: {kind: s3/bucket}\n",
    );
    for line in 0..size {
        for endpoint in 0..7 {
            let host = format!("db{line}-{endpoint}.example.com");
            let _infallible = writeln!(
                stack,
                "  source_{line}_{endpoint}: {{kind: dms/endpoint, direction: source, engine: postgres, connection: \
                 {{host: {host}, database: club, username: ada, password: {{secret: large-{line}-0}}}}, \
                 depends_on: [password_{line}_0]}}"
            );
        }
        for provider in 0..4 {
            let _infallible = writeln!(
                stack,
                "  provider_{line}_{provider}: {{kind: dms/data_provider, engine: postgres, host: h{line}.example.com, \
                 database: club}}"
            );
        }
        for secret in 0..3 {
            let _infallible = writeln!(
                stack,
                "  password_{line}_{secret}: {{kind: secretsmanager/secret, name: large-{line}-{secret}, generate: {{length: \
                 20}}}}"
            );
        }
        for role in 0..3 {
            let _infallible =
                writeln!(stack, "  role_{line}_{role}: {{kind: iam/role, trust: {{services: [dms.amazonaws.com]}}}}");
        }
        for house in 0..2 {
            let _infallible = writeln!(
                stack,
                "  warehouse_{line}_{house}: {{kind: redshift/namespace, database: club, admin: managed, protect: false}}
  workgroup_{line}_{house}: {{kind: redshift/workgroup, namespace: warehouse_{line}_{house}, base_rpu: 8}}"
            );
        }
        for group in 0..3 {
            let _infallible = writeln!(
                stack,
                "  group_{line}_{group}: {{kind: ec2/security_group, vpc: default, description: boats}}"
            );
        }
    }
    stack
}

/// Where a sandbox says that it listens.
fn address(line: &str) -> String {
    let after = line.rsplit("http://").next().and_then(|rest| rest.split_whitespace().next());
    format!("http://{}", after.unwrap())
}

/// The calls that a plan of a stack that stands makes, by service and operation, as the sandbox counts
/// them; how many objects; how many kinds.
fn calls_of_a_plan(size: usize) -> (BTreeMap<String, usize>, usize, usize) {
    let mut machine = TestEnvironment::empty();
    machine.write("stacks/large.yaml", &large(size));
    machine.set("TOWPATH_SPEED", "5000");
    machine.expect(0, &["apply", "--yes"]);
    let mut sandbox = Running::start(&machine, &["sandbox", "--port", "0", "--calls"]);
    let line = sandbox.wait_for("http://127.0.0.1:").unwrap();
    let endpoint = address(&line);
    machine.set("TOWPATH_SANDBOX_PROXY", &endpoint);
    machine.expect(0, &["plan"]);
    sandbox.signal("INT");
    let (code, text) = sandbox.end();
    assert_eq!(code, 0, "{text}");
    let mut calls = BTreeMap::new();
    for call in text.lines().filter_map(|line| line.trim().strip_prefix("call ")) {
        *calls.entry(call.to_owned()).or_default() += 1;
    }
    let stack = large(size);
    let kinds: BTreeSet<&str> =
        stack.split("kind: ").skip(1).filter_map(|rest| rest.split([',', '}']).next()).map(str::trim).collect();
    (calls, stack.matches("kind: ").count(), kinds.len())
}

#[test]
fn a_plan_of_two_hundred_objects_makes_two_calls_per_kind_and_no_more_for_more_objects() {
    let (few, count, _) = calls_of_a_plan(1);
    assert_eq!(count, 28);
    let (many, count, kinds) = calls_of_a_plan(9);
    assert!(count >= 200, "{count}");
    let total: usize = many.values().sum();
    assert!(total <= 2 * kinds + 5, "{total} calls for {kinds} kinds: {many:#?}");
    assert_eq!(few, many, "the number of calls does not grow with the objects");
}

#[test]
fn the_sandbox_says_every_call_it_answers_when_asked() {
    let machine = TestEnvironment::empty();
    let mut sandbox = Running::start(&machine, &["sandbox", "--port", "0", "--calls"]);
    let line = sandbox.wait_for("http://127.0.0.1:").unwrap();
    let aws = Aws::at(&address(&line));
    aws.dms("DescribeEndpoints", &serde_json::json!({})).unwrap();
    assert!(sandbox.wait_for("call dms:DescribeEndpoints").is_some());
}

#[test]
fn an_index_of_tags_that_lags_behind_is_not_acted_upon() {
    let mut machine = TestEnvironment::empty();
    let house = "redshift/namespace, database: club, admin: managed, protect: false";
    machine.write(
        "stacks/houses.yaml",
        &format!(
            "stack: houses\ntarget: sandbox\ntags: {{team: data}}\nresources:\n  one: {{kind: {house}}}\n  two: {{kind: \
             {house}}}\n"
        ),
    );
    machine.set("TOWPATH_SPEED", "5000");
    // The index knows everything but the last change.
    let aws = Aws::serve(&machine, &["--fault", "stale-list@tagging:GetResources#*"]);
    machine.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    machine.expect(0, &["apply", "--yes"]);
    let answer = aws.redshift("ListNamespaces", &serde_json::json!({})).unwrap();
    let tag = |house: usize, key: &str, value: &str| {
        let arn = &answer["namespaces"][house]["namespaceArn"];
        let tags = serde_json::json!([{"key": key, "value": value}]);
        aws.redshift("TagResource", &serde_json::json!({"resourceArn": arn, "tags": tags})).unwrap();
    };
    tag(0, "team", "others");
    tag(1, "note", "nothing of ours");
    let plan = machine.expect(3, &["plan", "--calls"]);
    assert!(plan.stdout.contains("team") && plan.stdout.contains("others"), "{}", plan.stdout);
    assert!(plan.stderr.contains("GetResources"), "the index was asked: {}", plan.stderr);
    machine.expect(0, &["apply", "--yes"]);
    // The last change was the repair: the index still has the tag as it was before.
    machine.expect(0, &["plan"]);
}
