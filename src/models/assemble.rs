//! Turns the files of a project into nodes: settings laid over each other, templates parsed once
//! for what they reference, generic tests made from properties, references resolved.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use minijinja::Value;
use serde_json::{Map, Value as Json};
use towpath_engine::diag::closest;

use super::config::Config;
use super::context::{Basis, Context};
use super::fault::{ModelError, Place, locate};
use super::generic;
use super::graph;
use super::jinja::to_json;
use super::node::{ColumnNote, Node, NodeKind, Relation, Source};
use super::project::{Package, SourceFile};
use super::properties::{Column, Properties};

/// What assembling gives.
pub(super) struct Assembled {
    pub(super) nodes: Vec<Node>,
    pub(super) sources: Vec<Source>,
    pub(super) warnings: Vec<ModelError>,
}

/// A node with the names it references, not yet resolved.
pub(super) struct Draft {
    pub(super) node: Node,
    pub(super) refs: Vec<(Option<String>, String)>,
    pub(super) source_refs: Vec<(String, String)>,
}

/// All nodes and sources of the packages; mistakes go to `errors`.
pub(super) fn nodes(basis: &Arc<Basis>, packages: &[Package], errors: &mut Vec<ModelError>) -> Assembled {
    let mut drafts = Vec::new();
    let mut sources = Vec::new();
    let mut warnings = Vec::new();
    for package in packages {
        refuse_unsupported(package, errors);
        let mut assembler = Assembler { basis, package, root: &packages[0], errors };
        for file in &package.files {
            drafts.extend(assembler.file(file));
        }
        assembler.sources(&mut sources);
        warnings.extend(assembler.unmatched_properties());
        drafts.extend(generic::tests(&mut assembler));
    }
    warnings.extend(generic::unused_folders(&packages[0], &drafts));
    let disabled: BTreeSet<String> =
        drafts.iter().filter(|draft| !enabled(&draft.node)).map(|draft| draft.node.name.clone()).collect();
    // A test of something that is switched off is off with it.
    drafts.retain(|draft| {
        enabled(&draft.node)
            && !(draft.node.kind == NodeKind::Test && draft.refs.iter().any(|(_, name)| disabled.contains(name)))
    });
    refuse_duplicates(&drafts, errors);
    let nodes = resolve(drafts, &sources, &disabled, errors);
    if let Some(cycle) = graph::cycle(&nodes) {
        let names: Vec<_> = cycle.iter().chain(cycle.first()).map(|&index| nodes[index].name.as_str()).collect();
        let message = format!("these models read each other in a circle: {}", names.join(" → "));
        errors.push(ModelError::new(nodes[cycle[0]].place.clone(), message));
    }
    Assembled { nodes, sources, warnings }
}

fn enabled(node: &Node) -> bool {
    node.config.flag("enabled").unwrap_or(true)
}

fn refuse_unsupported(package: &Package, errors: &mut Vec<ModelError>) {
    for (path, text, properties) in &package.properties {
        for (key, list) in [
            ("snapshots", &properties.snapshots),
            ("unit_tests", &properties.unit_tests),
            ("metrics", &properties.metrics),
            ("semantic_models", &properties.semantic_models),
            ("saved_queries", &properties.saved_queries),
        ] {
            if !list.is_empty() {
                errors.push(ModelError::new(
                    Place::line(path, locate(text, &[key])),
                    format!("`{key}` are not supported"),
                ));
            }
        }
        for model in &properties.models {
            let place = || Place::line(path, locate(text, &["models", &model.name]));
            if !model.versions.is_empty() || model.latest_version.is_some() {
                errors.push(ModelError::new(place(), format!("versions of model `{}` are not supported", model.name)));
            }
            if !model.constraints.is_empty() || model.columns.iter().any(|column| !column.constraints.is_empty()) {
                errors
                    .push(ModelError::new(place(), format!("constraints of model `{}` are not supported", model.name)));
            }
        }
    }
}

fn refuse_duplicates(drafts: &[Draft], errors: &mut Vec<ModelError>) {
    let mut names: HashMap<(NodeKind, &str, &str), &Node> = HashMap::new();
    let mut relations: HashMap<&Relation, &Node> = HashMap::new();
    for Draft { node, .. } in drafts {
        let kind = if node.kind == NodeKind::Seed { NodeKind::Model } else { node.kind };
        if let Some(other) = names.insert((kind, &node.package, &node.name), node) {
            let message = format!("there are two {}s named `{}`; the other is {}", kind.word(), node.name, other.place);
            errors.push(ModelError::new(node.place.clone(), message));
        }
        let builds = matches!(node.kind, NodeKind::Model | NodeKind::Seed) && !node.is_ephemeral();
        if let Some(other) = builds.then(|| relations.insert(&node.relation, node)).flatten() {
            let message = format!("`{}` would be built as {}, and so would {}", node.name, node.relation, other.place);
            errors.push(ModelError::new(node.place.clone(), message));
        }
    }
}

