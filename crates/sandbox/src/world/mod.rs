//! All cloud state, as plain data: one struct per service, one file each.
//!
//! Transient states are stamps, not timers: what a record's status is now is a function of the record
//! and the time, so reading never writes.

pub(crate) mod dms;
pub(crate) mod ec2;
pub(crate) mod iam;
pub(crate) mod logs;
pub(crate) mod redshift_data;
pub(crate) mod redshift_serverless;
pub(crate) mod s3;
pub(crate) mod secretsmanager;
pub(crate) mod speed;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::arn::Place;

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// Everything the sandbox holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct World {
    /// The account it belongs to.
    pub(crate) account: String,
    /// The region it belongs to.
    pub(crate) region: String,
    /// How many times faster than AWS its transitions pass; absent when they end at once.
    #[serde(default)]
    pub(crate) speed: Option<f64>,
    /// State of EC2.
    pub ec2: ec2::Ec2,
    /// State of IAM.
    pub(crate) iam: iam::Iam,
    /// State of CloudWatch Logs.
    #[serde(default)]
    pub(crate) logs: logs::Logs,
    /// State of S3.
    pub s3: s3::S3,
    /// State of Secrets Manager.
    #[serde(default)]
    pub(crate) secretsmanager: secretsmanager::SecretsManager,
    /// State of DMS.
    #[serde(default)]
    pub(crate) dms: dms::Dms,
    /// State of Redshift Serverless.
    #[serde(default)]
    pub(crate) redshift_serverless: redshift_serverless::RedshiftServerless,
    /// State of the Redshift Data API.
    #[serde(default)]
    pub(crate) redshift_data: redshift_data::RedshiftData,
}

impl World {
    /// A fresh account: a default VPC with three subnets and its security group, and AWS's policies.
    pub(crate) fn new(place: &Place) -> Self {
        Self {
            account: place.account.clone(),
            region: place.region.clone(),
            speed: None,
            ec2: ec2::Ec2::fresh(place),
            iam: iam::Iam::default(),
            logs: logs::Logs::default(),
            s3: s3::S3::default(),
            secretsmanager: secretsmanager::SecretsManager::default(),
            dms: dms::Dms::default(),
            redshift_serverless: redshift_serverless::RedshiftServerless::default(),
            redshift_data: redshift_data::RedshiftData::default(),
        }
    }

    /// Every object that bears tags, by ARN, as the tagging API lists them.
    pub(crate) fn tagged(&self, place: &Place) -> Vec<(String, Tags)> {
        let mut all = self.ec2.tagged(place);
        all.extend(self.logs.tagged());
        all.extend(self.s3.tagged(place.partition()));
        all.extend(self.secretsmanager.tagged());
        all.extend(self.dms.tagged());
        all.extend(self.redshift_serverless.tagged());
        all.retain(|(_, tags)| !tags.is_empty());
        all
    }
}
