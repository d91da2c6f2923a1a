//! `secretsmanager/secret`: a secret value under a name.
//!
//! In place: description, key, recovery days, and the value when `value_version` changes. Replacement:
//! the name. The value is written and never read: its version and the recovery days are kept in tags.
//! A deleted secret keeps its name for the recovery days; made again within them it is restored and given the value that
//! is declared then. About $0.40 a month.

use aws_sdk_secretsmanager::types::{SecretListEntry, Tag};
use rand::Rng;
use rand::distr::Alphanumeric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Price, Readiness, Scope, Seconds, Tags,
    physical_name, tag,
};
use towpath_engine::secret::{Secret as Material, SecretSource};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, state};
use crate::cloud::Cloud;
use crate::fault::fault;

/// The tag that keeps `value_version`.
const VERSION: &str = "towpath:value-version";

/// The tag that keeps `recovery_days`.
const RECOVERY: &str = "towpath:recovery-days";

/// What the tags about what was written say of a secret that was deleted: whoever restores it, its value is an old one.
const DELETED: &str = "deleted";

/// The days AWS keeps a deleted secret unless told otherwise.
const DEFAULT_RECOVERY: u32 = 30;

/// The block of a `secretsmanager/secret`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name. Default: `{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "Secrets Manager cannot rename a secret" }))]
    pub name: Option<String>,
    /// What the secret is for, in at most 2048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,
    /// Where the value comes from. Sent when the secret is made, when another place is named here, and
    /// when `value_version` changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "write_only", "secret": true }))]
    pub value: Option<SecretSource>,
    /// Makes up a value instead: when the secret is made, when this changes, and when `value_version`
    /// changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "write_only" }))]
    pub generate: Option<Generate>,
    /// A number of your own. Another number sends the value again, or makes up a new one. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_version: Option<u32>,
    /// The KMS key that encrypts it: id, ARN or alias. Default: AWS's key for Secrets Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// For how many days a deleted secret can be restored: 7 to 30, or 0 for not at all. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 30))]
    pub recovery_days: Option<u32>,
}

/// How to make up a value: letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// How many characters.
    #[schemars(range(min = 8, max = 4096))]
    pub length: usize,
}

/// The kind `secretsmanager/secret`.
pub struct Secret {
    cloud: Cloud,
}

impl Secret {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud }
    }

    /// The value to write.
    async fn material(&self, spec: &Spec) -> Result<Option<Material>, Fault> {
        match (&spec.value, spec.generate) {
            (Some(source), _) => self.cloud.secret(source).await.map(Some),
            (None, Some(Generate { length })) => Ok(Some(generated(length))),
            (None, None) => Ok(None),
        }
    }

    async fn put_value(&self, id: &str, value: &Material) -> Result<(), Fault> {
        let call = self.cloud.secretsmanager().await.put_secret_value().secret_id(id).secret_string(value.expose());
        call.send().await.map(drop).map_err(fault("secretsmanager:PutSecretValue"))
    }

    async fn put_summary(&self, id: &str, spec: &Spec) -> Result<(), Fault> {
        let call = self.cloud.secretsmanager().await.update_secret().secret_id(id);
        let call = call.set_description(spec.description.clone()).set_kms_key_id(spec.kms_key.clone());
        call.send().await.map(drop).map_err(fault("secretsmanager:UpdateSecret"))
    }

    async fn put_tags(&self, id: &str, tags: &Tags) -> Result<(), Fault> {
        let call = self.cloud.secretsmanager().await.tag_resource().secret_id(id).set_tags(Some(sdk_tags(tags)));
        call.send().await.map(drop).map_err(fault("secretsmanager:TagResource"))
    }

    /// Brings back a secret of ours that waits for its deletion. `refusal` is what the create was
    /// answered, and the answer where the secret is not ours. A run that is killed before the tags are written leaves
    /// those of the deletion, by which the next plan sees that the value is still to be sent.
    async fn restore(&self, name: &str, spec: &Spec, tags: &Tags, mut refusal: Fault) -> Result<(), Fault> {
        let client = self.cloud.secretsmanager().await;
        let answer = client.describe_secret().secret_id(name).send().await;
        let found = match answer.map_err(fault("secretsmanager:DescribeSecret")) {
            Ok(found) => found,
            // Gone meanwhile: the create works when it is tried again.
            Err(fault) if fault.is_not_found() => return Err(refusal),
            Err(fault) => return Err(fault),
        };
        if found.deleted_date.is_none() {
            return Err(refusal);
        }
        if !super::same_owner(tags, &own_tags(found.tags())) {
            refusal.class = FaultClass::Invalid;
            refusal.message =
                format!("{} It is not this resource's: restore it or choose another name", refusal.message);
            return Err(refusal);
        }
        client.restore_secret().secret_id(name).send().await.map_err(fault("secretsmanager:RestoreSecret"))?;
        self.put_summary(name, spec).await?;
        if let Some(value) = self.material(spec).await? {
            self.put_value(name, &value).await?;
        }
        self.put_tags(name, &with_facts(tags, spec)).await
    }

    /// Says in the tags of a secret that is about to be deleted that no value of the declared one is in it any more:
    /// afterwards "the secret is scheduled for deletion" (errors of `TagResource`) and takes no tags.
    async fn forget_written(&self, object: &Object) -> Result<(), Fault> {
        let written = object.tags.iter().flatten().filter(|(key, _)| key.starts_with(tag::WRITTEN));
        let forgotten: Tags = written.map(|(key, _)| (key.clone(), DELETED.to_owned())).collect();
        if forgotten.is_empty() { Ok(()) } else { self.put_tags(&object.identity, &forgotten).await }
    }
}

