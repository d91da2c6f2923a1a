//! State of S3. Bodies lie beside the world; see `objects`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tags;
use crate::clock::Timestamp;

/// What S3 holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct S3 {
    /// Buckets by name.
    pub buckets: BTreeMap<String, Bucket>,
}

/// A bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Bucket {
    /// When it was made.
    pub created: Timestamp,
    /// Object versions by key, the newest last. Without versioning there is one.
    pub objects: BTreeMap<String, Vec<Version>>,
    /// `Enabled`, `Suspended`, or absent when it was never set.
    pub versioning: Option<String>,
    /// Tags.
    pub tags: Tags,
    /// Configurations that are stored and given back as XML, by the name of their subresource.
    pub settings: BTreeMap<String, String>,
    /// The bucket policy, JSON as written.
    pub policy: Option<String>,
    /// Multipart uploads under way, by upload id.
    pub uploads: BTreeMap<String, Upload>,
}

/// One version of an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    /// `null` for one written without versioning.
    pub id: String,
    /// The body's id; absent for a delete marker.
    pub body: Option<String>,
    /// In bytes.
    pub size: u64,
    /// With its quotes.
    pub etag: String,
    /// When it was written.
    pub modified: Timestamp,
    /// Headers to give back: content type, metadata, checksums.
    pub headers: BTreeMap<String, String>,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
}

/// A multipart upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    /// The key it will make.
    pub key: String,
    /// When it began.
    pub started: Timestamp,
    /// Headers of the object to be.
    pub headers: BTreeMap<String, String>,
    /// Parts by number.
    pub parts: BTreeMap<u32, Part>,
}

/// A part of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The body's id.
    pub body: String,
    /// In bytes.
    pub size: u64,
    /// With its quotes.
    pub etag: String,
    /// When it came.
    pub modified: Timestamp,
}

impl S3 {
    /// Every bucket that bears tags, by ARN.
    pub fn tagged(&self, partition: &str) -> Vec<(String, Tags)> {
        self.buckets
            .iter()
            .map(|(name, bucket)| (format!("arn:{partition}:s3:::{name}"), bucket.tags.clone()))
            .collect()
    }
}
