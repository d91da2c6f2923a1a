//! One writer per stack, over machines: two project folders that reach the same AWS.

use serde_json::json;

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

const STACK: &str = "stacks/duo.yaml";

/// A stack with one object that takes minutes and some that take none.
const DUO: &str = "stack: duo
target: sandbox
lease: s3
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  guard: {kind: ec2/security_group, vpc: default, description: boats, ingress: [{port: 5432, from: self}]}
  subnets: {kind: dms/subnet_group, subnets: default, depends_on: [vpc_role]}
  instance:
    kind: dms/replication_instance
    class: dms.t3.micro
    storage_gb: 20
    subnet_group: subnets
    security_groups: [guard]
";

/// The same without what takes minutes.
const QUICK: &str = "stack: duo
target: aws
resources:
  guard: {kind: ec2/security_group, vpc: default, description: boats, ingress: [{port: 5432, from: self}]}
";

/// A sandbox for several machines.
fn cloud(speed: &str) -> (TestEnvironment, Aws) {
    let mut place = TestEnvironment::empty();
    place.set("TOWPATH_SPEED", speed);
    let aws = Aws::of(&place);
    (place, aws)
}

/// A machine of somebody, whose sandbox is that of all.
fn machine(user: &str, aws: &Aws, speed: &str) -> TestEnvironment {
    let mut machine = TestEnvironment::empty();
    machine.write(STACK, DUO);
    machine.set("USER", user);
    machine.set("TOWPATH_SPEED", speed);
    machine.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    machine
}

/// A machine with the credentials of an account.
fn account(aws: &Aws, stack: &str) -> TestEnvironment {
    let mut machine = TestEnvironment::empty();
    machine.write(STACK, stack);
    machine.set("AWS_ENDPOINT_URL", &aws.endpoint());
    machine.set("AWS_REGION", "eu-north-1");
    machine.set("AWS_ACCESS_KEY_ID", "towpath");
    machine.set("AWS_SECRET_ACCESS_KEY", "sandbox");
    machine
}

/// How many instances and subnet groups there are, and how many security groups beside AWS's own.
fn census(aws: &Aws) -> [usize; 3] {
    let count = |operation: &str, list: &str| {
        let answer = aws.dms(operation, &json!({})).unwrap();
        answer[list].as_array().map_or(0, Vec::len)
    };
    [
        count("DescribeReplicationInstances", "ReplicationInstances"),
        count("DescribeReplicationSubnetGroups", "ReplicationSubnetGroups"),
        aws.ec2("Action=DescribeSecurityGroups").matches("<groupName>duo-").count(),
    ]
}

/// What lies in the account's bucket of leases; an error when there is none.
fn leases(aws: &Aws) -> Result<String, String> {
    aws.bucket("GET", &format!("{BUCKET}?list-type=2"), "")
}

const BUCKET: &str = "towpath-leases-111122223333-eu-north-1";

#[test]
fn another_machine_is_told_who_holds_the_stack_and_may_take_it_over() {
    // So slow that the instance is not ready before the test is over.
    let speed = "5";
    let (_place, aws) = cloud(speed);
    let ada = machine("ada", &aws, speed);
    let bob = machine("bob", &aws, speed);
    let eve = machine("eve", &aws, speed);
    let mut first = Running::start(&ada, &["apply", "--yes"]);
    first.wait_for("instance creating").unwrap();
    let refused = (0..20)
        .map(|_| bob.expect(1, &["apply", "--yes"]).stderr)
        .find(|text| text.contains(", now creating dms/replication_instance.instance ("))
        .expect("the step is told");
    assert!(refused.contains("somebody else is changing this stack"), "{refused}");
    let holder = format!("(process {}) holds the stack since ", first.id());
    assert!(refused.contains("apply of ada on ") && refused.contains(&holder), "{refused}");
    assert!(refused.contains(" s ago)") && refused.contains("--take-over"), "{refused}");

    let second = Running::start(&bob, &["apply", "--yes", "--take-over"]);
    let (code, text) = first.end();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("this run lost the stack's lease to apply of bob on "), "{text}");
    assert!(!text.contains("Interrupted:"), "nobody has interrupted it: {text}");
    assert!(text.contains("hint: once nobody else is changing the stack: towpath apply"), "{text}");
    let third = eve.expect(1, &["apply", "--yes"]).stderr;
    assert!(third.contains("apply of bob on "), "{third}");
    assert_eq!(census(&aws), [1, 1, 1], "nothing is made twice");
    second.kill();
}

