//! The invariants of ARCHITECTURE.md that a compiler does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The names under a table of a manifest.
fn dependencies(manifest: &str, table: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    text.lines()
        .skip_while(|line| line.trim() != format!("[{table}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "testing")
}

#[test]
fn only_the_aws_crate_names_an_sdk() {
    for manifest in ["Cargo.toml", "crates/engine/Cargo.toml", "crates/sandbox/Cargo.toml"] {
        let sdk: Vec<_> = dependencies(manifest, "dependencies")
            .union(&dependencies(manifest, "dev-dependencies"))
            .filter(|name| name.starts_with("aws-"))
            .cloned()
            .collect();
        assert!(sdk.is_empty(), "{manifest} names {sdk:?}");
    }
}

#[test]
fn the_engine_and_the_sandbox_depend_on_nothing_of_ours() {
    for manifest in ["crates/engine/Cargo.toml", "crates/sandbox/Cargo.toml"] {
        for table in ["dependencies", "dev-dependencies"] {
            let ours: Vec<_> =
                dependencies(manifest, table).into_iter().filter(|name| name.starts_with("towpath")).collect();
            assert!(ours.is_empty(), "{manifest} [{table}] names {ours:?}");
        }
    }
    let aws: Vec<_> = dependencies("crates/aws/Cargo.toml", "dependencies")
        .into_iter()
        .filter(|name| name.starts_with("towpath"))
        .collect();
    assert_eq!(aws, ["towpath-engine"], "the client crate may know the sandbox in its tests only");
}

#[test]
fn the_engine_knows_no_terminal() {
    let names = dependencies("crates/engine/Cargo.toml", "dependencies");
    for name in ["clap", "indicatif", "annotate-snippets", "dotenvy", "tracing-subscriber", "console"] {
        assert!(!names.contains(name), "the engine depends on {name}");
    }
}

/// Which module of the root package may use which.
const ARROWS: &[(&str, &[&str])] = &[
    ("cli", &["report", "migrate", "models", "database", "upload", "validate", "sample"]),
    ("report", &["database", "migrate", "models", "upload", "validate"]),
    ("migrate", &["database", "upload"]),
    ("upload", &["database"]),
    ("validate", &["database"]),
    ("models", &["database"]),
    ("database", &[]),
    ("sample", &[]),
];

#[test]
fn modules_of_the_program_use_only_what_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let pattern = regex::Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let relative = path.strip_prefix(root().join("src")).unwrap();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if matches!(module.as_str(), "lib" | "main") || is_test(&path) {
            continue;
        }
        let may = allowed.get(module.as_str()).unwrap_or_else(|| panic!("no row for `{module}` in ARROWS"));
        let product = text.split("#[cfg(test)]").next().unwrap();
        for used in pattern.captures_iter(product).map(|capture| capture[1].to_owned()) {
            if used != module && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn reports_see_values_only() {
    for (path, text) in sources("src/report").into_iter().filter(|(path, _)| !is_test(path)) {
        for word in ["towpath_aws", "towpath_sandbox", "towpath_engine::journal", "towpath_engine::apply"] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn every_module_says_what_it_does() {
    for folder in ["src", "crates/engine/src", "crates/aws/src", "crates/sandbox/src", "tests/it"] {
        for (path, text) in sources(folder) {
            let is_plain_test = path.ends_with("tests.rs");
            assert!(text.starts_with("//!") || is_plain_test, "{} does not open with `//!`", path.display());
        }
    }
}

#[test]
fn long_files_say_why_they_are_long() {
    for folder in ["src", "crates/engine/src", "crates/aws/src", "crates/sandbox/src"] {
        for (path, text) in sources(folder).into_iter().filter(|(path, _)| !is_test(path)) {
            let product = text.split("#[cfg(test)]").next().unwrap();
            let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
            assert!(
                product.lines().count() <= 500 || header.contains("Long because"),
                "{} has {} lines and does not say why",
                path.display(),
                product.lines().count()
            );
        }
    }
}

#[test]
fn no_test_module_is_forgotten() {
    let main = std::fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "rs") && name != "main" {
            assert!(main.contains(&format!("mod {name};")), "tests/it/main.rs does not name `{name}`");
        }
    }
}

/// A command to type next keeps to the stack, environment and place of the one that names it: `Session::command` writes
/// it. Only help, and what needs no stack, spells one out.
#[test]
fn commands_to_type_next_are_written_in_one_place() {
    let about_a_stack = regex::Regex::new(
        r"towpath (check|doctor|cost|graph|plan|apply|destroy|drift|diff|adopt|recover|status|upload|migrate|validate|models|up|down|reap)\b",
    )
    .unwrap();
    let begins = "To see what it would build: towpath plan";
    let spelled: Vec<String> = sources("src/cli")
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .flat_map(|(path, text)| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.into_iter().map(move |line| format!("{}: {}", path.display(), line.trim()))
        })
        .filter(|line| about_a_stack.is_match(line) && !line.contains(": //") && !line.contains("after_help"))
        .filter(|line| !line.contains(begins))
        .collect();
    assert!(spelled.is_empty(), "{spelled:#?}");
}

#[test]
fn every_event_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/events.md")).unwrap();
    let named: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next()).collect();
    let named: BTreeSet<&str> = named.iter().flat_map(|cell| cell.trim_end_matches('`').split("`, `")).collect();
    let mut written: BTreeSet<String> = BTreeSet::new();
    for (_, text) in sources("src") {
        for call in text.split(".json(").skip(1) {
            let kind = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            written.extend(kind.map(str::to_owned));
        }
    }
    assert!(written.len() > 20, "{written:?}");
    let events = sources("crates/engine/src").into_iter().find(|(path, _)| path.ends_with("event.rs")).unwrap().1;
    let variants = events.split("pub enum EventKind {").nth(1).unwrap().lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.strip_suffix(" {")?;
        name.starts_with(char::is_uppercase).then(|| snake(name))
    });
    written.extend(variants);
    let missing: Vec<_> = written.iter().filter(|kind| !named.contains(kind.as_str())).collect();
    assert!(missing.is_empty(), "docs/events.md does not name {missing:?}");
}

fn snake(name: &str) -> String {
    name.chars().enumerate().fold(String::new(), |text, (at, letter)| {
        let between = if at > 0 && letter.is_uppercase() { "_" } else { "" };
        format!("{text}{between}{}", letter.to_lowercase())
    })
}
