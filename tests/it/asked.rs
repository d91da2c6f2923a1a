//! What the command line asks for is done or refused, and never half heard: names that are nobody's, options that
//! contradict each other, values that nothing uses; and what is said to do next is about the same stack.

use serde_json::json;

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = r"stack: asked
target: sandbox
variables: {purpose: tables}
environments:
  prod: {tags: {level: prod}}
resources:
  guard: {kind: ec2/security_group, description: '${var.purpose}'}
  warehouse: {kind: redshift/namespace, protect: false}
  archive: {kind: redshift/namespace}
";

fn project() -> TestEnvironment {
    let project = TestEnvironment::empty();
    project.write("stacks/asked.yaml", STACK);
    project
}

#[track_caller]
fn refused(project: &TestEnvironment, arguments: &[&str], words: &[&str]) {
    let ran = project.expect(2, arguments);
    for word in words {
        assert!(ran.stderr.contains(word), "`{word}` is not in: {}", ran.stderr);
    }
}

/// Without a snapshot, because its name was given to nobody, the data of an unprotected warehouse would be gone.
#[test]
fn a_final_snapshot_of_nobody_stops_the_destruction() {
    let project = project();
    project.expect(0, &["apply", "--yes", "--exclude", "archive"]);
    let destroy = |snapshot| ["destroy", "--yes", "--final-snapshot", snapshot];
    refused(&project, &destroy("warehose=last"), &["no resource `warehose`", "did you mean `warehouse`?"]);
    for name in ["warehouse=Last one", "warehouse=", "warehouse=last-", "warehouse=7up"] {
        refused(&project, &destroy(name), &["cannot be the name of a snapshot", "single hyphens"]);
    }
    let twice = [&destroy("warehouse=a")[..], &["--final-snapshot", "warehouse=b"]].concat();
    refused(&project, &twice, &["two final snapshots are asked for of `warehouse`"]);
    // Leave to lose what is not there loses nothing: it is of a resource that an earlier run has deleted, or a slip.
    let slip = project.expect(3, &["plan", "--allow-data-loss", "archiv"]);
    assert!(slip.stderr.contains("no resource `archiv`; did you mean `archive`?"), "{}", slip.stderr);
    // What is no longer declared is known by its tags.
    project.edit("stacks/asked.yaml", "  warehouse: {kind: redshift/namespace, protect: false}\n", "");
    let plan = project.expect(3, &["plan", "--final-snapshot", "warehouse=last", "--allow-data-loss", "warehouse"]);
    assert!(plan.stdout.contains("final snapshot: last"), "{}", plan.stdout);
    // The same once more, as after a kill: what is gone needs no snapshot.
    let destroy = ["destroy", "--yes", "--final-snapshot", "warehouse=last", "--allow-data-loss", "warehouse"];
    project.expect(5, &destroy);
    let again = project.expect(5, &destroy);
    assert!(again.stderr.contains("the stack has no resource `warehouse`"), "{}", again.stderr);
}

/// The workgroup would be gone before the namespace is refused.
#[test]
fn a_final_snapshot_of_a_name_that_is_taken_is_refused_before_anything_is_done() {
    let project = project();
    project.edit(
        "stacks/asked.yaml",
        "protect: false}\n",
        "protect: false}\n  wide: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}\n",
    );
    project.expect(0, &["apply", "--yes", "--exclude", "archive"]);
    let aws = Aws::of(&project);
    let taken = json!({ "namespaceName": "asked-warehouse", "snapshotName": "last" });
    aws.redshift("CreateSnapshot", &taken).unwrap();
    let refused = project.expect(1, &["destroy", "--yes", "--final-snapshot", "warehouse=last"]);
    let told = "there is a snapshot of that name, of namespace `asked-warehouse`";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    // "[a-z][a-z0-9]*(-[a-z0-9]+)*" (CloudFormation's public resource schema `AWS::RedshiftServerless::Namespace`).
    let odd = project.expect(1, &["destroy", "--yes", "--final-snapshot", "warehouse=Last-One"]);
    assert!(odd.stderr.contains("cannot be named `Last-One`"), "{}", odd.stderr);
    aws.redshift("GetWorkgroup", &json!({ "workgroupName": "asked-wide" })).unwrap();
    let destroyed = project.expect(5, &["destroy", "--yes", "--final-snapshot", "warehouse=latest"]);
    assert!(destroyed.stdout.contains("latest"), "{}", destroyed.stdout);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let project = project();
    let both = "`guard` is both asked for and excluded";
    refused(&project, &["plan", "--target", "guard", "--exclude", "guard"], &[both]);
    refused(&project, &["plan", "--replace", "guard", "--exclude", "guard"], &[both]);
    project.expect(3, &["plan", "--target", "guard", "--out", "a.plan"]);
    for option in [["--target", "guard"], ["--exclude", "guard"], ["--allow-data-loss", "archive"]] {
        refused(&project, &["apply", "a.plan", option[0], option[1]], &["cannot be used with", option[0]]);
    }
    project.expect(0, &["apply", "a.plan"]);
    let again = project.expect(3, &["plan", "--replace", "guard", "--target", "guard"]);
    assert!(again.stdout.contains("first half of a replacement that was asked for"), "{}", again.stdout);
    assert!(again.stdout.contains("0 to create, 0 to change, 0 to delete, 1 to replace"), "{}", again.stdout);
}

