//! The settings of one bucket, each of which S3 reads and writes by itself.
//!
//! Lifecycle rules and tags are written as a whole; what is not ours in them is read first and kept.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging, VersioningConfiguration,
};
use aws_smithy_types::error::operation::BuildError;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Tags;

use super::{Encryption, Spec, is_versioned};
use crate::cloud::Cloud;
use crate::fault::fault;

/// The id of our lifecycle rule among a bucket's rules.
const RULE: &str = "towpath";

/// A request that lacks a required member: cannot happen with what is written here.
fn incomplete(error: &BuildError) -> Fault {
    Fault::local(FaultClass::Invalid, "s3/bucket", error.to_string())
}

/// "This setting is not there" as nothing; that the bucket itself is not there stays a fault.
fn or_none<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.is_not_found() && fault.code != "NoSuchBucket" => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// What a bucket's specs want to know of it, its public access and its tags.
pub(super) async fn read(
    cloud: &Cloud,
    bucket: &str,
    wants: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(Spec, Tags), Fault> {
    let wants_encryption = wants("encryption") || wants("kms_key");
    let wants_versioning = wants("versioning");
    let wants_rules = wants("expire_days") || wants("abort_uploads_days");
    let (tags, is_blocked, encryption, versioning, rules) = futures::try_join!(
        tags(cloud, bucket),
        is_blocked(cloud, bucket),
        async { if wants_encryption { encryption(cloud, bucket).await.map(Some) } else { Ok(None) } },
        async { if wants_versioning { versioning(cloud, bucket).await.map(Some) } else { Ok(None) } },
        async { if wants_rules { rules(cloud, bucket).await } else { Ok(Vec::new()) } },
    )?;
    let (encryption, kms_key) = encryption.map_or((None, None), |(encryption, key)| (Some(encryption), key));
    let ours = rules.iter().find(|rule| is_ours(rule));
    let spec = Spec {
        name: None,
        block_public_access: Some(is_blocked),
        encryption,
        kms_key,
        versioning,
        expire_days: ours.and_then(|rule| rule.expiration()?.days),
        abort_uploads_days: ours.and_then(|rule| rule.abort_incomplete_multipart_upload()?.days_after_initiation),
    };
    Ok((spec, tags))
}

/// The tags of a bucket.
pub(super) async fn tags(cloud: &Cloud, bucket: &str) -> Result<Tags, Fault> {
    let owner = cloud.place().account;
    let call = cloud.s3().await.get_bucket_tagging().bucket(bucket).expected_bucket_owner(owner);
    let answer = or_none(call.send().await.map_err(fault("s3:GetBucketTagging")))?;
    let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

async fn is_blocked(cloud: &Cloud, bucket: &str) -> Result<bool, Fault> {
    let owner = cloud.place().account;
    let call = cloud.s3().await.get_public_access_block().bucket(bucket).expected_bucket_owner(owner);
    let answer = or_none(call.send().await.map_err(fault("s3:GetPublicAccessBlock")))?;
    let block = answer.and_then(|answer| answer.public_access_block_configuration);
    Ok(block.is_some_and(|block| {
        [block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets]
            .iter()
            .all(|part| *part == Some(true))
    }))
}

async fn encryption(cloud: &Cloud, bucket: &str) -> Result<(Encryption, Option<String>), Fault> {
    let owner = cloud.place().account;
    let call = cloud.s3().await.get_bucket_encryption().bucket(bucket).expected_bucket_owner(owner);
    let answer = or_none(call.send().await.map_err(fault("s3:GetBucketEncryption")))?;
    let rules = answer.and_then(|answer| answer.server_side_encryption_configuration).map(|all| all.rules);
    let default = rules.into_iter().flatten().find_map(|rule| rule.apply_server_side_encryption_by_default);
    Ok(match default {
        Some(default) if default.sse_algorithm != ServerSideEncryption::Aes256 => {
            (Encryption::SseKms, default.kms_master_key_id)
        }
        _ => (Encryption::SseS3, None),
    })
}

async fn versioning(cloud: &Cloud, bucket: &str) -> Result<bool, Fault> {
    let owner = cloud.place().account;
    let call = cloud.s3().await.get_bucket_versioning().bucket(bucket).expected_bucket_owner(owner);
    let answer = call.send().await.map_err(fault("s3:GetBucketVersioning"))?;
    Ok(is_versioned(answer.status()))
}

async fn rules(cloud: &Cloud, bucket: &str) -> Result<Vec<LifecycleRule>, Fault> {
    let owner = cloud.place().account;
    let call = cloud.s3().await.get_bucket_lifecycle_configuration().bucket(bucket).expected_bucket_owner(owner);
    let answer = or_none(call.send().await.map_err(fault("s3:GetBucketLifecycleConfiguration")))?;
    Ok(answer.and_then(|answer| answer.rules).unwrap_or_default())
}

fn is_ours(rule: &LifecycleRule) -> bool {
    rule.id() == Some(RULE)
}

/// Writes the named fields as the spec has them. A new bucket blocks public access by itself.
pub(super) async fn write(cloud: &Cloud, bucket: &str, spec: &Spec, fields: &[String]) -> Result<(), Fault> {
    let changes = |names: &[&str]| fields.iter().any(|field| names.contains(&field.as_str()));
    if changes(&["block_public_access"]) {
        put_block(cloud, bucket, spec.block_public_access.unwrap_or(true)).await?;
    }
    if changes(&["encryption", "kms_key"]) {
        put_encryption(cloud, bucket, spec).await?;
    }
    if let Some(on) = spec.versioning.filter(|_| changes(&["versioning"])) {
        put_versioning(cloud, bucket, on).await?;
    }
    if changes(&["expire_days", "abort_uploads_days"]) {
        put_lifecycle(cloud, bucket, spec).await?;
    }
    Ok(())
}

async fn put_block(cloud: &Cloud, bucket: &str, on: bool) -> Result<(), Fault> {
    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(on)
        .ignore_public_acls(on)
        .block_public_policy(on)
        .restrict_public_buckets(on)
        .build();
    let call = cloud.s3().await.put_public_access_block().bucket(bucket).public_access_block_configuration(block);
    let call = call.expected_bucket_owner(cloud.place().account);
    call.send().await.map(drop).map_err(fault("s3:PutPublicAccessBlock"))
}

async fn put_encryption(cloud: &Cloud, bucket: &str, spec: &Spec) -> Result<(), Fault> {
    let by_kms = spec.kms_key.is_some() || spec.encryption == Some(Encryption::SseKms);
    let algorithm = if by_kms { ServerSideEncryption::AwsKms } else { ServerSideEncryption::Aes256 };
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(algorithm)
        .set_kms_master_key_id(spec.kms_key.clone())
        .build()
        .map_err(|error| incomplete(&error))?;
    // A key for the bucket saves most calls of KMS.
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(by_kms)
        .build();
    let configuration =
        ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(|error| incomplete(&error))?;
    let call = cloud.s3().await.put_bucket_encryption().bucket(bucket);
    let call = call.server_side_encryption_configuration(configuration).expected_bucket_owner(cloud.place().account);
    call.send().await.map(drop).map_err(fault("s3:PutBucketEncryption"))
}

async fn put_versioning(cloud: &Cloud, bucket: &str, on: bool) -> Result<(), Fault> {
    let status = if on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let configuration = VersioningConfiguration::builder().status(status).build();
    let call = cloud.s3().await.put_bucket_versioning().bucket(bucket).versioning_configuration(configuration);
    let call = call.expected_bucket_owner(cloud.place().account);
    call.send().await.map(drop).map_err(fault("s3:PutBucketVersioning"))
}

async fn put_lifecycle(cloud: &Cloud, bucket: &str, spec: &Spec) -> Result<(), Fault> {
    let (ours, mut all): (Vec<LifecycleRule>, Vec<LifecycleRule>) =
        rules(cloud, bucket).await?.into_iter().partition(is_ours);
    all.push(lifecycle_rule(&with_live_days(spec, ours.first()))?);
    let configuration =
        BucketLifecycleConfiguration::builder().set_rules(Some(all)).build().map_err(|error| incomplete(&error))?;
    let call = cloud.s3().await.put_bucket_lifecycle_configuration().bucket(bucket);
    let call = call.lifecycle_configuration(configuration).expected_bucket_owner(cloud.place().account);
    call.send().await.map(drop).map_err(fault("s3:PutBucketLifecycleConfiguration"))
}

/// The rule is written as a whole: of its two numbers the one that is not declared stays.
fn with_live_days(spec: &Spec, live: Option<&LifecycleRule>) -> Spec {
    let expires = || live?.expiration()?.days;
    let given_up = || live?.abort_incomplete_multipart_upload()?.days_after_initiation;
    Spec {
        expire_days: spec.expire_days.or_else(expires),
        abort_uploads_days: spec.abort_uploads_days.or_else(given_up),
        ..spec.clone()
    }
}

/// Our rule: old versions go when objects do.
fn lifecycle_rule(spec: &Spec) -> Result<LifecycleRule, Fault> {
    let expiration = spec.expire_days.map(|days| LifecycleExpiration::builder().days(days).build());
    let versions = spec.expire_days.map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build());
    let uploads = spec
        .abort_uploads_days
        .map(|days| AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build());
    LifecycleRule::builder()
        .id(RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .set_expiration(expiration)
        .set_noncurrent_version_expiration(versions)
        .set_abort_incomplete_multipart_upload(uploads)
        .build()
        .map_err(|error| incomplete(&error))
}

/// Tags as S3 takes them.
pub(super) fn tag_set(tags: &Tags) -> Result<Vec<Tag>, Fault> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect::<Result<_, _>>().map_err(|error| incomplete(&error))
}

/// Adds tags to those that are there. AWS's own cannot be sent and stay by themselves.
pub(super) async fn add_tags(cloud: &Cloud, bucket: &str, added: &Tags) -> Result<(), Fault> {
    let mut all = tags(cloud, bucket).await?;
    all.retain(|key, _| !key.starts_with("aws:"));
    all.extend(added.clone());
    let tagging = Tagging::builder().set_tag_set(Some(tag_set(&all)?)).build().map_err(|error| incomplete(&error))?;
    let call = cloud.s3().await.put_bucket_tagging().bucket(bucket).tagging(tagging);
    let call = call.expected_bucket_owner(cloud.place().account);
    call.send().await.map(drop).map_err(fault("s3:PutBucketTagging"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_holds_what_is_declared() {
        let rule = lifecycle_rule(&Spec { abort_uploads_days: Some(2), ..Spec::default() }).unwrap();
        assert!(is_ours(&rule) && rule.expiration().is_none());
        let rule = lifecycle_rule(&Spec { expire_days: Some(7), ..Spec::default() }).unwrap();
        assert_eq!(rule.expiration().unwrap().days, Some(7));
        assert_eq!(rule.noncurrent_version_expiration().unwrap().noncurrent_days, Some(7));
    }

    #[test]
    fn an_absent_setting_is_nothing_and_an_absent_bucket_a_fault() {
        let fault = |code: &str| Fault {
            code: code.to_owned(),
            ..Fault::local(FaultClass::NotFound, "s3:GetBucketTagging", "not there")
        };
        assert_eq!(or_none::<()>(Err(fault("NoSuchTagSet"))), Ok(None));
        assert!(or_none::<()>(Err(fault("NoSuchBucket"))).is_err());
    }
}
