//! An object that exists, where it lives, and how its ownership is written on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::{Map, Value};

/// Tags of an object; for ours they include the ownership tags of [`tag`].
pub type Tags = BTreeMap<String, String>;

/// What others may refer to, by attribute: `arn`, `id`, `name`, `address`, `port` and the like.
pub type Outputs = BTreeMap<String, Value>;

/// The keys of the ownership tags.
pub mod tag {
    /// The stack that owns the object.
    pub const STACK: &str = "towpath:stack";
    /// The resource of that stack, i.e. the key under `resources:`.
    pub const RESOURCE: &str = "towpath:resource";
    /// The run that made the object.
    pub const RUN: &str = "towpath:run";
    /// The mark of the secret that was sent last, see [`super::SecretMark`].
    pub const SECRET: &str = "towpath:secret";
    /// `true` or `false` where the stack says `protect:`, so that it holds when the stack no longer
    /// declares the object; `default` where it said so once.
    pub const PROTECT: &str = "towpath:protect";
    /// Before work is stopped for a change, which stretch of work that is, so that it is started again
    /// whatever becomes of the run; `done` once it was.
    pub const RESUME: &str = "towpath:resume";
    /// RFC 3339 time after which `reap` may destroy the object.
    pub const EXPIRES: &str = "towpath:expires";
    /// Where the lease of a stack lies that expires and says so: who reaps it has no file to read that in.
    pub const LEASE: &str = "towpath:lease";
    /// The beginning of the tags that keep what was declared of a field, named after it, that cannot be read back.
    pub const WRITTEN: &str = "towpath:written:";
}

/// Where a stack lives; enough to compute names and ARNs before anything exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The stack's name: prefix of every physical name.
    pub stack: String,
    /// The twelve-digit account.
    pub account: String,
    /// The region, e.g. `eu-north-1`.
    pub region: String,
    /// The partition of ARNs: `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
}

/// How far along an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It can be used and changed.
    Ready,
    /// A change is under way; the text is the service's own status, e.g. `creating`.
    Pending(String),
    /// It will not become ready by itself; the text says why.
    Failed(String),
    /// It is going away.
    Deleting,
}

/// One object that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// The physical name or id by which the kind finds it, in the service's spelling folded as
    /// the kind folds it (DMS identifiers are lower-case).
    pub identity: String,
    /// What others may refer to. `arn` is present for every kind that has one.
    pub outputs: Outputs,
    /// The live values in the shape of the kind's `Spec`; what cannot be read is absent.
    pub state: Value,
    /// Its tags; `None` when the service did not tell them in this read.
    pub tags: Option<Tags>,
    /// How far along it is.
    pub readiness: Readiness,
    /// Whether it does work that a change would interrupt (a replication task that runs).
    pub running: bool,
    /// Values accepted by the service but not in force yet, in the shape of `Spec`: these are
    /// converging, not drift. `Value::Null` when there are none.
    #[serde(default)]
    pub pending: Value,
}

impl Object {
    /// The stack and resource named by the ownership tags, if both are there.
    pub fn owner(&self) -> Option<(&str, &str)> {
        let tags = self.tags.as_ref()?;
        Some((tags.get(tag::STACK)?, tags.get(tag::RESOURCE)?))
    }
}

/// Which objects a read is about. A kind may answer with more than it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything of this kind in the account and region.
    All,
    /// At least these identities.
    Only(Vec<String>),
}

/// An empty JSON object, for kinds that build states field by field.
pub fn empty() -> Map {
    Map::new()
}
