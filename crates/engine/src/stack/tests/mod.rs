//! Loading: what a good file becomes, and what every planted mistake is told as.

mod kinds;
mod mistakes;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use self::kinds::{place, registry, spec};
use super::*;
use crate::diag::{Diagnostics, Source};

const GOOD: &str = r#"stack: club
target: sandbox
aws: {region: eu-north-1, account: 111122223333}
tags: {team: data, year: 2026}
expires: 8h
variables: {class: dms.t3.medium, storage: 50}

environments:
  prod:
    target: aws
    resources: {instance: {class: dms.r6i.large, public: false}}

resources:
  group:
    kind: ec2/security_group
    description: talk here
    ingress:
      - {port: 5432, from: self}
      - {port: 5439, cidr: 10.0.0.0/8}
  instance:
    kind: dms/replication_instance
    class: ${var.class}
    storage_gb: ${var.storage}
    security_groups: [group, sg-0123]
    public: # nothing is written, so the default holds
    protect: true
  source:
    kind: dms/endpoint
    engine: postgres
    connection: {url: {env: SOURCE_DATABASE_URL}}
    admin: managed
    attributes: {note: "a $${literal} of ${env.USER_NAME}"}
  load:
    kind: dms/replication_task
    instance: instance
    tables: [{schema: public, include: ["%"]}]
    depends_on: [source]

pipeline:
  upload: {from: data/club, into: source, sample: {name: club}}
  migrate: {task: load}
  validate: {}
moved: {old_load: load}
"#;

fn variables(name: &str) -> Option<String> {
    match name {
        "USER_NAME" => Some("ada".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn load_with(text: &str, environment: Option<&str>) -> (Option<Stack>, Diagnostics) {
    let source = Arc::new(Source { path: "club.yaml".to_owned(), text: text.to_owned() });
    let template = ["SOURCE_DATABASE_URL".to_owned()];
    let input = LoadInput {
        source,
        environment,
        target: None,
        variables: &variables,
        vars: BTreeMap::new(),
        template: &template,
    };
    load(&input, &registry(), &place())
}

fn good(environment: Option<&str>) -> Stack {
    let (stack, found) = load_with(GOOD, environment);
    stack.unwrap_or_else(|| panic!("{found:#?}"))
}

#[test]
fn a_good_file_becomes_a_stack_with_markers_for_references() {
    let stack = good(None);
    assert_eq!((stack.name.as_str(), stack.target, stack.expires), ("club", Target::Sandbox, Some(8 * 3600)));
    assert_eq!(stack.account.as_deref(), Some("111122223333"));
    assert_eq!(stack.tags["year"], "2026");
    assert_eq!(
        spec(&stack, "instance"),
        json!({
            "class": "dms.t3.medium", "storage_gb": 50,
            "security_groups": [{ "$ref": { "resource": "group", "attribute": "id" } }, "sg-0123"],
        })
    );
    assert_eq!(spec(&stack, "group")["ingress"][0]["from"], json!("self"));
    assert_eq!(spec(&stack, "source")["attributes"]["note"], json!("a ${literal} of ada"));
    assert_eq!(stack.resources["instance"].protect, Some(true));
    assert_eq!(stack.resources["load"].needs(), vec!["instance", "source"]);
    assert_eq!(stack.secret_variables[0].name, "SOURCE_DATABASE_URL");
    assert_eq!(stack.secret_variables[0].resource, "source");
    assert_eq!(stack.moved["old_load"], "load");
}

#[test]
fn timeouts_are_read_in_seconds_and_change_the_hash() {
    let with = |timeouts: &str| GOOD.replace("protect: true", &format!("protect: true\n    timeouts: {timeouts}"));
    let (stack, found) = load_with(&with("{create: 40m, stop: 90s}"), None);
    let stack = stack.unwrap_or_else(|| panic!("{found:#?}"));
    let timeouts = stack.resources["instance"].timeouts;
    assert_eq!(timeouts, Timeouts { create: Some(2400), stop: Some(90), ..Timeouts::default() });
    assert_ne!(stack_hash(&good(None)), stack_hash(&stack));
    for wrong in ["40m", "{create: 40}", "{creat: 40m}", "{create: 2d}"] {
        let (stack, found) = load_with(&with(wrong), None);
        assert!(stack.is_none() && !found.is_empty(), "{wrong}");
    }
}

#[test]
fn parts_of_the_pipeline_have_their_defaults() {
    let pipeline = good(None).pipeline;
    let upload = pipeline.upload.unwrap();
    assert_eq!((upload.schema.as_str(), upload.into.as_str()), ("public", "source"));
    assert_eq!(upload.sample, Some(Sample { name: "club".to_owned(), scale: 1, seed: 7 }));
    assert_eq!(pipeline.validate.unwrap().level, "rows");
    assert!(pipeline.models.is_none());
}

#[test]
fn an_expression_stands_for_a_switch_or_a_number_too() {
    let text = GOOD
        .replace("variables: {", "variables: {no_risk: true, many: 3, ")
        .replace("protect: true", "protect: ${var.no_risk}")
        .replace("{name: club}", "{name: club, scale: \"${var.many}\"}");
    let (stack, found) = load_with(&text, None);
    let stack = stack.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(stack.resources["instance"].protect, Some(true));
    assert_eq!(stack.pipeline.upload.unwrap().sample.unwrap().scale, 3);
}

#[test]
fn an_environment_is_laid_over_deeply() {
    let text = GOOD.replace("{env: SOURCE_DATABASE_URL}", "{env: USER_NAME}");
    let (stack, found) = load_with(&text, Some("prod"));
    let stack = stack.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(stack.target, Target::Aws);
    let instance = spec(&stack, "instance");
    assert_eq!((&instance["class"], &instance["storage_gb"]), (&json!("dms.r6i.large"), &json!(50)));
}

#[test]
fn a_secret_whose_variable_is_not_set_is_no_mistake_of_the_file() {
    for environment in [None, Some("prod")] {
        let (stack, found) = load_with(&GOOD.replace("SOURCE_DATABASE_URL", "NOT_SET"), environment);
        assert!(found.is_empty(), "{found:?}");
        let variables = stack.unwrap().secret_variables;
        assert_eq!(variables.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["NOT_SET"]);
    }
}

#[test]
fn the_hash_follows_what_is_written_and_not_how() {
    let commented = GOOD.replace("stack: club", "# a comment\nstack: \"club\"");
    let (other, _) = load_with(&commented, None);
    assert_eq!(stack_hash(&good(None)), stack_hash(&other.unwrap()));
    let (changed, _) = load_with(&GOOD.replace("8h", "9h"), None);
    assert_ne!(stack_hash(&good(None)), stack_hash(&changed.unwrap()));
}
