//! `towpath reap` and `expires:`: stacks whose time has passed are found by their tags alone.

use serde_json::json;

use crate::aws::Aws;
use crate::env::{Running, TestEnvironment};

const STACK: &str = "stacks/small.yaml";

fn endpoints(aws: &Aws) -> Vec<String> {
    let found = aws.dms("DescribeEndpoints", &json!({})).unwrap();
    let names = found["Endpoints"].as_array().into_iter().flatten();
    names.map(|one| one["EndpointIdentifier"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_expired_stack_goes_without_its_file_and_others_stay() {
    let small = TestEnvironment::small();
    small.edit(STACK, "target: sandbox", "target: sandbox\nexpires: 1s");
    small.expect(0, &["apply", "--yes"]);
    // Another stack in the same account, which has time left.
    let other = "stack: other\nexpires: 8h\nresources:\n  far: {kind: dms/endpoint, direction: source, engine: postgres, \
                 connection: {url: {env: SOURCE_DATABASE_URL}}}\n";
    small.write("stacks/other.yaml", other);
    small.expect(0, &["apply", "--yes", "--stack", "stacks/other.yaml"]);
    let status = small.expect(0, &["status", "--stack", "stacks/other.yaml"]);
    let is_so = |text: &str, before: &str, after: &str| {
        ["7 h 59 min", "8 h 0 min"].iter().any(|left| text.contains(&format!("{before}{left}{after}")))
    };
    assert!(
        is_so(&status.stdout, "(in ", "); `towpath down --stack stacks/other.yaml` ends it earlier."),
        "{}",
        status.stdout
    );
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let status = small.expect(0, &["status", "--stack", STACK]);
    assert!(
        status.stdout.contains("ago); `towpath reap --stack stacks/small.yaml` may destroy it at any time."),
        "{}",
        status.stdout
    );
    // Neither file nor journal.
    std::fs::remove_file(small.path().join(STACK)).unwrap();
    std::fs::remove_dir_all(small.path().join(".towpath/small")).unwrap();
    let asked = small.expect(2, &["reap"]);
    assert!(
        asked.stdout.contains("Stack `small` expired ") && asked.stdout.contains(" ago, made "),
        "{}",
        asked.stdout
    );
    assert!(is_so(&asked.stdout, "Stack `other` expires in ", ""), "{}", asked.stdout);
    assert!(asked.stdout.contains("They cost $0.00 a month, and "), "{}", asked.stdout);
    let aws = Aws::of(&small);
    assert_eq!(endpoints(&aws).len(), 3, "nobody has agreed");
    let reaped = small.expect(0, &["reap", "--yes"]);
    assert!(reaped.stdout.contains("Nothing is left of this stack."), "{}", reaped.stdout);
    assert_eq!(endpoints(&aws), ["other-far"]);
    assert!(small.expect(0, &["reap", "--yes"]).stdout.contains("No stack has expired."));
}

#[test]
fn what_holds_data_is_reaped_only_by_name_and_leftovers_are_told() {
    let small = TestEnvironment::small();
    small.edit(STACK, "target: sandbox", "target: sandbox\nexpires: 1s");
    small.edit(STACK, "roles: [access], protect: false", "roles: [access]");
    small.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&small);
    aws.redshift("CreateSnapshot", &json!({ "namespaceName": "small-warehouse", "snapshotName": "small-copy" }))
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let refused = small.expect(1, &["reap", "--yes"]);
    assert!(refused.stderr.contains("--allow-data-loss warehouse"), "{}", refused.stderr);
    assert!(refused.stderr.contains("towpath reap --allow-data-loss small.NAME"), "{}", refused.stderr);
    assert_eq!(endpoints(&aws).len(), 2);
    let left = small.expect(5, &["reap", "--yes", "--allow-data-loss", "small.warehouse"]);
    assert!(left.stdout.contains("snapshot `small-copy`"), "{}", left.stdout);
    assert_eq!(endpoints(&aws).len(), 0);
}

#[test]
fn an_apply_renews_only_what_has_passed() {
    let small = TestEnvironment::empty();
    let stack = |expires: &str| format!("stack: small\n{expires}resources:\n  staging: {{kind: s3/bucket}}\n");
    small.write(STACK, &stack("expires: 8h\n"));
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    // A shorter life is a change, the same life later is none.
    small.write(STACK, &stack("expires: 1s\n"));
    let shorter = small.expect(3, &["plan"]);
    assert!(shorter.stdout.contains("tags.towpath:expires"), "{}", shorter.stdout);
    small.expect(0, &["apply", "--yes"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    small.write(STACK, &stack("expires: 2h\n"));
    small.expect(3, &["plan"]);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    let told = small.expect(0, &["reap", "--yes"]).stdout;
    let is_new = ["1 h 59 min", "2 h"].iter().any(|left| told.contains(&format!("Stack `small` expires in {left}")));
    assert!(is_new, "{told}");
    small.write(STACK, &stack(""));
    small.expect(0, &["apply", "--yes"]);
    assert!(small.expect(0, &["reap", "--yes"]).stdout.contains("Stack `small` does not expire"));
}

/// Who reaps has no file that says where the stack's lease lies.
#[test]
fn a_stack_that_is_being_changed_is_not_reaped_wherever_its_lease_lies() {
    // So slow that the instance is not ready before the test is over.
    let mut place = TestEnvironment::empty();
    place.set("TOWPATH_SPEED", "5");
    let aws = Aws::of(&place);
    let machine = || {
        let mut machine = TestEnvironment::empty();
        machine.set("TOWPATH_SPEED", "5");
        machine.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
        machine
    };
    let (ada, bob) = (machine(), machine());
    ada.write(
        "stacks/own.yaml",
        "stack: own
lease: {bucket: leases-of-ada}
expires: 1s
resources:
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  guard: {kind: ec2/security_group, vpc: default, description: boats}
  instance: {kind: dms/replication_instance, class: dms.t3.micro, security_groups: [guard], depends_on: [vpc_role]}
",
    );
    let mut running = Running::start(&ada, &["apply", "--yes"]);
    running.wait_for("instance creating").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let refused = bob.expect(1, &["reap", "--yes"]);
    assert!(refused.stdout.contains("Stack `own` expired "), "{}", refused.stdout);
    assert!(refused.stderr.contains("somebody else is changing this stack"), "{}", refused.stderr);
    running.kill();
    let groups = aws.ec2("Action=DescribeSecurityGroups").matches("<groupName>own-guard").count();
    assert_eq!(groups, 1, "nothing was destroyed");
}