#[test]
fn a_value_that_nothing_uses_is_refused() {
    let project = project();
    refused(
        &project,
        &["plan", "--var", "purpos=views"],
        &["Did you mean `--var purpose=…`?", "stacks/asked.yaml:3:1"],
    );
    project.expect(3, &["plan", "--var", "purpose=views"]);
    project.edit("stacks/asked.yaml", "level: prod", "levle: prod}, resourses: {");
    let twice = project.expect(2, &["check", "--env", "prod"]);
    assert_eq!(twice.stderr.matches("Did you mean `resources`?").count(), 1, "{}", twice.stderr);
}

/// Whoever does what is said next must not land in another environment.
#[test]
fn what_is_said_next_is_about_the_same_environment() {
    let project = project();
    let prod = ["--env", "prod", "--var", "purpose=the tables"];
    let saved = project.expect(3, &[&["plan", "--out", "b.plan"][..], &prod].concat());
    let next = "towpath apply b.plan --env prod --var 'purpose=the tables'";
    assert!(saved.stderr.contains(next), "{}", saved.stderr);
    project.expect(0, &[&["apply", "b.plan"][..], &prod].concat());
    let stale = project.expect(1, &["apply", "b.plan", "--env", "prod"]);
    assert!(stale.stderr.contains("towpath plan --out FILE --env prod\n"), "{}", stale.stderr);
    let fault = ["--replace", "guard", "--yes", "--fault", "failed-state@redshift-serverless:*", "--fault"];
    let refuses = ["throttle@ec2:DeleteSecurityGroup#*"];
    let failed = project.run(&[&["apply"][..], &fault, &refuses, &prod].concat());
    let next = "towpath apply --replace guard --env prod --var 'purpose=the tables'";
    assert!(failed.stderr.contains(next), "{} {}", failed.code, failed.stderr);
}

#[test]
fn a_file_that_cannot_be_read_has_a_way_out() {
    let project = TestEnvironment::empty();
    std::fs::create_dir_all(project.path().join("stacks")).unwrap();
    std::fs::write(project.path().join("stacks/old.yaml"), b"stack: old\ntags: {town: M\xfcnchen}\n").unwrap();
    refused(&project, &["check"], &["stacks/old.yaml", "save it as UTF-8"]);
    refused(&project, &["check", "--stack", "stacks"], &["`stacks`", "--stack FILE"]);
}

#[test]
fn what_is_to_be_made_again_is_not_left_out_unheard() {
    let project = project();
    project.edit(
        "stacks/asked.yaml",
        "protect: false}\n",
        "protect: false}\n  wide: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}\n",
    );
    let left_out = ["`wide` is to be made again, and `--target` or `--exclude` leaves it out", "--target wide"];
    refused(&project, &["plan", "--replace", "wide", "--exclude", "warehouse"], &left_out);
    refused(&project, &["apply", "--yes", "--replace", "wide", "--target", "guard"], &left_out);
    refused(&project, &["destroy", "--yes", "--replace", "wide"], &["a destroy makes nothing again", "`--replace`"]);
    refused(&project, &["plan", "--destroy", "--replace", "wide"], &["a destroy makes nothing again"]);
    let shared = ["`--include-shared` goes with a destroy", "towpath destroy --include-shared"];
    refused(&project, &["apply", "--yes", "--include-shared"], &shared);
    project.expect(3, &["plan", "--replace", "wide", "--target", "wide"]);
}

/// What was taken out of the file is a part of the stack until it is deleted.
#[test]
fn what_is_no_longer_declared_can_be_chosen_and_left_out() {
    let project = project();
    project.edit(
        "stacks/asked.yaml",
        "resources:\n",
        "resources:\n  buoy: {kind: ec2/security_group, description: b}\n",
    );
    project.expect(0, &["apply", "--yes"]);
    let both = "  buoy: {kind: ec2/security_group, description: b}\n  guard: {kind: ec2/security_group, description: '${var.purpose}'}\n";
    project.edit("stacks/asked.yaml", both, "");
    project.edit("stacks/asked.yaml", "variables: {purpose: tables}\n", "");
    let plan = project.expect(3, &["plan", "--exclude", "buoy"]).stdout;
    assert!(plan.contains("- ec2/security_group.guard is deleted") && !plan.contains("buoy"), "{plan}");
    refused(&project, &["plan", "--exclude", "boy"], &["no resource `boy`", "did you mean `buoy`?"]);
    project.expect(0, &["apply", "--yes", "--target", "buoy"]);
    let plan = project.expect(3, &["plan"]).stdout;
    assert!(plan.contains("1 to delete") && plan.contains("- ec2/security_group.guard is deleted"), "{plan}");
    project.expect(0, &["apply", "--yes"]);
    refused(&project, &["apply", "--yes", "--target", "buoy"], &["no resource `buoy`"]);
}

/// The endpoint has a task still, which the plan is not about: DMS would refuse until the run gives up.
#[test]
fn what_is_used_by_what_is_left_out_stays() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    let stack = small.read("stacks/small.yaml");
    let next = stack.replace("  source: {", "  origin: {");
    small.write(
        "stacks/small.yaml",
        &next.replace("source: source", "source: origin").replace("into: source", "into: origin"),
    );
    let plan = small.expect(3, &["plan", "--exclude", "load"]).stdout;
    assert!(plan.contains("dms/endpoint.source: `small-source` is used by `small-load`, which stays"), "{plan}");
    assert!(plan.contains("1 to create, 0 to change, 0 to delete"), "{plan}");
    small.expect(0, &["apply", "--yes", "--exclude", "load"]);
    small.expect(0, &["apply", "--yes"]);
    small.expect(0, &["plan"]);
}
