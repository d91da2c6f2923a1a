//! The fake kinds behind the interface that the engine sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::cloud::{Ask, FakeCloud, arn};
use super::kinds::{FakeKind, all};
use crate::fault::Fault;
use crate::kind::{
    AnyKind, DeleteOptions, Example, Facts, FieldFacts, Found, Object, Outputs, Place, Price, Registry, Scope,
    SecretMark, Tags, physical_name, tag,
};
use crate::value::Value;

struct Served {
    kind: FakeKind,
    fields: BTreeMap<String, FieldFacts>,
    cloud: FakeCloud,
}

impl FakeCloud {
    /// The kinds of this account.
    pub fn registry(&self) -> Registry {
        let served = all().into_iter().map(|kind| {
            let fields = kind.fields.iter().map(|(name, facts)| ((*name).to_owned(), facts.clone())).collect();
            Arc::new(Served { kind, fields, cloud: self.clone() }) as Arc<dyn AnyKind>
        });
        Registry::new(served.collect())
    }
}

#[async_trait]
impl AnyKind for Served {
    fn kind(&self) -> &'static str {
        self.kind.name
    }
    fn facts(&self) -> Facts {
        self.kind.facts.clone()
    }
    fn schema(&self) -> &Value {
        &Value::Null
    }
    fn fields(&self) -> &BTreeMap<String, FieldFacts> {
        &self.fields
    }
    fn parse_error(&self, _spec: &Value) -> Option<String> {
        None
    }
    fn name(&self, place: &Place, name: &str, spec: &Value) -> Result<String, Fault> {
        if self.is_shared(spec) {
            return Ok(name.replace('_', "-"));
        }
        Ok(physical_name(place, name, self.kind.facts.name_limit))
    }
    fn predict(&self, _place: &Place, identity: &str, spec: &Value) -> Outputs {
        let mut outputs = Outputs::from([("name".to_owned(), json!(identity))]);
        if !self.kind.facts.assigned_identity {
            outputs.insert("arn".to_owned(), json!(arn(self.kind.name, identity)));
        }
        if let Some(port) = spec.get("port") {
            outputs.insert("port".to_owned(), port.clone());
        }
        outputs
    }
    fn infer(&self, _predicted: &Outputs, _referred: &BTreeMap<String, Value>) -> Outputs {
        Outputs::new()
    }
    fn price(&self, _spec: &Value) -> Option<Price> {
        (self.kind.name == "pipe/instance").then(|| Price {
            monthly: Some(60.0),
            unknown: false,
            basis: "an instance".to_owned(),
        })
    }
    fn is_shared(&self, spec: &Value) -> bool {
        spec.get("shared") == Some(&Value::Bool(true))
    }
    fn check(&self, _spec: &Value) -> Vec<(String, String)> {
        Vec::new()
    }
    fn holds(&self, _object: &Object) -> Option<&'static str> {
        self.kind.facts.holds
    }
    fn takes_final_snapshot(&self) -> bool {
        self.kind.name == "house/namespace"
    }
    fn forces_replacement(&self, _field: &str, _before: &Value, _after: &Value) -> Option<String> {
        None
    }
    fn declare(&self, _found: &Found<'_>, state: Value) -> Value {
        state
    }
    fn is_given(&self, _object: &Object) -> bool {
        false
    }
    fn managed_by(&self, object: &Object) -> Option<&'static str> {
        (object.state.get("managed") == Some(&Value::Bool(true))).then_some("a service")
    }
    fn after_create(&self, _spec: &Value) -> Vec<String> {
        Vec::new()
    }
    fn secret_mark(&self, _place: &Place, _identity: &str, _spec: &Value) -> Option<SecretMark> {
        None
    }
    fn normalise(&self, value: Value) -> Value {
        value
    }
    fn order(&self, _before: &Value, _after: &Value, groups: Vec<String>) -> Vec<String> {
        groups
    }
    fn ended(&self, object: &Object) -> Option<Result<(), String>> {
        match object.state.get("ended")?.as_str()? {
            "done" => Some(Ok(())),
            reason => Some(Err(reason.to_owned())),
        }
    }
    fn stretch(&self, object: &Object) -> Option<String> {
        object.outputs.get("stretch")?.as_str().map(str::to_owned)
    }
    fn examples(&self, _place: &Place) -> Vec<Example> {
        Vec::new()
    }
    async fn preflight(&self, _spec: &Value) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
    async fn preflight_delete(&self, _object: &Object, _options: &DeleteOptions) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
    async fn look_up(&self, spec: Value) -> Result<Value, Fault> {
        Ok(spec)
    }
    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let mut objects = self.cloud.list(&self.kind).await?;
        if !self.kind.facts.taggable {
            for tags in objects.iter_mut().filter_map(|object| object.tags.as_mut()) {
                tags.retain(|key, _| [tag::STACK, tag::RESOURCE].contains(&key.as_str()));
            }
        }
        Ok(objects)
    }
    async fn create(&self, name: &str, spec: &Value, tags: &Tags) -> Result<String, Fault> {
        self.cloud.act(&self.kind, Ask::Create { name, spec, tags }).await
    }
    async fn update(&self, object: &Object, spec: &Value, fields: &[String]) -> Result<(), Fault> {
        self.cloud.act(&self.kind, Ask::Update { identity: &object.identity, spec, fields }).await.map(drop)
    }
    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        self.cloud.act(&self.kind, Ask::Delete { identity: &object.identity }).await.map(drop)
    }
    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        self.cloud.act(&self.kind, Ask::Tag { identity: &object.identity, tags }).await.map(drop)
    }
    async fn pause(&self, object: &Object) -> Result<(), Fault> {
        self.cloud.act(&self.kind, Ask::Turn { identity: &object.identity, running: false }).await.map(drop)
    }
    async fn resume(&self, object: &Object) -> Result<(), Fault> {
        self.cloud.act(&self.kind, Ask::Turn { identity: &object.identity, running: true }).await.map(drop)
    }
    async fn holders(&self, _object: &Object) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
}
