//! S3's REST protocol: the operation is in verb, path and the name of a subresource.
//!
//! Source: Amazon S3 API reference; path-style addresses, and virtual-hosted ones under `localhost`.

use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::xml::{Lists, push, write_members};
use super::{Request, Response, query, request_id};
use crate::call::ApiError;

/// The namespace of S3's XML.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What a request is about.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) request: &'a Request,
    /// The bucket; empty when the request is about the account.
    pub(crate) bucket: String,
    /// The key; empty when the request is about the bucket.
    pub(crate) key: String,
    /// The parameters of the address.
    pub(crate) query: BTreeMap<String, String>,
}

/// A document without its list of tags.
pub(crate) fn without_tags(body: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&body);
    match text.split_once("<Tags>").and_then(|(before, rest)| Some((before, rest.split_once("</Tags>")?.1))) {
        Some((before, after)) => format!("{before}{after}").into(),
        None => body,
    }
}

impl<'a> Target<'a> {
    /// Reads the address of a request.
    pub(crate) fn of(request: &'a Request) -> Result<Self, ApiError> {
        let path = percent_decode_str(request.uri.path()).decode_utf8();
        let path = path.map_err(|_| ApiError::new("InvalidURI", "Couldn't parse the specified URI."))?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = match virtual_bucket(request) {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').map_or((path.to_owned(), ""), |(bucket, key)| (bucket.to_owned(), key)),
        };
        let query = query::form(request.uri.query().unwrap_or_default()).into_iter().collect();
        Ok(Self { request, bucket, key: key.to_owned(), query })
    }

    /// The body, taken out of the chunks that SDKs wrap bodies with trailing checksums in.
    ///
    /// Source: Amazon S3 user guide, "Transferring payload in multiple chunks".
    pub(crate) fn body(&self) -> Result<Bytes, ApiError> {
        let is_chunked = self.request.header("x-amz-content-sha256").is_some_and(|kind| kind.starts_with("STREAMING-"));
        if !is_chunked {
            return Ok(self.request.body.clone());
        }
        let broken = || ApiError::new("IncompleteBody", "The chunks of the body are not whole");
        unchunked(&self.request.body).ok_or_else(broken)
    }

    /// Whether the address names a subresource.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.query.contains_key(name)
    }
}

/// The data of chunks that each have their length, in hexadecimal digits, and extensions in a line before.
fn unchunked(mut rest: &[u8]) -> Option<Bytes> {
    let mut body = Vec::with_capacity(rest.len());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body.into());
        }
        rest = &rest[end + 2..];
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length..)?.strip_prefix(b"\r\n")?;
    }
}

/// The bucket in a host name such as `bucket.localhost:9000`.
fn virtual_bucket(request: &Request) -> Option<String> {
    let host = request.header("host")?;
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix(".localhost").map(str::to_owned)
}

