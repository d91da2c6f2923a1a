//! How AWS is reached: region, address, credentials, and the HTTP client of all services.
//!
//! What is not said here the SDK finds as every tool of AWS does: variables of the process, profiles, roles of the
//! machine. No call is made here.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use towpath_engine::secret::Secret;

/// How to reach AWS; what is `None` comes from the environment and the SDK's usual files.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region.
    pub region: Option<String>,
    /// Another address for every service: the sandbox's.
    pub endpoint_url: Option<String>,
    /// Keys to sign with.
    pub credentials: Option<Credentials>,
    /// A profile of the SDK's files, whose credentials count where none are given.
    pub profile: Option<String>,
    /// How many seconds of AWS pass in one of ours, which makes calls as much faster: the sandbox's
    /// speed. One second unless said otherwise.
    pub speed: Option<f64>,
}

/// Keys that sign a request.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key id.
    pub id: String,
    /// The secret key.
    pub key: Secret,
    /// The session token that comes with keys for a time.
    pub token: Option<Secret>,
}

impl Credentials {
    /// Keys that hold until somebody takes them away.
    pub fn lasting(id: &str, key: &str) -> Self {
        Self { id: id.to_owned(), key: Secret::new(key), token: None }
    }
}

impl Connection {
    /// What every client is made from: with these settings, with times after which a call counts as unanswered, and
    /// without the SDK's retries.
    pub(crate) async fn load(&self) -> SdkConfig {
        let http = aws_smithy_http_client::Builder::new();
        // The system's certificates take time to read, and the sandbox needs none.
        let is_plain = self.endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"));
        let http = if is_plain {
            http.build_http()
        } else {
            http.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
        };
        // An answer must begin within 75 seconds of its request; the operation has longer, because
        // before its request a call may wait for its turn.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(75))
            .operation_timeout(Duration::from_mins(10))
            .build();
        // A request that waits for its turn sends nothing, and five seconds of that would be a stalled upload to the SDK.
        let stalled = StalledStreamProtectionConfig::enabled().upload_enabled(false).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(stalled);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(Credentials { id, key, token }) = &self.credentials {
            let token = token.as_ref().map(|token| token.expose().to_owned());
            let credentials = aws_credential_types::Credentials::new(id, key.expose(), token, None, "towpath");
            loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
        }
        loader.load().await
    }
}
