//! Objects that stand in the way of an apply and are not the stack's: all are named with the command that takes each
//! over, somebody at a terminal may agree to that, and nothing else does.

use serde_json::json;

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = "stacks/net.yaml";

const NET: &str = "stack: net
resources:
  guard: {kind: ec2/security_group, description: boats}
  first: {kind: dms/instance_profile, description: one}
  second: {kind: dms/instance_profile, description: two}
";

/// A project in whose account somebody else has made both profiles, one of them otherwise.
fn net() -> (TestEnvironment, Aws) {
    let net = TestEnvironment::empty();
    net.write(STACK, NET);
    let aws = Aws::of(&net);
    for (name, description) in [("net-first", "one"), ("net-second", "theirs")] {
        let input = json!({ "InstanceProfileName": name, "Description": description });
        aws.dms("CreateInstanceProfile", &input).unwrap();
    }
    (net, aws)
}

/// Description and owner of both profiles.
fn profiles(aws: &Aws) -> Vec<(String, bool)> {
    let answer = aws.dms("DescribeInstanceProfiles", &json!({})).unwrap();
    let profiles = answer["InstanceProfiles"].as_array().unwrap().iter();
    profiles
        .map(|profile| {
            let arn = &profile["InstanceProfileArn"];
            let tags = aws.dms("ListTagsForResource", &json!({ "ResourceArn": arn })).unwrap();
            let is_ours = tags["TagList"].as_array().unwrap().iter().any(|tag| tag["Key"] == "towpath:stack");
            (profile["Description"].as_str().unwrap().to_owned(), is_ours)
        })
        .collect()
}

fn theirs() -> Vec<(String, bool)> {
    vec![("one".to_owned(), false), ("theirs".to_owned(), false)]
}

#[test]
fn all_of_them_are_named_with_their_commands_and_yes_adopts_none() {
    let (net, aws) = net();
    let plan = net.expect(3, &["plan"]).stdout;
    let apply = net.expect(1, &["apply", "--yes"]);
    for (name, object) in [("first", "net-first"), ("second", "net-second")] {
        assert!(plan.contains(&format!("      towpath adopt {name}")), "{plan}");
        let hint = format!("to take `{object}` over: towpath adopt {name}");
        assert!(apply.stderr.contains(&hint), "{}", apply.stderr);
    }
    assert!(!apply.stderr.contains("[y/N]"), "{}", apply.stderr);
    assert_eq!(profiles(&aws), theirs());
}

#[test]
fn somebody_at_a_terminal_may_adopt_them_and_go_on() {
    let (net, aws) = net();
    let (code, text) = net.typing(&["apply"], "n\n");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("Adopt these 2 objects and go on? [y/N]") && text.contains("towpath adopt second"), "{text}");
    let (code, text) = net.typing(&["apply"], "y\nn\n");
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("description  theirs → two"),
        "what the adoption changes is shown before it is asked: {text}"
    );
    assert!(text.contains("Apply this plan? [y/N]") && text.contains("not confirmed; nothing was done"), "{text}");
    assert_eq!(profiles(&aws), theirs(), "nothing is tagged before the plan is agreed to");
    let (code, text) = net.typing(&["apply", "--yes"], "y\n");
    assert_eq!(code, 1, "{text}");
    assert!(!text.contains("[y/N]"), "{text}");
    let (code, text) = net.typing(&["apply"], "y\ny\n");
    assert_eq!(code, 0, "{text}");
    assert_eq!(profiles(&aws), [("one".to_owned(), true), ("two".to_owned(), true)]);
    net.expect(0, &["plan"]);
}

#[test]
fn what_another_stack_owns_is_not_offered() {
    let (net, aws) = net();
    net.write(
        "stacks/other.yaml",
        &NET.replace("stack: net", "stack: other").replace("profile, d", "profile, name: net-first, d"),
    );
    net.edit("stacks/other.yaml", "  second: {kind: dms/instance_profile, name: net-first, description: two}\n", "");
    net.expect(0, &["adopt", "first", "--yes", "--stack", "stacks/other.yaml"]);
    let (code, text) = net.typing(&["apply", "--stack", STACK], "y\ny\n");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("it belongs to resource `first` of stack `other`") && !text.contains("[y/N]"), "{text}");
    assert!(text.contains("to take `net-first` over: towpath adopt first"), "{text}");
    assert_eq!(profiles(&aws), [("one".to_owned(), true), ("theirs".to_owned(), false)]);
    let all = net.expect(0, &["adopt", "--all", "--yes", "--stack", STACK]);
    assert!(
        all.stderr.contains("`net-first` belongs to resource `first` of stack `other` and is left"),
        "{}",
        all.stderr
    );
    assert_eq!(profiles(&aws), [("one".to_owned(), true), ("two".to_owned(), true)]);
    let other = net.expect(3, &["plan", "--stack", "stacks/other.yaml"]);
    assert!(other.stdout.contains("1 to create, 0 to change, 0 to delete, 1 unchanged"), "{}", other.stdout);
}
