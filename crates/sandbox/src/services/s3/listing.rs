//! Lists of objects and of their versions: prefix, delimiter, pages.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::access::owner;
use super::bucket;
use super::objects::entry;
use crate::call::{ApiError, Call};
use crate::protocol::Response;
use crate::protocol::rest::{Target, document};
use crate::world::s3::Bucket;

/// Characters that stay as they are with `encoding-type=url`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'*');

/// The newest versions of keys, as far as one page goes.
struct Newest {
    contents: Vec<Value>,
    prefixes: BTreeSet<String>,
    /// The last key or group of the page, when more come after it.
    next: Option<String>,
}

/// One page of the objects behind `after`.
fn newest(bucket: &Bucket, query: &Query, after: Option<&String>) -> Newest {
    let newest = bucket.objects.iter().filter_map(|(key, versions)| {
        versions.last().filter(|version| version.body.is_some()).map(|version| (key, version))
    });
    let (mut contents, mut prefixes, mut last) = (Vec::new(), BTreeSet::new(), None);
    for (key, version) in newest.filter(|(key, _)| key.starts_with(&query.prefix)) {
        let common = query.common(key);
        // A token may name a whole group of keys, which were all in the page before.
        let passed = |after: &String| key <= after || (common.as_ref() == Some(after) && !after.is_empty());
        if after.is_some_and(passed) || common.as_ref().is_some_and(|common| prefixes.contains(common)) {
            continue;
        }
        if contents.len() + prefixes.len() >= query.limit {
            return Newest { contents, prefixes, next: last };
        }
        last = Some(common.clone().unwrap_or_else(|| key.clone()));
        if let Some(common) = common {
            prefixes.insert(common);
        } else {
            let mut item = entry(key, version);
            item["Key"] = json!(query.encoded(key));
            contents.push(item);
        }
    }
    Newest { contents, prefixes, next: None }
}

pub(super) fn objects(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let query = Query::read(target)?;
    let after = match target.query.get("continuation-token") {
        Some(token) => Some(key_of(token)?),
        None => target.query.get("start-after").cloned(),
    };
    let page = newest(bucket(call, target)?, &query, after.as_ref());
    let output = json!({
        "Name": target.bucket,
        "Prefix": query.encoded(&query.prefix),
        "Delimiter": query.delimiter,
        "MaxKeys": query.limit,
        "EncodingType": query.encoding,
        "KeyCount": page.contents.len() + page.prefixes.len(),
        "IsTruncated": page.next.is_some(),
        "ContinuationToken": target.query.get("continuation-token"),
        "NextContinuationToken": page.next.map(|key| STANDARD.encode(key)),
        "StartAfter": target.query.get("start-after"),
        "Contents": page.contents,
        "CommonPrefixes": common_prefixes(&page.prefixes, &query),
    });
    Ok(document("ListBucketResult", &output))
}

/// The older form of the list. "NextMarker: This element is returned only if you have the delimiter
/// request parameter specified" (`ListObjects`).
pub(super) fn objects_by_marker(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let query = Query::read(target)?;
    let marker = target.query.get("marker");
    let mut page = newest(bucket(call, target)?, &query, marker);
    for item in &mut page.contents {
        item["Owner"] = json!({ "ID": owner(call) });
    }
    let output = json!({
        "Name": target.bucket,
        "Prefix": query.encoded(&query.prefix),
        "Marker": query.encoded(marker.map_or("", String::as_str)),
        "Delimiter": query.delimiter,
        "MaxKeys": query.limit,
        "EncodingType": query.encoding,
        "IsTruncated": page.next.is_some(),
        "NextMarker": page.next.filter(|_| query.delimiter.is_some()).map(|key| query.encoded(&key)),
        "Contents": page.contents,
        "CommonPrefixes": common_prefixes(&page.prefixes, &query),
    });
    Ok(document("ListBucketResult", &output))
}

