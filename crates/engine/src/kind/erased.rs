//! Kinds without their types: the object-safe twin of [`Kind`] over values, and the registry of
//! all kinds of a program. It adds no behaviour, only the reading of typed specs.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::{
    DeleteOptions, Example, Facts, FieldFacts, Found, Kind, Object, Outputs, Place, Price, Scope, SecretMark, Tags,
};
use crate::fault::{Fault, FaultClass};
use crate::value::Value;

/// The object-safe twin of [`Kind`] over values, implemented once, for [`Of`].
#[async_trait]
#[allow(missing_docs, reason = "each method is the one of `Kind` with the same name")]
pub trait AnyKind: Send + Sync {
    fn kind(&self) -> &'static str;
    fn facts(&self) -> Facts;
    fn schema(&self) -> &Value;
    fn fields(&self) -> &BTreeMap<String, FieldFacts>;
    fn parse_error(&self, spec: &Value) -> Option<String>;
    fn name(&self, place: &Place, name: &str, spec: &Value) -> Result<String, Fault>;
    fn predict(&self, place: &Place, identity: &str, spec: &Value) -> Outputs;
    fn infer(&self, predicted: &Outputs, referred: &BTreeMap<String, Value>) -> Outputs;
    fn price(&self, spec: &Value) -> Option<Price>;
    fn is_shared(&self, spec: &Value) -> bool;
    fn check(&self, spec: &Value) -> Vec<(String, String)>;
    fn holds(&self, object: &Object) -> Option<&'static str>;
    fn takes_final_snapshot(&self) -> bool;
    fn forces_replacement(&self, field: &str, before: &Value, after: &Value) -> Option<String>;
    fn declare(&self, found: &Found<'_>, state: Value) -> Value;
    fn is_given(&self, object: &Object) -> bool;
    fn managed_by(&self, object: &Object) -> Option<&'static str>;
    fn after_create(&self, spec: &Value) -> Vec<String>;
    fn secret_mark(&self, place: &Place, identity: &str, spec: &Value) -> Option<SecretMark>;
    fn normalise(&self, value: Value) -> Value;
    fn order(&self, before: &Value, after: &Value, groups: Vec<String>) -> Vec<String>;
    fn ended(&self, object: &Object) -> Option<Result<(), String>>;
    fn stretch(&self, object: &Object) -> Option<String>;
    fn examples(&self, place: &Place) -> Vec<Example>;
    async fn preflight(&self, spec: &Value) -> Result<Vec<String>, Fault>;
    async fn preflight_delete(&self, object: &Object, options: &DeleteOptions) -> Result<Vec<String>, Fault>;
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
        K::Spec::deserialize(spec)
            .map_err(|error| Fault::local(FaultClass::Invalid, format!("{}:{verb}", K::NAME), error.to_string()))
    }

    /// For pure questions about specs that may still hold reference markers: markers read as
    /// empty text, since no pure answer depends on them.
    fn lenient(spec: &Value) -> Option<K::Spec> {
        if !crate::value::is_unknown(spec) {
            return K::Spec::deserialize(spec).ok();
        }
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
    fn schema(&self) -> &Value {
        &self.schema
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
    fn infer(&self, predicted: &Outputs, referred: &BTreeMap<String, Value>) -> Outputs {
        self.kind.infer(predicted, referred)
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
    fn holds(&self, object: &Object) -> Option<&'static str> {
        self.kind.holds(object)
    }
    fn takes_final_snapshot(&self) -> bool {
        self.kind.takes_final_snapshot()
    }
    fn forces_replacement(&self, field: &str, before: &Value, after: &Value) -> Option<String> {
        self.kind.forces_replacement(field, before, after)
    }
    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        self.kind.declare(found, state)
    }
    fn is_given(&self, object: &Object) -> bool {
        self.kind.is_given(object)
    }
    fn managed_by(&self, object: &Object) -> Option<&'static str> {
        self.kind.managed_by(object)
    }
    fn after_create(&self, spec: &Value) -> Vec<String> {
        Self::lenient(spec).map(|spec| self.kind.after_create(&spec)).unwrap_or_default()
    }
    fn secret_mark(&self, place: &Place, identity: &str, spec: &Value) -> Option<SecretMark> {
        self.kind.secret_mark(place, identity, &Self::lenient(spec)?)
    }
    fn normalise(&self, value: Value) -> Value {
        self.kind.normalise(value)
    }
    fn order(&self, before: &Value, after: &Value, groups: Vec<String>) -> Vec<String> {
        self.kind.order(before, after, groups)
    }
    fn ended(&self, object: &Object) -> Option<Result<(), String>> {
        self.kind.ended(object)
    }
    fn stretch(&self, object: &Object) -> Option<String> {
        self.kind.stretch(object)
    }
    fn examples(&self, place: &Place) -> Vec<Example> {
        self.kind.examples(place)
    }
    async fn preflight(&self, spec: &Value) -> Result<Vec<String>, Fault> {
        self.kind.preflight(spec).await
    }
    async fn preflight_delete(&self, object: &Object, options: &DeleteOptions) -> Result<Vec<String>, Fault> {
        self.kind.preflight_delete(object, options).await
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
