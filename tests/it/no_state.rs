//! Nothing outside AWS is needed: a stack whose folder is lost is found again by names and tags, and
//! what two stacks share is counted by tags.

use serde_json::json;

use crate::aws::Aws;
use crate::env::{KILLED, Running, TestEnvironment};
use crate::known_failures::{replicating, steps, task, until};

const STACK: &str = "stacks/small.yaml";

/// Loses all that towpath remembers.
fn lose(project: &TestEnvironment) {
    let folder = project.path().join(".towpath");
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn count(aws: &Aws, operation: &str, list: &str) -> usize {
    aws.dms(operation, &json!({})).unwrap_or_default()[list].as_array().map_or(0, Vec::len)
}

#[test]
fn a_lost_folder_changes_no_plan_and_removed_resources_are_found_by_tags() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    lose(&small);
    small.expect(0, &["plan"]);
    // Moved: another key, the same object.
    let text = small.read(STACK);
    let moved =
        text.replace("  load: {", "  carry: {").replace("{task: load}", "{task: carry}") + "moved: {load: carry}\n";
    small.write(STACK, &moved);
    let plan = small.expect(3, &["plan"]);
    assert!(plan.stdout.contains("Plan: 0 to create, 1 to change, 0 to delete"), "{}", plan.stdout);
    lose(&small);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    // Removed: deleted, and nothing else.
    let kept: Vec<&str> =
        moved.lines().filter(|line| !line.contains("carry") && !line.contains("level: rows")).collect();
    small.write(STACK, &kept.join("\n"));
    lose(&small);
    let plan = small.expect(3, &["plan"]);
    assert!(
        plan.stdout.contains("- dms/replication_task.carry is deleted, because the stack no longer declares it"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("Plan: 0 to create, 0 to change, 1 to delete"), "{}", plan.stdout);
    small.expect(0, &["apply", "--yes"]);
    lose(&small);
    small.expect(0, &["plan"]);
    small.expect(0, &["down", "--yes"]);
}

#[test]
fn a_sandbox_of_an_earlier_build_is_used_where_it_is() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    let (now, earlier) = (small.path().join(".towpath-sandbox"), small.path().join(".towpath/sandbox"));
    std::fs::rename(&now, &earlier).unwrap();
    small.expect(0, &["plan"]);
    assert!(!now.exists() && earlier.join("world.json").exists());
}

#[test]
fn a_secret_whose_restoration_was_killed_gets_its_value_from_the_next_run() {
    let mut vault = TestEnvironment::empty();
    let login = "{kind: secretsmanager/secret, value: {env: LOGIN}, description: how to log in, protect: false}";
    vault.write(STACK, &format!("stack: small\ntarget: sandbox\nresources:\n  login: {login}\n"));
    vault.set("LOGIN", "the first value");
    vault.expect(0, &["apply", "--yes"]);
    vault.expect(0, &["destroy", "--yes"]);
    vault.set("LOGIN", "the second value");
    for fault in [
        "crash-before@secretsmanager:RestoreSecret",
        "crash-after@secretsmanager:RestoreSecret",
        "crash-before@secretsmanager:UpdateSecret",
        "crash-after@secretsmanager:UpdateSecret",
        "crash-before@secretsmanager:PutSecretValue",
        "crash-after@secretsmanager:PutSecretValue",
        "crash-before@secretsmanager:TagResource",
        "crash-after@secretsmanager:TagResource",
    ] {
        let killed = vault.copy();
        killed.expect(KILLED, &["apply", "--yes", "--fault", fault]);
        lose(&killed);
        killed.expect(0, &["apply", "--yes"]);
        let secret = json!({ "SecretId": "small-login" });
        let value = Aws::of(&killed).json("secretsmanager", "secretsmanager.GetSecretValue", &secret).unwrap();
        assert_eq!(value["SecretString"], "the second value", "{fault}");
        lose(&killed);
        killed.expect(0, &["plan"]);
    }
    // A destroy that got no further than its announcement has taken nothing away.
    vault.expect(0, &["apply", "--yes"]);
    vault.expect(KILLED, &["destroy", "--yes", "--fault", "crash-before@secretsmanager:DeleteSecret"]);
    lose(&vault);
    let plan = vault.expect(3, &["plan"]);
    assert!(plan.stdout.contains("(not readable) → {env: LOGIN}"), "{}", plan.stdout);
    vault.expect(0, &["apply", "--yes"]);
    vault.expect(0, &["plan"]);
}

