//! One mistake each, planted into the good file.

use proptest::prelude::*;

use super::{GOOD, load_with};
use crate::diag::{Diagnostic, Diagnostics};

/// The file with one part replaced, loaded.
fn planted(from: &str, to: &str) -> Diagnostics {
    assert!(GOOD.contains(from), "the good file has no {from:?}");
    let (stack, found) = load_with(&GOOD.replacen(from, to, 1), None);
    assert!(stack.is_none(), "{to:?} was taken");
    found
}

/// The only diagnostic, as `code line:column text-at-the-place | label | help`.
fn told(from: &str, to: &str) -> String {
    let found = planted(from, to);
    let all: Vec<String> = found.iter().map(shown).collect();
    all.join("\n")
}

fn shown(diagnostic: &Diagnostic) -> String {
    let (span, label) = &diagnostic.labels[0];
    let (line, column) = span.line_column();
    let at = &span.source.text[span.range.clone()];
    let help = diagnostic.help.as_deref().unwrap_or("-");
    format!("{} {line}:{column} {at:?} | {label} | {help}", diagnostic.code)
}

/// Every planted mistake with what is told about it.
#[test]
fn every_planted_mistake_is_told_at_its_place_with_a_way_out() {
    let cases = [
        ("class: ${var.class}", "clas: dms.t3.medium"),
        ("    class: ${var.class}\n", ""),
        ("class: ${var.class}", "class: [dms.t3.medium]"),
        ("class: ${var.class}", "class: t3.medium"),
        ("class: ${var.class}", "class: dms.${var.clas}"),
        ("storage_gb: ${var.storage}", "storage_gb: 2"),
        ("storage_gb: ${var.storage}", "storage_gb: lots"),
        ("storage_gb: ${var.storage}", "storage_gb: ${env.USER_NAME}"),
        ("storage_gb: ${var.storage}", "engine_version: 3.5"),
        ("storage_gb: ${var.storage}", "apply: nowe"),
        ("storage_gb: ${var.storage}", "name: a-name-of-more-than-24-characters"),
        ("kind: dms/endpoint", "kind: dms/endpiont"),
        ("kind: dms/endpoint", "kind: endpoint"),
        ("    kind: dms/endpoint\n", ""),
        ("[group, sg-0123]", "[grupo]"),
        ("[group, sg-0123]", "[source]"),
        ("[group, sg-0123]", "group"),
        ("protect: true", "after: instance"),
        ("protect: true", "protect: yes"),
        ("class: ${var.class}", "class:"),
        ("kind: dms/endpoint", "kind: [dms/endpoint]"),
        ("tags: {team: data, year: 2026}", "tags: data"),
        ("public: # nothing is written, so the default holds", "depends_on: [load]"),
        ("from: self", "from: group"),
        ("from: self", "from: sefl"),
        ("port: 5432", "port: 70000"),
        ("10.0.0.0/8", "10.0.0.1/8"),
        ("10.0.0.0/8", "10.0.0.1"),
        ("description: talk here", r#"description: """#),
        ("{env: SOURCE_DATABASE_URL}", "postgres://ada:hunter2@host/club"),
        ("{env: SOURCE_DATABASE_URL}", "{enf: SOURCE_DATABASE_URL}"),
        ("admin: managed", "admin: manged"),
        ("admin: managed", "admin: {username: ada, password: hunter2}"),
        ("admin: managed", "admin: {username: ada}"),
        ("engine: postgres", "engine: postgresql"),
        ("${env.USER_NAME}", "${env.EMPTY}"),
        ("${env.USER_NAME}", "${env.SOURCE_DATABSE_URL}"),
        ("${env.USER_NAME}", "${user}"),
        (r#"tables: [{schema: public, include: ["%"]}]"#, r#"tables: [{schema: public, inclde: ["%"]}]"#),
        (r#"tables: [{schema: public, include: ["%"]}]"#, "tables: 5"),
        ("    depends_on: [source]", "    settings: {Loging: {}}"),
        ("    depends_on: [source]", "    depends_on: [sorce]"),
        ("    depends_on: [source]", "    depends_on: [load]"),
        ("instance: instance\n", "instance: instance\n    instance: other\n"),
        ("  load:\n", "\tload:\n"),
        ("stack: club", "stack: Club!"),
        ("stack: club\n", ""),
        ("target: sandbox", "target: sandbx"),
        ("expires: 8h", "expires: 8 hours"),
        ("account: 111122223333", "account: 1111"),
        ("{team: data", "{towpath:stack: data"),
        ("pipeline:", "pipelines:"),
        ("into: source", "into: group"),
        ("task: load", "task: laod"),
        ("validate: {}", "validate: {level: row}"),
        ("sample: {name: club}", "sample: {scale: 0}"),
        ("{old_load: load}", "{source: load}"),
        ("{instance: {class: dms.r6i.large", "{instanse: {class: dms.r6i.large"),
        ("resources:\n  group", "resources:\n  Group"),
        ("stack: club", "stack: [club"),
        ("aws: {region", "aws: !!map {region"),
    ];
    let told: Vec<String> = cases.iter().map(|(from, to)| format!("{from} -> {to}\n{}\n", told(from, to))).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn mistakes_are_all_told_at_once_and_in_the_order_of_the_file() {
    let text = GOOD
        .replace("target: sandbox", "target: sandbx")
        .replace("storage_gb: ${var.storage}", "storage: 50")
        .replace("engine: postgres", "engine: mysql")
        .replace("task: load", "task: laod");
    let (_, found) = load_with(&text, None);
    let codes: Vec<&str> = found.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["not-in-list", "unknown-field", "not-in-list", "unknown-reference"]);
}

#[test]
fn a_circle_is_told_once_with_the_place_of_each_of_its_references() {
    let found = planted("protect: true", "depends_on: [load]");
    let cycle = found.iter().next().unwrap();
    assert_eq!(cycle.detail.as_deref(), Some("None of them could be made first: instance → load → instance."));
    let labels: Vec<&str> = cycle.labels.iter().map(|(_, label)| label.as_str()).collect();
    assert_eq!(labels, ["`instance` needs `load`", "`load` needs `instance`"]);
}

#[test]
fn a_literal_secret_is_in_no_text_that_could_be_shown() {
    let text = GOOD
        .replace("{env: SOURCE_DATABASE_URL}", "postgres://ada:hunter2@host/club, port: many")
        .replace("admin: managed", "admin: {username: ada, password: hünter3}");
    let (_, found) = load_with(&text, None);
    assert_eq!(found.len(), 3);
    let everything = format!("{found:?}");
    assert!(!everything.contains("hunter2") && !everything.contains("nter3"), "{everything}");
}

#[test]
fn a_password_in_a_url_is_refused_wherever_it_stands() {
    for text in [
        GOOD.replace("a $${literal} of ${env.USER_NAME}", "postgres://ada:hunter2@host/club"),
        GOOD.replace("a $${literal} of ${env.USER_NAME}", "postgres://ada:hunter2${env.USER_NAME}@host/club"),
    ] {
        let (stack, found) = load_with(&text, None);
        assert!(stack.is_none());
        assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["literal-secret"]);
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}

#[test]
fn every_line_that_is_indented_with_a_tab_is_named() {
    let text =
        GOOD.replace("    class: ${var.class}", "\tclass: x").replace("    engine: postgres", "\tengine: postgres");
    let (stack, found) = load_with(&text, None);
    assert!(stack.is_none());
    let one = found.iter().next().unwrap();
    assert_eq!((one.code, one.labels.len()), ("tab-indentation", 2));
}

#[test]
fn a_merge_key_is_named_with_what_to_do_instead_and_nothing_follows_from_it() {
    let text = GOOD.replace("protect: true", "<<: {protect: true}");
    let (stack, found) = load_with(&text, None);
    assert!(stack.is_none());
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["merge-key"]);
    assert!(found.iter().next().unwrap().help.as_deref().unwrap().contains("share single values"));
}

#[test]
fn a_resource_written_twice_is_told_once_without_the_references_that_miss_it() {
    let text = GOOD.replace("\n  source:", "\n  instance:");
    assert_ne!(text, GOOD);
    let (stack, found) = load_with(&text, None);
    assert!(stack.is_none());
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["duplicate-key"], "{found:#?}");
}

#[test]
fn an_environment_that_is_not_there_is_told_with_the_nearest() {
    let (stack, found) = load_with(GOOD, Some("prd"));
    assert!(stack.is_none());
    assert_eq!(found.iter().next().unwrap().help.as_deref(), Some("Did you mean `--env prod`?"));
}

#[test]
fn aliases_cannot_multiply_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        let line = format!("a{level}: &a{level} [{before}]\n");
        text.push_str(&line);
    }
    let (stack, found) = load_with(&text, None);
    assert!(stack.is_none());
    assert!(found.iter().any(|diagnostic| diagnostic.code == "too-large"));
}

/// One change of a text: what is taken out and what is put in.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let put_in = prop_oneof![
        "[\\[\\]{}:,#&*!|>'\"%@\\-\\?\n\t ~$]{0,3}",
        "\\PC{0,4}",
        Just("${env.".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{feff}".to_owned()),
    ];
    (any::<prop::sample::Index>(), 0..6usize, put_in)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic_and_every_place_is_inside_the_file(
        mutations in prop::collection::vec(mutation(), 1..6),
        environment in prop::option::of(Just("prod")),
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, taken, put_in) in mutations {
            let start = at.index(text.len() + 1);
            text.splice(start..(start + taken).min(text.len()), put_in.chars());
        }
        let text: String = text.into_iter().collect();
        let (stack, found) = load_with(&text, environment);
        prop_assert_eq!(stack.is_none(), found.has_errors());
        for (span, _) in found.iter().flat_map(|diagnostic| &diagnostic.labels) {
            prop_assert!(span.source.text.get(span.range.clone()).is_some(), "{:?} in {text:?}", span.range);
        }
    }
}
