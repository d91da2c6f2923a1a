//! Generated files are committed and fresh. `TOWPATH_BLESS=1` writes them again.

use std::path::{Path, PathBuf};

use crate::env::TestEnvironment;

fn fresh(path: &Path, wanted: &str) {
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is stale; write it again with: TOWPATH_BLESS=1 cargo test --test it generated",
        path.display()
    );
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[test]
fn the_schema_for_editors_is_fresh() {
    let schema = TestEnvironment::empty().expect(0, &["schema"]).stdout;
    fresh(&docs().join("stack.schema.json"), &schema);
}

#[test]
fn the_reference_pages_are_fresh() {
    let environment = TestEnvironment::empty();
    let list = environment.expect(0, &["explain"]).stdout;
    let kinds: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(kinds.contains(&"dms/endpoint"), "{list}");
    for kind in &kinds {
        let page = environment.expect(0, &["explain", kind]).stdout;
        fresh(&docs().join("kinds").join(format!("{}.md", kind.replace('/', "_"))), &page);
    }
    for entry in std::fs::read_dir(docs().join("kinds")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let known = kinds.iter().any(|kind| name == format!("{}.md", kind.replace('/', "_")));
        assert!(known, "docs/kinds/{name} is the page of no kind");
    }
}
