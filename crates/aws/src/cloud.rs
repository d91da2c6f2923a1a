//! The account: clients, the caller, and look-ups that several kinds need, each read once.
//!
//! One place makes every client, so that endpoint, credentials and HTTP are the same for all.
//! Retrying and waiting are the engine's: the SDK's own retries are off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_config::SdkConfig;
use tokio::sync::OnceCell;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{Place, Tags};
use towpath_engine::secret::{Secret, SecretSource, Secrets};

use crate::calls::Calls;
use crate::connection::Connection;
use crate::fault::fault;
use crate::kinds::redshift_contents::Contents;
use crate::pace::{Bucket, Paced};
use crate::shared::Shared;
use crate::tag_index::TagIndex;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The twelve-digit account.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
    /// The partition of that ARN.
    pub partition: String,
}

/// A subnet, as far as placing things needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Its availability zone.
    pub zone: String,
    /// Whether it is the default subnet of its zone.
    pub is_default: bool,
    /// How many addresses are free in it.
    pub free: i32,
    /// Its tags.
    pub tags: Tags,
}

/// A VPC, as far as placing things needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vpc {
    /// `vpc-…`.
    pub id: String,
    /// Whether it is the region's default VPC.
    pub is_default: bool,
    /// Its tags.
    pub tags: Tags,
}

/// The account. Cheap to clone; all clones share clients and what was read.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    connection: Connection,
    secrets: Secrets,
    calls: Calls,
    config: OnceCell<SdkConfig>,
    place: OnceLock<Place>,
    caller: OnceCell<Caller>,
    vpcs: OnceCell<Vec<Vpc>>,
    subnets: OnceCell<Vec<Subnet>>,
    everywhere: AtomicBool,
    fully: AtomicBool,
    heard: Mutex<BTreeSet<String>>,
    namespaces: Shared<Vec<aws_sdk_redshiftserverless::types::Namespace>>,
    tag_index: TagIndex,
    workgroups: Shared<Vec<aws_sdk_redshiftserverless::types::Workgroup>>,
    namespace_tags: Shared<BTreeMap<String, Tags>>,
    warehouse_contents: Shared<Arc<Vec<Contents>>>,
    dms: OnceCell<aws_sdk_databasemigration::Client>,
    cloudwatch_logs: OnceCell<aws_sdk_cloudwatchlogs::Client>,
    ec2: OnceCell<aws_sdk_ec2::Client>,
    iam: OnceCell<aws_sdk_iam::Client>,
    redshift_data: OnceCell<aws_sdk_redshiftdata::Client>,
    redshift_serverless: OnceCell<aws_sdk_redshiftserverless::Client>,
    s3: OnceCell<aws_sdk_s3::Client>,
    secretsmanager: OnceCell<aws_sdk_secretsmanager::Client>,
    sts: OnceCell<aws_sdk_sts::Client>,
    tagging: OnceCell<aws_sdk_resourcegroupstagging::Client>,
}

macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $sdk:ident, $service:literal) => {
        $(#[$doc])*
        pub async fn $name(&self) -> &$sdk::Client {
            self.0
                .$name
                .get_or_init(|| async {
                    let shared = self.config().await;
                    let config = $sdk::config::Builder::from(shared).interceptor(self.0.calls.clone());
                    $sdk::Client::from_conf(config.http_client(self.paced(shared, $service)).build())
                })
                .await
        }
    };
}

impl Cloud {
    /// An account reached by `connection`. Nothing is called yet, no file is read. `secrets` are
    /// the run's secrets from the environment.
    pub fn connect(connection: Connection, secrets: Secrets) -> Self {
        Self(Arc::new(Inner {
            connection,
            secrets,
            calls: Calls::default(),
            config: OnceCell::new(),
            place: OnceLock::new(),
            caller: OnceCell::new(),
            vpcs: OnceCell::new(),
            subnets: OnceCell::new(),
            everywhere: AtomicBool::new(false),
            fully: AtomicBool::new(false),
            heard: Mutex::default(),
            namespaces: Shared::default(),
            tag_index: TagIndex::default(),
            workgroups: Shared::default(),
            namespace_tags: Shared::default(),
            warehouse_contents: Shared::default(),
            dms: OnceCell::new(),
            cloudwatch_logs: OnceCell::new(),
            ec2: OnceCell::new(),
            iam: OnceCell::new(),
            redshift_data: OnceCell::new(),
            redshift_serverless: OnceCell::new(),
            s3: OnceCell::new(),
            secretsmanager: OnceCell::new(),
            sts: OnceCell::new(),
            tagging: OnceCell::new(),
        }))
    }

    /// An account for questions that need no call: schemas, names, checks.
    pub fn offline() -> Self {
        Self::connect(Connection::default(), Secrets::default())
    }

