//! Objects: reading, writing under conditions, deleting, tags.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{bucket, bucket_mut, malformed, no_bucket, read_tags, storage_error};
use crate::call::{ApiError, Call};
use crate::protocol::rest::{Target, document, empty};
use crate::protocol::xml::Element;
use crate::protocol::{Request, Response, query};
use crate::world::Tags;
use crate::world::s3::{Bucket, Version};

/// Request headers that become headers of the object.
const KEPT_HEADERS: [&str; 6] =
    ["content-type", "cache-control", "content-disposition", "content-language", "expires", "content-encoding"];

/// The longest key, in bytes.
const KEY_LIMIT: usize = 1024;

pub(super) fn put(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    check_conditions(bucket(call, target)?, target)?;
    let body = target.body()?;
    let version = Version {
        id: String::new(),
        body: Some(call.objects.put(&body).map_err(|error| storage_error(&error))?),
        size: body.len() as u64,
        etag: etag(&body),
        modified: call.clock.now(),
        headers: kept_headers(target.request),
        tags: header_tags(target.request),
    };
    write(call, target, version)
}

pub(super) fn copy(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    check_conditions(bucket(call, target)?, target)?;
    let (mut version, body) = copied(call, target)?;
    version.body = Some(call.objects.put(&body).map_err(|error| storage_error(&error))?);
    version.modified = call.clock.now();
    if replaces(target, "x-amz-metadata-directive") {
        version.headers = kept_headers(target.request);
    }
    if replaces(target, "x-amz-tagging-directive") {
        version.tags = header_tags(target.request);
    }
    let answer = json!({"ETag": version.etag, "LastModified": version.modified.iso()});
    write(call, target, version)?;
    Ok(document("CopyObjectResult", &answer))
}

/// The version that a request copies from, with its body.
pub(super) fn copied(call: &Call<'_>, target: &Target<'_>) -> Result<(Version, Vec<u8>), ApiError> {
    let source = target.request.header("x-amz-copy-source").unwrap_or_default();
    let (source, version) = source.split_once("?versionId=").map_or((source, None), |(s, v)| (s, Some(v.to_owned())));
    let source = percent_decode_str(source.trim_start_matches('/')).decode_utf8_lossy().into_owned();
    let (from, key) = source.split_once('/').ok_or_else(|| ApiError::new("InvalidArgument", "Invalid copy source"))?;
    let found = call.world.s3.buckets.get(from).ok_or_else(no_bucket)?;
    let version = find(found, key, version.as_deref())?.clone();
    let body = version.body.as_deref().ok_or_else(no_key)?;
    let body = call.objects.get(body).map_err(|error| storage_error(&error))?;
    Ok((version, body))
}

/// Whether a copy takes what the directive is about from the request instead of the source.
fn replaces(target: &Target<'_>, directive: &str) -> bool {
    target.request.header(directive).is_some_and(|directive| directive.eq_ignore_ascii_case("REPLACE"))
}

/// Puts a version in its place and answers with its tag.
pub(super) fn write(call: &mut Call<'_>, target: &Target<'_>, mut version: Version) -> Result<Response, ApiError> {
    if target.key.len() > KEY_LIMIT {
        return Err(ApiError::new("KeyTooLongError", "Your key is too long"));
    }
    let bucket = bucket_mut(call, target)?;
    let enabled = bucket.versioning.as_deref() == Some("Enabled");
    version.id = if enabled { Uuid::new_v4().simple().to_string() } else { "null".to_owned() };
    let mut response = empty(200);
    response.headers.push(("etag", version.etag.clone()));
    response.headers.push(("x-amz-server-side-encryption", "AES256".to_owned()));
    if enabled {
        response.headers.push(("x-amz-version-id", version.id.clone()));
    }
    let replaced = place(bucket, &target.key, version);
    forget(call, replaced);
    Ok(response)
}

/// Adds a version; one that has the same id goes, and its body is given back.
fn place(bucket: &mut Bucket, key: &str, version: Version) -> Vec<String> {
    let versions = bucket.objects.entry(key.to_owned()).or_default();
    let (same, others) = std::mem::take(versions).into_iter().partition(|own| own.id == version.id);
    *versions = others;
    versions.push(version);
    let same: Vec<Version> = same;
    same.into_iter().filter_map(|version| version.body).collect()
}

/// Removes bodies once the world has forgotten them.
pub(super) fn forget(call: &mut Call<'_>, bodies: Vec<String>) {
    if bodies.is_empty() {
        return;
    }
    call.afterwards(move |cloud| async move {
        for body in bodies {
            if let Err(error) = cloud.objects().remove(&body) {
                tracing::warn!(%error, "a forgotten object was left behind");
            }
        }
    });
}

