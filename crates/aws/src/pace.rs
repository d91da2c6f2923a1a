//! How fast each service is called: a token bucket per service, from which every call draws, whoever
//! makes it and however often. Nobody is refused here: a call waits for its token.
//!
//! What a service still refuses, because others use the same account say, the engine makes up for by
//! leaving that service alone for a while. The only place of this crate that waits: it stands between
//! the SDK and the network, where no kind and no engine is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::time::Instant;

/// How many calls a service takes at once, and how many a second after that.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    burst: f64,
    per_second: f64,
}

/// The rate of a service.
fn rate(service: &str) -> Rate {
    let (burst, per_second) = match service {
        // All operations of an account and region together. Source: DMS user guide, "Quotas for AWS
        // Database Migration Service", which on the same page also says 100 and 4: should it be that,
        // what DMS refuses is made up for by the engine.
        // Of the 200 at once a quarter is left to other clients of the account, and to calls that
        // arrive closer together than they were sent.
        "dms" => (150.0, 8.0),
        // S3 takes 3,500 writes a second and prefix, Secrets Manager about 50 calls that are no reads.
        "s3" => (1000.0, 1000.0),
        "secretsmanager" => (50.0, 50.0),
        // Ten a second for listing and for deleting log groups. Source: CloudWatch Logs user guide,
        // "CloudWatch Logs quotas".
        "logs" => (10.0, 10.0),
        // Statements of models and their polling: no number is published, and they are bounded by how
        // many statements are in flight.
        "redshift-data" => (200.0, 100.0),
        // EC2's bucket for reads is 100 and 20 for each operation (EC2 developer guide, "Request
        // throttling"). IAM, STS and Redshift Serverless publish no number, so theirs is the same.
        _ => (100.0, 20.0),
    };
    Rate { burst, per_second }
}

/// A service's tokens.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: Mutex<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    /// Below zero when calls wait already.
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket for a service where `speed` seconds pass in one of ours.
    pub(crate) fn new(service: &str, speed: f64) -> Self {
        let Rate { burst, per_second } = rate(service);
        let rate = Rate { burst, per_second: per_second * speed };
        Self { rate, tokens: Mutex::new(Tokens { left: burst, at: Instant::now() }) }
    }

    /// Takes a token and says how long it takes until it is there. Who comes first is served first.
    fn take(&self) -> Duration {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let gained = now.duration_since(tokens.at).as_secs_f64() * self.rate.per_second;
        tokens.left = (tokens.left + gained).min(self.rate.burst) - 1.0;
        tokens.at = now;
        Duration::from_secs_f64((-tokens.left / self.rate.per_second).max(0.0))
    }

    /// Returns when a call may be made.
    #[expect(clippy::disallowed_methods, reason = "a call waits for its token, on its way to the network")]
    async fn draw(&self) {
        let wait = self.take();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// An HTTP client whose requests draw from a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Paced {
    inner: SharedHttpClient,
    bucket: Arc<Bucket>,
}

impl Paced {
    /// `inner`, at the pace of `bucket`.
    pub(crate) fn new(inner: SharedHttpClient, bucket: Bucket) -> Self {
        Self { inner, bucket: Arc::new(bucket) }
    }
}

impl HttpClient for Paced {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(PacedConnector { inner, bucket: self.bucket.clone() })
    }
}

#[derive(Debug)]
struct PacedConnector {
    inner: SharedHttpConnector,
    bucket: Arc<Bucket>,
}

impl HttpConnector for PacedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, bucket) = (self.inner.clone(), self.bucket.clone());
        HttpConnectorFuture::new(async move {
            bucket.draw().await;
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;

    async fn drawn(bucket: &Bucket, calls: usize) -> f64 {
        let began = Instant::now();
        join_all((0..calls).map(|_| bucket.draw())).await;
        began.elapsed().as_secs_f64()
    }

    #[track_caller]
    fn about(seconds: f64, wanted: f64) {
        assert!((seconds - wanted).abs() < 0.02, "{seconds} s instead of {wanted} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_what_follows_at_the_rate_of_the_service() {
        let bucket = Bucket::new("dms", 1.0);
        about(drawn(&bucket, 150).await, 0.0);
        about(drawn(&bucket, 80).await, 10.0);
        // A second fills it a little, an hour to the brim and no further.
        tokio::time::advance(Duration::from_secs(1)).await;
        about(drawn(&bucket, 8).await, 0.0);
        about(drawn(&bucket, 8).await, 1.0);
        tokio::time::advance(Duration::from_hours(1)).await;
        about(drawn(&bucket, 158).await, 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn services_do_not_share_and_a_sandbox_is_as_much_faster_as_its_states() {
        let (dms, ec2) = (Bucket::new("dms", 60.0), Bucket::new("ec2", 60.0));
        drawn(&dms, 150).await;
        about(drawn(&ec2, 100).await, 0.0);
        about(drawn(&dms, 480).await, 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_while_it_waits_keeps_nobody_from_calling() {
        let bucket = Bucket::new("dms", 1.0);
        drawn(&bucket, 150).await;
        let given_up = tokio::time::timeout(Duration::from_millis(10), drawn(&bucket, 8)).await;
        assert!(given_up.is_err());
        about(drawn(&bucket, 1).await, 1.115);
    }
}