pub(super) fn versions(call: &mut Call<'_>, target: &Target<'_>) -> Result<Response, ApiError> {
    let query = Query::read(target)?;
    let key_marker = target.query.get("key-marker").cloned().unwrap_or_default();
    let id_marker = target.query.get("version-id-marker").cloned().unwrap_or_default();
    let bucket = bucket(call, target)?;
    // Newest first within a key; the markers name the last item of the page before.
    let mut items: Vec<_> = bucket
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(&query.prefix))
        .flat_map(|(key, versions)| {
            versions.iter().rev().enumerate().map(move |(position, version)| (key, version, position == 0))
        })
        .filter(|(key, _, _)| key_marker.is_empty() || query.common(key).as_ref() != Some(&key_marker))
        .collect();
    if !key_marker.is_empty() {
        let at = items.iter().position(|(key, version, _)| **key == key_marker && version.id == id_marker);
        items = match at {
            Some(at) => items.split_off(at + 1),
            // The version of the marker was deleted meanwhile: its key's others are still to be seen.
            None if !id_marker.is_empty() => items.into_iter().filter(|(key, _, _)| **key >= key_marker).collect(),
            None => items.into_iter().filter(|(key, _, _)| **key > key_marker).collect(),
        };
    }
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (mut last, mut truncated) = (None, false);
    for (key, version, latest) in items {
        let common = query.common(key);
        if common.as_ref().is_some_and(|common| prefixes.contains(common)) {
            continue;
        }
        if versions.len() + markers.len() + prefixes.len() >= query.limit {
            truncated = true;
            break;
        }
        if let Some(common) = common {
            last = Some((common.clone(), None));
            prefixes.insert(common);
            continue;
        }
        last = Some((key.clone(), Some(&version.id)));
        let mut item = entry(key, version);
        item["Key"] = json!(query.encoded(key));
        item["VersionId"] = json!(version.id);
        item["IsLatest"] = json!(latest);
        item["Owner"] = json!({ "ID": owner(call) });
        if version.body.is_some() {
            versions.push(item);
        } else {
            for member in ["ETag", "Size", "StorageClass"] {
                item[member] = Value::Null;
            }
            markers.push(item);
        }
    }
    let next = last.filter(|_| truncated);
    let output = json!({
        "Name": target.bucket,
        "Prefix": query.encoded(&query.prefix),
        "Delimiter": query.delimiter,
        "KeyMarker": query.encoded(&key_marker),
        "VersionIdMarker": id_marker,
        "NextKeyMarker": next.as_ref().map(|(key, _)| query.encoded(key)),
        "NextVersionIdMarker": next.as_ref().and_then(|(_, id)| *id),
        "MaxKeys": query.limit,
        "EncodingType": query.encoding,
        "IsTruncated": truncated,
        "Version": versions,
        "DeleteMarker": markers,
        "CommonPrefixes": common_prefixes(&prefixes, &query),
    });
    Ok(document("ListVersionsResult", &output))
}

fn common_prefixes(prefixes: &BTreeSet<String>, query: &Query) -> Vec<Value> {
    prefixes.iter().map(|prefix| json!({"Prefix": query.encoded(prefix)})).collect()
}

/// What every list request may say.
struct Query {
    prefix: String,
    delimiter: Option<String>,
    encoding: Option<String>,
    limit: usize,
}

impl Query {
    fn read(target: &Target<'_>) -> Result<Self, ApiError> {
        let limit = match target.query.get("max-keys").map(|text| text.parse::<usize>()) {
            None => 1000,
            Some(Ok(limit)) => limit.min(1000),
            Some(Err(_)) => return Err(ApiError::new("InvalidArgument", "Provided max-keys not an integer")),
        };
        Ok(Self {
            prefix: target.query.get("prefix").cloned().unwrap_or_default(),
            delimiter: target.query.get("delimiter").filter(|text| !text.is_empty()).cloned(),
            encoding: target.query.get("encoding-type").cloned(),
            limit,
        })
    }

    /// The group a key belongs to: up to the delimiter after the prefix.
    fn common(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref()?;
        let at = key[self.prefix.len()..].find(delimiter)?;
        Some(key[..self.prefix.len() + at + delimiter.len()].to_owned())
    }

    fn encoded(&self, key: &str) -> String {
        encoded(self.encoding.as_ref(), key)
    }
}

/// A key as a list shows it.
pub(super) fn encoded(encoding: Option<&String>, key: &str) -> String {
    if encoding.is_some() { utf8_percent_encode(key, KEPT).to_string() } else { key.to_owned() }
}

fn key_of(token: &str) -> Result<String, ApiError> {
    let key = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| ApiError::new("InvalidArgument", "The continuation token provided is incorrect"))
}
