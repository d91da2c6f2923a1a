//! The interface between the engine and a kind of resource.
//!
//! The engine owns the sequence: it decides which verb comes next, waits until an object is
//! ready, retries, resolves references and adds tags. A kind holds facts and five verbs; it never
//! sleeps, retries, prints, spawns or reads the clock. Start reading at [`Kind`].

use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultClass};
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
    /// RFC 3339 time after which `reap` may destroy the object.
    pub const EXPIRES: &str = "towpath:expires";
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
    /// The value is a CIDR block and must be one.
    pub cidr: bool,
    /// The value would be a secret: a literal is refused, only a `SecretSource` is taken.
    pub secret: bool,
    /// A changed value loses data; the text says which.
    pub loses: Option<String>,
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
    /// Whether objects carry tags at all.
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
    /// What is charged, e.g. `dms.t3.medium, 50 GB` or `$0.375 per RPU-hour while queries run`.
    pub basis: String,
}

/// What a delete is asked to do besides deleting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteOptions {
    /// Name of the final snapshot to take, where the kind can.
    pub final_snapshot: Option<String>,
    /// The loss of data was agreed to: empty the bucket, force the secret.
    pub force: bool,
}

/// A spec and the same spec changed: the contract test creates the first and updates to each
/// `changed` in turn. Values are in stack-file form, with references as physical ids.
#[derive(Clone, Debug)]
pub struct Example {
    /// The resource's key.
    pub name: &'static str,
    /// The first spec.
    pub spec: Value,
    /// Later versions of it, all reachable in place.
    pub changed: Vec<Value>,
}

/// A kind of resource: facts and verbs over typed specs.
///
/// The engine calls the verbs in this order: `look_up` once per run and resource, `list` once
/// per run and then while waiting, `create` only for what `list` did not show, `update` and
/// `delete` only for what it did. Every verb may be called again after an unknown outcome.
pub trait Kind: Send + Sync + 'static {
    /// The name in stack files, `service/thing`.
    const NAME: &'static str;

    /// The block under `resources:` without `kind`, `protect` and `depends_on`. Field docs become
    /// the schema and the reference page; `x-towpath` extensions carry [`FieldFacts`].
    /// Serialising leaves out what is `None`.
    type Spec: Serialize + DeserializeOwned + JsonSchema + Send + Sync;

    /// The facts.
    fn facts(&self) -> Facts;

    /// The physical name of the resource `name`, before or after it exists. For kinds with an
    /// assigned identity this is the name by which `create` makes it. The engine cuts and hashes
    /// nothing: use [`physical_name`].
    fn name(&self, place: &Place, name: &str, spec: &Self::Spec) -> String;

    /// The outputs that are known before the object exists.
    fn predict(&self, _place: &Place, _identity: &str, _spec: &Self::Spec) -> Outputs {
        Outputs::new()
    }

    /// What an object of this spec costs.
    fn price(&self, _spec: &Self::Spec) -> Option<Price> {
        None
    }

    /// Whether the object belongs to the account rather than to a stack (the three DMS roles):
    /// taken over when present, completed, and kept on destroy.
    fn is_shared(&self, _spec: &Self::Spec) -> bool {
        false
    }

    /// Mistakes in a spec that its schema cannot express: `(field path, message)`.
    fn check(&self, _spec: &Self::Spec) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Brings a spec or a state (same shape) to the one form in which they are compared.
    fn normalise(&self, value: Value) -> Value {
        value
    }

    /// Replaces words such as `vpc: default` by what they mean in this account. May read; must
    /// leave reference markers alone.
    fn look_up(&self, spec: Value) -> impl Future<Output = Result<Value, Fault>> + Send {
        async move { Ok(spec) }
    }

    /// Reads objects in bulk: one paginated list, tags in batches.
    fn list(&self, scope: &Scope) -> impl Future<Output = Result<Vec<Object>, Fault>> + Send;

    /// Makes the object, with its tags in the same call where the service can. Returns its
    /// identity. The engine waits until it is ready.
    fn create(&self, name: &str, spec: &Self::Spec, tags: &Tags) -> impl Future<Output = Result<String, Fault>> + Send;

    /// Changes the named top-level fields, all of one group, to what `spec` says.
    fn update(
        &self,
        object: &Object,
        spec: &Self::Spec,
        fields: &[String],
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Deletes the object. An absent object is a `NotFound` fault, which the engine takes as done.
    fn delete(&self, object: &Object, options: &DeleteOptions) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Adds or overwrites tags and removes nothing.
    fn tag(&self, object: &Object, _tags: &Tags) -> impl Future<Output = Result<(), Fault>> + Send {
        let identity = object.identity.clone();
        async move {
            Err(Fault::local(
                FaultClass::Invalid,
                format!("{}:tag", Self::NAME),
                format!("`{identity}` cannot carry tags"),
            ))
        }
    }

    /// Orders the groups of one update, each of which becomes a step of the plan. `before` and
    /// `after` are normalised. The default keeps the order of the schema.
    fn order(&self, _before: &Value, _after: &Value, groups: Vec<String>) -> Vec<String> {
        groups
    }

    /// Stops the work of a running object; the engine waits until `running` is false.
    fn pause(&self, object: &Object) -> impl Future<Output = Result<(), Fault>> + Send {
        let identity = object.identity.clone();
        async move {
            Err(Fault::local(
                FaultClass::Invalid,
                format!("{}:pause", Self::NAME),
                format!("`{identity}` does not run"),
            ))
        }
    }

    /// Starts that work again where it stopped; the engine waits until `running` is true.
    fn resume(&self, object: &Object) -> impl Future<Output = Result<(), Fault>> + Send {
        let identity = object.identity.clone();
        async move {
            Err(Fault::local(
                FaultClass::Invalid,
                format!("{}:resume", Self::NAME),
                format!("`{identity}` does not run"),
            ))
        }
    }

    /// What still holds an object that refuses to be deleted, in words, e.g. the network
    /// interfaces of a security group. Asked only after a delete was refused as busy.
    fn holders(&self, _object: &Object) -> impl Future<Output = Result<Vec<String>, Fault>> + Send {
        async move { Ok(Vec::new()) }
    }

    /// Specs for the contract test and the reference page.
    fn examples(&self, place: &Place) -> Vec<Example>;
}

