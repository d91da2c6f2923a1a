//! Multipart uploads.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use serde_json::json;
use uuid::Uuid;

use super::access::owner;
use super::listing::encoded;
use super::objects::{check_conditions, copied, etag, forget, kept_headers, parse_range, write};
use super::{bucket, bucket_mut, malformed, storage_error};
use crate::call::{ApiError, Call};
use crate::protocol::Response;
use crate::protocol::rest::{Target, document, empty};
use crate::protocol::xml::Element;
use crate::world::Tags;
use crate::world::s3::{Part, Upload, Version};

/// The smallest part, but for the last.
const SMALLEST: u64 = 5 * 1024 * 1024;

pub(super) fn create(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let id = Uuid::new_v4().simple().to_string();
    let started = call.clock.now();
    let headers = kept_headers(target.request);
    let upload = Upload { key: target.key.clone(), started, headers, parts: BTreeMap::new() };
    bucket_mut(call, target)?.uploads.insert(id.clone(), upload);
    let output = json!({"Bucket": target.bucket, "Key": target.key, "UploadId": id});
    Ok(document("InitiateMultipartUploadResult", &output))
}

pub(super) fn upload_part(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let part = keep(call, target, &target.body()?)?;
    let mut response = empty(200);
    response.headers.push(("etag", part.etag));
    Ok(response)
}

/// `UploadPartCopy`: the body of an object, or a range of it, becomes a part.
pub(super) fn upload_part_copy(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let (_, body) = copied(call, target)?;
    let body = match target.request.header("x-amz-copy-source-range").map(|range| parse_range(range, body.len())) {
        None => body,
        Some(Some((first, last))) => body[first..=last].to_vec(),
        Some(None) => return Err(ApiError::new("InvalidArgument", "The x-amz-copy-source-range value does not fit")),
    };
    let part = keep(call, target, &body)?;
    Ok(document("CopyPartResult", &json!({"ETag": part.etag, "LastModified": part.modified.iso()})))
}

