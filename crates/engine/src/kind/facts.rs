//! The facts about kinds and their fields: what a change does, how values compare, how long
//! things take and what they cost. Plain data; what follows from a fact is the engine's decision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What happens to a field's object when the field changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The service changes it in place.
    #[default]
    InPlace,
    /// The object must be deleted and made again.
    Replace,
    /// It can be sent but never read back, so a difference cannot be seen.
    WriteOnly,
    /// Only used by towpath itself (look-ups, behaviour on delete); never compared.
    Local,
}

/// How a declared value is compared with the live one, after `normalise` was applied to both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Equal JSON, except that numbers equal their text (`8` and `"8"`).
    #[default]
    Exact,
    /// Lists without order and without repetition.
    Set,
    /// Only the declared keys count, recursively; lists of objects compare as sets.
    Subset,
}

/// A field that names another resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefersTo {
    /// The kinds that may be named.
    pub kinds: Vec<String>,
    /// The output that takes the name's place.
    pub attribute: String,
    /// Prefixes by which a physical id or ARN is known in the same place (`arn:`, `sg-`); a text
    /// that starts with none of them and names no resource is an error.
    #[serde(default)]
    pub physical: Vec<String>,
    /// Words that are neither (`default`, `self`); the kind's `look_up` gives them meaning.
    #[serde(default)]
    pub words: Vec<String>,
    /// The reference does not hold its target: the target can be deleted and made again under it.
    #[serde(default)]
    pub loose: bool,
    /// The kind of the object in which the one that refers lies (the namespace of a schema), which is the
    /// target or what the target refers to: its deletion takes the object along. Nothing else holds it.
    #[serde(default)]
    pub within: Option<String>,
}

/// The facts about one field, written on the field of `Spec` as
/// `#[schemars(extend("x-towpath" = {...}))]` and read from the generated JSON Schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldFacts {
    /// What a change does.
    pub change: Change,
    /// The API rule behind `change`, shown in plans: "CreateReplicationInstance only".
    pub rule: Option<String>,
    /// How to compare.
    pub compare: Compare,
    /// Fields of one group go into one update call, fields of different groups never do. The
    /// default is one group, `""`, for all fields.
    pub group: String,
    /// Set where the field (or each item of the list) names another resource.
    pub refers_to: Option<RefersTo>,
    /// By kind the output by which the value, or anything in it, names objects that the service does not
    /// delete while they are named.
    pub holds: BTreeMap<String, String>,
    /// The value is a CIDR block and must be one.
    pub cidr: bool,
    /// The value would be a secret: a literal is refused, only a `SecretSource` is taken.
    pub secret: bool,
    /// Other fields of the kind that a change of this one sends again, secrets and all.
    pub sends_along: Vec<String>,
    /// A changed value loses data; the text says which.
    pub loses: Option<String>,
    /// The service tells the value only some time after it took it: while it tells none, it counts
    /// as declared.
    pub told_late: bool,
    /// A changed value interrupts work; the text says which.
    pub interrupts: Option<String>,
}

/// Low, typical and high seconds on AWS. Source: section 1 of the AWS fact sheet this project
/// was designed from, and observations named there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// The best case seen.
    pub low: f64,
    /// What to expect.
    pub typical: f64,
    /// The worst case before giving up is considered.
    pub high: f64,
}

impl Seconds {
    /// Three durations in seconds, ascending.
    pub const fn new(low: f64, typical: f64, high: f64) -> Self {
        Self { low, typical, high }
    }
}

/// What must stand still while an object of the kind is changed in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pauses {
    /// Nothing.
    Nothing,
    /// The object itself, if it runs (a replication task).
    Itself,
    /// Every running object that refers to it (the tasks of an endpoint).
    Dependents,
    /// Nothing may refer to it: what does is deleted before and made again after (the migration
    /// projects of a data provider).
    Holders,
}

/// How the engine waits for an object of the kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poll {
    /// Seconds before the first look.
    pub first: f64,
    /// Seconds between looks.
    pub interval: f64,
    /// Seconds after which the step is reported as still in progress (never as failed).
    pub give_up: f64,
    /// How many looks in a row must say `Ready` (Redshift Serverless flickers: 2).
    pub stable: u32,
}

/// The facts about a kind as a whole.
#[derive(Clone, Debug)]
pub struct Facts {
    /// One sentence for docs and the JSON Schema.
    pub summary: &'static str,
    /// Time to create until ready.
    pub create: Seconds,
    /// Time of one update until ready.
    pub update: Seconds,
    /// Time to delete until gone.
    pub delete: Seconds,
    /// How to wait.
    pub poll: Poll,
    /// What must stand still for an update.
    pub pauses: Pauses,
    /// The data an object holds, if its loss would hurt ("all tables of the warehouse").
    pub holds: Option<&'static str>,
    /// Longest physical name.
    pub name_limit: usize,
    /// Whether objects carry any tag. Where they carry none, the kind keeps and tells whose they are and no
    /// more ([`super::tag::STACK`] and [`super::tag::RESOURCE`]), e.g. on the object that they belong to.
    pub taggable: bool,
    /// Whether the identity is assigned by the service (`sg-…`), so that before creation an
    /// object can only be found by its `name` output within what `list` returns.
    pub assigned_identity: bool,
}

/// A price per month of 730 hours in US dollars, with what it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// US dollars per month; `None` where the price depends on use or is not known.
    pub monthly: Option<f64>,
    /// Whether it is charged by time and nobody here knows how much: a plan says so and never counts
    /// it as nothing.
    #[serde(default)]
    pub unknown: bool,
    /// What is charged, e.g. `dms.t3.medium, 50 GB` or `$0.375 per RPU-hour while queries run`.
    pub basis: String,
}