fn resolve(
    drafts: Vec<Draft>,
    sources: &[Source],
    disabled: &BTreeSet<String>,
    errors: &mut Vec<ModelError>,
) -> Vec<Node> {
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        by_name.entry(draft.node.name.clone()).or_default().push(index);
    }
    let (mut nodes, names): (Vec<Node>, Vec<_>) =
        drafts.into_iter().map(|draft| (draft.node, (draft.refs, draft.source_refs))).unzip();
    for (index, (refs, source_refs)) in names.into_iter().enumerate() {
        let node = &nodes[index];
        let (mut depends_on, mut reads) = (BTreeSet::new(), BTreeSet::new());
        for (package, name) in refs {
            if let Some(found) = resolve_ref(&nodes, &by_name, &node.package, package.as_deref(), &name) {
                depends_on.insert(found);
                continue;
            }
            let message = if disabled.contains(&name) {
                format!("`ref('{name}')`: that model is disabled")
            } else {
                format!("`ref('{name}')`: there is no such model or seed")
            };
            let near = closest(&name, nodes.iter().filter(|node| is_readable(node)).map(|node| node.name.as_str()));
            let line = locate(&node.text, &["ref", &name]).filter(|_| node.generic.is_none()).or(node.place.line);
            let error = ModelError::new(Place::line(&node.place.file, line), message);
            errors.push(match near {
                Some(near) => error.with_help(format!("Did you mean `{near}`?")),
                None => error,
            });
        }
        for (source, table) in source_refs {
            if let Some(found) = resolve_source(sources, &node.package, &source, &table) {
                reads.insert(found);
                continue;
            }
            let line =
                locate(&node.text, &["source", &source, &table]).filter(|_| node.generic.is_none()).or(node.place.line);
            let place = Place::line(&node.place.file, line);
            let help = "Sources are declared in a properties file under `sources:`.";
            errors.push(
                ModelError::new(place, format!("`source('{source}', '{table}')` is not declared")).with_help(help),
            );
        }
        nodes[index].depends_on = depends_on.into_iter().collect();
        nodes[index].reads = reads.into_iter().collect();
    }
    nodes
}

fn is_readable(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Model | NodeKind::Seed)
}

/// The model or seed that `ref` means: of the named package, else the reader's own, else any.
pub(super) fn resolve_ref(
    nodes: &[Node],
    by_name: &HashMap<String, Vec<usize>>,
    package: &str,
    wanted: Option<&str>,
    name: &str,
) -> Option<usize> {
    let candidates: Vec<usize> =
        by_name.get(name)?.iter().copied().filter(|&index| is_readable(&nodes[index])).collect();
    let of = |package: &str| candidates.iter().copied().find(|&index| nodes[index].package == package);
    match wanted {
        Some(wanted) => of(wanted),
        None => of(package).or_else(|| candidates.first().copied()),
    }
}

/// The declared source of that name: the reader's own package first.
pub(super) fn resolve_source(sources: &[Source], package: &str, source: &str, table: &str) -> Option<usize> {
    let matches = |one: &Source| one.source == source && one.table == table;
    sources.iter().position(|one| matches(one) && one.package == package).or_else(|| sources.iter().position(matches))
}

/// Assembles one package.
pub(super) struct Assembler<'a> {
    pub(super) basis: &'a Arc<Basis>,
    pub(super) package: &'a Package,
    pub(super) root: &'a Package,
    pub(super) errors: &'a mut Vec<ModelError>,
}

