//! The interface between the engine and a kind of resource.
//!
//! The engine owns the sequence: it decides which verb comes next, waits until an object is
//! ready, retries, resolves references and adds tags. A kind holds facts and five verbs; it never
//! sleeps, retries, prints, spawns or reads the clock. Start reading at [`Kind`].

mod erased;
mod facts;
mod mark;
mod object;

pub use erased::{AnyKind, Of, Registry};
pub use facts::{Change, Compare, Facts, FieldFacts, Pauses, Poll, Price, RefersTo, Seconds};
pub use mark::SecretMark;
pub use object::{Object, Outputs, Place, Readiness, Scope, Tags, empty, tag};

use std::collections::BTreeMap;
use std::future::Future;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultClass};
use crate::value::{Map, Value};

/// What a delete is asked to do besides deleting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteOptions {
    /// Name of the final snapshot to take, where the kind can.
    pub final_snapshot: Option<String>,
    /// The loss of data was agreed to: empty the bucket, force the secret.
    pub force: bool,
    /// The plan is about the whole stack: what other objects of it lose with this one, their own
    /// updates or the next plan give back.
    pub whole_stack: bool,
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

/// An object that is to be declared in a stack file.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The object.
    pub object: &'a Object,
    /// The name it gets under `resources:`.
    pub name: &'a str,
    /// The objects it refers to that are in the stack, by top-level field.
    pub referred: &'a BTreeMap<String, &'a Object>,
}

impl Found<'_> {
    /// `{env: NAME_WHAT}`: the place of a secret that is never read, named after the resource.
    pub fn secret(&self, what: &str) -> Value {
        let name = format!("{}_{what}", self.name).to_uppercase().replace('-', "_");
        serde_json::json!({ "env": name })
    }

    /// Takes fields out of a spec that are `null`, empty, or equal to what the service has anyway.
    pub fn without(&self, mut spec: Value, defaults: &Value) -> Value {
        let is_default = |field: &str, value: &Value| defaults.get(field).is_some_and(|default| default == value);
        if let Some(map) = spec.as_object_mut() {
            map.retain(|field, value| {
                let is_empty = value.as_object().is_some_and(Map::is_empty) || value.as_str() == Some("");
                !value.is_null() && !is_empty && !is_default(field, value)
            });
        }
        spec
    }
}

/// A kind of resource: facts and verbs over typed specs.
///
/// The engine calls the verbs in this order: `look_up` once per run and resource, `list` once
/// per run and then while waiting, `create` only for what `list` did not show, `update` and
/// `delete` only for what it did. Every verb may be called again after an unknown outcome.
pub trait Kind: Send + Sync + 'static {
    /// The name in stack files, `service/thing`.
    const NAME: &'static str;

    /// The block under `resources:` without `kind`, `protect`,
    /// `depends_on` and `timeouts`. Field docs become
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

    /// Outputs that follow from `predicted` ones and the specs of the resources it refers to, by
    /// top-level field.
    fn infer(&self, _predicted: &Outputs, _referred: &BTreeMap<String, Value>) -> Outputs {
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

    /// The data that an object holds and that its deletion would lose. The default is the kind's
    /// own fact; a kind whose objects differ in this answers by the object.
    fn holds(&self, _object: &Object) -> Option<&'static str> {
        self.facts().holds
    }

    /// Whether a final snapshot can be taken when an object is deleted.
    fn takes_final_snapshot(&self) -> bool {
        false
    }

    /// The rule by which this change of a field that changes in place forces a replacement all the
    /// same, e.g. a disk that grows and never shrinks. Both values are normalised.
    fn forces_replacement(&self, _field: &str, _before: &Value, _after: &Value) -> Option<String> {
        None
    }

    /// The spec by which a stack file would declare an object that exists, for `adopt`. `state` is
    /// the object's, in which references to resources of the stack are markers. What follows from
    /// something else is left out, and what no service tells is named as [`Found::secret`] says.
    fn declare(&self, _found: &Found<'_>, state: Value) -> Value {
        state
    }

    /// Whether an object comes with the account or belongs to a service (a default VPC, a secret
    /// that Redshift keeps), so that no stack should take it over unless it is asked for by name.
    fn is_given(&self, object: &Object) -> bool {
        self.managed_by(object).is_some()
    }

    /// Who manages an object so that nobody else can change or delete it, in words.
    fn managed_by(&self, _object: &Object) -> Option<&'static str> {
        None
    }

    /// The fields of a spec that a create cannot set in full. The plan changes them right after the
    /// create, by the same groups as any update.
    fn after_create(&self, _spec: &Self::Spec) -> Vec<String> {
        Vec::new()
    }

    /// What the service would refuse about making this spec, in words: asked before the first call
    /// of a run. May read. References that are not resolved yet are markers in `spec`.
    fn preflight(&self, _spec: &Value) -> impl Future<Output = Result<Vec<String>, Fault>> + Send {
        async { Ok(Vec::new()) }
    }

    /// What the service would refuse about deleting an object in this way, in words: asked before the first
    /// call of a run, of objects that are not on their way out. May read.
    fn preflight_delete(
        &self,
        _object: &Object,
        _options: &DeleteOptions,
    ) -> impl Future<Output = Result<Vec<String>, Fault>> + Send {
        async { Ok(Vec::new()) }
    }

    /// A short mark of the secret that a spec sends and no read gives back, if it is at hand. It is
    /// kept in a tag of the object, so that a later plan sees that the secret is another one.
    fn secret_mark(&self, _place: &Place, _identity: &str, _spec: &Self::Spec) -> Option<SecretMark> {
        None
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

    /// How the work of an object that does not run came to its end by itself: that it is done, or why
    /// it failed. `None` when it never began, was stopped on purpose, or is about to go on. Asked
    /// after a resume, since work may be over before anyone looks.
    fn ended(&self, _object: &Object) -> Option<Result<(), String>> {
        None
    }

    /// Which stretch of work an object does, or did last: every start makes another one, whoever makes it.
    /// `None` when the service does not tell.
    fn stretch(&self, _object: &Object) -> Option<String> {
        None
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