    client!(
        /// Database Migration Service.
        dms,
        aws_sdk_databasemigration,
        "dms"
    );
    client!(
        /// CloudWatch Logs.
        cloudwatch_logs,
        aws_sdk_cloudwatchlogs,
        "logs"
    );
    client!(
        /// EC2.
        ec2,
        aws_sdk_ec2,
        "ec2"
    );
    client!(
        /// IAM.
        iam,
        aws_sdk_iam,
        "iam"
    );
    client!(
        /// The Redshift Data API.
        redshift_data,
        aws_sdk_redshiftdata,
        "redshift-data"
    );
    client!(
        /// Redshift Serverless.
        redshift_serverless,
        aws_sdk_redshiftserverless,
        "redshift-serverless"
    );
    client!(
        /// Secrets Manager.
        secretsmanager,
        aws_sdk_secretsmanager,
        "secretsmanager"
    );
    client!(
        /// The Security Token Service.
        sts,
        aws_sdk_sts,
        "sts"
    );
    client!(
        /// The Resource Groups Tagging API.
        tagging,
        aws_sdk_resourcegroupstagging,
        "tagging"
    );

    /// S3. Another endpoint than AWS's is addressed by path: bucket names do not resolve there.
    pub async fn s3(&self) -> &aws_sdk_s3::Client {
        self.0
            .s3
            .get_or_init(|| async {
                let config = self.config().await;
                let builder = aws_sdk_s3::config::Builder::from(config)
                    .force_path_style(config.endpoint_url().is_some())
                    .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
                    .interceptor(self.0.calls.clone())
                    .http_client(self.paced(config, "s3"));
                aws_sdk_s3::Client::from_conf(builder.build())
            })
            .await
    }

    async fn config(&self) -> &SdkConfig {
        self.0.config.get_or_init(|| self.0.connection.load()).await
    }

    /// The HTTP client of all, at the pace of one service.
    fn paced(&self, config: &SdkConfig, service: &str) -> Paced {
        let inner = config.http_client().expect("`config` has set one");
        Paced::new(inner, Bucket::new(service, self.0.connection.speed.unwrap_or(1.0)))
    }

    /// The region in force; `None` when neither stack nor environment names one.
    pub async fn region(&self) -> Option<String> {
        self.config().await.region().map(ToString::to_string)
    }

    /// Who calls. Asked once.
    pub async fn caller(&self) -> Result<&Caller, Fault> {
        self.0
            .caller
            .get_or_try_init(|| async {
                let answer =
                    self.sts().await.get_caller_identity().send().await.map_err(fault("sts:GetCallerIdentity"))?;
                let arn = answer.arn().unwrap_or_default().to_owned();
                Ok(Caller {
                    account: answer.account().unwrap_or_default().to_owned(),
                    partition: arn.split(':').nth(1).unwrap_or("aws").to_owned(),
                    arn,
                })
            })
            .await
    }

    /// Finds out where the stack lives; [`Cloud::place`] knows it from then on.
    pub async fn locate(&self, stack: &str) -> Result<Place, Fault> {
        let region = self.region().await.ok_or_else(|| {
            Fault::local(FaultClass::Invalid, "config", "no region: set `aws.region` in the stack or AWS_REGION")
        })?;
        let caller = self.caller().await?;
        let place = Place {
            stack: stack.to_owned(),
            account: caller.account.clone(),
            region,
            partition: caller.partition.clone(),
        };
        Ok(self.0.place.get_or_init(|| place).clone())
    }

    /// Where the stack lives. Before [`Cloud::locate`] the account is the one AWS uses in its
    /// documentation, which serves offline checks.
    pub fn place(&self) -> Place {
        self.0.place.get().cloned().unwrap_or_else(|| Place {
            stack: "stack".to_owned(),
            account: "111122223333".to_owned(),
            region: self.0.connection.region.clone().unwrap_or_else(|| "eu-north-1".to_owned()),
            partition: "aws".to_owned(),
        })
    }

    /// The run's secrets from the environment.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// The material of a secret, from the run's environment or from Secrets Manager.
    pub async fn secret(&self, source: &SecretSource) -> Result<Secret, Fault> {
        match source {
            SecretSource::Environment { env } => self.0.secrets.get(env).cloned().ok_or_else(|| {
                Fault::local(FaultClass::Invalid, "environment", format!("the variable `{env}` is not set"))
            }),
            SecretSource::Stored { secret } => {
                let call = self.secretsmanager().await.get_secret_value().secret_id(secret);
                let answer = call.send().await.map_err(fault("secretsmanager:GetSecretValue"))?;
                answer.secret_string().map(Secret::new).ok_or_else(|| {
                    Fault::local(
                        FaultClass::Invalid,
                        "secretsmanager:GetSecretValue",
                        format!("`{secret}` holds no text"),
                    )
                })
            }
        }
    }

