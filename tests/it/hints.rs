//! The command that is named as the next one can be typed as it stands, and is about the same stack, environment and
//! part of it.

use crate::env::TestEnvironment;

/// What stands behind the last `hint:` that names a command, as arguments.
fn next(text: &str) -> Vec<String> {
    let line = text.lines().rfind(|line| line.starts_with("hint: ") && line.contains(": towpath ")).unwrap_or_default();
    let command = line.split(": towpath ").nth(1).unwrap_or_else(|| panic!("no command in {text}"));
    // Nothing in these tests needs quotes.
    assert!(!command.contains('\''), "{command}");
    command.split(' ').map(str::to_owned).collect()
}

/// Does what a failed command says comes next.
#[track_caller]
fn go_on(project: &TestEnvironment, failed: &str, wanted: &str) {
    let mut typed = next(failed);
    assert_eq!(typed.join(" "), wanted);
    typed.push("--yes".to_owned());
    project.expect(0, &typed.iter().map(String::as_str).collect::<Vec<_>>());
}

fn small() -> TestEnvironment {
    let small = TestEnvironment::small();
    small.edit("stacks/small.yaml", "target: sandbox\n", "target: sandbox\nenvironments: {next: {}}\n");
    small.edit("stacks/small.yaml", "name: dms-small-staging, ", "");
    small
}

#[test]
fn the_next_command_keeps_to_the_environment_and_the_part_of_the_stack() {
    let small = small();
    let stopped = small.expect(
        4,
        &[
            "apply",
            "--yes",
            "--env",
            "next",
            "--target",
            "instance",
            "--fault",
            "no-capacity@dms:CreateReplicationInstance",
        ],
    );
    go_on(&small, &stopped.stderr, "apply --target instance --env next");
    small.expect(0, &["plan", "--env", "next", "--target", "instance"]);
    let base = small.expect(3, &["plan"]).stdout;
    assert!(base.contains("dms/replication_instance.instance is made"), "nothing of the other environment: {base}");

    small.expect(0, &["apply", "--yes", "--env", "next"]);
    let fault = "server-error@dms:DeleteReplicationTask#*";
    let stopped = small.expect(4, &["destroy", "--yes", "--target", "load", "--env", "next", "--fault", fault]);
    go_on(&small, &stopped.stderr, "destroy --target load --env next");
    let left = small.expect(3, &["plan", "--env", "next"]).stdout;
    assert!(left.contains("Plan: 1 to create, 0 to change, 0 to delete"), "the rest stands: {left}");
}

#[test]
fn a_part_of_a_saved_plan_is_gone_on_with_by_a_plan() {
    let small = small();
    small.expect(3, &["plan", "--target", "instance", "--out", "part.plan"]);
    let stopped = small.expect(4, &["apply", "part.plan", "--fault", "no-capacity@dms:CreateReplicationInstance"]);
    assert_eq!(next(&stopped.stderr).join(" "), "plan --out FILE");
    small.expect(3, &["plan", "--out", "whole.plan"]);
    let stopped = small.expect(4, &["apply", "whole.plan", "--fault", "no-capacity@dms:CreateReplicationInstance"]);
    go_on(&small, &stopped.stderr, "apply");
}

#[test]
fn what_is_in_the_way_is_adopted_where_it_was_asked_about() {
    let small = small();
    let aws = crate::aws::Aws::of(&small);
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-north-1</LocationConstraint></CreateBucketConfiguration>";
    aws.bucket("PUT", "dms-small-next-staging", place).unwrap();
    let refused = small.expect(1, &["apply", "--yes", "--env", "next"]);
    assert!(refused.stdout.contains("      towpath adopt staging --env next\n"), "{}", refused.stdout);
    go_on(&small, &refused.stderr, "adopt staging --env next");
    small.expect(0, &["apply", "--yes", "--env", "next"]);
}

#[test]
fn a_call_that_a_service_refuses_for_a_moment_ends_no_command() {
    let small = small();
    let once = |command: &[&str], fault: &str, code: i32| {
        small.expect(code, &[command, &["--fault", fault]].concat());
    };
    once(&["plan"], "throttle@sts:GetCallerIdentity", 3);
    once(&["plan"], "cut-before@sts:GetCallerIdentity", 3);
    once(&["apply", "--yes", "--lease", "s3"], "server-error@s3:HeadBucket", 0);
    once(&["upload"], "throttle@sts:GetCallerIdentity", 0);
    once(&["migrate"], "throttle@dms:DescribeReplicationTasks#2", 0);
    once(&["down", "--yes"], "throttle@logs:DescribeLogGroups", 0);
}
