//! Reads a dbt project from its folder: files, settings, properties, and what depends on what.
//!
//! Every mistake is collected. Start at [`Project::load`]; `assemble.rs` turns the files into nodes.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::assemble;
use super::context::Basis;
use super::fault::{ModelError, Place};
use super::jinja::{BUILTIN, Jinja, MacroFile};
use super::node::{Node, NodeKind, Source};
use super::properties::{ProjectFile, PropertiesFile, read};
use super::settings::Settings;

/// A project as loaded: every node resolved, nothing run.
pub struct Project {
    /// Its name in `dbt_project.yml`.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Models, seeds, tests and analyses that are enabled.
    pub nodes: Vec<Node>,
    /// The tables it reads that others make.
    pub sources: Vec<Source>,
    /// Remarks that stop nothing, such as folder settings that match no file.
    pub warnings: Vec<ModelError>,
    pub(super) on_run_start: Vec<String>,
    pub(super) on_run_end: Vec<String>,
    pub(super) basis: Arc<Basis>,
    pub(super) by_name: HashMap<String, Vec<usize>>,
}

impl std::fmt::Debug for Project {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Project({}, {} nodes)", self.name, self.nodes.len())
    }
}

/// The files of one package, read.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) file: ProjectFile,
    pub(super) project_file_path: String,
    /// Path from the project's folder, path from its own root folder without extension, text.
    pub(super) files: Vec<SourceFile>,
    /// Properties files: path and text.
    pub(super) properties: Vec<(String, String, PropertiesFile)>,
}

/// A file that becomes a node.
pub(super) struct SourceFile {
    pub(super) kind: NodeKind,
    pub(super) path: String,
    /// Folders below the models (seeds, …) folder, and the file's stem.
    pub(super) parts: Vec<String>,
    pub(super) text: String,
}

impl Project {
    /// Reads the project in `folder` for these settings, or says everything that is wrong with it.
    pub fn load(folder: &Path, settings: Settings) -> Result<Self, Vec<ModelError>> {
        let mut errors = Vec::new();
        let mut macro_files = vec![MacroFile {
            package: BUILTIN.into(),
            path: "dbt/macros.sql".into(),
            text: include_str!("builtin/macros.sql").into(),
        }];
        let Some(root) = read_package(folder, folder, &mut macro_files, &mut errors) else { return Err(errors) };
        let mut packages = vec![root];
        read_installed(folder, &packages[0].file.clone(), &mut packages, &mut macro_files, &mut errors);
        let root = &packages[0];
        let jinja = Jinja::new(&root.name, &macro_files, &mut errors);
        let (vars, package_vars) = variables(&packages);
        let search_order =
            root.file.dispatch.iter().map(|one| (one.macro_namespace.clone(), one.search_order.clone())).collect();
        let basis =
            Arc::new(Basis { settings, project_name: root.name.clone(), jinja, vars, package_vars, search_order });
        let assembled = assemble::nodes(&basis, &packages, &mut errors);
        if !errors.is_empty() {
            errors.sort();
            errors.dedup();
            return Err(errors);
        }
        let root = &packages[0];
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, node) in assembled.nodes.iter().enumerate() {
            by_name.entry(node.name.clone()).or_default().push(index);
        }
        Ok(Self {
            name: root.name.clone(),
            folder: folder.to_owned(),
            on_run_start: root.file.on_run_start.list(),
            on_run_end: root.file.on_run_end.list(),
            nodes: assembled.nodes,
            sources: assembled.sources,
            warnings: unused_keys(root).into_iter().chain(assembled.warnings).collect(),
            basis,
            by_name,
        })
    }

    /// The settings it was loaded for.
    pub fn settings(&self) -> &Settings {
        &self.basis.settings
    }

    /// The node with this name: a model or seed, then anything else.
    pub fn find(&self, name: &str) -> Option<&Node> {
        self.by_name.get(name)?.iter().map(|&index| &self.nodes[index]).min_by_key(|node| node.kind)
    }

    /// The node that `ref` means in a file of `package`.
    pub(super) fn find_ref(&self, package: &str, wanted: Option<&str>, name: &str) -> Option<usize> {
        assemble::resolve_ref(&self.nodes, &self.by_name, package, wanted, name)
    }

    /// The source that `source` means in a file of `package`.
    pub(super) fn find_source(&self, package: &str, source: &str, table: &str) -> Option<usize> {
        assemble::resolve_source(&self.sources, package, source, table)
    }
}

/// Keys of the project's file that dbt would heed and this does not.
fn unused_keys(root: &Package) -> Vec<ModelError> {
    let file = &root.file;
    let keys = [
        ("flags", file.flags.is_some(), "behaviour is that of the current dbt"),
        ("profile", file.profile.is_some(), "the warehouse is the one the stack names"),
        ("query-comment", file.query_comment.is_some(), "statements are sent without a comment"),
        ("quoting", !file.quoting.is_empty(), "every name is quoted"),
    ];
    let warning = |(key, _, instead): (&str, bool, &str)| {
        let place = Place::file(root.project_file_path.clone());
        ModelError::new(place, format!("`{key}` is read and not used: {instead}"))
    };
    keys.into_iter().filter(|(_, is_there, _)| *is_there).map(warning).collect()
}

