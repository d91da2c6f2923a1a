//! A stack's lease as an object in S3: one writer, wherever the runs are.
//!
//! Rests on S3's conditional requests: a write or delete happens only over the version that was read,
//! or only where nothing is. Source: S3 user guide, "Add preconditions to S3 operations with
//! conditional requests". Every call names the account that must own the bucket, so that a bucket of
//! that name in somebody else's account is refused. The caller needs `s3:ListBucket`, `s3:GetObject`,
//! `s3:PutObject` and `s3:DeleteObject`: without the first, S3 answers for an object that is not
//! there as for one that is closed. It deletes no bucket.

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::Place;
use towpath_engine::lease::{Lease, LeaseError, LeaseStore, Version};

use crate::cloud::Cloud;
use crate::fault::fault;
use crate::kinds::s3_bucket::UNNAMED_REGION;

/// The bucket that holds the leases of an account's stacks in a region, unless a stack names one.
pub fn bucket_of(place: &Place) -> String {
    format!("towpath-leases-{}-{}", place.account, place.region)
}

/// The lease of one stack in a bucket.
pub struct S3Lease {
    cloud: Cloud,
    bucket: String,
    key: String,
}

impl S3Lease {
    /// The lease of `stack` in `bucket`, at `towpath/{stack}/lease.json`. Nothing is called yet. The
    /// cloud must have been located: the bucket must belong to the caller's account.
    pub fn new(cloud: Cloud, bucket: impl Into<String>, stack: &str) -> Self {
        Self { cloud, bucket: bucket.into(), key: format!("towpath/{stack}/lease.json") }
    }

    fn error(&self, verb: &'static str, fault: &Fault) -> LeaseError {
        let place = format!("object `s3://{}/{}`", self.bucket, self.key);
        LeaseError::Store { place, verb, message: fault.to_string(), class: fault.class }
    }

    fn owner(&self) -> String {
        self.cloud.place().account
    }

    /// Whether the bucket is there, the caller's and of this region.
    pub async fn has_bucket(&self) -> Result<bool, Fault> {
        let call = self.cloud.s3().await.head_bucket().bucket(&self.bucket).expected_bucket_owner(self.owner());
        match call.send().await.map_err(fault("s3:HeadBucket")) {
            Ok(_) => Ok(true),
            Err(fault) if matches!(fault.code.as_str(), "NotFound" | "NoSuchBucket") => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Makes the bucket, closed to the public as every new one is. One that is the caller's already is
    /// as good.
    pub async fn make_bucket(&self) -> Result<(), Fault> {
        let region = self.cloud.place().region;
        let constraint = (region != UNNAMED_REGION).then(|| BucketLocationConstraint::from(region.as_str()));
        let place = constraint.map(|region| CreateBucketConfiguration::builder().location_constraint(region).build());
        let call = self.cloud.s3().await.create_bucket().bucket(&self.bucket);
        match call.set_create_bucket_configuration(place).send().await.map_err(fault("s3:CreateBucket")) {
            Err(fault) if fault.code != "BucketAlreadyOwnedByYou" => Err(fault),
            _ => Ok(()),
        }
    }

    /// The lease as stored, with its version. What is no lease, by another program's hand say, stands for one of somebody
    /// unknown, who is waited for as for everybody and may be taken over.
    async fn get(&self) -> Result<(Lease, Version), Fault> {
        let call = self.cloud.s3().await.get_object().bucket(&self.bucket).key(&self.key);
        let answer = call.expected_bucket_owner(self.owner()).send().await.map_err(fault("s3:GetObject"))?;
        let version = answer.e_tag.unwrap_or_default();
        let unread = |class: FaultClass, error: String| Fault::local(class, "s3:GetObject", error);
        let body = answer.body.collect().await;
        let body = body.map_err(|error| unread(FaultClass::Unavailable, error.to_string()))?.to_vec();
        let unknown = || Lease::wanted("unreadable", "somebody", "an unknown machine", "something");
        let lease = serde_json::from_slice(&body).unwrap_or_else(|_| unknown());
        Ok((lease, version))
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
        match self.get().await {
            Ok(found) => Ok(Some(found)),
            Err(fault) if fault.code == "NoSuchKey" => Ok(None),
            Err(fault) => Err(self.error("read", &fault)),
        }
    }

    async fn replace(&self, lease: Option<&Lease>, expected: Option<&Version>) -> Result<bool, LeaseError> {
        let written = match (lease, expected) {
            (Some(lease), expected) => {
                self.put(serde_json::to_vec(lease).expect("a lease is text and numbers"), expected).await
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