pub(super) fn get(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let version = wanted(call, target)?;
    let id = version.body.as_deref().ok_or_else(no_key)?;
    let body = call.objects.get(id).map_err(|error| storage_error(&error))?;
    let mut response = described(version);
    match target.request.header("range").map(|range| parse_range(range, body.len())) {
        None => response.body = body.into(),
        Some(Some((first, last))) => {
            response.status = 206;
            response.headers.push(("content-range", format!("bytes {first}-{last}/{}", body.len())));
            response.body = bytes::Bytes::from(body).slice(first..=last);
        }
        Some(None) => {
            return Err(ApiError::new("InvalidRange", "The requested range is not satisfiable").status(416));
        }
    }
    Ok(response)
}

/// The first and last byte of a range header; nothing when it lies outside.
pub(super) fn parse_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.min(end)),
        (Ok(first), Err(_)) => (first, end),
        (Err(_), Ok(tail)) => (length.saturating_sub(tail), end),
        (Err(_), Err(_)) => return None,
    };
    (first <= last).then_some((first, last))
}

pub(super) fn head(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let version = wanted(call, target)?;
    let mut response = described(version);
    // A HEAD has the length of the body it does not carry.
    response.headers.push(("content-length", version.size.to_string()));
    Ok(response)
}

fn described(version: &Version) -> Response {
    let mut response = empty(200);
    response.headers.push(("etag", version.etag.clone()));
    response.headers.push(("last-modified", version.modified.http()));
    response.headers.push(("accept-ranges", "bytes".to_owned()));
    response.headers.push(("x-amz-server-side-encryption", "AES256".to_owned()));
    if version.id != "null" {
        response.headers.push(("x-amz-version-id", version.id.clone()));
    }
    response.extra.extend(version.headers.clone());
    if !version.headers.contains_key("content-type") {
        response.headers.push(("content-type", "binary/octet-stream".to_owned()));
    }
    response
}

pub(super) fn delete(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let modified = call.clock.now();
    let id = target.query.get("versionId").map(String::as_str);
    check_conditions(bucket(call, target)?, target)?;
    let bucket = bucket_mut(call, target)?;
    let removed = remove(bucket, &target.key, id, modified);
    let mut response = empty(204);
    if let Some(marker) = &removed.marker {
        response.headers.push(("x-amz-delete-marker", "true".to_owned()));
        response.headers.push(("x-amz-version-id", marker.clone()));
    }
    forget(call, removed.bodies);
    Ok(response)
}

pub(super) fn delete_many(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let root = Element::read(&target.body()?).ok_or_else(malformed)?;
    let wanted = root.all("Object");
    if wanted.is_empty() || wanted.len() > 1000 {
        return Err(malformed());
    }
    let quiet = root.text("Quiet") == Some("true");
    let modified = call.clock.now();
    let bucket = bucket_mut(call, target)?;
    let (mut deleted, mut bodies) = (Vec::new(), Vec::new());
    for object in wanted {
        let key = object.exact("Key").ok_or_else(malformed)?;
        let id = object.text("VersionId");
        let removed = remove(bucket, key, id, modified);
        bodies.extend(removed.bodies);
        deleted.push(json!({
            "Key": key,
            "VersionId": id,
            "DeleteMarker": removed.marker.is_some().then_some(true),
            "DeleteMarkerVersionId": removed.marker,
        }));
    }
    forget(call, bodies);
    let deleted = if quiet { Vec::new() } else { deleted };
    Ok(document("DeleteResult", &json!({"Deleted": deleted})))
}

/// What deleting did.
struct Removed {
    bodies: Vec<String>,
    marker: Option<String>,
}

/// Deletes a version, or hides an object of a versioned bucket behind a marker.
fn remove(bucket: &mut Bucket, key: &str, id: Option<&str>, modified: crate::clock::Timestamp) -> Removed {
    let marks = bucket.versioning.is_some() && id.is_none();
    if marks {
        let enabled = bucket.versioning.as_deref() == Some("Enabled");
        let id = if enabled { Uuid::new_v4().simple().to_string() } else { "null".to_owned() };
        let marker = Version {
            id: id.clone(),
            body: None,
            size: 0,
            etag: String::new(),
            modified,
            headers: BTreeMap::new(),
            tags: Tags::new(),
        };
        return Removed { bodies: place(bucket, key, marker), marker: Some(id) };
    }
    let Some(versions) = bucket.objects.get_mut(key) else { return Removed { bodies: Vec::new(), marker: None } };
    let (gone, kept): (Vec<_>, Vec<_>) =
        std::mem::take(versions).into_iter().partition(|version| version.id == id.unwrap_or("null"));
    *versions = kept;
    if versions.is_empty() {
        bucket.objects.remove(key);
    }
    Removed { bodies: gone.into_iter().filter_map(|version| version.body).collect(), marker: None }
}

pub(super) fn get_tagging(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let tags = &wanted(call, target)?.tags;
    Ok(document("Tagging", &json!({"TagSet": {"Tag": crate::services::tags::write(tags)}})))
}

