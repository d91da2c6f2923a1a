//! `s3/bucket`: where DMS puts the files that Redshift loads.
//!
//! In place: everything but the name. A bucket is made with its tags, which asks for the permission
//! `s3:TagResource`, and with all public access blocked. Deleting one
//! whose name starts with `dms-`, which holds intermediate files only, deletes what is in it too; any
//! other bucket must be emptied by hand first. Storage is charged by use.
//!
//! S3 answers each setting of each bucket by itself, so only buckets are read that carry the stack's
//! tag, are named in the stack or have its prefix; others are known by name alone.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::types::{BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{
    DeleteOptions, Example, Facts, Found, Kind, Object, Outputs, Pauses, Place, Price, Readiness, Scope, Seconds, Tags,
    physical_name,
};
use towpath_engine::value::Value;

use super::dms_common::{SYNCHRONOUS, SYNCHRONOUS_POLL, state};
use crate::cloud::Cloud;
use crate::fault::{fault, unfinished};

mod content;
mod settings;

/// The prefix of buckets that AWS's policy for DMS opens, and of all default names.
const PREFIX: &str = "dms-";

/// The region that must not be named when a bucket is made there.
pub(crate) const UNNAMED_REGION: &str = "us-east-1";

/// The block of an `s3/bucket`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The name, unique in the world. AWS's policy for DMS covers `dms-…` only. Default:
    /// `dms-{stack}-{name}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-towpath" = { "change": "replace", "rule": "S3 cannot rename a bucket" }))]
    pub name: Option<String>,
    /// Whether all public access is blocked. Default: `true`, and compared even where it is not
    /// declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_public_access: Option<bool>,
    /// `sse-s3` or `sse-kms`. Default: `sse-kms` with a `kms_key`; else nothing is said, which is S3's
    /// own `sse-s3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The KMS key for `sse-kms`: id, ARN or alias. The role of DMS must be allowed to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Whether old versions of objects are kept. Should be left out for DMS: its lists time out on
    /// buckets with many versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning: Option<bool>,
    /// After how many days objects are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub expire_days: Option<i32>,
    /// After how many days unfinished uploads are given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub abort_uploads_days: Option<i32>,
}

/// What encrypts the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Keys of S3.
    SseS3,
    /// A key of KMS.
    SseKms,
}

/// The kind `s3/bucket`.
pub struct Bucket {
    cloud: Cloud,
    /// Names that the stack has told, by which buckets are worth reading.
    named: Mutex<BTreeSet<String>>,
    /// Fields that the stack's buckets declare, once a spec was heard: the others need no reading.
    declared: Mutex<Option<BTreeSet<String>>>,
}