/// Subresources of a bucket that name an operation, with the noun of that operation. All that S3 has are
/// here: one that is not played must not be taken for the bucket itself.
const BUCKET_NOUNS: [(&str, &str); 24] = [
    ("abac", "BucketAbac"),
    ("accelerate", "BucketAccelerateConfiguration"),
    ("acl", "BucketAcl"),
    ("analytics", "BucketAnalyticsConfiguration"),
    ("cors", "BucketCors"),
    ("encryption", "BucketEncryption"),
    ("intelligent-tiering", "BucketIntelligentTieringConfiguration"),
    ("inventory", "BucketInventoryConfiguration"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("logging", "BucketLogging"),
    ("metadataConfiguration", "BucketMetadataConfiguration"),
    ("metadataTable", "BucketMetadataTableConfiguration"),
    ("metrics", "BucketMetricsConfiguration"),
    ("notification", "BucketNotificationConfiguration"),
    ("object-lock", "ObjectLockConfiguration"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("replication", "BucketReplication"),
    ("requestPayment", "BucketRequestPayment"),
    ("tagging", "BucketTagging"),
    ("versioning", "BucketVersioning"),
    ("website", "BucketWebsite"),
];

/// The same for objects.
const OBJECT_NOUNS: [(&str, &str); 8] = [
    ("acl", "ObjectAcl"),
    ("attributes", "ObjectAttributes"),
    ("encryption", "ObjectEncryption"),
    ("legal-hold", "ObjectLegalHold"),
    ("renameObject", "ObjectName"),
    ("retention", "ObjectRetention"),
    ("tagging", "ObjectTagging"),
    ("torrent", "ObjectTorrent"),
];

/// The verb of an operation over a subresource.
fn verb_of(method: &str) -> &'static str {
    match method {
        "GET" => "Get",
        "PUT" => "Put",
        "DELETE" => "Delete",
        "POST" => "Create",
        _ => "",
    }
}

/// Whether the address has a parameter that is neither in `known` nor about the request as such: then the request is about
/// something else than the bucket or object itself.
fn asks_for_more(target: &Target<'_>, known: &[&str]) -> bool {
    target
        .query
        .keys()
        .any(|key| key != "x-id" && !key.to_ascii_lowercase().starts_with("x-amz-") && !known.contains(&key.as_str()))
}

/// The name of the operation a request asks for.
pub(crate) fn operation(request: &Request) -> Result<String, ApiError> {
    let target = Target::of(request)?;
    let verb = request.method.as_str();
    let copies = request.header("x-amz-copy-source").is_some();
    if target.bucket.is_empty() {
        return Ok(if verb == "GET" { "ListBuckets".to_owned() } else { format!("{verb} account") });
    }
    if target.key.is_empty() {
        return Ok(bucket_operation(&target, verb));
    }
    if let Some((_, noun)) = OBJECT_NOUNS.iter().find(|(name, _)| target.has(name)) {
        return Ok(format!("{}{noun}", verb_of(verb)));
    }
    let name = match verb {
        "PUT" if target.has("partNumber") && copies => "UploadPartCopy",
        "PUT" if target.has("partNumber") => "UploadPart",
        "PUT" if asks_for_more(&target, &[]) => "",
        "PUT" if copies => "CopyObject",
        "PUT" => "PutObject",
        "GET" if target.has("uploadId") => "ListParts",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "DELETE" if target.has("uploadId") => "AbortMultipartUpload",
        "DELETE" if asks_for_more(&target, &["versionId"]) => "",
        "DELETE" => "DeleteObject",
        "POST" if target.has("uploads") => "CreateMultipartUpload",
        "POST" if target.has("uploadId") => "CompleteMultipartUpload",
        "POST" if target.has("restore") => "RestoreObject",
        "POST" if target.has("select") => "SelectObjectContent",
        _ => "",
    };
    Ok(if name.is_empty() { format!("{verb} object") } else { name.to_owned() })
}

fn bucket_operation(target: &Target<'_>, verb: &str) -> String {
    let prefix = verb_of(verb);
    if let Some((_, noun)) = BUCKET_NOUNS.iter().find(|(name, _)| target.has(name)) {
        // The operation to delete a lifecycle is named differently from those to read and write it.
        let noun = if (prefix, *noun) == ("Delete", "BucketLifecycleConfiguration") { "BucketLifecycle" } else { noun };
        return format!("{prefix}{noun}");
    }
    match verb {
        "GET" if target.has("location") => "GetBucketLocation",
        "GET" if target.has("versions") => "ListObjectVersions",
        "GET" if target.has("uploads") => "ListMultipartUploads",
        "GET" if target.has("session") => "CreateSession",
        "GET" if target.query.get("list-type").is_some_and(|kind| kind == "2") => "ListObjectsV2",
        "GET" => "ListObjects",
        "HEAD" => "HeadBucket",
        "PUT" if !asks_for_more(target, &[]) => "CreateBucket",
        "DELETE" if !asks_for_more(target, &[]) => "DeleteBucket",
        "POST" if target.has("delete") => "DeleteObjects",
        _ => return format!("{verb} bucket"),
    }
    .to_owned()
}

/// An answer whose XML has `root` around the members of `output`; lists are flat.
pub(crate) fn document(root: &str, output: &Value) -> Response {
    let mut body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">");
    write_members(&mut body, output, Lists::Flat);
    push(&mut body, format_args!("</{root}>"));
    with_id(Response::new(200, "application/xml", body))
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> Response {
    with_id(Response { status, headers: Vec::new(), extra: Vec::new(), body: Bytes::new() })
}

/// An answer with an error. A client that asked with HEAD sees its status only: HTTP has no body there.
pub(crate) fn failure(error: &ApiError) -> Response {
    if error.status == 304 {
        return empty(304);
    }
    let mut body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>".to_owned();
    let id = request_id();
    let members = json!({"Code": error.code, "Message": error.message, "RequestId": id, "HostId": id});
    write_members(&mut body, &members, Lists::Flat);
    body.push_str("</Error>");
    with_id(Response::new(error.status, "application/xml", body))
}

fn with_id(mut response: Response) -> Response {
    response.headers.push(("x-amz-request-id", request_id()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &str, uri: &str, host: &str) -> String {
        let mut headers = http::HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        let request =
            Request { method: method.parse().unwrap(), uri: uri.parse().unwrap(), headers, body: bytes::Bytes::new() };
        operation(&request).unwrap()
    }

    // The chunks of "Signature calculations: transferring a payload in multiple chunks", shortened.
    #[test]
    fn chunked_bodies_are_put_together() {
        let wire =
            b"5;chunk-signature=ad80c730a21e5b8d\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(unchunked(wire).unwrap(), "hello!");
        assert_eq!(unchunked(b"5\r\nhel"), None);
    }

    #[test]
    fn verb_path_and_subresource_name_the_operation() {
        let host = "127.0.0.1:4566";
        for (method, uri, expected) in [
            ("GET", "/", "ListBuckets"),
            ("PUT", "/b", "CreateBucket"),
            ("PUT", "/b/", "CreateBucket"),
            ("GET", "/b/?list-type=2&prefix=a%2F", "ListObjectsV2"),
            ("PUT", "/b?publicAccessBlock", "PutPublicAccessBlock"),
            ("DELETE", "/b?lifecycle", "DeleteBucketLifecycle"),
            ("POST", "/b?delete", "DeleteObjects"),
            ("PUT", "/b/a/key?x-id=PutObject", "PutObject"),
            ("POST", "/b/a/key?uploads", "CreateMultipartUpload"),
            ("PUT", "/b/a/key?partNumber=1&uploadId=u", "UploadPart"),
            // What is not played must not be taken for the bucket or the object itself.
            ("DELETE", "/b?website", "DeleteBucketWebsite"),
            ("PUT", "/b?acl", "PutBucketAcl"),
            ("DELETE", "/b?tomorrow", "DELETE bucket"),
            ("PUT", "/b/key?acl", "PutObjectAcl"),
            ("PUT", "/b/key?tomorrow", "PUT object"),
            ("DELETE", "/b/key?versionId=v", "DeleteObject"),
            ("PUT", "/b?X-Amz-Signature=s", "CreateBucket"),
        ] {
            assert_eq!(name(method, uri, host), expected, "{method} {uri}");
        }
        assert_eq!(name("GET", "/key", "bucket.localhost:4566"), "GetObject");
    }
}
