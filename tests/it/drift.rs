//! `towpath drift`: what another client changed is accepted into the file, changed back, or left
//! alone, field by field.

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = "stacks/small.yaml";

fn instance(aws: &Aws) -> Value {
    aws.dms("DescribeReplicationInstances", &json!({})).unwrap()["ReplicationInstances"][0].clone()
}

fn workgroup(aws: &Aws) -> Value {
    aws.redshift("GetWorkgroup", &json!({ "workgroupName": "small-workgroup" })).unwrap()["workgroup"].clone()
}

/// The id of the stack's group and whether it lets in what the stack declares.
fn guard(aws: &Aws) -> (String, bool) {
    let all = aws.ec2("Action=DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=small-guard");
    let id = all.split("<groupId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    (id, all.contains("<fromPort>5439</fromPort>"))
}

#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("ten seconds were not enough");
}

/// The small stack, after another client changed a field of each of three objects.
fn changed() -> (TestEnvironment, Aws) {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    let aws = Aws::of(&small);
    let arn = instance(&aws)["ReplicationInstanceArn"].clone();
    let larger =
        json!({ "ReplicationInstanceArn": arn, "ReplicationInstanceClass": "dms.t3.small", "ApplyImmediately": true });
    aws.dms("ModifyReplicationInstance", &larger).unwrap();
    let (id, _) = guard(&aws);
    aws.ec2(&format!(
        "Action=RevokeSecurityGroupIngress&GroupId={id}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=5439\
         &IpPermissions.1.ToPort=5439&IpPermissions.1.Groups.1.GroupId={id}"
    ));
    aws.redshift("UpdateWorkgroup", &json!({ "workgroupName": "small-workgroup", "baseCapacity": 16 })).unwrap();
    until(|| instance(&aws)["ReplicationInstanceStatus"] == "available" && workgroup(&aws)["status"] == "AVAILABLE");
    (small, aws)
}

#[test]
fn each_difference_is_accepted_reverted_or_ignored() {
    let (small, aws) = changed();
    let found = small.expect(3, &["drift"]);
    for line in [
        "instance.class differs: declared dms.t3.micro, live dms.t3.small",
        "guard.ingress differs: declared ",
        "workgroup.base_rpu differs: declared 8, live 16",
    ] {
        assert!(found.stdout.contains(line), "{line}\n{}", found.stdout);
    }
    assert_eq!(found.stdout.lines().count(), 3, "{}", found.stdout);
    let settled = small.expect(
        0,
        &[
            "drift",
            "--accept",
            "instance.class",
            "--revert",
            "guard.ingress",
            "--ignore",
            "workgroup.base_rpu",
            "--yes",
        ],
    );
    assert!(settled.stdout.contains("Nothing else differs from the stack."), "{}", settled.stdout);
    assert!(small.read(STACK).contains("    class: dms.t3.small\n    storage_gb: 20"), "{}", small.read(STACK));
    assert!(small.read(STACK).contains("security_groups: [guard], ignore: [base_rpu]}"), "{}", small.read(STACK));
    assert_eq!(instance(&aws)["ReplicationInstanceClass"], "dms.t3.small", "what is accepted stays");
    assert!(guard(&aws).1, "what is reverted is as declared");
    assert_eq!(workgroup(&aws)["baseCapacity"], 16, "what is ignored stays");
    small.expect(0, &["plan"]);
    small.expect(0, &["drift"]);
    // Another change of the object leaves the ignored field alone.
    small.edit(STACK, "base_rpu: 8", "base_rpu: 8, max_rpu: 32");
    small.expect(0, &["apply", "--yes"]);
    assert_eq!(workgroup(&aws)["baseCapacity"], 16);
    assert_eq!(workgroup(&aws)["maxCapacity"], 32);
    small.expect(0, &["plan"]);
}