pub(super) fn put_tagging(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let tags = read_tags(&target.body()?)?;
    let id = wanted(call, target)?.id.clone();
    let versions = bucket_mut(call, target)?.objects.get_mut(&target.key).ok_or_else(no_key)?;
    let version = versions.iter_mut().find(|version| version.id == id).ok_or_else(no_key)?;
    version.tags = tags;
    Ok(empty(200))
}

pub(super) fn delete_tagging(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let id = wanted(call, target)?.id.clone();
    let versions = bucket_mut(call, target)?.objects.get_mut(&target.key).ok_or_else(no_key)?;
    versions.iter_mut().filter(|version| version.id == id).for_each(|version| version.tags.clear());
    Ok(empty(204))
}

/// `GetObjectAttributes`: what the header asks for, as far as the sandbox keeps it.
pub(super) fn attributes(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let version = wanted(call, target)?;
    let asked = target.request.header("x-amz-object-attributes").unwrap_or_default();
    let asked: Vec<&str> = asked.split(',').map(str::trim).collect();
    let when = |name: &str, value: Value| if asked.contains(&name) { value } else { Value::Null };
    let parts = version.etag.trim_matches('"').split_once('-').and_then(|(_, parts)| parts.parse::<u32>().ok());
    let output = json!({
        "ETag": when("ETag", json!(version.etag.trim_matches('"'))),
        "ObjectParts": when("ObjectParts", parts.map_or(Value::Null, |count| json!({ "PartsCount": count }))),
        "StorageClass": when("StorageClass", json!("STANDARD")),
        "ObjectSize": when("ObjectSize", json!(version.size)),
    });
    let mut response = document("GetObjectAttributesResponse", &output);
    response.headers.push(("last-modified", version.modified.http()));
    if version.id != "null" {
        response.headers.push(("x-amz-version-id", version.id.clone()));
    }
    Ok(response)
}

/// The version a request names: the newest, unless it names one.
pub(super) fn wanted<'a>(call: &'a Call<'_>, target: &Target<'_>) -> Result<&'a Version, ApiError> {
    find(bucket(call, target)?, &target.key, target.query.get("versionId").map(String::as_str))
}

fn find<'a>(bucket: &'a Bucket, key: &str, id: Option<&str>) -> Result<&'a Version, ApiError> {
    let versions = bucket.objects.get(key).ok_or_else(no_key)?;
    match id {
        Some(id) => versions
            .iter()
            .find(|version| version.id == id)
            .ok_or_else(|| ApiError::new("NoSuchVersion", "The specified version does not exist.").status(404)),
        None => versions.last().filter(|version| version.body.is_some()).ok_or_else(no_key),
    }
}

/// Conditional writes: only when there is no such object, or only over the one that was seen.
pub(super) fn check_conditions(bucket: &Bucket, target: &Target<'_>) -> Result<(), ApiError> {
    let failed = || {
        let message = "At least one of the pre-conditions you specified did not hold";
        ApiError::new("PreconditionFailed", message).status(412)
    };
    let current = find(bucket, &target.key, None);
    if target.request.header("if-none-match") == Some("*") && current.is_ok() {
        return Err(failed());
    }
    match target.request.header("if-match") {
        Some(tag) if current?.etag.trim_matches('"') != tag.trim_matches('"') => Err(failed()),
        _ => Ok(()),
    }
}

pub(super) fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(body)))
}

pub(super) fn kept_headers(request: &Request) -> BTreeMap<String, String> {
    request
        .headers
        .iter()
        .filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-"))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.replace("aws-chunked", ""))))
        .map(|(name, value)| (name, value.trim_matches([',', ' ']).to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn header_tags(request: &Request) -> Tags {
    request.header("x-amz-tagging").map(|form| query::form(form).into_iter().collect()).unwrap_or_default()
}

fn no_key() -> ApiError {
    ApiError::new("NoSuchKey", "The specified key does not exist.").status(404)
}

/// What a list shows of a version.
pub(super) fn entry(key: &str, version: &Version) -> Value {
    json!({
        "Key": key,
        "LastModified": version.modified.iso(),
        "ETag": version.etag,
        "Size": version.size,
        "StorageClass": "STANDARD",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_body() {
        assert_eq!(parse_range("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(parse_range("bytes=8-", 10), Some((8, 9)));
        assert_eq!(parse_range("bytes=-4", 10), Some((6, 9)));
        assert_eq!(parse_range("bytes=5-99", 10), Some((5, 9)));
        assert_eq!(parse_range("bytes=10-", 10), None);
    }

    // The digest of RFC 1321, appendix A.5.
    #[test]
    fn the_entity_tag_is_the_quoted_md5_of_the_body() {
        assert_eq!(etag(b"abc"), "\"900150983cd24fb0d6963f7d28e17f72\"");
    }
}