#[test]
fn a_killed_run_is_followed_at_once_on_its_machine_and_after_its_lease_on_another() {
    let speed = "300";
    let (_place, aws) = cloud(speed);
    let ada = machine("ada", &aws, speed);
    let kill = |machine: &TestEnvironment| {
        let mut run = Running::start(machine, &["apply", "--yes"]);
        run.wait_for("instance").unwrap();
        run.kill();
    };
    kill(&ada);
    kill(&ada);
    let text = ada.expect(0, &["apply", "--yes"]).stderr;
    assert!(!text.contains("has not renewed its lease"), "{text}");
    ada.expect(0, &["destroy", "--yes"]);

    let mut ada = ada;
    ada.set("TOWPATH_LEASE_SECONDS", "2");
    kill(&ada);
    // Its lease looks old now; it is watched for as long again.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let bob = machine("bob", &aws, speed);
    let text = bob.expect(0, &["apply", "--yes"]).stderr;
    assert!(
        text.contains("apply of ada on ") && text.contains("waiting for up to 2 s to see whether it lives"),
        "{text}"
    );
    assert_eq!(census(&aws), [1, 1, 1]);
    ada.expect(0, &["plan"]);
    ada.expect(0, &["destroy", "--yes"]);
    assert_eq!(census(&aws), [0, 0, 0]);
    let left = leases(&aws).unwrap();
    assert!(!left.contains("<Key>"), "the lease is gone, its bucket stays: {left}");
}

#[test]
fn on_aws_the_lease_lies_in_s3_unless_it_is_said_otherwise() {
    let (_place, aws) = cloud("2000");
    let ada = account(&aws, QUICK);
    let asked = ada.expect(2, &["apply"]).stderr;
    assert!(asked.contains(BUCKET) && asked.contains("hint: to go ahead: --yes"), "{asked}");
    assert!(asked.contains("--lease local"), "{asked}");
    assert_eq!(census(&aws), [0, 0, 0]);
    assert!(leases(&aws).unwrap_err().contains("NoSuchBucket"), "nothing was made");

    let local = ada.expect(0, &["apply", "--yes", "--lease", "local"]).stderr;
    assert!(local.contains("nothing keeps another machine from changing this stack at the same time"), "{local}");
    assert!(leases(&aws).unwrap_err().contains("NoSuchBucket"), "nothing was made for it");

    let made = ada.expect(0, &["destroy", "--yes"]).stderr;
    assert!(made.contains(&format!("Made the bucket `{BUCKET}`")), "{made}");
    let again = ada.expect(0, &["apply", "--yes"]).stderr;
    assert!(!again.contains("bucket"), "{again}");

    let named = account(&aws, &QUICK.replace("target: aws", "target: aws\nlease: {bucket: leases-of-ours}"));
    let made = named.expect(0, &["apply", "--yes"]).stderr;
    assert!(made.contains("Made the bucket `leases-of-ours`"), "{made}");
    let said = account(&aws, &QUICK.replace("target: aws", "target: aws\nlease: local"));
    assert!(said.expect(0, &["apply", "--yes"]).stderr.contains("on this machine only"));
}

