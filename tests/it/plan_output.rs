//! What `towpath plan` prints: text, Markdown and JSON of the same plan, and its exit codes.

use serde_json::Value;

use crate::env::TestEnvironment;

const STACK: &str = "stacks/port.yaml";

/// Text that would end a fence, open a tag or begin a cell, if it could.
const PORT: &str = "stack: port
target: sandbox
resources:
  guard: {kind: ec2/security_group, description: boats, ingress: [{port: 5432, from: self}]}
  reader:
    kind: iam/role
    description: \"```</details>|*x*\"
    trust: {services: [dms.amazonaws.com]}
    inline: {read: {Version: \"2012-10-17\", Statement: [{Effect: Allow, Action: \"s3:GetObject\", Resource: \"*\"}]}}
  warehouse: {kind: redshift/namespace, database: port, log_exports: [userlog]}
  queries: {kind: redshift/workgroup, namespace: warehouse, base_rpu: 8}
  vpc_role: {kind: iam/role, preset: dms-vpc-role}
  instance: {kind: dms/replication_instance, class: dms.t3.micro, depends_on: [vpc_role]}
";

fn edited() -> TestEnvironment {
    let port = TestEnvironment::empty();
    port.write(STACK, PORT);
    port.expect(0, &["apply", "--yes"]);
    port.edit(STACK, "s3:GetObject", "s3:PutObject");
    port.edit(STACK, "```</details>|*x*", "````</details>|*y*");
    port.edit(STACK, "description: boats", "description: ships");
    port.edit(STACK, "database: port", "database: harbour");
    port.edit(STACK, "class: dms.t3.micro", "class: dms.t2.micro");
    port
}

#[test]
fn a_plan_reads_the_same_as_text_and_as_markdown() {
    let port = edited();
    let text = port.expect(3, &["plan"]).stdout;
    let markdown = port.expect(3, &["plan", "--markdown"]).stdout;
    assert_eq!(markdown, port.expect(3, &["plan", "--markdown"]).stdout, "it is stable");
    for words in [
        "boats → ships  forces replacement: EC2 cannot change the description of a security group",
        "inline.read.Statement",
        "dms.t3.micro → dms.t2.micro",
        "loses data: all tables of the warehouse",
        "interrupts: the tasks that run on it",
        "refused: redshift/namespace.warehouse",
        "--allow-data-loss warehouse",
    ] {
        assert!(text.contains(words), "`{words}` is not in the text: {text}");
        assert!(markdown.contains(words), "`{words}` is not in the Markdown: {markdown}");
    }
    assert!(text.contains("Price unknown: instance (no longer dms.t3.micro"), "{text}");
    assert!(text.contains("Cost: +"), "{text}");
    // A text with marks of its own opens nothing and ends nothing.
    assert!(markdown.contains("\n`````\n"), "{markdown}");
    let ends = markdown.lines().filter(|line| *line == "</details>").count();
    assert_eq!(markdown.matches("<details>").count(), ends, "{markdown}");
}

#[test]
fn the_json_of_a_plan_has_the_documented_members() {
    let port = edited();
    let lines = port.expect(3, &["plan", "--json"]).stdout;
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let plan = events.iter().find(|event| event["type"] == "plan").unwrap();
    assert_eq!(plan["version"], 1);
    let plan = &plan["plan"];
    assert_eq!(plan["format"], 2);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plans.md")).unwrap();
    let is_named = |member: &str| {
        [format!("`{member}"), format!("[].{member}`"), format!("[].{member}[]`")]
            .iter()
            .any(|name| page.contains(name))
    };
    let undocumented = |object: &Value| -> Vec<String> {
        let members = object.as_object().unwrap().keys();
        members.filter(|member| !is_named(member)).cloned().collect()
    };
    let own = ["partial", "steps"];
    assert!(undocumented(plan).iter().all(|member| own.contains(&member.as_str())), "{:?}", undocumented(plan));
    let step = &plan["steps"][0];
    let inner = ["id", "group", "spec", "tags"];
    assert!(undocumented(step).iter().all(|member| inner.contains(&member.as_str())), "{:?}", undocumented(step));
    let update = plan["steps"].as_array().unwrap().iter().find(|step| step["address"]["name"] == "instance").unwrap();
    assert_eq!(update["action"], "update");
    assert_eq!(update["price_before"]["unknown"], true);
    assert_eq!(update["price"]["unknown"], false);
    let refused: Vec<&str> =
        plan["refused"].as_array().unwrap().iter().map(|note| note["address"]["name"].as_str().unwrap()).collect();
    assert_eq!(refused, ["warehouse"]);
}

#[test]
fn exit_codes_tell_nothing_from_something_from_mistakes() {
    let port = TestEnvironment::empty();
    port.write(STACK, "stack: port\nresources:\n  guard: {kind: ec2/security_group}\n");
    port.expect(3, &["plan"]);
    port.expect(0, &["apply", "--yes"]);
    port.expect(0, &["plan"]);
    let json = port.expect(0, &["plan", "--json"]).stdout;
    assert!(json.contains("\"steps\":[]"), "{json}");
    port.write(STACK, "stack: port\nresources:\n  guard: {kind: ec2/security_grp}\n");
    port.expect(2, &["plan"]);
}

#[test]
fn what_is_a_file_of_its_own_is_an_event_with_json() {
    let place = TestEnvironment::empty();
    for (arguments, kind, member) in [
        (&["explain", "dms/endpoint"][..], "page", "markdown"),
        (&["explain"], "kind", "summary"),
        (&["schema"], "schema", "schema"),
        (&["completions", "bash"], "completions", "script"),
    ] {
        let ran = place.expect(0, &[arguments, &["--json"]].concat());
        for line in ran.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!((&event["version"], &event["type"]), (&1.into(), &kind.into()), "{line}");
            assert!(!event[member].is_null(), "{line}");
        }
        assert!(!ran.stdout.is_empty());
    }
}