/// A made-up value. 62 letters and digits: six bits of chance in each.
fn generated(length: usize) -> Material {
    Material::new(rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect::<String>())
}

fn own_tags(tags: &[Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))).collect()
}

fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags with those that keep what the service itself does not.
fn with_facts(tags: &Tags, spec: &Spec) -> Tags {
    let mut all = tags.clone();
    if let Some(version) = spec.value_version {
        all.insert(VERSION.to_owned(), version.to_string());
    }
    if let Some(days) = spec.recovery_days {
        all.insert(RECOVERY.to_owned(), days.to_string());
    }
    all
}

fn object(entry: &SecretListEntry) -> Object {
    let identity = entry.name().unwrap_or_default().to_owned();
    let mut tags = own_tags(entry.tags());
    let version = tags.remove(VERSION).and_then(|version| version.parse().ok());
    let recovery = tags.remove(RECOVERY).and_then(|days| days.parse().ok());
    let spec = Spec {
        name: Some(identity.clone()),
        description: entry.description.clone(),
        kms_key: entry.kms_key_id.clone(),
        value_version: Some(version.unwrap_or(1)),
        recovery_days: Some(recovery.unwrap_or(DEFAULT_RECOVERY)),
        ..Spec::default()
    };
    Object {
        outputs: Outputs::from([("arn".to_owned(), json!(entry.arn)), ("name".to_owned(), json!(identity))]),
        state: state(&spec),
        tags: Some(tags),
        readiness: if entry.deleted_date.is_some() { Readiness::Deleting } else { Readiness::Ready },
        running: false,
        pending: Value::Null,
        identity,
    }
}

