//! A stack file as typed data. `load` reads, overlays, interpolates and checks it and collects
//! every mistake; nothing here talks to AWS or reads the environment (the caller hands both in).

mod check;
pub mod compare;
mod credentials;
pub mod declare;
pub mod edit;
mod graph;
mod header;
mod interpolate;
mod load;
mod pipeline;
mod resources;
pub mod secrets;
mod yaml;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use self::secrets::SecretVariable;
use crate::address::Address;
use crate::diag::Span;
use crate::plan::Action;
use crate::value::{Sorted, Value};

pub use self::load::{LoadInput, load};

/// Which AWS a stack is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The local AWS that towpath brings along.
    Sandbox,
    /// The account that the credentials belong to.
    Aws,
}

/// Where the lease lies that keeps a stack to one writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeasePlace {
    /// On this machine alone.
    Local,
    /// In S3, where every machine of the account sees it.
    S3 {
        /// The bucket; the account's bucket of leases unless named.
        bucket: Option<String>,
    },
}

impl LeasePlace {
    /// The place in the words of a tag: `local`, `s3` or `s3:BUCKET`.
    pub fn words(&self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::S3 { bucket: None } => "s3".to_owned(),
            Self::S3 { bucket: Some(bucket) } => format!("s3:{bucket}"),
        }
    }

    /// The place that a tag names; `None` where it names none.
    pub fn read(words: &str) -> Option<Self> {
        match words {
            "local" => Some(Self::Local),
            "s3" => Some(Self::S3 { bucket: None }),
            _ => Some(Self::S3 { bucket: Some(words.strip_prefix("s3:")?.to_owned()) }),
        }
    }
}

/// A loaded stack: every reference is resolved to a marker, every default filled in.
#[derive(Clone, Debug)]
pub struct Stack {
    /// `stack:`; prefix of every physical name.
    pub name: String,
    /// `target:`, the sandbox unless said otherwise.
    pub target: Target,
    /// `aws.region`.
    pub region: Option<String>,
    /// `aws.account`, compared with the caller's before any other call.
    pub account: Option<String>,
    /// `lease:` and its place in the file; what is not said depends on the target.
    pub lease: Option<(LeasePlace, Span)>,
    /// `tags:`, put on every object beside the ownership tags.
    pub tags: BTreeMap<String, String>,
    /// `expires:` in seconds from apply.
    pub expires: Option<u64>,
    /// `resources:` in file order.
    pub resources: IndexMap<String, Resource>,
    /// `pipeline:`.
    pub pipeline: Pipeline,
    /// `moved:`: new name by old name of resources that were renamed.
    pub moved: BTreeMap<String, String>,
    /// The environment variables from which secrets are taken, place by place. Any of them may be unset: who sends a
    /// secret asks for it.
    pub secret_variables: Vec<SecretVariable>,
}

/// One block under `resources:`.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Kind and name.
    pub address: Address,
    /// The kind's own fields as written, with reference markers and without `kind` etc.
    pub spec: Value,
    /// `protect:`; `None` leaves it to whether the kind holds data.
    pub protect: Option<bool>,
    /// `depends_on:`: edges beyond those of the references.
    pub depends_on: Vec<String>,
    /// `timeouts:`.
    pub timeouts: Timeouts,
    /// `ignore:`: fields and `tags.KEY`s that are sent when the object is made and neither compared
    /// nor changed afterwards.
    pub ignore: Vec<String>,
    /// The place of the block's key.
    pub span: Span,
}

/// `timeouts:` of a resource: seconds after which a step is left as in progress, to be taken up by
/// the next run. `None` leaves it to the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Until it is made and ready.
    pub create: Option<u64>,
    /// Until a change is in force.
    pub update: Option<u64>,
    /// Until it is gone.
    pub delete: Option<u64>,
    /// Until its work runs again.
    pub start: Option<u64>,
    /// Until its work stands still.
    pub stop: Option<u64>,
}

impl Timeouts {
    /// All of them by name, unless none is set.
    fn declared(&self) -> Option<BTreeMap<&'static str, Option<u64>>> {
        let Self { create, update, delete, start, stop } = *self;
        let all = [("create", create), ("update", update), ("delete", delete), ("start", start), ("stop", stop)];
        (*self != Self::default()).then(|| all.into_iter().collect())
    }

    /// Seconds for a step that does this.
    pub(crate) fn of(&self, action: Action) -> Option<f64> {
        let seconds = match action {
            Action::Create | Action::Wait => self.create,
            Action::Update => self.update,
            Action::Delete => self.delete,
            Action::Resume => self.start,
            Action::Pause => self.stop,
            Action::Tag => None,
        };
        seconds.map(|seconds| seconds as f64)
    }
}

