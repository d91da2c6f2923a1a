//! The account a run works in: one client per service, made on first use, and the few look-ups
//! that kinds share.
//!
//! Clients never retry: the engine does, by the class of the fault. Nothing here caches what the
//! service may change.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::sync::OnceCell;
use towpath_engine::fault::{Fault, FaultClass};
use towpath_engine::kind::{Place, Tags, tag};
use towpath_engine::secret::{Secret, SecretSource, Secrets};

use crate::fault::fault;

/// How to reach AWS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The base URL of every service, for a sandbox; `None` is AWS itself.
    pub endpoint: Option<String>,
    /// Access key and secret key; `None` takes them from where the AWS tools take theirs.
    pub credentials: Option<(String, Secret)>,
}

/// The account a run works in. Clones share their clients.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    place: Place,
    secrets: Secrets,
    options: Options,
    config: OnceCell<SdkConfig>,
    dms: OnceLock<aws_sdk_databasemigration::Client>,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    redshift_data: OnceLock<aws_sdk_redshiftdata::Client>,
    redshift_serverless: OnceLock<aws_sdk_redshiftserverless::Client>,
    secrets_manager: OnceLock<aws_sdk_secretsmanager::Client>,
    tagging: OnceLock<aws_sdk_resourcegroupstagging::Client>,
}

/// Writes the getter of one service's client.
macro_rules! client {
    ($(#[$docs:meta])* $name:ident, $service:ident) => {
        $(#[$docs])*
        pub async fn $name(&self) -> &$service::Client {
            let config = self.config().await;
            self.0.$name.get_or_init(|| $service::Client::new(config))
        }
    };
}

impl Cloud {
    /// A cloud at `place`, with the secrets of the run. Makes no call.
    pub fn new(place: Place, secrets: Secrets, options: Options) -> Self {
        Self(Arc::new(Inner {
            place,
            secrets,
            options,
            config: OnceCell::new(),
            dms: OnceLock::new(),
            ec2: OnceLock::new(),
            redshift_data: OnceLock::new(),
            redshift_serverless: OnceLock::new(),
            secrets_manager: OnceLock::new(),
            tagging: OnceLock::new(),
        }))
    }

    /// Where the stack lives.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The secrets of the run that come from the environment.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    client! {
        /// Database Migration Service.
        dms, aws_sdk_databasemigration
    }
    client! {
        /// EC2.
        ec2, aws_sdk_ec2
    }
    client! {
        /// Redshift Data.
        redshift_data, aws_sdk_redshiftdata
    }
    client! {
        /// Redshift Serverless.
        redshift_serverless, aws_sdk_redshiftserverless
    }
    client! {
        /// Secrets Manager.
        secrets_manager, aws_sdk_secretsmanager
    }
    client! {
        /// The index of tags over all services.
        tagging, aws_sdk_resourcegroupstagging
    }

    /// The configuration of every client.
    pub async fn config(&self) -> &SdkConfig {
        self.0.config.get_or_init(|| load(&self.0.place, &self.0.options)).await
    }

    /// The material of a secret: from the run's environment, or read from Secrets Manager now.
    pub async fn secret(&self, source: &SecretSource) -> Result<Secret, Fault> {
        match source {
            SecretSource::Environment { env } => {
                self.0.secrets.get(env).cloned().ok_or_else(|| {
                    Fault::local(FaultClass::Invalid, "secret", format!("the variable `{env}` is not set"))
                })
            }
            SecretSource::Stored { secret } => {
                const OPERATION: &str = "secretsmanager:GetSecretValue";
                let call = self.secrets_manager().await.get_secret_value().secret_id(secret);
                let answer = call.send().await.map_err(fault(OPERATION))?;
                answer.secret_string.map(Secret::new).ok_or_else(|| {
                    Fault::local(FaultClass::Invalid, OPERATION, format!("the secret `{secret}` holds no text"))
                })
            }
        }
    }

    /// The default VPC's default subnets, one per availability zone, in the order of the zones.
    pub async fn default_subnets(&self) -> Result<Vec<String>, Fault> {
        let filter = aws_sdk_ec2::types::Filter::builder().name("default-for-az").values("true").build();
        let pages = self.ec2().await.describe_subnets().filters(filter).into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await.map_err(fault("ec2:DescribeSubnets"))?;
        let by_zone: BTreeMap<String, String> = pages
            .into_iter()
            .flat_map(|page| page.subnets.unwrap_or_default())
            .filter_map(|subnet| Some((subnet.availability_zone?, subnet.subnet_id?)))
            .collect();
        Ok(by_zone.into_values().collect())
    }

    /// The tags of all objects of a stack that the tag index knows, by ARN. It lags behind.
    pub async fn tagged(&self, stack: &str) -> Result<BTreeMap<String, Tags>, Fault> {
        let filter = aws_sdk_resourcegroupstagging::types::TagFilter::builder().key(tag::STACK).values(stack).build();
        let pages = self.tagging().await.get_resources().tag_filters(filter).into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await.map_err(fault("tagging:GetResources"))?;
        let found = pages.into_iter().flat_map(|page| page.resource_tag_mapping_list.unwrap_or_default());
        Ok(found
            .filter_map(|mapping| {
                let tags = mapping.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
                Some((mapping.resource_arn?, tags))
            })
            .collect())
    }
}

async fn load(place: &Place, options: &Options) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(place.region.clone()))
        .retry_config(RetryConfig::disabled())
        .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https());
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some((key, secret)) = &options.credentials {
        loader = loader.credentials_provider(Credentials::new(key, secret.expose(), None, None, "towpath"));
    }
    loader.load().await
}
