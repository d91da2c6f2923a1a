//! The block `pipeline:`: what `up` does after `apply`, with the names of resources checked.

use std::collections::BTreeMap;

use super::graph::Names;
use super::header::{is_block, known_keys, missing, start, text, texts, word, wrong_type};
use super::yaml::{Node, Tree};
use super::{Migrate, Models, Pipeline, Sample, Upload, Validate};
use crate::diag::{Diagnostic, Diagnostics};

/// Reads the block; parts with a mistake are left out.
pub(crate) fn pipeline(node: &Node, names: &Names<'_>, found: &mut Diagnostics) -> Pipeline {
    if !is_block(node, found) {
        return Pipeline::default();
    }
    known_keys(node, &["upload", "migrate", "validate", "models"], "`pipeline`", found);
    let reader = |key: &str| node.get(key).map(|block| (block, format!("`pipeline.{key}`")));
    let upload = reader("upload").and_then(|(block, what)| upload(&mut Reader { block, what, names, found }));
    let migrate = reader("migrate").and_then(|(block, what)| migrate(&mut Reader { block, what, names, found }));
    let validate = reader("validate").and_then(|(block, what)| validate(&mut Reader { block, what, names, found }));
    let models = reader("models").and_then(|(block, what)| models(&mut Reader { block, what, names, found }));
    Pipeline { upload, migrate, validate, models }
}

fn upload(reader: &mut Reader<'_, '_>) -> Option<Upload> {
    reader.open(&["from", "into", "schema", "types", "sample"])?;
    let from = reader.required("from");
    let into = reader.resource("into", &["dms/endpoint"]);
    let schema = reader.optional("schema").unwrap_or_else(|| "public".to_owned());
    let types = reader.types();
    let sample = reader.sample();
    Some(Upload { from: from?, into: into?, schema, types, sample })
}

fn migrate(reader: &mut Reader<'_, '_>) -> Option<Migrate> {
    reader.open(&["task"])?;
    Some(Migrate { task: reader.resource("task", &["dms/replication_task", "dms/replication_config"])? })
}

fn validate(reader: &mut Reader<'_, '_>) -> Option<Validate> {
    reader.open(&["level"])?;
    let level = reader.block.get("level");
    let level = level.map_or(Some("rows"), |node| word(node, &["counts", "columns", "rows"], reader.found))?;
    Some(Validate { level: level.to_owned() })
}

fn models(reader: &mut Reader<'_, '_>) -> Option<Models> {
    reader.open(&["project", "warehouse", "schema"])?;
    let project = reader.required("project");
    let warehouse = reader.resource("warehouse", &["redshift/workgroup"]);
    let schema = reader.optional("schema").unwrap_or_else(|| "analytics".to_owned());
    Some(Models { project: project?, warehouse: warehouse?, schema })
}

/// One part of the pipeline while it is read.
struct Reader<'n, 'd> {
    block: &'n Node,
    what: String,
    names: &'n Names<'n>,
    found: &'d mut Diagnostics,
}

impl Reader<'_, '_> {
    fn open(&mut self, known: &[&str]) -> Option<()> {
        let is_map = is_block(self.block, self.found);
        known_keys(self.block, known, &self.what, self.found);
        is_map.then_some(())
    }

    fn optional(&mut self, key: &str) -> Option<String> {
        self.block.get(key).and_then(|node| text(node, self.found))
    }

    fn required(&mut self, key: &str) -> Option<String> {
        if self.block.get(key).is_none() {
            self.found.push(missing(key, &self.what, start(self.block)));
        }
        self.optional(key)
    }

    fn resource(&mut self, key: &str, kinds: &[&str]) -> Option<String> {
        let name = self.required(key)?;
        let node = self.block.get(key)?;
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        match self.names.accept(&name, &kinds, &node.span) {
            Ok(()) => Some(name),
            Err(diagnostic) => {
                self.found.push(*diagnostic);
                None
            }
        }
    }

    fn types(&mut self) -> BTreeMap<String, BTreeMap<String, String>> {
        let Some(node) = self.block.get("types").filter(|node| is_block(node, self.found)) else {
            return BTreeMap::new();
        };
        let columns = |node: &Node, found: &mut Diagnostics| {
            texts(node, found).into_iter().map(|(entry, value)| (entry.key.clone(), value)).collect()
        };
        node.entries().iter().map(|entry| (entry.key.clone(), columns(&entry.value, self.found))).collect()
    }

    fn sample(&mut self) -> Option<Sample> {
        let node = self.block.get("sample").filter(|node| is_block(node, self.found))?;
        let what = "`pipeline.upload.sample`";
        known_keys(node, &["name", "scale", "seed"], what, self.found);
        if node.get("name").is_none() {
            self.found.push(missing("name", what, start(node)));
        }
        let name = node.get("name").and_then(|node| text(node, self.found));
        let scale = node.get("scale").map_or(Some(1), |node| number(node, 1, 1000, self.found));
        let seed = node.get("seed").map_or(Some(7), |node| number(node, 0, i64::MAX, self.found));
        Some(Sample { name: name?, scale: u32::try_from(scale?).ok()?, seed: seed? })
    }
}

fn number(node: &Node, low: i64, high: i64, found: &mut Diagnostics) -> Option<u64> {
    let value = match &node.tree {
        Tree::Integer(value) => Some(*value),
        Tree::Text(text) if node.interpolated => text.trim().parse().ok(),
        _ => None,
    };
    let Some(value) = value else {
        found.push(wrong_type(node, "a whole number"));
        return None;
    };
    if !(low..=high).contains(&value) {
        let label = format!("not between {low} and {high}");
        found.push(Diagnostic::error("out-of-range", "A number is out of range", node.span.clone(), label));
        return None;
    }
    u64::try_from(value).ok()
}
