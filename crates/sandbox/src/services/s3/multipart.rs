//! Multipart uploads.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use serde_json::json;
use uuid::Uuid;

use super::objects::{check_conditions, etag, forget, kept_headers, write};
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
    let number = target.query.get("partNumber").and_then(|number| number.parse::<u32>().ok());
    let number = number.filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        ApiError::new("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    })?;
    upload(call, target)?;
    let body = target.body()?;
    let part = Part {
        body: call.objects.put(&body).map_err(|error| storage_error(&error))?,
        size: body.len() as u64,
        etag: etag(&body),
        modified: call.clock.now(),
    };
    let mut response = empty(200);
    response.headers.push(("etag", part.etag.clone()));
    let replaced = upload_mut(call, target)?.parts.insert(number, part);
    forget(call, replaced.into_iter().map(|part| part.body).collect());
    Ok(response)
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

pub(super) fn list(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let prefix = target.query.get("prefix").map_or("", String::as_str);
    let uploads: Vec<_> = bucket(call, target)?
        .uploads
        .iter()
        .filter(|(_, upload)| upload.key.starts_with(prefix))
        .map(|(id, upload)| json!({"Key": upload.key, "UploadId": id, "Initiated": upload.started.iso(), "StorageClass": "STANDARD"}))
        .collect();
    let output =
        json!({"Bucket": target.bucket, "Prefix": prefix, "MaxUploads": 1000, "IsTruncated": false, "Upload": uploads});
    Ok(document("ListMultipartUploadsResult", &output))
}

pub(super) fn list_parts(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let parts: Vec<_> = upload(call, target)?
        .parts
        .iter()
        .map(|(number, part)| {
            json!({"PartNumber": number, "LastModified": part.modified.iso(), "ETag": part.etag, "Size": part.size})
        })
        .collect();
    let id = target.query.get("uploadId");
    let output = json!({"Bucket": target.bucket, "Key": target.key, "UploadId": id, "MaxParts": 10_000, "IsTruncated": false, "Part": parts});
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