/// Variables for everybody, and those of one package.
fn variables(packages: &[Package]) -> (Map<String, Json>, BTreeMap<String, Map<String, Json>>) {
    let mut global = Map::new();
    let mut scoped: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    // The root comes last: it overrides what packages say about themselves.
    for package in packages.iter().rev() {
        for (key, value) in &package.file.vars {
            match value {
                Json::Object(inner) if packages.iter().any(|one| one.name == *key) => {
                    scoped.entry(key.clone()).or_default().extend(inner.clone());
                }
                _ if std::ptr::eq(package, &raw const packages[0]) => {
                    global.insert(key.clone(), value.clone());
                }
                _ => {
                    scoped.entry(package.name.clone()).or_default().insert(key.clone(), value.clone());
                }
            }
        }
    }
    (global, scoped)
}

fn read_installed(
    folder: &Path,
    root: &ProjectFile,
    packages: &mut Vec<Package>,
    macro_files: &mut Vec<MacroFile>,
    errors: &mut Vec<ModelError>,
) {
    let install = root.packages_install_path.clone().unwrap_or_else(|| "dbt_packages".to_owned());
    let installed: Vec<PathBuf> = children(&folder.join(&install)).into_iter().filter(|path| path.is_dir()).collect();
    for asked in ["packages.yml", "dependencies.yml"] {
        if folder.join(asked).is_file() && installed.is_empty() {
            let message = format!("packages are asked for, but there are none in `{install}`");
            let help = "Packages are not downloaded here: run `dbt deps`, or copy their folders there.";
            errors.push(ModelError::new(Place::file(asked), message).with_help(help));
        }
    }
    for path in installed {
        packages.extend(read_package(folder, &path, macro_files, errors));
    }
}

fn shown(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn read_text(folder: &Path, path: &Path, errors: &mut Vec<ModelError>) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) => {
            errors.push(ModelError::new(Place::file(shown(folder, path)), format!("cannot be read: {error}")));
            None
        }
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut out: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    out.sort();
    out
}

/// All files below a folder, in a fixed order; hidden ones are left out.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for path in children(folder) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            out.extend(files_below(&path));
        } else {
            out.push(path);
        }
    }
    out
}

fn read_package(
    folder: &Path,
    root: &Path,
    macro_files: &mut Vec<MacroFile>,
    errors: &mut Vec<ModelError>,
) -> Option<Package> {
    let path = root.join("dbt_project.yml");
    let project_file_path = shown(folder, &path);
    let text = read_text(folder, &path, errors)?;
    let file: ProjectFile = match read(&project_file_path, &text) {
        Ok(file) => file,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    if file.name.is_empty() {
        errors.push(ModelError::new(Place::file(project_file_path), "the project has no `name`"));
        return None;
    }
    let mut package = Package {
        name: file.name.clone(),
        file: file.clone(),
        project_file_path,
        files: Vec::new(),
        properties: Vec::new(),
    };
    let or = |paths: Option<Vec<String>>, default: &str| paths.unwrap_or_else(|| vec![default.to_owned()]);
    for (paths, kind) in [
        (or(file.model_paths, "models"), Some(NodeKind::Model)),
        (or(file.seed_paths, "seeds"), Some(NodeKind::Seed)),
        (or(file.test_paths, "tests"), Some(NodeKind::Test)),
        (or(file.analysis_paths, "analyses"), Some(NodeKind::Analysis)),
        (or(file.macro_paths, "macros"), None),
    ] {
        for path in paths {
            read_folder(folder, &root.join(path), kind, &mut package, macro_files, errors);
        }
    }
    for path in or(file.snapshot_paths, "snapshots") {
        for file in files_below(&root.join(path)) {
            if file.extension().is_some_and(|extension| extension == "sql" || extension == "yml") {
                errors.push(ModelError::new(Place::file(shown(folder, &file)), "snapshots are not supported"));
            }
        }
    }
    Some(package)
}

fn read_folder(
    folder: &Path,
    below: &Path,
    kind: Option<NodeKind>,
    package: &mut Package,
    macro_files: &mut Vec<MacroFile>,
    errors: &mut Vec<ModelError>,
) {
    for path in files_below(below) {
        let name = shown(folder, &path);
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default();
        let inside = path.strip_prefix(below).unwrap_or(&path).with_extension("");
        let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let generic = kind == Some(NodeKind::Test) && parts.first().is_some_and(|part| part == "generic");
        match (extension.as_str(), kind) {
            ("yml" | "yaml", _) => {
                let Some(text) = read_text(folder, &path, errors) else { continue };
                match read(&name, &text) {
                    Ok(properties) => package.properties.push((name, text, properties)),
                    Err(error) => errors.push(error),
                }
            }
            ("sql", None | Some(NodeKind::Test)) if kind.is_none() || generic => {
                let Some(text) = read_text(folder, &path, errors) else { continue };
                macro_files.push(MacroFile { package: package.name.clone(), path: name, text });
            }
            ("sql", Some(kind)) if kind != NodeKind::Seed => {
                let Some(text) = read_text(folder, &path, errors) else { continue };
                package.files.push(SourceFile { kind, path: name, parts, text });
            }
            ("csv", Some(NodeKind::Seed)) => {
                package.files.push(SourceFile { kind: NodeKind::Seed, path: name, parts, text: String::new() });
            }
            ("py", Some(NodeKind::Model)) => {
                errors.push(ModelError::new(Place::file(name), "Python models are not supported"));
            }
            // Documentation, pictures, notes.
            _ => {}
        }
    }
}
