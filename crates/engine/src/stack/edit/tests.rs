//! What a changed stack file says, and what stays as it was.

use serde_json::json;

use super::*;

const TEXT: &str = "\
# The club.
resources:
  # Does the work.
  instance:
    kind: dms/replication_instance   # the kind
    class: dms.t3.medium             # small
    storage_gb: 50
    settings:
      Logging: {EnableLogging: true}

    tags:                            # two
      - a
      - b
  group: {kind: ec2/security_group, description: talk here}  # one line

# The rest.
pipeline: {}
";

fn changed(path: &str, value: &Value) -> Vec<String> {
    let resource = if path.starts_with("group.") { "group" } else { "instance" };
    let path = path.trim_start_matches("group.");
    difference(&set(TEXT, None, resource, path, value).unwrap())
}

/// The lines that went and came.
fn difference(after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (TEXT.lines().collect(), after.lines().collect());
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("-{line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+{line}"));
    gone.chain(new).collect()
}

#[test]
fn a_value_changes_and_its_comment_stays() {
    assert_eq!(
        changed("class", &json!("dms.r6i.large")),
        ["-    class: dms.t3.medium             # small", "+    class: dms.r6i.large             # small"]
    );
    assert_eq!(
        changed("settings.Logging.EnableLogging", &json!(false)),
        ["-      Logging: {EnableLogging: true}", "+      Logging: {EnableLogging: false}"]
    );
    assert_eq!(
        changed("group.description", &json!("yes, really")),
        [
            "-  group: {kind: ec2/security_group, description: talk here}  # one line",
            "+  group: {kind: ec2/security_group, description: \"yes, really\"}  # one line",
        ]
    );
}

#[test]
fn quotes_and_line_ends_are_those_of_the_file() {
    let json = r#"{"stack": "s", "resources": {"box": {"kind": "s3/bucket", "kms_key": "alias/one"}}}"#;
    let after = set(json, None, "box", "kms_key", &json!("alias/two")).unwrap();
    assert_eq!(after, json.replace("alias/one", "alias/two"));
    let dos = TEXT.replace('\n', "\r\n");
    let after = set(&dos, None, "instance", "public", &json!(false)).unwrap();
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    assert!(after.contains("    public: false\r\n"), "{after}");
    let added = append_resource(&dos, None, "new", &json!({ "kind": "s3/bucket" })).unwrap();
    assert!(added.contains("  new:\r\n    kind: s3/bucket\r\n"), "{added}");
}

#[test]
fn comments_between_what_changes_stay() {
    let text = "\
resources:
  role:
    policies: # all of them
      # reads
      - one # first
      # writes
      - two # second
    rules:
      # the source
      - {port: 1, from: self}   # me
      - port: 2
        from: self # you
    parameters:
      # slow ones are stopped
      limit: 60   # seconds
      group: \"a # b\" # label
    text: |
      folded # text
      here
    list: [
      # inside
      a]
    kind: k
";
    let after = set(text, None, "role", "policies", &json!(["one", "three"])).unwrap();
    let lines = "      # reads\n      # writes\n      - one # first\n      - three\n    rules:";
    assert!(after.contains(lines), "{after}");
    let rules = json!([{ "port": 2, "from": "self" }, { "port": 1, "from": "self" }, { "port": 3, "from": "b" }]);
    let after = set(text, None, "role", "rules", &rules).unwrap();
    let lines = "      # the source\n      - port: 2\n        from: self # you\n      - {port: 1, from: self}   # me\n      - {port: 3, from: b}\n    parameters:";
    assert!(after.contains(lines), "{after}");
    let after = set(text, None, "role", "parameters", &json!({ "limit": 90, "more": true })).unwrap();
    let lines = "      # slow ones are stopped\n      limit: 90   # seconds\n      more: true\n    text:";
    assert!(after.contains(lines), "{after}");
    let after = set(text, None, "role", "text", &json!("short")).unwrap();
    assert_eq!(after, text.replace("text: |\n      folded # text\n      here\n", "text: short\n"));
    assert_eq!(set(text, None, "role", "list", &json!(["b"])), Err(EditError::ByHand("role.list".to_owned())));
}