/// `{stack}-{name}` in lower case with `_` as `-`, cut to `limit` with a hash of the whole at the
/// end where it would be longer.
pub fn physical_name(place: &Place, name: &str, limit: usize) -> String {
    use sha2::{Digest, Sha256};
    let whole = format!("{}-{}", place.stack, name).to_lowercase().replace('_', "-");
    if whole.len() <= limit {
        return whole;
    }
    let hash = hex::encode(&Sha256::digest(whole.as_bytes())[..4]);
    let kept = whole[..limit - hash.len() - 1].trim_end_matches('-');
    format!("{kept}-{hash}")
}

/// The object-safe twin of [`Kind`] over values, implemented once, for [`Of`].
#[async_trait]
#[allow(missing_docs, reason = "each method is the one of `Kind` with the same name")]
pub trait AnyKind: Send + Sync {
    fn kind(&self) -> &'static str;
    fn facts(&self) -> Facts;
    fn schema(&self) -> Value;
    fn fields(&self) -> &BTreeMap<String, FieldFacts>;
    fn parse_error(&self, spec: &Value) -> Option<String>;
    fn name(&self, place: &Place, name: &str, spec: &Value) -> Result<String, Fault>;
    fn predict(&self, place: &Place, identity: &str, spec: &Value) -> Outputs;
    fn price(&self, spec: &Value) -> Option<Price>;
    fn is_shared(&self, spec: &Value) -> bool;
    fn check(&self, spec: &Value) -> Vec<(String, String)>;
    fn normalise(&self, value: Value) -> Value;
    fn order(&self, before: &Value, after: &Value, groups: Vec<String>) -> Vec<String>;
    fn examples(&self, place: &Place) -> Vec<Example>;
    async fn look_up(&self, spec: Value) -> Result<Value, Fault>;
    async fn list(&self, scope: &Scope) -> Result<Vec<Object>, Fault>;
    async fn create(&self, name: &str, spec: &Value, tags: &Tags) -> Result<String, Fault>;
    async fn update(&self, object: &Object, spec: &Value, fields: &[String]) -> Result<(), Fault>;
    async fn delete(&self, object: &Object, options: &DeleteOptions) -> Result<(), Fault>;
    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault>;
    async fn pause(&self, object: &Object) -> Result<(), Fault>;
    async fn resume(&self, object: &Object) -> Result<(), Fault>;
    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault>;
}

/// A typed kind behind the erased interface.
pub struct Of<K: Kind> {
    kind: K,
    schema: Value,
    fields: BTreeMap<String, FieldFacts>,
    spec: PhantomData<fn() -> K::Spec>,
}

impl<K: Kind> Of<K> {
    /// Wraps a kind and reads its field facts from the generated schema.
    ///
    /// # Panics
    /// If an `x-towpath` extension is not a [`FieldFacts`]: a mistake in the kind's source.
    pub fn new(kind: K) -> Self {
        let schema = schemars::schema_for!(K::Spec).to_value();
        let fields = schema["properties"]
            .as_object()
            .map(|properties| {
                properties.iter().map(|(name, property)| (name.clone(), field_facts(K::NAME, name, property))).collect()
            })
            .unwrap_or_default();
        Self { kind, schema, fields, spec: PhantomData }
    }