#[test]
fn a_folder_lost_in_the_middle_of_a_run_costs_nothing() {
    for moment in ["subnets created", "instance creating", "workgroup created"] {
        let mut small = TestEnvironment::small();
        small.set("TOWPATH_SPEED", "300");
        let mut run = Running::start(&small, &["apply", "--yes"]);
        assert!(run.wait_for(moment).is_some(), "{moment} was not seen");
        run.kill();
        lose(&small);
        small.expect(0, &["apply", "--yes"]);
        lose(&small);
        small.expect(0, &["plan"]);
        let aws = Aws::of(&small);
        assert_eq!(count(&aws, "DescribeEndpoints", "Endpoints"), 2, "{moment}");
        assert_eq!(count(&aws, "DescribeReplicationInstances", "ReplicationInstances"), 1, "{moment}");
    }
}

#[test]
fn a_run_that_was_cut_off_is_settled_without_applying_anything() {
    let mut small = TestEnvironment::small();
    assert!(small.expect(0, &["recover"]).stdout.contains("No run was cut off."));
    small.set("TOWPATH_SPEED", "300");
    let mut run = Running::start(&small, &["apply", "--yes"]);
    assert!(run.wait_for("instance creating").is_some());
    run.kill();
    let aws = Aws::of(&small);
    let made = |aws: &Aws| {
        [("DescribeEndpoints", "Endpoints"), ("DescribeReplicationTasks", "ReplicationTasks")]
            .map(|(operation, list)| count(aws, operation, list))
    };
    let before = made(&aws);
    let settled = small.expect(0, &["recover", "--yes"]);
    assert!(settled.stdout.contains("dms/replication_instance.instance (small-instance) is "), "{}", settled.stdout);
    assert_eq!(made(&aws), before, "nothing new was made");
    let instance = aws.dms("DescribeReplicationInstances", &json!({})).unwrap();
    assert_eq!(instance["ReplicationInstances"][0]["ReplicationInstanceStatus"], "available");
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    assert!(small.expect(0, &["recover"]).stdout.contains("No run was cut off."));
}

#[test]
fn what_was_protected_stays_so_when_it_is_taken_out_of_the_file() {
    let small = TestEnvironment::empty();
    let stack =
        |resources: &str| format!("stack: small\nresources:\n  keep: {{kind: ec2/security_group}}\n{resources}");
    let all = "  guard: {kind: ec2/security_group, protect: true}\n  data: {kind: s3/bucket}\n  waste: {kind: s3/bucket, protect: false}\n";
    small.write(STACK, &stack(all));
    small.expect(0, &["apply", "--yes"]);
    small.write(STACK, &stack(""));
    lose(&small);
    let refused = small.expect(1, &["apply", "--yes"]);
    for text in ["--allow-data-loss guard", "--allow-data-loss data", "an object marked `protect: true`"] {
        assert!(refused.stderr.contains(text), "{text}\n{}", refused.stderr);
    }
    assert!(!refused.stderr.contains("--allow-data-loss waste"), "{}", refused.stderr);
    let whole = small.expect(1, &["destroy", "--yes", "--allow-data-loss", "guard"]);
    assert!(whole.stderr.contains("--allow-data-loss data"), "{}", whole.stderr);
    small.expect(0, &["apply", "--yes", "--allow-data-loss", "guard", "--allow-data-loss", "data"]);
    small.expect(0, &["plan"]);
    // What a stack says no more is the kind's own decision again.
    small.write(STACK, &stack("  guard: {kind: ec2/security_group, protect: true}\n"));
    small.expect(0, &["apply", "--yes"]);
    small.write(STACK, &stack("  guard: {kind: ec2/security_group}\n"));
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    small.write(STACK, &stack(""));
    small.expect(0, &["apply", "--yes"]);
}

#[test]
fn less_storage_is_a_replacement_and_a_change_position_is_protected() {
    let small = TestEnvironment::small();
    small.edit(STACK, "mode: full-load", "mode: full-load-and-cdc");
    small.expect(0, &["apply", "--yes"]);
    // A task that never ran has no position to lose.
    let destroy = small.expect(3, &["plan", "--destroy"]);
    assert!(!destroy.stdout.contains("the position of its change data capture"), "{}", destroy.stdout);
    small.edit(STACK, "storage_gb: 20", "storage_gb: 10");
    let plan = small.expect(3, &["plan"]);
    assert!(plan.stdout.contains("AllocatedStorage can grow, never shrink"), "{}", plan.stdout);
    assert!(
        plan.stdout.contains("dms/replication_instance.instance is deleted (first half of a replacement)"),
        "{}",
        plan.stdout
    );
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
    let instance = Aws::of(&small).dms("DescribeReplicationInstances", &json!({})).unwrap();
    assert_eq!(instance["ReplicationInstances"][0]["AllocatedStorage"], 10);
}

