//! What the stories have found, each as a story of its own that needs no chance.

use serde_json::json;

use super::account::{self, Object};
use crate::env::TestEnvironment;
use crate::sweep::stage::{Accident, Quiet, play};

const APPLY: [&str; 2] = ["apply", "--yes"];

fn project(resources: &str) -> TestEnvironment {
    let mut project = TestEnvironment::empty();
    project.set("SOURCE_PASSWORD", "first secret");
    project.write("stacks/tide.yaml", &stack(resources));
    project
}

fn stack(resources: &str) -> String {
    format!("stack: tide\ntarget: sandbox\nresources:\n{resources}")
}

/// Runs a command, with a fault unless it is empty, and insists on how it ends.
#[track_caller]
fn run(project: &TestEnvironment, arguments: &[&str], fault: &str, code: Option<i32>) -> String {
    let accident = if fault.is_empty() { Accident::default() } else { Accident::fault(fault) };
    let played = play(project, arguments, &accident);
    assert_eq!(played.code, code, "{}", played.text);
    played.text
}

fn account(project: &TestEnvironment) -> Vec<Object> {
    account::read(&Quiet::of(project).client())
}

#[track_caller]
fn object(project: &TestEnvironment, name: &str) -> Object {
    let account = account(project);
    account.iter().find(|object| object.name == name).unwrap_or_else(|| panic!("no {name} in {account:#?}")).clone()
}

const GROUPS: &str = "  watch: {kind: ec2/security_group, description: watches}
  guard: {kind: ec2/security_group, ingress: [{port: 5432, from: watch}, {port: 5439, from: self}], egress: [{protocol: all, to: watch}]}
";

#[test]
fn a_group_that_rules_of_another_group_name_is_made_again_and_named_again() {
    let project = project(GROUPS);
    run(&project, &APPLY, "", Some(0));
    let (watch, guard) = (object(&project, "tide-watch"), object(&project, "tide-guard"));
    project.write("stacks/tide.yaml", &stack(GROUPS).replace("watches", "looks on"));
    // Only the one group: the rules of the other are not touched, so it stays and its holder is named.
    let text = run(&project, &["apply", "--yes", "--target", "watch"], "", Some(4));
    assert!(text.contains("tide-guard"), "{text}");
    assert_eq!(object(&project, "tide-guard"), guard);
    run(&project, &APPLY, "", Some(0));
    run(&project, &["plan"], "", Some(0));
    assert_ne!(object(&project, "tide-watch").id, watch.id);
    assert_eq!(object(&project, "tide-guard"), guard, "the same group, with the same rules by name");
}

#[test]
fn a_network_that_lost_its_tags_when_it_was_made_has_its_name() {
    let project = project(
        "  net: {kind: ec2/vpc, cidr: 10.20.0.0/16}
  neta: {kind: ec2/subnet, vpc: net, cidr: 10.20.1.0/24}
  way: {kind: ec2/vpc_endpoint, vpc: net, service: s3}
",
    );
    run(&project, &APPLY, "lost-tags@ec2:Create*#*", Some(0));
    for key in ["net", "neta", "way"] {
        assert_eq!(object(&project, &format!("tide-{key}")).tag("towpath:resource"), key);
    }
    run(&project, &["plan"], "", Some(0));
}

#[test]
fn a_run_cut_off_after_the_folder_was_lost_hides_nothing_that_was_removed() {
    let guard = "  guard: {kind: ec2/security_group}\n";
    let role = "  reader: {kind: iam/role, trust: {services: [dms.amazonaws.com]}}\n";
    let provider = "  upper: {kind: dms/data_provider, engine: postgres, host: db.example.com, database: club}\n";
    let shared = "  vpcrole: {kind: iam/role, preset: dms-vpc-role}\n";
    let project = project(&[guard, role, provider, shared].concat());
    run(&project, &APPLY, "", Some(0));
    project.write("stacks/tide.yaml", &stack(guard));
    std::fs::remove_dir_all(project.path().join(".towpath/tide")).unwrap();
    // A part of the stack, and a run that dies: neither knows less than the tags do.
    project.write(
        "stacks/tide.yaml",
        &stack("  guard: {kind: ec2/security_group}\n  watch: {kind: ec2/security_group}\n"),
    );
    run(&project, &["apply", "--yes", "--target", "watch"], "crash-after@ec2:CreateSecurityGroup#1", None);
    run(&project, &APPLY, "", Some(0));
    let left: Vec<String> = account(&project).into_iter().map(|object| object.name).collect();
    assert_eq!(json!(left), json!(["tide-guard", "tide-watch", "dms-vpc-role"]));
    assert_eq!(object(&project, "dms-vpc-role").tag("towpath:used-by:tide"), "released");
}
