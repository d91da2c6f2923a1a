//! Buckets.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::access::owner;
use super::{bucket, check_owner, no_bucket};
use crate::Quota;
use crate::call::{ApiError, Call};
use crate::protocol::Response;
use crate::protocol::rest::{Target, document, empty};
use crate::protocol::xml::Element;
use crate::world::s3::Bucket;

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$").expect("a constant pattern"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d+\.\d+\.\d+\.\d+$").expect("a constant pattern"));

/// "Bucket names must not start with the prefix …", "must not end with the suffix …" (S3 user guide, "General purpose bucket naming
/// rules").
const BEGINNINGS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// The region that is meant when a bucket names none, and may not be named.
const UNNAMED_REGION: &str = "us-east-1";

pub(super) fn create(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let name = &target.bucket;
    let is_reserved =
        BEGINNINGS.iter().any(|part| name.starts_with(part)) || ENDS.iter().any(|part| name.ends_with(part));
    if !NAME.is_match(name) || name.contains("..") || ADDRESS.is_match(name) || is_reserved {
        return Err(ApiError::new("InvalidBucketName", "The specified bucket is not valid."));
    }
    let configuration = Element::read(&target.request.body);
    let wanted = configuration.as_ref().and_then(|root| root.text("LocationConstraint"));
    if wanted.unwrap_or(UNNAMED_REGION) != call.place.region {
        let message = format!(
            "The {} location constraint is incompatible for the region specific endpoint this request was sent to.",
            wanted.unwrap_or("unspecified")
        );
        return Err(ApiError::new("IllegalLocationConstraintException", message));
    }
    if call.world.s3.buckets.contains_key(name) {
        if call.place.region == UNNAMED_REGION {
            return Ok(created(name));
        }
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(ApiError::new("BucketAlreadyOwnedByYou", message).status(409));
    }
    if call.world.s3.buckets.len() >= call.quotas.value(Quota::Buckets) {
        let message = "You have attempted to create more buckets than allowed.";
        return Err(ApiError::new("TooManyBuckets", message));
    }
    // "You must have the s3:TagResource permission to create a general purpose bucket with tags" (S3 API reference,
    // `CreateBucketConfiguration`).
    let tags = configuration.map(|root| super::tags_in(&root, "Tags")).transpose()?.unwrap_or_default();
    let mut bucket = Bucket { created: call.clock.now(), tags, ..Bucket::default() };
    // Since April 2023 new buckets block public access and have no ACLs.
    bucket.settings.insert("publicAccessBlock".to_owned(), super::settings::PRIVATE.to_owned());
    bucket.settings.insert("ownershipControls".to_owned(), super::settings::OWNER_ENFORCED.to_owned());
    call.world.s3.buckets.insert(name.clone(), bucket);
    Ok(created(name))
}

fn created(name: &str) -> Response {
    let mut response = empty(200);
    response.headers.push(("location", format!("/{name}")));
    response
}

pub(super) fn delete(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let bucket = bucket(call, target)?;
    if !bucket.objects.is_empty() || !bucket.uploads.is_empty() {
        return Err(ApiError::new("BucketNotEmpty", "The bucket you tried to delete is not empty").status(409));
    }
    call.world.s3.buckets.remove(&target.bucket);
    Ok(empty(204))
}

pub(super) fn head(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    check_owner(call, target)?;
    bucket(call, target).map_err(|_| no_bucket())?;
    let mut response = empty(200);
    response.headers.push(("x-amz-bucket-region", call.place.region.clone()));
    Ok(response)
}

pub(super) fn list(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let prefix = target.query.get("prefix").map_or("", String::as_str);
    let size = target.query.get("max-buckets").and_then(|size| size.parse().ok()).unwrap_or(10_000);
    let buckets: Vec<_> = call
        .world
        .s3
        .buckets
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, bucket)| {
            json!({"Name": name, "CreationDate": bucket.created.iso(), "BucketRegion": call.place.region})
        })
        .collect();
    let token = target.query.get("continuation-token").map(String::as_str);
    let (buckets, token) = crate::paging::page(buckets, token, size)
        .map_err(|_| ApiError::new("InvalidArgument", "The continuation token provided is incorrect"))?;
    let output = json!({
        "Owner": {"ID": owner(call)},
        "Buckets": {"Bucket": buckets},
        "ContinuationToken": token,
    });
    Ok(document("ListAllMyBucketsResult", &output))
}

pub(super) fn location(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    bucket(call, target)?;
    let region = Some(&call.place.region).filter(|region| *region != UNNAMED_REGION);
    let text = region.map_or("", String::as_str);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"{}\">{text}</LocationConstraint>",
        crate::protocol::rest::NAMESPACE
    );
    Ok(Response::new(200, "application/xml", body))
}