    fn typed(verb: &str, spec: &Value) -> Result<K::Spec, Fault> {
        serde_json::from_value(spec.clone())
            .map_err(|error| Fault::local(FaultClass::Invalid, format!("{}:{verb}", K::NAME), error.to_string()))
    }

    /// For pure questions about specs that may still hold reference markers: markers read as
    /// empty text, since no pure answer depends on them.
    fn lenient(spec: &Value) -> Option<K::Spec> {
        let filled = crate::value::resolve(spec, &|_| Some(Value::String(String::new())));
        serde_json::from_value(filled).ok()
    }
}

fn field_facts(kind: &str, field: &str, property: &Value) -> FieldFacts {
    property.get("x-towpath").map_or_else(FieldFacts::default, |facts| {
        serde_json::from_value(facts.clone())
            .unwrap_or_else(|error| panic!("the facts of {kind}.{field} do not read: {error}"))
    })
}

#[async_trait]
impl<K: Kind> AnyKind for Of<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }
    fn facts(&self) -> Facts {
        self.kind.facts()
    }
    fn schema(&self) -> Value {
        self.schema.clone()
    }
    fn fields(&self) -> &BTreeMap<String, FieldFacts> {
        &self.fields
    }
    fn parse_error(&self, spec: &Value) -> Option<String> {
        let filled = crate::value::resolve(spec, &|_| Some(Value::String(String::new())));
        serde_json::from_value::<K::Spec>(filled).err().map(|error| error.to_string())
    }
    fn name(&self, place: &Place, name: &str, spec: &Value) -> Result<String, Fault> {
        Self::lenient(spec).map(|spec| self.kind.name(place, name, &spec)).ok_or_else(|| {
            Fault::local(
                FaultClass::Invalid,
                format!("{}:name", K::NAME),
                format!("the spec of `{name}` does not read"),
            )
        })
    }
    fn predict(&self, place: &Place, identity: &str, spec: &Value) -> Outputs {
        Self::lenient(spec).map(|spec| self.kind.predict(place, identity, &spec)).unwrap_or_default()
    }
    fn price(&self, spec: &Value) -> Option<Price> {
        self.kind.price(&Self::lenient(spec)?)
    }
    fn is_shared(&self, spec: &Value) -> bool {
        Self::lenient(spec).is_some_and(|spec| self.kind.is_shared(&spec))
    }
    fn check(&self, spec: &Value) -> Vec<(String, String)> {
        Self::lenient(spec).map(|spec| self.kind.check(&spec)).unwrap_or_default()
    }
    fn normalise(&self, value: Value) -> Value {
        self.kind.normalise(value)
    }
    fn order(&self, before: &Value, after: &Value, groups: Vec<String>) -> Vec<String> {
        self.kind.order(before, after, groups)
    }
    fn examples(&self, place: &Place) -> Vec<Example> {
        self.kind.examples(place)
    }
    async fn look_up(&self, spec: Value) -> Result<Value, Fault> {
        self.kind.look_up(spec).await
    }
    async fn list(&self, scope: &Scope) -> Result<Vec<Object>, Fault> {
        self.kind.list(scope).await
    }
    async fn create(&self, name: &str, spec: &Value, tags: &Tags) -> Result<String, Fault> {
        self.kind.create(name, &Self::typed("create", spec)?, tags).await
    }
    async fn update(&self, object: &Object, spec: &Value, fields: &[String]) -> Result<(), Fault> {
        self.kind.update(object, &Self::typed("update", spec)?, fields).await
    }
    async fn delete(&self, object: &Object, options: &DeleteOptions) -> Result<(), Fault> {
        self.kind.delete(object, options).await
    }
    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        self.kind.tag(object, tags).await
    }
    async fn pause(&self, object: &Object) -> Result<(), Fault> {
        self.kind.pause(object).await
    }
    async fn resume(&self, object: &Object) -> Result<(), Fault> {
        self.kind.resume(object).await
    }
    async fn holders(&self, object: &Object) -> Result<Vec<String>, Fault> {
        self.kind.holders(object).await
    }
}

/// All kinds of a program, by name.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn AnyKind>>);

impl Registry {
    /// A registry of these kinds.
    ///
    /// # Panics
    /// If two have the same name.
    pub fn new(kinds: Vec<Arc<dyn AnyKind>>) -> Self {
        let mut table = BTreeMap::new();
        for kind in kinds {
            let name = kind.kind();
            assert!(table.insert(name, kind).is_none(), "two kinds are named `{name}`");
        }
        Self(table)
    }

    /// The kind of that name.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn AnyKind>> {
        self.0.get(kind)
    }

    /// All kinds in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyKind>> {
        self.0.values()
    }

    /// All names in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}

/// An empty JSON object, for kinds that build states field by field.
pub fn empty() -> Map {
    Map::new()
}