impl Kind for Secret {
    const NAME: &'static str = "secretsmanager/secret";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "A secret value under a name.",
            create: Seconds::new(1.0, 1.0, 120.0),
            update: SYNCHRONOUS,
            delete: SYNCHRONOUS,
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
            holds: Some("the value of the secret"),
            name_limit: 512,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        spec.name.clone().unwrap_or_else(|| physical_name(place, name, 512))
    }

    fn predict(&self, _place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        Outputs::from([("name".to_owned(), json!(identity))])
    }

    fn price(&self, _spec: &Spec) -> Option<Price> {
        Some(Price { monthly: Some(0.40), unknown: false, basis: "one secret; $0.05 per 10,000 calls".to_owned() })
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut wrong = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        let allowed = |name: &str| name.chars().all(|one| one.is_ascii_alphanumeric() || "/_+=.@-!".contains(one));
        if spec.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 512 || !allowed(name)) {
            wrong("name", "a secret's name is 1 to 512 letters, digits and /_+=.@-!");
        }
        if spec.value.is_some() && spec.generate.is_some() {
            wrong("generate", "write either `value` or `generate`");
        }
        if spec.recovery_days.is_some_and(|days| days != 0 && !(7..=30).contains(&days)) {
            wrong("recovery_days", "write 7 to 30 days, or 0 to delete at once");
        }
        mistakes
    }

    /// The value is never read: a variable stands for it.
    fn declare(&self, found: &Found<'_>, mut state: Value) -> Value {
        state["value"] = found.secret("value");
        found.without(state, &json!({ "value_version": 1, "recovery_days": DEFAULT_RECOVERY }))
    }

    /// Secrets that a service keeps, such as the password of a namespace's admin.
    fn is_given(&self, object: &Object) -> bool {
        let owning = |key: &String| key == "aws:secretsmanager:owningService";
        object.identity.contains('!') || object.tags.iter().flatten().any(|(key, _)| owning(key))
    }

    async fn list(&self, _scope: &Scope) -> Result<Vec<Object>, Fault> {
        let call = self.cloud.secretsmanager().await.list_secrets();
        let pages = call.into_paginator().page_size(100).send().collect::<Result<Vec<_>, _>>().await;
        let pages = pages.map_err(fault("secretsmanager:ListSecrets"))?;
        let entries = pages.into_iter().flat_map(|page| page.secret_list.unwrap_or_default());
        Ok(entries.map(|entry| object(&entry)).collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        let value = self.material(spec).await?;
        let call = self.cloud.secretsmanager().await.create_secret().name(name);
        let call = call
            .set_description(spec.description.clone())
            .set_kms_key_id(spec.kms_key.clone())
            .set_secret_string(value.map(|value| value.expose().to_owned()))
            .set_tags(Some(sdk_tags(&with_facts(tags, spec))));
        match call.send().await.map_err(fault("secretsmanager:CreateSecret")) {
            // Scheduled for deletion.
            Err(fault) if fault.class == FaultClass::Busy => self.restore(name, spec, tags, fault).await?,
            other => drop(other?),
        }
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        let changes = |field: &str| fields.iter().any(|changed| changed == field);
        if changes("description") || changes("kms_key") {
            self.put_summary(&object.identity, spec).await?;
        }
        if ["value", "generate", "value_version"].into_iter().any(changes)
            && let Some(value) = self.material(spec).await?
        {
            self.put_value(&object.identity, &value).await?;
        }
        // Last, so that a value whose sending failed is sent again.
        if changes("value_version") || changes("recovery_days") {
            self.put_tags(&object.identity, &with_facts(&Tags::new(), spec)).await?;
        }
        Ok(())
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let days = object.state["recovery_days"].as_i64().unwrap_or(DEFAULT_RECOVERY.into());
        let call = self.cloud.secretsmanager().await.delete_secret().secret_id(&object.identity);
        let deleted = async {
            let call = if days == 0 {
                call.force_delete_without_recovery(true)
            } else {
                self.forget_written(object).await?;
                call.recovery_window_in_days(days)
            };
            call.send().await.map(drop).map_err(fault("secretsmanager:DeleteSecret"))
        };
        deleted.await.map_err(|mut fault| {
            // Scheduled for deletion already: as good as gone.
            if fault.class == FaultClass::Busy {
                fault.class = FaultClass::NotFound;
            }
            fault
        })
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        self.put_tags(&object.identity, tags).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let changed = json!({
            "description": "how DMS logs in, second edition",
            "generate": { "length": 40 },
            "value_version": 2,
            "recovery_days": 7,
        });
        vec![Example {
            name: "source_login",
            spec: json!({ "description": "how DMS logs in", "generate": { "length": 32 }, "recovery_days": 0 }),
            changed: vec![changed],
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_value_has_its_length_and_is_never_the_same() {
        let (one, other) = (generated(32), generated(32));
        assert_eq!(one.expose().len(), 32);
        assert!(one.expose().chars().all(|letter| letter.is_ascii_alphanumeric()));
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn what_the_service_does_not_keep_is_kept_in_tags() {
        let spec = Spec { value_version: Some(3), recovery_days: Some(7), ..Spec::default() };
        let tags = with_facts(&Tags::from([("team".to_owned(), "club".to_owned())]), &spec);
        let entry = SecretListEntry::builder().name("s").set_tags(Some(sdk_tags(&tags))).build();
        let object = object(&entry);
        assert_eq!(object.state, json!({ "name": "s", "value_version": 3, "recovery_days": 7 }));
        assert_eq!(object.tags.unwrap().keys().collect::<Vec<_>>(), ["team"]);
    }

    #[test]
    fn recovery_takes_a_week_to_a_month_or_no_time() {
        let kind = Secret::new(Cloud::offline());
        let spec = |days| Spec { recovery_days: Some(days), ..Spec::default() };
        assert!(kind.check(&spec(0)).is_empty() && kind.check(&spec(7)).is_empty());
        assert_eq!(kind.check(&spec(3))[0].0, "recovery_days");
    }
}