impl Assembler<'_> {
    fn file(&mut self, file: &SourceFile) -> Option<Draft> {
        let name = file.parts.last()?.clone();
        let id = format!("{}.{}.{name}", file.kind.word(), self.package.name);
        let mut fqn = vec![self.package.name.clone()];
        fqn.extend(file.parts.iter().cloned());
        let mut config = Config::default();
        self.folder_settings(file.kind, &fqn, &mut config);
        let found = properties_of(self.package, file.kind, &name);
        if let Some((path, text, properties)) = &found {
            let place = Place::line(*path, locate(text, &["name", &name]));
            self.apply(&mut config, &properties.config, &place);
            let direct = [("tags", properties.tags.clone()), ("meta", properties.meta.clone())];
            let direct: Map<String, Json> =
                direct.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
            self.apply(&mut config, &direct, &place);
        }
        let mut context = Context::parsing(self.basis, &self.package.name, &id, &name);
        context.config = config.clone();
        let context = Arc::new(context);
        if file.kind != NodeKind::Seed {
            let rendered = self.basis.jinja.render(
                &self.package.name,
                &file.path,
                &file.text,
                Value::from_dyn_object(context.clone()),
            );
            if let Err(error) = rendered {
                self.errors.push(error);
                return None;
            }
        }
        let captured = std::mem::take(&mut *context.captured());
        for (key, value) in captured.config {
            if let Err(message) = config.set(&key, value) {
                let line = locate(&file.text, &["config", &key]);
                self.errors.push(ModelError::new(Place::line(&file.path, line), message));
            }
        }
        let relation = self.relation(&id, &name, &config, &file.path)?;
        let properties = found.map(|(_, _, properties)| properties);
        Some(Draft {
            node: Node {
                id,
                name,
                kind: file.kind,
                package: self.package.name.clone(),
                place: Place::file(&file.path),
                fqn,
                config,
                relation,
                depends_on: Vec::new(),
                reads: Vec::new(),
                text: file.text.clone(),
                generic: None,
                description: properties.and_then(|one| one.description.clone()).unwrap_or_default(),
                columns: properties.map(|one| one.columns.iter().map(note).collect()).unwrap_or_default(),
            },
            refs: captured.refs,
            source_refs: captured.sources,
        })
    }

    /// Properties of things there are no files for.
    fn unmatched_properties(&self) -> Vec<ModelError> {
        let mut out = Vec::new();
        for (path, text, file) in &self.package.properties {
            for (kind, list) in [(NodeKind::Model, &file.models), (NodeKind::Seed, &file.seeds)] {
                for one in list {
                    let exists =
                        self.package.files.iter().any(|file| file.kind == kind && file.parts.last() == Some(&one.name));
                    if !exists {
                        let message =
                            format!("properties of {} `{}`, for which there is no file", kind.word(), one.name);
                        out.push(ModelError::new(Place::line(path, locate(text, &["name", &one.name])), message));
                    }
                }
            }
        }
        out
    }

    /// Lays what `dbt_project.yml` says for the folders of `fqn` over `config`; the root project's
    /// word comes after the package's own.
    pub(super) fn folder_settings(&mut self, kind: NodeKind, fqn: &[String], config: &mut Config) {
        let own = std::ptr::eq(self.package, self.root);
        for package in [Some(self.package), (!own).then_some(self.root)].into_iter().flatten() {
            let file = &package.file;
            let trees: Vec<&Map<String, Json>> = match kind {
                NodeKind::Model => vec![&file.models],
                NodeKind::Seed => vec![&file.seeds],
                NodeKind::Test => vec![&file.tests, &file.data_tests],
                NodeKind::Analysis => vec![&file.analyses],
            };
            let place = Place::file(&package.project_file_path);
            for tree in trees {
                let mut level = Some(tree);
                let mut names = fqn.iter();
                while let Some(settings) = level {
                    let next = names.next();
                    let mut here = Map::new();
                    for (key, value) in settings {
                        let plain = key.strip_prefix('+');
                        let descends =
                            plain.is_none() && value.is_object() && !(Config::is_setting(key) && next != Some(key));
                        if !descends {
                            here.insert(plain.unwrap_or(key).to_owned(), value.clone());
                        }
                    }
                    self.apply(config, &here, &place);
                    level = next.and_then(|name| settings.get(name)).and_then(Json::as_object);
                }
            }
        }
    }

    /// Renders settings written in YAML and lays them over `config`.
    pub(super) fn apply(&mut self, config: &mut Config, settings: &Map<String, Json>, place: &Place) {
        for (key, value) in settings {
            // Hooks are rendered when they run.
            let rendered = if key.contains("hook") { Ok(value.clone()) } else { self.rendered(value, place) };
            let done = rendered
                .and_then(|value| config.set(key, value).map_err(|message| ModelError::new(place.clone(), message)));
            self.errors.extend(done.err());
        }
    }

    /// A YAML value with the templates inside it evaluated.
    pub(super) fn rendered(&self, value: &Json, place: &Place) -> Result<Json, ModelError> {
        match value {
            Json::String(text) if text.contains("{{") || text.contains("{%") => {
                let context = Arc::new(Context::parsing(self.basis, &self.package.name, "", ""));
                let result =
                    self.basis.jinja.evaluate(&self.package.name, &place.file, text, Value::from_dyn_object(context));
                let value = result.map_err(|error| ModelError { place: place.clone(), ..error })?;
                to_json(&value).map_err(|error| ModelError::new(place.clone(), error.to_string()))
            }
            Json::Array(values) => {
                values.iter().map(|value| self.rendered(value, place)).collect::<Result<_, _>>().map(Json::Array)
            }
            Json::Object(map) => map
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.rendered(value, place)?)))
                .collect::<Result<_, _>>()
                .map(Json::Object),
            other => Ok(other.clone()),
        }
    }

    /// The relation of a node: through the project's own naming macros where it has them.
    pub(super) fn relation(&mut self, id: &str, name: &str, config: &Config, file: &str) -> Option<Relation> {
        let target = &self.basis.settings.schema;
        let custom = config.text("schema");
        let alias = config.text("alias");
        let default_schema = custom.map_or_else(|| target.clone(), |custom| format!("{target}_{}", custom.trim()));
        let schema = self.named("generate_schema_name", custom, id, name, config, file).unwrap_or(Ok(default_schema));
        let default_alias = alias.unwrap_or(name).to_owned();
        let identifier = self.named("generate_alias_name", alias, id, name, config, file).unwrap_or(Ok(default_alias));
        match (schema, identifier) {
            (Ok(schema), Ok(identifier)) => Some(Relation::new(schema, identifier)),
            (schema, identifier) => {
                self.errors.extend(schema.err().into_iter().chain(identifier.err()));
                None
            }
        }
    }

    fn named(
        &self,
        naming: &str,
        custom: Option<&str>,
        id: &str,
        name: &str,
        config: &Config,
        file: &str,
    ) -> Option<Result<String, ModelError>> {
        if !self.basis.jinja.overrides(naming) {
            return None;
        }
        let mut context = Context::parsing(self.basis, &self.package.name, id, name);
        context.config = config.clone();
        context.extras = vec![("__custom".to_owned(), custom.map_or_else(|| Value::from(()), Value::from))];
        let text = format!("{{{{ {naming}(__custom, node) }}}}");
        let context = Value::from_dyn_object(Arc::new(context));
        Some(self.basis.jinja.render(&self.package.name, file, &text, context).map(|text| text.trim().to_owned()))
    }

    fn sources(&mut self, out: &mut Vec<Source>) {
        let package = self.package;
        for (path, text, file) in &package.properties {
            for source in &file.sources {
                let place = |words: &[&str]| Place::line(path, locate(text, words));
                let mut schema = source.name.clone();
                if let Some(written) = &source.schema {
                    match self.rendered(&Json::from(written.as_str()), &place(&[&source.name, "schema"])) {
                        Ok(value) => schema = value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                        Err(error) => self.errors.push(error),
                    }
                }
                for table in &source.tables {
                    let place = place(&[&source.name, "tables", &table.name]);
                    if table.external.is_some() {
                        self.errors.push(ModelError::new(
                            place,
                            format!("external source table `{}` is not supported", table.name),
                        ));
                        continue;
                    }
                    let identifier = table.identifier.clone().unwrap_or_else(|| table.name.clone());
                    let tags = [&source.tags, &table.tags].into_iter().flatten();
                    let tags = tags.flat_map(|tags| match tags {
                        Json::Array(tags) => tags.iter().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect(),
                        other => other.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
                    });
                    out.push(Source {
                        id: format!("source.{}.{}.{}", package.name, source.name, table.name),
                        package: package.name.clone(),
                        source: source.name.clone(),
                        table: table.name.clone(),
                        relation: Relation::new(&schema, identifier),
                        place,
                        tags: tags.collect(),
                    });
                }
            }
        }
    }
}

fn note(column: &Column) -> ColumnNote {
    ColumnNote {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        description: column.description.clone().unwrap_or_default(),
    }
}

fn properties_of<'a>(package: &'a Package, kind: NodeKind, name: &str) -> Option<(&'a str, &'a str, &'a Properties)> {
    package.properties.iter().find_map(|(path, text, file)| {
        let lists: [&[Properties]; 2] = match kind {
            NodeKind::Model => [&file.models, &[]],
            NodeKind::Seed => [&file.seeds, &[]],
            NodeKind::Analysis => [&file.analyses, &[]],
            NodeKind::Test => [&file.tests, &file.data_tests],
        };
        let found = lists.into_iter().flatten().find(|one| one.name == name)?;
        Some((path.as_str(), text.as_str(), found))
    })
}
