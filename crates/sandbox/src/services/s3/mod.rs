//! Amazon S3: buckets, their settings, objects and multipart uploads.
//!
//! Source: Amazon S3 API reference.

mod access;
mod buckets;
mod listing;
mod multipart;
mod objects;
mod settings;

use crate::call::{ApiError, Call, Codes};
use crate::protocol::rest::Target;
use crate::protocol::xml::Element;
use crate::router::{Operation, Protocol, Reach, Service};
use crate::world::Tags;
use crate::world::s3::Bucket;

pub(crate) const SERVICE: Service = Service {
    name: "s3",
    protocol: Protocol::Rest,
    reach: Reach::Regional,
    codes: &Codes { missing: "InvalidRequest", invalid: "InvalidArgument" },
    operations: &[
        ("AbortMultipartUpload", Operation::Rest(multipart::abort)),
        ("CompleteMultipartUpload", Operation::Rest(multipart::complete)),
        ("CopyObject", Operation::Rest(objects::copy)),
        ("CreateBucket", Operation::Rest(buckets::create)),
        ("CreateMultipartUpload", Operation::Rest(multipart::create)),
        ("DeleteBucket", Operation::Rest(buckets::delete)),
        ("DeleteBucketCors", Operation::Rest(settings::delete)),
        ("DeleteBucketEncryption", Operation::Rest(settings::delete)),
        ("DeleteBucketLifecycle", Operation::Rest(settings::delete)),
        ("DeleteBucketOwnershipControls", Operation::Rest(settings::delete)),
        ("DeleteBucketPolicy", Operation::Rest(settings::delete_policy)),
        ("DeleteBucketTagging", Operation::Rest(settings::delete_tagging)),
        ("DeleteObject", Operation::Rest(objects::delete)),
        ("DeleteObjectTagging", Operation::Rest(objects::delete_tagging)),
        ("DeleteObjects", Operation::Rest(objects::delete_many)),
        ("DeletePublicAccessBlock", Operation::Rest(settings::delete)),
        ("GetBucketAccelerateConfiguration", Operation::Rest(settings::get_untouched)),
        ("GetBucketAcl", Operation::Rest(access::get_bucket_acl)),
        ("GetBucketCors", Operation::Rest(settings::get)),
        ("GetBucketEncryption", Operation::Rest(settings::get)),
        ("GetBucketLifecycleConfiguration", Operation::Rest(settings::get)),
        ("GetBucketLocation", Operation::Rest(buckets::location)),
        ("GetBucketLogging", Operation::Rest(settings::get_untouched)),
        ("GetBucketNotificationConfiguration", Operation::Rest(settings::get_untouched)),
        ("GetBucketOwnershipControls", Operation::Rest(settings::get)),
        ("GetBucketPolicy", Operation::Rest(settings::get_policy)),
        ("GetBucketPolicyStatus", Operation::Rest(access::policy_status)),
        ("GetBucketReplication", Operation::Rest(settings::get_untouched)),
        ("GetBucketRequestPayment", Operation::Rest(settings::get_untouched)),
        ("GetBucketTagging", Operation::Rest(settings::get_tagging)),
        ("GetBucketVersioning", Operation::Rest(settings::get_versioning)),
        ("GetBucketWebsite", Operation::Rest(settings::get_untouched)),
        ("GetObject", Operation::Rest(objects::get)),
        ("GetObjectAcl", Operation::Rest(access::get_object_acl)),
        ("GetObjectAttributes", Operation::Rest(objects::attributes)),
        ("GetObjectLockConfiguration", Operation::Rest(settings::get_untouched)),
        ("GetObjectTagging", Operation::Rest(objects::get_tagging)),
        ("GetPublicAccessBlock", Operation::Rest(settings::get)),
        ("HeadBucket", Operation::Rest(buckets::head)),
        ("HeadObject", Operation::Rest(objects::head)),
        ("ListBuckets", Operation::Rest(buckets::list)),
        ("ListMultipartUploads", Operation::Rest(multipart::list)),
        ("ListObjectVersions", Operation::Rest(listing::versions)),
        ("ListObjects", Operation::Rest(listing::objects_by_marker)),
        ("ListObjectsV2", Operation::Rest(listing::objects)),
        ("ListParts", Operation::Rest(multipart::list_parts)),
        ("PutBucketAcl", Operation::Rest(access::put_bucket_acl)),
        ("PutBucketCors", Operation::Rest(settings::put)),
        ("PutBucketEncryption", Operation::Rest(settings::put)),
        ("PutBucketLifecycleConfiguration", Operation::Rest(settings::put)),
        ("PutBucketOwnershipControls", Operation::Rest(settings::put)),
        ("PutBucketPolicy", Operation::Rest(settings::put_policy)),
        ("PutBucketTagging", Operation::Rest(settings::put_tagging)),
        ("PutBucketVersioning", Operation::Rest(settings::put_versioning)),
        ("PutObject", Operation::Rest(objects::put)),
        ("PutObjectAcl", Operation::Rest(access::put_object_acl)),
        ("PutObjectTagging", Operation::Rest(objects::put_tagging)),
        ("PutPublicAccessBlock", Operation::Rest(settings::put)),
        ("UploadPart", Operation::Rest(multipart::upload_part)),
        ("UploadPartCopy", Operation::Rest(multipart::upload_part_copy)),
    ],
};

/// The bucket a request names.
fn bucket<'a>(call: &'a Call<'_>, target: &Target<'_>) -> Result<&'a Bucket, ApiError> {
    check_owner(call, target)?;
    call.world.s3.buckets.get(&target.bucket).ok_or_else(no_bucket)
}

/// The same, to change it.
fn bucket_mut<'a>(call: &'a mut Call<'_>, target: &Target<'_>) -> Result<&'a mut Bucket, ApiError> {
    bucket(call, target)?;
    call.world.s3.buckets.get_mut(&target.bucket).ok_or_else(no_bucket)
}

fn check_owner(call: &Call<'_>, target: &Target<'_>) -> Result<(), ApiError> {
    match target.request.header("x-amz-expected-bucket-owner") {
        Some(owner) if owner != call.place.account => Err(ApiError::new("AccessDenied", "Access Denied").status(403)),
        _ => Ok(()),
    }
}

/// The tags of a `Tagging` document.
fn read_tags(body: &[u8]) -> Result<Tags, ApiError> {
    let root = Element::read(body).ok_or_else(malformed)?;
    tags_in(&root, "TagSet")
}

/// The tags of the lists of that name.
fn tags_in(root: &Element, list: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in root.all(list).iter().flat_map(|set| set.all("Tag")) {
        let key = tag.text("Key").filter(|key| !key.is_empty() && key.chars().count() <= 128);
        let key = key.ok_or_else(|| ApiError::new("InvalidTag", "The TagKey you have provided is invalid"))?;
        let value = tag.text("Value").unwrap_or_default();
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::new("InvalidTag", "Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > super::tags::LIMIT {
        return Err(ApiError::new("BadRequest", "Bucket tag count cannot be greater than 50"));
    }
    Ok(tags)
}

fn no_bucket() -> ApiError {
    ApiError::new("NoSuchBucket", "The specified bucket does not exist").status(404)
}

fn malformed() -> ApiError {
    ApiError::new(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn storage_error(error: &std::io::Error) -> ApiError {
    ApiError::new("InternalError", format!("the sandbox's objects: {error}")).status(500)
}
