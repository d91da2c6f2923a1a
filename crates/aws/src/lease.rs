//! A stack's lease as an object in S3: one writer, wherever the runs are.
//!
//! Rests on S3's conditional requests: a write or delete happens only over the version that was read,
//! or only where nothing is. It needs a bucket that exists and makes none. Source: S3 user guide,
//! "Add preconditions to S3 operations with conditional requests".

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use towpath_engine::fault::Fault;
use towpath_engine::lease::{Lease, LeaseError, LeaseStore, Version};

use crate::cloud::Cloud;
use crate::fault::fault;

/// The lease of one stack in a bucket.
pub struct S3Lease {
    cloud: Cloud,
    bucket: String,
    key: String,
}

impl S3Lease {
    /// The lease at `key` in `bucket`, e.g. `towpath/club/lease.json`. Nothing is called yet. The
    /// cloud must have been located: the bucket must belong to the caller's account.
    pub fn new(cloud: Cloud, bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { cloud, bucket: bucket.into(), key: key.into() }
    }

    fn error(&self, verb: &'static str, message: &impl ToString) -> LeaseError {
        let place = format!("object `s3://{}/{}`", self.bucket, self.key);
        LeaseError::Store { place, verb, message: message.to_string() }
    }

    fn owner(&self) -> String {
        self.cloud.place().account
    }

    /// The lease as stored, with its version.
    async fn get(&self) -> Result<(Vec<u8>, Version), Fault> {
        let call = self.cloud.s3().await.get_object().bucket(&self.bucket).key(&self.key);
        let answer = call.expected_bucket_owner(self.owner()).send().await.map_err(fault("s3:GetObject"))?;
        let version = answer.e_tag.unwrap_or_default();
        let unread = |error: aws_sdk_s3::primitives::ByteStreamError| {
            let class = towpath_engine::fault::FaultClass::Unavailable;
            Fault::local(class, "s3:GetObject", error.to_string())
        };
        Ok((answer.body.collect().await.map_err(unread)?.to_vec(), version))
    }

    async fn put(&self, body: Vec<u8>, expected: Option<&Version>) -> Result<(), Fault> {
        let call = self.cloud.s3().await.put_object().bucket(&self.bucket).key(&self.key);
        let call = call.expected_bucket_owner(self.owner()).content_type("application/json");
        let call = match expected {
            Some(version) => call.if_match(version),
            None => call.if_none_match("*"),
        };
        call.body(ByteStream::from(body)).send().await.map(drop).map_err(fault("s3:PutObject"))
    }

    async fn remove(&self, expected: &Version) -> Result<(), Fault> {
        let call = self.cloud.s3().await.delete_object().bucket(&self.bucket).key(&self.key);
        let call = call.expected_bucket_owner(self.owner()).if_match(expected);
        call.send().await.map(drop).map_err(fault("s3:DeleteObject"))
    }
}

/// Whether a fault says that somebody else wrote first.
fn is_late(fault: &Fault) -> bool {
    matches!(fault.code.as_str(), "PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey")
}

#[async_trait]
impl LeaseStore for S3Lease {
    async fn read(&self) -> Result<Option<(Lease, Version)>, LeaseError> {
        let (body, version) = match self.get().await {
            Ok(found) => found,
            Err(fault) if fault.code == "NoSuchKey" => return Ok(None),
            Err(fault) => return Err(self.error("read", &fault)),
        };
        let lease = serde_json::from_slice(&body).map_err(|error| self.error("read", &error))?;
        Ok(Some((lease, version)))
    }

    async fn replace(&self, lease: Option<&Lease>, expected: Option<&Version>) -> Result<bool, LeaseError> {
        let written = match (lease, expected) {
            (Some(lease), expected) => {
                let body = serde_json::to_vec(lease).map_err(|error| self.error("written", &error))?;
                self.put(body, expected).await
            }
            (None, Some(version)) => self.remove(version).await,
            // Nothing is there and nothing is wanted.
            (None, None) => Ok(()),
        };
        match written {
            Ok(()) => Ok(true),
            Err(fault) if is_late(&fault) => Ok(false),
            Err(fault) => Err(self.error("written", &fault)),
        }
    }
}
