//! Emptying a bucket: every version of every object, every delete marker, every unfinished upload.
//!
//! A key may hold what XML cannot. Lists are asked for in the URL's encoding, and such keys are deleted one by one, with
//! the key in the address. Source: S3 API reference, `ListObjectVersions`, `encoding-type`: "An object key can contain
//! any Unicode character. However, the XML 1.0 parser can't parse certain characters".

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};
use percent_encoding::percent_decode_str;
use towpath_engine::fault::{Fault, FaultClass};

use crate::cloud::Cloud;
use crate::fault::fault;

/// Deletes everything that is in a bucket.
pub(super) async fn empty(cloud: &Cloud, bucket: &str) -> Result<(), Fault> {
    delete_versions(cloud, bucket).await?;
    abort_uploads(cloud, bucket).await
}

/// Page by page: a page of the list is what one delete takes, a thousand.
async fn delete_versions(cloud: &Cloud, bucket: &str) -> Result<(), Fault> {
    let (mut key, mut version) = (None, None);
    loop {
        let call = cloud.s3().await.list_object_versions().bucket(bucket);
        let call = call.expected_bucket_owner(cloud.place().account).encoding_type(EncodingType::Url);
        let call = call.set_key_marker(key).set_version_id_marker(version);
        let page = call.send().await.map_err(fault("s3:ListObjectVersions"))?;
        delete_page(cloud, bucket, &page).await?;
        if page.is_truncated != Some(true) {
            return Ok(());
        }
        (key, version) = (page.next_key_marker.as_deref().map(decoded), page.next_version_id_marker);
    }
}

async fn delete_page(cloud: &Cloud, bucket: &str, page: &ListObjectVersionsOutput) -> Result<(), Fault> {
    let versions = page.versions().iter().map(|one| (one.key(), one.version_id()));
    let markers = page.delete_markers().iter().map(|one| (one.key(), one.version_id()));
    let named = |(key, version): (Option<&str>, Option<&str>)| {
        let object = ObjectIdentifier::builder().key(decoded(key?)).set_version_id(version.map(str::to_owned)).build();
        // With its key an identifier is complete.
        object.ok()
    };
    let objects = versions.chain(markers).filter_map(named);
    let (objects, odd): (Vec<ObjectIdentifier>, Vec<_>) = objects.partition(|object| is_plain(object.key()));
    for object in odd {
        let call = cloud.s3().await.delete_object().bucket(bucket).key(object.key).set_version_id(object.version_id);
        call.expected_bucket_owner(cloud.place().account).send().await.map_err(fault("s3:DeleteObject"))?;
    }
    if objects.is_empty() {
        return Ok(());
    }
    let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
    let delete = delete.map_err(|error| Fault::local(FaultClass::Invalid, "s3:DeleteObjects", error.to_string()))?;
    let call = cloud.s3().await.delete_objects().bucket(bucket).delete(delete);
    let call = call.expected_bucket_owner(cloud.place().account);
    let answer = call.send().await.map_err(fault("s3:DeleteObjects"))?;
    match answer.errors() {
        [] => Ok(()),
        [first, ..] => Err(refused(first)),
    }
}

/// A key as it is, of one in a list. A blank is a plus there.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Whether XML 1.0 can tell the key. Source: its section 2.2, "Characters".
fn is_plain(key: &str) -> bool {
    key.chars()
        .all(|letter| matches!(letter, '\t' | '\n' | '\r') || !matches!(letter, '\0'..' ' | '\u{fffe}' | '\u{ffff}'))
}

/// An object that was not deleted although the call succeeded.
fn refused(error: &aws_sdk_s3::types::Error) -> Fault {
    let code = error.code().unwrap_or("Unknown");
    let message = format!("`{}`: {}", error.key().unwrap_or_default(), error.message().unwrap_or_default());
    Fault {
        class: crate::fault::classify("s3:DeleteObjects", code, &message, None),
        operation: "s3:DeleteObjects".to_owned(),
        code: code.to_owned(),
        message,
        request_id: None,
    }
}

async fn abort_uploads(cloud: &Cloud, bucket: &str) -> Result<(), Fault> {
    let (mut key, mut id) = (None, None);
    loop {
        let call = cloud.s3().await.list_multipart_uploads().bucket(bucket);
        let call = call.expected_bucket_owner(cloud.place().account).encoding_type(EncodingType::Url);
        let call = call.set_key_marker(key).set_upload_id_marker(id);
        let page = call.send().await.map_err(fault("s3:ListMultipartUploads"))?;
        for upload in page.uploads() {
            let call = cloud.s3().await.abort_multipart_upload().bucket(bucket);
            let call = call.set_key(upload.key().map(decoded)).set_upload_id(upload.upload_id.clone());
            match call.expected_bucket_owner(cloud.place().account).send().await {
                Ok(_) => {}
                Err(error) => {
                    let fault = fault("s3:AbortMultipartUpload")(error);
                    // Finished or given up meanwhile.
                    if fault.code != "NoSuchUpload" {
                        return Err(fault);
                    }
                }
            }
        }
        if page.is_truncated != Some(true) {
            return Ok(());
        }
        (key, id) = (page.next_key_marker.as_deref().map(decoded), page.next_upload_id_marker);
    }
}
