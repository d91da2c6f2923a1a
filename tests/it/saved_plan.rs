//! `plan --out F` and `apply F`: exactly the steps that were shown, or a refusal that names what
//! changed since.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = "stacks/net.yaml";

/// A stack that stands within a moment, with an environment, variables and something to replace.
const NET: &str = "stack: net
target: sandbox
variables: {owner: ann}
tags: {owner: \"${var.owner}\"}
environments:
  prod: {tags: {level: prod}}
resources:
  guard: {kind: ec2/security_group, description: boats, ingress: [{port: 5432, from: self}]}
  reader: {kind: iam/role, trust: {services: [dms.amazonaws.com]}, description: \"${env.PURPOSE}\"}
  profile: {kind: dms/instance_profile, description: first, security_groups: [guard]}
";

fn net() -> TestEnvironment {
    let mut net = TestEnvironment::empty();
    net.write(STACK, NET);
    net.set("PURPOSE", "reading");
    net
}

/// The stack applied, and a saved plan of one change to it.
fn with_a_change() -> TestEnvironment {
    let net = net();
    net.expect(0, &["apply", "--yes"]);
    net.edit(STACK, "description: first", "description: second");
    net.expect(3, &["plan", "--out", "a.plan"]);
    net
}

fn description(aws: &Aws) -> String {
    let profiles = aws.dms("DescribeInstanceProfiles", &json!({})).unwrap();
    profiles["InstanceProfiles"][0]["Description"].as_str().unwrap_or_default().to_owned()
}

/// Applies `a.plan`, which must be refused with these words and do nothing.
#[track_caller]
fn refused(net: &TestEnvironment, code: i32, words: &[&str]) {
    refused_as(net, code, &["apply", "a.plan"], words);
}

#[track_caller]
fn refused_as(net: &TestEnvironment, code: i32, arguments: &[&str], words: &[&str]) {
    let ran = net.expect(code, arguments);
    for word in words.iter().chain(&["nothing was done", "towpath plan --out FILE"]) {
        assert!(ran.stderr.contains(word), "`{word}` is not in: {}", ran.stderr);
    }
}

#[test]
fn a_variable_that_leads_elsewhere_is_a_change() {
    let mut net = net();
    let source = "  source: {kind: dms/endpoint, direction: source, engine: postgres, connection: {url: {env: SOURCE_DATABASE_URL}}}\n";
    net.write(STACK, &format!("{NET}{source}"));
    net.set("SOURCE_DATABASE_URL", "postgres://ann:first@db1.example.com:5432/boats");
    net.expect(0, &["apply", "--yes"]);
    net.edit(STACK, "description: first", "description: second");
    net.expect(3, &["plan", "--out", "a.plan"]);
    // The plan says nothing of the source, and what it was made for is not so any more.
    net.set("SOURCE_DATABASE_URL", "postgres://ann:first@db2.example.com:5432/boats");
    refused(&net, 1, &["a variable: `source.connection.host` was `db1.example.com`, is `db2.example.com`"]);
    net.set("SOURCE_DATABASE_URL", "postgres://ann:first@db1.example.com:5432/boats");
    net.expect(0, &["apply", "a.plan"]);
    assert!(!net.read("a.plan").contains("first@"), "no password is in the file");
}

#[test]
fn a_saved_plan_is_done_exactly_and_once() {
    let net = net();
    net.expect(3, &["plan", "--out", "a.plan"]);
    net.expect(0, &["apply", "a.plan"]);
    net.expect(0, &["plan"]);
    refused(&net, 1, &["it was applied already, at 20"]);
    // The order of fields and blocks says nothing.
    net.edit(STACK, "description: first", "description: second");
    net.expect(3, &["plan", "--out", "a.plan"]);
    net.edit(
        STACK,
        "kind: dms/instance_profile, description: second, security_groups: [guard]",
        "security_groups: [guard], description: second, kind: dms/instance_profile",
    );
    net.expect(0, &["apply", "a.plan"]);
    net.expect(0, &["plan"]);
    assert_eq!(description(&Aws::of(&net)), "second");
    // Without the journal, what stands in the way tells.
    std::fs::remove_file(net.path().join(".towpath/net/journal.jsonl")).unwrap();
    refused(&net, 1, &["dms/instance_profile.profile: `description` was `first`, is `second`"]);
    net.expect(3, &["plan", "--destroy", "--out", "end.plan"]);
    net.expect(0, &["apply", "end.plan"]);
    net.expect(3, &["plan"]);
}

#[test]
fn an_edit_of_the_stack_is_named_by_its_field() {
    let net = with_a_change();
    net.edit(STACK, "description: second", "description: third");
    refused(&net, 1, &["the stack file: `resources.profile.spec.description` was `second`, is `third`"]);
    net.edit(STACK, "description: third", "description: second");
    net.edit(STACK, "description: boats,", "description: boats, protect: true,");
    refused(&net, 1, &["the stack file: `resources.guard.protect` was not there, is `true`"]);
    net.edit(STACK, "description: boats, protect: true,", "description: boats,");
    refused_as(
        &net,
        1,
        &["apply", "a.plan", "--env", "prod"],
        &["the stack file: `tags.level` was not there, is `prod`"],
    );
    refused_as(&net, 1, &["apply", "a.plan", "--var", "owner=bob"], &["`tags.owner` was `ann`, is `bob`"]);
    let mut net = net;
    net.set("PURPOSE", "writing");
    refused(&net, 1, &["`resources.reader.spec.description` was `reading`, is `writing`"]);
    net.set("PURPOSE", "reading");
    net.expect(0, &["apply", "a.plan"]);
    net.expect(0, &["plan"]);
}

#[test]
fn other_hands_are_named_by_object_and_field() {
    let net = with_a_change();
    let aws = Aws::of(&net);
    let modify = |text: &str| {
        let input = json!({ "InstanceProfileIdentifier": "net-profile", "Description": text });
        aws.dms("ModifyInstanceProfile", &input).unwrap();
    };
    modify("theirs");
    refused(&net, 1, &["dms/instance_profile.profile: `description` was `first`, is `theirs`"]);
    assert_eq!(description(&aws), "theirs");
    modify("first");
    // An object that no step touches counts too: the plan was made beside it.
    let groups = aws.ec2("Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=net-guard");
    let id = groups.split("<groupId>").nth(1).unwrap().split('<').next().unwrap();
    aws.ec2(&format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=team&Tag.1.Value=other"));
    refused(&net, 1, &["ec2/security_group.guard: `tags.team` was not there, is `other`"]);
    aws.dms("DeleteInstanceProfile", &json!({ "InstanceProfileIdentifier": "net-profile" })).unwrap();
    refused(&net, 1, &["dms/instance_profile.profile: `net-profile` is gone"]);
    net.expect(3, &["plan", "--out", "a.plan"]);
    aws.dms("CreateInstanceProfile", &json!({ "InstanceProfileName": "net-profile" })).unwrap();
    refused(&net, 1, &["dms/instance_profile.profile: `net-profile` exists now"]);
}

#[test]
fn a_plan_of_another_place_or_program_is_refused() {
    let net = with_a_change();
    let whole = net.read("a.plan");
    // A sandbox plays one account in one region for life.
    let (world, kept) = (net.path().join(".towpath-sandbox"), net.path().join(".towpath/kept"));
    let elsewhere = || std::fs::remove_dir_all(&world).unwrap();
    net.edit(STACK, "target: sandbox", "target: sandbox\naws: {region: eu-west-1}");
    std::fs::rename(&world, &kept).unwrap();
    refused(&net, 1, &["the region was `eu-north-1`, is `eu-west-1`"]);
    net.edit(STACK, "aws: {region: eu-west-1}", "aws: {account: \"444455556666\"}");
    elsewhere();
    refused(&net, 1, &["the account was `111122223333`, is `444455556666`"]);
    net.edit(STACK, "\naws: {account: \"444455556666\"}", "");
    elsewhere();
    std::fs::rename(&kept, &world).unwrap();
    net.write("a.plan", &whole.replace("\"second\"", "\"edited\""));
    refused(&net, 2, &["the file was edited after it was saved"]);
    net.write("a.plan", &whole[..whole.len() / 2]);
    refused(&net, 2, &["the file is cut off"]);
    net.write("a.plan", "[]");
    refused(&net, 2, &["the file is not a plan of towpath"]);
    let mut older: Value = serde_json::from_str(&whole).unwrap();
    older["format"] = json!(1);
    net.write("a.plan", &older.to_string());
    refused(&net, 2, &["the file has format 1"]);
    net.write("a.plan", &whole);
    net.expect(0, &["apply", "a.plan"]);
}