#[test]
fn a_new_field_takes_the_style_of_its_block() {
    assert_eq!(changed("public", &json!(false)), ["+    public: false"]);
    assert_eq!(changed("settings.New", &json!({ "a": ["x", 1] })), ["+      New: {a: [x, 1]}"]);
    assert_eq!(
        changed("group.ingress", &json!([{ "port": 5432, "from": "10.0.0.0/8" }])),
        [
            "-  group: {kind: ec2/security_group, description: talk here}  # one line",
            "+  group: {kind: ec2/security_group, description: talk here, \
                 ingress: [{port: 5432, from: \"10.0.0.0/8\"}]}  # one line",
        ]
    );
}

#[test]
fn a_field_goes_with_its_line_and_nothing_else() {
    assert_eq!(changed("storage_gb", &Value::Null), ["-    storage_gb: 50"]);
    assert_eq!(
        changed("group.kind", &Value::Null),
        [
            "-  group: {kind: ec2/security_group, description: talk here}  # one line",
            "+  group: {description: talk here}  # one line",
        ]
    );
    assert_eq!(changed("never_there", &Value::Null), Vec::<String>::new());
}

#[test]
fn an_adopted_object_comes_last_and_reads_as_what_it_is() {
    let block = json!({ "kind": "dms/endpoint", "engine": "postgres", "note": "${aws:username}: no" });
    let after = append_resource(TEXT, None, "source", &block).unwrap();
    assert_eq!(
        difference(&after),
        ["+  source:", "+    kind: dms/endpoint", "+    engine: postgres", "+    note: \"$${aws:username}: no\"",]
    );
    assert_eq!(append_resource(TEXT, None, "group", &block), Err(EditError::Taken("group".to_owned())));
}

#[test]
fn what_cannot_be_changed_alone_is_left_to_the_user() {
    let shared = "resources:\n  a: &a {kind: k, size: 1}\n  b: *a\n";
    assert_eq!(set(shared, None, "b", "size", &json!(2)), Err(EditError::ByHand("b.size".to_owned())));
    assert_eq!(set(TEXT, None, "nobody", "size", &json!(2)), Err(EditError::NoResource("nobody".to_owned())));
    assert_eq!(set("a: [", None, "b", "size", &json!(2)), Err(EditError::Unreadable));
}

#[test]
fn a_comment_at_the_end_of_a_block_stays_in_it() {
    let text = "resources:\n    one:\n        kind: k\n        # of one\n    # of nobody\n";
    let after = append_resource(text, None, "two", &json!({ "kind": "k" })).unwrap();
    let lines = "    two:\n      kind: k\n    # of nobody\n";
    assert_eq!(after, text.replace("    # of nobody\n", lines));
}

#[test]
fn an_environment_changes_in_its_overlay() {
    let text = "resources:\n  instance: {kind: k, class: small}\nenvironments:\n  prod:\n    target: aws\n";
    let changed = set(text, Some("prod"), "instance", "class", &json!("large")).unwrap();
    assert_eq!(changed, format!("{text}    resources: {{instance: {{class: large}}}}\n"));
    let again = set(&changed, Some("prod"), "instance", "class", &json!("huge")).unwrap();
    assert_eq!(again, changed.replace("large", "huge"));
    let ignored = ignore(&changed, Some("prod"), "instance", "class").unwrap();
    assert!(ignored.ends_with("{instance: {class: large, ignore: [class]}}\n"), "{ignored}");
    let taken = append_resource(text, Some("prod"), "more", &json!({ "kind": "k" })).unwrap();
    assert!(taken.ends_with("    resources:\n      more:\n        kind: k\n"), "{taken}");
    let base = ignore(text, None, "instance", "class").unwrap();
    let base = ignore(&base, None, "instance", "zone").unwrap();
    assert!(base.contains("{kind: k, class: small, ignore: [class, zone]}"), "{base}");
}

#[test]
fn the_first_resource_of_an_empty_file_gets_its_lines_and_long_values_theirs() {
    let text = "stack: s\nresources: {}\n# end\n";
    let block = json!({ "kind": "k", "settings": { "A": { "B": "x".repeat(60), "C": "y".repeat(60) }, "D": 1 } });
    let (x, y) = ("x".repeat(60), "y".repeat(60));
    assert_eq!(
        append_resource(text, None, "first", &block).unwrap(),
        format!(
            "stack: s\nresources:\n  first:\n    kind: k\n    settings:\n      A:\n        B: {x}\n        C: {y}\n      D: 1\n# end\n"
        )
    );
}
