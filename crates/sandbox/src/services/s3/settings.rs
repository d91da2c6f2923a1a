//! Settings of buckets. Most are documents that are kept and given back as they came.

use serde_json::{Value, json};

use super::{bucket, bucket_mut, malformed, read_tags};
use crate::call::{ApiError, Call};
use crate::protocol::Response;
use crate::protocol::rest::{Target, document, empty};
use crate::protocol::xml::Element;

/// What a new bucket has as its public access block.
pub(super) const PRIVATE: &str = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";

/// What a new bucket has as its ownership controls.
pub(super) const OWNER_ENFORCED: &str = "<OwnershipControls xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";

/// What a bucket without an encryption setting is encrypted with.
const ENCRYPTION: &str = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>";

/// Subresources that are kept as documents, with the member a document must have and the error when
/// there is none.
const KEPT: [(&str, &str, &str); 5] = [
    ("cors", "CORSRule", "NoSuchCORSConfiguration"),
    ("encryption", "Rule", "ServerSideEncryptionConfigurationNotFoundError"),
    ("lifecycle", "Rule", "NoSuchLifecycleConfiguration"),
    ("ownershipControls", "Rule", "OwnershipControlsNotFoundError"),
    ("publicAccessBlock", "", "NoSuchPublicAccessBlockConfiguration"),
];

/// Subresources that nobody can set here, with the document that a bucket has as long as nobody did.
const UNTOUCHED: [(&str, &str); 4] = [
    ("accelerate", "<AccelerateConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"),
    ("logging", "<BucketLoggingStatus xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"),
    ("notification", "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"),
    (
        "requestPayment",
        "<RequestPaymentConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
    ),
];

/// The same for those that are an error as long as nobody has set them.
const ABSENT: [(&str, &str); 3] = [
    ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ("replication", "ReplicationConfigurationNotFoundError"),
    ("website", "NoSuchWebsiteConfiguration"),
];

fn kept(target: &Target<'_>) -> Result<(&'static str, &'static str, &'static str), ApiError> {
    let found = KEPT.into_iter().find(|(name, _, _)| target.has(name));
    found.ok_or_else(|| ApiError::new("NotImplemented", "the sandbox does not keep this setting").status(501))
}

pub(super) fn get(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let (name, _, absent) = kept(target)?;
    let stored = bucket(call, target)?.settings.get(name).map(String::as_str);
    let text = stored.or((name == "encryption").then_some(ENCRYPTION));
    let text =
        text.ok_or_else(|| ApiError::new(absent, format!("The {name} configuration was not found")).status(404))?;
    Ok(Response::new(200, "application/xml", text.to_owned()))
}

/// What a bucket answers for a setting that the sandbox takes from nobody.
pub(super) fn get_untouched(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    bucket(call, target)?;
    if let Some((name, code)) = ABSENT.into_iter().find(|(name, _)| target.has(name)) {
        return Err(ApiError::new(code, format!("The {name} configuration does not exist")).status(404));
    }
    let document = UNTOUCHED.into_iter().find(|(name, _)| target.has(name)).map_or("", |(_, document)| document);
    Ok(Response::new(200, "application/xml", document))
}

pub(super) fn put(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let (name, member, _) = kept(target)?;
    let body = target.body()?;
    let root = Element::read(&body).ok_or_else(malformed)?;
    if !member.is_empty() && root.all(member).is_empty() {
        return Err(malformed());
    }
    let text = String::from_utf8(body.to_vec()).map_err(|_| malformed())?;
    bucket_mut(call, target)?.settings.insert(name.to_owned(), text);
    Ok(empty(200))
}

pub(super) fn delete(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let (name, _, _) = kept(target)?;
    bucket_mut(call, target)?.settings.remove(name);
    Ok(empty(204))
}

pub(super) fn get_policy(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let policy = bucket(call, target)?.policy.clone();
    Ok(Response::new(200, "application/json", policy.ok_or_else(no_policy)?))
}

pub(super) fn no_policy() -> ApiError {
    ApiError::new("NoSuchBucketPolicy", "The bucket policy does not exist").status(404)
}

pub(super) fn put_policy(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let malformed = || ApiError::new("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'");
    let text = String::from_utf8(target.body()?.to_vec()).map_err(|_| malformed())?;
    let policy: Value = serde_json::from_str(&text).map_err(|_| malformed())?;
    if policy["Statement"].is_null() {
        return Err(ApiError::new("MalformedPolicy", "Missing required field Statement"));
    }
    bucket_mut(call, target)?.policy = Some(text);
    Ok(empty(204))
}

pub(super) fn delete_policy(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    bucket_mut(call, target)?.policy = None;
    Ok(empty(204))
}

pub(super) fn get_tagging(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let tags = &bucket(call, target)?.tags;
    if tags.is_empty() {
        return Err(ApiError::new("NoSuchTagSet", "The TagSet does not exist").status(404));
    }
    Ok(document("Tagging", &json!({"TagSet": {"Tag": crate::services::tags::write(tags)}})))
}

pub(super) fn put_tagging(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let tags = read_tags(&target.body()?)?;
    bucket_mut(call, target)?.tags = tags;
    Ok(empty(204))
}

pub(super) fn delete_tagging(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    bucket_mut(call, target)?.tags.clear();
    Ok(empty(204))
}

pub(super) fn get_versioning(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let status = &bucket(call, target)?.versioning;
    Ok(document("VersioningConfiguration", &json!({"Status": status})))
}

pub(super) fn put_versioning(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let root = Element::read(&target.body()?).ok_or_else(malformed)?;
    let status = root.text("Status").filter(|status| ["Enabled", "Suspended"].contains(status));
    let status = status.ok_or_else(|| {
        ApiError::new("IllegalVersioningConfigurationException", "The Versioning element must be specified")
    })?;
    bucket_mut(call, target)?.versioning = Some(status.to_owned());
    Ok(empty(200))
}