impl Bucket {
    /// The kind over a cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud, named: Mutex::default(), declared: Mutex::default() }
    }

    fn remember(&self, name: &str) {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    /// Whether a bucket may be of interest.
    fn is_near(&self, name: &str) -> bool {
        let place = self.cloud.place();
        let stack = place.stack.to_lowercase().replace('_', "-");
        let is_named = self.named.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        if is_named || name.strip_prefix(PREFIX).unwrap_or(name).starts_with(&stack) {
            return true;
        }
        self.cloud.looks_everywhere()
    }

    /// All buckets of the region.
    async fn names(&self) -> Result<Vec<String>, Fault> {
        let call = self.cloud.s3().await.list_buckets().bucket_region(self.cloud.place().region);
        let pages = call.into_paginator().page_size(1000).send().collect::<Result<Vec<_>, _>>().await;
        let pages = pages.map_err(fault("s3:ListBuckets"))?;
        let buckets = pages.into_iter().flat_map(|page| page.buckets.unwrap_or_default());
        Ok(buckets.filter_map(|bucket| bucket.name).collect())
    }

    async fn object(&self, name: String) -> Result<Option<Object>, Fault> {
        if !self.is_near(&name) {
            return Ok(Some(self.shape(name, &Spec::default(), None)));
        }
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fully = self.cloud.reads_fully();
        let wants = |field: &str| fully || declared.as_ref().is_none_or(|declared| declared.contains(field));
        match Box::pin(settings::read(&self.cloud, &name, &wants)).await {
            Ok((spec, tags)) => Ok(Some(self.shape(name, &spec, Some(tags)))),
            // Deleted since it was listed.
            Err(fault) if fault.code == "NoSuchBucket" => Ok(None),
            // Closed to us, so it cannot be ours.
            Err(fault) if fault.class == FaultClass::Denied => Ok(Some(self.shape(name, &Spec::default(), None))),
            Err(fault) => Err(fault),
        }
    }

    fn shape(&self, identity: String, spec: &Spec, tags: Option<Tags>) -> Object {
        let spec = Spec { name: Some(identity.clone()), ..spec.clone() };
        Object {
            outputs: outputs(&self.cloud.place(), &identity),
            state: state(&spec),
            tags,
            readiness: Readiness::Ready,
            running: false,
            pending: Value::Null,
            identity,
        }
    }

    /// The tags of a bucket of this account; `None` where there is no such bucket that we may read.
    async fn tags_if_there(&self, name: &str) -> Result<Option<Tags>, Fault> {
        match settings::tags(&self.cloud, name).await {
            Ok(tags) => Ok(Some(tags)),
            Err(fault) if fault.code == "NoSuchBucket" || fault.class == FaultClass::Denied => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn delete_once(&self, name: &str) -> Result<(), Fault> {
        let call = self.cloud.s3().await.delete_bucket().bucket(name).expected_bucket_owner(self.cloud.place().account);
        call.send().await.map(drop).map_err(fault("s3:DeleteBucket"))
    }
}

/// The fault by which other regions refuse to make a bucket again.
fn taken(name: &str) -> Fault {
    Fault {
        class: FaultClass::AlreadyExists,
        operation: "s3:CreateBucket".to_owned(),
        code: "BucketAlreadyOwnedByYou".to_owned(),
        message: format!("the account has a bucket `{name}` already"),
        request_id: None,
    }
}

fn arn(place: &Place, name: &str) -> String {
    format!("arn:{}:s3:::{name}", place.partition)
}

fn outputs(place: &Place, name: &str) -> Outputs {
    Outputs::from([("arn".to_owned(), json!(arn(place, name))), ("name".to_owned(), json!(name))])
}

/// How names of buckets may not begin, and how they may not end (S3 user guide, "General purpose bucket naming rules": "Bucket
/// names must not start with the prefix …", "must not end with the suffix …").
const RESERVED_BEGINNINGS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// The part of a name that S3 keeps for itself.
fn reserved(name: &str) -> Option<&'static str> {
    let begins = RESERVED_BEGINNINGS.into_iter().find(|part| name.starts_with(part));
    begins.or_else(|| RESERVED_ENDS.into_iter().find(|part| name.ends_with(part)))
}

/// Whether S3 takes a name: 3 to 63 lower-case letters, digits, hyphens and dots.
fn is_name(name: &str) -> bool {
    let at_ends = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|letter| at_ends(letter) || letter == '-' || letter == '.')
        && name.starts_with(at_ends)
        && name.ends_with(at_ends)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

impl Kind for Bucket {
    const NAME: &'static str = "s3/bucket";
    type Spec = Spec;

    fn facts(&self) -> Facts {
        Facts {
            summary: "The bucket through which DMS loads Redshift. A `dms-…` bucket is deleted with what is in it: \
                      write `protect: false` where that may happen without being asked.",
            create: Seconds::new(1.0, 2.0, 30.0),
            update: SYNCHRONOUS,
            delete: Seconds::new(1.0, 3.0, 300.0),
            poll: SYNCHRONOUS_POLL,
            pauses: Pauses::Nothing,
            holds: Some("what is in the bucket"),
            name_limit: 63,
            taggable: true,
            assigned_identity: false,
        }
    }

    fn name(&self, place: &Place, name: &str, spec: &Spec) -> String {
        let default = || format!("{PREFIX}{}", physical_name(place, name, 63 - PREFIX.len()));
        let name = spec.name.clone().unwrap_or_else(default);
        self.remember(&name);
        name
    }

    fn predict(&self, place: &Place, identity: &str, _spec: &Spec) -> Outputs {
        outputs(place, identity)
    }

    fn price(&self, _spec: &Spec) -> Option<Price> {
        Some(Price { monthly: None, unknown: false, basis: "$0.023 per GB-month of what is in it".to_owned() })
    }

    fn check(&self, spec: &Spec) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut wrong = |field: &str, text: &str| mistakes.push((field.to_owned(), text.to_owned()));
        if spec.name.as_ref().is_some_and(|name| !is_name(name)) {
            let rule = "a bucket's name is 3 to 63 lower-case letters, digits and hyphens, and starts and ends with a \
                        letter or digit";
            wrong("name", rule);
        }
        if let Some(part) = spec.name.as_ref().and_then(|name| reserved(name)) {
            wrong("name", &format!("S3 keeps names with `{part}` for itself"));
        }
        if spec.kms_key.is_some() && spec.encryption == Some(Encryption::SseS3) {
            wrong("kms_key", "a key goes with `encryption: sse-kms`");
        }
        for (field, days) in [("expire_days", spec.expire_days), ("abort_uploads_days", spec.abort_uploads_days)] {
            if days.is_some_and(|days| days < 1) {
                wrong(field, "write at least one day");
            }
        }
        mistakes
    }

    fn normalise(&self, mut value: Value) -> Value {
        let Some(map) = value.as_object_mut() else { return value };
        map.entry("block_public_access").or_insert(json!(true));
        if map.get("kms_key").is_some_and(|key| !key.is_null()) {
            map.entry("encryption").or_insert(json!(Encryption::SseKms));
        }
        value
    }

    fn declare(&self, found: &Found<'_>, state: Value) -> Value {
        found.without(state, &json!({ "block_public_access": true, "encryption": "sse-s3", "versioning": false }))
    }

    /// Only remembers the name: `list`, which runs at the same time, reads what is named.
    async fn look_up(&self, spec: Value) -> Result<Value, Fault> {
        if let Some(name) = spec.get("name").and_then(Value::as_str) {
            self.remember(name);
        }
        let fields = spec.as_object().into_iter().flat_map(|fields| fields.keys().cloned());
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().extend(fields);
        Ok(spec)
    }

    async fn list(&self, scope: &Scope) -> Result<Vec<Object>, Fault> {
        if let Scope::Only(names) = scope {
            for name in names {
                self.remember(name);
            }
        }
        let objects = self.names().await?.into_iter().map(|name| self.object(name));
        Ok(try_join_all(objects).await?.into_iter().flatten().collect())
    }

    async fn create(&self, name: &str, spec: &Spec, tags: &Tags) -> Result<String, Fault> {
        self.remember(name);
        let region = self.cloud.place().region;
        // In its oldest region S3 takes the creation of a bucket that we have already as done.
        let there = if region == UNNAMED_REGION { self.tags_if_there(name).await? } else { None };
        if there.as_ref().is_some_and(|live| !super::same_owner(tags, live)) {
            return Err(taken(name));
        }
        let constraint = (region != UNNAMED_REGION).then(|| BucketLocationConstraint::from(region.as_str()));
        // With its tags in the same call it is ours from its first moment, whatever ends this program then.
        let first = CreateBucketConfiguration::builder()
            .set_location_constraint(constraint)
            .set_tags(Some(settings::tag_set(tags)?))
            .build();
        let call = self.cloud.s3().await.create_bucket().bucket(name).create_bucket_configuration(first);
        let is_new = match call.send().await.map_err(fault("s3:CreateBucket")) {
            // One of ours was made before. Of one without tags the engine decides, which knows whether an
            // answer was lost.
            Err(fault) if fault.code == "BucketAlreadyOwnedByYou" => {
                if !super::same_owner(tags, &settings::tags(&self.cloud, name).await?) {
                    return Err(fault);
                }
                false
            }
            other => other.map(|_| there.is_none())?,
        };
        if !is_new {
            settings::add_tags(&self.cloud, name, tags).await.map_err(unfinished)?;
        }
        let fields = state(spec);
        let fields: Vec<String> = fields.as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect();
        settings::write(&self.cloud, name, spec, &fields).await.map_err(unfinished)?;
        Ok(name.to_owned())
    }

    async fn update(&self, object: &Object, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
        settings::write(&self.cloud, &object.identity, spec, fields).await
    }

    async fn delete(&self, object: &Object, _options: &DeleteOptions) -> Result<(), Fault> {
        let name = object.identity.as_str();
        match self.delete_once(name).await {
            Err(mut fault) if fault.code == "BucketNotEmpty" => {
                if !name.starts_with(PREFIX) {
                    fault.class = FaultClass::Invalid;
                    fault.message =
                        format!("{}; towpath empties only `{PREFIX}…` buckets, empty it first", fault.message);
                    return Err(fault);
                }
                content::empty(&self.cloud, name).await?;
                self.delete_once(name).await
            }
            other => other,
        }
    }

    async fn tag(&self, object: &Object, tags: &Tags) -> Result<(), Fault> {
        settings::add_tags(&self.cloud, &object.identity, tags).await
    }

    fn examples(&self, _place: &Place) -> Vec<Example> {
        let mut kept = json!({ "name": "dms-club-staging", "expire_days": 7, "abort_uploads_days": 2 });
        let first = json!({ "name": "dms-club-staging", "abort_uploads_days": 1 });
        let tidy = kept.clone();
        kept["versioning"] = json!(true);
        kept["encryption"] = json!("sse-kms");
        vec![Example { name: "staging", spec: first, changed: vec![tidy, kept] }]
    }
}

