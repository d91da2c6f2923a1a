//! Rendering, with made-up mistakes and with mistakes planted into the club's stack.

use std::collections::BTreeMap;
use std::sync::Arc;

use towpath_aws::cloud::Cloud;
use towpath_aws::kinds;
use towpath_engine::diag::Source;
use towpath_engine::kind::Place;
use towpath_engine::stack::{LoadInput, Stack, load};

use super::*;

fn span(source: &Arc<Source>, text: &str) -> Span {
    let start = source.text.find(text).unwrap();
    Span { source: Arc::clone(source), range: start..start + text.len() }
}

fn source() -> Arc<Source> {
    let text = "stack: club\nresources:\n  a:\n    clas: dms.t3.medium\n  b: {\n    x: 1 }\n";
    Arc::new(Source { path: "stacks/club.yaml".to_owned(), text: text.to_owned() })
}

#[test]
fn an_error_shows_what_where_why_and_the_way_out() {
    let source = source();
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(
        Diagnostic::error("unknown-field", "A field is not known", span(&source, "clas:"), "unknown field")
            .with_label(span(&source, "{\n    x: 1 }"), "here it is right")
            .with_detail("There is no `clas` in `dms/replication_instance`.")
            .with_help("Did you mean `class`?"),
    );
    insta::assert_snapshot!(render(&diagnostics, Color::Off));
    assert!(render(&diagnostics, Color::On).contains("\u{1b}["));
}

#[test]
fn nothing_wrong_is_no_text_and_places_beyond_the_end_do_no_harm() {
    assert_eq!(render(&Diagnostics::default(), Color::Off), "");
    let beyond = Span { source: source(), range: 1000..1001 };
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(Diagnostic::error("yaml-syntax", "The file is not valid YAML", beyond, "here"));
    assert!(render(&diagnostics, Color::Off).contains("stacks/club.yaml"));
}

const CLUB: &str = include_str!("../../../stacks/club.yaml");

/// The club's stack with the real kinds, nothing of it read from a cloud.
fn loaded(text: &str, environment: Option<&str>) -> (Option<Stack>, Diagnostics) {
    let place = Place {
        stack: String::new(),
        account: "111122223333".to_owned(),
        region: "eu-north-1".to_owned(),
        partition: "aws".to_owned(),
    };
    let variables = |name: &str| (name == "SOURCE_DATABASE_URL").then(|| "postgres://club@localhost/club".to_owned());
    let input = LoadInput {
        source: Arc::new(Source { path: "stacks/club.yaml".to_owned(), text: text.to_owned() }),
        environment,
        target: None,
        variables: &variables,
        vars: BTreeMap::new(),
        template: &[],
    };
    load(&input, &kinds::registry(&Cloud::offline()), &place)
}

#[test]
fn the_club_has_no_mistake_in_any_environment() {
    for environment in [None, Some("aws"), Some("prod")] {
        let (stack, found) = loaded(CLUB, environment);
        assert_eq!(render(&found, Color::Off), "");
        assert_eq!(stack.unwrap().resources.len(), 15);
    }
}

#[test]
fn mistakes_in_the_club_are_shown_with_excerpt_reason_and_way_out() {
    let cases = [
        ("class: dms.t3.medium", "clas: dms.t3.medium"),
        ("    class: dms.t3.medium\n", ""),
        ("storage_gb: 50", "storage_gb: 7000"),
        ("storage_gb: 50", "storage_gb: 50 GB"),
        ("public: false", "public: no"),
        ("subnet_group: subnets", "subnet_group: subnet"),
        ("subnet_group: subnets", "subnet_group: workgroup"),
        ("vpc: default", "vpc: defualt"),
        ("{port: 5432, from: self}", "{port: 5432, from: 10.0.0.300/8}"),
        ("{port: 5432, from: self}", "{port: 543200, from: self}"),
        ("{port: 5432, from: self}", "{port: 5432, form: self}"),
        ("{port: 5432, from: self}", "{port: 5432, from: pipeline_sgs}"),
        ("preset: dms-vpc-role", "preset: dms-vpc-rolle"),
        ("preset: dms-vpc-role", "preset: dms-access-for-endpoint"),
        ("name: ${var.bucket}", "name: ${var.buckets}"),
        ("kind: s3/bucket", "kind: s3/buckett"),
        ("admin: managed", "admin: {username: ada, password: Sesame123}"),
        ("roles: [dms_access]", "roles: dms_access"),
        ("roles: [dms_access]", "roles: [staging]"),
        ("base_rpu: 8", "base_rpu: 9"),
        ("engine: postgres\n", "engine: postgresql\n"),
        ("{url: {env: SOURCE_DATABASE_URL}}", "{url: postgres://ada:sesame@host/club}"),
        ("    direction: source\n", ""),
        ("mode: full-load  ", "mode: full_load  "),
        ("- {schema: public, include", "- {shema: public, include"),
        ("    source: source\n", ""),
        ("security_groups: [pipeline_sg]\n    public", "security_groups: [sg-0123, pipeline]\n    public"),
        ("engine: redshift, from: workgroup", "engine: redshift, from: warehouse"),
        ("depends_on: [dms_vpc_role] ", "depends_on: [instance] "),
        ("into: source", "into: load"),
        ("level: rows", "level: row"),
    ];
    let mut shown = String::new();
    for (from, to) in cases {
        assert!(CLUB.contains(from), "the club has no {from:?}");
        let (stack, found) = loaded(&CLUB.replacen(from, to, 1), None);
        assert!(stack.is_none(), "{to:?} was taken");
        shown += &render(&found, Color::Off);
    }
    assert!(!shown.to_lowercase().contains("sesame"));
    insta::assert_snapshot!(shown);
}

#[test]
fn the_schema_for_editors_is_that_of_the_kinds() {
    let schema = towpath_engine::schema::of(&kinds::registry(&Cloud::offline()));
    let committed: serde_json::Value = serde_json::from_str(include_str!("../../../docs/stack.schema.json")).unwrap();
    assert!(schema == committed, "write it again: `cargo run -- schema > docs/stack.schema.json`");
}