#[test]
fn what_works_with_data_holds_the_stack_as_an_apply_does() {
    let mut small = TestEnvironment::small();
    small.set("USER", "ada");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["upload"]);
    // So slow that the connection tests outlast the rest of this test.
    small.set("TOWPATH_SPEED", "1");
    let mut migrate = Running::start(&small, &["migrate"]);
    migrate.wait_for("2 tables selected").unwrap();
    // The lease tells a new step a moment after it has begun.
    for _ in 0..400 {
        if small.read(".towpath/small/lease.json").contains("migrating") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    small.set("USER", "bob");
    let holder = format!("migrate of ada on {} (process {}) holds the stack since ", host(), migrate.id());
    for verb in [&["apply", "--yes"][..], &["upload"], &["migrate"], &["models", "build"], &["up", "--yes"]] {
        let refused = small.expect(1, verb).stderr;
        assert!(refused.contains("somebody else is changing this stack"), "{verb:?}: {refused}");
        assert!(refused.contains(&holder) && refused.contains(", now migrating (run "), "{verb:?}: {refused}");
        assert!(refused.contains(" s ago)") && refused.contains("--take-over"), "{verb:?}: {refused}");
    }
    for verb in [&["status"][..], &["models", "ls"], &["check"]] {
        small.expect(0, verb);
    }
    let tested = small.expect(1, &["models", "test"]);
    assert!(!tested.stderr.contains("somebody else"), "tests only read: {}", tested.stderr);
    small.edit("sql/tests/no_trip_is_lost.sql", "select 1", "{{ config(store_failures=true) }}\nselect 1");
    let refused = small.expect(1, &["models", "test"]).stderr;
    assert!(refused.contains("somebody else is changing this stack") && refused.contains(&holder), "{refused}");
    let others = small.expect(1, &["models", "test", "--exclude", "no_trip_is_lost"]);
    assert!(!others.stderr.contains("somebody else"), "of what is chosen nothing writes: {}", others.stderr);
    small.expect(0, &["recover", "--yes", "--take-over"]);
    let (code, text) = migrate.end();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("this run lost the stack's lease"), "{text}");
    assert!(text.contains("hint: once nobody else is changing the stack: towpath migrate"), "{text}");
    let aws = Aws::of(&small);
    let tasks = aws.dms("DescribeReplicationTasks", &json!({})).unwrap();
    assert_eq!(tasks["ReplicationTasks"][0]["Status"], "ready", "who lost the stack starts no task");
}

/// This machine's name, as a lease says it.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

#[test]
fn a_task_of_somebody_else_is_not_started() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["upload"]);
    let aws = Aws::of(&small);
    let tasks = || aws.dms("DescribeReplicationTasks", &json!({})).unwrap()["ReplicationTasks"][0].clone();
    let arn = tasks()["ReplicationTaskArn"].clone();
    let keys = json!(["towpath:stack", "towpath:resource"]);
    aws.dms("RemoveTagsFromResource", &json!({ "ResourceArn": arn, "TagKeys": keys })).unwrap();
    let refused = small.expect(1, &["migrate"]).stderr;
    assert!(refused.contains("dms/replication_task.load: `small-load` exists and is not this stack's"), "{refused}");
    assert!(refused.contains("hint: to take it over: towpath adopt load"), "{refused}");
    assert_eq!(tasks()["Status"], "ready");
    small.expect(0, &["adopt", "load", "--yes"]);
    small.expect(0, &["migrate"]);
}

#[test]
fn a_lease_that_cannot_be_where_it_is_said_to_be_is_a_mistake_of_the_file() {
    let environment = TestEnvironment::empty();
    let check = |lease: &str, rest: &str| {
        environment.write(STACK, &format!("{}{rest}", QUICK.replace("target: aws", &format!("lease: {lease}"))));
        environment.expect(2, &["check"]).stderr
    };
    let own = check("{bucket: dms-duo-staging}", "  staging: {kind: s3/bucket}\n");
    assert!(own.contains("The lease lies in a bucket of its own stack"), "{own}");
    assert!(own.contains("duo.yaml:2:8") && own.contains("`staging` is made by the first apply"), "{own}");
    assert!(check("s4", "").contains("Did you mean `s3`?"));
    assert!(check("{buket: leases}", "").contains("Did you mean `bucket`?"));
    assert!(check("{bucket: Leases!}", "").contains("not the name of a bucket"));
    assert!(check("{}", "").contains("Write `lease: s3`"));
}

#[test]
fn an_object_that_is_no_lease_is_taken_over_on_request() {
    let (_place, aws) = cloud("100000");
    let ada = machine("ada", &aws, "100000");
    ada.expect(0, &["apply", "--yes"]);
    aws.bucket("PUT", &format!("{BUCKET}/towpath/duo/lease.json"), "{\"run\": \"cut o").unwrap();
    ada.expect(0, &["apply", "--yes", "--take-over"]);
    ada.expect(0, &["apply", "--yes"]);
}