/// Whether S3 keeps old versions.
fn is_versioned(status: Option<&BucketVersioningStatus>) -> bool {
    status == Some(&BucketVersioningStatus::Enabled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_engine::diff;
    use towpath_engine::kind::Of;

    #[test]
    fn names_start_with_what_the_policy_for_dms_covers() {
        let kind = Bucket::new(Cloud::offline());
        let place = Cloud::offline().place();
        assert_eq!(kind.name(&place, "staging", &Spec::default()), "dms-stack-staging");
        assert!(kind.name(&place, &"long".repeat(30), &Spec::default()).len() <= 63);
        assert!(is_name("dms-club-staging") && !is_name("Club") && !is_name("10.0.0.1") && !is_name("a..b"));
    }

    #[test]
    fn an_opened_bucket_is_a_difference_although_nothing_is_declared() {
        let kind = Of::new(Bucket::new(Cloud::offline()));
        let live = json!({ "name": "dms-x", "block_public_access": false });
        assert_eq!(diff::compare(&kind, &json!({}), &live, &Value::Null).changes[0].path, "block_public_access");
        let declared = json!({ "block_public_access": false });
        assert!(diff::compare(&kind, &declared, &live, &Value::Null).is_empty());
    }

    #[test]
    fn a_key_means_kms() {
        let kind = Of::new(Bucket::new(Cloud::offline()));
        let live = json!({ "encryption": "sse-s3", "block_public_access": true });
        let changes = diff::compare(&kind, &json!({ "kms_key": "alias/club" }), &live, &Value::Null).changes;
        assert_eq!(changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["kms_key", "encryption"]);
    }
}