/// A second stack that uses the same two roles of the account.
const OTHER: &str = "stack: other\nresources:\n  access: {kind: iam/role, preset: dms-access-for-endpoint}\n  \
                     vpc_role: {kind: iam/role, preset: dms-vpc-role}\n  subnets: {kind: dms/subnet_group, subnets: \
                     default, depends_on: [vpc_role]}\n";

#[test]
fn two_stacks_share_the_roles_of_the_account_until_the_last_lets_go() {
    let small = TestEnvironment::small();
    small.write("stacks/other.yaml", OTHER);
    let other = ["--stack", "stacks/other.yaml"];
    let first = ["--stack", STACK];
    // Both at once: neither is disturbed by the other's roles.
    let mine = Running::start(&small, &["apply", "--yes", "--stack", STACK]);
    let theirs = Running::start(&small, &["apply", "--yes", "--stack", "stacks/other.yaml"]);
    let (mine, theirs) = (mine.end(), theirs.end());
    assert_eq!((mine.0, theirs.0), (0, 0), "{}\n{}", mine.1, theirs.1);
    small.expect(0, &[&["plan"][..], &first].concat());
    small.expect(0, &[&["plan"][..], &other].concat());
    let kept = small.expect(0, &[&["destroy", "--yes", "--include-shared"][..], &first].concat());
    assert!(kept.stdout.contains("`dms-vpc-role` is used by stack `other`"), "{}", kept.stdout);
    small.expect(0, &[&["plan"][..], &other].concat());
    let gone = small.expect(0, &[&["destroy", "--yes", "--include-shared"][..], &other].concat());
    assert!(gone.stdout.contains("iam/role.vpc_role is deleted"), "{}", gone.stdout);
}

#[test]
fn a_task_stopped_for_a_change_is_known_by_its_mark_and_one_stopped_on_purpose_is_left_alone() {
    let (small, wire) = replicating();
    let source = "{url: {env: SOURCE_DATABASE_URL}}}";
    small.edit(STACK, source, "{url: {env: SOURCE_DATABASE_URL}}, settings: {heartbeat_frequency: 1}}");
    // The change is there and the task stands still: whoever looks next sees that it must run again.
    wire.kill_after("dms:ModifyEndpoint", &small, &["apply", "--yes"]);
    lose(&small);
    assert_eq!(steps(&small, &["plan"]), ["resume load"]);
    let settled = small.expect(0, &["recover", "--yes"]);
    assert!(settled.stdout.contains("dms/replication_task.load was stopped for a change"), "{}", settled.stdout);
    assert_eq!(task(&wire.aws)["Status"], "running");
    lose(&small);
    small.expect(0, &["plan"]);
    // It was started again when the run was killed; then somebody stops it and means it.
    small.edit(STACK, "heartbeat_frequency: 1", "heartbeat_frequency: 2");
    wire.kill_after("dms:StartReplicationTask", &small, &["apply", "--yes"]);
    lose(&small);
    until(|| task(&wire.aws)["Status"] == "running");
    let arn = json!({"ReplicationTaskArn": task(&wire.aws)["ReplicationTaskArn"]});
    wire.aws.dms("StopReplicationTask", &arn).unwrap();
    until(|| task(&wire.aws)["Status"] == "stopped");
    small.expect(0, &["plan"]);
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(task(&wire.aws)["Status"], "stopped");
}