impl Resource {
    /// Whether differences of a field, or of a tag as `tags.KEY`, are nobody's business.
    pub fn ignores(&self, path: &str) -> bool {
        self.ignore.iter().any(|ignored| ignored == path)
    }

    /// The names of all resources this one needs: references and `depends_on`, each once.
    pub fn needs(&self) -> Vec<String> {
        let mut names: Vec<String> =
            crate::value::references(&self.spec).into_iter().map(|reference| reference.resource).collect();
        names.extend(self.depends_on.iter().cloned());
        names.sort();
        names.dedup();
        names
    }
}

impl Stack {
    /// A stack without resources: for what is known of a stack only by the tags of its objects.
    pub fn bare(name: &str, target: Target, region: Option<String>, account: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            target,
            region,
            account,
            tags: BTreeMap::new(),
            expires: None,
            lease: None,
            resources: IndexMap::new(),
            pipeline: Pipeline::default(),
            moved: BTreeMap::new(),
            secret_variables: Vec::new(),
        }
    }
}

/// What `up` does after `apply`; each part is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// CSV files into the source.
    pub upload: Option<Upload>,
    /// The replication task to run.
    pub migrate: Option<Migrate>,
    /// The comparison of source and warehouse.
    pub validate: Option<Validate>,
    /// The SQL models to build and test.
    pub models: Option<Models>,
}

/// `pipeline.upload`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Folder of CSV files, relative to the project (the folder above `stacks/`).
    pub from: String,
    /// The source endpoint's resource name.
    pub into: String,
    /// The schema of the tables.
    pub schema: String,
    /// Column types by table, `table: {column: type}`, over what is inferred.
    pub types: BTreeMap<String, BTreeMap<String, String>>,
    /// Generated data that `up` writes into `from` when the folder is missing.
    pub sample: Option<Sample>,
}

/// `pipeline.upload.sample`: which data to generate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The sample's name, e.g. `club`.
    pub name: String,
    /// How many times the smallest size; 1 unless said otherwise.
    pub scale: u32,
    /// Seed of the generator: the same seed gives the same files; 7 unless said otherwise.
    pub seed: u64,
}

/// `pipeline.migrate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Migrate {
    /// The replication task's resource name.
    pub task: String,
}

/// `pipeline.validate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validate {
    /// `counts`, `columns` or `rows`.
    pub level: String,
}

/// `pipeline.models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Folder of the dbt project, relative like `upload.from`.
    pub project: String,
    /// The workgroup's resource name.
    pub warehouse: String,
    /// Schema the models are built in.
    pub schema: String,
}

/// Everything a stack says that a plan depends on, members in alphabetical order; it holds no
/// secret, because a stack holds none.
pub fn declared(stack: &Stack) -> Value {
    serde_json::to_value(Declared::of(stack)).unwrap_or_else(|error| panic!("a stack is written as JSON: {error}"))
}

/// What [`declared`] writes. The fields of both structures stand in alphabetical order.
#[derive(Serialize)]
struct Declared<'a> {
    expires: Option<u64>,
    moved: &'a BTreeMap<String, String>,
    resources: BTreeMap<&'a String, DeclaredResource<'a>>,
    stack: &'a str,
    tags: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct DeclaredResource<'a> {
    depends_on: &'a [String],
    ignore: &'a [String],
    kind: &'a str,
    protect: Option<bool>,
    spec: Sorted<'a>,
    timeouts: Option<BTreeMap<&'static str, Option<u64>>>,
}

impl<'a> Declared<'a> {
    fn of(stack: &'a Stack) -> Self {
        let resource = |resource: &'a Resource| DeclaredResource {
            depends_on: &resource.depends_on,
            ignore: &resource.ignore,
            kind: &resource.address.kind,
            protect: resource.protect,
            spec: Sorted(&resource.spec),
            timeouts: resource.timeouts.declared(),
        };
        Self {
            expires: stack.expires,
            moved: &stack.moved,
            resources: stack.resources.iter().map(|(name, block)| (name, resource(block))).collect(),
            stack: &stack.name,
            tags: &stack.tags,
        }
    }
}

/// A hash of [`declared`]: stacks that differ only in the order of their blocks and fields have the
/// same.
pub fn stack_hash(stack: &Stack) -> String {
    crate::value::hash(&Declared::of(stack))
}

#[cfg(test)]
mod tests;
