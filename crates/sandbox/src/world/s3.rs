//! State of S3. Bodies lie beside the world; see `objects`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;
use crate::clock::Timestamp;

/// What S3 holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct S3 {
    /// Buckets by name.
    pub(crate) buckets: BTreeMap<String, Bucket>,
}

/// A bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Object versions by key, the newest last. Without versioning there is one.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
    /// `Enabled`, `Suspended`, or absent when it was never set.
    pub(crate) versioning: Option<String>,
    /// Tags.
    pub(crate) tags: Tags,
    /// Configurations that are stored and given back as XML, by the name of their subresource.
    pub(crate) settings: BTreeMap<String, String>,
    /// The bucket policy, JSON as written.
    pub(crate) policy: Option<String>,
    /// Multipart uploads under way, by upload id.
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// One version of an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    /// `null` for one written without versioning.
    pub(crate) id: String,
    /// The body's id; absent for a delete marker.
    pub(crate) body: Option<String>,
    /// In bytes.
    pub(crate) size: u64,
    /// With its quotes.
    pub(crate) etag: String,
    /// When it was written.
    pub(crate) modified: Timestamp,
    /// Headers to give back: content type, metadata, checksums.
    pub(crate) headers: BTreeMap<String, String>,
    /// Tags.
    #[serde(default)]
    pub(crate) tags: Tags,
}

/// A multipart upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// The key it will make.
    pub(crate) key: String,
    /// When it began.
    pub(crate) started: Timestamp,
    /// Headers of the object to be.
    pub(crate) headers: BTreeMap<String, String>,
    /// Parts by number.
    pub(crate) parts: BTreeMap<u32, Part>,
}

/// A part of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The body's id.
    pub(crate) body: String,
    /// In bytes.
    pub(crate) size: u64,
    /// With its quotes.
    pub(crate) etag: String,
    /// When it came.
    pub(crate) modified: Timestamp,
}

impl S3 {
    /// Every bucket that bears tags, by ARN.
    pub(crate) fn tagged(&self, partition: &str) -> Vec<(String, Tags)> {
        self.buckets
            .iter()
            .map(|(name, bucket)| (format!("arn:{partition}:s3:::{name}"), bucket.tags.clone()))
            .collect()
    }
}
