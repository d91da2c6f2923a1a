//! `--env` and `towpath diff`: overlays, and two environments side by side in one account.

use serde_json::json;

use crate::aws::Aws;
use crate::env::TestEnvironment;

const STACK: &str = r"stack: duo
tags: {team: boats}
environments:
  staging: {}
  prod:
    tags: {team: null, tier: gold}
    resources:
      source: {settings: {heartbeat_enable: true, capture_ddls: null}}
      group: {ingress: [{port: 5439, from: 10.0.0.0/8}]}
      spare: null
      extra: {kind: s3/bucket, protect: false}
resources:
  source:
    kind: dms/endpoint
    direction: source
    engine: postgres
    connection: {url: {env: SOURCE_DATABASE_URL}}
    settings: {capture_ddls: false, max_file_size: 1000}
  group: {kind: ec2/security_group, description: boats, ingress: [{port: 5432, from: self}, {port: 80, from: self}]}
  spare: {kind: s3/bucket, protect: false}
";

fn duo() -> TestEnvironment {
    let project = TestEnvironment::empty();
    project.write("stacks/duo.yaml", STACK);
    project
}

fn endpoints(aws: &Aws) -> Vec<String> {
    let found = aws.dms("DescribeEndpoints", &json!({})).unwrap();
    let names = found["Endpoints"].as_array().into_iter().flatten();
    let mut names: Vec<_> =
        names.map(|one| one["EndpointIdentifier"].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn two_environments_are_compared_field_by_field() {
    let project = duo();
    let found = project.expect(3, &["diff", "prod"]);
    insta::assert_snapshot!(found.stdout, @"
      tags.tier: gold | -
      tags.team: - | boats
      source.settings.heartbeat_enable: true | -
      source.settings.capture_ddls: - | false
      group.ingress: [{port: 5439, from: 10.0.0.0/8}] | [{port: 5432, from: self}, {port: 80, from: self}]
      extra: only in prod
      spare: only in none
    ");
    assert!(found.stderr.contains("prod (stack `duo-prod`) against none (stack `duo`)"), "{}", found.stderr);
    let none = project.expect(0, &["diff", "staging"]);
    assert_eq!(none.stdout, "Nothing differs.\n");
    let json = project.expect(3, &["diff", "none", "prod", "--json"]);
    assert!(json.stdout.contains(r#""path":"spare""#), "{}", json.stdout);
    let unknown = project.expect(2, &["diff", "prd"]);
    assert!(unknown.stderr.contains("Did you mean `--env prod`?"), "{}", unknown.stderr);
}

#[test]
fn two_environments_of_one_account_own_nothing_in_common() {
    let project = duo();
    for environment in ["staging", "prod"] {
        project.expect(0, &["apply", "--yes", "--env", environment]);
    }
    project.expect(0, &["apply", "--yes"]);
    for arguments in [vec!["plan"], vec!["plan", "--env", "staging"], vec!["plan", "--env", "prod"]] {
        project.expect(0, &arguments);
    }
    let aws = Aws::of(&project);
    assert_eq!(endpoints(&aws), ["duo-prod-source", "duo-source", "duo-staging-source"]);
    let live = project.expect(3, &["diff", "staging", "prod", "--live"]);
    for line in ["extra: only in prod", "spare: only in staging", "source.settings.heartbeat_enable: false | true"] {
        assert!(live.stdout.contains(line), "{line}\n{}", live.stdout);
    }
    assert!(live.stdout.contains("group.ingress: ") && !live.stdout.contains("max_file_size"), "{}", live.stdout);
    assert_eq!(project.expect(0, &["diff", "staging", "none", "--live"]).stdout, "Nothing differs.\n");
    project.expect(0, &["destroy", "--yes", "--env", "prod"]);
    assert_eq!(endpoints(&aws), ["duo-source", "duo-staging-source"]);
    project.expect(0, &["plan"]);
    // A name that both write out is refused for the second, naming its owner.
    project.edit("stacks/duo.yaml", "  spare: {kind: s3/bucket,", "  spare: {kind: s3/bucket, name: dms-shared,");
    project.expect(0, &["apply", "--yes"]);
    let refused = project.expect(3, &["plan", "--env", "staging"]);
    assert!(refused.stdout.contains("resource `spare` of stack `duo`"), "{}", refused.stdout);
    // Unless one says that it is the same stack.
    project.edit("stacks/duo.yaml", "staging: {}", "staging: {stack: duo}");
    project.expect(0, &["plan", "--env", "staging"]);
}

#[test]
fn mistakes_of_an_overlay_are_told_at_their_place() {
    let project = duo();
    project.edit("stacks/duo.yaml", "      spare: null", "      spar: null");
    let unknown = project.expect(2, &["check", "--env", "prod"]);
    assert!(unknown.stderr.contains("stacks/duo.yaml:10:7"), "{}", unknown.stderr);
    let other = project.expect(2, &["check"]);
    assert!(other.stderr.contains("Did you mean `spare`?"), "{}", other.stderr);
    project.edit("stacks/duo.yaml", "      spar: null", "      spare: null");
    project.edit("stacks/duo.yaml", "  staging: {}", "  Staging: {}");
    let name = project.expect(2, &["check", "--env", "Staging"]);
    assert!(name.stderr.contains("makes the stack `duo-Staging`, which is no name of a stack"), "{}", name.stderr);
}