#[test]
fn only_the_named_field_is_reverted_and_nobody_is_surprised() {
    let (small, aws) = changed();
    let text = small.read(STACK);
    let wrong = small.expect(2, &["drift", "--accept", "instance.clas"]);
    assert!(wrong.stderr.contains("did you mean `instance.class`?"), "{}", wrong.stderr);
    let twice = small.expect(2, &["drift", "--accept", "instance.class", "--revert", "instance.class"]);
    assert!(twice.stderr.contains("is named twice"), "{}", twice.stderr);
    let asked = small.expect(2, &["drift", "--revert", "guard.ingress", "--accept", "instance.class"]);
    assert!(asked.stdout.contains("Plan: 0 to create, 1 to change, 0 to delete"), "{}", asked.stdout);
    assert_eq!(small.read(STACK), text, "nobody has agreed");
    assert!(!guard(&aws).1);
    small.expect(3, &["drift", "--revert", "guard.ingress", "--yes"]);
    assert!(guard(&aws).1);
    assert_eq!(instance(&aws)["ReplicationInstanceClass"], "dms.t3.small", "nobody asked for this one");
    small.edit(STACK, "    class: dms.t3.micro", "    class: dms.t3.micro\n    ignore: [clas]");
    let misspelt = small.expect(2, &["check"]);
    assert!(misspelt.stderr.contains("Did you mean `class`?"), "{}", misspelt.stderr);
}

/// The lines between what changes are the user's, and so is how a rule is written that stays.
#[test]
fn an_accepted_value_leaves_comments_and_other_items_as_they_are() {
    let small = TestEnvironment::small();
    let rules = "ingress:\n      # the source\n      - {port: 5439, from: self}   # itself";
    small.edit(STACK, "ingress: [{port: 5439, from: self}]", rules);
    let parameters = "    parameters:\n      # slow ones are stopped\n      max_query_execution_time: 60   # seconds\n";
    let workgroup =
        "  workgroup: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8, security_groups: [guard]}\n";
    let lines = "  workgroup:\n    kind: redshift/workgroup\n    namespace: warehouse\n    base_rpu: 8\n";
    small.edit(STACK, workgroup, &format!("{lines}{parameters}"));
    small.expect(0, &["apply", "--yes", "--target", "guard", "--target", "workgroup"]);
    let aws = Aws::of(&small);
    let (id, _) = guard(&aws);
    aws.ec2(&format!(
        "Action=AuthorizeSecurityGroupIngress&GroupId={id}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80\
         &IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8"
    ));
    let slower = json!([{ "parameterKey": "max_query_execution_time", "parameterValue": "90" }]);
    aws.redshift("UpdateWorkgroup", &json!({ "workgroupName": "small-workgroup", "configParameters": slower }))
        .unwrap();
    until(|| workgroup_is_available(&aws));
    let before = small.read(STACK);
    small.run(&["drift", "--accept", "guard.ingress", "--accept", "workgroup.parameters"]);
    let new = "# itself\n      - {protocol: tcp, ports: \"80\", from: \"10.0.0.0/8\"}\n";
    let wanted =
        before.replace("# itself\n", new).replace("max_query_execution_time: 60 ", "max_query_execution_time: \"90\" ");
    assert_eq!(small.read(STACK), wanted);
}

fn workgroup_is_available(aws: &Aws) -> bool {
    workgroup(aws)["status"] == "AVAILABLE"
}

#[test]
fn the_stack_file_is_replaced_as_a_whole_wherever_it_lies() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    small.edit(STACK, "base_rpu: 8", "base_rpu: 16");
    let (own, elsewhere, kept) = (small.path().join(STACK), small.path().join("real.yaml"), small.path().join("kept"));
    std::fs::rename(&own, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &own).unwrap();
    // A second name of the old text: who writes into the file writes into this, too, and a kill would leave half of it.
    std::fs::hard_link(&elsewhere, &kept).unwrap();
    small.expect(0, &["drift", "--accept", "workgroup.base_rpu"]);
    assert!(small.read("kept").contains("base_rpu: 16"), "the old text is whole");
    assert!(small.read("real.yaml").contains("base_rpu: 8"));
    assert!(own.symlink_metadata().unwrap().is_symlink(), "a link stays one");
    let is_left = |file: &std::path::PathBuf| file.to_string_lossy().contains(".towpath-");
    assert!(!small.files().iter().any(|file| is_left(file) && !file.to_string_lossy().contains(".towpath-sandbox")));
    small.expect(0, &["plan"]);
}

#[test]
fn what_is_as_declared_already_is_reverted_once_more_without_complaint() {
    let small = TestEnvironment::small();
    small.expect(0, &["apply", "--yes"]);
    let again = small.expect(0, &["drift", "--revert", "workgroup.base_rpu", "--yes"]);
    assert!(again.stderr.contains("`workgroup.base_rpu` is as declared."), "{}", again.stderr);
    small.expect(2, &["drift", "--revert", "workgroup.base_rpus", "--yes"]);
    small.expect(2, &["drift", "--accept", "workgroup.base_rpu"]);
}