#[test]
fn a_limit_is_the_stack_s_only_where_its_workgroup_says_so() {
    const CAP: &str = "  cap: {kind: redshift/usage_limit, workgroup: workgroup, amount: 10}\npipeline:";
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&small);
    let made_by_hand = |amount: u32| {
        let arn = &aws.redshift("ListWorkgroups", &json!({})).unwrap()["workgroups"][0]["workgroupArn"];
        let limit = json!({"resourceArn": arn, "usageType": "serverless-compute", "amount": amount});
        aws.redshift("CreateUsageLimit", &limit).unwrap();
    };
    let amounts = || -> Vec<i64> {
        let limits = aws.redshift("ListUsageLimits", &json!({})).unwrap();
        limits["usageLimits"].as_array().unwrap().iter().filter_map(|limit| limit["amount"].as_i64()).collect()
    };
    made_by_hand(50);
    small.edit(STACK, "pipeline:", CAP);
    let refused = small.expect(1, &["apply", "--yes"]);
    assert!(refused.stderr.contains("towpath adopt cap"), "{}", refused.stderr);
    assert_eq!(amounts(), [50]);
    small.expect(0, &["adopt", "cap", "--yes"]);
    lose(&small);
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(amounts(), [10]);
    // No longer declared: found by what the workgroup says, and deleted.
    small.edit(STACK, CAP, "pipeline:");
    lose(&small);
    let plan = small.expect(3, &["plan"]);
    assert!(plan.stdout.contains("- redshift/usage_limit.cap is deleted"), "{}", plan.stdout);
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(amounts(), [0; 0]);
    // What somebody makes in its place is somebody's, until the workgroup goes.
    made_by_hand(70);
    lose(&small);
    small.expect(0, &["plan"]);
    small.expect(0, &["destroy", "--yes"]);
    assert_eq!(amounts(), [0; 0]);
}

/// A stack of these resources.
fn bare(resources: &str) -> String {
    format!("stack: small\nresources:\n{resources}")
}

const GUARD: &str = "  guard: {kind: ec2/security_group, ingress: [{port: 5432, from: self}]}\n";
const WASTE: &str = "  waste: {kind: s3/bucket, protect: false}\n";

#[test]
fn a_journal_that_is_younger_than_the_stack_hides_nothing() {
    let small = TestEnvironment::empty();
    small.write(STACK, &bare(&format!("{GUARD}{WASTE}")));
    small.expect(0, &["apply", "--yes"]);
    lose(&small);
    // The new journal is about the group alone.
    small.edit(STACK, "5432", "5439");
    small.expect(0, &["apply", "--yes"]);
    small.edit(STACK, WASTE, "");
    let plan = small.expect(3, &["plan"]);
    assert!(plan.stdout.contains("- s3/bucket.waste is deleted"), "{}", plan.stdout);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
}

#[test]
fn what_another_machine_has_made_is_found_although_this_one_has_a_journal() {
    let (here, mut there) = (TestEnvironment::empty(), TestEnvironment::empty());
    here.write(STACK, &bare(GUARD));
    here.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&here);
    there.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    let more = format!("{GUARD}  second: {{kind: ec2/security_group, description: there}}\n{WASTE}");
    there.write(STACK, &bare(&more));
    there.expect(0, &["apply", "--yes"]);
    let mut here = here;
    here.set("TOWPATH_SANDBOX_PROXY", &aws.endpoint());
    let plan = here.expect(3, &["plan"]);
    for name in ["ec2/security_group.second", "s3/bucket.waste"] {
        assert!(plan.stdout.contains(&format!("- {name} is deleted")), "{name}: {}", plan.stdout);
    }
    here.expect(0, &["apply", "--yes"]);
    there.expect(3, &["plan"]);
}

#[test]
fn the_account_s_roles_are_given_free_by_a_folder_that_did_not_make_them() {
    let shop = TestEnvironment::empty();
    let access = "  access: {kind: iam/role, preset: dms-access-for-endpoint}\n";
    let lower = "  lower: {kind: dms/data_provider, engine: postgres, host: one.example.com, database: club}\n";
    shop.write("stacks/shop.yaml", &format!("stack: shop\ntarget: sandbox\nresources:\n{access}{lower}"));
    shop.expect(0, &["apply", "--yes"]);
    lose(&shop);
    shop.edit("stacks/shop.yaml", "one.example.com", "two.example.com");
    shop.expect(0, &["apply", "--yes"]);

    shop.edit("stacks/shop.yaml", access, "");
    let plan = shop.expect(3, &["plan"]);
    assert!(plan.stdout.contains("dms-access-for-endpoint"), "{}", plan.stdout);
    shop.expect(0, &["apply", "--yes"]);
    let tags = Aws::of(&shop).iam("Action=ListRoleTags&RoleName=dms-access-for-endpoint");
    assert!(!tags.contains("in-use"), "{tags}");
    shop.expect(0, &["plan"]);
}