/// Keeps a body as the part that the request numbers.
fn keep(call: &mut Call<'_>, target: &Target<'_>, body: &[u8]) -> Result<Part, ApiError> {
    let number = target.query.get("partNumber").and_then(|number| number.parse::<u32>().ok());
    let number = number.filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        ApiError::new("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    })?;
    upload(call, target)?;
    let part = Part {
        body: call.objects.put(body).map_err(|error| storage_error(&error))?,
        size: body.len() as u64,
        etag: etag(body),
        modified: call.clock.now(),
    };
    let replaced = upload_mut(call, target)?.parts.insert(number, part.clone());
    forget(call, replaced.into_iter().map(|part| part.body).collect());
    Ok(part)
}

pub(super) fn complete(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let upload = upload(call, target)?.clone();
    check_conditions(bucket(call, target)?, target)?;
    let root = Element::read(&target.body()?).ok_or_else(malformed)?;
    let listed = root.all("Part");
    let mut chosen: Vec<(u32, &Part)> = Vec::new();
    for part in listed {
        let number = part.text("PartNumber").and_then(|number| number.parse().ok()).ok_or_else(malformed)?;
        if chosen.last().is_some_and(|(before, _)| *before >= number) {
            let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(ApiError::new("InvalidPartOrder", message));
        }
        let own = upload.parts.get(&number);
        let fits =
            |own: &&Part| part.text("ETag").is_some_and(|tag| tag.trim_matches('"') == own.etag.trim_matches('"'));
        let own = own
            .filter(fits)
            .ok_or_else(|| ApiError::new("InvalidPart", "One or more of the specified parts could not be found."))?;
        chosen.push((number, own));
    }
    let Some((_, all_but_last)) = chosen.split_last() else { return Err(malformed()) };
    if all_but_last.iter().any(|(_, part)| part.size < SMALLEST) {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(ApiError::new("EntityTooSmall", message));
    }
    let version = join(call, &chosen, upload.headers.clone())?;
    let output = json!({
        "Location": format!("/{}/{}", target.bucket, target.key),
        "Bucket": target.bucket,
        "Key": target.key,
        "ETag": version.etag,
    });
    write(call, target, version)?;
    let id = target.query.get("uploadId").cloned().unwrap_or_default();
    bucket_mut(call, target)?.uploads.remove(&id);
    forget(call, upload.parts.into_values().map(|part| part.body).collect());
    Ok(document("CompleteMultipartUploadResult", &output))
}

/// The object that parts make; its tag is the digest of the parts' digests and their number.
fn join(call: &Call<'_>, parts: &[(u32, &Part)], headers: BTreeMap<String, String>) -> Result<Version, ApiError> {
    let (mut body, mut digests) = (Vec::new(), Vec::new());
    for (_, part) in parts {
        body.extend(call.objects.get(&part.body).map_err(|error| storage_error(&error))?);
        digests.extend(hex::decode(part.etag.trim_matches('"')).map_err(|_| malformed())?);
    }
    Ok(Version {
        id: String::new(),
        size: body.len() as u64,
        body: Some(call.objects.put(&body).map_err(|error| storage_error(&error))?),
        etag: format!("\"{}-{}\"", hex::encode(Md5::digest(&digests)), parts.len()),
        modified: call.clock.now(),
        headers,
        tags: Tags::new(),
    })
}

pub(super) fn abort(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    upload(call, target)?;
    let id = target.query.get("uploadId").cloned().unwrap_or_default();
    let gone = bucket_mut(call, target)?.uploads.remove(&id);
    forget(call, gone.into_iter().flat_map(|upload| upload.parts.into_values()).map(|part| part.body).collect());
    Ok(empty(204))
}

/// How many items a list may have: at most a thousand.
fn limit(target: &Target<'_>, name: &str) -> Result<usize, ApiError> {
    let given = target.query.get(name).map(|text| text.parse::<usize>());
    let given =
        given.transpose().map_err(|_| ApiError::new("InvalidArgument", format!("Provided {name} not an integer")));
    Ok(given?.unwrap_or(1000).min(1000))
}

/// `ListMultipartUploads`: by key, then by time.
pub(super) fn list(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let text = |name: &str| target.query.get(name).map_or("", String::as_str);
    let (prefix, key_marker, id_marker) = (text("prefix"), text("key-marker"), text("upload-id-marker"));
    let limit = limit(target, "max-uploads")?;
    let mut uploads: Vec<_> =
        bucket(call, target)?.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix)).collect();
    uploads.sort_by_key(|(id, upload)| (&upload.key, upload.started, *id));
    // "If upload-id-marker is not specified, only the keys lexicographically greater than the key-marker are in the list."
    let at = uploads.iter().position(|(id, upload)| upload.key == key_marker && *id == id_marker);
    match at {
        Some(at) => drop(uploads.drain(..=at)),
        None if id_marker.is_empty() => uploads.retain(|(_, upload)| upload.key.as_str() > key_marker),
        None => uploads.retain(|(_, upload)| upload.key.as_str() >= key_marker),
    }
    let truncated = uploads.len() > limit;
    uploads.truncate(limit);
    let next = uploads.last().filter(|_| truncated);
    let owner = json!({ "ID": owner(call) });
    let encoding = target.query.get("encoding-type");
    let encoded = |key: &str| encoded(encoding, key);
    let shown: Vec<_> = uploads
        .iter()
        .map(|(id, upload)| {
            json!({"Key": encoded(&upload.key), "UploadId": id, "Initiated": upload.started.iso(), "StorageClass": "STANDARD", "Owner": owner, "Initiator": owner})
        })
        .collect();
    let output = json!({
        "Bucket": target.bucket, "Prefix": encoded(prefix), "KeyMarker": encoded(key_marker), "UploadIdMarker": id_marker,
        "MaxUploads": limit, "EncodingType": encoding, "IsTruncated": truncated,
        "NextKeyMarker": next.map(|(_, upload)| encoded(&upload.key)), "NextUploadIdMarker": next.map(|(id, _)| id),
        "Upload": shown,
    });
    Ok(document("ListMultipartUploadsResult", &output))
}

pub(super) fn list_parts(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let limit = limit(target, "max-parts")?;
    let marker = target.query.get("part-number-marker").and_then(|marker| marker.parse::<u32>().ok()).unwrap_or(0);
    let upload = upload(call, target)?;
    let parts: Vec<_> = upload
        .parts
        .range(marker.saturating_add(1)..)
        .map(|(number, part)| {
            json!({"PartNumber": number, "LastModified": part.modified.iso(), "ETag": part.etag, "Size": part.size})
        })
        .collect();
    let truncated = parts.len() > limit;
    let shown: Vec<_> = parts.into_iter().take(limit).collect();
    let next = shown.last().filter(|_| truncated).map(|part| part["PartNumber"].clone());
    let owner = json!({ "ID": owner(call) });
    let output = json!({
        "Bucket": target.bucket, "Key": target.key, "UploadId": target.query.get("uploadId"), "PartNumberMarker": marker,
        "NextPartNumberMarker": next, "MaxParts": limit, "IsTruncated": truncated, "StorageClass": "STANDARD", "Owner": owner,
        "Initiator": owner, "Part": shown,
    });
    Ok(document("ListPartsResult", &output))
}

fn upload<'a>(call: &'a Call<'_>, target: &Target<'_>) -> Result<&'a Upload, ApiError> {
    let id = target.query.get("uploadId").map_or("", String::as_str);
    bucket(call, target)?.uploads.get(id).filter(|upload| upload.key == target.key).ok_or_else(no_upload)
}

fn upload_mut<'a>(call: &'a mut Call<'_>, target: &Target<'_>) -> Result<&'a mut Upload, ApiError> {
    let id = target.query.get("uploadId").map_or("", String::as_str);
    bucket_mut(call, target)?.uploads.get_mut(id).ok_or_else(no_upload)
}

fn no_upload() -> ApiError {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    ApiError::new("NoSuchUpload", message).status(404)
}