    /// All VPCs of the region, read once.
    pub async fn vpcs(&self) -> Result<&[Vpc], Fault> {
        let read = || async {
            let mut pages = self.ec2().await.describe_vpcs().into_paginator().items().send();
            let mut found = Vec::new();
            while let Some(vpc) = pages.next().await {
                let vpc = vpc.map_err(fault("ec2:DescribeVpcs"))?;
                found.push(Vpc {
                    id: vpc.vpc_id().unwrap_or_default().to_owned(),
                    is_default: vpc.is_default().unwrap_or_default(),
                    tags: ec2_tags(vpc.tags()),
                });
            }
            Ok(found)
        };
        self.0.vpcs.get_or_try_init(read).await.map(Vec::as_slice)
    }

    /// All subnets of the region, read once.
    pub async fn subnets(&self) -> Result<&[Subnet], Fault> {
        let read = || async {
            let mut pages = self.ec2().await.describe_subnets().into_paginator().items().send();
            let mut found = Vec::new();
            while let Some(subnet) = pages.next().await {
                let subnet = subnet.map_err(fault("ec2:DescribeSubnets"))?;
                found.push(Subnet {
                    id: subnet.subnet_id().unwrap_or_default().to_owned(),
                    vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
                    zone: subnet.availability_zone().unwrap_or_default().to_owned(),
                    is_default: subnet.default_for_az().unwrap_or_default(),
                    free: subnet.available_ip_address_count().unwrap_or_default(),
                    tags: ec2_tags(subnet.tags()),
                });
            }
            Ok(found)
        };
        self.0.subnets.get_or_try_init(read).await.map(Vec::as_slice)
    }

    /// The region's default VPC.
    pub async fn default_vpc(&self) -> Result<String, Fault> {
        let vpc = self.vpcs().await?.iter().find(|vpc| vpc.is_default);
        vpc.map(|vpc| vpc.id.clone()).ok_or_else(|| {
            Fault::local(
                FaultClass::Invalid,
                "ec2:DescribeVpcs",
                "the region has no default VPC; name one by id, tag or resource",
            )
        })
    }

    /// The default VPC's default subnets, one per zone, by id.
    pub async fn default_subnets(&self) -> Result<Vec<String>, Fault> {
        let vpc = self.default_vpc().await?;
        let subnets = self.subnets().await?.iter();
        let mut ids: Vec<String> =
            subnets.filter(|subnet| subnet.vpc == vpc && subnet.is_default).map(|subnet| subnet.id.clone()).collect();
        ids.sort();
        Ok(ids)
    }

    /// From now on kinds without a batch read of tags ask for the tags of every object, not only of
    /// those whose names begin like the stack's: for destroying, and for planning without a
    /// journal, where an object of any name may be ours.
    pub fn look_everywhere(&self) {
        self.0.everywhere.store(true, Ordering::SeqCst);
    }

    /// Whether tags of objects with any name are read.
    pub fn looks_everywhere(&self) -> bool {
        self.0.everywhere.load(Ordering::SeqCst)
    }

    /// Remembers a name that the stack declares: tags of its object are worth reading.
    pub(crate) fn hear(&self, name: &str) {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase());
    }

    /// Whether the stack declares an object of this name.
    pub(crate) fn has_heard(&self, name: &str) -> bool {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(&name.to_lowercase())
    }

    /// What was heard that begins so, without that beginning.
    pub(crate) fn heard_after(&self, beginning: &str) -> Vec<String> {
        let heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter_map(|name| name.strip_prefix(beginning).map(str::to_owned)).collect()
    }

    /// From now on kinds read every setting of every object, declared or not.
    pub fn read_fully(&self) {
        self.look_everywhere();
        self.0.fully.store(true, Ordering::SeqCst);
    }

    /// Tags that are told one object at a time.
    pub(crate) fn tag_index(&self) -> &TagIndex {
        &self.0.tag_index
    }

    /// Whether settings are read that no resource declares.
    pub fn reads_fully(&self) -> bool {
        self.0.fully.load(Ordering::SeqCst)
    }

    /// The list of namespaces that several kinds want at once.
    pub(crate) fn shared_namespaces(&self) -> &Shared<Vec<aws_sdk_redshiftserverless::types::Namespace>> {
        &self.0.namespaces
    }

    /// The list of workgroups, likewise.
    pub(crate) fn shared_workgroups(&self) -> &Shared<Vec<aws_sdk_redshiftserverless::types::Workgroup>> {
        &self.0.workgroups
    }

    /// The tags of namespaces by their ARNs, likewise.
    pub(crate) fn shared_namespace_tags(&self) -> &Shared<BTreeMap<String, Tags>> {
        &self.0.namespace_tags
    }

    /// The schemas and privileges of warehouses, likewise.
    pub(crate) fn shared_contents(&self) -> &Shared<Arc<Vec<Contents>>> {
        &self.0.warehouse_contents
    }

    /// How many calls were made so far, by `Service.Operation`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.0.calls.made()
    }
}

/// EC2's tags as ours.
pub(crate) fn ec2_tags(tags: &[aws_sdk_ec2::types::Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}
